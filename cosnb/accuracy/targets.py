"""Code under measurement: each target's function x ↦ f⁽ⁿ⁾(x) as users run it."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from cosnb.activations import Activation
from cosnb.codegen.evaluate import compile_source
from cosnb.codegen.targets import numpy as numpy_code
from cosnb.errors import CosnbError
from cosnb.kernels import cpu, operators

TARGETS = ("c", "pytorch", "compiled", "numpy", "triton", "inductor")
COMPILED = ("compiled", "inductor")
FORMATS = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Rows that a class of torch.nn computes when it is given arguments; a row's `torch_name` computes by default ones.
_WITH_ARGUMENTS: dict[str, Callable[[], torch.nn.Module]] = {
    "gelu_tanh": lambda: torch.nn.GELU(approximate="tanh"),
    "threshold": lambda: torch.nn.Threshold(threshold=1.0, value=0.0),
}


def available(full: bool = False) -> tuple[str, ...]:
    """Return the targets that run here; "compiled" and, on CUDA, "inductor" only where `full` is set.

    Both are PyTorch's compiler, which takes seconds a function.
    """
    cuda = torch.cuda.is_available()
    there = {"c": cpu.compiler() is not None, "compiled": full, "triton": cuda, "inductor": cuda and full}
    return tuple(target for target in TARGETS if there.get(target, True))


def supports(target: str, dtype: torch.dtype) -> bool:
    """Say whether a target has a format: NumPy has no bfloat16."""
    return target != "numpy" or dtype != torch.bfloat16


def device(target: str) -> str:
    """Return the device a target runs on: "cuda" for Triton, which eager mode uses there, and Inductor, else "cpu"."""
    return "cuda" if target in ("triton", "inductor") else "cpu"


def function(activation: Activation, target: str, order: int) -> Callable[[Tensor], Tensor]:
    """Return the target's function of a tensor for the `order`-th derivative; CosnbError for an unknown target.

    From the first derivative on all but "numpy" run the code of backward, dy·f⁽ⁿ⁾, with dy = 1.
    """
    if target not in TARGETS:
        raise CosnbError(f"unknown target {target!r}: the targets are {', '.join(TARGETS)}")
    kernel = activation.kernel(max(order - 1, 0))
    if target in ("c", "triton"):
        if order == 0:
            return lambda x: operators.forward(x, kernel)
        return lambda x: operators.backward(torch.ones_like(x), x, kernel)
    if target == "numpy":
        run = compile_source(numpy_code.source(activation.program(order), "f"), "f")
        return lambda x: torch.from_numpy(run(x.numpy()))
    wrap: Callable[[Callable], Callable] = (
        partial(torch.compile, fullgraph=True, dynamic=True) if target in COMPILED else lambda code: code
    )
    if order == 0:
        return wrap(kernel.forward_operations)
    product = wrap(kernel.backward_operations)
    return lambda x: product(torch.ones_like(x), x)


def has_own(activation: Activation) -> bool:
    """Say whether torch.nn has the function: only a row's default parameters will do."""
    row = activation.formula
    return bool(row.torch_name or row.name in _WITH_ARGUMENTS) and activation.parameters == row.parameters


def own(activation: Activation) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """Return PyTorch's own function and, by autograd, its derivative; CosnbError where torch.nn has no such function.

    Only the default parameters will do: the class of torch.nn that the catalogue names computes with them.
    """
    row = activation.formula
    if not has_own(activation):
        raise CosnbError(f"torch.nn has no {activation!r}: choose one whose row in the catalogue has a torch_name")
    function = _WITH_ARGUMENTS[row.name]() if row.name in _WITH_ARGUMENTS else getattr(torch.nn, row.torch_name)()

    def derivative(x: Tensor) -> Tensor:
        with torch.enable_grad():
            places = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(function(places).sum(), places)
        return slope

    return function, derivative
