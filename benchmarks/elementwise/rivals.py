"""Contestants: cosnb as users call it, PyTorch's own function, the plain composition, it compiled, and a copy."""

import functools
import math
import operator
from collections.abc import Callable

import sympy
import torch
from sympy import Piecewise
from torch import Tensor, nn
from torch.nn import functional

from cosnb.activations import activation
from cosnb.errors import CosnbError
from cosnb.symbolic import catalogue
from cosnb.symbolic.functions import erfc, sigmoid, softplus

Function = Callable[[Tensor], Tensor]
Run = Callable[[Tensor, Tensor], object]  # of x and dy

COPY = "copy"
KINDS = ("cosnb", "torch", "plain", "compiled")
YARDSTICK = {"cos": "swish"}  # whose PyTorch function stands in where PyTorch has none

# As people write them who have read the formula; other activations follow the catalogue's formula node by node.
PLAIN: dict[str, Function] = {
    "swish": lambda x: x * torch.sigmoid(x),
    "mish": lambda x: x * torch.tanh(functional.softplus(x)),
    "cos": lambda x: x * torch.sigmoid(x) + (torch.sigmoid(5 * x) - 0.5) ** 2,
    "relu": lambda x: torch.where(x > 0, x, 0),
    "gelu": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
}
_FUNCTIONS = {sigmoid: torch.sigmoid, softplus: functional.softplus, erfc: torch.erfc, sympy.exp: torch.exp}
_FUNCTIONS |= {getattr(sympy, name): getattr(torch, name) for name in ("log", "tanh", "erf", "sin", "cos", "atan")}
_FOLDS = {sympy.Add: operator.add, sympy.Mul: operator.mul, sympy.And: operator.and_, sympy.Or: operator.or_}
_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def rivals(name: str, device: torch.device, dtype: torch.dtype, compiles: bool = True) -> dict[str, Function]:
    """Return {kind: function of a tensor} of an activation; kinds that it lacks are left out.

    The compiled one is specialised for the first shape and format it meets, and raises for a second. CosnbError for an
    unknown activation.
    """
    row = catalogue.get(name)
    plain = PLAIN.get(row.name) or compose(activation(name).expr)
    functions = {"cosnb": activation(name), "plain": plain}
    if row.torch_name:
        module = getattr(nn, row.torch_name)().to(device, dtype).requires_grad_(False)
        functions["torch"] = module.forward  # without the hooks of a module's call, as the function torch.nn.functional
    if compiles:
        functions["compiled"] = torch.compile(plain, fullgraph=True, dynamic=False)
    return {kind: functions[kind] for kind in KINDS if kind in functions}


def compose(expr: sympy.Basic) -> Function:
    """Return `expr` in `catalogue.x` as one tensor operation a node, constants worked out before."""
    if not expr.free_symbols:
        value = bool(expr) if expr in (sympy.true, sympy.false) else float(expr)
        return lambda x: value  # type: ignore[return-value]
    if expr == catalogue.x:
        return lambda x: x
    if isinstance(expr, Piecewise):
        (first, condition), *rest = expr.args
        if condition == sympy.true:
            return compose(first)
        parts = [compose(condition), compose(first), compose(Piecewise(*rest))]
        return lambda x: torch.where(*(part(x) for part in parts))
    if isinstance(expr, sympy.Pow) and expr.base == sympy.E:
        return compose_call(torch.exp, expr.exp)
    if isinstance(expr, sympy.Pow) and expr.exp.is_number:
        base, exponent = compose(expr.base), int(expr.exp) if expr.exp.is_Integer else float(expr.exp)
        return lambda x: base(x) ** exponent
    if isinstance(expr, sympy.core.relational.Relational) and expr.rel_op in _COMPARISONS:
        compare, left, right = _COMPARISONS[expr.rel_op], compose(expr.lhs), compose(expr.rhs)
        return lambda x: compare(left(x), right(x))
    if expr.func in _FOLDS:
        fold = _FOLDS[expr.func]
        numbers = [float(part) for part in expr.args if part.is_number]
        terms = [compose(part) for part in expr.args if not part.is_number]
        start = [functools.reduce(fold, numbers)] if numbers else []
        return lambda x: functools.reduce(fold, [*start, *(term(x) for term in terms)])
    if expr.func in _FUNCTIONS:
        return compose_call(_FUNCTIONS[expr.func], expr.args[0])
    raise CosnbError(f"no tensor operation for {expr.func.__name__}: add it to benchmarks/elementwise/rivals.py")


def compose_call(function: Function, argument: sympy.Basic) -> Function:
    """Return x ↦ function(argument(x))."""
    inner = compose(argument)
    return lambda x: function(inner(x))


def forward(function: Function) -> Run:
    """Return the forward pass of an input that asks for no gradient: reads x, writes y."""
    return lambda x, dy: function(x)


def forward_backward(function: Function) -> Run:
    """Return forward and backward: reads x, writes y; reads dy and x, writes dx. y lives until dx is there."""

    def run(x: Tensor, dy: Tensor) -> object:
        y = function(x)
        return y, torch.autograd.grad(y, x, dy)

    return run


def copy_forward(x: Tensor, dy: Tensor) -> object:
    """Move the bytes of a forward pass: one tensor read, a fresh one written."""
    return x.clone()


def copy_forward_backward(x: Tensor, dy: Tensor) -> object:
    """Move the bytes of both passes: a copy, then a sum, which reads two tensors and writes a fresh third."""
    x = x.detach()
    return x.clone(), torch.add(x, dy)


PASSES: dict[str, tuple[Callable[[Function], Run], Run]] = {
    "forward": (forward, copy_forward),
    "forward+backward": (forward_backward, copy_forward_backward),
}
