"""The survey's formulas as people type them: taken, and right in value and slope, or refused with what to write.

The allowed error follows the formula: evaluated as typed in float64, each operation rounded, it has a running error
bound (cosnb.accuracy.balls).
"""

import math
import re

import mpmath
import pytest
import torch
from mpmath import mp, mpf
from survey import REFUSED, TEXTS, Oracle

from cosnb import CosnbError, activation
from cosnb.accuracy.balls import evaluate

HALF = [1e-3, 0.499, 0.501, 0.999, 1.001, 1.999, 2.001, 2.7, 6.1, 20.2, 49.9]
POINTS = sorted([0.0, *HALF, *(-point for point in HALF)])


def real(number: object) -> float:
    """Return what float64 has for an oracle's value: NaN where that is not real."""
    found = mpmath.mpmathify(number)
    return float(found.real) if mp.im(found) == 0 else mpmath.nan


def slope(oracle: Oracle, at: mpf) -> mpf:
    """Return the oracle's slope, by a central difference of 190 digits."""
    step = mpf(10) ** -100
    return (oracle(at + step) - oracle(at - step)) / (2 * step)


@pytest.mark.parametrize("family", TEXTS)
def test_value_and_slope_are_right(family: str) -> None:
    text, parameters, oracle = TEXTS[family]
    act = activation(text, **parameters)
    for order in (0, 1):
        # Many kink at 0; where f is not real its derivative may be some number or other, as that of log is.
        points = [point for point in POINTS if order == 0 or (point and not math.isnan(real(oracle(mpf(point)))))]
        x = torch.tensor(points, dtype=torch.float64)
        got = act.elementwise(order)(x)
        with mp.workdps(400):
            truth = [real(oracle(mpf(point)) if order == 0 else slope(oracle, mpf(point))) for point in points]
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
