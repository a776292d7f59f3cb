"""Parser of formula text: a whitelist over Python's `ast`; the text is never executed, nor read by SymPy.

Grammar: `x`, named parameters, `pi`, `e`, decimal numbers, + − * / % ** (or ^), the functions of `vocabulary.FUNCTIONS`
and their other names, every name of the catalogue as a function of one argument with its default parameters
(`mish(x)`, `swish(2*x)`; `cos` and `sin` are the trigonometric ones), and comparisons, joined by and, or, not, inside
`where(condition, value, otherwise)`, also written `value if condition else otherwise`. A module's name may stand before
a function's (`np.tanh(x)`), |u| is abs(u), and signs of papers (·, −, ², π, σ) are read as what they mean.

Exponents are rational numbers up to 32 in size, or parameters; a base without x, above 0, takes any (`2**x`). A root,
like log, is real only where its argument is not negative: elsewhere the formula has no value (NaN in code); `cbrt` is
real everywhere. Where it is 0/0 at one number alone, as sin(x)/x is at 0, it has its limit there, ±inf at a pole too,
NaN if the sides differ. `abs`, `sign`, `min`, `max`, `clip`, `relu`, `step` and `where` become Piecewise, each
condition free of Piecewise, so that SymPy's derivatives of every order are functions: 0 at the kink of abs(x) and
relu(x), and where two arguments of min or max are equal, that of the constant, else of the first. step(x) is 1 at 0,
step(x, h) is h.
Where the values of the parameters are given, a condition on them alone decides which part is read:
`where(a == 0, x, (exp(a*x) - 1)/a)` is x for a = 0.
"""

import ast
import hashlib
import keyword
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache, partial
from operator import ge, gt, le, lt

import sympy

from cosnb.errors import CosnbError
from cosnb.symbolic import catalogue
from cosnb.symbolic.catalogue import Formula, x
from cosnb.symbolic.grammar import MAX_BITS, Builder, OutOfBoundsError
from cosnb.symbolic.spelling import function_name, no_character, respelled, unknown
from cosnb.symbolic.vocabulary import CONSTANTS, FUNCTIONS, OLDEST, find, takes

TYPED = "formula text"  # the source of what was typed
MAX_CHARACTERS = 2000
MAX_NODES = 500
MAX_DEPTH = 60  # SymPy takes about ten frames of Python's 1,000 for a level

_CHARACTERS = re.compile(r"[A-Za-z0-9_ .,+\-*/%()<>=!]*")
_NUMBER = re.compile(r"(?=.{1,80}$)([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,29}")
_RELATIONS = {ast.Lt: lt, ast.LtE: le, ast.Gt: gt, ast.GtE: ge, ast.Eq: sympy.Eq, ast.NotEq: sympy.Ne}
_TOO_DEEP = f"the formula is nested more than {MAX_DEPTH} deep (a sum of n terms is n deep): simplify it"


def parse(text: str, parameters: Iterable[str] = ()) -> sympy.Expr:
    """Return the formula `text` as an expression in the real symbol x and a real symbol for each of `parameters`.

    Numbers are exact: 0.1 is 1/10. Raises CosnbError, with the column counted from 1, for anything outside the grammar
    above, for a text, number, power or nesting out of bounds, for a formula that does not depend on x or on one of its
    parameters, and for one that is nowhere real.
    """
    names = _parameter_names(parameters)
    expr = _Reader(text, {name: sympy.Symbol(name, real=True) for name in names}).formula()
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
    return Formula(f"formula_{digest}", " ".join(text.split()), expr, TYPED, parameters=defaults)


def _parameter_names(parameters: Iterable[str]) -> list[str]:
    names = [parameters] if isinstance(parameters, str) else list(parameters)
    taken = {"x", *CONSTANTS, *OLDEST, *catalogue.names()}
    for name in names:
        if not isinstance(name, str) or not _PARAMETER.fullmatch(name) or keyword.iskeyword(name):
            rule = "a name is a letter, then up to 29 ASCII letters, digits and _"
            raise CosnbError(f"no parameter can be called {name!r:.60}: {rule}, and no keyword of Python")
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
        body, places = respelled(text)
        self.body = body.strip(" ")
        start = len(body) - len(body.lstrip(" "))
        self.columns = [place + 1 for place in places[start:]] + [len(text) + 1]
        self.names = {"x": x, **CONSTANTS, **values}
        self.parameters = list(values)
        self.decides = bool(values) and all(isinstance(value, sympy.Rational) for value in values.values())
        self.builder = Builder()

    def formula(self) -> sympy.Expr:
        expr = self.read(self.tree(), 1)
        if x not in expr.free_symbols:
            raise self.refusal(0, "the formula does not depend on x, so it is no activation: use x in it")
        return expr

    def refusal(self, offset: int, message: str) -> CosnbError:
        """Return the error that points at body[offset], with the text and a caret below it where it fits."""
        column = self.columns[min(offset, len(self.columns) - 1)]
        shown = len(self.text) <= 100 and self.text.isprintable()
        return CosnbError(f"column {column}: {message}" + (f"\n{self.text}\n{' ' * (column - 1)}^" if shown else ""))

    def tree(self) -> ast.expr:
        """Return the text's syntax tree, of bounded length and number of nodes."""
        if not self.body:
            raise CosnbError("column 1: the formula is empty, expected a text like 'x*sigmoid(x)'")
        if len(self.text) > MAX_CHARACTERS:
            raise self.refusal(MAX_CHARACTERS, f"the formula is longer than {MAX_CHARACTERS} characters: shorten it")
        allowed = _CHARACTERS.match(self.body)
        if allowed and allowed.end() < len(self.body):
            raise self.refusal(allowed.end(), no_character(self.body[allowed.end()]))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                tree = ast.parse(self.body, mode="eval").body
        except SyntaxError as error:
            offset = min(max((error.offset or 1) - 1, 0), len(self.body))
            message = f"this is no formula ({error.msg}): expected one like x*sigmoid(2*x), each product with *"
            raise self.refusal(offset, message) from None
        except (MemoryError, RecursionError, ValueError, OverflowError, Warning):
            raise self.refusal(0, _TOO_DEEP) from None
        if sum(isinstance(node, ast.expr) for node in ast.walk(tree)) > MAX_NODES:
            raise self.refusal(0, f"the formula has more than {MAX_NODES} numbers, names and operations: shorten it")
        return tree

    def read(self, node: ast.expr, depth: int) -> sympy.Expr:
        """Return the expression of one node of the tree, checked against every bound."""
        if depth > MAX_DEPTH:
            raise self.refusal(node.col_offset, _TOO_DEEP)
        try:
            return self.builder.finish(self.build(node, depth + 1))
        except OutOfBoundsError as error:
            raise self.refusal(node.col_offset, str(error)) from None
        except (ArithmeticError, TypeError, ValueError, NotImplementedError, AttributeError, RecursionError):
            raise self.refusal(node.col_offset, "SymPy makes no real function of this: rewrite this part") from None

    def build(self, node: ast.expr, depth: int) -> sympy.Expr:
        match node:
            case ast.Constant():
                return self.number(node)
            case ast.Name():
                return self.name(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                operand = self.read(node.operand, depth)
                return -operand if isinstance(node.op, ast.USub) else operand
            case ast.Attribute() if function_name(node) in CONSTANTS:  # np.pi
                return CONSTANTS[node.attr]
            case ast.IfExp():
                return self.where(node.test, node.body, node.orelse, depth)
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow() | ast.Mod()):
                return self.binary(node, self.read(node.left, depth), self.read(node.right, depth))
            case ast.Call():
                return self.call(node, depth)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                message = "a condition stands only in where(condition, value, otherwise)"
            case ast.BinOp() | ast.UnaryOp():
                message = "unknown operator: the operators are + - * / % **"
            case _:
                kind = type(node).__name__.lower()
                message = f"{kind} is not allowed: a formula holds x, parameters, numbers, + - * / % ** and functions"
        raise self.refusal(node.col_offset, message)

    def number(self, node: ast.Constant) -> sympy.Rational:
        literal = self.body[node.col_offset : node.end_col_offset]
        if not _NUMBER.fullmatch(literal):
            rule = "a number is a decimal like 3, 0.5 or 1e-3 of up to 80 characters, up to 1e99"
            raise self.refusal(node.col_offset, f"{literal[:40]!r} is not allowed: {rule}")
        return sympy.Rational(literal)

    def name(self, node: ast.Name) -> sympy.Expr:
        name = node.id
        if name in self.names:
            return self.names[name]
        if find(name):
            raise self.refusal(node.col_offset, f"{name!r} is a function: write {name}(x)")
        near = get_close_matches(name, (*self.names, *FUNCTIONS), n=1)
        known = "known are x, pi, e" + (f", the parameters {', '.join(self.parameters)}" if self.parameters else "")
        hint = f"did you mean {near[0]!r}? If" if near else "if"
        message = f"unknown name {name[:40]!r}: {known}; {hint} it is a parameter, give it a value: {name[:30]}=..."
        raise self.refusal(node.col_offset, message)

    def binary(self, node: ast.BinOp, left: sympy.Expr, right: sympy.Expr) -> sympy.Expr:
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div() | ast.Mod():
                if right == 0:
                    raise self.refusal(node.right.col_offset, "division by 0: expected a divisor that is not 0")
                return left / right if isinstance(node.op, ast.Div) else self.builder.apply("remainder", [left, right])
        try:
            return self.builder.power(left, right)
        except OutOfBoundsError as error:
            raise self.refusal(node.right.col_offset, str(error)) from None

    def call(self, node: ast.Call, depth: int) -> sympy.Expr:
        written = function_name(node.func)
        if written is None or written in self.names:
            raise self.refusal(node.func.col_offset, "only a function's name can be called, and a product needs *")
        name = find(written)
        if name is None:
            raise self.refusal(node.col_offset, unknown(written))
        if node.keywords and name != "clip":
            raise self.refusal(node.keywords[0].col_offset, "functions take no named arguments: give them in order")
        least, most, wanted = takes(name)
        if not least <= len(node.args) + len(node.keywords) <= most:
            raise self.refusal(node.col_offset, f"{written} takes {wanted}, got {len(node.args)}")
        if name == "where":
            condition, value, otherwise = node.args
            return self.where(condition, value, otherwise, depth)
        found = self.builder.apply(name, [self.read(arg, depth) for arg in node.args])
        for named in node.keywords:
            side = {"min": "max", "a_min": "max", "max": "min", "a_max": "min"}.get(named.arg or "")
            if side is None:
                raise self.refusal(named.col_offset, "clip takes the named arguments min and max")
            found = self.builder.apply(side, [found, self.read(named.value, depth)])
        return found

    def where(self, condition: ast.expr, value: ast.expr, otherwise: ast.expr, depth: int) -> sympy.Expr:
        first, second = (cache(partial(self.read, part, depth)) for part in (value, otherwise))
        if not self.decides:  # both are checked, whichever is taken
            first(), second()
        return self.choose(condition, first, second, depth)

    def choose(
        self, condition: ast.expr, value: Callable[[], sympy.Expr], otherwise: Callable[[], sympy.Expr], depth: int
    ) -> sympy.Expr:
        """Return `value` where `condition` holds, else `otherwise`: conditions joined become Piecewise in Piecewise."""
        if depth > MAX_DEPTH:
            raise self.refusal(condition.col_offset, _TOO_DEEP)
        match condition:
            case ast.BoolOp(op=ast.And()):
                for part in reversed(condition.values):
                    value = cache(partial(self.choose, part, value, otherwise, depth + 1))
                return value()
            case ast.BoolOp():
                for part in reversed(condition.values):
                    otherwise = cache(partial(self.choose, part, value, otherwise, depth + 1))
                return otherwise()
            case ast.UnaryOp(op=ast.Not()):
                return self.choose(condition.operand, otherwise, value, depth + 1)
            case ast.Compare():
                return self.compare(condition, value, otherwise, depth + 1)
        raise self.refusal(condition.col_offset, "the first argument of where must be a comparison like x < 1")

    def compare(
        self, node: ast.Compare, value: Callable[[], sympy.Expr], otherwise: Callable[[], sympy.Expr], depth: int
    ) -> sympy.Expr:
        sides = [self.read(side, depth) for side in (node.left, *node.comparators)]
        for op, *pair in reversed(list(zip(node.ops, sides[:-1], sides[1:], strict=True))):
            if type(op) not in _RELATIONS:
                raise self.refusal(node.col_offset, "unknown comparison: the comparisons are < <= > >= == !=")
            value = cache(partial(self.one_of, _RELATIONS[type(op)], pair, value, otherwise))
        return value()

    def one_of(
        self,
        relation: Callable[[sympy.Expr, sympy.Expr], sympy.Basic],
        sides: list[sympy.Expr],
        value: Callable[[], sympy.Expr],
        otherwise: Callable[[], sympy.Expr],
    ) -> sympy.Expr:
        """Return a choice; where parameters' values decide, only the part that is taken: the other may divide by 0."""
        if self.decides and all(side.is_Rational for side in sides):
            return value() if relation(*sides) == sympy.true else otherwise()
        return self.builder.where(relation, sides, value(), otherwise())
