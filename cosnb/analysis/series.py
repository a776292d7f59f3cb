"""Power series whose coefficients hold other symbols: of a formula with parameters, about a point where it is 0/0.

Cauchy's formula (see `taylor`) needs numbers. Here sums, products, quotients and the formula's heads are worked out
term by term, f(g(u))′ = f′(g)·g′ where a head has a derivative without itself. SymPy's `series` takes 2 to 130 times as
long: up to 5 s for a second derivative with 15 terms, of which a module needs several; `rs_series` takes no quotient.
"""

from collections.abc import Callable, Sequence

import sympy
from sympy.codegen.cfunctions import expm1, log1p

from cosnb.symbolic.functions import ln, sigmoid, softplus

_DIGITS = 40
_ZERO = sympy.Float("1e-30", _DIGITS)

# In heads that `_composed` and the arithmetic know, or whose derivative they do.
_REWRITTEN: dict[type, Callable[[sympy.Expr], sympy.Expr]] = {
    sympy.tanh: lambda g: 1 - 2 / (1 + sympy.exp(2 * g)),
    sympy.sinh: lambda g: (sympy.exp(g) - sympy.exp(-g)) / 2,
    sympy.cosh: lambda g: (sympy.exp(g) + sympy.exp(-g)) / 2,
    sympy.tan: lambda g: sympy.sin(g) / sympy.cos(g),
    sigmoid: lambda g: 1 / (1 + sympy.exp(-g)),
    expm1: lambda g: sympy.exp(g) - 1,
}
_SLOPES: dict[type, Callable[[sympy.Expr], sympy.Expr]] = {
    sympy.log: lambda g: 1 / g,
    ln: lambda g: 1 / g,
    log1p: lambda g: 1 / (1 + g),
    softplus: lambda g: 1 / (1 + sympy.exp(-g)),
    sympy.atan: lambda g: 1 / (1 + g**2),
    sympy.asinh: lambda g: 1 / sympy.sqrt(1 + g**2),
    sympy.erf: lambda g: 2 * sympy.exp(-(g**2)) / sympy.sqrt(sympy.pi),
}
_CYCLES: dict[type, Callable[[sympy.Expr], tuple[sympy.Expr, ...]]] = {
    sympy.exp: lambda c: (sympy.exp(c),),
    sympy.sin: lambda c: (sympy.sin(c), sympy.cos(c), -sympy.sin(c), -sympy.cos(c)),
    sympy.cos: lambda c: (sympy.cos(c), -sympy.sin(c), -sympy.cos(c), sympy.sin(c)),
}


class NoSeriesError(Exception):
    """A formula has no Taylor series there, as far as is known here."""


class Series:
    """Σ coefficients[k]·uᵏ of formulas in the symbol `u`, the first `terms` of each."""

    def __init__(self, u: sympy.Symbol, terms: int) -> None:
        self.u = u
        self.terms = terms
        self._known: dict[sympy.Expr, tuple[int, list[sympy.Expr]]] = {}

    def taylor(self, expr: sympy.Expr) -> list[sympy.Expr]:
        """Return the coefficients from u⁰ on, as many as are known; raises NoSeriesError where there is none."""
        first, found = self.of(expr)
        if found and first < 0:
            raise NoSeriesError
        return [sympy.Integer(0)] * first + found if found else []

    def of(self, expr: sympy.Expr) -> tuple[int, list[sympy.Expr]]:
        """Return the first power of u, negative at a pole, and the coefficients from there on; none for 0."""
        if expr not in self._known:
            self._known[expr] = self._of(expr)
        return self._known[expr]

    def _of(self, expr: sympy.Expr) -> tuple[int, list[sympy.Expr]]:
        if not expr.has(self.u):
            return self._trimmed(0, [expr])
        if expr == self.u:
            return 1, [sympy.Integer(1)] + [sympy.Integer(0)] * (self.terms - 1)
        if expr.is_Add:
            return self._sum([self.of(part) for part in expr.args])
        if expr.is_Mul:
            found = self.of(expr.args[0])
            for part in expr.args[1:]:
                found = self._product(found, self.of(part))
            return found
        if expr.is_Pow and expr.base != sympy.E:
            return self._power(self.of(expr.base), expr.exp)
        head = type(expr)
        if head in _REWRITTEN:
            return self.of(_REWRITTEN[head](expr.args[0]))
        if head in _CYCLES or (expr.is_Pow and expr.base == sympy.E):
            return self._composed(_CYCLES[sympy.exp if expr.is_Pow else head], self.of(expr.args[-1]))
        if head in _SLOPES:
            return self._integrated(expr, _SLOPES[head])
        raise NoSeriesError

    def _trimmed(self, first: int, coefficients: Sequence[sympy.Expr]) -> tuple[int, list[sympy.Expr]]:
        """Leave out leading zeros, and no more than `terms` coefficients."""
        expanded = [sympy.expand(coefficient) for coefficient in coefficients]
        leading = next((k for k, coefficient in enumerate(expanded) if not vanishes(coefficient)), None)
        return (0, []) if leading is None else (first + leading, expanded[leading:][: self.terms])

    def _sum(self, parts: list[tuple[int, list[sympy.Expr]]]) -> tuple[int, list[sympy.Expr]]:
        parts = [part for part in parts if part[1]]
        if not parts:
            return 0, []
        first = min(start for start, _ in parts)
        # A constant is known to every power, any other series to the last of its coefficients.
        end = min((start + len(found) for start, found in parts if len(found) > 1), default=first + self.terms)
        total = [sympy.Integer(0)] * max(1, end - first)
        for start, found in parts:
            for k, coefficient in enumerate(found):
                if start + k - first < len(total):
                    total[start + k - first] += coefficient
        return self._trimmed(first, total)

    def _product(
        self, one: tuple[int, list[sympy.Expr]], other: tuple[int, list[sympy.Expr]]
    ) -> tuple[int, list[sympy.Expr]]:
        (a, f), (b, g) = one, other
        if not f or not g:
            return 0, []
        if len(f) == 1 or len(g) == 1:
            return self._trimmed(a + b, [c * d for c in f for d in g])
        known = min(len(f), len(g))
        return self._trimmed(a + b, [sum(f[j] * g[k - j] for j in range(k + 1)) for k in range(known)])

    def _power(self, series: tuple[int, list[sympy.Expr]], exponent: sympy.Expr) -> tuple[int, list[sympy.Expr]]:
        """Return series^exponent: with f = c₀·(1 + …), k·c₀·pₖ = Σ (exponent·j − k + j)·cⱼ·pₖ₋ⱼ (Euler)."""
        first, f = series
        if not f or exponent.has(self.u) or not (exponent.is_Integer or first == 0):
            raise NoSeriesError
        found = [f[0] ** exponent]
        for k in range(1, len(f)):
            total = sum(((exponent + 1) * j - k) * f[j] * found[k - j] for j in range(1, k + 1))
            found.append(sympy.expand(total / (k * f[0])))
        return self._trimmed(int(first * exponent), found)

    def _composed(
        self, cycle: Callable[[sympy.Expr], tuple[sympy.Expr, ...]], inner: tuple[int, list[sympy.Expr]]
    ) -> tuple[int, list[sympy.Expr]]:
        """Return f(c + δ) = Σ f⁽ᵏ⁾(c)·δᵏ/k!, whose derivatives at c are a cycle."""
        first, found = inner
        if first < 0:
            raise NoSeriesError
        at = found[0] if found and first == 0 else sympy.Integer(0)
        rest = self._trimmed(max(first, 1), found[1:] if first == 0 else found) if found else (0, [])
        slopes = cycle(at)
        total, power = [self.of(slopes[0])], (0, [sympy.Integer(1)])
        for k in range(1, self.terms):
            power = self._product(power, rest)
            total.append(self._product(self.of(slopes[k % len(slopes)] / sympy.factorial(k)), power))
        return self._sum(total)

    def _integrated(self, expr: sympy.Expr, slope: Callable[[sympy.Expr], sympy.Expr]) -> tuple[int, list[sympy.Expr]]:
        """Return f(g) from f′(g)·g′."""
        argument = expr.args[0]
        inner = self.taylor(argument)
        start = expr.func(inner[0] if inner else sympy.Integer(0))
        if start.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
            raise NoSeriesError
        steps = [k * c for k, c in enumerate(inner)][1:]
        first, found = self._product(self.of(slope(argument)), self._trimmed(0, steps))
        if first < 0:
            raise NoSeriesError
        rest = [c / (first + k + 1) for k, c in enumerate(found)]
        return self._sum([self.of(start), self._trimmed(first + 1, rest)])


def vanishes(expr: sympy.Expr) -> bool:
    """Say whether a number, or an expression with symbols for three values of them, is 0 to 30 digits."""
    if expr.is_Rational or not expr.free_symbols:
        return bool(expr == 0 or abs(sympy.N(expr, _DIGITS)) < _ZERO)
    symbols = sorted(expr.free_symbols, key=str)
    for shift in (0, 1, 2):
        values = {s: sympy.Rational(7 * k + 3 + shift, 5 + 2 * k) for k, s in enumerate(symbols)}
        if not abs(sympy.N(expr.subs(values), _DIGITS)) < _ZERO:
            return False
    return True
