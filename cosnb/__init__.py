"""cosnb: from an activation function's formula to derivatives, properties, code and an honest experiment."""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cosnb.errors import CosnbError

if TYPE_CHECKING:
    from cosnb.activation import Activation, activation, swap
    from cosnb.colab import setup
    from cosnb.models.fused import fuse_bn

__all__ = ["Activation", "CosnbError", "activation", "fuse_bn", "setup", "swap"]
__version__ = "0.1.0"

# Imported when first asked for: the process that does the algebra (cosnb.symbolic.worker) needs no PyTorch.
_LAZY = {
    "Activation": "cosnb.activation",
    "activation": "cosnb.activation",
    "fuse_bn": "cosnb.models.fused",
    "setup": "cosnb.colab",
    "swap": "cosnb.activation",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


class _Package(ModuleType):
    """`cosnb.activation` is the function: importing the submodule of that name does not put itself in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _LAZY and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
