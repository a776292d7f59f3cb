"""SymPy functions sigmoid, softplus, erfc, ln and floor, which keep formulas in the form they are written in."""

from typing import Any

import sympy


class sigmoid(sympy.Function):  # noqa: N801  (SymPy names functions in lower case)
    """The logistic function σ(x) = 1 / (1 + e^(−x)); its derivative is σ(x)·(1 − σ(x)) (P, eq. 1)."""

    nargs = 1

    @classmethod
    def eval(cls, arg: sympy.Expr) -> sympy.Expr | None:
        if arg.is_zero:
            return sympy.Rational(1, 2)
        if arg is sympy.oo:
            return sympy.Integer(1)
        if arg is -sympy.oo:
            return sympy.Integer(0)
        return None

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return self * (1 - self)

    def _eval_rewrite_as_exp(self, arg: sympy.Expr, **kwargs: Any) -> sympy.Expr:
        return 1 / (1 + sympy.exp(-arg))

    def _eval_rewrite_as_tractable(self, arg: sympy.Expr, **kwargs: Any) -> sympy.Expr:
        return 1 / (1 + sympy.exp(-arg))

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        return (1 / (1 + sympy.exp(-self.args[0])))._eval_evalf(prec)

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real

    def _eval_is_positive(self) -> bool | None:
        return self.args[0].is_real

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"\sigma{power}\left({printer._print(self.args[0])}\right)"

    def _numpycode(self, printer: Any) -> str:
        # tanh instead of exp: NumPy's exp(-x) overflows, with a warning, below x = -709.
        return f"({printer._print((1 + sympy.tanh(self.args[0] / 2)) / 2)})"

    def _mpmathcode(self, printer: Any) -> str:
        return f"({printer._print(1 / (1 + sympy.exp(-self.args[0])))})"


class softplus(sympy.Function):  # noqa: N801
    """softplus(x) = ln(1 + e^x); its derivative is σ(x) (B, section 3.2)."""

    nargs = 1

    @classmethod
    def eval(cls, arg: sympy.Expr) -> sympy.Expr | None:
        if arg is sympy.oo:
            return sympy.oo
        if arg is -sympy.oo:
            return sympy.Integer(0)
        return None

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return sigmoid(self.args[0])

    def _eval_rewrite_as_exp(self, arg: sympy.Expr, **kwargs: Any) -> sympy.Expr:
        return sympy.log(1 + sympy.exp(arg))

    def _eval_rewrite_as_tractable(self, arg: sympy.Expr, **kwargs: Any) -> sympy.Expr:
        return sympy.log(1 + sympy.exp(arg))

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        return sympy.log(1 + sympy.exp(self.args[0]))._eval_evalf(prec)

    def _eval_is_positive(self) -> bool | None:
        return self.args[0].is_real

    def _numpycode(self, printer: Any) -> str:
        return f"{printer._module_format('numpy.logaddexp')}(0, {printer._print(self.args[0])})"

    def _mpmathcode(self, printer: Any) -> str:
        return f"({printer._print(sympy.log(1 + sympy.exp(self.args[0])))})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"\operatorname{{softplus}}{power}\left({printer._print(self.args[0])}\right)"


class erfc(sympy.erfc):  # noqa: N801
    """The complementary error function, kept as written: SymPy's own turns erfc(−u) into 2 − erfc(u).

    That loses GELU's left tail: x·erfc(−x/√2)/2 is −1.0e−18 at x = −9, and the other form 0 in float64.
    Derivative, limits, printing and evaluation are inherited.
    """

    @classmethod
    def eval(cls, arg: sympy.Expr) -> sympy.Expr | None:
        if arg.is_zero:
            return sympy.Integer(1)
        if arg is sympy.oo:
            return sympy.Integer(0)
        if arg is -sympy.oo:
            return sympy.Integer(2)
        return None


class ln(sympy.Function):  # noqa: N801
    """The natural logarithm of a positive number or parameter, for exponents: b^u is e^(u·ln(b)).

    SymPy makes 2**n of exp(n·log(2)), and works it out digit by digit; exp(n·ln(2)) it leaves as it is.
    """

    nargs = 1

    @classmethod
    def eval(cls, arg: sympy.Expr) -> sympy.Expr | None:
        if arg in (1, sympy.E):
            return sympy.Integer(0 if arg == 1 else 1)
        return None if arg.free_symbols or arg.is_positive else sympy.nan

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return 1 / self.args[0]

    def _eval_rewrite_as_tractable(self, arg: sympy.Expr, **kwargs: Any) -> sympy.Expr:
        return sympy.log(arg)

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        return sympy.log(self.args[0])._eval_evalf(prec)

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_positive

    def _eval_is_finite(self) -> bool | None:
        return self.args[0].is_positive

    def _eval_is_positive(self) -> bool | None:
        return (self.args[0] - 1).is_positive

    def _eval_is_negative(self) -> bool | None:
        return (self.args[0] - 1).is_negative

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"\ln{power}\left({printer._print(self.args[0])}\right)"

    def _numpycode(self, printer: Any) -> str:
        return str(printer._print(sympy.log(self.args[0])))

    _mpmathcode = _numpycode


class floor(sympy.Function):  # noqa: N801
    """The greatest whole number that is not above the argument; its derivative is 0, at the steps too, as PyTorch's."""

    nargs = 1

    @classmethod
    def eval(cls, arg: sympy.Expr) -> sympy.Expr | None:
        return sympy.floor(arg) if arg.is_number else None

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return sympy.Integer(0)

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return str(printer._print_floor(sympy.floor(self.args[0], evaluate=False), exp))

    def _numpycode(self, printer: Any) -> str:
        return str(printer._print(sympy.floor(self.args[0], evaluate=False)))

    _mpmathcode = _numpycode
