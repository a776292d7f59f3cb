"""Figure of a speed record (`benchmarks/activations.py`): time over that of a copy, by size."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from cosnb.book.plots.style import Picture, looks, style
from cosnb.errors import CosnbError
from cosnb.symbolic import catalogue

_OTHERS: dict[str, dict[str, Any]] = {
    "torch": {"label": "PyTorch's own", "color": "0.25", "linestyle": (0, (5, 1.8)), "marker": "s"},
    "compiled": {"label": "plain, compiled", "color": "0.45", "linestyle": (0, (5, 1.5, 1.2, 1.5)), "marker": "^"},
    "plain": {"label": "plain, eager", "color": "0.6", "linestyle": (0, (1.2, 1.6)), "marker": "v"},
}


def speed(record: Mapping[str, Any], dtype: str = "float32") -> Figure:
    """Return the figure of a record's medians in number format `dtype`: a row of panels an activation, a column a pass.

    Each line is an implementation, its height the time divided by that of copying the bytes that must move. Where
    PyTorch lacks the function, the line of `record["yardsticks"]` is drawn. CosnbError where nothing fits.
    """
    rows = [row for row in record["rows"] if row["dtype"] == dtype]
    medians = {(row["activation"], row["kind"], row["pass"], row["size"]): row["median"] for row in rows}
    names = list(dict.fromkeys(row["activation"] for row in rows if row["kind"] == "cosnb"))
    if not names:
        raise CosnbError(f"The record has no {dtype} times to draw: it has {', '.join(record_formats(record))}.")
    passes = list(dict.fromkeys(row["pass"] for row in rows))
    sizes = sorted({row["size"] for row in rows})
    with style():
        figure = Picture(figsize=(7.0, 0.9 + 1.5 * len(names)))
        panels = figure.subplots(len(names), len(passes), sharex=True, sharey=True, squeeze=False)
        for line, (name, look) in zip(panels, looks(names).items(), strict=True):
            yardstick = record["yardsticks"].get(name, name)
            for axes, which in zip(line, passes, strict=True):
                _ratios(axes, medians, name, yardstick, which, sizes, look.color)
            line[0].set_ylabel(f"{catalogue.get(name).title}\ntime / copy")
            if name in record["yardsticks"]:
                other = catalogue.get(yardstick).torch_name
                note = {"ha": "right", "va": "top", "fontsize": 8, "color": "0.25"}
                line[-1].text(0.99, 0.97, f"PyTorch's: {other}", transform=line[-1].transAxes, **note)
        for top, bottom, which in zip(panels[0], panels[-1], passes, strict=True):
            top.set_title(f"{which}, {dtype}", fontsize=10)
            bottom.set_xlabel("elements")
        _scales(panels[0][0], sizes)
        keys = [_key("cosnb", {"color": "0.1", "linestyle": "solid", "marker": "o"})]
        keys += [_key(mark["label"], mark) for mark in _OTHERS.values()]
        figure.legend(handles=keys, loc="outside upper center", ncols=4)
    return figure


def _ratios(
    axes: Axes,
    medians: Mapping[tuple[str, str, str, int], float],
    name: str,
    yardstick: str,
    which: str,
    sizes: Sequence[int],
    color: str,
) -> None:
    """Draw a line an implementation, over that of copying; of PyTorch's own, the line of `yardstick`."""
    ours = {"label": "cosnb", "color": color, "linestyle": "solid", "marker": "o"}
    for kind, mark in (*_OTHERS.items(), ("cosnb", ours)):
        whose = yardstick if kind == "torch" else name
        points = [
            (size, medians[whose, kind, which, size] / medians["copy", "copy", which, size])
            for size in sizes
            if (whose, kind, which, size) in medians
        ]
        if points:
            axes.plot(*zip(*points, strict=True), **mark, markersize=4, linewidth=1.4)
    axes.axhline(1, color="0.35", linewidth=0.8, zorder=1)


def record_formats(record: Mapping[str, Any]) -> list[str]:
    """Return the number formats that a record has times of."""
    return list(dict.fromkeys(row["dtype"] for row in record["rows"]))


def _scales(axes: Any, sizes: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(list(sizes)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"$2^{{{int(size).bit_length() - 1}}}$"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _key(label: str, mark: Mapping[str, Any]) -> Line2D:
    return Line2D([], [], **{**mark, "label": label, "markersize": 4})
