"""Summaries of records: figures of one run, groups of runs, and rows of means with their intervals."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from cosnb.errors import CosnbError
from cosnb.experiments.statistics import Interval, t_interval
from cosnb.symbolic import catalogue

_DATA = {"cifar10": "CIFAR-10", "mnist": "MNIST", "digits": "the bundled digits"}
_NETWORKS = {
    "shufflenet_v2": "ShuffleNet v2",
    "mobilenet_v2": "MobileNet v2",
    "squeezenet": "SqueezeNet",
    "speedrun": "Speedrun",
    "speedrun_wide": "Speedrun, four times as wide",
    "squeezenet_half": "SqueezeNet at half width",
    "bare_mlp": "linear layers without normalisation",
    "depth_mlp": "the network of linear blocks",
    "depth_conv": "the network with two convolutions before linear blocks",
}
Record = Mapping[str, Any]
LEARNT = 20.0  # % on ten classes; a run below it judges nothing
METRICS = {"accuracy": "test accuracy (%)", "loss": "test loss"}
FIGURES = {"last": "mean of the last epochs", "final": "final epoch", "best": "best epoch"}


@dataclass(frozen=True)
class Row:
    """One activation of a table.

    `values[metric][seed]` and `intervals[metric]` hold finished runs only; `metric` is "accuracy", in percent, or
    "loss". `diverged`, `failed` and `missing` are the seeds of the other runs. `seconds_per_epoch` is the median
    training time over all epochs of the finished runs (NaN without one).
    """

    activation: str
    figure: str
    values: Mapping[str, Mapping[int, float]]
    intervals: Mapping[str, Interval]
    seeds: tuple[int, ...]
    diverged: tuple[int, ...]
    failed: tuple[int, ...]
    missing: tuple[int, ...]
    seconds_per_epoch: float

    @property
    def n(self) -> int:
        """Number of finished runs."""
        return len(self.seeds)


def final_window(epochs: int) -> int:
    """Return how many last epochs the primary figure averages: 5 % of them, at least 1 (10 of 200, 1 of 8)."""
    return max(1, round(0.05 * epochs))


def figures(record: Record) -> dict[str, dict[str, float]]:
    """Return {'last' | 'final' | 'best': {'accuracy': percent, 'loss': cross-entropy}} of one run on the test set.

    'last' is the mean over `final_window`, 'final' the last epoch, 'best' the best epoch of each metric by itself.
    Raises CosnbError where the run did not finish.
    """
    epochs, planned = record["epochs"], record["config"]["epochs"]
    if record["status"] != "ok" or len(epochs) != planned:
        raise CosnbError(
            f"The run {record['config']['activation']}, seed {record['seed']}, is {record['status']} after "
            f"{len(epochs)} of {planned} epochs, so it has no figures: leave it out, as summarize() does."
        )
    accuracy = [100 * epoch["test_accuracy"] for epoch in epochs]
    loss = [float(epoch["test_loss"]) for epoch in epochs]
    window = final_window(planned)
    return {
        "last": {"accuracy": math.fsum(accuracy[-window:]) / window, "loss": math.fsum(loss[-window:]) / window},
        "final": {"accuracy": accuracy[-1], "loss": loss[-1]},
        "best": {"accuracy": max(accuracy), "loss": min(loss)},
    }


def group(records: Iterable[Record]) -> list[tuple[dict[str, Any], list[Record]]]:
    """Return (configuration without its activation, its records) pairs, in the order of first appearance."""
    groups: dict[str, tuple[dict[str, Any], list[Record]]] = {}
    for record in records:
        settings = {key: value for key, value in record["config"].items() if key != "activation"}
        groups.setdefault(json.dumps(settings, sort_keys=True), (settings, []))[1].append(record)
    return list(groups.values())


def is_tested_on_all(settings: Mapping[str, Any]) -> bool:
    """Say whether runs of these settings are tested on the data set's own test images, and on all of them."""
    return not {"held_out", "test_images"} & settings.keys()


def extent(settings: Mapping[str, Any]) -> tuple[bool, int]:
    """Return what tells which runs are the nearest to a paper's: `is_tested_on_all`, training images × epochs."""
    return is_tested_on_all(settings), settings.get("train_images", 0) * settings.get("epochs", 0)


def by_activation(records: Iterable[Record]) -> dict[str, dict[int, Record]]:
    """Return {activation: {seed: record}} of one configuration, seeds ascending.

    Raises CosnbError where the records have several configurations or a (configuration, seed) stands twice.
    """
    groups = group(records)
    if len(groups) > 1:
        keys = {key for settings, _ in groups for key in settings}
        unequal = sorted(key for key in keys if len({repr(settings.get(key)) for settings, _ in groups}) > 1)
        raise CosnbError(
            f"The records differ in {', '.join(unequal)}, expected one configuration: choose one by group()."
        )
    runs: dict[str, dict[int, Record]] = {}
    for record in sorted(groups[0][1] if groups else [], key=lambda record: record["seed"]):
        seeds = runs.setdefault(record["config"]["activation"], {})
        if seeds.setdefault(record["seed"], record) is not record:
            raise CosnbError(
                f"There are two records of {record['config']['activation']}, seed {record['seed']}: give one of them."
            )
    return runs


def summarize(
    records: Iterable[Record],
    figure: str = "last",
    activations: Sequence[str] | None = None,
    seeds: Iterable[int] | None = None,
) -> list[Row]:
    """Return one Row an activation, from records of one configuration.

    `figure` is 'last', 'final' or 'best'. `activations` fixes the rows and their order, else those that have records;
    `seeds` are those planned, else every seed that some record has: where one is absent, the row says so.
    """
    if figure not in FIGURES:
        raise CosnbError(f"Unknown figure {figure!r}: choose one of {', '.join(FIGURES)}.")
    runs = by_activation(records)
    planned = sorted({seed for row in runs.values() for seed in row} if seeds is None else set(seeds))
    return [_row(name, runs.get(name, {}), figure, planned) for name in (runs if activations is None else activations)]


def _row(activation: str, runs: Mapping[int, Record], figure: str, planned: Sequence[int]) -> Row:
    seeds: dict[str, tuple[int, ...]] = dict.fromkeys(("ok", "diverged", "failed", "missing"), ())
    for seed in planned:
        seeds[runs[seed]["status"] if seed in runs else "missing"] += (seed,)
    finished = [runs[seed] for seed in seeds["ok"]]
    values = {metric: {run["seed"]: figures(run)[figure][metric] for run in finished} for metric in METRICS}
    times = [float(epoch["train_seconds"]) for run in finished for epoch in run["epochs"]]
    return Row(
        activation=activation,
        figure=figure,
        values=values,
        intervals={metric: t_interval(list(values[metric].values())) for metric in METRICS},
        seeds=seeds["ok"],
        diverged=seeds["diverged"],
        failed=seeds["failed"],
        missing=seeds["missing"],
        seconds_per_epoch=median(times) if times else math.nan,
    )


def differences(
    records: Iterable[Record], first: str, second: str, metric: str = "accuracy", figure: str = "last"
) -> dict[int, float]:
    """Return {seed: figure of `first` − figure of `second`} over the seeds that both have finished.

    Accuracy in points (percent − percent). What `statistics.judge` takes is `list(differences(...).values())`.
    """
    rows = summarize(records, figure, activations=(first, second))
    if metric not in METRICS:
        raise CosnbError(f"Unknown metric {metric!r}: choose one of {', '.join(METRICS)}.")
    a, b = (row.values[metric] for row in rows)
    return {seed: a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())}


def data_title(dataset: str) -> str:
    """Return a data set's name as the book writes it: "CIFAR-10" for "cifar10"."""
    return _DATA.get(dataset, dataset)


def network_title(network: str) -> str:
    """Return a network's name as its authors write it ('shufflenet_v2' → 'ShuffleNet v2'), else the name itself."""
    return _NETWORKS.get(network, network)


def title(activation: str) -> str:
    """Return the catalogue's title of an activation ('cos' → 'CoS'), or its name where the catalogue has no row."""
    try:
        return catalogue.get(activation).title
    except CosnbError:
        return activation


def format_mean(interval: Interval, digits: int) -> str:
    """Return "mean ± half width" to `digits` decimals; "?" for one run's unknown half width, "missing" without runs."""
    if not interval.n:
        return "missing"
    mean = f"{interval.mean:.{digits}f}".replace("-", "−")
    return f"{mean}\u00a0±\u00a0" + (f"{interval.half_width:.{digits}f}" if interval.n > 1 else "?")


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table: n, accuracy and loss (mean ± half width; sd), median seconds an epoch.

    Runs that diverged, failed or are missing get a last column, present where there are any; one run's unknown half
    width is written "?".
    """
    head = ["activation", "n", "test accuracy (%)", "sd", "test loss", "sd", "s / epoch"]
    lines, remarks = [], []
    for row in rows:
        accuracy, loss = row.intervals["accuracy"], row.intervals["loss"]
        lines.append(
            [
                re.sub(r"([*_|])", r"\\\1", title(row.activation)),  # a formula's stars are not emphasis
                str(row.n),
                format_mean(accuracy, 2),
                f"{accuracy.sd:.2f}" if row.n > 1 else "?",
                format_mean(loss, 4),
                f"{loss.sd:.4f}" if row.n > 1 else "?",
                f"{row.seconds_per_epoch:.3g}" if row.n else "missing",
            ]
        )
        others = {"diverged": row.diverged, "failed": row.failed, "missing": row.missing}
        remarks.append(
            "; ".join(f"{len(s)} {state} (seed {', '.join(map(str, s))})" for state, s in others.items() if s)
        )
    if any(remarks):
        head.append("other runs")
        lines = [[*line, remark] for line, remark in zip(lines, remarks, strict=True)]
    rule = ["---", *["---:"] * 6, "---"][: len(head)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])
