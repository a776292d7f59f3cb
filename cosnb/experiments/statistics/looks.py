"""Repeated looks at a contrast while its runs come in, at levels that hold for all looks together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cosnb.experiments.statistics.samples import Sample
from cosnb.experiments.statistics.verdicts import Comparison, compare


@dataclass(frozen=True)
class Look:
    """When it is taken, after `n` pairs, and the nominal two-sided `level` of its test."""

    n: int
    level: float


# One chance in 40 a contrast over all three (0.05 for two contrasts), most of it kept for the last. By simulation, with
# a standard deviation of 0.35 points: a true lead of 0.38 is found in 98 %, and excluded in 98 % where there is none;
# 14.5 pairs are needed on average.
LOOKS = (Look(8, 0.0010), Look(14, 0.0085), Look(20, 0.0205))


def sequence(differences: Sample, claimed: float, looks: Sequence[Look] = LOOKS) -> list[Comparison]:
    """Judge a contrast in points at each look that there are pairs enough for, on its first n `differences`.

    The order of `differences` is that of the seeds, whatever they say. The absence of a lead is judged at the last look
    alone.
    """
    sample = np.asarray(differences, dtype=np.float64)
    return [
        compare(sample[: look.n], claimed, look.level, points=True, last=look is looks[-1])
        for look in looks
        if len(sample) >= look.n
    ]


def decided(found: Sequence[Comparison]) -> Comparison | None:
    """Return the first look that shows a lead, or that one is absent, or that excludes the claimed size; or None."""
    return next((look for look in found if look.lead or look.negligible or look.excluded), None)


def may_stop(contrasts: Mapping[str, Sequence[Comparison]]) -> bool:
    """Say whether every contrast of a family has been decided, so that no more of its runs are needed."""
    return bool(contrasts) and all(decided(found) for found in contrasts.values())


def pooled_deviation(samples: Sequence[Sample]) -> float:
    """Return the pooled standard deviation of several contrasts, which may be read at a look without their means."""
    centred = [np.asarray(sample) - np.mean(sample) for sample in samples]
    freedom = sum(len(sample) - 1 for sample in centred)
    return float(np.sqrt(sum(np.sum(sample**2) for sample in centred) / freedom))
