"""Accuracy against depth, Figure 15: tables and sentences of the page."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from cosnb.display import Markdown, Table
from cosnb.experiments.results import curves
from cosnb.experiments.results.curves import Curve
from cosnb.experiments.results.summary import Record, title
from cosnb.experiments.results.tables import ACTIVATIONS, describe
from cosnb.experiments.statistics import t_interval

CONSTANT = 12  # %: MNIST's commonest digit, always answered, gives 11.35


def longest(records: Iterable[Record], network: str) -> list[Record]:
    """Return a network's runs that differ in depth alone; of several such sets the largest."""
    return curves.varied([record for record in records if record["config"]["network"] == network], "depth")


def lines(found: Mapping[str, Curve]) -> dict[str, dict[float, list[float]]]:
    """Return {activation: {depth: accuracies}} of the paper's activations, as `plots.against` takes it."""
    return {name: curves.samples(found[name]) for name in ACTIVATIONS if name in found}


def depth_table(found: Mapping[str, Curve], head: str) -> Table:
    """Return mean accuracies by depth, an activation a column."""
    rows = []
    for depth in _depths(found):
        cells = [describe(samples.get(depth, []), 2) for samples in map(curves.samples, found.values())]
        rows.append([f"{depth:g} blocks", *cells])
    return Table([head, *map(title, found)], rows)


def variant_table(found: Mapping[str, Curve]) -> Table:
    """Return the accuracies of the variant with convolutions, all depths of an activation in one cell."""
    rows = [
        [title(name), ", ".join(describe(values, 2) for values in curves.samples(curve).values())]
        for name, curve in found.items()
    ]
    return Table(["", "accuracy (%) by depth"], rows or [["depth_conv", "missing"]])


def separation(found: Mapping[str, Curve]) -> Markdown:
    """Return which activations' 95 % intervals lie apart, at the least and the greatest depth where all runs learnt.

    Elsewhere a gap may be one between constant answers.
    """
    depths, lines = _depths(curves.learnt(found)), []
    for depth in sorted({*depths[:1], *depths[-1:]}):
        bands = {name: t_interval(curves.samples(curve).get(depth, [])) for name, curve in found.items()}
        apart = [f"{title(a)} above {title(b)}" for a in bands for b in bands if bands[a].low > bands[b].high]
        lines.append(f"Bands apart at {depth:g} blocks: {', '.join(apart) or 'none'}.")
    return Markdown(" ".join(lines) or "At no depth did every run learn, so that no two lines are compared.")


def opening(records: Sequence[Record], found: Mapping[str, Curve]) -> Markdown:
    """Return at which depths every run learnt, with the means at the deepest of these, and how many others did not."""
    config, depths = records[0]["config"], _depths(curves.learnt(found))
    short = f"in {config['epochs']} epochs of {config['train_images']:,} images"
    constant = f"{len(_constant(records))} of all {len(_ends(records))} runs answer one digit for every image"
    if not depths:
        return Markdown(f"No depth is shallow enough for every run to learn {short}; {constant}.")
    means = [(fmean(curves.samples(curve)[depths[-1]]), title(name)) for name, curve in found.items()]
    told = ", ".join(f"{name} {mean:.1f} %" for mean, name in sorted(means, reverse=True))
    rest = "" if depths == _depths(found) else f" In deeper ones some fail; {constant}."
    return Markdown(f"At {depths[-1]:g} blocks every run learns {short}; there test accuracy is {told}.{rest}")


def is_undecided(records: Sequence[Record]) -> bool:
    """Say whether most finished runs answer one digit for every image."""
    return len(_constant(records)) > len(_ends(records)) / 2


def constant_runs(records: Sequence[Record]) -> Markdown:
    """Return how many runs answer one digit for every image, and what follows if most do."""
    runs, constant = _ends(records), _constant(records)
    text = f"{len(constant)} of {len(runs)} runs have a test accuracy below {CONSTANT} %"
    if constant:
        shown = [100 * run["train_accuracy"] for run in constant]
        text += f", and {min(shown):.0f} to {max(shown):.0f} % in training"
    if is_undecided(records):
        text += ". That is what one digit, answered for every image, gives: lines there show what evaluation does to "
        text += "networks so little trained, and a gap between two of them says nothing of the activations. "
        text += "**Such runs cannot decide P17**"
    return Markdown(text + ".")


def length_note(records: Sequence[Record]) -> str:
    """Return on which data a verdict rests, and that such runs answer nothing where most answer one digit."""
    said = f" on {records[0]['config']['dataset']}."
    undecided = " That is what the rule gives; these runs answer the claim in neither way."
    return said + undecided * is_undecided(records)


def _depths(found: Mapping[str, Curve]) -> list[float]:
    return sorted({depth for curve in found.values() for depth in curve})


def _ends(records: Sequence[Record]) -> list[dict[str, float]]:
    return [record["epochs"][-1] for record in records if record["status"] == "ok"]


def _constant(records: Sequence[Record]) -> list[dict[str, float]]:
    return [run for run in _ends(records) if 100 * run["test_accuracy"] < CONSTANT]
