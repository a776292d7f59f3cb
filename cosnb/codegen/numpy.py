"""NumPy: a function of one array, printed from a `Program`."""

import linecache
from collections.abc import Callable
from typing import Any

import sympy

from cosnb.codegen.printing import Target, assignments, check_name, python_number, python_templates
from cosnb.codegen.program import Program

TEMPLATES = {
    **python_templates("numpy"),
    "atan": "numpy.arctan({0})",
    "asinh": "numpy.arcsinh({0})",
    "pow": "numpy.power({0}, {1})",
    "min": "numpy.minimum({0}, {1})",
    "max": "numpy.maximum({0}, {1})",
    "where_numbers": "numpy.where({0}, x.dtype.type({1}), x.dtype.type({2}))",
    "erf": "scipy.special.erf({0})",
    "erfc": "scipy.special.erfc({0})",
    # SciPy's expit is 0 in float32 from −89 on, where the value is still a subnormal.
    "sigmoid": "(numpy.exp(numpy.minimum({0}, 0)) / (1 + numpy.exp(-numpy.abs({0}))))",
    "softplus": "numpy.logaddexp(0, {0})",
}
_INT16 = 2**15  # NumPy 1 makes float64 of float32 and an integer that needs more bits


def number(value: sympy.Expr) -> str:
    """Return a literal that leaves a float32 array what it is."""
    text = python_number(value, module="numpy")
    return f"{text}.0" if text.lstrip("-").isdigit() and abs(int(text)) >= _INT16 else text


def _edge(single: sympy.Expr, double: sympy.Expr) -> str:
    return f"({number(single)} if x.dtype == numpy.float32 else {number(double)})"


NUMPY = Target("numpy", TEMPLATES, number, _edge)


def source(program: Program, name: str, comment: str = "") -> str:
    """Return Python source, imports included, of `def name(x)`.

    An array, or what `numpy.asarray` makes one of, in; an array of its shape out, a scalar for a scalar, as from
    NumPy's own functions. float16, float32 and float64 stay what they are, float16 computed in float32 and rounded
    once; integers give float64; a complex x is a TypeError. No warning at any x. Raises CosnbError for a name that is
    no identifier and for an operation that NumPy lacks.
    """
    check_name(name, reserved=("numpy", "scipy"))
    lines, result = assignments(program, NUMPY)
    if program.steps[program.result].op in ("number", "edge"):
        result = f"numpy.full_like(x, {result})"
    body = [
        "x = numpy.asarray(x)",
        "kept = x.dtype.type if x.dtype.type in (numpy.float16, numpy.float32) else numpy.float64",
        'x = x.astype(numpy.float64 if kept is numpy.float64 else numpy.float32, casting="safe", copy=False)',
        'with numpy.errstate(all="ignore"):',
        *(f"    {left} = {right}" for left, right in lines),
        f"    return numpy.asarray({result}).astype(kept, copy=False)[()]",
    ]
    text = "\n".join([f"def {name}(x):", *(f"    {line}" for line in body)]) + "\n"
    imports = "import numpy\n" + ("import scipy.special\n" if "scipy.special." in text else "")
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return f"{head}{imports}\n\n{text}"


def compile_source(code: str, name: str) -> Callable[[Any], Any]:
    """Return the function `name` that `code`, printed by `source`, defines; its lines show in tracebacks."""
    filename = f"<cosnb numpy {name} {abs(hash(code)):x}>"
    linecache.cache[filename] = (len(code), None, code.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {}
    exec(compile(code, filename, "exec"), namespace)
    return namespace[name]
