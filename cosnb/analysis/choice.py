"""The piece of a formula that holds at a number.

SymPy puts a number into each condition and asks for its sign, which took 18 s for a min of two formulas with three
pieces each. Here mpmath decides, and SymPy only where the two sides are so near to each other that they may be equal.
"""

from functools import lru_cache

import mpmath
import sympy
from mpmath import mp
from sympy.core.relational import Relational

from cosnb.analysis.numeric import numeric

CLOSE = sympy.Rational(1, 2**100)  # nearer to a point than any other
_DIGITS = 160  # at a distance of 2⁻¹⁰⁰ what vanishes as the fourth power is 1e−120
_TINY = mpmath.mpf(10) ** -130
_FAR = 1000  # farther out what mpmath takes for equal counts as equal
_SIGNS = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1), "==": (0,), "!=": (-1, 1)}


def chosen(expr: sympy.Expr, x: sympy.Symbol, number: sympy.Expr) -> sympy.Expr:
    """Return the formula without pieces that holds at a number."""
    if not expr.has(sympy.Piecewise):
        return expr
    if isinstance(expr, sympy.Piecewise):
        held = (value for value, condition in expr.args if _holds(condition, x, number))
        return chosen(next(held, sympy.nan), x, number)
    return expr.func(*(chosen(arg, x, number) for arg in expr.args))


def is_alone(expr: sympy.Expr, x: sympy.Symbol, point: sympy.Expr) -> bool:
    """Say whether a piece holds at the point and on neither side of it."""
    if not expr.has(sympy.Piecewise):
        return False
    if isinstance(expr, sympy.Piecewise):
        here, *beside = (_index(expr, x, point + shift) for shift in (0, -CLOSE, CLOSE))
        if here not in beside:
            return True
        return here is not None and is_alone(expr.args[here][0], x, point)
    return any(is_alone(arg, x, point) for arg in expr.args)


def _index(expr: sympy.Piecewise, x: sympy.Symbol, number: sympy.Expr) -> int | None:
    holds = (i for i, (_, condition) in enumerate(expr.args) if _holds(condition, x, number))
    return next(holds, None)


def _holds(condition: sympy.Basic, x: sympy.Symbol, number: sympy.Expr) -> bool:
    if isinstance(condition, sympy.And):
        return all(_holds(part, x, number) for part in condition.args)
    if isinstance(condition, sympy.Or):
        return any(_holds(part, x, number) for part in condition.args)
    if isinstance(condition, Relational):
        sign = _sign(condition.lhs, condition.rhs, x, number)
        if sign or abs(number) > _FAR:  # where SymPy would compare e^(e^x) digit by digit
            return sign in _SIGNS[condition.rel_op]
    try:
        return bool(condition.subs(x, number) == sympy.true)
    except TypeError:  # a side of it is no real number there: log(x) <= 0 at 0 and left of it
        return False


@lru_cache(maxsize=4096)
def _sign(left: sympy.Expr, right: sympy.Expr, x: sympy.Symbol, number: sympy.Expr) -> int:
    """Return the sign of left − right, 0 where mpmath does not tell: it is tiny, infinite or no real number."""
    try:
        with mp.workdps(_DIGITS):
            at = _in_mpmath(number)
            values = [mp.mpmathify(numeric(side, x)(at)) for side in (left, right)]
            difference = values[0] - values[1]
            if mp.im(difference) != 0 or mpmath.isnan(difference):
                return 0
            if mpmath.isinf(difference):  # a pole next to the point; or at it, where SymPy knows the value
                return int(mp.sign(mp.re(difference))) if abs(at) > _FAR else 0
            return int(mp.sign(mp.re(difference))) if abs(difference) > _TINY * max(1, *map(abs, values)) else 0
    except (ArithmeticError, ValueError, TypeError, MemoryError, mpmath.libmp.NoConvergence):
        return 0


@lru_cache(maxsize=512)
def _in_mpmath(number: sympy.Expr) -> mpmath.mpf:
    return sympy.N(number, _DIGITS)._to_mpmath(mp.prec)
