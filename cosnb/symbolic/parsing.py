"""Formula text to SymPy: a whitelist over Python's `ast`; the text is never executed, nor given to SymPy to read.

Grammar: `x`, named parameters, `pi`, `e`, decimal numbers, + − * / **, the functions of FUNCTIONS, every name of the
catalogue as a function of one argument with its default parameters (`mish(x)`, `swish(2*x)`; `cos` and `sin` are the
trigonometric ones), and comparisons joined by and, or, not inside `where(condition, value, otherwise)`.

Exponents are numbers p/q with |p/q| <= 32 and q <= 4. A root, like log, is real only where its argument is not
negative: elsewhere the formula has no value (NaN in code). `abs`, `sign`, `min`, `max`, `relu` and `where` become
Piecewise, each condition free of Piecewise, so that SymPy's derivatives of every order are functions: 0 at the kink of
abs(x) and relu(x), and where two arguments of min or max are equal, the one of the constant, else of the first.
"""

import ast
import hashlib
import keyword
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from operator import ge, gt, le, lt

import sympy
from sympy import Piecewise
from sympy.core.relational import Relational

from cosnb.errors import CosnbError
from cosnb.symbolic import catalogue
from cosnb.symbolic.catalogue import Formula, x
from cosnb.symbolic.functions import erfc, sigmoid, softplus

MAX_CHARACTERS = 2000
MAX_NODES = 500
MAX_DEPTH = 60  # SymPy takes about ten frames of Python's 1,000 for a level
MAX_SIZE = 2000  # nodes of the SymPy expression
MAX_CASES = 100
MAX_EXPONENT = 32
MAX_ROOT = 4
MAX_BITS = 340  # of a number's numerator and denominator: about 100 digits
MAX_EXP = 230  # of a constant argument: e^230 is 1e100

_CHARACTERS = re.compile(r"[A-Za-z0-9_ .,+\-*/()<>=!]*")
_NUMBER = re.compile(r"(?=.{1,40}$)([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,29}")
_CONSTANTS = {"pi": sympy.pi, "e": sympy.E}
_COMPARISONS = {ast.Lt: lt, ast.LtE: le, ast.Gt: gt, ast.GtE: ge, ast.Eq: sympy.Eq, ast.NotEq: sympy.Ne}
_PLAIN: dict[str, Callable[[sympy.Expr], sympy.Expr]] = {
    "exp": sympy.exp,
    "expm1": lambda u: sympy.exp(u) - 1,
    "log": sympy.log,
    "log1p": lambda u: sympy.log(1 + u),
    "sqrt": sympy.sqrt,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "tanh": sympy.tanh,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "atan": sympy.atan,
    "asinh": sympy.asinh,
    "erf": sympy.erf,
    "erfc": erfc,
    "sigmoid": sigmoid,
    "softplus": softplus,
}
_GROWING = ("exp", "expm1", "sinh", "cosh")


def _abs(u: sympy.Expr) -> sympy.Expr:
    return Piecewise((-u, u < 0), (0, u <= 0), (u, True))


def _pieces(*pieces: tuple[sympy.Expr, sympy.Basic]) -> sympy.Expr:
    """Return a Piecewise, its last piece's own pieces in line: min(max(x, 0), 6) is ReLU6 as the catalogue has it."""
    *first, (last, condition) = pieces
    # SymPy would join neighbours of equal value by an Or of their conditions.
    if condition == sympy.true and isinstance(last, Piecewise) and first and last.args[0][0] != first[-1][0]:
        return Piecewise(*first, *last.args)
    return Piecewise(*pieces)


def _sign(u: sympy.Expr) -> sympy.Expr:
    return Piecewise((-1, u < 0), (0, u <= 0), (1, True))


def _relu(u: sympy.Expr) -> sympy.Expr:
    return Piecewise((0, u <= 0), (u, True))


def _min(u: sympy.Expr, v: sympy.Expr) -> sympy.Expr:
    u, v = (v, u) if u.has(x) and not v.has(x) else (u, v)  # NaN takes the last piece, which must hold x
    return Piecewise((u, u <= v), (v, True))


def _max(u: sympy.Expr, v: sympy.Expr) -> sympy.Expr:
    u, v = (v, u) if u.has(x) and not v.has(x) else (u, v)
    return Piecewise((u, u >= v), (v, True))


_KINKED = {"abs": _abs, "sign": _sign, "relu": _relu}
_PAIRED = {"min": _min, "max": _max}
FUNCTIONS = (*sorted((*_PLAIN, *_KINKED, *_PAIRED)), "where")


def parse(text: str, parameters: Iterable[str] = ()) -> sympy.Expr:
    """Return the formula `text` as an expression in the real symbol x and a real symbol for each of `parameters`.

    Numbers are exact: 0.1 is 1/10. Raises CosnbError, with the column counted from 1, for anything outside the grammar
    above, for a text, number, power or nesting out of bounds, for a formula that does not depend on x or on one of its
    parameters, and for one that is nowhere real.
    """
    names = _parameter_names(parameters)
    reader = _Reader(text, {name: sympy.Symbol(name, real=True) for name in names})
    expr = reader.formula()
    unused = [name for name in names if sympy.Symbol(name, real=True) not in expr.free_symbols]
    if unused:
        raise CosnbError(f"the formula does not depend on the parameter {', '.join(unused)}: leave it out or use it")
    return expr


def from_text(text: str, parameters: Mapping[str, sympy.Rational] | None = None) -> Formula:
    """Return a Formula of `text`, its `parameters` (name → exact value) the defaults; named by the expression's digest.

    Equal expressions have equal names. Raises CosnbError as `parse` does, and where the formula with the values filled
    in is out of bounds or not finite.
    """
    values = dict(parameters or {})
    expr = parse(text, values)
    for name, number in values.items():
        if not isinstance(number, sympy.Rational) or max(number.p.bit_length(), number.q.bit_length()) > MAX_BITS:
            raise CosnbError(
                f"the parameter {name} must be a rational number of at most 100 digits, got {number!r:.60}"
            )
    if values:
        _Reader(text, values).formula()
    digest = hashlib.sha256(sympy.srepr(expr).encode()).hexdigest()[:8]
    defaults = {sympy.Symbol(name, real=True): number for name, number in values.items()}
    return Formula(f"formula_{digest}", text.strip(), expr, "formula text", parameters=defaults)


def _parameter_names(parameters: Iterable[str]) -> list[str]:
    names = [parameters] if isinstance(parameters, str) else list(parameters)
    taken = {"x", *_CONSTANTS, *FUNCTIONS, *catalogue.names()}
    for name in names:
        if not isinstance(name, str) or not _PARAMETER.fullmatch(name) or keyword.iskeyword(name):
            raise CosnbError(
                f"no parameter can be called {name!r:.60}: a name has up to 30 ASCII letters, digits and _, a letter first"
            )
        if name in taken:
            raise CosnbError(f"no parameter can be called {name!r}: that is a name of the grammar, choose another")
    if len(set(names)) != len(names) or len(names) > 20:
        raise CosnbError("a formula has at most 20 parameters, each named once")
    return names


class _Reader:
    """One text being read; `values` holds what each parameter's name stands for."""

    def __init__(self, text: str, values: Mapping[str, sympy.Expr]) -> None:
        if not isinstance(text, str):
            raise CosnbError(f"a formula is a text like 'x*sigmoid(x)', got {type(text).__name__}")
        self.text = text
        self.body = text.strip(" ")
        self.start = len(text) - len(text.lstrip(" ")) + 1  # the column of body's first character
        self.names = {"x": x, **_CONSTANTS, **values}
        self.parameters = list(values)
        self.measures: dict[sympy.Basic, _Measure] = {}
        self.cases = 0

    def formula(self) -> sympy.Expr:
        expr = self.read(self.tree(), 1)
        if x not in expr.free_symbols:
            raise self.refusal(0, "the formula does not depend on x, so it is no activation: use x in it")
        return expr

    def refusal(self, offset: int, message: str) -> CosnbError:
        """Return the error that points at body[offset], with the text and a caret below it where it fits."""
        column = offset + self.start
        shown = len(self.text) <= 100 and self.text.isprintable()
        return CosnbError(f"column {column}: {message}" + (f"\n{self.text}\n{' ' * (column - 1)}^" if shown else ""))

    def tree(self) -> ast.expr:
        """Return the text's syntax tree, of bounded length and number of nodes."""
        if not self.body:
            raise CosnbError("column 1: the formula is empty, expected a text like 'x*sigmoid(x)'")
        if len(self.text) > MAX_CHARACTERS:
            raise self.refusal(MAX_CHARACTERS, f"the formula is longer than {MAX_CHARACTERS} characters: shorten it")
        good = _CHARACTERS.match(self.body)
        if good and good.end() < len(self.body):
            character = self.body[good.end()]
            shown = f"{character!r} (U+{ord(character):04X})" if character.isprintable() else f"U+{ord(character):04X}"
            hint = "a power is written **" if character == "^" else "allowed are ASCII letters, digits, _ . , + - * / "
            raise self.refusal(
                good.end(),
                f"the character {shown} is not allowed: {hint}" + "( ) < > = ! and spaces" * (hint[-1] == " "),
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                tree = ast.parse(self.body, mode="eval").body
        except SyntaxError as error:
            offset = min(max((error.offset or 1) - 1, 0), len(self.body))
            raise self.refusal(
                offset, f"this is no formula ({error.msg}): expected one like x*sigmoid(2*x), each product with *"
            ) from None
        except (MemoryError, RecursionError, ValueError, OverflowError, Warning):
            raise self.refusal(0, f"this is no formula, or nested more than {MAX_DEPTH} deep: simplify it") from None
        if sum(isinstance(node, ast.expr) for node in ast.walk(tree)) > MAX_NODES:
            raise self.refusal(0, f"the formula has more than {MAX_NODES} numbers, names and operations: shorten it")
        return tree

    def read(self, node: ast.expr, depth: int) -> sympy.Expr:
        """Return the expression of one node of the tree, checked against every bound."""
        offset = node.col_offset
        if depth > MAX_DEPTH:
            raise self.refusal(offset, f"the formula is nested more than {MAX_DEPTH} deep (a sum of n terms n deep)")
        try:
            expr = self.build(node, depth + 1)
            if self.measure(expr).absolute:  # SymPy's √(x²) is |x|
                expr = expr.xreplace({u: self.branch([u.args[0]], _abs) for u in expr.atoms(sympy.Abs)})
            if not self.measure(expr).symbols and not expr.is_Rational:
                _constant(expr)
        except _OutOfBounds as error:
            raise self.refusal(offset, str(error)) from None
        except (ArithmeticError, TypeError, ValueError, NotImplementedError, AttributeError, RecursionError):
            raise self.refusal(offset, "SymPy makes no real function of this: rewrite this part") from None
        return expr

    def build(self, node: ast.expr, depth: int) -> sympy.Expr:
        match node:
            case ast.Constant():
                return self.number(node)
            case ast.Name():
                return self.name(node)
            case ast.UnaryOp(op=ast.USub()):
                return -self.read(node.operand, depth)
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow()):
                left, right = self.read(node.left, depth), self.read(node.right, depth)
                return self.binary(node, left, right)
            case ast.Call():
                return self.call(node, depth)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()) | ast.IfExp():
                message = "a condition stands only in where(condition, value, otherwise)"
            case ast.BinOp():
                message = "unknown operator: the operators are + - * / **"
            case _:
                message = (
                    f"{type(node).__name__.lower()} is not allowed: a formula holds x, numbers, + - * / ** and calls"
                )
        raise self.refusal(node.col_offset, message)

    def number(self, node: ast.Constant) -> sympy.Rational:
        literal = self.body[node.col_offset : node.end_col_offset]
        if not _NUMBER.fullmatch(literal):
            raise self.refusal(
                node.col_offset,
                f"{literal[:40]!r} is not allowed: a number is a decimal like 3, 0.5 or 1e-3, up to 1e99",
            )
        return sympy.Rational(literal)

    def name(self, node: ast.Name) -> sympy.Expr:
        name = node.id
        if name in self.names:
            return self.names[name]
        if name in FUNCTIONS or name in catalogue.names():
            raise self.refusal(node.col_offset, f"{name!r} is a function: write {name}(x)")
        near = get_close_matches(name, (*self.names, *FUNCTIONS), n=1)
        known = "known are x, pi, e" + (f", the parameters {', '.join(self.parameters)}" if self.parameters else "")
        hint = f"did you mean {near[0]!r}?" if near else f"if it is a parameter, give it a value: {name[:30]}=..."
        raise self.refusal(node.col_offset, f"unknown name {name[:40]!r}: {known}; {hint}")

    def binary(self, node: ast.BinOp, left: sympy.Expr, right: sympy.Expr) -> sympy.Expr:
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div():
                if right == 0:
                    raise self.refusal(node.right.col_offset, "division by zero: expected a divisor that is not 0")
                return left / right
        if left == sympy.E:
            return self.apply("exp", right, node.right.col_offset)
        if not right.is_Rational or abs(right) > MAX_EXPONENT or right.q > MAX_ROOT:
            raise self.refusal(node.right.col_offset, _EXPONENT)
        return left**right

    def call(self, node: ast.Call, depth: int) -> sympy.Expr:
        if not isinstance(node.func, ast.Name):
            raise self.refusal(node.func.col_offset, "only a function's name can be called, and a product needs *")
        name, args = node.func.id, node.args
        if node.keywords:
            raise self.refusal(node.keywords[0].col_offset, "functions take no named arguments: give them in order")
        if name in self.names:
            raise self.refusal(node.col_offset, f"{name!r} is no function: a product needs *")
        if name not in FUNCTIONS and name not in catalogue.names():
            near = get_close_matches(name, (*FUNCTIONS, *catalogue.names()), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            known = f"known are {', '.join(FUNCTIONS)} and the catalogue's names"
            raise self.refusal(node.col_offset, f"unknown function {name[:40]!r}: {known}{hint}")
        counts = {"where": (3, 3), "min": (2, MAX_NODES), "max": (2, MAX_NODES)}.get(name, (1, 1))
        if not counts[0] <= len(args) <= counts[1]:
            wanted = f"{counts[0]}" + (
                " or more" if counts[1] > counts[0] and counts[0] > 1 and name != "where" else ""
            )
            raise self.refusal(
                node.col_offset, f"{name} takes {wanted} argument{'s' * (wanted != '1')}, got {len(args)}"
            )
        if name == "where":
            return self.choose(args[0], self.read(args[1], depth), self.read(args[2], depth), depth)
        first, *rest = (self.read(arg, depth) for arg in args)
        for other in rest:
            first = self.branch([first, other], _PAIRED[name])
        return first if rest else self.apply(name, first, node.col_offset)

    def apply(self, name: str, u: sympy.Expr, offset: int) -> sympy.Expr:
        if name in _KINKED:
            return self.branch([u], _KINKED[name])
        grows = name in _GROWING or name not in _PLAIN
        if grows and not self.measure(u).symbols and abs(_constant(u)) > MAX_EXP:
            raise self.refusal(offset, f"the constant argument of {name} must lie between -{MAX_EXP} and {MAX_EXP}")
        if grows and any(not part.free_symbols for part in u.atoms(sympy.log)):
            # SymPy makes a power of exp(n·log(2)) when n gets a value, and works it out digit by digit.
            raise self.refusal(offset, f"write log of a constant inside {name} as a decimal number")
        if name in _PLAIN:
            return _PLAIN[name](u)
        row = catalogue.get(name)
        expr = row.expr.subs(row.parameters)
        return self.branch([u], lambda v: expr.xreplace({x: v})) if expr.has(Piecewise) else expr.xreplace({x: u})

    def choose(self, condition: ast.expr, value: sympy.Expr, otherwise: sympy.Expr, depth: int) -> sympy.Expr:
        """Return `value` where `condition` holds, else `otherwise`, the joined conditions as nested Piecewise."""
        if depth > MAX_DEPTH:
            raise self.refusal(condition.col_offset, f"the formula is nested more than {MAX_DEPTH} deep: simplify it")
        match condition:
            case ast.BoolOp(op=op, values=[*parts]):
                for part in reversed(parts):
                    if part is parts[-1]:
                        chosen = self.choose(part, value, otherwise, depth + 1)
                    elif isinstance(op, ast.And):
                        chosen = self.choose(part, chosen, otherwise, depth + 1)
                    else:
                        chosen = self.choose(part, value, chosen, depth + 1)
                return chosen
            case ast.UnaryOp(op=ast.Not()):
                return self.choose(condition.operand, otherwise, value, depth + 1)
            case ast.Compare():
                return self.compare(condition, value, otherwise, depth)
        raise self.refusal(condition.col_offset, "the first argument of where must be a comparison like x < 1")

    def compare(self, node: ast.Compare, value: sympy.Expr, otherwise: sympy.Expr, depth: int) -> sympy.Expr:
        sides = [self.read(side, depth + 1) for side in (node.left, *node.comparators)]
        for op, left, right in reversed(list(zip(node.ops, sides, sides[1:], strict=False))):
            if type(op) not in _COMPARISONS:
                raise self.refusal(node.col_offset, "unknown comparison: the comparisons are < <= > >= == !=")
            relation, chosen = _COMPARISONS[type(op)], value

            def pick(u: sympy.Expr, v: sympy.Expr, relation=relation, chosen=chosen) -> sympy.Expr:  # type: ignore[no-untyped-def]
                return _pieces((chosen, relation(u, v)), (otherwise, True))

            value = self.branch([left, right], pick)
            self.measure(value)
        return value

    def branch(self, args: list[sympy.Expr], build: Callable[..., sympy.Expr]) -> sympy.Expr:
        """Return build(*args), made for each piece apart where an argument holds a Piecewise.

        So no condition ever holds a Piecewise: SymPy would turn it into nested booleans of any size.
        """
        parts = (part for arg in args for part in sympy.preorder_traversal(arg) if isinstance(part, Piecewise))
        piecewise = next(parts, None)
        if piecewise is not None:
            return _pieces(
                *(
                    (self.branch([arg.xreplace({piecewise: piece}) for arg in args], build), condition)
                    for piece, condition in piecewise.args
                )
            )
        self.cases += 1
        if self.cases > MAX_CASES:
            raise _OutOfBounds(f"the conditions make more than {MAX_CASES} cases: nest fewer abs, min, max and where")
        return build(*args)

    def measure(self, expr: sympy.Basic) -> "_Measure":
        """Return what counts of `expr`, each part measured once; refuse what is out of bounds."""
        if expr in self.measures:
            return self.measures[expr]
        if expr.is_Rational and max(expr.p.bit_length(), expr.q.bit_length()) > MAX_BITS:
            raise _OutOfBounds("a number here has more than 100 digits: use smaller or rounder numbers")
        if expr in _NO_NUMBERS:
            raise _OutOfBounds("this is not a finite real number for any x: is there a division by 0 or √(−1)?")
        parts = [self.measure(part) for part in expr.args]
        size = 1 + sum(part.size for part in parts)
        power = max((part.power for part in parts), default=sympy.Integer(1))
        symbols = expr.is_Symbol or any(part.symbols for part in parts)
        absolute = isinstance(expr, sympy.Abs) or any(part.absolute for part in parts)
        if isinstance(expr, sympy.Pow):
            if not expr.exp.is_Rational or expr.exp.q > MAX_ROOT:
                raise _OutOfBounds(_EXPONENT)
            power = max(power, parts[0].power * abs(expr.exp))
        if power > MAX_EXPONENT:
            raise _OutOfBounds(f"powers, those inside powers multiplied, must be at most {MAX_EXPONENT}")
        if size > MAX_SIZE:
            raise _OutOfBounds(f"the formula grows to more than {MAX_SIZE} terms and factors: shorten it")
        if isinstance(expr, Relational) and not symbols:
            raise _OutOfBounds("this compares constants that cannot be told apart: leave the comparison out")
        self.measures[expr] = _Measure(size, power, symbols, absolute)
        return self.measures[expr]


@dataclass(frozen=True)
class _Measure:
    size: int  # nodes of the tree
    power: sympy.Rational  # the greatest product of nested exponents
    symbols: bool
    absolute: bool  # holds an Abs


_EXPONENT = (
    f"an exponent must be a number between -{MAX_EXPONENT} and {MAX_EXPONENT}, whole or a fraction with a divisor up to "
    f"{MAX_ROOT}; only e**u, that is exp(u), has any"
)
_NO_NUMBERS = (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I)


class _OutOfBounds(Exception):
    """A bound that an expression breaks, before the column is known."""


def _constant(expr: sympy.Expr) -> sympy.Expr:
    """Return the value of an expression without symbols; refuse one that is not real, above 1e100 or below 1e-100.

    What cancels to 0 without SymPy's knowing it, sin(1)**2 + cos(1)**2 - 1, shows as such a small one.
    """
    number = expr.evalf(15)
    big = sympy.Integer(10) ** 100
    if not (number.is_Float or number.is_Rational) or not (expr == 0 or 1 / big < abs(number) < big):
        raise _OutOfBounds("this constant is neither 0 nor a real number between 1e-100 and 1e100: simplify it")
    return number
