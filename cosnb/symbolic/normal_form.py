"""The normal form: an activation as one rational function of x and t = e^(−g|x|) for x ≥ 0 and one for x < 0.

Each branch is (a(t)·x + b(t)) / d(t), t in (0, 1], d without a zero on [0, 1]: one exponential, one division, no
overflow at any finite x. SymPy finds it: rewrite to exp, put e^x = 1/t or t, bring to one quotient. The quotient's
factors are kept (CoS's expanded denominator has degree 14), and among equal quotients the one with the fewest
operations is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, reduce

import sympy

# Without assumptions: SymPy would ask each product for its sign, which takes 10 × the time of the algebra.
t, s = sympy.symbols("t s")
_X = sympy.Symbol("x")
# The algebra's time grows as the cube of the fastest exponential's power of t: CoS's f″ takes 3 s at 21 and 83 s at 47.
_MAX_POWER = 32


@dataclass(frozen=True)
class Branch:
    """(slope·x + offset) / denominator, each a polynomial of `NormalForm.variable`."""

    slope: sympy.Expr
    offset: sympy.Expr
    denominator: sympy.Expr


@dataclass(frozen=True)
class NormalForm:
    """`positive` holds for x ≥ 0, `negative` for x < 0.

    t = e^(−rate·|x|). Where the whole numerator vanishes at t = 1 (tanh), its factors 1 − t are written as s, which a
    target computes by expm1: the subtraction would lose the digits near x = 0.
    """

    rate: sympy.Rational
    positive: Branch
    negative: Branch

    def branch_expr(self, x: sympy.Symbol, negative: bool) -> sympy.Expr:
        """Return one branch as an expression in x alone, exact for every real x of that sign."""
        branch = self.negative if negative else self.positive
        decay = sympy.exp((self.rate if negative else -self.rate) * x)
        quotient = (branch.slope * x + branch.offset) / branch.denominator
        return quotient.subs(s, 1 - t).subs(t, decay)


@lru_cache(maxsize=512)
def normal_form(expr: sympy.Expr, x: sympy.Symbol) -> NormalForm | None:
    """Return the normal form of `expr`, or None where `expr` is not in the class.

    Outside are constants, and formulas whose exponents have a common part more than 32 times smaller than the largest.
    """
    plain = expr.rewrite(sympy.exp)
    arguments = {e.args[0] for e in plain.atoms(sympy.exp)}
    rates = [sympy.Poly(arg, x) for arg in arguments] if all(arg.is_polynomial(x) for arg in arguments) else []
    if not rates or any(p.degree() != 1 or p.nth(0) != 0 or not p.nth(1).is_Rational for p in rates):
        return None
    slopes = [abs(p.nth(1)) for p in rates]
    rate = reduce(sympy.gcd, slopes)
    if max(slopes) > _MAX_POWER * rate:
        return None
    branches = [b for negative in (False, True) if (b := _branch(plain, x, rate, negative)) is not None]
    if len(branches) < 2:
        return None
    if all(b.slope == 0 and b.offset.is_number and b.denominator.is_number for b in branches):
        return None
    powers = [m[0] for b in branches for e in (b.slope, b.offset, b.denominator) for m in sympy.Poly(e, t).monoms()]
    step = sympy.Integer(reduce(sympy.gcd, powers, 0) or 1)
    if step > 1:
        branches = [_map(b, lambda e: e.subs(t, t ** (1 / step))) for b in branches]
    if all(b.slope == 0 and b.offset.subs(t, 1) == 0 for b in branches):
        branches = [Branch(b.slope, _with_s(b.offset), b.denominator) for b in branches]
    return NormalForm(rate * step, *branches)


def _with_s(offset: sympy.Expr) -> sympy.Expr:
    """Write each factor 1 − t of a polynomial as s."""
    multiplicity = 0
    while offset.subs(t, 1) == 0:
        offset, multiplicity = sympy.cancel(offset / (1 - t)), multiplicity + 1
    return s**multiplicity * sympy.factor(offset)


def _map(branch: Branch, change: Callable[[sympy.Expr], sympy.Expr]) -> Branch:
    return Branch(change(branch.slope), change(branch.offset), change(branch.denominator))


def _branch(plain: sympy.Expr, x: sympy.Symbol, rate: sympy.Rational, negative: bool) -> Branch | None:
    sign = 1 if negative else -1  # t = e^(sign·rate·x)
    in_t = plain.replace(
        lambda e: isinstance(e, sympy.exp), lambda e: t ** (sign * sympy.Poly(e.args[0], x).nth(1) / rate)
    ).subs(x, _X)
    if not in_t.is_rational_function(_X, t):
        return None
    cancelled = sympy.cancel(in_t)
    forms = [_split(form) for form in (sympy.together(in_t), cancelled, sympy.factor(cancelled))]
    usable = [form for form in forms if form is not None]
    return min(usable, key=lambda b: sum(count_operations(e) for e in (b.slope, b.offset, b.denominator)), default=None)


def _split(form: sympy.Expr) -> Branch | None:
    """Split a quotient into slope, offset and denominator; None unless it has the form and the denominator no zero."""
    numerator, denominator = sympy.fraction(sympy.together(form))
    constant, denominator = denominator.as_coeff_Mul()
    numerator = numerator / constant
    if denominator.has(_X) or not denominator.is_polynomial(t) or not numerator.is_polynomial(_X, t):
        return None
    if sympy.Poly(numerator, _X, t).degree(_X) > 1:
        return None
    poly = sympy.Poly(denominator, t)
    if poly.eval(0) == 0 or (poly.degree() > 0 and poly.count_roots(0, 1) > 0):
        return None
    parts = (sympy.diff(numerator, _X), numerator.subs(_X, 0))
    parts = tuple(
        min((e, sympy.factor(e), sympy.expand(e), sympy.horner(e, wrt=t)), key=count_operations) for e in parts
    )
    return Branch(*parts, denominator)


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
