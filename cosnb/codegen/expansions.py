"""Taylor polynomials next to the points where a formula's own terms cancel or are 0/0.

sin(x)/x has the second derivative 2·sin(x)/x³ − 2·cos(x)/x² − sin(x)/x, whose terms grow without bound for x → 0 while
their sum tends to −1/3. The program is tried in float32 and float64 next to each special point; where it is off by more
than 4 ulp, a polynomial about the point takes over, as the asymptote does at ±∞ (see `guards`). Its coefficients are
those of Cauchy's formula (see `taylor`). How far it reaches and its degree are measured.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy
from mpmath import mp, mpf

from cosnb.analysis.numeric import numeric
from cosnb.analysis.special import barriers, near_limit, one_sided, special_points, surroundings
from cosnb.analysis.taylor import BITS, KEPT, Series, taylor
from cosnb.codegen.program import Program, single_holds
from cosnb.host import numpy
from cosnb.symbolic.functions import floor

_TYPES: tuple[Any, ...] = (numpy.float32, numpy.float64)
_WIDEST = 4.0  # radius tried
_GOOD = 4.0  # ulp that the program may be off by in NumPy, whose functions are a little better than those in C
_LOST = 256.0  # ulp next to 0 that are worth a polynomial where the formula is not singular
_TRUNCATED = 2.0**-56  # of the leading term: what the polynomial leaves out
# Of the circle's radius, at most 0.65 of that of convergence. There 41 terms have double's digits.
_SHARE = 0.6
_FURTHER = 1.5  # than where the program was seen to be off, for it may be off between the points tried


@dataclass(frozen=True)
class Expansion:
    """Σ coefficients[k]·(x − centre)ᵏ where |x − centre| < radius, on one side of the centre (±1) or on both (0)."""

    centre: sympy.Expr
    side: int
    radius: float
    coefficients: tuple[sympy.Expr, ...]


def expansions(functions: Sequence[Callable], expr: sympy.Expr, x: sympy.Symbol) -> list[Expansion]:
    """Return what the program of `expr`, tried as `functions` of float32 and float64, needs at finite points.

    Those are the special points, and 0 where terms cancel next to it: x − sin x.
    """
    if expr.has(floor):  # whose jumps no circle shows
        return []
    groups = surroundings(expr, x, special_points(expr, x))
    found = [one for alike in groups for one in _about(functions, expr, x, alike)]
    return found + at_zero(functions, expr, x)


def at_zero(functions: Sequence[Callable], expr: sympy.Expr, x: sympy.Symbol) -> list[Expansion]:
    """Return what the program needs at 0, if that is no special point and it is off by more than 256 ulp near it."""
    zero = sympy.Integer(0)
    if expr.has(floor) or zero in special_points(expr, x):
        return []
    for side in (-1, 1):
        points = numpy.array([side * 1.375 * 2.0**-k for k in range(4, 41, 3)])
        try:
            truth = _formula_truth(one_sided(expr, x, zero, side), x)
            values = [truth(mpf(float(point))) for point in points]
        except (ArithmeticError, ValueError, TypeError):
            return []
        for evaluate, dtype in zip(functions, _TYPES, strict=True):
            got, info = evaluate(points.astype(dtype)), numpy.finfo(dtype)
            if any(_is_off(float(one), value, info, _LOST) for one, value in zip(got, values, strict=True)):
                return _about(functions, expr, x, [zero])
    return []


def _about(
    functions: Sequence[Callable], expr: sympy.Expr, x: sympy.Symbol, alike: list[sympy.Expr]
) -> list[Expansion]:
    """Return what the program needs about points around which `expr` is the same."""
    centre = alike[0]
    far = [abs(point - float(centre)) for point in barriers(expr, x) if abs(point - float(centre)) > 1e-9]
    room = min([_WIDEST, *far])
    sides = [taylor(one_sided(expr, x, centre, side), x, centre, room) for side in (-1, 1)]
    # The program errs most where x itself is coarsest.
    tried = {min(alike, key=_size), max(alike, key=_size)}
    needed = [
        max(_needed(functions, c, side, _polynomial_truth(series, c), _SHARE * series.radius) for c in tried)
        if series
        else 0.0
        for side, series in zip((-1, 1), sides, strict=True)
    ]
    needed = [
        radius if series and radius and _is_true(expr, x, centre, side, radius, series) else 0.0
        for side, series, radius in zip((-1, 1), sides, needed, strict=True)
    ]
    here: list[Expansion] = []
    if sides[0] is not None and sides[0] == sides[1] and any(needed):
        here = [Expansion(centre, 0, max(needed), _shortened(sides[0], max(needed)))]
    else:
        for side, series, radius in zip((-1, 1), sides, needed, strict=True):
            if series is None:
                here += _limit_near(functions, expr, x, centre, side, room / 2)
            elif radius:
                here.append(Expansion(centre, side, radius, _shortened(series, radius)))
    return [replace(one, centre=point) for point in alike for one in here]


def _size(point: sympy.Expr) -> float:
    return abs(float(point))


def _is_true(expr: sympy.Expr, x: sympy.Symbol, centre: sympy.Expr, side: int, radius: float, series: Series) -> bool:
    """Say whether a series is the formula, pieces and all, at some points up to `radius`; SymPy chose the piece."""
    whole, truth = numeric(expr, x), _polynomial_truth(series, centre)
    with mp.workprec(BITS):
        for share in (0.93, 0.41, 0.07):
            point = mpf(sympy.N(centre, 80)._to_mpmath(BITS)) + side * share * mpf(radius)
            try:
                value = whole(point)
            except (ArithmeticError, ValueError, TypeError):
                return False
            if mp.im(value) != 0 or not abs(mp.re(value) - truth(point)) <= 1e-12 * abs(truth(point)) + mpf(10) ** -40:
                return False
    return True


def polynomials(expr: sympy.Expr, x: sympy.Symbol) -> list[tuple[sympy.Expr, sympy.Basic]]:
    """Return (polynomial in x, condition) next to each removable singularity, within 2⁻⁷⁴ of the leading term."""
    found: list[tuple[sympy.Expr, sympy.Basic]] = []
    if expr.has(floor):
        return found
    for centre in special_points(expr, x):
        far = [abs(point - float(centre)) for point in barriers(expr, x) if abs(point - float(centre)) > 1e-9]
        for side in (-1, 1):
            series = taylor(one_sided(expr, x, centre, side), x, centre, min([_WIDEST, *far]))
            if series is not None and _is_true(expr, x, centre, side, series.radius / 4, series):
                radius = series.radius / 4
                coefficients = _shortened(series, radius, 2.0**-74)
                value = sum((c * (x - centre) ** k for k, c in enumerate(coefficients)), sympy.Integer(0))
                away = side * (x - centre)
                found.append((value, sympy.And(away > 0, away < sympy.Float(radius))))
    return found


def _limit_near(
    functions: Sequence[Callable], expr: sympy.Expr, x: sympy.Symbol, centre: sympy.Expr, side: int, room: float
) -> list[Expansion]:
    """Return the limit where the program gives no number and the formats have no other: e^(−1/x²)/x³ near 0."""
    limit = near_limit(expr, x, centre, side) if centre.is_Rational else None
    if limit is None:
        return []
    truth = _formula_truth(one_sided(expr, x, centre, side), x)
    with mp.workprec(BITS):
        value = mpf(sympy.N(limit, 40)._to_mpmath(BITS))
    radius = _needed(functions, centre, side, truth, room, value)
    return [Expansion(centre, side, radius, (limit,))] if radius else []


def emit(program: Program, expansion: Expansion, x: int, otherwise: int) -> int:
    """Emit the choice between an expansion and the step `otherwise`; where x is NaN it is that step."""
    away = _away(program, expansion.centre, x)
    value = _polynomial(program, away, expansion.coefficients)
    radius = program.number(sympy.Float(expansion.radius))
    if expansion.side == 0:
        inside = program.emit("lt", program.emit("abs", away), radius)
    else:
        size = away if expansion.side > 0 else program.neg(away)
        near, zero = program.emit("lt", size, radius), program.number(0)
        inside = program.emit("and", program.emit("gt", size, zero), near)
    return program.where(inside, value, otherwise)


def _away(program: Program, centre: sympy.Expr, x: int) -> int:
    """Emit x − centre; of π, which no format has, in two steps, for x − π may be all that counts."""
    if centre == 0:
        return x
    if centre.is_Rational and single_holds(centre):
        return program.add(x, program.neg(program.number(centre)))
    near = [sympy.Rational(float(dtype(float(centre)))) for dtype in (numpy.float32, numpy.float64)]
    rest = [sympy.N(centre - part, 40) for part in near]
    return program.emit("sub", program.emit("sub", x, program.edge(*near)), program.edge(*rest))


def _polynomial(program: Program, away: int, coefficients: tuple[sympy.Expr, ...]) -> int:
    """Emit Horner's rule, in the square where only even or only odd powers occur."""
    if not any(coefficients):
        return program.number(0)
    odd = all(c == 0 for c in coefficients[::2])
    if odd or all(c == 0 for c in coefficients[1::2]):
        square = program.mul(away, away)
        value = _horner(program, square, coefficients[1::2] if odd else coefficients[::2])
        return program.mul(value, away) if odd else value
    return _horner(program, away, coefficients)


def _horner(program: Program, y: int, coefficients: tuple[sympy.Expr, ...]) -> int:
    value = program.number(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = program.add(program.mul(value, y), program.number(coefficient))
    return value


Truth = Callable[[mpf], mpf]


def _polynomial_truth(series: Series, centre: sympy.Expr) -> Truth:
    """Return the series as a function of x, for |x − centre| ≤ _SHARE of the radius."""
    backwards, exact = series.coefficients[::-1], mpf(sympy.N(centre, 80)._to_mpmath(BITS))
    leading = next((k for k, c in enumerate(series.coefficients) if c), 0)

    def truth(point: mpf) -> mpf:
        away = point - exact
        octaves = mp.mag(series.radius) - mp.mag(away) if away else BITS
        # Coefficients are at most 2⁸⁰/radiusᵏ of the leading one: beyond these, terms are below 2⁻¹⁶⁰ of its term.
        kept = leading + 2 + (KEPT if octaves < 2 else 240 // (octaves - 1))
        return mp.polyval(backwards[-kept:], away)

    return truth


def _formula_truth(formula: sympy.Expr, x: sympy.Symbol) -> Truth:
    f = numeric(formula, x)

    def truth(point: mpf) -> mpf:
        with mp.workprec(10 * BITS):
            return mp.re(f(point))

    return truth


def _needed(
    functions: Sequence[Callable], centre: sympy.Expr, side: int, truth: Truth, room: float, limit: mpf | None = None
) -> float:
    """Return the distance within which a program of float32 or float64 is off, 0 where it never is.

    With a limit only where the program gives no number, and 0 where a format has more numbers there than the limit.
    """
    found = 0.0
    for evaluate, dtype in zip(functions, _TYPES, strict=True):
        info = numpy.finfo(dtype)
        finest = -info.minexp - info.nmant
        steps = [
            (k, j / parts)
            for k in range(finest)
            for parts in (32 if k < 4 else 4 if k < 24 else 1,)
            for j in range(parts)
        ]
        distances = numpy.array([math.ldexp(1 - part / 2, -k) for k, part in steps])
        points = (float(centre) + side * room * distances).astype(dtype)
        points = points[(points - float(centre)) * side > found]
        with mp.workprec(BITS):
            exact = mpf(sympy.N(centre, 80)._to_mpmath(BITS))
            for point, value in zip(points, evaluate(points), strict=True):
                if limit is not None and numpy.isfinite(value):
                    continue
                if _is_off(float(value), true := truth(mpf(float(point))), info):
                    found = max(found, float(abs(mpf(float(point)) - exact)))
                    if limit is None:
                        break
                    if _is_off(float(limit), true, info):
                        return 0.0
    return min(room, found * (_FURTHER if limit is None else 2 ** (1 / 32)))


def _is_off(value: float, truth: mpf, info: Any, most: float = _GOOD) -> bool:
    if not numpy.isfinite(value):
        return not (value == mp.sign(truth) * mp.inf and abs(truth) > float(info.max))
    unit = max(abs(truth), mpf(float(info.tiny))) * mpf(float(info.eps))
    return bool(abs(mpf(value) - truth) > most * unit)


def _shortened(series: Series, radius: float, truncated: float = _TRUNCATED) -> tuple[sympy.Expr, ...]:
    """Return as many coefficients as `radius` needs, small fractions as such."""
    with mp.workprec(BITS):
        sizes = [abs(c) * mpf(radius) ** k for k, c in enumerate(series.coefficients)]
        leading = next((size for size in sizes if size), mpf(1))
        kept = len(sizes)
        while kept > 1 and mp.fsum(sizes[kept - 1 :]) <= truncated * leading:
            kept -= 1
        return tuple(_exactly(c) for c in series.coefficients[:kept])


def _exactly(number: mpf) -> sympy.Expr:
    near = sympy.Rational(int(mp.nint(number * 5040)), 5040)
    close = abs(mpf(near.p) / near.q - number) <= mpf(2) ** -70 * abs(number)
    return near if close else sympy.Float(number, 40)
