"""Triton: kernels y = f(x) and dx = dy·f′(x) of an activation, each one pass over memory; f and dy·f′ as functions.

A GPU moves a float32 element in the time of about 55 instructions (forward, 132·128 lanes at 1.8 GHz, 4.3 TB/s), a
bfloat16 one in that of 28. So each arithmetic takes what its digits need:

    double  float64: operation by operation what the C target does.
    float   float32: as C, but a / b, where b lies within 2^±60 for certain, is a·(1/b) with the device's approximate
            reciprocal and one Newton step, within 1.5 ulp. Division rounded to nearest is a branch and some 20
            instructions. What cancels stays in float32, as on the CPU for CoS; there is no float64 on the way.
    half    float16 and bfloat16, computed in float32: the reciprocal as it is (1 ulp), e^y by the device's 2^y (2 ulp).

Products and sums that belong together are explicit calls of fma, so launch with `enable_fp_fusion=False`. Triton's −x
is 0 − x, so a zero at x = ±0 takes its sign from x where that would differ from C's. Its versions before 3.9 (seen in
3.3) take subnormal float32 operands of divisions and roots for 0. Devices that are not NVIDIA's, and Triton's
interpreter, have division and 2^y of Triton.
Beyond 2^48 sine, cosine and tangent are Triton's, which have a slow path.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import sympy

from cosnb.codegen.elementary import DEFINED_BY, FUNCTIONS, arguments
from cosnb.codegen.evaluate import NUMPY, with_signed_zeros
from cosnb.codegen.printing import Target, assignments
from cosnb.codegen.program import CONSTANTS, Program, Step
from cosnb.codegen.ranges import intervals, with_far_sines
from cosnb.codegen.targets.translation import EVERYWHERE, REAL, functions, literal
from cosnb.errors import CosnbError
from cosnb.host import modules, numpy

ARITHMETICS = ("float", "half", "double")
_HEAD = "import triton\nimport triton.language as tl\n"
_SMALL = {
    "min": """# The smaller one; NaN where either is.
@triton.jit
def cosnb_min(a, b):
    return tl.minimum(a, b, propagate_nan=tl.PropagateNan.ALL)
""",
    "max": """# The larger one; NaN where either is.
@triton.jit
def cosnb_max(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)
""",
    "sign": """# 1, −1, or a itself where it is 0 or NaN.
@triton.jit
def cosnb_sign(a):
    return tl.where(a > 0, 1.0, tl.where(a < 0, -1.0, a))
""",
}
# The device's own approximations, (NVIDIA's, any device's).
_APPROXIMATE = {
    "cosnb_reciprocal": (
        """# 1 / b within 1 ulp, for b from 2^-60 to 2^60.
@triton.jit
def cosnb_reciprocal(b):
    return tl.inline_asm_elementwise("rcp.approx.ftz.f32 $0, $1;", "=f,f", [b], dtype=tl.float32, is_pure=True, pack=1)
""",
        """# 1 / b.
@triton.jit
def cosnb_reciprocal(b):
    return 1.0 / b
""",
    ),
    "cosnb_exp2": (
        """# 2^y within 2 ulp; 0 where it is subnormal.
@triton.jit
def cosnb_exp2(y):
    return tl.inline_asm_elementwise("ex2.approx.ftz.f32 $0, $1;", "=f,f", [y], dtype=tl.float32, is_pure=True, pack=1)
""",
        """# 2^y.
@triton.jit
def cosnb_exp2(y):
    return tl.exp2(y)
""",
    ),
}
_QUOTIENT = {
    "float": """# a / b within 1.5 ulp, for b from 2^-60 to 2^60. The Newton step is the reciprocal's; one
# for the quotient would make NaN of an infinite a.
@triton.jit
def cosnb_quotient(a, b):
    r = cosnb_reciprocal(b)
    return a * tl.fma(tl.fma(-b, r, 1.0), r, r)
""",
    "half": """# a / b within 2 ulp of float32, for b from 2^-60 to 2^60.
@triton.jit
def cosnb_quotient(a, b):
    return a * cosnb_reciprocal(b)
""",
}
_EXPONENTIALS = {
    "exp_nonpositive": """# e^y for y in [-87, 0].
@triton.jit
def cosnb_exp_nonpositive(y):
    return cosnb_exp2(y * 1.442695)
""",
    "exp_scaled": """# 2^100 e^y for y in [-110, 0].
@triton.jit
def cosnb_exp_scaled(y):
    return cosnb_exp2(tl.fma(y, 1.442695, 100.0))
""",
}
# Where f near 0 is a difference that an ulp of e^y spoils. No approximation of 2^y is above 1 for y <= 0, so near 0 the
# larger one is 1 + y, which is 1 where y vanishes and has float32's digits; elsewhere it is the other.
_EXPONENTIALS_NEAR_ZERO = {
    "exp_nonpositive": """# e^y for y in [-87, 0], 1 where y vanishes.
@triton.jit
def cosnb_exp_nonpositive(y):
    return cosnb_max(cosnb_exp2(y * 1.442695), 1.0 + y)
""",
    "exp_scaled": """# 2^100 e^y for y in [-110, 0], 2^100 where y vanishes.
@triton.jit
def cosnb_exp_scaled(y):
    return cosnb_max(cosnb_exp2(tl.fma(y, 1.442695, 100.0)), tl.fma(y, 2.0**100, 2.0**100))
""",
}
_NEGATED = "_of_negative"  # ends the name of an exponential that negates its argument
_FORMATS = {"float": "tl.float32", "half": "tl.float32", "double": "tl.float64"}
_QUOTIENT_RANGE = (2.0**-60, 2.0**60)


def target(arithmetic: str) -> Target:
    """Return the target for the arithmetic "float", "half" or "double"."""
    dtype = "double" if arithmetic == "double" else "float"
    templates = {
        "fma": "tl.fma({0}, {1}, {2})",
        "abs": "tl.abs({0})",
        "floor": "tl.floor({0})",
        "sqrt": "tl.sqrt({0})",  # in float64 it is rounded to nearest
        "where": "tl.where({0}, {1}, {2})",
        "and": "({0}) & ({1})",
        "or": "({0}) | ({1})",
        "not": "~({0})",
        "quotient": "cosnb_quotient({0}, {1})",
    }
    if dtype == "float":  # Triton's own are off by up to 2 ulp
        templates |= {"div": "tl.div_rn({0}, {1})", "sqrt": "tl.sqrt_rn({0})"}
    templates |= {name: f"cosnb_{name}({{0}}, {{1}})" for name in ("min", "max")}
    templates |= {name: f"cosnb_{name}({arguments(name)})" for name in ("sign", *FUNCTIONS)}
    templates |= {name: f"cosnb_{name}({{0}})" for name in EVERYWHERE}
    templates["power_of"] = templates["exp_product"]
    templates["power"] = "cosnb_pow({0}, {1}, 0.0)"
    templates |= {name + _NEGATED: f"cosnb_{name}(-{{0}})" for name in _EXPONENTIALS}

    def number(value: sympy.Expr) -> str:
        return literal(float(value), dtype)

    def edge(single: sympy.Expr, double: sympy.Expr) -> str:
        return number(single if dtype == "float" else double)

    return Target(f"Triton ({arithmetic})", templates, number, edge, inline_comparisons=True, inline_edges=True)


def source(value: Program, product: Program, arithmetic: str = "float", comment: str = "", nvidia: bool = True) -> str:
    """Return Triton source: functions of f (`value`) and dy·f′ (`product`), and the kernels `forward` and `backward`.

    `arithmetic`: "float", "half" or "double"; `nvidia`: whether to use that maker's instructions. value(x) and
    product(dy, x) take and return blocks of float32 (double: float64); the kernels take pointers, the number of
    elements and the constexpr BLOCK: forward(x_ptr, y_ptr, n, BLOCK), backward(dy_ptr, x_ptr, dx_ptr, n, BLOCK).
    Raises CosnbError for an operation that Triton lacks and for inputs besides x and dy.
    """
    if arithmetic not in ARITHMETICS:
        raise CosnbError(f"unknown arithmetic {arithmetic!r}: choose one of {', '.join(ARITHMETICS)}")
    value, product = (with_signed_zeros(program, neg="(0 - ({0}))") for program in (value, product))
    programs = [_in(arithmetic, program) for program in (value, product)]
    parts = [
        "".join(f"# {line}\n" for line in comment.splitlines()) + _HEAD,
        _function(programs[0], "value", ("x",), arithmetic),
        _function(programs[1], "product", ("dy", "x"), arithmetic),
        _kernel("forward", "value", ("x",), "y", arithmetic),
        _kernel("backward", "product", ("dy", "x"), "dx", arithmetic),
        *_helpers(programs, (value, product), arithmetic, nvidia),
    ]
    if any("real(" in part for part in parts):
        parts.append(REAL)
    return "\n\n".join(parts)


def _in(arithmetic: str, program: Program) -> Program:
    """Return the program in the operations that an arithmetic has."""
    program = with_far_sines(program)
    if arithmetic == "double":
        return program
    program = _with_quotients(program)
    return _without_bounds(program) if arithmetic == "half" else program


def _helpers(programs: Sequence[Program], given: Sequence[Program], arithmetic: str, nvidia: bool) -> list[str]:
    """Return the functions that the printed programs call; they were `given` in the operations of C."""
    used = [_operations(program) for program in programs]
    ops = used[0] | used[1]
    ops |= {op.removesuffix("_everywhere") for op in ops & EVERYWHERE.keys()}
    exponentials = _approximate_exponentials(used, given) if arithmetic == "half" else {}
    exact = (ops | {DEFINED_BY[op] for op in ops & DEFINED_BY.keys()}) & FUNCTIONS.keys() - exponentials.keys()
    elementary = functions(exact, "double" if arithmetic == "double" else "float", arithmetic != "double")
    if any("cosnb_max" in text for text in exponentials.values()):
        ops.add("max")
    texts = [text for op, text in (_SMALL | EVERYWHERE).items() if op in ops] + list(exponentials.values())
    device = ["cosnb_exp2"] if exponentials else []
    if "quotient" in ops or "cosnb_quotient" in elementary:
        texts.append(_QUOTIENT[arithmetic])
        device.append("cosnb_reciprocal")
    texts += [_APPROXIMATE[name][not nvidia] for name in device]
    return [text for text in (*texts, elementary) if text]


def _operations(program: Program) -> set[str]:
    return {program.steps[index].op.removesuffix(_NEGATED) for index in program.live()}


def _approximate_exponentials(used: Sequence[set[str]], given: Sequence[Program]) -> dict[str, str]:
    """Return {operation: its function} of the exponentials used, by the device's 2^y."""
    texts = {}
    for op in _EXPONENTIALS:
        programs = [program for program, own in zip(given, used, strict=True) if op in own]
        if programs:
            texts[op] = (_EXPONENTIALS_NEAR_ZERO if any(map(_differs_near_zero, programs)) else _EXPONENTIALS)[op]
    return texts


def _with_quotients(program: Program) -> Program:
    """Return the program with "quotient" for each division by what lies in that function's range for certain."""
    found = intervals(program)
    low, high = _QUOTIENT_RANGE
    steps = [
        Step("quotient", step.args)
        if step.op == "div" and low <= found[step.args[1]][0] and found[step.args[1]][1] <= high
        else step
        for step in program.steps
    ]
    return dataclasses.replace(program, steps=steps)


def _without_bounds(program: Program) -> Program:
    """Return the program without the bound of an exponential's argument that nothing else uses: 2^y needs none."""
    steps, uses = list(program.steps), program.uses()
    for index, step in enumerate(steps):
        if step.op not in _EXPONENTIALS:
            continue
        (negated,) = step.args
        if steps[negated].op != "neg":
            continue
        (bounded,) = steps[negated].args
        if steps[bounded].op == "min" and uses[bounded] == 1:
            size, bound = steps[bounded].args
            if steps[bound].op in CONSTANTS:
                steps[index] = Step(step.op + _NEGATED, (size,))
    return dataclasses.replace(program, steps=steps)


def _differs_near_zero(program: Program) -> bool:
    """Say whether an exponential that is off by 2 ulp changes the result near x = 0 so much that float16 shows it."""
    x = numpy.concatenate([sign * numpy.exp2(-numpy.arange(8.0, 60.0, 4.0)) for sign in (1, -1)]).astype(numpy.float32)
    inputs = {"x": x, "dy": numpy.ones_like(x)}
    results = []
    for exponential in ("numpy.exp({0})", "(numpy.exp({0}) * numpy.float32(1 - 2**-22))"):
        templates = {**NUMPY.templates, "exp_nonpositive": exponential, "exp_scaled": f"{exponential} * 2.0**100"}
        lines, result = assignments(program, dataclasses.replace(NUMPY, templates=templates))
        code = "\n".join([*(f"{name} = {code}" for name, code in lines), f"result = {result}"])
        names: dict[str, Any] = {**modules(code), **inputs}
        with numpy.errstate(all="ignore"):
            exec(code, names)
        results.append(names["result"])
    with numpy.errstate(all="ignore"):
        change = numpy.abs(results[1] - results[0]) / numpy.abs(results[0])
    return bool((change > 2.0**-17).any())


def _function(program: Program, name: str, inputs: tuple[str, ...], arithmetic: str) -> str:
    lines, result = assignments(program, target(arithmetic))
    used = {program.steps[index].name for index in program.live() if program.steps[index].op == "input"}
    if not used <= set(inputs):
        raise CosnbError(f"a Triton kernel has the inputs {', '.join(inputs)}, got {sorted(used)}")
    if not used:  # a constant
        result = f"tl.full({inputs[-1]}.shape, {result}, {_FORMATS[arithmetic]})"
    body = [*(f"{left} = {right}" for left, right in lines), f"return {result}"]
    return "\n".join(["@triton.jit", f"def {name}({', '.join(inputs)}):", *(f"    {line}" for line in body)]) + "\n"


def _kernel(name: str, function: str, inputs: tuple[str, ...], output: str, arithmetic: str) -> str:
    pointers = ", ".join(f"{variable}_ptr" for variable in (*inputs, output))
    body = [
        "offsets = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)",
        "mask = offsets < n",
        *(f"{v} = tl.load({v}_ptr + offsets, mask=mask).to({_FORMATS[arithmetic]})" for v in inputs),
        f"{output} = {function}({', '.join(inputs)})",
        f"tl.store({output}_ptr + offsets, {output}.to({output}_ptr.dtype.element_ty), mask=mask)",
    ]
    head = ["@triton.jit", f"def {name}({pointers}, n, BLOCK: tl.constexpr):"]
    return "\n".join([*head, *(f"    {line}" for line in body)]) + "\n"
