"""Limits, critical points, extrema and the rest against the book's figures and hand-written oracles."""

import mpmath
import pytest
import sympy
from mpmath import mp
from oracles import LIMITS, SMOOTH, oracle

from cosnb.activations import activation
from cosnb.analysis import bounds, calculus
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.functions import sigmoid

COS, SWISH, MISH = (activation(name).expr for name in ("cos", "swish", "mish"))
# Zeros of CoS, CoS′ and CoS″ as they stand in the book, to the digits given there.
ROOTS = (-1.86772, 0.0)
CRITICAL = (-1.23181, -0.57103, -0.16715)
INFLECTIONS = (-2.3977, -0.8243, -0.3094, 0.3094, 0.8243, 2.3977)
# How many roots, critical points and inflections each has.
COUNTS = {"sigmoid": (0, 0, 1), "tanh": (1, 0, 1), "swish": (1, 1, 2), "mish": (1, 1, 2), "cos": (2, 3, 6)}
POINTS = ("roots", "critical_points", "inflections")
QUARTER = sympy.Rational(1, 4)
MIRROR = "f(x) − f(−x) = x"


def refined(name: str, order: int, start: float) -> mpmath.mpf:
    """A zero of the hand-written function, found by another method, to 50 digits."""
    with mp.workdps(50):
        return mp.findroot(lambda z: oracle(name, z, order), start)


def value(name: str, key: str) -> object:
    return activation(name).properties()[key].value


@pytest.mark.parametrize(("order", "printed", "digits"), [(0, ROOTS, 5), (1, CRITICAL, 5), (2, INFLECTIONS, 4)])
def test_zeros_of_cos_and_its_derivatives(order: int, printed: tuple[float, ...], digits: int) -> None:
    found = calculus.zeros(activation("cos").derivative(order), x)
    assert [round(float(z), digits) for z in found] == list(printed)
    with mp.workdps(50):
        for z in found:
            assert abs(z._to_mpmath(160) - refined("cos", order, float(z))) <= mp.mpf(10) ** -30


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("order", range(3))
def test_the_number_of_zeros_is_certified(name: str, order: int) -> None:
    finding = activation(name).properties()[POINTS[order]]
    assert len(finding.value) == COUNTS[name][order]
    assert finding.how == "certified"
    assert "interval Newton on [" in finding.reason
    assert "boxes" not in str(activation(name).properties().rows())  # the table says the method alone


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("order", range(3))
def test_the_limits_of_derivatives_are_proven(name: str, order: int) -> None:
    finding = activation(name).properties(order)["limits"]
    assert finding.how == "proven"
    assert [float(v) for v in finding.value] == [float(ends[order]) for ends in LIMITS[name]]


@pytest.mark.parametrize("name", SMOOTH)
def test_smoothness_is_proven(name: str) -> None:
    properties = activation(name).properties()
    assert (properties["smoothness"].value, properties["smoothness"].how) == ("C^∞", "proven")
    assert properties["kinks"].value == properties["jumps"].value == ()


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [("sigmoid", 0, 1), ("tanh", -1, 1), ("swish", 0, x), ("mish", 0, x), ("cos", QUARTER, x + QUARTER)],
)
def test_asymptotes_are_proven(name: str, left: sympy.Expr, right: sympy.Expr) -> None:
    finding = activation(name).properties()["asymptotes"]
    assert finding.how == "proven"
    assert finding.value == (left, right)


@pytest.mark.parametrize(
    ("name", "parity"),
    [("sigmoid", "neither"), ("tanh", "odd"), ("swish", MIRROR), ("mish", "neither"), ("cos", MIRROR)],
)
def test_parity_is_proven(name: str, parity: str) -> None:
    finding = activation(name).properties()["parity"]
    assert (finding.value, finding.how) == (parity, "proven")


def test_derivatives_have_the_opposite_parity() -> None:
    assert [activation("tanh").properties(n)["parity"].value for n in range(4)] == ["odd", "even", "odd", "even"]


def test_the_minimum_of_cos() -> None:
    finding = activation("cos").properties()["minimum"]
    assert (finding.how, finding.digits) == ("certified", 15)
    assert finding.value.attained
    assert round(float(finding.value.value), 5) == -0.03757
    assert round(float(finding.value.at), 5) == -0.16715
    assert value("cos", "range") == sympy.Interval(finding.value.value, sympy.oo)
    assert str(value("cos", "maximum")) == "none"
    assert value("cos", "bounded_below") is True
    assert value("cos", "bounded_above") is False


@pytest.mark.parametrize(("name", "bound"), [("cos", "1.12183"), ("swish", "1.09984"), ("mish", "1.08850")])
def test_the_largest_slope(name: str, bound: str) -> None:
    finding = activation(name).properties()["lipschitz"]
    assert finding.how == "certified"
    assert f"{float(finding.value):.5f}" == bound
    # No slope of the oracle on a grid is larger, and one comes near.
    steepest = max(abs(oracle(name, i / 64, 1)) for i in range(-512, 513))
    assert -1e-3 < steepest - finding.value < 1e-15


@pytest.mark.parametrize(("name", "start"), [("swish", -1.28), ("mish", -1.19), *(("cos", z) for z in CRITICAL)])
def test_critical_points_are_good_to_15_digits(name: str, start: float) -> None:
    reference = refined(name, 1, start)
    nearest = min(calculus.critical_points(activation(name).expr, x), key=lambda p: abs(p.value - start))
    with mp.workdps(50):
        assert mp.nstr(nearest.value._to_mpmath(60), 15) == mp.nstr(reference, 15)
        assert mp.nstr(nearest.f._to_mpmath(60), 15) == mp.nstr(oracle(name, reference), 15)


def test_the_minimum_of_swish_is_exact_in_lambert_s_w() -> None:
    (point,) = calculus.critical_points(SWISH, x)
    assert point.exact == -1 - sympy.LambertW(sympy.exp(-1))
    assert round(float(point.f), 5) == -0.27846
    assert float(sympy.N(SWISH.subs(x, point.exact), 20) + sympy.LambertW(sympy.exp(-1)).evalf(20)) == pytest.approx(0)
    assert value("swish", "minimum").at == point.exact  # type: ignore[attr-defined]


def test_lambert_s_w_with_a_rate() -> None:
    (point,) = calculus.critical_points(x * sigmoid(sympy.Rational("1.702") * x), x)
    assert sympy.simplify(point.exact + (1 + sympy.LambertW(sympy.exp(-1))) / sympy.Rational("1.702")) == 0


def test_the_critical_point_of_mish() -> None:
    (point,) = calculus.critical_points(MISH, x)
    assert round(float(point.value), 4) == -1.1924
    assert point.exact is None


@pytest.mark.parametrize(
    ("name", "minimum", "maximum", "range_"),
    [
        ("sigmoid", "none: 0 is approached for x → −∞", "none: 1 is approached for x → ∞", "(0, 1)"),
        ("tanh", "none: −1 is approached for x → −∞", "none: 1 is approached for x → ∞", "(−1, 1)"),
        ("relu", "0, on (−∞, 0]", "none", "[0, ∞)"),
        ("relu6", "0, on (−∞, 0]", "6, on [6, ∞)", "[0, 6]"),
    ],
)
def test_bounds_that_are_no_critical_points(name: str, minimum: str, maximum: str, range_: str) -> None:
    assert (str(value(name, "minimum")), str(value(name, "maximum"))) == (minimum, maximum)
    assert f" {range_} " in next(line for line in repr(activation(name).properties()).splitlines() if "range" in line)
    assert value(name, "critical_points") == ()


@pytest.mark.parametrize(
    ("name", "monotone", "convex"),
    [
        ("sigmoid", "strictly increasing", "neither"),
        ("relu", "increasing", "convex"),
        ("relu6", "increasing", "neither"),
        ("swish", "no", "neither"),
    ],
)
def test_monotone_and_convex(name: str, monotone: str, convex: str) -> None:
    assert (value(name, "monotone"), value(name, "convex")) == (monotone, convex)


def test_a_maximum_is_told_from_a_minimum_and_from_a_supremum() -> None:
    hump = calculus.study(activation("sigmoid").expr, x, 1)
    assert bounds.extremum(hump, -1).value == (0.25, 0, True) or str(bounds.extremum(hump, -1).value) == "1/4, at 0"
    assert not bounds.extremum(hump, 1).value.attained  # 0 is the infimum


def test_linear_numerators_only_are_solved_exactly() -> None:
    assert [p.exact for p in calculus.critical_points(COS, x)] == [None, None, None]
    (point,) = calculus.critical_points((x + 1) * sigmoid(x), x)  # (x + 2)·t + 1 = 0 for x < 0, e^x = t
    assert point.exact is not None
    assert abs(sympy.N(sympy.diff((x + 1) * sigmoid(x), x).subs(x, point.exact), 20)) < 1e-18
    assert [p.exact for p in calculus.properties((x + 1) * sigmoid(x), x)["roots"].value] == [-1]


def test_properties_are_a_table_and_a_dictionary() -> None:
    properties = activation("cos").properties()
    assert set(properties) >= {"limits", "roots", "minimum", "lipschitz", "parity"}
    assert len(dict(properties)) == len(properties) == 20
    markdown = properties._repr_markdown_()
    assert len(markdown.splitlines()) == 2 + 14  # no kinks or jumps to name; bounds are in the range
    assert "| minimum | −0.0375728, at −0.167154 | certified, 15 digits |" in markdown
    assert "limits of f at −∞, ∞   1/4, ∞  [proven]" in repr(properties)
