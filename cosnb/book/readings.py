"""Statements of P on its equation (5), which is a picture, as predicates on a SymPy expression.

Each is a function of an expression in `x` that answers with a `Finding`: whether the statement holds and the figures
that decide it. `STATEMENTS` are the paper's words; `ADDED` is what the book asks beyond them, to choose between the
readings that meet the words. `statement_table` puts all readings to all of both.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import sympy

from cosnb.analysis import bounds
from cosnb.analysis.calculus import limit, study
from cosnb.symbolic.catalogue import get, x
from cosnb.symbolic.functions import sigmoid

SWISH = get("swish").expr.subs(get("swish").parameters)
HALF = sympy.Rational(1, 2)
COEFFICIENT = 5  # "the coefficient 5 of x"
VISIBLE = 0.01  # least part of Swish's depth by which a bound counts as visibly smaller


class Finding(NamedTuple):
    """The answer of one statement for one reading."""

    holds: bool
    evidence: str


class Square(NamedTuple):
    """weight · (height · σ(argument) + shift)² + constant."""

    weight: sympy.Expr
    base: sympy.Expr
    argument: sympy.Expr
    constant: sympy.Expr


def added_square(expr: sympy.Expr) -> Square | None:
    """Return what `expr` adds to Swish if it is one squared affine function of a sigmoid and a constant, else None."""
    constant, rest = (expr - SWISH).as_independent(x, as_Add=True)
    weight, power = rest.as_independent(x, as_Add=False)
    if not (power.is_Pow and power.exp == 2):
        return None
    sigmoids = power.base.atoms(sigmoid)
    if len(sigmoids) != 1:
        return None
    (inner,) = sigmoids
    y = sympy.Dummy("y", real=True)
    if not power.base.subs(inner, y).is_polynomial(y) or sympy.degree(power.base.subs(inner, y), y) != 1:
        return None
    if power.base.subs(inner, y).has(x):
        return None
    return Square(weight, power.base, inner.args[0], constant)


def is_swish_plus_squared_sigmoid(expr: sympy.Expr) -> Finding:
    """Statement 1: based on Swish, with an added smooth curve in the form of the square of a sigmoid."""
    square = added_square(expr)
    if square is None:
        return Finding(False, "what is added to Swish is not the square of a sigmoid")
    holds = bool(square.weight > 0)
    return Finding(holds, f"{'added' if holds else 'subtracted'}: the square of {_symbols(square.base)}")


def is_placed_by_5_and_half(expr: sympy.Expr) -> Finding:
    """Statement 2: the coefficient 5 of x and the constant 0.5 place the square; a shape similar to Swish's results.

    Similar: slope 1 on the right, slope 0 and bounded on the left, and a dip below zero.
    """
    numbers = _numbers(expr)
    if numbers is None:
        return Finding(False, "no squared sigmoid to place")
    ends = [limit(sympy.diff(expr, x), x, side) for side in (-sympy.oo, sympy.oo)]
    left = limit(expr, x, -sympy.oo)
    bounded = left is not None and left.is_finite
    holds = {HALF, COEFFICIENT} <= set(numbers) and ends == [0, 1] and bounded and _minimum(expr) < 0
    words = f"numbers {', '.join(map(_symbols, numbers))}; slopes {ends[0]} and {ends[1]} at −∞ and ∞"
    return Finding(bool(holds), f"{words}; infimum {_show(_minimum(expr))}")


def has_no_other_number(expr: sympy.Expr) -> Finding:
    """Added to statement 2: the paper names 5 and 0.5, so that any further number, a weight of 2 say, is invented."""
    numbers = _numbers(expr)
    if numbers is None:
        return Finding(False, "no squared sigmoid to place")
    return Finding(numbers == [HALF, COEFFICIENT], f"numbers {', '.join(map(_symbols, numbers))}")


def goes_through_the_origin(expr: sympy.Expr) -> Finding:
    """Added to statement 2: f(0) = 0, which is one of Swish's properties."""
    origin = sympy.nsimplify(expr.subs(x, 0))
    return Finding(origin == 0, f"f(0) = {_show(origin)}")


def has_an_additional_curve(expr: sympy.Expr) -> Finding:
    """Statement 3: the graph of the derivative shows an additional curve: f′ turns more often than Swish's 2 times."""
    turns = [len(study(e, x).charts[2].crossings()) for e in (expr, SWISH)]
    return Finding(turns[0] > turns[1], f"f′ turns {turns[0]} × (Swish: {turns[1]})")


def is_more_non_monotonic(expr: sympy.Expr) -> Finding:
    """Added to statement 3: f itself turns more often than Swish, once; the paper speaks of its derivative's graph."""
    turns = [len(study(e, x).charts[1].crossings()) for e in (expr, SWISH)]
    return Finding(turns[0] > turns[1], f"f turns {turns[0]} × (Swish: {turns[1]})")


def has_smaller_negative_bound(expr: sympy.Expr) -> Finding:
    """Statement 4: the negative bound is reduced: negative inputs give less negative results than with Swish."""
    low, swish = _minimum(expr), _minimum(SWISH)
    return Finding(bool(swish < low < 0), f"infimum {_show(low)}, {_less(low, swish)} less than Swish's")


def has_visibly_smaller_bound(expr: sympy.Expr) -> Finding:
    """Added to statement 4: by a hundredth of Swish's at least, so that a graph shows it; the paper gives no size."""
    low, swish = _minimum(expr), _minimum(SWISH)
    holds = swish * (1 - VISIBLE) < low < 0
    return Finding(bool(holds), f"{_less(low, swish)} less than Swish's")


def is_smooth_and_costlier(expr: sympy.Expr) -> Finding:
    """Statement 5: smooth, and more to compute than Swish because of a square."""
    kinks = expr.atoms(sympy.Piecewise, sympy.Abs, sympy.Max, sympy.Min, sympy.sign)
    squares = [p for p in expr.atoms(sympy.Pow) if p.exp == 2 and p.has(x)]
    operations = [int(sympy.count_ops(e)) for e in (expr, SWISH)]
    holds = not kinks and bool(squares) and operations[0] > operations[1]
    words = "smooth" if not kinks else "has a kink"
    return Finding(holds, f"{words}, {len(squares)} square, {operations[0]} operations (Swish: {operations[1]})")


Predicate = Callable[[sympy.Expr], Finding]
STATEMENTS: dict[str, Predicate] = {
    "1 Swish and a squared sigmoid": is_swish_plus_squared_sigmoid,
    "2 placed by 5 and ½": is_placed_by_5_and_half,
    "3 an additional curve": has_an_additional_curve,
    "4 smaller negative bound": has_smaller_negative_bound,
    "5 smooth, costlier by a square": is_smooth_and_costlier,
}
ADDED: dict[str, Predicate] = {
    "through the origin": goes_through_the_origin,
    "no other number": has_no_other_number,
    "f itself turns more often": is_more_non_monotonic,
    "visibly smaller bound": has_visibly_smaller_bound,
}
READINGS: tuple[sympy.Expr, ...] = (
    x * sigmoid(x) + (sigmoid(5 * x) - HALF) ** 2,
    x * sigmoid(x) + sigmoid(5 * x + HALF) ** 2,
    x * sigmoid(x) + sigmoid(5 * x) ** 2 - HALF,
    x * sigmoid(x) - (sigmoid(5 * x) - HALF) ** 2,
    x * sigmoid(x) + HALF * sigmoid(5 * x) ** 2,
    x * sigmoid(x) + (sigmoid(5 * x) + HALF) ** 2,
    x * sigmoid(x) + sigmoid(5 * (x - HALF)) ** 2,
    x * sigmoid(x) + (HALF * sigmoid(5 * x)) ** 2,
    x * sigmoid(x) + 2 * (sigmoid(5 * x) - HALF) ** 2,
    x * sigmoid(x) + HALF * (sigmoid(5 * x) - HALF) ** 2,
    x * sigmoid(5 * x) ** 2 + HALF,
    x * sigmoid(x) + sigmoid(5 * x - HALF) ** 2,
    HALF * x * (sigmoid(x) + sigmoid(5 * x) ** 2),
)


def statement_table(readings: tuple[sympy.Expr, ...] = READINGS) -> list[dict[str, Finding]]:
    """Return for each reading the finding of each statement and of each addition, in order."""
    return [{name: asked(reading) for name, asked in (STATEMENTS | ADDED).items()} for reading in readings]


def _numbers(expr: sympy.Expr) -> list[sympy.Expr] | None:
    """Return the sizes of the numbers, 0 and 1 apart, of the square that is added to Swish; None without one."""
    square = added_square(expr)
    if square is None:
        return None
    y = sympy.Dummy("y", real=True)
    affine = sympy.Poly(square.base.subs(sigmoid(square.argument), y), y)
    numbers = [sympy.diff(square.argument, x), square.argument.subs(x, 0), *affine.all_coeffs()]
    numbers += [square.weight, square.constant]
    return sorted(abs(number) for number in numbers if abs(number) not in (0, 1))


@cache  # asked for each reading by three predicates
def _minimum(expr: sympy.Expr) -> sympy.Float:
    """Return the infimum of `expr`, attained or approached at an end."""
    return bounds.extremum(study(expr, x), 1).value.value


def _less(low: sympy.Expr, swish: sympy.Expr) -> str:
    return f"{100 * float(1 - low / swish):.2g} %"


def _symbols(expr: sympy.Expr) -> str:
    return str(expr).replace("sigmoid", "σ").replace("*", "·").replace("1/2", "½")


def _show(value: sympy.Expr) -> str:
    return f"{float(value):.4g}"
