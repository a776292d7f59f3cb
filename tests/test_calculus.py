"""Limits, critical points and extrema against the figures of the book's claims and mpmath's root finder."""

import mpmath
import pytest
import sympy
from mpmath import mp
from oracles import oracle

from cosnb.activation import activation
from cosnb.symbolic import calculus
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.functions import sigmoid

COS, SWISH, MISH = (activation(name).expr for name in ("cos", "swish", "mish"))
# Zeros of CoS, CoS′ and CoS″ as they stand in the book, to the digits given there.
ROOTS = (-1.86772, 0.0)
CRITICAL = (-1.23181, -0.57103, -0.16715)
INFLECTIONS = (-2.3977, -0.8243, -0.3094, 0.3094, 0.8243, 2.3977)


def refined(name: str, order: int, start: float) -> mpmath.mpf:
    """A zero of the hand-written function, found by another method, to 50 digits."""
    with mp.workdps(50):
        return mp.findroot(lambda z: oracle(name, z, order), start)


@pytest.mark.parametrize(("order", "printed", "digits"), [(0, ROOTS, 5), (1, CRITICAL, 5), (2, INFLECTIONS, 4)])
def test_zeros_of_cos_and_its_derivatives(order: int, printed: tuple[float, ...], digits: int) -> None:
    found = calculus.zeros(activation("cos").derivative(order), x)
    assert [round(float(z), digits) for z in found] == list(printed)
    with mp.workdps(50):
        for z in found:
            assert abs(z._to_mpmath(160) - refined("cos", order, float(z))) <= mp.mpf(10) ** -30


def test_cos_has_the_book_s_limits_and_minimum() -> None:
    properties = activation("cos").properties()
    assert properties["limits"] == (sympy.Rational(1, 4), sympy.oo)
    assert properties["derivative_limits"] == (0, 1)
    assert calculus.limit(COS - x, x, sympy.oo) == sympy.Rational(1, 4)
    assert [round(float(p.value), 5) for p in properties["critical_points"]] == list(CRITICAL)
    assert [round(float(p.f), 5) for p in properties["critical_points"]][2] == round(float(properties["minimum"].f), 5)
    assert round(float(properties["minimum"].f), 5) == -0.03757
    assert round(float(properties["minimum"].value), 5) == -0.16715
    assert properties["maximum"] is None
    assert properties["normal_form"] is not None


def test_cos_minus_its_mirror_image_is_x() -> None:
    y = sympy.Symbol("y", positive=True)  # e^x
    difference = (COS - COS.subs(x, -x) - x).rewrite(sympy.exp)
    rational = difference.replace(lambda e: isinstance(e, sympy.exp), lambda e: y ** (e.args[0] / x))
    assert sympy.cancel(rational) == 0


def test_the_largest_slope_of_cos() -> None:
    slopes = [sympy.diff(COS, x).subs(x, z).evalf(20) for z in calculus.zeros(sympy.diff(COS, x, 2), x)]
    assert round(float(max(slopes)), 5) == 1.12183


@pytest.mark.parametrize(("name", "start"), [("swish", -1.28), ("mish", -1.19), *(("cos", z) for z in CRITICAL)])
def test_critical_points_are_good_to_15_digits(name: str, start: float) -> None:
    reference = refined(name, 1, start)
    points = activation(name).properties()["critical_points"]
    nearest = min(points, key=lambda p: abs(p.value - start))
    with mp.workdps(50):
        assert mp.nstr(nearest.value._to_mpmath(60), 15) == mp.nstr(reference, 15)
        assert mp.nstr(nearest.f._to_mpmath(60), 15) == mp.nstr(oracle(name, reference), 15)


def test_the_minimum_of_swish_is_exact_in_lambert_s_w() -> None:
    (point,) = activation("swish").properties()["critical_points"]
    assert point.exact == -1 - sympy.LambertW(sympy.exp(-1))
    assert point.how == "symbolic"
    assert round(float(point.f), 5) == -0.27846
    assert sympy.N(SWISH.subs(x, point.exact), 20) + sympy.LambertW(sympy.exp(-1)).evalf(20) == pytest.approx(
        0, abs=1e-18
    )
    assert activation("swish").properties()["minimum"] == point


def test_the_critical_point_of_mish_is_numerical_and_says_so() -> None:
    (point,) = activation("mish").properties()["critical_points"]
    assert round(float(point.value), 4) == -1.1924
    assert point.exact is None
    assert point.how == "numerical, 15 digits"


@pytest.mark.parametrize(
    ("name", "limits", "slopes"),
    [
        ("sigmoid", (0, 1), (0, 0)),
        ("tanh", (-1, 1), (0, 0)),
        ("relu", (0, sympy.oo), (0, 1)),
        ("relu6", (0, 6), (0, 0)),
        ("swish", (0, sympy.oo), (0, 1)),
        ("mish", (0, sympy.oo), (0, 1)),
    ],
)
def test_limits_of_the_others(name: str, limits: tuple[object, ...], slopes: tuple[object, ...]) -> None:
    properties = activation(name).properties()
    assert properties["limits"] == limits
    assert properties["derivative_limits"] == slopes


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "relu6"])
def test_monotonic_functions_have_no_critical_point(name: str) -> None:
    properties = activation(name).properties()
    assert properties["critical_points"] == []
    assert properties["minimum"] is properties["maximum"] is None


def test_a_maximum_is_told_from_a_minimum_and_from_a_supremum() -> None:
    hump = activation("sigmoid").derivative(1)
    (top,) = calculus.critical_points(hump, x)
    assert (float(top.value), float(top.f)) == (0, 0.25)
    assert calculus.extremum(hump, x, [top], -1) == top
    assert calculus.extremum(hump, x, [top], 1) is None  # 0 is the infimum, not attained


def test_formulas_outside_the_normal_form_are_done_by_the_general_way() -> None:
    gelu = x * (1 + sympy.erf(x / sympy.sqrt(2))) / 2
    assert calculus.limit(gelu, x, -sympy.oo) == 0
    (point,) = calculus.critical_points(gelu, x)
    with mp.workdps(30):
        reference = mp.findroot(lambda z: mp.erfc(-z / mp.sqrt(2)) / 2 + z * mp.npdf(z), -0.75)
        assert mp.nstr(point.value._to_mpmath(60), 15) == mp.nstr(reference, 15)


def test_what_cancellation_leaves_in_a_tail_is_no_zero() -> None:
    # 1 + erf(x) is 0 in 40 digits below −9.4, and the sign of its last digits before that is an accident.
    expr = x * (1 + sympy.erf(x)) / 3 + sympy.exp(-(x**2)) / 7
    assert [round(float(z), 6) for z in calculus.zeros(expr, x)] == [-1.006431]


def test_zeros_on_the_scan_s_grid_are_found_whether_the_sign_changes_or_stays() -> None:
    for expr, expected in (
        (sympy.tanh(x) * sympy.tanh(x - 1) ** 2, [0, 1]),
        (sympy.erf(x), [0]),
        (sympy.Piecewise((0, x < 1), (x - 3, True)), [3]),  # not the interval where it is 0
    ):
        assert [float(z) for z in calculus.zeros(expr, x)] == expected


def test_linear_numerators_only_are_solved_exactly() -> None:
    assert [p.exact for p in calculus.critical_points(COS, x)] == [None, None, None]
    (point,) = calculus.critical_points((x + 1) * sigmoid(x), x)  # (x + 2)·t + 1 = 0 for x < 0, e^x = t
    assert point.exact is not None
    assert sympy.N(sympy.diff((x + 1) * sigmoid(x), x).subs(x, point.exact), 20) == pytest.approx(0, abs=1e-18)
