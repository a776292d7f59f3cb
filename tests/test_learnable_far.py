"""Formulas whose parameters learn, far out: values and all first partial derivatives against mpmath, |x| up to 10⁴."""

import re
from collections.abc import Callable
from functools import cache
from itertools import product

import mpmath
import pytest
import sympy
import torch

from cosnb import activation
from cosnb.codegen.lower import DECAY, lower_open
from cosnb.kernels.learnable import OpenFunction
from cosnb.symbolic import parsing
from cosnb.symbolic.catalogue import CATALOGUE, x

VALUES = {"a": (1, 0.3, 2.5, -1.7), "b": (0.5, 2), "c": (0.25,), "s": (1, 25, 0.5)}
FORMULAS = (
    "x/(1+exp(-a*x))",
    "exp(-s*x)/(1+exp(-s*x))**2",
    "x*tanh(log(1+exp(a*x)))",
    "log(1+exp(a*x))/a",
    "x*exp(a*x)/(1+exp(a*x))",
    "x*tanh(a*exp(x))",
    "x*sigmoid(a*x)",
    "a*x*tanh(softplus(b*x))",
    "x/(1+exp(-a*x)) + (1/(1+exp(-b*x)) - c)**2",
    "(exp(a*x)-exp(-a*x))/(exp(a*x)+exp(-a*x))",
    "where(x>0, x, a*(exp(x)-1))",
    "where(x>0, x, a*(exp(x/b)-1))",
    "x*(1-exp(-exp(a*x)))",
    "x*erf(log(1+exp(a*x)))",
    "exp(-exp(-a*x))",
    "a*log(1+exp(x/a))",
    "x/(1+exp(-(a*x+b)))",
    "1/(1+exp(-a*(x-b)))",
    "x*exp(-s*x**2)",
    "exp(-x**2/(2*s**2))",
    "x*sinh(a*x)/cosh(a*x)",
    "x*log(1+exp(a*x))/(1+log(1+exp(a*x)))",
    "x*exp(x)/(exp(x)+s)",
    "tanh(a*x)*sigmoid(b*x)",
    "x*(exp(a*x)-1)/(exp(a*x)+1)",
    "x*(1+exp(-a*x))**(-2)",
    "x*((1+exp(a*x))**2-1)/((1+exp(a*x))**2+1)",
    "1/cosh(a*x)",
    "a*x/(1+exp(-b*x))/(1+exp(-c*x))",
    "x*exp(-exp(-a*x))",
)
HALF = (1e-3, 0.1, 0.5, 1, 2, 3.5, 6, 10, 17, 30, 50, 89, 100, 200, 500, 709, 1000, 3000, 1e4)


@cache
def functions(expr: sympy.Expr, symbols: tuple[sympy.Symbol, ...]) -> list[Callable[..., mpmath.mpf]]:
    """Return the terms of a sum as functions of mpmath."""
    return [sympy.lambdify(symbols, term, "mpmath") for term in sympy.Add.make_args(expr)]


def truth(expr: sympy.Expr, at: dict[sympy.Symbol, float]) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Return the value and the largest term."""
    if isinstance(expr, sympy.Piecewise):
        expr = next(value for value, condition in expr.args if condition.subs(at) == sympy.true)
    with mpmath.workdps(60):
        numbers = [mpmath.mpf(value) for value in at.values()]
        terms = [function(*numbers) for function in functions(expr, tuple(at))]
        return mpmath.fsum(terms), max(map(abs, terms))


@pytest.mark.parametrize("text", FORMULAS)
def test_values_and_partial_derivatives_against_mpmath(text: str) -> None:
    names = sorted(set(re.findall(r"\b[abcs]\b", text)))
    symbols = [sympy.Symbol(name, real=True) for name in names]
    function = OpenFunction(parsing.parse(text, names), x, tuple(symbols))
    derivatives = [function.partial(index) for index in range(len(symbols) + 1)]
    for f, values, dtype in product(
        [function, *derivatives], product(*map(VALUES.get, names)), (torch.float32, torch.float64)
    ):
        if f.expr == 0:
            continue
        parameters = torch.tensor(values, dtype=dtype)
        points = torch.tensor([sign * point for sign in (-1, 1) for point in HALF], dtype=dtype)
        for point, y in zip(points.tolist(), f.operations(points, *parameters).tolist(), strict=True):
            value, largest = truth(f.expr, dict(zip((x, *symbols), (point, *parameters.tolist()), strict=True)))
            # An exponent is rounded, so its exponential has as many units of error as it is large; two factors here.
            steps = 16 + 4 * min(abs(point) * max(1, *map(abs, values)), 750) + 6000 * ("exp(-exp" in text)
            info = torch.finfo(dtype)
            bound = info.eps * (steps * abs(value) + 16 * largest) + 8 * info.tiny + 1e-50  # of the 60 digits
            assert abs(y - value) <= bound, (f.expr, values, dtype, point, y, float(value))


@pytest.mark.parametrize("text", ["x/(1+exp(-a*x))", "x*tanh(log(1+exp(a*x)))", "x*tanh(a*exp(x))"])
def test_second_derivatives_are_finite_and_those_of_the_fixed_formula(text: str) -> None:
    module = activation(text, a=2).module(learnable=True).double()
    points = torch.tensor([sign * point for sign in (-1, 1) for point in HALF], dtype=torch.float64)
    x = points.clone().requires_grad_()
    (slope,) = torch.autograd.grad(module(x).sum(), x, create_graph=True)
    second = torch.autograd.grad(slope.sum(), (x, module.a))
    torch.testing.assert_close(slope.detach(), activation(text, a=2).elementwise(1)(points), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(second[0], activation(text, a=2).elementwise(2)(points), rtol=1e-9, atol=1e-12)
    assert second[1].isfinite()


def test_rows_of_the_catalogue_are_still_computed_head_by_head() -> None:
    for name, row in CATALOGUE.items():
        inputs = ((x, "x"), *((symbol, f"p_{symbol}") for symbol in row.parameters))
        if row.parameters:
            exprs = [row.expr, sympy.diff(row.expr, x)]
            assert not any(lower_open(expr, inputs).note == DECAY for expr in exprs), name


def test_a_trained_slope_gets_past_where_its_exponential_overflows() -> None:
    module = activation("x/(1+exp(-a*x))", a=3).module(learnable=True)
    points = torch.tensor([-1e4, -100.0, -50.0, 50.0, 100.0, 1e4], requires_grad=True)
    y = module(points)
    y.sum().backward()
    torch.testing.assert_close(y, torch.relu(points.detach()), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(points.grad, (points.detach() > 0).float())
    assert module.a.grad.abs() < 1e-6
