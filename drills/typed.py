"""Formulas as people type them, drawn by a grammar, and what mpmath says of one: read here, not by cosnb's parser."""

import ast
import random
from collections.abc import Callable, Iterator
from typing import Any

from mpmath import mp, mpf

GATES = (
    "sigmoid({})", "tanh({})", "erf({})", "(1 + erf({}/sqrt(2)))/2", "1/(1 + exp(-({})))", "atan({})*2/pi",
    "exp(-exp(-({})))", "min(max({}/6 + 0.5, 0), 1)", "sin({})", "tanh(softplus({}))", "exp(-({})**2)",
)  # fmt: skip
INNER = (
    "x", "x", "x", "{a}*x", "x + {a}*x**3", "softplus(x)", "log(1 + exp(x))", "exp(x)", "abs(x)", "x**2", "x/{a}",
    "x - {c}", "asinh(x)", "sqrt(abs(x))",
)  # fmt: skip
POWERS = (
    "abs(x)**{p}", "sign(x)*abs(x)**{p}", "x**{k}", "sqrt(x**2 + {a})", "(1 + x**2)**{p}", "relu(x)**{p}",
    "x/sqrt(1 + x**2)", "x/(1 + abs(x)**{p})", "(sqrt(1 + x**2) - 1)/2 + x", "x**3/(1 + x**2)", "sqrt(sqrt(abs(x)))",
)  # fmt: skip
LOGS = (
    "log(1 + abs(x))", "sign(x)*log(1 + {a}*abs(x))", "log(1 + x**2)", "log(abs(x))", "x*log(1 + exp({a}*x))",
    "log(1 + exp(x))", "log(cosh(x))", "log(sigmoid({a}*x))", "x*log(abs(x) + {a})", "log1p(relu(x))",
)  # fmt: skip
CONDITIONS = ("x > 0", "x >= 0", "x < {c}", "abs(x) <= 1", "x > -{a} and x < {a}", "x < -1 or x > 1")
A, C = ("0.1", "0.25", "0.5", "1", "1.5", "2", "3", "5", "1.702"), ("-1", "0.25", "1", "2")
P, K = ("0.5", "1.5", "(1/3)", "(2/3)", "0.75", "2.5"), ("2", "3", "4")

# On both sides of 0, over the numbers of float32; no kink of the grammar above lies on one of them but 0.
_SIZES = (1e-16, 1e-12, 3e-7, 0.0011, 0.07, 0.37, 0.91, 1.7, 2.9, 5.3, 11.9, 40.3, 97.7, 1234.5, 3e6, 1e15, 2e30)
POINTS = [0.0, *(sign * size for size in _SIZES for sign in (-1, 1))]


def drawn(count: int, seed: int) -> Iterator[str]:
    """Yield `count` different formulas."""
    chance, seen = random.Random(seed), set[str]()
    while len(seen) < count:
        text = _formula(chance, 2)
        if "x" in text and text not in seen and len(text) < 200:
            seen.add(text)
            yield text


def _fill(form: str, chance: random.Random) -> str:
    return form.format(a=chance.choice(A), c=chance.choice(C), p=chance.choice(P), k=chance.choice(K))


def _formula(chance: random.Random, depth: int) -> str:
    """One formula: a gate, a power or a logarithm, and with `depth` left two of them joined or one in another."""
    kind = chance.randrange(9 if depth else 4)
    part = _fill(chance.choice((POWERS, LOGS)[kind - 2] if kind in (2, 3) else INNER), chance)
    if kind == 0:
        return "x*" + chance.choice(GATES).format(part)
    if kind == 1:
        return chance.choice(GATES).format(part)
    if kind in (2, 3):
        return part
    left, right = (_formula(chance, depth - 1) for _ in range(2))
    if kind == 4:
        return chance.choice(("{} + {}", "({})*({})", "{} - ({})", "({})/(1 + ({})**2)")).format(left, right)
    if kind == 5:
        return f"where({_fill(chance.choice(CONDITIONS), chance)}, {left}, {right})"
    if kind == 6:
        return f"{chance.choice(('max', 'min'))}({left}, {right})"
    if kind == 7:
        return f"{chance.choice(('tanh', 'sigmoid', 'abs', 'relu', 'softplus', 'sin', 'atan'))}({left})"
    return f"{chance.choice(A)}*x*sigmoid({part}) + {left}"


class UnknownError(Exception):
    """mpmath takes too long for this, or the formula has no real value here."""


def _exp(u: mpf) -> mpf:
    if mp.mag(u) > 14:
        raise UnknownError
    return mp.exp(u)


def _real_power(base: mpf, exponent: mpf) -> mpf:
    if (base < 0 and exponent != int(exponent)) or (base == 0 and exponent < 0):
        raise UnknownError
    return mp.power(base, exponent)


def _log(u: mpf) -> mpf:
    if u <= 0:
        raise UnknownError
    return mp.log(u)


_FUNCTIONS: dict[str, Callable[..., mpf]] = {
    "exp": _exp,
    "log": _log,
    "log1p": lambda u: _log(1 + u),
    "sqrt": lambda u: _real_power(u, mpf(0.5)),
    "tanh": lambda u: mp.tanh(u) if abs(u) < 1e6 else mp.sign(u),
    "sigmoid": lambda u: 1 / (1 + _exp(-u)),
    "softplus": lambda u: mp.log1p(_exp(u)) if u < 1e6 else u,
    "cosh": lambda u: (_exp(u) + _exp(-u)) / 2,
    "sin": mp.sin,
    "atan": mp.atan,
    "asinh": mp.asinh,
    "erf": lambda u: mp.erf(u) if abs(u) < 200 else mp.sign(u),
    "abs": abs,
    "sign": mp.sign,
    "relu": lambda u: max(u, mpf(0)),
    "max": max,
    "min": min,
}
_OPERATIONS: dict[type, Callable[[mpf, mpf], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: _real_power,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}


def value(text: str, at: mpf) -> mpf:
    """Return the formula's value in the working precision; UnknownError or ZeroDivisionError where it has none."""
    return _value(ast.parse(text, mode="eval").body, at)


def _value(node: ast.expr, at: mpf) -> Any:
    match node:
        case ast.Constant(value=number):
            return mpf(str(number))
        case ast.Name(id=name):
            return {"x": at, "pi": mp.pi, "e": mp.e}[name]
        case ast.UnaryOp(operand=operand):
            return -_value(operand, at)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATIONS[type(op)](_value(left, at), _value(right, at))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _OPERATIONS[type(op)](_value(left, at), _value(right, at))
        case ast.BoolOp(op=op, values=values):
            return (all if isinstance(op, ast.And) else any)([_value(one, at) for one in values])
        case ast.Call(func=ast.Name(id="where"), args=[condition, yes, no]):
            return _value(yes if _value(condition, at) else no, at)
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name](*(_value(one, at) for one in args))
    raise TypeError(ast.dump(node))


def slope(text: str, at: mpf) -> mpf:
    """Return the derivative by differences from either side; UnknownError where they differ, as at a kink."""
    step = mp.ldexp(1, mp.mag(at) - mp.prec // 3) if at else mp.ldexp(1, -mp.prec // 3)
    here, right, left = (value(text, at + k * step) for k in (0, 1, -1))
    ahead, behind = (right - here) / step, (here - left) / step
    if abs(ahead - behind) > mp.ldexp(max(abs(ahead), abs(behind)), -mp.prec // 8):
        raise UnknownError
    return (ahead + behind) / 2  # central: what is left is of the step's second power
