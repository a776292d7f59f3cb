"""Functions from printed Python source, and from a `Program` by NumPy, which lowering uses for trial runs."""

import linecache
from collections.abc import Callable, Mapping
from types import FunctionType

import numpy
import sympy

from cosnb.codegen.printing import Target, assignments, python_number, python_templates
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


def compile_source(code: str, name: str, **modules: object) -> FunctionType:
    """Return the function `name` that printed `code` defines; its lines show in tracebacks.

    modules: {name: module} that the code uses and does not import.
    """
    filename = f"<cosnb {name} {abs(hash(code)):x}>"
    linecache.cache[filename] = (len(code), None, code.splitlines(keepends=True), filename)
    exec(compile(code, filename, "exec"), modules)
    function = modules[name]
    assert isinstance(function, FunctionType)
    return function


def evaluator(
    program: Program, dtype: type, values: Mapping[str, float] | None = None
) -> Callable[[numpy.ndarray], numpy.ndarray]:
    """Return the program as a function of an array of `dtype`, by NumPy, without warnings.

    values: the numbers that its further inputs have.
    """
    lines, result = assignments(program, NUMPY)
    body = "\n    ".join([*(f"{name} = {code}" for name, code in lines), f"return {result}"])
    namespace: dict[str, object] = {"numpy": numpy}
    namespace |= {name: dtype(value) for name, value in (values or {}).items()}
    if "scipy." in body:
        import scipy.special

        namespace["scipy"] = scipy
    exec(f"def f(x):\n    {body}\n", namespace)
    compiled = namespace["f"]

    def evaluate(points: numpy.ndarray) -> numpy.ndarray:
        with numpy.errstate(all="ignore"):
            values = compiled(points.astype(dtype))  # type: ignore[operator]
        return numpy.broadcast_to(numpy.asarray(values, dtype), points.shape)

    return evaluate
