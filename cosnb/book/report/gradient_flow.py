"""Gradient norms by layer, with and without batch normalisation: tables and sentences of the page."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import torch
from torch import Tensor

from cosnb.activations import activation
from cosnb.display import Markdown, Table
from cosnb.experiments import Experiment
from cosnb.experiments.data import ImageData
from cosnb.experiments.diagnostics import bare
from cosnb.experiments.results import curves, measurements
from cosnb.experiments.results.summary import Record, title
from cosnb.experiments.results.tables import describe
from cosnb.experiments.training.config import parse_seeds
from cosnb.experiments.training.loop import fitted

Lines = dict[str, dict[float, list[float]]]  # activation, layer: norms over seeds
Batch = tuple[Tensor, Tensor]
NAMES = ("relu", "swish", "mish", "cos", "sigmoid")
SPREADS = {
    "spread (decades) before": lambda measured: curves.spread(measured["gradient_norms_at_start"]),
    "after": lambda measured: curves.spread(measured["gradient_norms"]),
}
_WEIGHTS = {"default": "PyTorch's default", "he": "He's"}


def longest(records: Iterable[Record]) -> list[Record]:
    """Return the finished runs of the configuration with most images × epochs; see `curves.largest`."""
    return curves.largest(records)


def norms(records: Sequence[Record], trained: bool = True) -> Lines:
    """Return the norms of ∂L/∂w by activation and layer, at the end of training or before it."""
    return curves.by_layer(records, "gradient_norms", trained)


def layers(lines: Lines) -> int:
    """Return the number of layers that have norms, 1 without any."""
    return int(max((max(points, default=1) for points in lines.values()), default=1))


def predicted_growth(name: str) -> float:
    """Return √(E f′(z)² / Var f(z)) for a normal z: a norm's growth a block behind batch normalisation."""
    z = torch.linspace(-10, 10, 20_001, dtype=torch.float64)
    weight = torch.exp(-(z**2) / 2)
    weight /= weight.sum()
    f, slope = (activation(name).elementwise(order)(z) for order in (0, 1))
    variance = (weight * f**2).sum() - (weight * f).sum() ** 2
    return math.sqrt((weight * slope**2).sum() / variance)


def predicted(lines: Lines) -> dict[str, dict[float, float]]:
    """Return the norms that the formula gives, by activation and layer, from the last block's to the second's."""
    blocks, found = layers(lines) - 1, {}
    for name, points in lines.items():
        if values := points.get(blocks):
            start = math.exp(sum(map(math.log, values)) / len(values))
            growth = predicted_growth(name)
            found[name] = {float(k): start * growth ** (blocks - k) for k in range(2, blocks + 1)}
    return found


def growth_table(records: Sequence[Record]) -> Table:
    """Return by activation the growth of a norm a block: before training, by the formula, and after.

    Beside it, what a norm before training grows by from the last block to the second.
    """
    before, after = (curves.growths(records, trained) for trained in (False, True))
    start, rows = norms(records, trained=False), []
    blocks = layers(start) - 1
    for name in start:
        values, ends = (list(growths.get(name, {}).values()) for growths in (before, after))
        whole = f"{fmean(values) ** (blocks - 2):.3g}" if values else None
        rows.append([title(name), describe(values, 3), f"{predicted_growth(name):.3f}", describe(ends, 3), whole])
    heads = ["before training", "by the formula", "after", f"from block {blocks} to 2, before"]
    return Table(["growth a block", *heads], rows)


def opening(records: Sequence[Record]) -> Markdown:
    """Return the growth of a norm a block before training, measured and by the formula."""
    growths = curves.growths(records, trained=False)
    said = [
        f"{fmean(found.values()):.3f} with {title(name)} (formula: {predicted_growth(name):.3f})"
        for name, found in growths.items()
        if found
    ]
    return Markdown(
        "Behind batch normalisation a gradient grows on its way back, smooth or not, by a factor a block that one "
        f"formula predicts: {', '.join(said)}. Without normalisation it fades, the sigmoid's fastest."
    )


def spread_table(records: Sequence[Record]) -> Table:
    """Return by activation log10 of the largest over the smallest norm, before training and after."""
    before, after = (curves.spreads(records, trained) for trained in (False, True))
    rows = [[title(name), *(describe(list(s.get(name, {}).values()), 2) for s in (before, after))] for name in before]
    return Table(["spread (decades)", "before training", "after"], rows)


def first_batch(images: ImageData) -> Batch:
    """Return the first 128 training images and labels, in the shape of the depth networks."""
    data = fitted(images, "depth_mlp")
    return data.train_images[:128], data.train_labels[:128]


def bare_norms(batch: Batch, seeds: str, depth: int) -> tuple[Lines, Lines]:
    """Return the norms of ∂L/∂v and ∂L/∂w by activation and layer, of linear layers without normalisation.

    seeds: text such as "0:2". depth: of how many layers, beside the last.
    """
    found: tuple[Lines, Lines] = ({}, {})
    for name in NAMES:
        networks = [bare.gradients(name, seed, *batch, depth) for seed in parse_seeds(seeds)]
        for lines, of_networks in zip(found, zip(*networks, strict=True), strict=True):
            lines[name] = {layer: list(values) for layer, values in enumerate(zip(*of_networks, strict=True), 1)}
    return found


def fading_table(signals: Lines) -> Table:
    """Return by activation the factor by which ∂L/∂v shrinks a layer, measured and by the formula."""
    rows = []
    for name, points in signals.items():
        depth = max(points) - 1
        seen = [(a / b) ** (1 / (depth - 1)) for a, b in zip(points[depth], points[1], strict=True)]
        slope = activation(name).elementwise(1)(torch.zeros(1)).item()
        square = 1 / 2 if name == "relu" else slope**2
        rows.append([title(name), f"{sum(seen) / len(seen):.2f}", f"{math.sqrt(3 / square):.2f}"])
    return Table(["the signal shrinks by", "a layer, measured", "by the formula"], rows)


def measure_bare(experiment: Experiment, batch: Batch, seeds: str, depth: int) -> int:
    """Record the spread of norms without normalisation, with each kind of initial weights; return how many."""
    settings = [
        {"activation": name, "network": "bare_mlp", "depth": depth, "initial": initial}
        | {"dataset": experiment.images.name, "images": len(batch[0])}
        for initial in bare.INITIAL
        for name in NAMES
    ]

    def measure(chosen: Mapping[str, object], seed: int) -> Mapping[str, object]:
        return bare.measure(str(chosen["activation"]), seed, *batch, depth, str(chosen["initial"]))

    return experiment.measure(settings, seeds, measure, bare)


def bare_table(records: Sequence[Record]) -> Table:
    """Return by activation the spread without normalisation, a column for each kind of initial weights recorded."""
    by_initial = {i: [r for r in records if r["config"]["initial"] == i] for i in bare.INITIAL}
    values = {i: measurements.measured(found, "spread") for i, found in by_initial.items() if found}
    rows = [
        [title(name), *(describe(list(by_name[name].values()), 2) for by_name in values.values())]
        for name in NAMES
        if all(name in by_name for by_name in values.values())
    ]
    return Table(["spread (decades)", *(_WEIGHTS[initial] for initial in values)], rows)
