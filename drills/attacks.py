"""Hostile formula texts, more than 2,000, the same each time."""

import builtins
import random
import unicodedata
from collections.abc import Iterator
from functools import cache

_PAYLOADS = (
    "x.__class__", "().__class__.__bases__[0].__subclasses__()", "x.real", "x.subs(x, 1)", "x.__init__.__globals__",
    "__import__('os').system('id')", "__import__(x)", "__builtins__", "eval('1')", "exec('1')", "compile(x, x, x)",
    "open('/etc/passwd')", "getattr(x, 'a')", "globals()", "locals()", "vars()", "breakpoint()", "input()", "exit()",
    "lambda: 1", "(lambda y: y)(x)", "lambda x: x", "[x for x in (1, 2)]", "{x: x}", "{x}", "(x for x in x)", "[x]",
    "x[0]", "x[1:2]", "f'{x}'", "f'{x!r}'", "b'x'", "r'x'", "'x'", '"x"', "'''x'''", "(y := x)", "y := x", "x = 1",
    "x; x", "import os", "from os import *", "def f(x): return x", "class A: pass", "yield x", "await x", "async x",
    "del x", "raise x", "assert x", "global x", "x if x else x", "not x", "x and x", "x or x", "x is x", "x in x",
    "*x", "**x", "sin(*x)", "sin(**x)", "sin(x=x)", "sin(x, x)", "sin()", "sin", "sin(sin)", "x(x)", "pi(x)", "2(x)",
    "x @ x", "x % x", "x // x", "x & x", "x | x", "x ^ x", "~x", "x << 2", "x >> 2", "!x", "x!", "x?", "$x", "`x`",
    "9**9**9", "9**9**9**9", "(9**9)**9", "x**9**9", "10**(10**10)", "2**-9**9", "x**1e9", "x**x", "2**x**2**x",
    "1e999", "1e-999", "9" * 400, "0." + "9" * 400, "1/0", "x/0", "0**-1", "0**0", "log(0)", "log(-1)", "sqrt(-1)",
    "nan", "inf", "oo", "zoo", "I", "j", "1j", "x*1j", "True", "None", "Ellipsis", "...", "x...", "_", "__", "__x__",
    "os", "sys", "sympy", "numpy", "torch", "math.sin(x)", "sympy.exp(x)", "S(1)", "Symbol(x)", "Function(x)(x)",
    "Integral(x, x)", "Lambda(x, x)", "gamma(x)", "zeta(x)", "factorial(x)", "factorial(99999)", "binomial(x, 9)",
    "diff(x, x)", "integrate(x, x)", "solve(x)", "sympify(x)", "N(x)", "evalf(x)", "x.evalf()", "Rational(1, 0)",
    "x\n+x", "x\r+x", "x\\\n+x", "x # y", "x\t+x", "x\x00", "\x00", "x\x1b[2J", "\ufeffx", "x\u202e", "x\u200b",
    "\ud800", "\U0001f600", "０", "x²", "½x", "−x", "x×x", "x·x", "π", "∞", "√x", "ℯ", "exp(ｘ)", "х", "ѕin(x)",
    "where(x)", "where(x, x)", "where(x, x, x)", "where(x > 0 > 1, x, 1)", "where(x == x, x, x)", "x > 0", "x == x",
    "where(where(x > 0, x, 1) > 0, x, 1)", "min()", "max(x)", "abs(x, x)", "sigmoid(sigmoid)", "mish", "cos(mish)",
    "", " ", ".", ",", "()", "(", ")", "((", "))", ")(", "x)", "(x", "x x", "x 2", "2 x", "+", "-", "*x", "x*", "x**",
    "1.2.3", "1__0", "1_", "0x10", "0b1", "0o7", "1e", "e1", "1e+", "00", "01", "1_000", "x.y", "x.", ".x", "1.x",
)  # fmt: skip
_CONTEXTS = (
    "{}", "x*({})", "sin({})", "({})**2", "2**({})", "where({} > 0, x, 1)", "where(x > 0, {}, 1)", "max(x, {})",
    "x + {} + x", "-({})", "exp(x)/({})",
)  # fmt: skip
_LARGE = (
    "(" * 10_000 + "x" + ")" * 10_000, "(" * 10_000, "-" * 10_000 + "x", "sin(" * 5_000 + "x" + ")" * 5_000,
    "x" * 1_000_000, "x+" * 500_000 + "x", "9" * 1_000_000, "x*" * 999 + "x", "x**2" * 300, "1/" * 999 + "x",
    " " * 1_000_000 + "x", "x+" * 900 + "x", "((x+1)**32+1)**32", "(((x+1)**32+1)**32+1)**32", "(x+x**2+x**3)**32",
    "exp(exp(exp(exp(exp(x)))))", "tanh(" * 40 + "x" + ")" * 40, "mish(" * 20 + "x" + ")" * 20,
    "cos(" * 60 + "x" + ")" * 60,
    "(x+1/3)**32*(x+1/7)**32*(x+1/11)**32", "+".join(f"{k}*x**{k % 32}" for k in range(1, 180)),
    "*".join(f"(x+{k})" for k in range(1, 200)), "where(x>0," * 50 + "x" + ",1)" * 50, "max(x,1)*" * 60 + "x",
    "abs(" * 50 + "x" + ")" * 50, "min(" * 30 + "x" + ",1)" * 30, "sqrt(" * 50 + "x" + ")" * 50, "1e99*" * 150 + "x",
    "(" + "9" * 80 + ")**32*x", "x/" + "7" * 80, "1e99**32**0.25*x", "relu(" * 30 + "x" + ")" * 30, "é" * 500_000,
)  # fmt: skip
_VALID = (
    "x*sigmoid(x) + (sigmoid(5*x) - 0.5)**2", "x*tanh(log(1 + exp(x)))", "where(x > 0, x, exp(x) - 1)", "max(0, x)",
    "x*erf(x/sqrt(2))/2 + x/2", "x + sin(2*x)**2/2", "log(1 + exp(2*x))/2", "mish(x) - 0.25*swish(2*x)", "atan(x)*x",
)  # fmt: skip


@cache
def attacks() -> tuple[str, ...]:
    """Return the texts, each once."""
    return tuple(dict.fromkeys(_all()))


def _all() -> Iterator[str]:
    for payload in _PAYLOADS:
        yield from (context.format(payload) for context in _CONTEXTS)
    for name in dir(builtins):
        yield from (name, f"{name}(x)", f"x.{name}", f"x*{name}('x')", f"__{name}__", f"x.__{name}__()")
    yield from _LARGE
    yield from _look_alikes()
    yield from _spoilt(random.Random(5))


def _look_alikes() -> Iterator[str]:
    """Yield formulas with one letter replaced by a character that NFKC, as Python reads names, makes that letter."""
    for letter in "sinxexpg":
        same = [
            chr(code)
            for code in range(128, 0x1F200)
            if unicodedata.normalize("NFKC", chr(code)) == letter and chr(code) != letter
        ]
        for text in ("x*sin(x)", "exp(x)*x", "sigmoid(x)"):
            yield from (text.replace(letter, other) for other in same[:12] if letter in text)


def _spoilt(rng: random.Random) -> Iterator[str]:
    """Yield valid formulas with a few characters replaced, inserted, doubled or cut out."""
    characters = "x()+-*/.,<>=! \n\t\x00'\"[]{}:;@#$%^&|~`\\_aezAEZ019éπ\u202e\U0001f600"
    for _ in range(1000):
        text = list(rng.choice(_VALID))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(text) + 1)
            text[at : at + rng.randint(0, 3)] = rng.choice(characters) * rng.choice((0, 1, 1, 1, 2, 50))
        yield "".join(text)
