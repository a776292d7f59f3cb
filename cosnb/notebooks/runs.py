"""`notebooks/runs.toml`: every notebook with its title, time limits and its quick and full parameters."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosnb.errors import CosnbError
from cosnb.notebooks.execution import Failure, Job, execute
from cosnb.notebooks.parameters import check_parameters, did_you_mean, read_defaults
from cosnb.paths import repository_root

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


def plan(
    names: Sequence[str], profile: str, overrides: Mapping[str, Any] | None = None, root: Path | None = None
) -> list[Job]:
    """Return the jobs for `names`, all parameters checked; `overrides` win over the profile's parameters.

    Raises CosnbError on an unknown name or profile and on an unknown or ill-typed parameter.
    """
    root = root or repository_root()
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
        jobs.append(
            Job(
                name=name,
                source=source,
                output=executed_path(name, profile, root),
                parameters=values,
                timeout=runs[name].timeout[profile],
                exclusive=profile == "full" and runs[name].gpu,
            )
        )
    return jobs


def run(
    names: Sequence[str],
    profile: str = "quick",
    overrides: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    root: Path | None = None,
) -> list[Failure]:
    """Run notebooks with papermill, `jobs` at a time (default: two, or one on a single core); return the failures.

    One notebook's failure does not stop the others. Raises CosnbError as `plan` does, before anything runs.
    """
    if jobs is not None and jobs < 1:
        raise CosnbError(f"jobs is {jobs}: give a number from 1 on.")
    planned = plan(names, profile, overrides, root)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return execute(planned, min(jobs or min(2, cores), max(len(planned), 1)), cores)
