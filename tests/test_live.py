"""Answers of the page "Try your own formula": parameters found in a text, sentences for mistakes, parts that agree."""

import math

import pytest

from cosnb import live
from cosnb.activations import activation


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x*sigmoid(a*x) + b", {"a": "1", "b": "1"}),
        ("cos", {"a": "5", "c": "1/2"}),
        ("x*tanh(exp(x))", {}),
        ("np.tanh(x) + e*pi", {}),
        ("where(x > 0 and x < c, x, 1e5*x)", {"c": "1"}),
        ("nothing", {}),
        ("x", {}),
    ],
)
def test_names_that_mean_nothing_else_are_parameters(text: str, found: dict[str, str]) -> None:
    assert live.parameters(text) == found


def test_values_set_parameters() -> None:
    found = live.answer("curves", "x*sigmoid(a*x) + b", {"b": "1/4"})
    assert found["parameters"] == {"a": "1", "b": "1/4"}
    middle = live.POINTS // 2
    assert found["x"][middle] == 0
    assert [order["y"][middle] for order in found["orders"]] == [0.25, 0.5, 0.5]
    assert live.answer("curves", "cos", {"a": "nan"})["error"].startswith("parameter a must be a finite number")


def test_a_mistake_is_one_sentence_with_its_column() -> None:
    for part in ("curves", "properties", "form", "c"):
        assert live.answer(part, "x*sgmoid(x)", {})["error"].startswith("column 3: unknown function 'sgmoid'")


def test_curves_have_gaps_where_the_formula_has_no_number() -> None:
    y = live.answer("curves", "log(x)", {})["orders"][0]["y"]
    assert math.isnan(y[0])
    assert y[-1] == pytest.approx(math.log(6))


def test_properties_say_where_lines_break() -> None:
    found = live.answer("properties", "where(x > 1, x + 1, abs(x))", {})
    assert found["breaks"] == {"0": [1.0], "1": [1.0, 0.0]}
    assert {row[0]: row[2] for row in found["rows"]}["smoothness"] == "proven"
    assert live.answer("properties", "tanh", {})["rows"][-4][1] == "C^∞"


def test_the_normal_form_and_the_code_are_the_activations() -> None:
    act = activation("swish")
    form = live.answer("form", "swish", {})["orders"]
    assert form[0]["latex"].startswith(r"f(x) = \begin{cases} \frac{x}{t + 1} & x \ge 0")
    assert {"before": form[1]["before"], "after": form[1]["after"]} == act.operations(1)
    assert live.answer("numpy", "swish", {})["code"] == "\n\n".join(act.source("numpy", n).strip() for n in (0, 1))
