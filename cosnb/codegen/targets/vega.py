"""Vega: one expression of Vega's expression language, for charts whose curves follow sliders.

The language has JavaScript's numbers and operators, few functions, and no way to name a value, so all is written out
where it is used. What it lacks is made of what it has, in double, within about 1e−12 of the value: expm1, log1p, tanh,
sinh and asinh by their series near 0, erfc by a quotient of polynomials.
"""

import re
from collections.abc import Mapping

import sympy
from sympy import Rational

from cosnb.analysis.special import special_points
from cosnb.codegen.lower import lower, lower_directly
from cosnb.codegen.printing import Target, expression
from cosnb.codegen.program import Program
from cosnb.errors import CosnbError
from cosnb.symbolic.normal_form import normal_form

TEMPLATES = {name: name + "({0})" for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "atan", "abs", "floor")} | {
    "atan": "atan({0})",
    "hypot": "hypot({0}, {1})",
    "pow": "pow({0}, {1})",
    "power": "pow({0}, {1})",
    "cbrt": "pow({0}, 1 / 3)",
    "power_of": "pow({3}, {0})",
    "exp_product": "exp({1} * {0:factor})",
    "min": "min({0}, {1})",
    "max": "max({0}, {1})",
    "where": "({0} ? {1} : {2})",
    "and": "(({0}) && ({1}))",
    "or": "(({0}) || ({1}))",
    "not": "!({0})",
}
# e^(y²)·erfc(y) = P(y) / Q(y) for y ≥ 0 within 6.5e−14: the quotient of degrees 8 and 9 that meets it at the 18 points
# y = 2v / (1 − v), v the Chebyshev points of [0, 1], solved in 60 digits.
_P = (
    *(1.0, 2.0639624777848864, 2.0960627160985807, 1.3364532681306422, 0.5795879273301412),
    *(0.17459056487815802, 0.03576368190914215, 0.004591770622219963, 0.0002878431114220597),
)
_Q = (
    *(1.0, 3.1923416448805875, 4.698234522423914, 4.197754358719829, 2.51945984111353, 1.0587324727625445),
    *(0.3135230704266046, 0.06364457003008338, 0.008138701521868168, 0.0005101886312966243),
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")
# What Vega reads as a constant, as an object of its own, or not at all.
_TAKEN = frozenset(
    (
        *("NaN", "E", "LN2", "LN10", "LOG2E", "LOG10E", "MAX_VALUE", "MIN_VALUE", "PI", "SQRT1_2", "SQRT2"),
        *("null", "true", "false", "undefined", "Infinity", "datum", "event", "item", "parent", "this"),
    )
)


def number(value: sympy.Expr) -> str:
    """Return the shortest literal of the double nearest to an exact number; integers without a point."""
    if value.is_infinite:
        return "(1 / 0)" if value > 0 else "(-1 / 0)"
    nearest = float(value)
    return str(int(nearest)) if nearest.is_integer() and abs(nearest) < 1e6 else repr(nearest)


VEGA = Target("vega", TEMPLATES, number, lambda single, double: number(double))


def source(expr: sympy.Expr, x: str = "datum.x", parameters: Mapping[str, str] | None = None) -> str:
    """Return the Vega expression of `expr` in the symbol x, which becomes `x`.

    `parameters`: {name of a symbol: name of a Vega-Lite parameter}, for a symbol that a slider sets; a symbol that is
    left out is an error, and so is a name that Vega would not read as a field or a parameter. Where `expr` has a normal
    form the shorter of both ways is taken. Points are finite and below 1e34. Raises CosnbError.
    """
    renamed = {"x": x, **(parameters or {})}
    names = {symbol: renamed.get(symbol.name, "") for symbol in sorted(expr.free_symbols, key=str)}
    if missing := [symbol.name for symbol, name in names.items() if not name]:
        raise CosnbError(f"the formula holds {', '.join(missing)}: give a value, or the name of a Vega parameter")
    for name in renamed.values():
        if not _NAME.fullmatch(name) or name in _TAKEN or name.partition(".")[2] in _TAKEN:
            raise CosnbError(
                f"Vega reads no field or parameter called {name!r:.60}: expected one like datum.x or slope"
            )
    direct = expression(_spelled_out(lower_directly(expr, names)), VEGA)
    symbols = [symbol for symbol in names if symbol.name == "x"]
    if len(names) > 1 or not symbols:
        return direct
    special = special_points(expr, symbols[0])
    if normal_form(expr, symbols[0]) is None and not special:
        return direct
    guarded = expression(_spelled_out(lower(expr, symbols[0]), {"x": x}), VEGA)
    return guarded if special else min(direct, guarded, key=len)


def _spelled_out(program: Program, renamed: Mapping[str, str] | None = None) -> Program:
    """Return the program with the operations that Vega lacks written in those that it has, its inputs renamed."""
    new = _Words()
    at: dict[int, int] = {}
    for index in program.live():
        step = program.steps[index]
        word = getattr(new, f"put_{step.op}", None)
        if step.op == "input":
            at[index] = new.input((renamed or {}).get(step.name, step.name))
        elif word is not None:
            at[index] = word(*(at[i] for i in step.args))
        else:
            at[index] = new.put(step._replace(args=tuple(at[i] for i in step.args)))
    new.result = at[program.result]
    return new


class _Words(Program):
    """A program that writes the functions which Vega lacks; `put_f` emits f(y) for the step y.

    Each series ends where its next term is below 1e−13 of the first; the bounds are where the other way loses as much.
    """

    def _series(self, y: int, *coefficients: sympy.Expr) -> int:
        total = self.number(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total = self.add(self.mul(total, y), self.number(coefficient))
        return total

    def _near_zero(self, y: int, bound: sympy.Expr, near: int, far: int) -> int:
        return self.where(self.emit("lt", self.emit("abs", y), self.number(bound)), near, far)

    def _signed(self, y: int, size: int) -> int:
        sign = self.where(self.emit("lt", y, self.number(0)), self.number(-1), self.number(1))
        return self.mul(sign, size)

    def _exp(self, y: int) -> int:
        return self.emit("exp", y)

    put_exp_nonpositive = _exp

    def put_exp_scaled(self, y: int) -> int:
        return self._exp(self.add(y, self.number(100 * sympy.log(2))))

    def put_negative(self, y: int) -> int:
        return self.emit("lt", y, self.number(0))

    def put_expm1(self, y: int) -> int:
        near = self.mul(y, self._series(y, *(Rational(1, n) for n in (1, 2, 6, 24))))
        return self._near_zero(y, Rational(1, 1000), near, self.add(self._exp(y), self.number(-1)))

    def put_one_minus_exp(self, y: int) -> int:
        return self.neg(self.put_expm1(y))

    def put_log1p(self, y: int) -> int:
        near = self.mul(y, self._series(y, *(Rational((-1) ** n, n + 1) for n in range(4))))
        return self._near_zero(y, Rational(1, 1000), near, self.emit("log", self.add(self.number(1), y)))

    put_log1p_unit = put_log1p

    def put_tanh(self, y: int) -> int:
        near = self.mul(y, self._series(self.mul(y, y), *map(Rational, ("1", "-1/3", "2/15"))))
        above = self.add(self._exp(self.mul(self.number(2), y)), self.number(1))
        far = self.emit("sub", self.number(1), self.div(self.number(2), above))
        return self._near_zero(y, Rational(1, 100), near, far)

    def put_sinh(self, y: int) -> int:
        near = self.mul(y, self._series(self.mul(y, y), *(Rational(1, n) for n in (1, 6, 120, 5040))))
        far = self.emit("sub", self._exp(y), self._exp(self.neg(y)))
        return self._near_zero(y, Rational(1, 10), near, self.div(far, self.number(2)))

    def put_cosh(self, y: int) -> int:
        return self.div(self.add(self._exp(y), self._exp(self.neg(y))), self.number(2))

    def put_asinh(self, y: int) -> int:
        near = self.mul(y, self._series(self.mul(y, y), *map(Rational, ("1", "-1/6", "3/40", "-5/112"))))
        size = self.emit("abs", y)
        far = self.emit("log", self.add(size, self.emit("hypot", y, self.number(1))))
        return self._near_zero(y, Rational(1, 30), near, self._signed(y, far))

    def put_sigmoid(self, y: int) -> int:
        return self.div(self.number(1), self.add(self.number(1), self._exp(self.neg(y))))

    def put_softplus(self, y: int) -> int:
        small = self._exp(y)
        near = self.mul(small, self._series(small, *(Rational((-1) ** n, n + 1) for n in range(4))))
        rest = self.emit("log", self.add(self.number(1), self._exp(self.neg(self.emit("abs", y)))))
        far = self.add(self.emit("max", y, self.number(0)), rest)
        return self.where(self.emit("lt", y, self.number(-7)), near, far)

    def put_sign(self, y: int) -> int:
        zero = self.number(0)
        negative = self.where(self.emit("lt", y, zero), self.number(-1), y)
        return self.where(self.emit("gt", y, zero), self.number(1), negative)

    def _erfc_of_size(self, y: int) -> int:
        size = self.emit("abs", y)
        quotient = self.div(self._series(size, *_floats(_P)), self._series(size, *_floats(_Q)))
        return self.mul(self._exp(self.neg(self.mul(y, y))), quotient)

    def put_erfc(self, y: int) -> int:
        negative = self.emit("lt", y, self.number(0))
        return self.add(self._signed(y, self._erfc_of_size(y)), self.where(negative, self.number(2), self.number(0)))

    def put_erf(self, y: int) -> int:
        coefficients = (Rational(1, n) * 2 / sympy.sqrt(sympy.pi) for n in (1, -3, 10, -42, 216))
        near = self.mul(y, self._series(self.mul(y, y), *coefficients))
        far = self._signed(y, self.emit("sub", self.number(1), self._erfc_of_size(y)))
        return self._near_zero(y, Rational(1, 10), near, far)


def _floats(values: tuple[float, ...]) -> list[sympy.Expr]:
    return [Rational(value) for value in values]
