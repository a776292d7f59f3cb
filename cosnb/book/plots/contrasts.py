"""Figures of contrasts: a forest of intervals, a sequence of looks, and single runs by activation."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from cosnb.book.plots.style import Picture, looks, new_axes, style
from cosnb.errors import CosnbError
from cosnb.experiments.results.answer import Contrast
from cosnb.experiments.results.summary import title
from cosnb.experiments.statistics import LEAST_EFFECT, LOOKS, Comparison, Interval, t_interval

_COLOR, _CLAIM, _BAND = "#D55E00", "0.25", "0.90"


def forest(rows: Sequence[Contrast], xlabel: str = "difference in test accuracy (points)") -> Figure:
    """Return the forest plot of contrasts, the first on top: a tick for each pair of runs, mean and interval below.

    A contrast without an interval shows its pairs only. Primary contrasts have the colour of CoS, others are grey; open
    diamonds are the claimed differences, and a grey band marks ± 0.3 points, within which no lead is worth naming.
    Raises CosnbError without a row.
    """
    if not rows:
        raise CosnbError("There is no contrast to draw: run the experiment first.")
    with style():
        figure = Picture(figsize=(7.5, 1.3 + 0.52 * len(rows)))
        axes = figure.subplots()
        axes.set_xlabel(xlabel)
        axes.grid(False, axis="y")
        axes.axvspan(-LEAST_EFFECT, LEAST_EFFECT, color=_BAND, zorder=0)
        axes.axvline(0, color="0.5", linewidth=0.9, zorder=1)
        for place, row in enumerate(rows):
            color, width = (_COLOR, 2.4) if row.primary else ("0.35", 1.3)
            axes.plot(row.gaps, [place - 0.22] * len(row.gaps), "|", color=color, markersize=8, alpha=0.8)
            if row.interval:
                axes.plot([row.interval.low, row.interval.high], [place + 0.1] * 2, color=color, linewidth=width)
                axes.plot(row.interval.mean, place + 0.1, "o", color=color, markersize=7 if row.primary else 5)
            if row.claimed is not None:
                axes.plot(row.claimed, place + 0.1, "D", color=_CLAIM, markersize=6, markerfacecolor="white")
        axes.set_yticks(range(len(rows)), [_label(row.label, len(row.gaps)) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        keys = _keys("mean and interval", marker="o")[0 if any(row.interval for row in rows) else 1 :]
        pair = Line2D([], [], color=_COLOR, marker="|", markersize=8, linestyle="none", label="one pair of runs")
        keys.insert(0, pair)
        figure.legend(handles=keys, loc="outside upper center", ncols=len(keys), **_SPACING)
    return figure


def sequence(contrasts: Mapping[str, tuple[Sequence[float], Sequence[Comparison], float]]) -> Figure:
    """Return the figure of {name: (differences by seed, judgement at each look reached, claimed difference)}.

    In each panel small marks are pairs in the order of their seeds, a line their running mean, and vertical bars the
    intervals at the looks, at the looks' levels. The claimed lead and ± 0.3 points are marked as in `forest`.
    """
    if not any(len(gaps) for gaps, *_ in contrasts.values()):
        raise CosnbError("There is no pair of runs to draw: run the experiment first.")
    with style():
        figure = Picture(figsize=(5.0, 1.1 + 1.9 * len(contrasts)))
        panels = np.atleast_1d(figure.subplots(len(contrasts), 1, sharex=True, sharey=True))
        for axes, (name, (gaps, judged, claimed)) in zip(panels, contrasts.items(), strict=True):
            count = np.arange(1, len(gaps) + 1)
            axes.axhspan(-LEAST_EFFECT, LEAST_EFFECT, color=_BAND, zorder=0)
            axes.axhline(0, color="0.5", linewidth=0.9, zorder=1)
            axes.axhline(claimed, color=_CLAIM, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
            axes.plot(count, gaps, ".", color="0.55", markersize=5)
            axes.plot(count, np.cumsum(gaps) / count, color=_COLOR, linewidth=1.6)
            for look in judged:
                axes.plot([look.n] * 2, [look.decisive.low, look.decisive.high], color=_COLOR, linewidth=2.6)
                axes.plot(look.n, look.decisive.mean, "o", color=_COLOR, markersize=6)
            axes.set_ylabel(f"{name}\n(points)")
        panels[-1].set_xlabel("pairs of runs, in the order of their seeds")
        panels[-1].set_xlim(0, max([LOOKS[-1].n, *(len(gaps) for gaps, *_ in contrasts.values())]) + 0.5)
        panels[-1].set_xticks([look.n for look in LOOKS])
        handles = [
            *_keys("running mean, interval at a look", marker="o"),
            Line2D([], [], color="0.55", marker=".", linestyle="none", label="one pair"),
        ]
        handles[1] = Line2D([], [], color=_CLAIM, linestyle=(0, (4, 3)), linewidth=1.0, label="the paper's least lead")
        figure.legend(handles=handles, loc="outside upper center", ncols=2, **_SPACING)
    return figure


def ticks(values: Mapping[str, Sequence[float]], xlabel: str) -> Figure:
    """Return the figure of {activation: a number for each run}: runs as ticks, and a dot with a 95 % interval."""
    if not any(len(sample) for sample in values.values()):
        raise CosnbError("There is no run to draw: run the experiment first.")
    with style():
        figure, axes = new_axes(xlabel, "")
        axes.grid(False, axis="y")
        for place, (name, look) in enumerate(looks(list(values)).items()):
            interval = t_interval(values[name])
            axes.plot(values[name], [place + 0.24] * interval.n, "|", color=look.color, markersize=7, alpha=0.8)
            axes.plot(interval.mean, place, "o", color=look.color, markersize=6)
            if interval.n > 1:
                axes.plot([interval.low, interval.high], [place, place], color=look.color)
        names = [f"{title(name)}\nn = {len(sample)}" for name, sample in values.items()]
        axes.set_yticks(range(len(values)), names)
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.xaxis.set_major_locator(MaxNLocator(6))
    return figure


def shares(values: Mapping[str, Mapping[str, float]], xlabel: str) -> Figure:
    """Return the figure of {kind: {pair: share}}: a row for each kind, a named dot in percent for each pair."""
    if not any(values.values()):
        raise CosnbError("There is no pair of runs to draw: run the experiment first.")
    with style():
        figure, axes = new_axes(xlabel, "")
        axes.grid(False, axis="y")
        rows = [(kind, pair, 100 * share) for kind, by_pair in values.items() for pair, share in by_pair.items()]
        markers = dict(zip(values, "osD", strict=False))
        colors = dict(zip(values, ("#0072B2", "#D55E00", "0.4"), strict=False))
        for place, (kind, _, share) in enumerate(rows):
            axes.plot([0, share], [place, place], color=colors[kind], linewidth=1.0, alpha=0.5)
            axes.plot(share, place, markers[kind], color=colors[kind], markersize=6)
        axes.set_yticks(range(len(rows)), [pair for _, pair, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(left=0)
        figure.set_size_inches(5.0, 1.3 + 0.24 * len(rows))
        keys = [Line2D([], [], color=colors[k], marker=markers[k], linestyle="none", label=k) for k in values]
        figure.legend(handles=keys, loc="outside upper center", ncols=1)
    return figure


def worked(name: str, interval: Interval, claimed: float) -> Figure:
    """Return one contrast as a lesson: its interval, zero, the claimed lead, and the names of the regions.

    `interval` and `claimed` are in points.
    """
    with style():
        figure = Picture(figsize=(5.0, 2.0))
        axes = figure.subplots()
        reach = 1.25 * max(abs(interval.low), abs(interval.high), abs(claimed), LEAST_EFFECT)
        axes.axvspan(0, reach, color="#E6F2EC", zorder=0)
        axes.axvspan(-reach, 0, color="#FBE9E7", zorder=0)
        axes.axvline(0, color="0.3", linewidth=1.2, zorder=1)
        axes.plot([interval.low, interval.high], [0, 0], color=_COLOR, linewidth=2.6)
        axes.plot(interval.mean, 0, "o", color=_COLOR, markersize=7)
        axes.plot(claimed, 0, "D", color=_CLAIM, markersize=7, markerfacecolor="white")
        for place, words in (
            (-reach / 2, "refuted, if the whole\ninterval lies here"),
            (reach / 2, "confirmed, if the whole\ninterval lies here"),
        ):
            axes.text(place, 0.62, words, ha="center", va="center")
        axes.set(xlim=(-reach, reach), ylim=(-0.5, 1), xlabel=f"{name} (points of test accuracy)")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False)
        keys = _keys("mean and interval", marker="o")[:2]
        keys[1].set_label("the paper's lead")
        figure.legend(handles=keys, loc="outside upper center", ncols=2, **_SPACING)
    return figure


_SPACING = {"columnspacing": 1.2, "handlelength": 2}


def _keys(mean: str, marker: str) -> list[Line2D | Patch]:
    return [
        Line2D([], [], color=_COLOR, marker=marker, label=mean),
        Line2D(
            [], [], color=_CLAIM, marker="D", linestyle="none", markerfacecolor="white", label="the paper's least lead"
        ),
        Patch(color=_BAND, label=f"± {LEAST_EFFECT} points"),
    ]


def _label(label: str, n: int) -> str:
    """Return a row's label in two lines: what is compared, and where (if that is said) and how often."""
    first, comma, rest = label.partition(", ")
    return f"{first}\n{rest}{comma}n = {n}"
