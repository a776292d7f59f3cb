"""Figures of the book, drawn from formulas or from records, never from training."""

from cosnb.book.plots.contrasts import forest, sequence, shares, ticks, worked
from cosnb.book.plots.formulas import expressions, function_and_derivative, several
from cosnb.book.plots.lines import against, pictures, profiles, ratios
from cosnb.book.plots.runs import comparison, training_curves
from cosnb.book.plots.style import LOOKS, SIZE, Look, Picture, looks, save_svg, style
from cosnb.book.plots.surfaces import Plane, planes, stacked

__all__ = [
    "LOOKS",
    "SIZE",
    "Look",
    "Picture",
    "Plane",
    "against",
    "comparison",
    "expressions",
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
    "worked",
]
