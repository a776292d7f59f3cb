"""Several notebooks at a time, each in a worker process with a time limit; nothing half-written or running stays."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

KERNEL = "cosnb"
_WORKER = Path(__file__).with_name("worker.py")
_POLL_SECONDS = 0.1
_GRACE_SECONDS = 3.0  # between asking a process to end and killing it


@dataclass(frozen=True)
class Job:
    """One notebook to run: `timeout` in seconds for the whole notebook; exclusive: one such job at a time."""

    name: str
    source: Path
    output: Path
    parameters: dict[str, Any]
    timeout: float
    exclusive: bool = False


@dataclass(frozen=True)
class Failure:
    """What stopped a notebook: `cell` counts its code cells from 1 and `line` is that cell's first line."""

    name: str
    error: str
    cell: int | None
    line: str
    kept: Path | None

    def __str__(self) -> str:
        where = f"cell {self.cell} ({self.line})" if self.cell else "before its first cell"
        return f"notebook {self.name}, {where}: {self.error}" + (f"\n  see {self.kept}" if self.kept else "")


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    folder: Path
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


def execute(jobs: Sequence[Job], workers: int, cores: int, say: Callable[[str], object] = print) -> list[Failure]:
    """Run `jobs`, `workers` at a time on `cores` cores; return the failures in the order they happened.

    A job's output appears only when it is whole; a failed one's is kept beside it as `<name>.failed.ipynb`. A job
    that runs alone passes what its cells write to stderr (progress bars) on to this process's. On Ctrl-C, SIGTERM and
    SIGHUP all workers and kernels are ended before the exception goes on. To be called from the main thread.
    """
    waiting, running, failures = list(jobs), list[_Running](), list[Failure]()
    environment = kernel_environment(max(1, cores // workers))
    with _ended_by_exception(), tempfile.TemporaryDirectory(prefix="cosnb-run-") as scratch:
        try:
            while waiting or running:
                while len(running) < workers and (job := _next(waiting, running)):
                    waiting.remove(job)
                    say(f"{job.name}: started")
                    running.append(_start(job, Path(scratch), environment, live=workers == 1))
                time.sleep(_POLL_SECONDS)
                for one in list(running):
                    if one.process.poll() is None and one.seconds < one.job.timeout:
                        continue
                    failure = _finish(one)
                    running.remove(one)
                    say(f"{one.job.name}: {'failed' if failure else 'done'} after {one.seconds:.0f} s")
                    if failure:
                        failures.append(failure)
        finally:
            for one in running:
                end_tree(one.process)
    return failures


def kernel_environment(threads: int) -> dict[str, str]:
    """Return the environment of workers and kernels, `threads` for each kernel's numerical libraries.

    A fixed hash seed keeps the order of sets, and so SymPy's printed terms, the same in every run.
    """
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    environment.setdefault("OMP_NUM_THREADS", str(threads))
    # tqdm's bars are text here; that widgets are missing would be said in each notebook.
    environment.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")
    # A backend set for scripts (Agg on a CI machine) would make figures vanish from notebooks without a word.
    environment.pop("MPLBACKEND", None)
    return environment


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process and all its descendants: asked first, killed after 3 s; returns when they are gone."""
    try:
        root = psutil.Process(process.pid)
        tree = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        tree = []
    for one in tree:
        try:
            one.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(tree, timeout=_GRACE_SECONDS)
    for one in alive:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=_GRACE_SECONDS)
    process.wait()


def _next(waiting: Sequence[Job], running: Sequence[_Running]) -> Job | None:
    busy = any(one.job.exclusive for one in running)
    return next((job for job in waiting if not (busy and job.exclusive)), None)


def _start(job: Job, scratch: Path, environment: dict[str, str], live: bool) -> _Running:
    folder = scratch / job.name
    folder.mkdir()
    job.output.parent.mkdir(parents=True, exist_ok=True)
    installed = Path(sys.prefix, "share", "jupyter", "kernels", KERNEL, "kernel.json").exists()
    # The cells' stderr goes to a copy of this process's; the worker's and the kernel's own goes to the log.
    console = os.dup(2) if live else None
    order = {
        "source": str(job.source),
        "output": str(folder / "notebook.ipynb"),
        "report": str(folder / "report.json"),
        "parameters": job.parameters,
        "kernel": KERNEL if installed else "python3",
        "live": console,
    }
    (folder / "job.json").write_text(json.dumps(order), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        # A session of its own: Ctrl-C in a terminal reaches this process only, which then ends the others in order.
        process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER), str(folder / "job.json")],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[] if console is None else [console],
            start_new_session=True,
        )
    if console is not None:
        os.close(console)
    return _Running(job, process, folder)


def _finish(one: _Running) -> Failure | None:
    job, written, report = one.job, one.folder / "notebook.ipynb", one.folder / "report.json"
    kept = job.output.with_suffix(".failed.ipynb")
    if one.process.poll() is None:
        end_tree(one.process)
        error: str | None = f"TimeoutError: not finished after {job.timeout:.0f} s, its limit in runs.toml"
    elif one.process.returncode == 0 and report.exists():
        error = json.loads(report.read_text(encoding="utf-8"))["error"]
    else:
        log = (one.folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        error = f"the worker ended with exit code {one.process.returncode}" + (f": {log[-1]}" if log else "")
    if error is None:
        _move(written, job.output)
        kept.unlink(missing_ok=True)
        return None
    if not written.exists():
        return Failure(job.name, error, None, "", None)
    cell, line = _last_started(written)
    _move(written, kept)
    return Failure(job.name, error, cell, line, kept)


def _move(source: Path, target: Path) -> None:
    # The scratch folder may be on another file system, where a rename is a copy: so copy beside, then rename.
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, partial)
    os.replace(partial, target)


def _last_started(notebook: Path) -> tuple[int | None, str]:
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except ValueError:  # ended while papermill was writing
        return None, ""
    found: tuple[int | None, str] = None, ""
    number = 0
    for cell in cells:
        if cell["cell_type"] == "code" and "injected-parameters" not in cell["metadata"].get("tags", []):
            number += 1
            if cell["metadata"].get("papermill", {}).get("start_time"):
                found = number, "".join(cell["source"]).strip().partition("\n")[0]
    return found


@contextmanager
def _ended_by_exception() -> Iterator[None]:
    def end(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
