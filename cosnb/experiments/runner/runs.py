"""Training of every (configuration, seed) that has no record, and the records themselves."""

import platform
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn

import cosnb
from cosnb.errors import CosnbError
from cosnb.experiments import results
from cosnb.experiments.data import ImageData
from cosnb.experiments.records.digest import code_digest
from cosnb.experiments.records.record import Record, file_stem
from cosnb.experiments.runner.ahead import compile_ahead
from cosnb.experiments.runner.bar import epochs_bar
from cosnb.experiments.runner.jobs import check, group_compatible
from cosnb.experiments.runner.remote import images_identity, on_cluster
from cosnb.experiments.training.checkpoint import Checkpoint
from cosnb.experiments.training.config import TrainingConfig, distinct
from cosnb.experiments.training.device import describe_device
from cosnb.experiments.training.execution import resolve_execution
from cosnb.experiments.training.loop import train
from cosnb.experiments.training.processes import in_processes
from cosnb.experiments.training.state import Epoch
from cosnb.experiments.training.streams import EXECUTION, Job, Outcome, execution_on, train_streams
from cosnb.paths import results_dir

EXECUTORS = ("auto", "processes", "streams")
_CHECKPOINTS = ".checkpoints"
_BESIDE = "other runs beside it"
TIMING = "wall time an epoch, device synchronised before and after; code is built before the first epoch"


def run_missing(
    experiment: str,
    configs: Iterable[TrainingConfig],
    seeds: Iterable[int],
    data: ImageData,
    device: str | torch.device,
    root: Path | None = None,
    execution: str = "auto",
    max_parallel: int = 1,
    executor: str = "auto",
    should_stop: Callable[[], None] = lambda: None,
    scheduler: str = "",
) -> int:
    """Train every (configuration, seed) that has no finished record, seed by seed; return how many were written.

    `data` must be what the configurations name. `max_parallel`: how many runs are trained at once; `executor`:
    "processes" (see `training.processes`), "streams" (see `training.streams`; one alone too), or "auto", streams on
    CUDA and processes elsewhere. `scheduler`: the address of a Dask cluster, tcp://host:8786, which trains them in
    place of this process, or "local:N", N processes here, each with a GPU of its own where there are several (see
    `runner.remote`); "" for none. A run that raises is recorded as failed and the others go on; one that was killed, or
    that `should_stop` interrupts, goes on from its checkpoint. Shows a bar with the time left. Raises CosnbError before
    the first run where a setting is wrong or the results folder cannot be written, and as `on_cluster` does.

    should_stop: called after each epoch, on a cluster every second; a BaseException that it raises ends the call.
    """
    configs, seeds = list(configs), distinct(seeds)
    check(configs, data, device, execution)
    if max_parallel < 1:
        raise CosnbError(f"max_parallel must be at least 1, got {max_parallel}")
    executor = resolve_executor(executor, device, max_parallel)
    if executor == "streams" and execution != "auto":
        raise CosnbError(
            f"executor 'streams' has an execution of its own, so execution {execution!r} needs executor 'processes', "
            "or 'auto' with max_parallel 1"
        )
    results.require_writable(experiment, root)

    def missing(jobs: Iterable[Job]) -> list[Job]:
        return [job for job in jobs if results.find(experiment, job[0].digest(), job[1], root) is None]

    wanted = [(config, seed) for seed in seeds for config in configs]
    jobs = missing(wanted)
    _forget(experiment, set(wanted) - set(jobs), data, root)
    written = 0
    with epochs_bar(sum(config.epochs for config, _ in jobs), experiment) as bar:

        def show(job: Job, epoch: Epoch) -> None:
            config, seed = job
            bar.set_postfix_str(f"{config.activation} seed {seed}: test accuracy {epoch['test_accuracy']:.2%}")
            bar.update()
            should_stop()

        def made() -> Generator[tuple[Job, Record], None, None]:
            if scheduler:
                tasks = on_cluster(scheduler, experiment, jobs, data, device, execution, root is None, should_stop)
                for job, (record,) in tasks:
                    bar.update(job[0].epochs)
                    yield job, record
                return
            if executor == "processes":
                work = partial(_run_job, experiment, device, root, execution, min(max_parallel, len(jobs)))
                yield from in_processes(work, jobs, data, max_parallel, show)
                return
            for group in group_compatible(jobs, max_parallel) if executor == "streams" else ([job] for job in jobs):
                still = missing(group)  # another process may have recorded some since
                bar.update(sum(config.epochs for config, _ in group) - sum(config.epochs for config, _ in still))
                kept = {job: open_checkpoint(experiment, *job, data, root, len(still)) for job in still}
                if executor == "streams":
                    records = run_streams(experiment, still, data, device, show, kept)
                    yield from zip(still, records, strict=True)
                    refuse_a_broken_device(records, device)
                else:
                    for job in still:
                        yield job, run(experiment, *job, data, device, partial(show, job), kept[job], execution)

        with closing(made()) as records:
            for job, record in records:
                if missing([job]):
                    results.write(record, root)
                    written += 1
                if record["status"] != "failed":  # else the next call goes on from there
                    open_checkpoint(experiment, *job, data, root).delete()
    return written


def refuse_a_broken_device(records: Iterable[Record], device: str | torch.device) -> None:
    """Raise CosnbError where all runs of a group failed on CUDA: its errors stay until the process ends."""
    errors = [record["error"] for record in records]
    if errors and all(errors) and torch.device(device).type == "cuda":
        raise CosnbError(f"every run on {device} failed ({errors[0]:.200}): mend what is wrong, then run again")


def resolve_executor(executor: str, device: str | torch.device, max_parallel: int) -> str:
    """Return how `max_parallel` runs are trained: "alone", "processes" or "streams"; CosnbError for an unknown one."""
    if executor not in EXECUTORS:
        raise CosnbError(f"unknown executor {executor!r} for several runs: choose one of {', '.join(EXECUTORS)}")
    if max_parallel == 1:
        return "streams" if executor == "streams" else "alone"
    return ("streams" if torch.device(device).type == "cuda" else "processes") if executor == "auto" else executor


def _run_job(
    experiment: str,
    device: str | torch.device,
    root: Path | None,
    execution: str,
    max_parallel: int,
    job: Job,
    data: ImageData,
    send: Callable[[Epoch], None],
) -> Record:
    """Return the record of a run in a process of its own."""
    checkpoint = open_checkpoint(experiment, *job, data, root)
    record = run(experiment, *job, data, device, send, checkpoint, execution)
    note_company(record, max_parallel)
    return record


def note_company(record: Record, count: int) -> None:
    """Say in a run's record that it was one of `count` at once."""
    record["timing"] |= {"method": f"{TIMING}; {_BESIDE}", "together": count}


def open_checkpoint(
    experiment: str, config: TrainingConfig, seed: int, data: ImageData, root: Path | None = None, beside: int = 1
) -> Checkpoint:
    """Return the checkpoint of a run, in a folder of their own beside its records; see `Checkpoint`."""
    name = f"{file_stem(config.activation)}-{config.digest()}-seed{seed}.checkpoint"
    identity = {"config": config.as_dict(), "seed": seed, "code": code_digest(config), "data": data.digest}
    return Checkpoint((root or results_dir()) / experiment / _CHECKPOINTS / name, identity, beside)


def _forget(experiment: str, recorded: Iterable[Job], data: ImageData, root: Path | None) -> None:
    """Remove checkpoints that a process killed between a record and this has left."""
    if ((root or results_dir()) / experiment / _CHECKPOINTS).is_dir():
        for job in recorded:
            open_checkpoint(experiment, *job, data, root).delete()


def run(
    experiment: str,
    config: TrainingConfig,
    seed: int,
    data: ImageData,
    device: str | torch.device,
    after_epoch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Checkpoint | None = None,
    execution: str = "auto",
) -> Record:
    """Train one (configuration, seed) and return its record, as JSON types.

    Keys: schema, experiment, config, config_digest, seed; status ("ok", "diverged", "failed") and error; epochs (see
    `training.loop.train`); timing (method, total_seconds, and whether the run was resumed, when total_seconds
    are those since); commit and whether the tree was dirty; code_digest of what decided the numbers; data (name,
    counts, digest); versions; device; started and finished (ISO 8601, UTC).
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    resumed = checkpoint is not None and checkpoint.path.exists()
    epochs: list[Epoch] = []
    error = None

    def keep(epoch: Epoch) -> None:
        epochs.append(epoch)
        after_epoch(epoch)

    try:
        status, _, _ = train(config, seed, data, device, keep, checkpoint, execution)
    except Exception as exception:  # kept in the record; Ctrl-C is no Exception and ends the program
        status, error = "failed", f"{type(exception).__name__}: {exception}"
    timing = {"method": TIMING, "total_seconds": time.perf_counter() - clock, "resumed": resumed}
    return make_record(experiment, config, seed, data, device, execution, status, error, epochs, timing, started)


def run_streams(
    experiment: str,
    jobs: list[Job],
    data: ImageData,
    device: str | torch.device,
    after_epoch: Callable[[Job, Epoch], None] = lambda job, epoch: None,
    checkpoints: Mapping[Job, Checkpoint] | None = None,
    after_run: Callable[[Job, nn.Module], None] = lambda job, net: None,
) -> list[Record]:
    """Train runs of one network beside each other and return their records; see `run`, and `train_streams`.

    after_run: called with each run's network.
    """
    with suppress(Exception):  # the runs say what is wrong with the device
        compile_ahead(jobs, data, device)
    started, clock = datetime.now(UTC), time.perf_counter()
    resumed = {job for job, checkpoint in (checkpoints or {}).items() if checkpoint.path.exists()}
    try:
        outcomes = train_streams(jobs, data, device, after_epoch, checkpoints)
        for job, outcome in outcomes.items():
            if outcome.net is not None:
                after_run(job, outcome.net)
    except Exception as exception:
        outcomes = dict.fromkeys(jobs, Outcome("failed", f"{type(exception).__name__}: {exception}", [], None))
    timing = {
        "method": f"{TIMING}; divided by the number of runs side by side",
        "total_seconds": time.perf_counter() - clock,
        "together": len(jobs),
    }
    return [
        make_record(
            experiment,
            *job,
            data,
            device,
            execution_on(device),
            outcome.status,
            outcome.error,
            outcome.epochs,
            timing | {"resumed": job in resumed},
            started,
        )
        for job, outcome in outcomes.items()
    ]


def make_record(
    experiment: str,
    config: TrainingConfig,
    seed: int,
    data: ImageData,
    device: str | torch.device,
    execution: str,
    status: str,
    error: str | None,
    epochs: list[Epoch],
    timing: dict[str, Any],
    started: datetime,
) -> Record:
    """Return the record of a run that ended now."""
    execution = execution if execution == EXECUTION else resolve_execution(execution, device)
    return {
        "schema": results.SCHEMA,
        "experiment": experiment,
        "config": config.as_dict(),
        "config_digest": config.digest(),
        "seed": seed,
        "status": status,
        "error": error,
        "epochs": epochs,
        "timing": timing,
        **results.checked_out(),
        "code_digest": code_digest(config, execution),
        "data": {"name": data.name, **images_identity(data)},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "cosnb": cosnb.__version__,
        },
        "device": {**describe_device(device), "execution": execution},
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
