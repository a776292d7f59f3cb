"""Interactive figures: what Vega draws, as vl-convert evaluates it, equals SymPy's formulas and the records."""

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sympy
import vl_convert
from test_plots import record

from cosnb import activation
from cosnb.book.plots import interactive
from cosnb.book.plots.interactive.chart import MIME, shades
from cosnb.book.plots.interactive.descent import HILLS, STEPS
from cosnb.book.plots.interactive.jumps import jumps
from cosnb.book.readings import READINGS
from cosnb.book.site import charts
from cosnb.errors import CosnbError
from cosnb.symbolic.catalogue import CATALOGUE, x

WIDTH = 600
Spec = dict[str, Any]


def runs() -> list[dict]:
    made = [record(name, seed, [0.1, 0.2 + seed / 10, 0.5]) for name in ("relu", "cos") for seed in range(3)]
    for each in made:
        for number, epoch in enumerate(each["epochs"], 1):
            epoch |= {"epoch": number, "train_loss": 2 / number}
    return made


RUNS = {"relu": [50.0, 52.0, 51.0], "swish": [51.0, 53.0], "cos": [52.0, 54.0, 50.5, 49.0]}
CHARTS = {
    "explorer": interactive.explorer,
    "slope_and_shift": interactive.slope_and_shift,
    "readings": lambda: interactive.readings(READINGS[:3]),
    "gradient_descent": interactive.gradient_descent,
    "one_run_each": lambda: interactive.one_run_each(RUNS),
    "training_runs": lambda: interactive.training_runs(runs(), ["relu", "swish", "cos"]),
}


def with_values(chart: interactive.Interactive, **values: Any) -> Spec:
    """Return the specification with its controls set, as a reader would set them."""
    spec = chart.to_dict()
    named = {param["name"]: param for param in spec["params"]}
    for name, value in values.items():
        named[name]["value"] = value
    return {**spec, "width": WIDTH}


def drawn(spec: Spec, kind: str) -> list[list[Spec]]:
    """Return the items of each mark of a kind ("line", "symbol", "text", "rule") that has any, as Vega places them."""
    found = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("marktype") == kind and node.get("role") == "mark" and node["items"]:
                found.append(node["items"])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(vl_convert.vegalite_to_scenegraph(spec))
    return found


def curve(items: list[Spec], reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of a line in the window of the functions' charts; y is NaN where the line is broken."""
    across = np.array([item["x"] for item in items]) * 2 * reach / WIDTH - reach
    points = [item["y"] if item.get("defined", True) else np.nan for item in items]
    return across, 0.65 * reach - np.array(points, dtype=float) * reach / 300


@pytest.mark.parametrize("name", CHARTS)
def test_equal_calls_give_equal_specifications_and_pages(name: str) -> None:
    one, other = (CHARTS[name]().to_dict() for _ in range(2))
    assert json.dumps(one) == json.dumps(other)
    assert charts.html(one, "text") == charts.html(other, "text")


@pytest.mark.parametrize("name", CHARTS)
def test_charts_have_labelled_controls_and_colours_for_dark_pages(name: str) -> None:
    spec = CHARTS[name]().to_dict()
    bound = [param["bind"] for param in spec["params"] if "bind" in param]
    assert bound
    assert all(bind["name"] and bind["input"] in ("range", "select", "checkbox") for bind in bound)
    light, dark = (charts.picture_svg(with_values(CHARTS[name](), dark=value)) for value in (False, True))
    assert "#d0d0d0" in dark
    assert "#d0d0d0" not in light


def test_a_notebook_gets_altairs_own_output_and_the_specification() -> None:
    chart = interactive.slope_and_shift()
    data, _ = chart._repr_mimebundle_()
    assert data[MIME] == chart.to_dict()
    assert "vega-embed" in data["text/html"]
    assert charts.find_specification(data) == chart.to_dict()
    assert charts.find_specification({"text/html": "<p>"}) is None


def test_the_sites_form_escapes_what_html_would_read() -> None:
    spec = interactive.slope_and_shift().to_dict() | {"description": "</script><script>alert(1)</script>"}
    html = charts.html(spec, 'a "b" <c>')
    assert html.count("</script>") == 1
    assert 'alt="a &quot;b&quot; &lt;c&gt;"' in html
    inside = html.partition('specification">')[2].partition("</script>")[0]
    assert json.loads(inside) == spec


def test_a_reading_is_drawn_when_it_is_chosen() -> None:
    for place, reading in enumerate(READINGS[:3]):
        lines = drawn(with_values(interactive.readings(READINGS[:3]), reading=str(place)), "line")
        for expr in (reading, reading.diff(x)):
            assert min(distance(items, expr, 4) for items in lines) < 1e-9


def test_cos_follows_its_sliders() -> None:
    spec = with_values(interactive.slope_and_shift(), slope=2.5, shift=0.75)
    lines = drawn(spec, "line")
    assert len(lines) == 4
    expected = [
        activation(name, **values).derivative(order)
        for name, values in (("cos", {"a": 2.5, "c": 0.75}), ("swish", {}))
        for order in (0, 1)
    ]
    for expr in expected:
        nearest = min(lines, key=lambda items: distance(items, expr, 4))
        assert distance(nearest, expr, 4) < 1e-9


def distance(items: list[Spec], expr: sympy.Expr, reach: float) -> float:
    """Return how far a drawn line is from an expression at most, where it is unbroken."""
    across, y = curve(items, reach)
    exact = np.array([float(expr.subs(x, value)) for value in across[::25]])
    return float(np.nanmax(abs(y[::25] - exact)))


@pytest.mark.parametrize(
    ("name", "p", "q"),
    [("cos", 0.5, -1), ("elu", -0.5, 0), ("threshold", 0.5, 0.7), ("phish", 0, 0), ("hardtanh", 0.3, 0)],
)
def test_the_explorer_draws_a_row_and_its_derivative_with_its_parameters(name: str, p: float, q: float) -> None:
    chart = interactive.explorer(name, "sigmoid", reach=6)
    lines = drawn(with_values(chart, first_slider_p=p, first_slider_q=q), "line")
    assert len(lines) == 4
    row = CATALOGUE[name]
    slid = zip(row.parameters.items(), (p, q), strict=False)
    expr = row.expr.subs({symbol: value * 4**t if value else sympy.Float(t) for (symbol, value), t in slid})
    for order in (0, 1):
        wanted = expr.diff(x, order) if order else expr
        assert min(distance(items, wanted, 6) for items in lines) < 1e-9


@pytest.mark.parametrize(
    ("name", "order", "expected"),
    [
        ("relu", 0, []),
        ("relu", 1, [("0", "1")]),
        ("elu", 1, [("0", "1 - alpha")]),
        ("smelu", 1, []),
        ("hardshrink", 0, [("-lambd", "lambd"), ("lambd", "lambd")]),
        ("relu6", 1, [("0", "1"), ("6", "-1")]),
        ("swish", 1, []),
    ],
)
def test_jumps(name: str, order: int, expected: list[tuple[str, str]]) -> None:
    row = CATALOGUE[name]
    expr = row.expr.diff(x, order) if order else row.expr
    assert [(str(place), str(height)) for place, height in jumps(expr, row.parameters)] == expected


def test_a_line_breaks_where_it_jumps_and_only_there() -> None:
    lines = drawn(with_values(interactive.explorer("relu", "elu")), "line")
    breaks = [curve(items, 4)[0][np.isnan(curve(items, 4)[1])] for items in lines]
    assert sorted(len(places) for places in breaks) == [0, 0, 0, 1]
    assert max(places for places in breaks if len(places)) == pytest.approx(0)
    steeper = drawn(with_values(interactive.explorer("relu", "elu"), second_slider_p=1), "line")
    assert sorted(np.isnan(curve(items, 4)[1]).sum() for items in steeper) == [0, 0, 1, 1]


@pytest.mark.parametrize("hill", HILLS)
@pytest.mark.parametrize("rate", [0.3, 1.7])
def test_the_ball_goes_where_gradient_descent_goes(hill: str, rate: float) -> None:
    spec = with_values(interactive.gradient_descent(), hill=hill, rate=rate, start=-0.4, shown=STEPS)
    slope = sympy.lambdify(x, HILLS[hill][1].diff(x))
    places = [-0.4]
    for _ in range(STEPS):
        places.append(places[-1] - rate * float(slope(places[-1])))
    seen = next(items for items in drawn(spec, "symbol") if len(items) == STEPS + 1)
    assert np.array([item["x"] for item in seen]) * 7 / WIDTH - 3.5 == pytest.approx(np.array(places), abs=1e-9)
    (text,) = drawn(spec, "text")
    assert f"step {STEPS}:" in text[0]["text"][0]


def test_a_ball_that_flies_away_breaks_nothing() -> None:
    spec = with_values(interactive.gradient_descent(), hill="valleys", rate=2.5, start=3.5, shown=STEPS)
    svg = charts.picture_svg(spec)
    assert "NaN" not in svg
    assert "Infinity" not in svg


def test_the_first_steps_on_the_bowl_beyond_its_bound_go_up() -> None:
    spec = with_values(interactive.gradient_descent(), rate=2.1, start=1, shown=5)
    heights = [-item["y"] for item in drawn(spec, "symbol")[0]]
    assert all(one < other for one, other in pairwise(heights))


def test_runs_are_those_of_the_records_and_the_mean_follows_the_switches() -> None:
    chart = interactive.training_runs(runs(), ["relu", "cos"])
    lines = drawn(with_values(chart), "line")
    assert len(lines) == 2 * 3 + 2
    assert len(drawn(with_values(chart, seed_1=False), "line")) == 2 * 2 + 2
    assert len(drawn(with_values(chart, show_1=False), "line")) == 3 + 1
    only = drawn(with_values(chart, seed_0=False, seed_1=False, show_0=False), "line")
    assert [item["y"] for item in only[0]] == [item["y"] for item in only[1]]  # the mean of one run
    alone = drawn(with_values(chart, seed_0=False, seed_2=False, show_0=False), "line")
    # 10, 30, 50 % are evenly spaced, whatever the scale.
    heights = [item["y"] for item in alone[0]]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2])


def taken(draw: int) -> list[float]:
    """Return the accuracy that a draw takes of each activation, by the rule of `one_run_each` in Python."""
    found = []
    for arm, values in enumerate(RUNS.values()):
        mixed = abs(math.sin(draw * 12.9898 + arm * 78.233) * 43758.5453)
        found.append(values[math.floor(len(values) * (mixed - math.floor(mixed)))])
    return found


@pytest.mark.parametrize("draw", [1, 2, 40])
def test_a_draw_is_one_run_of_each_and_the_counts_are_those_of_all_so_far(draw: int) -> None:
    (texts,) = drawn(with_values(interactive.one_run_each(RUNS), draw=draw), "text")
    first, order, lead = texts[0]["text"]
    values = dict(zip(("ReLU", "Swish", "CoS"), taken(draw), strict=True))
    assert first == f"Draw {draw}: " + ", ".join(sorted(f"{value:.2f} {name}" for name, value in values.items()))
    so_far = [taken(number) for number in range(1, draw + 1)]
    rising = sum(relu < swish < cos for relu, swish, cos in so_far)
    assert order == f"ReLU < Swish < CoS in {rising} of {draw} draws"
    assert lead == f"CoS ahead of ReLU in {sum(relu < cos for relu, _, cos in so_far)} of {draw}"


def test_many_draws_take_every_run_about_equally_often() -> None:
    draws = [taken(number) for number in range(1, 201)]
    for arm, values in enumerate(RUNS.values()):
        counts = [sum(draw[arm] == value for draw in draws) for value in values]
        assert min(counts) > 0.6 * len(draws) / len(values)


def test_user_errors() -> None:
    with pytest.raises(CosnbError, match="no run to draw"):
        interactive.one_run_each({"relu": [1.0], "cos": []})
    with pytest.raises(CosnbError, match="No finished run"):
        interactive.training_runs([{**each, "status": "failed"} for each in runs()])
    with pytest.raises(CosnbError, match=r"learning rate η is 7, outside of its slider: give a number from 0\.01"):
        interactive.gradient_descent(rate=7)
    with pytest.raises(CosnbError, match="unknown activation 'swihs'"):
        interactive.explorer("swihs")
    with pytest.raises(CosnbError, match="no hill 'hole'"):
        interactive.gradient_descent(hill="hole")


def test_a_starting_value_widens_the_sliders_of_cos() -> None:
    named = {param["name"]: param for param in interactive.slope_and_shift(20, -3).to_dict()["params"]}
    assert named["slope"]["bind"]["max"] == 20
    assert named["shift"]["bind"]["min"] == -3


def test_shades() -> None:
    assert shades("#000000") == ("#000000", "#e0e0e0")
    assert shades("0.45") == ("#737373", "#a2a2a2")
    assert shades("#FF0000")[1] == "#ff5555"
