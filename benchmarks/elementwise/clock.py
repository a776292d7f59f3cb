"""Times of elementwise functions on inputs that rotate: medians, quartiles and page faults."""

import statistics
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from cosnb.kernels.timing import in_turns
from cosnb.kernels.timing import seconds as seconds_of

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

Key = TypeVar("Key", bound=Hashable)
_SLEEP = 8_000_000  # CUDA cycles, about 4 ms: the queue fills meanwhile, so the device's time is measured, not Python's
_CUDA_CALLS = 8
_SLOW = 0.25  # seconds a call, from which on every third round is enough: plain compositions of 64 Mi elements


@dataclass(frozen=True)
class Timing:
    """Seconds a call: median and quartiles of so many samples, each the mean of so many calls; page faults a call."""

    median: float
    low: float
    high: float
    samples: int
    calls: int
    page_faults: float


class Buffers:
    """Inputs x (standard normal) and dy of `size` elements; a new pair each turn where the device is a CUDA one.

    There the pairs rotate through more memory than twice the cache, so that no input is found in it. On a CPU the input
    is the one that the last call has used, for everyone.
    """

    def __init__(self, size: int, dtype: torch.dtype, device: torch.device, needs_grad: bool) -> None:
        count = 1
        if device.type == "cuda":
            cache = torch.cuda.get_device_properties(device).L2_cache_size
            count = max(2, min(4096, 2 * cache // (size * dtype.itemsize) + 1))
        generator = torch.Generator(device).manual_seed(0)
        xs, dys = (torch.randn((count, size), generator=generator, device=device).to(dtype) for _ in range(2))
        self.pairs = [(x.detach().requires_grad_(needs_grad), dy) for x, dy in zip(xs, dys, strict=True)]
        self.turn = 0

    def __call__(self) -> tuple[Tensor, Tensor]:
        self.turn = (self.turn + 1) % len(self.pairs)
        return self.pairs[self.turn]


def measure(
    runs: dict[Key, Callable[[Tensor, Tensor], object]], buffers: Buffers, rounds: int, seconds: float
) -> dict[Key, Timing]:
    """Return each run's Timing: at least `rounds` samples, up to 51 as long as they fit into so many `seconds`.

    A run that takes longer than 0.25 s a call is sampled in every third round only.
    """
    x, _ = buffers()
    cuda = x.device.type == "cuda"
    # A sample of a small size takes several calls, so that the clock's own 0.1 µs do not count.
    calls = _CUDA_CALLS if cuda else max(1, min(32, 2**18 // x.numel()))

    def sample(key: Key, calls: int) -> float:
        return seconds_of(lambda: runs[key](*buffers()), x.device, calls, asleep=_SLEEP)

    slow = set()
    for key in runs:
        sample(key, 1)  # compilation, and the first pages of memory
        if sample(key, 1) > _SLOW:
            slow.add(key)

    def one(key: Key, done: int) -> tuple[float, float] | None:
        if key in slow and done % 3:
            return None
        before = _page_faults()
        took = sample(key, calls)
        return took, (_page_faults() - before) / calls

    samples = in_turns(runs, one, rounds, seconds)
    return {key: _timing(values, calls) for key, values in samples.items()}


def _timing(values: list[tuple[float, float]], calls: int) -> Timing:
    seconds = [value for value, _ in values]
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return Timing(median, low, high, len(values), calls, statistics.median(faults for _, faults in values))


def _page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt if resource else 0
