"""Output landscapes of random networks, Figure 16: tables and sentences of the page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cosnb.book.claims import experiments, label
from cosnb.display import Markdown, Table
from cosnb.experiments import Experiment, results
from cosnb.experiments.diagnostics import landscape
from cosnb.experiments.results import measurements
from cosnb.experiments.results.summary import Record, format_mean, title
from cosnb.experiments.results.tables import ACTIVATIONS
from cosnb.experiments.statistics import Comparison, Interval, t_interval

EXPERIMENT = "figure-16-landscape"
JUDGED = ("mean_turn", "largest_turn", "kinks")
_WORDS = {
    "mean_turn": "mean change of direction (°)",
    "largest_turn": "largest change of direction (°)",
    "kinks": "largest change of the gradient / largest gradient",
    "crossings": "neighbours between which a pre-activation changes sign",
    "flat": "points with gradient 0",
}
Views = Mapping[str, landscape.View]  # by activation


def views(seed: int, points: int) -> dict[str, landscape.View]:
    """Return each activation's output and slopes of one random network on a grid of `points` a side."""
    return {name: landscape.look(name, seed, points) for name in ACTIVATIONS}


def opening() -> Markdown:
    """Return how far the gradient changes between neighbouring points, by the records of this page."""
    records = measurements.largest(results.read(EXPERIMENT))
    if not records:
        return Markdown("No network is recorded yet; the cells below measure some.")
    relu, swish, cos = (_three_digits(_intervals(records, "kinks")[name]) for name in ("relu", "swish", "cos"))
    return Markdown(
        f"Between neighbouring points of a grid the gradient changes by up to {relu} of its largest size with ReLU, "
        f"{swish} with Swish and {cos} with CoS (means over random networks)."
    )


def fineness_table(coarse: Views, fine: Views, points: int) -> Table:
    """Return the largest change of the gradient between neighbours at `points` and twice as many, and their ratio."""
    rows = [
        [title(name), f"{a.kinks:.4f}", f"{b.kinks:.4f}", f"{a.kinks / b.kinks:.2f}"]
        for name, a, b in ((name, coarse[name], fine[name]) for name in coarse)
    ]
    return Table(["", f"{points} points", f"{2 * points} points", "ratio"], rows)


def measure(experiment: Experiment, seeds: str, points: int, keep: bool) -> int:
    """Record the numbers of a random network for each seed and activation; return how many were measured."""

    def numbers(settings: Mapping[str, Any], seed: int) -> Mapping[str, Any]:
        return landscape.look(settings["activation"], seed, settings["points"]).numbers()

    settings = [{"activation": name, "points": points} for name in ACTIVATIONS]
    return experiment.measure(settings, seeds, numbers, landscape, keep)


def mean_table(records: Sequence[Record]) -> Table:
    """Return the mean of each number over networks, an activation a column."""
    rows = [[_WORDS[key], *map(_three_digits, _intervals(records, key).values())] for key in _WORDS]
    return Table(["mean over networks", *map(title, ACTIVATIONS)], rows)


def order(records: Sequence[Record]) -> Markdown:
    """Return by which numbers CoS lies between Swish and ReLU, and how many networks are flat everywhere with ReLU."""
    between: dict[bool, list[str]] = {True: [], False: []}
    for key in JUDGED:
        mean = {name: interval.mean for name, interval in _intervals(records, key).items()}
        low, high = sorted((mean["swish"], mean["relu"]))
        between[low < mean["cos"] < high].append(_WORDS[key].removesuffix(" (°)"))
    flat, seeds = measurements.flat_everywhere(records), {record["seed"] for record in records}
    return Markdown(
        f"CoS's mean lies between Swish's and ReLU's in: {', '.join(between[True]) or 'none'}; not in: "
        f"{', '.join(between[False]) or 'none'}. With ReLU {len(flat)} of {len(seeds)} networks are flat everywhere: "
        "the gradient is 0 at every point."
    )


def judged_table(records: Sequence[Record], moving: bool = False) -> Table:
    """Return ReLU's differences from Swish and CoS with their verdicts; see `measurements.judge_landscape`."""
    rows = [
        [_WORDS[key], pair, *_cells(found)]
        for key in JUDGED
        for pair, found in measurements.judge_landscape(records, key, moving).items()
    ]
    return Table(["measure", "pair", "n", "interval that decides", "p", "verdict"], rows)


def conclusion(records: Sequence[Record]) -> Markdown:
    """Return the verdict on P18 and on its parts."""
    parts = experiments.p18({EXPERIMENT: records})
    lines = [f"{part.part}: {part.verdict}" for part in parts]
    return Markdown(f"**P18: {label(parts)}** ({'; '.join(lines)}).")


def _intervals(records: Sequence[Record], key: str) -> dict[str, Interval]:
    by_name = measurements.measured(records, key)
    return {name: t_interval(list(by_name[name].values())) for name in ACTIVATIONS}


def _three_digits(interval: Interval) -> str:
    place = math.floor(math.log10(interval.mean)) if interval.mean else 2
    return format_mean(interval, max(0, 2 - place))


def _cells(found: Comparison) -> list[Any]:
    interval = found.decisive
    if interval.n < 2:
        return [found.n, "missing", None, found.verdict]
    shown = f"[{interval.low:+.3g}, {interval.high:+.3g}]".replace("-", "−")
    return [found.n, shown, f"{found.p:.3f}" if found.p >= 0.001 else "< 0.001", found.verdict]
