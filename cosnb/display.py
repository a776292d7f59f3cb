"""Markdown output of notebooks: tables and short texts."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sympy


class Markdown:
    """Text that a notebook displays as Markdown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


_HYPHEN = re.compile(r"(?<![\w.)-])-(?=\.?\d)")
_CLASS = re.compile(r"\bC\^(∞|\d+)")
_POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([-−+])0*(\d+)(?![\w.])")
_RELATION = re.compile(r"(?:(?<=[^\s,;:]) )?([<>=≤≥]) (?=\S)")
_BINARY = re.compile(r"(?<=[\w)]) −(?= \w)|(?<=\d) × (?=\d)")  # after the minus a narrow column may break
_VERBATIM = re.compile(r"(`[^`]*`|\]\([^)]*\)|</?[A-Za-z][^<>]*>|\$[^$]*\$)")
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def typeset(text: str) -> str:
    """Return Markdown with numbers as in print; code, formulas and links are left alone.

    Minus signs replace hyphens before numbers, 2.5e-07 becomes 2.5·10⁻⁷ and C^∞ a formula. No line breaks inside p =
    0.05, 400 × 400 or f′(0), nor before the minus of CoS − ReLU.
    """
    parts = _VERBATIM.split(text)
    for place in range(0, len(parts), 2):
        part = _POWER.sub(_power, _HYPHEN.sub("−", parts[place]))
        for glued in (_RELATION, _BINARY):
            part = glued.sub(lambda found: found[0].replace(" ", "\u00a0"), part)
        part = part.replace("′(", "′\u2060(")  # a word joiner: browsers end a line there
        parts[place] = _CLASS.sub(lambda found: f"$C^{{{found[1]}}}$".replace("∞", r"\infty"), part)
    return "".join(parts)


def _power(found: re.Match[str]) -> str:
    digits, sign, exponent = found.groups()
    if exponent == "0" or not float(digits):
        return digits
    ten = f"10{'⁻' if sign in ('-', '−') else ''}{exponent.translate(_RAISED)}"
    return ten if digits == "1" else f"{digits}·{ten}"


def p_value(p: float) -> str:
    """Return a p-value with three decimals; "< 0.001" where they would be 0.000."""
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"


class Table(Markdown):
    """A table that a notebook displays: SymPy expressions as formulas, booleans as ✓ and ✗, None as an empty cell.

    A list becomes several lines, anything else text; text is set as by `typeset`.
    """

    def __init__(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        lines = [
            [_cell(value) for value in columns],
            ["---"] * len(columns),
            *([_cell(value) for value in row] for row in rows),
        ]
        super().__init__("\n".join("| " + " | ".join(line) + " |" for line in lines))


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return "<br>".join(map(_cell, value))
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
