"""The choice between the two branches of a normal form, sharing what they have in common."""

from collections.abc import Callable

import sympy

from cosnb.codegen.tree import Tree, Way
from cosnb.symbolic.normal_form import s, t

_MAX_DEGREE = 4  # of polynomials whose coefficients are selected one by one


class Selection:
    """Emits a choice between two polynomials of t, one for x ≥ 0 and one for x < 0, computing once what they share."""

    def __init__(self, tree: Tree, is_negative: int) -> None:
        self.tree = tree
        self.program = tree.program
        self.is_negative = is_negative

    def select(self, positive: sympy.Expr, negative: sympy.Expr) -> int:
        """Return the step that is `positive` where x ≥ 0 and `negative` where x < 0: the cheapest way found."""

        def on(way: Callable[[Selection, sympy.Expr, sympy.Expr], int]) -> Way:
            return lambda tree: way(Selection(tree, self.is_negative), positive, negative)

        return self.tree.cheapest([on(way) for way in (_by_structure, _by_factors, _by_coefficients, _by_value)])

    def by_structure(self, positive: sympy.Expr, negative: sympy.Expr) -> int:
        """Share equal parts, common factors and the terms of sums that differ by a power of t."""
        program, tree = self.program, self.tree
        if sympy.expand(positive - negative) == 0:
            return tree.lower(min(positive, negative, key=sympy.count_ops))
        if positive != 0 and negative != 0:
            for one, other in ((positive, negative), (negative, positive)):
                factor = _monomial(other, one)
                if factor is not None:
                    pair = (factor, sympy.Integer(1))
                    first, second = pair if one is negative else pair[::-1]
                    choice = program.where(self.is_negative, tree.lower(second), tree.lower(first))
                    return program.mul(choice, tree.lower(one))
            common = self._common_factors(positive, negative)
            if common is not None:
                shared, first, second = common
                return program.mul(self.select(first, second), tree.lower(shared))
            pairs = self._pairs(positive, negative)
            if pairs is not None:
                total = None
                for first, second in pairs:
                    term = self.select(first, second)
                    total = term if total is None else program.add(total, term)
                assert total is not None
                return total
        return self.by_value(positive, negative)

    def by_value(self, positive: sympy.Expr, negative: sympy.Expr) -> int:
        """Compute both and select."""
        return self.program.where(self.is_negative, self.tree.lower(negative), self.tree.lower(positive))

    def by_factors(self, positive: sympy.Expr, negative: sympy.Expr) -> int:
        """Select factor by factor, or the bases of two equal powers."""
        if positive.is_Pow and negative.is_Pow and positive.exp == negative.exp and positive.exp.is_Integer:
            return self.program.power(self.select(positive.base, negative.base), int(positive.exp))
        factors = [sorted(sympy.Mul.make_args(e), key=_degree) for e in (positive, negative)]
        if len(factors[0]) != len(factors[1]) or len(factors[0]) < 2:
            return self.by_value(positive, negative)
        product = None
        for pair in zip(*factors, strict=True):
            factor = self.select(*pair)
            product = factor if product is None else self.program.mul(product, factor)
        assert product is not None
        return product

    def by_coefficients(self, positive: sympy.Expr, negative: sympy.Expr) -> int:
        """Select each coefficient of t, then Horner's rule once."""
        if any(part.has(s) or part == 0 for part in (positive, negative)):
            return self.by_value(positive, negative)
        first, second = (sympy.Poly(part, t) for part in (positive, negative))
        degree = max(first.degree(), second.degree())
        if degree > _MAX_DEGREE:
            return self.by_value(positive, negative)
        result = self.program.number(0)
        for k in range(degree, -1, -1):
            coefficient = self.program.where(
                self.is_negative, self.tree.lower(second.nth(k)), self.tree.lower(first.nth(k))
            )
            result = self.program.add(self.program.mul(result, self.tree.lower(t)), coefficient)
        return result

    def _common_factors(
        self, positive: sympy.Expr, negative: sympy.Expr
    ) -> tuple[sympy.Expr, sympy.Expr, sympy.Expr] | None:
        shared = sympy.gcd_terms(sympy.gcd(*(sympy.expand(e.subs(s, 1 - t)) for e in (positive, negative))))
        factors = [f for f in sympy.Mul.make_args(positive) if f in sympy.Mul.make_args(negative) and not f.is_number]
        if not factors or shared.is_number:
            return None
        product = sympy.Mul(*factors)
        return product, positive / product, negative / product

    def _pairs(self, positive: sympy.Expr, negative: sympy.Expr) -> list[tuple[sympy.Expr, sympy.Expr]] | None:
        """Pair the terms of two sums so that the terms of a pair differ by a power of t at most; None if none does."""
        first, rest = list(sympy.Add.make_args(positive)), list(sympy.Add.make_args(negative))
        if len(first) != len(rest) or len(first) < 2:
            return None
        pairs = []
        for term in first:
            partner = next((o for o in rest if _monomial(o, term) is not None or _monomial(term, o) is not None), None)
            if partner is None:
                return None
            rest.remove(partner)
            pairs.append((term, partner))
        return pairs


_by_structure, _by_factors = Selection.by_structure, Selection.by_factors
_by_coefficients, _by_value = Selection.by_coefficients, Selection.by_value


def _degree(factor: sympy.Expr) -> tuple[int, str]:
    return int(sympy.degree(factor, t)) if factor.has(t) else 0, str(factor)


def _monomial(numerator: sympy.Expr, denominator: sympy.Expr) -> sympy.Expr | None:
    """Return numerator / denominator if that is a number times a power of t, else None."""
    quotient = sympy.cancel((numerator / denominator).subs(s, 1 - t))
    return quotient if quotient.is_polynomial(t) and len(sympy.Poly(quotient, t).terms()) == 1 else None
