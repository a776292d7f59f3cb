"""Values of a formula in mpmath, and limits read off them far out."""

from fractions import Fraction
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import mpmath
import sympy
from sympy.core.relational import Relational

Line: TypeAlias = tuple[sympy.Expr, sympy.Expr] | Literal["slow"] | None
Limit: TypeAlias = sympy.Expr | Literal["slow"] | None

_LINE_DIGITS = 40
_LARGEST = 2000  # bits of an exponent
# No powers of two: sin(π·x) would be 0 at each. Eight, so that no sine rises or falls all the way by chance.
_FACTORS = (16, 17, 35, 83, 2**24 + 1, 5 * 2**30 + 1, 3 * 2**40 + 7, 2**44 + 3)


@lru_cache(maxsize=512)
def numeric(expr: sympy.Expr, x: sympy.Symbol) -> Any:
    """Return `expr` as a function of mpmath's numbers."""
    # What a Piecewise's pieces share may be computed only where one of them holds: log x beside x ≤ 0.
    own = {
        "tanh": _tanh,
        "exp": _exp,
        **{name: partial(_wave, getattr(mpmath, name)) for name in ("sin", "cos", "tan")},
        **{name: partial(_bounded, getattr(mpmath, name)) for name in ("sinh", "cosh", "erf", "erfc")},
    }
    if not expr.has(sympy.Piecewise):
        return sympy.lambdify(x, expr, [own, "mpmath"], cse=True)
    expr = expr.xreplace({sympy.zoo: sympy.nan}).replace(lambda e: isinstance(e, Relational), _of_reals)
    return sympy.lambdify(x, expr, [own | {"ordered": _ordered}, "mpmath"])


class ordered(sympy.Function):  # noqa: N801
    """A side of a comparison, NaN where it is no real number: then no comparison holds."""

    def _eval_is_extended_real(self) -> bool:
        return True


def _ordered(value: Any) -> Any:
    return value if mpmath.im(value) == 0 else mpmath.nan


def _of_reals(relation: Relational) -> sympy.Basic:
    sides = [
        ordered(side) if side.has(sympy.log) or any(not p.exp.is_Integer for p in side.atoms(sympy.Pow)) else side
        for side in relation.args
    ]
    return relation.func(*sides)


def _exp(value: Any) -> Any:
    # What takes e^x to an exponent of more than 2000 bits, e^(e^(2²⁰⁰)), would take mpmath for ever.
    if mpmath.isfinite(value) and mpmath.mag(value) > _LARGEST:
        return mpmath.inf if mpmath.re(value) > 0 else mpmath.mpf(0)
    return mpmath.exp(value)


def _bounded(function: Any, value: Any) -> Any:
    if mpmath.isfinite(value) and mpmath.mag(value) > _LARGEST:  # as in `_exp`; erf has e^(−x²) in it
        return function(mpmath.sign(value) * mpmath.inf) if mpmath.im(value) == 0 else mpmath.nan
    return function(value)


def _wave(function: Any, value: Any) -> Any:
    # sin(e^(2²⁰⁰)) asks for 2²⁰⁰ bits of π.
    return function(value) if mpmath.isfinite(value) and mpmath.mag(value) <= 5000 else mpmath.nan


def _tanh(value: Any) -> Any:
    # mpmath makes an integer of 2^m bits for an argument of m bits: e^(e^40) ends in a MemoryError.
    return mpmath.tanh(value) if abs(value) < 10**6 else mpmath.sign(value)


def far_points(sign: int, power: int = 200) -> list[mpmath.mpf]:
    """Return eight numbers from ±2^power to ±2^(power + 40), for `read_off`."""
    return [sign * mpmath.ldexp(factor, power) / 13 for factor in _FACTORS]


def near_points(sign: int) -> list[mpmath.mpf]:
    """Return eight numbers from ±82 to ±963, for `read_off` of what is too large farther out."""
    return [sign * mpmath.mpf(size) / 13 for size in (1070, 1429, 2011, 3001, 4507, 6007, 9001, 12519)]


def read_off(points: list[mpmath.mpf], values: list[mpmath.mpf]) -> tuple[Line, Limit]:
    """Return the line on which the values at `far_points` lie and their limit; "slow" where they do not tell."""
    first, *_, last = values
    grows = len({mpmath.sign(value) for value in values}) == 1 and abs(last) > 2**20 * abs(first)
    infinite = sympy.oo if last > 0 else -sympy.oo
    slope = (values[2] - values[0]) / (points[2] - points[0])
    if abs(slope) > 2**64:
        return None, infinite if grows else "slow"
    slope, m = as_number(slope)
    offsets = [value - m * point for value, point in zip(values, points, strict=True)]
    intercept, c = as_number(offsets[-1])
    if all(abs(offset - c) <= mpmath.ldexp(max(1, abs(c)), -80) for offset in offsets):
        return (slope, intercept), infinite if slope else intercept
    if {mpmath.sign(b - a) for a, b in pairwise(offsets)} >= {-1, 1}:  # it oscillates
        return None, infinite if grows else None
    # ln x changes by as much from 2²²⁰ to 2²⁴⁰ as from 2²⁰⁰ to 2²²⁰, 1/ln x by 0.83 of that.
    diverges = abs(offsets[-1] - offsets[4]) > 0.98 * abs(offsets[4] - offsets[0])
    return (None, infinite) if diverges else ("slow", "slow")


def read_growth(
    sizes: list[mpmath.mpf], values: list[mpmath.mpf]
) -> tuple[sympy.Rational, sympy.Expr, sympy.Expr] | None:
    """Return (a, m, c) where all values are |x|^a·(m·ln|x| + c) to 80 bits, a a fraction; else None."""
    spread = mpmath.log(sizes[-1] / sizes[0])
    exponent = mpmath.log(abs(values[-1] / values[0])) / spread
    for most in (1000, 12):  # a power alone, or one times a logarithm, which changes the exponent by about 0.006
        power = Fraction(int(mpmath.nint(mpmath.ldexp(exponent, 100))), 2**100).limit_denominator(most)
        a = mpmath.mpf(power.numerator) / power.denominator
        rest = [value / size**a for value, size in zip(values, sizes, strict=True)]
        slope, m = as_number((rest[-1] - rest[0]) / spread)
        intercept, c = as_number(rest[-1] - m * mpmath.log(sizes[-1]))
        gaps = [abs(r - m * mpmath.log(size) - c) for r, size in zip(rest, sizes, strict=True)]
        if max(gaps) <= mpmath.ldexp(abs(rest[-1]), -80):
            return sympy.Rational(power.numerator, power.denominator), slope, intercept
    return None


def as_number(value: mpmath.mpf) -> tuple[sympy.Expr, mpmath.mpf]:
    """Return the fraction of small numbers that `value` is to 1e-20, else its first digits; and what to reckon with."""
    if mpmath.mag(value) > _LARGEST:
        return sympy.Float(value, _LINE_DIGITS), value
    fraction = Fraction(int(mpmath.nint(mpmath.ldexp(value, 100))), 2**100).limit_denominator(1000)
    exact = mpmath.mpf(fraction.numerator) / fraction.denominator
    if abs(exact - value) <= mpmath.mpf(10) ** -20:
        return sympy.Rational(fraction.numerator, fraction.denominator), exact
    return sympy.Float(value, _LINE_DIGITS), value
