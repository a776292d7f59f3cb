"""Translation of the C target's elementary functions to Triton, statement by statement, with the same bits.

Triton's own exp is an approximation, its libdevice takes subnormal numbers for 0 and is missing under its interpreter;
the C functions need only + − ×, division, fma and the bits of a number, which Triton has. Their text is a small part of
C: assignments of expressions, casts, memcpy from one number to another of the same width, results through pointers.
"""

import ast
import math
import re
import struct
import textwrap
from collections.abc import Iterable

from cosnb.codegen.elementary import REACH, definitions
from cosnb.codegen.printing import power_of_two
from cosnb.errors import CosnbError

# Triton takes a bare number for a float32 where both would fit, so float64 kernels name the type of what that rounds.
REAL = """# A number that float32 would round.
@triton.jit
def real(value: tl.constexpr):
    return tl.full((), value, tl.float64)
"""
# {operation: its text}. Triton's own reduction is exact, and slow; a block without such a number leaves it out.
EVERYWHERE = {
    f"{name}_everywhere": f"""# The {name} of any number, beyond 2^48 Triton's own; NaN at infinity.
@triton.jit
def cosnb_{name}_everywhere(x):
    far = (tl.abs(x) > {REACH}) & (tl.abs(x) < float("inf"))
    y = cosnb_{name}(tl.where(far, 0.0, x))
    if tl.max(far.to(tl.int32)) > 0:
        large = tl.where(far, x, 0.0)
        y = tl.where(far, {own}, y)
    return y
"""
    for name, own in {"sin": "tl.sin(large)", "cos": "tl.cos(large)", "tan": "tl.sin(large) / tl.cos(large)"}.items()
}
_TYPES = {"float": "float32", "double": "float64", "uint32_t": "uint32", "uint64_t": "uint64", "int": "int1"}
_SELECT = ("cosnb_select", "cosnb_selectf")  # masks for C compilers; tl.where here
# Functions whose divisors lie between 1 and 16 whatever x is, so that "cosnb_quotient" will do.
_SHORT_DIVISION = ("cosnb_tanh", "cosnb_sigmoid", "cosnb_erfc_nonnegative")
_ANY = "|".join(_TYPES)
_FUNCTION = re.compile(
    r"(?:^/\*(?P<comment>(?:(?!\*/).)*)\*/\n)?"
    r"^static inline \w+ (?P<name>cosnb_\w+)\((?P<parameters>[^)]*)\) \{(?P<body>.*?)\}\n",
    re.DOTALL | re.MULTILINE,
)
_DECLARATION = re.compile(rf"(?:const )?(?P<type>{_ANY}) (?P<name>\w+)(?: = (?P<value>.*))?", re.DOTALL)
_COPY = re.compile(r"memcpy\(&?(\w+), &(\w+), sizeof \*?\w+\)")
_REAL = re.compile(r"(?<![\w.])(0x[0-9a-f]+(?:\.[0-9a-f]*)?p[+-]?\d+|\d+\.\d*(?:e[+-]?\d+)?)(f?)(?!\w)")
_INTEGER = re.compile(r"(?<![\w.])(0x[0-9a-f]+|\d+)u(?!\w)")
_NAMES_IN_COMMENT = re.compile(r"\*?\b(cosnb_\w+?|fma|fabs|\d+\.\d+|shifted|low)f?\b")
_CAST = re.compile(rf"\(({_ANY})\)")


def functions(names: Iterable[str], dtype: str, quotients: bool = False) -> str:
    """Return Triton text of the elementary functions `names` and all they use, for "float" or "double".

    `quotients`: whether a function cosnb_quotient(a, b) = a / b is to be used where b lies between 1 and 16. Raises
    CosnbError for a name that the C target lacks, and for C text outside the part that is understood.
    """
    text = definitions(list(names), dtype)
    return "\n\n".join(
        _function(match, dtype, quotients) for match in _FUNCTION.finditer(text) if match["name"] not in _SELECT
    )


def literal(value: float, dtype: str) -> str:
    """Return a number as Triton text; in float64 arithmetic what float32 cannot hold becomes `real(…)`, see REAL.

    In float32 arithmetic it is the shortest decimal whose nearest float32 is the nearest to `value`. A large or small
    power of two is written as such, which Triton works out when it compiles.
    """
    single = _single(value)
    if (dtype == "float" or single == value) and (power := power_of_two(single)):
        return power
    if dtype == "double":
        return repr(value) if single == value and math.isfinite(value) else f"real({_decimal(value)})"
    digits = (f"{single:.{count}g}" for count in range(1, 18))
    return _decimal(float(next((text for text in digits if _single(float(text)) == single), single)))


def _decimal(value: float) -> str:
    return repr(value) if math.isfinite(value) else f"float('{value}')"


def _single(value: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:  # which struct raises instead of rounding to infinity
        return math.copysign(math.inf, value)


def _function(match: re.Match[str], dtype: str, quotients: bool) -> str:
    suffix = "f" if dtype == "float" else ""
    name = match["name"].removesuffix(suffix)
    division = "tl.div_rn" if dtype == "float" else None  # Triton's / is off by up to 2 ulp
    if quotients and name in _SHORT_DIVISION:
        division = "cosnb_quotient"
    parameters = [parameter.split() for parameter in match["parameters"].split(", ")]
    outputs = [name[1:] for *_, name in parameters if name.startswith("*")]
    inputs = [name for *_, name in parameters if not name.startswith("*")]
    types = {name.lstrip("*"): kind for *_, kind, name in parameters}
    body: list[str] = []
    for statement in re.sub(r"/\*.*?\*/", "", match["body"], flags=re.DOTALL).split(";"):
        body += _statement(" ".join(statement.split()), types, outputs, _Translator(dtype, division))
    comment = textwrap.wrap(_NAMES_IN_COMMENT.sub(r"\1", " ".join((match["comment"] or "").split())), 116)
    head = [*(f"# {line}" for line in comment), "@triton.jit", f"def {name}({', '.join(inputs)}):"]
    return "\n".join([*head, *(f"    {line}" for line in body)]) + "\n"


def _statement(statement: str, types: dict[str, str], outputs: list[str], translator: "_Translator") -> list[str]:
    if not statement:
        return []
    copied = _COPY.fullmatch(statement)
    if copied:
        return [f"{copied[1]} = {copied[2]}.to(tl.{_TYPES[types[copied[1]]]}, bitcast=True)"]
    if statement.startswith("return "):
        return [f"return {', '.join([_expression(statement.removeprefix('return '), translator), *outputs])}"]
    declaration = _DECLARATION.fullmatch(statement)
    if declaration:
        types[declaration["name"]] = declaration["type"]
        if declaration["value"] is None:
            return []
        name, value = declaration["name"], declaration["value"]
    else:
        name, equals, value = statement.partition(" = ")
        if not equals or not name.lstrip("*").isidentifier():
            raise CosnbError(f"cannot translate this C statement into Triton: {statement}")
    taken = re.findall(r", &(\w+)(?=[,)])", value)
    value = re.sub(r", &\w+(?=[,)])", "", value)
    return [f"{', '.join([name.lstrip('*'), *taken])} = {_expression(value, translator)}"]


def _expression(text: str, translator: "_Translator") -> str:
    """Return a C expression in Triton: its operators have the same meaning and, with a cast as **, precedence."""
    text = _REAL.sub(lambda match: _typed(match[1], match[2]), text)
    text = _CAST.sub(r"\1**", _INTEGER.sub(r"\1", text))
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        raise CosnbError(f"cannot translate this C expression into Triton: {text}") from None
    return ast.unparse(translator.visit(tree))


def _typed(digits: str, suffix: str) -> str:
    value = float.fromhex(digits) if "x" in digits else float(digits)
    return f"single({value!r})" if suffix else f"double({value!r})"


class _Translator(ast.NodeTransformer):
    """Puts Triton's names for C's functions, casts, divisions and numbers."""

    def __init__(self, dtype: str, division: str | None) -> None:
        self.dtype = dtype
        self.division = division
        self.bits = 32 if dtype == "float" else 64

    def visit_Call(self, node: ast.Call) -> ast.expr:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        if name in ("single", "double"):
            (number,) = node.args
            assert isinstance(number, ast.Constant)
            return _parsed(literal(float(number.value), "float" if name == "single" else "double"))  # type: ignore[arg-type]
        self.generic_visit(node)
        if self.dtype == "float":
            name = name.removesuffix("f")
        known = {"fma": "tl.fma", "fabs": "tl.abs", "cosnb_select": "tl.where"}
        if name not in known and not name.startswith("cosnb_"):
            raise CosnbError(f"cannot translate the C function {name} into Triton")
        node.func = _parsed(known.get(name, name))
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        special = {"INFINITY": "float('inf')", "NAN": "float('nan')"}
        return _parsed(special[node.id]) if node.id in special else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if isinstance(node.op, ast.Pow) and isinstance(node.left, ast.Name) and node.left.id in _TYPES:
            value = self.visit(node.right)
            if node.left.id == "int":  # what C takes for true
                return ast.Compare(value, [ast.NotEq()], [ast.Constant(0)])
            return ast.Call(ast.Attribute(value, "to"), [_parsed(f"tl.{_TYPES[node.left.id]}")], [])
        self.generic_visit(node)
        if isinstance(node.op, ast.Div) and self.division is not None:
            return ast.Call(_parsed(self.division), [node.left, node.right], [])
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = node.operand
        if isinstance(node.op, ast.USub) and isinstance(operand, ast.Call) and isinstance(operand.func, ast.Name):
            (number, *_) = operand.args
            if operand.func.id in ("single", "double") and isinstance(number, ast.Constant):
                return self.visit(ast.Call(operand.func, [ast.Constant(-float(number.value))], []))  # type: ignore[arg-type]
        if isinstance(node.op, ast.Invert) and isinstance(operand, ast.Constant):
            return ast.Constant(~int(operand.value) & (2**self.bits - 1))  # type: ignore[arg-type]
        self.generic_visit(node)
        return node


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
