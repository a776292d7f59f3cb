"""Results far out, against mpmath: finite ones though a step on the way overflows, and sines of large numbers."""

import ctypes
import math
import shutil
import subprocess
from pathlib import Path

import mpmath
import numpy
import pytest
import sympy
import torch
from c_library import build
from truth import truth

from cosnb import activation
from cosnb.codegen.evaluate import evaluator
from cosnb.codegen.lower import lower
from cosnb.codegen.targets import c, header
from cosnb.kernels import cpu
from cosnb.symbolic.catalogue import x

needs_compiler = pytest.mark.skipif(cpu.compiler() is None, reason="no C compiler here")
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


@needs_compiler
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


SINES = ["sin(x)", "gcu", "snake", "sinusoid", "tan(x)", "cos(x)*x", "sin(2*x)*tanh(x)"]
FAR = [1e10, 2.0**48 - 1, 2.0**48, 2.0**48 + 1, 1e15, 2e30, 3e37, 1e38, 1e200, 5e307]
ERRORS = {torch.float64: 2.0**-49, torch.float32: 2.0**-20, torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}


def far_points(dtype: torch.dtype) -> torch.Tensor:
    """Return FAR with both signs, as far as the format has such numbers."""
    at = torch.tensor([sign * size for size in FAR for sign in (1, -1)], dtype=torch.float64).to(dtype)
    return at[at.isfinite()]


def check_sines(text: str, order: int, at: torch.Tensor, got: torch.Tensor) -> None:
    """Hold the derivative of that order at some points against mpmath, relative to its largest term or to 1."""
    exact, size = truth(activation(text).derivative(order), x, at.tolist())
    wrong = numpy.abs(got.double().numpy() - exact) > ERRORS[at.dtype] * numpy.maximum(size, 1)
    wrong &= numpy.abs(exact) < float(torch.finfo(at.dtype).max)
    assert not wrong.any(), (text, order, at[wrong], got[wrong], exact[wrong])


def native(text: str, order: int) -> cpu.Library:
    row = activation(text)
    return cpu.build(row.program(order), row.program(order + 1, product=True))


@pytest.mark.long
@needs_compiler
@pytest.mark.parametrize("text", SINES)
@pytest.mark.parametrize("order", [0, 1])
def test_sines_of_every_number(text: str, order: int) -> None:
    library, threads = native(text, order), torch.get_num_threads()
    try:
        for dtype in ERRORS:
            far = far_points(dtype)
            near = torch.linspace(-12, 12, 40_000, dtype=torch.float64).to(dtype)  # so many that two threads share them
            mixed, places = near.clone(), torch.arange(1, 1 + len(far)) * 1871 + 20
            mixed[places], mixed[-1], mixed[-2] = far, math.inf, math.nan
            dy = torch.ones_like(near)
            for count in (1, 2):
                torch.set_num_threads(count)
                for n, loop in enumerate((library.forward, lambda at: library.backward(torch.ones_like(at), at))):
                    got, want = loop(mixed), loop(near)
                    check_sines(text, order + n, far, got[places])
                    check_sines(text, order + n, near[::999], want[::999])
                    assert "sin" not in text or got[-2:].isnan().all()
                    want[places], want[-2:] = got[places], got[-2:]
                    assert torch.equal(got[:-2], want[:-2])  # the same bits beside far ones
            two = torch.stack([dy, dy], -1)[:, 0]  # rows of dy with a stride
            assert torch.equal(library.backward(two, mixed)[:-2], library.backward(dy, mixed)[:-2])
    finally:
        torch.set_num_threads(threads)


@needs_compiler
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_sine_of_an_exponential(order: int, dtype: torch.dtype) -> None:
    at = torch.tensor([1.5, 40.3, 41, 300 if dtype == torch.float64 else 43], dtype=dtype)
    library, e = native("sin(exp(x))", order), native("exp(x)", 0).forward(at)
    slopes = [sympy.sin(x), x * sympy.cos(x), x * sympy.cos(x) - x**2 * sympy.sin(x)]  # of e
    for n, got in ((0, library.forward(at)), (1, library.backward(torch.ones_like(at), at))):
        exact, size = truth(slopes[order + n], x, e.tolist())
        assert (numpy.abs(got.double().numpy() - exact) <= ERRORS[dtype] * size).all(), (got, exact)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
@pytest.mark.parametrize("flags", [["-O3", "-march=native"], ["-O0"]], ids=["fast", "plain"])
def test_sines_of_every_number_by_the_header(flags: list[str], tmp_path: Path) -> None:
    code = ""
    for index, text in enumerate(SINES):
        row = activation(text)
        (tmp_path / f"f{index}.h").write_text(header.header(f"f{index}", [row.program(n) for n in (1, 2)], 1))
        code += f'#include "f{index}.h"\n'
        for suffix, dtype in header.FORMATS.items():
            code += (
                f"void f{index}_{suffix}(const {dtype} *dy, const {dtype} *x, {dtype} *y, {dtype} *dx, {dtype} *one,"
                f" size_t n) {{ act_f{index}_d1_forward_{suffix}(x, y, n);"
                f" act_f{index}_d1_backward_{suffix}(dy, x, dx, n);"
                f" for (size_t i = 0; i < n; i++) one[i] = act_f{index}_d1_{suffix}(x[i]); }}\n"
            )
    (tmp_path / "all.c").write_text(code)
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wno-missing-prototypes", "-ffp-contract=off"]
    command = ["cc", *strict, *flags, "-shared", "-fPIC", "all.c", "-o", "all.so", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=250)
    library = ctypes.CDLL(str(tmp_path / "all.so"))
    for index, text in enumerate(SINES):
        for suffix, dtype in (("f32", torch.float32), ("f64", torch.float64)):
            far = far_points(dtype)
            points = torch.cat([torch.linspace(-9, 9, 3000).to(dtype), far])
            dy = torch.ones_like(points)
            y, dx, one = (torch.empty_like(points) for _ in range(3))
            pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (dy, points, y, dx, one)]
            getattr(library, f"f{index}_{suffix}")(*pointers, ctypes.c_size_t(len(points)))
            check_sines(text, 1, far, y[3000:])
            check_sines(text, 2, far, dx[3000:])
            assert torch.equal(y, one)


@pytest.mark.parametrize("size", [1e10, 1e30])
def test_the_sinusoid_of_a_tensor(size: float) -> None:
    got = activation("sinusoid")(torch.tensor([size], dtype=torch.float64)).item()
    assert got == pytest.approx(float(mpmath.sin(mpmath.mpf(size))), rel=1e-15)


def test_an_argument_with_a_bound_costs_nothing() -> None:
    program = activation("sin(3*tanh(x))").program(0)
    assert not c.reaches_far(program)
    assert "_everywhere" not in header.header("f", [program, program])
