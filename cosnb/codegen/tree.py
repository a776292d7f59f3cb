"""The fallback lowering: a SymPy expression into a `Program`, head by head."""

import copy
from collections.abc import Callable, Sequence

import sympy
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.relational import Relational

from cosnb.codegen.program import Program, single_holds
from cosnb.errors import CosnbError
from cosnb.host import numpy
from cosnb.symbolic.functions import erfc, floor, ln, sigmoid, softplus
from cosnb.symbolic.stable import with_roots_joined
from cosnb.symbolic.vocabulary import closed

FUNCTIONS = {
    sympy.exp: "exp",
    expm1: "expm1",
    sympy.log: "log",
    log1p: "log1p",
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
    ln: "log",
    floor: "floor",
    sympy.Abs: "abs",
    sympy.sign: "sign",
    sigmoid: "sigmoid",
    softplus: "softplus",
}
_LARGEST, _STEP = sympy.Integer(2) ** 127, sympy.Integer(2) ** 64
_MAX_BY_ROOTS = 4  # x^(p/q) by products of roots up to this exponent; beyond, and below −1, one `pow` loses less
_RELATIONS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}


class Tree:
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
        if expr in (sympy.nan, sympy.zoo):  # log(0), in a piece that ends there or is never reached
            return program.emit("sub", program.number(sympy.oo), program.number(sympy.oo))
        if expr.is_number:
            return program.number(expr if expr in (sympy.oo, -sympy.oo) else checked(expr))
        if expr.is_Add:
            return self._sum(expr)
        if expr.is_Mul:
            return self._product(expr)
        if expr.is_Pow:
            return self._power(expr)
        if isinstance(expr, sympy.Piecewise):
            return self._piecewise(expr)
        if isinstance(expr, sympy.exp):
            return self._exponential(expr.args[0])
        op = FUNCTIONS.get(expr.func)
        if op is None:
            known = ", ".join(sorted(head.__name__ for head in FUNCTIONS))
            raise CosnbError(f"no target computes {expr.func.__name__!r}; known functions: {known}")
        return program.emit(op, self.lower(expr.args[0]))

    def _sum(self, expr: sympy.Expr) -> int:
        if (line := _line(expr)) is not None:
            return self.program.mul(self.lower(line[0]), self.lower(line[1]))
        ways: list[Way] = [lambda tree: tree._terms(expr)]
        (symbol,) = expr.free_symbols if len(expr.free_symbols) == 1 else (None,)
        if symbol is not None and symbol in self.names and expr.is_polynomial(symbol):
            ways += [lambda tree: _horner(tree, expr), lambda tree: _estrin(tree, expr)]
        return self.cheapest(ways)

    def cheapest(self, ways: Sequence["Way"]) -> int:
        """Try each way on a copy of the program and keep the one that adds the fewest operations; ties: the first."""
        if len(ways) == 1:
            return ways[0](self)
        best: tuple[int, Tree, int] | None = None
        for way in ways:
            trial = Tree(copy.copy(self.program), self.names)
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

    def _product(self, expr: sympy.Expr) -> int:
        """Emit numbers · factors / (factors with negative powers); e^(−g) stays a factor, for e^g may overflow."""
        expr = with_roots_joined(expr)
        factors = sympy.Mul.make_args(expr)
        constant = sympy.Mul(*(arg for arg in factors if arg.is_number))
        rest = [arg for arg in factors if not arg.is_number]
        above = [arg for arg in rest if not self._is_reciprocal(arg)]
        below = [1 / arg for arg in rest if self._is_reciprocal(arg)]
        result = self._scaled(constant, above)
        return self.program.div(result, self._factors(below)) if below else result

    def _scaled(self, constant: sympy.Expr, factors: list[sympy.Expr]) -> int:
        if len(factors) == 1 and factors[0].is_Pow and factors[0].exp == 2 and abs(constant) < 1:
            # (c·u)·u, for u² may overflow where c·u² does not: StarReLU from 2⁶⁴ to 1.06·2⁶⁴
            base = self.lower(factors[0].base)
            return self.program.mul(self.program.mul(self.lower(constant), base), base)
        result = self._factors(factors) if factors else self.program.number(1)
        while _LARGEST < abs(constant) < sympy.oo:  # 1e40·x, which float can hold where x is small
            constant, result = constant / _STEP, self.program.mul(self.program.number(_STEP), result)
        return result if constant == 1 else self.program.mul(self.lower(constant), result)

    @staticmethod
    def _is_reciprocal(expr: sympy.Expr) -> bool:
        by_root = expr.is_Pow and (not expr.exp.is_Rational or expr.exp.q > 2) and expr.exp < -1  # by one `pow`
        return bool(expr.is_Pow and expr.exp.is_number and expr.exp.is_negative and not by_root)

    def _factors(self, factors: list[sympy.Expr]) -> int:
        product = self.lower(factors[0])
        for factor in factors[1:]:
            product = self.program.mul(product, self.lower(factor))
        return product

    def _power(self, expr: sympy.Expr) -> int:
        program = self.program
        base, exponent = expr.args
        if exponent.is_Integer:
            return program.power(self.lower(base), int(exponent))
        if exponent.is_Rational and exponent.q == 2:  # by a square root, correctly rounded on every target
            root = program.emit("sqrt", self.lower(base))
            return program.power(root, int(exponent.p))
        if base.is_number and base.is_positive:
            return self._constant_to(base, exponent)
        if exponent.is_Rational and exponent.q in (3, 4) and -1 < exponent < _MAX_BY_ROOTS:
            positive = self._by_roots(base, abs(exponent))
            return positive if exponent > 0 else program.div(program.number(1), positive)
        if exponent.is_number:
            high, low = _in_two_words(program, checked(exponent))
            exact = program.is_number(low, 0)
            return program.emit("power" if exact else "pow", self.lower(base), high, *(() if exact else (low,)))
        if base.free_symbols & exponent.free_symbols:
            raise CosnbError(
                f"no target computes {expr}: a power's base or its exponent must be a number or a parameter"
            )
        return program.emit("power", self.lower(base), self.lower(exponent))

    def _constant_to(self, base: sympy.Expr, exponent: sympy.Expr) -> int:
        """Emit a positive number to a power that depends on x."""
        words = _in_two_words(self.program, sympy.log(base))
        exact = base.is_Rational and sympy.Rational(float(numpy.float32(float(base)))) == base
        op, given = ("power_of", (self.program.number(base),)) if exact else ("exp_product", ())
        return self.program.emit(op, self.lower(exponent), *words, *given)

    def _exponential(self, exponent: sympy.Expr) -> int:
        """Emit e^exponent, which is b^u where the exponent is u·ln(b)."""
        for factor in sympy.Mul.make_args(exponent):
            if isinstance(factor, ln):
                (base,), rest = factor.args, exponent / factor
                if base.is_number:
                    return self._constant_to(base, rest)
                return self.program.emit("power", self.lower(base), self.lower(rest))
        return self.program.emit("exp", self.lower(exponent))

    def _by_roots(self, base: sympy.Expr, exponent: sympy.Rational) -> int:
        """Emit a positive power whose exponent's divisor is 3 or 4."""
        program, power = self.program, self.lower(base)
        whole, part = divmod(int(exponent.p), int(exponent.q))
        if exponent.q == 3:
            root = program.power(program.emit("cbrt", power), part)
        else:
            second = program.emit("sqrt", power)
            root = program.emit("sqrt", second)
            root = root if part == 1 else program.mul(second, root)
        return program.mul(program.power(power, whole), root)

    def _piecewise(self, expr: sympy.Piecewise) -> int:
        *pieces, (last, condition) = closed(expr).args
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
        if isinstance(condition, sympy.logic.boolalg.ITE):  # what SymPy makes of a comparison with pieces
            first, second, third = map(self._condition, condition.args)
            other = program.emit("and", program.emit("not", first), third)
            return program.emit("or", program.emit("and", first, second), other)
        if condition in (sympy.true, sympy.false):
            zero = program.number(0)
            return program.emit("eq" if condition else "ne", zero, zero)
        if not isinstance(condition, Relational):
            raise CosnbError(f"no target computes the condition {condition}")
        left, right = (self.lower(side) for side in condition.args)
        return program.emit(_RELATIONS[condition.rel_op], left, right)


def _line(expr: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr] | None:
    """Return (a, x + b/a) of a·x + b where float32 holds b/a and not a: next to −3 x/6 + 1/2 has no digits."""
    constant, rest = expr.as_coeff_Add()
    slope, symbol = rest.as_coeff_Mul()
    if not (symbol.is_Symbol and constant.is_Rational and constant != 0 and slope.is_Rational) or single_holds(slope):
        return None
    return (slope, symbol + constant / slope) if single_holds(constant / slope) else None


def _horner(tree: Tree, expr: sympy.Expr) -> int:
    (symbol,) = expr.free_symbols
    coefficients = sympy.Poly(expr, symbol).all_coeffs()
    result = tree.lower(coefficients[0])
    for coefficient in coefficients[1:]:
        result = tree.program.add(tree.program.mul(result, tree.lower(symbol)), tree.lower(coefficient))
    return result


def _estrin(tree: Tree, expr: sympy.Expr) -> int:
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


def _in_two_words(program: Program, value: sympy.Expr) -> tuple[int, int]:
    """Return the steps of the number of each format that is nearest to `value`, and of what it lacks."""
    exact = value if value.is_Rational else sympy.Rational(sympy.N(value, 60))
    high = [sympy.Rational(float(dtype(float(exact)))) for dtype in (numpy.float32, numpy.float64)]
    low = [exact - word for word in high]
    if low == [0, 0]:
        return program.number(value), program.number(0)
    return program.edge(*high), program.edge(*low)


Way = Callable[[Tree], int]


def checked(value: sympy.Expr) -> sympy.Expr:
    """Return a number if it is real and float64 can hold it, else raise CosnbError."""
    if not (value.is_real and abs(value.evalf(20)) < sympy.Float("1.7e308", 20)):
        raise CosnbError(f"cannot print the number {value}: expected a real one that float64 can hold")
    return value
