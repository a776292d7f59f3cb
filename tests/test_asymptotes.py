"""Asymptotes and the place from which on they stand for the function."""

from typing import Any

import pytest
import sympy
from mpmath import mp

from cosnb.activations import activation
from cosnb.analysis import asymptotes, limited
from cosnb.analysis.calculus import asymptote, limit, study, tail_bound
from cosnb.analysis.far import far_limit, far_line
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.functions import sigmoid, softplus

oo = sympy.oo
GELU = x * sympy.erfc(-x / sympy.sqrt(2)) / 2
TANHEXP = x * sympy.tanh(sympy.exp(x))
SWISH = x * sigmoid(x)
COS = activation("cos").expr


@pytest.mark.parametrize(
    ("expr", "left", "right"),
    [
        (TANHEXP, (0, 0), (1, 0)),
        (GELU, (0, 0), (1, 0)),
        (SWISH, (0, 0), (1, 0)),
        (COS, (0, sympy.Rational(1, 4)), (1, sympy.Rational(1, 4))),
        (x - sympy.tanh(x), (1, 1), (1, -1)),
        (x * sympy.tanh(x), (-1, 0), (1, 0)),
        (softplus(2 * x) / 2, (0, 0), (1, 0)),
        (sympy.atan(x), (0, -sympy.pi / 2), (0, sympy.pi / 2)),
        (x * sympy.log(1 + sigmoid(x)), (0, 0), (sympy.log(2), 0)),
        (x * sympy.erf(softplus(x)), (0, 0), (1, 0)),
        (sympy.Max(0, x), (0, 0), (1, 0)),
        (sympy.Max(0, x) ** 2, (0, 0), None),
        (sympy.sin(x), None, None),
        (x + sympy.sin(x) ** 2, None, None),
        (sympy.Piecewise((-sympy.log(1 - x), x < 0), (sympy.log(1 + x), True)), None, None),
    ],
    ids=str,
)
def test_asymptotes(expr: sympy.Expr, left: object, right: object) -> None:
    assert (asymptote(expr, x, -oo), asymptote(expr, x, oo)) == (left, right)


def test_limits() -> None:
    assert limit(COS - x, x, oo) == sympy.Rational(1, 4)
    assert limit(GELU, x, -oo) == 0
    assert limit(sympy.sin(x), x, oo) is None


def bound(expr: sympy.Expr, side: sympy.Expr, bits: int = 24) -> float:
    found = tail_bound(expr, x, side, bits)
    assert found is not None
    return found


@pytest.mark.parametrize("bits", [24, 53])
@pytest.mark.parametrize("expr", [TANHEXP, GELU, SWISH, COS], ids=str)
def test_beyond_the_bound_the_line_is_as_good(expr: sympy.Expr, bits: int) -> None:
    gap = sympy.lambdify(x, expr - asymptote(expr, x, oo)[0] * x - asymptote(expr, x, oo)[1], "mpmath")  # type: ignore[index]
    f = sympy.lambdify(x, expr, "mpmath")
    edge = bound(expr, oo, bits)
    with mp.workprec(600):
        for factor in (1, 1.03, 1.7, 11):
            assert abs(gap(mp.mpf(edge) * factor)) <= mp.ldexp(abs(f(mp.mpf(edge) * factor)), -bits)
        below = mp.mpf(edge) / 2 ** (1 / 8)
        assert abs(gap(below)) > mp.ldexp(abs(f(below)), -bits)


def test_bounds_are_where_they_should_be() -> None:
    # x·e^x = 2^−160 at x = −115.7, Φ(−x)·x at 14.8; 1 − tanh(e^x) = 2^−24 at ln(12.5·ln 2) = 2.2.
    assert 115 < bound(SWISH, -oo) < 127
    assert 115 < bound(TANHEXP, -oo) < 127
    assert 14 < bound(GELU, -oo) < 16.5
    assert 2.1 < bound(TANHEXP, oo) < 2.4
    assert 5 < bound(GELU, oo) < 6
    assert 16 < bound(SWISH, oo) < 18


def test_without_a_line_there_is_no_bound() -> None:
    assert tail_bound(sympy.sin(x), x, oo, 24) is None
    assert tail_bound(sympy.Max(0, x) ** 2, x, oo, 24) is None
    assert tail_bound(sympy.atan(x), x, oo, 24) is None  # 1/x is above 2^−24 up to 1e4


def test_a_limit_that_sympy_does_not_find_in_time_is_numerical(monkeypatch: pytest.MonkeyPatch) -> None:
    call = limited.call

    def refuse(function: Any, *args: Any, seconds: float = 10) -> Any:
        if function is asymptotes._sympy_limit:
            raise limited.TimeLimit(f"{seconds} s")
        return call(function, *args, seconds=seconds)

    expr = x * sympy.erf(softplus(x)) + sympy.Rational(1, 7)
    monkeypatch.setattr(limited, "call", refuse)
    assert asymptote(expr, x, -oo) == (0, sympy.Rational(1, 7))
    finding = study(expr, x).limits(0)
    assert finding.how == "numerical"
    assert finding.value == (sympy.Rational(1, 7), oo)
    assert finding.reason.startswith("values at |x| = 1003")


@pytest.mark.parametrize(
    ("expr", "left", "right"),
    [
        (TANHEXP, (0, 0), (1, 0)),
        (GELU, (0, 0), (1, 0)),
        (COS, (0, sympy.Rational(1, 4)), (1, sympy.Rational(1, 4))),
        (x - sympy.tanh(x), (1, 1), (1, -1)),
        (x * sympy.erf(softplus(x)), (0, 0), (1, 0)),
        (sympy.sqrt(1 + x**2), (-1, 0), (1, 0)),
        (sympy.Max(0, x) ** 2, (0, 0), None),
        (sympy.sin(sympy.pi * x), None, None),
        (x + sympy.sin(x) ** 2, None, None),
        (sympy.Piecewise((-sympy.log(1 - x), x < 0), (sympy.log(1 + x), True)), None, None),
        (1 / sympy.log(2 + x**2), (0, 0), (0, 0)),
        (sympy.exp(sympy.exp(x)), (0, 1), None),
    ],
    ids=str,
)
def test_lines_read_off_values(expr: sympy.Expr, left: object, right: object) -> None:
    assert (far_line(expr, x, -oo), far_line(expr, x, oo)) == (left, right)


def test_lines_read_off_values_with_digits() -> None:
    found = far_line(sympy.atan(x) + sympy.log(2) * sympy.tanh(x) * x, x, oo)
    assert found is not None
    assert abs(found[0] - sympy.log(2)) < 1e-38
    assert abs(found[1] - sympy.pi / 2) < 1e-38


@pytest.mark.parametrize(
    ("expr", "left", "right"),
    [
        (x + sympy.sin(x) ** 2, -oo, oo),
        (x * sympy.sin(x), None, None),
        (sympy.sin(x), None, None),
        (x**2 * sigmoid(x), 0, oo),
        (sympy.log(1 + x**2), oo, oo),
        (x - sympy.tanh(x), -oo, oo),
    ],
    ids=str,
)
def test_limits_read_off_values(expr: sympy.Expr, left: object, right: object) -> None:
    assert (far_limit(expr, x, -oo), far_limit(expr, x, oo)) == (left, right)
