"""Guards for the fallback lowering: NaN, ±inf, overflow.

A formula printed operation by operation may form ∞ − ∞ or ∞·0 although its value is finite (x·tanh(e^x) has the
derivative … + x·e^x·(1 − tanh²(e^x))). The program is tried in float32 and float64 on a grid up to the largest number;
where it fails, x is held at the last good point, and beyond stands another form (see `tails`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy
from mpmath import mp

from cosnb.analysis.numeric import numeric
from cosnb.codegen.evaluate import trial
from cosnb.codegen.expansions import Expansion, expansions
from cosnb.codegen.program import Program
from cosnb.codegen.tails import Tail, limit, tail
from cosnb.host import lambdify, numpy

TYPES: tuple[Any, ...] = (numpy.float32, numpy.float64)
LOST = 8.0  # ulp by NumPy, which rounds each product, that are worth other code: about 4 in C
_LARGEST = 2.0**127
_TINIEST = 2.0**-1000  # instead of 0, which has no logarithm
_PARAMETERS = (0.7, 1.0, -1.3, 3.0, 25.0)


@dataclass(frozen=True)
class Repairs:
    """What a program needs: tails and limits at −∞ and +∞, expansions at finite points, and whether NaN is lost."""

    tails: tuple[Tail | None, Tail | None]
    limits: tuple[sympy.Expr | None, sympy.Expr | None]
    expansions: list[Expansion]
    nan: bool


def repairs(program: Program, expr: sympy.Expr, x: sympy.Symbol) -> Repairs:
    """Return what `program`, which computes `expr` head by head, needs at the edges."""
    functions = [trial(program, dtype) for dtype in TYPES]
    tails = tuple(tail(functions, expr, x, side) for side in (-1, 1))
    limits = tuple(
        limit(functions, expr, x, side) if found is None or found.form is not None else None
        for found, side in zip(tails, (-1, 1), strict=True)
    )
    nan = not all(numpy.isnan(f(numpy.array([numpy.nan], dtype))[0]) for f, dtype in zip(functions, TYPES, strict=True))
    exact = [trial(program, dtype, exactly=True) for dtype in TYPES]
    return Repairs(tails, limits, expansions(exact, expr, x), nan)  # type: ignore[arg-type]


def missed(program: Program, values: Mapping[sympy.Expr, sympy.Expr]) -> list[sympy.Expr]:
    """Return the numbers at which a float32 or float64 evaluation is not their value, ±∞ or NaN too, within 4 ulp."""
    found = set()
    for dtype in TYPES if values else ():
        tolerance = 4 * float(numpy.finfo(dtype).eps)
        got = trial(program, dtype)(numpy.array([float(point) for point in values]))
        for (point, value), one in zip(values.items(), got, strict=True):
            if not numpy.isclose(one, dtype(float(value)), rtol=tolerance, atol=0, equal_nan=True):
                found.add(point)
    return [point for point in values if point in found]


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
        single, double = (trial(program, dtype, values)(points) for dtype in TYPES)
        with numpy.errstate(invalid="ignore"):
            unlike = ~(numpy.abs(single - double) <= 1e-2 * numpy.abs(double) + 1e-37)
        lost += int(numpy.sum(~numpy.isfinite(double) | (unlike & (numpy.abs(double) < 1e37))))
    return lost


def lost_digits(program: Program, expr: sympy.Expr, x: sympy.Symbol) -> int:
    """Return at how many of some 300 numbers a float32 evaluation is more than 4 ulp from `expr`, by mpmath.

    Those of either sign: 2^k from k = −96 to 96 in steps of 6, and of a quarter between −6 and 7.
    """
    exponents = sorted({*range(-96, 97, 6), *(k / 4 for k in range(-24, 29))})
    sizes = [2.0**k * share for k in exponents for share in (1.0, 1.37)]
    points = numpy.array([side * size for size in sizes for side in (-1.0, 1.0)]).astype(numpy.float32)
    f, lost = numeric(expr, x), 0
    with mp.workprec(400):
        for point, got in zip(points, trial(program, numpy.float32)(points), strict=True):
            try:
                value = f(mp.mpf(float(point)))
            except (ArithmeticError, ValueError, TypeError):
                continue
            if mp.im(value) or not mp.isfinite(value) or abs(value) > _LARGEST:
                continue
            octave = int(mp.mag(value)) if value else -125
            lost += not abs(float(got) - mp.re(value)) <= 4 * mp.mpf(2) ** max(octave - 24, -149)
    return lost


def largest_term(expr: sympy.Expr, x: sympy.Symbol, points: numpy.ndarray) -> numpy.ndarray:
    """Return the size of the largest term of a sum at float64 numbers."""
    terms = [_float64(term, x)(points) for term in expr.as_ordered_terms()]
    return numpy.max([numpy.abs(numpy.broadcast_to(term, points.shape)) for term in terms], axis=0)


def errors(program: Program, expr: sympy.Expr, x: sympy.Symbol) -> tuple[float, float]:
    """Return the largest errors of a float32 evaluation by NumPy for 2⁻²⁰ ≤ |x| ≤ 16, against float64.

    The first in ulp of f where |f| is at least 2⁻⁶ of its largest term, elsewhere of that term; the second in ulp of
    the largest of f and its terms everywhere. The terms are those of the sum `expr`.
    """
    half = numpy.exp2(numpy.linspace(-20, 4, 4000))
    points = numpy.concatenate([-half, half]).astype(numpy.float32)
    exact = trial(program, numpy.float64)(points)
    with numpy.errstate(all="ignore"):  # f or a term may underflow or overflow: sigmoid(50*x), tanh(1e30*x)
        reference, largest = numpy.abs(exact), largest_term(expr, x, points.astype(float))
        error = numpy.abs(trial(program, numpy.float32)(points) - exact)
        by_class = numpy.where(reference >= largest / 64, reference, largest)
        first, second = (in_ulp(error, size) for size in (by_class, numpy.maximum(reference, largest)))
    return first, second


def in_ulp(error: numpy.ndarray, size: numpy.ndarray) -> float:
    """Return the largest error in ulp of numbers of the given sizes, at least those of subnormal floats."""
    unit = numpy.exp2(numpy.floor(numpy.log2(numpy.maximum(size, _TINIEST))) - 23)
    ratio = error / unit
    return float(numpy.max(ratio[numpy.isfinite(ratio)], initial=0.0))


def _float64(term: sympy.Expr, x: sympy.Symbol) -> Callable[[numpy.ndarray], numpy.ndarray]:
    """Return `term` by NumPy, which takes an integer beyond 2⁶³ for an object that no function knows."""
    large = {number: sympy.Float(number, 17) for number in term.atoms(sympy.Integer) if abs(number) >= 2**53}
    return lambda points: numpy.asarray(lambdify(x, term.xreplace(large))(points))
