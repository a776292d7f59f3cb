"""The printed PyTorch code: its structure, formulas outside the catalogue, and what is refused."""

import math
import re
from collections.abc import Callable

import pytest
import sympy
import torch
from mpmath import mpf
from oracles import SMOOTH
from torch import Tensor

from cosnb.activations import activation
from cosnb.codegen.evaluate import compile_source
from cosnb.codegen.lower import lower, lower_open
from cosnb.codegen.targets import pytorch
from cosnb.errors import CosnbError
from cosnb.symbolic.catalogue import CATALOGUE, x
from cosnb.symbolic.functions import sigmoid, softplus


def source(expr: sympy.Expr, name: str = "f", variable: sympy.Symbol = x) -> str:
    return pytorch.source(lower(expr, variable), name)


def compiled(expr: sympy.Expr) -> Callable[[Tensor], Tensor]:
    return compile_source(source(expr), "f", torch=torch)


# Structure of the code


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", [*SMOOTH, "lisht", "smish", "dsilu"])
def test_one_exponential_and_one_division(name: str, order: int) -> None:
    code = activation(name).source("pytorch", order)
    body = code[code.index("\ndef ") :]
    # expm1 is written as tanh(a/2)·(e^a + 1). 1 − t by expm1 beside t is the same reduction and polynomial in the C
    # target; here it is a second call.
    body = re.sub(r"torch\.tanh\(-0\.5 \* ([^()]*)\) \* \(torch\.exp\(\1\) \+ 1\)", r"torch.expm1(\1)", body)
    exponentials = re.findall(r"torch\.(?:exp|expm1|tanh|sigmoid|log)\(", body)
    assert len(exponentials) - body.count("torch.expm1(") * (body.count("torch.exp(") > 0) == 1
    divisions = [d for d in re.findall(r"/ ([\w.]+)", body) if not re.fullmatch(r"[\d.]+", d)]
    assert len(divisions) <= 1  # by constants aside
    counts = activation(name).program(order).operations()
    assert (counts["exponentials"], counts["divisions"]) == (1, 1)


@pytest.mark.parametrize("name", ["swish", "mish", "cos"])
@pytest.mark.parametrize("order", range(2))
def test_the_printed_lines_fit_a_page_and_powers_of_two_are_written_as_such(name: str, order: int) -> None:
    for target in ("pytorch", "numpy"):
        code = activation(name).source(target, order)
        assert "e-31" not in code
        assert [line for line in code.splitlines() if len(line) > 84 and " + " in line] == []
        assert ("2.0**-100" in code) == ("scaled" in code)


def test_integer_powers_are_repeated_squarings_and_shared() -> None:
    code = activation("cos").source(order=1)
    assert re.findall(r"t\d+ = .*", code) == ["t2 = t * t", "t4 = t2 * t2"]
    assert "t4 * t + 1" in code
    body = code[code.index("\ndef ") :]
    assert "**" not in body.replace("2.0**50", "").replace("2.0**-100", "")  # constants
    assert "pow" not in body
    values = torch.linspace(-3, 3, 7, dtype=torch.float64)
    for n in range(-9, 24):
        torch.testing.assert_close(compiled(x**n + 2)(values + 0.5), (values + 0.5) ** n + 2, rtol=4e-15, atol=0)


def test_a_shared_subexpression_is_computed_once() -> None:
    inner = sympy.erf(x + 1)
    assert source(inner * sympy.exp(-inner) + inner).count("torch.erf") == 1


@pytest.mark.parametrize(
    ("expr", "reference"),
    [
        (x * (1 + sympy.erf(x / sympy.sqrt(2))) / 2, torch.nn.functional.gelu),
        (softplus(x), torch.nn.functional.softplus),
        (x * sympy.tanh(softplus(2 * x) / 2), lambda v: v * torch.tanh(torch.nn.functional.softplus(2 * v) / 2)),
        (sigmoid(5 * x + 1) - x, lambda v: torch.sigmoid(5 * v + 1) - v),
        (x * sympy.exp(-sympy.exp(-x)), lambda v: v * torch.exp(-torch.exp(-v))),
        (-x / (1 + sympy.Abs(x)), lambda v: -v / (1 + v.abs())),
        (x + sympy.sin(x) ** 2 - sympy.cos(x) / 3, lambda v: v + torch.sin(v) ** 2 - torch.cos(v) / 3),
        (sympy.atan(x) * sympy.sign(x) - sympy.log(1 + x**2), lambda v: torch.atan(v).abs() - torch.log(1 + v**2)),
        (sympy.sinh(x) / sympy.cosh(x), torch.tanh),
        (sympy.Piecewise((sympy.exp(x) - 1, x < 0), (x, True)), lambda v: torch.where(v < 0, torch.exp(v) - 1, v)),
        (x * (sympy.exp(x - 1) - 1), lambda v: v * torch.expm1(v - 1)),
        (sympy.pi * x - sympy.Rational(1, 3), lambda v: math.pi * v - 1 / 3),
        (sympy.Rational(1, 3), lambda v: torch.full_like(v, 1 / 3)),
        (sympy.tanh(x) - 2 * sigmoid(2 * x), lambda v: torch.full_like(v, -1)),
        (
            sympy.Piecewise((sympy.Rational(1, 100), x <= 0), (1, True)),
            lambda v: torch.where(v <= 0, 0.01, torch.ones_like(v)),
        ),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),  # no address: several processes must agree
)
def test_formulas_outside_the_catalogue(expr: sympy.Expr, reference) -> None:  # type: ignore[no-untyped-def]
    points = torch.linspace(-4, 4, 33, dtype=torch.float64)
    values = compiled(expr)(points)
    assert values.dtype == torch.float64
    torch.testing.assert_close(values, reference(points), rtol=2e-15, atol=4e-16)


@pytest.mark.parametrize("order", [0, 1])
def test_every_exponential_slope_gives_the_same_function(order: int) -> None:
    points = torch.linspace(-4, 4, 7, dtype=torch.float64)
    for slope in ("-5", "2.5", "1/3", "0.3333", "0"):
        act = activation("cos", a=slope, c="0.25")
        reference = [mpf(act.derivative(order).subs(x, p).evalf(20)) for p in points.tolist()]
        torch.testing.assert_close(
            act.elementwise(order)(points).tolist(), [float(r) for r in reference], rtol=1e-14, atol=1e-15
        )


def test_the_lines_of_the_code_show_in_a_traceback() -> None:
    function = activation("swish").elementwise()
    with pytest.raises(AttributeError) as caught:
        function("no tensor")  # type: ignore[arg-type]
    assert "x = input.float() if input.dtype" in str(caught.traceback[-1].statement)


# What is refused


def test_a_head_without_a_template_is_named() -> None:
    for expr, head in ((sympy.gamma(x), "gamma"), (sympy.Function("g")(x), "g")):
        with pytest.raises(CosnbError, match=rf"no target computes '{head}'; known functions: Abs, .*softplus"):
            source(expr)
    with pytest.raises(CosnbError, match="must be a number or a parameter"):
        source((1 + x**2) ** x)


@pytest.mark.parametrize("name", ["f(x):\n import os #", "a b", "", "2f", "class", "f.g", "torch", "ƒ"])
def test_hostile_function_names_are_refused(name: str) -> None:
    with pytest.raises(CosnbError, match="must be an identifier"):
        source(x, name)


def test_other_symbols_are_refused_whatever_their_names() -> None:
    hostile = sympy.Symbol("__import__('os')")
    with pytest.raises(CosnbError, match=r"holds __import__.* besides its variable"):
        source(x * hostile)
    with pytest.raises(CosnbError, match="holds x besides its variable"):
        source(sympy.Symbol("x", positive=True) * 2)
    code = source(hostile**2 + 1, variable=hostile)  # a variable is called x in code, whatever its own name
    assert "import" not in code


@pytest.mark.parametrize("number", [sympy.I, sympy.Integer(10) ** 400], ids=["i", "1e400"])
def test_numbers_that_float64_cannot_hold_are_refused(number: sympy.Expr) -> None:
    with pytest.raises(CosnbError, match="cannot print the number"):
        source(sympy.Piecewise((number, x < 0), (x, True)))


def test_a_piecewise_that_leaves_a_gap_is_refused() -> None:
    with pytest.raises(CosnbError, match="no value where none of its conditions holds"):
        source(sympy.Piecewise((x, x > 0)))


# Further inputs


def test_parameters_are_further_arguments() -> None:
    a = sympy.Symbol("torch", real=True)  # a name that the code uses itself
    program = lower_open(x * sigmoid(a * x) - a, ((x, "x"), (a, "p_torch")))
    code = pytorch.source(program, "f", parameters=["p_torch"])
    assert code.startswith("def f(input, p_torch):\n")
    values = torch.linspace(-3, 3, 7)
    found = compile_source(code, "f", torch=torch)(values, torch.tensor(2.0))
    torch.testing.assert_close(found, values * torch.sigmoid(2 * values) - 2)


def test_no_function_returns_its_argument() -> None:
    values = torch.ones(3)
    assert compiled(x)(values).data_ptr() != values.data_ptr()
    product = pytorch.source(lower(sympy.Integer(1), x, product=True), "f")
    assert compile_source(product, "f", torch=torch)(values, values).data_ptr() != values.data_ptr()


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_backward_code_is_dy_times_the_derivative_s(name: str) -> None:
    act, values = activation(name), torch.linspace(-4.3, 4.1, 43, dtype=torch.float64)
    dy = torch.linspace(-2, 1, 43, dtype=torch.float64)
    for order in (0, 1):
        backward = act.kernel(order).backward_operations(dy, values)
        torch.testing.assert_close(backward, dy * act.elementwise(order + 1)(values), rtol=1e-14, atol=1e-15)
