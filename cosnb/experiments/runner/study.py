"""Networks that are trained to be measured: one training gives the run's own record and what was measured of it."""

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cosnb.experiments import results
from cosnb.experiments.data import ImageData
from cosnb.experiments.diagnostics import trained
from cosnb.experiments.records import measurement
from cosnb.experiments.records.record import Record
from cosnb.experiments.results.tables import EXPERIMENTS
from cosnb.experiments.runner.bar import epochs_bar
from cosnb.experiments.runner.jobs import check, group_compatible
from cosnb.experiments.runner.remote import on_cluster
from cosnb.experiments.runner.runs import open_checkpoint, refuse_a_broken_device, run_streams
from cosnb.experiments.training.checkpoint import Checkpoint
from cosnb.experiments.training.config import TrainingConfig, distinct
from cosnb.experiments.training.state import Epoch
from cosnb.experiments.training.streams import Job


def settings(config: TrainingConfig, loss_slice: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a measurement's record has as its configuration: the training's, and how the lines are walked."""
    return config.as_dict() | dict(loss_slice)


def study_missing(
    experiment: str,
    configs: Iterable[TrainingConfig],
    seeds: Iterable[int],
    data: ImageData,
    device: str | torch.device,
    loss_slice: Mapping[str, Any] = trained.WALK,
    root: Path | None = None,
    max_parallel: int = 1,
    should_stop: Callable[[], None] = lambda: None,
    scheduler: str = "",
) -> int:
    """Train each (configuration, seed) that `experiment` has no measurement of, and measure; return their number.

    A run of the three tables' networks is recorded among its table's as well, where it has no record yet: it is the
    same training. `max_parallel` runs are trained beside each other (see `training.streams`), or, where `scheduler`
    names a Dask cluster, as `run_missing` does there. One that is killed, or that `should_stop` interrupts, goes on
    from its checkpoint. Raises CosnbError as `run_missing` does.

    should_stop: called after each epoch and before each measurement; a BaseException that it raises ends the call.
    """
    configs, seeds = list(configs), distinct(seeds)
    check(configs, data, device, "auto")
    for name in {experiment, *(table_of(config, experiment) for config in configs)}:
        results.require_writable(name, root)

    def is_missing(job: Job) -> bool:
        digest = measurement.config_digest(settings(job[0], loss_slice))
        return results.find(experiment, digest, job[1], root) is None

    jobs = [(config, seed) for seed in seeds for config in configs if is_missing((config, seed))]
    written = 0
    with epochs_bar(sum(config.epochs for config, _ in jobs), experiment) as bar:

        def show(job: Job, epoch: Epoch) -> None:
            bar.update()
            should_stop()

        def made() -> Generator[tuple[Job, Record], None, None]:
            if scheduler:
                walk = dict(loss_slice)
                tasks = on_cluster(scheduler, experiment, jobs, data, device, "auto", root is None, should_stop, walk)
                for job, found in tasks:
                    bar.update(job[0].epochs)
                    yield from ((job, record) for record in found)
                return
            for group in group_compatible(jobs, max_parallel):
                kept = {job: open_checkpoint(experiment, *job, data, root, len(group)) for job in group}
                group_records: list[Record] = []
                for job, record in studied(experiment, group, data, device, loss_slice, kept, show, should_stop):
                    group_records.append(record)
                    yield job, record
                refuse_a_broken_device(group_records, device)

        with closing(made()) as records:
            for job, record in records:
                is_new = results.find(record["experiment"], record["config_digest"], record["seed"], root) is None
                belongs = "measured" in record or record["experiment"] != experiment
                if record["status"] == "failed" or (is_new and belongs):
                    results.write(record, root)
                    written += "measured" in record
                if "measured" in record:  # a checkpoint stays until then
                    open_checkpoint(experiment, *job, data, root).delete()
    return written


def table_of(config: TrainingConfig, experiment: str) -> str:
    """Return the experiment that a run counts among: its network's table, else `experiment`."""
    return EXPERIMENTS.get(config.network, experiment)


def studied(
    experiment: str,
    group: list[Job],
    data: ImageData,
    device: str | torch.device,
    loss_slice: Mapping[str, Any],
    checkpoints: Mapping[Job, Checkpoint] | None = None,
    after_epoch: Callable[[Job, Epoch], None] = lambda job, epoch: None,
    should_stop: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Job, Record]]:
    """Train runs of one network side by side; yield the record of each, then that of each one's measurement."""
    nets: dict[Job, nn.Module] = {}
    of = table_of(group[0][0], experiment)
    yield from zip(group, run_streams(of, group, data, device, after_epoch, checkpoints, nets.__setitem__), strict=True)
    for job in group:
        if job in nets:
            should_stop()
            yield job, _measure(experiment, nets.pop(job), job, data, device, loss_slice)


def _measure(
    experiment: str,
    net: nn.Module,
    job: Job,
    data: ImageData,
    device: str | torch.device,
    loss_slice: Mapping[str, Any],
) -> Record:
    started = datetime.now(UTC)
    found = trained.measure(net, *job, data, loss_slice)
    status = "ok" if math.isfinite(found["train_loss"] + found["test_loss"]) else "diverged"
    chosen = settings(job[0], loss_slice)
    return measurement.make_record(experiment, chosen, job[1], found, trained.CODE, device, started, status)
