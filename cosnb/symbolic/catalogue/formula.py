"""A row of the catalogue, and the symbols in which rows are written."""

from dataclasses import dataclass, field

import sympy
from sympy.printing.pretty.pretty_symbology import pretty_symbol

x = sympy.Symbol("x", real=True)
a, b, c, alpha, beta, lambd, omega, theta, value = sympy.symbols("a b c alpha beta lambd omega theta value", real=True)
slope, weight, low, high = sympy.symbols("negative_slope weight min_val max_val", real=True)
scale, bias, lower, upper = sympy.symbols("scale bias lower upper", real=True)

# How a formula writes the parameters whose names, which are those of PyTorch's arguments, would be set as products.
SIGNS = {
    lambd: sympy.Symbol("lambda", real=True),
    value: sympy.Symbol("v", real=True),
    slope: sympy.Symbol("s", real=True),
    weight: sympy.Symbol("w", real=True),
    low: sympy.Symbol("m", real=True),
    high: sympy.Symbol("M", real=True),
    scale: sympy.Symbol("s", real=True),
    bias: sympy.Symbol("b", real=True),
    lower: sympy.Symbol("l", real=True),
    upper: sympy.Symbol("u", real=True),
}


def sign(parameter: sympy.Symbol) -> str:
    """Return the sign of a parameter as text, β for beta and s for negative_slope."""
    return str(pretty_symbol(SIGNS.get(parameter, parameter).name))


@dataclass(frozen=True)
class Formula:
    """An activation: `expr` in the real symbol x and in parameters (symbol: default value), with its source.

    `torch_name` is the class of torch.nn that computes the same with its default arguments; empty where there is none.
    """

    name: str
    title: str
    expr: sympy.Expr
    source: str
    aliases: tuple[str, ...] = ()
    parameters: dict[sympy.Symbol, sympy.Expr] = field(default_factory=dict)
    torch_name: str = ""
