"""Taylor polynomials next to the points where a formula's own terms cancel or are 0/0.

sin(x)/x has the second derivative 2·sin(x)/x³ − 2·cos(x)/x² − sin(x)/x, whose terms grow without bound for x → 0 while
their sum tends to −1/3. The program is tried in float32 and float64 next to each special point; where it is off by more
than 4 ulp, a polynomial about the point takes over, as the asymptote does at ±∞ (see `guards`). Its coefficients are
those of Cauchy's formula on a circle around the point, in 50 digits: that asks for no algebra, and the circle shows
whether the function is analytic there. How far it reaches and its degree are measured.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
import sympy
from mpmath import mp, mpf

from cosnb.analysis import limited
from cosnb.analysis.numeric import numeric
from cosnb.analysis.special import barriers, near_limit, one_sided, special_points
from cosnb.codegen.program import Program
from cosnb.host import numpy
from cosnb.symbolic.functions import floor

_TYPES: tuple[Any, ...] = (numpy.float32, numpy.float64)
_BITS = 220
_SAMPLES = 256  # on the circle: 128 coefficients, and what tells whether they are true
_KEPT = _SAMPLES // 2
_WIDEST, _NARROWEST = 4.0, 2.0**-7  # radii tried
_CHECKED = 16  # Laurent coefficients of either end
_TOLERANCE = mpf(2) ** -80  # of what vanishes for an analytic function, relative to the largest value on the circle
_GOOD = 4.0  # ulp that the program may be off by in NumPy, whose functions are a little better than those in C
_TRUNCATED = 2.0**-56  # of the leading term: what the polynomial leaves out
# Of the circle's radius, at most 0.65 of that of convergence. There 41 terms have double's digits.
_SHARE = 0.6
_FURTHER = 1.5  # than where the program was seen to be off, for it may be off between the points tried
_SECONDS = 20.0


@dataclass(frozen=True)
class Expansion:
    """Σ coefficients[k]·(x − centre)ᵏ where |x − centre| < radius, on one side of the centre (±1) or on both (0)."""

    centre: sympy.Expr
    side: int
    radius: float
    coefficients: tuple[sympy.Expr, ...]


def expansions(functions: Sequence[Callable], expr: sympy.Expr, x: sympy.Symbol) -> list[Expansion]:
    """Return what the program of `expr`, tried as `functions` of float32 and float64, needs at finite points."""
    found: list[Expansion] = []
    if expr.has(floor):  # whose jumps no circle shows
        return found
    for centre in special_points(expr, x):
        far = [abs(point - float(centre)) for point in barriers(expr, x) if abs(point - float(centre)) > 1e-9]
        room = min([_WIDEST, *far])
        sides = [_taylor(one_sided(expr, x, centre, side), x, centre, room) for side in (-1, 1)]
        needed = [
            _needed(functions, centre, side, _polynomial_truth(series, centre), _SHARE * series.radius)
            if series
            else 0.0
            for side, series in zip((-1, 1), sides, strict=True)
        ]
        needed = [
            radius if series and radius and _is_true(expr, x, centre, side, radius, series) else 0.0
            for side, series, radius in zip((-1, 1), sides, needed, strict=True)
        ]
        if sides[0] is not None and sides[0] == sides[1] and any(needed):
            found.append(Expansion(centre, 0, max(needed), _shortened(sides[0], max(needed))))
            continue
        for side, series, radius in zip((-1, 1), sides, needed, strict=True):
            if series is None:
                found += _limit_near(functions, expr, x, centre, side, room / 2)
            elif radius:
                found.append(Expansion(centre, side, radius, _shortened(series, radius)))
    return found


def _is_true(
    expr: sympy.Expr, x: sympy.Symbol, centre: sympy.Expr, side: int, radius: float, series: "_Series"
) -> bool:
    """Say whether a series is the formula, pieces and all, at some points up to `radius`; SymPy chose the piece."""
    whole, truth = numeric(expr, x), _polynomial_truth(series, centre)
    with mp.workprec(_BITS):
        for share in (0.93, 0.41, 0.07):
            point = mpf(sympy.N(centre, 80)._to_mpmath(_BITS)) + side * share * mpf(radius)
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
            series = _taylor(one_sided(expr, x, centre, side), x, centre, min([_WIDEST, *far]))
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
    with mp.workprec(_BITS):
        value = mpf(sympy.N(limit, 40)._to_mpmath(_BITS))
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
    if centre.is_Rational and sympy.Rational(float(numpy.float32(float(centre)))) == centre:
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


@dataclass(frozen=True)
class _Series:
    coefficients: tuple[mpf, ...]
    radius: float  # of the circle


@lru_cache(maxsize=512)
def _taylor(formula: sympy.Expr, x: sympy.Symbol, centre: sympy.Expr, room: float) -> _Series | None:
    """Return the series of a formula without pieces about `centre`; None where it is not analytic there."""
    try:
        return limited.call(_on_circles, formula, x, centre, room, seconds=_SECONDS)
    except Exception:  # the time limit, and whatever mpmath stumbles over
        return None


def _on_circles(formula: sympy.Expr, x: sympy.Symbol, centre: sympy.Expr, room: float) -> _Series | None:
    with mp.workprec(_BITS):
        f, c = numeric(formula, x), mpf(sympy.N(centre, 80)._to_mpmath(_BITS))
        radius = room
        while radius >= _NARROWEST:
            coefficients = _on_circle(f, c, mpf(radius))
            if coefficients is not None:
                return _Series(coefficients, radius)
            radius *= 2**-0.25
    return None


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

    others = [*range(_KEPT, _KEPT + _CHECKED), *range(-_CHECKED, 0)]
    if any(abs(coefficient(k)) > _TOLERANCE * largest for k in others):
        return None
    sums = map(coefficient, range(_KEPT))
    scaled = [mpf(0) if abs(total) < _TOLERANCE * largest else total for total in sums]
    return tuple(total / radius**k for k, total in enumerate(scaled))


Truth = Callable[[mpf], mpf]


def _polynomial_truth(series: _Series, centre: sympy.Expr) -> Truth:
    """Return the series as a function of x, for |x − centre| ≤ _SHARE of the radius."""
    backwards, exact = series.coefficients[::-1], mpf(sympy.N(centre, 80)._to_mpmath(_BITS))
    return lambda point: mp.polyval(backwards, point - exact)


def _formula_truth(formula: sympy.Expr, x: sympy.Symbol) -> Truth:
    f = numeric(formula, x)

    def truth(point: mpf) -> mpf:
        with mp.workprec(10 * _BITS):
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
        with mp.workprec(_BITS):
            exact = mpf(sympy.N(centre, 80)._to_mpmath(_BITS))
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


def _is_off(value: float, truth: mpf, info: Any) -> bool:
    if not numpy.isfinite(value):
        return not (value == mp.sign(truth) * mp.inf and abs(truth) > float(info.max))
    unit = max(abs(truth), mpf(float(info.tiny))) * mpf(float(info.eps))
    return bool(abs(mpf(value) - truth) > _GOOD * unit)


def _shortened(series: _Series, radius: float, truncated: float = _TRUNCATED) -> tuple[sympy.Expr, ...]:
    """Return as many coefficients as `radius` needs, small fractions as such."""
    with mp.workprec(_BITS):
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
