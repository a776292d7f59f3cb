"""Equal expressions that keep their digits: differences that cancel, and quotients of what overflows, as functions.

Each rule is an identity for every real argument; none asks for a limit or a range.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import sympy
from sympy.codegen.cfunctions import expm1, log1p

from cosnb.symbolic.functions import erfc, sigmoid, softplus

_HIGHEST = 3  # power of a divisor that is multiplied out
_ROOTS = 4


@lru_cache(maxsize=512)
def stable(expr: sympy.Expr, half: bool = True) -> sympy.Expr:
    """Return an equal expression that loses no digits in a tail or at 0 where one of these rules helps.

    r − r·σ(g), r ± r·erf(g), r ± r·tanh(g), r − r·tanh²(g), r·e^g − r, r − r·cos(g), r·cosh(g) − r and r·√(1 + g) − r
    become one product; (1 + e^g)⁻ⁿ and e^g/(1 + e^g) are written by σ, sinh/cosh as tanh, ln(1 + e^g), ln σ(g), ln
    cosh(g) and ln(1 + g) as softplus and log1p. Works for any expression in any symbols. half: σ(g) − ½ as
    tanh(g/2)/2 too, longer where a target has no tanh.
    """
    shares = (-1, 1, sympy.Rational(-1, 2)) if half else (-1, 1)
    rules = (_power, _product, _logarithm, partial(_sum, shares))
    for head, rule in zip((sympy.Pow, sympy.Mul, sympy.log, sympy.Add), rules, strict=True):
        expr = expr.replace(lambda e, head=head: isinstance(e, head), rule)
    return expr


def _power(expr: sympy.Expr) -> sympy.Expr:
    base, exponent = expr.args
    constant, rest = base.as_coeff_Add()
    if constant == 1 and isinstance(rest, sympy.exp) and exponent.is_Integer and exponent.is_negative:
        return sigmoid(-rest.args[0]) ** -exponent
    return expr


def _powers(term: sympy.Expr) -> dict[sympy.Expr, sympy.Expr]:
    """Return {base: exponent} of a term's factors, e^g a base of its own."""
    factors = sympy.Mul.make_args(term)
    return dict((factor.args if factor.is_Pow else (factor, sympy.S.One)) for factor in factors)


def _reduced(powers: dict[sympy.Expr, sympy.Expr], *, by: dict[sympy.Expr, int]) -> sympy.Expr:
    """Return the product of `powers` divided by that of `by`; SymPy does not cancel e^(a + b) by a division."""
    left = {base: powers.get(base, sympy.S.Zero) - by.get(base, 0) for base in {**powers, **by}}
    return sympy.Mul(*(base**power for base, power in left.items()))


def _product(expr: sympy.Expr) -> sympy.Expr:
    powers = _powers(expr)
    exponentials = [base for base in powers if isinstance(base, sympy.exp)]
    if len(exponentials) > 1:  # of e^g·e^(−e^g) the first overflows where the product is 0
        joint = sympy.exp(sympy.Add(*(e.args[0] for e in exponentials)))
        return _product(sympy.Mul(joint, *(base**power for base, power in powers.items() if base not in exponentials)))
    for base, power in powers.items():
        if not (power.is_Integer and power > 0):
            continue
        if isinstance(base, sigmoid):
            for other in (*exponentials, *(b for b in powers if b.is_Add and powers[b] == 1 and b.has(sympy.exp))):
                absorbed = _absorbed(other, base.args[0], int(power))
                if absorbed is not None:
                    return _reduced(powers, by={other: 1, base: int(power)}) * absorbed
        if isinstance(base, sympy.sinh):
            below = powers.get(sympy.cosh(*base.args), sympy.S.Zero)
            if below.is_Integer and below < 0:
                return expr * (sympy.tanh(*base.args) * sympy.cosh(*base.args) / base) ** min(int(power), -int(below))
    return expr


def _absorbed(factor: sympy.Expr, g: sympy.Expr, power: int) -> sympy.Expr | None:
    """Return factor·σⁿ(g) by e^(−m·g)·σⁿ(g) = σᵐ(−g)·σⁿ⁻ᵐ(g), in each term of a sum; None where e^… would be left."""
    terms = []
    for term in sympy.Add.make_args(factor):
        powers = _powers(term)
        exponential = next((base for base in powers if isinstance(base, sympy.exp)), sympy.S.One)
        exponent = exponential.args[0] if exponential.args else sympy.S.Zero
        own = powers.get(sigmoid(g), sympy.S.Zero)
        n = power + (int(own) if own.is_Integer and own > 0 else 0)
        m = next((m for m in range(n + 1) if sympy.expand(exponent + m * g) == 0), None)
        if m is None:
            return None
        terms.append(_reduced(powers, by={exponential: 1}) * sigmoid(-g) ** m * sigmoid(g) ** (power - m))
    return sympy.Add(*terms)


def _logarithm(expr: sympy.Expr) -> sympy.Expr:
    argument = expr.args[0]
    if isinstance(argument, sigmoid):
        return -softplus(-argument.args[0])
    if isinstance(argument, sympy.cosh):  # ln(1 + 2·sinh²(g/2)); |g| + ln((1 + e^(−2|g|))/2)
        return _log_cosh(*argument.args)
    constant, rest = sympy.expand(argument).as_coeff_Add()
    if constant != 1:
        return expr
    return softplus(rest.args[0]) if isinstance(rest, sympy.exp) else log1p(rest)


def _log_cosh(g: sympy.Expr) -> sympy.Piecewise:
    size = sympy.Abs(g)
    near, far = log1p(2 * sympy.sinh(size / 2) ** 2), size + log1p(expm1(-2 * size) / 2)
    return sympy.Piecewise((near, size < 1), (far, True))


def _log_cosh_in(term: sympy.Expr) -> sympy.Piecewise | None:
    """Return the ln cosh g of which a term is a multiple by a number; None where it is of nothing such."""
    piece = term.as_coeff_Mul()[1]
    if isinstance(piece, sympy.Piecewise) and (sines := piece.args[0][0].atoms(sympy.sinh)):
        return piece if any(piece == _log_cosh(2 * sine.args[0]) for sine in sines) else None
    return None


def _sum(shares: tuple, expr: sympy.Expr) -> sympy.Expr:
    """Join a pair of terms, r·h and ±r or a half of r, until none is left."""
    terms = list(expr.args)
    for term in terms:
        if (piece := _log_cosh_in(term)) is not None:  # the sum in each piece: in x − ln cosh x the x − |x| comes first
            sums = [expr - term + term.as_coeff_Mul()[0] * value for value, _ in piece.args]
            sums = [_sum(shares, part) if part.is_Add else part for part in sums]
            return sympy.Piecewise(*((part, condition) for part, (_, condition) in zip(sums, piece.args, strict=True)))
    if (quotient := _over_one_divisor(terms)) is not None:
        return quotient
    if (difference := _root_less_constant(terms)) is not None:
        return difference
    for term in terms:
        powers = _powers(term)
        for head, power in powers.items():
            joined = _RULES.get(head.func) if power.is_Integer and power > 0 else None
            if joined is None:
                continue
            for degree in range(1, min(int(power), 2) + 1):
                rest = _reduced(powers, by={head: degree})
                for share in shares:
                    if share * rest in terms and (product := joined(head.args[0], degree, share)) is not None:
                        left = [other for other in terms if other not in (term, share * rest)]
                        pair = rest * product
                        return _sum(shares, sympy.Add(pair, *left)) if left else pair
    return expr


def _root_less_constant(terms: list[sympy.Expr]) -> sympy.Expr | None:
    """Return the sum with r·(b + u)^(p/q) − r·b^(p/q) as a multiple of u, for q ≤ 4; None where no terms are such."""
    for term in terms:
        for base, power in _powers(term).items():
            constant, rest = base.as_coeff_Add()
            if not (base.is_Add and constant.is_positive and power.is_Rational and 2 <= power.q <= _ROOTS):
                continue
            root, factor = sympy.root(constant, power.q), _reduced(_powers(term), by={base: power})
            other = -factor * root**power.p
            if not root.is_Rational or other not in terms:
                continue
            p, q, w = abs(power.p), power.q, sympy.Pow(base, sympy.Rational(1, power.q))
            joined = factor * rest * _geometric(w, root, p) / _geometric(w, root, q)  # w − c is rest/(w^(q−1) + … )
            if power < 0:
                joined = -joined / (w * root) ** p
            left = list(terms)
            left.remove(term)
            left.remove(other)
            return sympy.Add(joined, *left)
    return None


def _geometric(w: sympy.Expr, c: sympy.Expr, n: int) -> sympy.Expr:
    """Return (wⁿ − cⁿ)/(w − c)."""
    return sympy.Add(*(w**k * c ** (n - 1 - k) for k in range(n)))


def _over_one_divisor(terms: list[sympy.Expr]) -> sympy.Expr | None:
    """Return r₁·Bᵖ + r₂·Bᵖ⁻¹ + … over one divisor if terms cancel: (1 + x²)^(−1/2) − x²·(1 + x²)^(−3/2); else None."""
    split = [_powers(term) for term in terms]
    for base in {base for powers in split for base, power in powers.items() if base.is_Add and power.is_negative}:
        degrees = [powers.get(base, sympy.S.Zero) for powers in split]
        lowest = min(degrees, key=lambda degree: (not degree.is_Rational, degree if degree.is_Rational else 0))
        if not all((degree - lowest).is_Integer and 0 <= degree - lowest <= _HIGHEST for degree in degrees):
            continue
        rests = [sympy.expand(_reduced(powers, by={base: lowest})) for powers in split]
        joined = sympy.Add(*rests)
        if _count(joined) < sum(map(_count, rests)):
            return joined * base**lowest
    return None


def _count(expr: sympy.Expr) -> int:
    return len(sympy.Add.make_args(expr))


def _sigmoid(g: sympy.Expr, degree: int, share: sympy.Expr) -> sympy.Expr | None:
    if degree != 1 or share == 1:
        return None
    return -sigmoid(-g) if share == -1 else sympy.tanh(g / 2) / 2


def _tanh(g: sympy.Expr, degree: int, share: sympy.Expr) -> sympy.Expr | None:
    if degree == 2:
        return -4 * sigmoid(2 * g) * sigmoid(-2 * g) if share == -1 else None
    return {-1: -2 * sigmoid(-2 * g), 1: 2 * sigmoid(2 * g)}.get(share)


def with_roots_joined(product: sympy.Expr) -> sympy.Expr:
    """Return a product with u^n taken into (±u)^a: the square in (−x)^(2/3)/x² overflows and underflows early."""
    powers = [factor.as_base_exp() for factor in product.args]
    roots = {b: e for b, e in powers if e.is_number and not e.is_Integer and not b.is_number}
    joined, rest = dict(roots), sympy.Integer(1)
    for base, exponent in powers:
        if exponent.is_Integer and (base in roots or -base in roots):
            joined[base if base in roots else -base] += exponent
            rest *= 1 if base in roots else (-1) ** exponent
        elif base not in roots:
            rest *= base**exponent
    if joined == roots:
        return product
    return sympy.Mul(rest, *(base**exponent for base, exponent in joined.items()))


def _only_minus(product: Callable[[sympy.Expr], sympy.Expr]) -> Callable[..., sympy.Expr | None]:
    return lambda g, degree, share: product(g) if degree == 1 and share == -1 else None


# h(g)ᵈ + share, of which the two terms are multiples: as one product.
_RULES: dict[type, Callable[[sympy.Expr, int, sympy.Expr], sympy.Expr | None]] = {
    sigmoid: _sigmoid,
    sympy.tanh: _tanh,
    sympy.erf: lambda g, degree, share: {-1: -erfc(g), 1: erfc(-g)}.get(share) if degree == 1 else None,
    sympy.exp: _only_minus(expm1),
    sympy.cos: _only_minus(lambda g: -2 * sympy.sin(g / 2) ** 2),
    sympy.cosh: _only_minus(lambda g: 2 * sympy.sinh(g / 2) ** 2),
}
