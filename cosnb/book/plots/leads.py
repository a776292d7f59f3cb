"""Figures of the paper's leads of CoS: beside ours, and with the sampling error of their test images."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cosnb.book.plots.style import LOOKS, Picture, style
from cosnb.experiments.results.paper import PrintedLead
from cosnb.experiments.results.paper_tables import Lead
from cosnb.experiments.results.summary import network_title
from cosnb.experiments.results.tables import PAIRS, name_pair

_COLOR, _CLAIM, _SHORT = LOOKS["cos"].color, "0.15", "0.45"
_WIDTH = 7.5  # inches: a page's column
_LIFT = 0.2  # of a diamond above its interval
_DIAMOND: Any = {"marker": "D", "color": _CLAIM, "markersize": 6, "markerfacecolor": "white", "linestyle": "none"}


def leads(found: Sequence[Lead]) -> Figure:
    """Return the forest plot of leads by network, a panel for each pair: our interval, the paper's lead a diamond.

    Intervals of runs that decide nothing are grey, others have the colour of CoS. A network with fewer than two pairs
    of runs shows the paper's lead alone.
    """
    with style():
        figure, panels, names = _panels([lead.network for lead in found], whole=True)
        for lead in found:
            axes, place, interval = panels[lead.pair], names.index(lead.network), lead.interval
            color = _COLOR if lead.long else _SHORT
            if interval.n > 1:
                axes.plot([interval.low, interval.high], [place, place], color=color, linewidth=2.2)
                axes.plot(interval.mean, place, "o", color=color, markersize=6)
            axes.plot(lead.claimed, place - _LIFT if interval.n > 1 else place, **_DIAMOND)
        sizes = {lead.network: f"{lead.length}\nn = {lead.interval.n}" for lead in found}
        _label(panels, [f"{network_title(name)}\n{sizes[name]}" for name in names])
        kinds = {lead.long: _COLOR if lead.long else _SHORT for lead in found if lead.interval.n > 1}
        words = {True: "ours, trained in full", False: "ours, of short runs"}
        keys = [Line2D([], [], color=kinds[long], marker="o", label=words[long]) for long in sorted(kinds)]
        keys.append(Line2D([], [], label="the paper's lead", **_DIAMOND))
        figure.legend(handles=keys, loc="outside upper center", ncols=3, handlelength=2)
    return figure


def printed_leads(found: Sequence[PrintedLead], errors: float = 2) -> Figure:
    """Return the paper's leads by table, a panel for each pair: diamonds ± `errors` standard errors of sampling."""
    with style():
        figure, panels, names = _panels([lead.network for lead in found], whole=False)
        for lead in found:
            axes, place, reach = panels[lead.pair], names.index(lead.network), errors * lead.error
            axes.plot([lead.lead - reach, lead.lead + reach], [place, place], color=_SHORT, linewidth=2.2)
            axes.plot(lead.lead, place, **_DIAMOND)
        _label(panels, [f"Table {place}\n{network_title(name)}" for place, name in enumerate(names, 1)])
        bar = Line2D([], [], color=_SHORT, linewidth=2.2, label=f"± {errors:g} standard errors")
        figure.legend(
            handles=[Line2D([], [], label="the paper's lead", **_DIAMOND), bar], loc="outside upper center", ncols=2
        )
    return figure


def _panels(networks: Sequence[str], whole: bool) -> tuple[Picture, dict[str, Axes], list[str]]:
    """Return the figure, its panels by pair, and the networks from the top down; whole: axes of whole points."""
    names = list(dict.fromkeys(networks))
    figure = Picture(figsize=(_WIDTH, 1.2 + 0.62 * len(names)))
    panels = figure.subplots(1, len(PAIRS), sharey=True, sharex=not whole)
    by_pair = {name_pair(*pair): axes for pair, axes in zip(PAIRS, panels, strict=True)}
    for name, axes in by_pair.items():
        axes.set_xlabel(f"{name} (points)")
        axes.grid(False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
        axes.axvline(0, color="0.5", linewidth=0.9, zorder=1)
    return figure, by_pair, names


def _label(panels: dict[str, Axes], labels: Sequence[str]) -> None:
    first = next(iter(panels.values()))
    first.set_yticks(range(len(labels)), labels)
    first.set_ylim(len(labels) - 0.5, -0.5)
