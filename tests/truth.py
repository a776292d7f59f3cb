"""True values of any formula: each term by mpmath, a Piecewise by the piece that holds at the point."""

from collections.abc import Sequence

import mpmath
import numpy
import sympy

DIGITS = 400  # e^−700 beside 1 and its square's digits


def truth(expr: sympy.Expr, x: sympy.Symbol, points: Sequence[float]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Return the values of `expr` at finite points and the size of the largest term there, both float64."""
    pieces = expr.args if isinstance(expr, sympy.Piecewise) else [(expr, sympy.true)]
    terms = [[sympy.lambdify(x, term, "mpmath") for term in sympy.Add.make_args(value)] for value, _ in pieces]
    conditions = [sympy.lambdify(x, condition, "mpmath") for _, condition in pieces]
    values, sizes = [], []
    with mpmath.workdps(DIGITS):
        for point in points:
            at = mpmath.mpf(float(point))
            piece = next(index for index, condition in enumerate(conditions) if condition(at))
            row = [term(at) for term in terms[piece]]
            values.append(float(mpmath.fsum(row)))
            sizes.append(float(max(abs(value) for value in row)))
    return numpy.array(values), numpy.array(sizes)
