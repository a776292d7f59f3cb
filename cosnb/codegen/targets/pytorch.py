"""PyTorch: a function of one tensor, printed from a `Program`; what torch.compile fuses, and what runs without C."""

from collections.abc import Sequence
from functools import partial

import sympy

from cosnb.codegen.evaluate import with_signed_zeros
from cosnb.codegen.printing import Target, assignments, check_name, python_function, python_number, python_templates
from cosnb.codegen.program import CONSTANTS, Program
from cosnb.host import numpy

TEMPLATES = {
    **python_templates("torch"),
    # Inductor's vectorised expm1 is exp − 1 (PyTorch 2.13): 4,095 ulp at −1e-4, this way 2.1.
    "expm1": "(torch.tanh(0.5 * {0:factor}) * (torch.exp({0}) + 1))",
    "one_minus_exp": "(torch.tanh(-0.5 * {0:factor}) * (torch.exp({0}) + 1))",
    "atan": "torch.atan({0})",
    "min": "torch.clamp_max({0}, {1})",
    "max": "torch.clamp_min({0}, {1})",
    "where_numbers": "torch.where({0}, torch.full_like(x, {1}), {2})",
    "erf": "torch.erf({0})",
    "erfc": "torch.erfc({0})",
    # torch.sigmoid is 0 in float32 below −88.7, where the value is still a float
    "sigmoid": "(torch.exp(torch.clamp_max({0}, 0)) / (1 + torch.exp(-torch.abs({0}))))",
    "softplus": "torch.logaddexp({0}, torch.zeros_like({0}))",
}
number = partial(python_number, module="torch")


def _edge(single: sympy.Expr, double: sympy.Expr) -> str:
    return f"({number(double)} if x.dtype == torch.float64 else {number(single)})"


# PyTorch has no cube root: y^(1/3), as the number is in each format, times y to what that lacks.
_LACKS = _edge(
    *(sympy.Rational(1, 3) - sympy.Rational(float(dtype(1 / 3))) for dtype in (numpy.float32, numpy.float64))
)
TEMPLATES["cbrt"] = TEMPLATES["pow"].format("{0}", "1 / 3", _LACKS)
PYTORCH = Target("pytorch", TEMPLATES, number, _edge)
# For graphs that autograd goes through: |x| has the slope 1 at 0, where the piece for x ≥ 0 is taken.
RECORDED = Target("pytorch", {**TEMPLATES, "abs": "torch.where({0} < 0, -{0}, {0})"}, number, _edge)
# ONNX has neither log1p, for which its exporter writes log(1 + t), 10 % off for t = 1e-7, nor erfc nor logaddexp.
_LOG1P = (
    "torch.where(1 + {0} == 1, {0}, torch.log(1 + {0}) * ({0} / (1 + {0} - 1)))"  # Kahan's: the sum's error cancels
)
_DECAY = "torch.exp(-torch.abs({0}))"
ONNX = Target(
    "pytorch",
    {
        **RECORDED.templates,
        **dict.fromkeys(("log1p", "log1p_unit"), _LOG1P),
        "softplus": f"(torch.relu({{0}}) + {_LOG1P.replace('{0}', _DECAY)})",
        "erfc": "(1 - torch.erf({0}))",
    },
    number,
    _edge,
)


def source(
    program: Program, name: str, comment: str = "", parameters: Sequence[str] = (), target: Target = PYTORCH
) -> str:
    """Return Python source of `def name(input)`, or `name(dy, input)` for a program with dy.

    A floating-point tensor in, one of its shape and dtype out; float16 and bfloat16 are computed in float32 and rounded
    once. `parameters` are further inputs of the program and arguments of the function, tensors without dimensions.
    Raises CosnbError for a name that is no identifier and an operation that PyTorch lacks.
    """
    check_name(name, reserved=("torch",))
    program = program if parameters else with_signed_zeros(program)
    lines, result = assignments(program, target)
    inputs = program.inputs()
    arguments = ", ".join([*(["dy"] if "dy" in inputs else []), "input", *parameters])
    if program.steps[program.result].op in CONSTANTS:
        result = f"torch.full_like(x, {result})"
    if program.steps[program.result].op == "input":
        result = f"{result}.clone()"  # an operator must not return its argument
    half = "(torch.float16, torch.bfloat16)"
    body = [f"x = input.float() if input.dtype in {half} else input"]
    if "dy" in inputs:
        body.append(f"dy = dy.float() if dy.dtype in {half} else dy")
    body += [f"{left} = {right}" for left, right in lines]
    body.append(f"return ({result}).to(input.dtype)")
    return python_function(f"def {name}({arguments}):", body, comment)
