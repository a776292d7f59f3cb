"""Readable source code of an activation for each target, opening with its formula."""

from typing import Protocol

import sympy

from cosnb.codegen.program import Program
from cosnb.codegen.targets import header, numpy, pytorch, triton, vega
from cosnb.errors import CosnbError
from cosnb.symbolic.catalogue import Formula
from cosnb.symbolic.parsing import TYPED
from cosnb.symbolic.text import readable

TARGETS = ("pytorch", "triton", "c", "numpy", "vega")


class Compiled(Protocol):
    """What code is printed from: `cosnb.Activation` is one."""

    name: str
    formula: Formula

    def derivative(self, n: int = 1) -> sympy.Expr:
        """Return the n-th derivative."""
        ...

    def program(self, order: int = 0, product: bool = False) -> Program:
        """Return the intermediate form of the `order`-th derivative, or of dy times it."""
        ...


def source(activation: Compiled, target: str, order: int) -> str:
    """Return code of the `order`-th derivative for one of TARGETS, opening with the formula and that derivative.

    "pytorch", "numpy": a Python function. "triton": a kernel of it, and one of dy times the next derivative, in float32
    arithmetic. "c": a self-contained header, of the next derivative too. "vega": the expression in datum.x is the last
    line; Vega has no comments, so the lines above are for readers only. Raises CosnbError for another target.
    """
    name = activation.name if order == 0 else f"{activation.name}_d{order}"
    if target == "pytorch":
        return pytorch.source(activation.program(order), name, comment(activation, order))
    if target == "triton":
        value, product = activation.program(order), activation.program(order + 1, product=True)
        lines = [*formulas(activation, order + 1), f"forward: {costs(value)}", f"backward: {costs(product)}"]
        return triton.source(value, product, comment="\n".join(lines))
    if target == "numpy":
        return numpy.source(activation.program(order), name, comment(activation, order))
    if target == "c":
        return c_header(activation, activation.name, order)
    if target == "vega":
        lines = formulas(activation, order)
        return "".join(f"// {line}\n" for line in lines) + vega.source(activation.derivative(order)) + "\n"
    raise CosnbError(f"unknown target {target!r}: the targets are {', '.join(TARGETS)}")


def c_header(activation: Compiled, name: str, order: int = 0, measured: str = "") -> str:
    """Return the C header of the derivatives `order` and `order` + 1, with the lines `measured` in its head."""
    programs = [activation.program(n) for n in (order, order + 1)]
    lines = [*formulas(activation, order + 1)]
    lines += [f"{mark(order + n)}: {cost}" for n, cost in enumerate(map(costs, programs))]
    return header.header(name, programs, order, "\n".join([*lines, *measured.splitlines()]))


def comment(activation: Compiled, order: int) -> str:
    """Return the lines that open the code: the formula, the derivative, how it was compiled and what it costs."""
    return "\n".join([*formulas(activation, order), costs(activation.program(order))])


def formulas(activation: Compiled, order: int) -> list[str]:
    """Return the lines of f and of each derivative up to `order`."""
    shown = readable if activation.formula.source == TYPED else str
    lines = [f"{mark(n)}(x) = {shown(activation.derivative(n))}" for n in range(order + 1)]
    return [f"{_one_line(activation.formula.title)}: {lines[0]}", *lines[1:]]


def mark(order: int) -> str:
    """Return f, f′, f″, f‴, f^(4)…"""
    return "f" + ("′" * order if order < 4 else f"^({order})")


def costs(program: Program) -> str:
    """Return how a program was compiled and the operations it counts."""
    counts = ", ".join(
        f"{count} {name[:-1] if count == 1 else name}" for name, count in program.operations().items() if count
    )
    return f"{program.note}; {counts or 'no operations'}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
