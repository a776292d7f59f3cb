"""Figures of formulas: a function with its derivative, and several functions together."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import sympy
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cosnb.book.plots.style import LOOKS, SIZE, Look, looks, new_axes, style
from cosnb.errors import CosnbError
from cosnb.experiments.results.summary import title

SAMPLES = 601  # points a curve, besides two at each break


class Formula(Protocol):
    """What can be drawn: a name, the SymPy symbol, the expression in it, and its derivatives."""

    @property
    def name(self) -> str: ...

    @property
    def x(self) -> sympy.Symbol: ...

    @property
    def expr(self) -> sympy.Expr: ...

    def derivative(self, n: int = 1) -> sympy.Expr: ...


def sample(
    formula: Formula, derivative: int, interval: tuple[float, float], breaks: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, list[tuple[float, float]]]:
    """Return x, y and the open ends (x, y) of jumps; y is NaN between the two ends of a jump."""
    expr = formula.derivative(derivative) if derivative else formula.expr
    if unknown := expr.free_symbols - {formula.x}:
        names = ", ".join(sorted(map(str, unknown)))
        raise CosnbError(f"{formula.name} has no values for {names}: give it numbers before drawing.")
    function = sympy.lambdify(formula.x, expr, ["scipy", "numpy"])
    low, high = interval
    if not low < high:
        raise CosnbError(f"The interval ({low}, {high}) is empty: its first number must be the smaller one.")
    inner = sorted(point for point in set(breaks) if low < point < high)
    grid, near = np.linspace(low, high, SAMPLES), 1e-9 * (high - low)
    ends = [low, *inner, high]
    pieces_x: list[np.ndarray] = []
    pieces_y: list[np.ndarray] = []
    open_ends: list[tuple[float, float]] = []
    for start, stop in itertools.pairwise(ends):
        first, last = start + near * (start in inner), stop - near * (stop in inner)
        x = np.concatenate(([first], grid[(grid > first) & (grid < last)], [last]))
        with np.errstate(all="ignore"):  # outside the formula's domain there is nothing to draw
            y = np.broadcast_to(np.asarray(function(x), dtype=np.float64), x.shape).copy()
        y[~np.isfinite(y)] = math.nan
        if pieces_y and not math.isclose(pieces_y[-1][-1], y[0], rel_tol=1e-6, abs_tol=1e-6):
            open_ends += [(start, float(pieces_y[-1][-1])), (start, float(y[0]))]
            x, y = np.concatenate(([start], x)), np.concatenate(([math.nan], y))
        pieces_x.append(x)
        pieces_y.append(y)
    if all(np.isnan(y).all() for y in pieces_y):
        raise CosnbError(f"{formula.name} has no finite value between {low} and {high}: choose another interval.")
    return np.concatenate(pieces_x), np.concatenate(pieces_y), open_ends


def _draw(
    axes: Axes,
    formula: Formula,
    derivative: int,
    interval: tuple[float, float],
    breaks: Sequence[float],
    label: str,
    look: Look,
) -> np.ndarray:
    """Draw one curve and return its y (NaN inside a jump)."""
    x, y, open_ends = sample(formula, derivative, interval, breaks)
    axes.plot(x, y, color=look.color, linestyle=look.linestyle, label=label)
    for point in open_ends:
        face = look.color if not derivative and _takes(formula, point) else "white"
        axes.plot(*point, marker="o", markersize=4, markerfacecolor=face, color=look.color, linestyle="none")
    return y


def _takes(formula: Formula, point: tuple[float, float]) -> bool:
    """Say whether the function has the value y at x; a derivative has none where it jumps."""
    return math.isclose(float(formula.expr.subs(formula.x, point[0])), point[1], rel_tol=1e-6, abs_tol=1e-6)


def _order(derivative: int) -> str:
    return f"$f{chr(39) * derivative}(x)$" if derivative < 4 else f"$f^{{({derivative})}}(x)$"


def function_and_derivative(
    activation: Formula,
    interval: tuple[float, float] = (-6, 6),
    breaks: Sequence[float] = (),
    height: float = SIZE[1],
) -> Figure:
    """Return the figure of f (solid) and f′ (dashed) on `interval`.

    `breaks`: the points where f or f′ may jump. The line is interrupted there, and its ends are marked: filled where f
    has that value, open where it has not. `height` is in inches. Where f still grows at an end of the interval it may
    leave the figure, so that f′ fills about 40 % of the height. Raises CosnbError as `expressions` does.
    """
    with style():
        figure, axes = new_axes("x", f"{_order(0)}, {_order(1)}", zero_lines=True)
        figure.set_figheight(height)
        color = looks([activation.name])[activation.name].color
        f = _draw(axes, activation, 0, interval, breaks, _order(0), Look(color, "solid"))
        df = _draw(axes, activation, 1, interval, breaks, _order(1), Look(color, (0, (4, 2))))
        axes.set_xlim(*interval)
        axes.set_ylim(*_view(f, df))
        axes.legend(loc="upper left")
    return figure


def _view(f: np.ndarray, df: np.ndarray) -> tuple[float, float]:
    """Return the vertical limits that hold f′ whole, and f but for the ends where it grows steeply out of sight."""
    steep = float(np.nanmax(np.abs(df)))
    low, high = float(np.nanmin(np.concatenate((f, df)))), float(np.nanmax(np.concatenate((f, df))))
    for value, slope in ((f[0], -df[0]), (f[-1], df[-1])):  # slope outwards
        if slope > 0.5 * steep and value == np.nanmax(f):
            high = min(high, 2.5 * steep)
        if slope < -0.5 * steep and value == np.nanmin(f):
            low = max(low, -2.5 * steep)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def several(
    activations: Sequence[Formula],
    derivative: int = 0,
    interval: tuple[float, float] = (-6, 6),
    breaks: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Return the figure of the `derivative`-th derivatives of several activations on `interval` (0: the functions).

    `breaks`: {activation: points where its line may jump}. Raises CosnbError as `expressions` does.
    """
    with style():
        figure, axes = new_axes("x", _order(derivative), zero_lines=True)
        look = looks([activation.name for activation in activations])
        for activation in activations:
            name = activation.name
            _draw(axes, activation, derivative, interval, (breaks or {}).get(name, ()), title(name), look[name])
        axes.set_xlim(*interval)
        axes.legend(loc="best")
    return figure


def expressions(
    labelled: Mapping[str, sympy.Expr], x: sympy.Symbol, like: str, interval: tuple[float, float] = (-6, 6)
) -> Figure:
    """Return the figure of smooth expressions in `x` by label, the first in the colour of the activation `like`.

    The second has the same colour, dashed; the others are grey, in different line styles. Raises CosnbError for free
    symbols, an empty interval and an expression without finite values there.
    """
    with style():
        figure, axes = new_axes("x", "", zero_lines=True)
        color = LOOKS[like].color
        others = looks(list(labelled)[2:])
        first = dict(zip(labelled, (Look(color, "solid"), Look(color, (0, (4, 2)))), strict=False))
        for label, expr in labelled.items():
            _draw(axes, Plain(label, x, expr), 0, interval, (), label, (first | others)[label])
        axes.set_xlim(*interval)
        axes.legend(loc="best")
    return figure


@dataclass(frozen=True)
class Plain:
    """An expression under a label, as a Formula."""

    name: str
    x: sympy.Symbol
    expr: sympy.Expr

    def derivative(self, n: int = 1) -> sympy.Expr:
        return self.expr.diff(self.x, n)
