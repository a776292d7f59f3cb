"""Certified counts of zeros, against Sturm's theorem, constructed functions and a fine grid; none may be lost."""

import random

import mpmath
import pytest
import sympy
from mpmath import mp

from cosnb.activations import activation
from cosnb.analysis import calculus, exponentials
from cosnb.analysis.exponentials import ExpSum, HalfLine, half_lines, poly
from cosnb.analysis.intervals import Uncertified, isolate
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.functions import sigmoid
from cosnb.symbolic.normal_form import normal_form, t


def halves(name: str) -> tuple[HalfLine, HalfLine]:
    found = half_lines(normal_form(activation(name).expr, x))
    assert found is not None
    return found


def number(f: ExpSum, y: mpmath.mpf) -> mpmath.mpf:
    decay = mp.exp(-y * f.rate.p / f.rate.q)
    return mp.mpf(1) * (
        sum(mp.mpf(int(c.p)) / int(c.q) * decay**k for (k,), c in f.a.terms()) * y
        + sum(mp.mpf(int(c.p)) / int(c.q) * decay**k for (k,), c in f.b.terms())
    )


@pytest.mark.parametrize("seed", range(25))
def test_polynomials_in_t_have_the_zeros_that_sturm_counts(seed: int) -> None:
    draw = random.Random(seed)
    p = poly(sum(draw.randint(-20, 20) * t**k for k in range(draw.randint(2, 8))) + t**8)
    inside = sympy.Poly(p, t).count_roots(0, 1) - (p.eval(0) == 0) - (p.eval(1) == 0)
    rate = sympy.Rational(draw.randint(1, 9), draw.randint(1, 9))
    found = isolate(ExpSum(poly(0), p * poly(sympy.Rational(1, draw.randint(1, 9))), rate))
    assert len(found.zeros) == inside
    roots = sorted(float(-sympy.log(r.evalf(30)) / rate) for r in p.real_roots() if 0 < r < 1)
    assert [float(z) for z in found.zeros] == pytest.approx(roots, rel=1e-14)


@pytest.mark.parametrize("seed", range(25))
def test_no_sign_change_of_a_fine_grid_is_missed(seed: int) -> None:
    draw = random.Random(seed)
    over = sympy.Rational(1, draw.randint(1, 6))  # fractions: f and its slope must be scaled alike
    a, b = (poly(sum(draw.randint(-9, 9) * over * t**k for k in range(6))) for _ in range(2))
    f = ExpSum(a, b, sympy.Rational(draw.randint(2, 9), draw.randint(2, 4)))
    found = isolate(f)
    with mp.workdps(40):
        grid = [mp.mpf(i) / 64 + mp.mpf("1e-9") for i in range(64 * 40)]
        signs = [mp.sign(number(f, y)) for y in grid]
        changes = [grid[i] for i in range(1, len(grid)) if signs[i] != signs[i - 1]]
        assert len(found.zeros) >= len(changes)
        for change in changes:
            assert any(change - mp.mpf(1) / 64 <= z <= change for z in found.zeros)
        for z in found.zeros:
            assert mp.sign(number(f, z * (1 - mp.mpf("1e-25")))) == -mp.sign(number(f, z * (1 + mp.mpf("1e-25"))))


@pytest.mark.parametrize("gap", ["1e-4", "1e-8"])
def test_two_zeros_close_together_are_both_counted(gap: str) -> None:
    near = 2 * (1 + sympy.Rational(gap))
    expr = (sigmoid(x) - sympy.Rational(2, 3)) * (sigmoid(x) - near / (1 + near))  # 0 at e^x = 2 and 2·(1 + gap)
    finding = calculus.properties(expr, x)["roots"]
    assert finding.how == "certified"
    assert len(finding.value) == 2
    with mp.workdps(30):
        for point, expected in zip(finding.value, (mp.log(2), mp.log(2) + mp.log1p(mp.mpf(gap))), strict=True):
            assert abs(point.value._to_mpmath(60) - expected) < 1e-14


def test_fractions_and_rates_lose_no_zero() -> None:
    (point,) = calculus.properties(sympy.tanh(x) + sympy.Rational(1, 4), x)["roots"].value
    assert float(point.value) == pytest.approx(-float(mp.atanh(0.25)), rel=1e-14)


def test_a_double_zero_is_not_certified_and_found_all_the_same() -> None:
    finding = calculus.properties((sigmoid(x) - sympy.Rational(2, 3)) ** 2, x)["roots"]
    assert finding.how == "numerical"
    assert "not certified" in finding.reason
    (point,) = finding.value
    assert float(point.value) == pytest.approx(float(mp.log(2)), rel=1e-14)


def test_a_box_limit_makes_it_numerical(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Uncertified, match="within 5 boxes"):
        isolate(halves("cos")[0].numerator, max_boxes=4)


@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_a_multiple_zero_at_0_is_divided_out(power: int) -> None:
    found = half_lines(normal_form(sympy.tanh(x) ** power * (sigmoid(x) - sympy.Rational(3, 4)), x))
    assert found is not None
    left, right = (isolate(half.numerator) for half in found)
    assert left.multiplicity == right.multiplicity == power
    assert left.zeros == ()
    assert [float(z) for z in right.zeros] == [pytest.approx(float(mp.log(3)))]


def test_a_zero_far_out_is_found() -> None:
    expr = sigmoid(x) - sympy.Rational(10**12, 10**12 + 1)
    (point,) = calculus.properties(expr, x)["roots"].value
    assert float(point.value) == pytest.approx(12 * float(mp.log(10)), rel=1e-14)


@pytest.mark.parametrize("name", ["swish", "mish", "cos"])
@pytest.mark.parametrize("order", range(3))
def test_beyond_the_radius_the_sign_stays(name: str, order: int) -> None:
    for negative, half in zip((True, False), halves(name), strict=True):
        for _ in range(order):
            half = half.derivative(negative)
        n = half.numerator.stripped()
        found = isolate(n)
        with mp.workdps(60):
            signs = {int(mp.sign(number(n, found.radius * mp.mpf("1.3") ** k))) for k in range(20)}
        assert signs == {found.signs[-1]}


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "swish", "mish", "cos"])
def test_derivatives_of_half_lines_are_exact(name: str) -> None:
    expr = activation(name).expr
    for negative, half in zip((True, False), halves(name), strict=True):
        for order in range(1, 4):
            half = half.derivative(negative)
            at = sympy.Rational(-3 if negative else 3, 4)
            expected = sympy.N(sympy.diff(expr, x, order).rewrite(sympy.exp).subs(x, at), 30)
            with mp.workdps(30):
                y = mp.mpf("0.75")
                decay = mp.exp(-y * half.numerator.rate.p / half.numerator.rate.q)
                below = sum(mp.mpf(int(c.p)) / int(c.q) * decay**k for (k,), c in half.denominator().terms())
                assert abs(number(half.numerator, y) / below - expected._to_mpmath(110)) < 1e-25


def test_irrational_coefficients_and_other_formulas_are_outside() -> None:
    assert half_lines(None) is None
    assert exponentials.half_line_of(sympy.exp(x**2), x, True) is None
    assert exponentials.half_line_of(sympy.exp(-x), x, True) is None  # grows without bound for x < 0
    assert exponentials.half_line_of(sympy.sqrt(2) * sympy.exp(x), x, True) is None


def test_both_branches_agree_on_parity() -> None:
    assert exponentials.parity(*halves("tanh")) == "odd"
    negative, positive = halves("tanh")
    assert exponentials.parity(negative.derivative(True), positive.derivative(False)) == "even"
    assert exponentials.parity(*halves("mish")) == "neither"
