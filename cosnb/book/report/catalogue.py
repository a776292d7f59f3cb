"""The catalogue as a table: each activation with its curve, formula, parameters and source."""

import re

import numpy as np
import sympy

from cosnb.book.plots.interactive.jumps import jumps
from cosnb.display import Table
from cosnb.symbolic.catalogue import CATALOGUE, SIGNS, Formula, x
from cosnb.symbolic.text import formula_latex

_SIZE = (72, 40)  # pixels of a curve
_X, _Y = (-4.0, 4.0), (-1.6, 3.0)
_SAMPLES = 97


def table() -> Table:
    """Return the catalogue by title: name with parameters, curve from −4 to 4, formula with source."""
    rows = []
    for row in sorted(CATALOGUE.values(), key=lambda row: row.title.lower()):
        rows.append([[row.title, *_parameters(row)], curve(row), [f"${_set(row.expr)}$", source(row)]])
    return Table(["activation", "curve", "formula and source"], rows)


def curve(row: Formula) -> str:
    """Return a small drawing of a row with its default parameters, SVG in one line, hidden from screen readers."""
    expr = row.expr.subs(row.parameters)
    xs = np.linspace(*_X, _SAMPLES)
    with np.errstate(all="ignore"):
        ys = np.broadcast_to(sympy.lambdify(x, expr, ["scipy", "numpy"])(xs), xs.shape)
    edges = [float(place.subs(row.parameters)) for place, _ in jumps(row.expr, row.parameters)]
    right, down = (_pixel(xs, _X, _SIZE[0]), _SIZE[1] - _pixel(ys, _Y, _SIZE[1]))
    path, pen = [], "M"
    for place in range(_SAMPLES):
        if place and any(xs[place - 1] <= edge <= xs[place] for edge in edges):
            pen = "M"
        if not _Y[0] <= ys[place] <= _Y[1]:
            pen = "M"
            continue
        path.append(f"{pen}{right[place]:.1f} {down[place]:.1f}")
        pen = "L"
    across, up = _pixel(0.0, _X, _SIZE[0]), _SIZE[1] - _pixel(0.0, _Y, _SIZE[1])
    axes = f"M0 {up:.1f}H{_SIZE[0]}M{across:.1f} 0V{_SIZE[1]}"
    size = f'width="{_SIZE[0]}" height="{_SIZE[1]}" viewBox="0 0 {_SIZE[0]} {_SIZE[1]}"'
    lines = f'<path class="axes" d="{axes}"/><path d="{"".join(path)}"/>'
    return f'<svg class="sparkline" {size} aria-hidden="true">{lines}</svg>'


def source(row: Formula) -> str:
    """Return where a row comes from: the two sources of this book by their authors, arXiv numbers and DOIs as links."""
    text = re.sub(r"\bP, eq\.", "Han and Kang 2021, eq.", row.source).replace("text of P", "paper's text")
    text = re.sub(r"\bB, section", "calico 2025, section", text)
    text = re.sub(r"arXiv:([0-9.]+[0-9])", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    return re.sub(r"doi:(\S+)", r"[doi:\1](https://doi.org/\1)", text)


def _pixel(value: np.ndarray | float, span: tuple[float, float], size: int) -> np.ndarray:
    return np.asarray((value - span[0]) / (span[1] - span[0]) * size)


def _parameters(row: Formula) -> list[str]:
    """Return each parameter's sign with its default, and its name where that is another."""
    lines = []
    for parameter, value in row.parameters.items():
        sign = SIGNS.get(parameter, parameter)
        lines.append(f"${sympy.latex(sign)} = {_set(value)}$" + (f" (`{parameter}`)" if sign != parameter else ""))
    return lines


def _set(expr: sympy.Expr) -> str:
    """Return LaTeX of an expression with the signs of its parameters, 1.702 and not 851/500."""
    expr = sympy.sympify(expr).xreplace(SIGNS)
    long = {q: sympy.Float(q, 8) for q in expr.atoms(sympy.Rational) if q.q > 16}
    return formula_latex(expr.xreplace(long)).replace("|", r"\vert ")
