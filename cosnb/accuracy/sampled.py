"""Errors of a function at two thousand float32 points: what the heads of exported files and reports state."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import mpmath
import numpy
import sympy

Function = Callable[[numpy.ndarray], numpy.ndarray]
_DIGITS = 100  # e^−104, below which float32 has nothing, beside 1, and float32's digits of it


class Worst(NamedTuple):
    """The largest error of a class and where it is."""

    ulps: float
    at: float


@lru_cache(maxsize=1)
def points() -> numpy.ndarray:
    """Return 2,017 float32 points: 0, every octave from 2^-32 to 2^13 on both sides, and [−20, 20] evenly."""
    octaves = numpy.exp2(numpy.linspace(-32, 13, 504))
    even = numpy.linspace(-20, 20, 1008)
    return numpy.concatenate([-octaves, octaves, even, [0]]).astype(numpy.float32)


def errors(function: Function, expr: sympy.Expr, x: sympy.Symbol) -> tuple[Worst | None, Worst | None]:
    """Return the largest errors at `points` in the project's two classes; None where a class has no point.

    First where |f| is at least 2^-6 of its largest term, in ulp of f; then elsewhere, in ulp of the largest term.
    `function` maps float32 to float32; an ulp is no smaller than the subnormals' 2^-149. The truth is mpmath's to 100
    digits. A result that is not finite where the true value is counts as an infinite error.
    """
    found, _ = errors_by_class(function, expr, x)
    near = [found[name] for name in ("1", "subnormal") if name in found]
    return max(near, key=lambda worst: worst.ulps, default=None), found.get("2")


def errors_by_class(function: Function, expr: sympy.Expr, x: sympy.Symbol) -> tuple[dict[str, Worst], int]:
    """Return {class: its largest error} as `errors` measures it, and how many finite values came out not finite.

    The classes are those of `cosnb.accuracy`: "1" and "2" as above, "subnormal" where |f| is below 2^-126.
    """
    truth = _truth(expr, x, tuple(points().tolist()))
    worst: dict[str, Worst] = {}
    lost, numbers = 0, numpy.finfo(numpy.float32)
    with mpmath.workdps(_DIGITS):
        for (exact, size), point, got in zip(truth, points(), function(points()), strict=True):
            if size == 0 or abs(exact) > numbers.max:
                continue
            elsewhere = abs(exact) * 64 < size
            ulp = mpmath.ldexp(1, max(mpmath.frexp(size if elsewhere else abs(exact))[1] - 24, -149))
            finite = bool(numpy.isfinite(got))
            lost += not finite
            ulps = float(abs(mpmath.mpf(float(got)) - exact) / ulp) if finite else numpy.inf
            name = "2" if elsewhere else "subnormal" if abs(exact) < numbers.tiny else "1"
            if name not in worst or ulps > worst[name].ulps:
                worst[name] = Worst(ulps, float(point))
    return worst, lost


@lru_cache(maxsize=8)
def _truth(expr: sympy.Expr, x: sympy.Symbol, at: tuple[float, ...]) -> list[tuple[mpmath.mpf, mpmath.mpf]]:
    """Return the value of `expr` and the size of its largest term at each point."""
    pieces = expr.args if isinstance(expr, sympy.Piecewise) else [(expr, sympy.true)]
    terms = [[sympy.lambdify(x, term, "mpmath") for term in sympy.Add.make_args(value)] for value, _ in pieces]
    conditions = [sympy.lambdify(x, condition, "mpmath") for _, condition in pieces]
    found = []
    with mpmath.workdps(_DIGITS):
        for point in map(mpmath.mpf, at):
            row = [term(point) for term in next(t for t, holds in zip(terms, conditions, strict=True) if holds(point))]
            found.append((mpmath.fsum(row), max(abs(value) for value in row)))
    return found
