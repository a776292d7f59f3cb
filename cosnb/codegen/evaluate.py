"""Functions from printed Python source, and from a `Program` by NumPy, which lowering uses for trial runs."""

import linecache
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import FunctionType, SimpleNamespace
from typing import Any, TypeAlias

import sympy

from cosnb.codegen.printing import Target, assignments, python_number, python_templates
from cosnb.codegen.program import Program
from cosnb.host import modules, numpy
from cosnb.host.rounded import Rounded

TEMPLATES = {
    **python_templates("numpy"),
    "atan": "numpy.arctan({0})",
    "asinh": "numpy.arcsinh({0})",
    "cbrt": "numpy.where({0} < 0, x.dtype.type(numpy.nan), numpy.cbrt(numpy.abs({0})))",
    "min": "numpy.minimum({0}, {1})",
    "max": "numpy.maximum({0}, {1})",
    "where_numbers": "numpy.where({0}, x.dtype.type({1}), x.dtype.type({2}))",
    "erf": "scipy.special.erf({0})",
    "erfc": "scipy.special.erfc({0})",
    # SciPy's expit is 0 in float32 from −89 on, where the value is still a subnormal.
    "sigmoid": "(numpy.exp(numpy.minimum({0}, 0)) / (1 + numpy.exp(-numpy.abs({0}))))",
    "softplus": "numpy.logaddexp(0, {0})",
}
Evaluate: TypeAlias = Callable[[numpy.ndarray], numpy.ndarray]
_ZEROS = numpy.array([0.0, -0.0])
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
    program: Program, dtype: type, values: Mapping[str, float] | None = None, /, **templates: str
) -> Evaluate:
    """Return the program as a function of an array of `dtype`, by NumPy, without warnings; an input dy is 1.

    values: the numbers that its further inputs have. templates: {operation: NumPy code} for other code than NUMPY has.
    """
    return _compiled(program, dtype, values or {}, templates, lambda module: module)


def trial(program: Program, dtype: type, values: Mapping[str, float] | None = None, exactly: bool = False) -> Evaluate:
    """Return the program as `evaluator` does, with functions that are the same everywhere: see `host.rounded`."""
    return _compiled(program, dtype, values or {}, {}, lambda module: Rounded(module, exactly))


def _compiled(
    program: Program,
    dtype: type,
    values: Mapping[str, float],
    templates: Mapping[str, str],
    functions: Callable[[Any], Any],
) -> Evaluate:
    lines, result = assignments(program, replace(NUMPY, templates={**NUMPY.templates, **templates}))
    body = "\n    ".join([*(f"{name} = {code}" for name, code in lines), f"return {result}"])
    used = modules(body)
    namespace: dict[str, Any] = {name: dtype(value) for name, value in values.items()}
    namespace["numpy"] = functions(used["numpy"])
    if "scipy" in used:
        namespace["scipy"] = SimpleNamespace(special=functions(used["scipy"].special))
    exec(f"def f(x, dy=1):\n    {body}\n", namespace)
    compiled = namespace["f"]

    def evaluate(points: numpy.ndarray) -> numpy.ndarray:
        with numpy.errstate(all="ignore"):
            values: numpy.ndarray = numpy.asarray(compiled(points.astype(dtype)), dtype)
        return numpy.broadcast_to(values, points.shape)

    return evaluate


_IN_C = {"negative": "numpy.signbit({0})"}


def with_signed_zeros(program: Program, **templates: str) -> Program:
    """Return the program with the sign that a zero at x = ±0 has in C, for a target that has the `templates`.

    C takes −0 for negative; elsewhere x < 0 is false there, so that tanh(−0) would be +0 by the branch for x ≥ 0.
    """
    if not set(program.inputs()) <= {"x", "dy"}:
        return program
    signs = _signs_of_zeros(program)
    given = numpy.signbit(evaluator(program, numpy.float64, **templates)(_ZEROS))
    if signs is None or signs == tuple(given.tolist()):
        return program
    new = replace(program, steps=list(program.steps), known=dict(program.known))
    x = new.input("x")
    zero = x if signs[0] != signs[1] else new.emit("abs", x)
    zero = new.neg(zero) if signs[0] else zero
    if "dy" in new.inputs():
        zero = new.emit("mul", new.input("dy"), zero)
    new.result = new.where(new.emit("eq", x, new.number(0)), zero, new.result)
    return new


def with_odd_zeros(program: Program) -> Program:
    """Return the program with f(±0) = ±0 where f is odd: x − tanh x is +0 − +0 and −0 − −0 there, both +0."""
    return with_signed_zeros(program, **_IN_C)


def _signs_of_zeros(program: Program) -> tuple[bool, bool] | None:
    """Return whether f(+0) and f(−0) are to be −0; None where they are not 0. In an odd f they are opposite."""
    f = evaluator(program, numpy.float64, **_IN_C)
    zeros = f(_ZEROS)
    if (zeros != 0).any():
        return None
    points = numpy.exp2(-numpy.arange(10.0))
    values = f(points)
    if values[-1] != 0 and (f(-points) == -values).all():
        return bool(values[-1] < 0), bool(values[-1] > 0)
    return bool(numpy.signbit(zeros[0])), bool(numpy.signbit(zeros[1]))
