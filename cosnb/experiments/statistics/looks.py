"""Repeated looks at a contrast while its runs come in, at levels that hold for all looks together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cosnb.experiments.statistics.samples import Sample
from cosnb.experiments.statistics.verdicts import Comparison, compare


@dataclass(frozen=True)
class Look:
    """A look at the data after `n` pairs, with the nominal two-sided `level` of its test."""

    n: int
    level: float


# One chance in 40 a contrast over all three (0.05 for two contrasts), most of it kept for the last. By simulation, with
# a standard deviation of 0.35 points: a true lead of 0.38 is found in 98 %, and excluded in 98 % where there is none;
# 14.5 pairs are needed on average.
LOOKS = (Look(8, 0.0010), Look(14, 0.0085), Look(20, 0.0205))


def sequence(differences: Sample, claimed: float, looks: Sequence[Look] = LOOKS) -> list[Comparison]:
    """Judge a contrast in points at each look that the number of pairs allows, on its first n differences.

    `differences` are ordered by seed, never by value. The absence of a lead is judged at the last look only.
    """
    sample = np.asarray(differences, dtype=np.float64)
    return [
        compare(sample[: look.n], claimed, look.level, points=True, last=look is looks[-1])
        for look in looks
        if len(sample) >= look.n
    ]


def decided(found: Sequence[Comparison]) -> Comparison | None:
    """Return the first look that shows a lead, its absence, or that the claimed size is excluded; None without one."""
    return next((look for look in found if look.lead or look.negligible or look.excluded), None)


def may_stop(contrasts: Mapping[str, Sequence[Comparison]]) -> bool:
    """Return whether every contrast of a family has been decided, so that no more runs are needed."""
    return bool(contrasts) and all(decided(found) for found in contrasts.values())


def pooled_deviation(samples: Sequence[Sample]) -> float:
    """Return the pooled standard deviation of several contrasts, which a look may use without their means."""
    centred = [np.asarray(sample) - np.mean(sample) for sample in samples]
    freedom = sum(len(sample) - 1 for sample in centred)
    return float(np.sqrt(sum(np.sum(sample**2) for sample in centred) / freedom))
