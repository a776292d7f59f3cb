"""What a notebook shows besides figures and formulas: tables and short texts in Markdown."""

import re
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


_HYPHEN = re.compile(r"(?<![\w.)-])-(?=\.?\d)")
_CLASS = re.compile(r"\bC\^(∞|\d+)")
_VERBATIM = re.compile(r"(`[^`]*`|\]\([^)]*\)|<[^<>]*>|\$[^$]*\$)")


def typeset(text: str) -> str:
    """Return Markdown with minus signs before numbers and C^∞ as a formula; code, formulas and links stay the same."""
    parts = _VERBATIM.split(text)
    for place in range(0, len(parts), 2):
        minus = _HYPHEN.sub("−", parts[place])
        parts[place] = _CLASS.sub(lambda found: f"$C^{{{found[1]}}}$".replace("∞", r"\infty"), minus)
    return "".join(parts)


def p_value(p: float) -> str:
    """Return a p-value with three decimals; one that would be 0.000 is "< 0.001"."""
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"


class Table(Markdown):
    """A table of rows; SymPy expressions become formulas, booleans ✓ and ✗, None nothing, all else text.

    Text is typeset as `typeset` says.
    """

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
    return "" if value is None else typeset(str(value)).replace("|", r"\|")


def _is_long(part: sympy.Basic) -> bool:
    """Say whether `part` is a fraction that would fill a line: SELU's constants have 16 digits above and below."""
    return isinstance(part, sympy.Rational) and part.q > 10**6


def _rounded(part: sympy.Rational) -> sympy.Float:
    return sympy.Float(part, 8)
