"""From a SymPy expression to a `Program`: through the normal form where there is one, else head by head."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import sympy
from sympy.core.relational import Relational

from cosnb.codegen.guards import errors, repairs
from cosnb.codegen.program import Program
from cosnb.errors import CosnbError
from cosnb.symbolic.functions import erfc, sigmoid, softplus
from cosnb.symbolic.normal_form import Branch, NormalForm, normal_form, s, t, with_s

# Where |x| is held: beyond, e^(−|x|) adds nothing to a number that does not vanish with it; and e^(−|x|)·|x| is 0 in
# float from 108 on and in double from 752 on, while 2¹⁰⁰·e^(−|x|) is still a normal number.
_EDGE, _EDGE_SCALED = (87, 700), (110, 760)
_FUNCTIONS = {
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.tanh: "tanh",
    sympy.sinh: "sinh",
    sympy.cosh: "cosh",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.tan: "tan",
    sympy.atan: "atan",
    sympy.asinh: "asinh",
    sympy.erf: "erf",
    sympy.erfc: "erfc",
    erfc: "erfc",
    sympy.Abs: "abs",
    sympy.sign: "sign",
    sigmoid: "sigmoid",
    softplus: "softplus",
}
_RELATIONS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}
_MAX_DEGREE = 4  # of polynomials whose coefficients are selected one by one
NORMAL = "normal form: one exponential, one division"
GENERAL = "general way: printed operation by operation, for the formula is outside the normal form's class"


@lru_cache(maxsize=512)
def lower(expr: sympy.Expr, x: sympy.Symbol, product: bool = False) -> Program:
    """Return the program that computes `expr` at `x`, times a second input `dy` where `product` is set.

    Raises CosnbError for a head that no target knows, a number that is not real, and a Piecewise that leaves a gap.
    """
    if product:
        return lower(expr, x).times("dy")
    form = normal_form(expr, x)
    if form is not None:
        return _best(form, expr, x)
    program = Program(note=GENERAL)
    program.result = _general(program, expr, x)
    return program


def lower_directly(expr: sympy.Expr, names: Mapping[sympy.Symbol, str]) -> Program:
    """Return the program that computes `expr` head by head, each symbol the input of that name; raises as `lower`.

    No normal form and no care for ±inf, NaN and overflow: shorter, and the symbols may be several.
    """
    program = Program(note=GENERAL)
    program.result = _Tree(program, {symbol: program.input(name) for symbol, name in names.items()}).lower(expr)
    return program


@lru_cache(maxsize=512)
def lower_open(expr: sympy.Expr, inputs: tuple[tuple[sympy.Symbol, str], ...]) -> Program:
    """Return the program of `expr` whose symbols are inputs, each with its name: the general way, without guards.

    For parameters that change while a network learns: no normal form holds for every value, and no limit is known.
    """
    program = Program(note=GENERAL)
    program.result = _Tree(program, {symbol: program.input(name) for symbol, name in inputs}).lower(expr)
    return program


# The normal form


def _best(form: NormalForm, expr: sympy.Expr, x: sympy.Symbol) -> Program:
    """Return the program with 1 − t by subtraction, or by expm1 where that halves the largest error measured."""
    plain, exact = Program(note=NORMAL), Program(note=NORMAL)
    plain.result = _quotient(plain, form)
    plain.error, size = errors(plain, expr, x)
    form_with_s = with_s(form)
    if form_with_s == form:
        return plain
    exact.result = _quotient(exact, form_with_s)
    exact.error, exact_size = errors(exact, expr, x)
    return exact if 2 * exact_size < size else plain


def _quotient(program: Program, form: NormalForm) -> int:
    """Emit (slope·x + offset + log·ln(1+t)) / denominator, the branches merged where they share parts.

    A branch whose numerator vanishes with t has t divided out and is multiplied at the end by t·2¹⁰⁰, then by 2⁻¹⁰⁰:
    its digits stay where t is subnormal. There |x| is held below the edge, so that ±inf gives the limit.
    """
    positive, vanish_positive = _without_power(form.positive)
    negative, vanish_negative = _without_power(form.negative)
    scaled = vanish_positive > 0 or vanish_negative > 0 or any(b.log != 0 for b in (positive, negative))
    x = program.input("x")
    edge = program.edge(*(sympy.Integer(e) / form.rate for e in (_EDGE_SCALED if scaled else _EDGE)))
    size = program.emit("min", program.emit("abs", x), edge)
    is_negative = program.emit("negative", x)
    program.hints |= {edge: "edge", is_negative: "negative"}
    held = x  # where its factor vanishes with t, for ∞·0 is NaN
    if any(b.slope != 0 for b in (positive, negative)):
        vanishing = [_vanishes(b.slope) for b in (form.negative, form.positive)]
        if all(vanishing):
            held = program.where(is_negative, program.neg(size), size)
        elif vanishing[0]:
            held = program.emit("max", held, program.neg(edge))
        elif vanishing[1]:
            held = program.emit("min", held, edge)

    exponent = program.neg(program.mul(program.number(form.rate), size))
    if scaled:
        large, small = program.emit("exp_scaled", exponent), program.number(sympy.Rational(1, 2**100))
        program.hints[large] = "scaled"
        names = {t: program.mul(large, small)}
    else:
        names = {t: program.emit("exp_nonpositive", exponent)}
    program.hints[names[t]] = "t"
    if any(part.has(s) for b in (positive, negative) for part in b.parts()):
        names[s] = program.neg(program.emit("expm1_nonpositive", exponent))
        program.hints[names[s]] = "s"
    tree = _Tree(program, names)

    select = _Selection(tree, is_negative).select
    numerator = select(positive.offset, negative.offset)
    slope = select(positive.slope, negative.slope)
    if not program.is_number(slope, 0):
        bounded = program.where(is_negative, program.neg(size), size)
        numerator = _times_x(program, slope, held, numerator, bounded)
    log = select(positive.log, negative.log)
    if not program.is_number(log, 0):
        logarithm = program.emit("log1p_unit", names[t])
        program.hints[logarithm] = "log1p_t"
        numerator = program.add(program.mul(log, logarithm), numerator)
    quotient = program.div(numerator, select(positive.denominator, negative.denominator))
    # As factors, not as a selection of results: gcc would compute the quotient twice, once for each side.
    common = min(vanish_positive, vanish_negative)
    for power in range(1, 1 + max(vanish_positive, vanish_negative)):
        factors = [large, small] if power == 1 else [names[t]]
        for factor in factors:
            if power > common:
                sides = (program.number(1), factor) if vanish_negative >= power else (factor, program.number(1))
                factor = program.where(is_negative, sides[1], sides[0])
            quotient = program.mul(quotient, factor)
    return quotient


def _vanishes(slope: sympy.Expr) -> bool:
    return bool(slope.subs(s, 1 - t).subs(t, 0) == 0)


def _times_x(program: Program, slope: int, x: int, rest: int, bounded: int) -> int:
    """Emit slope·x + rest; x joins a selection's factor first, which leaves the fma to the other factor."""
    step = program.steps[slope]
    if step.op == "mul" and program.steps[int(str(step.args[0]))].op == "where":
        first, second = (int(str(arg)) for arg in step.args)
        return program.add(program.mul(program.mul(first, x), second), rest)
    if step.op == "add" and program.is_number(rest, 0):
        # (c + b)·x as b·x + c·x where c·x is exact: one rounding less. b may be 0 at ±inf, where b·x must not be NaN.
        first, second = (int(str(arg)) for arg in step.args)
        for constant, other in ((first, second), (second, first)):
            if _is_power_of_2(program, constant):
                return program.add(program.mul(other, bounded), program.mul(constant, x))
    return program.add(program.mul(slope, x), rest)


def _is_power_of_2(program: Program, index: int) -> bool:
    step = program.steps[index]
    if step.op == "where":
        return all(_is_power_of_2(program, int(str(arg))) for arg in step.args[1:])
    return step.op == "number" and step.args[0] in (1, 2, 4, sympy.Rational(1, 2))


def _without_power(branch: Branch) -> tuple[Branch, int]:
    """Divide the numerator by the highest power of t in it; return the branch and the power."""
    if branch.log != 0:
        return branch, 0
    numerators = (branch.slope, branch.offset)
    powers = [min(m[0] for m in sympy.Poly(sympy.expand(e.subs(s, 1 - t)), t).monoms()) for e in numerators if e != 0]
    power = min(powers)
    if power == 0:
        return branch, 0
    slope, offset = (_divide(e, power) for e in numerators)
    return Branch(slope, offset, branch.denominator), power


def _divide(part: sympy.Expr, power: int) -> sympy.Expr:
    """Divide a polynomial of t and s by t^power, keeping its structure where the power stands as a factor."""
    quotient = part / t**power
    if not quotient.is_polynomial(t, s):
        quotient = sympy.Add(*(term / t**power for term in sympy.Add.make_args(part)))
    if quotient.is_polynomial(t, s):
        return quotient
    return sympy.factor(sympy.cancel(part.subs(s, 1 - t) / t**power))


class _Selection:
    """Emits a choice between two polynomials of t, one for x ≥ 0 and one for x < 0, computing once what they share."""

    def __init__(self, tree: "_Tree", is_negative: int) -> None:
        self.tree = tree
        self.program = tree.program
        self.is_negative = is_negative

    def select(self, positive: sympy.Expr, negative: sympy.Expr) -> int:
        """Return the step that is `positive` where x ≥ 0 and `negative` where x < 0: the cheapest way found."""

        def on(way: Callable[[_Selection, sympy.Expr, sympy.Expr], int]) -> Way:
            return lambda tree: way(_Selection(tree, self.is_negative), positive, negative)

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


_by_structure, _by_factors = _Selection.by_structure, _Selection.by_factors
_by_coefficients, _by_value = _Selection.by_coefficients, _Selection.by_value


def _degree(factor: sympy.Expr) -> tuple[int, str]:
    return int(sympy.degree(factor, t)) if factor.has(t) else 0, str(factor)


def _monomial(numerator: sympy.Expr, denominator: sympy.Expr) -> sympy.Expr | None:
    """Return numerator / denominator if that is a number times a power of t, else None."""
    quotient = sympy.cancel((numerator / denominator).subs(s, 1 - t))
    return quotient if quotient.is_polynomial(t) and len(sympy.Poly(quotient, t).terms()) == 1 else None


# Head by head


def _general(program: Program, expr: sympy.Expr, x: sympy.Symbol) -> int:
    """Emit `expr` head by head, with what the edges need: see `guards`."""
    trial = Program()
    trial.result = _Tree(trial, {x: trial.input("x")}).lower(expr)
    needs = repairs(trial, expr, x)
    given = held = program.input("x")
    edges = [program.edge(*tail.edge) if tail else None for tail in needs.tails]
    for op, edge in zip(("max", "min"), edges, strict=True):
        held = held if edge is None else program.emit(op, held, edge)
    result = _Tree(program, {x: held}).lower(expr)
    for side, (tail, edge, limit) in enumerate(zip(needs.tails, edges, needs.limits, strict=True)):
        if tail is not None and edge is not None:
            line = program.add(program.mul(program.number(tail.slope), given), program.number(tail.intercept))
            result = program.where(program.emit(("lt", "gt")[side], given, edge), line, result)
        elif limit is not None:
            infinity = program.number((-sympy.oo, sympy.oo)[side])
            result = program.where(program.emit("eq", given, infinity), program.number(limit), result)
    return program.where(program.emit("ne", given, given), given, result) if needs.nan else result


class _Tree:
    """Emits a SymPy expression into a program, with the symbols' steps given."""

    def __init__(self, program: Program, names: dict[sympy.Symbol, int]) -> None:
        self.program = program
        self.names = dict(names)
        self.memo: dict[sympy.Expr, int] = {}

    def lower(self, expr: sympy.Expr) -> int:
        """Return the step that holds `expr`."""
        if expr not in self.memo:
            self.memo[expr] = self._lower(expr)
        return self.memo[expr]

    def _lower(self, expr: sympy.Expr) -> int:
        program = self.program
        if expr in self.names:
            return self.names[expr]
        if expr.is_Symbol:
            raise CosnbError(f"cannot compile a formula that holds {expr} besides its variable: give {expr} a value")
        if expr.is_number:
            return program.number(checked(expr))
        if expr.is_Add:
            return self._sum(expr)
        if expr.is_Mul:
            return self._product(expr)
        if expr.is_Pow:
            return self._power(expr)
        if isinstance(expr, sympy.Piecewise):
            return self._piecewise(expr)
        if isinstance(expr, sympy.log):
            constant, rest = sympy.expand(expr.args[0]).as_coeff_Add()
            if constant == 1:
                return program.emit("log1p", self.lower(rest))
        op = _FUNCTIONS.get(expr.func)
        if op is None:
            known = ", ".join(sorted(head.__name__ for head in _FUNCTIONS))
            raise CosnbError(f"no target computes {expr.func.__name__!r}; known functions: {known}")
        return program.emit(op, self.lower(expr.args[0]))

    def _sum(self, expr: sympy.Expr) -> int:
        stable = self._stable_sum(expr)
        if stable is not None:
            return stable
        ways: list[Way] = [lambda tree: tree._terms(expr)]
        (symbol,) = expr.free_symbols if len(expr.free_symbols) == 1 else (None,)
        if symbol is not None and symbol in self.names and expr.is_polynomial(symbol):
            ways += [lambda tree: _horner(tree, expr), lambda tree: _estrin(tree, expr)]
        return self.cheapest(ways)

    def cheapest(self, ways: Sequence["Way"]) -> int:
        """Try each way on a copy of the program and keep the one that adds the fewest operations; ties: the first."""
        if len(ways) == 1:
            return ways[0](self)
        best: tuple[int, _Tree, int] | None = None
        for way in ways:
            trial = _Tree(copy.copy(self.program), self.names)
            trial.program.steps, trial.program.known = list(self.program.steps), dict(self.program.known)
            trial.memo = dict(self.memo)
            index = way(trial)
            added = trial.program.steps[len(self.program.steps) :]
            cost = sum(step.op not in ("number", "edge", "neg") for step in added)
            if best is None or cost < best[0]:
                best = cost, trial, index
        assert best is not None
        kept = best[1]
        self.program.steps, self.program.known, self.memo = kept.program.steps, kept.program.known, kept.memo
        return best[2]

    def _terms(self, expr: sympy.Expr) -> int:
        """Emit the sum term by term: numbers and single symbols first, products into fmas, differences last."""
        program = self.program
        terms = sorted(expr.args, key=lambda e: (e.could_extract_minus_sign(), e.is_Mul, not e.is_number))
        total = self.lower(terms[0])
        for term in terms[1:]:
            total = program.add(total, self.lower(term))
        return total

    def _stable_sum(self, expr: sympy.Expr) -> int | None:
        """Emit sums that would cancel in a tail: 1 ± erf, 1 − σ, 1 − tanh², c·e^g − c."""
        program = self.program
        if len(expr.args) != 2:
            return None
        constant, rest = expr.as_coeff_Add()
        weight, head = rest.as_coeff_Mul()
        if constant == 0 or abs(weight) != abs(constant):
            return None
        if isinstance(head, sympy.erf):  # c ± c·erf(g) = c·erfc(∓g)
            inner = head.args[0] if weight == -constant else -head.args[0]
            return program.mul(self.lower(constant), program.emit("erfc", self.lower(inner)))
        if weight != -constant:
            return None
        if isinstance(head, sigmoid):
            return program.mul(self.lower(constant), program.emit("sigmoid", self.lower(-head.args[0])))
        if head.is_Pow and head.exp == 2 and isinstance(head.base, sympy.tanh):  # 1 − tanh²(g) = 4·σ(2g)·σ(−2g)
            double = 2 * head.base.args[0]
            both = [program.emit("sigmoid", self.lower(sign * double)) for sign in (1, -1)]
            return program.mul(self.lower(4 * constant), program.mul(*both))
        if isinstance(head, sympy.exp):  # e^g − 1
            return program.mul(self.lower(weight), program.emit("expm1", self.lower(head.args[0])))
        return None

    def _product(self, expr: sympy.Expr) -> int:
        """Emit numbers · factors / (factors with negative powers); e^(−g) stays a factor, for e^g may overflow."""
        constant = sympy.Mul(*(arg for arg in expr.args if arg.is_number))
        above = [arg for arg in expr.args if not arg.is_number and not self._is_reciprocal(arg)]
        below = [1 / arg for arg in expr.args if not arg.is_number and self._is_reciprocal(arg)]
        if len(above) == 1 and above[0].is_Pow and above[0].exp == 2 and abs(constant) < 1:
            # (c·u)·u, for u² may overflow where c·u² does not: StarReLU from 2⁶⁴ to 1.06·2⁶⁴
            base = self.lower(above[0].base)
            result, constant = self.program.mul(self.program.mul(self.lower(constant), base), base), sympy.Integer(1)
        else:
            result = self._factors(above) if above else self.program.number(1)
        if constant != 1:
            result = self.program.mul(self.lower(constant), result)
        return self.program.div(result, self._factors(below)) if below else result

    @staticmethod
    def _is_reciprocal(expr: sympy.Expr) -> bool:
        return bool(expr.is_Pow and expr.exp.is_number and expr.exp.is_negative)

    def _factors(self, factors: list[sympy.Expr]) -> int:
        product = self.lower(factors[0])
        for factor in factors[1:]:
            product = self.program.mul(product, self.lower(factor))
        return product

    def _power(self, expr: sympy.Expr) -> int:
        base, exponent = expr.args
        if exponent.is_Integer:
            return self.program.power(self.lower(base), int(exponent))
        if exponent.is_Rational and exponent.q == 2:  # by a square root, correctly rounded on every target
            root = self.program.emit("sqrt", self.lower(base))
            return self.program.power(root, int(exponent.p))
        if base.is_number and base.is_positive:
            return self.lower(sympy.exp(exponent * sympy.log(base), evaluate=False))
        if exponent.is_number:
            return self.program.emit("pow", self.lower(base), self.lower(exponent))
        raise CosnbError(f"no target computes {expr}: a power's exponent must be a number")

    def _piecewise(self, expr: sympy.Piecewise) -> int:
        *pieces, (last, condition) = expr.args
        if condition != sympy.true:
            raise CosnbError(f"{expr} has no value where none of its conditions holds: end it with (value, True)")
        result = self.lower(last)
        for value, condition in reversed(pieces):
            result = self.program.where(self._condition(condition), self.lower(value), result)
        return result

    def _condition(self, condition: sympy.Expr) -> int:
        program = self.program
        if isinstance(condition, sympy.And | sympy.Or):
            joint = "and" if isinstance(condition, sympy.And) else "or"
            parts = [self._condition(part) for part in sympy.ordered(condition.args)]
            result = parts[0]
            for part in parts[1:]:
                result = program.emit(joint, result, part)
            return result
        if isinstance(condition, sympy.Not):
            return program.emit("not", self._condition(condition.args[0]))
        if not isinstance(condition, Relational):
            raise CosnbError(f"no target computes the condition {condition}")
        left, right = (self.lower(side) for side in condition.args)
        return program.emit(_RELATIONS[condition.rel_op], left, right)


def _horner(tree: _Tree, expr: sympy.Expr) -> int:
    (symbol,) = expr.free_symbols
    coefficients = sympy.Poly(expr, symbol).all_coeffs()
    result = tree.lower(coefficients[0])
    for coefficient in coefficients[1:]:
        result = tree.program.add(tree.program.mul(result, tree.lower(symbol)), tree.lower(coefficient))
    return result


def _estrin(tree: _Tree, expr: sympy.Expr) -> int:
    """(c₀ + c₁t) + t²·(c₂ + c₃t) + t⁴·…: shares the squares of t and pairs that occur elsewhere."""
    (symbol,) = expr.free_symbols
    parts = [tree.lower(c) for c in reversed(sympy.Poly(expr, symbol).all_coeffs())]
    program, power = tree.program, tree.lower(symbol)
    while len(parts) > 1:
        if len(parts) % 2:
            parts.append(program.number(0))
        parts = [program.add(program.mul(high, power), low) for low, high in zip(parts[::2], parts[1::2], strict=True)]
        power = program.mul(power, power)
    return parts[0]


Way = Callable[[_Tree], int]


def checked(value: sympy.Expr) -> sympy.Expr:
    """Return a number if it is real and float64 can hold it, else raise CosnbError."""
    if not (value.is_real and abs(value.evalf(20)) < sympy.Float("1.7e308", 20)):
        raise CosnbError(f"cannot print the number {value}: expected a real one that float64 can hold")
    return value
