"""PyTorch: an elementwise function of one tensor, printed from a SymPy expression.

Functions in the class of the normal form cost one exponential and one division; others are printed head by head from
TEMPLATES.
"""

import keyword
import linecache
import math
from collections.abc import Callable
from types import FunctionType

import sympy
import torch
from sympy.core.relational import Relational

from cosnb.codegen.program import Program, Template
from cosnb.errors import CosnbError
from cosnb.symbolic.functions import sigmoid, softplus
from cosnb.symbolic.normal_form import NormalForm, normal_form, s, t


def _where(program: Program, expr: sympy.Expr) -> str:
    *pieces, (last, condition) = expr.args
    if condition != sympy.true:
        raise CosnbError(f"{expr} has no value where none of its conditions holds: end it with (value, True)")
    code = program.write(last)
    values = [value for value, _ in expr.args]
    if all(value.is_number for value in values) and not all(_is_exact_in_float32(value) for value in values):
        code = f"torch.full_like(x, {code})"  # of two numbers torch.where makes a tensor of the default dtype, float32
    for value, condition in reversed(pieces):
        code = f"torch.where({_condition(program, condition)}, {program.write(value)}, {code})"
    return code


def _condition(program: Program, condition: sympy.Expr) -> str:
    if isinstance(condition, sympy.And | sympy.Or):
        joint = " & " if isinstance(condition, sympy.And) else " | "
        return joint.join(f"({_condition(program, part)})" for part in sympy.ordered(condition.args))
    if not isinstance(condition, Relational):
        raise KeyError(condition.func)
    left, right = (program.write(side) for side in condition.args)
    return f"{left} {condition.rel_op} {right}"


TEMPLATES: dict[type, Template] = {
    sympy.exp: "torch.exp({})",
    sympy.log: "torch.log({})",
    sympy.tanh: "torch.tanh({})",
    sympy.sinh: "torch.sinh({})",
    sympy.cosh: "torch.cosh({})",
    sympy.sin: "torch.sin({})",
    sympy.cos: "torch.cos({})",
    sympy.atan: "torch.atan({})",
    sympy.erf: "torch.erf({})",
    sympy.Abs: "torch.abs({})",
    sympy.sign: "torch.sign({})",
    sigmoid: "torch.sigmoid({})",
    softplus: "torch.nn.functional.softplus({})",
    sympy.Piecewise: _where,
}


def source(expr: sympy.Expr, x: sympy.Symbol, name: str) -> str:
    """Return Python source of `def name(input)`: a floating-point tensor in, one of its shape and dtype out.

    float16 and bfloat16 are computed in float32 and rounded once. Raises CosnbError for a head without a template, a
    symbol other than `x`, a number that is not real and a name that is no identifier.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or x.name != "x":
        raise CosnbError(f"cannot print {name!r} of {x.name!r}: the name must be an identifier and the variable x")
    if expr.free_symbols - {x}:
        others = ", ".join(sorted(symbol.name for symbol in expr.free_symbols - {x}))
        raise CosnbError(f"cannot print {name}: it holds {others} besides x; give each parameter a value first")
    program = Program(TEMPLATES, _number)
    try:
        form = normal_form(expr, x)
        result = _general(program, expr) if form is None else _quotient(program, form, x)
    except KeyError as error:
        raise CosnbError(f"no PyTorch operation for {error.args[0].__name__!r}; known: {_known()}") from None
    body = [f"{target} = {code}" for target, code in program.lines]
    half = "(torch.float16, torch.bfloat16)"
    lines = [
        f"def {name}(input):",
        f"    x = input.float() if input.dtype in {half} else input",
        *(f"    {line}" for line in body),
        f"    return {result}.to(input.dtype)",
    ]
    return "\n".join(lines) + "\n"


def compile_source(code: str, name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function `name` that `code`, printed by `source`, defines; its lines show in tracebacks."""
    filename = f"<cosnb {name} {abs(hash(code)):x}>"
    linecache.cache[filename] = (len(code), None, code.splitlines(keepends=True), filename)
    namespace: dict[str, object] = {"torch": torch}
    exec(compile(code, filename, "exec"), namespace)
    function = namespace[name]
    assert isinstance(function, FunctionType)
    return function


def _general(program: Program, expr: sympy.Expr) -> str:
    if expr.is_number:
        return f"torch.full_like(x, {_number(expr)})"
    program.count(expr)
    return program.write(expr)


def _quotient(program: Program, form: NormalForm, x: sympy.Symbol) -> str:
    positive, negative = form.positive, form.negative
    program.count(*(part for b in (positive, negative) for part in (b.slope, b.offset, b.denominator)))
    rate = "" if form.rate == 1 else f"{_number(form.rate)} * "
    decay = f"-{rate}torch.abs(x)" if not rate else f"-({rate}torch.abs(x))"
    _define_decay(program, form, decay)
    offset = _select(program, positive.offset, negative.offset, "b")
    denominator = _select(program, positive.denominator, negative.denominator, "d")
    if positive.slope == 0 and negative.slope == 0:
        return f"({offset} / {denominator})"
    slope = _select(program, positive.slope, negative.slope, "a")
    # Where the slope tends to 0 as |x| -> inf, a finite stand-in for an infinite x gives the limit; inf * 0 would be
    # NaN.
    vanish = [b.slope.subs(t, 0) == 0 for b in (positive, negative)]
    factor = "x"
    if any(vanish):
        low = "-torch.finfo(x.dtype).max" if vanish[1] else "None"
        high = "torch.finfo(x.dtype).max" if vanish[0] else "None"
        factor = f"torch.clamp(x, {low}, {high})"
    product = factor if positive.slope == negative.slope == 1 else f"{slope} * {factor}"
    no_offset = positive.offset == negative.offset == 0
    return f"({product} / {denominator})" if no_offset else f"(({product} + {offset}) / {denominator})"


def _define_decay(program: Program, form: NormalForm, decay: str) -> None:
    offsets = [b.offset for b in (form.positive, form.negative)]
    if not any(offset.has(s) for offset in offsets):
        program.lines.append(("t", f"torch.exp({decay})"))
        return
    program.lines.append(("s", f"-torch.expm1({decay})"))
    # 1 - s has t's digits only in absolute terms: enough for the denominator, not for a numerator that vanishes with t.
    relative = any(offset.subs(t, 0) == 0 for offset in offsets)
    program.lines.append(("t", f"torch.exp({decay})" if relative else "1 - s"))


def _select(program: Program, positive: sympy.Expr, negative: sympy.Expr, name: str) -> str:
    if (positive - negative).expand() == 0:
        return program.write(positive)
    if (positive + negative).expand() == 0 and not positive.is_number:
        magnitude = program.write(positive)
        return f"torch.where(x < 0, -{magnitude}, {magnitude})"
    return f"torch.where(x < 0, {program.write(negative)}, {program.write(positive)})"


def _number(value: sympy.Expr) -> str:
    if not (value.is_real and math.isfinite(float(value))):
        raise CosnbError(f"cannot print the number {value}: expected a real one that float64 can hold")
    return repr(float(value))


def _is_exact_in_float32(value: sympy.Expr) -> bool:
    return float(value) == torch.tensor(float(value), dtype=torch.float32).item()


def _known() -> str:
    return ", ".join(sorted(head.__name__ for head in TEMPLATES))
