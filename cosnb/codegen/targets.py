"""The targets by name: readable code of an activation that opens with its formula."""

from typing import TYPE_CHECKING

from cosnb.codegen import pytorch, triton
from cosnb.errors import CosnbError

if TYPE_CHECKING:
    from cosnb.activation import Activation


def source(activation: "Activation", target: str, order: int) -> str:
    """Return code of the `order`-th derivative for "pytorch" or "triton"; CosnbError names the targets for any other.

    For "triton" it has two kernels, of the derivative and of its product with dy in backward, in float32 arithmetic.
    """
    name = activation.name if order == 0 else f"{activation.name}_d{order}"
    program = activation.program(order)
    if target == "pytorch":
        return pytorch.source(program, name, comment(activation, order))
    if target == "triton":
        return triton.source(program, activation.program(order + 1, product=True), comment=comment(activation, order))
    raise CosnbError(f"unknown target {target!r}: the targets are pytorch, triton")


def comment(activation: "Activation", order: int) -> str:
    """Return the lines that open the code: the formula, the derivative, how it was compiled and what it costs."""
    program = activation.program(order)
    marks = "′" * order if order < 4 else f"^({order})"
    counts = ", ".join(f"{count} {name}" for name, count in program.operations().items() if count)
    lines = [f"{activation.formula.title}: f(x) = {activation.expr}"]
    if order:
        lines.append(f"f{marks}(x) = {activation.derivative(order)}")
    return "\n".join([*lines, program.note, counts or "no operations"])
