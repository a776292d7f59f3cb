"""Functions in pieces, exact by algebra; formulas outside the normal form, by a scan that says so."""

import math

import pytest
import sympy
from mpmath import mp

from cosnb.activations import activation
from cosnb.analysis import calculus
from cosnb.analysis.findings import show
from cosnb.errors import CosnbError
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.functions import sigmoid, softplus

HARDSWISH = sympy.Piecewise((0, x <= -3), (x, x >= 3), (x * (x + 3) / 6, True))
HARDSHRINK = sympy.Piecewise((x, x < -sympy.S.Half), (0, x <= sympy.S.Half), (x, True))
ELU = sympy.Piecewise((sympy.exp(x) - 1, x <= 0), (x, True))
GELU = x * (1 + sympy.erf(x / sympy.sqrt(2))) / 2
SNAKE = x + sympy.sin(x) ** 2
oo = sympy.oo


def value(expr: sympy.Expr, key: str) -> object:
    return calculus.properties(expr, x)[key].value


def test_hardswish_is_exact() -> None:
    properties = calculus.properties(HARDSWISH, x)
    assert {finding.how for finding in properties.values()} == {"proven"}
    (point,) = properties["critical_points"].value
    assert (point.exact, float(point.f)) == (-sympy.Rational(3, 2), -0.375)
    assert (properties["minimum"].value.value, properties["minimum"].value.at) == (-sympy.Rational(3, 8), point.exact)
    assert properties["kinks"].value == (-3, 3)
    assert properties["lipschitz"].value == sympy.Rational(3, 2)
    assert properties["roots"].value[0] == sympy.Interval(-oo, -3)
    assert properties["roots"].value[1].exact == 0


@pytest.mark.parametrize(
    "expr",
    [
        sympy.Max(0, x),
        (x + sympy.Abs(x)) / 2,
        sympy.Piecewise((0, x < 0), (x, True)),
        sympy.Piecewise((x, x > 0), (0, True)),
        sympy.Piecewise((0, x < -1), (0, x <= 0), (x, True)),
    ],
    ids=str,
)
def test_all_ways_to_write_relu_are_one(expr: sympy.Expr) -> None:
    assert dict(calculus.properties(expr, x)) == dict(activation("relu").properties())
    assert value(expr, "kinks") == (0,)


@pytest.mark.parametrize(
    ("expr", "smoothness"),
    [
        (sympy.Max(0, x), "continuous"),
        (sympy.Max(0, x) ** 2, "C^1"),
        (sympy.Max(0, x) ** 3, "C^2"),
        (x / (1 + sympy.Abs(x)), "C^1"),
        (sympy.Piecewise((x / sympy.sqrt(1 + x**2), x < 0), (x, True)), "C^2"),
        (ELU, "C^1"),
        (2 * ELU - sympy.Max(0, x), "continuous"),
        (HARDSHRINK, "discontinuous"),
        (sympy.sign(x), "discontinuous"),
        (SNAKE, "C^∞"),
        (softplus(x), "C^∞"),
        (x * sympy.tanh(sympy.exp(x)), "C^∞"),
        ((x + sympy.sqrt(x**2 + 4)) / 2, "C^∞"),
    ],
    ids=str,
)
def test_the_smoothness_class_is_proven(expr: sympy.Expr, smoothness: str) -> None:
    finding, *_ = calculus.study(expr, x).smoothness
    assert (finding.value, finding.how) == (smoothness, "proven")


def test_what_is_not_known_to_be_smooth_is_not_called_proven() -> None:
    assert calculus.study(sympy.sqrt(x**2), x).smoothness[0].value == "continuous"  # |x|
    assert calculus.study(sympy.log(2 + sympy.cos(x) * sympy.cos(x**3)), x).smoothness[0].how == "numerical"


def test_jumps_are_listed_and_the_range_has_gaps() -> None:
    assert value(HARDSHRINK, "jumps") == (-sympy.S.Half, sympy.S.Half)
    assert value(HARDSHRINK, "lipschitz") == oo
    assert show(value(HARDSHRINK, "range")) == "(−∞, −1/2) ∪ {0} ∪ (1/2, ∞)"
    assert value(HARDSHRINK, "roots") == (sympy.Interval(-sympy.S.Half, sympy.S.Half),)
    assert value(sympy.sign(x), "range") == sympy.FiniteSet(-1, 0, 1)
    assert value(HARDSHRINK, "monotone") == "increasing"
    assert value(sympy.Piecewise((x + 1, x < 0), (x, True)), "monotone") == "no"


def test_a_kink_may_hold_the_minimum() -> None:
    expr = sympy.Abs(x - 1) + 2
    assert str(value(expr, "minimum")) == "2, at 1"
    assert [p.exact for p in value(expr, "critical_points")] == [1]  # type: ignore[attr-defined]
    assert value(expr, "convex") == "convex"
    assert value(-expr, "convex") == "concave"


def test_an_inflection_may_lie_at_a_border() -> None:
    assert [p.exact for p in value(x / (1 + sympy.Abs(x)), "inflections")] == [0]  # type: ignore[attr-defined]
    assert value(sympy.Max(0, x) - sympy.Max(0, x - 1), "inflections") == ()  # kinks are none


def test_one_half_of_the_normal_form_is_enough_for_elu() -> None:
    properties = calculus.properties(ELU, x)
    assert properties["roots"].how == properties["critical_points"].how == "certified"
    assert properties["limits"].how == "proven"
    assert properties["limits"].value == (-1, oo)
    assert str(properties["minimum"].value) == "none: −1 is approached for x → −∞"


def test_pieces_with_one_formula_are_joined() -> None:
    grows = sympy.tanh(x) + sympy.Rational(1, 4)
    expr = sympy.Piecewise((grows, x < -2), (grows, x < 1), (sympy.tanh(1) + sympy.Rational(1, 4), True))
    assert value(expr, "kinks") == (1,)
    (point,) = value(expr, "roots")  # type: ignore[misc]
    assert float(point.value) == pytest.approx(-math.atanh(0.25), rel=1e-14)
    assert value(expr, "lipschitz") == 1  # at 0, inside the joined piece


def test_a_zero_at_a_border_is_counted_once() -> None:
    third = sympy.Rational(1, 3)
    for border in (third, sympy.S.Half):
        expr = sympy.Piecewise(((x - border) * sympy.exp(-x), x > border), (x - border, True))
        assert [p.exact for p in value(expr, "roots")] == [border]  # type: ignore[attr-defined]


def test_parity_is_looked_at_beyond_the_last_border() -> None:
    relu6 = activation("relu6").properties()["parity"]
    assert (relu6.value, relu6.how) == ("neither", "proven")  # f(x) − f(−x) = x holds for |x| <= 6 only


@pytest.mark.parametrize(
    ("expr", "parity", "how"),
    [
        (HARDSHRINK, "odd", "proven"),
        (sympy.Abs(x), "even", "proven"),
        (softplus(x), "f(x) − f(−x) = x", "proven"),
        (sympy.atan(x), "odd", "proven"),
        (SNAKE, "neither", "numerical"),
        (sympy.tanh(x) + sympy.Rational(1, 10**20), "neither", "proven"),
    ],
    ids=str,
)
def test_parity(expr: sympy.Expr, parity: str, how: str) -> None:
    finding = calculus.properties(expr, x)["parity"]
    assert (finding.value, finding.how) == (parity, how)


def test_gelu_is_numerical_and_says_so() -> None:
    properties = calculus.properties(GELU, x)
    assert properties["limits"].value == (0, oo)
    finding = properties["critical_points"]
    assert (finding.how, finding.digits) == ("numerical", 15)
    assert finding.reason.startswith("scan of [−40, 40]")
    (point,) = finding.value
    with mp.workdps(30):
        reference = mp.findroot(lambda z: mp.erfc(-z / mp.sqrt(2)) / 2 + z * mp.npdf(z), -0.75)
        assert mp.nstr(point.value._to_mpmath(60), 15) == mp.nstr(reference, 15)


def test_the_derivative_of_softplus_is_certified_though_softplus_has_no_normal_form() -> None:
    properties = calculus.properties(softplus(x), x)
    assert properties["critical_points"].how == "certified"
    assert properties["roots"].how == "proven"  # positive by its form
    assert properties["lipschitz"].value == 1


def test_what_cancellation_leaves_in_a_tail_is_no_zero() -> None:
    # 1 + erf(x) is 0 in 50 digits below −10.5, and the sign of its last digits before that is an accident.
    expr = x * (1 + sympy.erf(x)) / 3 + sympy.exp(-(x**2)) / 7
    assert [round(float(z), 6) for z in calculus.zeros(expr, x)] == [-1.006431]


def test_zeros_where_the_sign_stays_are_found() -> None:
    expr = sympy.tanh(x) * sympy.tanh(x - 1) ** 2 * sympy.tanh(x - sympy.Rational(1, 3)) ** 2
    assert [float(z) for z in calculus.zeros(expr, x)] == [0, pytest.approx(1 / 3), 1]
    assert [float(z) for z in calculus.zeros(sympy.erf(x), x)] == [0]
    assert [float(z) for z in calculus.zeros(sympy.Piecewise((0, x < 1), (x - 3, True)), x)] == [3]


def test_periodic_functions_are_told_to_be_scanned() -> None:
    properties = calculus.properties(SNAKE, x)
    turning = properties["critical_points"]
    assert len(turning.value) == 25  # f′ = 1 + sin 2x touches 0 at π·(k − ¼)
    for point in turning.value:
        k = float(point.value) / math.pi + 0.25
        assert k == pytest.approx(round(k), abs=1e-12)
    assert turning.how == properties["inflections"].how == "numerical"
    assert properties["monotone"].value == "strictly increasing"
    assert "… ," in properties._repr_markdown_()
    assert value(sympy.sin(x), "limits") == (None, None)
    assert show(value(sympy.sin(x), "range")) == "[−1, 1]"


def test_growing_swings_have_no_bound() -> None:
    properties = calculus.properties(x * sympy.cos(x), x)
    assert value(x * sympy.cos(x), "range") == sympy.Interval(-oo, oo)
    assert properties["lipschitz"].value == oo
    assert properties["minimum"].how == "numerical"


@pytest.mark.parametrize("expr", [sympy.log(x), sympy.sqrt(x), 1 / sympy.sin(x - sympy.Rational(1, 3))])
def test_a_formula_that_is_no_number_somewhere_is_refused(expr: sympy.Expr) -> None:
    with pytest.raises(CosnbError, match=r"no real value at x|has it a pole"):
        calculus.properties(expr, x)


@pytest.mark.parametrize("text", ["max(x**2, exp(x))", "max(x, 2**x)"])
def test_borders_that_no_algebra_finds_are_said(text: str) -> None:
    with pytest.raises(CosnbError, match="no properties: the algebra does not find the numbers"):
        activation(text).properties()


def test_towers_of_exponentials_end() -> None:
    tower = sympy.exp(sympy.exp(x))
    assert [p.exact for p in value(x * sympy.tanh(tower), "roots")] == [0]  # type: ignore[attr-defined]
    with pytest.raises(CosnbError, match=r"no real value at x = 1\.98 that can be computed"):
        calculus.properties(x * sympy.erf(sympy.exp(sympy.exp(tower))), x)


@pytest.mark.parametrize("expr", [x, sympy.Integer(3), x**3 - x, sigmoid(x) + sigmoid(-x)], ids=str)
def test_plain_formulas(expr: sympy.Expr) -> None:
    properties = calculus.properties(sympy.sympify(expr), x)
    assert properties["smoothness"].value == "C^∞"
    assert "f = " in repr(properties)
