"""The catalogue: one row an activation, its formula as a SymPy expression and where the formula comes from."""

import difflib
from dataclasses import dataclass, field

import sympy

from cosnb.errors import CosnbError
from cosnb.symbolic.functions import sigmoid, softplus

x = sympy.Symbol("x", real=True)
a, c = sympy.symbols("a c", real=True)


@dataclass(frozen=True)
class Formula:
    """One activation: `expr` in the real symbol `x` and in `parameters` (symbol → default), with its `source`."""

    name: str
    title: str
    expr: sympy.Expr
    source: str
    aliases: tuple[str, ...] = ()
    parameters: dict[sympy.Symbol, sympy.Rational] = field(default_factory=dict)


# A kink takes the value of its left piece in the derivative where PyTorch's own function does: 0 at x = 0 for ReLU,
# 0 at both ends for ReLU6.
_ROWS = (
    Formula("sigmoid", "Sigmoid", sigmoid(x), "P, eq. (1); Verhulst 1845", ("logistic",)),
    Formula("tanh", "Tanh", sympy.tanh(x), "P, eq. (2)"),
    Formula(
        "relu",
        "ReLU",
        sympy.Piecewise((0, x <= 0), (x, True)),
        "P, eq. (3); Nair and Hinton 2010, Rectified linear units improve restricted Boltzmann machines",
    ),
    Formula(
        "relu6",
        "ReLU6",
        sympy.Piecewise((0, x <= 0), (6, x >= 6), (x, True)),  # x last: it is what NaN gets
        "Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10; MobileNet v2's activation (Sandler 2018)",
    ),
    Formula(
        "swish",
        "Swish",
        x * sigmoid(x),
        "P, eq. (4); Ramachandran, Zoph and Le 2017, arXiv:1710.05941; as SiLU: Elfwing, Uchibe and Doya 2018",
        ("silu",),
    ),
    Formula("mish", "Mish", x * sympy.tanh(softplus(x)), "B, section 3.2; Misra 2019, arXiv:1908.08681"),
    Formula(
        "cos",
        "CoS",
        x * sigmoid(x) + (sigmoid(a * x) - c) ** 2,
        "P, eq. (5), reconstructed from the text of P (section III); slope a = 5, shift c = 1/2",
        parameters={a: sympy.Integer(5), c: sympy.Rational(1, 2)},
    ),
)
CATALOGUE: dict[str, Formula] = {row.name: row for row in _ROWS}
_BY_NAME = CATALOGUE | {alias: row for row in _ROWS for alias in row.aliases}


def get(name: str) -> Formula:
    """Return the catalogue's row called `name` (or an alias of it); CosnbError names the known ones."""
    row = _BY_NAME.get(name.lower()) if isinstance(name, str) else None
    if row is None:
        near = difflib.get_close_matches(str(name).lower(), _BY_NAME, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise CosnbError(f"unknown activation {name!r}: {hint}the catalogue has {', '.join(sorted(_BY_NAME))}")
    return row
