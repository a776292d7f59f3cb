"""Figure of accuracy against cost."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from cosnb.book.plots.style import looks, new_axes, style
from cosnb.errors import CosnbError
from cosnb.experiments.results.summary import title


def trade(values: Mapping[str, tuple[Sequence[float], Sequence[float]]], xlabel: str, ylabel: str) -> Figure:
    """Return the figure of {activation: (costs, accuracies)}: a dot at the means, and a tick for each value.

    Raises CosnbError without an activation.
    """
    if not values:
        raise CosnbError("There is no activation to draw: run the experiments first.")
    with style():
        figure, axes = new_axes(xlabel, ylabel)
        figure.set_size_inches(7.5, 3.4)
        for name, look in looks(list(values)).items():
            costs, accuracies = values[name]
            x, y = fmean(costs), fmean(accuracies)
            axes.plot(costs, [y] * len(costs), "|", color=look.color, markersize=8, alpha=0.7)
            axes.plot([x] * len(accuracies), accuracies, "_", color=look.color, markersize=8, alpha=0.7)
            label = f"{title(name)} (n = {len(accuracies)})"
            axes.plot(x, y, "o", color=look.color, markersize=7, label=label)
        axes.margins(x=0.12, y=0.08)
        figure.legend(loc="outside upper center", ncols=4, handlelength=1)
    return figure
