"""Triton: a forward kernel y = f(x) and a backward kernel dx = dy·f′(x) of an activation, each one pass over memory.

float32, float16 and bfloat16 are computed in float32 and rounded once, or in float64 where float32 has too few digits
(kernels.cuda chooses), float64 in float64. Products and sums that
belong together are explicit calls of fma and divisions round to nearest, as in the C target, whose elementary functions
these kernels share; launched with `enable_fp_fusion=False` they agree with it bit by bit, but for the sign of zeros: −0
is +0 in Triton. Its versions before 3.9 (seen in 3.3) take subnormal float32 operands of divisions and roots for 0.
"""

import sympy

from cosnb.codegen.elementary import FUNCTIONS
from cosnb.codegen.printing import Target, assignments
from cosnb.codegen.program import Program
from cosnb.codegen.translation import REAL, functions, literal
from cosnb.errors import CosnbError

_HEAD = """import triton
import triton.language as tl
"""
_SMALL = {
    "min": """# The smaller one; a NaN in a stays.
@triton.jit
def cosnb_min(a, b):
    return tl.where(a > b, b, a)
""",
    "max": """# The larger one; a NaN in a stays.
@triton.jit
def cosnb_max(a, b):
    return tl.where(a < b, b, a)
""",
    "sign": """# 1, −1, or a itself where it is 0 or NaN.
@triton.jit
def cosnb_sign(a):
    return tl.where(a > 0, 1.0, tl.where(a < 0, -1.0, a))
""",
}
_FORMATS = {"float": "tl.float32", "double": "tl.float64"}


def target(dtype: str) -> Target:
    """Return the target for the arithmetic "float" or "double"."""
    templates = {
        "fma": "tl.fma({0}, {1}, {2})",
        "abs": "tl.abs({0})",
        "sqrt": "tl.sqrt({0})",  # in float64 it is rounded to nearest
        "where": "tl.where({0}, {1}, {2})",
        "and": "({0}) & ({1})",
        "or": "({0}) | ({1})",
        "not": "~({0})",
    }
    if dtype == "float":  # Triton's own are off by up to 2 ulp
        templates |= {"div": "tl.div_rn({0}, {1})", "sqrt": "tl.sqrt_rn({0})"}
    templates |= {name: f"cosnb_{name}({{0}}, {{1}})" for name in ("min", "max")}
    templates |= {name: f"cosnb_{name}({{0}})" for name in ("sign", *FUNCTIONS)}

    def number(value: sympy.Expr) -> str:
        return literal(float(value), dtype)

    def edge(single: sympy.Expr, double: sympy.Expr) -> str:
        return number(single if dtype == "float" else double)

    return Target(f"Triton ({dtype})", templates, number, edge, inline_comparisons=True, inline_edges=True)


def source(value: Program, product: Program, dtype: str = "float", comment: str = "") -> str:
    """Return Triton source of the kernels `forward` from `value` and `backward` from `product`.

    `dtype`: the arithmetic, "float" or "double". Both kernels take pointers, the number of elements and the constexpr
    BLOCK: forward(x_ptr, y_ptr, n, BLOCK), backward(dy_ptr, x_ptr, dx_ptr, n, BLOCK). Raises CosnbError for an
    operation that Triton lacks and for inputs besides x and dy.
    """
    ops = {program.steps[index].op for program in (value, product) for index in program.live()}
    own = [text for op, text in _SMALL.items() if op in ops]
    elementary = functions([op for op in FUNCTIONS if op in ops], dtype)
    parts = [
        "".join(f"# {line}\n" for line in comment.splitlines()) + _HEAD,
        _kernel(value, "forward", ("x",), "y", dtype),
        _kernel(product, "backward", ("dy", "x"), "dx", dtype),
        *own,
        *([elementary] if elementary else []),
    ]
    if any("real(" in part for part in parts):
        parts.append(REAL)
    return "\n\n".join(parts)


def _kernel(program: Program, name: str, inputs: tuple[str, ...], output: str, dtype: str) -> str:
    lines, result = assignments(program, target(dtype))
    used = {program.steps[index].args[0] for index in program.live() if program.steps[index].op == "input"}
    if not used <= set(inputs):
        raise CosnbError(f"a Triton kernel has the inputs {', '.join(inputs)}, got {sorted(map(str, used))}")
    if not used:  # a constant
        result = f"tl.full((BLOCK,), {result}, {_FORMATS[dtype]})"
    pointers = ", ".join(f"{variable}_ptr" for variable in (*inputs, output))
    body = [
        "offsets = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)",
        "mask = offsets < n",
        *(f"{v} = tl.load({v}_ptr + offsets, mask=mask).to({_FORMATS[dtype]})" for v in inputs if v in used),
        *(f"{left} = {right}" for left, right in lines),
        f"{output} = {result}",
        f"tl.store({output}_ptr + offsets, {output}.to({output}_ptr.dtype.element_ty), mask=mask)",
    ]
    head = ["@triton.jit", f"def {name}({pointers}, n, BLOCK: tl.constexpr):"]
    return "\n".join([*head, *(f"    {line}" for line in body)]) + "\n"
