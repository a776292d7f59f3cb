"""NumPy: a function of one array, printed from a `Program`."""

import sympy

from cosnb.codegen.printing import Target

TEMPLATES = {
    "exp_scaled": "numpy.square(numpy.exp(0.5 * {0}) * 2.0**50)",
    "exp_nonpositive": "numpy.exp({0})",
    "expm1_nonpositive": "numpy.expm1({0})",
    "exp": "numpy.exp({0})",
    "expm1": "numpy.expm1({0})",
    "log": "numpy.log({0})",
    "log1p": "numpy.log1p({0})",
    "log1p_unit": "numpy.log1p({0})",
    "sqrt": "numpy.sqrt({0})",
    "tanh": "numpy.tanh({0})",
    "sinh": "numpy.sinh({0})",
    "cosh": "numpy.cosh({0})",
    "sin": "numpy.sin({0})",
    "cos": "numpy.cos({0})",
    "tan": "numpy.tan({0})",
    "atan": "numpy.arctan({0})",
    "asinh": "numpy.arcsinh({0})",
    "sign": "numpy.sign({0})",
    "abs": "numpy.abs({0})",
    "pow": "numpy.power({0}, {1})",
    "min": "numpy.minimum({0}, {1})",
    "max": "numpy.maximum({0}, {1})",
    "where": "numpy.where({0}, {1}, {2})",
    "where_numbers": "numpy.where({0}, x.dtype.type({1}), x.dtype.type({2}))",
    "and": "({0}) & ({1})",
    "or": "({0}) | ({1})",
    "not": "~({0})",
    "erf": "scipy.special.erf({0})",
    "erfc": "scipy.special.erfc({0})",
    "sigmoid": "scipy.special.expit({0})",
    "softplus": "numpy.logaddexp(0, {0})",
}


def number(value: sympy.Expr) -> str:
    """Return the shortest literal of the float64 nearest to an exact number; integers without a point."""
    if value.is_infinite:
        return "numpy.inf" if value > 0 else "-numpy.inf"
    nearest = float(value)
    return str(int(nearest)) if nearest.is_integer() and abs(nearest) < 1e6 else repr(nearest)


def _edge(single: sympy.Expr, double: sympy.Expr) -> str:
    return f"({number(single)} if x.dtype == numpy.float32 else {number(double)})"


NUMPY = Target("numpy", TEMPLATES, number, _edge)
