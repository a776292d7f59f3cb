"""Places where a formula in pieces may jump, for any values of its parameters."""

import sympy
from sympy.core.relational import Relational

from cosnb.symbolic.catalogue import x

_BESIDE = sympy.Rational(1, 10**6)


def jumps(expr: sympy.Expr, parameters: dict[sympy.Symbol, sympy.Expr]) -> list[tuple[sympy.Expr, sympy.Expr]]:
    """Return (place, height) of the points where a Piecewise in x may jump, both expressions in the `parameters`.

    The pieces that meet at a place are those beside it for the default parameters; where they agree for all values, as
    at a kink, there is no jump. Another expression has none.
    """
    if not isinstance(expr, sympy.Piecewise):
        return []
    relations = {relation for _, condition in expr.args for relation in condition.atoms(Relational)}
    # SymPy writes x < −λ as λ < −x, so a condition's edge is what its two sides, both linear in x, make of x.
    places = {place for relation in relations for place in sympy.solve(relation.lhs - relation.rhs, x)}
    found = []
    for place in sorted(places, key=str):
        point = place.subs(parameters)
        left, right = (_piece(expr, parameters, point + side) for side in (-_BESIDE, _BESIDE))
        height = sympy.simplify((right - left).subs(x, place))
        if height != 0:
            found.append((place, height))
    return found


def _piece(expr: sympy.Piecewise, parameters: dict[sympy.Symbol, sympy.Expr], point: sympy.Expr) -> sympy.Expr:
    values = {**parameters, x: point}
    return next(piece for piece, condition in expr.args if condition.subs(values) is sympy.true)
