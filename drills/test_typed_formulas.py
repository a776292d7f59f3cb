"""300 formulas as people type them: none crashes, is refused, lasts, or has a wrong value or slope.

Held against mpmath, which reads the text itself and differentiates by differences. The error allowed is what the
formula costs as it is written, each operation rounded (cosnb.accuracy.balls), fourfold; where that bound says nothing,
since a part of the formula overflows or is singular there, 10⁻⁶ of the value. Points are left out where the last digit
of x decides 1/1000 of the value. Slopes below 10⁻²⁴ of float32 and 10⁻⁴⁰ of float64 count as 0, and with max, min or
relu those that a choice between equal values decides.
"""

import math
import os
import re

import pytest
import torch
from counting import Tally
from mpmath import mp, mpf
from torch import Tensor
from typed import POINTS, UnknownError, drawn, slope, value

from cosnb.accuracy.balls import evaluate
from cosnb.activations import Activation, activation
from cosnb.errors import CosnbError

ITEM = "typed formulas"
SECONDS = 10.0  # of the processor, compiler included, from the text to the gradient
BITS = {torch.float64: 53, torch.float32: 24}
NOTHING = {53: 1e-40, 24: 1e-24}
CHOICE = re.compile(r"max\(|min\(|relu\(")
SMALL = 1e-9  # of float64: a finite bound below it is what a difference of terms of size 1 costs


def spent() -> float:
    """Return the seconds that this process and its ended children have computed."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def truth(text: str, order: int, at: float) -> float | None:
    """Return f or f′ at a point, None where the formula has none or mpmath takes too long."""
    try:
        one = _exact(text, order, at, 400)
        for precision in (800, 1600, 3200):
            other = _exact(text, order, at, precision)
            if one and other and abs(one - other) <= mp.ldexp(abs(other), -70):
                return float(other)
            one = other
        return 0.0 if one == 0 else None
    except (UnknownError, ZeroDivisionError, OverflowError, ValueError):
        return None


def _exact(text: str, order: int, at: float, precision: int) -> mpf:
    with mp.workprec(precision):
        return (value, slope)[order](text, mpf(at))


def expected(act: Activation, text: str, order: int, points: Tensor, bits: int) -> list[tuple[float, float] | None]:
    """Return the true value at each point and the error allowed to `bits` bits; None where nothing is asked."""
    bounds = evaluate(act.derivative(order), act.x, points).error * 2.0 ** (53 - bits)
    found: list[tuple[float, float] | None] = []
    for at, bound in zip(points.tolist(), bounds.tolist(), strict=True):
        true, beside = truth(text, order, at), truth(text, order, at * (1 + 2.0 ** (1 - bits)))
        if true is None or beside is None or abs(true - beside) > 1e-3 * abs(true):
            found.append(None)
            continue
        known = bound <= max(abs(true), SMALL * (1 + abs(at)) * 2.0 ** (53 - bits))
        error = 4 * bound if known else max(1e-6, 64 * 2.0**-bits) * abs(true)
        error += NOTHING[bits] if order == 0 or not CHOICE.search(text) else 8 * 2.0**-bits
        found.append((true, error + 8 * abs(true - beside) + 8 * abs(true) * 2.0**-bits))
    return found


def wrong(act: Activation, text: str, dtype: torch.dtype) -> list[str]:
    """Return where value or slope of `act` are off, in numbers of `dtype`."""
    x = torch.tensor(POINTS, dtype=dtype, requires_grad=True)
    points = x.detach().double()
    y = act(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    largest = torch.finfo(dtype).max
    found = []
    for order, got in enumerate((y.detach().tolist(), gradient.tolist())):
        for at, is_now, ask in zip(points.tolist(), got, expected(act, text, order, points, BITS[dtype]), strict=True):
            if ask is None:
                continue
            true, error = ask
            if not (abs(is_now - true) <= error or (abs(true) > largest and is_now == math.copysign(math.inf, true))):
                found.append(f"{text}: order {order}, {dtype}, at {at:.9g}: {is_now!r} for {true!r}")
    return found


def judge(text: str) -> list[str]:
    """Return what is wrong with `text`."""
    start = spent()
    try:
        act = activation(text)
        for dtype in BITS:
            x = torch.ones(8, dtype=dtype, requires_grad=True)
            act(x).sum().backward()
        seconds = spent() - start
        found = [line for dtype in BITS for line in wrong(act, text, dtype)]
    except CosnbError as error:
        return [f"{text}: refused: {error}"]
    except Exception as error:  # any other is a crash, and the next formula has its turn
        return [f"{text}: {type(error).__name__}: {error}"]
    return found + ([f"{text}: {seconds:.0f} s"] if seconds > SECONDS else [])


@pytest.mark.long
@pytest.mark.parametrize("count", [12, pytest.param(300, marks=pytest.mark.drill)])
@pytest.mark.timeout(7200)
def test_every_formula_has_its_values_and_slopes(tally: Tally, count: int) -> None:
    tally(count, [line for text in drawn(count, seed=2026) for line in judge(text)])
