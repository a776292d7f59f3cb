"""Vega expressions: evaluated as JavaScript, whose functions are Vega's, against mpmath for every row."""

import json
import re
import shutil
import subprocess

import numpy
import pytest
import sympy
from truth import truth

from cosnb import CosnbError, activation
from cosnb.codegen.targets import vega
from cosnb.symbolic.catalogue import CATALOGUE, x
from cosnb.symbolic.functions import erfc, sigmoid, softplus

GRID = [1e-8, 1e-3, 0.003, 0.02, 0.05, 0.09, 0.3, 0.7, 1.0, 1.5, 2.9, 3.0, 5.5, 6.5, 12.0, 30.0, 87.5, 104.0, 300.0]
POINTS = [-value for value in GRID] + [0.0] + GRID
# Everything that Vega lends from Math and an expression may call; nothing else is in reach of it.
FUNCTIONS = ("abs", "exp", "log", "sqrt", "sin", "cos", "tan", "atan", "hypot", "pow", "min", "max")
NEEDS_NODE = pytest.mark.skipif(
    shutil.which("node") is None, reason="node, which evaluates the expressions, is not here"
)
a, c = sympy.symbols("a c", real=True)


def evaluate(expressions: list[str], points: list[float], **parameters: float) -> numpy.ndarray:
    """The values of expressions in datum.x: one row an expression; NaN and ±inf come back as NaN."""
    names = "".join(f"const {name} = {value};" for name, value in parameters.items())
    rows = ",".join(f"P.map(x => {{ const datum = {{x}}; return {text}; }})" for text in expressions)
    code = f"'use strict'; const {{{', '.join(FUNCTIONS)}}} = Math; {names} const P = {json.dumps(points)};"
    code += f"console.log(JSON.stringify([{rows}]))"
    done = subprocess.run(["node", "-"], input=code, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return numpy.array(json.loads(done.stdout), dtype=float)


@NEEDS_NODE
@pytest.mark.parametrize("order", [0, 1])
def test_every_row_against_mpmath(order: int) -> None:
    expressions = [activation(name).derivative(order) for name in CATALOGUE]
    values = evaluate([vega.source(expr) for expr in expressions], POINTS)
    for name, expr, row in zip(CATALOGUE, expressions, values, strict=True):
        exact, size = truth(expr, x, POINTS)
        # The series and the quotient for erfc are within 1e-13; exp(-y) of a rounded y has y·1e-16 (y = 45,000 for
        # GELU at 300, where it is 0 anyhow).
        assert (abs(row - exact) <= 1e-12 * size + 1e-250).all(), (name, POINTS[abs(row - exact).argmax()])


@NEEDS_NODE
@pytest.mark.parametrize(
    "expr",
    [
        sympy.sinh(x),
        sympy.cosh(x),
        sympy.tanh(x),
        sympy.asinh(x),
        sympy.erf(x),
        erfc(x),
        sympy.exp(x) - 1,
        softplus(x),
        sympy.sign(x) * sympy.Abs(x),
        sympy.log(1 + sympy.exp(x) / 9),
        sympy.tan(x / 9),
        x**-3 + 1 / x**2 - sympy.sqrt(x**2 + 1),
        sympy.Piecewise((0, (x < -1) | (x > 5)), (-x, sympy.Not(sympy.Eq(x, 3))), (7, True)),
    ],
    ids=str,
)
def test_functions_that_vega_lacks(expr: sympy.Expr) -> None:
    points = [
        v for v in [*POINTS, 0.00099, 0.0011, 0.0099, 0.011, 0.033, 0.034, 0.099, 0.11, -6.99, -7.01] if 0 < abs(v) < 27
    ]
    exact, size = truth(expr, x, points)
    (values,) = evaluate([vega.source(expr)], points)
    # e^(−y²) of a rounded y²: 27²·1e-16
    assert (abs(values - exact) <= 2e-12 * size).all(), points[(abs(values - exact) / size).argmax()]


@NEEDS_NODE
def test_parameters_stay_free() -> None:
    expr = CATALOGUE["cos"].expr
    for order in (0, 1):
        text = vega.source(expr.diff(x, order), "datum.value", {"a": "slope", "c": "shift"})
        assert {"slope", "shift", "datum.value"} <= set(re.findall(r"[a-z][\w.]*", text))
        (values,) = evaluate([text.replace("datum.value", "datum.x")], POINTS, slope=3, shift=0.25)
        exact, size = truth(activation("cos", a=3, c="1/4").derivative(order), x, POINTS)
        assert (abs(values - exact) <= 1e-12 * size + 1e-250).all()


def test_expressions_are_short_and_made_of_vegas_words_only() -> None:
    known = {*FUNCTIONS, "datum.x", "e"}
    for name in CATALOGUE:
        for order in (0, 1):
            text = vega.source(activation(name).derivative(order))
            assert set(re.findall(r"[A-Za-z_][\w.]*", text)) <= known
            assert len(text) < (14_000 if name in ("serf", "phish") else 2_000), name  # a function of erf, of erfc
    assert len(vega.source(activation("cos").derivative(1))) < 300
    assert len(vega.source(activation("swish").expr)) < 40


def test_source_opens_with_the_formula_and_ends_with_the_expression() -> None:
    first, second, last = activation("swish").source("vega", 1).splitlines()
    assert first == "// Swish: f(x) = x*sigmoid(x)"
    assert second.startswith("// f′(x) = ")
    assert last == vega.source(activation("swish").derivative(1))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "datum['x']",
        "x;y",
        "datum.x.y.z()",
        "E",
        "PI",
        "datum",
        "1x",
        "a.b.c",
        "x\n",
        "alert(1)",
        "datum.this",
    ],
)
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(CosnbError, match="Vega reads no field or parameter"):
        vega.source(x * sigmoid(x), name or "?")
    with pytest.raises(CosnbError, match="Vega reads no field or parameter"):
        vega.source(x * a, parameters={"a": name or "?"})


def test_a_symbol_without_a_name_is_named() -> None:
    with pytest.raises(CosnbError, match="holds c: give a value"):
        vega.source(a * x + c, parameters={"a": "slope"})
