"""The logo is CoS's graph, and the files that the site shows are what the program draws."""

import re

import numpy as np
import pytest

from tools import logo


def test_the_files_are_what_the_program_draws() -> None:
    assert (logo.ASSETS / "logo.svg").read_text(encoding="utf-8") == logo.logo()
    assert (logo.ASSETS / "favicon.svg").read_text(encoding="utf-8") == logo.logo(stroke=7)


def test_the_curve_has_the_extrema_of_cos() -> None:
    points = np.array([pair.split() for pair in re.split("[ML]", logo.curve_path()) if pair.strip()], dtype=float)
    x = logo._X[0] + (points[:, 0] - 4) / 56 * (logo._X[1] - logo._X[0])
    down = points[:, 1]
    turns = [x[i] for i in range(1, len(x) - 1) if (down[i] - down[i - 1]) * (down[i + 1] - down[i]) < 0]
    assert turns == pytest.approx([-1.23181, -0.57103, -0.16715], abs=0.06)  # f′ = 0 there; a step is 0.043 wide
    assert points.min() >= 4
    assert points.max() <= 60
