"""Figures against a setting, of pictures and of ratios: what is drawn equals the values."""

import numpy as np
import pytest

from cosnb.book import plots
from cosnb.errors import CosnbError
from cosnb.experiments.statistics import t_interval

VALUES = {
    "relu": {1.0: [50.0, 52.0, 54.0], 10.0: [60.0, 61.0, 65.0]},
    "cos": {1.0: [40.0, 41.0], 10.0: [50.0]},
    "mine": {},
}


def lines(figure):
    return {line.get_label(): line for line in figure.axes[0].lines}


def test_lines_are_means_and_bands_are_t_intervals():
    figure = plots.against(VALUES, "learning rate", "accuracy (%)", log="x")
    drawn = lines(figure)
    assert drawn["ReLU (n = 3)"].get_xydata().tolist() == [[1, 52], [10, 62]]
    assert drawn["CoS (n = 2)"].get_xydata().tolist() == [[1, 40.5], [10, 50]]
    assert "mine (missing)" in drawn
    (band,) = figure.axes[0].collections  # CoS has too few runs for one
    expected = t_interval(VALUES["relu"][10.0])
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((t_interval(VALUES["relu"][1.0]).low, expected.high))
    assert figure.axes[0].get_xscale() == "log"


def test_on_a_logarithmic_axis_means_are_geometric():
    figure = plots.against({"relu": {1: [1.0, 10.0, 100.0]}}, "layer", "norm", log="y")
    assert lines(figure)["ReLU (n = 3)"].get_ydata() == pytest.approx([10])


def test_ticks_may_be_named():
    figure = plots.against(VALUES, "x", "y", log="x", ticks={1.0: "one", 10.0: "ten"})
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["one", "ten"]


def test_nothing_to_draw_is_refused():
    with pytest.raises(CosnbError, match="no value to draw"):
        plots.against({"relu": {}}, "x", "y")


def test_pictures_share_one_scale():
    images = {"relu": np.zeros((3, 3)), "cos": np.arange(9.0).reshape(3, 3)}
    figure = plots.pictures(images, (0, 10), "output")
    shown = [axes.images[0] for axes in figure.axes[:2]]
    assert [image.get_clim() for image in shown] == [(0, 8), (0, 8)]
    assert shown[1].get_array().tolist() == images["cos"].tolist()
    assert shown[1].get_extent() == [0, 10, 0, 10]
    assert figure.axes[1].get_title() == "CoS"


def test_profiles_are_drawn_from_minus_reach_to_reach():
    drawn = lines(plots.profiles({"mish": [3.0, 1.0, 2.0]}, 0.5, "step", "loss"))
    assert drawn["Mish"].get_xydata().tolist() == [[-0.5, 3], [0, 1], [0.5, 2]]


def test_ratios_have_a_panel_a_column_and_a_mark_a_kind():
    plain = {"relu": (1, 1, 1), "cos": (1.3, 1.4, 1.6), "cos without its square": (1.2, 1.3, 1.4)}
    values = {("step", "A"): {"plain": plain, "compiled": {"cos": (1.0, 1.1, 1.2)}}, ("step", "B"): {"plain": plain}}
    figure = plots.ratios(values, "time / ReLU", {("step", "B"): {"cos": 1.5}})
    first, second = figure.axes
    points = [line for line in first.lines if line.get_marker() in ("s", "o")]
    assert [float(point.get_xdata()[0]) for point in points] == [1, 1.4, 1.3, 1.1]
    assert [label.get_text() for label in first.get_yticklabels()] == ["ReLU", "CoS", "CoS\nwithout its square"]
    assert points[1].get_markerfacecolor() == "white" != points[3].get_markerfacecolor()
    assert [line.get_xdata()[0] for line in second.lines if line.get_marker() == "D"] == [1.5]


def test_accuracy_against_cost_has_a_dot_an_activation():
    figure = plots.trade({"relu": ([1.0, 1.0], [89.0, 91.0]), "cos": ([1.1, 1.3], [90.0])}, "time", "accuracy")
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [dot.get_xydata().tolist() for dot in dots] == [[[1.0, 90.0]], [[pytest.approx(1.2), 90.0]]]
    assert [dot.get_label() for dot in dots] == ["ReLU (n = 2)", "CoS (n = 1)"]


def test_a_unit_that_is_caught_is_drawn_on_its_curve():
    curve = ([0.0, 1.0], [0.0, 1.0])
    figure = plots.caught({"cos": [2, 1]}, "cos", curve, {"start": curve, "end": curve}, [(0.5, 0.5, "attracts")])
    left, right = figure.axes
    assert lines(left.figure)["CoS"].get_ydata().tolist() == [2, 1]
    assert [text.get_text() for text in right.texts] == ["attracts"]
    assert right.get_ylabel() == "CoS(v)"


def test_a_formulas_line_lies_upon_the_measured_one():
    values = {"cos": {1: [1.0, 2.0, 3.0], 2: [2.0, 3.0, 4.0]}}
    figure = plots.against(values, "layer", "norm", formula={"cos": {1: 2.0, 2: 3.0}}, size=(7.5, 3.5))
    assert lines(figure)["by the formula"].get_xydata().tolist() == [[1, 2], [2, 3]]
    assert figure.get_size_inches().tolist() == [7.5, 3.5]
