"""Mixed precision against float32: the same runs in both, paired by seed."""

from collections.abc import Iterable, Mapping

from cosnb.display import Markdown, Table
from cosnb.experiments.results.paper import SMALLEST_LEAD
from cosnb.experiments.results.summary import Record, figures, format_mean, group, title
from cosnb.experiments.results.tables import ACTIVATIONS, is_cifar, name_pair
from cosnb.experiments.statistics import LEAST_RUNS, Interval, Verdict, alike, more_runs_alike, t_interval
from cosnb.experiments.training.config import PRECISIONS

EXPERIMENT = "precision"
NONE = "No run has been recorded in both precisions yet, so there is nothing to compare: see below how to make them."
Pairs = Mapping[str, Mapping[int, tuple[Record, Record]]]


def pairs(records: Iterable[Record]) -> dict[str, dict[int, tuple[Record, Record]]]:
    """Return {activation: {seed: (run in float32, run in bfloat16)}} of the longest runs that are there in both.

    Of the configurations that differ in precision alone, the one with most images × epochs of CIFAR-10, then pairs.
    """
    found: dict[str, dict[str, dict[int, dict[str, Record]]]] = {}
    for settings, runs in group(record for record in records if record["status"] == "ok"):
        rest = repr(sorted((key, value) for key, value in settings.items() if key != "precision"))
        for record in runs:
            seeds = found.setdefault(rest, {}).setdefault(record["config"]["activation"], {})
            seeds.setdefault(record["seed"], {})[settings["precision"]] = record
    whole = [
        {
            name: {
                seed: tuple(by_precision[precision] for precision in PRECISIONS)
                for seed, by_precision in sorted(seeds.items())
                if len(by_precision) == len(PRECISIONS)
            }
            for name, seeds in arms.items()
        }
        for arms in found.values()
    ]
    whole = [{name: seeds for name, seeds in arms.items() if seeds} for arms in whole]

    def size(arms: Mapping[str, Mapping[int, tuple[Record, ...]]]) -> tuple[bool, int, int]:
        config = next(iter(next(iter(arms.values())).values()))[0]["config"]
        return is_cifar(config), config["train_images"] * config["epochs"], sum(map(len, arms.values()))

    chosen = max(filter(None, whole), key=size, default={})
    return {name: chosen[name] for name in (*ACTIVATIONS, *sorted(chosen.keys() - set(ACTIVATIONS))) if name in chosen}  # type: ignore[misc]


def runs(found: Pairs) -> list[Record]:
    """Return the records of `pairs`."""
    return [record for seeds in found.values() for pair in seeds.values() for record in pair]


def changes(found: Pairs) -> dict[str, list[float]]:
    """Return accuracy in bfloat16 − in float32 (points, mean of the last epochs) by activation, a seed an entry.

    Where CoS and ReLU are there, also by how much their difference changes, which is what the tables measure.
    """
    moved = {
        name: {seed: _accuracy(mixed) - _accuracy(plain) for seed, (plain, mixed) in seeds.items()}
        for name, seeds in found.items()
    }
    listed = {title(name): list(values.values()) for name, values in moved.items()}
    if {"cos", "relu"} <= moved.keys():
        common = sorted(moved["cos"].keys() & moved["relu"].keys())
        listed[name_pair("cos", "relu")] = [moved["cos"][seed] - moved["relu"][seed] for seed in common]
    return listed


def comparison(found: Pairs) -> Markdown:
    """Return the means in both precisions, their difference with its 95 % interval, and the spread of seeds."""
    if not found:
        return Markdown(NONE)
    rows = []
    changed = changes(found)
    for name, seeds in found.items():
        plain, mixed = (t_interval([_accuracy(pair[k]) for pair in seeds.values()]) for k in (0, 1))
        spread = f"{plain.sd:.2f}" if plain.n > 1 else "?"
        means = [format_mean(interval, 2) for interval in (plain, mixed)]
        rows.append([title(name), len(seeds), *means, _shown(t_interval(changed[title(name)])), spread])
    for name in changed.keys() - {title(name) for name in found}:
        rows.append([name, len(changed[name]), None, None, _shown(t_interval(changed[name])), None])
    columns = [
        "",
        "pairs",
        "float32 (%)",
        "bfloat16 (%)",
        "bfloat16 − float32 (points), 95 %",
        "sd over seeds, float32",
    ]
    return Table(columns, rows)


def judgement(found: Pairs) -> Markdown:
    """Return what the pairs say: whether each mean's change is within the noise, and below P's least lead.

    Within the noise: the 95 % interval of the change holds 0. Alike: see `statistics.alike`, over all changes.
    """
    if not found:
        return Markdown(
            f"**{Verdict.NOT_RESOLVED}**, for lack of runs: at least {LEAST_RUNS} pairs of each are needed."
        )
    changed = {name: t_interval(values) for name, values in changes(found).items()}
    states = [f"{name}: {_noise(interval)}" for name, interval in changed.items()]
    gaps = changes(found)
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


def _accuracy(record: Record) -> float:
    return figures(record)["last"]["accuracy"]
