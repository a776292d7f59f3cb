"""Networks that are trained to be measured: one training gives the run's own record and what was measured of it."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from cosnb.experiments import results
from cosnb.experiments.data import ImageData
from cosnb.experiments.diagnostics import trained
from cosnb.experiments.records import measurement
from cosnb.experiments.records.record import Record
from cosnb.experiments.results.tables import EXPERIMENTS
from cosnb.experiments.runner.runs import check, group_compatible, open_checkpoint, run_streams
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
) -> int:
    """Train each (configuration, seed) that `experiment` has no measurement of, and measure; return their number.

    A run of the three tables' networks is recorded among its table's as well, where it has no record yet: it is the
    same training. `max_parallel` runs are trained beside each other (see `training.streams`). One that is killed, or
    that `should_stop` interrupts, goes on from its checkpoint. Raises CosnbError as `run_missing` does.

    should_stop: called after each epoch and before each measurement; a BaseException that it raises ends the call.
    """
    configs, seeds = list(configs), distinct(seeds)
    check(configs, data, device, "auto")
    for name in {experiment, *(EXPERIMENTS.get(config.network, experiment) for config in configs)}:
        results.require_writable(name, root)

    def is_missing(job: Job) -> bool:
        digest = measurement.config_digest(settings(job[0], loss_slice))
        return results.find(experiment, digest, job[1], root) is None

    jobs = [(config, seed) for seed in seeds for config in configs if is_missing((config, seed))]
    written = 0
    with tqdm(total=sum(config.epochs for config, _ in jobs), unit="epoch", desc=experiment, disable=not jobs) as bar:

        def show(job: Job, epoch: Epoch) -> None:
            bar.update()
            should_stop()

        for group in group_compatible(jobs, max_parallel):
            nets: dict[Job, nn.Module] = {}
            checkpoints = {job: open_checkpoint(experiment, *job, data, root) for job in group}
            of = EXPERIMENTS.get(group[0][0].network, experiment)
            for record in run_streams(of, group, data, device, show, checkpoints, nets.__setitem__):
                is_new = results.find(of, record["config_digest"], record["seed"], root) is None
                if record["status"] == "failed" or (of != experiment and is_new):
                    results.write(record, root)
            for job in group:  # a checkpoint stays until its network is measured
                if job in nets:
                    should_stop()
                    results.write(_measure(experiment, nets.pop(job), job, data, device, loss_slice), root)
                    written += 1
                checkpoints[job].delete()
    return written


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
