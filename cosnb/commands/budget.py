"""Steps that share a fixed time: each is processes side by side, begun only where it may end."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosnb.paths import repository_root, write_atomically

PLACE = Path("_build/gpu")  # where the archive has all but the records
MINUTES = "{minutes}"  # stands in a command for the time that it has
UNFINISHED = 3  # exit code of a step that another call goes on with
_PACKING = 6.0  # seconds kept for the archive
_SHOWN = 12  # lines of each process's output


@dataclass(frozen=True)
class Step:
    """A part of the work: processes that run side by side, at most `limit` seconds long.

    least: seconds left, below which it is not begun. needs_data: whether it trains on CIFAR-10.
    """

    name: str
    title: str
    least: float
    limit: float
    commands: Sequence[Sequence[str]]
    needs_data: bool = False


class Work:
    """The steps, what came of each so far (`out`/state.json), and the records in `out`/results."""

    def __init__(self, steps: Sequence[Step], out: Path, recorded: Path) -> None:
        self.steps, self.out, self.recorded = steps, out, recorded
        self.results = out / "results"
        self.code = _code()
        self.state: dict[str, dict[str, Any]] = {}
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads((out / "state.json").read_text(encoding="utf-8"))
            self.state = kept["steps"] if kept["code"] == self.code else {}

    def run(self, seconds: float, has_data: Callable[[], bool] | None = None) -> int:
        """Run in so many seconds what is left; return 0, or 1 where a step has failed."""
        end = time.monotonic() + seconds - _PACKING
        self._copy_records()
        _tell_what_records_lack()
        previous = signal.signal(signal.SIGTERM, _interrupt)
        failed = False
        try:
            for step in self.steps:
                left = end - time.monotonic()
                reason = self._why_not(step, left, has_data or _has_data)
                if reason:
                    if not reason.endswith("before"):
                        self.state[step.name] = {"result": reason, "seconds": 0}
                    print(f"----- {step.name}: {reason}", flush=True)
                    continue
                result = self._carry_out(step, min(step.limit, left))
                failed = failed or result.startswith("failed")
                self._write()
        finally:
            signal.signal(signal.SIGTERM, previous)
            self._write()
        print(f"\n{self.table()}\n\n{self.out / 'records.tar.gz'}")
        return int(failed)

    def _why_not(self, step: Step, left: float, has_data: Callable[[], bool]) -> str:
        before = self.state.get(step.name, {}).get("result", "")
        if before.startswith(("done", "failed")):
            return f"{before} before"
        if left < step.least:
            return "no time"
        return "no data" if step.needs_data and not has_data() else ""

    def _carry_out(self, step: Step, seconds: float) -> str:
        """Run a step's processes, keep their output, and return what came of them."""
        begun, running = time.monotonic(), []
        environment = _environment() | {"COSNB_RESULTS": str(self.results)}
        print(f"===== {step.name}: {step.title}, at most {seconds:.0f} s", flush=True)
        try:
            for number, command in enumerate(step.commands):
                log = self.out / f"{step.name}-{number}.txt"
                with log.open("w", encoding="utf-8") as file:
                    process = subprocess.Popen(
                        [part.replace(MINUTES, f"{seconds / 60:.3f}") for part in command],
                        cwd=repository_root(),
                        env=environment,
                        stdout=file,
                        stderr=subprocess.STDOUT,
                        process_group=0,  # so that its own processes end with it
                    )
                running.append((process, log))
            codes = [_wait(process, begun + seconds) for process, _ in running]
        finally:
            for process, _ in running:
                _end(process)
        taken = time.monotonic() - begun
        with (self.out / "log.txt").open("a", encoding="utf-8") as whole:
            for (_, log), code in zip(running, codes, strict=True):
                text = log.read_text(encoding="utf-8", errors="replace")
                whole.write(f"\n===== {step.name}, exit code {code}\n{text}")
                print("\n".join(text.replace("\r", "\n").splitlines()[-_SHOWN:]), flush=True)
                log.unlink()
        result = _result(codes)
        self.state[step.name] = {"result": result, "seconds": round(taken)}
        print(f"----- {step.name}: {result}, {taken:.0f} s", flush=True)
        return result

    def table(self) -> str:
        """Return a line a step: its limits, and what came of it."""
        lines = [f"{'step':12} {'least':>5} {'limit':>6} {'took':>5}  result"]
        for step in self.steps:
            found = self.state.get(step.name, {"result": "not begun", "seconds": 0})
            limit = "rest" if step.limit > 1e6 else f"{step.limit:.0f}"
            lines.append(f"{step.name:12} {step.least:5.0f} {limit:>6} {found['seconds']:5}  {found['result']}")
        return "\n".join([*lines, "least, limit and took in seconds; below least a step is not begun"])

    def _copy_records(self) -> None:
        """Let the processes see what is recorded already, and write beside it."""
        self.results.mkdir(parents=True, exist_ok=True)
        for path in _records(self.recorded):
            target = self.results / path.relative_to(self.recorded)
            if not target.exists():
                target.parent.mkdir(exist_ok=True)
                shutil.copy2(path, target)

    def _write(self) -> None:
        """Write the state, and the archive of what is new."""
        text = json.dumps({"code": self.code, "steps": self.state}, indent=1) + "\n"
        write_atomically(self.out / "state.json", text)
        aside = self.out / "records.tmp"
        with tarfile.open(aside, "w:gz") as tar:
            for path in _records(self.results):
                relative = path.relative_to(self.results)
                if not (self.recorded / relative).exists():
                    tar.add(path, Path("results") / relative)
            for path in [self.out / "state.json", self.out / "log.txt", *sorted((self.out / "benchmarks").glob("*"))]:
                if path.is_file():
                    tar.add(path, PLACE / path.relative_to(self.out))
        os.replace(aside, self.out / "records.tar.gz")


def _records(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*/*.json") if not path.name.startswith("."))


def _code() -> str:
    """Return a digest of all that the steps run."""
    root, total = repository_root(), hashlib.sha256()
    for folder in ("cosnb", "benchmarks", "tests"):
        for path in sorted((root / folder).rglob("*.py")):
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


def _has_data() -> bool:
    from cosnb.experiments.data import cifar10
    from cosnb.paths import data_dir

    return cifar10.present(data_dir())


def _tell_what_records_lack() -> None:
    from cosnb.experiments.records import checked_out

    if checked_out()["commit"] is None:
        print("records will name no commit: there is no git here; COSNB_COMMIT names one")


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(repository_root()), os.environ.get("PYTHONPATH"))))
    settings = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "CUDA_DEVICE_MAX_CONNECTIONS": "32"}
    # Inductor's pool of processes gains nothing for graphs of one kernel, and was seen to hang for 300 s at the end.
    return {"TORCHINDUCTOR_COMPILE_THREADS": "1"} | os.environ | settings


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _wait(process: subprocess.Popen[bytes], end: float) -> int | None:
    """Return the exit code, None where the process had to be ended."""
    try:
        return process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        _end(process)
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and those that it has started, where it still runs."""
    for way, seconds in ((signal.SIGTERM, 3.0), (signal.SIGKILL, None)):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, way)
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)


def _result(codes: Sequence[int | None]) -> str:
    if any(code not in (0, None, UNFINISHED) for code in codes):
        return f"failed (exit codes {', '.join(map(str, codes))})"
    return "done" if not any(codes) and None not in codes else "out of time"
