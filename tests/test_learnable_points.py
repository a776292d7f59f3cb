"""Formulas whose parameters learn, at and next to points where they are 0/0: f, f′, f″ and all mixed with ∂/∂a."""

import pytest
import sympy
import torch
from mpmath import mp, mpf

from cosnb import activation
from cosnb.analysis.series import NoSeriesError, Series

# The formula apart from its value at 0, with what is written there.
FORMULAS = {
    "where(x == 0, 1, expm1(a*x)/(a*x))": "expm1(a*x)/(a*x)",
    "where(x == 0, 1, sin(a*x)/(a*x))": "sin(a*x)/(a*x)",
    "x/(1 - exp(-a*x))": "x/(1 - exp(-a*x))",
    "a*sin(x)/x": "a*sin(x)/x",
    "log1p(a*x)/x": "log1p(a*x)/x",
    "tanh(a*x)/x": "tanh(a*x)/x",
    "x*cosh(a*x)/sinh(a*x)": "x*cosh(a*x)/sinh(a*x)",
    "(softplus(a*x) - log(2))/x": "(softplus(a*x) - log(2))/x",
    "erf(a*x)/x + atan(a*x)/x": "erf(a*x)/x + atan(a*x)/x",
}
POINTS = (0.0, 1e-30, -1e-12, 1e-6, -1e-3, 0.01, 0.05, -0.2, 0.5)
VALUES = (1.5, -0.75)
# Next to the polynomial's end the formula itself loses digits as its order grows.
TOLERANCES = {torch.float32: 2e-4, torch.float64: 2e-10}


def truth(expr: sympy.Expr, x: sympy.Symbol, a: sympy.Symbol, point: float, value: float) -> mpf:
    """Return the value of an expression, at 0 the limit, by 150 digits."""
    with mp.workdps(150):
        f = sympy.lambdify((x, a), expr, "mpmath")
        return mp.re(f(mpf(point) or mpf(10) ** -25, mpf(value)))


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("text", FORMULAS)
def test_values_and_derivatives_are_the_limits(text: str, dtype: torch.dtype) -> None:
    for value in VALUES:
        module = activation(text, a=value).module(learnable=True).to(dtype)
        x = torch.tensor(POINTS, dtype=dtype, requires_grad=True)
        (a,) = module.parameters()
        y = module(x)
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, retain_graph=True)
        apart = activation(FORMULAS[text], a=value)
        symbol = next(iter(apart.parameters))
        expr = apart.formula.expr
        for order, got in ((0, y), (1, slope), (2, bend)):
            exact = sympy.diff(expr, apart.x, order)
            for point, one in zip(x.tolist(), got.tolist(), strict=True):
                wanted = truth(exact, apart.x, symbol, point, value)
                assert abs(one - wanted) <= TOLERANCES[dtype] * max(1, abs(wanted)), (value, order, point)
        for index, point in enumerate(x.tolist()):
            for order, whole in ((0, y), (1, slope)):
                (got,) = torch.autograd.grad(whole[index], a, retain_graph=True)
                wanted = truth(sympy.diff(expr, apart.x, order, symbol), apart.x, symbol, point, value)
                assert abs(float(got) - wanted) <= TOLERANCES[dtype] * max(1, abs(wanted)), (value, order, point, "a")


@pytest.mark.parametrize("value", [1.5, 2.5])
@pytest.mark.parametrize("text", ["abs(x)**a", "sign(x)*abs(x)**a", "relu(x)**a", "x*abs(x)**a"])
def test_a_power_s_gradient_by_its_exponent_is_0_at_0(text: str, value: float) -> None:
    module = activation(text, a=value).module(learnable=True).double()
    x = torch.tensor([0.0], dtype=torch.float64, requires_grad=True)
    assert [float(g) for g in torch.autograd.grad(module(x).sum(), [x, *module.parameters()])] == [0.0, 0.0]


def test_a_value_apart_that_is_no_limit_stays_and_its_slope_is_the_limit() -> None:
    module = activation("where(x == 0, 5, sin(a*x)/x)", a=2).module(learnable=True)
    x = torch.tensor([0.0, 1e-9], requires_grad=True)
    y = module(x)
    assert y.tolist() == [5, 2]
    assert torch.autograd.grad(y.sum(), x)[0].tolist() == pytest.approx([0, -8e-9 / 3])


def test_a_pole_and_a_branch_point_have_no_series() -> None:
    u, a = sympy.symbols("u a", real=True)
    for expr in (1 / u, sympy.cos(a * u) / u**2, sympy.sqrt(u), sympy.log(u), sympy.exp(1 / u), sympy.Abs(u)):
        with pytest.raises(NoSeriesError):
            Series(u, 8).taylor(expr)


def test_a_series_is_sympy_s() -> None:
    u, a = sympy.symbols("u a", real=True)
    expr = sympy.sinh(a * u) * sympy.sqrt(1 + u) / (u * sympy.cos(u))
    expected = sympy.series(expr, u, 0, 5).removeO()
    found = sum(c * u**k for k, c in enumerate(Series(u, 8).taylor(expr)[:5]))
    assert sympy.simplify(found - expected) == 0
