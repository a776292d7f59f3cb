"""From a SymPy expression to a `Program`: through the normal form where there is one, else head by head."""

import copy
from collections.abc import Callable
from functools import lru_cache

import sympy
from sympy.core.relational import Relational

from cosnb.codegen.guards import repairs
from cosnb.codegen.program import Program
from cosnb.errors import CosnbError
from cosnb.symbolic.functions import erfc, sigmoid, softplus
from cosnb.symbolic.normal_form import Branch, NormalForm, normal_form, s, t

# Where |x| is held: beyond, e^(−|x|) adds nothing to a number that does not vanish with it; and e^(−|x|)·|x| is 0 in
# float from 108 on and in double from 752 on, while u = e^(−|x|/2) is still a normal number.
_EDGE, _EDGE_HALVED = (87, 700), (110, 760)
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
NORMAL = "normal form: one exponential, one division"
GENERAL = "general way: printed operation by operation, for the formula is outside the normal form's class"


@lru_cache(maxsize=512)
def lower(expr: sympy.Expr, x: sympy.Symbol, product: bool = False) -> Program:
    """Return the program that computes `expr` at `x`, times a second input `dy` where `product` is set.

    Raises CosnbError for a head that no target knows, a number that is not real, and a Piecewise that leaves a gap.
    """
    form = normal_form(expr, x)
    program = Program()
    if form is not None:
        program.note = NORMAL
        result = _quotient(program, form)
    else:
        program.note = GENERAL
        result = _general(program, expr, x)
    program.result = program.mul(program.input("dy"), result) if product else result
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


def _quotient(program: Program, form: NormalForm) -> int:
    """Emit (slope·x + offset + log·ln(1+t)) / denominator, the branches merged where they share parts.

    A branch whose numerator vanishes with t has t divided out and is multiplied by u·u, u = e^(−rate·|x|/2), at the
    end: its digits stay where t is subnormal. There |x| is held below the edge, so that ±inf gives the limit.
    """
    positive, vanish_positive = _without_power(form.positive)
    negative, vanish_negative = _without_power(form.negative)
    halved = vanish_positive > 0 or vanish_negative > 0 or any(b.log != 0 for b in (positive, negative))
    x = program.input("x")
    edge = program.edge(*(sympy.Integer(e) / form.rate for e in (_EDGE_HALVED if halved else _EDGE)))
    size = program.emit("min", program.emit("abs", x), edge)
    is_negative = program.emit("lt", x, program.number(0))
    program.hints |= {edge: "edge", is_negative: "negative"}
    held = x  # where its factor vanishes with t, for ∞·0 is NaN
    if any(b.slope != 0 for b in (positive, negative)):
        if _vanishes(form.negative.slope):
            held = program.emit("max", held, program.neg(edge))
        if _vanishes(form.positive.slope):
            held = program.emit("min", held, edge)

    exponent = program.neg(program.mul(program.number(form.rate / 2 if halved else form.rate), size))
    decay = program.emit("exp_nonpositive", exponent)
    program.hints[decay] = "u" if halved else "t"
    names = {t: program.mul(decay, decay) if halved else decay}
    program.hints[names[t]] = "t"
    if any(part.has(s) for b in (positive, negative) for part in b.parts()):
        rest = program.neg(program.emit("expm1_nonpositive", exponent))  # 1 − u, or 1 − t
        names[s] = program.mul(rest, program.add(program.number(1), decay)) if halved else rest
        program.hints[names[s]] = "s"
    tree = _Tree(program, names)

    select = _Selection(tree, is_negative).select
    numerator = select(positive.offset, negative.offset)
    slope = select(positive.slope, negative.slope)
    if not program.is_number(slope, 0):
        numerator = _times_x(program, slope, held, numerator)
    log = select(positive.log, negative.log)
    if not program.is_number(log, 0):
        logarithm = program.emit("log1p_unit", names[t])
        program.hints[logarithm] = "log1p_t"
        numerator = program.add(program.mul(log, logarithm), numerator)
    quotient = program.div(numerator, select(positive.denominator, negative.denominator))
    sides = []
    for vanish in (vanish_positive, vanish_negative):
        side = program.mul(program.mul(quotient, decay), decay) if vanish else quotient
        sides.append(program.mul(side, program.power(names[t], vanish - 1)) if vanish > 1 else side)
    return program.where(is_negative, sides[1], sides[0])


def _vanishes(slope: sympy.Expr) -> bool:
    return bool(slope.subs(s, 1 - t).subs(t, 0) == 0)


def _times_x(program: Program, slope: int, x: int, rest: int) -> int:
    """Emit slope·x + rest; x joins a selection's factor first, which leaves the fma to the other factor."""
    step = program.steps[slope]
    if step.op == "mul" and program.steps[int(str(step.args[0]))].op == "where":
        first, second = (int(str(arg)) for arg in step.args)
        return program.add(program.mul(program.mul(first, x), second), rest)
    return program.add(program.mul(slope, x), rest)


def _without_power(branch: Branch) -> tuple[Branch, int]:
    """Divide the numerator by the highest power of t in it; return the branch and the power."""
    if branch.log != 0:
        return branch, 0
    numerators = (branch.slope, branch.offset)
    powers = [min(m[0] for m in sympy.Poly(sympy.expand(e.subs(s, 1 - t)), t).monoms()) for e in numerators if e != 0]
    power = min(powers)
    if power == 0:
        return branch, 0
    return Branch(*(_divide(e, power) for e in numerators), branch.denominator), power


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
        """Return the step that is `positive` where x ≥ 0 and `negative` where x < 0."""
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
        return program.where(self.is_negative, tree.lower(negative), tree.lower(positive))

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
        ways = [self._terms]
        (symbol,) = expr.free_symbols if len(expr.free_symbols) == 1 else (None,)
        if symbol is not None and symbol in self.names and expr.is_polynomial(symbol):
            ways += [_horner, _estrin]
        return self._cheapest(expr, ways)

    def _cheapest(self, expr: sympy.Expr, ways: list[Callable[..., int]]) -> int:
        """Try each way on a copy of the program and take the one that adds the fewest steps; the first one wins."""
        best: tuple[int, Program, dict[sympy.Expr, int], int] | None = None
        for way in ways:
            trial = _Tree(copy.copy(self.program), self.names)
            trial.program.steps, trial.program.known = list(self.program.steps), dict(self.program.known)
            trial.memo = dict(self.memo)
            index = way(expr) if way == self._terms and len(ways) == 1 else _run(way, trial, expr)
            if len(ways) == 1:
                return index
            added = trial.program.steps[len(self.program.steps) :]
            cost = sum(step.op not in ("number", "edge", "neg") for step in added)
            if best is None or cost < best[0]:
                best = cost, trial.program, trial.memo, index
        assert best is not None
        self.program.steps, self.program.known, self.memo = best[1].steps, best[1].known, best[2]
        return best[3]

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


def _run(way: Callable[..., int], tree: _Tree, expr: sympy.Expr) -> int:
    return tree._terms(expr) if getattr(way, "__name__", "") == "_terms" else way(tree, expr)


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
        parts = [
            program.add(program.mul(high, power), low) for low, high in zip(parts[::2], parts[1::2], strict=True)
        ]
        power = program.mul(power, power)
    return parts[0]


def checked(value: sympy.Expr) -> sympy.Expr:
    """Return a number if it is real and float64 can hold it, else raise CosnbError."""
    if not (value.is_real and abs(value.evalf(20)) < sympy.Float("1.7e308", 20)):
        raise CosnbError(f"cannot print the number {value}: expected a real one that float64 can hold")
    return value
