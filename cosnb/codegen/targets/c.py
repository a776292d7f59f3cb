"""C99: an activation and its derivatives as functions of float or double, for loops that a compiler vectorises.

Products and sums that belong together are explicit calls of fma, so the result does not depend on how a compiler
contracts expressions; the elementary functions are the project's own (codegen.elementary).
"""

import copy
import dataclasses
from collections.abc import Sequence
from functools import partial

import sympy

from cosnb.codegen.elementary import DEFINED_BY, FUNCTIONS, PERIODIC, REACH, SELECTIONS, arguments, definitions
from cosnb.codegen.guards import LOST
from cosnb.codegen.printing import Target, assignments
from cosnb.codegen.program import COMPARISONS, Program, Step
from cosnb.codegen.ranges import unlimited
from cosnb.codegen.roots import single
from cosnb.host import numpy

_SUFFIX = {"float": "f", "double": ""}
_BITS = {"float": "uint32_t", "double": "uint64_t"}
_AFFORDABLE = (12, 18)  # multiplications and additions in double, forward and backward


def target(dtype: str, everywhere: bool = False) -> Target:
    """Return the target for "float" or "double", with sine, cosine and tangent of every number if `everywhere`."""
    f = _SUFFIX[dtype]
    templates = {
        "fma": f"fma{f}({{0}}, {{1}}, {{2}})",
        "abs": f"fabs{f}({{0}})",
        "floor": f"floor{f}({{0}})",
        "sqrt": f"cosnb_sqrt{f}({{0}})",
        "min": f"cosnb_min{f}({{0}}, {{1}})",
        "max": f"cosnb_max{f}({{0}}, {{1}})",
        "sign": f"cosnb_sign{f}({{0}})",
        "where": f"cosnb_choose{f}({{0}}, {{1}}, {{2}})",
        "negative": f"cosnb_negative{f}({{0}})",
        "signed": f"cosnb_signed{f}({{0}}, {{1}})",
        "and": "({0} & {1})",
        "or": "({0} | {1})",
        "not": "~{0}",
    }
    templates |= {op: f"cosnb_mask{f}({{0}} {sign} {{1}})" for op, sign in COMPARISONS.items()}
    templates |= {name: f"cosnb_{name}{f}({arguments(name)})" for name in FUNCTIONS}
    templates |= {name: f"cosnb_{name}_everywhere{f}({{0}})" for name in PERIODIC if everywhere}
    templates["power_of"] = templates["exp_product"]
    templates["power"] = f"cosnb_pow{f}({{0}}, {{1}}, 0.0{f})"

    def edge(single: sympy.Expr, double: sympy.Expr) -> str:
        return literal(single if dtype == "float" else double, dtype)

    return Target(
        f"C ({dtype})", templates, partial(literal, dtype=dtype), edge, inline_comparisons=True, inline_edges=True
    )


def literal(value: sympy.Expr, dtype: str) -> str:
    """Return the number of the type nearest to an exact one: a short decimal where that is exact, else hexadecimal."""
    f = _SUFFIX[dtype]
    with numpy.errstate(over="ignore"):
        nearest = float(numpy.float32(float(value))) if dtype == "float" else float(value)
    if not numpy.isfinite(nearest):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = repr(nearest)
    return (text if len(text) <= 8 else nearest.hex()) + f


def computes_in_double(program: Program, format: str) -> bool:
    """Say whether the function for "f32" or "f16" computes in double: where terms cancel, float has too few digits.

    For float16 always, so that its result is the nearest there is; for float32 where that is asked for, or where no
    polynomial next to a root keeps the digits (see `roots`) and that takes at most 3 × the time of PyTorch's SiLU
    (measured on one core: not CoS 3.1, CoS′ 3.6).
    """
    if format not in ("f32", "f16") or program.error <= LOST:
        return False
    counts = program.operations()
    if format == "f32" and (program.in_double or single(program) is not None):
        return program.in_double
    limit = _AFFORDABLE["dy" in program.inputs()]
    return format == "f16" or counts["multiplications"] + counts["additions"] <= limit


def function(program: Program, name: str, dtype: str, everywhere: bool = False) -> str:
    """Return `static inline T name(T x)`, or `(T dy, T x)` for a program that has the input dy.

    `everywhere`: right where `far` says that the function for vectors is not, with a branch at each sine.
    """
    return _function(program, name, dtype, dtype, target(dtype, everywhere and reaches_far(program)))


def far(program: Program, name: str, dtype: str) -> str:
    """Return `static inline BITS name(…)`: all bits set where an argument of sin, cos or tan is beyond their limit."""
    beyond = copy.copy(program)
    beyond.steps, beyond.known = list(program.steps), dict(program.known)
    limit = beyond.number(REACH)
    conditions = [beyond.emit("gt", beyond.emit("abs", index), limit) for index in unlimited(program)]
    beyond.result = conditions[0] if conditions else beyond.number(0)
    for condition in conditions[1:]:
        beyond.result = beyond.emit("or", beyond.result, condition)
    return _function(beyond, name, dtype, _BITS[dtype], target(dtype))


def reaches_far(program: Program) -> bool:
    """Say whether a sine, cosine or tangent may have an argument beyond the limit of those for vectors."""
    return bool(unlimited(program))


def _of_type(program: Program, dtype: str) -> Program:
    return single(program) or program if dtype == "float" else program


def _with_signs(program: Program) -> Program:
    """Return the program with "signed", two operations on bits, for each choice of −a where x has a sign and else a."""
    steps = list(program.steps)
    for index, step in enumerate(steps):
        if step.op == "where":
            mask, minus, plus = step.args
            if steps[mask].op == "negative" and steps[minus].op == "neg" and steps[minus].args == (plus,):
                steps[index] = Step("signed", (plus, *steps[mask].args))
    return dataclasses.replace(program, steps=steps)


def _function(program: Program, name: str, dtype: str, returned: str, target: Target) -> str:
    program = _with_signs(_of_type(program, dtype))
    lines, result = assignments(program, target)
    inputs = ["dy", "x"] if "dy" in program.inputs() else ["x"]
    used = {program.steps[index].name for index in program.live()}
    parameters = ", ".join(f"{dtype} {name}" for name in inputs)
    body = [f"(void){name};" for name in inputs if name not in used]
    body += [f"const {dtype} {left} = {right};" for left, right in lines] + [f"return {result};"]
    return "\n".join([f"static inline {returned} {name}({parameters}) {{", *(f"  {line}" for line in body), "}"]) + "\n"


def helpers(programs: Sequence[Program], dtype: str) -> str:
    """Return the definitions of all functions that the programs call."""
    of_type = [_of_type(program, dtype) for program in programs]
    ops = {program.steps[index].op for program in map(_with_signs, of_type) for index in program.live()}
    ops |= {"mask"} if ops & COMPARISONS.keys() else set()
    ops |= {"choose"} if "where" in ops else set()
    ops |= {DEFINED_BY[op] for op in ops & DEFINED_BY.keys()}
    names = [name for name in (*FUNCTIONS, *SELECTIONS) if name in ops]
    if any(map(reaches_far, programs)):
        names += ["mask", *(f"{name}_everywhere" for name in ops & PERIODIC)]
    return definitions(names, dtype)
