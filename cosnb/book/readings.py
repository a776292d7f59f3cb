"""Statements of P on its equation (5), which is a picture, as predicates on a SymPy expression.

Each of the five statements of section "Equation (5)" becomes a function of an expression in `x` that answers with a
`Finding`: whether the statement holds and the figures that decide it. `table` puts all readings to all statements.
"""

from collections.abc import Callable
from typing import NamedTuple

import sympy

from cosnb.analysis import bounds
from cosnb.analysis.calculus import limit, study
from cosnb.symbolic.catalogue import get, x
from cosnb.symbolic.functions import sigmoid

SWISH = get("swish").expr.subs(get("swish").parameters)
HALF = sympy.Rational(1, 2)
COEFFICIENT = 5  # "the coefficient 5 of x"


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
    """Statement 2: the coefficient 5 of x and the constant 0.5, each once, place the square; Swish's shape results.

    Swish's shape: through the origin, f(x) → ∞ with slope 1 on the right, bounded with slope 0 on the left, and one
    dip below zero.
    """
    square = added_square(expr)
    if square is None:
        return Finding(False, "no squared sigmoid to place")
    y = sympy.Dummy("y", real=True)
    affine = sympy.Poly(square.base.subs(sigmoid(square.argument), y), y)
    numbers = [sympy.diff(square.argument, x), square.argument.subs(x, 0), *affine.all_coeffs()]
    numbers += [square.weight, square.constant]
    # The paper names these two numbers and no other, so any further one, a weight of 2 say, would be an invention.
    named = sorted(abs(number) for number in numbers if abs(number) not in (0, 1))
    derivative = sympy.diff(expr, x)
    ends = [limit(derivative, x, side) for side in (-sympy.oo, sympy.oo)]
    origin = sympy.nsimplify(expr.subs(x, 0))
    left = limit(expr, x, -sympy.oo)
    holds = (
        named == [HALF, COEFFICIENT]
        and origin == 0
        and ends == [0, 1]
        and left is not None
        and left.is_finite
        and _minimum(expr) < 0
    )
    words = (
        f"numbers {', '.join(map(_symbols, named))}; f(0) = {_show(origin)}; slopes {ends[0]} and {ends[1]} at −∞ and ∞"
    )
    return Finding(bool(holds), words)


def is_more_non_monotonic(expr: sympy.Expr) -> Finding:
    """Statement 3: more emphatically non-monotonic than Swish, with an additional curve in the derivative.

    More changes of direction of f (zeros of f′), and more of f′ (zeros of f″), than Swish has: 1 and 2.
    """
    turns = [[len(study(e, x).charts[n].crossings()) for n in (1, 2)] for e in (expr, SWISH)]
    holds = turns[0][0] > turns[1][0] and turns[0][1] > turns[1][1]
    return Finding(holds, f"f turns {turns[0][0]} ×, f′ {turns[0][1]} × (Swish: {turns[1][0]}, {turns[1][1]})")


def has_smaller_negative_bound(expr: sympy.Expr) -> Finding:
    """Statement 4: the negative bound is reduced: negative inputs give less negative results than with Swish."""
    low, swish = _minimum(expr), _minimum(SWISH)
    holds = swish < low < 0
    return Finding(bool(holds), f"infimum {_show(low)} (Swish: {_show(swish)})")


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
    "3 more non-monotonic": is_more_non_monotonic,
    "4 smaller negative bound": has_smaller_negative_bound,
    "5 smooth, costlier by a square": is_smooth_and_costlier,
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
)


def statement_table(readings: tuple[sympy.Expr, ...] = READINGS) -> list[dict[str, Finding]]:
    """Return for each reading the finding of each statement, in order."""
    return [{name: statement(reading) for name, statement in STATEMENTS.items()} for reading in readings]


def _minimum(expr: sympy.Expr) -> sympy.Float:
    """Return the infimum of `expr`, attained or approached at an end."""
    return bounds.extremum(study(expr, x), 1).value.value


def _symbols(expr: sympy.Expr) -> str:
    return str(expr).replace("sigmoid", "σ").replace("*", "·").replace("1/2", "½")


def _show(value: sympy.Expr) -> str:
    return f"{float(value):.4g}"
