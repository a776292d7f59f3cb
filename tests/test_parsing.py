"""Formula text: what is accepted and as what, parameters, messages, and the catalogue there and back."""

import re

import pytest
import sympy
from sympy import Piecewise, Rational, atan, cos, cosh, exp, log, pi, sin, sinh, sqrt, tan, tanh

from cosnb.activations import activation
from cosnb.errors import CosnbError
from cosnb.paths import repository_root
from cosnb.symbolic import catalogue
from cosnb.symbolic.catalogue import CATALOGUE, x
from cosnb.symbolic.catalogue.formula import a, b, c
from cosnb.symbolic.functions import erfc, floor, ln, sigmoid, softplus
from cosnb.symbolic.parsing import from_text, parse
from cosnb.symbolic.vocabulary import FUNCTIONS

ABS = Piecewise((-x, x < 0), (0, x <= 0), (x, True))
GOOD = {
    "x": x,
    "x*sigmoid(x) + (sigmoid(a*x) - c)**2": x * sigmoid(x) + (sigmoid(a * x) - c) ** 2,
    "x * tanh(softplus(x))": x * tanh(softplus(x)),
    "0.1*x": x / 10,
    "1e-3*x + 2.5E1": x / 1000 + 25,
    ".5*x - 3.": x / 2 - 3,
    "-x**2": -(x**2),
    "2**-3*x": x / 8,
    "x**(-2)": x**-2,
    "--x": x,
    "x - 1 - 2": x - 3,
    "8/4/2*x": x,
    "(x + sqrt(x**2 + b))/2": (x + sqrt(x**2 + b)) / 2,
    "x**(3/4)": x ** Rational(3, 4),
    "e**-x + exp(x)": exp(-x) + exp(x),
    "e*x": sympy.E * x,
    "expm1(x)*log1p(x)": (exp(x) - 1) * log(1 + x),
    "x*erfc(-x/sqrt(2))/2": x * erfc(-x / sqrt(2)) / 2,
    "sin(x) + cos(pi*x)": sin(x) + cos(pi * x),
    "sinh(x)/cosh(x) + tan(x) + atan(x) + asinh(x)": sinh(x) / cosh(x) + tan(x) + atan(x) + sympy.asinh(x),
    "abs(x)": ABS,
    "sqrt(x**2)": ABS,
    "sign(x)": Piecewise((-1, x < 0), (0, x <= 0), (1, True)),
    "relu(x)": CATALOGUE["relu"].expr,
    "max(x, 0)": Piecewise((0, x <= 0), (x, True)),
    "max(0, x)": Piecewise((0, x <= 0), (x, True)),
    "min(max(x, 0), 6)": CATALOGUE["relu6"].expr,
    "min(x, x**2, 4)": Piecewise((Piecewise((4, x >= 4), (x, True)), x <= x**2), (4, x**2 >= 4), (x**2, True)),
    "where(x > 0, x, 0.01*x)": Piecewise((x, x > 0), (x / 100, True)),
    "where(x <= a, 0, where(x >= 1, 1, x))": Piecewise((0, x <= a), (1, x >= 1), (x, True)),
    "where(-1 < x < 1, x, 0)": Piecewise((Piecewise((x, x < 1), (0, True)), x > -1), (0, True)),
    "where(x < 0 or x > 1, 0, x)": Piecewise((0, x < 0), (Piecewise((0, x > 1), (x, True)), True)),
    "where(not x < 0 and x != 1, x, 2)": Piecewise((2, x < 0), (x, sympy.Ne(x, 1)), (2, True)),
    "where(x == 0, 1, sin(x)/x)": Piecewise((1, sympy.Eq(x, 0)), (sin(x) / x, True)),
    "where(1 < 2, x, 0)": x,
    "  mish(x) ": x * tanh(softplus(x)),
    "swish(2*x)": 2 * x * sigmoid(2 * x),
    "silu(x) - hard_swish(x)": x * sigmoid(x) - CATALOGUE["hardswish"].expr,
    "relu(relu(x))": CATALOGUE["relu"].expr,
    "+x": x,
    "x^2": x**2,
    "x\n": x,
    "\tx +\n 1\r\n": x + 1,
    "x\u00a0+ 1": x + 1,
    "x² − 2·π*x³": x**2 - 2 * pi * x**3,
    "x*σ(x)": x * sigmoid(x),
    "√(x)": sqrt(x),
    r"\frac{x}{1+e^{-x}}": x / (1 + exp(-x)),
    r"\frac{1}{2} \cdot x \cdot \left(1 + \tanh(\sqrt{2/\pi}*x^{3})\right)": x * (1 + tanh(sqrt(2 / pi) * x**3)) / 2,
    r"\frac{\frac{x}{2}}{1 + |x|}": x / 2 / (1 + ABS),
    "|x|": ABS,
    "x/(1 + |x|)": x / (1 + ABS),
    "exp(-|x|) + |x - 1|": exp(-ABS) + ABS.xreplace({x: x - 1}),
    "x if x > 0 else 0.01*x": Piecewise((x, x > 0), (x / 100, True)),
    "x*torch.tanh(F.softplus(x))": x * tanh(softplus(x)),
    "np.pi*np.where(x > 0, x, torch.nn.functional.silu(x))": pi * Piecewise((x, x > 0), (x * sigmoid(x), True)),
    "ReLU(x) + SiLU(x)": CATALOGUE["relu"].expr + x * sigmoid(x),
    "ln(1 + x^2)": log(1 + x**2),
    "log2(x) + log10(x)": log(x) / log(2) + log(x) / log(10),
    "2**x": exp(x * ln(2)),
    "exp2(-x)": exp(-x * ln(2)),
    "exp(x*log(2))": exp(x * ln(2)),
    "exp(100*log(2))*x": exp(100 * ln(2)) * x,
    "a**x": exp(x * ln(a)),
    "x**a": x**a,
    "(1 + exp(x))**(-1/a)": (1 + exp(x)) ** (-1 / a),
    "x**0.1": x ** Rational(1, 10),
    "x**0.3333333333333333": x ** Rational("0.3333333333333333"),
    "pow(x, 3)": x**3,
    "cbrt(x)": Piecewise((-((-x) ** Rational(1, 3)), x < 0), (x ** Rational(1, 3), True)),
    "sech(x) + csch(x) + coth(x)": 1 / cosh(x) + 1 / sinh(x) + 1 / tanh(x),
    "arcsinh(x)": sympy.asinh(x),
    "step(x)": Piecewise((0, x < 0), (1, True)),
    "heaviside(x, 0.5)": Piecewise((0, x < 0), (Rational(1, 2), x <= 0), (1, True)),
    "clip(x, 0, 6)": CATALOGUE["relu6"].expr,
    "torch.clamp(x, min=0)": CATALOGUE["relu"].expr,
    "clamp(x, max=0)": Piecewise((0, x >= 0), (x, True)),
    "np.logaddexp(x, 0)": softplus(x),
    "minimum(np.maximum(x, 0), 6)": CATALOGUE["relu6"].expr,
    "expit(x)": sigmoid(x),
    "floor(x) + ceil(2*x)": floor(x) - floor(-2 * x),
    "x % 2": x - 2 * floor(x / 2),
    "floor(2.5)*x": 2 * x,
    "linear(x) + identity(x)": 2 * x,
    "max(x, a*x)": Piecewise((x, -a * x + x >= 0), (a * x, True)),
}


def symbols(text: str) -> list[str]:
    return sorted(set(re.findall(r"\b[abc]\b", text)))


@pytest.mark.parametrize(("text", "expected"), GOOD.items())
def test_good_formulas(text: str, expected: sympy.Expr) -> None:
    expr = parse(text, symbols(text))
    assert expr == expected
    assert all(symbol.is_real for symbol in expr.free_symbols)


@pytest.mark.parametrize("text", [None, 3, b"x", ["x"], x])
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(CosnbError, match="a formula is a text like"):
        parse(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["x", "e", "pi", "exp", "where", "mish", "silu", "lambda", "and", "_a", "__a", "1a", "a b", "", "α", "a" * 31, 3],
)
def test_parameters_have_names_of_their_own(name: object) -> None:
    with pytest.raises(CosnbError, match="no parameter can be called"):
        parse("x", [name])  # type: ignore[list-item]


def test_parameters_must_be_used_and_named_once() -> None:
    with pytest.raises(CosnbError, match="does not depend on the parameter b, c"):
        parse("a*x + 0*b", ["a", "b", "c"])
    with pytest.raises(CosnbError, match="each named once"):
        parse("a*x", ["a", "a"])


def test_unknown_names_are_answered_with_what_is_known() -> None:
    message = (
        "column 3: unknown name 'beta': known are x, pi, e, the parameters a; if it is a parameter, give it a value"
    )
    with pytest.raises(CosnbError, match=message):
        parse("a*beta*x", ["a"])
    with pytest.raises(CosnbError, match="did you mean 'softplus'"):
        parse("softplu(x)")
    with pytest.raises(CosnbError) as caught:
        parse("  x + softplu")
    assert str(caught.value).endswith("\n  x + softplu\n      ^")


def test_derivatives_at_the_kinks_are_those_of_pytorch() -> None:
    for text, slope in (("abs(x)", 0), ("relu(x)", 0), ("sign(x)", 0), ("min(x, 0)", 0), ("max(x, 0)", 0)):
        assert sympy.diff(parse(text), x).subs(x, 0) == slope
    assert not sympy.diff(parse("sign(x)*abs(x)**3 + sqrt(x**2)"), x, 3).has(sympy.DiracDelta)


def test_no_condition_holds_a_piecewise() -> None:
    for text in (
        "abs(abs(x) - 1)",
        "where(relu(x) < min(x, 1), x, 2)",
        "hardtanh(softshrink(x))",
        "sign(abs(x)*relu(x))",
    ):
        for piecewise in parse(text).atoms(Piecewise):
            assert not any(condition.has(Piecewise) for _, condition in piecewise.args)


def test_names_of_functions_are_names_of_activations() -> None:
    for name in ("exp", "exponential", "identity", "linear", "log1mexp", "sqrtsoftplus", "gelu_10", "tan", "erf"):
        assert activation(name).expr == parse(f"{name}(x)")
    assert activation("cos").expr != cos(x)
    for name in ("clip", "where", "max"):
        with pytest.raises(CosnbError, match="unknown activation"):
            activation(name)


def test_the_book_lists_the_functions() -> None:
    page = (repository_root() / "book" / "reference.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- `([a-z0-9_ ]+)`$", page, re.MULTILINE)
    assert sorted(" ".join(listed).split()) == sorted(FUNCTIONS)


def test_a_parameter_may_have_a_function_s_newer_name() -> None:
    assert parse("step*x", ["step"]) == sympy.Symbol("step", real=True) * x
    with pytest.raises(CosnbError, match="only a function's name can be called"):
        parse("step(x)*step", ["step"])


def test_conditions_on_parameters_alone_are_decided_by_their_values() -> None:
    text = "where(a < 0, -log(1 - a*(x + a))/a, where(a > 0 and 1 > 0, (exp(a*x) - 1)/a + a, x))"
    assert activation(text, a=0).expr == x
    assert activation(text, a=2).expr == (exp(2 * x) - 1) / 2 + 2
    assert activation(text, a=-1).expr == log(x)
    assert activation("x if a == 0 else x/a", a=0).expr == x
    with pytest.raises(CosnbError, match="division by 0"):
        activation("where(a != 0, x, x/a)", a=0)
    with pytest.raises(CosnbError, match="unknown function 'foo'"):
        activation("where(a == 0, x, foo(x))", a=0)


@pytest.mark.parametrize(
    "text",
    ["where(abs(x) <= 1, x**2*(2 - abs(x)), abs(x))", "where(abs(x) < 1, x, sign(x))", "where(relu(x) < 1, abs(x), 2)"],
)
def test_pieces_of_pieces_leave_no_gap(text: str) -> None:
    for piecewise in parse(text).atoms(Piecewise):
        assert piecewise.args[-1][1] == sympy.true


def test_from_text_makes_a_formula() -> None:
    row = from_text(" x*sigmoid(a*x) ", {"a": Rational(1, 3)})
    assert (row.expr, row.parameters, row.title) == (x * sigmoid(a * x), {a: Rational(1, 3)}, "x*sigmoid(a*x)")
    assert row.name == from_text("sigmoid(x*a) * x", {"a": Rational(2)}).name
    assert row.name != from_text("x*sigmoid(x)").name
    assert row.name.isidentifier()
    assert row.name.startswith("formula_")
    assert row.source == "formula text"


@pytest.mark.parametrize(
    ("text", "number", "message"),
    [
        ("x/a", Rational(0), "column 3: division by 0"),
        ("x*exp(exp(a))", Rational(10**9), "must lie between"),
        ("x*sqrt(a)", Rational(-1), "real"),
        ("a*x", Rational(10) ** 200, "at most 100 digits"),
        ("a*x", 0.5, "must be a rational number"),
        ("a*x", sympy.oo, "must be a rational number"),
    ],
)
def test_from_text_refuses_values_that_break_the_formula(text: str, number: sympy.Rational, message: str) -> None:
    with pytest.raises(CosnbError, match=message):
        from_text(text, {"a": number})


def printed(expr: sympy.Basic) -> str:
    """Formula text of an expression: the round trip's way back."""
    parts = [printed(part) for part in expr.args]
    if isinstance(expr, Piecewise):
        *first, (last, _) = expr.args
        text = printed(last)
        for value, condition in reversed(first):
            text = (
                f"where({printed(condition.lhs)} {condition.rel_op} {printed(condition.rhs)}, {printed(value)}, {text})"
            )
        return text
    if isinstance(expr, sympy.Add | sympy.Mul | sympy.Pow):
        return "(" + {sympy.Add: " + ", sympy.Mul: "*", sympy.Pow: "**"}[expr.func].join(parts) + ")"
    return f"{expr.func.__name__}({', '.join(parts)})" if parts else f"({expr})"


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_row_comes_back_from_its_text(name: str) -> None:
    row = CATALOGUE[name]
    assert parse(printed(row.expr), [symbol.name for symbol in row.parameters]) == row.expr
    if name not in FUNCTIONS:
        assert parse(f"{name}(x)") == row.expr.subs(row.parameters)


def test_every_name_of_the_catalogue_is_callable_or_a_function_already() -> None:
    assert not {"cos", "sin"} - set(FUNCTIONS)
    for name in catalogue.names():
        assert parse(f"{name}(x)").free_symbols == {x}
    assert (parse("cos(x)"), b) == (cos(x), sympy.Symbol("b", real=True))
