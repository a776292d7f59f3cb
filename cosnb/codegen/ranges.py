"""Interval bounds of a program's steps, which permit operations of limited range."""

import math
from dataclasses import replace
from typing import Any

from cosnb.codegen.elementary import PERIODIC, REACH
from cosnb.codegen.program import CONSTANTS, Program, Step

Interval = tuple[float, float]
EVERYTHING: Interval = (-math.inf, math.inf)
# Of finite arguments; NaN is in no interval, and whoever uses one has to let it through. Roundings do not leave them
# but by an ulp, which matters to nobody who asks for a range of powers of 2.
_KNOWN: dict[str, Interval] = {
    "exp_nonpositive": (0.0, 1.0),
    "one_minus_exp": (0.0, 1.0),
    "exp_scaled": (0.0, 2.0**100),
    "exp": (0.0, math.inf),
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "log1p_unit": (0.0, math.log(2)),
}


def intervals(program: Program) -> list[Interval]:
    """Return for each step an interval that holds its values, whatever the inputs, NaN apart."""
    found: list[Interval] = []
    for step in program.steps:
        found.append(_interval(step, found))
    return found


def _interval(step: Step, found: list[Interval]) -> Interval:
    if step.op in CONSTANTS:
        values = [float(value) for value in step.values]
        return min(values), max(values)
    if step.op in _KNOWN:
        return _KNOWN[step.op]
    own = [found[index] for index in step.args]
    match step.op, own:
        case "neg", [(low, high)]:
            return -high, -low
        case "abs", [(low, high)]:
            return (max(low, -high, 0.0), max(-low, high))
        case "min", [a, b]:
            return min(a[0], b[0]), min(a[1], b[1])
        case "max", [a, b]:
            return max(a[0], b[0]), max(a[1], b[1])
        case "where", [_, a, b]:
            return min(a[0], b[0]), max(a[1], b[1])
        case "add", [a, b]:
            return _sum(a, b)
        case "sub", [a, b]:
            return _sum(a, (-b[1], -b[0]))
        case "mul", [a, b]:
            same = step.args[0] == step.args[1]
            return _square(a) if same else _product(a, b)
        case "fma", [a, b, c]:
            return _sum(_product(a, b), c)
    return EVERYTHING


def _sum(a: Interval, b: Interval) -> Interval:
    return _ordered([a[0] + b[0], a[1] + b[1]])


def _product(a: Interval, b: Interval) -> Interval:
    return _ordered([x * y for x in a for y in b])


def _square(a: Interval) -> Interval:
    low, high = sorted((abs(a[0]), abs(a[1])))
    return (0.0 if a[0] <= 0 <= a[1] else low * low), high * high


def _ordered(values: list[Any]) -> Interval:
    return EVERYTHING if any(math.isnan(value) for value in values) else (min(values), max(values))


def unlimited(program: Program) -> list[int]:
    """Return the arguments of sin, cos and tan that may be beyond the limit."""
    found = intervals(program)
    sines = [program.steps[index].args[0] for index in program.live() if program.steps[index].op in PERIODIC]
    return [index for index in dict.fromkeys(sines) if max(-found[index][0], found[index][1]) > REACH]


def with_far_sines(program: Program) -> Program:
    """Return the program with `sin_everywhere` and its like for those whose argument may be beyond the limit."""
    far = unlimited(program)
    steps = [
        Step(f"{step.op}_everywhere", step.args) if step.op in PERIODIC and step.args[0] in far else step
        for step in program.steps
    ]
    return replace(program, steps=steps)
