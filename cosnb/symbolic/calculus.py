"""Limits, zeros, critical points and extrema: symbolically where SymPy can, numerically to 15 digits where not."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
import numpy
import sympy

from cosnb.symbolic.normal_form import NormalForm, normal_form, s, t

DIGITS = 15
_WORKING_DIGITS = 40
_NOISE = mpmath.mpf(10) ** -30  # what cancellation may leave of a 0 in 40-digit arithmetic
# Outside |x| <= 40 the exponential parts of the catalogue's derivatives are below 1e-15 of the rest.
_SCAN = 40
_SCAN_POINTS = 4001


@dataclass(frozen=True)
class Point:
    """A value of x, exact where `exact` is set; `value` is its decimal value, good to 15 digits; `f` is f there."""

    value: sympy.Float
    f: sympy.Float
    exact: sympy.Expr | None = None

    @property
    def how(self) -> str:
        """Say how the point was found."""
        return "symbolic" if self.exact is not None else f"numerical, {DIGITS} digits"


@lru_cache(maxsize=512)
def limit(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr) -> sympy.Expr:
    """Return the limit of `expr` for x → `side` (±oo), read off the normal form at t → 0, else by SymPy."""
    if isinstance(expr, sympy.Piecewise):
        expr = next(piece for piece, condition in expr.args if condition.subs(x, side) == sympy.true)
    form = normal_form(expr, x)
    if form is None:
        return sympy.limit(expr, x, side)
    branch = form.positive if side == sympy.oo else form.negative
    slope, offset = (
        sympy.limit((part / branch.denominator).subs(s, 1 - t), t, 0) for part in (branch.slope, branch.offset)
    )
    # x·t^k → 0 for k >= 1, so only the constant term of the slope counts.
    return sympy.sign(slope) * side if slope != 0 else offset


def critical_points(expr: sympy.Expr, x: sympy.Symbol) -> list[Point]:
    """Return the isolated zeros of the derivative, ascending; intervals on which it is 0 (ReLU, x < 0) are left out."""
    derivative = sympy.diff(expr, x)
    if isinstance(expr, sympy.Piecewise) and all(piece.is_polynomial(x) for piece, _ in expr.args):
        return []
    exact = _exact_zeros(normal_form(derivative, x), x)
    return [_point(expr, x, value, symbol) for value, symbol in _match(zeros(derivative, x), exact)]


def extremum(expr: sympy.Expr, x: sympy.Symbol, points: list[Point], sign: int) -> Point | None:
    """Return the global minimum (`sign` = 1) or maximum (−1) if it is attained at a critical point, else None."""
    if not points:
        return None
    best = min(points, key=lambda p: sign * p.f)
    ends = [sign * limit(expr, x, side) for side in (sympy.oo, -sympy.oo)]
    return best if all(end > sign * best.f for end in ends) else None


def properties(expr: sympy.Expr, x: sympy.Symbol) -> dict[str, Any]:
    """Return limits at ±∞ of f and f′, the critical points, the minimum and the maximum of f.

    Keys: limits, derivative_limits (each a pair for −∞, +∞), critical_points (list of Point), minimum, maximum (Point
    or None where not attained at a critical point), normal_form (NormalForm or None).
    """
    derivative = sympy.diff(expr, x)
    points = critical_points(expr, x)
    sides = (-sympy.oo, sympy.oo)
    return {
        "limits": tuple(limit(expr, x, side) for side in sides),
        "derivative_limits": tuple(limit(derivative, x, side) for side in sides),
        "critical_points": points,
        "minimum": extremum(expr, x, points, 1),
        "maximum": extremum(expr, x, points, -1),
        "normal_form": normal_form(expr, x),
    }


def _exact_zeros(form: NormalForm | None, x: sympy.Symbol) -> list[sympy.Expr]:
    """Solve numerators linear in t, (a₁x + b₁)·t + (a₀x + b₀) = 0, by Lambert's W; common powers of t are cancelled."""
    zeros: set[sympy.Expr] = set()
    if form is None:
        return []
    for negative in (False, True):
        branch = form.negative if negative else form.positive
        numerator = sympy.Poly(sympy.expand((branch.slope * x + branch.offset).subs(s, 1 - t)), t)
        while not numerator.is_zero and numerator.nth(0) == 0:
            numerator = numerator.quo(sympy.Poly(t, t))
        if numerator.degree() != 1:
            continue
        decay = sympy.exp((form.rate if negative else -form.rate) * x)
        zeros.update(z for z in sympy.solve(numerator.as_expr().subs(t, decay), x) if z.is_real)
    return sorted(zeros, key=lambda z: z.evalf())


@lru_cache(maxsize=512)
def zeros(expr: sympy.Expr, x: sympy.Symbol) -> tuple[sympy.Float, ...]:
    """Return the isolated zeros of `expr` in [−40, 40] where its sign changes, ascending, refined to 40 digits.

    The scan has a step of 0.02, so of two zeros that lie closer together both may be missed. A zero on the scan's grid
    is found also where the sign stays. Outside the normal form's class, a tail where |expr| < 1e-30 holds no zeros.
    """
    step = 2 * _SCAN / (_SCAN_POINTS - 1)
    grid = [i * step - _SCAN for i in range(_SCAN_POINTS)]
    signs = _signs(expr, x, grid)
    with mpmath.workdps(_WORKING_DIGITS):
        f = sympy.lambdify(x, expr.rewrite(sympy.exp), "mpmath")
        found = []
        for i in range(1, len(grid)):
            left = i - 1 if signs[i - 1] else i - 2  # over one point that is a zero, not over two
            if left < 0 or not signs[i] or not signs[left]:
                continue
            middle = mpmath.mpf(grid[i - 1])
            if left == i - 2 and f(middle) == 0:
                found.append(middle)
            elif signs[left] != signs[i]:
                bracket = (mpmath.mpf(grid[left]), mpmath.mpf(grid[i]))
                found.append(mpmath.findroot(f, bracket, solver="anderson"))
        return tuple(sympy.Float(z, _WORKING_DIGITS) for z in sorted(found))


def _signs(expr: sympy.Expr, x: sympy.Symbol, grid: list[float]) -> list[int]:
    """Return the sign of `expr` at each point of `grid`.

    In float64 from the normal form's numerator, whose terms keep their relative accuracy in the tails (9 ms for CoS's
    f′), else with mpmath (1.5 s).
    """
    form = normal_form(expr, x)
    if form is None:
        with mpmath.workdps(_WORKING_DIGITS):
            f = sympy.lambdify(x, expr.rewrite(sympy.exp), "mpmath")
            values = [f(mpmath.mpf(g)) for g in grid]
            return [int(mpmath.sign(value)) if abs(value) > _NOISE else 0 for value in values]
    points = numpy.array(grid)
    decay = numpy.exp(-float(form.rate) * numpy.abs(points))
    sides = []
    for branch in (form.positive, form.negative):
        numerator = (branch.slope * x + branch.offset).subs(s, 1 - t)
        sides.append(sympy.lambdify((x, t), numerator, "numpy")(points, decay) * numpy.ones_like(points))
    return [int(sign) for sign in numpy.sign(numpy.where(points < 0, sides[1], sides[0]))]


def _match(values: tuple[sympy.Float, ...], exact: list[sympy.Expr]) -> list[tuple[sympy.Float, sympy.Expr | None]]:
    """Give each numerical zero the exact one that agrees with it to 15 digits."""
    close = 10.0 ** (-DIGITS)
    return [(v, next((e for e in exact if abs(e.evalf(_WORKING_DIGITS) - v) < close), None)) for v in values]


def _point(expr: sympy.Expr, x: sympy.Symbol, value: sympy.Float, exact: sympy.Expr | None) -> Point:
    f = expr.rewrite(sympy.exp).subs(x, value).evalf(_WORKING_DIGITS)
    return Point(value.evalf(DIGITS), f.evalf(DIGITS), exact)
