"""Campaigns: the recorded runs that are still wanted, in the order in which they are, in pieces that end on time.

A campaign is a list of stages; what has a record is not trained again, so the same command goes on where it stopped, on
this machine or another that has the records.
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosnb import data, results
from cosnb.data import ImageData
from cosnb.errors import CosnbError
from cosnb.results.record import Record
from cosnb.results.tables import EXPERIMENTS
from cosnb.training.config import TrainingConfig, parse_seeds
from cosnb.training.plan import plan
from cosnb.training.run import run_missing

_PAPER = "relu,swish,mish,cos"
_NETWORKS = ("squeezenet", "shufflenet_v2", "mobilenet_v2")  # by the time of a run, the shortest first
_RATES = (1e-3, 1e-4, 1e-2, 3e-4, 3e-3, 3e-2, 1e-1)
_GAINS = (0.25, 4.0, 0.5, 2.0)
_DEPTHS = (15, 17, 19, 21, 23, 25, 30, 35, 40)


class TimeIsUp(BaseException):
    """The piece of a campaign is over; no Exception, so that a run is not recorded as failed."""


@dataclass(frozen=True)
class Stage:
    """Runs that are wanted before those of the next stage: `points` are settings, with every activation and seed."""

    experiment: str
    dataset: str
    activations: str
    seeds: str
    points: tuple[Mapping[str, Any], ...]

    def configs(self, images: ImageData, device: str, precision: str) -> list[TrainingConfig]:
        """Return the configurations on `images`."""
        return [c for point in self.points for c in plan(self.activations, images, device, precision, **point)]


def _table(network: str, activations: str, seeds: str, **settings: Any) -> Stage:
    return Stage(EXPERIMENTS[network], "cifar10", activations, seeds, ({"network": network, **settings},))


def _depth(seeds: str) -> Stage:
    points = [
        {"protocol": "depth", "network": network, "depth": depth}
        for network in ("depth_mlp", "depth_conv")
        for depth in _DEPTHS
    ]
    return Stage("figure-15-depth", "mnist", _PAPER, seeds, tuple(points))


def _sensitivity(seeds: str) -> Stage:
    points = [{"lr": lr} for lr in _RATES] + [{"gain": gain} for gain in _GAINS]
    return Stage("sensitivity", "cifar10", _PAPER, seeds, tuple({"epochs": 50, **point} for point in points))


def _probes(seeds: str) -> list[Stage]:
    dead = tuple({"epochs": 50, "lr": lr, "probes": ("dead_units",)} for lr in (1e-3, 1e-2))
    flow = ({"protocol": "depth", "network": "depth_mlp", "depth": 20, "probes": ("gradient_norms",)},)
    return [
        Stage("dead-units", "cifar10", _PAPER, seeds, dead),
        Stage("gradient-flow", "mnist", f"{_PAPER},sigmoid", seeds, flow),
    ]


def _modern(seeds: str) -> list[Stage]:
    return [
        Stage("protocol-modern", "cifar10", _PAPER, seeds, ({"protocol": "modern", "network": network},))
        for network in _NETWORKS
    ]


CAMPAIGNS: dict[str, tuple[Stage, ...]] = {
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
}


@dataclass(frozen=True)
class Progress:
    """Where a stage stands: its runs, those that have a record, and the seconds that the rest takes, if known."""

    stage: Stage
    wanted: int
    recorded: int
    seconds: float | None


def get(name: str) -> tuple[Stage, ...]:
    """Return a campaign's stages; CosnbError for an unknown name."""
    if name not in CAMPAIGNS:
        raise CosnbError(f"unknown campaign {name!r}: choose one of {', '.join(CAMPAIGNS)}")
    return CAMPAIGNS[name]


def small(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages as a rehearsal: two seeds at most, one epoch of the digits, networks of 2 blocks at most."""
    return [
        dataclasses.replace(
            stage,
            dataset="digits",
            seeds=",".join(map(str, parse_seeds(stage.seeds)[:2])),
            points=tuple(
                {**point, "epochs": 1, "batch_size": 32, **({"depth": 2} if "depth" in point else {})}
                for point in stage.points[:2]
            ),
        )
        for stage in stages
    ]


def carry_out(
    stages: Sequence[Stage],
    minutes: float | None = None,
    device: str = "cpu",
    precision: str = "auto",
    together: int = 1,
    way: str = "auto",
    train_images: int | None = None,
    root: Path | None = None,
    say: Callable[[str], None] = print,
) -> bool:
    """Train what has no record, stage by stage, for so many minutes; return whether all of it is done.

    A run that the end of the time interrupts goes on from its checkpoint. `together` and `way` are those of
    `run_missing`. A line is printed for each record: its images a second, training alone. Raises CosnbError as
    `run_missing` does, and where `minutes` is not above 0.
    """
    if minutes is not None and not minutes > 0:
        raise CosnbError(f"minutes is {minutes}: give a number above 0")
    end = None if minutes is None else time.monotonic() + 60 * minutes

    def enough() -> None:
        if end is not None and time.monotonic() > end:
            raise TimeIsUp

    try:
        for stage in stages:
            images = data.load(stage.dataset, train_images)
            configs, seeds = stage.configs(images, device, precision), parse_seeds(stage.seeds)
            # Runs beside each other may be of any seed; else seed by seed, so that lines appear after each.
            for chosen in [seeds] if together > 1 else [[seed] for seed in seeds]:
                enough()
                before = {(r["config_digest"], r["seed"]) for r in results.read(stage.experiment, root)}
                try:
                    run_missing(
                        stage.experiment,
                        configs,
                        chosen,
                        images,
                        device,
                        root,
                        together=together,
                        way=way,
                        enough=enough,
                    )
                finally:
                    for record in results.read(stage.experiment, root):
                        if (record["config_digest"], record["seed"]) not in before:
                            say(describe(record))
    except TimeIsUp:
        return False
    return True


def describe(record: Record) -> str:
    """Return a line on a record: what was trained, how it ended, images a second."""
    config = record["config"]
    varied = "".join(f" {key} {config[key]:g}" for key in ("depth", "gain", "lr") if key in config)
    line = f"{record['experiment']}: {config['network']} {config['activation']}{varied} seed {record['seed']}: "
    line += record["status"] if record["error"] is None else f"{record['status']} ({record['error']})"
    if not record["epochs"]:
        return line
    seconds = statistics.median(epoch["train_seconds"] for epoch in record["epochs"])
    accuracy = record["epochs"][-1]["test_accuracy"]
    return f"{line}, {accuracy:.2%}, {config['train_images'] / seconds:,.0f} images/s"


def progress(
    stages: Sequence[Stage],
    device: str = "cpu",
    precision: str = "auto",
    train_images: int | None = None,
    root: Path | None = None,
) -> list[Progress]:
    """Return where each stage stands; a run counts in the first stage that wants it.

    The time is estimated from the records of the same network, epoch by epoch; None where there is none to go by.
    """
    found, seen = [], set()
    for stage in stages:
        images = data.load(stage.dataset, train_images)
        records = {(r["config_digest"], r["seed"]): r for r in results.read(stage.experiment, root)}
        configs = stage.configs(images, device, precision)
        wanted = {(config.digest(), seed): config for seed in parse_seeds(stage.seeds) for config in configs}
        wanted = {key: config for key, config in wanted.items() if (stage.experiment, *key) not in seen}
        seen |= {(stage.experiment, *key) for key in wanted}
        missing = [config for key, config in wanted.items() if key not in records]
        estimates = [_estimate(config, records.values()) for config in missing]
        known = [seconds for seconds in estimates if seconds is not None]
        total = None if len(known) < len(estimates) else sum(known)
        found.append(Progress(stage, len(wanted), len(wanted) - len(missing), total))
    return found


def _estimate(config: TrainingConfig, records: Any) -> float | None:
    """Return the seconds that a run takes by the records of its network and depth on as many images, or None."""
    alike = [
        statistics.median(epoch["train_seconds"] + epoch["test_seconds"] for epoch in record["epochs"])
        for record in records
        if record["epochs"]
        and all(
            record["config"].get(key, 0) == getattr(config, key)
            for key in ("network", "depth", "train_images", "batch_size", "precision")
        )
    ]
    return config.epochs * statistics.median(alike) if alike else None


def table(found: Sequence[Progress]) -> str:
    """Return where the stages stand as lines of text."""
    lines = []
    for number, step in enumerate(found, 1):
        left = "done" if step.recorded == step.wanted else "time unknown"
        if step.seconds:
            left = f"about {step.seconds / 60:,.0f} min left"
        networks = ", ".join(dict.fromkeys(str(point.get("network", "squeezenet")) for point in step.stage.points))
        what = f"{step.stage.experiment}, {networks}, {step.stage.activations}, seeds {step.stage.seeds}"
        lines.append(f"{number:2}. {step.recorded:4} of {step.wanted:4}  {left:20}  {what}")
    known = [step.seconds for step in found if step.seconds]
    total = f"{sum(known) / 60:,.0f} min by the stages whose time is known" if known else "no record to go by"
    return "\n".join([*lines, f"left: {sum(s.wanted - s.recorded for s in found)} runs; {total}"])


def rehearse(
    stages: Sequence[Stage],
    device: str = "cpu",
    together: int = 1,
    way: str = "auto",
    say: Callable[[str], None] = print,
) -> bool:
    """Carry out the stages as `small` makes them, on 64 images, into a folder that is thrown away.

    Returns whether no run failed.
    """
    with tempfile.TemporaryDirectory(prefix="cosnb-rehearsal-") as folder:
        root = Path(folder)
        carry_out(small(stages), None, device, "auto", together, way, train_images=64, root=root, say=say)
        records = [record for stage in stages for record in results.read(stage.experiment, root)]
    return bool(records) and all(record["status"] != "failed" for record in records)
