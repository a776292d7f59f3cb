"""A batch normalisation and the activation after it by the Triton kernels of norm_triton.py, launch by launch.

Against PyTorch's kernels for a normalisation and ReLU, a training step reads and writes 8 times the bytes of x instead
of 13: forward two reads and a write, not three reads and two writes; backward four and one, not five and three.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from cosnb.kernels import cuda
from cosnb.kernels.launch import Launcher
from cosnb.kernels.layout import matching
from cosnb.kernels.torch_internals import has_dispatch_mode, is_dense

_TILE = 4096  # elements a program takes at a time: 16 a thread
_WARPS = 8
_SEGMENT = 64  # bytes of adjacent channels that a program reads: two sectors of the device's memory
_MOST_PARTS = 128  # programs that share a channel, whose sums each program of the second launch adds up
_PROGRAMS = 4  # a multiprocessor


@dataclass(frozen=True)
class Plan:
    """How the launches share the work of x seen as (n, c, l), and what that makes their arguments.

    tile: rows, channels and columns that a program takes at a time; parts: programs that share a channel; grid: blocks
    of channels and parts; units: the largest powers of 2, up to 16, that c and l are multiples of, for so wide can the
    loads be; integers: n, and c and l in their units; constants: units and tile.
    """

    sizes: tuple[int, int, int]
    tile: tuple[int, int, int]
    parts: int
    grid: tuple[int, int, int]
    units: tuple[int, int]
    integers: tuple[int, int, int]
    constants: tuple[int, ...]


def sizes(x: Tensor) -> tuple[int, int, int] | None:
    """Return x (N, C, …) as (n, c, l), l fastest: contiguous or channels-last; None for any other order in memory."""
    if x.dim() < 2:
        return None
    if x.is_contiguous():
        return x.shape[0], x.shape[1], math.prod(x.shape[2:])
    if x.movedim(1, -1).is_contiguous():
        return x.numel() // x.shape[1], x.shape[1], 1
    return None


def applies(x: Tensor, *vectors: Tensor | None) -> bool:
    """Say whether the kernels take x and one number a channel in each of `vectors`, all as they are in memory.

    They do on a CUDA device, unless x is empty or a mode is at work. What does not fit, PyTorch's kernels refuse.
    """
    if not x.is_cuda or not is_dense(x) or has_dispatch_mode():
        return False
    if not cuda.supports(x) or x.numel() == 0 or _plan(x) is None:
        return False
    channels, device = x.shape[1:2], x.device
    return all(
        vector is None or (vector.device == device and vector.shape == channels and vector.is_contiguous())
        for vector in vectors
    )


def plan(sizes: tuple[int, int, int], itemsize: int, processors: int) -> Plan:
    """Return the plan for elements of `itemsize` bytes on a device of so many multiprocessors."""
    n, c, length = sizes
    if length == 1:
        channels = min(_power_of_2(c), _SEGMENT // itemsize)
        tile = (min(_TILE // channels, _power_of_2(n)), channels, 1)
    else:
        columns = min(_power_of_2(length), 1024)
        tile = (min(_TILE // columns, _power_of_2(n)), 1, columns)
    tiles = -(-n // tile[0]) * -(-length // tile[2])
    blocks = -(-c // tile[1])
    parts = max(1, min(tiles, -(-_PROGRAMS * processors // blocks), _MOST_PARTS))
    units = math.gcd(c, 16), math.gcd(length, 16)
    integers = n, c // units[0], length // units[1]
    return Plan(sizes, tile, parts, (blocks, parts, 1), units, integers, (*units, *tile))


def _power_of_2(n: int) -> int:
    return 1 << (n - 1).bit_length()


class Norm:
    """The launches for one activation's `cuda.Library`."""

    def __init__(self, library: cuda.Library) -> None:
        self.library = library
        self._launchers: dict[tuple[str, str], tuple[Launcher, Any]] = {}

    def forward(
        self,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        training: bool,
        momentum: float,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return f(z) like x, and the mean and 1/√(var + eps) that it was normalised with, (C,).

        The running statistics are brought up to date in training; else they are what x is normalised with. `x` has
        an order in memory that `sizes` knows, and elements.
        """
        how = _plan(x)
        assert how is not None
        format = torch.float64 if x.dtype == torch.float64 else torch.float32
        y = torch.empty_like(x)
        mean, invstd, partial = _scratch(x, format, (how.sizes[1],), (how.sizes[1],), (3, how.parts, how.sizes[1]))
        with cuda.on_device(x):
            if training:
                moments, _ = self._launcher("moments", x)
                moments(how.grid, (x, partial), how.integers, (), how.constants)
            normalise, value = self._launcher("normalise", x)
            vectors = [mean if given is None else given for given in (weight, bias, running_mean, running_var)]
            normalise(
                how.grid,
                (x, y, *vectors, mean, invstd, partial),
                (*how.integers, how.parts),
                (eps, momentum),
                (
                    value,
                    training,
                    training and running_mean is not None,
                    weight is not None,
                    bias is not None,
                    _power_of_2(how.parts),
                    *how.constants,
                ),
            )
        return y, mean, invstd

    def backward(
        self,
        dy: Tensor,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        invstd: Tensor,
        training: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return dx like x, and dweight and dbias, None where there is none."""
        how = _plan(x)
        assert how is not None
        dy, dx = matching(dy, x), torch.empty_like(x)
        (partial,) = _scratch(x, mean.dtype, (2, how.parts, how.sizes[1]))
        dweight, dbias = (None if given is None else torch.empty_like(given) for given in (weight, bias))
        inputs = (dy, x, *(mean if given is None else given for given in (weight, bias)), mean, invstd, partial)
        given = (weight is not None, bias is not None)
        with cuda.on_device(x):
            launch, product = self._launcher("sums", x)
            launch(how.grid, inputs, how.integers, (), (product, *given, *how.constants))
            launch, product = self._launcher("gradients", x)
            outputs = (dx, *(partial if wanted is None else wanted for wanted in (dweight, dbias)))
            launch(
                how.grid,
                (*inputs, *outputs),
                (*how.integers, how.parts),
                (1 / (how.sizes[0] * how.sizes[2]),),
                (product, training, *given, _power_of_2(how.parts), *how.constants),
            )
        return dx, dweight, dbias

    def _launcher(self, name: str, x: Tensor) -> tuple[Launcher, Any]:
        """Return a kernel's launcher, and the activation's function that it is given."""
        arithmetic = cuda.arithmetic(x.dtype)
        if (name, arithmetic) not in self._launchers:
            from cosnb.kernels import norm_triton

            functions = self.library.module(x)
            function = functions.value if name == "normalise" else functions.product
            launcher = Launcher(getattr(norm_triton, name), num_warps=_WARPS, enable_fp_fusion=False)
            self._launchers[name, arithmetic] = launcher, function
        return self._launchers[name, arithmetic]


def _plan(x: Tensor) -> Plan | None:
    """Return the plan for x, None where its order in memory is not known."""
    return _plan_of(x.shape, x.stride(), x.dtype, x.device)


@lru_cache(maxsize=4096)  # of one shape after the other: 9 µs otherwise, for launches that take 2
def _plan_of(shape: torch.Size, stride: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Plan | None:
    seen = sizes(torch.empty_strided(shape, stride, dtype=dtype, device="meta"))
    return None if seen is None else plan(seen, dtype.itemsize, _processors(device))


def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 2


def _scratch(x: Tensor, dtype: torch.dtype, *shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.empty(shape, dtype=dtype, device=x.device) for shape in shapes]
