"""Findings about a function: a value, its grade of evidence, and one line of justification."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sympy
from sympy.printing.str import StrPrinter

from cosnb.display import Table

How = Literal["proven", "certified", "numerical"]
DIGITS = 15
_SEEN_ELSEWHERE, _IF_ANY = (
    ("bounded_below", "bounded_above"),
    ("kinks", "vertical_tangents", "jumps", "poles"),
)  # rows left out of the table
_MANY = 8  # points in a cell of the table
_SEARCHED = re.compile(r"(interval Newton) on \[[^]]*\], \d+ box(?:es)?(?:; outside it [^:]*)?")  # too much for a cell
_ORDER: tuple[How, ...] = ("proven", "certified", "numerical")


@dataclass(frozen=True)
class Finding:
    """A value and how it was found.

    "proven": by exact algebra. "certified": an exact count, and digits guaranteed by interval arithmetic. "numerical":
    by a search, which could have missed something. `digits` is how many digits of the decimal numbers in `value` are
    correct (None where it has none).
    """

    value: Any
    how: How
    reason: str
    digits: int | None = None


@dataclass(frozen=True)
class Point:
    """A point: `value` is x to 15 digits, `f` is f(x), and `exact` is x where it is known exactly."""

    value: sympy.Float
    f: sympy.Float
    exact: sympy.Expr | None = None

    def __str__(self) -> str:
        at = show(self.value if self.exact is None else self.exact)
        return at if self.f == 0 else f"{at} (f = {show(self.f)})"


@dataclass(frozen=True)
class Extremum:
    """The infimum or supremum `value` of f: where `attained`, it is f `at` a number or interval; else a limit there."""

    value: sympy.Expr
    at: sympy.Basic
    attained: bool

    def __str__(self) -> str:
        if self.attained:
            return f"{show(self.value)}, {'on' if isinstance(self.at, sympy.Set) else 'at'} {show(self.at)}"
        return f"none: {show(self.value)} is approached for x → {show(self.at)}" if self.value.is_finite else "none"


def weakest(hows: Iterable[How]) -> How:
    """Return the weakest of several ways; of none "proven"."""
    return max(hows, key=_ORDER.index, default="proven")


TITLES = {
    "limits": "limits of f at −∞, ∞",
    "derivative_limits": "limits of f′ at −∞, ∞",
    "asymptotes": "asymptotes at −∞, ∞",
    "roots": "roots",
    "critical_points": "critical points",
    "inflections": "inflections",
    "minimum": "minimum",
    "maximum": "maximum",
    "range": "range",
    "lipschitz": "Lipschitz constant",
    "smoothness": "smoothness",
    "kinks": "kinks",
    "vertical_tangents": "vertical tangents",
    "jumps": "jumps",
    "poles": "poles",
    "monotone": "monotone",
    "convex": "convex",
    "parity": "parity",
    "bounded_below": "bounded below",
    "bounded_above": "bounded above",
}


class Properties(Mapping[str, Finding]):
    """The findings on a function f by name, the keys of `TITLES`; a table in a notebook.

    Values:
    limits, derivative_limits: pairs of numbers or ±oo (None: no limit);
    asymptotes: a pair of lines m·x + c as expressions (None: no line);
    roots, critical_points, inflections: tuples of Point, ascending; roots also has the intervals on which f is 0;
    minimum, maximum: Extremum; range: a set; lipschitz: sup |f′|, oo where there is none;
    smoothness: "C^∞", "C^1" and so on, "continuous" or "discontinuous";
    kinks, vertical_tangents, jumps, poles: tuples of numbers;
    monotone, convex, parity: words; bounded_below, bounded_above: booleans.
    """

    def __init__(self, expr: sympy.Expr, findings: Mapping[str, Finding]) -> None:
        self.expr = expr
        self._findings = dict(findings)

    def __getitem__(self, key: str) -> Finding:
        return self._findings[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._findings)

    def __len__(self) -> int:
        return len(self._findings)

    def __repr__(self) -> str:
        width = max(map(len, TITLES.values()))
        lines = [f"{TITLES[key]:{width}}  {_text(f.value)}  [{_how(f)}]" for key, f in self.items()]
        return "\n".join([f"f = {self.expr}", *lines])

    def rows(self) -> list[list[str]]:
        """Return a list [property, value, how, why] for each finding that a table shows."""
        shown = {key: f for key, f in self.items() if key not in _SEEN_ELSEWHERE and (f.value or key not in _IF_ANY)}
        return [[TITLES[key], _text(f.value), _how(f), _SEARCHED.sub(r"\1", f.reason)] for key, f in shown.items()]

    def _repr_markdown_(self) -> str:
        return Table(["property", "value", "how", "why"], self.rows())._repr_markdown_()


def show(value: Any) -> str:
    """Return a short text of a number, expression or set: decimals with six digits, infinities as signs."""
    if isinstance(value, sympy.Interval):
        left, right = "(" if value.left_open else "[", ")" if value.right_open else "]"
        return f"{left}{show(value.start)}, {show(value.end)}{right}"
    if isinstance(value, sympy.Union):
        return " ∪ ".join(show(part) for part in value.args)
    if isinstance(value, sympy.FiniteSet):
        return "{" + ", ".join(show(part) for part in value.args) + "}"
    if isinstance(value, sympy.Expr):  # 6 digits of a long fraction say more than 60
        long = {q: sympy.Float(q, 6) for q in value.atoms(sympy.Rational) if q.q > 10**6}
        value = value.xreplace(long)
    if isinstance(value, sympy.Float):
        return f"{float(value):.6g}".replace("-", "−")
    text = _Plain().doprint(value) if isinstance(value, sympy.Basic) else str(value)
    return text.replace("oo", "∞").replace("-", "−").replace("**", "^").replace("*", "·")


class _Plain(StrPrinter):
    """SymPy's text, with roots and Lambert's function as they are written by hand."""

    def _print_LambertW(self, expr: sympy.Expr) -> str:  # noqa: N802
        return f"W({self._print(expr.args[0])})"

    def _print_exp(self, expr: sympy.Expr) -> str:
        power = expr.args[0]
        if power.is_Integer:
            return "e" if power == 1 else f"1/e{'' if power == -1 else f'^{-power}'}" if power < 0 else f"e^{power}"
        return f"exp({self._print(power)})"


def _how(finding: Finding) -> str:
    return finding.how if finding.digits is None else f"{finding.how}, {finding.digits} digits"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple) and len(value) > _MANY:
        return f"{len(value)}: {', '.join(map(_text, value[:2]))}, … , {_text(value[-1])}"
    if isinstance(value, tuple):
        return ", ".join(map(_text, value)) or "none"
    if value is None:
        return "none"
    return show(value) if isinstance(value, sympy.Basic) else str(value)
