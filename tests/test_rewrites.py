"""Forms that keep digits on part of the line: equal to the formula, chosen by measurement, right to a few ulp."""

import math

import mpmath
import pytest
import sympy
import torch
from mpmath import mp, mpf

from cosnb import activation
from cosnb.analysis.numeric import numeric
from cosnb.symbolic.rewrites import rewritten

# Formula, and numbers at which some of its digits were lost before: terms that cancel, near a zero or far out.
LOSING = {
    "sqrt(x**2 + 1) - x": (10, 1e3, 1e6, 1e12),
    "(x + sqrt(x**2 + 4))/2": (-10, -1e3, -1e6, -1e12, 5),
    "sqrt(x + 1) - sqrt(x)": (1e3, 1e6, 1e8),
    "1/sqrt(x) - 1/sqrt(x + 1)": (1e3, 1e6, 1e8),
    "x*(1 + x/sqrt(1 + x**2))/2": (-10, -1e3, -1e6, -1e12, 3),
    "1 - x/sqrt(2 + x**2)": (10, 1e3, 1e6),
    "1/(1 + x**2) - 1/(2 + x**2)": (1e2, 1e4),
    "x/(2*(1 + abs(x))) + 1/2": (-10, -1e6, 10),
    "log(x + 1) - log(x)": (1e3, 1e6, 0.01),
    "log(3 + x) - 2*log(2 + x) + log(2 + x)": (1e3, 1e6),
    "atan(x + 1) - atan(x)": (1e2, 1e4, -3),
    "x*(atan(x)/pi + 1/2)": (-10, -1e4, -1e8, 2),
    "x*(atan(x)/pi - 1/2)": (10, 1e4, 1e8),
    "log(1 - exp(-x))": (1e-6, 1e-3, 0.3, 3, 30),
    "x*log(2 - exp(-exp(x)))": (-20, -10, -3, 2),
    "softplus(x) - log(2)": (1e-6, -1e-3, 0.5, 20),
    "x - sin(x)": (1e-8, 1e-3, 0.1, 0.7),
    "tanhshrink": (1e-13, 1e-8, 1e-5, 1e-3, 0.1, 0.7),
    "sinh(x) - x": (1e-8, 1e-3, 0.5),
    "exp(x) - 1 - x": (1e-8, -1e-4, 0.3),
    "hardsigmoid": (-2.99999, -2.9, -1, 2.5),
}


def truth(expr: sympy.Expr, x: sympy.Symbol, point: float) -> mpf:
    with mp.workdps(150):
        return mp.re(numeric(expr, x)(mpf(point)))


@pytest.mark.parametrize("text", LOSING)
def test_no_digits_are_lost(text: str) -> None:
    act = activation(text)
    for dtype, digits, smallest in ((torch.float32, 24, -149), (torch.float64, 53, -1074)):
        x = torch.tensor(LOSING[text], dtype=dtype)
        for point, got in zip(x.tolist(), act(x).tolist(), strict=True):
            wanted = truth(act.expr, act.x, point)
            step = mpf(2) ** max(int(mp.mag(wanted)) - digits, smallest)
            assert abs(mpf(got) - wanted) <= 5 * step, (dtype, point, got)


@pytest.mark.parametrize("text", LOSING)
def test_forms_are_equal_to_the_formula_and_to_its_derivative(text: str) -> None:
    act = activation(text)
    for order in (0, 1, 2):
        expr = act.derivative(order)
        form = rewritten(expr)
        for point in (-7.3, -1.21, -0.4, -0.003, 0.07, 0.83, 1.9, 6.1, 40.7):
            wanted, got = (numeric(e, act.x)(mpf(point)) for e in (expr, form))
            if mp.im(wanted) == 0 and mpmath.isfinite(wanted):
                assert abs(got - wanted) <= 1e-9 * max(1, abs(wanted)), (order, point, form)


def test_slopes_far_out() -> None:
    act = activation("squareplus")
    x = torch.tensor([-1e3, -1e6, -1e12], requires_grad=True)
    (slope,) = torch.autograd.grad(act(x).sum(), x)
    assert slope.tolist() == pytest.approx([1 / point**2 for point in x.tolist()], rel=1e-5)


def test_a_formula_that_loses_nothing_stays_as_it_is() -> None:
    x = activation("relu").x
    for expr in (x + 1, x * sympy.exp(x), sympy.sqrt(x**2 + 1) + 1, 1 + x / (1 + sympy.exp(-x)), sympy.log(1 + x**2)):
        assert rewritten(expr) == expr
    assert math.isclose(float(activation("sqrt(x**2 + 1) - x")(torch.tensor(-3.0))), 3 + math.sqrt(10), rel_tol=1e-6)
