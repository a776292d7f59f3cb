"""Formulas of the kinds that the drill of drawn ones found wrong, slow or crashing, each with what is right."""

import math

import numpy
import pytest
import sympy
import torch
from mpmath import mp, mpf

from cosnb import activation
from cosnb.accuracy.balls import evaluate
from cosnb.analysis import limited
from cosnb.analysis.far import far_limit, far_line
from cosnb.analysis.special import near_limit, special_points
from cosnb.analysis.taylor import taylor
from cosnb.codegen.evaluate import evaluator
from cosnb.codegen.lower import lower
from cosnb.codegen.targets import pytorch
from cosnb.symbolic.catalogue import x

INF = math.inf
SINGLE, DOUBLE = numpy.float32, numpy.float64
SLOW = "(sqrt(x**2 + 0.5))/(1 + (softplus(log(1 + abs(x))))**2)"  # |x|/ln²|x|: no line and no power
TOWER = "tanh(softplus(exp(x)))/(1 + abs(x)**1.5) - x*log(abs(x) + 1.7)"  # e^x·σ(−2e^x) in its slope
SQUARES = "sign(x)*abs(x)**1.5/(1 + (x**2 - sqrt(sqrt(abs(x))))**2)"  # squares of x⁴ overflow in the slope
PIECES = "where(x < -1 or x > 1, log(abs(x)), x*exp(-exp(-x)))"  # log 0, in a piece that is not reached at 0


def slow(v: mpf) -> mpf:
    return mp.sqrt(v * v + 0.5) / (1 + mp.log(2 + abs(v)) ** 2)


def tower(v: mpf) -> mpf:
    soft = mp.log1p(mp.exp(mp.exp(v))) if v < 12 else mp.exp(12)  # tanh of it is 1 to 160,000 digits
    return mp.tanh(soft) / (1 + abs(v) ** mpf(1.5)) - v * mp.log(abs(v) + mpf("1.7"))


CASES = [  # a formula, its order, a point, a format, and what it is there
    (SLOW, 0, 2e30, SINGLE, slow),
    (SLOW, 1, -2e30, SINGLE, slow),
    (SLOW, 1, 1e200, DOUBLE, slow),
    (TOWER, 1, 97.7, SINGLE, tower),
    (TOWER, 1, 1234.5, DOUBLE, tower),
    (SQUARES, 1, 3e6, SINGLE, lambda v: v**1.5 / (1 + (v * v - v**0.25) ** 2)),
    ("(sqrt(1 + x**2) - 1)/2 + x", 0, 1e-16, DOUBLE, lambda v: v + v * v / 4),
    ("(1 + x**2)**(1/3) - 1 + x/7", 0, 1e-9, SINGLE, lambda v: v / 7),
    ("min(log(cosh(x)), x/sqrt(1 + x**2))", 0, 1e-16, DOUBLE, lambda v: v * v / 2),
    ("min(log(cosh(x)), log(1 + abs(x))/(1 + erf(x)**2))", 0, -0.5, DOUBLE, lambda v: mp.log(mp.cosh(v))),
    ("x*erf(x) - log(cosh(x))", 0, 1234.5, SINGLE, lambda v: mp.log(2)),
    ("abs(where(x > 0, relu(x)**0.75, sqrt(x**2 + 0.5)))", 1, -2e30, SINGLE, lambda v: -v),
    ("exp(-exp(-log(1 + exp(x))))", 0, 500.0, SINGLE, lambda v: mpf(1)),
    (PIECES, 0, 0.5, SINGLE, lambda v: v * mp.exp(-mp.exp(-v))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "order", "point", "dtype", "true"), CASES)
def test_values_and_slopes(text: str, order: int, point: float, dtype: type, true: object) -> None:
    (got,) = evaluator(lower(activation(text).derivative(order), x), dtype)(numpy.array([point]))
    with mp.workdps(200):
        exact = float(mp.diff(true, mpf(float(dtype(point))), order) if order else true(mpf(float(dtype(point)))))  # type: ignore[operator]
    assert got == pytest.approx(exact, rel=1e-5 if dtype is SINGLE else 1e-12)


@pytest.mark.parametrize(
    ("text", "order", "at_minus", "at_plus"),
    [(SLOW, 0, INF, INF), (SLOW, 1, 0, 0), (TOWER, 0, INF, -INF), (TOWER, 1, -INF, -INF)],
)
def test_limits_where_another_form_stands(text: str, order: int, at_minus: float, at_plus: float) -> None:
    program = lower(activation(text).derivative(order), x)
    for dtype in (SINGLE, DOUBLE):
        assert evaluator(program, dtype)(numpy.array([-INF, INF])).tolist() == [at_minus, at_plus]


@pytest.mark.parametrize(
    "text",
    [
        "max(log(1 + abs(x)), x*sigmoid(x)) + abs(x)**(1/3)",
        "x/(1 + log(abs(x))**2)",
    ],
)
def test_code_is_found_without_a_time_limit(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("code that a busy machine may not find in time")

    monkeypatch.setattr(limited, "call", refuse)
    expr = activation(text).derivative(1)
    assert evaluator(lower(expr, x), DOUBLE)(numpy.array([0.7])) == pytest.approx(
        float(expr.subs(x, sympy.Float("0.7")))
    )


def test_a_part_that_is_0_on_an_interval_makes_no_special_points_there() -> None:
    assert special_points(sympy.Piecewise((0, x <= 0), (x, True)) ** sympy.Rational(1, 3), x) == (0,)


def test_limits_that_are_approached_as_the_reciprocal_of_a_logarithm() -> None:
    expr = 1 / (1 + sympy.log(2 + x**2) ** 2) + sympy.erf(x)
    assert (far_limit(expr, x, -sympy.oo), far_limit(expr, x, sympy.oo)) == (-1, 1)
    assert far_line(expr, x, sympy.oo) == (0, 1)
    assert far_line(sympy.sqrt(sympy.log(2 + x**2)), x, sympy.oo) is None
    assert near_limit(1 / sympy.log(x**2) + 3, x, sympy.S.Zero, 1) == 3


def test_a_series_reaches_as_far_as_the_nearest_singular_point() -> None:
    series = taylor(1 / (1 + x**2), x, sympy.S.Zero, 4.0)
    assert series is not None
    assert 0.5 < series.radius < 1
    assert [round(float(c), 20) for c in series.coefficients[:5]] == [1, 0, -1, 0, 1]
    assert taylor(sympy.sqrt(x), x, sympy.S.Zero, 4.0) is None
    assert taylor(sympy.exp(-1 / x**2), x, sympy.S.Zero, 4.0) is None


def test_the_accuracy_tool_knows_no_value_where_a_piece_has_none() -> None:
    ball = evaluate(activation(PIECES).expr, x, torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64))
    assert ball.value[1:].tolist() == pytest.approx([0.5 * math.exp(-math.exp(-0.5)), math.log(2)])
    assert (ball.error[1:] < 1e-14).all()


def test_expm1_by_tanh_loses_at_most_the_smallest_number() -> None:
    # Half of it is 0. A selection for this one number took 3 % of ELU's time under torch.compile.
    names = {"torch": torch}
    exec(pytorch.source(lower(activation("elu").expr, x), "elu"), names)
    tiny = torch.tensor([-1e-45, -3e-45, -1e-40, -0.0])
    got = names["elu"](tiny)  # type: ignore[operator]
    assert ((got - tiny).abs() <= 2e-45).all()
    assert torch.signbit(got).all()
