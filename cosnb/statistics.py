"""Intervals, tests and verdicts over paired runs, as the repository's experiment protocol fixes them.

Differences are paired by seed: one difference is (figure under the first activation) − (figure under the second).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

import numpy as np
from scipy import stats

from cosnb.errors import CosnbError

Sample = Sequence[float] | np.ndarray

ALPHA = 0.05
POWER = 0.8
EXACT_UP_TO = 40  # sign patterns counted by meeting in the middle: 2 × 2^20 sums, 0.2 s
MONTE_CARLO_DRAWS = 200_000
BOOTSTRAP_FROM = 20  # at n = 5 a "95 %" BCa interval covers about 83 %
BOOTSTRAP_RESAMPLES = 9_999
SEED = 20210119


class Verdict(StrEnum):
    """What the runs say about a claimed difference."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    SMALLER = "real, but smaller"
    NOT_RESOLVED = "not resolved"
    NOT_TESTABLE = "not testable"
    EXPLORATORY = "exploratory"


class Direction(Enum):
    """A claim that names a sign but no number: the first is higher, or lower, than the second."""

    LOWER = -1
    HIGHER = 1


Claim = float | Direction | None


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval; with n < 2 the interval is the whole line and the deviation NaN."""

    n: int
    mean: float
    sd: float
    low: float
    high: float
    level: float

    @property
    def half_width(self) -> float:
        """Half the interval's length (infinite with n < 2)."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class SignFlip:
    """A two-sided sign-flip test: its p-value, the sign patterns counted, and whether those are all 2^n."""

    p: float
    patterns: int
    exact: bool


@dataclass(frozen=True)
class Comparison:
    """One comparison of a family: what was measured, what was claimed, and the verdict.

    `interval` is at 95 %, `holm_interval` at 1 − 0.05/m for a family of m; `bootstrap` (BCa, 95 %) is None for n < 20;
    `p_holm` is adjusted within the family. `power` is the chance that this n confirms the claim, were it true, and
    `runs_needed` the n that makes it 0.8, both from the observed deviation; None without a claimed number or with
    n < 2.
    """

    n: int
    claimed: Claim
    family_size: int
    interval: Interval
    holm_interval: Interval
    bootstrap: Interval | None
    test: SignFlip
    p_holm: float
    superiority: float
    power: float | None
    runs_needed: int | None
    verdict: Verdict


def _sample(values: Sample) -> np.ndarray:
    """Return the values as a float64 vector, or raise CosnbError where they are not finite numbers in one row."""
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not np.isfinite(sample).all():
        raise CosnbError(
            f"A sample of shape {sample.shape} was given, expected one row of finite numbers: leave out diverged runs."
        )
    return sample


def paired_differences(a: Sample, b: Sample) -> np.ndarray:
    """Return a − b, run by run; raises CosnbError where the two differ in length or hold NaN or infinity."""
    first, second = _sample(a), _sample(b)
    if len(first) != len(second):
        raise CosnbError(
            f"Runs pair by seed, but there are {len(first)} and {len(second)}: give the common seeds only."
        )
    return first - second


def t_interval(values: Sample, level: float = 1 - ALPHA) -> Interval:
    """Return Student's t interval of the mean of `values` at `level` (0 < level < 1)."""
    sample = _sample(values)
    if not 0 < level < 1:
        raise CosnbError(f"The level {level} of an interval must lie between 0 and 1: write 0.95 for 95 %.")
    n = len(sample)
    mean = float(sample.mean()) if n else math.nan
    if n < 2:
        return Interval(n, mean, math.nan, -math.inf, math.inf, level)
    sd = float(sample.std(ddof=1))
    half = float(stats.t.isf((1 - level) / 2, n - 1)) * sd / math.sqrt(n)
    return Interval(n, mean, sd, mean - half, mean + half, level)


def bca_interval(values: Sample, level: float = 1 - ALPHA) -> Interval | None:
    """Return the BCa bootstrap interval of the mean (Efron 1987, fixed seed), or None for n < 20."""
    sample = _sample(values)
    if len(sample) < BOOTSTRAP_FROM:
        return None
    plain = t_interval(sample, level)
    if np.ptp(sample) == 0:  # BCa's acceleration is 0/0 for a constant sample
        return plain
    result = stats.bootstrap(
        (sample,),
        np.mean,
        n_resamples=BOOTSTRAP_RESAMPLES,
        confidence_level=level,
        method="BCa",
        random_state=np.random.default_rng(SEED),
    )
    low, high = result.confidence_interval
    return Interval(plain.n, plain.mean, plain.sd, float(low), float(high), level)


def _signed_sums(values: np.ndarray) -> np.ndarray:
    """Return the sorted 2^n sums of ± values."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums - value, sums + value))
    return np.sort(sums)


def sign_flip_test(differences: Sample) -> SignFlip:
    """Test that paired differences are symmetric about 0: the share of sign patterns with a sum as far from 0 (Fisher).

    All 2^n patterns are counted up to n = 40; beyond, 200,000 random ones with a fixed seed, the observed one added
    to both counts (Phipson and Smyth 2010). Sums that differ by less than 1e-9 of Σ|d| are ties: accuracies are
    multiples of 0.01 points, so real sums lie further apart, and rounding errors nearer.
    """
    sample = _sample(differences)
    n = len(sample)
    threshold = abs(float(sample.sum())) - 1e-9 * float(np.abs(sample).sum())
    if n <= EXACT_UP_TO:
        if threshold <= 0:
            return SignFlip(1.0, 2**n, True)
        left, right = _signed_sums(sample[: n // 2]), _signed_sums(sample[n // 2 :])
        # A pattern is a pair (l, r) with l + r ≥ threshold; its mirror image is the other tail.
        reached = len(left) * len(right) - int(np.searchsorted(right, threshold - left).sum())
        return SignFlip(2 * reached / 2**n, 2**n, True)
    rng, hits, chunk = np.random.default_rng(SEED), 0, 10_000
    for _ in range(MONTE_CARLO_DRAWS // chunk):
        signs = 2.0 * rng.integers(0, 2, (chunk, n)) - 1
        hits += int((np.abs(signs @ sample) >= threshold).sum())
    return SignFlip((1 + hits) / (1 + MONTE_CARLO_DRAWS), MONTE_CARLO_DRAWS, False)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's (1979) step-down adjusted p-values, in the order given."""
    adjusted, running, m = [0.0] * len(p_values), 0.0, len(p_values)
    for rank, index in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (m - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def superiority(differences: Sample) -> float:
    """Return P(A > B), the share of paired runs whose difference is positive; ties count half, NaN without runs.

    Source: Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, MLSys 2021.
    """
    sample = _sample(differences)
    return float(((sample > 0) + 0.5 * (sample == 0)).mean()) if len(sample) else math.nan


def smallest_n(family_size: int) -> int:
    """Return the least n whose smallest possible sign-flip p, 2^(1−n), reaches 0.05/m (6 for m = 1, 7 for m = 2)."""
    return math.ceil(1 + math.log2(family_size / ALPHA))


def power(n: int, sd: float, claimed: float, family_size: int = 2) -> float:
    """Return the chance that n runs find a true difference `claimed`, with its sign, at level 0.05/m.

    Noncentral t, `sd` the standard deviation of the paired differences; 0 while n is too small for any verdict
    (`smallest_n`). The t test stands in for the sign-flip test, whose steps of 2^(1−n) cost power at n near that least
    n; Holm's first step is assumed, which understates it.
    """
    if n < smallest_n(family_size):
        return 0.0
    if sd == 0:
        return 1.0
    critical = stats.t.isf(ALPHA / family_size / 2, n - 1)
    return float(stats.nct.sf(critical, n - 1, abs(claimed) / sd * math.sqrt(n)))


def runs_needed(sd_of_differences: float, claimed_difference: float, family_size: int = 2) -> int:
    """Return the least n whose power to confirm `claimed_difference`, were it true, is at least 0.8."""
    if not (math.isfinite(sd_of_differences) and sd_of_differences >= 0):
        raise CosnbError(f"The standard deviation {sd_of_differences} must be finite and not negative.")
    if not (math.isfinite(claimed_difference) and claimed_difference != 0):
        raise CosnbError(f"A claimed difference must be a finite number other than 0, not {claimed_difference}.")
    return _least(
        lambda n: power(n, sd_of_differences, claimed_difference, family_size) >= POWER, smallest_n(family_size)
    )


def _least(enough: Callable[[int], bool], low: int) -> int:
    """Return the least n from `low` on that is enough, where every larger one is too."""
    high = low
    while not enough(high):
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


def more_runs(comparison: "Comparison") -> int | None:
    """Return how many runs more would resolve a comparison that is not resolved, with power 0.8; None for another.

    The true difference is taken to be the claimed one, or, where the claim has no number or n would suffice for it, the
    one observed; its spread as observed. With fewer than two runs: those that any verdict takes (`smallest_n`).
    """
    if comparison.verdict != Verdict.NOT_RESOLVED:
        return None
    n, m, interval = comparison.n, comparison.family_size, comparison.interval
    needed = max(smallest_n(m), n + 1)
    if n >= 2:
        claimed = [comparison.claimed] if isinstance(comparison.claimed, float | int) else []
        sizes = [runs_needed(interval.sd, size, m) for size in (*claimed, interval.mean) if size]
        needed = max(needed, next((size for size in sizes if size > n), needed))
    return needed - n


def more_runs_alike(family: Mapping[str, Sample], margin: float) -> int | None:
    """Return how many runs more would confirm that all means are alike within ± `margin`, were every difference 0.

    None where `alike` is resolved. Each member's two one-sided t tests succeed with a chance of 0.8 or more:
    n is the least with (t at 0.95 + t at 0.9)·sd/√n ≤ margin.
    """
    if not family or alike(family, margin) != Verdict.NOT_RESOLVED:
        return None
    samples = [_sample(differences) for differences in family.values()]
    least = min(len(sample) for sample in samples)
    sd = max((float(sample.std(ddof=1)) for sample in samples if len(sample) > 1), default=0.0)

    def enough(n: int) -> bool:
        quantiles = stats.t.ppf(1 - ALPHA, n - 1) + stats.t.ppf((1 + POWER) / 2, n - 1)
        return bool(quantiles * sd <= margin * math.sqrt(n))

    return _least(enough, max(smallest_n(len(family)), least + 1)) - least


def _verdict(claimed: Claim, p_holm: float, interval: Interval, family_size: int) -> Verdict:
    if claimed is None:
        return Verdict.EXPLORATORY
    if interval.n < smallest_n(family_size):
        return Verdict.NOT_RESOLVED
    number, sign = (0.0, claimed.value) if isinstance(claimed, Direction) else (claimed, math.copysign(1, claimed))
    confirmed = p_holm <= ALPHA and interval.mean * sign > 0
    refuted = number > interval.high if sign > 0 else number < interval.low
    if confirmed:
        return Verdict.SMALLER if refuted else Verdict.CONFIRMED
    return Verdict.REFUTED if refuted else Verdict.NOT_RESOLVED


def judge(family: Mapping[str, tuple[Sample, Claim]], family_size: int | None = None) -> dict[str, Comparison]:
    """Judge a family {name: (paired differences, claimed difference)}; m = `family_size`, else its length.

    Sign-flip p-values are adjusted by Holm over the family; members not given count as the larger p-values' ranks, so
    one member of a family of m is adjusted by the factor m. Every member's `holm_interval` is at the one level
    1 − 0.05/m (Bonferroni's, Holm's first step), since Holm's own steps have no simultaneous intervals as simple.
    Confirmed: p_holm ≤ 0.05 and the mean has the claim's sign. Refuted: the claim lies outside `holm_interval` on the
    side away from 0. Both: "real, but smaller". Else, and always while 2^(1−n) > 0.05/m: not resolved. A claim of a
    Direction alone is refuted where `holm_interval` lies on the other side of 0. Without a claim (None): exploratory.
    Raises CosnbError for a claim of 0 or not finite, and for a family_size below the length.
    """
    m = len(family) if family_size is None else family_size
    if m < len(family):
        raise CosnbError(f"A family of {len(family)} comparisons cannot have the size {m}.")
    for name, (_, claimed) in family.items():
        if isinstance(claimed, float | int) and not (math.isfinite(claimed) and claimed != 0):
            raise CosnbError(f"{name}: a claimed difference must be a finite number other than 0, not {claimed}.")
    tests = [sign_flip_test(differences) for differences, _ in family.values()]
    # Absent members stand last, with p = 1: they raise the factors of those present.
    adjusted = holm([test.p for test in tests] + [1.0] * (m - len(tests)))
    return {
        name: _compare(differences, claimed, m, test, p_holm)
        for (name, (differences, claimed)), test, p_holm in zip(family.items(), tests, adjusted, strict=False)
    }


def _compare(differences: Sample, claimed: Claim, m: int, test: SignFlip, p_holm: float) -> Comparison:
    interval = t_interval(differences)
    holm_interval = t_interval(differences, 1 - ALPHA / m)
    chance = needed = None
    if isinstance(claimed, float | int) and interval.n >= 2:
        chance = power(interval.n, interval.sd, claimed, m)
        needed = runs_needed(interval.sd, claimed, m)
    return Comparison(
        n=interval.n,
        claimed=claimed,
        family_size=m,
        interval=interval,
        holm_interval=holm_interval,
        bootstrap=bca_interval(differences),
        test=test,
        p_holm=p_holm,
        superiority=superiority(differences),
        power=chance,
        runs_needed=needed,
        verdict=_verdict(claimed, p_holm, holm_interval, m),
    )


def compare(a: Sample, b: Sample, claimed: Claim, family_size: int) -> Comparison:
    """Judge a claimed difference of runs a − b, paired by seed, as one of a family of `family_size` (see `judge`)."""
    return judge({"comparison": (paired_differences(a, b), claimed)}, family_size)["comparison"]


def alike(family: Mapping[str, Sample], margin: float) -> Verdict:
    """Judge the claim that every mean of paired differences in `family` lies within ± `margin`.

    Confirmed: each 90 % t interval lies within, which is two one-sided tests at 0.05 (Schuirmann 1987), and needs no
    correction where all must pass (Berger 1982). Refuted: some t interval at 1 − 0.05/m lies wholly beyond a margin.
    Else, and always while a member has fewer than `smallest_n(m)` runs: not resolved.
    """
    if not (math.isfinite(margin) and margin > 0):
        raise CosnbError(f"Alike within {margin} says nothing: the margin must be a finite number above 0.")
    m = len(family)
    if not family or any(len(_sample(differences)) < smallest_n(m) for differences in family.values()):
        return Verdict.NOT_RESOLVED
    wide = [t_interval(differences, 1 - ALPHA / m) for differences in family.values()]
    if any(interval.low > margin or interval.high < -margin for interval in wide):
        return Verdict.REFUTED
    narrow = [t_interval(differences, 1 - 2 * ALPHA) for differences in family.values()]
    inside = all(-margin < interval.low and interval.high < margin for interval in narrow)
    return Verdict.CONFIRMED if inside else Verdict.NOT_RESOLVED
