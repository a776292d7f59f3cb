"""Windows, as far as another system shows: what it lacks is not asked for, and files have their encoding named."""

import ast
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from cosnb.book.notebooks import execution, pool
from cosnb.book.notebooks.execution import Job, Outcome
from cosnb.kernels import compiler
from cosnb.paths import repository_root
from tools import make

ROOT = repository_root()
FILES = [path for folder in ("cosnb", "tools") for path in sorted((ROOT / folder).rglob("*.py"))]
_TEXT = {"read_text", "write_text", "open", "fdopen"}


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(signal, "SIGHUP", raising=False)
    monkeypatch.delattr("os.getuid", raising=False)


def test_notebooks_are_ended_by_the_signals_that_there_are(windows: None) -> None:
    fresh: dict[str, Any] = {"__name__": "pool"}
    exec(compile(Path(pool.__file__).read_text(encoding="utf-8"), "pool", "exec"), fresh)
    assert fresh["_ENDING"] == [signal.SIGTERM]
    assert fresh["execute"]([], 1, 1) == []


def test_a_worker_gets_no_open_files(windows: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Process(subprocess.Popen):
        def __init__(self, command: list[str], **options: Any) -> None:
            asked.append(options)
            super().__init__([sys.executable, "-c", ""], stdin=subprocess.PIPE)

    def no_name() -> str:
        raise ModuleNotFoundError("pwd")

    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setattr("getpass.getuser", no_name)
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    job = Job("one", tmp_path / "one.ipynb", tmp_path / "out" / "one.ipynb", {}, 60)
    outcome = execution.perform(job, threading.Event(), 1, live=True)
    assert isinstance(outcome, Outcome)
    assert not asked[0]["pass_fds"]


def test_flags_and_libraries_that_clang_for_windows_refuses_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosnb.kernels.store.cache_dir", lambda: tmp_path)
    monkeypatch.setattr(compiler, "_machine", lambda: "clang for x86_64-pc-windows-msvc")
    monkeypatch.setattr(compiler, "_takes", lambda flags: not {"-fPIC", "-fno-tree-pre"} & set(flags))
    found = compiler.flags.__wrapped__()
    assert {"-O3", "-shared", "-march=native"} < set(found)
    assert not {"-fPIC", "-fno-tree-pre"} & set(found)


def test_every_loop_is_exported() -> None:
    source = (ROOT / "cosnb" / "kernels" / "loops.c").read_text(encoding="utf-8")
    assert len(re.findall(r"EXPORT void cosnb_", source)) == len(re.findall(r"void cosnb_", source)) == 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_text_files_have_their_encoding_named(path: Path) -> None:
    """Windows takes its own code page for a file whose encoding is not named."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
        if name in _TEXT:
            words = {keyword.arg for keyword in node.keywords}
            modes = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            text = name.endswith("_text") or any(re.fullmatch(r"[rwax]\+?", mode) for mode in modes)
            assert "encoding" in words or not text, f"line {node.lineno}"


def test_without_make_the_same_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs are those of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(make, "set_up", lambda: None)
    monkeypatch.setattr(make, "run", lambda python, *arguments: ran.append(arguments))
    make.main(["lint", "test"])
    for arguments in ran:
        said = " ".join(arguments[1:])
        assert said in makefile.replace("$(TOGETHER)", "-n logical --maxprocesses 4") or "lint_imports" in said
    stamp = re.search(r"\$\(READY\): (.*)", makefile)
    assert stamp is not None
    assert stamp[1].split() == list(make._INPUTS)
    with pytest.raises(SystemExit, match="usage"):
        make.main(["bok"])
