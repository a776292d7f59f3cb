"""Curves in panels and losses over two weights: what is drawn equals the values."""

import numpy as np
import pytest

from cosnb.book import plots
from cosnb.errors import CosnbError

X = [0.0, 1.0, 2.0]
ROWS = {"loss": {"relu": [1, 2, 3], "mish": [3, 2, 1]}, "slope": {"relu": [0, 1, 1]}}


def test_each_row_is_a_panel_and_a_name_is_once_in_the_legend():
    figure = plots.stacked(X, ROWS, "weight")
    top, bottom = figure.axes
    assert [line.get_ydata().tolist() for line in top.lines] == [[1, 2, 3], [3, 2, 1]]
    assert [line.get_color() for line in bottom.lines] == [plots.LOOKS["relu"].color]
    assert (top.get_ylabel(), bottom.get_ylabel(), bottom.get_xlabel()) == ("loss", "slope", "weight")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ReLU", "Mish"]


def test_a_logarithmic_axis():
    assert plots.stacked(X, {"norm": {"cos": [1, 0.1, 0.01]}}, "layer", log=True).axes[0].get_yscale() == "log"


def test_values_without_a_place_are_refused():
    with pytest.raises(CosnbError, match="relu has 2 values of 'loss' for 3 places"):
        plots.stacked(X, {"loss": {"relu": [1, 2]}}, "weight")


def test_planes_have_one_set_of_levels_and_ways_begin_at_a_ring():
    places = np.linspace(-1, 1, 21)
    bowl = places**2 + places[:, None] ** 2
    way = np.array([[-0.5, 0.5], [0.0, 0.25], [0.1, 0.0]])
    figure = plots.planes({"relu": plots.Plane(bowl, places, [way]), "mish": plots.Plane(2 * bowl, places)}, "a", "b")
    left, right = figure.axes
    assert left.collections[0].levels.tolist() == right.collections[0].levels.tolist()
    drawn, ring = left.lines
    assert drawn.get_xydata().tolist() == way.tolist()
    assert ring.get_xydata().tolist() == [[-0.5, 0.5]]
    assert (left.get_title(), right.get_title()) == ("ReLU", "Mish")
    assert left.get_xlim() == (-1, 1)


def test_a_line_is_interrupted_at_its_jumps_alone():
    rows = {"slope": {"relu": [0.0, 1.0, 2.0], "mish": [0.0, 1.0, 2.0]}}
    figure = plots.stacked(X[:3], rows, "weight", breaks={("slope", "relu"): [0.5 * (X[0] + X[1])]})
    broken, unbroken = figure.axes[0].lines
    assert np.isnan(broken.get_ydata()).tolist() == [False, True, False, False]
    assert len(unbroken.get_ydata()) == 3
    assert broken.get_linestyle() == "-"  # dots would look like gaps
    assert unbroken.get_linestyle() != "-"


def test_the_goal_is_a_cross_and_some_levels_are_labelled():
    places = np.linspace(-1, 1, 21)
    figure = plots.planes({"relu": plots.Plane(places**2 + places[:, None] ** 2, places, (), (0.5, -0.5))}, "a", "b")
    (cross,) = figure.axes[0].lines
    assert (cross.get_marker(), cross.get_xydata().tolist()) == ("x", [[0.5, -0.5]])
    assert figure.axes[0].texts
