"""Special points of a formula: where it is singular, or has a value of its own; limits and derivatives there.

SymPy differentiates a Piecewise piece by piece, so the value at x = 0 of where(x == 0, 1, sin(x)/x) would have the
derivative 0 in every order (sympy/sympy#11402). Here it is the limit, if there is one.
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import mpmath
import sympy
from mpmath import mp
from sympy.core.relational import Relational

from cosnb.analysis.choice import CLOSE, chosen, is_alone
from cosnb.analysis.far import settled, slow_points
from cosnb.analysis.numeric import far_points, numeric, read_off
from cosnb.analysis.vanishing import NO_NUMBERS, zeros_near

_MAX_POINTS, _FAR_IRRATIONAL = 100, 8
_FOLDED = 4  # pieces within pieces grow as the product of their numbers
_BITS = 10_000  # at 2⁻¹⁰⁴⁰ a difference that vanishes as x⁸ still has 1,600 bits
_FAR = 1000


@lru_cache(maxsize=512)
def special_points(expr: sympy.Expr, x: sympy.Symbol) -> tuple[sympy.Expr, ...]:
    """Return the exact numbers, ascending, at which `expr` may be singular or a piece holds at the number alone.

    Those are zeros of divisors, of roots' and of logarithms' arguments within ±40 (of polynomials: all), and `==`; of
    irrational ones, which no format holds, those within ±8. The derivatives of `expr` are singular nowhere else.
    """
    found = {point for point in _singular(expr, x) if _is_exact(point)}
    found |= {point for point in _borders(expr, x) if _is_exact(point) and is_alone(expr, x, point)}
    return tuple(sorted(found, key=lambda point: sympy.N(point, 30))[:_MAX_POINTS])


def _is_exact(point: sympy.Expr) -> bool:
    return not point.has(sympy.Float) and (point.is_Rational or abs(float(point)) < _FAR_IRRATIONAL)


@lru_cache(maxsize=512)
def barriers(expr: sympy.Expr, x: sympy.Symbol) -> tuple[float, ...]:
    """Return all points at which `expr` may be singular or change its formula, as far as found, as floats."""
    return tuple(sorted({float(point) for point in _singular(expr, x) | _borders(expr, x)}))


@lru_cache(maxsize=512)
def derivative(expr: sympy.Expr, x: sympy.Symbol, order: int = 0) -> sympy.Expr:
    """Return the derivative of the given order, with the values at special points that SymPy leaves out or has wrong.

    There it is the limit, ±oo too. Where the limits from the left and the right differ it is the derivative of the
    piece that holds there (0 at the kink of abs(x)), else NaN. A formula's own finite values stay as they are.
    """
    points = special_points(expr, x)
    if not points:
        return sympy.diff(expr, x, order) if order else expr
    # In one Piecewise, for x·(log|x|)″ and 2·(log|x|)′ overflow where their sum, 1/x, does not.
    foldable = order and 0 < len(expr.atoms(sympy.Piecewise)) <= _FOLDED
    singular = foldable and (_singular(expr, x) or any(value_at(expr, x, point) is None for point in points))
    whole = sympy.piecewise_fold(expr) if singular else expr
    plain = _marked(_differentiated(whole, x, order) if order else expr)
    given = []
    for alike in surroundings(expr, x, points):
        reached = [point for point in alike if point.is_Rational]  # an irrational point is no number of a format
        if reached != alike and _is_removable(expr, x, alike[0]):
            reached = alike
        value = _value(expr, plain, x, alike[0], order) if reached else None
        for point in reached:
            own = value_at(plain, x, point)
            if own is None or own != value:
                given.append((value, sympy.Eq(x, point)))
    return sympy.Piecewise(*given, (_without(plain, x, [condition for _, condition in given]), True))


def surroundings(expr: sympy.Expr, x: sympy.Symbol, points: Iterable[sympy.Expr]) -> list[list[sympy.Expr]]:
    """Return `points` in lists of those around which `expr` is the same: of a periodic formula one or two of eighty.

    They are told by four values, to 30 digits.
    """
    found: dict[Any, list[sympy.Expr]] = {}
    f = numeric(expr, x)
    for point in points:
        key: Any = point
        with suppress(ArithmeticError, TypeError, ValueError), mp.workprec(250):
            centre = mp.mpf(sympy.N(point, 75)._to_mpmath(250))
            values = [f(centre + mp.mpf(side) / far) for side in (-1, 1) for far in (53, 97)]
            if all(map(mpmath.isfinite, values)) and not is_alone(expr, x, point):
                key = tuple(mp.nstr(value, 30) for value in values)
        found.setdefault(key, []).append(point)
    return list(found.values())


def values_apart(expr: sympy.Expr, x: sympy.Symbol) -> tuple[dict[sympy.Expr, sympy.Expr], sympy.Expr]:
    """Return {number: value there} of the leading pieces with the conditions x == number, and the rest of `expr`."""
    apart: dict[sympy.Expr, sympy.Expr] = {}
    while isinstance(expr, sympy.Piecewise) and len(expr.args) > 1:
        (value, condition), *rest = expr.args
        equations = condition.args if isinstance(condition, sympy.Or) else (condition,)
        if not all(isinstance(e, sympy.Eq) and e.lhs == x and e.rhs.is_number for e in equations):
            break
        for equation in equations:  # SymPy joins the conditions of equal values
            apart.setdefault(equation.rhs, value.subs(x, equation.rhs))
        expr = sympy.Piecewise(*rest)
    return apart, expr


def one_sided(expr: sympy.Expr, x: sympy.Symbol, point: sympy.Expr, side: int) -> sympy.Expr:
    """Return the formula without pieces that `expr` is next to `point`, at its right for `side` = 1, left for −1."""
    near = point + side * CLOSE
    return chosen(expr, x, near)


@lru_cache(maxsize=2048)
def near_limit(expr: sympy.Expr, x: sympy.Symbol, point: sympy.Expr, side: int) -> sympy.Expr | None:
    """Return the limit of `expr` for x → `point` from one side, ±oo too; None where there is none or no real value."""
    formula = one_sided(expr, x, point, side)
    if not _is_real(formula, x, point, side):
        return None
    own = value_at(formula, x, point)
    if own is not None and own.is_finite:
        return own
    try:
        return _read_near(formula, x, point, side)
    except Exception:  # whatever mpmath stumbles over
        return None


def value_at(expr: sympy.Expr, x: sympy.Symbol, point: sympy.Expr) -> sympy.Expr | None:
    """Return the value by substitution, ±oo too; None where that is no real number."""
    try:
        value = chosen(expr, x, point).subs(x, point)
    except (TypeError, ValueError):  # a comparison with what is no number
        return None
    if value.has(*NO_NUMBERS) or value.is_extended_real is False:
        return None
    if value.is_infinite or value.is_Rational:
        return value
    number = value.evalf(30)
    return value if number.is_Float and number.is_finite else sympy.Integer(0) if number == 0 else None


def differ(one: sympy.Expr | None, other: sympy.Expr | None) -> bool:
    """Say whether two limits differ by more than 1e-30; a missing one differs from each."""
    if one is None or other is None or one is sympy.nan or other is sympy.nan:
        return True
    if one.is_infinite or other.is_infinite:
        return bool(one != other)
    return bool(abs(sympy.N(one - other, 40)) > sympy.Float("1e-30"))


def _value(expr: sympy.Expr, plain: sympy.Expr, x: sympy.Symbol, point: sympy.Expr, order: int) -> sympy.Expr:
    """Return what the derivative `plain` of `expr` is to be at a point: see `derivative`."""
    own = value_at(plain, x, point)
    alone = is_alone(expr, x, point)
    if own is not None and own.is_finite and (order == 0 or not alone):
        return own
    if order and any(one_sided(expr, x, point, s).has(*NO_NUMBERS) for s in (-1, 1)):
        return sympy.nan  # log(relu(x)) is −∞ for every x ≤ 0
    sides = [s for s in (-1, 1) if _is_real(one_sided(expr, x, point, s), x, point, s)]
    limits = [near_limit(plain, x, point, s) for s in sides]
    if limits and limits[0] is not None and not any(differ(limits[0], limit) for limit in limits):
        return limits[0]
    if alone:
        return sympy.nan if own is None else own
    here = chosen(expr, x, point)
    same = [one_sided(expr, x, point, s) == here for s in sides]
    if sum(same) == 1 and (limit := limits[same.index(True)]) is not None:
        return limit
    return sympy.nan


def _is_removable(expr: sympy.Expr, x: sympy.Symbol, point: sympy.Expr) -> bool:
    left, right = (near_limit(expr, x, point, side) for side in (-1, 1))
    return left is not None and bool(left.is_finite) and not differ(left, right)


def _is_real(formula: sympy.Expr, x: sympy.Symbol, point: sympy.Expr, side: int) -> bool:
    """Say whether a formula is real next to a point: √x is not for x < 0."""
    value = formula.subs(x, sympy.N(point, 40) + side * sympy.Float("1e-9", 40)).evalf(20)
    return bool(value.is_extended_real)


def _marked(expr: sympy.Expr) -> sympy.Expr:
    """Write NaN for the values of pieces that are no number: 1/0 of 1/abs(x) at 0."""
    if not expr.has(sympy.Piecewise) or not expr.has(*NO_NUMBERS):
        return expr
    if isinstance(expr, sympy.Piecewise):
        pairs = [(_marked(value), condition) for value, condition in expr.args]
        return sympy.Piecewise(*((sympy.nan if v.is_number and v.has(*NO_NUMBERS) else v, c) for v, c in pairs))
    return expr.func(*map(_marked, expr.args))


def _differentiated(expr: sympy.Expr, x: sympy.Symbol, order: int) -> sympy.Expr:
    """Differentiate each piece; one that is ±∞ has no derivative."""
    if not isinstance(expr, sympy.Piecewise):
        return sympy.diff(expr, x, order)
    pairs = [(sympy.nan if v.has(*NO_NUMBERS) else _differentiated(v, x, order), c) for v, c in expr.args]
    return sympy.Piecewise(*pairs)


def _without(expr: sympy.Expr, x: sympy.Symbol, conditions: list[sympy.Basic]) -> sympy.Expr:
    """Return the expression without leading pieces under conditions that have gone before."""
    if isinstance(expr, sympy.Piecewise) and expr.args[0][1] in conditions:
        return sympy.Piecewise(*expr.args[1:])
    return expr


@lru_cache(maxsize=512)
def _singular(expr: sympy.Expr, x: sympy.Symbol) -> frozenset[sympy.Expr]:
    """Return the zeros of divisors and of roots' and logarithms' arguments, each of a piece that reaches it."""
    zeros = {point for u in _vanishing(expr) for point in zeros_near(u, x)}
    return frozenset(point for point in zeros if _is_singular(expr, x, point))


def _is_singular(expr: sympy.Expr, x: sympy.Symbol, point: sympy.Expr) -> bool:
    # 0/x, a side of relu(x)/x, is 0 in SymPy and NaN in code.
    plain = expr.replace(lambda e: isinstance(e, sympy.Piecewise), lambda e: sympy.Dummy(real=True))
    for formula in {plain, *(chosen(expr, x, point + shift) for shift in (0, -CLOSE, CLOSE))}:
        values = [u.subs(x, point).evalf(30) for u in _vanishing(formula)]
        if any(value.is_number and not value.has(*NO_NUMBERS) and abs(value) < 1e-20 for value in values):
            return True
    return False


def _vanishing(expr: sympy.Expr) -> set[sympy.Expr]:
    """Return the divisors and the arguments of roots and logarithms."""
    powers = {p.base for p in expr.atoms(sympy.Pow) if not (p.exp.is_Integer and p.exp > 0) and p.base != sympy.E}
    return {u for u in powers | {log.args[0] for log in expr.atoms(sympy.log)} if u.free_symbols and not u.is_nonzero}


@lru_cache(maxsize=512)
def _borders(expr: sympy.Expr, x: sympy.Symbol) -> set[sympy.Expr]:
    relations = {r for piece in expr.atoms(sympy.Piecewise) for _, c in piece.args for r in c.atoms(Relational)}
    return {point for r in relations for point in zeros_near(r.lhs - r.rhs, x)}


def _read_near(formula: sympy.Expr, x: sympy.Symbol, point: sympy.Expr, side: int) -> sympy.Expr | None:
    with mp.workprec(_BITS):
        centre = mp.mpf(sympy.N(point, _BITS // 3)._to_mpmath(_BITS))
        f = numeric(formula, x)

        def values(far: list[mpmath.mpf]) -> list[mpmath.mpf] | None:
            found = [mp.mpmathify(f(centre + 1 / p)) for p in far]
            real = all(mpmath.isfinite(value) and mp.im(value) == 0 for value in found)
            return [mp.re(value) for value in found] if real else None

        far = far_points(side, _FAR)
        if (near := values(far)) is None:
            return None
        limit = read_off(far, near)[1]
        if isinstance(limit, str):  # as 1/ln|x|
            slow = values([side * size for size in slow_points()])
            return None if slow is None else settled(slow)
        return limit
