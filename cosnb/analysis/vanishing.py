"""Numbers at which a part of a formula vanishes, found soon and without proof: the candidates for special points."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache

import mpmath
import sympy
from mpmath import mp

from cosnb.analysis.numeric import numeric
from cosnb.host import lambdify, numpy

NO_NUMBERS = (sympy.nan, sympy.zoo)
_REACH, _STEP = 40, 1 / 16  # of the search, whose grid holds the small binary fractions
_MAX_POINTS = 100
_ZOOMS = 4  # each by 24: the fourth root of a distance falls to 1/24


@lru_cache(maxsize=1024)
def zeros_near(u: sympy.Expr, x: sympy.Symbol) -> tuple[sympy.Expr, ...]:
    """Return the real zeros of `u` in ascending order, Floats where no exact number is recognised."""
    if u.free_symbols != {x}:
        return ()
    if u.has(sympy.Piecewise):
        return tuple({point for part in _branches(u) for point in zeros_near(part, x)})
    if u.is_polynomial(x) and all(c.is_Rational for c in sympy.Poly(u, x).coeffs()):
        return tuple(root for root, _ in sympy.Poly(u, x).real_roots(multiple=False))
    return tuple(_scanned(u, x))


def _branches(u: sympy.Expr) -> Iterator[sympy.Expr]:
    """Yield `u` with each Piecewise replaced by its first value, its second, …, those without pieces."""
    pieces = u.atoms(sympy.Piecewise)
    for k in range(max(len(piece.args) for piece in pieces)):
        chosen = u.xreplace({piece: piece.args[min(k, len(piece.args) - 1)][0] for piece in pieces})
        if not chosen.has(sympy.Piecewise, *NO_NUMBERS):
            yield chosen


def _scanned(u: sympy.Expr, x: sympy.Symbol) -> list[sympy.Expr]:
    """Return zeros within ±40: changes of sign and places where |u| dips to 0, refined in 50 digits."""
    grid = numpy.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    double = lambdify(x, u, special=True)
    real = _reals(double, grid)
    size = numpy.abs(real)
    found: list[sympy.Expr] = []
    with mp.workdps(50):
        f = numeric(u, x)
        for i in range(1, len(grid) - 1):
            if not numpy.isfinite(size[i]) or size[i] > size[i - 1] or size[i] > size[i + 1]:
                continue
            if size[i - 1] == size[i] == size[i + 1]:  # 0 or another number on an interval
                continue
            changes = real[i] * real[i - 1] < 0 or real[i] * real[i + 1] < 0
            if changes or (size[i] < 0.5 and _dips(double, float(grid[i]), float(size[i]))):
                point = _refined(f, float(grid[i]))
                if point is not None and point not in found:
                    found.append(point)
    return found[:_MAX_POINTS]


def _reals(double: Callable, points: numpy.ndarray) -> numpy.ndarray:
    """Return values in float64, NaN where they are no real numbers."""
    with numpy.errstate(all="ignore"):
        values = numpy.broadcast_to(numpy.asarray(double(points), complex), points.shape)
    return numpy.where(values.imag == 0, values.real, numpy.nan)


def _dips(double: Callable, centre: float, least: float) -> bool:
    """Say whether |u| falls below 1/20 of its value at a point of the grid next to it, by looking ever closer."""
    width, first = _STEP, least
    for _ in range(_ZOOMS):
        if least == 0:
            return True
        points = centre + numpy.linspace(-width, width, 65)
        size = numpy.abs(_reals(double, points))
        if not numpy.isfinite(size).any():
            return False
        nearest = int(numpy.nanargmin(size))
        centre, least, width = float(points[nearest]), float(size[nearest]), width / 24
    return least < first / 20


def _refined(f: object, start: float) -> sympy.Expr | None:
    """Return the zero near a point of the grid, exactly where it is a small fraction or a small multiple of π."""
    try:
        zero = mp.mpf(start)
        if f(zero) != 0:  # type: ignore[operator]
            zero = mp.re(mp.findroot(f, zero, solver="mnewton", verify=False))
        if abs(zero - start) > 2 * _STEP or abs(f(zero)) > mpmath.mpf(10) ** -20:  # type: ignore[operator]
            return None
    except (ArithmeticError, ValueError, TypeError):
        return None
    for unit, symbol in ((mp.mpf(1), sympy.Integer(1)), (mp.pi, sympy.pi)):
        ratio = Fraction(int(mp.nint(mp.ldexp(zero / unit, 100))), 2**100).limit_denominator(60)
        if abs(zero / unit - mp.mpf(ratio.numerator) / ratio.denominator) < mp.mpf(10) ** -12:
            return sympy.Rational(ratio.numerator, ratio.denominator) * symbol
    return sympy.Float(zero, 30)
