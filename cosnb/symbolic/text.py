"""Printers of formulas: text, the inverse of `parsing.parse`, and LaTeX."""

from typing import Any

import sympy
from sympy.core.function import FunctionClass
from sympy.core.relational import Relational
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from cosnb.errors import CosnbError
from cosnb.symbolic import parsing
from cosnb.symbolic.functions import ln
from cosnb.symbolic.vocabulary import KINKED


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


# Functions that stand for their Piecewise while it is printed; printers go by their names.
_NAMED = {name: FunctionClass(name, (sympy.Function,), {}) for name in ("abs", "relu", "sign")}


class _Latex(LatexPrinter):
    """SymPy's own LaTeX, with bars and sgn for the functions of the grammar."""

    def _print_abs(self, expr: sympy.Expr, exp: str | None = None) -> str:
        return rf"\left|{{{self._print(expr.args[0])}}}\right|" + (f"^{{{exp}}}" if exp is not None else "")

    def _print_Relational(self, expr: Any) -> str:  # noqa: N802
        """Print x first: SymPy turns x ≤ m into m ≥ x, and x ≤ −m into m ≤ −x."""
        left, right = expr.args
        if str(right) == "x":
            expr = expr.reversed
        elif str(right) == "-x":
            expr = expr.func(-right, -left, evaluate=False)
        return str(super()._print_Relational(expr))

    def _print_sign(self, expr: sympy.Expr, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"\operatorname{{sgn}}{power}\left({self._print(expr.args[0])}\right)"


def _with_names(expr: sympy.Expr, names: tuple[str, ...]) -> sympy.Expr:
    """Return `expr` with functions `names` for the Piecewise that they and their powers stand for, and b**u."""
    shown: dict[sympy.Basic, sympy.Expr] = {}
    for part in expr.atoms(sympy.Piecewise):
        first, (last, _) = part.args[0], part.args[-1]
        base, power = last.as_base_exp()
        tried = [(name, base, power) for name in ("abs", "relu")]
        if isinstance(first[1], Relational):
            tried.append(("sign", first[1].lhs - first[1].rhs, sympy.Integer(1)))
        for name, inside, exponent in tried:
            if name in names and not inside.has(sympy.Piecewise) and KINKED[name](inside) ** exponent == part:
                shown[part] = _NAMED[name](inside) ** exponent
    for part in expr.atoms(sympy.exp):
        for factor in sympy.Mul.make_args(part.args[0]):
            if isinstance(factor, ln):
                shown[part] = factor.args[0] ** (part.args[0] / factor)
    return expr.xreplace(shown)


def formula_latex(expr: sympy.Expr) -> str:
    """Return LaTeX of an expression, with |u| and sgn(u) for what abs and sign stand for."""
    return str(_Latex().doprint(_with_names(expr, ("abs", "sign")))).replace("\n", " ")


def readable(expr: sympy.Expr) -> str:
    """Return text in the words of the grammar, for readers: `parsing.parse` may read it otherwise."""
    return str(_FormulaPrinter().doprint(_with_names(expr, tuple(_NAMED))))


def formula_text(expr: sympy.Expr) -> str:
    """Return text that `parsing.parse` reads as `expr`, an expression in `catalogue.x` without parameters.

    Raises CosnbError where the grammar has no way to write it.
    """
    text = readable(expr)
    if parsing.parse(text) != expr:
        raise CosnbError(f"the grammar of formulas cannot write {text!r}: give the activation as formula text")
    return text
