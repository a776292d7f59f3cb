"""Normal form: an activation as one rational function of x and t = e^(−g|x|) for x ≥ 0 and one for x < 0.

Each branch is (a(t)·x + b(t) + c(t)·ln(1 + t)) / d(t), t in (0, 1], d without a zero on [0, 1]: one exponential, one
division, no overflow at any finite x; the logarithm only in softplus and its like. SymPy finds it: rewrite to exp, put
e^x = 1/t or t, bring to one quotient. The quotient's factors are kept (CoS's denominator is (1 + t)(1 + t⁵)², of degree
11 when expanded), and among equal quotients the one with the fewest operations is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, reduce

import sympy

from cosnb.symbolic.extent import is_linear, terms

# Without assumptions: SymPy would ask each product for its sign, which takes 10 × the time of the algebra.
t, s = sympy.symbols("t s")
_X = sympy.Symbol("x")
_LOG = sympy.Symbol("L")  # ln(1 + t)
# The algebra's time grows as the cube of the fastest exponential's power of t: CoS's f″ takes 3 s at 21 and 83 s at 47.
_MAX_POWER = 32
# Of the quotient when expanded: a sum of 10 sigmoids has 112 and takes 2.5 s, one of 14 has 212 and takes 23 s; of the
# rows CoS‴ has most, 120.
_MAX_TERMS = 160


@dataclass(frozen=True)
class Branch:
    """(slope·x + offset + log·ln(1 + t)) / denominator, each a polynomial of t (and of s = 1 − t)."""

    slope: sympy.Expr
    offset: sympy.Expr
    denominator: sympy.Expr
    log: sympy.Expr = sympy.S.Zero

    def parts(self) -> tuple[sympy.Expr, sympy.Expr, sympy.Expr, sympy.Expr]:
        """Return slope, offset, log and denominator."""
        return self.slope, self.offset, self.log, self.denominator


@dataclass(frozen=True)
class NormalForm:
    """`positive` holds for x ≥ 0, `negative` for x < 0.

    t = e^(−rate·|x|). In what `with_s` returns, s stands for 1 − t, which a target can compute by expm1.
    """

    rate: sympy.Rational
    positive: Branch
    negative: Branch

    def branch_expr(self, x: sympy.Symbol, negative: bool) -> sympy.Expr:
        """Return one branch as an expression in x alone, exact for every real x of that sign."""
        branch = self.negative if negative else self.positive
        decay = sympy.exp((self.rate if negative else -self.rate) * x)
        numerator = branch.slope * x + branch.offset + branch.log * sympy.log(1 + t)
        return (numerator / branch.denominator).subs(s, 1 - t).subs(t, decay)


@lru_cache(maxsize=512)
def normal_form(expr: sympy.Expr, x: sympy.Symbol) -> NormalForm | None:
    """Return the normal form of `expr`, or None where `expr` is not in the class.

    Outside are constants, formulas whose exponents have a common part more than 32 times smaller than the largest, and
    those whose quotient may have more than 160 terms.
    """
    plain = expr.rewrite(sympy.exp)
    rate = _common_rate(plain, x)
    if rate is None:
        return None
    branches = [b for negative in (False, True) if (b := _branch(plain, x, rate, negative)) is not None]
    if len(branches) < 2 or all(map(_is_constant, branches)):
        return None
    powers = [m[0] for b in branches for e in b.parts() for m in sympy.Poly(e, t).monoms()]
    step = sympy.Integer(reduce(sympy.gcd, powers, 0) or 1)
    if step > 1 and all(b.log == 0 for b in branches):
        branches = [_map(b, lambda e: _with_power(e, step)) for b in branches]
        rate = rate * step
    return NormalForm(rate, *branches)


def _common_rate(plain: sympy.Expr, x: sympy.Symbol) -> sympy.Rational | None:
    """Return the g of which all exponents are rational multiples g·n·x, n ≤ 32; None where there is none."""
    slopes = [abs(slope) for slope in exponents(plain, x).values()]
    if not slopes:
        return None
    rate = reduce(sympy.gcd, slopes)
    return None if max(slopes) > _MAX_POWER * rate else rate


def exponents(expr: sympy.Expr, x: sympy.Symbol) -> dict[sympy.Expr, sympy.Rational]:
    """Return {e^(c·x): c} of the exponentials in `expr`; empty where one of them has another exponent."""
    found = {}
    for exponential in expr.atoms(sympy.exp):
        (exponent,) = exponential.args
        p = sympy.Poly(exponent, x) if exponent.is_polynomial(x) else None
        if p is None or p.degree() != 1 or p.nth(0) != 0 or not p.nth(1).is_Rational:
            return {}
        found[exponential] = p.nth(1)
    return found


def _is_constant(branch: Branch) -> bool:
    return branch.slope == 0 and branch.log == 0 and branch.offset.is_number and branch.denominator.is_number


def with_s(form: NormalForm) -> NormalForm:
    """Return the form with factors 1 − t of numerators written as s: near x = 0 the subtraction loses digits."""
    sides = (form.positive, form.negative)
    return NormalForm(form.rate, *(Branch(_with_s(b.slope), _with_s(b.offset), b.denominator, b.log) for b in sides))


def _with_power(part: sympy.Expr, step: sympy.Integer) -> sympy.Expr:
    """Write a polynomial of t^step as one of t."""
    structured = part.replace(lambda e: e.is_Pow and e.base == t, lambda e: t ** (e.exp / step))
    return (
        structured
        if structured.is_polynomial(t)
        and not structured.has(sympy.sqrt(t))
        and (sympy.expand(structured.subs(t, t**step) - part) == 0)
        else sympy.factor(sympy.expand(part).subs(t, t ** (1 / step)))
    )


def _with_s(offset: sympy.Expr) -> sympy.Expr:
    """Write each factor 1 − t of a polynomial as s; the other factors keep their form."""
    if offset == 0 or offset.subs(t, 1) != 0:
        return offset
    factors = []
    for factor in sympy.Mul.make_args(offset):
        base, exponent = factor.as_base_exp()
        multiplicity = 0
        while not base.is_number and base.subs(t, 1) == 0:
            base, multiplicity = sympy.cancel(base / (1 - t)), multiplicity + 1
        if multiplicity and not base.is_number and sympy.Poly(base, t).LC() < 0:
            base = -base
            factors.append((-1) ** exponent)
        factors.append((s**multiplicity * base) ** exponent if multiplicity else factor)
    product = sympy.Mul(*factors)
    return s * _with_s(sympy.cancel(offset / (1 - t))) if not product.has(s) else product


def _map(branch: Branch, change: Callable[[sympy.Expr], sympy.Expr]) -> Branch:
    return Branch(change(branch.slope), change(branch.offset), change(branch.denominator), change(branch.log))


def _branch(plain: sympy.Expr, x: sympy.Symbol, rate: sympy.Rational, negative: bool) -> Branch | None:
    sign = 1 if negative else -1  # t = e^(sign·rate·x)
    in_t = plain.replace(
        lambda e: isinstance(e, sympy.exp), lambda e: t ** (sign * sympy.Poly(e.args[0], x).nth(1) / rate)
    ).subs(x, _X)
    in_t = in_t.replace(lambda e: isinstance(e, sympy.log), lambda e: _log1p(e, rate, sign))
    if not in_t.is_rational_function(_X, t, _LOG) or not is_linear(in_t, t) or terms(in_t, t) > _MAX_TERMS:
        return None
    cancelled = sympy.cancel(in_t)
    forms = [_split(form) for form in (sympy.together(in_t), cancelled, sympy.factor(cancelled))]
    usable = [form for form in forms if form is not None]
    return min(usable, key=lambda b: sum(count_operations(e) for e in b.parts()), default=None)


def _log1p(log: sympy.Expr, rate: sympy.Rational, sign: int) -> sympy.Expr:
    """Return ln(1 + t) as the symbol for it and ln(1 + 1/t) as rate·|x| more; other logarithms stay."""
    argument = sympy.expand(log.args[0])
    if argument == 1 + t:
        return _LOG
    return _LOG - sign * rate * _X if argument == 1 + 1 / t else log


def _split(form: sympy.Expr) -> Branch | None:
    """Split a quotient into its parts; None unless it has the form and the denominator no zero."""
    numerator, denominator = sympy.fraction(sympy.together(form))
    if denominator.has(_X, _LOG) or not denominator.is_polynomial(t) or not numerator.is_polynomial(_X, t, _LOG):
        return None
    poly = sympy.Poly(denominator, t)
    constant = poly.eval(0)
    if constant == 0 or (poly.degree() > 0 and poly.count_roots(0, 1) > 0):
        return None
    scale, denominator = denominator.as_coeff_Mul()
    numerator = numerator / scale
    slope_at_0 = sympy.diff(numerator, _X).subs({_LOG: 0, t: 0})
    if slope_at_0 != 0 and constant != scale:
        # At a large x nothing may overflow in a quotient that does not: the denominator is made 1 at t = 0.
        numerator, denominator = numerator * scale / constant, sympy.expand(denominator * scale / constant)
    if sympy.Poly(numerator, _X, _LOG).total_degree() > 1:
        return None
    rest = {_X: 0, _LOG: 0}
    raw = (sympy.diff(numerator, _X), numerator.subs(rest), sympy.diff(numerator, _LOG))
    slope, offset, log = (min((e, sympy.factor(e), sympy.expand(e)), key=count_operations) for e in raw)
    return Branch(slope, offset, denominator, log)


def count_operations(expr: sympy.Expr) -> int:
    """Return the additions, multiplications and divisions of `expr`, shared subexpressions counted once."""
    seen: set[sympy.Expr] = set()

    def visit(e: sympy.Expr) -> int:
        if e in seen or not e.args:
            return 0
        seen.add(e)
        below = sum(visit(arg) for arg in e.args)
        if e.is_Pow and e.exp.is_Integer:
            n = abs(int(e.exp))
            return below + n.bit_length() - 1 + n.bit_count() - 1  # repeated squaring
        return below + len(e.args) - 1

    return visit(expr)
