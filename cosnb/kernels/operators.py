"""PyTorch operators behind eager mode: y = f(x) and dx = dy·f′(x) by the fastest code the device has.

C on the CPU, Triton on CUDA, PyTorch's operations elsewhere. `cosnb::forward(x, kernel)` and
`cosnb::backward(dy, x, kernel)` take the key of a `Kernel`; as registered operators they work under fake tensors, vmap
and dispatch modes. A plain call, which nothing of that concerns, goes to the code directly. Autograd is not theirs but
`cosnb.activation`'s.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from cosnb.codegen.evaluate import compile_source
from cosnb.codegen.printing import Target
from cosnb.codegen.program import Program
from cosnb.codegen.targets import pytorch
from cosnb.errors import CosnbError
from cosnb.kernels import cpu, cuda, norm
from cosnb.kernels.torch_internals import is_plain, is_recorded, unrecorded

# A kernel lives as long as an activation has it: a process that goes through thousands of formulas keeps the last few.
_KERNELS: WeakValueDictionary[str, "Kernel"] = WeakValueDictionary()
_REGISTRATION = Lock()
logger = logging.getLogger(__name__)


class Kernel:
    """The compiled code of one function and its derivative, made when first called, one device at a time."""

    def __init__(self, key: str, value: Callable[[], Program], product: Callable[[], Program]) -> None:
        self.key = key
        self.value = value
        self.product = product
        self._lock = Lock()
        self._native: cpu.Library | None = None
        self._has_no_native = False
        self._triton: cuda.Library | None = None
        self._norm: norm.Norm | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x) for a tensor with memory on a CPU or a CUDA device, by its compiled code where there is some."""
        library = self._library(x)
        return _laid_out(self.forward_operations(x), x) if library is None else library.forward(x)

    def backward(self, dy: Tensor, x: Tensor) -> Tensor:
        """Return dy·f′(x), laid out as x, likewise."""
        library = self._library(x)
        return _laid_out(self.backward_operations(dy, x), x) if library is None else library.backward(dy, x)

    def _library(self, x: Tensor) -> cpu.Library | cuda.Library | None:
        if x.is_cpu:
            return self._working_native() if cpu.supports(x.dtype) else None
        return self.triton() if cuda.supports(x) else None

    def native(self) -> cpu.Library:
        """Return the C library, built at the first call."""
        if self._native is None:
            with self._lock:
                if self._native is None:
                    self._native = cpu.build(self.value(), self.product())
        return self._native

    def _working_native(self) -> cpu.Library | None:
        """Return the C library, None where the compiler makes none; a fault in this one alone is told in the log."""
        if self._native is None and not self._has_no_native:
            try:
                return self.native()
            except CosnbError as error:
                self._has_no_native = True
                if cpu.compiler() is not None:
                    logger.warning("%s: %s runs as PyTorch operations", error, self.key)
        return self._native

    def triton(self) -> cuda.Library:
        """Return the Triton kernels, printed and compiled at their first call."""
        if self._triton is None:
            with self._lock:
                if self._triton is None:
                    self._triton = cuda.build(self.value(), self.product())
        return self._triton

    def norm(self) -> norm.Norm:
        """Return the Triton kernels of a batch normalisation with the function after it."""
        if self._norm is None:
            library = self.triton()
            with self._lock:
                if self._norm is None:
                    self._norm = norm.Norm(library)
        return self._norm

    @cached_property
    def forward_operations(self) -> Callable[[Tensor], Tensor]:
        """Return f as PyTorch operations."""
        return compile_source(pytorch.source(self.value(), "forward"), "forward", torch=torch)

    @cached_property
    def backward_operations(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return dy·f′ as PyTorch operations."""
        return compile_source(pytorch.source(self.product(), "backward"), "backward", torch=torch)

    def slope(self, x: Tensor) -> Tensor:
        """Return f′(x) in PyTorch operations."""
        return self.backward_operations(torch.ones_like(x), x)

    @cached_property
    def onnx_operations(self) -> Callable[[Tensor], Tensor]:
        """Return f as operations that ONNX has."""
        return _printed(self.value(), pytorch.ONNX)

    @cached_property
    def recorded_operations(self) -> Callable[[Tensor], Tensor]:
        """Return f as operations through which autograd finds f′, for a graph that torch.jit.trace records."""
        value = _printed(self.value(), pytorch.RECORDED)
        found = autograd_finds_slope(self, pytorch.RECORDED)
        return value if found else lambda x: sloped(value, [self.slope], x)

    def recorded(self, x: Tensor) -> Tensor:
        """Return f(x) in PyTorch's operations, for a graph that is recorded."""
        return (self.onnx_operations if torch.onnx.is_in_onnx_export() else self.recorded_operations)(x)


def _laid_out(y: Tensor, x: Tensor) -> Tensor:
    """Return y with the strides that the compiled code would have given it."""
    like = torch.empty_like(x)
    return y if y.stride() == like.stride() else like.copy_(y)


def _printed(program: Program, target: Target) -> Callable[[Tensor], Tensor]:
    return compile_source(pytorch.source(program, "forward", target=target), "forward", torch=torch)


def autograd_finds_slope(kernel: Kernel, target: Target) -> bool:
    """Say whether autograd through f's operations gives f′: it makes NaN where a piece not taken overflows (ELU at 90).

    Compared at ±2^k, −24 ≤ k ≤ 13, ±k/8 below 16, and 0.
    """
    value = _printed(kernel.value(), target)
    half = torch.cat([torch.arange(128) / 8, torch.arange(4, 14).exp2(), torch.arange(-24, -3).exp2()])
    with unrecorded(), torch.enable_grad():
        for dtype, tolerance in ((torch.float32, 1e-3), (torch.float64, 1e-6)):
            x = torch.cat([-half, half]).to(dtype).requires_grad_()
            (found,) = torch.autograd.grad(value(x).sum(), x)
            if not torch.allclose(found, kernel.slope(x.detach()), tolerance, 1e-8):
                return False
    return True


def sloped(value: Callable[..., Tensor], slopes: Sequence[Callable[..., Tensor] | None], *inputs: Tensor) -> Tensor:
    """Return value(*inputs) in operations that autograd differentiates by the slopes: once, and by 0 at an infinity.

    y + (x − x′)·slope(x′), where x′ is x detached, for a graph that is recorded has no autograd Function.
    """
    fixed = [x.detach() for x in inputs]
    y = value(*fixed)
    for x, slope in zip(inputs, slopes, strict=True):
        if slope is not None:
            finite = torch.where(x.isfinite(), x, torch.zeros_like(x))
            bound = torch.finfo(y.dtype).max
            y = y + ((finite - finite.detach()) * slope(*fixed).clamp(-bound, bound)).to(y.dtype)
    return y


def register(key: str, value: Callable[[], Program], product: Callable[[], Program]) -> Kernel:
    """Return the kernel of that key; the first caller's programs make it, so equal activations share what is built."""
    with _REGISTRATION:
        kernel = _KERNELS.get(key)
        if kernel is None:
            _KERNELS[key] = kernel = Kernel(key, value, product)
        return kernel


def _kernel(key: str) -> Kernel:
    kernel = _KERNELS.get(key)
    if kernel is None:
        raise CosnbError(f"this process has no kernel {key!r}: make the activation, call it once and keep it")
    return kernel


def forward(x: Tensor, kernel: Kernel) -> Tensor:
    """Return f(x), shaped and typed as x."""
    if is_plain(x):
        return kernel.forward(x)
    if is_recorded():
        return kernel.recorded(x)
    return torch.ops.cosnb.forward(x, kernel.key)


def backward(dy: Tensor, x: Tensor, kernel: Kernel) -> Tensor:
    """Return dy·f′(x), shaped and typed as x."""
    return kernel.backward(dy, x) if is_plain(x, dy) else torch.ops.cosnb.backward(dy, x, kernel.key)


def _forward_operations(x: Tensor, kernel: str) -> Tensor:
    return _kernel(kernel).forward_operations(x)


def _backward_operations(dy: Tensor, x: Tensor, kernel: str) -> Tensor:
    return _kernel(kernel).backward_operations(dy, x)


def _forward_compiled(x: Tensor, kernel: str) -> Tensor:
    return _kernel(kernel).forward(x)


def _backward_compiled(dy: Tensor, x: Tensor, kernel: str) -> Tensor:
    return _kernel(kernel).backward(dy, x)


def _forward_meta(x: Tensor, kernel: str) -> Tensor:
    return torch.empty_like(x)


def _backward_meta(dy: Tensor, x: Tensor, kernel: str) -> Tensor:
    return torch.empty_like(x)


def _forward_vmap(info: object, in_dims: tuple[int | None, ...], x: Tensor, kernel: str) -> tuple[Tensor, int | None]:
    return torch.ops.cosnb.forward(x, kernel), in_dims[0]


def _backward_vmap(
    info: object, in_dims: tuple[int | None, ...], dy: Tensor, x: Tensor, kernel: str
) -> tuple[Tensor, int]:
    return torch.ops.cosnb.backward(*batch_first(in_dims[:2], dy, x), kernel), 0


def batch_first(in_dims: tuple[int | None, ...], dy: Tensor, x: Tensor) -> list[Tensor]:
    """Return dy and x with the batch as first dimension of both."""
    moved = (v.unsqueeze(0) if dim is None else v.movedim(dim, 0) for v, dim in zip((dy, x), in_dims, strict=True))
    return list(torch.broadcast_tensors(*moved))


_library = torch.library.Library("cosnb", "DEF")
# By this tag jagged nested tensors hand over the numbers that they hold.
_library.define("forward(Tensor x, str kernel) -> Tensor", tags=(torch.Tag.pointwise,))
_library.define("backward(Tensor dy, Tensor x, str kernel) -> Tensor", tags=(torch.Tag.pointwise,))
for _name, _operations, _compiled, _meta, _vmap in (
    ("forward", _forward_operations, _forward_compiled, _forward_meta, _forward_vmap),
    ("backward", _backward_operations, _backward_compiled, _backward_meta, _backward_vmap),
):
    _library.impl(_name, _operations, "CompositeExplicitAutograd")
    _library.impl(_name, _compiled, "CPU")
    _library.impl(_name, _compiled, "CUDA")
    _library.impl(_name, torch.library.fallthrough_kernel, "AutogradNestedTensor")  # the others fall through unasked
    torch.library.register_fake(f"cosnb::{_name}", _meta, lib=_library)
    torch.library.register_vmap(f"cosnb::{_name}", _vmap, lib=_library)
