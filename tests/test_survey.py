"""The survey's formulas as people type them: taken, and right in value and slope, or refused with what to write.

The allowed error follows the formula: evaluated as typed in float64, each operation rounded, it has a running error
bound (cosnb.accuracy.balls).
"""

import re

import mpmath
import pytest
import torch
from mpmath import mp, mpf
from survey import REFUSED, TEXTS

from cosnb import CosnbError, activation
from cosnb.accuracy.balls import evaluate

HALF = [
    1e-3,
    0.124,
    0.126,
    0.499,
    0.501,
    0.999,
    1.001,
    1.499,
    1.501,
    1.999,
    2.001,
    2.7,
    3.3,
    5.9,
    6.1,
    9.3,
    20.2,
    37.3,
    50,
]
POINTS = sorted([0.0, *HALF, *(-point for point in HALF)])


def real(number: object) -> float:
    """Return what float64 has for an oracle's value: NaN where that is not real."""
    found = mpmath.mpmathify(number)
    return float(found.real) if mp.im(found) == 0 else mpmath.nan


@pytest.mark.parametrize("family", TEXTS)
def test_value_and_slope_are_right(family: str) -> None:
    text, parameters, oracle = TEXTS[family]
    act = activation(text, **parameters)
    for order in (0, 1):
        points = POINTS if order == 0 else [point for point in POINTS if point]  # many kink at 0
        x = torch.tensor(points, dtype=torch.float64)
        got = act.elementwise(order)(x)
        with mp.workdps(60):
            truth = [real(oracle(mpf(p)) if order == 0 else mp.diff(oracle, mpf(p), h=mpf(10) ** -20)) for p in points]
        bound = evaluate(act.derivative(order), act.x, x).error
        for at, ours, exact, error in zip(points, got.tolist(), truth, bound.tolist(), strict=True):
            allowed = 4 * error + 4e-15 * abs(exact) if error < 1e-6 * max(1, abs(exact)) else 1e-6 * max(1, abs(exact))
            assert ours == pytest.approx(exact, rel=0, abs=allowed, nan_ok=True), (at, order)


def test_the_list_is_long_enough_and_nearly_all_of_it_is_taken() -> None:
    assert len(TEXTS) + len(REFUSED) >= 120
    assert len(TEXTS) >= 115


@pytest.mark.parametrize("family", REFUSED)
def test_what_is_refused_is_answered_with_what_to_write(family: str) -> None:
    text, answer = REFUSED[family]
    with pytest.raises(CosnbError) as caught:
        activation(text)
    assert re.search(answer, str(caught.value))
