"""Lottery of n = 1: the report that a single run an arm, drawn from many, would have given."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import factorial, prod
from typing import Any

import numpy as np

from cosnb.display import Markdown, Table
from cosnb.experiments import results
from cosnb.experiments.results.summary import (
    FIGURES,
    Record,
    by_activation,
    final_window,
    network_title,
    summarize,
    title,
)
from cosnb.experiments.results.tables import EXPERIMENTS, FULL, PAIRS, claimed, configurations, name_pair

ORDER = ("relu", "swish", "cos")  # P's, by accuracy, in each of its three tables
Nearest = Mapping[str, tuple[Mapping[str, Any], Sequence[Record]]]  # by network


@dataclass(frozen=True)
class Draw:
    """Chances over all ways to draw one run an arm: P's whole order; CoS best; CoS ahead of ReLU by P's gap or more.

    None where an arm has no run; `runs` counts the finished runs of each arm.
    """

    runs: tuple[int, ...]
    order: float | None
    best: float | None
    gap: float | None


def draw(records: Iterable[Record], gap: float, metric: str = "accuracy", figure: str = "last") -> Draw:
    """Return the chances for one table, each draw equally likely; `gap` is P's CoS − ReLU in the metric's unit.

    In loss, lower is better: P's order is then not asked for, only CoS best and the gap (negative).
    """
    rows = summarize(records, figure, ORDER)
    arms = [list(row.values[metric].values()) for row in rows]
    runs = tuple(map(len, arms))
    if not all(runs):
        return Draw(runs, None, None, None)
    sign = 1 if metric == "accuracy" else -1
    draws = sign * np.array(list(product(*arms)))
    ahead = draws[:, 2] > np.maximum(draws[:, 0], draws[:, 1])
    ordered = (draws[:, 0] < draws[:, 1]) & (draws[:, 1] < draws[:, 2])
    large = draws[:, 2] - draws[:, 0] >= sign * gap - 1e-9
    return Draw(runs, float(ordered.mean()), float(ahead.mean()), float(large.mean()))


def nearest() -> dict[str, tuple[Mapping[str, Any], list[Record]]]:
    """Return {network: (settings, records)} of the configurations nearest to P's; ({}, []) where none is recorded."""
    found = {network: configurations(results.read(name)) for network, name in EXPERIMENTS.items()}
    return {network: groups[0] if groups else ({}, []) for network, groups in found.items()}


def most(found: Nearest) -> tuple[str, Sequence[Record]]:
    """Return the network that has the most runs, and its records."""
    network, (_, records) = max(found.items(), key=lambda item: len(item[1][1]))
    return network, records


def accuracies(records: Iterable[Record], figure: str) -> dict[str, list[float]]:
    """Return the accuracies in percent of each of P's activations, seed by seed."""
    return {row.activation: list(row.values["accuracy"].values()) for row in summarize(records, figure, ORDER)}


def gaps(found: Nearest, figure: str) -> dict[str, tuple[list[float], float]]:
    """Return {"CoS − ReLU": (each difference of one run of either, P's)}, and of Swish, of the network of `most`."""
    network, records = most(found)
    runs = accuracies(records, figure)
    return {
        name_pair(*pair): ([a - b for a, b in product(*(runs[name] for name in pair))], claimed(network, *pair))
        for pair in PAIRS
    }


def opening(found: Nearest, figure: str) -> Markdown:
    """Return how often one run of each activation shows P's order and P's lead over ReLU, in the network of `most`."""
    network, records = most(found)
    one, lead = draw(records, claimed(network, "cos", "relu"), figure=figure), claimed(network, "cos", "relu")
    if one.order is None or one.gap is None:
        return Markdown("No runs to draw from are here yet: train those of [Tables 1 to 3](tables.ipynb) first.")
    images, epochs = _size(found[network][0])
    short = "" if (images, epochs) == (FULL["train_images"], FULL["epochs"]) else " Runs so short show how a lottery "
    short += "works, not what the paper's would give." if short else ""
    return Markdown(
        f"One run of each activation, drawn from {sum(one.runs)} runs of {network_title(network)} ({images:,} images × "
        f"{epochs} epochs), shows that order in **{_count(one.order, one.runs)}** draws; "
        f"one in {factorial(len(ORDER))} draws would if nothing made a difference. A lead over ReLU of the "
        f"paper's {lead:.2f} points or more appears in {_count(one.gap, one.runs)}.{short}"
    )


def run_table(found: Nearest) -> Table:
    """Return images, epochs and numbers of runs by network."""
    rows = []
    for network, (settings, records) in found.items():
        runs = by_activation(records)
        counts = [f"{count:,}" for count in _size(settings)]
        rows.append([network_title(network), *counts, *(len(runs.get(name, {})) for name in ORDER)])
    return Table(["", "images", "epochs", *map(title, ORDER)], rows)


def length(found: Nearest) -> Markdown:
    """Return how far the runs are from P's length, and what follows."""
    full, notes = (FULL["train_images"], FULL["epochs"]), []
    if short := [network_title(network) for network, (settings, _) in found.items() if _size(settings) != full]:
        notes.append(
            f"The runs of {', '.join(short)} are shorter than the paper's, or on fewer images, or missing. So the "
            "shares below show how a lottery works, not what the paper's would give."
        )
    if any(final_window(settings["epochs"]) == 1 for settings, _ in found.values() if settings):
        notes.append(
            "The mean of the last epochs is that of the last 5 %, and at least one: with fewer than 30 epochs it is "
            "the final epoch."
        )
    return Markdown(" ".join(notes) or "The runs are of the paper's length.")


def draws(found: Nearest, figure: str) -> dict[str, Draw]:
    """Return `draw` of each network against P's lead of CoS over ReLU."""
    return {
        network: draw(records, claimed(network, "cos", "relu"), figure=figure)
        for network, (_, records) in found.items()
    }


def draw_table(found: Nearest, figure: str) -> Table:
    """Return how many draws give P's order, CoS best, and P's lead over ReLU, by network."""
    rows = [
        [network_title(network), *(_count(share, one.runs) for share in (one.order, one.best, one.gap))]
        for network, one in draws(found, figure).items()
    ]
    return Table(["one run of each", "the order", "CoS best", "the paper's lead over ReLU"], rows)


def chance_sentences(found: Nearest, figure: str) -> Markdown:
    """Return how often all three tables agree, and how often they would if nothing made a difference."""
    drawn, chance = draws(found, figure), by_chance()
    runs, lines = [count for one in drawn.values() for count in one.runs], []
    for what, words in (("order", "The paper's order in all three tables"), ("best", "CoS best in all three")):
        share = all_tables(drawn, what)
        shown = "records are missing" if share is None else _count(share, runs)
        lines.append(f"{words}: {shown}; {100 * chance[what]:.1f} % if nothing made a difference.")
    return Markdown("\n\n".join(lines))


def figure_table(found: Nearest) -> Table:
    """Return the draws of P's order and of CoS best under each way of reporting a run, networks with records alone."""
    rows = [
        [meaning, network_title(network), *(_count(share, one.runs) for share in (one.order, one.best))]
        for figure, meaning in FIGURES.items()
        for network, one in draws(found, figure).items()
        if one.order is not None and not (figure == "last" and final_window(found[network][0]["epochs"]) == 1)
    ]
    return Table(["reported", "network", "the order", "CoS best"], rows)


def _size(settings: Mapping[str, Any]) -> tuple[int, int]:
    return settings.get("train_images", 0), settings.get("epochs", 0)


def _count(share: float | None, runs: Sequence[int]) -> str:
    if share is None:
        return "missing"
    return f"{round(share * prod(runs)):,} of {prod(runs):,} ({100 * share:.1f} %)"


def all_tables(draws: Mapping[str, Draw], what: str) -> float | None:
    """Return the chance that `what` ("order", "best" or "gap") happens in every table, drawn independently."""
    chances = [getattr(one, what) for one in draws.values()]
    return None if any(chance is None for chance in chances) else prod(chances)


def by_chance() -> dict[str, float]:
    """Return the chances in all three tables if the activation made no difference at all."""
    return {"order": factorial(len(ORDER)) ** -len(EXPERIMENTS), "best": len(ORDER) ** -len(EXPERIMENTS)}
