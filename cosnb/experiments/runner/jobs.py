"""Jobs, pairs of a configuration and a seed: checks before the first of them, and groups that run side by side."""

from collections.abc import Iterable

import torch

from cosnb.errors import CosnbError
from cosnb.experiments.data import ImageData
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.execution import resolve_execution
from cosnb.experiments.training.loop import fitted
from cosnb.experiments.training.streams import Job


def group_compatible(jobs: list[Job], max_parallel: int) -> list[list[Job]]:
    """Return the jobs in groups of at most `max_parallel` that can run beside each other, in their order."""
    groups: list[list[Job]] = []
    for job in jobs:
        last = groups[-1] if groups else []
        alike = last and (last[0][0].network, last[0][0].batch_size) == (job[0].network, job[0].batch_size)
        if alike and len(last) < max_parallel:
            last.append(job)
        else:
            groups.append([job])
    return groups


def check(configs: Iterable[TrainingConfig], data: ImageData, device: str | torch.device, execution: str) -> None:
    """Raise CosnbError where a run of one of `configs` on `data` could not begin, or one is given twice."""
    resolve_execution(execution, device)
    seen = set()
    for config in configs:
        asked = (config.train_images, config.dataset, config.held_out, config.test_images)
        given = (len(data.train_images), data.name, data.held_out, data.tested)
        if asked != given:
            said = [
                f"{n} images of {name}"
                + (f" with {held} held out" if held else "")
                + (f", tested on the first {tested}" if tested else "")
                for n, name, held, tested in (asked, given)
            ]
            raise CosnbError(f"the configuration asks for {said[0]}, the data given are {said[1]}")
        fitted(data, config.network)
        if config in seen:
            raise CosnbError(f"a configuration of {config.network} with {config.activation} is given twice")
        seen.add(config)
