"""From a configuration and a seed to a record: what has none yet is trained, what has one never again."""

import platform
import subprocess
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy
import torch
from tqdm import tqdm

import cosnb
from cosnb import results
from cosnb.data import ImageData
from cosnb.errors import CosnbError
from cosnb.paths import repository_root
from cosnb.results import assignment
from cosnb.training.config import TrainingConfig
from cosnb.training.device import describe_device
from cosnb.training.digest import code_digest
from cosnb.training.loop import Epoch, train

TIMING = "wall time an epoch, device synchronised before and after; compilation falls into the first epoch"


def run_missing(
    experiment: str,
    configs: Iterable[TrainingConfig],
    seeds: Iterable[int],
    data: ImageData,
    device: str | torch.device,
    root: Path | None = None,
) -> int:
    """Train every (configuration, seed) that has no finished record, seed by seed; return how many were written.

    `data` must be what the configurations name. A run that raises is recorded as failed and the others go on. Shows a
    bar with the time left. Raises CosnbError before the first run where the results folder cannot be written.
    """
    configs, seeds = list(configs), list(seeds)
    for config in configs:
        if (config.dataset, config.train_images) != (data.name, len(data.train_images)):
            raise CosnbError(
                f"the configuration asks for {config.train_images} images of {config.dataset}, the data given are "
                f"{len(data.train_images)} of {data.name}"
            )
    results.require_writable(experiment, root)
    missing = [(c, s) for s in seeds for c in configs if results.find(experiment, c.digest(), s, root) is None]
    missing = assignment.take(experiment, missing, root)
    written = 0
    with tqdm(total=sum(c.epochs for c, _ in missing), unit="epoch", desc=experiment, disable=not missing) as bar:
        for config, seed in missing:
            if results.find(experiment, config.digest(), seed, root) is not None:
                bar.update(config.epochs)  # another process has recorded it since
                continue

            def show(epoch: Epoch, name: str = f"{config.activation} seed {seed}") -> None:
                bar.set_postfix_str(f"{name}: test accuracy {epoch['test_accuracy']:.2%}")
                bar.update()

            record = run(experiment, config, seed, data, device, show)
            if results.find(experiment, config.digest(), seed, root) is None:  # another process may train the same seed
                results.write(record, root)
                written += 1
    assignment.leave(missing, root)
    return written


def run(
    experiment: str,
    config: TrainingConfig,
    seed: int,
    data: ImageData,
    device: str | torch.device,
    after_epoch: Any = lambda epoch: None,
) -> results.record.Record:
    """Train one (configuration, seed) and return its record, as JSON types.

    Keys: schema, experiment, config, config_digest, seed; status ("ok", "diverged", "failed") and error; epochs (see
    `cosnb.training.loop.train`); timing (method, total_seconds); commit and whether the tree was dirty; code_digest
    of what decided the numbers; data (name, counts, digest); versions; device; started and finished (ISO 8601, UTC).
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    epochs: list[Epoch] = []
    error = None

    def keep(epoch: Epoch) -> None:
        epochs.append(epoch)
        after_epoch(epoch)

    try:
        status, _, _ = train(config, seed, data, device, keep)
    except Exception as exception:  # kept in the record; Ctrl-C is no Exception and ends the program
        status, error = "failed", f"{type(exception).__name__}: {exception}"
    return {
        "schema": results.SCHEMA,
        "experiment": experiment,
        "config": config.as_dict(),
        "config_digest": config.digest(),
        "seed": seed,
        "status": status,
        "error": error,
        "epochs": epochs,
        "timing": {"method": TIMING, "total_seconds": time.perf_counter() - clock},
        **_commit(),
        "code_digest": code_digest(config),
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
        "device": describe_device(device),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _commit() -> dict[str, str | bool | None]:
    """Return the commit that is checked out and whether a tracked file differs from it; None where there is no git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(repository_root()), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
