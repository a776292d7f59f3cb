"""The NumPy target against mpmath and against the PyTorch target, for every row of the catalogue."""

from collections.abc import Callable

import numpy
import pytest
import sympy
import torch
from truth import truth

from cosnb import CosnbError, activation
from cosnb.codegen.evaluate import compile_source
from cosnb.codegen.lower import lower
from cosnb.codegen.targets import numpy as target
from cosnb.symbolic.catalogue import CATALOGUE, x

GRID = numpy.array([0.0, 1e-8, 1e-3, 0.3, 0.7, 1.0, 1.5, 2.9, 3.0, 5.5, 6.5, 12.0, 30.0, 87.5, 104.0, 300.0])
POINTS = numpy.concatenate([-GRID[::-1], GRID])
EDGES = numpy.array([-numpy.inf, numpy.inf, numpy.nan, -3e38, 3e38, -1e4, 1e4])


def printed(expr: sympy.Expr, name: str = "f") -> Callable[..., numpy.ndarray]:
    return compile_source(target.source(lower(expr, x), name), name)


# Relative to the largest term, in units of the format's epsilon. NumPy's own float32 functions are within 4 ulp, and a
# derivative multiplies several; the tails carry e^(−y) of a rounded y, whose error is y/2 ulp (GELU at −30: y = 450).
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 64), ("float64", 500), ("float16", 1)])
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_row_against_mpmath(name: str, order: int, dtype: str, bound: float) -> None:
    expr = activation(name).derivative(order)
    points = POINTS.astype(dtype)
    values = printed(expr)(points)
    assert values.dtype == points.dtype
    exact, size = truth(expr, x, points)
    info = numpy.finfo(dtype)
    finite = abs(exact) <= float(info.max)
    smallest = float(info.smallest_subnormal) * (1 if dtype == "float16" else 64)
    error = abs(values.astype(float) - exact)[finite]
    allowed = bound * float(info.eps) * size[finite] + smallest
    worst = (error - allowed).argmax()
    assert (error <= allowed).all(), (points[finite][worst], values[finite][worst], exact[finite][worst])


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", CATALOGUE)
def test_at_the_edges_it_is_what_pytorch_operations_are(name: str, order: int) -> None:
    act = activation(name)
    function = printed(act.derivative(order))
    for dtype in ("float32", "float64", "float16"):
        with numpy.errstate(over="ignore"):
            points = EDGES.astype(dtype)
        reference = act.elementwise(order)(torch.from_numpy(points)).numpy()
        if dtype == "float64" and name in ("snake", "sinlu", "gcu", "sinusoid"):
            reference = reference[[0, 1, 2, 5, 6]]  # sin(3e38): NumPy and PyTorch call different libraries
            points = points[[0, 1, 2, 5, 6]]
        # The tails' limits are exact in both; sin(1e4) and √ differ by roundings.
        numpy.testing.assert_allclose(function(points), reference, rtol=8 * float(numpy.finfo(dtype).eps), atol=1e-300)


def test_shapes_and_types_are_as_of_numpys_own_functions() -> None:
    function = printed(activation("cos").expr)
    for given in (0.5, numpy.float32(0.5), numpy.array(0.5), [0.5], (1, 2), numpy.zeros((3, 0)), numpy.ones((2, 3)).T):
        result, like = function(given), numpy.tanh(given)
        assert type(result) is type(like)
        assert numpy.shape(result) == numpy.shape(like)
        assert result.dtype == like.dtype
    assert function(numpy.array([1, 2])).dtype == numpy.float64
    assert function(numpy.array([1, 2], ">f4")).dtype == numpy.float32
    assert function(numpy.arange(6.0)[::2]).tolist() == function([0.0, 2.0, 4.0]).tolist()
    for wrong in (1j, "0.5", None):
        with pytest.raises(TypeError):
            function(wrong)


def test_a_constant_keeps_the_shape_and_the_input_is_not_written_to() -> None:
    points = numpy.ones((2, 3), "float32")
    assert printed(sympy.Rational(1, 3))(points).shape == (2, 3)
    identity = printed(x)
    assert identity(points).tolist() == points.tolist()
    printed(activation("cos").expr)(points)
    assert (points == 1).all()


def test_scipy_is_imported_only_where_it_is_needed() -> None:
    assert "scipy" not in activation("cos").source("numpy", 1)
    assert "import scipy.special\n" in activation("gelu").source("numpy")
    code = activation("cos").source("numpy", 1)
    assert code.startswith("# CoS: f(x) = x*sigmoid(x) + (sigmoid(5*x) - 1/2)**2\n# f′(x) = ")
    assert "\ndef cos_d1(x):\n" in code


@pytest.mark.parametrize("name", ["f(x):\n import os #", "a b", "", "2f", "class", "f.g", "numpy", "scipy", "ƒ"])
def test_hostile_function_names_are_refused(name: str) -> None:
    with pytest.raises(CosnbError, match="the name must be an identifier"):
        target.source(lower(x, x), name)
