"""Taylor series by Cauchy's formula on a circle around a point, in 50 digits.

That asks for no algebra, and the circle shows whether the function is analytic there.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
import sympy
from mpmath import mp, mpf

from cosnb.analysis.numeric import numeric

BITS = 220
_SAMPLES = 256  # on the circle: 128 coefficients, and what tells whether they are true
KEPT = _SAMPLES // 2
_NARROWEST = 2.0**-7  # radius tried
_CHECKED = 16  # Laurent coefficients of either end
_TOLERANCE = mpf(2) ** -80  # of what vanishes for an analytic function, relative to the largest value on the circle


@dataclass(frozen=True)
class Series:
    coefficients: tuple[mpf, ...]
    radius: float  # of the circle


@lru_cache(maxsize=512)
def taylor(formula: sympy.Expr, x: sympy.Symbol, centre: sympy.Expr, room: float) -> Series | None:
    """Return the series of a formula without pieces about `centre`; None where it is not analytic there."""
    try:
        return _on_circles(formula, x, centre, room)
    except Exception:  # whatever mpmath stumbles over
        return None


def _on_circles(formula: sympy.Expr, x: sympy.Symbol, centre: sympy.Expr, room: float) -> Series | None:
    """Return the series on the widest circle within which the formula is analytic, found by bisection."""
    radii = [room * 2 ** (-k / 4) for k in range(math.floor(4 * math.log2(room / _NARROWEST)) + 1)]
    with mp.workprec(BITS):
        f, c = numeric(formula, x), mpf(sympy.N(centre, 80)._to_mpmath(BITS))
        too_wide, fits = -1, len(radii) - 1
        if fits < 0 or (best := _on_circle(f, c, mpf(radii[fits]))) is None:
            return None  # a branch point, a pole or worse: on each circle
        while fits - too_wide > 1:
            middle = (too_wide + fits) // 2
            coefficients = _on_circle(f, c, mpf(radii[middle]))
            if coefficients is None:
                too_wide = middle
            else:
                fits, best = middle, coefficients
        return Series(best, radii[fits])


def _on_circle(f: Any, c: mpf, radius: mpf) -> tuple[mpf, ...] | None:
    """Return the Taylor coefficients by Cauchy's formula, None where other Laurent coefficients do not vanish."""
    turns = [mp.expjpi(mpf(2 * k) / _SAMPLES) for k in range(_SAMPLES)]
    try:
        # Half of the circle: f is real on the line, so the other half has the conjugate values.
        half = [mp.mpmathify(f(c + radius * turn)) for turn in turns[: _SAMPLES // 2 + 1]]
    except (ArithmeticError, ValueError):
        return None
    values = half + [mp.conj(value) for value in reversed(half[1:-1])]
    if not all(map(mpmath.isfinite, values)):  # the circle meets another singular point
        return None
    largest = max(map(abs, values))

    def coefficient(k: int) -> mpf:
        return mp.re(mp.fdot((value, turns[-k * n % _SAMPLES]) for n, value in enumerate(values))) / _SAMPLES

    others = [*range(KEPT, KEPT + _CHECKED), *range(-_CHECKED, 0)]
    if any(abs(coefficient(k)) > _TOLERANCE * largest for k in others):
        return None
    sums = map(coefficient, range(KEPT))
    scaled = [mpf(0) if abs(total) < _TOLERANCE * largest else total for total in sums]
    return tuple(total / radius**k for k, total in enumerate(scaled))
