"""What a notebook shows besides figures and formulas: tables and short texts in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

import sympy


class Markdown:
    """Text that a notebook renders as Markdown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


class Table(Markdown):
    """A table of rows; SymPy expressions become formulas, booleans ✓ and ✗, None nothing, all else text."""

    def __init__(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        lines = [
            [_cell(value) for value in columns],
            ["---"] * len(columns),
            *([_cell(value) for value in row] for row in rows),
        ]
        super().__init__("\n".join("| " + " | ".join(line) + " |" for line in lines))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, sympy.Basic):
        return f"${sympy.latex(value.replace(_is_long, _rounded))}$".replace("|", r"\vert ")
    return "" if value is None else str(value).replace("|", r"\|")


def _is_long(part: sympy.Basic) -> bool:
    """Say whether `part` is a fraction that would fill a line: SELU's constants have 16 digits above and below."""
    return isinstance(part, sympy.Rational) and part.q > 10**6


def _rounded(part: sympy.Rational) -> sympy.Float:
    return sympy.Float(part, 8)
