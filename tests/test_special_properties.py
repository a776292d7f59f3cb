"""Properties of formulas that are singular where pieces meet, or at a number inside."""

import mpmath
import pytest
import sympy
from mpmath import mp

from cosnb import CosnbError
from cosnb.analysis.calculus import properties
from cosnb.symbolic import parsing
from cosnb.symbolic.catalogue import x

oo = sympy.oo
# Smoothness, minimum, maximum, kinks, vertical tangents, jumps, poles, monotone, convex, parity: by hand.
VALUES: dict[str, tuple] = {
    "sqrt(abs(x))": ("continuous", 0, oo, (0,), (0,), (), (), "no", "neither", "even"),
    "sign(x)*sqrt(abs(x))": ("continuous", -oo, oo, (), (0,), (), (), "strictly increasing", "neither", "odd"),
    "abs(x)**0.25": ("continuous", 0, oo, (0,), (0,), (), (), "no", "neither", "even"),
    "abs(x)**0.75": ("continuous", 0, oo, (0,), (0,), (), (), "no", "neither", "even"),
    "abs(x)**1.5": ("C^1", 0, oo, (), (), (), (), "no", "convex", "even"),
    "abs(x)**2.5": ("C^2", 0, oo, (), (), (), (), "no", "convex", "even"),
    "x*sqrt(abs(x))": ("C^1", -oo, oo, (), (), (), (), "strictly increasing", "neither", "odd"),
    "sqrt(relu(x))": ("continuous", 0, oo, (0,), (0,), (), (), "increasing", "neither", "neither"),
    "relu(x)**1.5": ("C^1", 0, oo, (), (), (), (), "increasing", "convex", "neither"),
    "where(x > 0, sqrt(x), 0)": ("continuous", 0, oo, (0,), (0,), (), (), "increasing", "neither", "neither"),
    "where(x >= 0, sqrt(x), 0)": ("continuous", 0, oo, (0,), (0,), (), (), "increasing", "neither", "neither"),
    "where(x >= 0, sqrt(x), -sqrt(-x))": (
        *("continuous", -oo, oo, (), (0,), (), ()),
        *("strictly increasing", "neither", "odd"),
    ),
    "where(x > 0, -x*log(x), 0)": ("continuous", -oo, "1/e", (0,), (0,), (), (), "no", "neither", "neither"),
    "where(x > 0, x**2*log(x), 0)": ("C^1", "-1/(2*e)", oo, (), (), (), (), "no", "neither", "neither"),
    "where(x > 0, exp(-1/x), 0)": ("C^∞", 0, 1, (), (), (), (), "increasing", "neither", "neither"),
    "where(x > 0, log(1 + x), -sqrt(-x))": (
        *("continuous", -oo, oo, (0,), (0,), (), ()),
        *("strictly increasing", "neither", "neither"),
    ),
    "exp(-1/abs(x))": ("C^∞", 0, 1, (), (), (), (), "no", "neither", "even"),
    "exp(-1/x**2)": ("C^∞", 0, 1, (), (), (), (), "no", "neither", "even"),
    "where(x == 0, 0, exp(-1/x**2))": ("C^∞", 0, 1, (), (), (), (), "no", "neither", "even"),
    "where(x == 0, 1, sin(x)/x)": ("C^∞", "sinc", 1, (), (), (), (), "no", "neither", "even"),
    "sin(x)/x": ("C^∞", "sinc", 1, (), (), (), (), "no", "neither", "even"),
    "sin(abs(x))/abs(x)": ("C^∞", "sinc", 1, (), (), (), (), "no", "neither", "even"),
    "where(x == 0, 1, expm1(x)/x)": ("C^∞", 0, oo, (), (), (), (), "strictly increasing", "convex", "neither"),
    "x/(1 - exp(-x))": ("C^∞", 0, oo, (), (), (), (), "strictly increasing", "convex", "f(x) − f(−x) = x"),
    "x/(exp(x) - 1)": ("C^∞", 0, oo, (), (), (), (), "strictly decreasing", "convex", "neither"),
    "tanh(x)/x": ("C^∞", 0, 1, (), (), (), (), "no", "neither", "even"),
    "erf(x)/x": ("C^∞", 0, "2/sqrt(pi)", (), (), (), (), "no", "neither", "even"),
    "log1p(x**2)/x**2": ("C^∞", 0, 1, (), (), (), (), "no", "neither", "even"),
    "(exp(x) - 1 - x)/x**2": ("C^∞", 0, oo, (), (), (), (), "strictly increasing", "convex", "neither"),
    "(1 - cos(x))/x**2": ("C^∞", 0, "1/2", (), (), (), (), "no", "neither", "even"),
    "log(abs(x))": ("discontinuous", -oo, oo, (), (), (), (0,), "no", "neither", "even"),
    "x*log(abs(x))": ("continuous", -oo, oo, (), (0,), (), (), "no", "neither", "odd"),
    "where(x == 0, 0, x*log(abs(x)))": ("continuous", -oo, oo, (), (0,), (), (), "no", "neither", "odd"),
    "x**2*log(abs(x))": ("C^1", "-1/(2*e)", oo, (), (), (), (), "no", "neither", "even"),
    "1/abs(x)": ("discontinuous", 0, oo, (), (), (), (0,), "no", "neither", "even"),
    "abs(x)**-0.5": ("discontinuous", 0, oo, (), (), (), (0,), "no", "neither", "even"),
    "1/x": ("discontinuous", -oo, oo, (), (), (), (0,), "no", "neither", "odd"),
    "1/x**2": ("discontinuous", 0, oo, (), (), (), (0,), "no", "neither", "even"),
    "1/(x - 1)": ("discontinuous", -oo, oo, (), (), (), (1,), "no", "neither", "neither"),
    "where(x > 0, 1/x, 0)": ("discontinuous", 0, oo, (), (), (), (0,), "no", "neither", "neither"),
    "max(1/abs(x), 1)": ("discontinuous", 1, oo, (-1, 1), (), (), (0,), "no", "neither", "even"),
    "x/abs(x)": ("discontinuous", -1, 1, (), (), (0,), (), "increasing", "neither", "odd"),
    "relu(x)/x": ("discontinuous", 0, 1, (), (), (0,), (), "increasing", "neither", "neither"),
    "where(x == 0, 5, x)": ("discontinuous", -oo, oo, (), (), (0,), (), "no", "neither", "neither"),
    "where(x == 1, 0, x**2)": ("discontinuous", 0, oo, (), (), (1,), (), "no", "neither", "neither"),
    "x**3/abs(x)": ("C^1", -oo, oo, (), (), (), (), "strictly increasing", "neither", "odd"),
    "sqrt(abs(x - 1))": ("continuous", 0, oo, (1,), (1,), (), (), "no", "neither", "neither"),
    "where(abs(x) < 1, sqrt(1 - x**2), 0)": ("continuous", 0, 1, (-1, 1), (-1, 1), (), (), "no", "neither", "even"),
    "tanh(sqrt(abs(x)))": ("continuous", 0, 1, (0,), (0,), (), (), "no", "neither", "even"),
    "min(sqrt(abs(x)), 1)": ("continuous", 0, 1, (-1, 0, 1), (0,), (), (), "no", "neither", "even"),
    "log(abs(x))*exp(-x**2)": ("discontinuous", -oo, "bell", (), (), (), (0,), "no", "neither", "even"),
}


def number(value: object) -> mpmath.mpf:
    if value == "sinc":  # sin x/x at the first positive zero of its derivative
        zero = mp.findroot(lambda z: z * mp.cos(z) - mp.sin(z), 4.5)
        return mp.sin(zero) / zero
    if value == "bell":
        zero = mp.findroot(lambda z: 1 / z - 2 * z * mp.log(z), 1.3)
        return mp.log(zero) * mp.exp(-(zero**2))
    return mp.mpf(sympy.N(sympy.sympify(value, {"e": sympy.E}), 30)._to_mpmath(100))


@pytest.mark.parametrize("text", VALUES)
def test_properties_are_those_found_by_hand(text: str) -> None:
    smooth, low, high, kinks, vertical, jumps, poles, monotone, convex, parity = VALUES[text]
    found = properties(parsing.parse(text), x)
    assert found["smoothness"].value == smooth
    for key, want in (("minimum", low), ("maximum", high)):
        assert float(found[key].value.value) == pytest.approx(float(number(want)), rel=1e-14), key
    names = {"kinks": kinks, "vertical_tangents": vertical, "jumps": jumps, "poles": poles}
    assert {key: found[key].value for key in names} == names
    assert [found[key].value for key in ("monotone", "convex", "parity")] == [monotone, convex, parity]
    unbounded = vertical or jumps or poles
    assert not unbounded or found["lipschitz"].value == oo
    assert all(found[key].how in ("proven", "certified", "numerical") for key in found)
    assert not any(word in repr(found).partition("\n")[2] for word in ("nan", "zoo"))


@pytest.mark.parametrize(
    "text", ["sqrt(abs(x))", "where(x == 0, 1, sin(x)/x)", "1/abs(x)", "where(x > 0, exp(-1/x), 0)"]
)
def test_algebra_proves_what_it_can(text: str) -> None:
    found = properties(parsing.parse(text), x)
    assert {found[key].how for key in ("smoothness", "kinks", "poles", "limits")} == {"proven"}


def test_the_derivatives_have_properties_too() -> None:
    for text in ("sqrt(abs(x))", "where(x == 0, 1, expm1(x)/x)", "x*log(abs(x))"):
        found = properties(parsing.parse(text), x, 1)
        assert found["smoothness"].value == ("C^∞" if "expm1" in text else "discontinuous")


def test_a_formula_without_values_on_an_interval_is_refused_in_a_sentence() -> None:
    with pytest.raises(CosnbError, match="no real number for −∞ < x < 0"):
        properties(parsing.parse("log(relu(x))"), x)
