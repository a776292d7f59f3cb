"""Intermediate form: a straight-line program of elementary operations, each shared part computed once.

All targets print the same `Program`. An operation's arguments are earlier steps; a number stays exact (a SymPy number)
until a target writes it in its own format. Operations besides + − * / and their meanings:

    fma(a, b, c)      a·b + c, rounded once where the target can
    where(p, a, b)    a where p holds, else b; a NaN in a comparison makes it false
    exp_scaled        2¹⁰⁰·e^y for −110 ≤ y ≤ 0 (double: −760), a normal number
    exp_nonpositive   e^y for y ≤ 0 that cannot underflow; one_minus_exp: 1 − e^y there
    log1p_unit        ln(1 + y) for 0 ≤ y ≤ 1
    cbrt              y^(1/3) for y ≥ 0, NaN below 0; power(y, a): y^a for y ≥ 0 and an a that each format holds
    pow(y, a, b)      y^(a + b) for y ≥ 0, where b is what the format's nearest number a lacks of the exponent
    exp_product       e^(u·(h + l)) of (u, h, l); power_of: the same of (u, h, l, c), e^(h + l) = c, held by each format
    negative(x)       whether x < 0; at ±0 and NaN either answer will do
    edge(a, b)        a number that depends on the format: `a` for float, `b` for double
"""

import copy
import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import sympy

from cosnb.host import numpy

EXPONENTIALS = frozenset(
    (
        "exp",
        "expm1",
        "exp_nonpositive",
        "exp_scaled",
        "exp_product",
        "power_of",
        "sigmoid",
        "softplus",
        "tanh",
        "sinh",
        "cosh",
    )
)
COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
CONSTANTS = ("number", "edge")
LEAVES = ("input", *CONSTANTS)
CONDITIONS = frozenset((*COMPARISONS, "negative", "and", "or", "not"))


class Step(NamedTuple):
    """One operation on earlier steps, whose indices are `args`; `number`, `edge` and `input` have none.

    `values`: of a number, or of an edge for float and for double; `name`: of an input.
    """

    op: str
    args: tuple[int, ...] = ()
    values: tuple[sympy.Expr, ...] = ()
    name: str = ""


@dataclass
class Program:
    """Steps in order; `result` is the index of the last one, `note` a sentence on how the formula was compiled."""

    steps: list[Step] = field(default_factory=list)
    result: int = -1
    note: str = ""
    error: float = 0.0  # of a float32 evaluation, in ulp, as far as measured: see guards.errors
    cancels: tuple[sympy.Expr, sympy.Symbol] | None = None  # the formula, where terms cancel and `roots` may help
    in_double: bool = False  # whether C's float32 code computes in double wherever terms cancel, at any price
    hints: dict[int, str] = field(default_factory=dict)  # names that a reader of the printed code knows
    known: dict[Step, int] = field(default_factory=dict)

    def emit(self, op: str, *args: int) -> int:
        """Return the index of the step `op(args)`, made if there is no equal one."""
        return self.put(Step(op, args))

    def put(self, step: Step) -> int:
        """Return the index of a step, made if there is no equal one."""
        if step not in self.known:
            self.known[step] = len(self.steps)
            self.steps.append(step)
        return self.known[step]

    def input(self, name: str) -> int:
        """Return the argument `name` of the function: "x", or "dy" in a backward function, or a parameter."""
        return self.put(Step("input", name=name))

    def number(self, value: sympy.Expr | float) -> int:
        """Return an exact number."""
        return self.put(Step("number", values=(sympy.sympify(value),)))

    def edge(self, single: sympy.Expr | float, double: sympy.Expr | float) -> int:
        """Return a number that differs between float and double: where an exponential underflows."""
        return self.put(Step("edge", values=(sympy.sympify(single), sympy.sympify(double))))

    def is_number(self, index: int, value: float) -> bool:
        """Say whether a step is the number `value`."""
        step = self.steps[index]
        return step.op == "number" and step.values[0] == value

    def add(self, a: int, b: int) -> int:
        """Return a + b; a product becomes part of an fma, a negation a difference."""
        if self.is_number(a, 0):
            return b
        if self.is_number(b, 0):
            return a
        for left, right in ((b, a), (a, b)):
            if self.steps[left].op == "neg":
                inner = self.steps[self._argument(left)]
                if inner.op == "mul":
                    return self.emit("fma", self.neg(inner.args[0]), inner.args[1], right)
                return self.emit("sub", right, self._argument(left))
        for left, right in ((b, a), (a, b)):
            if self.steps[left].op == "mul":
                return self.emit("fma", *self.steps[left].args, right)
        return self.emit("add", a, b)

    def mul(self, a: int, b: int) -> int:
        """Return a·b."""
        for left, right in ((a, b), (b, a)):
            if self.is_number(left, 1) or self.is_number(right, 0):
                return right
            if self.is_number(left, -1):
                return self.neg(right)
        if self.steps[a].op == "neg" and self.steps[b].op == "neg":
            return self.mul(self._argument(a), self._argument(b))
        for left, right in ((a, b), (b, a)):
            if self.steps[left].op == "neg":
                return self.neg(self.mul(self._argument(left), right))
        merged = self._merged_selections(a, b)
        return self.emit("mul", a, b) if merged is None else merged

    def _merged_selections(self, a: int, b: int) -> int | None:
        """Return (p ? 1 : u)·(p ? v : w) as p ? v : u·w: one selection less, if one side's product is free."""
        first, second = self.steps[a], self.steps[b]
        if first.op != "where" or second.op != "where" or first.args[0] != second.args[0]:
            return None
        pairs = list(zip(first.args[1:], second.args[1:], strict=True))
        free = [any(self.is_number(i, n) for i in pair for n in (1, -1)) for pair in pairs]
        if not any(free) or a == b:
            return None
        products = [self.mul(*pair) for pair in pairs]
        return self.where(first.args[0], *products)

    def neg(self, a: int) -> int:
        """Return −a."""
        step = self.steps[a]
        if step.op == "neg":
            return self._argument(a)
        if step.op == "number":
            return self.number(-step.values[0])
        return self.emit("neg", a)

    def div(self, a: int, b: int) -> int:
        """Return a / b."""
        if self.is_number(b, 1):
            return a
        if self.steps[a].op == "neg":
            return self.neg(self.div(self._argument(a), b))
        return self.emit("div", a, b)

    def power(self, base: int, n: int) -> int:
        """Return baseⁿ for an integer n by repeated squaring."""
        if n < 0:
            return self.div(self.number(1), self.power(base, -n))
        if n == 0:
            return self.number(1)
        if n == 1:
            return base
        if n % 2:
            return self.mul(self.power(base, n - 1), base)
        half = self.power(base, n // 2)
        return self.mul(half, half)

    def where(self, condition: int, a: int, b: int) -> int:
        """Return `a` where the condition holds, else `b`."""
        return a if a == b else self.emit("where", condition, a, b)

    def times(self, name: str) -> "Program":
        """Return a copy whose result is multiplied by a further input."""
        product = copy.copy(self)
        product.steps, product.known = list(self.steps), dict(self.known)
        product.result = product.mul(product.input(name), self.result)
        return product

    def precise(self) -> "Program":
        """Return a copy whose float32 code in C computes in double where terms cancel: 0.5 ulp, in twice the time."""
        return dataclasses.replace(self, cancels=None, in_double=True)

    def _argument(self, index: int) -> int:
        return self.steps[index].args[0]

    def inputs(self) -> list[str]:
        """Return the names of the function's arguments."""
        return [step.name for step in self.steps if step.op == "input"]

    def live(self) -> list[int]:
        """Return the indices of the steps that the result needs, in order."""
        needed = {self.result}
        for index in range(len(self.steps) - 1, -1, -1):
            if index in needed:
                needed.update(self.steps[index].args)
        return sorted(needed)

    def uses(self) -> Counter[int]:
        """Return how often each step is used by those that the result needs."""
        counts: Counter[int] = Counter([self.result])
        for index in self.live():
            counts.update(self.steps[index].args)
        return counts

    def operations(self) -> dict[str, int]:
        """Return the counts of exponentials, other functions, divisions, multiplications, additions and selections.

        An fma counts as one multiplication and one addition. `one_minus_exp` beside an `exp_nonpositive` of the
        same argument is no exponential of its own: both come from one reduction and one polynomial.
        """
        steps = [self.steps[index] for index in self.live()]
        arguments_of_exp = {step.args for step in steps if step.op in ("exp_nonpositive", "exp_scaled")}
        counts = dict.fromkeys(
            ("exponentials", "functions", "divisions", "multiplications", "additions", "selections"), 0
        )
        for step in steps:
            if step.op == "one_minus_exp":
                counts["exponentials"] += step.args not in arguments_of_exp
            elif step.op in EXPONENTIALS:
                counts["exponentials"] += 1
            elif step.op == "div":
                counts["divisions"] += 1
            elif step.op in ("mul", "fma"):
                counts["multiplications"] += 1
                counts["additions"] += step.op == "fma"
            elif step.op in ("add", "sub"):
                counts["additions"] += 1
            elif step.op in ("where", "min", "max"):
                counts["selections"] += 1
            elif step.op not in (*LEAVES, "neg", "abs", *CONDITIONS):
                counts["functions"] += 1
        return counts


def single_holds(number: sympy.Rational) -> bool:
    """Say whether a fraction is a float32 number."""
    return bool(sympy.Rational(float(numpy.float32(float(number)))) == number)
