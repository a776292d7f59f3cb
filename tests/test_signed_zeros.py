"""Signs of zeros at x = ±0: every row, its first two derivatives, every target and number format."""

import math
from collections.abc import Callable
from functools import cache

import mpmath
import numpy
import pytest
import sympy
import test_triton
import torch
from c_library import build

from cosnb import activation
from cosnb.codegen.evaluate import evaluator
from cosnb.codegen.lower import lower
from cosnb.kernels import cpu
from cosnb.symbolic.catalogue import CATALOGUE, x

ORDERS = (0, 1, 2)
ZEROS = torch.tensor([0.0, -0.0], dtype=torch.float64)
MORE = {
    "sin(x)": sympy.sin(x),
    "tan(x)": sympy.tan(x),
    "sinh(x)": sympy.sinh(x),
    "asinh(x)": sympy.asinh(x),
    "erf(x)": sympy.erf(x),
    "x*abs(x)": activation("x*abs(x)").expr,
    "sign(x)*sqrt(abs(x))": activation("sign(x)*sqrt(abs(x))").expr,
    "x - sin(x)": x - sympy.sin(x),
    "tanh(2*x)*tanh(x)": sympy.tanh(2 * x) * sympy.tanh(x),
}
EXPRESSIONS = {name: activation(name).expr for name in CATALOGUE} | MORE


@cache
def signs(name: str, order: int) -> tuple[set[float], set[float]] | None:
    """Return the signs that f(+0) and f(−0) may have, by mpmath near 0; None where f(0) is not 0, or infinite.

    An odd f has f(±0) = ±0, of the sign that f has beside 0. Else a zero has not the sign that f lacks on that side.
    """
    f = sympy.lambdify(x, sympy.diff(EXPRESSIONS[name], x, order), "mpmath")
    with mpmath.workdps(80):
        try:
            if abs(f(mpmath.mpf(0))) > 1e-60:
                return None
        except ZeroDivisionError:
            return None
        sides = [[mpmath.mpf(f(sign * mpmath.ldexp(3, -power))) for power in (1, 2, 30)] for sign in (1, -1)]
        right, left = (int(mpmath.sign(values[-1])) for values in sides)
        if right and all(abs(a + b) <= abs(a) * mpmath.mpf(10) ** -40 for a, b in zip(*sides, strict=True)):
            return {float(right)}, {float(left)}
        return ({1.0} if right > 0 else {1.0, -1.0}), ({1.0} if left > 0 else {1.0, -1.0})


def check(name: str, order: int, function: Callable, target: str, formats: tuple[torch.dtype, ...]) -> None:
    wanted = signs(name, order)
    if wanted is None:
        return
    seen = {tuple(math.copysign(1.0, v) for v in function(ZEROS.to(dtype)).tolist()) for dtype in formats}
    assert len(seen) == 1, (name, order, target, seen)
    for got, allowed in zip(*seen, wanted, strict=True):
        assert got in allowed, (name, order, target, seen)


@pytest.mark.long
@pytest.mark.skipif(cpu.compiler() is None, reason="no C compiler here")
def test_c(tmp_path_factory: pytest.TempPathFactory) -> None:
    cases = [(name, order) for name in EXPRESSIONS for order in ORDERS if signs(name, order)]
    programs = {f"zero_{i}": lower(sympy.diff(EXPRESSIONS[n], x, o), x) for i, (n, o) in enumerate(cases)}
    functions = build(programs, tmp_path_factory.mktemp("zeros"))
    for (name, order), function in zip(cases, functions.values(), strict=True):
        check(name, order, function, "c", (torch.float64, torch.float32))


@pytest.mark.skipif(cpu.compiler() is None, reason="no C compiler here")
@pytest.mark.parametrize("name", ["tanh", "mish", "lisht", "tanhshrink"])
def test_16_bits_in_c(name: str) -> None:
    check(name, 0, activation(name), "c", (torch.float16, torch.bfloat16))


@pytest.mark.parametrize("order", ORDERS)
def test_pytorch_and_numpy_as_c(order: int) -> None:
    formats = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    for name in CATALOGUE:
        if signs(name, order) is None:
            continue
        row = activation(name)
        check(name, order, row.elementwise(order), "pytorch", formats)
        modules: dict = {}
        exec(row.source("numpy", order), modules)
        function = modules[row.name if order == 0 else f"{row.name}_d{order}"]
        check(name, order, lambda z, f=function: torch.from_numpy(f(z.numpy())), "numpy", formats[:2])
        in_c = evaluator(row.program(order), numpy.float64, negative="numpy.signbit({0})")(ZEROS.numpy())
        assert (numpy.signbit(function(ZEROS.numpy())) == numpy.signbit(in_c)).all(), (name, order)


@pytest.mark.long
@test_triton.needs_triton
def test_triton_as_c(tmp_path_factory: pytest.TempPathFactory) -> None:
    formats = (torch.float64, torch.float32)
    pairs = [(torch.ones(2, dtype=dtype), ZEROS.to(dtype)) for dtype in formats]
    cases = [(name, order) for name in CATALOGUE for order in (0, 1)]
    inputs = [(activation(n).program(o), activation(n).program(o + 1, product=True), pairs) for n, o in cases]
    results = test_triton.work("run", inputs, tmp_path_factory.mktemp("zeros"), TRITON_INTERPRET="1")
    for (name, order), result in zip(cases, results, strict=True):
        for dtype, (y, dx) in zip(formats, result, strict=True):
            check(name, order, lambda _, y=y: y, "triton", (dtype,))
            check(name, order + 1, lambda _, dx=dx: dx, "triton", (dtype,))


def test_one_over_tanh_is_infinite_with_the_sign_of_x() -> None:
    assert (1 / activation("tanh")(ZEROS)).tolist() == [math.inf, -math.inf]
