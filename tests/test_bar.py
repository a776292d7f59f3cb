"""Progress of runs: no carriage returns in a log."""

import io
import sys

import pytest

from cosnb.experiments.runner import bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setattr(bar, "_SECONDS", 0.0)
    with bar.epochs_bar(3, "table-3") as drawn:
        for _ in range(3):
            drawn.update()
    return stream.getvalue()


def test_a_log_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    said = shown(io.StringIO(), monkeypatch)
    assert "\r" not in said
    assert said.splitlines()[0].startswith("table-3:   0%")
    assert said.splitlines()[-1].startswith("table-3: 100%")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\rtable-3: 100%" in shown(Terminal(), monkeypatch)


def test_nothing_is_shown_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with bar.epochs_bar(0, "table-3"):
        pass
    assert stream.getvalue() == ""
