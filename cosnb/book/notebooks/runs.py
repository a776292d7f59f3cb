"""`notebooks/runs.toml`: every notebook with its title, time limits and its quick and full parameters."""

import os
import signal
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from cosnb.book.notebooks import cache
from cosnb.book.notebooks.execution import Failure, Job
from cosnb.book.notebooks.parameters import check_parameters, did_you_mean, read_defaults
from cosnb.errors import CosnbError
from cosnb.paths import repository_root, results_dir

PROFILES = ("quick", "full")
_KEYS = {"title": str, "gpu": bool, "timeout": dict, "quick": dict, "full": dict}


@dataclass(frozen=True)
class Run:
    """One notebook's entry: `timeout` in seconds and `parameters` by profile; gpu: whether a full run wants one."""

    name: str
    title: str
    gpu: bool
    timeout: dict[str, int]
    parameters: dict[str, dict[str, Any]]


def read_runs(root: Path | None = None) -> dict[str, Run]:
    """Return the entries of `notebooks/runs.toml` by notebook name, in the order written.

    Raises CosnbError where the file is missing, is no TOML, or has an unknown, missing or ill-typed key.
    """
    path = (root or repository_root()) / "notebooks" / "runs.toml"
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CosnbError(f"There is no {path}: run cosnb from a clone of its repository.") from None
    except tomllib.TOMLDecodeError as error:
        raise CosnbError(f"{path} is not valid TOML: {error}.") from None
    return {name: _read_entry(path, name, entry) for name, entry in entries.items()}


def _read_entry(path: Path, name: str, entry: Any) -> Run:
    where = f"[{name}] in {path}"
    if not isinstance(entry, dict):
        raise CosnbError(f"{name} in {path} must be a table [{name}].")
    for key, value in entry.items():
        if key not in _KEYS:
            raise CosnbError(
                f"{where} has an unknown key {key!r}{did_you_mean(key, _KEYS)}; known: {', '.join(_KEYS)}."
            )
        if not isinstance(value, _KEYS[key]):
            raise CosnbError(f"{where}: {key} must be of type {_KEYS[key].__name__}, not {value!r}.")
    missing = [key for key in _KEYS if key not in entry]
    if missing:
        raise CosnbError(f"{where} lacks {', '.join(missing)}.")
    timeout = entry["timeout"]
    if set(timeout) != set(PROFILES) or not all(type(value) is int and value > 0 for value in timeout.values()):
        raise CosnbError(f"{where}: timeout must be {{ quick = seconds, full = seconds }}, whole numbers above 0.")
    return Run(name, entry["title"], entry["gpu"], timeout, {profile: entry[profile] for profile in PROFILES})


def executed_path(name: str, profile: str, root: Path | None = None) -> Path:
    """Return where the executed notebook of a profile goes."""
    return (root or repository_root()) / "_build" / "notebooks" / profile / f"{name}.ipynb"


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plan(
    names: Sequence[str], profile: str, overrides: Mapping[str, Any] | None = None, root: Path | None = None
) -> list[Job]:
    """Return the jobs for `names`, all parameters checked; `overrides` win over the profile's parameters.

    Raises CosnbError on an unknown name or profile, on an unknown or ill-typed parameter, and on overrides of seeds and
    activations that name none.
    """
    root = root or repository_root()
    _check_lists(overrides or {})
    runs = read_runs(root)
    if profile not in PROFILES:
        raise CosnbError(f"There is no profile {profile!r}: choose one of {', '.join(PROFILES)}.")
    jobs = []
    for name in dict.fromkeys(names):
        if name not in runs:
            raise CosnbError(f"There is no notebook {name!r}{did_you_mean(name, runs)}; known: {', '.join(runs)}.")
        source = root / "notebooks" / f"{name}.ipynb"
        defaults = read_defaults(source)
        values = check_parameters(name, defaults, {**runs[name].parameters[profile], **(overrides or {})})
        keep = {**defaults, **values}.get("keep") is True
        jobs.append(
            Job(
                name=name,
                source=source,
                output=executed_path(name, profile, root),
                parameters=values,
                timeout=runs[name].timeout[profile],
                exclusive=profile == "full" and runs[name].gpu,
                keep=keep,
                environment={"COSNB_RESULTS": str(results_dir().absolute())} if keep else {},
            )
        )
    return jobs


@contextmanager
def interrupt_later() -> Iterator[None]:
    """Hold Ctrl-C back until the end: compiled modules that are being imported may take it and go on without a word."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    # A mask would not do: NumPy's threads do not have it, and one of them may be given the signal.
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if came:
        handler(*came[0])


def _check_lists(overrides: Mapping[str, Any]) -> None:
    if not {"seeds", "activations"} & overrides.keys():
        return
    from cosnb.experiments.training import parse_activations, parse_seeds  # with PyTorch, which takes seconds

    for name, parse in (("seeds", parse_seeds), ("activations", parse_activations)):
        if isinstance(overrides.get(name), str):
            parse(overrides[name])


def _together(job: Job, together: int | None) -> Job:
    values = {**read_defaults(job.source), **job.parameters}
    if "together" not in values:
        return replace(job, together=together or 1)
    together = together or values["together"]
    return replace(job, together=max(1, together), parameters=job.parameters | {"together": together})


def run(
    names: Sequence[str],
    profile: str = "quick",
    overrides: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    root: Path | None = None,
    scheduler: str | None = None,
    together: int | None = None,
    reuse: bool = False,
) -> list[Failure]:
    """Run notebooks with papermill and return the failures; one notebook's failure does not stop the others.

    They run on Dask: on the cluster of a scheduler's address, else on this machine, `jobs` at a time (default: two, or
    one on a single core, or as many as there are GPUs). Recorded runs are shared out where several may be trained at a
    time, `together` seeds of a configuration to a task (default: the notebook's parameter of that name, which is set to
    it, else 1). With `reuse`, executed notebooks that would come out of what they came out of before are kept. Raises
    CosnbError as `plan` and `sweep.execute` do.
    """
    if jobs is not None and jobs < 1:
        raise CosnbError(f"jobs is {jobs}: give a number from 1 on.")
    if jobs is not None and scheduler is not None:
        raise CosnbError("jobs is for this machine; how many notebooks run at a time is up to the scheduler's workers.")
    if together is not None and together < 1:
        raise CosnbError(f"together is {together}: give the number of seeds that a task trains, from 1 on.")
    planned = [_together(job, together) for job in plan(names, profile, overrides, root)]
    records = cache.record_digests()
    planned = [cache.mark(job, records) for job in planned]
    if reuse:
        kept = [job.name for job in planned if cache.is_current(job)]
        if kept:
            print(f"unchanged since they were executed: {len(kept)} of {len(planned)} notebooks")
        planned = [job for job in planned if job.name not in kept]
        if not planned:
            return []
    with interrupt_later():
        from cosnb.book.notebooks import cluster, sweep  # with Dask, which takes half a second

    cores = available_cores()
    workers = jobs or max(min(2, cores), len(cluster.visible_gpus()))
    return sweep.execute(planned, workers, cores, scheduler=scheduler)
