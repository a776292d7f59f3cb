"""Replacement of activations inside a model."""

import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cosnb.activations import Activation, activation
from cosnb.errors import CosnbError
from cosnb.nn.calls import functional_calls

_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_is_full_backward_hook",
)


def swap(
    model: nn.Module,
    old: type[nn.Module] | Iterable[type[nn.Module]],
    new: str | Activation,
    *,
    learnable: bool = False,
    **parameters: Any,
) -> int:
    """Replace every module of class `old` (or of one of several) in `model`, in place; return at how many places.

    `new` is a name in the catalogue or a formula as text, either with `parameters` or `precise=True`, or an activation.
    Subclasses of `old` are left. A module that is used in several places, also in a list, tuple, dict or
    functools.partial that a module holds, is replaced by one module in all of them, whose learnable parameters they
    share. The new module keeps the hooks and the mode (training or evaluation) of the old one; its parameters have the
    dtype and the device of the old one's, or else of those around it.

    A function called in `forward`, such as torch.relu, is not a module and is left: a warning names the place, as far
    as torch.fx can trace the model's modules. Raises CosnbError where `model` holds no such module, which is most
    likely a mistake.

    A Hugging Face model is saved without the swap: its `from_pretrained` builds the activation that its configuration
    names. Swap again after loading. Where parameters are learnable, make the model from the configuration, swap, and
    then load the saved weights by load_state_dict.
    """
    classes = _classes(old)
    if isinstance(new, Activation) and parameters:
        raise CosnbError(f"{new!r} has its parameters already: leave out {', '.join(parameters)}, or give its name")
    act = new if isinstance(new, Activation) else activation(new, **parameters)
    swapped = _Swap(model, classes, lambda: act.module(learnable))
    for parent in list(model.modules()):
        swapped.inside(parent)
    swapped.encoders()
    calls = functional_calls(model, classes)
    where = "; ".join(f"{text} in {place}" for text, place in calls)
    if swapped.count == 0:
        wanted = " or ".join(kind.__name__ for kind in classes)
        also = f"; called as functions, which swap cannot replace: {where}" if calls else ""
        raise CosnbError(
            f"no {wanted} inside {type(model).__name__}: nothing to replace by {act!r}; {_found(model)}{also}"
        )
    if calls:
        warnings.warn(
            f"swap replaced {swapped.count} modules in {type(model).__name__}, but not what is called as a function: "
            f"{where}; make modules of them",
            stacklevel=2,
        )
    return swapped.count


def _classes(old: type[nn.Module] | Iterable[type[nn.Module]]) -> tuple[type[nn.Module], ...]:
    classes = tuple(old) if isinstance(old, list | tuple | set | frozenset) else (old,)
    for kind in classes:
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise CosnbError(f"swap replaces modules by their class, like torch.nn.ReLU: {kind!r} is no module class")
    return classes


class _Swap:
    """One replacement under way: what each old module became, and at how many places."""

    def __init__(self, model: nn.Module, classes: tuple[type[nn.Module], ...], make: Callable[[], nn.Module]) -> None:
        self.model = model
        self.classes = classes
        self.make = make
        self.made: dict[nn.Module, nn.Module] = {}
        self.count = 0

    def inside(self, parent: nn.Module) -> None:
        """Replace what `parent` holds, and what it remembers of it."""
        before = self.count
        for key, child in list(parent._modules.items()):  # named_children() gives a module used twice only once
            if type(child) in self.classes:
                assert child is not None
                setattr(parent, key, self._new(child, parent))
        for name, value in list(vars(parent).items()):
            if name not in ("_modules", "_parameters", "_buffers", *_HOOKS):
                replaced = self._within(value, parent)
                if replaced is not value:
                    vars(parent)[name] = replaced
        if self.count > before and isinstance(parent, nn.TransformerEncoderLayer):
            parent.activation_relu_or_gelu = 0  # its fast path for evaluation computes the activation of this number

    def encoders(self) -> None:
        """Have encoders give plain tensors to the layers that were changed: only the fast path takes nested ones."""
        for module in self.model.modules():
            if isinstance(module, nn.TransformerEncoder):
                fast = [getattr(layer, "activation_relu_or_gelu", 0) for layer in module.layers]
                module.use_nested_tensor = getattr(module, "use_nested_tensor", False) and all(fast)

    def _new(self, old: nn.Module, parent: nn.Module) -> nn.Module:
        self.count += 1
        if old not in self.made:
            new = self.make().train(old.training)
            for name in _HOOKS:  # the very dictionaries, so that a hook's handle still removes it
                if name in vars(old):
                    setattr(new, name, getattr(old, name))
            tensor = _like(old, parent, self.model)
            self.made[old] = new if tensor is None else new.to(tensor.device, tensor.dtype)
        return self.made[old]

    def _within(self, value: Any, parent: nn.Module) -> Any:
        """Return `value` with the modules in it replaced: the very object where it holds none, or can be changed."""
        if type(value) in self.classes:
            return self._new(value, parent)
        if isinstance(value, partial):
            inner = self._within([value.func, value.args, value.keywords], parent)
            same = inner[0] is value.func and inner[1] is value.args
            return value if same else partial(inner[0], *inner[1], **inner[2])
        if type(value) is list or isinstance(value, dict):
            for key, item in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
                replaced = self._within(item, parent)
                if replaced is not item:
                    value[key] = replaced
        elif type(value) is tuple:
            items = tuple(self._within(item, parent) for item in value)
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        return value


def _like(old: nn.Module, *around: nn.Module) -> Tensor | None:
    """Return a floating-point tensor of the old module, else of the modules around it, the nearest first."""
    for module in (old, *around):
        for tensor in module.parameters():
            if tensor.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
                return tensor
    return None


def _found(model: nn.Module) -> str:
    leaves = {type(m).__name__ for m in model.modules() if m is not model and not any(m.children())}
    return f"it holds {', '.join(sorted(leaves))}" if leaves else "it holds no other module"
