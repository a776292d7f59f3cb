"""Printer shared by all targets: a `Program` as assignments, by the target's table {operation: template}."""

import itertools
import keyword
import math
import re
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sympy

from cosnb.codegen.program import COMPARISONS, CONDITIONS, CONSTANTS, LEAVES, Program, Step
from cosnb.errors import CosnbError

# How tightly an expression binds: what is looser than its place asks for goes into parentheses.
_ATOM, _UNARY, _PRODUCT, _SUM, _LOOSE = 4, 3, 2, 1, 0
_INFIX = {"add": ("+", _SUM), "sub": ("-", _SUM), "mul": ("*", _PRODUCT), "div": ("/", _PRODUCT)}
_WIDTH = 72  # a longer expression is given a name
_SHORT = 24  # powers of two beyond 2^±24 are printed as such
_LINE = 84  # characters of a line of Python, where its operators allow it


@dataclass(frozen=True)
class Target:
    """A language: templates for what is not infix there, and how it writes a number (and one that depends on the type).

    In `templates` "{0}" is the first argument, "{0:factor}" the same as a factor, in parentheses where it is a sum.
    `fma` may be missing: it is a product and a sum then. `where_numbers` is the selection between two numbers, where a
    target is to be told their type.
    """

    name: str
    templates: Mapping[str, str]
    number: Callable[[sympy.Expr], str]
    edge: Callable[[sympy.Expr, sympy.Expr], str]
    inline_comparisons: bool = False  # where a comparison is free and a mask in memory is not
    inline_edges: bool = False  # where they are plain numbers


def assignments(program: Program, target: Target) -> tuple[list[tuple[str, str]], str]:
    """Return the lines (name, expression) and the expression of the result.

    A step used more than once, or with a name that readers know (t, u), gets a line. Raises CosnbError for an operation
    that the target has no template for.
    """
    printer = _Printer(program, target)
    result = printer.code(program.result)
    return printer.lines, result


def expression(program: Program, target: Target) -> str:
    """Return the program as one expression: a step used more than once is written out as often."""
    return _Printer(program, target, named=False).code(program.result)


def check_name(name: str, reserved: Collection[str] = ()) -> str:
    """Return `name` if a function can be called so in Python and in C; CosnbError for all else and for `reserved`."""
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name) or name in reserved:
        raise CosnbError(f"cannot print a function called {name!r:.60}: the name must be an identifier, not reserved")
    return name


def python_templates(module: str) -> dict[str, str]:
    """Return the templates that NumPy and PyTorch share but for the module's name."""
    power = {"numpy": "power", "torch": "pow"}[module]
    logarithm = f"{module}.nan_to_num({module}.log({{0}}), nan={module}.nan, posinf=0, neginf=0)"
    same = (
        "exp",
        "expm1",
        "log",
        "log1p",
        "sqrt",
        "tanh",
        "sinh",
        "cosh",
        "sin",
        "cos",
        "tan",
        "asinh",
        "sign",
        "abs",
        "floor",
    )
    return {
        **{name: f"{module}.{name}({{0}})" for name in same},
        "exp_scaled": f"{module}.square({module}.exp(0.5 * {{0:factor}}) * 2.0**50)",
        "exp_nonpositive": f"{module}.exp({{0}})",
        "one_minus_exp": f"(-{module}.expm1({{0}}))",
        "log1p_unit": f"{module}.log1p({{0}})",
        "exp_product": f"{module}.exp({{1}} * {{0:factor}})",
        "power_of": f"{module}.{power}({{3}}, {{0}})",
        "power": f"{module}.{power}({{0}}, {{1}})",
        "pow": f"({module}.{power}({{0}}, {{1}}) * (1 + {{2}} * {logarithm}))",
        "where": f"{module}.where({{0}}, {{1}}, {{2}})",
        "and": "({0}) & ({1})",
        "or": "({0}) | ({1})",
        "not": "~({0})",
    }


def python_function(head: str, body: Sequence[str], comment: str) -> str:
    """Return Python source: comment lines, `head`, and under it the statements `body`, wrapped."""
    lines = [line for text in comment.splitlines() for line in _comment(text)]
    return "\n".join([*lines, head, *(line for statement in body for line in _wrapped(statement, "    "))]) + "\n"


def _comment(text: str) -> list[str]:
    wrapper = textwrap.TextWrapper(_LINE, "# ", "#   ", break_long_words=False, break_on_hyphens=False)
    return wrapper.wrap(text)


def _wrapped(statement: str, indent: str) -> list[str]:
    """Return an assignment or a return, broken before the operators that bind loosest where it is too long."""
    indent += " " * (len(statement) - len(statement.lstrip()))
    statement = statement.strip()
    start = re.match(r"\w+ = |return ", statement)
    if len(indent) + len(statement) <= _LINE or start is None:
        return [indent + statement]
    rest = statement[start.end() :]
    operators = _outside(rest, (" + ", " - ")) or _outside(rest, (" * ", " / "))
    if not operators:
        return [indent + statement]
    parts = [rest[low:high].strip() for low, high in itertools.pairwise([0, *operators, len(rest)])]
    return [f"{indent}{start[0]}(", *(f"{indent}    {part}" for part in parts), f"{indent})"]


def _outside(text: str, operators: Collection[str]) -> list[int]:
    """Return the places of `operators` outside all parentheses."""
    depth, places = 0, []
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth and text[place : place + 3] in operators:
            places.append(place)
    return places


def python_number(value: sympy.Expr, module: str) -> str:
    """Return the shortest literal of the float64 nearest to an exact number; integers without a point."""
    if value.is_infinite:
        return f"{module}.inf" if value > 0 else f"-{module}.inf"
    nearest = float(value)
    integer = nearest.is_integer() and abs(nearest) < 1e6
    return power_of_two(nearest) or (str(int(nearest)) if integer else repr(nearest))


def power_of_two(value: float) -> str:
    """Return 2.0**-100, which says more than 7.888609052210118e-31; "" for what is none, or is short as a decimal."""
    mantissa, exponent = math.frexp(value)
    return f"{'-' * (value < 0)}2.0**{exponent - 1}" if abs(mantissa) == 0.5 and abs(exponent) > _SHORT else ""


class _Argument(NamedTuple):
    """An argument in a template: "{0}" as it is, "{0:factor}" in parentheses where it is a sum or a product."""

    text: str
    factor: str

    def __format__(self, spec: str) -> str:
        return self.factor if spec == "factor" else self.text


class _Printer:
    def __init__(self, program: Program, target: Target, named: bool = True) -> None:
        self.program = program
        self.target = target
        self.named = named
        self.uses = program.uses()
        self.lines: list[tuple[str, str]] = []
        self.rendered: dict[int, tuple[str, int]] = {}
        self.taken: set[str] = set()

    def code(self, index: int, tightness: int = _LOOSE) -> str:
        """Return the expression for a step, in parentheses where `tightness` asks for them."""
        if index not in self.rendered:
            step = self.program.steps[index]
            code, level = self._render(step)
            if self._wants_name(index, step, code):
                name = self._name(index)
                self.lines.append((name, code))
                code, level = name, _ATOM
            self.rendered[index] = code, level
        code, level = self.rendered[index]
        return f"({code})" if level < tightness else code

    def _wants_name(self, index: int, step: Step, code: str) -> bool:
        shared = self.uses[index] > 1
        if step.op in ("number", "input") or not self.named:
            return False
        if step.op == "edge":
            return shared and not self.target.inline_edges
        if step.op == "neg":  # of a name it costs nothing
            return shared and not code.removeprefix("-").isidentifier()
        if step.op in CONDITIONS:
            return shared and not self.target.inline_comparisons
        return shared or index in self.program.hints or len(code) > _WIDTH

    def _name(self, index: int) -> str:
        name = self.program.hints.get(index) or self._power_of_t(index) or f"v{1 + len(self.lines)}"
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def _power_of_t(self, index: int) -> str | None:
        """Name a product of powers of one named step: t·t is t2, t2·t2 is t4, t4·t is t5."""
        step = self.program.steps[index]
        if step.op != "mul":
            return None
        total, base = 0, ""
        for argument in step.args:
            name = self.rendered.get(argument, ("", 0))[0]
            letter, digits = name[:1], name[1:] or "1"
            if not (letter.isalpha() and digits.isdigit() and letter in "tusx" and base in ("", letter)):
                return None
            base, total = letter, total + int(digits)
        return f"{base}{total}"

    def _leaf(self, step: Step) -> tuple[str, int]:
        if step.op == "input":
            return step.name, _ATOM
        if step.op == "edge":
            return self.target.edge(*step.values), _ATOM
        code = self.target.number(*step.values)
        return code, _UNARY if code.startswith("-") else _ATOM

    def _render(self, step: Step) -> tuple[str, int]:
        target = self.target
        if step.op in LEAVES:
            return self._leaf(step)
        indices = step.args
        template = target.templates.get(step.op)
        if step.op == "where" and all(self._is_constant(index) for index in indices[1:]):
            template = target.templates.get("where_numbers", template)
        if template is not None:
            return template.format(*(_Argument(self.code(i), self.code(i, _UNARY)) for i in indices)), _ATOM
        if step.op == "neg":
            return "-" + self.code(indices[0], _UNARY + 1), _UNARY
        if step.op in _INFIX:
            sign, level = _INFIX[step.op]
            # The order of the program's operations is kept: a * (b / c) may be finite where a * b overflows.
            left, right = self.code(indices[0], level), self.code(indices[1], level + 1)
            return _signed(left, sign, right), level
        if step.op == "fma":
            return self._fma(*indices), _SUM
        if step.op == "negative":
            return f"{self.code(indices[0], _SUM)} < 0", _LOOSE
        if step.op in COMPARISONS:
            left, right = (self.code(index, _SUM) for index in indices)
            return f"{left} {COMPARISONS[step.op]} {right}", _LOOSE
        raise CosnbError(f"the target {target.name} has no template for the operation {step.op!r}")

    def _is_constant(self, index: int) -> bool:
        return self.program.steps[index].op in CONSTANTS

    def _fma(self, a: int, b: int, c: int) -> str:
        rest = self.code(c, _SUM)
        for one, other in ((a, b), (b, a)):
            if self.program.steps[one].op == "neg":
                (inner,) = self.program.steps[one].args
                return f"{rest} - {self.code(inner, _PRODUCT)} * {self.code(other, _PRODUCT + 1)}"
        product = f"{self.code(a, _PRODUCT)} * {self.code(b, _PRODUCT + 1)}"
        return _signed(product, "+", rest)


def _signed(left: str, sign: str, right: str) -> str:
    """Join two operands; a + −b becomes a − b."""
    if right.startswith("-") and sign in "+-" and " " not in right:
        return f"{left} {'-' if sign == '+' else '+'} {right[1:]}"
    return f"{left} {sign} ({right})" if right.startswith("-") else f"{left} {sign} {right}"
