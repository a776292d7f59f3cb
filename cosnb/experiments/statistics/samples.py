"""Samples of runs: intervals of a mean, the sign-flip test, shares; differences are paired by seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cosnb.errors import CosnbError

Sample = Sequence[float] | np.ndarray

EXACT_UP_TO = 40  # sign patterns counted by meeting in the middle: 2 × 2^20 sums, 0.2 s
MONTE_CARLO_DRAWS = 200_000
BOOTSTRAP_FROM = 20  # at n = 5 a "95 %" BCa interval covers about 83 %
BOOTSTRAP_RESAMPLES = 9_999
SEED = 20210119


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval; for n < 2 the interval is the whole line and the deviation NaN."""

    n: int
    mean: float
    sd: float
    low: float
    high: float
    level: float

    @property
    def half_width(self) -> float:
        """Half the length of the interval (infinite for n < 2)."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class SignFlip:
    """A two-sided sign-flip test: its p-value, the number of sign patterns counted, and whether these are all 2^n."""

    p: float
    patterns: int
    exact: bool


def as_sample(values: Sample) -> np.ndarray:
    """Return the values as a float64 vector, or raise CosnbError where they are not finite numbers in one row."""
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not np.isfinite(sample).all():
        raise CosnbError(
            f"A sample of shape {sample.shape} was given, expected one row of finite numbers: leave out diverged runs."
        )
    return sample


def t_interval(values: Sample, level: float = 0.95) -> Interval:
    """Return Student's t interval of the mean of `values` at `level` (0 < level < 1)."""
    sample = as_sample(values)
    if not 0 < level < 1:
        raise CosnbError(f"The level {level} of an interval must lie between 0 and 1: write 0.95 for 95 %.")
    n = len(sample)
    mean = float(sample.mean()) if n else math.nan
    if n < 2:
        return Interval(n, mean, math.nan, -math.inf, math.inf, level)
    sd = float(sample.std(ddof=1))
    half = float(stats.t.isf((1 - level) / 2, n - 1)) * sd / math.sqrt(n)
    return Interval(n, mean, sd, mean - half, mean + half, level)


def prediction_interval(values: Sample, level: float = 0.95) -> Interval:
    """Return the interval in which one more such value lies with probability `level`: mean ± t·sd·√(1 + 1/n)."""
    mean = t_interval(values, level)
    half = mean.half_width * math.sqrt(mean.n + 1) if mean.n > 1 else math.inf
    return Interval(mean.n, mean.mean, mean.sd, mean.mean - half, mean.mean + half, level)


def t_test(values: Sample) -> float:
    """Return the two-sided p-value of Student's t test that the mean of `values` is 0; 1 for fewer than two values."""
    sample = as_sample(values)
    if len(sample) < 2:
        return 1.0
    if np.ptp(sample) == 0:  # t is infinite, or 0/0
        return float(sample[0] == 0)
    t = sample.mean() / sample.std(ddof=1) * math.sqrt(len(sample))
    return 2 * float(stats.t.sf(abs(t), len(sample) - 1))


def bca_interval(values: Sample, level: float = 0.95) -> Interval | None:
    """Return the BCa bootstrap interval of the mean (Efron 1987, fixed seed), or None for n < 20."""
    sample = as_sample(values)
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
    """Test paired differences for symmetry about 0: the share of sign patterns with a sum as far from 0 (Fisher).

    Up to n = 40 all 2^n patterns are counted; beyond, 200,000 random ones with a fixed seed, with the observed one
    added to both counts (Phipson and Smyth 2010). Sums that differ by less than 1e-9 of Σ|d| are ties: accuracies are
    multiples of 0.01 points, so that real sums differ by more and rounding errors by less.
    """
    sample = as_sample(differences)
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


def superiority(differences: Sample) -> float:
    """Return P(A > B), the share of paired runs whose difference is positive; ties count half. NaN without runs.

    Source: Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, MLSys 2021.
    """
    sample = as_sample(differences)
    return float(((sample > 0) + 0.5 * (sample == 0)).mean()) if len(sample) else math.nan
