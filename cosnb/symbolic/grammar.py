"""Builder of expressions from formula text, within the bounds of the grammar."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import sympy
from sympy import Piecewise
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair

from cosnb.errors import CosnbError
from cosnb.symbolic import catalogue
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.functions import floor, ln, softplus
from cosnb.symbolic.vocabulary import DEFINED, GROWING, KINKED, PAIRED, PLAIN, compare, pieces

MAX_SIZE = 2000  # nodes of the SymPy expression
MAX_CASES = 100
MAX_EXPONENT = 32
MAX_BITS = 340  # of a number's numerator and denominator: about 100 digits
MAX_EXP = 230  # of a constant argument: e^230 is 1e100
# A decimal or a fraction of bounded length: SymPy would work out 1e999999999 digit by digit.
_PARAMETER = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2})?(/[1-9][0-9]{0,19})?")


class OutOfBoundsError(Exception):
    """A bound that an expression breaks; whoever knows the text turns it into a CosnbError with the column."""


@dataclass(frozen=True)
class Measure:
    """What counts of an expression: nodes of its tree, greatest product of nested exponents, what it holds."""

    size: int
    power: sympy.Rational
    symbols: bool
    absolute: bool  # an Abs


class Builder:
    """Builds one formula step by step; every method raises OutOfBoundsError rather than start long work."""

    def __init__(self) -> None:
        self._measures: dict[sympy.Basic, Measure] = {}
        self._cases = 0

    def finish(self, expr: sympy.Expr) -> sympy.Expr:
        """Return `expr` without Abs, once it is within every bound; constants must be real and of bounded size."""
        expr = _without_poles(expr)
        if self.measure(expr).absolute:  # SymPy's √(x²) is |x|
            expr = expr.xreplace({u: self.branch([u.args[0]], KINKED["abs"]) for u in expr.atoms(sympy.Abs)})
        if not self.measure(expr).symbols and not expr.is_Rational:
            _constant(expr)
        return expr

    def power(self, base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        """Return base**exponent: the exponent is a small rational number or a parameter, or the base has no x."""
        if base == sympy.E:
            return self.apply("exp", [exponent])
        if exponent.is_Rational:
            if abs(exponent) > MAX_EXPONENT:
                raise OutOfBoundsError(_EXPONENT)
            return base**exponent
        if not base.has(x):
            if not self.measure(base).symbols and not _constant(base) > 0:
                raise OutOfBoundsError("a power whose exponent is no fixed number is real for a base above 0 alone")
            return self.apply("exp", [exponent * ln(base)])
        if exponent.has(x) or not exponent.free_symbols:
            raise OutOfBoundsError(_EXPONENT)
        return base**exponent

    def apply(self, name: str, args: list[sympy.Expr]) -> sympy.Expr:
        """Return the function `name`, any but where, of `args`."""
        u, *rest = args
        match name:
            case "min" | "max":
                for other in rest:
                    u = self.branch([u, other], PAIRED[name])
                return u
            case "clip":
                return self.apply("min", [self.apply("max", [u, rest[0]]), *rest[1:]]) if rest else u
            case "pow":
                return self.power(u, *rest)
            case "remainder":
                return u - rest[0] * floor(u / rest[0])
            case "logaddexp":
                return rest[0] + softplus(u - rest[0])
            case "step" if rest:
                return self.branch([u], lambda v: pieces((0, v < 0), (rest[0], v <= 0), (1, True)))
        if name in KINKED:
            return self.branch([u], KINKED[name])
        if name in GROWING or name not in PLAIN:
            if not self.measure(u).symbols and abs(_constant(u)) > MAX_EXP:
                raise OutOfBoundsError(f"a constant argument of {name} must lie between -{MAX_EXP} and {MAX_EXP}")
            u = u.xreplace({part: ln(*part.args) for part in u.atoms(sympy.log) if not part.free_symbols})
        if name in PLAIN:
            return PLAIN[name](u)
        if name in DEFINED:
            expr = DEFINED[name]
        else:
            row = catalogue.get(name)
            expr = row.expr.subs(row.parameters)
        return self.branch([u], lambda v: expr.xreplace({x: v})) if expr.has(Piecewise) else expr.xreplace({x: u})

    def where(
        self,
        relation: Callable[[sympy.Expr, sympy.Expr], sympy.Basic],
        sides: list[sympy.Expr],
        value: sympy.Expr,
        otherwise: sympy.Expr,
    ) -> sympy.Expr:
        """Return `value` where the relation of the two `sides` holds, else `otherwise`."""
        expr = self.branch(sides, lambda u, v: pieces((value, compare(relation, u, v)), (otherwise, True)))
        self.measure(expr)
        return expr

    def branch(self, args: list[sympy.Expr], build: Callable[..., sympy.Expr]) -> sympy.Expr:
        """Return build(*args), made for each piece apart where an argument holds a Piecewise.

        So no condition ever holds a Piecewise: SymPy would turn it into nested booleans of any size.
        """
        parts = (part for arg in args for part in sympy.preorder_traversal(arg) if isinstance(part, Piecewise))
        found = next(parts, None)
        if sympy.nan in args or sympy.zoo in args:
            return sympy.nan
        if found is not None:
            return pieces(*((self.branch([arg.xreplace({found: e}) for arg in args], build), c) for e, c in found.args))
        self._cases += 1
        if self._cases > MAX_CASES:
            raise OutOfBoundsError(f"the conditions make more than {MAX_CASES} cases: nest fewer abs, min and where")
        return build(*args)

    def measure(self, expr: sympy.Basic) -> Measure:
        """Return the measure of `expr`, each part measured once; refuse what is out of bounds."""
        if expr not in self._measures:
            self._measures[expr] = self._measure(expr)
        return self._measures[expr]

    def _measure(self, expr: sympy.Basic) -> Measure:
        if isinstance(expr, ExprCondPair) and expr.expr is sympy.nan:
            return self.measure(expr.cond)
        _check_number(expr)
        parts = [self.measure(part) for part in expr.args]
        size = 1 + sum(part.size for part in parts)
        power = max((part.power for part in parts), default=sympy.Integer(1))
        symbols = expr.is_Symbol or any(part.symbols for part in parts)
        absolute = isinstance(expr, sympy.Abs) or any(part.absolute for part in parts)
        if isinstance(expr, sympy.Pow):
            if expr.exp.has(x) or not (expr.exp.is_Rational or expr.exp.free_symbols):
                raise OutOfBoundsError(_EXPONENT)
            power = max(power, parts[0].power * abs(expr.exp)) if expr.exp.is_Rational else power
        if power > MAX_EXPONENT:
            raise OutOfBoundsError(f"powers, those inside powers multiplied, must be at most {MAX_EXPONENT}")
        if size > MAX_SIZE:
            raise OutOfBoundsError(f"the formula grows to more than {MAX_SIZE} terms and factors: shorten it")
        if isinstance(expr, Relational) and not symbols:
            raise OutOfBoundsError("this compares constants that cannot be told apart: leave the comparison out")
        return Measure(size, power, symbols, absolute)


def _without_poles(expr: sympy.Expr) -> sympy.Expr:
    """Return `expr` with NaN for a division by 0 in a piece that holds at one number alone, as 1/abs(x) has it at 0.

    What the value there is, a limit or none, is known once the whole formula is: see `analysis.special`.
    """
    if not expr.has(sympy.zoo):
        return expr
    return expr.replace(lambda e: isinstance(e, Piecewise) and e.has(sympy.zoo), _marked)


def _marked(expr: Piecewise) -> sympy.Expr:
    strict: set[tuple[sympy.Expr, ...]] = set()
    marked = []
    for value, condition in expr.args:
        alone = isinstance(condition, sympy.Eq) or (isinstance(condition, Relational) and condition.args in strict)
        marked.append((sympy.nan if value == sympy.zoo and alone else value, condition))
        if isinstance(condition, sympy.StrictLessThan | sympy.StrictGreaterThan):
            strict.add(condition.args)
    return Piecewise(*marked)


_EXPONENT = (
    f"an exponent must be a number or a parameter, between -{MAX_EXPONENT} and {MAX_EXPONENT}: only a base without x "
    "takes any, as in 2**x; write u**v as exp(v*log(u))"
)
_NO_NUMBERS = (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I)


def _check_number(expr: sympy.Basic) -> None:
    if expr.is_Rational and max(expr.p.bit_length(), expr.q.bit_length()) > MAX_BITS:
        raise OutOfBoundsError("a number here has more than 100 digits: use smaller or rounder numbers")
    if expr in _NO_NUMBERS:
        where = "on an interval of x" if expr == sympy.zoo else "for any x"
        raise OutOfBoundsError(f"this is not a finite real number {where}: is there a division by 0 or √(−1)?")


def _constant(expr: sympy.Expr) -> sympy.Expr:
    """Return the value of an expression without symbols; refuse one that is not real, above 1e100 or below 1e-100.

    What cancels to 0 without SymPy's knowing it, sin(1)**2 + cos(1)**2 - 1, shows as such a small one.
    """
    number = expr.evalf(15)
    big = sympy.Integer(10) ** 100
    if not (number.is_Float or number.is_Rational) or not (expr == 0 or 1 / big < abs(number) < big):
        raise OutOfBoundsError("this constant is neither 0 nor a real number between 1e-100 and 1e100: simplify it")
    return number


def parameter_value(name: str, value: float | str) -> sympy.Rational:
    """Return the exact number that is written as `value`; CosnbError, which says `name`, where it is none."""
    text = str(value)
    if not _PARAMETER.fullmatch(text):
        raise CosnbError(f"parameter {name} must be a finite number like 5, 0.5 or 1/2, got {value!r}")
    return sympy.Rational(text)
