"""The code that is measured: each target's function x ↦ f⁽ⁿ⁾(x) as users run it."""

from collections.abc import Callable

import numpy
import torch
from torch import Tensor

from cosnb.activation import Activation
from cosnb.codegen.guards import evaluator
from cosnb.errors import CosnbError
from cosnb.kernels import cpu, operators

TARGETS = ("c", "pytorch", "compiled", "numpy", "triton")
FORMATS = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_NUMPY = {torch.float32: numpy.float32, torch.float64: numpy.float64}


def available(full: bool = False) -> tuple[str, ...]:
    """Return the targets that run here; "compiled", which takes seconds a function, only where `full` is set."""
    there = {"c": cpu.compiler() is not None, "compiled": full, "triton": torch.cuda.is_available()}
    return tuple(target for target in TARGETS if there.get(target, True))


def supports(target: str, dtype: torch.dtype) -> bool:
    """Say whether a target has a format: NumPy has no bfloat16, and its code is not for float16."""
    return target != "numpy" or dtype in _NUMPY


def device(target: str) -> str:
    """Return the device a target runs on: "cuda" for Triton, which eager mode uses there, else "cpu"."""
    return "cuda" if target == "triton" else "cpu"


def function(activation: Activation, target: str, order: int) -> Callable[[Tensor], Tensor]:
    """Return the target's function of a tensor for the `order`-th derivative; CosnbError for an unknown target.

    From the first derivative on, "c", "triton", "pytorch" and "compiled" run the code of backward, dy·f⁽ⁿ⁾, with dy = 1.
    """
    if target not in TARGETS:
        raise CosnbError(f"unknown target {target!r}: the targets are {', '.join(TARGETS)}")
    kernel = activation.kernel(max(order - 1, 0))
    if target in ("c", "triton"):
        if order == 0:
            return lambda x: operators.forward(x, kernel)
        return lambda x: operators.backward(torch.ones_like(x), x, kernel)
    if target == "numpy":
        return lambda x: torch.tensor(evaluator(activation.program(order), _NUMPY[x.dtype])(x.numpy()))
    code = kernel.backward_operations if order else kernel.forward_operations
    if target == "compiled":
        code = torch.compile(code, fullgraph=True, dynamic=True)
    return (lambda x: code(torch.ones_like(x), x)) if order else code
