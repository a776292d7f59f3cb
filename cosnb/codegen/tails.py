"""What stands far out, where a program overflows on the way to a finite result or forms ∞·0.

The asymptote: 0, a line or |x|^a·(m·ln|x| + c), read off values. Where none agrees with the formula at the edge yet,
the formula in another form: with powers of |x| taken out of roots, logarithms and divisors (√(x² + ½)/(1 + ln²x) has
|x|·√(1 + 1/(2x²)) above then), or that form by the decay of its exponentials (see `decay`). Forms are tried, too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy
from mpmath import mp

from cosnb.analysis.choice import chosen
from cosnb.analysis.far import far_growth, far_limit, far_line
from cosnb.analysis.numeric import numeric
from cosnb.analysis.special import special_points
from cosnb.codegen.decay import DecayTree, by_exponentials
from cosnb.codegen.evaluate import trial
from cosnb.codegen.program import Program
from cosnb.codegen.tree import Tree
from cosnb.errors import CosnbError
from cosnb.host import numpy
from cosnb.symbolic.stable import stable

_TYPES: tuple[Any, ...] = (numpy.float32, numpy.float64)
_STEPS = 8  # grid points an octave
_FIRST, _MOST_NODES = 8 * _STEPS, 400  # the truth is asked from 2⁶ on; of a form that is tried
_FAR_OUT = sympy.Integer(2) ** 30
_AGREE = (20, 40)  # bits to which the asymptote must agree with f where it takes over, for float and double
_ROUNDED = (26, 55)
_NO_ANSWER = (ArithmeticError, TypeError, ValueError, MemoryError, mpmath.libmp.NoConvergence)


@dataclass(frozen=True)
class Form:
    """An expression that stands far out, lowered by the decay of its exponentials if `decaying`."""

    expr: sympy.Expr
    decaying: bool = False

    def lower(self, program: Program, names: dict[sympy.Symbol, int]) -> int:
        """Return the step that holds it, with the symbols' steps given."""
        if self.decaying:
            return DecayTree(program, names).lower(by_exponentials(self.expr))
        return Tree(program, names).lower(self.expr)


@dataclass(frozen=True)
class Tail:
    """Beyond `edge` (one for float, one for double) on one side stands slope·x + intercept, or `form`, not linear."""

    edge: tuple[float, float]
    slope: sympy.Expr = sympy.S.Zero
    intercept: sympy.Expr = sympy.S.Zero
    form: Form | None = None


def tail(functions: list[Callable], expr: sympy.Expr, x: sympy.Symbol, side: int) -> Tail | None:
    """Return what is to stand where a program, tried as `functions` of float32 and float64, fails far out on a side."""
    grids, lasts, failed, fits, truth = [], [], False, False, _Truth(expr, x)
    nearest = max((side * float(point) for point in special_points(expr, x)), default=-numpy.inf)
    for evaluate, dtype in zip(functions, _TYPES, strict=True):
        top = numpy.log2(float(numpy.finfo(dtype).max))
        grid = side * numpy.exp2(numpy.arange(-2 * _STEPS, int(top * _STEPS)) / _STEPS).astype(dtype)
        grid = grid[side * grid > nearest]
        most = float(numpy.finfo(dtype).max)
        last = _last_good(evaluate, grid, truth, most)
        fails = 0 <= last < len(grid) - 1
        if fails and not truth.is_real(grid[last + 1]):
            return None
        failed |= fails
        fits |= fails and truth.is_below(most, grid[last + 1])
        grids.append(grid)
        lasts.append(max(last, 0))
    if not failed:
        return None
    first, second = (float(grid[last]) for grid, last in zip(grids, lasts, strict=True))
    edges = first, second
    if truth.has_died_away(edges):
        return Tail(edges)
    growth = far_growth(expr, x, side * sympy.oo) if fits else None
    if growth is not None and _stands_for(growth, expr, x, edges, _ROUNDED):
        return Tail(edges, form=Form(growth))
    line = far_line(expr, x, side * sympy.oo)
    linear = sympy.nan if line is None else line[0] * x + line[1]
    if line is not None and _stands_for(linear, expr, x, edges, _AGREE):
        return Tail(edges, *line)
    beyond = [grid[last + 1 :] for grid, last in zip(grids, lasts, strict=True)]
    form = next((form for form in _forms(expr, x, side) if fits and _is_good(form, x, beyond, truth)), None)
    if form is not None:
        return Tail(edges, form=form)
    if line is not None and _stands_for(linear, expr, x, edges, _AGREE, by_x=True):
        return Tail(edges, *line)
    # Where digits are lost long before values are, as those of bent identity's f″, the asymptote stands from there on.
    first, second = (_last_finite(evaluate, grid) for evaluate, grid in zip(functions, grids, strict=True))
    if growth is not None and _stands_for(growth, expr, x, (first, second), _ROUNDED):
        return Tail((first, second), form=Form(growth))
    return Tail((first, second), *line) if line and _stands_for(linear, expr, x, (first, second), _AGREE) else None


def limit(functions: list[Callable], expr: sympy.Expr, x: sympy.Symbol, side: int) -> sympy.Expr | None:
    """Return the limit at ±∞ where there is one and the program does not give it."""
    values = [f(numpy.array([side * numpy.inf], dtype))[0] for f, dtype in zip(functions, _TYPES, strict=True)]
    return far_limit(expr, x, side * sympy.oo) if any(numpy.isnan(values)) else None


def _forms(expr: sympy.Expr, x: sympy.Symbol, side: int) -> Iterator[Form]:
    """Yield equal expressions for large |x|, the shorter first."""
    if len(list(sympy.preorder_traversal(expr))) > _MOST_NODES:
        return
    far = powers_out(expr, x, side)
    yield Form(stable(far))
    if by_exponentials(far).has(sympy.exp):
        yield Form(far, decaying=True)


def powers_out(expr: sympy.Expr, x: sympy.Symbol, side: int) -> sympy.Expr:
    """Return what `expr` is for large |x| on one side, with |x|^d out of sums of powers in roots, logs and divisors."""
    size = sympy.Dummy("y", positive=True)
    far = chosen(expr, x, side * _FAR_OUT).subs(x, side * size)

    def rule(e: sympy.Expr) -> sympy.Expr:
        base, exponent = e.as_base_exp() if e.is_Pow else (e.args[0], None)
        degree = _degree(base, size)
        if degree is None or degree == 0 or (exponent is not None and exponent.is_Integer and exponent > 0):
            return e
        rest = sympy.Add(*(sympy.expand(term / size**degree) for term in base.args))
        return (
            degree * sympy.log(size) + sympy.log(rest)
            if exponent is None
            else size ** (degree * exponent) * rest**exponent
        )

    return far.replace(lambda e: e.is_Pow or isinstance(e, sympy.log), rule).xreplace({size: side * x})


def _degree(base: sympy.Expr, size: sympy.Symbol) -> sympy.Rational | None:
    """Return the highest power of `size` in a sum of multiples of its powers; None for any other sum."""
    if not base.is_Add:
        return None
    powers = [term.as_independent(size)[1].as_base_exp() for term in base.args]
    if any(b not in (size, 1) or not (b == 1 or e.is_Rational) for b, e in powers):
        return None
    return max(e if b == size else sympy.S.Zero for b, e in powers)


def _is_good(form: Form, x: sympy.Symbol, beyond: list[numpy.ndarray], truth: "_Truth") -> bool:
    """Say whether a form's program has finite values that are true at all points where it is to stand."""
    program = Program()
    try:
        program.result = form.lower(program, {x: program.input("x")})
    except (CosnbError, sympy.PolynomialError):
        return False
    for dtype, points in zip(_TYPES, beyond, strict=True):
        values = trial(program, dtype)(points)
        most, pairs = float(numpy.finfo(dtype).max), zip(points[::_STEPS], values[::_STEPS], strict=True)
        if not all(truth.agrees(*pair, most) for pair in pairs) or not numpy.isfinite(values[:_STEPS]).all():
            return False
    return True


def _stands_for(
    other: sympy.Expr,
    expr: sympy.Expr,
    x: sympy.Symbol,
    edges: tuple[float, float],
    agree: tuple[int, int],
    by_x: bool = False,
) -> bool:
    """Say whether `other` agrees with `expr` at each format's edge and at twice that, to its number of bits.

    by_x: to that many bits of x·2^−bits is enough.
    """
    f, stands = numeric(expr, x), numeric(other, x)
    with mp.workprec(4000):
        for edge, bits in zip(edges, agree, strict=True):
            for factor in (1, 2):
                at = mpmath.mpf(edge) * factor
                try:
                    value = mp.re(f(at))
                except _NO_ANSWER:
                    continue
                small = abs(at) * mpmath.ldexp(1, -bits) if by_x else 0
                if abs(value - stands(at)) > mpmath.ldexp(1, -bits) * max(abs(value), small):
                    return False
    return True


class _Truth:
    """f and the size of its largest term by mpmath: what a value far out is held against."""

    def __init__(self, expr: sympy.Expr, x: sympy.Symbol) -> None:
        self.functions = [numeric(term, x) for term in sympy.Add.make_args(expr)]

    def _terms(self, point: float) -> list[Any] | None:
        """Return the terms' values; None where mpmath has no answer."""
        try:
            with mp.workdps(30):
                terms = [mp.mpmathify(f(mpmath.mpf(float(point)))) for f in self.functions]
        except _NO_ANSWER:
            return None
        return terms if all(map(mpmath.isfinite, terms)) else None

    def is_real(self, point: float) -> bool:
        """Say whether f is real at `point`, as log((1 + x)/(1 − x)) is not at 2; True where mpmath has no answer."""
        terms = self._terms(point)
        return terms is None or all(mp.im(term) == 0 for term in terms)

    def is_below(self, most: float, point: float) -> bool:
        """Say whether |f| is at most `most` at `point`; False where mpmath has no answer."""
        terms = self._terms(point)
        return terms is not None and bool(abs(mp.fsum(terms)) <= most)

    def has_died_away(self, edges: tuple[float, float]) -> bool:
        """Say whether |f| is below all that could matter at each edge, and falls: no algebra is needed then."""
        for edge in edges:
            before, at = self._terms(edge / 2), self._terms(edge)
            if before is None or at is None or not abs(mp.fsum(at)) <= min(abs(mp.fsum(before)), 1e-30):
                return False
        return True

    def agrees(self, point: float, value: float, most: float) -> bool:
        """Say whether `value` is f(point) to 1/1000 of the largest term; True where mpmath has no answer.

        most: the largest number of the format, beyond which infinity is right.
        """
        if (terms := self._terms(point)) is None:
            return True
        true, largest = mp.re(mp.fsum(terms)), max(map(abs, terms))
        if not numpy.isfinite(value):
            return bool(abs(true) > most)
        return bool(abs(mpmath.mpf(float(value)) - true) <= largest / 1000 + 1e-30)


def _last_finite(evaluate: Callable, grid: numpy.ndarray) -> float:
    """Return the last point before the first value of `grid` that is not finite."""
    bad = numpy.flatnonzero(~numpy.isfinite(evaluate(grid)))
    return float(grid[max(int(bad[0]) - 1, 0)] if len(bad) else grid[-1])


def _last_good(evaluate: Callable, grid: numpy.ndarray, truth: _Truth, most: float) -> int:
    """Return the last index of `grid` up to which the values are finite and agree with the truth.

    Finite values may be wrong too: x/√(1 + x²) is 0 where x² overflows. The truth is asked every other octave from
    2⁶ on, every eighth from 2²⁰ on, then between by bisection.
    """
    values = evaluate(grid)
    bad = numpy.flatnonzero(~numpy.isfinite(values))
    last = int(bad[0]) - 1 if len(bad) else len(grid) - 1
    good = min(last, _FIRST)
    asked = [*range(good, min(last, 22 * _STEPS), 2 * _STEPS), *range(22 * _STEPS, last, 8 * _STEPS), last]
    for index in asked:
        if truth.agrees(grid[index], values[index], most):
            good = index
            continue
        wrong = index
        while wrong - good > 1:
            middle = (good + wrong) // 2
            good, wrong = (middle, wrong) if truth.agrees(grid[middle], values[middle], most) else (good, middle)
        return good
    return last
