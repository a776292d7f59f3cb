"""Experiments that vary one setting: accuracy against a learning rate, a gain or a depth, and areas under it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from cosnb.experiments.results.summary import Record, figures, group

Values = TypeVar("Values")
ORDER = ("relu", "swish", "mish", "cos")
Curve = dict[float, dict[int, float]]
LEARNT = 20.0  # % on ten classes; a run below it judges nothing
DEFAULTS = {"gain": 1.0, "depth": 0}  # settings that a record leaves out where they have this value


def setting(record: Record, parameter: str) -> float:
    """Return the value of a record's setting."""
    return float(record["config"].get(parameter, DEFAULTS.get(parameter, math.nan)))


def varied(records: Iterable[Record], parameter: str) -> list[Record]:
    """Return the records that differ in `parameter` (and activation and seed) alone: of several such sets the largest.

    The largest has most values of the parameter, then most images × epochs, then most records.
    """
    sets: dict[str, list[Record]] = {}
    for settings, found in group(records):
        rest = {key: value for key, value in settings.items() if key != parameter}
        sets.setdefault(repr(sorted(rest.items())), []).extend(found)

    def size(found: Sequence[Record]) -> tuple[int, int, int]:
        config = found[0]["config"]
        values = {setting(record, parameter) for record in found}
        return len(values), config["train_images"] * config["epochs"], len(found)

    return max(sets.values(), key=size, default=[])


def largest(records: Iterable[Record]) -> list[Record]:
    """Return the runs of the configuration with most images × epochs, finished ones; or none."""
    groups = [found for _, found in group(r for r in records if r["status"] == "ok" and "measured" not in r)]
    return max(groups, key=lambda g: g[0]["config"]["train_images"] * g[0]["config"]["epochs"], default=[])


def curves(records: Iterable[Record], parameter: str, metric: str = "accuracy") -> dict[str, Curve]:
    """Return {activation: {value of the parameter: {seed: figure}}}: the final epoch, accuracy in percent.

    `metric` is accuracy or loss on the test set, or train_accuracy, as it is met during the epoch. A run that diverged
    counts as chance, 10 % and log 10: leaving it out would reward it. Failed runs are left out.
    """
    found: dict[str, Curve] = {}
    chance = {"accuracy": 10.0, "train_accuracy": 10.0, "loss": math.log(10)}
    for record in records:
        if record["status"] in ("ok", "diverged"):
            value = _final(record, metric) if record["status"] == "ok" else chance[metric]
            points = found.setdefault(record["config"]["activation"], {})
            points.setdefault(setting(record, parameter), {})[record["seed"]] = value
    return _in_order(found)


def _final(record: Record, metric: str) -> float:
    if metric == "train_accuracy":
        return 100 * float(record["epochs"][-1][metric])
    return figures(record)["final"][metric]


def areas(curve: Mapping[float, Mapping[int, float]], log: bool = True) -> dict[int, float]:
    """Return {seed: mean height of the curve}: the area under it by trapezoids, over its width, seeds that have all.

    With `log` the axis is the logarithm of the parameter, so each factor counts alike.
    """
    places = sorted(curve)
    if len(places) < 2:
        return {}
    x = [math.log(place) if log else place for place in places]
    found = {}
    for seed in sorted(set.intersection(*(set(curve[place]) for place in places))):
        y = [curve[place][seed] for place in places]
        steps = zip(x, x[1:], y, y[1:], strict=False)
        found[seed] = math.fsum((b - a) * (c + d) / 2 for a, b, c, d in steps) / (x[-1] - x[0])
    return found


def flatness(curve: Mapping[float, Mapping[int, float]]) -> dict[int, float]:
    """Return {seed: height at the worst place − height at the best}, seeds that have all: 0 where it is level."""
    seeds = set.intersection(*map(set, curve.values())) if len(curve) > 1 else set()
    heights = {seed: [by_seed[seed] for by_seed in curve.values()] for seed in sorted(seeds)}
    return {seed: min(height) - max(height) for seed, height in heights.items()}


def learnt(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """Return the places at which every run of every curve learnt: on ten classes an accuracy of 20 % or more."""
    everywhere = set.intersection(*map(set, curves.values())) if curves else set()
    places = {place for place in everywhere if all(min(curve[place].values()) >= LEARNT for curve in curves.values())}
    return {name: {place: curve[place] for place in sorted(places)} for name, curve in curves.items()}


def means_from(curve: Mapping[float, Mapping[int, float]], least: float) -> dict[int, float]:
    """Return {seed: mean over the values of the parameter from `least` on}, seeds that have all of them."""
    places = [place for place in sorted(curve) if place >= least]
    if not places:
        return {}
    common = set.intersection(*(set(curve[place]) for place in places))
    return {seed: math.fsum(curve[place][seed] for place in places) / len(places) for seed in sorted(common)}


def samples(curve: Mapping[float, Mapping[int, float]]) -> dict[float, list[float]]:
    """Return {value: figures}, as `plots.against` takes a line."""
    return {place: list(by_seed.values()) for place, by_seed in curve.items()}


def over_epochs(records: Iterable[Record], key: str) -> dict[str, dict[float, list[float]]]:
    """Return {activation: {epoch: values of the entry `key`}} of finished runs, epoch 0 being before training."""
    found: dict[str, dict[float, list[float]]] = {}
    for record in records:
        points = found.setdefault(record["config"]["activation"], {})
        for entry in record["epochs"] if record["status"] == "ok" else ():
            for place, name in ((entry["epoch"], key), (0, f"{key}_at_start")):
                if name in entry:
                    points.setdefault(place, []).append(entry[name])
    return _in_order(found)


def by_layer(records: Iterable[Record], key: str, trained: bool = True) -> dict[str, dict[float, list[float]]]:
    """Return {activation: {layer from 1 on: values}} of a list-valued entry, at the end or before training."""
    found: dict[str, dict[float, list[float]]] = {}
    for record in records:
        points = found.setdefault(record["config"]["activation"], {})
        if record["status"] == "ok" and record["epochs"]:
            values = record["epochs"][-1].get(key) if trained else record["epochs"][0].get(f"{key}_at_start")
            for layer, value in enumerate(values or (), 1):
                points.setdefault(layer, []).append(value)
    return _in_order(found)


def spread(norms: Sequence[float]) -> float:
    """Return log10 of the largest over the smallest of a network's gradient norms: 0 where it is even by layer.

    Infinite where a layer has no gradient, NaN where one is not finite.
    """
    if not all(map(math.isfinite, norms)):
        return math.nan
    return math.log10(max(norms) / min(norms)) if min(norms) > 0 else math.inf


def growth(norms: Sequence[float]) -> float:
    """Return the factor by which gradient norms grow a block towards the input, from the last block to the second.

    The first block reads the images and the last layer gives the logits, so neither is like the others. NaN for fewer
    than two blocks between them, and where a norm is 0 or not finite.
    """
    blocks = norms[1:-1]
    if len(blocks) < 2 or not all(math.isfinite(norm) and norm > 0 for norm in (blocks[0], blocks[-1])):
        return math.nan
    return float((blocks[0] / blocks[-1]) ** (1 / (len(blocks) - 1)))


def growths(records: Iterable[Record], trained: bool = False) -> dict[str, dict[int, float]]:
    """Return {activation: {seed: `growth` of the gradient norms}}, before training or at its end; without NaN."""
    return {
        name: {seed: growth(norms) for seed, norms in by_seed.items() if math.isfinite(growth(norms))}
        for name, by_seed in _norms(records, trained).items()
    }


def last(records: Iterable[Record], key: str) -> dict[str, dict[int, float]]:
    """Return {activation: {seed: the last epoch's entry `key`}} of finished runs that have one."""
    found: dict[str, dict[int, float]] = {}
    for record in records:
        if record["status"] == "ok" and key in record["epochs"][-1]:
            found.setdefault(record["config"]["activation"], {})[record["seed"]] = record["epochs"][-1][key]
    return _in_order(found)


def spreads(records: Iterable[Record], trained: bool = True) -> dict[str, dict[int, float]]:
    """Return {activation: {seed: spread of the gradient norms}}, at the end of training or before it."""
    return {
        name: {seed: spread(norms) for seed, norms in by_seed.items()}
        for name, by_seed in _norms(records, trained).items()
    }


def _norms(records: Iterable[Record], trained: bool) -> dict[str, dict[int, list[float]]]:
    found: dict[str, dict[int, list[float]]] = {}
    for record in records:
        entry = record["epochs"][-1 if trained else 0] if record["epochs"] else {}
        norms = entry.get("gradient_norms" if trained else "gradient_norms_at_start")
        if norms and record["status"] == "ok":
            found.setdefault(record["config"]["activation"], {})[record["seed"]] = norms
    return _in_order(found)


def _in_order(found: dict[str, Values]) -> dict[str, Values]:
    """Return the same with the activations of P's tables first, in their order."""
    return {name: found[name] for name in sorted(found, key=lambda name: ORDER.index(name) if name in ORDER else 9)}
