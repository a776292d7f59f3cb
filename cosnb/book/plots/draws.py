"""Histograms of the differences that single runs show."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from cosnb.book.plots.style import LOOKS, Picture, style
from cosnb.errors import CosnbError

_AHEAD, _BEHIND, _CLAIM = LOOKS["cos"].color, "0.65", "0.15"
_BINS = 15


def histograms(gaps: Mapping[str, tuple[Sequence[float], float]], xlabel: str = "points") -> Figure:
    """Return the figure of {difference: (its value in each draw, the claimed value)}, a panel each.

    Draws above 0 have the colour of CoS, others are grey. A dashed line is the claimed difference, and the title says
    how many draws reach it. The panels share their bins, which have an edge at 0. Raises CosnbError without a draw.
    """
    values = [np.asarray(found, dtype=float) for found, _ in gaps.values()]
    if not values or not all(found.size for found in values):
        raise CosnbError("There is no run to draw: run the experiment first.")
    reach = max(float(np.abs(found).max()) for found in values)
    step = 2 * reach / _BINS
    edges = step * np.arange(np.floor(min(found.min() for found in values) / step), np.ceil(reach / step) + 1)
    with style():
        figure = Picture(figsize=(7.5, 3.0))
        panels = np.atleast_1d(figure.subplots(1, len(gaps), sharex=True, sharey=True))
        for axes, (name, (_, claimed)), found in zip(panels, gaps.items(), values, strict=True):
            for side, color in ((found[found <= 0], _BEHIND), (found[found > 0], _AHEAD)):
                axes.hist(side, bins=list(edges), color=color, edgecolor="white", linewidth=0.6)
            axes.axvline(claimed, color=_CLAIM, linewidth=1.4, linestyle=(0, (4, 2)))
            reached = int(np.sum(found >= claimed - 1e-9))
            axes.set_title(f"{reached} of {found.size} reach {claimed:+.2f}", fontsize=10)
            axes.set_xlabel(f"{name} ({xlabel})")
            axes.grid(False, axis="x")
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        panels[0].set_ylabel("draws")
        keys: list[Patch | Line2D] = [Patch(color=_AHEAD, label="CoS ahead"), Patch(color=_BEHIND, label="CoS behind")]
        keys.append(Line2D([], [], color=_CLAIM, linestyle=(0, (4, 2)), label="the paper's lead"))
        figure.legend(handles=keys, loc="outside upper center", ncols=3)
    return figure
