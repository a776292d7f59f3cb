"""Drills: what a careful person would try before relying on this, each item with its cases, failures and time.

A drill is a test that says by the fixture `tally` how many cases it tried. Those marked `long` are left out of CI.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import pytest
from counting import Tally

_cases: dict[str, int] = defaultdict(int)
_failures: dict[str, int] = defaultdict(int)
_seconds: dict[str, float] = defaultdict(float)
_skipped: dict[str, int] = defaultdict(int)
_items: dict[str, str] = {}


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Return the function that counts cases tried, and fails the drill where some of them failed."""
    item = request.node.module.ITEM

    def count(cases: int, failures: Sequence[object] = ()) -> None:
        _cases[item] += cases
        if failures:
            _failures[item] += len(failures) - 1  # the failing test itself counts once
            shown = "\n".join(map(str, failures[:10]))
            pytest.fail(f"{len(failures)} of {cases} cases failed, among them:\n{shown}", pytrace=False)

    return count


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    name = getattr(item.module, "ITEM", "")  # type: ignore[attr-defined]
    _items[item.nodeid] = name
    begun = time.monotonic()
    try:
        return (yield)
    finally:
        _seconds[name] += time.monotonic() - begun


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    name = _items.get(report.nodeid, "")
    _failures[name] += report.failed
    _skipped[name] += report.skipped


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    names = sorted(name for name in _seconds if name)
    if not names:
        return
    width = max(map(len, names))
    terminalreporter.section("drills")
    terminalreporter.write_line(f"{'item':<{width}}  {'cases':>7}  {'failures':>8}  {'skipped':>7}  {'seconds':>7}")
    for name in names:
        line = f"{name:<{width}}  {_cases[name]:>7}  {_failures[name]:>8}  {_skipped[name]:>7}  {_seconds[name]:>7.1f}"
        terminalreporter.write_line(line, red=bool(_failures[name]))
