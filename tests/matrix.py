"""The catalogue's rows as programs, points and truths: what the tests of the targets share."""

import math
from functools import cache
from itertools import pairwise

import sympy
import torch
from mpmath import mp, mpf
from sympy.core.relational import Relational
from torch import Tensor

from cosnb.accuracy.errors import Errors
from cosnb.accuracy.truth import Exact, Truth
from cosnb.activations import activation

_NEAR = (1e-40, 1e-30, 1e-12, 1e-7, 1e-5, 1e-3, 0.03, 0.1, 0.31, 0.5, 0.77, 1.0, 1.5, 1.83, 2.0, 2.4, 3.0, 4.0, 5.5)
_FAR = (7.0, 9.0, 12.5, 16.7, 20.0, 33.0, 45.0, 60.0, 80.0, 87.3, 89.0, 95.0, 103.5, 1e3, 1e5, 1e10, 1e19, 1e30)


@cache
def truth(name: str, order: int) -> Truth:
    """Return the true values of a row's derivative."""
    row = activation(name)
    return Truth(row.derivative(order), row.x)


@cache
def exact(name: str, order: int, point: float) -> Exact:
    """Return the true value and the largest term at a point."""
    return truth(name, order).exact(point)


@cache
def points(name: str, dtype: torch.dtype) -> Tensor:
    """Return 80 points or more: 0, small, middling and large ones of both signs, each kink and its two neighbours."""
    info = torch.finfo(dtype)
    positive = torch.tensor([*_NEAR, *_FAR, info.tiny, info.max], dtype=torch.float32 if info.bits < 64 else dtype)
    if dtype == torch.float64:
        positive = torch.cat([positive, torch.tensor([350.0, 700.0, 707.0, 740.0], dtype=dtype)])
    # float32 points serve float64 as well, so that a truth is worked out once
    shared = positive.to(torch.float32 if dtype == torch.float64 else dtype).to(dtype)
    positive = torch.where(shared.isfinite(), shared, positive.to(dtype))
    expr = activation(name).expr
    sides = [float(r.args[1]) for p in expr.atoms(sympy.Piecewise) for r in p.atoms(Relational)]
    kinks = torch.tensor([0.0, *sides], dtype=dtype)
    far = torch.full_like(kinks, math.inf)
    found = [kinks, torch.nextafter(kinks, far), torch.nextafter(kinks, -far), positive, -positive]
    whole = torch.cat(found)
    return whole[whole.isfinite()].unique()


def errors(name: str, order: int, x: Tensor, got: Tensor, dtype: torch.dtype) -> Errors:
    """Return the errors of values `got` at points `x`, every one decided by mpmath."""
    collected = Errors(dtype)
    for point, value in zip(x.tolist(), got.tolist(), strict=True):
        collected.take(point, value, exact(name, order, point))
    return collected


@cache
def limit(name: str, order: int, side: int) -> float | None:
    """Return the limit at ±inf as three values far out show it (a logarithm grows tenfold from each to the next)."""
    with mp.workdps(60):
        far = [truth(name, order)._at(side * mp.ldexp(1, bits))[0] for bits in (300, 3000, 30000)]
    if abs(far[2] - far[1]) <= mpf(10) ** -40:
        return float(far[2])
    growing = all(abs(b) > 5 * abs(a) and b * a > 0 for a, b in pairwise(far))
    return float(mp.sign(far[2]) * mp.inf) if growing and abs(far[1]) > 100 else None
