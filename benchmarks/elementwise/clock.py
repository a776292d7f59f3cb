"""The clock: rounds in which each contestant has its turn, in an order drawn anew; medians and quartiles."""

import statistics
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from cosnb.kernels.timing import in_turns

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


def _cpu_seconds(run: Callable[[Tensor, Tensor], object], buffers: Buffers, calls: int) -> float:
    # What a call returns is freed before the next call, inside the time: so does a program that goes on.
    start = time.perf_counter()
    for _ in range(calls):
        run(*buffers())
    return time.perf_counter() - start


def _cuda_seconds(run: Callable[[Tensor, Tensor], object], buffers: Buffers, calls: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(_SLEEP)
    start.record()
    kept = [run(*buffers()) for _ in range(calls)]  # kept, or each output would be written where the last one was
    end.record()
    end.synchronize()
    del kept
    return start.elapsed_time(end) / 1000


def measure(
    runs: dict[Key, Callable[[Tensor, Tensor], object]], buffers: Buffers, rounds: int, seconds: float
) -> dict[Key, Timing]:
    """Return each run's Timing: at least `rounds` samples, up to 51 as long as they fit into so many `seconds`.

    A run that takes longer than 0.25 s a call is sampled in every third round only.
    """
    x, _ = buffers()
    cuda = x.device.type == "cuda"
    sample = _cuda_seconds if cuda else _cpu_seconds
    # A sample of a small size takes several calls, so that the clock's own 0.1 µs do not count.
    calls = _CUDA_CALLS if cuda else max(1, min(32, 2**18 // x.numel()))
    slow = set()
    for key, run in runs.items():
        sample(run, buffers, 1)  # compilation, and the first pages of memory
        if sample(run, buffers, 1) > _SLOW:
            slow.add(key)

    def one(key: Key, done: int) -> tuple[float, float] | None:
        if key in slow and done % 3:
            return None
        before = _page_faults()
        took = sample(runs[key], buffers, calls)
        return took / calls, (_page_faults() - before) / calls

    samples = in_turns(runs, one, rounds, seconds)
    return {key: _timing(values, calls) for key, values in samples.items()}


def _timing(values: list[tuple[float, float]], calls: int) -> Timing:
    seconds = [value for value, _ in values]
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return Timing(median, low, high, len(values), calls, statistics.median(faults for _, faults in values))


def _page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt if resource else 0
