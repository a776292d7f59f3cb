"""Equal expressions that keep digits on part of the line, for the lowering to try beside `stable`'s.

Unlike `stable`'s, these rules hold in pieces or lose elsewhere what they gain here: x + √(x² + 4) is
4/(√(x² + 4) − x) for x < 0. Whether one is better is measured (`cosnb.codegen.guards`), as Herbie does (Panchekha and
others 2015).
"""

from functools import lru_cache

import sympy
from sympy.codegen.cfunctions import expm1, log1p

from cosnb.symbolic.functions import softplus

_HALF = sympy.Rational(1, 2)
_NO_NUMBERS = (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo)


@lru_cache(maxsize=512)
def rewritten(expr: sympy.Expr) -> sympy.Expr:
    """Return `expr` by these rules, itself where none fits.

    a + √q and a + b/√q whose conjugate is shorter, √p − √q and its reciprocals, a/c + b/d that is shorter over one
    divisor, what is between |g|'s pieces in each of them; ln a − ln b by log1p, ln(1 − e^g) by expm1 near 0,
    ln(n + k·e^g) with n + k = 1 by log1p and expm1; softplus(g) − ln 2; atan a − atan b as one, atan(g) + π/2 as
    atan(−1/g). All for real arguments.
    """
    whole, conditions = expr, {tuple(c for _, c in piece.args) for piece in expr.atoms(sympy.Piecewise)}
    if len(conditions) == 1 and not isinstance(expr, sympy.Piecewise) and not expr.has(*_NO_NUMBERS):
        whole = sympy.piecewise_fold(expr)
    if isinstance(whole, sympy.Piecewise):
        pairs = [(value if value.has(*_NO_NUMBERS) else rewritten(value), condition) for value, condition in whole.args]
        return expr if pairs == [tuple(pair) for pair in whole.args] else sympy.Piecewise(*pairs)
    for head, rule in ((sympy.log, _logarithm), (sympy.Add, _sum)):
        expr = expr.replace(lambda e, head=head: isinstance(e, head), rule)
    return expr


def _logarithm(expr: sympy.Expr) -> sympy.Expr:
    constant, rest = expr.args[0].as_coeff_Add()
    share, exponential = rest.as_coeff_Mul()
    if not isinstance(exponential, sympy.exp):
        return expr
    g = exponential.args[0]
    if constant + share == 1 and share != 1:
        return log1p(share * expm1(g))
    if constant == 1 and share == -1:
        return sympy.Piecewise((sympy.log(-expm1(g)), g > -_HALF), (log1p(-exponential), True))
    return expr


def _sum(expr: sympy.Expr) -> sympy.Expr:
    for rule in (_roots, _root_and_rest, _over_root, _over_divisors, _pair):
        found = rule(expr)
        if found is not None:
            return found
    return expr


def _joined(*parts: sympy.Expr) -> sympy.Expr | None:
    """Return the sum of `parts`, multiplied out, where terms cancel in it."""
    found = sympy.expand(sympy.Add(*parts))
    before = sum(len(sympy.Add.make_args(sympy.expand(part))) for part in parts)
    return found if len(sympy.Add.make_args(found)) < before else None


def _split(term: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """Return a term's factors that are numbers, and the others."""
    number, rest = term.as_independent(*term.free_symbols, as_Add=False)
    return number, rest


def _root_of(term: sympy.Expr, power: sympy.Expr = _HALF) -> tuple[sympy.Expr, sympy.Expr] | None:
    """Return (r, q) of a term r·√q, r a number."""
    number, root = _split(term)
    return (number, root.base) if root.is_Pow and root.exp == power else None


def _roots(expr: sympy.Expr) -> sympy.Expr | None:
    """Return r·√p − s·√q, or r/√p − s/√q, by its conjugate, and the terms that are left."""
    for power in (_HALF, -_HALF):
        found = [(term, *root) for term in expr.args if (root := _root_of(term, power)) is not None]
        for index, (one, r, p) in enumerate(found):
            for other, s, q in found[index + 1 :]:
                if r * s > 0:
                    continue
                if power < 0:  # (r·√q − s·√p)/(√p·√q)
                    p, q = q, p
                above = _joined(r**2 * p, -(s**2) * q)
                if above is not None:
                    below = r * sympy.sqrt(p) - s * sympy.sqrt(q)
                    below *= sympy.sqrt(p) * sympy.sqrt(q) if power < 0 else 1
                    return above / below + (expr - one - other)
    return None


def _root_and_rest(expr: sympy.Expr) -> sympy.Expr | None:
    """Return a + r·√q by its conjugate where the two have opposite signs."""
    for term in expr.args:
        if (root := _root_of(term)) is None:
            continue
        number, q = root
        rest = expr - term
        above = _joined(number**2 * q, -(rest**2))
        if above is not None:
            opposite = rest < 0 if number > 0 else rest > 0
            return sympy.Piecewise((above / (term - rest), opposite), (expr, True))
    return None


def _over_root(expr: sympy.Expr) -> sympy.Expr | None:
    """Return c + b/√q, c a number, as (c·√q + b)/√q by the conjugate of what is above, and the terms that are left."""
    constant, rest = expr.as_coeff_Add()
    for term in sympy.Add.make_args(rest) if constant else ():
        for factor in sympy.Mul.make_args(term):
            if not (factor.is_Pow and factor.exp == -_HALF):
                continue
            q, b = factor.base, term / factor
            above = _joined(constant**2 * q, -(b**2))
            if above is not None:
                root = sympy.sqrt(q)
                opposite = b < 0 if constant > 0 else b > 0
                pair = sympy.Piecewise((above / (root * (constant * root - b)), opposite), (constant + term, True))
                return pair + (rest - term)
    return None


def _over_divisors(expr: sympy.Expr) -> sympy.Expr | None:
    """Return a/c + b/d over c·d where terms cancel above, and the terms that are left."""
    parts = [(term, *sympy.fraction(term)) for term in expr.args]
    for index, (one, a, c) in enumerate(parts):
        for other, b, d in parts[index + 1 :]:
            if (c * d).is_number or (c * d).has(sympy.exp):  # of exponentials the normal form takes care
                continue
            above = _joined(a * d, b * c)
            if above is not None:
                return sympy.factor(above / (c * d)) + (expr - one - other)
    return None


def _pair(expr: sympy.Expr) -> sympy.Expr | None:
    """Return ln a − ln b, atan a − atan b, atan g + π/2 or softplus g − ln 2, times a number, and what is left."""
    for one in expr.args:
        number, first = _split(one)
        left = expr - one
        if isinstance(first, sympy.atan):
            g = first.args[0]
            for sign in (-1, 1):
                right_angle = sign * number * sympy.pi / 2
                if right_angle in expr.args:
                    direct = first + sign * sympy.pi / 2
                    pair = number * sympy.Piecewise((-sympy.atan(1 / g), sign * g < -1), (direct, True))
                    return pair + (left - right_angle)
        if isinstance(first, softplus) and sympy.expand(left + number * sympy.log(2)) == 0:
            g = first.args[0]
            return number * sympy.Piecewise((log1p(expm1(g) / 2), g < 1), (first - sympy.log(2), True))
        for other in expr.args:
            second = -other / number
            if other is not one and second.func is first.func and (pair := _difference(first, second)) is not None:
                return number * pair + (left - other)
    return None


def _difference(first: sympy.Expr, second: sympy.Expr) -> sympy.Expr | None:
    """Return first − second of two logarithms or two arctangents as one."""
    if not isinstance(first, sympy.log | log1p | sympy.atan):
        return None
    a, b = (f.args[0] + (1 if isinstance(f, log1p) else 0) for f in (first, second))
    apart = _joined(a, -b)
    if apart is None:
        return None
    if isinstance(first, sympy.atan):
        return sympy.Piecewise((sympy.atan(apart / (1 + a * b)), a * b > -_HALF), (first - second, True))
    return sympy.Piecewise((log1p(apart / b), sympy.Abs(apart) < sympy.Abs(b) / 2), (first - second, True))
