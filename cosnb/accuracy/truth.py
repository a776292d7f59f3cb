"""True value of a formula and of its largest term: float64 with a bound where that suffices, else mpmath.

The terms are the addends of the expression as SymPy writes it. Both ways evaluate an equal formula in which the
differences that cancel are written as functions (cosnb.symbolic.stable).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mpmath
import sympy
import torch
from mpmath import mp, mpf
from torch import Tensor

from cosnb.accuracy.balls import Ball, evaluate
from cosnb.analysis.special import special_points
from cosnb.codegen.expansions import polynomials
from cosnb.errors import CosnbError
from cosnb.symbolic.functions import sigmoid, softplus
from cosnb.symbolic.stable import stable

_DIGITS = (40, 80, 160, 320, 640, 1280)  # 640 hold 1 beside the smallest float64
_AGREE = mpf(10) ** -25
_TERM, _NOTHING = 2.0**-30, 1e-100  # relative to the largest term; below any number of these formats
_HUGE = 1100  # bits of an argument: only an exponential of an exponential has more, and from here on takes long (0.7 s)


def _exp(u: mpf) -> mpf:
    """e^u; where u itself is an exponential of a large number, a stand-in that dwarfs the other factors.

    What vanishes does so faster than what grows: x·e^x·e^(−e^x) has no other limit than 0.
    """
    if mp.mag(u) <= _HUGE:
        return mp.exp(u)
    return mp.ldexp(1, 1 << 2 * _HUGE if u > 0 else -(1 << 4 * _HUGE))


def _erfc(u: mpf) -> mpf:
    # mpmath's fails at 1e308; from 2^60 on the first term of the asymptotic series has 36 digits
    return mp.erfc(u) if mp.mag(u) <= _LARGE else mpf(2) if u < 0 else _exp(-u * u) / (u * mp.sqrt(mp.pi))


_LARGE = 60  # bits
_NEAR = sympy.Rational(1, 2)
_FUNCTIONS: dict[str, Any] = {
    "exp": _exp,
    "sinh": lambda u: mp.sinh(u) if mp.mag(u) <= _HUGE else (_exp(u) - _exp(-u)) / 2,
    "cosh": lambda u: mp.cosh(u) if mp.mag(u) <= _HUGE else (_exp(u) + _exp(-u)) / 2,
    "tanh": lambda u: mp.tanh(u) if mp.mag(u) <= _LARGE else mp.sign(u),
    "erf": lambda u: mp.erf(u) if mp.mag(u) <= _LARGE else mp.sign(u),
    "erfc": _erfc,
    "sigmoid": lambda u: 1 / (1 + _exp(-u)) if u > 0 else _exp(u) / (1 + _exp(u)),
    "softplus": lambda u: mp.log1p(_exp(u)),
}


class Exact(NamedTuple):
    """The truth at one point: f and the size of its largest term, mpf."""

    value: mpf
    scale: mpf


class Truth:
    """True values of `expr` at `x`; `terms` are its addends, each piece's own where it is a Piecewise."""

    def __init__(self, expr: sympy.Expr, x: sympy.Symbol) -> None:
        self.x = x
        self.expr = stable(expr)
        self.terms = [stable(term) for term in _whole_near_points(expr, expr, x)]
        series = polynomials(expr, x)  # float64 has no digits of the formula there; `exact` takes the formula alone
        self._ball_expr = sympy.Piecewise(*series, (self.expr, True)) if series else self.expr
        self._ball_terms = [stable(term) for term in _whole_near_points(expr, self._ball_expr, x)]
        self._parts = [self.expr, *self.terms]
        self._function = _mpmath_function(self._parts, x)

    def balls(self, points: Tensor) -> tuple[Ball, Tensor]:
        """Return f with its bound, and the size of the largest term, at float64 `points` on any device."""
        memo: dict[sympy.Basic, Ball] = {}
        value = evaluate(self._ball_expr, self.x, points, memo)
        if len(self.terms) == 1:
            return value, value.value.abs()
        balls = [evaluate(term, self.x, points, memo) for term in self._ball_terms]
        scale = torch.stack([ball.value.abs() for ball in balls]).amax(0)
        # A wrong unit is a wrong error: where a term is not known, f is not.
        known = torch.stack([ball.error for ball in balls]).amax(0) <= (_TERM * scale).clamp_min(_NOTHING)
        return Ball(value.value, torch.where(known, value.error, math.inf)), scale

    def exact(self, point: float) -> Exact:
        """Return f and its largest term to 25 digits or more: the precision is doubled until they stay.

        A value that is 0 is believed at 1,280 digits, unless it is a literal 0. Raises CosnbError where f has no real
        value or the digits never settle.
        """
        before: list[mpf] = []
        for digits in _DIGITS:
            with mp.workdps(digits):
                now = self._at(point)
                if before and all(
                    _agree(old, new, part) for old, new, part in zip(before, now, self._parts, strict=True)
                ):
                    break
                before = now
        else:
            if any(abs(new - old) > _AGREE * abs(new) for old, new in zip(before, now, strict=True)):
                raise CosnbError(f"the value at {point!r} does not settle within {_DIGITS[-1]} digits")
        return Exact(now[0], max(abs(value) for value in now))

    def _at(self, point: float) -> list[mpf]:
        try:
            values = [mp.mpmathify(value) for value in self._function(mpf(point))]
        except (ZeroDivisionError, ValueError) as error:
            raise CosnbError(f"the formula has no value at {point!r}: {error}") from None
        if any(isinstance(value, mpmath.mpc) or mpmath.isnan(value) for value in values):
            raise CosnbError(f"the formula has no real value at {point!r}")
        return values


def _agree(old: mpf, new: mpf, part: sympy.Expr) -> bool:
    if new == 0:
        return old == 0 and part == 0
    return bool(abs(new - old) <= _AGREE * abs(new))


def terms(expr: sympy.Expr) -> tuple[sympy.Expr, ...]:
    """Return the addends of an expression; of a Piecewise those of each piece, the k-th ones joined."""
    if not isinstance(expr, sympy.Piecewise):
        return sympy.Add.make_args(expr)
    pieces = [(sympy.Add.make_args(piece), condition) for piece, condition in expr.args]
    count = max(len(addends) for addends, _ in pieces)
    return tuple(
        sympy.Piecewise(*((addends[k] if k < len(addends) else 0, condition) for addends, condition in pieces))
        for k in range(count)
    )


def _whole_near_points(expr: sympy.Expr, whole: sympy.Expr, x: sympy.Symbol) -> tuple[sympy.Expr, ...]:
    """Return the terms of `expr`, next to special points `whole` alone: there terms may grow while f does not."""
    first, *others = terms(expr)
    near = [abs(x - point) < _NEAR for point in special_points(expr, x) if others]
    if not near:
        return first, *others
    return (
        sympy.Piecewise((whole, sympy.Or(*near)), (first, True)),
        *(sympy.Piecewise((0, sympy.Or(*near)), (term, True)) for term in others),
    )


def _mpmath_function(parts: Sequence[sympy.Expr], x: sympy.Symbol) -> Callable[[mpf], list[mpf]]:
    # A Piecewise evaluates only the piece that holds; shared subexpressions would be evaluated before it.
    shared = not any(part.has(sympy.Piecewise) for part in parts)
    heads = {sigmoid: sympy.Function("sigmoid"), softplus: sympy.Function("softplus")}
    plain = [part.replace(lambda e: e.func in heads, lambda e: heads[e.func](*e.args)) for part in parts]
    return sympy.lambdify(x, plain, [_FUNCTIONS, "mpmath"], cse=shared)
