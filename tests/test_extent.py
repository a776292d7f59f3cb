"""Bounds that keep the normal form's algebra short: against SymPy's expansion, and on formulas that took minutes."""

import time

import pytest
import sympy
import torch
from truth import truth

from cosnb import activation
from cosnb.codegen.lower import FALLBACK
from cosnb.symbolic.extent import is_linear, terms
from cosnb.symbolic.normal_form import normal_form, t

u, log = sympy.symbols("x L")


@pytest.mark.parametrize(
    "expr",
    [
        u * ((1 + t) ** 6 - 1) / ((1 + t) ** 6 + 1),
        sum(1 / (1 + t**n) for n in (1, 2, 3, 5)),
        (1 + 1 / t) ** 3 / (1 + t) - log / (1 - t) ** 2,
        (u * t + 2) / (t - 1) + t**4 / (1 - t) / (1 + 2 * t) ** 2,
    ],
    ids=str,
)
def test_no_expansion_has_more_terms(expr: sympy.Expr) -> None:
    parts = sympy.fraction(sympy.cancel(expr))
    expanded = sum(len(sympy.Poly(part, t, u, log).terms()) for part in parts)
    assert expanded <= terms(expr, t) <= 4 * expanded


def test_what_is_linear_in_x_and_the_logarithm() -> None:
    assert is_linear((u * t + log) / (1 + t) ** 3 + 1, t)
    assert is_linear(u**2 - (u - 1) * (u + 1) + t, t)
    assert not is_linear(u**2 / (1 + t), t)
    assert not is_linear(u * log, t)
    assert not is_linear(1 / (1 + u * t), t)


@pytest.mark.parametrize(
    "text",
    [
        "x*tanh(30*softplus(x))",
        "x*tanh(100*softplus(x))",
        "mish(mish(mish(x)))",
        "gelu(swish(tanh(x**3)))",
        "swish(swish(x))*softplus(mish(x))",
        "mish(x)*swish(x)*tanh(x)",
        "+".join(f"sigmoid({n}*x)" for n in range(1, 21)),
        "+".join(f"sin({n}*x)" for n in range(1, 21)),
        "(1+x**2)**16*tanh(x)",
    ],
)
def test_formulas_that_took_minutes(text: str) -> None:
    row = activation(text)
    began = time.process_time()
    notes = [row.program(order).note for order in (0, 1, 2)]
    assert time.process_time() - began < 10
    assert FALLBACK in notes
    points = [-2.5, -0.3, 0.4, 1.7]
    exact, size = truth(row.derivative(1), row.x, points)
    got = row.elementwise(1)(torch.tensor(points, dtype=torch.float64)).numpy()
    assert (abs(got - exact) <= 1e-12 * size).all()


@pytest.mark.long
def test_short_ones_keep_their_normal_form() -> None:
    for name, order in (("cos", 3), ("smish", 3), ("lisht", 3), ("mish", 3)):
        row = activation(name)
        assert normal_form(row.derivative(order), row.x) is not None, name
