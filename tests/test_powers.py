"""Roots, powers and exponentials of any base in every target, against mpmath."""

import math
from collections.abc import Callable
from pathlib import Path

import mpmath
import numpy
import pytest
import sympy
import test_c_header
import test_triton
import test_vega_source
import torch
from c_library import build
from test_elementary import ulp_error

from cosnb import activation
from cosnb.codegen.evaluate import evaluator
from cosnb.codegen.lower import lower
from cosnb.codegen.targets import vega
from cosnb.kernels import cpu
from cosnb.symbolic.catalogue import x

TEXTS = (
    "x**(1/3)",
    "x**0.25",
    "sqrt(sqrt(x))",
    "abs(x)**(2/3)",
    "relu(x)**(1/3)",
    "abs(x)**1.5",
    "x**(-1/4)",
    "x**3.75",
)
_SIZE = sympy.Piecewise((-x, x < 0), (x, True))
FORMULAS = {text: activation(text).expr for text in TEXTS} | {
    "x**0.37": x ** sympy.Rational(37, 100),
    "x**5.3": x ** sympy.Rational(53, 10),
    "x**pi": x**sympy.pi,
    "abs(x)**-1.3": _SIZE ** sympy.Rational(-13, 10),
    "2**x": 2**x,
    "1.1**x": sympy.Rational(11, 10) ** x,
    "10**-x": 10**-x,
}
FORMATS = {"float": torch.float32, "double": torch.float64}
NUMPY = {"float": numpy.float32, "double": numpy.float64}
ORDERS = (0, 1, 2)


def derivative(text: str, order: int) -> sympy.Expr:
    return sympy.diff(FORMULAS[text], x, order) if order else FORMULAS[text]


def points(text: str, dtype: str) -> numpy.ndarray:
    """Return numbers of every size at which the formula is real and its powers of the derivatives' do not overflow."""
    info, rng = numpy.finfo(NUMPY[dtype]), numpy.random.default_rng(len(text))
    if "**x" in text or "**-x" in text:
        reach = 0.95 * math.log2(float(info.max)) / abs(math.log2(float(text.split("**")[0])))
        return numpy.concatenate([rng.uniform(-reach, reach, 60), rng.uniform(-9, 9, 60)]).astype(NUMPY[dtype])
    low, high = math.log2(float(info.smallest_subnormal)), math.log2(float(info.max)) - 1
    size = numpy.exp2(numpy.concatenate([rng.uniform(low, high, 60), rng.uniform(-7, 7, 60)]))
    return numpy.concatenate([size, -size] if "abs" in text else [size]).astype(NUMPY[dtype])


def worst(text: str, order: int, dtype: str, function: Callable[[numpy.ndarray], numpy.ndarray]) -> float:
    """Return the largest error in ulp where the derivative is a normal number of the format."""
    truth, at = sympy.lambdify(x, derivative(text, order), "mpmath"), points(text, dtype)
    info, values, errors = numpy.finfo(NUMPY[dtype]), function(at), []
    with mpmath.workprec(200):
        for point, value in zip(at.tolist(), values.tolist(), strict=True):
            exact = mpmath.mpf(truth(mpmath.mpf(point)))
            if 4 * float(info.tiny) <= abs(exact) <= float(info.max) / 4:
                errors.append(ulp_error(value, exact, dtype))
    assert len(errors) > 50
    return max(errors)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Callable]:
    """Return each formula's derivatives as C functions of a tensor."""
    if cpu.compiler() is None:
        pytest.skip("no C compiler here")
    cases = [(text, order) for text in FORMULAS for order in ORDERS]
    programs = {f"power_{index}": lower(derivative(*case), x) for index, case in enumerate(cases)}
    functions = build(programs, tmp_path_factory.mktemp("powers"))
    return dict(zip(cases, functions.values(), strict=True))


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("text", FORMULAS)
def test_error_in_c(text: str, dtype: str, compiled: dict[tuple[str, int], Callable]) -> None:
    for order in ORDERS:
        function = compiled[text, order]
        error = worst(text, order, dtype, lambda at, function=function: function(torch.from_numpy(at)).numpy())
        assert error <= 3.5, order  # measured: 3.1, as a product of roots and powers


# e^(u·log c) of a product that is rounded, and its number: an ulp of u·log c, which is up to 2⁷ and 2¹⁰ there.
PRODUCT = {"float": 90.0, "double": 710.0}


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("text", FORMULAS)
def test_error_in_pytorch_and_numpy(text: str, dtype: str) -> None:
    bound = PRODUCT[dtype] if text == "1.1**x" else 7.0  # measured: 5.5
    for order in ORDERS:
        program = lower(derivative(text, order), x)
        assert worst(text, order, dtype, evaluator(program, NUMPY[dtype])) <= bound, order
    function = activation(text).elementwise(0) if text in TEXTS else None
    if function is not None:
        assert worst(text, 0, dtype, lambda at: function(torch.from_numpy(at)).numpy()) <= bound


@pytest.mark.parametrize(
    "exponent", [sympy.Rational(*pair) for pair in ((1, 3), (1, 4), (37, 100), (-13, 10))], ids=str
)
def test_edges_are_those_of_pow(exponent: sympy.Rational, tmp_path: Path) -> None:
    at = [0.0, -0.0, 1.0, math.inf, math.nan, -1.0, -1e-30, -math.inf]
    zero, infinity = (0.0, math.inf) if exponent > 0 else (math.inf, 0.0)
    wanted = [zero, zero, 1.0, infinity, *[math.nan] * 4]  # of −∞ too, where pow has ∞
    program = lower(x**exponent, x)
    (compute,) = build({"power": program}, tmp_path).values()
    for dtype, tensor in FORMATS.items():
        got = compute(torch.tensor(at, dtype=tensor)).tolist()
        numpy.testing.assert_equal([abs(value) for value in got], wanted)
        numpy.testing.assert_equal(numpy.abs(evaluator(program, NUMPY[dtype])(numpy.array(at))), wanted)


@pytest.mark.skipif(cpu.compiler() is None, reason="no C compiler here")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("text", ["x**(1/3)", "abs(x)**(2/3)", "sqrt(sqrt(x))"])
def test_16_bits_are_rounded_once(text: str, dtype: torch.dtype) -> None:
    at = torch.arange(1, 2**15, dtype=torch.int16).view(dtype)
    at = at[at.isfinite()]
    exact = activation(text).elementwise(0)(at.double())
    assert torch.equal(activation(text)(at), exact.to(dtype))


@pytest.mark.skipif(test_vega_source.NEEDS_NODE.args[0], reason="node, which evaluates the expressions, is not here")
def test_vega() -> None:
    at = [0.001, 0.3, 1.0, 7.0, 30.0]
    rows = test_vega_source.evaluate([vega.source(derivative(text, 1)) for text in FORMULAS], at)
    for text, row in zip(FORMULAS, rows, strict=True):
        truth = sympy.lambdify(x, derivative(text, 1), "mpmath")
        numpy.testing.assert_allclose(row, [float(truth(mpmath.mpf(v))) for v in at], rtol=1e-12, err_msg=text)


@pytest.mark.long
@test_triton.needs_triton
@test_triton.needs_compiler
def test_triton_gives_the_same_as_c(tmp_path: Path) -> None:
    texts = ["x**(1/3)", "abs(x)**(2/3)", "x**0.37", "abs(x)**-1.3", "1.1**x"]
    programs = [(lower(FORMULAS[text], x), lower(derivative(text, 1), x, product=True)) for text in texts]
    at = [torch.from_numpy(points(text, "double")) for text in texts]
    cases = [(*pair, [(torch.ones_like(v), v)]) for pair, v in zip(programs, at, strict=True)]
    for pair, v, [(y, dx)] in zip(
        programs, at, test_triton.work("run", cases, tmp_path, TRITON_INTERPRET="1"), strict=True
    ):
        library = cpu.build(*pair)
        assert torch.equal(y, library.forward(v))
        assert torch.equal(dx, library.backward(torch.ones_like(v), v))
    compiled = test_triton.work("compile", [(*pair, None) for pair in programs[:3]], tmp_path)
    assert all(len(kernels) == 8 for kernels in compiled)


@pytest.mark.skipif(test_c_header.pytestmark.args[0], reason="gcc is not here")
@pytest.mark.parametrize("text", ["abs(x)**(2/3)", "x**(1/4)", "x**3.75"])
def test_headers_loops_are_vectorised(text: str, tmp_path: Path) -> None:
    (tmp_path / "power.h").write_text(activation(text).source("c"), encoding="utf-8")
    name = f"act_{activation(text).name}"
    calls = f'#include "power.h"\nvoid f(const float *x, float *y, size_t n) {{ {name}_forward_f32(x, y, n); }}\n'
    calls += f"void g(const double *x, double *y, size_t n) {{ {name}_forward_f64(x, y, n); }}\n"
    (tmp_path / "one.c").write_text(calls)
    said = test_c_header.run(tmp_path, "gcc", *test_c_header.FAST, "-fopt-info-vec-optimized", "-c", "one.c")
    assert said.count("loop vectorized") >= 2
