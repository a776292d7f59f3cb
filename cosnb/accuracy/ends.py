"""Values at −∞, ∞ and NaN, compared with the formula's limits."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import sympy
import torch

from cosnb.accuracy import targets
from cosnb.activations import Activation
from cosnb.analysis.asymptotes import limit

PLACES = (-math.inf, math.inf, math.nan)
_ULPS = 4  # of the format: what a limit such as SELU's −λα may be off by


class Ends(NamedTuple):
    """Values at −∞, ∞ and NaN, or limits there; None where there is no limit."""

    left: float | None
    right: float | None
    nan: float | None = math.nan


def limits(activation: Activation, order: int = 0) -> Ends:
    """Return the limits of the `order`-th derivative, found by `cosnb.symbolic`; a function of NaN is NaN."""
    expr, x = activation.derivative(order), activation.x
    found = [limit(expr, x, side) for side in (-sympy.oo, sympy.oo)]
    return Ends(*(None if value is None else float(value) for value in found))


def values(activation: Activation, order: int = 0, target: str = "pytorch", format: str = "float32") -> Ends:
    """Return what a target's code gives in a format, both by their names in `cosnb.accuracy.targets`."""
    places = torch.tensor(PLACES, dtype=targets.FORMATS[format], device=targets.device(target))
    return Ends(*targets.function(activation, target, order)(places).tolist())


def differences(name: str, found: Ends, expected: Ends, format: str) -> list[str]:
    """Return where values of `name` are more than 4 ulp of the format from the limits; no limit, no difference.

    One text each: "f(−∞) = NaN, not 0".
    """
    relative = _ULPS * torch.finfo(targets.FORMATS[format]).eps
    told = []
    for place, got, true in zip(PLACES, found, expected, strict=True):
        if true is None or got is None:
            continue
        same = math.isnan(got) if math.isnan(true) else math.isclose(got, true, rel_tol=relative)
        if not same:
            told.append(f"{name}({show(place)}) = {show(got)}, not {show(true)}")
    return told


def show(value: float | None) -> str:
    """Return a value as it is read, with six digits; nothing for None."""
    if value is None:
        return ""
    return "NaN" if math.isnan(value) else f"{value:.6g}".replace("inf", "∞").replace("-", "−")


def check(
    activation: Activation, target_names: Sequence[str], formats: Sequence[str], orders: Sequence[int] = (0, 1)
) -> tuple[int, list[str]]:
    """Return how many values were held against a limit, and those that differ, one text each.

    A target that lacks a format is passed over: NumPy has no bfloat16.
    """
    tried, told = 0, []
    for order in orders:
        expected = limits(activation, order)
        for target in target_names:
            for format in formats:
                if targets.supports(target, targets.FORMATS[format]):
                    tried += sum(true is not None for true in expected)
                    found = values(activation, order, target, format)
                    name = f"{target}, {format}: {activation.name}{chr(8242) * order}"
                    told += differences(name, found, expected, format)
    return tried, told


def check_own(activation: Activation, orders: Sequence[Literal[0, 1]] = (0, 1)) -> list[str] | None:
    """Return where PyTorch's own function, and its slope by autograd, differ from the limits in float32.

    None where torch.nn has no such function.
    """
    if not targets.has_own(activation):
        return None
    own, told = targets.own(activation), []
    for order in orders:
        found = Ends(*own[order](torch.tensor(PLACES)).tolist())
        told += differences(f"f{chr(8242) * order}", found, limits(activation, order), "float32")
    return told
