"""A function as pieces, each a smooth formula on an interval; derivatives are taken piece by piece."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import mpmath
import sympy

from cosnb.analysis import limited
from cosnb.analysis.exponentials import HalfLine, half_line_of, half_lines
from cosnb.analysis.findings import Finding
from cosnb.analysis.numeric import numeric
from cosnb.analysis.special import NO_NUMBERS, derivative, differ, near_limit, special_points, value_at, values_apart
from cosnb.errors import CosnbError
from cosnb.symbolic.functions import softplus
from cosnb.symbolic.normal_form import NormalForm, normal_form

WORKING_DIGITS = 50
_KINKED = (sympy.Piecewise, sympy.Abs, sympy.Max, sympy.Min, sympy.sign, sympy.Heaviside)
_SECONDS, _LIMIT_SECONDS = 10.0, 2.0
# Functions without singularity on the real line, whatever their real argument.
_ENTIRE = ("exp", "sin", "cos", "tanh", "sech", "sinh", "cosh", "erf", "erfc", "atan", "asinh", "sigmoid", "softplus")


@dataclass(frozen=True)
class Piece:
    """`expr` for low < x < high, `low` and `high` ±oo or numbers; `halves` its branches where it has a normal form."""

    expr: sympy.Expr
    x: sympy.Symbol
    low: sympy.Expr
    high: sympy.Expr
    halves: tuple[HalfLine, HalfLine] | None

    def derivative(self) -> "Piece":
        expr = sympy.diff(self.expr, self.x)
        halves: tuple[HalfLine, HalfLine] | None
        if self.halves is not None:
            halves = (self.halves[0].derivative(True), self.halves[1].derivative(False))
        else:  # a logarithm is outside the class, its derivative may not be: softplus′ = sigmoid
            halves = _halves(expr, self.x) if self.expr.has(sympy.log, softplus) else None
        return Piece(expr, self.x, self.low, self.high, halves)

    def is_zero(self) -> bool:
        if self.halves is not None:
            return all(half.numerator.is_zero() for half in self.halves)
        return bool(self.expr == 0 or (self.is_rational() and sympy.cancel(self.expr) == 0))

    def is_rational(self) -> bool:
        """Whether it is a quotient of polynomials with rational coefficients, its denominator without a zero inside."""
        poles = _poles(self.expr, self.x)
        return poles is not None and not any(map(self.contains, poles))

    def contains(self, value: sympy.Expr) -> bool:
        return bool(self.low < value) and bool(value < self.high)

    def at(self, value: sympy.Expr) -> sympy.Expr:
        """Return the value at a number, exact where known: at an end the one-sided limit, ±oo too, NaN for none."""
        found = self.expr.subs(self.x, value)
        if found.has(*NO_NUMBERS, sympy.oo, sympy.I):
            limit = near_limit(self.expr, self.x, value, 1 if value == self.low else -1)
            return sympy.nan if limit is None else limit
        return sympy.nsimplify(found) if found.is_Rational else found

    def is_exact_at(self, value: sympy.Expr) -> bool:
        """Whether `at` is proven: by substitution, a pole's ±oo too, or by SymPy's limit."""
        found = self.expr.subs(self.x, value)
        if not found.has(*NO_NUMBERS, sympy.oo, sympy.I) or found == sympy.zoo:
            return True
        side = "+" if value == self.low else "-"
        try:
            limit = limited.call(sympy.limit, self.expr, self.x, value, side, seconds=_LIMIT_SECONDS)
        except Exception:  # the time limit, and whatever SymPy's algorithm stumbles over
            return False
        return not differ(limit, self.at(value))

    def number(self, value: Any) -> mpmath.mpf:
        """Return the value at a number in mpmath's working precision; CosnbError where there is no real one."""
        try:
            found = numeric(self.expr, self.x)(mpmath.mpf(value))
        except ZeroDivisionError:
            found = mpmath.nan
        real = mpmath.re(found)
        if mpmath.isnan(real) or abs(mpmath.im(found)) > mpmath.mpf(10) ** -30 * max(1, abs(real)):
            at = mpmath.nstr(mpmath.mpf(value), 6)
            # NaN may also be 0·∞ of numbers that are too large to work with, as e^(e^(e^x)) is at 2.
            computed = " that can be computed" if mpmath.isnan(real) else ""
            raise CosnbError(f"the formula has no real value at x = {at}{computed}: an activation needs one everywhere")
        return real

    def is_smooth(self) -> bool:
        """Whether it is proven to have all derivatives between its ends."""
        return self.halves is not None or self.is_rational() or _is_analytic(self.shifted())

    def shifted(self) -> sympy.Expr:
        """Return the formula with x = low + p or x = high − p, p positive, so that SymPy knows of the ends."""
        p = sympy.Symbol("p", positive=True)
        if self.low.is_finite:
            return self.expr.subs(self.x, self.low + p)
        return self.expr.subs(self.x, self.high - p) if self.high.is_finite else self.expr

    def known_sign(self) -> int:
        """Return the sign that SymPy knows from the form of the formula, 0 where it knows none."""
        try:
            return limited.call(_sign_by_form, self.shifted(), seconds=_SECONDS)
        except (limited.TimeLimit, RecursionError):
            return 0


def _sign_by_form(expr: sympy.Expr) -> int:
    return 1 if expr.is_positive else -1 if expr.is_negative else 0


@lru_cache(maxsize=512)
def _poles(expr: sympy.Expr, x: sympy.Symbol) -> tuple[sympy.Expr, ...] | None:
    """Return the real zeros of the denominator, None where `expr` is no quotient of rational polynomials."""
    if not expr.is_rational_function(x):
        return None
    numerator, denominator = sympy.fraction(sympy.together(expr))
    try:
        for part in (numerator, denominator):
            sympy.Poly(part, x, domain=sympy.QQ)
        return real_roots(denominator, x)
    except (sympy.CoercionFailed, limited.TimeLimit):
        return None


@lru_cache(maxsize=512)
def real_roots(expr: sympy.Expr, x: sympy.Symbol) -> tuple[sympy.Expr, ...]:
    """Return the different real roots of a polynomial in x with rational coefficients, exactly."""
    if not expr.has(x):
        return ()
    return limited.call(_real_roots, sympy.Poly(expr, x, domain=sympy.QQ), seconds=_SECONDS)


def _real_roots(p: sympy.Poly) -> tuple[sympy.Expr, ...]:
    return tuple(root for root, _ in p.real_roots(multiple=False))


@lru_cache(maxsize=256)
def split(expr: sympy.Expr, x: sympy.Symbol) -> tuple[tuple[Piece, ...], dict[sympy.Expr, sympy.Expr]]:
    """Return the pieces of `expr` from left to right, and its values at the numbers between them."""
    points = special_points(expr, x)
    if not expr.atoms(*_KINKED) and not points:
        return (Piece(expr, x, -sympy.oo, sympy.oo, _halves(expr, x)),), {}
    pairs = limited.call(_pairs, expr, x, seconds=_SECONDS)
    parts = [(part, e) for e, where in pairs for part in (where.args if isinstance(where, sympy.Union) else [where])]
    intervals = sorted(((p, e) for p, e in parts if isinstance(p, sympy.Interval)), key=lambda pair: pair[0].start)
    ends = [-sympy.oo, *(end for p, _ in intervals for end in (p.start, p.end)), sympy.oo]
    if any(end != start for end, start in zip(ends[::2], ends[1::2], strict=True)):
        raise CosnbError("no properties: the algebra does not find the numbers at which the formula's pieces meet")
    values: dict[sympy.Expr, sympy.Expr] = {}
    for part, e in parts:
        values |= {point: e.subs(x, point) for point in _own_borders(part)}
    merged = _merged([(interval.start, interval.end, e) for interval, e in intervals], values, x)
    merged = [part for whole in merged for part in _cut(whole, points)]
    apart, rest = values_apart(derivative(expr, x), x)
    defined = {point: value for point in points if (value := value_at(rest, x, point)) is not None}
    values = dict.fromkeys(points, sympy.nan) | defined | values | apart
    pieces = tuple(Piece(e, x, low, high, _one_half(e, x, low, high) or _halves(e, x)) for low, high, e in merged)
    return pieces, {piece.low: values[piece.low] for piece in pieces[1:]}


def _own_borders(part: sympy.Set) -> list[sympy.Expr]:
    """Return the points of a finite set, or the ends that an interval holds."""
    if isinstance(part, sympy.FiniteSet):
        return list(part)
    if not isinstance(part, sympy.Interval):
        return []
    return [end for end in (part.start, part.end) if end.is_finite and part.contains(end) == sympy.true]


def _cut(part: "_Part", points: tuple[sympy.Expr, ...]) -> list["_Part"]:
    """Return a part in the parts between special points inside it."""
    low, high, formula = part
    ends = [low, *(point for point in points if low < point < high), high]
    return [(*pair, formula) for pair in pairwise(ends)]


_Part: TypeAlias = tuple[sympy.Expr, sympy.Expr, sympy.Expr]  # low, high, formula


def _merged(parts: list[_Part], values: dict[sympy.Expr, sympy.Expr], x: sympy.Symbol) -> list[_Part]:
    """Return the parts with neighbours of the same formula, whose value at the border is the formula's, as one."""
    merged = list(parts)
    for i in reversed(range(1, len(merged))):
        (low, border, before), (_, high, after) = merged[i - 1 : i + 1]
        if before == after and is_null(values[border] - after.subs(x, border)):
            merged[i - 1 : i + 1] = [(low, high, after)]
    return merged


def _pairs(expr: sympy.Expr, x: sympy.Symbol) -> list[tuple[sympy.Expr, sympy.Set]]:
    folded = sympy.piecewise_fold(expr.rewrite(sympy.Piecewise))
    if not isinstance(folded, sympy.Piecewise):
        return [(folded, sympy.Interval(-sympy.oo, sympy.oo))]
    return folded.as_expr_set_pairs(sympy.Interval(-sympy.oo, sympy.oo))


@lru_cache(maxsize=256)
def form_of(expr: sympy.Expr, x: sympy.Symbol) -> NormalForm | None:
    """Return the normal form, found within 30 s, else None."""
    if not expr.has(x) or expr.is_rational_function(x):
        return None
    try:
        return limited.call(normal_form, expr, x, seconds=3 * _SECONDS)
    except limited.TimeLimit:
        return None


def _halves(expr: sympy.Expr, x: sympy.Symbol) -> tuple[HalfLine, HalfLine] | None:
    return half_lines(form_of(expr, x))


def _one_half(expr: sympy.Expr, x: sympy.Symbol, low: sympy.Expr, high: sympy.Expr) -> tuple[HalfLine, HalfLine] | None:
    """Return the branch of a piece that lies on one side of 0, twice: the other one is never asked for.

    The normal form wants both, and e^x − 1, a piece of ELU, has none for x > 0.
    """
    negative = bool(high <= 0)
    if not (negative or low >= 0) or expr.is_rational_function(x):
        return None
    try:
        half = limited.call(half_line_of, expr, x, negative, seconds=_SECONDS)
    except limited.TimeLimit:
        return None
    return None if half is None else (half, half)


def _is_analytic(expr: sympy.Expr) -> bool:
    """Whether `expr` is built of functions that are analytic wherever their arguments lie; False: not proven."""
    if not all(_is_analytic(arg) for arg in expr.args):
        return False
    if expr.is_Atom or expr.is_Add or expr.is_Mul:
        return bool(expr.is_real is not False)
    if expr.is_Pow:
        if expr.exp.is_Integer:
            return bool(expr.exp > 0 or expr.base.is_nonzero)
        return bool(expr.base.is_positive)
    if isinstance(expr, sympy.log):
        return bool(expr.args[0].is_positive)
    return expr.func.__name__ in _ENTIRE


def smoothness(
    pieces: tuple[Piece, ...], values: dict[sympy.Expr, sympy.Expr]
) -> tuple[Finding, tuple[sympy.Expr, ...], tuple[sympy.Expr, ...]]:
    """Return the smoothness class, the places where f jumps or has a pole, and those where only f′ jumps."""
    proven = all(piece.is_smooth() for piece in pieces)
    order: int | None = None
    jumps, kinks = [], []
    for left, right in pairwise(pieces):
        n, exact = _first_difference(left, right, values[right.low])
        proven = proven and exact
        if n is not None:
            order = n if order is None else min(order, n)
            jumps += [right.low] if n == 0 else []
            kinks += [right.low] if n == 1 else []
    words = {None: "C^∞", 0: "discontinuous", 1: "continuous"}.get(order, f"C^{(order or 0) - 1}")
    reason = "one-sided derivatives compared at each border" if len(pieces) > 1 else "analytic on the real line"
    if not proven:
        reason = "no singularity is known, but none is excluded by proof"
    return Finding(words, "proven" if proven else "numerical", reason), tuple(jumps), tuple(kinks)


def _first_difference(left: Piece, right: Piece, value: sympy.Expr) -> tuple[int | None, bool]:
    """Return the order of the first derivative in which two neighbours differ at their border, and whether proven.

    None up to the 8th, or where one formula, meromorphic there, has the finite limit that is f's value: it is analytic
    then (Riemann). Two that are infinite differ.
    """
    border, exact = right.low, True
    for n in range(9):
        ends = [left.at(border), right.at(border)] + ([value] if n == 0 else [])
        exact = exact and left.is_exact_at(border) and right.is_exact_at(border)
        if any(differ(end, ends[0]) for end in ends[1:]) or ends[0].is_infinite:
            return n, exact
        if n == 0 and left.expr == right.expr and _is_meromorphic(left.expr, left.x, border):
            return None, exact
        left, right = left.derivative(), right.derivative()
    return None, exact


def _is_meromorphic(expr: sympy.Expr, x: sympy.Symbol, point: sympy.Expr) -> bool:
    """Whether `expr` is built by + · / of functions that are analytic at a point; False: not known."""
    if expr.is_Add or expr.is_Mul or (expr.is_Pow and expr.exp.is_Integer):
        return all(_is_meromorphic(arg, x, point) for arg in expr.args)
    at = expr.args[0].subs(x, point) if expr.args else sympy.Integer(1)
    if expr.is_Pow or isinstance(expr, sympy.log):
        return bool(at.is_positive)
    return bool(expr.is_Atom or (at.is_finite and expr.func.__name__ in _ENTIRE))


def is_null(number: sympy.Expr) -> bool:
    """Whether a number is 0; what is below 1e-40 is taken for it. NaN and ±oo are not."""
    if number.is_Rational or number is sympy.nan or number.is_infinite:
        return bool(number == 0)
    return bool(abs(sympy.N(number, WORKING_DIGITS)) < sympy.Float("1e-40"))
