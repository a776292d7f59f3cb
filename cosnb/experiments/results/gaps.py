"""Generalisation gap: training loss minus test loss of each run."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import sympy

from cosnb.activations import activation
from cosnb.analysis.findings import show
from cosnb.display import Markdown, Table
from cosnb.experiments.results import paper
from cosnb.experiments.results.summary import Record, by_activation, final_window, format_mean, network_title, title
from cosnb.experiments.results.tables import ACTIVATIONS
from cosnb.experiments.statistics import Comparison, Direction, judge, t_interval


def gaps(records: Iterable[Record]) -> dict[str, dict[int, float]]:
    """Return {activation: {seed: training − test loss}}, mean of the last epochs of finished runs.

    Below 0 the network fits its training images better than others. The training loss is the mean over an epoch as
    the images were met, with augmentation and with weights that still changed, so it lies above that of its end.
    """
    found: dict[str, dict[int, float]] = {}
    for name, runs in by_activation(records).items():
        found[name] = {seed: _last_gap(record) for seed, record in runs.items() if record["status"] == "ok"}
    return found


def _last_gap(record: Record) -> float:
    epochs = record["epochs"][-final_window(record["config"]["epochs"]) :]
    return math.fsum(epoch["train_loss"] - epoch["test_loss"] for epoch in epochs) / len(epochs)


def by_epoch(records: Iterable[Record], activations: Sequence[str]) -> dict[str, dict[float, list[float]]]:
    """Return {activation: {epoch: training − test loss of each finished run}}, as `plots.against` takes it."""
    runs = by_activation(records)
    found: dict[str, dict[float, list[float]]] = {}
    for name in activations:
        points: dict[float, list[float]] = {}
        for record in runs.get(name, {}).values():
            for epoch in record["epochs"] if record["status"] == "ok" else ():
                points.setdefault(epoch["epoch"], []).append(epoch["train_loss"] - epoch["test_loss"])
        found[name] = points
    return found


def epoch_ticks(records: Sequence[Record]) -> dict[float, str]:
    """Return {epoch: label} of ten epochs at most, for `plots.against`."""
    last = records[0]["config"]["epochs"] if records else 0
    return {epoch: str(epoch) for epoch in range(0, last + 1, math.ceil(last / 10) or 1) if epoch}


def judge_gaps(records: Iterable[Record]) -> dict[str, Comparison]:
    """Judge P9, Swish regularises: its gap lies above ReLU's (nearer to 0, or beyond); a family of one."""
    found = gaps(records)
    a, b = found.get("swish", {}), found.get("relu", {})
    differences = [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]
    return judge({"Swish − ReLU": (differences, Direction.HIGHER)})


def premise_table() -> Table:
    """Return by activation whether it is bounded below, its minimum and where, and its value at −0.1."""
    rows = []
    for name in ACTIVATIONS:
        function = activation(name)
        found = function.properties()
        lowest, value = found["minimum"].value, float(function.expr.subs(function.x, -0.1))
        minimum = f"{show(lowest.value)}, at {_place(lowest.at)}"
        shown = f"{value:.4f}".replace("-", "−") if value else "0"
        rows.append([title(name), found["bounded_below"].value, minimum, shown])
    return Table(["", "bounded below", "minimum, at x", "f(−0.1)"], rows)


def _place(at: Any) -> str:
    whole = isinstance(at, sympy.Set) or sympy.sympify(at).is_Integer
    return show(at if whole else sympy.N(at, 6))


def judged_table(records: Iterable[Record]) -> Table:
    """Return the comparison of `judge_gaps`."""
    return paper.judged_table(judge_gaps(records), digits=4, unit="loss")


def conclusion(records: Sequence[Record]) -> Markdown:
    """Return the verdict on P9, where it holds, and whether a smaller gap may be under-fitting."""
    if not records:
        return Markdown("No run of this network is here.")
    config, verdict = records[0]["config"], judge_gaps(records)["Swish − ReLU"].verdict
    fit = {
        name: fmean(mean_of_last(run, "train_loss") for run in runs)
        for name, runs in finished(records, ("relu", "swish")).items()
        if runs
    }
    under = ""
    if len(fit) == 2 and fit["swish"] > fit["relu"]:
        under = f" Swish's training loss is the higher one, {fit['swish']:.3f} to {fit['relu']:.3f}: "
        under += "a smaller gap may then be under-fitting."
    where = f"{network_title(config['network'])} with {config['train_images']:,} images and {config['epochs']} epochs"
    return Markdown(
        f"**P9, less over-fitting: {verdict}** in {where}.{under} Over-fitting comes late in training: "
        "short runs say little about it."
    )


def gap_table(records: Iterable[Record]) -> Table:
    """Return training loss, test loss and gap by activation, means with their 95 % half widths."""
    rows = []
    for name, runs in finished(records, ACTIVATIONS).items():
        line: list[str | int] = [title(name), len(runs)]
        for key in ("train_loss", "test_loss"):
            line.append(format_mean(t_interval([mean_of_last(record, key) for record in runs]), 2))
        rows.append([*line, format_mean(t_interval([_last_gap(record) for record in runs]), 3)])
    return Table(["", "n", "training loss", "test loss", "training − test"], rows)


def finished(records: Iterable[Record], activations: Sequence[str]) -> dict[str, list[Record]]:
    """Return {activation: finished runs}."""
    runs = by_activation(records)
    return {name: [r for r in runs.get(name, {}).values() if r["status"] == "ok"] for name in activations}


def mean_of_last(record: Record, key: str) -> float:
    """Return the mean of an epoch's entry `key` over the last epochs."""
    epochs = record["epochs"][-final_window(record["config"]["epochs"]) :]
    return math.fsum(epoch[key] for epoch in epochs) / len(epochs)
