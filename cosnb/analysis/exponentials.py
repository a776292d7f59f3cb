"""Exact arithmetic on the normal form: N(y) = a(t)·y + b(t) with t = e^(−rate·y), y = |x| ≥ 0.

A branch of the normal form is N over a product of polynomials in t that are positive on [0, 1]. Its derivative is of
the same kind, and its zeros are those of N: no simplification is needed to know them.
"""

from dataclasses import dataclass, fields
from functools import reduce
from typing import cast

import sympy

from cosnb.symbolic.normal_form import Branch, NormalForm, exponents, s, t


@dataclass(frozen=True)
class ExpSum:
    """a(t)·y + b(t), t = e^(−rate·y): `a` and `b` are polynomials in t with rational coefficients."""

    a: sympy.Poly
    b: sympy.Poly
    rate: sympy.Rational

    def derivative(self) -> "ExpSum":
        """Return the derivative with respect to y."""
        return ExpSum(self._decay(self.a), self.a + self._decay(self.b), self.rate)

    def times(self, factor: sympy.Poly) -> "ExpSum":
        return ExpSum(self.a * factor, self.b * factor, self.rate)

    def plus(self, other: "ExpSum") -> "ExpSum":
        return ExpSum(self.a + other.a, self.b + other.b, self.rate)

    def stripped(self) -> "ExpSum":
        """Divide by the highest power of t that divides it: positive, so the sign stays."""
        power = min((monomial[0] for p in (self.a, self.b) for monomial in p.monoms() if not p.is_zero), default=0)
        divisor = poly(t**power)
        return ExpSum(self.a.quo(divisor), self.b.quo(divisor), self.rate)

    def is_zero(self) -> bool:
        return bool(self.a.is_zero and self.b.is_zero)

    def at_zero(self) -> sympy.Rational:
        """Return the value at y = 0, exactly."""
        return self.b.eval(1)

    def exact_zero(self) -> sympy.Rational | None:
        """Return the y > 0 at which a·y + b vanishes for all t, where b is a multiple of a."""
        if self.a.is_zero or self.b.is_zero:
            return None
        ratio = -self.b.LC() / self.a.LC()
        return ratio if ratio > 0 and (self.b + self.a * ratio).is_zero else None

    def _decay(self, p: sympy.Poly) -> sympy.Poly:
        return p.diff(t) * poly(-self.rate * t)


@dataclass(frozen=True)
class HalfLine:
    """`numerator` / Π factorᵉ for y ≥ 0; every factor is positive on 0 ≤ t ≤ 1."""

    numerator: ExpSum
    factors: tuple[tuple[sympy.Poly, int], ...]

    def derivative(self, negative: bool) -> "HalfLine":
        """Return the derivative with respect to x = y, or x = −y where `negative`."""
        n, rate = self.numerator, self.numerator.rate
        product = reduce(lambda p, q: p * q, (factor for factor, _ in self.factors), poly(1))
        total = n.derivative().times(product)
        for factor, exponent in self.factors:
            slope = factor.diff(t) * poly(rate * exponent * t) * product.quo(factor)
            total = total.plus(n.times(slope))
        sign = poly(-1 if negative else 1)
        return HalfLine(total.times(sign), tuple((factor, exponent + 1) for factor, exponent in self.factors))

    def denominator(self) -> sympy.Poly:
        return reduce(lambda p, q: p * q, (factor**exponent for factor, exponent in self.factors), poly(1))

    def asymptote(self) -> tuple[sympy.Rational, sympy.Rational]:
        """Return (m, c) with value − (m·y + c) → 0 for y → ∞: what is left at t = 0."""
        below = self.denominator().eval(0)
        return self.numerator.a.eval(0) / below, self.numerator.b.eval(0) / below


def poly(expr: sympy.Expr | int) -> sympy.Poly:
    """Return `expr` as a polynomial in t with rational coefficients."""
    return sympy.Poly(expr, t, domain=sympy.QQ)


def half_lines(form: NormalForm | None) -> tuple[HalfLine, HalfLine] | None:
    """Return the branches for x < 0 and x ≥ 0, None where the normal form has more than rational functions in it."""
    if form is None:
        return None
    negative, positive = _half_line(form.negative, form.rate, -1), _half_line(form.positive, form.rate, 1)
    return None if negative is None or positive is None else (negative, positive)


def half_line_of(expr: sympy.Expr, x: sympy.Symbol, negative: bool) -> HalfLine | None:
    """Return the branch of `expr` for x < 0 or x ≥ 0 alone, None where it is no such quotient."""
    plain = expr.rewrite(sympy.exp)
    slopes = exponents(plain, x)
    if not slopes:
        return None
    rate = reduce(sympy.gcd, map(abs, slopes.values()))
    sign = 1 if negative else -1  # t = e^(sign·rate·x)
    in_t = plain.xreplace({e: t ** (sign * slope / rate) for e, slope in slopes.items()})
    numerator, denominator = sympy.fraction(sympy.cancel(sympy.together(in_t)))
    if denominator.has(x) or not numerator.is_polynomial(x, t) or not denominator.is_polynomial(t):
        return None
    below = sympy.Poly(denominator, t)
    if sympy.Poly(numerator, x, t).degree(x) > 1 or below.eval(0) == 0 or below.count_roots(0, 1) > 0:
        return None
    return _half_line(Branch(sympy.diff(numerator, x), numerator.subs(x, 0), denominator), rate, -sign)


def _half_line(branch: Branch, rate: sympy.Rational, sign: int) -> HalfLine | None:
    rest = [getattr(branch, f.name) for f in fields(branch) if f.name not in ("slope", "offset", "denominator")]
    if any(rest):  # a part with log1p(t)
        return None
    try:
        slope, offset, below = (poly(part.subs(s, 1 - t)) for part in (branch.slope, branch.offset, branch.denominator))
    except sympy.CoercionFailed:  # an irrational coefficient
        return None
    content, listed = below.factor_list()
    factors = []
    for factor, exponent in listed:
        positive = factor if factor.eval(0) > 0 else -factor
        content = content * (1 if factor.eval(0) > 0 or exponent % 2 == 0 else -1)
        factors.append((cast(sympy.Poly, positive), exponent))
    scale = poly(1 / sympy.sympify(content))
    return HalfLine(ExpSum(slope * scale * poly(sign), offset * scale, rate), tuple(factors))


def parity(negative: HalfLine, positive: HalfLine) -> str:
    """Return "even", "odd", "f(x) − f(−x) = x" or "neither", from identities of polynomials in y and t."""
    left = negative.numerator.times(positive.denominator())
    right = positive.numerator.times(negative.denominator())
    minus = ExpSum(-left.a, -left.b, left.rate)
    if right.plus(minus).is_zero():
        return "even"
    if right.plus(left).is_zero():
        return "odd"
    both = negative.denominator() * positive.denominator()
    if right.plus(minus).plus(ExpSum(-both, poly(0), left.rate)).is_zero():
        return "f(x) − f(−x) = x"
    return "neither"
