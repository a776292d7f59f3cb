"""Printer of formula text: the inverse of `parsing.parse`."""

from typing import Any

import sympy
from sympy.printing.str import StrPrinter

from cosnb.errors import CosnbError
from cosnb.symbolic import parsing


class _FormulaPrinter(StrPrinter):
    """SymPy's own text, but for what the grammar writes in another way."""

    def _print_Piecewise(self, expr: sympy.Piecewise) -> str:  # noqa: N802  (SymPy's name)
        *cases, (last, _) = expr.args
        text: str = self._print(last)
        for value, condition in reversed(cases):
            text = f"where({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_And(self, expr: sympy.And) -> str:  # noqa: N802
        return " and ".join(f"({self._print(part)})" for part in expr.args)

    def _print_Or(self, expr: sympy.Or) -> str:  # noqa: N802
        return " or ".join(f"({self._print(part)})" for part in expr.args)

    def _print_Relational(self, expr: Any) -> str:  # noqa: N802  (SymPy writes an equation as Eq(x, 0))
        return f"{self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)}"

    def _print_Exp1(self, expr: sympy.Basic) -> str:  # noqa: N802
        return "e"


def formula_text(expr: sympy.Expr) -> str:
    """Return text that `parsing.parse` reads as `expr`, an expression in `catalogue.x` without parameters.

    Raises CosnbError where the grammar has no way to write it.
    """
    text = str(_FormulaPrinter().doprint(expr))
    if parsing.parse(text) != expr:
        raise CosnbError(f"the grammar of formulas cannot write {text!r}: give the activation as formula text")
    return text
