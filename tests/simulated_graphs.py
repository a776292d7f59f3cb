"""CUDA graphs simulated on a CPU: a capture notes operations and refuses what CUDA refuses, a replay does them again.

What CUDA forbids within a capture is what asks the device for a number, or makes a tensor from the host's memory: the
size or the content would be those of the capture. A replay has the addresses of the capture, so what a step makes new
is written over what the capture made.
"""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_FORBIDDEN = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten.equal.default,
    torch.ops.aten.lift_fresh.default,
    torch.ops.aten._unique2.default,
    torch.ops.aten.bincount.default,
    torch.ops.aten.repeat_interleave.Tensor,
}


class CaptureError(RuntimeError):
    """What a capture on a device does not permit."""


class Graph(TorchDispatchMode):
    """Stands for torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[Any, Any, Any, list[tuple[int, Tensor]]]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        asks = function is torch.ops.aten.index.Tensor and any(i is not None and i.dtype == torch.bool for i in args[1])
        if asks or function in _FORBIDDEN:
            raise CaptureError(f"{function}: operation not permitted when stream is capturing")
        given = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = function(*args, **(kwargs or {}))
        made = [
            (place, leaf)
            for place, leaf in enumerate(tree_leaves(result))
            if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in given
        ]
        self.steps.append((function, args, kwargs or {}, made))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for function, args, kwargs, made in self.steps:
            leaves = tree_leaves(function(*args, **kwargs))
            for place, tensor in made:
                tensor.detach().copy_(leaves[place])


class Stream:
    """Stands for torch.cuda.Stream: all is done in order here."""

    def __init__(self, device: object = None) -> None:
        pass

    def wait_stream(self, other: object) -> None:
        pass


@contextlib.contextmanager
def _capturing(graph: Graph, stream: object = None) -> Iterator[None]:
    with graph:
        yield


def install(patch: pytest.MonkeyPatch) -> None:
    """Put the simulation in the place of torch.cuda's graphs and streams, and let Adam take a CPU for a GPU."""
    patch.setattr(torch.cuda, "CUDAGraph", Graph)
    patch.setattr(torch.cuda, "graph", _capturing)
    patch.setattr(torch.cuda, "Stream", Stream)
    patch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    patch.setattr(torch.cuda, "synchronize", lambda device=None: None)
    for name in ("adam", "optimizer"):  # whose modules torch.optim hides
        module = importlib.import_module(f"torch.optim.{name}")
        patch.setattr(module, "_get_capturable_supported_devices", lambda supports_xla=True: ["cpu"])
