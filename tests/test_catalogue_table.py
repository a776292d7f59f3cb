"""The table of the catalogue that the explorer shows."""

import re

import pytest

from cosnb.book.report import catalogue
from cosnb.experiments import registry
from cosnb.symbolic.catalogue import CATALOGUE, sign


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """The rows of the table."""
    return str(catalogue.table()).splitlines()[2:]


def test_each_activation_has_a_row_with_a_curve_and_the_title_says_how_many(lines: list[str]) -> None:
    assert len(lines) == len(CATALOGUE)
    assert all(re.search(r'<svg class="sparkline".*<path d="M[^"]+L', line) for line in lines)
    assert registry.read_runs()["explorer"].title == f"Explore {len(CATALOGUE)} activations"


def test_formulas_have_signs_decimals_and_x_first(lines: list[str]) -> None:
    formulas = [re.search(r"\| \$(.*?)\$<br>", line)[1] for line in lines]  # type: ignore[index]
    shown = " ".join(formulas)
    assert not re.search(r"weight|negative|min_|max_|lambd\b|scale|bias|lower|upper", shown)
    assert not re.search(r"frac\{\d{3,}", shown)
    assert not re.search(r"text\{for\}\\: (?!x )", shown)


def test_a_jump_breaks_the_curve() -> None:
    assert catalogue.curve(CATALOGUE["hardshrink"]).count("M") > catalogue.curve(CATALOGUE["softshrink"]).count("M")


def test_parameters_have_one_sign_each() -> None:
    signs = {symbol.name: sign(symbol) for row in CATALOGUE.values() for symbol in row.parameters}
    assert (signs["beta"], signs["lambd"], signs["negative_slope"], signs["weight"]) == ("β", "λ", "s", "w")
