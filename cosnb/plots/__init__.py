"""Every figure of the book, drawn from formulas or from records, never from training; each returns a Figure."""

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
    "function_and_derivative",
    "looks",
    "pictures",
    "planes",
    "profiles",
    "ratios",
    "save_svg",
    "several",
    "stacked",
    "style",
    "training_curves",
]
