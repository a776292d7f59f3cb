"""Figures of a quantity against a setting, of pictures side by side, and of ratios with their spread."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from cosnb.book.plots.style import SIZE, Look, Picture, looks, new_axes, style
from cosnb.errors import CosnbError
from cosnb.experiments.results.summary import title
from cosnb.experiments.statistics import t_interval


def against(
    values: Mapping[str, Mapping[float, Sequence[float]]],
    xlabel: str,
    ylabel: str,
    log: str = "",
    level: float = 0.95,
    ticks: Mapping[float, str] | None = None,
    formula: Mapping[str, Mapping[float, float]] | None = None,
    size: tuple[float, float] = SIZE,
) -> Figure:
    """Return the figure of {activation: {x: values over seeds}}: a line of means each, with its t interval as a band.

    Fewer than 3 values at an x are drawn as small marks instead of a band. `log` names the logarithmic axes ("x", "y"
    or "xy"); on a logarithmic y, mean and band are those of the logarithms. `ticks` {x: label} sets the ticks of the x
    axis. `formula` {activation: {x: y}} is drawn as thin black lines. `size` is in inches. Raises CosnbError without a
    value.
    """
    with style():
        figure, axes = new_axes(xlabel, ylabel)
        figure.set_size_inches(size)
        if "x" in log:
            axes.set_xscale("log")
        if "y" in log:
            axes.set_yscale("log")
        for name, look in looks(list(values)).items():
            samples = {x: sample for x, sample in sorted(values[name].items()) if len(sample)}
            _mean_line(axes, title(name), samples, look, level, "y" in log)
        if not any(len(sample) for by_x in values.values() for sample in by_x.values()):
            raise CosnbError("There is no value to draw: run the experiment first.")
        for place, points in enumerate((formula or {}).values()):
            label = "" if place else "by the formula"
            axes.plot(list(points), list(points.values()), color="0.1", linewidth=0.8, zorder=3, label=label)
        if ticks:
            axes.set_xticks(list(ticks), list(ticks.values()))
            axes.xaxis.set_minor_locator(NullLocator())
        columns = 4 if size[0] > SIZE[0] else 3 if len(values) == 3 else 2
        figure.legend(loc="outside upper center", ncols=columns)
    return figure


def _mean_line(
    axes: Axes, label: str, samples: Mapping[float, Sequence[float]], look: Look, level: float, log: bool
) -> None:
    """Draw the means of {x: values} with their intervals, those of the logarithms where `log`."""
    forward, back = (np.log10, lambda y: 10.0**y) if log else (np.asarray, np.asarray)
    bands = {x: t_interval(forward(np.asarray(values, dtype=np.float64)), level) for x, values in samples.items()}
    count = max((band.n for band in bands.values()), default=0)
    mark: dict[str, Any] = {"color": look.color, "linestyle": look.linestyle, "linewidth": 1.4}
    mark["label"] = f"{label} (n = {count})" if count else f"{label} (missing)"
    places, means = list(bands), [back(band.mean) for band in bands.values()]
    axes.plot(places, means, marker="o", markersize=3.5, **mark)
    for x, band in bands.items():
        if band.n == 2:
            axes.plot([x] * band.n, samples[x], "_", color=look.color, markersize=7, alpha=0.7)
    if bands and all(band.n >= 3 for band in bands.values()):
        low, high = [back(band.low) for band in bands.values()], [back(band.high) for band in bands.values()]
        axes.fill_between(places, low, high, color=look.color, alpha=0.16, linewidth=0)


def profiles(values: Mapping[str, Sequence[float]], reach: float, xlabel: str, ylabel: str) -> Figure:
    """Return the figure of {activation: values at equally spaced x from −`reach` to `reach`}, a line each."""
    with style():
        figure, axes = new_axes(xlabel, ylabel)
        for name, look in looks(list(values)).items():
            x = np.linspace(-reach, reach, len(values[name]))
            axes.plot(x, values[name], color=look.color, linestyle=look.linestyle, label=title(name))
        figure.legend(loc="outside upper center", ncols=4)
    return figure


def pictures(images: Mapping[str, np.ndarray], extent: tuple[float, float], label: str, columns: int = 2) -> Figure:
    """Return a panel for each {name: heights (rows y, columns x)} over the square `extent`, (low, high).

    `label`: of the colour bar, which is the same for all. `columns`: how many panels are beside one another; more than
    two widen the figure.
    """
    low = min(float(image.min()) for image in images.values())
    high = max(float(image.max()) for image in images.values())
    with style():
        rows = math.ceil(len(images) / columns)
        figure = Picture(figsize=(2.5 * max(2, columns), 0.4 + 2.1 * rows))
        grid = figure.subplots(rows, min(columns, len(images)), sharex=True, sharey=True, squeeze=False)
        panels = list(grid.flat)
        shown: Any = None
        for axes in panels[len(images) :]:
            axes.set_visible(False)
        for axes, (name, image) in zip(panels, images.items(), strict=False):
            axes.grid(False)
            shown = axes.imshow(image, origin="lower", extent=(*extent, *extent), vmin=low, vmax=high, cmap="viridis")
            axes.set_title(title(name), fontsize=11)
        for axes in grid[-1]:
            axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))  # numbers of neighbours do not meet
            axes.set_xlabel("x")
        for axes in grid[:, 0]:
            axes.set_ylabel("y")
        figure.colorbar(shown, ax=panels, label=label, shrink=0.8)
    return figure


Quartiles = tuple[float, float, float]
_LABELS = 6  # ticks of a panel's x axis at most: more would meet their neighbours'


def ratios(
    panels: Mapping[tuple[str, str], Mapping[str, Mapping[str, Quartiles]]],
    xlabel: str,
    reported: Mapping[tuple[str, str], Mapping[str, float]] | None = None,
) -> Figure:
    """Return the figure of {(row, column): {kind: {activation: (low, middle, high)}}}: points with bars around 1.

    There is a panel for each (row, column) and a line for each activation; 1 is marked. There are at most two kinds,
    the first with open marks, the second with filled ones. `reported` {(row, column): {activation: ratio}} are the
    paper's numbers, as diamonds.
    """
    rows, columns = (list(dict.fromkeys(key[place] for key in panels)) for place in (0, 1))
    kinds = list(dict.fromkeys(kind for panel in panels.values() for kind in panel))
    names = list(dict.fromkeys(name for panel in panels.values() for by_name in panel.values() for name in by_name))
    with style():
        figure = Picture(figsize=(7.5, 1.1 + 0.45 * len(names) * len(rows)))
        grid = figure.subplots(len(rows), len(columns), sharex="row", sharey=True, squeeze=False)
        for (row, column), panel in panels.items():
            axes = grid[rows.index(row), columns.index(column)]
            axes.grid(False, axis="y")
            axes.axvline(1, color="0.35", linewidth=0.8, zorder=1)
            for number, kind in enumerate(kinds):
                _intervals(axes, names, panel.get(kind, {}), number, len(kinds))
            for name, ratio in (reported or {}).get((row, column), {}).items():
                axes.plot(ratio, names.index(name), "D", color="0.15", markersize=6, markerfacecolor="white", zorder=4)
            axes.xaxis.set_major_locator(MaxNLocator(_LABELS, steps=[1, 2, 5, 10]))
            axes.set_xlabel(row if len(rows) > 1 else xlabel if column == columns[len(columns) // 2] else "")
        for axes, column in zip(grid[0], columns, strict=True):
            axes.set_title(column, fontsize=11)
        grid[0, 0].set_yticks(range(len(names)), [_long_title(name) for name in names])
        grid[0, 0].set_ylim(len(names) - 0.5, -0.5)
        keys = [_mark(kind, "so"[number % 2], number == 0 < len(kinds) - 1) for number, kind in enumerate(kinds)]
        keys += [_mark("the paper's", "D", True)] if reported else []
        figure.legend(handles=keys, loc="outside upper center", ncols=len(keys))
    return figure


def _intervals(axes: Axes, names: Sequence[str], values: Mapping[str, Quartiles], number: int, kinds: int) -> None:
    """Draw the quartiles of a kind, a bit above or below the middle of each activation's line."""
    colors = looks([name.partition(" ")[0] for name in names])
    for name, (low, middle, high) in values.items():
        place = names.index(name) + (number - (kinds - 1) / 2) * 0.36
        color = colors[name.partition(" ")[0]].color
        axes.plot([low, high], [place, place], "-", color=color, linewidth=1.4)
        face = "white" if number == 0 and kinds > 1 else color
        axes.plot(middle, place, "so"[number % 2], color=color, markersize=6, markerfacecolor=face)


def _long_title(name: str) -> str:
    """Return an activation's title, and what follows the name on a line of its own."""
    first, _, more = name.partition(" ")
    return f"{title(first)}\n{more}" if more else title(first)


def _mark(label: str, marker: str, hollow: bool) -> Line2D:
    face = "white" if hollow else "0.3"
    return Line2D([], [], color="0.3", linestyle="none", marker=marker, markerfacecolor=face, label=label)
