"""Study of one function: its pieces, charts, limits, and what their signs imply."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import mpmath
import sympy
from mpmath import mp

from cosnb.analysis.asymptotes import end_limit, end_line
from cosnb.analysis.charts import Chart, Place, chart
from cosnb.analysis.findings import DIGITS, Finding, How, Point, show
from cosnb.analysis.pieces import WORKING_DIGITS, Piece, smoothness, split
from cosnb.analysis.special import derivative, differ
from cosnb.errors import CosnbError

SIDES = (-sympy.oo, sympy.oo)
_NOISE = mpmath.mpf(10) ** -40  # what rounding leaves of a 0 in 50 digits


@dataclass(frozen=True)
class Candidate:
    """A value that f takes at a place or approaches there, in 50 digits and, where known, exactly."""

    value: mpmath.mpf
    exact: sympy.Expr | None
    at: sympy.Basic
    attained: bool


class Study:
    """What is found out about f = `expr` in the real symbol `x`, or its `order`-th derivative; each step once."""

    def __init__(self, expr: sympy.Expr, x: sympy.Symbol, order: int = 0) -> None:
        pieces, values = split(expr, x)
        for piece in pieces:
            if piece.expr.is_number and not piece.expr.is_finite:
                where = f"{show(piece.low)} < x < {show(piece.high)}"
                raise CosnbError(f"the formula is no real number for {where}: its properties need one everywhere")
        for _ in range(order):
            pieces, values = tuple(piece.derivative() for piece in pieces), {}
        self.expr, self.x = derivative(expr, x, order) if order else expr, x
        # A derivative has no value at a kink: the left one is taken, as in `Activation.derivative`.
        values = values or {right.low: left.at(right.low) for left, right in pairwise(pieces)}
        self.pieces, self.values = [pieces], values

    def order(self, n: int) -> tuple[Piece, ...]:
        """Return the pieces of the n-th derivative."""
        while len(self.pieces) <= n:
            self.pieces.append(tuple(piece.derivative() for piece in self.pieces[-1]))
        return self.pieces[n]

    @cached_property
    def charts(self) -> tuple[Chart, Chart, Chart]:
        """The charts of f, f′ and f″."""
        return (chart(self.order(0), self.values), chart(self.order(1), None), chart(self.order(2), None))

    @cached_property
    def smoothness(self) -> tuple[Finding, tuple[sympy.Expr, ...], tuple[sympy.Expr, ...]]:
        return smoothness(self.order(0), self.values)

    def borders_how(self, n: int) -> How:
        """Return how the values of the n-th derivative at both sides of the borders were found."""
        ends = [(piece, end) for piece in self.order(n) for end in (piece.low, piece.high) if end.is_finite]
        return "proven" if all(piece.is_exact_at(end) for piece, end in ends) else "numerical"

    def poles(self) -> tuple[sympy.Expr, ...]:
        """Return the numbers next to which f is not bounded."""
        return tuple(border for border, ends in self._ends(0) if any(end.is_infinite for end in ends))

    def vertical_tangents(self) -> tuple[sympy.Expr, ...]:
        """Return the numbers where f is continuous and f′ tends to ±∞ from one side at least."""
        jumps = self.smoothness[1]
        steep = [border for border, ends in self._ends(1) if any(end.is_infinite for end in ends)]
        return tuple(border for border in steep if border not in jumps)

    def straight_tangents(self) -> tuple[sympy.Expr, ...]:
        """Return those of the vertical tangents where f rises, or falls, on both sides: no kink."""
        ends = dict(self._ends(1))
        return tuple(border for border in self.vertical_tangents() if not differ(*ends[border]))

    def _ends(self, n: int) -> list[tuple[sympy.Expr, tuple[sympy.Expr, sympy.Expr]]]:
        return [(right.low, (left.at(right.low), right.at(right.low))) for left, right in pairwise(self.order(n))]

    def limits(self, n: int) -> Finding:
        """Return the limits of the n-th derivative at −∞ and ∞."""
        ends = [end_limit(self.order(n)[i], side) for i, side in ((0, SIDES[0]), (-1, SIDES[1]))]
        return _pair(ends, tuple(end.value for end in ends))

    def asymptotes(self) -> Finding:
        ends = [end_line(self.order(0)[i], side) for i, side in ((0, SIDES[0]), (-1, SIDES[1]))]
        lines = tuple(None if end.value is None else end.value[0] * self.x + end.value[1] for end in ends)
        return _pair(ends, lines)

    def points(self, n: int) -> Finding:
        """Return the roots of f (n = 0), its critical points (1: f′ is 0 or changes sign), its inflections (2)."""
        found, places = self.charts[n], self._places(n)
        digits = DIGITS if any(p.exact is None for p in places) else None
        points: list[Point | sympy.Set] = [self._point(p, n) for p in places]
        flat, reason = self._flat(n), found.reason
        if n == 0 and flat:
            points = sorted([*points, *flat], key=lambda p: sympy.N(p.sup if isinstance(p, sympy.Set) else p.value))
        elif n == 1 and flat:
            reason += f"; f′ is 0 on {', '.join(map(show, flat))}"
        return Finding(tuple(points), found.how, reason, digits)

    def _places(self, n: int) -> list[Place]:
        found = self.charts[n]
        _, jumps, kinks = self.smoothness
        if n == 0:
            return list(found.zeros())
        if n == 2:
            bent = [k for k in kinks if k not in self.straight_tangents()]
            return [p for p in found.crossings() if p.exact not in (*jumps, *bent)]
        kinked = [p for p in found.crossings() if p.is_border and not p.is_zero and p.exact not in jumps]
        return sorted([*found.zeros(), *kinked], key=lambda p: p.value)

    def _flat(self, n: int) -> list[sympy.Interval]:
        """Return the intervals on which the n-th derivative is 0, open for n > 0."""
        zero = [p for p in self.order(n) if p.is_zero()]
        if n:
            return [sympy.Interval.open(p.low, p.high) for p in zero]
        ends = [[self.values.get(end, sympy.oo) != 0 for end in (p.low, p.high)] for p in zero]
        return [sympy.Interval(p.low, p.high, *open_) for p, open_ in zip(zero, ends, strict=True)]

    def _point(self, place: Place, n: int) -> Point:
        f = self.value(place).value
        f = sympy.Integer(0) if n == 0 or abs(f) < _NOISE else sympy.Float(f, DIGITS)
        return Point(sympy.Float(place.value, DIGITS), f, place.exact)

    def value(self, place: Place) -> Candidate:
        """Return f at a place."""
        at = sympy.Float(place.value, DIGITS) if place.exact is None else place.exact
        if place.is_border and place.exact in self.values:
            exact = self.values[place.exact]
        else:
            piece = next(p for p in self.order(0) if lies_in(p, place))
            exact = None if place.exact is None else piece.at(place.exact)
            if exact is None or not exact.is_Rational:
                with mp.workdps(WORKING_DIGITS):
                    number = mp.re(piece.number(place.value))
                return Candidate(number, exact, at, True)
        return candidate(exact, at, True)

    def monotone(self) -> Finding:
        """Return in words whether f rises or falls throughout."""
        found, steps = self.charts[1], self.steps(0)
        signs = {sign for sign in (*found.signs, *steps) if sign}
        strictly = "strictly " if 0 not in found.signs else ""
        words = {(): "constant", (1,): f"{strictly}increasing", (-1,): f"{strictly}decreasing"}
        return Finding(words.get(tuple(signs), "no"), found.how, f"signs of f′: {found.reason}")

    def convex(self) -> Finding:
        """Return in words whether f is convex or concave."""
        found = self.charts[2]
        if self.smoothness[1]:
            return Finding("neither", self.smoothness[0].how, "f jumps")
        signs = {sign for sign in (*found.signs, *self.steps(1)) if sign}
        words = {(): "a line", (1,): "convex", (-1,): "concave"}
        return Finding(words.get(tuple(signs), "neither"), found.how, f"signs of f″: {found.reason}")

    def steps(self, n: int) -> list[int]:
        """Return the signs of the jumps of the n-th derivative at the borders."""
        signs = []
        for left, right in pairwise(self.order(n)):
            ends = [left.at(right.low), *([self.values[right.low]] if n == 0 else []), right.at(right.low)]
            known = [end for end in ends if end is not sympy.nan]
            steps = [b - a for a, b in pairwise(known) if differ(a, b)]
            signs += [int(sympy.sign(sympy.N(step, WORKING_DIGITS))) for step in steps]
        return signs


@lru_cache(maxsize=256)
def study(expr: sympy.Expr, x: sympy.Symbol, order: int = 0) -> Study:
    """Return the study of the `order`-th derivative of `expr`."""
    return Study(expr, x, order)


def candidate(exact: sympy.Expr, at: sympy.Basic, attained: bool) -> Candidate:
    if exact.is_infinite:
        number = mpmath.inf if exact > 0 else -mpmath.inf
    else:
        with mp.workdps(WORKING_DIGITS):
            number = mpmath.mpf(sympy.N(exact, WORKING_DIGITS)._to_mpmath(mp.prec))
    return Candidate(number, exact, at, attained)


def lies_in(piece: Piece, place: Place) -> bool:
    value = sympy.Float(place.value, WORKING_DIGITS) if place.exact is None else place.exact
    return piece.contains(value)


def _pair(ends: list[Finding], values: tuple[object, ...]) -> Finding:
    worst = max(ends, key=lambda end: end.how == "numerical")
    return Finding(values, worst.how, worst.reason, worst.digits)
