"""Style of the book's figures: sizes, colours and line styles, and SVG without dates or random ids.

Figures are made without pyplot, so nothing is shown twice; a notebook shows the returned figure as SVG.
"""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

SIZE = (5.0, 3.0)  # inches

_RC: Any = {
    "figure.figsize": SIZE,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.35",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelsize": 11,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.7,
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same glyphs on every machine
    "font.size": 10.1,  # 10 pixels on a telephone, which shows 5 inches at 0.75 of their size
    "legend.fontsize": 10.1,
    "legend.frameon": True,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "none",
    "legend.handlelength": 3.0,
    "xtick.color": "0.25",
    "ytick.color": "0.25",
    "mathtext.fontset": "dejavusans",
    "svg.fonttype": "path",
    "svg.hashsalt": "cosnb",
}


@dataclass(frozen=True)
class Look:
    """The colour (from the palette of Okabe and Ito) and line style of an activation."""

    color: str
    linestyle: str | tuple[float, tuple[float, ...]]


LOOKS: dict[str, Look] = {
    "sigmoid": Look("#E69F00", (0, (9, 4))),
    "tanh": Look("#56B4E9", (0, (8, 2, 2, 2, 2, 2))),
    "relu": Look("#000000", (0, (1.2, 1.6))),
    "relu6": Look("#CC79A7", (0, (6, 1.5, 1.2, 1.5, 1.2, 1.5))),
    "swish": Look("#0072B2", (0, (5, 1.8))),
    "mish": Look("#009E73", (0, (5, 1.5, 1.2, 1.5))),
    "cos": Look("#D55E00", "solid"),
    "yours": Look("#882255", (0, (14, 1.5))),  # a reader's own; the colour is Tol's wine
}
_OTHER_DASHES = ((0, (10, 2)), (0, (3, 3)), (0, (9, 2, 3, 2)), (0, (2, 4)))


class Picture(Figure):
    """A Matplotlib figure that notebooks display as the SVG written by `save_svg`."""

    def _repr_svg_(self) -> str:
        buffer = io.StringIO()
        save_svg(self, buffer)
        return buffer.getvalue()


def style() -> AbstractContextManager[None]:
    """Return a context in which figures have the book's style: `with style():` around drawing and saving."""
    return matplotlib.rc_context(_RC)


def save_svg(figure: Figure, target: str | Path | io.StringIO) -> None:
    """Write the figure as SVG without date or random ids, so that equal figures are equal files."""
    with style():
        if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # each further layout would move the axes by its rounding errors
        figure.savefig(target, format="svg", metadata={"Date": None})


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return {name: Look}; names outside the catalogue are grey, with different line styles in the order given."""
    others = [name for name in names if name not in LOOKS]
    return {
        name: LOOKS[name] if name in LOOKS else Look("0.45", _OTHER_DASHES[others.index(name) % len(_OTHER_DASHES)])
        for name in names
    }


def new_axes(xlabel: str, ylabel: str, zero_lines: bool = False) -> tuple[Picture, Axes]:
    """Return a new figure and its axes, labelled; call it inside `style()`."""
    figure = Picture()
    axes = figure.subplots()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if zero_lines:
        axes.axhline(0, color="0.6", linewidth=0.8, zorder=1)
        axes.axvline(0, color="0.6", linewidth=0.8, zorder=1)
    return figure, axes
