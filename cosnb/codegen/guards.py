"""Guards for the fallback lowering: NaN, ±inf, overflow.

A formula printed operation by operation may form ∞ − ∞ or ∞·0 although its value is finite (x·tanh(e^x) has the
derivative … + x·e^x·(1 − tanh²(e^x))). The program is tried in float32 and float64 on a grid up to the largest number;
where it fails, x is held at the last good point, and beyond stands the asymptote, a line or |x|^a·(m·ln|x| + c).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy
from mpmath import mp

from cosnb.analysis import limited
from cosnb.analysis.asymptotes import far_growth, far_limit, far_line
from cosnb.analysis.numeric import numeric
from cosnb.analysis.special import special_points
from cosnb.codegen.evaluate import trial
from cosnb.codegen.expansions import Expansion, expansions
from cosnb.codegen.program import Program
from cosnb.host import lambdify, numpy

_TYPES: tuple[Any, ...] = (numpy.float32, numpy.float64)
_TINIEST = 2.0**-1000  # instead of 0, which has no logarithm
_STEPS = 8  # grid points an octave
_PARAMETERS = (0.7, 1.0, -1.3, 3.0, 25.0)
_AGREE = (20, 40)  # bits to which the asymptote must agree with f where it takes over, for float and double
_ROUNDED = (26, 55)


@dataclass(frozen=True)
class Tail:
    """Beyond `edge` (one for float, one for double) on one side stands slope·x + intercept, or `growth`, not linear."""

    edge: tuple[float, float]
    slope: sympy.Expr = sympy.S.Zero
    intercept: sympy.Expr = sympy.S.Zero
    growth: sympy.Expr | None = None


@dataclass(frozen=True)
class Repairs:
    """What a program needs: tails and limits at −∞ and +∞, expansions at finite points, and whether NaN is lost."""

    tails: tuple[Tail | None, Tail | None]
    limits: tuple[sympy.Expr | None, sympy.Expr | None]
    expansions: list[Expansion]
    nan: bool


def repairs(program: Program, expr: sympy.Expr, x: sympy.Symbol) -> Repairs:
    """Return what `program`, which computes `expr` head by head, needs at the edges."""
    functions = [trial(program, dtype) for dtype in _TYPES]
    tails = tuple(_tail(functions, expr, x, side) for side in (-1, 1))
    limits = tuple(
        None if tail else _limit(functions, expr, x, side) for tail, side in zip(tails, (-1, 1), strict=True)
    )
    nan = not all(
        numpy.isnan(f(numpy.array([numpy.nan], dtype))[0]) for f, dtype in zip(functions, _TYPES, strict=True)
    )
    exact = [trial(program, dtype, exactly=True) for dtype in _TYPES]
    return Repairs(tails, limits, expansions(exact, expr, x), nan)  # type: ignore[arg-type]


def gives(program: Program, point: sympy.Expr, value: sympy.Expr) -> bool:
    """Say whether a float32 and a float64 evaluation at a number is `value`, ±∞ or NaN too, within 4 ulp."""
    for dtype in _TYPES:
        got, wanted = trial(program, dtype)(numpy.array([float(point)]))[0], dtype(float(value))
        if not numpy.isclose(got, wanted, rtol=4 * float(numpy.finfo(dtype).eps), atol=0, equal_nan=True):
            return False
    return True


def lost_values(program: Program, inputs: Sequence[tuple[object, str]]) -> int:
    """Return at how many points a program with parameters has no finite value, or in float32 one unlike float64's.

    The points: ±2^(k/4), 2^−20 ≤ |x| ≤ 2^13; `inputs`: x and the parameters with their names in the program, which take
    numbers of either sign, near 1 and far.
    """
    points = numpy.exp2(numpy.arange(-80, 53) / 4)
    points = numpy.concatenate([-points, points])
    lost = 0
    for first in range(len(_PARAMETERS)):
        names = [name for _, name in inputs[1:]]
        values = {name: _PARAMETERS[(first + 3 * place) % len(_PARAMETERS)] for place, name in enumerate(names)}
        single, double = (trial(program, dtype, values)(points) for dtype in _TYPES)
        with numpy.errstate(invalid="ignore"):
            unlike = ~(numpy.abs(single - double) <= 1e-2 * numpy.abs(double) + 1e-37)
        lost += int(numpy.sum(~numpy.isfinite(double) | (unlike & (numpy.abs(double) < 1e37))))
    return lost


def errors(program: Program, expr: sympy.Expr, x: sympy.Symbol) -> tuple[float, float]:
    """Return the largest errors of a float32 evaluation by NumPy for 2⁻²⁰ ≤ |x| ≤ 16, against float64.

    The first in ulp of f where |f| is at least 2⁻⁶ of its largest term, elsewhere of that term; the second in ulp of
    the largest of f and its terms everywhere. The terms are those of the sum `expr`.
    """
    half = numpy.exp2(numpy.linspace(-20, 4, 4000))
    points = numpy.concatenate([-half, half]).astype(numpy.float32)
    exact = trial(program, numpy.float64)(points)
    with numpy.errstate(all="ignore"):  # f or a term may underflow or overflow: sigmoid(50*x), tanh(1e30*x)
        terms = [_float64(term, x)(points.astype(float)) for term in expr.as_ordered_terms()]
        reference = numpy.abs(exact)
        largest = numpy.max([numpy.abs(numpy.broadcast_to(term, points.shape)) for term in terms], axis=0)
        error = numpy.abs(trial(program, numpy.float32)(points) - exact)
        by_class = numpy.where(reference >= largest / 64, reference, largest)
        first, second = (_in_ulp(error, size) for size in (by_class, numpy.maximum(reference, largest)))
    return first, second


def _in_ulp(error: numpy.ndarray, size: numpy.ndarray) -> float:
    """Return the largest error in ulp of numbers of the given sizes, at least those of subnormal floats."""
    unit = numpy.exp2(numpy.floor(numpy.log2(numpy.maximum(size, _TINIEST))) - 23)
    ratio = error / unit
    return float(numpy.max(ratio[numpy.isfinite(ratio)], initial=0.0))


def _float64(term: sympy.Expr, x: sympy.Symbol) -> Callable[[numpy.ndarray], numpy.ndarray]:
    """Return `term` by NumPy, which takes an integer beyond 2⁶³ for an object that no function knows."""
    large = {number: sympy.Float(number, 17) for number in term.atoms(sympy.Integer) if abs(number) >= 2**53}
    return lambda points: numpy.asarray(lambdify(x, term.xreplace(large))(points))


def _tail(functions: list[Callable], expr: sympy.Expr, x: sympy.Symbol, side: int) -> Tail | None:
    edges, failed, fits, truth = [], False, False, _Truth(expr, x)
    nearest = max((side * float(point) for point in special_points(expr, x)), default=-numpy.inf)
    for evaluate, dtype in zip(functions, _TYPES, strict=True):
        top = numpy.log2(float(numpy.finfo(dtype).max))
        grid = side * numpy.exp2(numpy.arange(-2 * _STEPS, int(top * _STEPS)) / _STEPS).astype(dtype)
        grid = grid[side * grid > nearest]
        last = _last_good(evaluate, grid, truth)
        fails = 0 <= last < len(grid) - 1
        if fails and not truth.is_real(grid[last + 1]):
            return None
        failed |= fails
        fits |= fails and truth.is_below(float(numpy.finfo(dtype).max), grid[last + 1])
        edges.append(float(grid[max(last, 0)]))
    if not failed:
        return None
    if _has_died_away(functions, edges):
        return Tail((edges[0], edges[1]), sympy.Integer(0), sympy.Integer(0))
    growth = far_growth(expr, x, side * sympy.oo) if fits else None
    if growth is not None and _stands_for(growth, expr, x, edges, _ROUNDED):
        return Tail((edges[0], edges[1]), growth=growth)
    line = _in_time(far_line, expr, x, side)
    if line is None or not _stands_for(line[0] * x + line[1], expr, x, edges, _AGREE):
        return None
    return Tail((edges[0], edges[1]), *line)


def _stands_for(
    other: sympy.Expr, expr: sympy.Expr, x: sympy.Symbol, edges: list[float], agree: tuple[int, int]
) -> bool:
    """Say whether `other` agrees with `expr` at each format's edge and at twice that, to its number of bits."""
    f, stands = numeric(expr, x), numeric(other, x)
    with mp.workprec(4000):
        for edge, bits in zip(edges, agree, strict=True):
            for factor in (1, 2):
                at = mpmath.mpf(edge) * factor
                try:
                    value = mp.re(f(at))
                except (OverflowError, TypeError, ValueError, ZeroDivisionError, MemoryError):
                    continue
                small = abs(at) * mpmath.ldexp(1, -bits) if agree is _AGREE else 0
                if abs(value - stands(at)) > mpmath.ldexp(1, -bits) * max(abs(value), small):
                    return False
    return True


class _Truth:
    """f and the size of its largest term by mpmath: what a value far out is held against."""

    def __init__(self, expr: sympy.Expr, x: sympy.Symbol) -> None:
        self.functions = [numeric(term, x) for term in sympy.Add.make_args(expr)]
        # Exponentials of exponentials take mpmath minutes far out; they overflow rather than be finite and wrong.
        self.is_tower = any(f.args[0].has(sympy.exp, sympy.sinh, sympy.cosh) for f in expr.atoms(sympy.Function))

    def is_real(self, point: float) -> bool:
        """Say whether f is real at `point`, as log((1 + x)/(1 − x)) is not at 2; True where mpmath has no answer."""
        try:
            with mp.workdps(30):
                return self.is_tower or all(mp.im(f(mpmath.mpf(float(point)))) == 0 for f in self.functions)
        except (OverflowError, TypeError, ValueError, ZeroDivisionError, MemoryError, mpmath.libmp.NoConvergence):
            return True

    def is_below(self, most: float, point: float) -> bool:
        """Say whether |f| is at most `most` at `point`; False where mpmath has no answer."""
        try:
            with mp.workdps(30):
                return bool(abs(mp.fsum(f(mpmath.mpf(float(point))) for f in self.functions)) <= most)
        except (OverflowError, TypeError, ValueError, ZeroDivisionError, MemoryError, mpmath.libmp.NoConvergence):
            return False

    def agrees(self, point: float, value: float) -> bool:
        """Say whether `value` is f(point) to 1/1000 of the largest term; True where mpmath has no answer."""
        if self.is_tower:
            return True
        try:
            with mp.workdps(30):
                terms = [mp.re(f(mpmath.mpf(float(point)))) for f in self.functions]
                if not all(mpmath.isfinite(term) for term in terms):
                    return True
                return bool(abs(mpmath.mpf(float(value)) - mp.fsum(terms)) <= max(map(abs, terms)) / 1000 + 1e-30)
        except (OverflowError, TypeError, ValueError, ZeroDivisionError, MemoryError, mpmath.libmp.NoConvergence):
            return True


def _last_good(evaluate: Callable, grid: numpy.ndarray, truth: _Truth) -> int:
    """Return the last index of `grid` up to which the values are finite and agree with the truth.

    Finite values may be wrong too: x/√(1 + x²) is 0 where x² overflows. The truth is asked every eighth octave from
    2²⁰ on, then between by bisection.
    """
    values = evaluate(grid)
    bad = numpy.flatnonzero(~numpy.isfinite(values))
    last = int(bad[0]) - 1 if len(bad) else len(grid) - 1
    good = min(last, 22 * _STEPS)
    for index in (*range(good, last, 8 * _STEPS), last):
        if truth.agrees(grid[index], values[index]):
            good = index
            continue
        wrong = index
        while wrong - good > 1:
            middle = (good + wrong) // 2
            good, wrong = (middle, wrong) if truth.agrees(grid[middle], values[middle]) else (good, middle)
        return good
    return last


def _has_died_away(functions: list[Callable], edges: list[float]) -> bool:
    """Say whether the last good values are below all that could matter and fall: no algebra is needed then."""
    for evaluate, edge in zip(functions, edges, strict=True):
        before, last = numpy.abs(evaluate(numpy.array([edge / 2, edge])))
        if not last <= min(before, 1e-30):
            return False
    return True


def _limit(functions: list[Callable], expr: sympy.Expr, x: sympy.Symbol, side: int) -> sympy.Expr | None:
    """Return the limit at ±∞ where there is one and the program does not give it."""
    values = [f(numpy.array([side * numpy.inf], dtype))[0] for f, dtype in zip(functions, _TYPES, strict=True)]
    if not any(numpy.isnan(values)) or numpy.isnan(functions[-1](side * numpy.exp2([20.0, 40.0, 80.0]))).all():
        return None  # or nowhere real on that side, as √x
    return _in_time(far_limit, expr, x, side)


def _in_time(function: Callable, expr: sympy.Expr, x: sympy.Symbol, side: int) -> Any:
    """Return what is known of an end; None where the algebra does not end in time."""
    try:
        return function(expr, x, side * sympy.oo)
    except limited.TimeLimit:
        return None
