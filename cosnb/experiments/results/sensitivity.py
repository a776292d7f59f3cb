"""Sensitivity to learning rate and initial weights: tables and sentences of the page."""

import math
from collections.abc import Iterable, Mapping, Sequence

from cosnb.display import Markdown, Table
from cosnb.experiments.results import curves
from cosnb.experiments.results.summary import Record, title
from cosnb.experiments.results.tables import ACTIVATIONS, describe

PARAMETERS = ("lr", "gain")
_FRACTIONS = {0.25: "¼", 0.5: "½"}
Swept = Mapping[str, Sequence[Record]]  # by the parameter that is varied


def swept(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return {parameter: the runs that differ in it alone}, of the learning rate and of the gain."""
    found = list(records)
    return {parameter: curves.varied(found, parameter) for parameter in PARAMETERS}


def lines(runs: Swept, parameter: str) -> dict[str, dict[float, list[float]]]:
    """Return {activation: {value of the parameter: final accuracies}}, as `plots.against` takes it."""
    found = curves.curves(runs[parameter], parameter)
    return {name: curves.samples(curve) for name, curve in found.items()}


def ticks(runs: Swept) -> dict[float, str]:
    """Return {gain: how it is written}."""
    return {gain: _written(gain) for gain in sorted({gain for by in lines(runs, "gain").values() for gain in by})}


def accuracy_table(runs: Swept, parameter: str) -> Markdown:
    """Return test and training accuracies by the parameter's value, and the range of their means."""
    rows: list[list[str]] = []
    spans: dict[str, list[float]] = {}
    for metric, word in (("accuracy", "test"), ("train_accuracy", "training")):
        found = curves.curves(runs[parameter], parameter, metric)
        for value in sorted({value for curve in found.values() for value in curve}):
            samples = [curves.samples(curve).get(value, []) for curve in found.values()]
            spans.setdefault(word, []).extend(sum(sample) / len(sample) for sample in samples if sample)
            name = _written(value) if parameter == "gain" else str(value)
            rows.append([f"{name}, {word}", *(describe(sample, 1) for sample in samples)])
    ends = [f"{word} {min(means):.0f} to {max(means):.0f} %" for word, means in spans.items()]
    table = Table(["accuracy (%)", *map(title, lines(runs, parameter))], rows)
    return Markdown(f"{table}\n\nMeans over seeds: {', '.join(ends)}.")


def flatness_table(runs: Swept) -> Table:
    """Return worst − best accuracy, where every run learnt, and the area under the curve, by activation."""
    found = {parameter: curves.curves(runs[parameter], parameter) for parameter in PARAMETERS}
    rows = []
    for name in ACTIVATIONS:
        cells = []
        for by_name in found.values():
            level = curves.flatness(curves.learnt(by_name).get(name, curves.empty()))
            cells += [level, curves.areas(by_name.get(name, curves.empty()))]
        rows.append([title(name), *(describe(values.tolist(), 2) for values in cells)])
    heads = ["learning rate: worst − best", "area", "initial weights: worst − best", "area"]
    return Table(["", *heads], rows)


def length_note(runs: Swept) -> str:
    """Return what must be said after the verdicts where training was too short for them; else nothing."""
    config = runs["lr"][0]["config"]
    steps = math.ceil(config["train_images"] / config["batch_size"]) * config["epochs"]
    if steps >= 1000:
        return ""
    count = f"{steps} step" + "s" * (steps != 1)
    return (
        f" That is what the rule gives. These runs have {count}: of batch normalisation's running averages "
        f"{100 * 0.9**steps:.2g} % is still the starting value, and the rest follows weights that change fast. They "
        "test how soon evaluation works, and **answer neither claim**."
    )


def _written(gain: float) -> str:
    return _FRACTIONS.get(gain, f"{gain:g}")
