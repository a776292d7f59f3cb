"""Where the formulas' engine runs: under CPython, or in a browser under Pyodide, without processes, threads and NumPy.

This is the one switch. The rooms `symbolic`, `analysis` and `codegen` take arrays, special functions and calls with a
time limit from here. `COSNB_HOST=browser` lets CPython do what the browser does.
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sympy

IN_BROWSER = sys.platform == "emscripten" or os.environ.get("COSNB_HOST") == "browser"

if TYPE_CHECKING or not IN_BROWSER:
    import numpy
else:
    from cosnb.host import arrays as numpy

__all__ = ["IN_BROWSER", "lambdify", "modules", "numpy"]


def modules(code: str) -> dict[str, Any]:
    """Return the modules that printed NumPy code uses, by the names that it calls them by."""
    if "scipy." not in code:
        return {"numpy": numpy}
    if IN_BROWSER:
        return {"numpy": numpy, "scipy": numpy}  # which has its `special`
    import scipy.special

    return {"numpy": numpy, "scipy": scipy}


def lambdify(x: sympy.Symbol, expr: sympy.Expr, special: bool = False) -> Callable[[Any], Any]:
    """Return `expr` as SymPy prints it for NumPy, and with `special` for SciPy too, as a function of an array."""
    if not IN_BROWSER:
        return sympy.lambdify(x, expr, ["numpy", *(["scipy"] if special else [])])
    from sympy.printing.numpy import SciPyPrinter

    printer = SciPyPrinter({"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": True})
    return sympy.lambdify(x, expr, [numpy.NAMES], printer=printer)  # type: ignore[attr-defined]
