"""Figures of the book, drawn from formulas or from records, never from training."""

from cosnb.book.plots.arguments import quotients, straight
from cosnb.book.plots.contrasts import forest, sequence, shares, ticks, worked
from cosnb.book.plots.draws import histograms
from cosnb.book.plots.formulas import expressions, function_and_derivative, several
from cosnb.book.plots.leads import leads, printed_leads
from cosnb.book.plots.lines import against, pictures, profiles, ratios
from cosnb.book.plots.runs import comparison, training_curves
from cosnb.book.plots.style import LOOKS, SIZE, Look, Picture, looks, save_svg, style
from cosnb.book.plots.surfaces import Plane, caught, planes, stacked
from cosnb.book.plots.trade import trade

__all__ = [
    "LOOKS",
    "SIZE",
    "Look",
    "Picture",
    "Plane",
    "against",
    "caught",
    "comparison",
    "expressions",
    "forest",
    "function_and_derivative",
    "histograms",
    "leads",
    "looks",
    "pictures",
    "planes",
    "printed_leads",
    "profiles",
    "quotients",
    "ratios",
    "save_svg",
    "sequence",
    "several",
    "shares",
    "stacked",
    "straight",
    "style",
    "ticks",
    "trade",
    "training_curves",
    "worked",
]
