"""What users hold: an activation as a formula, its derivatives, its properties, its code and its module."""

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sympy
import torch
from torch import Tensor, nn

from cosnb.codegen import targets
from cosnb.codegen.lower import lower
from cosnb.codegen.program import Program
from cosnb.errors import CosnbError
from cosnb.kernels.autograd import Orders
from cosnb.kernels.operators import Kernel
from cosnb.symbolic import calculus, catalogue, parsing
from cosnb.symbolic.catalogue import Formula, x
from cosnb.symbolic.findings import Properties

# A decimal or a fraction of bounded length: SymPy would work out 1e999999999 digit by digit.
_NUMBER = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2})?(/[1-9][0-9]{0,19})?")


class Activation:
    """An elementwise activation function made from a formula.

    `expr` is a SymPy expression in the real symbol `x`, parameters filled in. Calling the object applies it to a
    floating-point tensor of any shape, dtype and device and returns one like it; only the input is kept for backward.
    """

    def __init__(self, formula: Formula, parameters: dict[sympy.Symbol, sympy.Expr]) -> None:
        self.formula = formula
        self.name = formula.name
        self.x = x
        self.parameters = parameters
        self.expr: sympy.Expr = formula.expr.subs(parameters)
        self._kernels: dict[int, Kernel] = {}
        self._orders = Orders(self.kernel)

    def __repr__(self) -> str:
        values = "".join(f", {symbol}={value}" for symbol, value in self.parameters.items())
        return f"activation({self.name!r}{values})"

    def __reduce__(self) -> tuple[type["Activation"], tuple[Formula, dict[sympy.Symbol, sympy.Expr]]]:
        # Kernels and autograd Functions are no importable names, so a copy makes its own.
        return Activation, (self.formula, self.parameters)

    def __call__(self, input: Tensor) -> Tensor:
        """Apply the activation to `input`: same shape, strides kept where PyTorch keeps them, same dtype and device."""
        if not input.is_floating_point():
            raise CosnbError(
                f"{self.name} expects a floating-point tensor, got {input.dtype}: convert it with .float()"
            )
        if torch.compiler.is_compiling():
            return self._orders.traced(0).apply(input)
        return self._orders.value(0).apply(input)

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

    def program(self, order: int = 0, product: bool = False) -> Program:
        """Return the intermediate form of the `order`-th derivative, or of dy times it: operations, counts, note."""
        return lower(self.derivative(order), self.x, product)

    def source(self, target: str = "pytorch", order: int = 0) -> str:
        """Return readable code of the `order`-th derivative for a target: see `cosnb.codegen.targets`."""
        return targets.source(self, target, order)

    def elementwise(self, order: int = 0) -> Callable[[Tensor], Tensor]:
        """Return the `order`-th derivative as a plain function of a tensor in PyTorch operations, outside autograd."""
        return self.kernel(order).forward_operations

    def kernel(self, order: int = 0) -> Kernel:
        """Return the compiled code of the `order`-th derivative and of dy times the next, made when first called."""
        if order not in self._kernels:
            key = hashlib.sha256(sympy.srepr(self.expr).encode()).hexdigest()[:16]
            name = f"{self.name}_{key}_{order}"
            self._kernels[order] = Kernel(
                name, lambda: self.program(order), lambda: self.program(order + 1, product=True)
            )
        return self._kernels[order]

    def prepare(self) -> None:
        """Make what torch.compile needs before it traces the activation: it cannot trace SymPy."""
        self._orders.traced(0)

    def module(self) -> "ActivationModule":
        """Return an `nn.Module` that applies this activation."""
        return ActivationModule(self)


class ActivationModule(nn.Module):
    """A module without weights that applies an `Activation` elementwise."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        activation.prepare()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.activation.prepare()

    def forward(self, input: Tensor) -> Tensor:
        """Apply the activation to a floating-point tensor of any shape."""
        return self.activation(input)

    def extra_repr(self) -> str:
        return repr(self.activation)


def activation(formula: str, /, **parameters: float | str) -> Activation:
    """Return an activation by its name in the catalogue, or by its formula as text.

    `activation("cos", a=5, c="1/2")` and `activation("x*sigmoid(x) + (sigmoid(a*x) - c)**2", a=5, c=0.5)` are the same
    function. Parameter values are taken as the exact decimals or fractions that they are written as. Raises CosnbError
    for an unknown name or parameter, a text that is no formula, and a value that is no finite number.
    """
    if not isinstance(formula, str):
        raise CosnbError(f"an activation is given by its name or its formula as text, got {type(formula).__name__}")
    values = {name: _value(name, value) for name, value in parameters.items()}
    if not formula.strip().isidentifier() or formula.strip() == "x":
        return _from_text(formula, tuple(sorted(values.items())))
    row = catalogue.get(formula.strip())
    known = {symbol.name: symbol for symbol in row.parameters}
    for name in values:
        if name not in known:
            has = ", ".join(known) or "none"
            raise CosnbError(f"{row.name} has no parameter {name!r}: its parameters are {has}")
    merged = {symbol: values.get(name, row.parameters[symbol]) for name, symbol in known.items()}
    return _cached(row.name, tuple(merged.items()))


def _value(name: str, value: float | str) -> sympy.Rational:
    text = str(value)
    if not _NUMBER.fullmatch(text):
        raise CosnbError(f"parameter {name} must be a finite number like 5, 0.5 or 1/2, got {value!r}")
    return sympy.Rational(text)


@lru_cache(maxsize=256)
def _cached(name: str, parameters: tuple[tuple[sympy.Symbol, sympy.Expr], ...]) -> Activation:
    return Activation(catalogue.get(name), dict(parameters))


@lru_cache(maxsize=256)
def _from_text(text: str, parameters: tuple[tuple[str, sympy.Rational], ...]) -> Activation:
    formula = parsing.from_text(text, dict(parameters))
    return Activation(formula, dict(formula.parameters))


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
