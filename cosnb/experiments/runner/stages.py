"""Stages of a campaign: runs, networks that are trained to be measured, and times."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Protocol, Self

import torch

from cosnb.experiments import data, results
from cosnb.experiments.data import ImageData
from cosnb.experiments.diagnostics import cost, trained
from cosnb.experiments.records import measurement
from cosnb.experiments.records.record import Record
from cosnb.experiments.results.tables import EXPERIMENTS
from cosnb.experiments.runner import study
from cosnb.experiments.runner.runs import run_missing
from cosnb.experiments.training.config import TrainingConfig, parse_seeds
from cosnb.experiments.training.device import resolve_precision

Estimate = Callable[[Mapping[str, Any]], float | None]  # from a record's settings to seconds
Key = tuple[str, int]  # the digest of a record's configuration, and its seed


@dataclass(frozen=True)
class RunOptions:
    """Execution options of a stage; see `run_missing`."""

    device: str = "cpu"
    precision: str = "auto"
    max_parallel: int = 1
    executor: str = "auto"
    root: Path | None = None


class Stage(Protocol):
    """Work of higher priority than the next stage's: records of one or several experiments."""

    @property
    def experiment(self) -> str:
        """The experiment whose records say what is done."""

    @property
    def experiments(self) -> tuple[str, ...]:
        """The experiments that get records."""

    def wanted(self, options: RunOptions) -> dict[Key, Mapping[str, Any]]:
        """Return the settings of each record that the stage wants."""

    def parts(self, max_parallel: int) -> Iterator[list[int]]:
        """Yield the seeds of each call of `carry_out`."""

    def carry_out(self, seeds: list[int], options: RunOptions, should_stop: Callable[[], None]) -> None:
        """Do what has no record yet of these seeds; `should_stop` is called often."""

    def estimate(self, root: Path | None) -> Estimate:
        """Return what tells from the records how long the work for one of `wanted` takes, in seconds, or None."""

    def small(self) -> Self:
        """Return the stage as a rehearsal has it: seconds of work."""


@dataclass(frozen=True)
class Runs:
    """Runs of one experiment: `points` are settings, with every activation and seed.

    A setting may be a mapping, a value for each activation. A point's own precision goes before the campaign's.
    train_images (0: all) and held_out: see `cosnb.experiments.data.load`.
    """

    experiment: str
    dataset: str
    activations: str
    seeds: str
    points: tuple[Mapping[str, Any], ...]
    train_images: int = 0
    held_out: int = 0

    @property
    def experiments(self) -> tuple[str, ...]:
        """The experiments that get records."""
        return (self.experiment,)

    def images(self) -> ImageData:
        """Return the data."""
        return data.load(self.dataset, self.train_images or None, held_out=self.held_out)

    def configs(self, options: RunOptions) -> list[TrainingConfig]:
        """Return the configurations, for which no image is read."""
        size = self.train_images or data.TRAIN_IMAGES[self.dataset] - self.held_out
        return [
            TrainingConfig(name, self.dataset, size, held_out=self.held_out, **_settings(point, name, options))
            for point in self.points
            for name in self.activations.split(",")
        ]

    def wanted(self, options: RunOptions) -> dict[Key, Mapping[str, Any]]:
        """Return the settings of each record that the stage wants."""
        configs = self.configs(options)
        return {(config.digest(), seed): config.as_dict() for seed in parse_seeds(self.seeds) for config in configs}

    def parts(self, max_parallel: int) -> Iterator[list[int]]:
        """Yield the seeds of each call of `carry_out`: runs beside each other may be of any seed, else one by one."""
        seeds = parse_seeds(self.seeds)
        yield from [seeds] if max_parallel > 1 else ([seed] for seed in seeds)

    def carry_out(self, seeds: list[int], options: RunOptions, should_stop: Callable[[], None]) -> None:
        """Do what has no record yet of these seeds; `should_stop` is called after each epoch."""
        run_missing(
            self.experiment,
            self.configs(options),
            seeds,
            self.images(),
            options.device,
            options.root,
            max_parallel=options.max_parallel,
            executor=options.executor,
            should_stop=should_stop,
        )

    def estimate(self, root: Path | None) -> Estimate:
        """Return what tells how long a run takes by the records of its network and depth on as many images, or None."""
        return partial(_of_training, results.read(self.experiment, root))

    def small(self) -> Self:
        """Return the stage as a rehearsal has it: two points, one a network, and seeds, an epoch of 64 digits."""
        networks = {point.get("network"): point for point in reversed(self.points)}
        chosen = [*networks.values()][::-1] if len(networks) > 1 else self.points[:2]
        points = tuple(
            {**point, "epochs": 1, "batch_size": 32, **({"depth": blocks} if "depth" in point else {})}
            for blocks, point in enumerate(chosen[:2], 1)
        )
        seeds = ",".join(map(str, parse_seeds(self.seeds)[:2]))
        held_out = min(self.held_out, 64)
        return dataclasses.replace(
            self, dataset="digits", seeds=seeds, points=points, train_images=64, held_out=held_out
        )

    def __str__(self) -> str:
        networks = ", ".join(dict.fromkeys(str(point.get("network", "squeezenet")) for point in self.points))
        precisions = dict.fromkeys(str(point["precision"]) for point in self.points if "precision" in point)
        return ", ".join((self.experiment, networks, *precisions, self.activations, f"seeds {self.seeds}"))


@dataclass(frozen=True)
class Study(Runs):
    """Networks that are trained and then measured; their runs count among the tables' (see `study_missing`)."""

    loss_slice: Mapping[str, Any] = dataclasses.field(default_factory=lambda: dict(trained.WALK))

    @property
    def experiments(self) -> tuple[str, ...]:
        """The experiments that get records: the stage's own, and the tables."""
        return (self.experiment, *(EXPERIMENTS[str(point.get("network", "squeezenet"))] for point in self.points))

    def wanted(self, options: RunOptions) -> dict[Key, Mapping[str, Any]]:
        """Return the settings of each measurement that the stage wants."""
        chosen = [study.settings(config, self.loss_slice) for config in self.configs(options)]
        return {(measurement.config_digest(c), seed): c for seed in parse_seeds(self.seeds) for c in chosen}

    def carry_out(self, seeds: list[int], options: RunOptions, should_stop: Callable[[], None]) -> None:
        """Train and measure what has no measurement yet."""
        study.study_missing(
            self.experiment,
            self.configs(options),
            seeds,
            self.images(),
            options.device,
            self.loss_slice,
            options.root,
            options.max_parallel,
            should_stop,
        )

    def estimate(self, root: Path | None) -> Estimate:
        """Return what tells how long training and measuring take by the records of the tables and of the experiment."""
        measured, *runs = (results.read(name, root) for name in self.experiments)

        def seconds(settings: Mapping[str, Any]) -> float | None:
            training = _of_training([record for table in runs for record in table], settings)
            return None if training is None else training + (_of_measuring(measured, settings) or 0.0)

        return seconds

    def small(self) -> Self:
        """Return the stage as a rehearsal has it, with one short line."""
        return dataclasses.replace(super().small(), loss_slice={"points": 5, "reach": 0.5, "lines": 1, "on": 32})


@dataclass(frozen=True)
class Costs:
    """Times and memory of `networks` with each activation, as the notebook `cost` takes them, once.

    timed: `batch`, images, and `rounds` (see `diagnostics.cost.compare_all`).
    """

    experiment: str
    networks: tuple[str, ...]
    timed: Mapping[str, int]

    @property
    def experiments(self) -> tuple[str, ...]:
        """The experiments that get records."""
        return (self.experiment,)

    def wanted(self, options: RunOptions) -> dict[Key, Mapping[str, Any]]:
        """Return the settings of each measurement that the stage wants; it needs no data."""
        return {(measurement.config_digest(chosen), 0): chosen for chosen in self._settings(options)}

    def parts(self, max_parallel: int) -> Iterator[list[int]]:
        """Yield the seeds of each call of `carry_out`: the only one."""
        yield [0]

    def _settings(self, options: RunOptions) -> list[dict[str, Any]]:
        where = {"device": options.device, "threads": torch.get_num_threads()}
        return [{"activation": "all", "network": name, **self.timed, **where} for name in self.networks]

    def carry_out(self, seeds: list[int], options: RunOptions, should_stop: Callable[[], None]) -> None:
        """Measure what has no record yet, network by network."""

        def measure(settings: Mapping[str, Any], seed: int) -> dict[str, dict[str, Any]]:
            return cost.compare_all(settings["network"], settings["batch"], settings["rounds"], settings["device"])

        for settings in self._settings(options):
            should_stop()
            measurement.measure_missing(self.experiment, [settings], seeds, measure, cost, options.device, options.root)

    def estimate(self, root: Path | None) -> Estimate:
        """Return what tells how long the same measurement took before, or None."""
        return partial(_of_measuring, results.read(self.experiment, root))

    def small(self) -> Self:
        """Return the stage as a rehearsal has it: one network, 2 images, 1 round."""
        return dataclasses.replace(self, networks=self.networks[:1], timed={"batch": 2, "rounds": 1})

    def __str__(self) -> str:
        return ", ".join((self.experiment, *self.networks, "all", "seeds 0"))


def _settings(point: Mapping[str, Any], activation: str, options: RunOptions) -> dict[str, Any]:
    """Return the settings that `point` has for an activation, the precision resolved."""
    own = {key: value[activation] if isinstance(value, Mapping) else value for key, value in point.items()}
    return own | {"precision": resolve_precision(own.get("precision", options.precision), options.device)}


def _of_training(records: list[Record], settings: Mapping[str, Any]) -> float | None:
    keys = ("network", "depth", "train_images", "batch_size", "precision")
    alike = [
        median(epoch["train_seconds"] + epoch["test_seconds"] for epoch in record["epochs"])
        for record in records
        if record["epochs"] and all(record["config"].get(key, 0) == settings.get(key, 0) for key in keys)
    ]
    return float(settings["epochs"] * median(alike)) if alike else None


def _of_measuring(records: list[Record], settings: Mapping[str, Any]) -> float | None:
    keys = settings.keys() - {"activation"}
    alike = [
        (datetime.fromisoformat(record["finished"]) - datetime.fromisoformat(record["started"])).total_seconds()
        for record in records
        if all(record["config"].get(key) == settings[key] for key in keys)
    ]
    return median(alike) if alike else None
