"""Runs of the registry's notebooks: parameters checked, executed here, their training given to a cluster."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cosnb.book.notebooks import cache, pool
from cosnb.book.notebooks.execution import Failure, Job
from cosnb.book.parameters import check_parameters, read_defaults
from cosnb.errors import CosnbError
from cosnb.experiments.gpus import visible_gpus
from cosnb.experiments.registry import PROFILES, did_you_mean, read_runs
from cosnb.paths import build_dir, notebooks_dir, repository_root, results_dir


def executed_path(name: str, profile: str, root: Path | None = None) -> Path:
    """Return the path of the executed notebook of a profile."""
    return build_dir(root or repository_root()) / "notebooks" / profile / f"{name}.ipynb"


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plan(
    names: Sequence[str], profile: str, overrides: Mapping[str, Any] | None = None, root: Path | None = None
) -> list[Job]:
    """Return the jobs for `names` with all parameters checked; `overrides` replace parameters of the profile.

    Raises CosnbError for an unknown name or profile, for an unknown or ill-typed parameter, and for overrides of
    `seeds` and `activations` that name none.
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
        source = notebooks_dir(root) / f"{runs[name].notebook}.ipynb"
        defaults = read_defaults(source)
        values = check_parameters(name, defaults, {**runs[name].parameters[profile], **(overrides or {})})
        shares = {**defaults, **values}.get("keep") is True and "scheduler" in defaults
        jobs.append(
            Job(
                name=name,
                source=source,
                output=executed_path(name, profile, root),
                parameters=values,
                timeout=runs[name].timeout[profile],
                exclusive=profile == "full" and runs[name].gpu,
                shares=shares,
                environment={"COSNB_RESULTS": str(results_dir().absolute())},
            )
        )
    return jobs


def _check_lists(overrides: Mapping[str, Any]) -> None:
    if not {"seeds", "activations"} & overrides.keys():
        return
    from cosnb.experiments.training import parse_activations, parse_seeds  # with PyTorch, which takes seconds

    for name, parse in (("seeds", parse_seeds), ("activations", parse_activations)):
        if isinstance(overrides.get(name), str):
            parse(overrides[name])


def run(
    names: Sequence[str],
    profile: str = "quick",
    overrides: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    root: Path | None = None,
    scheduler: str | None = None,
    reuse: bool = False,
) -> list[Failure]:
    """Run notebooks with papermill and return the failures; one notebook's failure does not stop the others.

    They run on this machine, `jobs` at a time (default: two; one on a single core; as many as there are GPUs).
    Notebooks that record runs train them on the Dask cluster that `scheduler` names, an address or "local:N" (see
    `runner.run_missing`). Without one, where several runs can be trained at a time, that many are trained side by side,
    one notebook at a time. `reuse`: keep executed notebooks whose sources, parameters, code and records are unchanged.
    Raises CosnbError as `plan` does.
    """
    if jobs is not None and jobs < 1:
        raise CosnbError(f"jobs is {jobs}: give a number from 1 on.")
    planned = plan(names, profile, overrides, root)
    cores, gpus = available_cores(), visible_gpus()
    workers = jobs or max(min(2, cores), len(gpus))
    given = [_share(job, scheduler, workers, gpus) for job in planned]
    if given != planned and not scheduler:
        gpus = gpus[:1]  # one notebook at a time, whose runs have a GPU each
    records = cache.record_digests()
    given = [cache.mark(job, records) for job in given]
    if reuse:
        given = _changed(given)
    return pool.execute(given, workers, cores, gpus) if given else []


def _changed(jobs: list[Job]) -> list[Job]:
    """Return the jobs whose executed notebook would come out otherwise than it did, and say how many would not."""
    left = [job for job in jobs if not cache.is_current(job)]
    if len(left) < len(jobs):
        print(f"unchanged since they were executed: {len(jobs) - len(left)} of {len(jobs)} notebooks")
    return left


def _share(job: Job, scheduler: str | None, workers: int, gpus: Sequence[str]) -> Job:
    """Return the job with the cluster that trains its runs: the one given, or several processes here."""
    if not job.shares or job.parameters.get("scheduler"):
        if scheduler and not job.shares:
            print(f"{job.name}: trains no runs that are recorded, so it does without the cluster")
        return job
    if scheduler:
        return replace(job, parameters=job.parameters | {"scheduler": scheduler}, exclusive=False)
    several = min(workers, max(1, len(gpus)) if job.exclusive else workers)
    if several == 1:
        return job
    return replace(job, parameters=job.parameters | {"scheduler": f"local:{several}"}, exclusive=True)
