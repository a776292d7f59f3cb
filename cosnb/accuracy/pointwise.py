"""Errors of a function at given points, each decided by the exact truth."""

from collections.abc import Callable

import sympy
import torch
from torch import Tensor

from cosnb.accuracy.errors import Errors, settle
from cosnb.accuracy.truth import Truth
from cosnb.errors import CosnbError

Function = Callable[[Tensor], Tensor]


def ulp_errors(function: Function, expr: sympy.Expr, x: sympy.Symbol, points: Tensor) -> Tensor:
    """Return |function(points) − expr| in ulp, a float64 tensor of the shape of `points`.

    `points`: finite, float64, float32, float16 or bfloat16. One ulp is the spacing of that format at the true value,
    and at least that of its subnormal numbers. The true value is `Truth.exact`, computed in mpmath with a precision
    that is doubled until the result is certain: about 0.2 ms a point. Raises CosnbError for a point that is not finite,
    and where `expr` has no real value.
    """
    if not torch.isfinite(points).all():
        raise CosnbError("ulp_errors expects finite points: at ±inf and NaN compare with the limits instead")
    truth = Truth(expr, x)
    errors = []
    for point, got in zip(points.flatten().tolist(), function(points).flatten().tolist(), strict=True):
        value = truth.exact(point).value
        errors.append(settle(got, value, abs(value), points.dtype)[1])
    return torch.tensor(errors, dtype=torch.float64).reshape(points.shape)


def largest_errors(function: Function, expr: sympy.Expr, x: sympy.Symbol, points: Tensor) -> Errors:
    """Return the largest errors of each class at finite `points`, mpmath deciding wherever one may be the largest."""
    truth, found = Truth(expr, x), Errors(points.dtype)
    found.add(points, function(points), *truth.balls(points.double()), exactly=True)
    found.decide(truth)
    return found
