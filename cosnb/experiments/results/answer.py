"""Accuracy of CoS under protocol `speedrun`: rates, looks and other networks."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from cosnb.display import Markdown, Table
from cosnb.experiments.results import tables
from cosnb.experiments.results.paper import TABLES
from cosnb.experiments.results.summary import LEARNT, Record, format_mean, is_tested_on_all, network_title, title
from cosnb.experiments.statistics import (
    LOOKS,
    Comparison,
    Interval,
    compare,
    decided,
    may_stop,
    pooled_deviation,
    sequence,
    t_interval,
)

EXPERIMENT = "is-cos-more-accurate"
PAIRS = tables.PAIRS  # the primary contrasts, CoS − ReLU and CoS − Swish
ARMS = ("relu", "swish", "cos")  # a block of a seed is whole when it has these
RIVAL = "x*(sigmoid(x) + sigmoid(5*x)**2)/2"  # the reading of equation (5) that comes nearest to the book's
CHOICES = (0.1, 0.2, 0.3, 0.5)  # learning rates
# Each arm's own, as two seeds of each on held-out images chose them; frozen before the first run of Experiment S.
RATES: Mapping[str, float] = {"relu": 0.3, "swish": 0.5, "mish": 0.5, "cos": 0.5}
COMMON_RATE = 0.3
FULL = {"dataset": "cifar10", "train_images": 50_000, "protocol": "speedrun"}
LEAST_BLOCKS = 8  # of Experiments H and W, each with one look at the end
EPOCHS = {"speedrun": 20, "squeezenet_half": 24, "speedrun_wide": 10}
Runs = Mapping[str, Mapping[int, Record]]  # by activation and seed


def claimed(first: str, second: str) -> float:
    """Return the least lead, first − second in points, of P's three tables: what excludes it excludes all three."""
    return min(tables.claimed(network, first, second) for network in TABLES)


def accuracy(record: Record) -> float:
    """Return the accuracy in percent of an image's logits averaged with those of its mirror image, the primary one."""
    return 100 * float(record["epochs"][-1]["mirrored_test_accuracy"])


def runs(records: Iterable[Record], rates: Mapping[str, float], network: str = "speedrun") -> dict[str, dict[int, Any]]:
    """Return {activation: {seed: record}} of finished runs at full length, each activation at its rate in `rates`.

    A run that did not learn (below 20 %) judges nothing and is left out.
    """
    found: dict[str, dict[int, Any]] = {}
    for record in sorted(records, key=lambda record: record["seed"]):
        config = record["config"]
        full = FULL | {"network": network, "epochs": EPOCHS[network], "lr": rates.get(config["activation"])}
        fits = is_tested_on_all(config) and all(config[key] == value for key, value in full.items())
        if fits and record["status"] == "ok" and accuracy(record) >= LEARNT:
            found.setdefault(config["activation"], {})[record["seed"]] = record
    return found


def trials(records: Iterable[Record]) -> dict[str, dict[float, list[float]]]:
    """Return {activation: {rate: accuracies}} of the runs on held-out images that choose each activation's rate."""
    found: dict[str, dict[float, list[float]]] = {}
    for record in records:
        if record["config"].get("held_out") and record["config"]["dataset"] == FULL["dataset"]:
            by_rate = found.setdefault(record["config"]["activation"], {})
            by_rate.setdefault(record["config"]["lr"], []).append(accuracy(record) if record["status"] == "ok" else 0.0)
    return found


def chosen(found: Mapping[str, Mapping[float, Sequence[float]]]) -> dict[str, float]:
    """Return each activation's rate of the highest mean accuracy; of equal ones the lowest."""
    return {name: max(sorted(by_rate), key=lambda rate: fmean(by_rate[rate])) for name, by_rate in found.items()}


def trial_table(found: Mapping[str, Mapping[float, Sequence[float]]], rates: Mapping[str, float]) -> Table:
    """Return mean accuracies on held-out images, an activation a row, a rate a column; the chosen one in bold."""
    rows = []
    for name in (name for name in tables.ACTIVATIONS if name in found):
        shown = {rate: f"{fmean(accuracies):.2f}" for rate, accuracies in found[name].items()}
        if rates.get(name) in shown:
            shown[rates[name]] = f"**{shown[rates[name]]}**"
        rows.append([title(name), *map(shown.get, CHOICES)])
    return Table(["accuracy (%), 5,000 held-out images", *(f"rate {rate:g}" for rate in CHOICES)], rows)


def at_the_edge(rates: Mapping[str, float]) -> Markdown:
    """Return what must be said of rates at the end of the grid that they were chosen from; else nothing."""
    names = [title(name) for name, rate in rates.items() if rate in (CHOICES[0], CHOICES[-1])]
    if not names:
        return Markdown("")
    verb = "does" if len(names) == 1 else "do"
    return Markdown(
        f"{', '.join(names)} {verb} best at an end of the grid that the plan fixed, so that a rate beyond it might be "
        "better still. The comparison is at these rates."
    )


def blocks(found: Runs) -> list[int]:
    """Return the seeds, from 0 on without a gap, of which every arm has finished."""
    whole = set.intersection(*(set(found.get(arm, {})) for arm in ARMS))
    return list(itertools.takewhile(whole.__contains__, itertools.count()))


def contrast(found: Runs, first: str, second: str, seeds: Iterable[int] | None = None) -> list[float]:
    """Return first − second in points, seed by seed, over `seeds` or over all that both have."""
    a, b = found.get(first, {}), found.get(second, {})
    common = sorted(a.keys() & b.keys()) if seeds is None else seeds
    return [accuracy(a[seed]) - accuracy(b[seed]) for seed in common]


def primary(found: Runs) -> dict[str, list[float]]:
    """Return the two primary contrasts over whole blocks."""
    return {tables.name_pair(*pair): contrast(found, *pair, blocks(found)) for pair in PAIRS}


def looks(found: Runs) -> dict[str, list[Comparison]]:
    """Return each primary contrast's judgement at the looks that have been reached."""
    return {tables.name_pair(*pair): sequence(contrast(found, *pair, blocks(found)), claimed(*pair)) for pair in PAIRS}


def primary_contrasts(found: Runs) -> dict[str, tuple[list[float], list[Comparison], float]]:
    """Return {contrast: (differences over whole blocks, judgement at each look, claimed lead)} of the primary ones."""
    gaps, judged = primary(found), looks(found)
    return {name: (gaps[name], judged[name], claimed(*pair)) for name, pair in zip(gaps, PAIRS, strict=True)}


def words(judged: Comparison) -> str:
    """Return what a look says of a contrast; more than one may hold."""
    first = {1: "lead", -1: "behind"}.get(judged.lead)
    said = [first, "claimed size excluded" if judged.excluded else None]
    return "; ".join(filter(None, [*said, "no lead worth naming" if judged.negligible else None])) or "open"


def look_table(found: Runs) -> Table:
    """Return every look of the plan: its level, and each contrast's interval with what it says."""
    judged = looks(found)
    rows = []
    for place, look in enumerate(LOOKS):
        row: list[Any] = [look.n, f"{100 * (1 - look.level):.2f} %"]
        for contrasts in judged.values():
            reached = contrasts[place] if place < len(contrasts) else None
            row += [show(reached.decisive), words(reached)] if reached else ["not reached", None]
        rows.append(row)
    heads = [cell for name in judged for cell in (f"{name} (points)", "says")]
    return Table(["seeds", "interval", *heads], rows)


def beside(found: Runs) -> Table:
    """Return what is shown besides the looks and decides nothing, over all whole blocks."""
    rows = []
    for pair in PAIRS:
        judged = compare(contrast(found, *pair, blocks(found)), claimed(*pair), LOOKS[-1].level, points=True)
        bca = show(judged.bootstrap) if judged.bootstrap else "from n = 20 on"
        p = f"{judged.test.p:.3g}" if judged.n else None
        share = f"{judged.superiority:.2f}" if judged.n else None
        rows.append([tables.name_pair(*pair), judged.n, show(judged.interval), bca, p, share, show(judged.prediction)])
    heads = [
        "points",
        "n",
        "95 % interval",
        "the same by BCa",
        "exact sign-flip p",
        "P(CoS higher)",
        "one more pair, 95 %",
    ]
    return Table(heads, rows)


def means(found: Runs) -> Table:
    """Return each arm's mean accuracy, mirrored and of the image alone, its loss and the wall time of a run."""
    rows = []
    for name, by_seed in in_order(found).items():
        records = list(by_seed.values())
        last = [record["epochs"][-1] for record in records]
        cells = [[100 * entry[key] for entry in last] for key in ("mirrored_test_accuracy", "test_accuracy")]
        spread = t_interval(cells[0]).sd
        row = [
            label(name),
            len(records),
            format_mean(t_interval(cells[0]), 2),
            f"{spread:.2f}" if len(records) > 1 else None,
        ]
        row += [format_mean(t_interval(cells[1]), 2)]
        row += [format_mean(t_interval([entry["mirrored_test_loss"] for entry in last]), 4)]
        rows.append(row)
    heads = ["", "n", "accuracy (%)", "sd", "of the image alone (%)", "loss"]
    return Table(heads, rows)


def accuracies(found: Runs) -> dict[str, list[float]]:
    """Return each arm's accuracies in percent, seed by seed."""
    return {name: [accuracy(record) for record in by_seed.values()] for name, by_seed in in_order(found).items()}


def label(activation: str) -> str:
    """Return an activation's title; "the rival reading" for that."""
    return "the rival reading" if activation == RIVAL else title(activation)


def in_order(found: Runs) -> dict[str, Mapping[int, Record]]:
    """Return the same, P's activations first and in their order, the rival reading last."""
    order = [*tables.ACTIVATIONS, *sorted(found.keys() - set(tables.ACTIVATIONS))]
    return {name: found[name] for name in order if name in found}


def others(records: Sequence[Record], rates: Mapping[str, float]) -> dict[str, tuple[list[float], float | None]]:
    """Return {what is compared: (differences in points, the least lead that P reports)} beyond the primary contrasts.

    Exploratory: Mish, the rival reading, one common rate; Experiments H and W, each with its own look at the end.
    """
    own = runs(records, {**rates, RIVAL: rates.get("cos", 0.0)})
    same = runs(records, dict.fromkeys(rates, COMMON_RATE))
    found: dict[str, tuple[list[float], float | None]] = {
        "CoS − Mish": (contrast(own, "cos", "mish"), None),
        "the rival reading − CoS": (contrast(own, RIVAL, "cos"), None),
        "the rival reading − Swish": (contrast(own, RIVAL, "swish"), None),
    }
    for pair in PAIRS:
        if {rates.get(name) for name in pair} != {COMMON_RATE}:  # else it is the primary contrast
            name = f"{tables.name_pair(*pair)}, rate {COMMON_RATE:g} for all"
            found[name] = (contrast(same, *pair), claimed(*pair))
    for network in ("squeezenet_half", "speedrun_wide"):
        there = runs(records, rates, network)
        for pair in PAIRS:
            found[f"{tables.name_pair(*pair)}, {network_title(network)}"] = (contrast(there, *pair), claimed(*pair))
    return {name: value for name, value in found.items() if len(value[0]) > 1}


def answer(found: Runs) -> Markdown:
    """Return the answer in one sentence, and what it rests on."""
    judged, count = looks(found), len(blocks(found))
    if not all(judged.values()):
        return Markdown(
            f"**Not known yet**: {count} of the {LOOKS[0].n} blocks of seeds for the first look are recorded."
        )
    # What the first look to decide has shown stays; the absence of a lead is added at the last.
    firsts = {name: decided(contrasts) or contrasts[-1] for name, contrasts in judged.items()}
    leads = [max((look.lead for look in contrasts), key=abs) for contrasts in judged.values()]
    absent = [bool(contrasts[-1].negligible) for contrasts in judged.values()]
    if not may_stop(judged):
        head = "Not known yet"
    elif min(leads) == 1:
        head = "Yes, in small networks trained well"
    elif -1 in leads:
        head = "No, it is behind"
    elif 1 in leads:
        head = "More accurate than one of the two"
    elif all(absent):
        head = "No lead worth naming"
    else:
        head = "Not by as much as the paper reports"
    said = [
        f"{name} is {show(look.decisive)} points after {look.n} seeds ({words(look)})" for name, look in firsts.items()
    ]
    spread = pooled_deviation(list(primary(found).values()))
    rest = f"{count} whole blocks of seeds are recorded; the differences within pairs have a standard deviation of "
    rest += f"{spread:.2f} points."
    return Markdown(f"**{head}.** {'; '.join(said)}. {rest}")


def show(interval: Interval) -> str:
    """Return a mean and its interval in points."""
    if interval.n < 2:
        return "missing" if not interval.n else f"{interval.mean:+.2f} (n = 1)"
    return f"{interval.mean:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"


class Contrast(NamedTuple):
    """Paired differences of two activations, in points, and their interval, as `cosnb.book.plots.forest` draws it."""

    label: str
    gaps: Sequence[float]  # a pair of runs each
    interval: Interval | None  # of a primary contrast at the level of its last look; None before the first
    claimed: float | None  # the least lead that P reports
    primary: bool


def forest_rows(records: Sequence[Record], rates: Mapping[str, float]) -> list[Contrast]:
    """Return the primary contrasts, then the exploratory ones with 95 % intervals; nothing has one before a look."""
    found = runs(records, rates)
    judged, gaps = looks(found), primary(found)
    begun = any(judged.values())
    rows = []
    for pair, (name, made) in zip(PAIRS, judged.items(), strict=True):
        interval = made[-1].decisive if made else None
        rows.append(Contrast(name, gaps[name][: interval.n if interval else None], interval, claimed(*pair), True))
    for name, (values, lead) in others(records, rates).items():
        rows.append(Contrast(name, values, t_interval(values) if begun else None, lead, False))
    return [row for row in rows if row.gaps]


def reported() -> str:
    """Return which leads the paper reports in its three tables."""
    sizes = {rival: [tables.claimed(network, cos, rival) for network in TABLES] for cos, rival in PAIRS}
    leads = [f"{min(size):.2f} to {max(size):.2f} points over {title(rival)}" for rival, size in sizes.items()]
    return f"The paper reports leads of CoS by {' and '.join(leads)}, apparently from one run each."
