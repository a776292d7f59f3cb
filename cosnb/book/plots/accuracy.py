"""Figure of the errors of computed values along x, on logarithmic scales, from the record of `cosnb accuracy`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cosnb.book.plots.style import Picture, style
from cosnb.errors import CosnbError

_COLORS = {"float32": "#0072B2", "float64": "#000000", "bfloat16": "#D55E00", "float16": "#009E73"}
_DASHES: dict[str, Any] = {
    "c": "solid",
    "pytorch": (0, (4, 1.5)),
    "compiled": (0, (1.2, 1.2)),
    "numpy": (0, (6, 1.5, 1.2, 1.5)),
    "triton": (0, (2, 2, 6, 2)),
    "inductor": (0, (1.2, 1.2)),
    "own": (0, (3, 1)),
}
_LOWEST = 1e-2  # ulp: exact results are drawn here
_RANGE = (2.0**-20, 2.0**8)  # of |x|: beyond it the errors stay what they are at its ends, but for the tails
_TICKS = (2, -1, -4)  # powers of ten, none at the middle, where the two halves' numbers would meet


def errors_over_x(record: Mapping[str, Any]) -> Figure:
    """Return the figure of the largest error in each stretch of x: a row a derivative, negative x on the left.

    `record` is what `cosnb.accuracy.record` returns. The error is in the unit of its class, see
    `cosnb.accuracy.errors`; a colour a format, a line style a target. Raises CosnbError where nothing was measured.
    """
    orders = sorted({measured["order"] for measured in record["measurements"]})
    if not orders:
        raise CosnbError("the record holds no measurement: measure something before drawing it")
    edges = np.asarray(record["bin_edges"])
    centers = edges * 2 ** (0.5 * np.log2(edges[1] / edges[0]))
    shown = (edges >= _RANGE[0]) & (edges < _RANGE[1])
    with style():
        figure = Picture(figsize=(5.0, 0.9 + 1.7 * len(orders)))
        rows = figure.subplots(len(orders), 2, sharey=True, squeeze=False)
        for order, (left, right) in zip(orders, rows, strict=True):
            for measured in record["measurements"]:
                if measured["order"] != order:
                    continue
                bins = np.array([np.nan if error is None else max(error, _LOWEST) for error in measured["bins"]])
                look = {
                    "color": _COLORS[measured["format"]],
                    "linestyle": _DASHES[measured["target"]],
                    "linewidth": 1.1,
                }
                for axes, half in ((left, bins[: len(edges)]), (right, bins[len(edges) :])):
                    there = shown & ~np.isnan(half)
                    axes.plot(centers[there], half[there], **look)
            for axes in (left, right):
                axes.set(xscale="log", yscale="log", xlim=_RANGE)
                axes.axhline(0.5, color="0.6", linewidth=0.8, zorder=1)
            left.invert_xaxis()
            left.set_ylabel(f"error of $f{chr(39) * order}$ (ulp)")
            left.set_xticks([10.0**k for k in _TICKS], [f"$-10^{{{k}}}$" for k in _TICKS])
            right.set_xticks([10.0**k for k in _TICKS])
            for axes in (left, right):
                axes.minorticks_off()
        for axes in rows[-1]:
            axes.set_xlabel("x")
        figure.legend(handles=_handles(record), loc="outside upper center", ncols=4)
    return figure


def largest_errors(errors: Mapping[str, tuple[float, float]]) -> Figure:
    """Return the figure of {function: (our largest error, PyTorch's own)} in ulp, a row each, the first on top."""
    with style():
        figure = Picture(figsize=(5.0, 1.2 + 0.32 * len(errors)))
        axes = figure.subplots()
        for place, (ours, own) in enumerate(errors.values()):
            axes.plot([ours, own], [place, place], color="0.75", linewidth=1.0, zorder=1)
            axes.plot(own, place, "D", color=_COLORS["float32"], markersize=6)
            axes.plot(ours, place, "o", color=_COLORS["bfloat16"], markersize=6)
        axes.axvline(0.5, color="0.6", linewidth=0.8, zorder=0)
        axes.set(xscale="log", xlabel="largest error (ulp)")
        axes.set_yticks(range(len(errors)), list(errors))
        axes.set_ylim(len(errors) - 0.5, -0.5)
        looks = ((_COLORS["bfloat16"], "o", "ours"), (_COLORS["float32"], "D", "PyTorch's own"))
        keys = [
            Line2D([], [], color=color, marker=marker, linestyle="none", label=label) for color, marker, label in looks
        ]
        figure.legend(handles=keys, loc="outside upper center", ncols=2)
    return figure


def _handles(record: Mapping[str, Any]) -> list[Line2D]:
    formats = dict.fromkeys(measured["format"] for measured in record["measurements"])
    targets = dict.fromkeys(measured["target"] for measured in record["measurements"])
    colors = [Line2D([], [], color=_COLORS[name], label=name) for name in formats]
    names = {"c": "C", "pytorch": "PyTorch", "compiled": "compiled", "numpy": "NumPy", "triton": "Triton"}
    names["inductor"] = "Inductor"
    if "own" in targets:
        names = {name: f"ours ({label})" for name, label in names.items()} | {"own": "PyTorch's own"}
    dashes = [Line2D([], [], color="0.3", linestyle=_DASHES[name], label=names[name]) for name in targets]
    return colors + dashes
