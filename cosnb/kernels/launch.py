"""Launches of Triton kernels that skip Triton's own look-up of the compiled code: 1 µs of Python a launch instead of 6.

Triton looks a kernel's code up at each call, from a text made of all argument types. A network launches hundreds of
kernels a step, at small batches faster than the device takes to run them, so what the host does between two launches is
what a step takes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from torch import Tensor

_DTYPE = attrgetter("dtype")
Grid = tuple[int, int, int]


class _Share:
    """One of `count` parts of the kernels that a process meets: every count-th, from the `number`-th on."""

    def __init__(self, number: int, count: int) -> None:
        self.number, self.count = number, count
        self.met = 0
        self.others: set[tuple[Any, ...]] = set()
        self.compiled = 0

    def leaves_out(self, key: tuple[Any, ...]) -> bool:
        """Say whether a kernel that is not compiled yet is another process's."""
        if key in self.others:
            return True
        self.met += 1
        if self.met % self.count == self.number % self.count:
            self.compiled += 1
            return False
        self.others.add(key)
        return True


_share: _Share | None = None


@contextmanager
def compiling_share(number: int, count: int) -> Iterator[_Share]:
    """Compile a part of the kernels that are launched inside, and launch none of the others: for its code alone.

    `count` processes that call the same code with number 0, 1, … compile all between them, each into Triton's cache on
    the disk. What is computed inside is of no use, since most outputs are never written.
    """
    global _share
    _share = _Share(number, count)
    try:
        yield _share
    finally:
        _share = None


class Launcher:
    """One Triton kernel whose arguments are tensors, then integers and floats, then constexprs, in this order."""

    def __init__(self, kernel: Any, **options: Any) -> None:
        """`options`: those of a launch in Triton, as num_warps."""
        self.kernel = kernel
        self.options = options
        self._compiled: dict[tuple[Any, ...], Any] = {}
        self._current_stream: Any = None

    def __call__(
        self,
        grid: Grid,
        tensors: Sequence[Tensor],
        integers: Sequence[int],
        floats: Sequence[float],
        constants: tuple[Any, ...],
    ) -> None:
        """Launch on the current stream of the current device, on which `tensors` are."""
        # What Triton compiles a kernel for: formats, alignment, whether an integer is 1, a multiple of 16, of 32 bits.
        addresses = [tensor.data_ptr() & 15 for tensor in tensors]
        key = (
            tensors[0].device,
            any(addresses) and tuple(address == 0 for address in addresses),
            tuple(map(_DTYPE, tensors)),
            tuple([n & 15 and 1 + (n == 1) for n in integers]),
            max(integers) >> 31 and tuple([n >> 31 for n in integers]),
            constants,
        )
        compiled = self._compiled.get(key)
        if compiled is None:
            if _share is not None and _share.leaves_out((self, *key)):
                return
            compiled = self.kernel[grid](*tensors, *integers, *floats, *constants, **self.options)
            if hasattr(compiled, "packed_metadata"):  # the interpreter compiles nothing
                self._compiled[key] = compiled
            return
        if self._current_stream is None:
            from triton.runtime import driver

            self._current_stream = driver.active.get_current_stream
        stream = self._current_stream(tensors[0].device.index)
        arguments = (*tensors, *integers, *floats, *constants)
        compiled.run(*grid, stream, compiled.function, compiled.packed_metadata, None, None, None, *arguments)
