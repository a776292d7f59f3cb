"""Replacement of activations inside a model."""

from torch import nn

from cosnb.activations import Activation, activation
from cosnb.errors import CosnbError


def swap(
    model: nn.Module,
    old: type[nn.Module] | tuple[type[nn.Module], ...],
    new: str | Activation,
    *,
    learnable: bool = False,
    **parameters: float | str,
) -> int:
    """Replace every module of class `old` (or of one of several) inside `model`, in place; return at how many places.

    `new` is a name of the catalogue, a formula as text, each with `parameters`, or an activation. Subclasses of `old`
    stay. A module that stands at several places is replaced by one module at all of them, so it shares its parameters
    where they are `learnable`. Raises CosnbError where `model` holds none, since that is most likely a slip.
    """
    classes = old if isinstance(old, tuple) else (old,)
    for kind in classes:
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise CosnbError(f"swap replaces modules by their class, like torch.nn.ReLU: {kind!r} is no module class")
    if isinstance(new, Activation) and parameters:
        raise CosnbError(f"{new!r} has its parameters already: leave out {', '.join(parameters)}, or give its name")
    act = new if isinstance(new, Activation) else activation(new, **parameters)
    made: dict[nn.Module, nn.Module] = {}
    count = 0
    for parent in list(model.modules()):
        for key, child in list(parent._modules.items()):  # named_children() gives a module used twice only once
            if child is not None and type(child) in classes:
                if child not in made:
                    made[child] = act.module(learnable)
                setattr(parent, key, made[child])
                count += 1
    if count == 0:
        wanted = " or ".join(kind.__name__ for kind in classes)
        raise CosnbError(f"no {wanted} inside {type(model).__name__}: nothing to replace by {act!r}; {_found(model)}")
    return count


def _found(model: nn.Module) -> str:
    leaves = {type(m).__name__ for m in model.modules() if m is not model and not any(m.children())}
    return f"it holds {', '.join(sorted(leaves))}" if leaves else "it holds no other module"
