"""Rule for paired runs: the verdict on a claimed difference, and the number of runs that would decide it.

A contrast has three answers, each by its own interval, and more than one may hold: there is a lead; the claimed size is
excluded; there is no lead worth naming. Differences are paired by seed: one difference is (figure under the first
activation) − (figure under the second). The rule was revised on 2026-11-27, before the records of protocol `speedrun`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from scipy import stats

from cosnb.errors import CosnbError
from cosnb.experiments.statistics.samples import (
    Interval,
    Sample,
    SignFlip,
    as_sample,
    bca_interval,
    prediction_interval,
    sign_flip_test,
    superiority,
    t_interval,
    t_test,
)

ALPHA = 0.05
POWER = 0.8
LEAST_RUNS = 5  # below it the t test would rest on a normality that nobody can look at
PLANNED_RUNS = 20  # the last look, at which alone the absence of a lead is judged
LEAST_EFFECT = 0.3  # points of accuracy: a lead that would be worth naming
# Of CoS's rivals' differences in points, from elsewhere: √(0.41² + 0.40²), Swish and Mish, 23 runs each of SqueezeNet
# in the README of digantamisra98/Mish, taken as independent.
SD_ELSEWHERE = 0.57
MANY = 1000  # runs; beyond it a number of runs says no more than that nobody will make them


class Verdict(StrEnum):
    """What runs or formulas say about a claim or about a part of it."""

    CONFIRMED = "confirmed"
    SLIP = "right, with a slip"
    REASON = "right, reason incomplete"
    MIXED = "mixed"
    REFUTED = "refuted"
    SMALLER = "real, but smaller"
    NO_LEAD = "no lead worth naming"
    EXCLUDED = "claimed size excluded"
    DEPENDS = "depends"
    NOT_RESOLVED = "not resolved"
    NOT_TESTABLE = "not testable"
    EXPLORATORY = "exploratory"


class Direction(Enum):
    """A claim that names a sign but no number: the first is higher, or lower, than the second."""

    LOWER = -1
    HIGHER = 1


Claim = float | Direction | None


@dataclass(frozen=True)
class Comparison:
    """One comparison of a family: what was measured, what was claimed, and the verdict.

    `interval` is at 95 %, `decisive` at 1 − 0.05/m for a family of m, or at a look's level. `p` is that of the paired t
    test, times m. Shown beside them without deciding anything: `bootstrap` (BCa, 95 %; None for n < 20), the sign-flip
    `test`, `superiority`, and `prediction`, the 95 % interval of one more pair. `negligible`: whether two one-sided
    tests at 0.05 put the mean within ± 0.3 points, None where that is not asked. `points`: whether the differences are
    points of accuracy.
    """

    n: int
    claimed: Claim
    family_size: int
    interval: Interval
    decisive: Interval
    bootstrap: Interval | None
    prediction: Interval
    test: SignFlip
    p: float
    superiority: float
    negligible: bool | None
    points: bool
    verdict: Verdict

    @property
    def lead(self) -> int:
        """1 where the first leads, −1 where it trails, 0 where neither is shown."""
        return 0 if self.n < LEAST_RUNS else (self.decisive.low > 0) - (self.decisive.high < 0)

    @property
    def excluded(self) -> bool:
        """Whether the claimed number lies beyond the decisive interval, on the side away from 0."""
        return self.n >= LEAST_RUNS and _beyond(self.claimed, self.decisive)


def power(n: int, sd: float, effect: float, family_size: int = 2) -> float:
    """Return the probability that n runs find a true difference `effect`, with its sign, at level 0.05/m.

    By the noncentral t distribution; `sd` is the standard deviation of the paired differences. 0 for fewer than
    LEAST_RUNS.
    """
    if n < LEAST_RUNS:
        return 0.0
    if sd == 0:
        return 1.0
    critical = stats.t.isf(ALPHA / family_size / 2, n - 1)
    return float(stats.nct.sf(critical, n - 1, abs(effect) / sd * math.sqrt(n)))


def runs_needed(sd_of_differences: float, effect: float, family_size: int = 2) -> int:
    """Return the least n with a `power` of at least 0.8 to find a true difference `effect`."""
    if not (math.isfinite(sd_of_differences) and sd_of_differences >= 0):
        raise CosnbError(f"The standard deviation {sd_of_differences} must be finite and not negative.")
    if not (math.isfinite(effect) and effect != 0):
        raise CosnbError(f"A difference to be found must be a finite number other than 0, not {effect}.")
    return _least(lambda n: power(n, sd_of_differences, effect, family_size) >= POWER, LEAST_RUNS)


def _least(enough: Callable[[int], bool], low: int) -> int:
    """Return the least n from `low` on that is enough, where every larger one is too."""
    high = low
    while not enough(high):
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


def more_runs(comparison: Comparison) -> int | None:
    """Return how many more runs would resolve an unresolved comparison with power 0.8; None for any other.

    For points of accuracy, these are the runs that find a lead of 0.3 with a spread measured elsewhere. For other
    quantities the true difference is taken to be the claimed one, or the observed one where the claim has no number or
    n would suffice for it, with the observed spread. With fewer than LEAST_RUNS runs, the answer is what any verdict
    needs.
    """
    if comparison.verdict != Verdict.NOT_RESOLVED:
        return None
    n, m, interval = comparison.n, comparison.family_size, comparison.interval
    needed = max(LEAST_RUNS, n + 1)
    if comparison.points:
        needed = max(needed, runs_needed(SD_ELSEWHERE, LEAST_EFFECT, m))
    elif n >= LEAST_RUNS:
        claimed = [comparison.claimed] if isinstance(comparison.claimed, float | int) else []
        sizes = [runs_needed(interval.sd, size, m) for size in (*claimed, interval.mean) if size]
        needed = max(needed, next((size for size in sizes if size > n), needed))
    return needed - n


def more_runs_alike(family: Mapping[str, Sample], margin: float) -> int | None:
    """Return how many more runs would confirm that all means are alike within ± `margin` if every difference were 0.

    None where `alike` is resolved. Each member's two one-sided t tests then succeed with a probability of at least 0.8:
    n is the least with (t at 0.95 + t at 0.9)·sd/√n ≤ margin.
    """
    if not family or alike(family, margin) != Verdict.NOT_RESOLVED:
        return None
    samples = [as_sample(differences) for differences in family.values()]
    least = min(len(sample) for sample in samples)
    sd = max((float(sample.std(ddof=1)) for sample in samples if len(sample) > 1), default=0.0)

    def enough(n: int) -> bool:
        quantiles = stats.t.ppf(1 - ALPHA, n - 1) + stats.t.ppf((1 + POWER) / 2, n - 1)
        return bool(quantiles * sd <= margin * math.sqrt(n))

    return _least(enough, max(LEAST_RUNS, least + 1)) - least


def judge(
    family: Mapping[str, tuple[Sample, Claim]], family_size: int | None = None, points: bool = False
) -> dict[str, Comparison]:
    """Judge a family {name: (paired differences, claimed difference)}; m = `family_size`, or the number of members.

    Every decisive interval is at 1 − 0.05/m, so that the answers hold for the family as a whole; the parts of one claim
    are a family. Confirmed: the interval lies on the claim's side of 0, and the claimed number, if there is one, not
    beyond it; "real, but smaller" where it does lie beyond. Refuted: the interval lies on the other side of 0.
    Otherwise, for points of accuracy from 20 runs on, "no lead worth naming" where the 90 % interval lies within ± 0.3;
    else "claimed size excluded" where the claimed number lies beyond `decisive`; else, and with fewer than 5 runs, not
    resolved. Without a claim (None): exploratory. Raises CosnbError for a claim that is 0 or not finite, and for a
    `family_size` below the number of members.
    """
    m = len(family) if family_size is None else family_size
    if m < len(family):
        raise CosnbError(f"A family of {len(family)} comparisons cannot have the size {m}.")
    for name, (_, claimed) in family.items():
        if isinstance(claimed, float | int) and not (math.isfinite(claimed) and claimed != 0):
            raise CosnbError(f"{name}: a claimed difference must be a finite number other than 0, not {claimed}.")
    return {
        name: compare(differences, claimed, ALPHA / m, m, points, len(differences) >= PLANNED_RUNS)
        for name, (differences, claimed) in family.items()
    }


def compare(
    differences: Sample, claimed: Claim, level: float, family_size: int = 1, points: bool = False, last: bool = True
) -> Comparison:
    """Judge one comparison at the two-sided `level`; `last`: whether the absence of a lead may be judged."""
    decisive = t_interval(differences, 1 - level)
    within = None
    if points and last and decisive.n >= LEAST_RUNS:
        narrow = t_interval(differences, 1 - 2 * ALPHA)
        within = narrow.low > -LEAST_EFFECT and narrow.high < LEAST_EFFECT
    return Comparison(
        n=decisive.n,
        claimed=claimed,
        family_size=family_size,
        interval=t_interval(differences),
        decisive=decisive,
        bootstrap=bca_interval(differences),
        prediction=prediction_interval(differences),
        test=sign_flip_test(differences),
        p=min(1.0, family_size * t_test(differences)),
        superiority=superiority(differences),
        negligible=within,
        points=points,
        verdict=_verdict(claimed, decisive, bool(within)),
    )


def _verdict(claimed: Claim, decisive: Interval, negligible: bool) -> Verdict:
    if claimed is None:
        return Verdict.EXPLORATORY
    if decisive.n < LEAST_RUNS:
        return Verdict.NOT_RESOLVED
    sign = claimed.value if isinstance(claimed, Direction) else math.copysign(1, claimed)
    excluded = _beyond(claimed, decisive)
    if min(sign * decisive.low, sign * decisive.high) > 0:
        return Verdict.SMALLER if excluded else Verdict.CONFIRMED
    if max(sign * decisive.low, sign * decisive.high) < 0:
        return Verdict.REFUTED
    if negligible:
        return Verdict.NO_LEAD
    return Verdict.EXCLUDED if excluded else Verdict.NOT_RESOLVED


def _beyond(claimed: Claim, interval: Interval) -> bool:
    """Say whether a claimed number lies outside `interval` on the side away from 0."""
    if not isinstance(claimed, float | int):
        return False
    return claimed > interval.high if claimed > 0 else claimed < interval.low


def alike(family: Mapping[str, Sample], margin: float) -> Verdict:
    """Judge the claim that every mean of paired differences in `family` lies within ± `margin`.

    Confirmed: each 90 % t interval lies within, which is two one-sided tests at 0.05 (Schuirmann 1987) and needs no
    correction where all must pass (Berger 1982). Refuted: some t interval at 1 − 0.05/m lies wholly beyond a margin.
    Not resolved: otherwise, and always while a member has fewer than LEAST_RUNS runs.
    """
    if not (math.isfinite(margin) and margin > 0):
        raise CosnbError(f"Alike within {margin} says nothing: the margin must be a finite number above 0.")
    if not family or any(len(as_sample(differences)) < LEAST_RUNS for differences in family.values()):
        return Verdict.NOT_RESOLVED
    wide = [t_interval(differences, 1 - ALPHA / len(family)) for differences in family.values()]
    if any(interval.low > margin or interval.high < -margin for interval in wide):
        return Verdict.REFUTED
    narrow = [t_interval(differences, 1 - 2 * ALPHA) for differences in family.values()]
    inside = all(-margin < interval.low and interval.high < margin for interval in narrow)
    return Verdict.CONFIRMED if inside else Verdict.NOT_RESOLVED
