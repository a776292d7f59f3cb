"""A formula as a function: derivatives, properties, operations and code, without PyTorch."""

from collections.abc import Mapping

import sympy

from cosnb.analysis import calculus, special
from cosnb.analysis.findings import Properties
from cosnb.codegen import sources
from cosnb.codegen.lower import lower, lower_directly
from cosnb.codegen.program import Program
from cosnb.errors import CosnbError
from cosnb.symbolic import catalogue, parsing
from cosnb.symbolic.catalogue import Formula, x
from cosnb.symbolic.grammar import parameter_value
from cosnb.symbolic.vocabulary import find, takes


class Function:
    """An elementwise function made from a formula; `expr` is its expression in the real symbol `x`, parameters put in.

    Raises CosnbError where the values of the parameters leave no real number for any x.
    """

    def __init__(self, formula: Formula, parameters: dict[sympy.Symbol, sympy.Expr]) -> None:
        self.formula = formula
        self.name = formula.name
        self.x = x
        self.parameters = parameters
        self.expr: sympy.Expr = formula.expr.subs(parameters)
        undefined = sympy.nan if not formula.expr.has(sympy.nan) else sympy.zoo  # 1/abs(x) is NaN at 0
        if self.expr.has(sympy.zoo, undefined, sympy.oo, -sympy.oo, sympy.I):
            values = ", ".join(f"{symbol} = {value}" for symbol, value in parameters.items())
            raise CosnbError(f"{self.name} is no real number for any x with {values}: give it other parameters")

    def derivative(self, n: int = 1) -> sympy.Expr:
        """Return the `n`-th symbolic derivative, defined on the whole line; for n = 0 the formula with its limits.

        Where the formula is 0/0, or a piece holds at a single number, the value is the limit. At a kink it is the value
        of the piece that holds there, as in PyTorch (0 for ReLU and abs(x)); at a pole it is ±oo, or NaN where the two
        sides differ. An isolated value, such as the 5 in where(x == 0, 5, x), does not affect the derivatives.
        """
        if n < 0:
            raise CosnbError(f"the order of a derivative must be 0 or more, got {n}")
        return special.derivative(self.expr, self.x, n)

    def properties(self, order: int = 0) -> Properties:
        """Return the properties of f, or of its `order`-th derivative; a notebook shows them as a table.

        They are limits, asymptotes, roots, extrema, smoothness and more, each with how it was found: see
        `findings.Properties`.
        """
        return calculus.properties(self.expr, self.x, order)

    def program(self, order: int = 0, product: bool = False) -> Program:
        """Return the intermediate form of the `order`-th derivative, or of `dy` times it: operations and note."""
        return lower(self.derivative(order), self.x, product)

    def operations(self, order: int = 0) -> dict[str, dict[str, int]]:
        """Return the number of each operation in the `order`-th derivative: "before" and "after" it is rewritten."""
        before = lower_directly(self.derivative(order), {self.x: "x"})
        return {"before": before.operations(), "after": self.program(order).operations()}

    def source(self, target: str = "pytorch", order: int = 0) -> str:
        """Return readable code of the `order`-th derivative for a target: see `cosnb.codegen.sources`."""
        return sources.source(self, target, order)


def exact(values: Mapping[str, float | str]) -> dict[str, sympy.Rational]:
    """Return the decimals or fractions that the values are written as, by name; CosnbError for any other."""
    return {name: parameter_value(name, values[name]) for name in sorted(values)}


def read(text: str, values: dict[str, sympy.Rational]) -> tuple[Formula, dict[sympy.Symbol, sympy.Expr]]:
    """Return the catalogue's row of a name, or the formula of a text, and the values of all its parameters.

    Raises CosnbError for an unknown name or parameter, and for a text that is no formula.
    """
    name = text.strip()
    if name.isidentifier() and name != "x":
        function = find(name) if name.lower() not in catalogue.names() else None
        if function is None or takes(function)[0] != 1:
            return _row(name, values)
        text = f"{name}(x)"
    formula = parsing.from_text(text, values)
    return formula, dict(formula.parameters)


def _row(name: str, values: dict[str, sympy.Rational]) -> tuple[Formula, dict[sympy.Symbol, sympy.Expr]]:
    row = catalogue.get(name)
    known = {symbol.name: (symbol, default) for symbol, default in row.parameters.items()}
    if unknown := [name for name in values if name not in known]:
        raise CosnbError(f"{row.name} has no parameter {unknown[0]!r}: its parameters are {', '.join(known) or 'none'}")
    return row, {symbol: values.get(name, value) for name, (symbol, value) in known.items()}
