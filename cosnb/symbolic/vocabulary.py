"""Names of formula text: its functions, what each means, and other names for them."""

from collections.abc import Callable
from operator import ge, le

import sympy
from sympy import Piecewise, Rational

from cosnb.symbolic import catalogue
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.catalogue.of_torch import GELU
from cosnb.symbolic.functions import erfc, floor, ln, sigmoid, softplus

CONSTANTS = {"pi": sympy.pi, "e": sympy.E}
PLAIN: dict[str, Callable[[sympy.Expr], sympy.Expr]] = {
    "exp": sympy.exp,
    "expm1": lambda u: sympy.exp(u) - 1,
    "log": sympy.log,
    "log1p": lambda u: sympy.log(1 + u),
    "sqrt": sympy.sqrt,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "tanh": sympy.tanh,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "atan": sympy.atan,
    "asinh": sympy.asinh,
    "erf": sympy.erf,
    "erfc": erfc,
    "sigmoid": sigmoid,
    "softplus": softplus,
}
GROWING = ("exp", "expm1", "sinh", "cosh")
# Each in the form that keeps digits: log((1 + x)/(1 − x)) loses them near 0, x + √(x² − 1) near 1.
DEFINED: dict[str, sympy.Expr] = {
    "acos": 2 * sympy.atan(sympy.sqrt((1 - x) / (1 + x))),
    "acosh": 2 * sympy.asinh(sympy.sqrt((x - 1) / 2)),
    "asin": 2 * sympy.atan(x / (1 + sympy.sqrt(1 - x**2))),
    "atanh": (sympy.log(1 + x) - sympy.log(1 - x)) / 2,
    "cbrt": Piecewise((-((-x) ** Rational(1, 3)), x < 0), (x ** Rational(1, 3), True)),
    "ceil": -floor(-x),
    "coth": 1 / sympy.tanh(x),
    "csch": 1 / sympy.sinh(x),
    "exp2": sympy.exp(x * ln(2)),
    "gelu_10": Piecewise((10, x > 10), (GELU, True)),  # min(gelu(x), 10): gelu(10) is 10 − 8e-23
    "identity": x,
    # (1 + erf((x − mu)/(sigma·√2)))/2 with the numbers of Ma et al. 2022 (Mega), arXiv:2209.10655
    "laplace": erfc((Rational("0.707107") - x) / (Rational("0.282095") * sympy.sqrt(2))) / 2,
    "log10": sympy.log(x) / sympy.log(10),
    "log1mexp": Piecewise((sympy.log(2 * sympy.sinh(x / 2)) - x / 2, x < 1), (sympy.log(1 - sympy.exp(-x)), True)),
    "log2": sympy.log(x) / sympy.log(2),
    "negative": -x,
    "reciprocal": 1 / x,
    "floor": floor(x),
    "round": floor(x / 2 + Rational(1, 4)) - floor(Rational(1, 4) - x / 2),  # halves to the even side, as PyTorch's
    "rsqrt": 1 / sympy.sqrt(x),
    "sech": 1 / sympy.cosh(x),
    "sqrtsoftplus": sympy.sqrt(softplus(x)),
    "square": x**2,
    "step": Piecewise((0, x < 0), (1, True)),
    # Huang and Schlag 2024, arXiv:2411.13010; Transformers has e^min(x, −1e−6), which is off by 8e-7 just below 0
    "trunc": Piecewise((-floor(-x), x < 0), (floor(x), True)),
    "xielu": Piecewise(((sympy.exp(x) - 1 - x) * 4 / 5 + x / 2, x <= 0), (x**2 * 4 / 5 + x / 2, True)),
}
# Other names of functions, as Python's math, NumPy, SciPy, PyTorch, JAX, Keras and Transformers have them.
ALIASES = {
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctanh": "atanh",
    "clamp": "clip",
    "expit": "sigmoid",
    "exponential": "exp",
    "fabs": "abs",
    "fix": "trunc",
    "fmax": "max",
    "fmin": "min",
    "heaviside": "step",
    "linear": "identity",
    "ln": "log",
    "maximum": "max",
    "minimum": "min",
    "mod": "remainder",
    "neg": "negative",
    "power": "pow",
    "rint": "round",
    "sgn": "sign",
}


def pieces(*given: tuple[sympy.Expr, sympy.Basic]) -> sympy.Expr:
    """Return a Piecewise, its last piece's own pieces in line: min(max(x, 0), 6) is ReLU6 as the catalogue has it."""
    *first, (last, condition) = given
    if condition == sympy.true and isinstance(last, Piecewise) and first:
        value, case = last.args[0]
        # SymPy would join neighbours of equal value by an Or of their conditions.
        if value != first[-1][0] or case == first[-1][1]:
            return closed(Piecewise(*first, *last.args))
    return closed(Piecewise(*given))


def closed(expr: sympy.Expr) -> sympy.Expr:
    """Give pieces of pieces their last case: SymPy drops it where an outer condition makes an inner one certain."""
    if not isinstance(expr, Piecewise):
        return expr
    gaps = {part: Piecewise(*part.args[:-1], (part.args[-1][0], True)) for part, _ in expr.args if _has_gap(part)}
    return expr.func(*((gaps.get(part, part), condition) for part, condition in expr.args)) if gaps else expr


def _has_gap(expr: sympy.Expr) -> bool:
    return isinstance(expr, Piecewise) and expr.args[-1][1] != sympy.true


def compare(relation: Callable[[sympy.Expr, sympy.Expr], sympy.Basic], u: sympy.Expr, v: sympy.Expr) -> sympy.Basic:
    """Return relation(u, v), with parameters as relation(u − v, 0): SymPy turns x >= x/10 + 9*c/10 round for ever."""
    condition = relation(u, v)
    return relation(u - v, sympy.Integer(0)) if u.has(x) and v.has(x) and condition.free_symbols != {x} else condition


def _abs(u: sympy.Expr) -> sympy.Expr:
    return pieces((-u, u < 0), (0, u <= 0), (u, True))


def _sign(u: sympy.Expr) -> sympy.Expr:
    return pieces((-1, u < 0), (0, u <= 0), (1, True))


def _relu(u: sympy.Expr) -> sympy.Expr:
    return pieces((0, u <= 0), (u, True))


def _min(u: sympy.Expr, v: sympy.Expr) -> sympy.Expr:
    u, v = (v, u) if u.has(x) and not v.has(x) else (u, v)  # NaN takes the last piece, which must hold x
    return pieces((u, compare(le, u, v)), (v, True))


def _max(u: sympy.Expr, v: sympy.Expr) -> sympy.Expr:
    u, v = (v, u) if u.has(x) and not v.has(x) else (u, v)
    return pieces((u, compare(ge, u, v)), (v, True))


KINKED = {"abs": _abs, "sign": _sign, "relu": _relu}
PAIRED = {"min": _min, "max": _max}
# Least and greatest number of arguments of those that do not take 1
_TAKES = {"min": (2, 999), "max": (2, 999), "where": (3, 3), "clip": (2, 3), "step": (1, 2), "pow": (2, 2)}
_TAKES |= {"logaddexp": (2, 2), "remainder": (2, 2)}
OLDEST = (*PLAIN, *KINKED, *PAIRED, "where")  # no parameter has one of these names
FUNCTIONS = (*sorted({*OLDEST, *DEFINED, *_TAKES} - {"where"}), "where")


def find(name: str) -> str | None:
    """Return the function or row of the catalogue that `name` means in a formula, None where there is none.

    ReLU is relu, ln is log; CoS is none, for cos is the cosine.
    """
    lower = name.lower()
    for word in (name, lower) if lower not in ("cos", "sin") else (name,):
        word = ALIASES.get(word, word)
        if word in FUNCTIONS or word in catalogue.names():
            return word
    return None


def takes(name: str) -> tuple[int, int, str]:
    """Return the least and the greatest number of arguments of a function, and what it takes in words."""
    least, most = _TAKES.get(name, (1, 1))
    words = f"{least} or more" if most > 9 else f"{least} or {most}" if most > least else f"{least}"
    return least, most, f"{words} argument{'s' * (words != '1')}"
