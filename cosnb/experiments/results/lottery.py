"""The lottery of n = 1: what a single run an arm, drawn from many, would have reported."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from cosnb.experiments.results.summary import Record, table

ORDER = ("relu", "swish", "cos")  # P's, by accuracy, in each of its three tables


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
    rows = table(records, figure, ORDER)
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


def all_tables(draws: Mapping[str, Draw], what: str) -> float | None:
    """Return the chance that `what` ("order", "best" or "gap") happens in every table, drawn independently."""
    chances = [getattr(one, what) for one in draws.values()]
    return None if any(chance is None for chance in chances) else prod(chances)


def by_chance(tables: int = 3, arms: Sequence[str] = ORDER) -> dict[str, float]:
    """Return the chances in so many tables if the activation made no difference at all."""
    orders = prod(range(1, len(arms) + 1))
    return {"order": (1 / orders) ** tables, "best": (1 / len(arms)) ** tables}
