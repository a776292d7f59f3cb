"""What users hold: an activation as a formula, its derivatives, its properties, its code and its module."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sympy
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from cosnb.codegen import pytorch
from cosnb.errors import CosnbError
from cosnb.symbolic import calculus, catalogue
from cosnb.symbolic.catalogue import Formula, x
from cosnb.symbolic.findings import Properties

# A decimal or a fraction of bounded length: SymPy would work out 1e999999999 digit by digit.
_NUMBER = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2})?(/[1-9][0-9]{0,19})?")


class Activation:
    """An elementwise activation function made from a formula.

    `expr` is a SymPy expression in the real symbol `x`, parameters filled in. Calling the object applies it to a
    floating-point tensor of any shape, dtype and device and returns one like it; only the input is kept for backward.
    """

    def __init__(self, formula: Formula, parameters: dict[sympy.Symbol, sympy.Rational]) -> None:
        self.formula = formula
        self.name = formula.name
        self.x = x
        self.parameters = parameters
        self.expr: sympy.Expr = formula.expr.subs(parameters)
        self._orders: dict[tuple[int, bool], type[torch.autograd.Function]] = {}
        self._elementwise: dict[int, Callable[[Tensor], Tensor]] = {}

    def __repr__(self) -> str:
        values = "".join(f", {symbol}={value}" for symbol, value in self.parameters.items())
        return f"activation({self.name!r}{values})"

    def __reduce__(self) -> tuple[type["Activation"], tuple[Formula, dict[sympy.Symbol, sympy.Rational]]]:
        # The printed functions and the autograd Functions are no importable names, so a copy makes its own.
        return Activation, (self.formula, self.parameters)

    def __call__(self, input: Tensor) -> Tensor:
        """Apply the activation to `input`: same shape, strides kept where PyTorch keeps them, same dtype and device."""
        if not input.is_floating_point():
            raise CosnbError(
                f"{self.name} expects a floating-point tensor, got {input.dtype}: convert it with .float()"
            )
        return self.autograd_function(0, torch.compiler.is_compiling()).apply(input)

    def derivative(self, n: int = 1) -> sympy.Expr:
        """Return the n-th symbolic derivative; at a kink it has the value of the left piece (ReLU: 0, as PyTorch's)."""
        if n < 0:
            raise CosnbError(f"the order of a derivative must be 0 or more, got {n}")
        return sympy.diff(self.expr, self.x, n) if n else self.expr

    def properties(self, order: int = 0) -> Properties:
        """Return what is found out about f, or about its `order`-th derivative: a table in a notebook.

        Limits, asymptotes, roots, extrema, smoothness and more, each with how it was found: see `findings.Properties`.
        """
        return calculus.properties(self.expr, self.x, order)

    def source(self, target: str = "pytorch", order: int = 0) -> str:
        """Return the code of the `order`-th derivative for a target ("pytorch")."""
        if target != "pytorch":
            raise CosnbError(f"unknown target {target!r}: the targets are pytorch")
        suffix = "" if order == 0 else f"_d{order}"
        return pytorch.source(self.derivative(order), self.x, f"{self.name}{suffix}")

    def elementwise(self, order: int = 0) -> Callable[[Tensor], Tensor]:
        """Return the `order`-th derivative as a plain function of a tensor, outside autograd."""
        if order not in self._elementwise:
            suffix = "" if order == 0 else f"_d{order}"
            self._elementwise[order] = pytorch.compile_source(self.source("pytorch", order), f"{self.name}{suffix}")
        return self._elementwise[order]

    def autograd_function(self, order: int, traced: bool) -> type[torch.autograd.Function]:
        """Return the autograd Function of the `order`-th derivative, made when it is first needed.

        Its backward is dy·f⁽ⁿ⁺¹⁾(x), through the Function of the next order: differentiable as often as asked.
        `traced` is the one for torch.compile, without the jvp that Dynamo refuses.
        """
        key = (order, traced)
        if key not in self._orders:
            self._orders[key] = _make_function(self, order, traced)
        return self._orders[key]

    def module(self) -> "ActivationModule":
        """Return an `nn.Module` that applies this activation."""
        return ActivationModule(self)


class ActivationModule(nn.Module):
    """A module without weights that applies an `Activation` elementwise."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self._prepare()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._prepare()

    def _prepare(self) -> None:
        """Make what forward and backward need before Dynamo traces them: it cannot trace SymPy."""
        for order in (0, 1):
            self.activation.elementwise(order)
            self.activation.autograd_function(order, True)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the activation to a floating-point tensor of any shape."""
        return self.activation(input)

    def extra_repr(self) -> str:
        return repr(self.activation)


def _make_function(activation: Activation, order: int, traced: bool) -> type[torch.autograd.Function]:
    function = activation.elementwise(order)

    class Elementwise(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(input: Tensor) -> Tensor:
            return function(input)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> Tensor:
            (saved,) = ctx.saved_tensors
            return dy * activation.autograd_function(order + 1, False).apply(saved)

        @staticmethod
        def jvp(ctx: Any, dx: Tensor) -> Tensor:
            (saved,) = ctx.saved_tensors
            # PyTorch calls jvp with forward mode off, so a jvp of a jvp would silently be 0 (its issue 197867).
            # Turned on again, it needs the input without this level's tangent; an outer level's stays inside it.
            with forward_ad._set_fwd_grad_enabled(True):
                primal = forward_ad.unpack_dual(saved).primal
                return dx * activation.autograd_function(order + 1, False).apply(primal)

    class TracedElementwise(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, input: Tensor) -> Tensor:
            ctx.save_for_backward(input)
            return function(input)

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> Tensor:
            (saved,) = ctx.saved_tensors
            return dy * activation.elementwise(order + 1)(saved)

    made = TracedElementwise if traced else Elementwise
    made.__name__ = made.__qualname__ = f"{activation.name}_{order}"
    return made


def activation(name: str, **parameters: float | str) -> Activation:
    """Return the catalogue's activation `name` with its parameters set, for example `activation("cos", a=5, c="1/2")`.

    Parameter values are taken as the exact decimals or fractions that they are written as. Raises CosnbError for an
    unknown name or parameter and for a value that is no finite number.
    """
    formula = catalogue.get(name)
    known = {symbol.name: symbol for symbol in formula.parameters}
    values = dict(formula.parameters)
    for key, value in parameters.items():
        if key not in known:
            has = ", ".join(known) or "none"
            raise CosnbError(f"{formula.name} has no parameter {key!r}: its parameters are {has}")
        text = str(value)
        if not _NUMBER.fullmatch(text):
            raise CosnbError(
                f"parameter {key} of {formula.name} must be a finite number like 5, 0.5 or 1/2, got {value!r}"
            )
        values[known[key]] = sympy.Rational(text)
    return _cached(formula.name, tuple(values.items()))


@lru_cache(maxsize=256)
def _cached(name: str, parameters: tuple[tuple[sympy.Symbol, sympy.Rational], ...]) -> Activation:
    return Activation(catalogue.get(name), dict(parameters))


def swap(model: nn.Module, old: type[nn.Module], name: str, **parameters: float | str) -> int:
    """Replace every `old` module inside `model` by the activation `name`, in place; return how many were replaced.

    Raises CosnbError where `model` holds none, since that is most likely a slip.
    """
    new = activation(name, **parameters)
    count = 0
    for parent in list(model.modules()):
        for key, child in list(parent._modules.items()):  # named_children() gives a module used twice only once
            if type(child) is old:
                setattr(parent, key, new.module())
                count += 1
    if count == 0:
        raise CosnbError(f"no {old.__name__} inside {type(model).__name__}: nothing to replace by {name!r}")
    return count
