"""Formulas in float64 with a bound of the error at each point: the fast truth for formats of 24 bits and fewer.

A ball is a value and a bound: |value − exact| ≤ error. Each operation adds its own rounding and what it makes of its
arguments' errors, so lost digits show as a large bound; there the truth is worked out in mpmath instead. Bounds of the
functions' own errors are those of their documentation (1 ulp on CPU, 2 ulp on CUDA), taken fourfold.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import sympy
import torch
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.relational import Relational
from torch import Tensor

from cosnb.errors import CosnbError
from cosnb.symbolic.functions import erfc, floor, sigmoid, softplus

_HALF_ULP = 2.0**-53  # of float64, relative
_OWN = 16 * _HALF_ULP  # of torch's functions: 8 ulp
_TINIEST = 2.0**-1073  # what a product or an exponential loses where it underflows


class Ball(NamedTuple):
    """Values with a bound of their error, float64, both of the points' shape or numbers."""

    value: Tensor
    error: Tensor


def evaluate(expr: sympy.Expr, x: sympy.Symbol, points: Tensor, memo: dict[sympy.Basic, Ball] | None = None) -> Ball:
    """Return `expr` at float64 `points`, on their device; `memo` keeps shared parts between calls at the same points.

    The bound is inf or NaN where nothing is known. Raises CosnbError for a function that is not in the grammar.
    """
    memo = {} if memo is None else memo
    if x not in memo:
        memo[x] = Ball(points, torch.zeros_like(points))
    return _visit(expr, memo, points)


def _visit(expr: sympy.Expr, memo: dict[sympy.Basic, Ball], points: Tensor) -> Ball:
    if expr not in memo:
        memo[expr] = _ball(expr, memo, points)
    return memo[expr]


def _ball(expr: sympy.Expr, memo: dict[sympy.Basic, Ball], points: Tensor) -> Ball:
    if expr in (sympy.nan, sympy.zoo):  # the value of log|x| at 0, where the piece is never reached
        return Ball(torch.full_like(points, math.nan), torch.full_like(points, math.inf))
    if expr.is_number:
        value = torch.full_like(points, float(expr))
        exact = expr.is_Rational and sympy.Rational(float(expr)) == expr
        return Ball(value, torch.zeros_like(points) if exact else value.abs() * 2 * _HALF_ULP)
    if isinstance(expr, sympy.Piecewise):
        return _select(expr, memo, points)
    if expr.is_Pow:
        return _power(expr, _visit(expr.base, memo, points))
    parts = [_visit(part, memo, points) for part in expr.args]
    if expr.is_Add or expr.is_Mul:
        operation = _add if expr.is_Add else _mul
        result = parts[0]
        for part in parts[1:]:
            result = operation(result, part)
        return result
    if expr.func not in _FUNCTIONS:
        raise CosnbError(f"the accuracy tool does not know the function {expr.func.__name__!r}")
    return _FUNCTIONS[expr.func](parts[0])


def _add(a: Ball, b: Ball) -> Ball:
    value = a.value + b.value
    return Ball(value, a.error + b.error + value.abs() * _HALF_ULP)


def _mul(a: Ball, b: Ball) -> Ball:
    value = a.value * b.value
    error = a.value.abs() * b.error + b.value.abs() * a.error + a.error * b.error
    return Ball(value, error + value.abs() * _HALF_ULP + _TINIEST)


def _reciprocal(a: Ball) -> Ball:
    value = 1 / a.value
    room = a.value.abs() - a.error
    error = torch.where(room > 0, value.abs() * (a.error / room), math.inf)
    return Ball(value, error + value.abs() * _HALF_ULP + _TINIEST)


def _integer_power(a: Ball, n: int) -> Ball:
    if n == 1:
        return a
    half = _integer_power(a, n // 2)
    square = _mul(half, half)
    return _mul(square, a) if n % 2 else square


def _power(expr: sympy.Pow, base: Ball) -> Ball:
    exponent = expr.exp
    if not exponent.is_Rational:
        raise CosnbError(f"the accuracy tool expects numbers as exponents, got {expr}")
    if exponent.is_Integer:
        result = _integer_power(base, abs(int(exponent)))
    elif exponent.q == 2:
        result = _integer_power(_sqrt(base), abs(int(exponent.p)))
    else:
        value = base.value ** float(abs(exponent))
        relative = base.error / (base.value.abs() - base.error).clamp_min(0)
        growth = torch.expm1(float(abs(exponent)) * relative) if base.error.any() else base.error
        result = Ball(value, value.abs() * (growth + _OWN) + _TINIEST)
    return _reciprocal(result) if exponent < 0 else result


def _sqrt(a: Ball) -> Ball:
    value = a.value.sqrt()
    return Ball(value, torch.where(a.error > 0, a.error / value, 0.0) + value * _HALF_ULP)


def _select(expr: sympy.Piecewise, memo: dict[sympy.Basic, Ball], points: Tensor) -> Ball:
    nothing = torch.full_like(points, math.nan)
    value, error = nothing, nothing
    for piece, condition in reversed(expr.args):
        ball = _visit(piece, memo, points)
        if condition == sympy.true:
            value, error = ball
            continue
        holds, known = _condition(condition, memo, points)
        value = torch.where(holds, ball.value, value)
        error = torch.where(known, torch.where(holds, ball.error, error), math.inf)
    return Ball(value, error)


def _condition(condition: sympy.Basic, memo: dict[sympy.Basic, Ball], points: Tensor) -> tuple[Tensor, Tensor]:
    """Return where a condition holds, and where that is certain."""
    if isinstance(condition, sympy.And | sympy.Or):
        parts = [_condition(part, memo, points) for part in condition.args]
        holds, known = parts[0]
        for other, sure in parts[1:]:
            holds = holds & other if isinstance(condition, sympy.And) else holds | other
            known = known & sure
        return holds, known
    if isinstance(condition, sympy.Not):
        holds, known = _condition(condition.args[0], memo, points)
        return ~holds, known
    if not isinstance(condition, Relational):
        raise CosnbError(f"the accuracy tool does not know the condition {condition}")
    left, right = (_visit(side, memo, points) for side in condition.args)
    error = left.error + right.error
    known = (error == 0) | ((left.value - right.value).abs() > 2 * error)
    return _COMPARE[condition.rel_op](left.value, right.value), known


_COMPARE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "<": torch.lt,
    "<=": torch.le,
    ">": torch.gt,
    ">=": torch.ge,
    "==": torch.eq,
    "!=": torch.ne,
}


def _rule(function: Callable[[Tensor], Tensor], slope: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Ball], Ball]:
    """Return the rule of a function; `slope(value, error)` bounds |f′| within the ball."""

    def rule(a: Ball) -> Ball:
        value = function(a.value)
        moved = torch.where(a.error > 0, slope(*a) * a.error, 0.0)
        return Ball(value, moved + value.abs() * _OWN + _TINIEST)

    return rule


def _falling(bound: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the slope of a function from a bound of it that falls with |u|."""
    return lambda value, error: bound((value.abs() - error).clamp_min(0))


def _rising(bound: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the slope of a function from a bound of it that rises with u."""
    return lambda value, error: bound(value + error)


def _log(a: Ball) -> Ball:
    value = a.value.log()
    return Ball(value, a.error / (a.value - a.error).clamp_min(0) + value.abs() * _OWN)


def _log1p(a: Ball) -> Ball:
    value = a.value.log1p()
    return Ball(value, a.error / (1 + a.value - a.error).clamp_min(0) + value.abs() * _OWN)


def _tan(a: Ball) -> Ball:
    value = a.value.tan()
    steep = 1 + value * value
    error = torch.where(steep * a.error < 0.1, 2 * steep * a.error, math.inf)
    return Ball(value, error + value.abs() * _OWN)


def _erfc(a: Ball) -> Ball:
    # A library's e^(−u²) may lose u² units in the last place.
    value, u = torch.special.erfc(a.value), a.value.clamp_min(0)
    moved = torch.where(a.error > 0, _bell(*a) * a.error, 0.0)
    return Ball(value, moved + value * (1 + u * u) * _OWN + _TINIEST)


_bell = _falling(lambda u: 1.13 * torch.exp(-u * u))


def _softplus(a: Tensor) -> Tensor:
    return a.clamp_min(0) + torch.log1p(torch.exp(-a.abs()))


def _sigmoid(a: Tensor) -> Tensor:
    t = torch.exp(-a.abs())
    return torch.where(a < 0, t, 1.0) / (1 + t)


def _abs(a: Ball) -> Ball:
    return Ball(a.value.abs(), a.error)


def _sign(a: Ball) -> Ball:
    known = (a.error == 0) | (a.value.abs() > a.error)
    return Ball(a.value.sign(), torch.where(known, 0.0, math.inf))


def _floor(a: Ball) -> Ball:
    value = torch.floor(a.value)
    same = (torch.floor(a.value - a.error) == value) & (torch.floor(a.value + a.error) == value)
    return Ball(value, torch.where(same, 0.0, math.inf))


_FUNCTIONS: dict[type[sympy.Basic], Callable[[Ball], Ball]] = {
    sympy.exp: _rule(torch.exp, _rising(torch.exp)),
    expm1: _rule(torch.expm1, _rising(torch.exp)),
    sigmoid: _rule(_sigmoid, _falling(lambda u: torch.exp(-u))),
    softplus: _rule(_softplus, _rising(_sigmoid)),
    sympy.sinh: _rule(torch.sinh, lambda value, error: torch.cosh(value.abs() + error)),
    sympy.cosh: _rule(torch.cosh, lambda value, error: torch.sinh(value.abs() + error)),
    sympy.tanh: _rule(torch.tanh, _falling(lambda u: (4 * torch.exp(-2 * u)).clamp_max(1))),
    sympy.sin: _rule(torch.sin, lambda value, error: torch.ones_like(value)),
    sympy.cos: _rule(torch.cos, lambda value, error: torch.ones_like(value)),
    sympy.atan: _rule(torch.atan, _falling(lambda u: 1 / (1 + u * u))),
    sympy.asinh: _rule(torch.asinh, _falling(lambda u: torch.rsqrt(1 + u * u))),
    sympy.erf: _rule(torch.erf, _bell),
    sympy.log: _log,
    log1p: _log1p,
    sympy.tan: _tan,
    sympy.erfc: _erfc,
    erfc: _erfc,
    floor: _floor,
    sympy.Abs: _abs,
    sympy.sign: _sign,
}
