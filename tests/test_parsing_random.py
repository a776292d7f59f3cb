"""Random formula texts against mpmath's evaluation of the same tree, and spoilt ones."""

import ast
import random

import mpmath
import sympy
from mpmath import mp, mpf

from cosnb.errors import CosnbError
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.parsing import parse
from cosnb.symbolic.vocabulary import FUNCTIONS


class NoValueError(Exception):
    """No real value, or one that hangs on the last digit of a comparison."""


def value(node: ast.AST, at: mpf) -> mpf:
    """What the tree says, by mpmath alone."""
    match node:
        case ast.Expression():
            return value(node.body, at)
        case ast.Constant():
            return mpf(node.value)
        case ast.Name():
            return at if node.id == "x" else mp.pi
        case ast.UnaryOp():
            return -value(node.operand, at)
        case ast.BinOp():
            left, right = value(node.left, at), value(node.right, at)
            operators = {ast.Add: mp.fadd, ast.Sub: mp.fsub, ast.Mult: mp.fmul, ast.Div: mp.fdiv, ast.Pow: mp.power}
            return real(operators[type(node.op)](left, right))
        case ast.Call(func=ast.Name(id="where"), args=[condition, first, second]):
            assert isinstance(condition, ast.Compare)
            holds = apart(value(condition.left, at), value(condition.comparators[0], at)) < 0
            return value(first if holds == isinstance(condition.ops[0], ast.Lt) else second, at)
        case ast.Call(func=ast.Name(id=name)):
            return real(called(name, [value(arg, at) for arg in node.args]))
    raise AssertionError(node)


def real(number: object) -> mpf:
    if not isinstance(number, mpf) or not mpmath.isfinite(number) or abs(number) > 1e4:
        raise NoValueError
    return number


def apart(u: mpf, v: mpf) -> mpf:
    if abs(u - v) < 1e-30:
        raise NoValueError
    return u - v


def whole(u: mpf) -> mpf:
    apart(u, mp.nint(u))
    return u


def called(name: str, args: list[mpf]) -> object:
    u = args[0]
    own = {
        "sigmoid": lambda: 1 / (1 + mp.exp(-u)),
        "softplus": lambda: mp.log(1 + mp.exp(u)),
        "abs": lambda: abs(apart(u, mpf(0))),
        "sign": lambda: mp.sign(apart(u, mpf(0))),
        "relu": lambda: max(apart(u, mpf(0)), mpf(0)),
        "min": lambda: u if apart(u, args[1]) < 0 else args[1],
        "max": lambda: u if apart(u, args[1]) > 0 else args[1],
        "elu": lambda: u if apart(u, mpf(0)) > 0 else mp.expm1(u),
        "ceil": lambda: mp.ceil(whole(u)),
        "floor": lambda: mp.floor(whole(u)),
        "round": lambda: mp.nint(whole(2 * u) / 2),
        "trunc": lambda: mp.sign(u) * mp.floor(abs(whole(u))),
        "remainder": lambda: u - 2 * mp.floor(whole(u / 2)),
        "cbrt": lambda: mp.sign(u) * mp.cbrt(abs(u)),
        "clip": lambda: max(min(apart(u, mpf(1)) + 1, mpf(1)), mpf(0)),
        "exp2": lambda: mpf(2) ** u,
        "gelu_10": lambda: min(u * mp.ncdf(u), mpf(10)),
        "identity": lambda: u,
        "laplace": lambda: mp.ncdf((u - mpf("0.707107")) / mpf("0.282095")),
        "log10": lambda: mp.log(u) / mp.log(10),
        "log2": lambda: mp.log(u) / mp.log(2),
        "log1mexp": lambda: mp.log(-mp.expm1(-u)),
        "logaddexp": lambda: mp.log(mp.exp(u) + mp.exp(args[1])),
        "negative": lambda: -u,
        "pow": lambda: u**3,
        "reciprocal": lambda: 1 / u,
        "rsqrt": lambda: 1 / mp.sqrt(u),
        "sqrtsoftplus": lambda: mp.sqrt(mp.log(1 + mp.exp(u))),
        "square": lambda: u**2,
        "step": lambda: mpf(apart(u, mpf(0)) > 0),
        "xielu": lambda: 0.5 * u + mpf("0.8") * (u**2 if apart(u, mpf(0)) > 0 else mp.expm1(u) - u),
        "hardtanh": lambda: mpf(-1) if apart(u, mpf(-1)) < 0 else mpf(1) if apart(u, mpf(1)) > 0 else u,
    }
    return own[name]() if name in own else getattr(mp, name)(u)


def some(choose: random.Random, depth: int) -> str:
    """A random formula text of the grammar; its numbers are dyadic, so floats hold them exactly."""
    kind = choose.random()
    if depth == 0 or kind < 0.1:
        return choose.choice(("x", "x", "x", "2", "0.5", "1.25", "3", "pi"))
    inner = lambda: some(choose, depth - 1)  # noqa: E731
    if kind < 0.45:
        return f"({inner()} {choose.choice('+-*/')} {inner()})"
    if kind < 0.55:
        return f"({inner()})**{choose.choice(('2', '3', '(1/2)', '-1', '(3/4)', '0', '-2'))}"
    if kind < 0.6:
        return f"(-{inner()})"
    if kind < 0.7:
        return f"where({inner()} {choose.choice('<>')} {inner()}, {inner()}, {inner()})"
    name = choose.choice([name for name in FUNCTIONS if name != "where"] + ["elu", "hardtanh"])
    rest = {
        "min": inner,
        "max": inner,
        "logaddexp": inner,
        "clip": lambda: "0, 1",
        "pow": lambda: "3",
        "remainder": lambda: "2",
    }.get(name)
    return f"{name}({inner()}, {rest()})" if rest else f"{name}({inner()})"


def test_random_formulas_have_the_value_of_their_text() -> None:
    choose, accepted, compared = random.Random(0), 0, 0
    with mp.workdps(50):
        for _ in range(400):
            text = some(choose, 4)
            try:
                expr = parse(text)
            except CosnbError:
                continue
            accepted += 1
            function = sympy.lambdify(x, expr, "mpmath")
            for at in (mpf("-1.625"), mpf("-0.375"), mpf("0.6875"), mpf("2.125")):
                try:
                    expected = value(ast.parse(text, mode="eval"), at)
                except (NoValueError, ZeroDivisionError, ValueError):
                    continue
                compared += 1
                assert abs(function(at) - expected) <= 1e-25 * (1 + abs(expected)), (text, at)
    assert accepted > 200
    assert compared > 400


def test_spoilt_texts_raise_only_our_error() -> None:
    choose = random.Random(1)
    letters = "x()+-*/.,<>=!_ 0123456789eE&^%[]{}:;'\"\\#\n\t\x00хｘ²é\ud800" + "abcsinwhere"
    for _ in range(600):
        text = list(some(choose, 3))
        for _ in range(choose.randint(1, 4)):
            place = choose.randrange(len(text) + 1)
            text[place : place + choose.randint(0, 2)] = choose.choice(letters)
        try:
            expr = parse("".join(text))
        except CosnbError:
            continue
        assert expr.free_symbols == {x}
