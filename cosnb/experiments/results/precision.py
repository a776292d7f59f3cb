"""Mixed precision against float32: the same runs in both, paired by seed."""

import json
from collections.abc import Iterable, Sequence

import pandas as pd

from cosnb.display import Markdown, Table
from cosnb.experiments.results.paper import SMALLEST_LEAD
from cosnb.experiments.results.summary import Record, extent, figures, format_mean, title
from cosnb.experiments.results.tables import ACTIVATIONS, is_cifar, name_pair
from cosnb.experiments.statistics import LEAST_RUNS, Interval, Verdict, alike, more_runs_alike, t_interval
from cosnb.experiments.training.config import PRECISIONS

EXPERIMENT = "precision"
NONE = "No run has been recorded in both precisions yet, so there is nothing to compare: see below how to make them."


def pairs(records: Iterable[Record]) -> list[Record]:
    """Return the longest finished runs that are there in both precisions, of equal settings else and equal seeds.

    Of such configurations, the one with most images × epochs of CIFAR-10, then pairs.
    """
    found: dict[str, list[Record]] = {}
    for record in records:
        rest = {key: value for key, value in record["config"].items() if key not in ("activation", "precision")}
        if record["status"] == "ok":
            found.setdefault(json.dumps(rest, sort_keys=True), []).append(record)

    def size(runs: list[Record]) -> tuple[bool, tuple[bool, int], int]:
        config = runs[0]["config"]
        return is_cifar(config), extent(config), len(runs)

    return max(filter(None, map(_in_both, found.values())), key=size, default=[])


def _in_both(runs: list[Record]) -> list[Record]:
    kinds = [{_arm(run) for run in runs if run["config"]["precision"] == precision} for precision in PRECISIONS]
    return [run for run in runs if _arm(run) in set.intersection(*kinds)]


def _arm(record: Record) -> tuple[str, int]:
    return record["config"]["activation"], record["seed"]


def accuracies(runs: Iterable[Record]) -> pd.DataFrame:
    """Return accuracies (%, mean of the last epochs): a row an (activation, seed), a column a precision."""
    values = [(*_arm(run), run["config"]["precision"], figures(run)["last"]["accuracy"]) for run in runs]
    frame = pd.DataFrame(values, columns=["activation", "seed", "precision", "accuracy"])
    names = dict.fromkeys([*ACTIVATIONS, *sorted(frame["activation"])])
    by_arm = frame.pivot(index=["activation", "seed"], columns="precision", values="accuracy")
    return by_arm.reindex(list(names), level="activation")


def changes(runs: Iterable[Record]) -> dict[str, list[float]]:
    """Return accuracy in bfloat16 − in float32 (points, mean of the last epochs) by activation, a seed an entry.

    Where CoS and ReLU are there, also by how much their difference changes, which is what the tables measure.
    """
    found = accuracies(runs)
    moved = found["bfloat16"] - found["float32"]
    names = moved.index.unique("activation")
    listed = {title(name): moved[name].tolist() for name in names}
    if {"cos", "relu"} <= set(names):
        listed[name_pair("cos", "relu")] = (moved["cos"] - moved["relu"]).dropna().tolist()
    return listed


def comparison(runs: Sequence[Record]) -> Markdown:
    """Return the means in both precisions, their difference with its 95 % interval, and the spread of seeds."""
    if not runs:
        return Markdown(NONE)
    rows, means = {}, accuracies(runs)
    for name, pair in means.groupby("activation", sort=False):
        plain, mixed = (t_interval(pair[precision].tolist()) for precision in PRECISIONS)
        spread = f"{plain.sd:.2f}" if plain.n > 1 else "?"
        rows[title(str(name))] = (format_mean(plain, 2), format_mean(mixed, 2), spread)
    shown = []
    for name, values in changes(runs).items():
        plain_mean, mixed_mean, spread_ = rows.get(name, (None, None, None))
        shown.append([name, len(values), plain_mean, mixed_mean, _shown(t_interval(values)), spread_])
    columns = [
        "",
        "pairs",
        "float32 (%)",
        "bfloat16 (%)",
        "bfloat16 − float32 (points), 95 %",
        "sd over seeds, float32",
    ]
    return Table(columns, shown)


def judgement(runs: Sequence[Record]) -> Markdown:
    """Return what the pairs say: whether each mean's change is within the noise, and below P's least lead.

    Within the noise: the 95 % interval of the change holds 0. Alike: see `statistics.alike`, over all changes.
    """
    if not runs:
        return Markdown(
            f"**{Verdict.NOT_RESOLVED}**, for lack of runs: at least {LEAST_RUNS} pairs of each are needed."
        )
    gaps = changes(runs)
    states = [f"{name}: {_noise(t_interval(values))}" for name, values in gaps.items()]
    verdict = alike(gaps, SMALLEST_LEAD)
    more = more_runs_alike(gaps, SMALLEST_LEAD) if verdict == Verdict.NOT_RESOLVED else None
    wanted = f" ({more} pairs more would tell, if the precisions are alike and seeds spread as here)" if more else ""
    return Markdown(
        f"Change of the mean by mixed precision: **{'; '.join(states)}**. That every change is smaller than "
        f"{SMALLEST_LEAD} points, the least lead that the paper reports: **{verdict}**{wanted}."
    )


def _noise(interval: Interval) -> str:
    if interval.n < 2:
        return "one pair says nothing of noise"
    return "within the noise" if interval.low <= 0 <= interval.high else "beyond the noise"


def _shown(interval: Interval) -> str:
    if interval.n < 2:
        return f"{interval.mean:+.2f} (n = {interval.n})"
    return f"{interval.mean:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"
