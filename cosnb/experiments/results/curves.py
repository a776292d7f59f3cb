"""Experiments that vary one setting: accuracy against a learning rate, a gain or a depth, and areas under it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from scipy.integrate import trapezoid

from cosnb.experiments.results.summary import LEARNT, Record, extent, figures, group

if TYPE_CHECKING:
    import pandas as pd

Values = TypeVar("Values")
ORDER = ("relu", "swish", "mish", "cos")
Curve: TypeAlias = "pd.DataFrame"  # seeds × values of a parameter
DEFAULTS = {"gain": 1.0, "depth": 0}  # settings that a record leaves out where they have this value


def empty() -> Curve:
    """Return a curve without seeds or values."""
    import pandas as pd

    return pd.DataFrame()


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

    def size(found: Sequence[Record]) -> tuple[int, tuple[bool, int], int]:
        values = {setting(record, parameter) for record in found}
        return len(values), extent(found[0]["config"]), len(found)

    return max(sets.values(), key=size, default=[])


def largest(records: Iterable[Record]) -> list[Record]:
    """Return the runs of the configuration with most images × epochs, finished ones; or none."""
    groups = [found for _, found in group(r for r in records if r["status"] == "ok" and "measured" not in r)]
    return max(groups, key=lambda g: extent(g[0]["config"]), default=[])


def curves(records: Iterable[Record], parameter: str, metric: str = "accuracy") -> dict[str, Curve]:
    """Return each activation's final figures, accuracy in percent: a row a seed, a column a value of the parameter.

    `metric` is accuracy or loss on the test set, or train_accuracy, as it is met during the epoch. A run that diverged
    counts as chance, 10 % and log 10: leaving it out would reward it. Failed runs are left out.
    """
    import pandas as pd  # here and below, for a machine without, which trains

    points = pd.DataFrame(
        [
            (record["config"]["activation"], record["seed"], setting(record, parameter), _final(record, metric))
            for record in records
            if record["status"] in ("ok", "diverged")
        ],
        columns=["activation", "seed", "value", "figure"],
    )
    return _in_order(
        {
            str(name): part.pivot(index="seed", columns="value", values="figure")
            for name, part in points.groupby("activation")
        }
    )


def _final(record: Record, metric: str) -> float:
    if record["status"] == "diverged":
        return math.log(10) if metric == "loss" else 10.0
    if metric == "train_accuracy":
        return 100 * float(record["epochs"][-1][metric])
    return figures(record)["final"][metric]


def areas(curve: Curve) -> "pd.Series":
    """Return the mean height of each seed's curve: the area under it by trapezoids, over its width.

    Of seeds that have every value of the parameter. The axis is its logarithm, so each factor counts alike.
    """
    import pandas as pd

    x = [math.log(value) for value in curve]
    whole = curve.dropna() if len(x) > 1 else curve.iloc[:0]
    return pd.Series(trapezoid(whole, x) / (x[-1] - x[0]) if len(whole) else [], whole.index, dtype=float)


def flatness(curve: Curve) -> "pd.Series":
    """Return each seed's height at the worst value − at the best, of seeds that have all: 0 where it is level."""
    whole = curve.dropna() if curve.shape[1] > 1 else curve.iloc[:0]
    return (whole.min(axis=1) - whole.max(axis=1)).astype(float)


def learnt(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """Return the values at which every run of every curve learnt: on ten classes an accuracy of 20 % or more."""
    places = [{value for value in curve if curve[value].min() >= LEARNT} for curve in curves.values()]
    return {name: curve[sorted(set.intersection(*places))] for name, curve in curves.items()}


def means_from(curve: Curve, least: float) -> "pd.Series":
    """Return each seed's mean over the values of the parameter from `least` on, of seeds that have all of them."""
    return curve[[value for value in curve if value >= least]].dropna().mean(axis=1).astype(float)


def samples(curve: Curve) -> dict[float, list[float]]:
    """Return {value: figures}, as `plots.against` takes a line."""
    return {value: curve[value].dropna().tolist() for value in curve}


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
