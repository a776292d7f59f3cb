"""Disagreement of runs image by image: which test images two networks get wrong, and how often they differ."""

import base64
import itertools
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np

from cosnb.display import Table
from cosnb.experiments.results.answer import Runs, in_order
from cosnb.experiments.results.summary import Record, title


def right(record: Record) -> np.ndarray:
    """Return which test images a run got right, bool (N,), in the test set's order."""
    packed = np.frombuffer(base64.b64decode(record["epochs"][-1]["right"]), np.uint8)
    return np.unpackbits(packed, count=record["data"]["test_images"]).astype(bool)


def disagreement(found: Runs, seeds: Sequence[int]) -> dict[str, dict[str, float]]:
    """Return {kind: {pair: share of test images that one run of a pair gets right and the other wrong, mean}}.

    The kinds: the same activation and two seeds; two activations and the same seed; two activations and two seeds.
    """
    bits = {name: {seed: right(found[name][seed]) for seed in seeds if seed in found[name]} for name in in_order(found)}

    def share(a: str, b: str, pairs: Callable[[int, int], bool]) -> float | None:
        chosen = [
            float((one != other).mean())
            for (i, one), (j, other) in itertools.product(bits[a].items(), bits[b].items())
            if pairs(i, j)
        ]
        return fmean(chosen) if chosen else None

    kinds: dict[str, dict[str, float | None]] = {
        "one activation, two seeds": {title(name): share(name, name, int.__lt__) for name in bits},
        "two activations, one seed": {},
        "two activations, two seeds": {},
    }
    for a, b in itertools.combinations(bits, 2):
        kinds["two activations, one seed"][f"{title(a)}, {title(b)}"] = share(a, b, int.__eq__)
        kinds["two activations, two seeds"][f"{title(a)}, {title(b)}"] = share(a, b, int.__ne__)
    return {kind: {pair: value for pair, value in by.items() if value is not None} for kind, by in kinds.items()}


def image_table(found: Runs, seeds: Sequence[int]) -> Table:
    """Return how many test images every run of an arm gets right, none does, and some do."""
    rows = []
    for name, by_seed in in_order(found).items():
        bits = np.array([right(by_seed[seed]) for seed in seeds if seed in by_seed])
        if len(bits) > 1:
            count = bits.sum(0)
            always, never = int((count == len(bits)).sum()), int((count == 0).sum())
            rows.append([title(name), len(bits), f"{always:,}", f"{never:,}", f"{bits.shape[1] - always - never:,}"])
    return Table(["images that the runs get right", "runs", "all", "none", "some"], rows)
