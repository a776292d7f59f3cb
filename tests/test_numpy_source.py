"""The NumPy target against mpmath and against the PyTorch target, for every row of the catalogue."""

import warnings

import numpy
import pytest
import sympy
import torch

from truth import truth

from cosnb import CosnbError, activation
from cosnb.codegen import numpy as target
from cosnb.codegen.lower import lower
from cosnb.symbolic.catalogue import CATALOGUE, x

GRID = numpy.array([0.0, 1e-8, 1e-3, 0.3, 0.7, 1.0, 1.5, 2.9, 3.0, 5.5, 6.5, 12.0, 30.0, 87.5, 104.0, 300.0])
POINTS = numpy.concatenate([-GRID[::-1], GRID])
EDGES = [-numpy.inf, numpy.inf, numpy.nan, -3e38, 3e38]


def printed(expr: sympy.Expr, name: str = "f"):  # type: ignore[no-untyped-def]
    return target.compile_source(target.source(lower(expr, x), name), name)


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
    with numpy.errstate(over="ignore"):
        exact, size = truth(expr, x, points)
    info = numpy.finfo(dtype)
    floor = 64 * info.smallest_subnormal if dtype != "float16" else info.smallest_subnormal
    finite = abs(exact) <= info.max
    error = abs(values.astype(float) - exact)[finite]
    allowed = bound * info.eps * size[finite] + floor
    worst = (error / allowed).argmax()
    assert (error <= allowed).all(), (points[finite][worst], values[finite][worst], exact[finite][worst])
