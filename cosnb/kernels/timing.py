"""Timing harness: functions called in turns, and ratios of their times."""

import gc
import platform
import random
import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from cosnb.kernels.torch_internals import let_device_sleep

Key = TypeVar("Key", bound=Hashable)
Sample = TypeVar("Sample")
REPEATS = 15
WARM_UP = 3  # calls: code built, memory taken
MOST = 51  # rounds, beyond which the median hardly moves
ELEMENTS = 1 << 20


def ratio(function: Callable[[], object], reference: Callable[[], object]) -> float:
    """Return the median time of `function` over that of `reference`, called in turns, 15 times after 3 to warm up."""
    times = turns({0: function, 1: reference}, REPEATS)
    return statistics.median(times[0]) / statistics.median(times[1])


def quartiles(times: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile of times / base, round by round."""
    ratios = [a / b for a, b in zip(times, base, strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return low, median, high


def turns(
    functions: Mapping[Key, Callable[[], object]],
    rounds: int,
    device: str | torch.device = "cpu",
    warm_up: int = WARM_UP,
) -> dict[Key, list[float]]:
    """Return each function's seconds a call on `device`, one a round, after `warm_up` calls; see `in_turns`."""
    for function in functions.values():
        for _ in range(warm_up):
            function()
    return in_turns(functions, lambda key, _: seconds(functions[key], device), rounds)


def seconds(
    function: Callable[[], object],
    device: str | torch.device = "cpu",
    calls: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    asleep: int = 0,
) -> float:
    """Return the seconds of a call, the mean of so many, on `device`: its own events' on CUDA, else the clock's.

    On a CPU what a call returns is freed before the next call, inside the time; so does a program that goes on. On CUDA
    it is kept, or each output would be written where the last one was. asleep: CUDA cycles for which the device waits
    before, so that the calls queue up meanwhile and Python's time to launch them does not count.
    """
    device = torch.device(device)
    if device.type != "cuda":
        start = clock()
        for _ in range(calls):
            function()
        return (clock() - start) / calls
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    if asleep:
        let_device_sleep(asleep)
    begin.record()
    kept = [function() for _ in range(calls)]
    end.record()
    end.synchronize()
    del kept
    return begin.elapsed_time(end) / 1000 / calls


def in_turns(
    keys: Iterable[Key], one: Callable[[Key, int], Sample | None], rounds: int, seconds: float = 0.0
) -> dict[Key, list[Sample]]:
    """Return each key's samples: in every round each has its turn, in a fresh random order, without garbage collection.

    At least `rounds` rounds, up to 51 as long as they fit into so many `seconds`. `one(key, round)` returns a sample,
    or None where the key sits that round out.
    """
    samples: dict[Key, list[Sample]] = {key: [] for key in keys}
    order, draw = list(samples), random.Random(0)
    gc.collect()
    gc.disable()
    try:
        start, done = time.perf_counter(), 0
        while done < rounds or (done < MOST and time.perf_counter() - start < seconds):
            draw.shuffle(order)  # no one always follows the one that leaves the cache coldest
            for key in order:
                sample = one(key, done)
                if sample is not None:
                    samples[key].append(sample)
            done += 1
    finally:
        gc.enable()
    return samples


@contextmanager
def one_thread() -> Iterator[None]:
    """Have PyTorch use one thread meanwhile: two wait for each other where another program has one of their cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def speed_points() -> torch.Tensor:
    """Return the 1 Mi float32 elements on which speed is measured: normal, of standard deviation 3."""
    return torch.randn(ELEMENTS, generator=torch.Generator().manual_seed(0)) * 3


def cpu_name() -> str:
    """Return the name of the machine's processor."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
