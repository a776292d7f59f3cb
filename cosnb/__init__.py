"""cosnb: from an activation function's formula to derivatives, properties, code and an honest experiment."""

import importlib
from typing import TYPE_CHECKING, Any

from cosnb.errors import CosnbError

if TYPE_CHECKING:
    from cosnb.activations import Activation, activation
    from cosnb.book.colab import setup
    from cosnb.nn.fused import fuse_bn
    from cosnb.nn.swap import swap

__all__ = ["Activation", "CosnbError", "activation", "fuse_bn", "setup", "swap"]
__version__ = "0.1.0"

# Imported when first asked for: the process that does the algebra (cosnb.analysis.worker) needs no PyTorch.
_LAZY = {
    "Activation": "cosnb.activations",
    "activation": "cosnb.activations",
    "fuse_bn": "cosnb.nn.fused",
    "setup": "cosnb.book.colab",
    "swap": "cosnb.nn.swap",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
