"""Limits and asymptotes read off values far out: not proven, but soon, and the same on every machine.

SymPy's limits of a formula of 50 nodes run into their 5 s one after the other, and so do its inequalities for the
pieces of a max; this takes milliseconds. A number that is no fraction of small ones has 40 digits.
"""

from functools import lru_cache

import mpmath
import sympy
from mpmath import mp, mpf

from cosnb.analysis.numeric import Limit, Line, as_number, far_points, near_points, numeric, read_growth, read_off

_BITS = 800  # what e^x and sin x lose at 2²⁴⁰, and 500 bits more
_SLOW = tuple(range(150, 1350, 50))  # exponents of 2, where 1/ln x is 1/104 to 1/901
_SLOW_BITS = 3600  # what √(1 + x²) − x loses at 2¹³⁰⁰, and 1000 bits more
_AGREE = mpf(10) ** -25


def far_line(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr] | None:
    """Return slope and intercept of the line that `expr` approaches for x → `side` (±oo); None where none is seen."""
    line, _ = _far(expr, x, side)
    return None if isinstance(line, str) else line


def far_limit(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr) -> sympy.Expr | None:
    """Return the limit for x → `side`, ±oo too; None where none is seen."""
    _, found = _far(expr, x, side)
    return None if isinstance(found, str) else found


@lru_cache(maxsize=512)
def far_growth(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr) -> sympy.Expr | None:
    """Return |x|^a·(m·ln|x| + c) where `expr` is that at |x| = 2²⁰⁰ to 2²⁴⁰ to 80 bits, and no line; else None.

    a is a fraction: log(1 + x²) is 2·ln|x| there, (1 + x²)^(1/3) is |x|^(2/3).
    """
    sign = _sign(side)
    with mp.workprec(_BITS):
        values = _values(expr, x, far_points(sign))
        if values is None or not all(mpmath.isfinite(value) and mp.im(value) == 0 and value != 0 for value in values):
            return None
        found = read_growth(far_points(1), [mp.re(value) for value in values])
    if found is None or (found[1] == 0 and found[0] in (0, 1)):
        return None
    power, slope, intercept = found
    return (sign * x) ** power * (slope * sympy.log(sign * x) + intercept)


@lru_cache(maxsize=512)
def _far(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr) -> tuple[Line, Limit]:
    for points_of in (far_points, near_points):  # e^(e^x)·0 has no value at 2²⁰⁰
        with mp.workprec(_BITS):
            points = points_of(_sign(side))
            values = _values(expr, x, points)
            if values is None or not all(map(mpmath.isfinite, values)):
                continue
            if any(mp.im(value) != 0 for value in values):  # the formula is real on an interval alone
                return None, None
            line, found = read_off(points, [mp.re(value) for value in values])
        return _slow(expr, x, _sign(side)) if isinstance(line, str) else (line, found)
    return None, None


def _slow(expr: sympy.Expr, x: sympy.Symbol, sign: int) -> tuple[Line, Limit]:
    with mp.workprec(_SLOW_BITS):
        values = _values(expr, x, [sign * size for size in slow_points()])
        if values is None or not all(mpmath.isfinite(value) and mp.im(value) == 0 for value in values):
            return None, None
        limit = settled([mp.re(value) for value in values])
    return None if limit is None else (sympy.Integer(0), limit), limit


def slow_points() -> list[mpf]:
    """Return numbers from 2¹⁵⁰ to 2¹³⁰⁰, for `settled`."""
    return [mpmath.ldexp(mpf(16) / 13, power) for power in _SLOW]


def settled(values: list[mpf]) -> sympy.Expr | None:
    """Return the limit of what changes as 1/ln x, by a polynomial in that through values at `slow_points`."""
    slow = [1 / mpmath.log(size) for size in slow_points()]
    found, other = _at_zero(slow, values), _at_zero(slow[:-1], values[:-1])
    return as_number(found)[0] if abs(found - other) <= _AGREE * max(1, abs(found)) else None


def _at_zero(arguments: list[mpf], values: list[mpf]) -> mpf:
    """Return the value at 0 of the polynomial through given values, by Neville's scheme."""
    left = list(values)
    for width in range(1, len(left)):
        left = [
            (arguments[i] * left[i + 1] - arguments[i + width] * left[i]) / (arguments[i] - arguments[i + width])
            for i in range(len(left) - 1)
        ]
    return left[0]


def _values(expr: sympy.Expr, x: sympy.Symbol, points: list[mpf]) -> list[mpf] | None:
    try:
        f = numeric(expr, x)
        return [mp.mpmathify(f(point)) for point in points]
    except (ArithmeticError, ValueError, TypeError, MemoryError, mpmath.libmp.NoConvergence):
        return None


def _sign(side: sympy.Expr) -> int:
    return 1 if side == sympy.oo else -1
