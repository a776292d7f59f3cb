"""The normal form is the same function, without a pole, and keeps CoS's structure."""

import pytest
import sympy
from mpmath import mp
from oracles import SMOOTH, oracle

from cosnb.activations import activation
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.functions import sigmoid, softplus
from cosnb.symbolic.normal_form import Branch, NormalForm, count_operations, normal_form, s, t, with_s

CASES = [(name, order) for name in SMOOTH for order in (0, 1, 2)]
SIZES = ("1e-30", "1e-6", "0.125", "0.57103", "1", "2.4", "10", "77", "800")


def form_of(name: str, order: int) -> NormalForm:
    form = normal_form(activation(name).derivative(order), x)
    assert form is not None
    return form


def branches(form: NormalForm) -> tuple[Branch, Branch]:
    return form.positive, form.negative


@pytest.mark.parametrize(("name", "order"), CASES)
def test_each_branch_is_the_function_to_30_digits(name: str, order: int) -> None:
    form = form_of(name, order)
    with mp.workdps(1100):  # e^(−800) beside 1 needs 348 digits; CoS's t⁵ five times that, less what f itself needs
        for negative in (False, True):
            value = sympy.lambdify(x, form.branch_expr(x, negative), "mpmath")
            for size in map(mp.mpf, SIZES):
                point = -size if negative else size
                reference = oracle(name, point, order)
                assert abs(value(point) - reference) <= mp.mpf(10) ** -30 * abs(reference)


@pytest.mark.parametrize(("name", "order"), [("sigmoid", 1), ("tanh", 1), ("swish", 1), ("cos", 0)])
def test_each_branch_is_the_function_symbolically(name: str, order: int) -> None:
    y = sympy.Symbol("y", positive=True)  # e^x
    expr = activation(name).derivative(order)
    for negative in (False, True):
        difference = (form_of(name, order).branch_expr(x, negative) - expr).rewrite(sympy.exp)
        rational = difference.replace(
            lambda e: isinstance(e, sympy.exp), lambda e: y ** sympy.Poly(e.args[0], x).nth(1)
        )
        assert sympy.cancel(rational) == 0


@pytest.mark.parametrize(("name", "order"), CASES)
def test_no_denominator_has_a_zero_for_t_in_0_to_1(name: str, order: int) -> None:
    for branch in branches(form_of(name, order)):
        denominator = sympy.Poly(branch.denominator, t)
        assert denominator.eval(0) != 0
        assert denominator.degree() == 0 or denominator.count_roots(0, 1) == 0


@pytest.mark.parametrize(("name", "order"), CASES)
def test_slope_and_offset_are_polynomials_of_t_alone(name: str, order: int) -> None:
    for branch in branches(form_of(name, order)):
        assert all(
            e.subs(s, 1 - t).is_polynomial(t) and e.free_symbols <= {t, s} for e in (branch.slope, branch.offset)
        )


def test_swish_is_x_over_1_plus_t() -> None:
    assert form_of("swish", 0) == NormalForm(sympy.Integer(1), Branch(1, 0, 1 + t), Branch(t, 0, 1 + t))


@pytest.mark.parametrize(
    "expr",
    [
        activation("relu").expr,
        activation("relu6").expr,
        x * (1 + sympy.erf(x / sympy.sqrt(2))) / 2,
        x * sympy.exp(-sympy.exp(-x)),
        sympy.exp(-(x**2)),
        sympy.log(2 + sympy.exp(x)),
        sympy.sin(x),
        sigmoid(5 * x + 1),
        x**2 * sigmoid(x),
        x / (1 + sympy.Abs(x)),
        x,
        sympy.Integer(3),
        1 / (2 - sympy.exp(x)),  # a pole
    ],
    ids=str,
)
def test_formulas_outside_the_class_have_none(expr: sympy.Expr) -> None:
    assert normal_form(expr, x) is None


def test_a_constant_in_disguise_has_none_and_ends() -> None:
    assert normal_form(sympy.tanh(x) - 2 * sigmoid(2 * x) + 1, x) is None  # 0, once an endless loop
    assert normal_form(sympy.tanh(x) - 2 * sigmoid(2 * x), x) is None  # −1


def test_incommensurable_slopes_end_at_once_and_leave_the_class() -> None:
    assert activation("cos", a="4.9").derivative(1).subs(x, 0) == sympy.Rational(1, 2)
    assert normal_form(activation("cos", a="0.3333").expr, x) is None  # t = e^(−x/10000) would have degree 3333
    assert normal_form(activation("cos", a=7).expr, x) is not None
    assert normal_form(activation("cos", a="5/2").expr, x) is not None


def test_softplus_is_in_the_class_by_log1p() -> None:
    one, rest = sympy.Integer(1), (sympy.Integer(0), sympy.Integer(1), sympy.Integer(1))  # offset, denominator, log
    assert normal_form(softplus(x), x) == NormalForm(one, Branch(one, *rest), Branch(sympy.Integer(0), *rest))
    with mp.workdps(50):
        for name, expr in (("logsigmoid", -softplus(-x)), ("softplus", softplus(2 * x) / 2)):
            found = normal_form(expr, x)
            assert found is not None, name
            for point in map(mp.mpf, ("-30", "-1", "-1e-9", "0.5", "40")):
                value = sympy.lambdify(x, found.branch_expr(x, point < 0), "mpmath")(point)
                assert abs(value - sympy.lambdify(x, expr.rewrite(sympy.exp), "mpmath")(point)) < mp.mpf(10) ** -30


def test_two_rates_share_one_exponential() -> None:
    form = normal_form(sigmoid(x / 2) + sympy.tanh(x / 3), x)
    assert form is not None
    assert form.rate == sympy.Rational(1, 6)
    difference = form.branch_expr(x, True) - sigmoid(x / 2) - sympy.tanh(x / 3)
    assert abs(difference.rewrite(sympy.exp).subs(x, -3).evalf(30)) < 1e-28


# Operations of slope, offset and denominator, parts that they share counted once: measured 12, 19 and 36.
# The expanded quotient takes 34, 78 and 161, and 28, 52 and 92 by Horner's rule.
@pytest.mark.parametrize(("order", "most"), [(0, 14), (1, 22), (2, 40)])
def test_cos_keeps_its_structure(order: int, most: int) -> None:
    for branch in branches(form_of("cos", order)):
        parts = (branch.slope, branch.offset, branch.denominator)
        kept, expanded, nested = (
            count_operations(sympy.Tuple(*map(change, parts))) - 2  # the tuple's own two commas
            for change in (sympy.sympify, sympy.expand, lambda e: sympy.horner(sympy.expand(e), wrt=t))
        )
        assert kept <= most < nested < expanded


def test_the_expanded_quotient_of_cos_is_not_what_is_printed() -> None:
    for order, degree in ((0, 11), (1, 17), (2, 23)):
        assert sympy.degree(form_of("cos", order).negative.denominator, t) == degree
        assert f"t_{degree}" not in activation("cos").source("pytorch", order)


def test_tanh_keeps_its_factor_1_minus_t() -> None:
    for name, order in (("tanh", 0), ("tanh", 2), ("sigmoid", 2)):
        form = with_s(form_of(name, order))
        assert all(branch.offset.has(s) for branch in branches(form))
        assert all(not branch.offset.subs(s, 0) for branch in branches(form))
        for plain, written in zip(branches(form_of(name, order)), branches(form), strict=True):
            assert sympy.expand(plain.offset - written.offset.subs(s, 1 - t)) == 0


@pytest.mark.parametrize(
    ("expr", "operations"), [(t**5, 3), (t**8, 3), ((1 + t) ** 2 * (1 + t), 3), (t + t**2, 2), (t, 0)]
)
def test_operations_are_counted_with_repeated_squaring(expr: sympy.Expr, operations: int) -> None:
    assert count_operations(expr) == operations
