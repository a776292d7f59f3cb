"""Each statement about equation (5) is a predicate: CoS passes it, and some other formula breaks it."""

import pytest
import sympy

from cosnb.activations import activation
from cosnb.book.readings import (
    ADDED,
    HALF,
    READINGS,
    STATEMENTS,
    Finding,
    added_square,
    goes_through_the_origin,
    has_an_additional_curve,
    has_no_other_number,
    has_smaller_negative_bound,
    has_visibly_smaller_bound,
    is_more_non_monotonic,
    is_placed_by_5_and_half,
    is_smooth_and_costlier,
    is_swish_plus_squared_sigmoid,
    statement_table,
)
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.functions import sigmoid

SWISH = x * sigmoid(x)
COS, INSIDE, OUTSIDE, SUBTRACTED, WEIGHTED, PLUS, SHIFTED, SMALL, DOUBLED, HALVED, SQUARED_GATE, WITHIN, MEAN = READINGS


def test_cos_passes_all_five_and_what_is_added() -> None:
    assert activation("cos").expr == COS
    (row,) = statement_table((COS,))
    assert list(row) == [*STATEMENTS, *ADDED]
    assert all(finding.holds for finding in row.values())


# The statement that is asked is a cheap one that the reading breaks, so that the whole stays quick.
@pytest.mark.parametrize(
    ("reading", "statement"),
    [
        (INSIDE, goes_through_the_origin),  # f(0) = σ(½)², not 0
        (OUTSIDE, goes_through_the_origin),  # f(0) = −¼
        (SUBTRACTED, is_swish_plus_squared_sigmoid),
        (WEIGHTED, goes_through_the_origin),  # f(0) = ⅛
        (PLUS, goes_through_the_origin),  # f(0) = 1
        (SHIFTED, is_placed_by_5_and_half),  # 5/2
        (SMALL, is_placed_by_5_and_half),  # ¼
        (DOUBLED, has_no_other_number),  # a weight of 2, which the paper does not name
        (HALVED, has_no_other_number),  # ½ twice
        (SQUARED_GATE, is_swish_plus_squared_sigmoid),
        (WITHIN, goes_through_the_origin),  # f(0) = σ(−½)²
        (WITHIN, has_visibly_smaller_bound),
        (MEAN, is_swish_plus_squared_sigmoid),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),  # no address: several processes must agree
)
def test_every_other_reading_breaks_one(reading: sympy.Expr, statement) -> None:  # type: ignore[no-untyped-def]
    assert not statement(reading).holds


def test_the_readings_are_different_functions() -> None:
    values = {reading.subs(x, sympy.Rational(3, 7)).evalf(15) for reading in READINGS}
    assert len(values) == len(READINGS) == 13


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=lambda value: value.__name__)
def test_the_words_alone_do_not_settle_it(statement) -> None:  # type: ignore[no-untyped-def]
    """The ½ inside the sigmoid meets all that the paper says, its bound by four millionths of Swish's."""
    assert statement(WITHIN).holds


@pytest.mark.parametrize(
    ("expr", "why"),
    [
        (SWISH - (sigmoid(5 * x) - HALF) ** 2, "subtracted"),
        (SWISH + sigmoid(5 * x), "not the square"),
        (SWISH + (sigmoid(5 * x) + x) ** 2, "not the square"),
        (SWISH + (sigmoid(5 * x) ** 2 + 1) ** 2, "not the square"),
        (SWISH + (sigmoid(x) * sigmoid(5 * x)) ** 2, "not the square"),
        (SWISH + sympy.tanh(x) ** 2, "not the square"),
        (activation("mish").expr + sigmoid(5 * x) ** 2, "not the square"),
        (SWISH, "not the square"),
    ],
    ids=str,
)
def test_statement_1_wants_an_added_square_of_a_sigmoid(expr: sympy.Expr, why: str) -> None:
    finding = is_swish_plus_squared_sigmoid(expr)
    assert isinstance(finding, Finding)
    assert not finding.holds
    assert why in finding.evidence
    assert is_swish_plus_squared_sigmoid(SWISH + 3 * (2 * sigmoid(x) - 7) ** 2 + 1).holds


def test_the_added_square_is_taken_apart() -> None:
    square = added_square(SWISH + 3 * (2 * sigmoid(4 * x + 1) - 7) ** 2 + HALF)
    assert square is not None
    assert square == (3, 2 * sigmoid(4 * x + 1) - 7, 4 * x + 1, HALF)
    assert added_square(SWISH + 2) is None


@pytest.mark.parametrize(
    ("expr", "evidence"),
    [
        (SWISH + (sigmoid(4 * x) - HALF) ** 2, "numbers ½, 4;"),
        (SWISH + (sigmoid(5 * x) - sympy.Rational(1, 3)) ** 2, "numbers 1/3, 5;"),
        (SWISH + (sigmoid(5 * x) - HALF) ** 2 + 1, "infimum 0.9624"),
        (SWISH + sympy.tanh(5 * x) ** 2, "no squared sigmoid"),
    ],
    ids=str,
)
def test_statement_2_asks_for_5_a_half_and_swish_s_shape(expr: sympy.Expr, evidence: str) -> None:
    finding = is_placed_by_5_and_half(expr)
    assert not finding.holds
    assert evidence in finding.evidence


@pytest.mark.parametrize("expr", [SWISH, sigmoid(x), SWISH + (sigmoid(x) - HALF) ** 2, PLUS], ids=str)
def test_more_turns_of_f_and_of_its_derivative(expr: sympy.Expr) -> None:
    assert not is_more_non_monotonic(expr).holds
    assert is_more_non_monotonic(COS) == (True, "f turns 3 × (Swish: 1)")
    assert has_an_additional_curve(COS) == (True, "f′ turns 6 × (Swish: 2)")
    assert not has_an_additional_curve(SWISH).holds


@pytest.mark.parametrize("expr", [SWISH, SUBTRACTED, OUTSIDE, sigmoid(x)], ids=str)
def test_statement_4_wants_a_bound_between_swish_s_and_zero(expr: sympy.Expr) -> None:
    assert not has_smaller_negative_bound(expr).holds
    assert has_smaller_negative_bound(COS) == (True, "infimum -0.03757, 87 % less than Swish's")


@pytest.mark.parametrize(
    ("expr", "why"),
    [
        (SWISH, "0 square"),
        (SWISH + sympy.Max(0, x) ** 2, "has a kink"),
        (SWISH + sympy.Abs(sigmoid(5 * x) - HALF) ** 2 + sympy.Abs(x), "has a kink"),
        (SWISH + sigmoid(5 * x), "0 square"),
        (sigmoid(x) ** 2, "1 square"),  # no more operations than Swish
    ],
    ids=str,
)
def test_statement_5_wants_smoothness_and_a_square(expr: sympy.Expr, why: str) -> None:
    finding = is_smooth_and_costlier(expr)
    assert not finding.holds
    assert why in finding.evidence
