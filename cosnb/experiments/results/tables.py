"""What the pages of P's Tables 1 to 3 share: which runs a page shows, and how each claim of its table is judged."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from cosnb.display import Markdown, Table
from cosnb.experiments import registry
from cosnb.experiments.results.paper import TABLES
from cosnb.experiments.results.summary import (
    FIGURES,
    Record,
    by_activation,
    data_title,
    differences,
    figures,
    final_window,
    format_mean,
    group,
    table,
    title,
)
from cosnb.experiments.statistics import (
    LEAST_RUNS,
    Comparison,
    Direction,
    Interval,
    Verdict,
    alike,
    judge,
    more_runs_alike,
    t_interval,
)

EXPERIMENTS = registry.tables()  # by network
ACTIVATIONS = ("relu", "swish", "mish", "cos")
FULL = {"dataset": "cifar10", "train_images": 50_000, "epochs": 200, "protocol": "paper"}
PAIRS = (("cos", "relu"), ("cos", "swish"))  # the primary family, m = 2
OPEN = Verdict.NOT_RESOLVED
ALIKE = 0.05  # of cross-entropy


def configurations(records: Iterable[Record]) -> list[tuple[dict[str, Any], list[Record]]]:
    """Return (settings, records) a configuration, the nearest to 50,000 images × 200 epochs of CIFAR-10 first."""
    groups = group(records)
    return sorted(groups, key=lambda item: (not is_cifar(item[0]), -item[0]["train_images"] * item[0]["epochs"]))


def is_cifar(settings: Mapping[str, Any]) -> bool:
    """Say whether a configuration trains on CIFAR-10, and so belongs to P's tables at all."""
    return settings["dataset"] == FULL["dataset"]


def is_full(settings: Mapping[str, Any]) -> bool:
    """Say whether a configuration is protocol `paper` at full length, which alone answers P's tables."""
    return all(settings[key] == value for key, value in FULL.items())


def overview(groups: Sequence[tuple[Mapping[str, Any], Sequence[Record]]]) -> Table:
    """Return the table of configurations with their numbers of runs."""
    rows = [
        [data_title(s["dataset"]), f"{s['train_images']:,}", s["epochs"], s["precision"], len(records)]
        for s, records in groups
    ]
    return Table(["data", "training images", "epochs", "precision", "runs"], rows)


def standing(settings: Mapping[str, Any], records: Sequence[Record]) -> Markdown:
    """Return what a table's page must say of its records before it shows them: how far they are from P's length."""
    rows = [row for row in table(records, activations=ACTIVATIONS) if row.n]
    counts, window = sorted({row.n for row in rows}), final_window(settings["epochs"])
    runs = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else "".join(map(str, counts)) or "no finished"
    shown = f"For each activation there are {runs} runs of {settings['train_images']:,} images and "
    shown += f"{settings['epochs']} epochs. A run's figure is the mean of its last epochs, 5 % of them: here "
    shown += f"the last {window}." if window > 1 else "the final one alone."
    if rows and not is_full(settings):
        means = sorted(row.intervals["accuracy"].mean for row in rows)
        shown += " The paper's runs have 50,000 images and 200 epochs, and accuracies of 87 to 88 %; these reach "
        shown += f"{means[0]:.0f} to {means[-1]:.0f} %. **They show how the activations differ early in training, and "
        shown += "decide nothing about the paper's table.**"
    return Markdown(shown)


def judge_table(
    records: Sequence[Record],
    network: str,
    metric: str = "accuracy",
    figure: str = "last",
    family_size: int | None = None,
) -> dict[str, Comparison]:
    """Judge P's primary family of a network, CoS − ReLU and CoS − Swish, in `metric`, against P's own numbers.

    family_size: see `cosnb.experiments.statistics.judge`; by default the two.
    """
    return judge(
        {
            name_pair(first, second): (
                list(differences(records, first, second, metric, figure).values()),
                claimed(network, first, second, metric),
            )
            for first, second in PAIRS
        },
        family_size,
        points=metric == "accuracy",
    )


def judge_curves(
    records: Sequence[Record], metric: str = "accuracy", family_size: int | None = None
) -> dict[str, Comparison]:
    """Judge P12's "on average": CoS's whole curve above (loss: below) the others', as means over all epochs."""
    runs = by_activation(records)
    curves = {
        name: {
            seed: math.fsum(epoch[f"test_{metric}"] for epoch in record["epochs"]) / len(record["epochs"])
            for seed, record in runs.get(name, {}).items()
            if record["status"] == "ok"
        }
        for pair in PAIRS
        for name in pair
    }
    scale, better = (100, Direction.HIGHER) if metric == "accuracy" else (1, Direction.LOWER)
    family = {}
    for first, second in PAIRS:
        common = sorted(curves[first].keys() & curves[second].keys())
        gaps = [scale * (curves[first][seed] - curves[second][seed]) for seed in common]
        family[name_pair(first, second)] = (gaps, better)
    return judge(family, family_size, points=metric == "accuracy")


def claimed(network: str, first: str, second: str, metric: str = "accuracy") -> float:
    """Return P's difference, first − second, of a table: points of accuracy to 2 decimals, or loss to 4."""
    column = TABLES[network]
    return round(getattr(column[first], metric) - getattr(column[second], metric), 2 if metric == "accuracy" else 4)


def more_alike(records: Sequence[Record], figure: str = "last") -> int | None:
    """Return how many runs more would show the losses alike, were they so; None where that is resolved."""
    return more_runs_alike(_loss_gaps(records, figure), ALIKE)


def _loss_gaps(records: Sequence[Record], figure: str) -> dict[str, list[float]]:
    names = ("relu", "swish", "cos")
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    return {name_pair(*pair): list(differences(records, *pair, "loss", figure).values()) for pair in pairs}


def loss_verdicts(
    records: Sequence[Record], network: str, figure: str = "last", family_size: int | None = None
) -> dict[str, Verdict]:
    """Return P's claims of loss for a network with their verdicts: alike and CoS above Swish, or CoS lowest.

    Alike: the three pairs of ReLU, Swish and CoS lie within ± 0.05, for which P gives no margin.
    """
    judged = judge_table(records, network, "loss", figure, family_size)
    if claimed(network, "cos", "swish", "loss") < 0:
        return {f"loss, {name}": comparison.verdict for name, comparison in judged.items()}
    return {
        f"losses alike, within {ALIKE}": alike(_loss_gaps(records, figure), ALIKE),
        "loss of CoS above Swish's": judged[name_pair("cos", "swish")].verdict,
    }


def three_ways(records: Sequence[Record], network: str, metric: str = "accuracy") -> Table:
    """Return differences and verdicts by each of the three ways of reporting a run."""
    judged = {figure: judge_table(records, network, metric, figure) for figure in FIGURES}
    names = list(judged["last"])
    digits = 2 if metric == "accuracy" else 4
    rows = [
        [
            FIGURES[figure],
            *(cell for name in names for cell in (_short(family[name].interval, digits), family[name].verdict)),
        ]
        for figure, family in judged.items()
    ]
    return Table([metric, *(cell for name in names for cell in (name, "verdict"))], rows)


def selection(records: Sequence[Record], activations: Sequence[str] = ACTIVATIONS) -> Table:
    """Return what choosing the best epoch on the test set adds, best − mean of the last, in points, over runs.

    It is never below 0, and often 0: median and largest show its spread, where an interval about the mean would not.
    """
    rows = []
    for name, added in selection_effects(records, activations).items():
        cells = [f"{show(added):.2f}" for show in (fmean, median, max)] if added else ["missing"] * 3
        rows.append([title(name), len(added), *cells])
    return Table(["best epoch − last", "n", "mean (points)", "median", "largest"], rows)


def selection_effects(records: Iterable[Record], activations: Sequence[str] = ACTIVATIONS) -> dict[str, list[float]]:
    """Return best − last accuracy (points) of each finished run by activation."""
    runs = by_activation(records)
    effects = {}
    for name in activations:
        chosen = [figures(record) for record in runs.get(name, {}).values() if record["status"] == "ok"]
        effects[name] = [run["best"]["accuracy"] - run["last"]["accuracy"] for run in chosen]
    return effects


def means(records: Sequence[Record], metric: str = "accuracy", activations: Sequence[str] = ACTIVATIONS) -> Table:
    """Return the means of the three ways of reporting, an activation a column."""
    digits = 2 if metric == "accuracy" else 4
    rows = [
        [meaning, *(format_mean(row.intervals[metric], digits) for row in table(records, figure, activations))]
        for figure, meaning in FIGURES.items()
    ]
    return Table([metric, *map(title, activations)], rows)


def conclusion(records: Sequence[Record], settings: Mapping[str, Any], network: str, claims: str) -> Markdown:
    """Return the last word of a table's page: verdicts in this configuration, and on P's `claims` by number."""
    accuracy = {f"accuracy, {name}": c.verdict for name, c in judge_table(records, network).items()}
    verdicts = "; ".join(
        f"{name}: {verdict}" for name, verdict in {**accuracy, **loss_verdicts(records, network)}.items()
    )
    lines = [f"**In this configuration**: {verdicts}."]
    if is_full(settings):
        lines.append(f"It is P's own length, so these are the verdicts on {claims} and on the leads of P15.")
    else:
        size = f"{settings['train_images']:,} images and {settings['epochs']} epochs"
        lines.append(
            f"These runs have {size}, not 50,000 of CIFAR-10 and 200: they say how the activations differ early"
        )
        lines.append(
            f"in training, and nothing of P's table. **{claims}, and the leads of P15: {OPEN}**, for lack of runs at "
            f"full length: at least {LEAST_RUNS} of each activation are needed. (P15's ranges are refuted "
            "by P's own tables: [audit](audit).)"
        )
    return Markdown(" ".join(lines))


def describe(values: Sequence[float], digits: int) -> str:
    """Return "mean ± half of its 95 % interval" of a cell's values, as `format_mean` writes it."""
    return format_mean(t_interval(values), digits)


def name_pair(first: str, second: str) -> str:
    """Return "CoS − ReLU" for ("cos", "relu")."""
    return f"{title(first)} − {title(second)}"


def _short(interval: Interval, digits: int) -> str:
    if interval.n < 2:
        return "missing" if not interval.n else f"{interval.mean:+.{digits}f} (n = 1)"
    return f"{interval.mean:+.{digits}f} [{interval.low:+.{digits}f}, {interval.high:+.{digits}f}]"
