"""Properties of a function from its formula: each proven, certified or numerical, and marked as such.

The function is taken as pieces (pieces.py), its zeros and signs and those of its derivatives as charts (charts.py), its
behaviour at ±∞ as limits and lines (asymptotes.py); a study (study.py) holds them, and the properties are read off it.
"""

from functools import lru_cache

import sympy

from cosnb.analysis import bounds
from cosnb.analysis.asymptotes import asymptote, limit, tail_bound
from cosnb.analysis.findings import Finding, Point, Properties
from cosnb.analysis.parity import parity
from cosnb.analysis.study import study
from cosnb.errors import CosnbError
from cosnb.symbolic.functions import floor

__all__ = ["asymptote", "critical_points", "limit", "properties", "study", "tail_bound", "zeros"]


@lru_cache(maxsize=256)
def properties(expr: sympy.Expr, x: sympy.Symbol, order: int = 0) -> Properties:
    """Return the properties of `expr`, or of its `order`-th derivative, taken piece by piece.

    Raises CosnbError for floor, round and %, whose steps have no end.
    """
    if expr.has(floor):
        raise CosnbError("the properties of a formula with floor, round or % are not found: its steps have no end")
    found = study(expr, x, order)
    smooth, jumps, kinks = found.smoothness
    poles, vertical, straight = found.poles(), found.vertical_tangents(), found.straight_tangents()
    low, high = bounds.extremum(found, 1), bounds.extremum(found, -1)
    return Properties(
        found.expr,
        {
            "limits": found.limits(0),
            "derivative_limits": found.limits(1),
            "asymptotes": found.asymptotes(),
            "roots": found.points(0),
            "critical_points": found.points(1),
            "inflections": found.points(2),
            "minimum": low,
            "maximum": high,
            "range": bounds.value_range(found),
            "lipschitz": bounds.lipschitz(found),
            "smoothness": smooth,
            "kinks": Finding(tuple(k for k in kinks if k not in straight), smooth.how, smooth.reason),
            "vertical_tangents": Finding(vertical, found.borders_how(1), "limits of f′ from both sides"),
            "jumps": Finding(tuple(j for j in jumps if j not in poles), smooth.how, smooth.reason),
            "poles": Finding(poles, found.borders_how(0), "limits of f from both sides"),
            "monotone": found.monotone(),
            "convex": found.convex(),
            "parity": parity(found),
            "bounded_below": Finding(low.value.value != -sympy.oo, low.how, low.reason),
            "bounded_above": Finding(high.value.value != sympy.oo, high.how, high.reason),
        },
    )


def zeros(expr: sympy.Expr, x: sympy.Symbol) -> tuple[sympy.Float, ...]:
    """Return the isolated zeros of `expr`, ascending, to 40 digits."""
    return tuple(sympy.Float(place.value, 40) for place in study(expr, x).charts[0].zeros())


def critical_points(expr: sympy.Expr, x: sympy.Symbol) -> tuple[Point, ...]:
    """Return the places where f′ is 0 or changes sign, ascending; intervals on which it is 0 are left out."""
    return study(expr, x).points(1).value
