"""How far computed values lie from the true ones, in units of the last place."""

from collections.abc import Callable

import mpmath
import sympy
import torch
from torch import Tensor

from cosnb.errors import CosnbError

# Largest value in float64 a subnormal-free working precision of 60 digits has to cover: e^-700 beside 1.
_WORKING_DIGITS = 60


def ulp_errors(function: Callable[[Tensor], Tensor], expr: sympy.Expr, x: sympy.Symbol, points: Tensor) -> Tensor:
    """Return |function(points) − expr| in ulp of the true value's place, float64, shaped like `points`.

    `points`: finite, float64, float32, float16 or bfloat16. The truth is `expr` in 60-digit arithmetic (mpmath), so
    this takes about 0.1 ms a point. One ulp is the spacing of `points.dtype` at the true value, at least that of its
    subnormals. Raises CosnbError for a point that is not finite.
    """
    if not torch.isfinite(points).all():
        raise CosnbError("ulp_errors expects finite points: at ±inf and NaN compare with the limits instead")
    info = torch.finfo(points.dtype)
    digits = 1 - round(mpmath.log(info.eps, 2))  # 24 for float32
    lowest = mpmath.mpf(info.tiny) * mpmath.mpf(info.eps)
    got = function(points).double().flatten().tolist()
    errors = []
    with mpmath.workdps(_WORKING_DIGITS):
        truth = sympy.lambdify(x, expr.rewrite(sympy.exp), "mpmath")
        for point, value in zip(points.double().flatten().tolist(), got, strict=True):
            exact = truth(mpmath.mpf(point))
            place = mpmath.frexp(exact)[1] if exact else 0
            ulp = max(mpmath.ldexp(1, place - digits), lowest) if exact else lowest
            errors.append(float(abs(mpmath.mpf(value) - exact) / ulp))
    return torch.tensor(errors, dtype=torch.float64).reshape(points.shape)
