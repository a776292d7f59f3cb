"""The activations and their derivatives once more, by hand in mpmath: what formulas and printed code are held against.

Each is a sum of terms written so that no digit is lost in a tail or at x = 0; at a kink the left piece counts, as in
PyTorch.
"""

from collections.abc import Callable

import mpmath
from mpmath import mp, mpf

DIGITS = 50
NAMES = ("sigmoid", "tanh", "relu", "relu6", "swish", "mish", "cos")
SMOOTH = ("sigmoid", "tanh", "swish", "mish", "cos")
LIMITS = {  # at −∞ and at +∞, each of f, f′ and f″
    "sigmoid": ((0, 0, 0), (1, 0, 0)),
    "tanh": ((-1, 0, 0), (1, 0, 0)),
    "relu": ((0, 0, 0), (mpmath.inf, 1, 0)),
    "relu6": ((0, 0, 0), (6, 0, 0)),
    "swish": ((0, 0, 0), (mpmath.inf, 1, 0)),
    "mish": ((0, 0, 0), (mpmath.inf, 1, 0)),
    "cos": ((0.25, 0, 0), (mpmath.inf, 1, 0)),
}
Terms = tuple[tuple[mpf, ...], tuple[mpf, ...], tuple[mpf, ...]]  # of f, f′ and f″


def _sigmoid(x: mpf) -> Terms:
    low, high = 1 / (1 + mp.exp(x)), 1 / (1 + mp.exp(-x))
    return (high,), (low * high,), (-low * high * mp.tanh(x / 2),)


def _tanh(x: mpf) -> Terms:
    y, dy = mp.tanh(x), 1 / mp.cosh(x) ** 2
    return (y,), (dy,), (-2 * y * dy,)


def _relu(x: mpf) -> Terms:
    return (max(x, mpf(0)),), (mpf(x > 0),), (mpf(0),)


def _relu6(x: mpf) -> Terms:
    return (min(max(x, mpf(0)), mpf(6)),), (mpf(0 < x < 6),), (mpf(0),)


def _swish(x: mpf) -> Terms:
    (y,), (dy,), (ddy,) = _sigmoid(x)
    return (x * y,), (y, x * dy), (2 * dy, x * ddy)


def _mish(x: mpf) -> Terms:
    (s,), (ds,), _ = _sigmoid(x)
    (y,), (gain,), _ = _tanh(mp.log1p(mp.exp(x)))
    return (x * y,), (y, x * gain * s), (2 * gain * s, x * gain * ds, -2 * x * y * gain * s**2)


def _cos(x: mpf) -> Terms:
    half, (_, (ds,), (dds,)) = mp.tanh(5 * x / 2) / 2, _sigmoid(5 * x)  # σ(5x) − 1/2 = tanh(5x/2)/2
    square = ((half**2,), (10 * half * ds,), (50 * ds**2, 50 * half * dds))
    return tuple(a + b for a, b in zip(_swish(x), square, strict=True))  # type: ignore[return-value]


_BY_NAME: dict[str, Callable[[mpf], Terms]] = {
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": _relu,
    "relu6": _relu6,
    "swish": _swish,
    "mish": _mish,
    "cos": _cos,
}


def terms(name: str, x: float | mpf, order: int = 0) -> tuple[mpf, ...]:
    """Return the terms whose sum is the derivative of `order` 0, 1 or 2 at a finite `x`, each to 50 digits or more."""
    with mp.workdps(max(mp.dps, DIGITS + 10)):
        return _BY_NAME[name](mpf(x))[order]


def oracle(name: str, x: float | mpf, order: int = 0) -> mpf:
    """Return the derivative of `order` 0, 1 or 2 at `x`, ±inf too."""
    if mpmath.isinf(x):
        return mpf(LIMITS[name][x > 0][order])
    with mp.workdps(max(mp.dps, DIGITS + 10)):
        return mp.fsum(terms(name, x, order))
