"""Triton target on CUDA devices: kernels printed into the user's cache, compiled by Triton on first use.

One launch a call, on the current stream of the tensor's device; nothing is tuned at run time. Instructions an element
by ptxas for compute capability 9.0, forward and backward: Swish 28 and 35 in float32, 16 and 25 in bfloat16; CoS 36 and
48, 26 and 37; Mish 38 and 44, 26 and 34. By the data sheets memory allows 55 and 82, 28 and 41. Not measured yet, since
it needs a GPU: the block size and the number of warps (`BLOCK`, `WARPS`); the time against PyTorch's SiLU and against a
copy of the same bytes; sizes that are no multiple of 16, for which Triton loads element by element. So far the kernels
have run under the interpreter and through ptxas only: tests/test_triton_cuda.py waits for a device.
"""

import hashlib
import importlib.util
import linecache
import logging
import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from cosnb.codegen.program import Program
from cosnb.codegen.targets import triton
from cosnb.kernels import store
from cosnb.kernels.launch import Launcher
from cosnb.kernels.layout import dense, matching

# Still to be measured on a GPU. 8 elements a thread: two 16-byte loads of float32, one of float16 and bfloat16.
BLOCK, WARPS = 1024, 4
_FORMATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_CAPABILITY = (7, 0)  # what Triton compiles for
logger = logging.getLogger(__name__)


class Library:
    """The kernels of one activation's programs, made for each arithmetic when it is first needed."""

    def __init__(self, value: Program, product: Program) -> None:
        self.value = value
        self.product = product
        self._modules: dict[tuple[str, bool], ModuleType] = {}
        self._launchers: dict[tuple[str, torch.dtype], Launcher] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x) for a tensor of any shape and strides, laid out as x."""
        x = dense(x)
        y = torch.empty_like(x)
        self._run("forward", x, y)
        return y

    def backward(self, dy: Tensor, x: Tensor) -> Tensor:
        """Return dy·f′(x), laid out as x."""
        x = dense(x)
        dx = torch.empty_like(x)
        self._run("backward", matching(dy, x), x, dx)
        return dx

    def module(self, x: Tensor) -> ModuleType:
        """Return the functions and kernels for tensors like x, see `codegen.triton.source`."""
        key = arithmetic(x.dtype), x.is_cuda and torch.version.hip is None
        if key not in self._modules:
            self._modules[key] = load(triton.source(self.value, self.product, key[0], nvidia=key[1]))
        return self._modules[key]

    def _run(self, name: str, *tensors: Tensor) -> None:
        out = tensors[-1]
        count = out.numel()
        if count == 0:
            return
        launcher = self._launchers.get((name, out.dtype))
        if launcher is None:  # without fusion: every fma is written out
            launcher = Launcher(getattr(self.module(out), name), num_warps=WARPS, enable_fp_fusion=False)
            self._launchers[name, out.dtype] = launcher
        with on_device(out):
            launcher((-(-count // BLOCK), 1, 1), tensors, (count,), (), (BLOCK,))


def arithmetic(dtype: torch.dtype) -> str:
    """Return the arithmetic of `codegen.triton.source` for tensors of `dtype`."""
    return {torch.float64: "double", torch.float32: "float"}.get(dtype, "half")


def on_device(x: Tensor) -> AbstractContextManager[Any]:
    """Return a context in which x's device is the current one; the interpreter takes CPU tensors."""
    if not x.is_cuda or x.device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device(x.device)


def build(value: Program, product: Program) -> Library:
    """Return the kernels of f from `value` and of dy·f′ from `product`; they are compiled at the first call."""
    return Library(value, product)


def supports(x: Tensor) -> bool:
    """Say whether the Triton target has the tensor's format, and its machine what Triton needs."""
    return x.dtype in _FORMATS and _device_supports(x.device)


@lru_cache
def _device_supports(device: torch.device) -> bool:
    obstacle = _obstacle()
    if obstacle is None and torch.cuda.get_device_capability(device) < _CAPABILITY:
        obstacle = f"{torch.cuda.get_device_name(device)} is older than what Triton compiles for"
    if obstacle is not None:
        logger.warning(
            "%s: activations on %s run as PyTorch operations, correct but several times slower", obstacle, device
        )
    return obstacle is None


def _obstacle() -> str | None:
    """Return what keeps Triton from working on this machine; its launchers are small C programs."""
    if importlib.util.find_spec("triton") is None:
        return "the package triton is not installed"
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        return "Triton finds no C compiler (set CC)"
    return None


def load(text: str) -> ModuleType:
    """Return the module of printed kernels, with its source in the user's cache: Triton reads it from a file."""
    key = f"triton_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    path = store.get(key, ".py") or store.put(key, ".py", text.encode())
    linecache.checkcache(str(path))
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    # Our own text, not the file's: what runs is what was printed, whatever happens to the file meanwhile.
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module
