"""Activations: a formula with its derivatives, properties, code and `nn.Module`."""

import hashlib
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any
from weakref import WeakValueDictionary

import sympy
import torch
from torch import Tensor, nn
from torch.fx import Proxy

from cosnb.codegen.program import Program
from cosnb.errors import CosnbError
from cosnb.function import Function, exact, read
from cosnb.kernels import operators
from cosnb.kernels.autograd import AutogradFunction, Orders
from cosnb.kernels.layout import FORMATS, refusal
from cosnb.kernels.learnable import OpenFunction
from cosnb.kernels.torch_internals import fx_leaf, is_constant, is_recorded, runs_at_trace, untraced
from cosnb.symbolic import catalogue, parsing
from cosnb.symbolic.catalogue import Formula
from cosnb.symbolic.text import formula_text

# Dynamo of PyTorch 2.8 cannot call `_prepare` while it traces, for its argument is no constant; 2.13 can. Before 2.13
# it is called beforehand, in 0.1 s or so.
PREPARES = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 13)


class Activation(Function):
    """An elementwise activation function, made from a formula.

    `expr` is a SymPy expression in the real symbol `x`, with the parameters filled in. The object is called with a
    floating-point tensor of any shape, dtype and device and returns a tensor like it. For the backward pass only the
    input is kept. Activations of one formula with equal parameters are equal.

    torch.fx treats it as one operation. torch.jit.trace and torch.onnx.export record PyTorch's own operations for the
    input's dtype; such a graph needs no cosnb and can be differentiated once.
    """

    def __init__(self, formula: Formula, parameters: dict[sympy.Symbol, sympy.Expr], precise: bool = False) -> None:
        super().__init__(formula, parameters)
        self.precise = precise
        self._key = (formula.name, formula.title, formula.expr, frozenset(parameters.items()), precise)
        self._kernels: dict[int, operators.Kernel] = {}
        self._orders = Orders(self.kernel)
        self.traced: AutogradFunction | None = None  # these two are made when torch.compile or torch.export ask
        self.open_traced: AutogradFunction | None = None
        if not PREPARES:
            _prepare(self)

    def __repr__(self) -> str:
        values = "".join(f", {symbol}={value}" for symbol, value in self.parameters.items())
        return f"activation({self.name!r}{values}{', precise=True' * self.precise})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Activation) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[Callable[..., "Activation"], tuple[Formula, dict[sympy.Symbol, sympy.Expr], bool]]:
        # Kernels are no importable names, so another process makes its own. What is read ten times is one, for
        # torch.compile asks whether an activation is the very object that it has compiled.
        return _made, (self.formula, self.parameters, self.precise)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Activation":
        return self  # it never changes, so copies of a network share what has been compiled

    def __call__(self, input: Tensor) -> Tensor:
        """Return f(`input`): its shape, dtype and device, and its strides where PyTorch keeps them."""
        if isinstance(input, Proxy):
            text, values = self._spelling()
            return input.tracer.create_proxy("call_function", apply, (input, text), values)
        self.check(input)
        if torch.compiler.is_compiling():
            if torch.onnx.is_in_onnx_export():
                return self.kernel(0).onnx_operations(input)
            if PREPARES:
                _prepare(self)
            assert self.traced is not None
            return self.traced.apply(input)
        if is_constant(input):
            return operators.forward(input, self.kernel(0))
        if is_recorded():
            return self.kernel(0).recorded(input)
        return self._orders.value(0).apply(input)

    def check(self, input: Tensor) -> None:
        """Raise CosnbError unless `input` is a tensor of float64, float32, float16 or bfloat16."""
        if getattr(input, "dtype", None) not in FORMATS:
            raise CosnbError(f"{self.name} expects {refusal(input)}")

    def program(self, order: int = 0, product: bool = False) -> Program:
        """Return the intermediate form of the `order`-th derivative, or of dy times it: operations, counts, note."""
        found = super().program(order, product)
        return found.precise() if self.precise else found

    def _spelling(self) -> tuple[str, dict[str, Any]]:
        """Return what `activation` makes this of: a name or a text, and what goes with it."""
        precise: dict[str, Any] = {"precise": True} if self.precise else {}
        if catalogue.CATALOGUE.get(self.name) == self.formula or self.formula.source == parsing.TYPED:
            text = self.name if self.name in catalogue.CATALOGUE else self.formula.title
            return text, {symbol.name: str(value) for symbol, value in self.parameters.items()} | precise
        return formula_text(self.expr), precise

    def elementwise(self, order: int = 0) -> Callable[[Tensor], Tensor]:
        """Return the `order`-th derivative as a function of a tensor, in PyTorch operations and outside autograd."""
        return self.kernel(order).forward_operations

    def kernel(self, order: int = 0) -> operators.Kernel:
        """Return the compiled `order`-th derivative, with `dy` times the next one; it is compiled at the first call."""
        if order not in self._kernels:
            told = sympy.srepr(self.expr) + " precise" * self.precise
            key = hashlib.sha256(told.encode()).hexdigest()[:16]
            name = f"{self.name}_{key}_{order}"
            self._kernels[order] = operators.register(
                name, lambda: self.program(order), lambda: self.program(order + 1, product=True)
            )
        return self._kernels[order]

    @cached_property
    def open_function(self) -> OpenFunction:
        """Return the formula as a function of `x` and of its parameters, for parameters that are learnt."""
        return OpenFunction(self.formula.expr, self.x, tuple(self.parameters))

    def module(self, learnable: bool = False) -> "ActivationModule | LearnableModule":
        """Return an nn.Module that applies this activation; with `learnable`, one whose parameters are learnt.

        Each learnable module has its own parameters, which start from this activation's values.
        """
        return LearnableModule(self) if learnable else ActivationModule(self)


class ActivationModule(nn.Module):
    """A module without weights that applies an `Activation` elementwise."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, input: Tensor) -> Tensor:
        """Apply the activation to a floating-point tensor of any shape."""
        if isinstance(input, Proxy) and (leaf := fx_leaf(self, input)) is not None:
            return leaf
        return self.activation(input)

    def extra_repr(self) -> str:
        return repr(self.activation)


class LearnableModule(nn.Module):
    """A module that applies an activation whose parameters are learnt, starting from the activation's values.

    Each parameter is a float32 nn.Parameter without dimensions. It has the name of the formula's parameter, followed by
    an underscore where nn.Module has an attribute of that name. The module computes by PyTorch operations. In eager
    mode they are several times slower than the activation itself, which is compiled for fixed values; under
    torch.compile they are fused as well.

    A parameter that occurs only in a condition (theta of threshold) gets the gradient 0 and is never changed. At ±inf
    gradients may be NaN, as in PyTorch's own functions. Raises CosnbError for an activation without parameters.
    """

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        if not activation.parameters:
            raise CosnbError(f"{activation.name} has no parameters that could learn: leave out learnable=True")
        self.activation = activation
        self._names = []
        for symbol, value in activation.parameters.items():
            name = symbol.name
            while hasattr(self, name):
                name += "_"
            self.register_parameter(name, nn.Parameter(torch.tensor(float(value), dtype=torch.float32)))
            self._names.append(name)
        if not PREPARES:
            _prepare(activation, learnable=True)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the activation, with the parameters as they are now, to a floating-point tensor of any shape."""
        if isinstance(input, Proxy) and (leaf := fx_leaf(self, input)) is not None:
            return leaf
        parameters = [getattr(self, name) for name in self._names]
        if not isinstance(input, Proxy):
            self.activation.check(input)
        if torch.compiler.is_compiling():
            if torch.onnx.is_in_onnx_export():
                return self.activation.open_function.onnx_operations(input, *parameters)
            if PREPARES:
                _prepare(self.activation, learnable=True)
            assert self.activation.open_traced is not None
            return self.activation.open_traced.apply(input, *parameters)
        return apply_learnable(input, self.activation, *parameters)

    def extra_repr(self) -> str:
        return f"{self.activation!r}, learnable"


@runs_at_trace
def _prepare(act: Activation, learnable: bool = False) -> bool:
    """Make what torch.compile is to trace: Dynamo, which cannot trace SymPy, runs this as it stands."""
    if learnable:
        act.open_traced = act.open_function.traced
    else:
        act.traced = act._orders.traced(0)
    return True


# Inside a compiled function Dynamo would trace the parser, and fail somewhere in it.
@untraced("make the activation outside of the compiled function, which may call it")
def activation(formula: str, /, *, precise: bool = False, **parameters: Any) -> Activation:
    """Return an activation by its name in the catalogue, or by its formula as text; "exp" is "exp(x)".

    `activation("cos", a=5, c="1/2")` and `activation("x*sigmoid(x) + (sigmoid(a*x) - c)**2", a=5, c=0.5)` are the same
    function. Parameters take the exact values of the decimals or fractions, numbers or text, as written. `precise`:
    where terms cancel, float32 code of the C compiler computes in double, for an error of 0.5 ulp in up to four times
    the time. Raises CosnbError for an unknown name or parameter, for text that is not a formula, and for a value that
    is not a finite number.
    """
    if not isinstance(formula, str):
        raise CosnbError(f"an activation is given by its name or its formula as text, got {type(formula).__name__}")
    if not isinstance(precise, bool):
        raise CosnbError(f"precise is True or False, and no formula's parameter has that name; got {precise!r}")
    return _read(formula, tuple(exact(parameters).items()), precise)


def apply(input: Tensor, formula: str, /, **parameters: Any) -> Tensor:
    """Return `activation(formula, **parameters)(input)`: what a graph of torch.fx calls."""
    return activation(formula, **parameters)(input)


def apply_learnable(input: Tensor, formula: str | Activation, /, *values: Tensor, **parameters: Any) -> Tensor:
    """Return the formula with `values` for its parameters, in their order: what a graph of torch.fx calls."""
    act = formula if isinstance(formula, Activation) else activation(formula, **parameters)
    if isinstance(input, Proxy):
        text, parameters = act._spelling()
        return input.tracer.create_proxy("call_function", apply_learnable, (input, text, *values), parameters)
    return (act.open_function.recorded if is_recorded() else act.open_function.eager.apply)(input, *values)


@lru_cache(maxsize=256)
def _read(text: str, values: tuple[tuple[str, sympy.Rational], ...], precise: bool) -> Activation:
    return _made(*read(text, dict(values)), precise)


# An activation lives as long as someone holds it or the caches above do.
_MADE: WeakValueDictionary[tuple[Any, ...], Activation] = WeakValueDictionary()


def _made(formula: Formula, parameters: dict[sympy.Symbol, sympy.Expr], precise: bool = False) -> Activation:
    """Return the one activation of a formula and values of its parameters."""
    made = Activation(formula, parameters, precise)
    return _MADE.setdefault(made._key, made)
