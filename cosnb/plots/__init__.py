"""Every figure of the book, drawn from formulas or from records, never from training; each returns a Figure."""

from cosnb.plots.contrasts import forest, sequence, shares, ticks
from cosnb.plots.formulas import function_and_derivative, several
from cosnb.plots.lines import against, pictures, profiles, ratios
from cosnb.plots.runs import comparison, training_curves
from cosnb.plots.style import LOOKS, SIZE, Look, Picture, looks, save_svg, style
from cosnb.plots.surfaces import Plane, planes, stacked

__all__ = [
    "LOOKS",
    "SIZE",
    "Look",
    "Picture",
    "Plane",
    "against",
    "comparison",
    "forest",
    "function_and_derivative",
    "looks",
    "pictures",
    "planes",
    "profiles",
    "ratios",
    "save_svg",
    "sequence",
    "several",
    "shares",
    "stacked",
    "style",
    "ticks",
    "training_curves",
]
