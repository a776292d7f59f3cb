"""The catalogue: one row an activation, its formula as a SymPy expression and where the formula comes from.

Where a function kinks, its derivative there is the one of PyTorch's own function; the last piece holds x, since NaN, of
which no comparison holds, falls to it. `Abs` and `sign` are avoided: SymPy's derivative of sign(x) is 2·δ(x).
"""

import difflib

from cosnb.errors import CosnbError
from cosnb.symbolic.catalogue import kin, of_torch
from cosnb.symbolic.catalogue.formula import SIGNS, Formula, sign, x

__all__ = ["CATALOGUE", "SIGNS", "Formula", "get", "names", "sign", "x"]
_ROWS = (*of_torch.ROWS, *kin.ROWS)
CATALOGUE: dict[str, Formula] = {row.name: row for row in _ROWS}
_BY_NAME = CATALOGUE | {alias: row for row in _ROWS for alias in row.aliases}


def names() -> tuple[str, ...]:
    """Return every name that `get` knows, aliases too, in alphabetical order."""
    return tuple(sorted(_BY_NAME))


def get(name: str) -> Formula:
    """Return the catalogue's row called `name` (or an alias of it); CosnbError names the known ones."""
    row = _BY_NAME.get(name.lower()) if isinstance(name, str) else None
    if row is None:
        shown = str(name)[:60]
        near = difflib.get_close_matches(shown.lower(), _BY_NAME, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise CosnbError(f"unknown activation {shown!r}: {hint}the catalogue has {', '.join(names())}")
    return row
