"""What the site's page "Try your own formula" shows of a formula: answers of texts, numbers and arrays, in four parts.

The page asks for one part after the other, soonest first; each is a dictionary. Under CPython they are the same.
"""

import re
from array import array
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sympy

from cosnb.codegen.evaluate import evaluator
from cosnb.codegen.lower import lower_directly
from cosnb.codegen.sources import TARGETS
from cosnb.display import typeset
from cosnb.errors import CosnbError
from cosnb.function import Function, exact, read
from cosnb.host import numpy
from cosnb.symbolic import catalogue
from cosnb.symbolic.catalogue import CATALOGUE, SIGNS
from cosnb.symbolic.normal_form import normal_form
from cosnb.symbolic.text import formula_latex
from cosnb.symbolic.vocabulary import CONSTANTS, OLDEST, find

POINTS = 601
REACH = 6.0
ORDERS = (0, 1, 2)
_WORD = re.compile(r"(?<![\w.])[A-Za-z]\w*(?![\w.]|\s*\()")
_CLASS = re.compile(r"\$C\^\{(.+?)\}\$")  # as a formula, where text is wanted
_WORDS_OF_THE_GRAMMAR = {"x", "and", "or", "not", "if", "else", *CONSTANTS, *OLDEST}
_WHOLE = ("c", "triton")  # their code of f has that of f′ in it


def suggestions() -> list[dict[str, str]]:
    """Return name and title of every row of the catalogue."""
    return [{"name": row.name, "title": row.title} for row in CATALOGUE.values()]


def parameters(text: str) -> dict[str, str]:
    """Return the parameters of a text, those of a row with their defaults, those of a formula with 1."""
    name = text.strip()
    if name.isidentifier() and name != "x":
        if name.lower() not in catalogue.names():
            return {}
        return {symbol.name: str(value) for symbol, value in catalogue.get(name).parameters.items()}
    words = dict.fromkeys(_WORD.findall(text[:2000]))
    return {word: "1" for word in words if word not in _WORDS_OF_THE_GRAMMAR and not find(word)}


def curves(text: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Return title, f, f′ and f″ in LaTeX, and their values from −6 to 6, arrays of float64; NaN where there is none.

    `values` sets parameters; those that it leaves out are as `parameters` says. Raises CosnbError.
    """
    own = _function(text, tuple(sorted(values.items())))
    x = numpy.linspace(-REACH, REACH, POINTS)
    found = []
    for order in ORDERS:
        expr = own.derivative(order)
        program = lower_directly(expr, {own.x: "x"})
        found.append({"latex": _latex(own, order), "y": array("d", evaluator(program, numpy.float64)(x).tolist())})
    return {
        "title": own.formula.title,
        "parameters": {symbol.name: str(value) for symbol, value in own.parameters.items()},
        "formula": _formula(own),
        "x": array("d", x.tolist()),
        "orders": found,
    }


def properties(text: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Return a row (property, value, how, why) each, and where a line of f or f′ breaks."""
    found = _function(text, tuple(sorted(values.items()))).properties()
    rows = [[_CLASS.sub(r"C^\1", typeset(cell)).replace(r"\infty", "∞") for cell in row] for row in found.rows()]
    breaks = {
        "0": [float(at) for key in ("jumps", "poles") for at in found[key].value],
        "1": [float(at) for key in ("jumps", "poles", "kinks", "vertical_tangents") for at in found[key].value],
    }
    return {"rows": rows, "breaks": breaks}


def form(text: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Return the normal form of f and f′ in LaTeX ("" where there is none), and the operations before and after."""
    own = _function(text, tuple(sorted(values.items())))
    found = []
    for order in ORDERS[:2]:
        counts = own.operations(order)
        found.append({"latex": _normal_form(own, order), "note": own.program(order).note, **counts})
    return {"orders": found}


def code(text: str, values: Mapping[str, str], target: str) -> dict[str, str]:
    """Return the code of f and f′ for a target."""
    own = _function(text, tuple(sorted(values.items())))
    orders = (0,) if target in _WHOLE else (0, 1)
    return {"target": target, "code": "\n\n".join(own.source(target, order).strip() for order in orders)}


def answer(part: str, text: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Return a part by name, as the page asks for it: curves, properties, form, or a target of code.

    What the reader can mend, and what runs out of memory or of Python's stack, is {"error": one sentence}.
    """
    parts = {"curves": curves, "properties": properties, "form": form}
    try:
        return code(text, values, part) if part in TARGETS else parts[part](text, values)
    except CosnbError as error:
        return {"error": str(error)}
    except (MemoryError, RecursionError):
        return {"error": "The formula asks for more memory than there is: simplify it."}


@lru_cache(maxsize=64)
def _function(text: str, values: tuple[tuple[str, str], ...]) -> Function:
    given = dict(values)
    names = parameters(text)
    return Function(*read(text, exact({name: given.get(name, value) for name, value in names.items()})))


def _latex(own: Function, order: int) -> str:
    return f"f{chr(39) * order}(x) = {formula_latex(own.derivative(order))}"


def _formula(own: Function) -> str:
    """Return the formula with its parameters in LaTeX."""
    shown = own.formula.expr.xreplace({symbol: SIGNS.get(symbol, symbol) for symbol in own.parameters})
    return f"f(x) = {formula_latex(shown)}"


def _normal_form(own: Function, order: int) -> str:
    found = normal_form(own.derivative(order), own.x)
    if found is None:
        return ""
    t = sympy.Symbol("t")
    lines = []
    for branch, sign in ((found.positive, r"x \ge 0"), (found.negative, "x < 0")):
        numerator = branch.slope * own.x + branch.offset + branch.log * sympy.log(1 + t)
        quotient = sympy.Mul(numerator, sympy.Pow(branch.denominator, -1), evaluate=False)
        lines.append(rf"{sympy.latex(quotient)} & {sign}")
    name, rate = "f" + "'" * order, "" if found.rate == 1 else sympy.latex(found.rate)
    return rf"{name}(x) = \begin{{cases}} {lines[0]} \\ {lines[1]} \end{{cases}} \qquad t = e^{{-{rate}|x|}}"
