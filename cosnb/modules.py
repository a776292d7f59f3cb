"""The `nn.Module`s of an activation: one without weights, and one whose parameters learn."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cosnb.errors import CosnbError

# Dynamo of PyTorch 2.8 cannot call `_prepare` while it traces, for its argument is no constant; 2.13 can. Before it
# what is traced is made beforehand, in 0.1 s or so.
PREPARES = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 13)

if TYPE_CHECKING:
    from cosnb.activation import Activation


class ActivationModule(nn.Module):
    """A module without weights that applies an `Activation` elementwise."""

    def __init__(self, activation: "Activation") -> None:
        super().__init__()
        self.activation = activation

    def forward(self, input: Tensor) -> Tensor:
        """Apply the activation to a floating-point tensor of any shape."""
        return self.activation(input)

    def extra_repr(self) -> str:
        return repr(self.activation)


class LearnableModule(nn.Module):
    """A module that applies an activation whose parameters learn, beginning at the values that it was made with.

    Each parameter is a float32 `nn.Parameter` without dimensions, named as in the formula, with an underscore after it
    where `nn.Module` has the name already. It goes the general way (PyTorch operations, several times slower in eager
    mode than the activation itself, which is compiled for its numbers; under torch.compile it is fused as well).
    A parameter in a condition alone (`theta` of threshold) gets the gradient 0 and never moves. At ±inf gradients may
    be NaN, as in PyTorch's own functions. Raises CosnbError for an activation without parameters.
    """

    def __init__(self, activation: "Activation") -> None:
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
            _prepare(activation)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the activation, with the parameters as they are now, to a floating-point tensor of any shape."""
        self.activation.check(input)
        parameters = [getattr(self, name) for name in self._names]
        if torch.compiler.is_compiling():
            if PREPARES:
                _prepare(self.activation)
            assert self.activation.open_traced is not None
            return self.activation.open_traced.apply(input, *parameters)
        return self.activation.open_function.eager.apply(input, *parameters)

    def extra_repr(self) -> str:
        return f"{self.activation!r}, learnable"


def _prepare(activation: "Activation") -> bool:
    """Make what torch.compile is to trace: Dynamo, which cannot trace SymPy, runs this as it stands."""
    activation.open_traced = activation.open_function.traced
    return True


_prepare._dynamo_marked_constant = True  # type: ignore[attr-defined]  # see cosnb.activation
