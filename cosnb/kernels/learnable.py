"""Autograd of a function with parameters that learn: y = f(x, p₁, …), x of any shape, each parameter one number.

(Or, under vmap, one for each element of the batch: of any shape that broadcasts to x's.)

Only x and the parameters are kept for backward, and the partial derivatives are SymPy's: dx = dy·∂f/∂x and
dpᵢ = Σ dy·∂f/∂pᵢ, all in PyTorch operations, float16 and bfloat16 computed in float32 and rounded once. A partial
derivative is such a function again, so there are derivatives of every order. A parameter that occurs in a piece's
condition alone has the derivative 0, as SymPy gives it: the value where the piece begins is not differentiated.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import sympy
import torch
from torch import Tensor
from torch.autograd import forward_ad

from cosnb.analysis.special import values_apart
from cosnb.codegen.evaluate import compile_source
from cosnb.codegen.lower import lower_open
from cosnb.codegen.printing import Target
from cosnb.codegen.targets import pytorch
from cosnb.kernels.autograd import AutogradFunction
from cosnb.kernels.operators import sloped
from cosnb.kernels.torch_internals import Function, forward_mode_on

Partial = Callable[..., Tensor]


class OpenFunction:
    """The function `expr` of x and parameters, its autograd Functions and its partial derivatives, made when needed."""

    def __init__(self, expr: sympy.Expr, x: sympy.Symbol, parameters: tuple[sympy.Symbol, ...]) -> None:
        self.expr = expr
        self.symbols = (x, *parameters)
        self._partials: dict[int, OpenFunction] = {}

    def partial(self, index: int) -> "OpenFunction":
        """Return ∂f/∂x for the index 0, else ∂f/∂p of that parameter, counted from 1."""
        if index not in self._partials:
            x = self.symbols[0]
            # The slope at x = 0 of where(x == 0, 1, sin(a*x)/x) is the limit, and not that of the number 1.
            expr = values_apart(self.expr, x)[1] if index == 0 else _without_powers_of_zero(self.expr)
            self._partials[index] = OpenFunction(sympy.diff(expr, self.symbols[index]), x, self.symbols[1:])
        return self._partials[index]

    @cached_property
    def operations(self) -> Partial:
        """Return f(x, *parameters) in PyTorch operations, of the shape and type of x."""
        return self._operations(pytorch.PYTORCH)

    @cached_property
    def onnx_operations(self) -> Partial:
        """Return the same in operations that ONNX has."""
        return self._operations(pytorch.ONNX)

    def recorded(self, *inputs: Tensor) -> Tensor:
        """Return f(x, *parameters) in PyTorch's operations, for a graph that is recorded: see `operators.sloped`."""
        if torch.onnx.is_in_onnx_export():
            return self.onnx_operations(*inputs)
        slopes = (self.partial(index) for index in range(len(self.symbols)))
        return sloped(self.operations, [None if f.expr == 0 else f.operations for f in slopes], *inputs)

    def _operations(self, target: Target) -> Partial:
        # The prefix keeps a parameter called `torch` or `v1` apart from the printed code's own names.
        names = [f"p_{symbol.name}" for symbol in self.symbols[1:]]
        program = lower_open(self.expr, tuple(zip(self.symbols, ("x", *names), strict=True)))
        code = pytorch.source(program, "open_function", parameters=names, target=target)
        function = compile_source(code, "open_function", torch=torch)
        depends_on_x = self.symbols[0] in self.expr.free_symbols

        def evaluate(x: Tensor, *parameters: Tensor) -> Tensor:
            y = function(x, *(p.to(_wide(x.dtype)) for p in parameters))
            return y if depends_on_x else y + torch.zeros_like(x)  # ∂(a·x)/∂x does not

        return evaluate

    @cached_property
    def eager(self) -> AutogradFunction:
        """Return the Function (x, *parameters) ↦ f, differentiable as often as asked and with forward mode."""
        return _eager(self)

    @cached_property
    def traced(self) -> AutogradFunction:
        """Return the Function for torch.compile and torch.export, differentiable once."""
        partials = [self.partial(index) for index in range(len(self.symbols))]
        return _traced(self.operations, tuple(None if f.expr == 0 else f.operations for f in partials))


def _without_powers_of_zero(expr: sympy.Expr) -> sympy.Expr:
    """Write 0ᵖ, which SymPy differentiates by p to 0ᵖ·log 0, NaN, as the 0 that it is for p > 0."""
    return expr.replace(
        lambda e: e.is_Pow and e.base == 0, lambda e: sympy.Piecewise((0, e.exp > 0), (sympy.nan, True))
    )


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def _gradient(slope: Partial | None, index: int, dy: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    """Return dy·∂f/∂x for the index 0, else the sum of dy·∂f/∂p, typed as that input; no slope is the slope 0."""
    if slope is None:
        return torch.zeros_like(inputs[index])
    x, *parameters = inputs
    wide = x.to(_wide(x.dtype))
    product = dy.to(wide.dtype) * slope(wide, *parameters)
    return product.sum_to_size(inputs[index].shape).to(inputs[index].dtype)


def _eager(f: OpenFunction) -> AutogradFunction:
    def slope(index: int) -> Partial | None:
        return None if f.partial(index).expr == 0 else f.partial(index).eager.apply

    class Eager(Function):
        @staticmethod
        def forward(x: Tensor, *parameters: Tensor) -> Tensor:
            return f.operations(x, *parameters)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
            inputs = ctx.saved_tensors
            wanted = enumerate(ctx.needs_input_grad)
            return tuple(_gradient(slope(index), index, dy, inputs) if needed else None for index, needed in wanted)

        @staticmethod
        def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
            with forward_mode_on():  # see kernels.autograd
                x, *parameters = (forward_ad.unpack_dual(saved).primal for saved in ctx.saved_tensors)
                wide = x.to(_wide(x.dtype))
                total = torch.zeros_like(wide)
                for index, tangent in enumerate(tangents):
                    partial = slope(index)
                    if tangent is not None and partial is not None:
                        total = total + tangent.to(wide.dtype) * partial(wide, *parameters)
                return total.to(x.dtype)

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int | None, ...], x: Tensor, *parameters: Tensor) -> tuple[Tensor, int]:
            size = info.batch_size
            x = x.expand(size, *x.shape) if in_dims[0] is None else x.movedim(in_dims[0], 0)
            batched = (
                p if dim is None else p.movedim(dim, 0).reshape(size, *(1,) * (x.dim() - p.dim()), *p.shape[1:])
                for p, dim in zip(parameters, in_dims[1:], strict=True)
            )
            return f.eager.apply(x, *batched), 0

    return Eager


def _traced(value: Partial, slopes: tuple[Partial | None, ...]) -> AutogradFunction:
    class Traced(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:
            ctx.save_for_backward(x, *parameters)
            return value(x, *parameters)

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
            inputs = ctx.saved_tensors
            wanted = enumerate(ctx.needs_input_grad)
            return tuple(_gradient(slopes[index], index, dy, inputs) if needed else None for index, needed in wanted)

    return Traced
