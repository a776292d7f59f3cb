"""What campaigns are made of: stages, which are runs, networks trained to be measured, or times; and the campaigns."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Self

import torch

from cosnb.experiments import data, results
from cosnb.experiments.data import ImageData
from cosnb.experiments.diagnostics import cost, trained
from cosnb.experiments.records import measurement
from cosnb.experiments.records.record import Record
from cosnb.experiments.results import answer
from cosnb.experiments.results.tables import EXPERIMENTS
from cosnb.experiments.runner import study
from cosnb.experiments.runner.runs import run_missing
from cosnb.experiments.training.config import TrainingConfig, parse_seeds
from cosnb.experiments.training.plan import configuration

_PAPER = "relu,swish,mish,cos"
_NETWORKS = ("squeezenet", "shufflenet_v2", "mobilenet_v2")  # by the time of a run, the shortest first
_RATES = (1e-3, 1e-4, 1e-2, 3e-4, 3e-3, 3e-2, 1e-1)
_GAINS = (0.25, 4.0, 0.5, 2.0)
_DEPTHS = (15, 17, 19, 21, 23, 25, 30, 35, 40)
_TIMED = {"batch": 128, "rounds": 20}  # as the notebook `cost` has them in its full run
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


@dataclass(frozen=True)
class Stage:
    """Runs that are wanted before those of the next stage: `points` are settings, with every activation and seed.

    A setting may be a mapping, a value for each activation. A point's own precision goes before the campaign's.
    held_out: of the data, see `cosnb.experiments.data.load`.
    """

    experiment: str
    dataset: str
    activations: str
    seeds: str
    points: tuple[Mapping[str, Any], ...]
    held_out: int = 0

    @property
    def experiments(self) -> tuple[str, ...]:
        """The experiments that get records."""
        return (self.experiment,)

    def images(self, count: int | None) -> ImageData:
        """Return the data, the first `count` training images or all."""
        return data.load(self.dataset, count, held_out=self.held_out)

    def configs(self, images: ImageData, options: RunOptions) -> list[TrainingConfig]:
        """Return the configurations on `images`."""
        return [
            configuration(name, images, options.device, **{"precision": options.precision, **_of(point, name)})
            for point in self.points
            for name in self.activations.split(",")
        ]

    def wanted(self, count: int | None, options: RunOptions) -> dict[Key, Mapping[str, Any]]:
        """Return the settings of each record that the stage wants, on `count` training images."""
        configs = self.configs(self.images(count), options)
        return {(config.digest(), seed): config.as_dict() for seed in parse_seeds(self.seeds) for config in configs}

    def parts(self, max_parallel: int) -> Iterator[list[int]]:
        """Yield the seeds of each call of `carry_out`: runs beside each other may be of any seed, else one by one."""
        seeds = parse_seeds(self.seeds)
        yield from [seeds] if max_parallel > 1 else ([seed] for seed in seeds)

    def carry_out(
        self, count: int | None, seeds: list[int], options: RunOptions, should_stop: Callable[[], None]
    ) -> None:
        """Do what has no record yet of these seeds; `should_stop` is called after each epoch."""
        images = self.images(count)
        run_missing(
            self.experiment,
            self.configs(images, options),
            seeds,
            images,
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
        """Return the stage as a rehearsal has it: two points, one a network, and seeds, an epoch of digits."""
        networks = {point.get("network"): point for point in reversed(self.points)}
        chosen = [*networks.values()][::-1] if len(networks) > 1 else self.points[:2]
        points = tuple(
            {**point, "epochs": 1, "batch_size": 32, **({"depth": blocks} if "depth" in point else {})}
            for blocks, point in enumerate(chosen[:2], 1)
        )
        seeds = ",".join(map(str, parse_seeds(self.seeds)[:2]))
        held_out = min(self.held_out, 64)
        return dataclasses.replace(self, dataset="digits", seeds=seeds, points=points, held_out=held_out)

    def __str__(self) -> str:
        networks = ", ".join(dict.fromkeys(str(point.get("network", "squeezenet")) for point in self.points))
        precisions = dict.fromkeys(str(point["precision"]) for point in self.points if "precision" in point)
        return ", ".join((self.experiment, networks, *precisions, self.activations, f"seeds {self.seeds}"))


@dataclass(frozen=True)
class Study(Stage):
    """Networks that are trained and then measured; their runs count among the tables' (see `study_missing`)."""

    loss_slice: Mapping[str, Any] = dataclasses.field(default_factory=lambda: dict(trained.WALK))

    @property
    def experiments(self) -> tuple[str, ...]:
        """The experiments that get records: the stage's own, and the tables."""
        return (self.experiment, *(EXPERIMENTS[str(point.get("network", "squeezenet"))] for point in self.points))

    def wanted(self, count: int | None, options: RunOptions) -> dict[Key, Mapping[str, Any]]:
        """Return the settings of each measurement that the stage wants."""
        chosen = [study.settings(config, self.loss_slice) for config in self.configs(self.images(count), options)]
        return {(measurement.config_digest(c), seed): c for seed in parse_seeds(self.seeds) for c in chosen}

    def carry_out(
        self, count: int | None, seeds: list[int], options: RunOptions, should_stop: Callable[[], None]
    ) -> None:
        """Train and measure what has no measurement yet."""
        images = self.images(count)
        study.study_missing(
            self.experiment,
            self.configs(images, options),
            seeds,
            images,
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
class Costs(Stage):
    """Times and memory of the networks of `points` with each activation, as the notebook `cost` takes them."""

    timed: Mapping[str, int] = dataclasses.field(default_factory=lambda: dict(_TIMED))

    def wanted(self, count: int | None, options: RunOptions) -> dict[Key, Mapping[str, Any]]:
        """Return the settings of each measurement that the stage wants; it needs no data."""
        chosen = self._settings(options)
        return {(measurement.config_digest(c), seed): c for seed in parse_seeds(self.seeds) for c in chosen}

    def _settings(self, options: RunOptions) -> list[dict[str, Any]]:
        where = {"device": options.device, "threads": torch.get_num_threads()}
        return [{"activation": self.activations, **point, **self.timed, **where} for point in self.points]

    def carry_out(
        self, count: int | None, seeds: list[int], options: RunOptions, should_stop: Callable[[], None]
    ) -> None:
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
        return dataclasses.replace(self, points=self.points[:1], timed={"batch": 2, "rounds": 1})


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


def _of(point: Mapping[str, Any], activation: str) -> dict[str, Any]:
    """Return the settings that `point` has for an activation."""
    return {key: value[activation] if isinstance(value, Mapping) else value for key, value in point.items()}


def _table(network: str, activations: str, seeds: str, **settings: Any) -> Stage:
    return Stage(EXPERIMENTS[network], "cifar10", activations, seeds, ({"network": network, **settings},))


def _trained(network: str, seeds: str) -> Study:
    return Study("loss-surface", "cifar10", _PAPER, seeds, ({"network": network},))


def _precision(seeds: str) -> list[Stage]:
    point = {"network": "squeezenet", "precision": "float32"}
    return [
        _table("squeezenet", "relu,cos", seeds, precision="bfloat16"),  # runs of Table 3, so that none is made twice
        Stage("precision", "cifar10", "relu,cos", seeds, (point,)),
    ]


def _depth(seeds: str) -> Stage:
    points = [
        {"protocol": "depth", "network": network, "depth": depth, "precision": "float32"}
        for network in ("depth_mlp", "depth_conv")
        for depth in _DEPTHS
    ]
    return Stage("figure-15-depth", "mnist", _PAPER, seeds, tuple(points))


def _sensitivity(seeds: str) -> Stage:
    points = [{"lr": lr} for lr in _RATES] + [{"gain": gain} for gain in _GAINS]
    return Stage("sensitivity", "cifar10", _PAPER, seeds, tuple({"epochs": 50, **point} for point in points))


def _probes(seeds: str) -> list[Stage]:
    flow = {"protocol": "depth", "network": "depth_mlp", "depth": 20, "probes": ("gradient_norms",)}
    dead = tuple({"epochs": 50, "lr": lr, "probes": ("dead_units",)} for lr in (1e-3, 1e-2))
    return [
        Stage("gradient-flow", "mnist", f"{_PAPER},sigmoid", seeds, ({**flow, "precision": "float32"},)),
        Stage("dead-units", "cifar10", _PAPER, seeds, dead),
    ]


def _modern(seeds: str) -> list[Stage]:
    return [
        Stage("protocol-modern", "cifar10", _PAPER, seeds, ({"protocol": "modern", "network": network},))
        for network in _NETWORKS
    ]


# Protocol `speedrun` in the format that the recorder's processors multiply fastest, the same for all runs.
_SPEEDRUN = {"protocol": "speedrun", "network": "speedrun", "precision": "bfloat16"}


def _answer(activations: str, seeds: str, *points: Mapping[str, Any], held_out: int = 0) -> Stage:
    settings = tuple({**_SPEEDRUN, **point} for point in points)
    return Stage(answer.EXPERIMENT, "cifar10", activations, seeds, settings, held_out)


def _short_sensitivity(activations: str, seeds: str) -> Stage:
    points = [{"lr": lr} for lr in (0.3, 0.03, 3.0, 0.1, 1.0)] + [{"gain": gain} for gain in _GAINS]
    settings = tuple({**_SPEEDRUN, "epochs": 5, **point} for point in points)
    return Stage("sensitivity", "cifar10", activations, seeds, settings)


def _full_depth(depths: tuple[int, ...]) -> Stage:
    settings = {"protocol": "depth", "network": "depth_mlp", "precision": "float32"}
    points = tuple({**settings, "depth": depth} for depth in depths)
    return Stage("figure-15-depth", "mnist", _PAPER, "0:5", points)


CAMPAIGNS: dict[str, tuple[Stage, ...]] = {
    # For two CPU cores: rates on held-out images; Experiment S; Figure 15 at full size; Experiment H; sensitivity; the
    # rival reading; one common rate.
    "answer": (
        _answer(_PAPER, "0:2", *({"epochs": 10, "lr": lr} for lr in answer.CHOICES), held_out=5000),
        _answer(_PAPER, "0:20", {"lr": answer.RATES}),
        _full_depth((15, 20, 25)),
        _answer("relu,swish,cos", "0:8", {"network": "squeezenet_half", "epochs": 24, "lr": answer.RATES}),
        _short_sensitivity("relu,swish,cos", "0:7"),
        _answer(answer.RIVAL, "0:8", {"lr": answer.RATES["cos"]}),
        _answer("relu,swish,cos", "0:8", {"lr": answer.COMMON_RATE}),
    ),
    # n = 1 everywhere, then the primary families to n = 20 network by network, then Mish; last the outside measurement
    # that the protocol's settings come from, 50 epochs and 23 seeds.
    "tables": (
        *(_table(network, _PAPER, "0") for network in _NETWORKS),
        *(_table(network, "relu,swish,cos", "0:20") for network in _NETWORKS),
        *(_table(network, "mish", "0:20") for network in _NETWORKS),
        _table("squeezenet", "relu,swish,mish,gelu,cos", "0:23", epochs=50),
    ),
    "depth": (_depth("0"), _depth("0:5"), _depth("0:10")),
    "sensitivity": (_sensitivity("0"), _sensitivity("0:3"), _sensitivity("0:8")),
    "probes": (*_probes("0:3"), *_probes("0:8")),
    "modern": (*_modern("0"), *_modern("0:3"), *_modern("0:8")),
    # Networks of protocol `paper` at full length, measured when they are trained; their runs count among the tables'.
    "trained": (
        _trained("squeezenet", "0:3"),
        _trained("squeezenet", "0:8"),
        *(_trained(network, "0:3") for network in _NETWORKS[1:]),
    ),
    "precision": (*_precision("0:3"), *_precision("0:8")),
    "cost": (Costs("cost", "", "all", "0", tuple({"network": network} for network in _NETWORKS)),),
}
