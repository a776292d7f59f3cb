"""PyTorch's own activations beside ours: tables and sentences of the page `pytorch-accuracy`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from cosnb import accuracy
from cosnb.accuracy import ends, targets
from cosnb.activations import activation
from cosnb.book.plots.accuracy import errors_over_x, largest_errors
from cosnb.display import Markdown, Table
from cosnb.experiments.diagnostics import exhaustive
from cosnb.experiments.results.summary import Record, title
from cosnb.experiments.training.config import parse_activations
from cosnb.kernels.timing import cpu_name
from cosnb.symbolic.catalogue import CATALOGUE

Measured = Mapping[str, Sequence[accuracy.Measurement]]  # ours and PyTorch's own in turns, by activation


def measure(names: str) -> dict[str, list[accuracy.Measurement]]:
    """Return the errors of f and f′ at all 16-bit numbers, ours and PyTorch's; names of the catalogue, with commas."""
    return {name: list(accuracy.measure_own(activation(name))) for name in parse_activations(names)}


def worst_table(measured: Measured) -> Table:
    """Return the largest errors, ours and PyTorch's own, and where they are."""
    rows = []
    for name, found in measured.items():
        for ours, theirs in zip(found[::2], found[1::2], strict=True):
            row = [_primed(name, ours.order)]
            for one in (ours, theirs):
                worst = max(one.errors.classes.values(), key=lambda largest: largest.error)
                row += [f"{worst.error:.3f}", ends.show(worst.at)]
            rows.append(row)
    return Table(["", "ours, largest error (ulp)", "at x", "PyTorch's own (ulp)", "at x"], rows)


def worst_sentence(measured: Measured) -> Markdown:
    """Return the largest of all our errors, and what it was measured with."""
    worst = max(_worst(ours) for found in measured.values() for ours in found[::2])
    pairs = {
        _primed(name, ours.order): _worst(ours) - _worst(theirs)
        for name, found in measured.items()
        for ours, theirs in zip(found[::2], found[1::2], strict=True)
    }
    more = [name for name, gap in pairs.items() if gap > 0]
    theirs_more = [name for name, gap in pairs.items() if gap < 0]
    version = torch.__version__.partition("+")[0]
    return Markdown(
        f"By their largest error ours is the less accurate for {', '.join(more) or 'none'}, and PyTorch's for "
        f"{', '.join(theirs_more) or 'none'}. Ours stay within {worst:.5f} ulp. Measured with PyTorch {version} on "
        f"{cpu_name()}; another version or processor may round otherwise."
    )


def worst_figure(measured: Measured) -> Figure:
    """Return the figure of the largest errors of f and f′, ours and PyTorch's own, by size of PyTorch's."""
    found = {}
    for name, all_of in measured.items():
        for ours, theirs in zip(all_of[::2], all_of[1::2], strict=True):
            found[_primed(name, ours.order)] = (_worst(ours), _worst(theirs))
    return largest_errors({name: found[name] for name in sorted(found, key=lambda name: -found[name][1])})


def _worst(found: accuracy.Measurement) -> float:
    return max(largest.error for largest in found.errors.classes.values())


def error_figure(measured: Measured, name: str) -> Figure:
    """Return the figure of an activation's errors over x."""
    return errors_over_x(accuracy.record(activation(name), list(measured[name])))


def lost_table(inputs: Tensor, names: str) -> Table:
    """Return how many of `inputs` PyTorch's own gives zero too early or a wrong sign, and from where to where."""
    finite, rows = inputs[inputs.isfinite()], []
    for name in parse_activations(names):
        for order in (0, 1):
            exact = targets.function(activation(name), "pytorch", order)(finite.double()).to(inputs.dtype)
            found = targets.own(activation(name))[order](finite)
            lost, turned = finite[(found == 0) & (exact != 0)], finite[found.sign() * exact.sign() < 0]
            rows.append([_primed(name, order), _span(lost), _span(turned)])
    return Table(["PyTorch's own", "zero too early", "wrong sign"], rows)


def tail_table(
    tail: Sequence[float], true_silu: Callable[[float], Any], true_mish_slope: Callable[[float], Any]
) -> Table:
    """Return SiLU and the slope of Mish in bfloat16 at each input: PyTorch's own, ours and the true value."""
    rows = []
    for label, name, order, true in (("SiLU", "swish", 0, true_silu), ("Mish′", "mish", 1, true_mish_slope)):
        theirs, ours = targets.own(activation(name))[order], targets.function(activation(name), "pytorch", order)
        for x in torch.tensor(tail, dtype=torch.bfloat16):
            values = (x.item(), theirs(x).item(), ours(x).item(), float(true(x.item())))
            rows.append([label, *(f"{value:.4g}".replace("-", "−") for value in values)])
    return Table(["", "x", "PyTorch's own", "ours", "true"], rows)


def special_table(names: str) -> Table:
    """Return what PyTorch's own and ours give at −∞, ∞ and NaN."""
    special, rows = torch.tensor(ends.PLACES), []
    for name in parse_activations(names):
        one = activation(name)
        for label, function in (("PyTorch's own", targets.own(one)[0]), ("ours", one)):
            rows.append([f"{title(name)}, {label}", *map(ends.show, function(special).tolist())])
    return Table(["", "x = −∞", "x = ∞", "NaN"], rows)


def limit_table() -> Table:
    """Return the limits of f and f′ of the activations that torch.nn has, and where its own differ from them."""
    rows = []
    for name in CATALOGUE:
        one = activation(name)
        if (wrong := ends.check_own(one)) is None:
            continue
        shown = [ends.show(value) for order in (0, 1) for value in ends.limits(one, order)[:2]]
        lines = [told.replace(" ", "\u00a0") for told in wrong or ["right"]]
        rows.append([title(name), *shown, lines])
    return Table(["", "f(−∞)", "f(∞)", "f′(−∞)", "f′(∞)", "torch.nn's own, float32"], rows)


def check_limits() -> tuple[int, list[str]]:
    """Return how many values of our code were held against a limit, and those that differ, one text each."""
    found = [ends.check(activation(name), ("pytorch", "numpy"), tuple(targets.FORMATS)) for name in CATALOGUE]
    return sum(count for count, _ in found), [text for _, wrong in found for text in wrong]


def exhaustive_table(records: Sequence[Record]) -> Markdown:
    """Return the errors over all float32 numbers, and the largest over all 16-bit ones; a sentence without records."""
    if not records:
        return Markdown("No GPU has recorded these errors yet.")
    table = Table(*exhaustive.table(records)).text
    both = " and ".join(f"{_largest(records, format):.3f} in {format}" for format in ("bfloat16", "float16"))
    return Markdown(f"{table}\n\nOver all 16-bit numbers the largest error is {both}.")


def _largest(records: Sequence[Record], format: str) -> float:
    return max(
        largest["error"]
        for record in records
        for found in record["measured"]["measurements"]
        for largest in found["classes"].values()
        if found["format"] == format
    )


def _primed(name: str, order: int) -> str:
    return f"{title(name)}{'′' * order}"


def _span(inputs: Tensor) -> str:
    if not len(inputs):
        return "0"
    low, high = inputs.double().min(), inputs.double().max()
    return f"{len(inputs)}: {ends.show(float(low))} to {ends.show(float(high))}"
