"""Figures that move: Altair charts whose sliders set parameters and whose curves are Vega expressions from SymPy.

Each function returns an `Interactive`: live in Jupyter and Colab by Altair, on the site by the site's own script.
"""

from cosnb.book.plots.interactive.chart import Interactive
from cosnb.book.plots.interactive.descent import gradient_descent
from cosnb.book.plots.interactive.functions import explorer, readings, slope_and_shift
from cosnb.book.plots.interactive.lottery import one_run_each
from cosnb.book.plots.interactive.training import training_runs

__all__ = [
    "Interactive",
    "explorer",
    "gradient_descent",
    "one_run_each",
    "readings",
    "slope_and_shift",
    "training_runs",
]
