"""Training for a fixed time: a pilot measures how long runs take side by side, and what would not end is not begun."""

import dataclasses
import gc
import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch

from cosnb.experiments import results
from cosnb.experiments.runner import campaign
from cosnb.experiments.runner.ahead import compile_ahead
from cosnb.experiments.runner.stages import RunOptions, Runs
from cosnb.experiments.training.config import parse_seeds
from cosnb.experiments.training.device import memory_kept
from cosnb.experiments.training.loop import fitted, now, train_epoch
from cosnb.experiments.training.streams import run_on

_FEWER = "relu,cos"  # where there is no time for all activations of a seed
_LEAST = 20.0  # seconds, below which no pilot is begun
_SHARE = 0.2  # of the time left, which a pilot of twice as many side by side may take
Pilot = Mapping[int, float]  # from a number of runs side by side to the seconds of each, all divided by their number


def train_in_time(
    stages: Iterable[Runs], seconds: float, options: RunOptions, say: Callable[[str], None] = print
) -> bool:
    """Train what has no record, stage by stage, in whole seeds that end in time; return whether all of it is done.

    How many runs stand side by side is what a pilot of each stage finds best. Where no seed with all its activations
    ends in time, ReLU and CoS are trained alone where these do.
    """
    end, done = time.monotonic() + seconds, True
    for stage in stages:
        pilot: Pilot | None = None
        while seeds := missing_seeds(stage, options):
            if pilot is None:
                pilot = measure(stage, len(seeds), end, options, say)
            part, together = _part(stage, seeds, pilot, end - time.monotonic(), options, say)
            if part is None:
                done = False
                break
            say(f"{part}: {together} side by side, {end - time.monotonic():.0f} s left")
            left = (end - time.monotonic()) / 60
            campaign.carry_out([part], left, options.device, options.precision, together, "streams", options.root, say)
            if missing_seeds(stage, options) == seeds:  # fewer activations, a failure, or out of time
                done = False
                break
    return done


def missing_seeds(stage: Runs, options: RunOptions) -> list[int]:
    """Return the stage's seeds that lack a record of one of its activations, in their order."""
    wanted = stage.wanted(options)
    recorded = {(record["config_digest"], record["seed"]) for record in results.read(stage.experiment, options.root)}
    return [seed for seed in parse_seeds(stage.seeds) if any(key not in recorded for key in wanted if key[1] == seed)]


def measure(
    stage: Runs, seeds: int, end: float, options: RunOptions, say: Callable[[str], None] = print
) -> dict[int, float]:
    """Return the seconds of one of the stage's runs, for some numbers of runs side by side.

    Of each number two epochs are trained, of which the second counts. One that the memory has no room for is left out,
    and one whose pilot would take too much of the time until `end` (of time.monotonic).
    """
    block, found, taken = len(stage.configs(options)), {}, _LEAST * _SHARE / 2
    least = block * max(1, round(4 / block))
    for together in sorted({min(least * factor, block * seeds) for factor in (1, 2)}):
        begun = time.monotonic()
        if 2 * taken > _SHARE * (end - begun):
            break
        try:
            found[together] = run_seconds(stage, together, options)
        except torch.OutOfMemoryError:
            say(f"{together} side by side: too little memory")
            break
        taken = time.monotonic() - begun
        say(f"{together} side by side: {found[together]:.1f} s a run, measured in {taken:.1f} s")
    return found


def run_seconds(stage: Runs, together: int, options: RunOptions) -> float:
    """Return how long a run takes, of so many side by side: preparation, and epochs as long as the second one."""
    device, configs = torch.device(options.device), stage.configs(options)
    jobs = list(itertools.islice(((config, seed) for seed in itertools.count() for config in configs), together))
    data = fitted(stage.images(), configs[0].network)
    compile_ahead(jobs, data, device)
    held, start = data.to(device), now(device)
    try:
        with memory_kept(device):
            runs = [run_on(device)(config, seed, held) for config, seed in jobs]
            prepared = now(device) - start
            train_epoch(runs)
            entry = train_epoch(runs)[0]
    finally:
        runs = []
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return prepared / together + configs[0].epochs * float(entry["train_seconds"] + entry["test_seconds"])


def choose(pilot: Pilot, left: float, block: int, blocks: int) -> tuple[int, int]:
    """Return how many runs are to stand side by side, and how many of `blocks` end in `left` seconds; (0, 0) for none.

    block: the runs of a seed. Of equal numbers of seeds that end the quicker one is chosen.
    """
    found = [(0, 0.0, 0)]
    for together, seconds in pilot.items():
        groups = int(left / (together * seconds))
        ending = min(blocks, groups * max(1, together // block))
        if ending:
            found.append((ending, -seconds, together))
    ending, _, together = max(found)
    return together, ending


def _part(
    stage: Runs, seeds: Sequence[int], pilot: Pilot, left: float, options: RunOptions, say: Callable[[str], None]
) -> tuple[Runs | None, int]:
    """Return the part of a stage that ends in `left` seconds, None where nothing does, and how many side by side."""
    together, ending = choose(pilot, left, len(stage.configs(options)), len(seeds))
    if ending:
        return dataclasses.replace(stage, seeds=",".join(map(str, seeds[:ending]))), together
    fewer = dataclasses.replace(stage, activations=_FEWER, seeds=str(seeds[0]))
    arms = _FEWER.split(",")
    inside = set(arms) < set(stage.activations.split(",")) and pilot
    # Two side by side take longer a run than four do, so that what does not fit by these need not be measured.
    if not inside or len(arms) * min(pilot.values()) > left or not missing_seeds(fewer, options):
        return None, 0
    alone = measure(fewer, 1, time.monotonic() + left, options, say)
    return (fewer, 2) if len(arms) * alone.get(2, left) < left else (None, 0)
