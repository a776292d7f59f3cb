"""Figures that argue: open and filled marks of difference quotients, and which lines are straight."""

import numpy as np
import pytest

from cosnb import activation
from cosnb.book.plots import quotients, straight
from cosnb.errors import CosnbError


def marks(figure, marker):
    """Return {(x, y): face} of the marks of one kind."""
    lines = [line for line in figure.axes[0].get_lines() if line.get_marker() == marker]
    return {
        (*map(float, line.get_xdata()), *map(float, line.get_ydata())): line.get_markerfacecolor() for line in lines
    }


def test_two_limits_are_open_and_a_slope_is_filled():
    figure = quotients([activation("relu"), activation("swish")], {"relu": 0.0})
    found = marks(figure, "o")
    assert found.keys() == {(0.0, 0.0), (0.0, 1.0), (0.0, 0.5)}  # ReLU's from the left and the right; Swish's slope
    assert [face == "white" for face in found.values()] == [True, True, False]
    assert marks(figure, "s") == {(0.0, 0.0): "none"}


def test_what_has_a_slope_leaves_programs_no_choice():
    with pytest.raises(CosnbError, match="Swish has a slope at 0"):
        quotients([activation("swish")], {"swish": 0.5})


def test_a_line_without_activation_is_grey_and_wide():
    w = np.linspace(-1, 1, 5)
    figure = straight(w, {"input 1": w, "input 2": 2 * w}, 1.0, w, {"no activation": w, "relu": np.maximum(w, 0)})
    left, right = figure.axes
    assert [line.get_label() for line in left.get_lines()] == ["input 1", "input 2", "slope of the activation"]
    plain, bent = right.get_lines()
    assert (plain.get_linewidth(), plain.get_color()) == (4, "0.6")
    assert bent.get_label() == "ReLU"
