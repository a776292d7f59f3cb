"""Cheap knowledge of a rational function in t, x and ln(1 + t): a bound of its terms when expanded; whether it may be
linear in x and ln(1 + t). Nothing is expanded for it.
"""

import math
import zlib
from functools import reduce
from typing import NamedTuple

import sympy

_PRIME = 2**61 - 1


class _Factor(NamedTuple):
    """A polynomial that a denominator holds: its expanded terms and its degree in t, at most."""

    terms: int
    degree: int


class _Extent(NamedTuple):
    """A quotient's numerator: terms, degree in t, degree in the other symbols; and its denominator's factors, each
    under its value at a point modulo a prime, by which equal ones are known: {value: (factor, exponent)}.
    """

    terms: int
    degree: int
    order: int
    value: int
    below: dict[int, tuple[_Factor, int]]

    def bounded(self) -> "_Extent":
        monomials = (self.degree + 1) * (self.order + 1) * (self.order + 2) // 2
        return self._replace(terms=min(self.terms, monomials))


def terms(expr: sympy.Expr, t: sympy.Symbol) -> int:
    """Return how many terms numerator and denominator of a rational function have at most, written as one quotient.

    Of sums of products and integer powers of symbols and numbers; terms are not expanded, so that this takes no time
    where the expansion would take minutes. Factors that numerator and denominator share are not cancelled.
    """
    found = _extent(expr, t, {})
    degree = sum(factor.degree * exponent for factor, exponent in found.below.values())
    below = math.prod(_power(factor.terms, exponent) for factor, exponent in found.below.values())
    return found.terms + min(below, degree + 1)


def is_linear(expr: sympy.Expr, t: sympy.Symbol) -> bool:
    """Return False where a rational function is, for certain, no polynomial of degree 1 in the symbols besides t.

    By its values modulo a prime at three points of a line on which t stays: their second difference is 0.
    """
    symbols = sorted(expr.free_symbols - {t}, key=str)
    values = []
    for step in range(3):
        point = {symbol: 101 + 10007 * place + step * (13 + place) for place, symbol in enumerate(symbols)}
        values.append(_value(expr, {**point, t: 7919}, {}))
    return (values[0] - 2 * values[1] + values[2]) % _PRIME == 0


def _value(expr: sympy.Expr, point: dict[sympy.Symbol, int], known: dict[sympy.Expr, int]) -> int:
    if expr not in known:
        if expr.is_Add or expr.is_Mul:
            parts = [_value(arg, point, known) for arg in expr.args]
            known[expr] = (sum(parts) if expr.is_Add else math.prod(parts)) % _PRIME
        elif expr.is_Pow and expr.exp.is_Integer:
            known[expr] = pow(_value(expr.base, point, known), int(expr.exp), _PRIME)
        else:
            known[expr] = point[expr] if expr in point else _number(expr)
    return known[expr]


def _number(value: sympy.Expr) -> int:
    """Return a rational number modulo the prime, and for any other some number of its own."""
    if value.is_Rational:
        return int(value.p) * pow(int(value.q), -1, _PRIME) % _PRIME
    return zlib.crc32(str(value).encode()) + 7


def _extent(expr: sympy.Expr, t: sympy.Symbol, known: dict[sympy.Expr, _Extent]) -> _Extent:
    if expr not in known:
        known[expr] = _measured(expr, t, known)
    return known[expr]


def _measured(expr: sympy.Expr, t: sympy.Symbol, known: dict[sympy.Expr, _Extent]) -> _Extent:
    if expr.is_Add or expr.is_Mul:
        return reduce(_sum if expr.is_Add else _product, (_extent(arg, t, known) for arg in expr.args))
    if expr.is_Pow and expr.exp.is_Integer:
        base = _extent(expr.base, t, known)
        return _raised(base if expr.exp > 0 else _inverse(base), abs(int(expr.exp)))
    return _Extent(1, int(expr == t), int(expr.is_Symbol and expr != t), _number(expr), {})


def _power(count: int, n: int) -> int:
    """Return the terms of the n-th power of a sum of `count`."""
    return math.comb(count + n - 1, n)


def _product(a: _Extent, b: _Extent) -> _Extent:
    below = dict(a.below)
    for key, (factor, n) in b.below.items():
        below[key] = factor, n + below.get(key, (factor, 0))[1]
    return _Extent(
        a.terms * b.terms, a.degree + b.degree, a.order + b.order, a.value * b.value % _PRIME, below
    ).bounded()


def _sum(a: _Extent, b: _Extent) -> _Extent:
    below = {**a.below, **{key: pair for key, pair in b.below.items() if pair[1] > a.below.get(key, (None, 0))[1]}}
    first, second = (_over(part, below) for part in (a, b))
    degree, order = max(first.degree, second.degree), max(first.order, second.order)
    value = (first.value + second.value) % _PRIME
    return _Extent(first.terms + second.terms, degree, order, value, below).bounded()


def _over(part: _Extent, below: dict[int, tuple[_Factor, int]]) -> _Extent:
    """Return the numerator over a denominator that holds the part's own."""
    for key, (factor, n) in below.items():
        lacking = n - part.below.get(key, (factor, 0))[1]
        part = _Extent(
            part.terms * _power(factor.terms, lacking),
            part.degree + factor.degree * lacking,
            part.order,
            part.value * pow(key, lacking, _PRIME) % _PRIME,
            part.below,
        ).bounded()
    return part


def _raised(base: _Extent, n: int) -> _Extent:
    below = {key: (factor, n * exponent) for key, (factor, exponent) in base.below.items()}
    return _Extent(_power(base.terms, n), base.degree * n, base.order * n, pow(base.value, n, _PRIME), below).bounded()


def _inverse(base: _Extent) -> _Extent:
    one = _Extent(1, 0, 0, 1, {})
    above = _over(one, base.below)
    if base.terms == 1 and base.degree == base.order == 0:
        return above._replace(value=above.value * pow(base.value, -1, _PRIME) % _PRIME)
    key = min(base.value, _PRIME - base.value)  # 1 − t and t − 1 are one factor
    sign = 1 if key == base.value else -1
    return above._replace(value=sign * above.value % _PRIME, below={key: (_Factor(base.terms, base.degree), 1)})
