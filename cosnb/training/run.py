"""From a configuration and a seed to a record: what has none yet is trained, what has one never again."""

import platform
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import torch
from tqdm import tqdm

import cosnb
from cosnb import results
from cosnb.data import ImageData
from cosnb.errors import CosnbError
from cosnb.paths import results_dir
from cosnb.results import assignment
from cosnb.training.checkpoint import Checkpoint
from cosnb.training.config import TrainingConfig, distinct
from cosnb.training.device import describe_device
from cosnb.training.digest import code_digest
from cosnb.training.execution import resolve_execution
from cosnb.training.loop import fitted, train
from cosnb.training.many import Outcome, resolve_way, train_many
from cosnb.training.state import Epoch
from cosnb.training.streams import EXECUTION, train_streams

_TOGETHER = {"fused": "fused", "streams": "side by side"}
TIMING = "wall time an epoch, device synchronised before and after; code is built before the first epoch"


def run_missing(
    experiment: str,
    configs: Iterable[TrainingConfig],
    seeds: Iterable[int],
    data: ImageData,
    device: str | torch.device,
    root: Path | None = None,
    execution: str = "auto",
    together: int = 1,
    way: str = "auto",
) -> int:
    """Train every (configuration, seed) that has no finished record, seed by seed; return how many were written.

    `data` must be what the configurations name. `together`: how many seeds of a configuration are trained at once;
    `way`: how (see `run_many`); a way that is named is taken for one seed alone too. A run that raises is recorded as
    failed and the others go on; one that was killed goes on from its checkpoint. Shows a bar with the time left. Raises
    CosnbError before the first run where a setting is wrong or the results folder cannot be written.
    """
    configs, seeds = list(configs), distinct(seeds)
    check(configs, data, device, execution)
    if together < 1:
        raise CosnbError(f"together must be at least 1, got {together}")
    results.require_writable(experiment, root)
    wanted = [(c, s) for s in seeds for c in configs if results.find(experiment, c.digest(), s, root) is None]
    mine = assignment.take(experiment, wanted, root)  # all, but for a sweep's processes

    def missing(config: TrainingConfig, seeds: list[int]) -> list[int]:
        own = [seed for seed in seeds if (config, seed) in mine]
        return [seed for seed in own if results.find(experiment, config.digest(), seed, root) is None]

    parts = [seeds[start : start + together] for start in range(0, len(seeds), together)]
    jobs = [(config, found) for part in parts for config in configs if (found := missing(config, part))]
    written = 0
    epochs = sum(config.epochs * len(part) for config, part in jobs)
    with tqdm(total=epochs, unit="epoch", desc=experiment, disable=not jobs) as bar:
        for config, part in jobs:
            still = missing(config, part)  # another process may have recorded some since
            bar.update(config.epochs * (len(part) - len(still)))

            def show(seed: int, epoch: Epoch, name: str = config.activation) -> None:
                bar.set_postfix_str(f"{name} seed {seed}: test accuracy {epoch['test_accuracy']:.2%}")
                bar.update()

            checkpoints = {seed: open_checkpoint(experiment, config, seed, data, root) for seed in still}
            made: Iterable[results.record.Record]
            if len(still) > 1 or way != "auto":
                made = run_many(experiment, config, still, data, device, show, checkpoints, way)
            else:
                made = (
                    run(experiment, config, seed, data, device, partial(show, seed), checkpoints[seed], execution)
                    for seed in still
                )
            for record in made:
                if missing(config, [record["seed"]]):
                    results.write(record, root)
                    written += 1
                checkpoints[record["seed"]].delete()
    assignment.leave(mine, root)
    return written


def check(configs: Iterable[TrainingConfig], data: ImageData, device: str | torch.device, execution: str) -> None:
    """Raise CosnbError where a run of one of `configs` on `data` could not begin, or one is given twice."""
    resolve_execution(execution, device)
    seen = set()
    for config in configs:
        if (config.dataset, config.train_images) != (data.name, len(data.train_images)):
            raise CosnbError(
                f"the configuration asks for {config.train_images} images of {config.dataset}, the data given are "
                f"{len(data.train_images)} of {data.name}"
            )
        fitted(data, config.network)
        if config in seen:
            raise CosnbError(f"a configuration of {config.network} with {config.activation} is given twice")
        seen.add(config)


def open_checkpoint(
    experiment: str, config: TrainingConfig, seed: int, data: ImageData, root: Path | None = None
) -> Checkpoint:
    """Return the checkpoint of a run, in the folder `.checkpoints` beside its records."""
    name = f"{results.record.file_stem(config.activation)}-{config.digest()}-seed{seed}.checkpoint"
    identity = {"config": config.as_dict(), "seed": seed, "code": code_digest(config), "data": data.digest}
    return Checkpoint((root or results_dir()) / experiment / ".checkpoints" / name, identity)


def run(
    experiment: str,
    config: TrainingConfig,
    seed: int,
    data: ImageData,
    device: str | torch.device,
    after_epoch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Checkpoint | None = None,
    execution: str = "auto",
) -> results.record.Record:
    """Train one (configuration, seed) and return its record, as JSON types.

    Keys: schema, experiment, config, config_digest, seed; status ("ok", "diverged", "failed") and error; epochs (see
    `cosnb.training.loop.train`); timing (method, total_seconds, and whether the run was resumed, when total_seconds
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


def run_many(
    experiment: str,
    config: TrainingConfig,
    seeds: list[int],
    data: ImageData,
    device: str | torch.device,
    after_epoch: Callable[[int, Epoch], None] = lambda seed, epoch: None,
    checkpoints: Mapping[int, Checkpoint] | None = None,
    way: str = "auto",
) -> list[results.record.Record]:
    """Train several seeds of one configuration together and return their records; see `run`.

    way: "streams" (`cosnb.training.streams`), else one of `cosnb.training.many`.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    way = way if way == "streams" else resolve_way(way, device)
    resumed = {seed for seed, checkpoint in (checkpoints or {}).items() if checkpoint.path.exists()}
    try:
        if way == "streams":
            outcomes = train_streams(config, seeds, data, device, after_epoch, checkpoints)
        else:
            outcomes = train_many(config, seeds, data, device, after_epoch, checkpoints, way)
    except Exception as exception:
        error = f"{type(exception).__name__}: {exception}"
        outcomes = {seed: Outcome("failed", error, [], None) for seed in seeds}
    how = "other runs beside it" if way == "processes" else f"divided by the number of runs {_TOGETHER[way]}"
    timing = {"method": f"{TIMING}; {how}", "total_seconds": time.perf_counter() - clock, "together": len(seeds)}
    return [
        make_record(
            experiment,
            config,
            seed,
            data,
            device,
            {"fused": "eager", "streams": EXECUTION}.get(way, "auto"),
            outcome.status,
            outcome.error,
            outcome.epochs,
            timing | {"resumed": seed in resumed},
            started,
        )
        for seed, outcome in outcomes.items()
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
) -> results.record.Record:
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
        "data": {
            "name": data.name,
            "train_images": len(data.train_images),
            "test_images": len(data.test_images),
            "digest": data.digest,
        },
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
