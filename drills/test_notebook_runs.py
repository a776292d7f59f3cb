"""Notebook runs survive: a fault is reported with notebook and cell, the others go on, and nothing is left running."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
from counting import Tally
from processes import alive
from tiny_book import code, write_notebook, write_runs

from cosnb.book import notebooks

ITEM = "4 notebook runs"
pytestmark = pytest.mark.drill  # a minute of processor time
# Each: the cell that goes wrong, the notebook's time limit (s), and what the report says.
FAULTS = {
    "assertion": ("assert count == 2, 'off'", 60, "AssertionError: off"),
    "syntax": ("count +", 60, "SyntaxError"),
    "killed": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", 60, "DeadKernelError"),
    "segfault": ("import ctypes\nctypes.string_at(0)", 60, "DeadKernelError"),
    "aborted": ("import os\nos.abort()", 60, "DeadKernelError"),
    "left": ("import os\nos._exit(0)", 60, "DeadKernelError"),
    "quit": ("raise SystemExit", 60, "ended before its last cell"),
    "interrupted": ("raise KeyboardInterrupt", 60, "KeyboardInterrupt"),
    "sleeping": ("import time\ntime.sleep(1000)", 8, "TimeoutError: not finished after 8 s"),
    "deaf": (
        "import signal, time\nfor s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\n"
        "while True: time.sleep(1)",
        8,
        "TimeoutError: not finished after 8 s",
    ),
    "spinning": ("while True: pass", 8, "TimeoutError: not finished after 8 s"),
    "printing": ("for _ in range(100): print('x' * 1_000_000)", 120, "OutputLimit: the outputs exceed 20 MB"),
    "memory": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\nx = bytearray(2**31)",
        60,
        "MemoryError",
    ),
    "recursion": ("def f(n): return f(n + 1)\nf(0)", 60, "RecursionError"),
    "children": (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\nraise ValueError('a child stays')",
        60,
        "ValueError: a child stays",
    ),
    "forked": (
        "import os, time\nif os.fork() == 0: time.sleep(1000)\nraise ValueError('forked')",
        60,
        "ValueError: forked",
    ),
}  # fmt: skip
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def marked(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a mark that all processes started from now on carry."""
    mark = uuid4().hex
    monkeypatch.setenv("COSNB_TEST_MARK", mark)
    return mark


def test_every_fault_is_named_and_the_others_go_on(
    tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, mark = [], marked(monkeypatch)
    for name, (source, _, _) in FAULTS.items():
        write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", code("y = 1"), code(source), code("print('never')"))
        previous = notebooks.executed_path(name, "quick", tmp_path)
        previous.parent.mkdir(parents=True, exist_ok=True)
        previous.write_text("the previous good one")
    limits = {name: limit for name, (_, limit, _) in FAULTS.items()}
    for name in ("good-1", "good-2"):
        write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", code("print(count)"))
    write_runs(tmp_path, {"good-1": 60, **limits, "good-2": 60})
    reported = {f.name: f for f in notebooks.run(list(notebooks.read_runs(tmp_path)), "quick", jobs=2, root=tmp_path)}
    for name, (source, _, said) in FAULTS.items():
        failure = reported.pop(name, None)
        if failure is None:
            failures.append(f"{name}: no failure reported")
        elif said not in failure.error or failure.cell != 3 or failure.line != source.partition("\n")[0]:
            failures.append(f"{name}: cell {failure.cell}, {failure.error}")
        if notebooks.executed_path(name, "quick", tmp_path).read_text() != "the previous good one":
            failures.append(f"{name}: the previous good notebook is gone")
    failures += [f"{name}: {failure}" for name, failure in reported.items()]
    for name in ("good-1", "good-2"):
        if '"1\\n"' not in json.dumps(json.loads(notebooks.executed_path(name, "quick", tmp_path).read_text())):
            failures.append(f"{name} did not run")
    deadline = time.monotonic() + 10
    while alive(mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    failures += [f"left running: {process}" for process in alive(mark)]
    tally(len(FAULTS) + 2, failures)


@pytest.mark.parametrize("moment", [0.3, 1.5, 4.0], ids=["starting", "kernel starting", "in a cell"])
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_at_any_moment_leaves_nothing(
    tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, moment: float
) -> None:
    mark = marked(monkeypatch)
    for name in ("one", "two", "three"):
        write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", code("import time\ntime.sleep(100)"))
    write_runs(tmp_path, {"one": 100, "two": 100, "three": 100})
    program = (
        "import signal, sys; from pathlib import Path; from cosnb import cli; from cosnb.book.notebooks import runs\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # and what nohup starts this one
        "runs.repository_root = lambda: Path(sys.argv[1])\n"
        "print('begun', flush=True)\nsys.exit(cli.main(['run', 'one', 'two', 'three']))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moment)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    failures = []
    # Before the first worker is started a signal simply ends the program.
    if process.returncode not in (SIGNALS[number], -number):
        failures.append(f"exit status {process.returncode}: {said[-300:]}")
    if moment > 1 and "Traceback" in said:
        failures.append(said[-500:])
    failures += [f"left running: {left}" for left in alive(mark)]
    built = tmp_path / "_build" / "notebooks" / "quick"
    failures += [f"left: {path}" for path in built.iterdir()] if built.exists() else []
    tally(1, failures)


def test_ports_that_are_taken(tally: Tally, tmp_path: Path) -> None:
    """Dask's usual ports, and Jupyter's, belong to somebody else."""
    taken = []
    try:
        for port in (8786, 8787, 8788, 8888, 5555):
            held = socket.socket()
            try:
                held.bind(("127.0.0.1", port))
            except OSError:
                held.close()
                continue
            held.listen()
            taken.append(held)
        for name in ("one", "two"):
            write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", code("print(count)"))
        write_runs(tmp_path, {"one": 60, "two": 60})
        failures = notebooks.run(["one", "two"], "quick", jobs=2, root=tmp_path)
    finally:
        for held in taken:
            held.close()
    tally(len(taken), failures)


def test_a_folder_that_goes_away(tally: Tally, tmp_path: Path) -> None:
    """The disk of the outputs refuses: the failure says so, in one sentence."""
    write_notebook(tmp_path / "notebooks" / "one.ipynb", code("print(count)"))
    write_runs(tmp_path, {"one": 60})
    (tmp_path / "_build").mkdir()
    (tmp_path / "_build" / "notebooks").write_text("a file in the folder's place")
    program = (
        "import sys; from pathlib import Path; from cosnb import cli; from cosnb.book.notebooks import runs\n"
        "runs.repository_root = lambda: Path(sys.argv[1])\nsys.exit(cli.main(['run', 'one']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=100, env=os.environ
    )
    good = done.returncode == 2 and "Traceback" not in done.stderr and str(tmp_path / "_build") in done.stderr
    tally(1, [] if good else [f"{done.returncode}: {done.stderr[-500:]}"])
