"""The timing harness: functions called in turns, medians and ratios."""

import gc
import platform
import random
import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

Key = TypeVar("Key", bound=Hashable)
Sample = TypeVar("Sample")
REPEATS = 15
MOST = 51  # rounds, beyond which the median hardly moves
ELEMENTS = 1 << 20


def ratio(function: Callable[[], object], reference: Callable[[], object]) -> float:
    """Return the median time of `function` over that of `reference`, called in turns, 15 times after 3 to warm up."""
    times = turns({0: function, 1: reference}, REPEATS)
    return statistics.median(times[0]) / statistics.median(times[1])


def turns(functions: Mapping[Key, Callable[[], object]], repeats: int) -> dict[Key, list[float]]:
    """Return the seconds of `repeats` calls of each function, called in turns, after 3 of each to warm up."""
    times: dict[Key, list[float]] = {key: [] for key in functions}
    for _ in range(repeats + 3):
        for key, function in functions.items():
            start = time.perf_counter()
            function()
            times[key].append(time.perf_counter() - start)
    return {key: taken[3:] for key, taken in times.items()}


def in_turns(
    keys: Iterable[Key], one: Callable[[Key, int], Sample | None], rounds: int, seconds: float = 0.0
) -> dict[Key, list[Sample]]:
    """Return each key's samples: in every round each has its turn, in an order drawn anew, without garbage collection.

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
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
