"""Lowering of formulas whose parameters are open: by T = e^(−|g|), so that no e^g overflows, whatever g and its sign.

A part that is a rational function of one e^g, with g any expression, is N(T)/D(T), one for g ≥ 0 and one for g < 0, as
in the normal form; log of such a part is a multiple of |g| and a log of a bounded number more. The coefficients are
expressions in x, the parameters and other functions. An e^h in a product with T^k becomes e^(h − k·|g|), for T may be 0
where e^h is infinite: x·e^x·(1 − tanh²(a·e^x)).
"""

from functools import reduce

import sympy

from cosnb.codegen.program import Program
from cosnb.codegen.tree import Tree
from cosnb.symbolic.functions import sigmoid, softplus
from cosnb.symbolic.normal_form import count_operations
from cosnb.symbolic.stable import stable

_T, _S, _A = (sympy.Dummy(name, positive=True) for name in "TSA")  # e^(−|g|), 1 − T and |g|
_MOST = 24  # the largest power of T


def by_exponentials(expr: sympy.Expr) -> sympy.Expr:
    """Return `expr` with σ, softplus, tanh, sinh and cosh written by exponentials."""
    return expr.replace(
        lambda e: isinstance(e, sigmoid | softplus | sympy.tanh | sympy.sinh | sympy.cosh),
        lambda e: e.rewrite(sympy.exp),
    )


class DecayTree(Tree):
    """A `Tree` that emits each part with exponentials by their decay, where it has such a form."""

    def _lower(self, expr: sympy.Expr) -> int:
        if expr not in self.names and isinstance(expr, sympy.Add | sympy.Mul | sympy.Pow | sympy.log):
            step = self._by_decay(expr)
            if step is not None:
                return step
        return super()._lower(expr)

    def _by_decay(self, expr: sympy.Expr) -> int | None:
        """Emit a part that has one unit, but for the exponentials that are factors of it; None for any other."""
        factors = [arg for arg in sympy.Mul.make_args(expr) if isinstance(arg, sympy.exp) and not arg.is_number]
        carried, rest = sum((factor.args[0] for factor in factors), sympy.S.Zero), expr / sympy.Mul(*factors)
        unit = _unit(_exponents(rest))
        if unit is None and len(factors) > 1 and not _exponents(rest):
            return self.program.mul(self.lower(rest), self.program.emit("exp", self.lower(carried)))
        if unit is None or _ratio(carried, unit) is not None:
            carried, rest, unit = sympy.S.Zero, expr, _unit(_exponents(expr))
        if unit is None:
            return self._by_factors(expr)
        branches = [_branch(rest, unit, sign) for sign in (1, -1)]
        if any(branch is None for branch in branches):
            return None
        g = self.lower(unit)
        size = self.program.emit("abs", g)
        above, below = (self._branch(branch, size, carried) for branch in branches if branch is not None)
        return self.program.where(self.program.emit("lt", g, self.program.number(0)), below, above)

    def _by_factors(self, expr: sympy.Expr) -> int | None:
        """Emit a product whose factors have several units, each unit's factors together."""
        if not expr.is_Mul:
            return None
        groups: dict[sympy.Expr | None, sympy.Expr] = {}
        for factor in expr.args:
            exponents = _exponents(factor)
            unit = _unit(exponents)
            if exponents and unit is None:
                return None
            key = next((k for k in groups if k is not None and unit is not None and _ratio(unit, k) is not None), unit)
            groups[key] = groups.get(key, sympy.S.One) * factor
        return None if len(groups) < 2 else self._factors([part for part in groups.values() if part != 1])

    def _branch(self, branch: "_Branch", size: int, carried: sympy.Expr) -> int:
        program, minus = self.program, self.program.neg(size)
        inner = DecayTree(program, {**self.names, _T: program.emit("exp", minus), _A: size})
        inner.names[_S] = program.neg(program.emit("expm1", minus))
        for dummy, value in branch.opaque.items():
            inner.names[dummy] = inner.lower(stable(value))
        if carried != 0:  # Σ c·e^(h − k·|g|)
            h = self.lower(carried)
            result = program.number(0)
            for (k,), coefficient in sympy.Poly(branch.numerator, _T).terms():
                shift = program.mul(program.number(k + branch.power), size)
                exponent = h if k + branch.power == 0 else program.add(h, program.neg(shift))
                term = program.mul(inner.lower(coefficient), program.emit("exp", exponent))
                result = program.add(result, term)
        else:
            result = inner.lower(_with_s(branch.numerator))
            if branch.power > 0:
                result = program.mul(program.power(inner.names[_T], branch.power), result)
            elif branch.power < 0:
                result = program.mul(program.emit("exp", program.mul(program.number(-branch.power), size)), result)
        return result if branch.denominator == 1 else program.div(result, inner.lower(branch.denominator))


class _Branch:
    """T^power · numerator / denominator, polynomials of T that are not 0 at 0; `opaque`: {symbol in them: value}."""

    def __init__(
        self, power: int, numerator: sympy.Expr, denominator: sympy.Expr, opaque: dict[sympy.Dummy, sympy.Expr]
    ) -> None:
        self.power, self.numerator, self.denominator, self.opaque = power, numerator, denominator, opaque


def _exponents(expr: sympy.Expr) -> list[sympy.Expr]:
    """Return the exponents of the exponentials that `expr` is a rational function of, or a logarithm of one."""
    if isinstance(expr, sympy.exp):
        return [] if expr.is_number else [expr.args[0]]
    if expr.is_Add or expr.is_Mul or isinstance(expr, sympy.log) or (expr.is_Pow and expr.exp.is_Integer):
        return [exponent for arg in expr.args for exponent in _exponents(arg)]
    return []


def _ratio(exponent: sympy.Expr, unit: sympy.Expr) -> sympy.Rational | None:
    ratio = sympy.cancel(exponent / unit)
    return ratio if ratio.is_Rational else None


def _unit(exponents: list[sympy.Expr]) -> sympy.Expr | None:
    """Return the g of which all exponents are integer multiples; None where there is none."""
    if not exponents:
        return None
    ratios = [_ratio(exponent, exponents[0]) for exponent in exponents]
    if any(ratio is None for ratio in ratios):
        return None
    rate = abs(reduce(sympy.gcd, [ratio for ratio in ratios if ratio is not None]))
    largest = max(abs(ratio) for ratio in ratios if ratio is not None)
    return sympy.expand(exponents[0] * rate) if largest <= _MOST * rate else None


def _branch(expr: sympy.Expr, unit: sympy.Expr, sign: int) -> _Branch | None:
    """Return the quotient for g of that sign; None where `expr` has none."""
    opaque: dict[sympy.Dummy, sympy.Expr] = {}

    def stand_in(value: sympy.Expr) -> sympy.Dummy:
        dummy = sympy.Dummy()
        opaque[dummy] = value
        return dummy

    def walk(e: sympy.Expr) -> sympy.Expr:
        if e.is_number or e.is_Symbol:
            return e
        if isinstance(e, sympy.exp):
            ratio = _ratio(e.args[0], unit)
            return stand_in(e) if ratio is None else _T ** (-sign * ratio)
        if e.is_Add or e.is_Mul:
            return e.func(*map(walk, e.args))
        if e.is_Pow and e.exp.is_Integer:
            return walk(e.base) ** e.exp
        if isinstance(e, sympy.log) and _exponents(e):
            inside = _quotient(walk(e.args[0]))
            if inside is not None:
                power, numerator, denominator = inside
                return (
                    -power * _A
                    + stand_in(sympy.log(numerator))
                    - (stand_in(sympy.log(denominator)) if denominator != 1 else 0)
                )
        return stand_in(e)

    quotient = _quotient(walk(expr))
    return None if quotient is None else _Branch(*quotient, opaque)


def _quotient(expr: sympy.Expr) -> tuple[int, sympy.Expr, sympy.Expr] | None:
    """Return p, N, D with expr = T^p·N/D, N and D polynomials of T that are not 0 at 0."""
    cancelled = sympy.cancel(expr)
    forms = []
    for form in (sympy.together(expr), cancelled, sympy.factor(cancelled)):
        numerator, denominator = sympy.fraction(sympy.together(form))
        if not (numerator.is_polynomial(_T) and denominator.is_polynomial(_T)) or numerator == 0:
            continue
        low = [min(monomial[0] for monomial in sympy.Poly(part, _T).monoms()) for part in (numerator, denominator)]
        numerator, denominator = (
            part if n == 0 else sympy.cancel(part / _T**n)
            for part, n in zip((numerator, denominator), low, strict=True)
        )
        scale, denominator = denominator.as_coeff_Mul()
        forms.append((low[0] - low[1], numerator / scale, denominator))
    return min(forms, key=lambda form: count_operations(form[1]) + count_operations(form[2]), default=None)


def _with_s(numerator: sympy.Expr) -> sympy.Expr:
    """Return a polynomial with S for 1 − T, which loses digits near g = 0, in what stands with each other monomial."""
    others = sorted(numerator.free_symbols - {_T}, key=str)
    if not others or not numerator.is_polynomial(*others):
        return _shortest(_part_with_s(numerator))
    terms = [
        (sympy.Mul(*(v**n for v, n in zip(others, powers, strict=True))), _part_with_s(part))
        for powers, part in sympy.Poly(numerator, *others).terms()
    ]
    parts = sympy.Add(*(monomial * part for monomial, part in terms))
    return _shortest(parts) if parts.has(_S) else _shortest(numerator)


def _part_with_s(part: sympy.Expr) -> sympy.Expr:
    multiplicity = 0
    while part != 0 and sympy.expand(part.subs(_T, 1)) == 0:
        part, multiplicity = sympy.cancel(part / (1 - _T)), multiplicity + 1
    return _S**multiplicity * part


def _shortest(expr: sympy.Expr) -> sympy.Expr:
    return min((expr, sympy.factor(expr)), key=count_operations)


def lower_by_decay(expr: sympy.Expr, names: dict[sympy.Symbol, str]) -> Program:
    """Return the program of `expr`, each symbol the input of that name."""
    program = Program()
    program.result = DecayTree(program, {s: program.input(n) for s, n in names.items()}).lower(by_exponentials(expr))
    return program
