"""Rules that keep digits: each is an identity, and each helps where the written form fails."""

import math

import pytest
import sympy
import torch
from mpmath import mp, mpf

from cosnb.activations import activation
from cosnb.symbolic.parsing import parse
from cosnb.symbolic.stable import stable

x = sympy.Symbol("x", real=True)
# A formula, a point, and what mpmath gives there for f, f′ and f″, worked out from the text by hand-written functions.
FORMULAS = {
    "tanh(log(1 + exp(x**2)))": lambda v: mp.tanh(mp.log(1 + mp.exp(v * v))),
    "atan(log(1 + exp(3*x)))": lambda v: mp.atan(mp.log(1 + mp.exp(3 * v))),
    "sin(x*log(1 + exp(1.5*x)))": lambda v: mp.sin(v * mp.log(1 + mp.exp(1.5 * v))),
    "x*sin(1/(1 + exp(-(x + x**3))))": lambda v: v * mp.sin(1 / (1 + mp.exp(-(v + v**3)))),
    "exp(-x**2)/(1 + exp(-x**2))**2": lambda v: mp.exp(-v * v) / (1 + mp.exp(-v * v)) ** 2,
    "tanh(x*exp(x**3)/(1 + exp(x**3)))": lambda v: mp.tanh(v / (1 + mp.exp(-(v**3)))),
    "x*(1 + erf(x/1.702/sqrt(2)))/2": lambda v: v * mp.erfc(-v / (mpf("1.702") * mp.sqrt(2))) / 2,
    "x - x*erf(x**3)": lambda v: v * mp.erfc(v**3),
    "x*(1 + tanh(x + x**3))": lambda v: v * 2 / (1 + mp.exp(-2 * (v + v**3))),
    "x**2 - x**2*tanh(x)**2 + x**3": lambda v: v**2 / mp.cosh(v) ** 2 + v**3,
    "log(cosh(x**3)) + sin(x)": lambda v: mp.log(mp.cosh(v**3)) + mp.sin(v),
    "max(log(cosh(x)), sin(x))": lambda v: max(mp.log(mp.cosh(v)), mp.sin(v)),
    "sin(x)*log(sigmoid(x**3))": lambda v: -mp.sin(v) * mp.log(1 + mp.exp(-(v**3))),
    "x*(1 - exp(-exp(x)))": lambda v: -v * mp.expm1(-mp.exp(v)),
    "x - x*cos(x**2)": lambda v: 2 * v * mp.sin(v * v / 2) ** 2,
    "atan(x*cosh(x) - x)": lambda v: mp.atan(2 * v * mp.sinh(v / 2) ** 2),
    "exp(x)*exp(-exp(x))*sin(x)": lambda v: mp.sin(v) * mp.exp(v - mp.exp(v)),
    "x/sqrt(1 + x**2)": lambda v: v / mp.sqrt(1 + v * v),
    "x**2/(1 + x**2)": lambda v: v * v / (1 + v * v),
    "1 - 1/(1 + x**2)": lambda v: v * v / (1 + v * v),
    "(sqrt(1 + x**2) - 1)/2 + x": lambda v: v * v / (mp.sqrt(1 + v * v) + 1) / 2 + v,
    "(1 + x**2)**(2/3) - 1": lambda v: mp.expm1(mpf(2) / 3 * mp.log1p(v * v)),
    "x - x/sqrt(1 + x**2)": lambda v: -v * mp.expm1(-mp.log1p(v * v) / 2),
    "x**3/(1 + x**2)**2 + x": lambda v: v**3 / (1 + v * v) ** 2 + v,
}
POINTS = [-40.3, -9.25, -2.5, -0.625, -0.0078125, 0.0009765625, 0.3125, 1.75, 5.5, 21.5, 97.75]


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_rule_changes_no_value_and_loses_no_digit(text: str, order: int) -> None:
    act, true = activation(text), FORMULAS[text]
    kept = sympy.lambdify(x, stable(act.derivative(order)), ["mpmath", {"sigmoid": lambda u: 1 / (1 + mp.exp(-u))}])
    got = act.elementwise(order)(torch.tensor(POINTS, dtype=torch.float64)).tolist()
    for point, value in zip(POINTS, got, strict=True):
        with mp.workdps(400):
            exact = mp.diff(true, mpf(point), order) if order else true(mpf(point))
            # ε-changes of x are what any evaluation in float64 amounts to
            allowed = 1e-12 * abs(exact) + 1e-15 * abs(point * mp.diff(true, mpf(point), order + 1)) + 1e-300
            assert abs(kept(mpf(point)) - exact) <= (abs(exact) + mpf(10) ** -40) * mpf(10) ** -60, (point, "identity")
        assert math.isfinite(value), point
        assert abs(value - exact) <= allowed, (point, value, exact)


def test_what_no_rule_touches_stays_as_it_is() -> None:
    for text in ("x*atan(x) + 3", "where(x < 0, x**3, sin(x))", "1 + exp(x)", "2 - tanh(x)", "sigmoid(x) + 1"):
        assert stable(parse(text)) == parse(text)
