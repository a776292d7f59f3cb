"""Parity: even, odd, or different from its mirror image by x, as Swish and CoS are."""

from itertools import pairwise

import sympy

from cosnb.analysis import exponentials, limited
from cosnb.analysis.findings import DIGITS, Finding, How, show
from cosnb.analysis.pieces import is_null
from cosnb.analysis.special import differ, value_at
from cosnb.analysis.study import Study

_SECONDS = 5.0


def parity(study: Study) -> Finding:
    """Return "even", "odd", "neither" or "f(x) − f(−x) = x"."""
    pieces = study.order(0)
    if len(pieces) == 1 and pieces[0].halves is not None:
        return Finding(exponentials.parity(*pieces[0].halves), "proven", "the normal form's branches compared")
    mirrored = study.expr.subs(study.x, -study.x)
    wanted = {"even": study.expr - mirrored, "odd": study.expr + mirrored}
    wanted["f(x) − f(−x) = x"] = study.expr - mirrored - study.x
    at = _samples(study) + _apart(study)
    open_ = {}
    exact = True
    for word, difference in wanted.items():
        found = [value_at(difference, study.x, point) or sympy.Integer(0) for point in at]
        if all(map(is_null, found)):
            open_[word] = difference
        else:
            exact = exact and any(f.is_Rational and f != 0 for f in found)
    if not open_:
        how: How = "proven" if exact else "numerical"
        return Finding("neither", how, f"f(x) ± f(−x) at x = {show(tuple(at))}", None if exact else DIGITS)
    word, difference = next(iter(open_.items()))
    try:
        proven = limited.call(_vanishes, difference, study.x, seconds=_SECONDS)
    except limited.TimeLimit:
        proven = False
    if proven:
        return Finding(word, "proven", "the difference simplifies to 0")
    return Finding(word, "numerical", f"f(x) ± f(−x) at x = {show(tuple(at))}", 40)


def _samples(study: Study) -> list[sympy.Rational]:
    """Return positive fractions, one at least in each interval between borders, mirrored ones too."""
    ends = sorted({0, *(abs(border) for border in study.values)}, key=lambda e: sympy.N(e, 20))
    inner = [sympy.Rational(str(sympy.N(a + (b - a) * sympy.Rational(3, 7), 8))) for a, b in pairwise(ends)]
    return inner + [sympy.ceiling(ends[-1]) + sympy.Rational(p, 7) for p in (3, 11, 29)]


def _apart(study: Study) -> list[sympy.Expr]:
    """Return the borders whose value is apart from the function on both sides: 5 in where(x == 0, 5, x)."""
    around = {right.low: (left.at(right.low), right.at(right.low)) for left, right in pairwise(study.order(0))}
    limits = {border: left for border, (left, right) in around.items() if not differ(left, right)}
    values = study.values
    return [b for b, limit in limits.items() if values[b].is_finite and differ(values[b], limit)]


def _vanishes(difference: sympy.Expr, x: sympy.Symbol) -> bool:
    """Whether a function is 0 on both half lines."""
    y = sympy.Symbol("y", positive=True)
    for sign in (1, -1):
        part = sympy.piecewise_fold(difference.subs(x, sign * y).rewrite(sympy.Piecewise))
        # A logarithm's difference hardly simplifies to 0; that its derivative does, and its value at 0, is as good.
        if sympy.simplify(part) == 0 or sympy.simplify(part.rewrite(sympy.exp)) == 0:
            continue
        if sympy.simplify(sympy.diff(part, y).rewrite(sympy.exp)) != 0 or not is_null(part.subs(y, 0)):
            return False
    return True
