"""Long use: memory, files and caches do not grow; the kernels' cache on disk survives whatever happens to it."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from counting import Tally

from cosnb.kernels import cpu

ITEM = "6 long use"
CYCLES = 200
PROGRAM = Path(__file__).with_name("use_for_long.py")
BOUNDED = ("kernels", "cached", "memory")  # these may grow up to a bound of their own
# What a process does with a kernel: it says the values at four points.
USE = """
import torch, cosnb
print(cosnb.activation("x*sigmoid({slope}*x)")(torch.tensor([-2.0, 0.5, 3.0, 40.0])).tolist())
"""
needs_compiler = pytest.mark.skipif(cpu.compiler() is None, reason="no C compiler")


@pytest.mark.drill
def test_two_hundred_cycles_in_one_process(tally: Tally, tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), str(tmp_path), str(CYCLES)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    held = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(held) == CYCLES
    early, late = held[19], held[-1]
    grown = [key for key in early if late[key] > early[key] and key not in BOUNDED]
    grown += [key for key in ("kernels", "cached") if late[key] > 1024]
    grown += ["memory"] * (late["memory"] > 1.05 * early["memory"])
    tally(CYCLES, [f"{key}: {early[key]:,} after 20 cycles, {late[key]:,} after {CYCLES}" for key in grown])


class Cache:
    """A cache of kernels of its own, and processes that use it."""

    def __init__(self, folder: Path) -> None:
        self.kernels = folder / "cosnb" / "kernels"
        # one thread: importing torch in eight processes at once is work enough
        self.environment = os.environ | {"XDG_CACHE_HOME": str(folder), "OMP_NUM_THREADS": "1"}

    def start(self, slope: int = 3) -> "subprocess.Popen[str]":
        """Start a process that uses the kernel of a slope."""
        command = [sys.executable, "-c", USE.format(slope=slope)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=self.environment)

    def use(self, slope: int = 3) -> str:
        """Return what such a process says, or how it failed."""
        process = self.start(slope)
        said, complaint = process.communicate()
        return said if process.returncode == 0 else f"exit status {process.returncode}: {complaint[-500:]}"

    def libraries(self) -> list[Path]:
        """Return the libraries that are there."""
        return sorted(self.kernels.glob("*.so"))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.mark.drill
@needs_compiler
def test_eight_processes_write_one_kernel_at_once(cache: Cache, tally: Tally) -> None:
    processes = [cache.start() for _ in range(8)]
    said = {process.communicate()[0] for process in processes}
    files = [path.name for path in cache.kernels.iterdir()]
    tally(8, [] if said == {cache.use()} and len(files) == 1 else [f"they said {said}, the cache has {files}"])


def shorter(share: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(share * len(content))]


def flipped(seed: int) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        place = random.Random(seed).randrange(len(content))
        return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

    return flip


FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "text": lambda content: b"not a library",
    "longer": lambda content: content + bytes(100),
    **{f"cut to {share:.0%}": shorter(share) for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)},
    **{f"bit flipped, {seed}": flipped(seed) for seed in range(3)},
}


@pytest.mark.drill
@needs_compiler
def test_a_damaged_kernel_is_made_anew(cache: Cache, tally: Tally) -> None:
    wrong = []
    right = cache.use()
    (library,) = cache.libraries()
    whole = library.read_bytes()
    for fault, damage in FAULTS.items():
        library.write_bytes(damage(whole))
        if (said := cache.use()) != right:
            wrong.append(f"{fault}: {said}")
        elif library.read_bytes() != whole or cache.libraries() != [library]:
            wrong.append(f"{fault}: the cache was not mended")
    tally(len(FAULTS), wrong)


@needs_compiler
def test_kernels_of_other_versions_and_machines_are_left_alone(cache: Cache, tally: Tally) -> None:
    right = cache.use()
    (library,) = cache.libraries()
    key, _, digest = library.stem.partition("-")
    # what an earlier version named by the key alone; another version's key; the key of another with our content
    others = [library.with_name(name) for name in (f"{key}.so", f"{'0' * 32}-{digest}.so", f"{key}-{'0' * 16}.so")]
    for other in others:
        other.write_bytes(b"of another version")
    library.unlink()
    wrong = [] if cache.use() == right else ["the values changed"]
    wrong += [f"{other.name} was changed" for other in others if other.read_bytes() != b"of another version"]
    tally(len(others), wrong)


@needs_compiler
def test_a_cache_that_takes_nothing_is_done_without(cache: Cache, tally: Tally) -> None:
    right = cache.use()
    for path in cache.libraries():
        path.unlink()
    shutil.rmtree(cache.kernels)
    cache.kernels.write_text("a file where the folder should be")  # as root may write everywhere
    wrong = [] if (said := cache.use()) == right else [said]
    tally(1, wrong)


@pytest.mark.drill
@needs_compiler
def test_processes_killed_while_they_build_leave_a_good_cache(cache: Cache, tally: Tally) -> None:
    rng, wrong = random.Random(6), []
    begun = time.monotonic()
    right = {slope: cache.use(slope) for slope in range(1, 4)}
    whole = (time.monotonic() - begun) / len(right)
    for _ in range(20):
        slope = rng.randrange(1, 4)
        for path in cache.libraries():
            path.unlink()
        process = cache.start(slope)
        time.sleep(rng.uniform(0.5, 1.0) * whole)  # the second half is the build
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (said := cache.use(slope)) != right[slope]:
            wrong.append(said)
    tally(20, wrong)
