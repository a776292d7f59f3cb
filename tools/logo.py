"""The site's logo, favicon and social card, drawn from CoS's formula: `python -m tools.logo` writes them."""

import sys
from pathlib import Path

import numpy as np
import sympy
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from cosnb.activations import activation
from cosnb.book.plots.formulas import several
from cosnb.book.plots.style import LOOKS, style

CARD_PIXELS = (1200, 630)  # what the networks that show such cards ask for
ASSETS = Path(__file__).resolve().parents[1] / "book" / "assets"
_X = (-4.6, 0.52)  # from near the plateau of 1/4 on the left, over the two dips, to the rise
_Y = (-0.11, 0.58)
_SIDE = 64
_STEPS = 120


def curve_path() -> str:
    """Return CoS's graph as the path of an SVG of 64 × 64 units, its height stretched so that both dips are seen."""
    cos = activation("cos")
    x = np.linspace(*_X, _STEPS + 1)
    y = sympy.lambdify(cos.x, cos.expr, "numpy")(x)
    across = 4 + (x - _X[0]) / (_X[1] - _X[0]) * (_SIDE - 8)
    down = _SIDE - 4 - (y - _Y[0]) / (_Y[1] - _Y[0]) * (_SIDE - 8)
    return "M" + " L".join(f"{a:.2f} {d:.3f}" for a, d in zip(across, down, strict=True))


def logo(stroke: float = 4.0) -> str:
    """Return the logo as SVG: the curve in CoS's colour over the x axis; `stroke` in units of 1/64 of its width."""
    axis = _SIDE - 4 + _Y[0] / (_Y[1] - _Y[0]) * (_SIDE - 8)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE} {_SIDE}" role="img" aria-label="CoS">\n'
        f'<path d="M4 {axis:.1f} H{_SIDE - 4}" stroke="#8a8a8a" stroke-width="{stroke / 4:g}"/>\n'
        f'<path d="{curve_path()}" fill="none" stroke="{LOOKS["cos"].color}" stroke-width="{stroke:g}" '
        'stroke-linecap="round" stroke-linejoin="round"/>\n</svg>\n'
    )


def social_card() -> Figure:
    """Return the picture of 1200 × 630 pixels (at 100 a inch) that stands beside a link to the site."""
    names = ("relu", "swish", "mish", "cos")
    with style():
        figure = several([activation(name) for name in names], interval=(-4, 2), breaks={"relu": (0,)})
        figure.set_size_inches(CARD_PIXELS[0] / 100, CARD_PIXELS[1] / 100)
        (axes,) = figure.axes
        for line in axes.lines[2:]:  # the first two are the axes through 0
            line.set_linewidth(4)
        axes.tick_params(labelsize=16)
        axes.set_xlabel("x", fontsize=18)
        axes.set_ylabel("f(x)", fontsize=18)
        axes.legend(loc="upper left", fontsize=20, handlelength=3)
        figure.suptitle("CoS, Swish, Mish: formula, properties, code, verdict", fontsize=27)
        engine = figure.get_layout_engine()
        assert isinstance(engine, ConstrainedLayoutEngine)  # the style's, which keeps the title inside
        engine.set(w_pad=0.3, h_pad=0.25)
    return figure


def write(folder: Path = ASSETS) -> None:
    """Write `logo.svg`, `favicon.svg` and `social-card.png` into `folder`; equal versions give equal files."""
    (folder / "logo.svg").write_text(logo(), encoding="utf-8")
    (folder / "favicon.svg").write_text(logo(stroke=7), encoding="utf-8")
    with style():
        social_card().savefig(folder / "social-card.png", dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
