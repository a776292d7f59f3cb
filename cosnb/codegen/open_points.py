"""Taylor polynomials of formulas whose parameters learn, about points where they are 0/0 for every parameter.

sin(a·x)/x at 0. How far such a polynomial reaches depends on the parameters, so the program itself asks: it takes over
where each of the last coefficients' terms is below the rounding error of the leading one.
"""

from collections.abc import Sequence

import sympy

from cosnb.analysis.series import NoSeriesError, Series, vanishes
from cosnb.analysis.special import special_points, values_apart
from cosnb.codegen.program import Program
from cosnb.codegen.tree import Tree

_TERMS = 18
_FEWEST = 8
_LAST = 3  # all at 0 by chance, for parameters that make a sine of them, would pass for a small rest
_OPERATIONS = 600  # in all coefficients of a polynomial; the derivatives of x/(1 - exp(-a*x)) have 20
_VALUES = ((7, 5), (13, 11))  # of the first parameter; the next ones are 1/3 more each


def add_points(program: Program, expr: sympy.Expr, inputs: Sequence[tuple[sympy.Symbol, str]]) -> Program:
    """Have `program` of `expr` choose the polynomials where they are better; it is changed and returned.

    inputs: x and the parameters with their names in the program. A value apart, 5 of where(x == 0, 5, x), stays.
    """
    (x, _), *parameters = inputs
    apart, rest = values_apart(expr, x)
    if rest.has(sympy.Piecewise):
        return program
    for point in _points(rest, x, [symbol for symbol, _ in parameters]):
        try:
            found = Series(x, _TERMS).taylor(rest.subs(x, x + point))
        except NoSeriesError:
            continue
        coefficients = _short(found)
        if coefficients is not None:
            _choose(program, coefficients, point, inputs, keep=point in apart)
    return program


def _points(expr: sympy.Expr, x: sympy.Symbol, parameters: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
    """Return the rational points at which `expr` may be singular whatever its parameters are."""
    found: set[sympy.Expr] | None = None
    for number, denominator in _VALUES:
        values = {p: sympy.Rational(number, denominator) + sympy.Rational(k, 3) for k, p in enumerate(parameters)}
        points = {point for point in special_points(expr.subs(values), x) if point.is_Rational}
        found = points if found is None else found & points
    return sorted(found or ())


def _short(coefficients: list[sympy.Expr]) -> list[sympy.Expr] | None:
    """Return as many coefficients as may be computed for each element, the last of them not 0; None for too few."""
    while len(coefficients) >= _FEWEST:
        if sum(int(sympy.count_ops(c)) for c in coefficients) <= _OPERATIONS and not vanishes(coefficients[-1]):
            return [sympy.Integer(0) if vanishes(c) else c for c in coefficients]
        coefficients = coefficients[:-1]
    return None


def _choose(
    program: Program,
    coefficients: list[sympy.Expr],
    point: sympy.Expr,
    inputs: Sequence[tuple[sympy.Symbol, str]],
    keep: bool,
) -> None:
    """Emit the polynomial, and the choice of it."""
    otherwise = program.result
    tree = Tree(program, {symbol: program.input(name) for symbol, name in inputs})
    x = program.input(inputs[0][1])
    away = x if point == 0 else program.add(x, program.neg(program.number(point)))
    steps = [tree.lower(c) for c in coefficients]
    value = steps[-1]
    for step in reversed(steps[:-1]):
        value = program.add(program.mul(value, away), step)
    leading = next(k for k, c in enumerate(coefficients) if c != 0)
    bound = program.mul(_size(program, coefficients[leading], steps[leading]), program.edge(2.0**-26, 2.0**-55))
    last = [k for k, c in enumerate(coefficients) if c != 0 and k > leading][-_LAST:]
    inside = None
    for k in last:
        term = program.mul(
            _size(program, coefficients[k], steps[k]), program.emit("abs", program.power(away, k - leading))
        )
        small = program.emit("le", term, bound)
        inside = small if inside is None else program.emit("and", inside, small)
    zero = program.emit("eq", away, program.number(0))
    inside = zero if inside is None else program.emit("or", inside, zero)
    if keep:
        inside = program.emit("and", inside, program.emit("ne", away, program.number(0)))
    program.result = program.where(inside, value, otherwise)


def _size(program: Program, coefficient: sympy.Expr, step: int) -> int:
    return program.number(abs(coefficient)) if coefficient.is_number else program.emit("abs", step)
