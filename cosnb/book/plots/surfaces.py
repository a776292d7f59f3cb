"""Figures of computed curves in panels one above another, and of losses over two weights with a descent's path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cosnb.book.plots.style import SIZE, Picture, looks, style
from cosnb.errors import CosnbError
from cosnb.experiments.results.summary import title

Values = Sequence[float] | np.ndarray
_LEVELS = 14  # contour lines
_LABELLED = 4  # every so many of them have their height written on


@dataclass(frozen=True)
class Plane:
    """Heights over a grid of two weights (rows: the second one) and the values of either weight, `places`.

    `ways`: paths, each (steps, 2); `goal`: where they should lead.
    """

    heights: np.ndarray
    places: np.ndarray
    ways: Sequence[np.ndarray] = ()
    goal: tuple[float, float] | None = None


def stacked(
    x: Values,
    rows: Mapping[str, Mapping[str, Values]],
    xlabel: str,
    log: bool = False,
    breaks: Mapping[tuple[str, str], Sequence[float]] | None = None,
    whole: bool = False,
) -> Figure:
    """Return a panel for each {label of y: {activation: y}} over the same `x`, one above another.

    `log`: y is logarithmic, and values that are not above 0 are not drawn. `breaks` {(label of y, activation): places}:
    the jumps at which a line is interrupted; such a line is solid, since dots look like gaps. `whole`: x is a count,
    with ticks at whole numbers only. Raises CosnbError where lengths differ.
    """
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    jumps = breaks or {}
    through = {name for _, name in jumps}
    with style():
        figure = Picture(figsize=(SIZE[0], 0.5 + 1.75 * len(rows) if len(rows) > 1 else SIZE[1]))
        panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
        colors = looks(names)
        for axes, (label, row) in zip(panels, rows.items(), strict=True):
            for name, y in row.items():
                if len(y) != len(x):
                    raise CosnbError(f"{name} has {len(y)} values of {label!r} for {len(x)} places.")
                color, dashes = colors[name].color, "-" if name in through else colors[name].linestyle
                axes.plot(
                    *_interrupted(x, y, jumps.get((label, name), ())), color=color, linestyle=dashes, label=title(name)
                )
            axes.set_ylabel(label)
            if log:
                axes.set_yscale("log")
        panels[-1].set_xlabel(xlabel)
        if whole:
            panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.align_ylabels()
        handles = {line.get_label(): line for axes in panels for line in axes.get_lines()}
        figure.legend(handles=list(handles.values()), loc="outside upper center", ncols=min(4, len(handles)))
    return figure


def planes(panels: Mapping[str, Plane], xlabel: str, ylabel: str) -> Figure:
    """Return a panel of contour lines for each {name: Plane}, with the same levels and each path as dots from its ring.

    A cross marks the goal. Paths have the colours of activations by name. The levels are quantiles of all heights,
    since a loss has few low places and many high ones.
    """
    heights = np.concatenate([plane.heights.ravel() for plane in panels.values()])
    levels = np.unique(np.quantile(heights, np.linspace(0.01, 0.99, _LEVELS)))
    with style():
        figure = Picture(figsize=(3.1 * len(panels), 3.0))
        shown = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
        colors = looks(list(panels))
        for axes, (name, plane) in zip(shown, panels.items(), strict=True):
            axes.grid(False)
            lines = axes.contour(plane.places, plane.places, plane.heights, levels, colors="0.62", linewidths=0.7)
            axes.clabel(lines, lines.levels[1::_LABELLED], fmt="%.2g", fontsize=7, colors="0.35")
            for way in plane.ways:
                _walk(axes, way, colors[name].color)
            if plane.goal:
                axes.plot(*plane.goal, color="0.1", marker="x", markersize=7, markeredgewidth=1.8, linestyle="none")
            axes.set(xlabel=xlabel, xlim=plane.places[[0, -1]], ylim=plane.places[[0, -1]])
            axes.set_title(title(name), fontsize=11)
        shown[0].set_ylabel(ylabel)
    return figure


def caught(
    losses: Mapping[str, Values],
    name: str,
    curve: tuple[Values, Values],
    spans: Mapping[str, tuple[Values, Values]],
    places: Sequence[tuple[float, float, str]],
) -> Figure:
    """Return losses over the steps and, beside them, where the unit of one activation is caught on its curve.

    `losses`: {activation: loss after each step}. `name`: the activation whose curve (x, y) is drawn. `spans`: {label:
    the part (x, y) of the curve that the unit's inputs reach}, at the start and at the end. `places`: (x, y, word) of
    each zero of the slope.
    """
    with style():
        figure = Picture(figsize=(7.5, 3.5))
        left, right = figure.subplots(1, 2)
        for one, look in looks(list(losses)).items():
            left.plot(losses[one], color=look.color, linestyle=look.linestyle, label=title(one))
        left.set(xlabel="step", ylabel="loss")
        color = looks([name])[name].color
        right.plot(*curve, color=color)
        for (word, span), (shade, width) in zip(spans.items(), (("0.72", 7.0), ("0.1", 5.0)), strict=True):
            right.plot(*span, color=shade, linewidth=width, solid_capstyle="round", label=word, zorder=1 + (width < 6))
        for x, y, word in places:
            hollow = "white" if word != "attracts" else color
            right.plot(x, y, "o", color=color, markersize=6, markerfacecolor=hollow, zorder=4)
            right.annotate(word, (x, y), (0, -16), textcoords="offset points", ha="center", fontsize=9)
        right.set(xlabel="v", ylabel=f"{title(name)}(v)")
        right.margins(y=0.22)
        figure.legend(loc="outside upper center", ncols=6, columnspacing=1.2)
    return figure


def _interrupted(x: Values, y: Values, jumps: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the line with a NaN, which draws nothing, at each jump."""
    where = np.searchsorted(x, jumps)
    return np.insert(np.asarray(x, dtype=float), where, jumps), np.insert(np.asarray(y, dtype=float), where, np.nan)


def _walk(axes: Axes, way: np.ndarray, color: str) -> None:
    axes.plot(way[:, 0], way[:, 1], color=color, linewidth=1.0, marker="o", markersize=1.8)
    axes.plot(*way[0], color=color, marker="o", markersize=6, markerfacecolor="white")
