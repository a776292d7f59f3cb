"""Execution of a notebook in a worker process with a time limit, leaving nothing half-written or running."""

import getpass
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from cosnb.book.notebooks import cache
from cosnb.experiments.records.record import READ_LOG
from cosnb.paths import write_atomically

_WORKER = Path(__file__).with_name("worker.py")
_POLL_SECONDS = 0.1
_GRACE_SECONDS = 3.0  # between asking a process to end and killing it
_running = set[subprocess.Popen[bytes]]()
_lock = threading.Lock()  # between looking at the order to stop with a start after it, and end_all()


@dataclass(frozen=True)
class Job:
    """One notebook to run: `timeout` in seconds for the whole notebook; `exclusive`: it takes a GPU.

    `shares`: its runs may be trained on the cluster at the address in its parameter `scheduler`. `environment`:
    variables set in addition to this process's. `fingerprint`, `records`: digests for the stamp (see
    `cosnb.book.notebooks.cache`).
    """

    name: str
    source: Path
    output: Path
    parameters: dict[str, Any]
    timeout: float
    exclusive: bool = False
    shares: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    records: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """The failure of a notebook: `cell` counts its code cells from 1, `line` is the first line of that cell."""

    name: str
    error: str
    cell: int | None
    line: str
    kept: Path | None

    def __str__(self) -> str:
        where = f"cell {self.cell} ({self.line})" if self.cell else "before its first cell"
        return f"notebook {self.name}, {where}: {self.error}" + (f"\n  see {self.kept}" if self.kept else "")


@dataclass(frozen=True)
class Outcome:
    """How a job ended: its failure, if any, and the seconds that it took."""

    failure: Failure | None = None
    seconds: float = 0.0


def perform(job: Job, stop: threading.Event, threads: int, live: bool = False) -> Outcome:
    """Run `job` in a worker process and return how it ended; once `stop` is set it is ended, or never begun.

    An output appears only when it is whole; a failed one's is kept beside it as `<name>.failed.ipynb`. `live` passes
    what the cells write to stderr (progress bars) on to this process's. Where this process is killed, the worker
    process ends itself and its kernel.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cosnb-run-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        with _lock:
            if stop.is_set():
                return Outcome()
            process = _start(job, folder, {**kernel_environment(threads), **job.environment}, live)
            _running.add(process)
        try:
            while process.poll() is None and time.monotonic() - start < job.timeout:
                if stop.wait(_POLL_SECONDS):
                    return Outcome()
            if stop.is_set():  # end_all() was quicker
                return Outcome()
            failure = _finish(job, process, folder)
            return Outcome(failure, time.monotonic() - start)
        finally:
            end_tree(process)
            _running.discard(process)


def end_all() -> None:
    """End the worker processes that this process has started, and their kernels."""
    with _lock:
        processes = list(_running)
    for process in processes:
        end_tree(process)


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
    tree: list[psutil.Process] = []
    if process.poll() is None:  # else the number may be another process's by now
        try:
            root = psutil.Process(process.pid)
            tree = [*root.children(recursive=True), root]
        except psutil.NoSuchProcess:
            pass
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
    if process.stdin:
        process.stdin.close()


def _start(job: Job, folder: Path, environment: dict[str, str], live: bool) -> subprocess.Popen[bytes]:
    job.output.parent.mkdir(parents=True, exist_ok=True)
    # The cells' stderr goes to a copy of this process's; the worker's and the kernel's own goes to the log.
    # Windows hands no such number on.
    console = os.dup(2) if live and sys.platform != "win32" else None
    order = {
        "source": str(job.source),
        "output": str(folder / "notebook.ipynb"),
        "report": str(folder / "report.json"),
        "parameters": job.parameters,
        "live": console,
    }
    (folder / "job.json").write_text(json.dumps(order), encoding="utf-8")
    environment = environment | {READ_LOG: str(folder / "read")} | _place_temporary_files(folder)
    with (folder / "log").open("wb") as log:
        # A session of its own: Ctrl-C in a terminal reaches this process only, which then ends the others in order.
        # Its stdin is a pipe that nothing is written to: it closes when this process is gone, however that ended.
        process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER), str(folder / "job.json")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[] if console is None else [console],
            start_new_session=True,
        )
    if console is not None:
        os.close(console)
    return process


def _place_temporary_files(folder: Path) -> dict[str, str]:
    """Return the environment in which temporary files go below `folder`, for kernels are ended without a farewell."""
    (folder / "tmp").mkdir()
    environment = {"TMPDIR": str(folder / "tmp")}
    if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
        # What torch.compile has built stays for the next run, where PyTorch would put it.
        try:
            user = re.sub(r'[\\/:*?"<>|]', "_", getpass.getuser())
        except (KeyError, OSError, ImportError):  # a user number without a name
            user = f"uid_{os.getuid() if hasattr(os, 'getuid') else ''}"
        environment["TORCHINDUCTOR_CACHE_DIR"] = str(Path(tempfile.gettempdir(), f"torchinductor_{user}"))
    return environment


def _finish(job: Job, process: subprocess.Popen[bytes], folder: Path) -> Failure | None:
    written, report = folder / "notebook.ipynb", folder / "report.json"
    kept = job.output.with_suffix(".failed.ipynb")
    if process.poll() is None:
        end_tree(process)
        error: str | None = f"TimeoutError: not finished after {job.timeout:.0f} s, its limit in runs.toml"
    elif process.returncode == 0 and report.exists():
        error = json.loads(report.read_text(encoding="utf-8"))["error"]
    else:
        log = (folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        error = f"the worker ended with exit code {process.returncode}" + (f": {log[-1]}" if log else "")
    if error is None:
        if job.fingerprint:
            cache.stamp(written, job, folder / "read")
        write_atomically(job.output, written.read_bytes())
        kept.unlink(missing_ok=True)
        return None
    if not written.exists():
        return Failure(job.name, error, None, "", None)
    cell, line = _stopped_at(written)
    write_atomically(kept, written.read_bytes())
    return Failure(job.name, error, cell, line, kept)


def _stopped_at(notebook: Path) -> tuple[int | None, str]:
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
            if any(output["output_type"] == "error" for output in cell["outputs"]):
                break  # cells after one tagged `raises-exception` were started too
    return found
