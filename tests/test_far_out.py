"""Results that are finite though a step on the way overflows, in C and NumPy, against mpmath."""

import math
from pathlib import Path

import mpmath
import numpy
import pytest
import sympy
import torch
from c_library import build

from cosnb import activation
from cosnb.codegen.evaluate import evaluator
from cosnb.codegen.lower import lower
from cosnb.kernels import cpu
from cosnb.symbolic.catalogue import x

CASES = [
    ("log(1+x**2)", 0),
    ("log(1+x**2)", 1),
    ("(1+x**2)**(1/3)", 0),
    ("x*log(1+x**2)", 0),
    ("x*log(1+x**2)", 1),
    ("sqrt(1+x**4)", 0),
    ("log(1+x**4)/x", 0),
    ("sqrt(1+x**2)", 0),
    ("x**2/(1+x**2)", 0),
    ("log(x**2+exp(x))", 0),
    ("x**4", 0),
]
TYPES = {torch.float32: numpy.float32, torch.float64: numpy.float64}


def points(dtype: type) -> numpy.ndarray:
    size = numpy.exp2(numpy.arange(10, math.log2(float(numpy.finfo(dtype).max)) - 0.01, 1.7))
    return numpy.concatenate([size, -size]).astype(dtype)


@pytest.mark.skipif(cpu.compiler() is None, reason="no C compiler here")
def test_finite_results_are_finite_and_right(tmp_path: Path) -> None:
    expressions = [activation(text).derivative(order) for text, order in CASES]
    programs = {f"far_{index}": lower(expr, x) for index, expr in enumerate(expressions)}
    functions = build(programs, tmp_path)
    for case, expr, program, compute in zip(CASES, expressions, programs.values(), functions.values(), strict=True):
        truth = sympy.lambdify(x, expr, "mpmath")
        for tensor, dtype in TYPES.items():
            at, info = points(dtype), numpy.finfo(dtype)
            for got in (compute(torch.from_numpy(at).to(tensor)).numpy(), evaluator(program, dtype)(at)):
                for point, value in zip(at.tolist(), got.tolist(), strict=True):
                    with mpmath.workdps(400 if abs(point) < 1e4 else 40):
                        exact = mpmath.mpf(truth(mpmath.mpf(point)))
                    if abs(exact) > float(info.max):
                        assert math.isinf(value), (case, dtype, point)
                    else:  # below 1e-30 a derivative may be 0
                        assert abs(value - exact) <= 16 * info.eps * abs(exact) + 1e-30, (case, dtype, point, value)


def test_the_logarithm_that_was_infinite() -> None:
    assert activation("log(1+x**2)")(torch.tensor([1e20])).item() == pytest.approx(92.1034, abs=1e-4)


@pytest.mark.skipif(cpu.compiler() is None, reason="the limit is the C target's: no C compiler here")
def test_sine_at_1e10() -> None:
    got = activation("sinusoid")(torch.tensor([1e10], dtype=torch.float64)).item()
    assert got == pytest.approx(float(mpmath.sin(10**10)), rel=1e-15)
