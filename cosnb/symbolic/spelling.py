"""Spellings of formula text: signs of papers, names of other libraries, and what to write for what is not taken."""

import ast
import re
from difflib import get_close_matches

from cosnb.symbolic import catalogue
from cosnb.symbolic.vocabulary import ALIASES, FUNCTIONS

# What papers, web pages and other languages write, and Python's spelling of it
_SIGNS = {
    "^": "**",
    "²": "**2",
    "³": "**3",
    "−": "-",
    "·": "*",
    "⋅": "*",
    "×": "*",
    "÷": "/",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "π": "pi",
    "σ": "sigmoid",
    "√": "sqrt",
    "\\sigma": "sigmoid",
    "\\cdot": "*",
    "\\times": "*",
    "\\left": "",
    "\\right": "",
    "\t": " ",
    "\n": " ",
    "\r": " ",
    "\u00a0": " ",
}
# Modules whose functions may be written with the module's name before them, as in np.tanh(x)
_MODULES = {"torch", "nn", "functional", "F", "special", "np", "numpy", "scipy", "math", "jax", "jnp", "keras", "ops"}
_MODULES |= {"activations", "tf", "sympy", "sp", "mpmath", "mp"}
_CHARACTERS = {
    "|": "the bars of |x| must be closed, and |x| inside |x| is written abs(abs(x) - 1)",
    "&": "conditions are joined by and, as in where(x > 0 and x < 1, x, 0)",
}
_MIXES = "it mixes the elements of a tensor, and an activation takes each alone"
_SPECIAL = "no target has code for it: write a quotient of polynomials that fits it where it is used"
# What to write for functions that are not taken
_INSTEAD = {
    **dict.fromkeys(
        ("softmax", "log_softmax", "logsoftmax", "softmin", "sparsemax", "glu", "swiglu", "geglu", "reglu", "maxout"),
        _MIXES,
    ),
    **dict.fromkeys(
        (
            "gamma",
            "lgamma",
            "gammaln",
            "loggamma",
            "digamma",
            "lambertw",
            "besselj",
            "bessel",
            "j0",
            "j1",
            "i0",
            "zeta",
        ),
        _SPECIAL,
    ),
    "erfinv": f"{_SPECIAL}; near erfinv(sigmoid(x)) is tanh(x/3)",
    "dropout": "it is random: an activation gives one value for one x",
    "arctan2": "it takes two numbers: write atan(y/x)",
    "if": "write where(condition, value, otherwise)",
}


def respelled(text: str) -> tuple[str, list[int]]:
    """Return `text` in Python's signs, with abs(u) for |u|, and the place in `text` of each character."""
    words = _words(text)
    bars = 0
    for index, (word, place) in enumerate(words):
        if word == "|":
            before = "".join(word for word, _ in words[max(index - 6, 0) : index]).rstrip()
            if not before or before[-1] in "(+-*/%,<>=" or re.search(r"\b(and|or|not|if|else)$", before):
                words[index], bars = ("abs(", place), bars + 1
            elif bars:
                words[index], bars = (")", place), bars - 1
    if bars:  # they do not pair off
        words = [("|" if text[place] == "|" else word, place) for word, place in words]
    return "".join(word for word, _ in words), [place for word, place in words for _ in word]


def _words(text: str) -> list[tuple[str, int]]:
    r"""Return Python's words for the signs of `text`, with their places; of LaTeX, \frac{x}{1 + e^{-x}} is taken."""
    words = []
    open_braces: list[str] = []  # what each closes with
    closing = ")"
    for token in re.finditer(r"\\[A-Za-z]+|.", text, re.DOTALL):
        sign = token[0]
        word = _SIGNS.get(sign, sign.removeprefix("\\") if len(sign) > 1 else sign)
        if sign == "\\frac":
            word, closing = "(", ")/"
        elif sign == "{":
            open_braces.append(closing)
            word, closing = "(", ")"
        elif sign == "}" and open_braces:
            word = open_braces.pop()
            closing = "))" if word == ")/" else ")"
        words.append((word, token.start()))
    return words


def function_name(node: ast.expr) -> str | None:
    """Return the name in `tanh` or in `np.tanh`, modules of known libraries before it; None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and _is_module(node.value):
        return node.attr
    return None


def _is_module(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in _MODULES and _is_module(node.value)
    return isinstance(node, ast.Name) and node.id in _MODULES


def unknown(name: str) -> str:
    """Return why a function is refused, with what to write for it, or the nearest name that is there."""
    if hint := _INSTEAD.get(name.lower(), ""):
        return f"unknown function {name!r}: {hint}"
    near = get_close_matches(name.lower(), (*FUNCTIONS, *ALIASES, *catalogue.names()), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown function {name[:40]!r}: known are {', '.join(FUNCTIONS)} and the catalogue's names{hint}"


def no_character(character: str) -> str:
    """Return why a character is refused, with what to write for it."""
    shown = f"{character!r} (U+{ord(character):04X})" if character.isprintable() else f"U+{ord(character):04X}"
    allowed = "allowed are ASCII letters, digits, spaces and _ . , + - * / % ^ ( ) < > = !"
    return f"the character {shown} is not allowed: {_CHARACTERS.get(character, allowed)}"
