"""How numbers and verdicts are set in Markdown."""

import pytest
import sympy

from cosnb.analysis.findings import show
from cosnb.display import Table, p_value, typeset


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-0.5", "−0.5"),
        ("+0.1 [-0.2, +0.4]", "+0.1 [−0.2, +0.4]"),
        ("(-3, -.5)", "(−3, −.5)"),
        ("at -109 and -1e-3", "at −109 and −10⁻³"),
        ("2.5e-07, 3e+38 and −6.2e−39", "2.5·10⁻⁷, 3·10³⁸ and −6.2·10⁻³⁹"),
        ("1.0e+00, 0e+00, 0.0e-12", "1.0, 0, 0.0"),
        ("`1e-3`, 1e-3x, 0x1e-3, commit 311e230", "`1e-3`, 1e-3x, 0x1e-3, commit 311e230"),
        ("0 for x < 0 and 1 for x > 0", "0 for x\u00a0<\u00a00 and 1 for x\u00a0>\u00a00"),
        ("p = 0.750; < 0.001; a<b", "p\u00a0=\u00a00.750; <\u00a00.001; a<b"),
        ("400 × 400, images × epochs, f′(0)", "400\u00a0×\u00a0400, images × epochs, f′\u2060(0)"),
        ("CoS − ReLU +0.1, p (a) − b", "CoS\u00a0− ReLU +0.1, p (a)\u00a0− b"),
        ("Figure 3-4, sign-flip, 2-3, x-1, 2026-11-21", "Figure 3-4, sign-flip, 2-3, x-1, 2026-11-21"),
        ("`f(-1)` and -1", "`f(-1)` and −1"),
        ('[runs](a-1.html#-2), $x-1$, <a id="-1">-1</a>', '[runs](a-1.html#-2), $x-1$, <a id="-1">−1</a>'),
        ("C^∞ or C^1, C^x", r"$C^{\infty}$ or $C^{1}$, C^x"),
    ],
)
def test_numbers_relations_and_classes(text: str, shown: str) -> None:
    assert typeset(text) == shown
    assert Table(["f"], [[text]]).text.splitlines()[-1] == f"| {shown} |"


def test_a_list_is_a_cell_of_lines() -> None:
    x = sympy.Symbol("x")
    assert str(Table(["f"], [[[x**2, "source -1"]]])).splitlines()[-1] == "| $x^{2}$<br>source −1 |"


@pytest.mark.parametrize(("p", "shown"), [(0.0, "< 0.001"), (1e-5, "< 0.001"), (0.0005, "0.001"), (0.0464, "0.046")])
def test_no_p_value_is_0(p: float, shown: str) -> None:
    assert p_value(p) == shown


def test_numbers_by_hand() -> None:
    x = sympy.Symbol("x")
    assert show(-1 - sympy.LambertW(sympy.exp(-1))) == "−1 − W(1/e)"
    assert show(sympy.exp(-2) + sympy.exp(x)) == "exp(x) + 1/e^2"
    assert show(x**2 * sympy.oo) == "∞·x^2"
