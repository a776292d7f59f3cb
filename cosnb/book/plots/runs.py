"""Figures of recorded runs: training curves, and a table's means beside the paper's numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cosnb.book.plots.style import Look, looks, new_axes, style
from cosnb.errors import CosnbError
from cosnb.experiments.results.summary import METRICS, Record, Row, by_activation, title
from cosnb.experiments.statistics import t_interval


def _check(metric: str) -> None:
    if metric not in METRICS:
        raise CosnbError(f"Unknown metric {metric!r}: choose one of {', '.join(METRICS)}.")


def training_curves(
    records: Sequence[Record],
    metric: str = "accuracy",
    activations: Sequence[str] | None = None,
    first_epoch: int = 1,
    level: float = 0.95,
) -> Figure:
    """Return the figure of a test metric over epochs: a line of means for each activation, its t interval as a band.

    `records` are of one configuration. Only finished runs are drawn; the legend has their number n. For n = 2, whose
    interval is 13 times as wide as the runs lie apart, the two runs are thin lines instead of a band. Epochs before
    `first_epoch` are left out. The y axis spans single runs after the first tenth of the epochs, so that the start does
    not flatten the rest. Raises CosnbError without a finished run.
    """
    _check(metric)
    if first_epoch < 1:
        raise CosnbError(f"Epochs count from 1, so the first one drawn cannot be {first_epoch}.")
    runs = by_activation(records)
    with style():
        figure, axes = new_axes("epoch", METRICS[metric])
        names = list(runs if activations is None else activations)
        heights: list[float] = []
        for name, look in looks(names).items():
            found = list(runs.get(name, {}).values())
            note = _note({state: sum(r["status"] == state for r in found) for state in ("diverged", "failed")})
            values = _heights(found, metric)[:, first_epoch - 1 :]
            if values.size:
                settled = values[:, values.shape[1] // 10 :]
                heights += [float(settled.min()), float(settled.max())]
                note = [f"n = {len(values)}", *note]
            _mean_curve(axes, values, first_epoch, f"{title(name)} ({'; '.join(note) or 'missing'})", look, level)
        if not heights:
            raise CosnbError(f"No finished run has an epoch {first_epoch} to draw: run the experiment first.")
        margin = 0.05 * (max(heights) - min(heights)) or 0.5
        axes.set_ylim(min(heights) - margin, max(heights) + margin)
        figure.legend(loc="outside upper center", ncols=3 if len(names) == 3 else 2)
    return figure


def _heights(records: Sequence[Record], metric: str) -> np.ndarray:
    """Return the metric of finished runs (run, epoch), accuracy in percent."""
    finished = [record["epochs"] for record in records if record["status"] == "ok"]
    values = np.array([[epoch[f"test_{metric}"] for epoch in epochs] for epochs in finished])
    return (100 if metric == "accuracy" else 1) * np.atleast_2d(values)


def _mean_curve(axes: Axes, values: np.ndarray, first_epoch: int, label: str, look: Look, level: float) -> None:
    """Draw the mean over runs with its interval; two runs thinly; without runs the label alone."""
    mark: dict[str, Any] = {"color": look.color, "linestyle": look.linestyle, "linewidth": 1.4, "label": label}
    if not values.size:
        axes.plot([], [], **mark)
        return
    epochs = np.arange(first_epoch, first_epoch + values.shape[1])
    axes.plot(epochs, values.mean(axis=0), **mark)
    if len(values) == 2:
        axes.plot(epochs, values.T, color=look.color, linewidth=0.6, alpha=0.6)
    if len(values) > 2:
        bands = [t_interval(column, level) for column in values.T]
        low, high = [band.low for band in bands], [band.high for band in bands]
        axes.fill_between(epochs, low, high, color=look.color, alpha=0.16, linewidth=0)


def comparison(
    rows: Sequence[Row], paper_values: Mapping[str, float] | None = None, metric: str = "accuracy", of: str = ""
) -> Figure:
    """Return the figure of a table: the runs of each activation, their mean with its interval, and the paper's number.

    `paper_values` {activation: number} are open diamonds. A row without runs says "missing"; diverged and failed runs
    are counted below the activation's name. `metric`: "accuracy" (%) or "loss". `of`: whose runs they are, for the x
    axis.
    """
    _check(metric)
    with style():
        figure, axes = new_axes(f"{of}: {METRICS[metric]}" if of else METRICS[metric], "")
        axes.grid(False, axis="y")
        for place, (row, look) in enumerate(zip(rows, looks([row.activation for row in rows]).values(), strict=True)):
            interval, color = row.intervals[metric], look.color
            runs = list(row.values[metric].values())
            axes.plot(runs, [place + 0.24] * len(runs), "|", color=color, markersize=6, alpha=0.7)
            if runs:
                axes.plot(interval.mean, place, "o", color=color, markersize=6)
            else:
                word = "no finished run" if row.diverged or row.failed else "missing"
                across = axes.get_yaxis_transform()  # x in shares of the width
                axes.text(0.5, place, word, transform=across, ha="center", va="center", color="0.4")
            if interval.n > 1:
                axes.plot([interval.low, interval.high], [place, place], "-", color=color)
            if row.activation in (paper := paper_values or {}):
                axes.plot(paper[row.activation], place, "D", color=color, markersize=6.5, markerfacecolor="white")
        axes.set_yticks(range(len(rows)), [_row_label(row) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        level = rows[0].intervals[metric].level if rows else 0.95
        keys = [_key(f"mean, {100 * level:g} % interval", "o", linestyle="-"), _key("one run", "|")]
        if paper_values:
            keys.append(_key("the paper's number", "D", markerfacecolor="white"))
        figure.legend(handles=keys, loc="outside upper center", ncols=3, columnspacing=1.2, handlelength=2)
    return figure


def _row_label(row: Row) -> str:
    others = _note({"diverged": len(row.diverged), "failed": len(row.failed)})
    return "\n".join([title(row.activation), f"n = {row.n}", *others])


def _note(counts: Mapping[str, int]) -> list[str]:
    return [f"{count} {state}" for state, count in counts.items() if count]


def _key(label: str, marker: str, **look: Any) -> Line2D:
    return Line2D([], [], **{"color": "0.3", "marker": marker, "linestyle": "none", "label": label} | look)
