"""Statistics against hand-computed cases, SciPy, enumeration and simulation; each verdict with its near miss."""

import itertools
import math
import time
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from cosnb.errors import CosnbError
from cosnb.experiments.statistics import (
    LOOKS,
    Direction,
    Verdict,
    alike,
    bca_interval,
    compare,
    decided,
    judge,
    may_stop,
    more_runs,
    more_runs_alike,
    pooled_deviation,
    power,
    prediction_interval,
    runs_needed,
    sequence,
    sign_flip_test,
    superiority,
    t_interval,
    t_test,
)


def enumerated_p(differences):
    """Two-sided sign-flip p by listing all patterns in exact arithmetic."""
    exact = [Fraction(str(d)) for d in differences]
    observed = abs(sum(exact))
    patterns = itertools.product((1, -1), repeat=len(exact))
    sums = [abs(sum(s * d for s, d in zip(signs, exact, strict=True))) for signs in patterns]
    return sum(total >= observed for total in sums) / len(sums)


class TestIntervals:
    def test_t_interval_by_hand(self):
        # 1, 2, 3: mean 2, sd 1, t(0.975, 2) = 4.302653, half width 4.302653 / √3 = 2.484138
        interval = t_interval([1, 2, 3])
        assert (interval.n, interval.mean, interval.sd) == (3, 2.0, 1.0)
        assert interval.half_width == pytest.approx(2.484138, abs=1e-6)
        assert (interval.low, interval.high) == pytest.approx((-0.484138, 4.484138), abs=1e-6)

    @pytest.mark.parametrize("level", [0.8, 0.95, 0.975])
    def test_t_interval_of_differences_agrees_with_scipy(self, level):
        rng = np.random.default_rng(1)
        a, b = rng.normal(88, 0.4, 9), rng.normal(87, 0.4, 9)
        expected = stats.ttest_rel(a, b).confidence_interval(level)
        interval = t_interval(a - b, level)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-12)

    def test_one_run_and_none_leave_the_mean_open(self):
        one, none = t_interval([88.4]), t_interval([])
        assert (one.mean, one.low, one.high) == (88.4, -math.inf, math.inf)
        assert math.isnan(one.sd)
        assert math.isnan(none.mean)
        assert none.half_width == math.inf

    def test_t_interval_covers_its_level(self):
        samples = np.random.default_rng(2).normal(0.4, 0.5, (2000, 7))
        covered = sum(i.low <= 0.4 <= i.high for i in map(t_interval, samples)) / 2000
        assert covered == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 2000))

    def test_bca_only_from_20_runs_and_skewed_like_the_sample(self):
        sample = np.random.default_rng(3).exponential(1, 20)
        assert bca_interval(sample[:19]) is None
        interval, symmetric = bca_interval(sample), t_interval(sample)
        assert interval.high - interval.mean > interval.mean - interval.low
        assert interval.half_width == pytest.approx(symmetric.half_width, rel=0.25)
        assert bca_interval(sample) == interval  # fixed seed

    def test_bca_of_a_constant_sample_is_a_point(self):
        interval = bca_interval([0.5] * 20)
        assert (interval.low, interval.high) == (0.5, 0.5)

    @pytest.mark.parametrize("values", [[1.0, math.nan], [1.0, math.inf], [[1.0], [2.0]]])
    def test_unusable_samples_are_refused(self, values):
        with pytest.raises(CosnbError, match="finite"):
            t_interval(values)

    @pytest.mark.parametrize("n", [2, 9])
    def test_the_p_is_scipy_s_and_agrees_with_the_interval(self, n):
        differences = np.random.default_rng(n).normal(0.5, 0.4, n)
        p = t_test(differences)
        assert p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, rel=1e-12)
        interval = t_interval(differences, 1 - p)
        assert min(abs(interval.low), abs(interval.high)) == pytest.approx(0, abs=1e-9)

    def test_a_p_without_spread_or_runs(self):
        assert [t_test(values) for values in ([], [1.0], [0.5] * 4, [0.0] * 4)] == [1, 1, 0, 1]

    def test_one_more_pair_lies_in_the_prediction_interval(self):
        samples = np.random.default_rng(12).normal(0.4, 0.5, (4000, 9))
        intervals = [prediction_interval(sample[:8]) for sample in samples]
        inside = sum(i.low <= sample[8] <= i.high for i, sample in zip(intervals, samples, strict=True)) / 4000
        assert inside == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 4000))
        assert prediction_interval([0.5]).half_width == math.inf

    def test_impossible_levels_are_refused(self):
        with pytest.raises(CosnbError, match="level"):
            t_interval([1, 2], 95)


class TestSignFlip:
    def test_by_hand(self):
        # |±1 ±2 ±3| reaches 6 in 2 of 8 patterns; with −1, 2, 3 the sum 4 is reached by 6, 4, −4, −6.
        assert sign_flip_test([1, 2, 3]).p == 2 / 8
        assert sign_flip_test([-1, 2, 3]).p == 4 / 8

    @pytest.mark.parametrize("n", range(1, 9))
    def test_equals_enumeration_also_with_ties_and_zeros(self, n):
        rng = np.random.default_rng(n)
        for _ in range(12):
            differences = rng.integers(-30, 40, n) / 100  # accuracies of 10,000 images: hundredths, ties are common
            assert sign_flip_test(differences).p == enumerated_p(differences.tolist())

    def test_ties_survive_rounding(self):
        # 88.1 − 87.8 and 88.4 − 88.1 differ in the last bits, though both are 0.3.
        differences = [88.1 - 87.8, 88.4 - 88.1, 87.8 - 88.1]
        assert len(set(map(abs, differences))) > 1
        assert sign_flip_test(differences).p == 1.0  # every pattern's sum is ±0.3 or ±0.9

    @pytest.mark.parametrize("n", [5, 6, 7, 20, 21])
    def test_smallest_p(self, n):
        assert sign_flip_test([0.1 * (k + 1) for k in range(n)]).p == 2.0 ** (1 - n)

    def test_agrees_with_scipys_permutation_test(self):
        differences = np.random.default_rng(4).normal(0.3, 0.5, 10)
        expected = stats.permutation_test(
            (differences, np.zeros(10)),
            lambda a, b, axis: np.mean(a - b, axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
        )
        assert sign_flip_test(differences).p == pytest.approx(expected.pvalue, rel=1e-12)

    def test_exact_and_fast_at_20_and_40_runs(self):
        differences = np.random.default_rng(5).normal(0.2, 0.5, 40)
        start = time.perf_counter()
        results = [sign_flip_test(differences[:20]), sign_flip_test(differences)]
        assert time.perf_counter() - start < 2
        assert [result.exact for result in results] == [True, True]
        assert [result.patterns for result in results] == [2**20, 2**40]
        assert results[1].p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, rel=0.3)

    def test_beyond_40_runs_it_is_monte_carlo_and_says_so(self):
        differences = np.random.default_rng(6).normal(0.1, 0.5, 41)
        sampled = sign_flip_test(differences)
        assert not sampled.exact
        assert sign_flip_test(differences) == sampled
        # One negligible run doubles both counts of the exact test, so 40 + 1 runs have the p-value of 40.
        differences[40] = 0.0
        exact = sign_flip_test(differences[:40])
        assert exact.exact
        assert sign_flip_test(differences).p == pytest.approx(exact.p, abs=4 * math.sqrt(exact.p / 200_000))

    def test_no_difference_at_all(self):
        assert sign_flip_test([0.0] * 8).p == 1.0
        assert sign_flip_test([]).p == 1.0


def test_superiority_counts_ties_half():
    assert superiority([0.2, 0.0, -0.1, 0.3]) == 2.5 / 4
    assert math.isnan(superiority([]))


class TestPower:
    def test_protocols_example(self):
        # 20 seeds, 0.4 points, independent arms of sd 0.4, m = 2: "about 0.75".
        assert power(20, 0.4 * math.sqrt(2), 0.4) == pytest.approx(0.76, abs=0.005)

    def test_agrees_with_simulated_t_tests(self):
        samples = np.random.default_rng(7).normal(-0.5, 0.6, (20_000, 12))
        result = stats.ttest_1samp(samples, 0, axis=1)
        share = np.mean((result.pvalue <= 0.025) & (result.statistic < 0))
        assert power(12, 0.6, -0.5) == pytest.approx(share, abs=4 * math.sqrt(0.25 / 20_000))

    @pytest.mark.parametrize(("sd", "claimed"), [(0.57, 0.4), (0.4, -0.64), (1.0, 0.01), (0.5, 0.38)])
    def test_runs_needed_is_the_least_n(self, sd, claimed):
        n = runs_needed(sd, claimed)
        assert power(n, sd, claimed) >= 0.8 > power(n - 1, sd, claimed)

    def test_at_least_what_a_verdict_asks(self):
        assert runs_needed(0.0, 0.5) == runs_needed(1e-9, 0.5) == 5
        assert power(4, 0.0, 0.5) == 0.0

    @pytest.mark.parametrize(("sd", "claimed"), [(0.5, 0.0), (0.5, math.nan), (math.nan, 0.5), (-0.1, 0.5)])
    def test_impossible_claims_are_refused(self, sd, claimed):
        with pytest.raises(CosnbError):
            runs_needed(sd, claimed)


# Eight differences of mean 0.5 and sd 0.1; at m = 2 the decisive interval is 0.5 ± 0.10045.
EIGHT = 0.5 + 0.1 * np.array([-1.5, -1, -0.5, -0.5, 0.5, 0.5, 1, 1.5]) / np.std(
    [-1.5, -1, -0.5, -0.5, 0.5, 0.5, 1, 1.5], ddof=1
)


def verdict(differences, claimed, m=2):
    return judge({"claim": (differences, claimed)}, m)["claim"].verdict


class TestVerdicts:
    def test_the_interval_that_decides_is_at_the_family_s_level(self):
        result = judge({"a": (EIGHT, 0.5), "b": (-EIGHT, 0.5)})["a"]
        assert (result.interval.level, result.decisive.level) == (0.95, 0.975)
        assert result.decisive.half_width == pytest.approx(stats.t.ppf(0.9875, 7) * 0.1 / math.sqrt(8))
        assert result.decisive.high == pytest.approx(0.60045, abs=1e-5)  # t(0.9875, 7) = 2.8412

    def test_confirmed_or_real_but_smaller_by_the_upper_end(self):
        assert verdict(EIGHT, 0.6004) is Verdict.CONFIRMED
        assert verdict(EIGHT, 0.6005) is Verdict.SMALLER
        assert verdict(-EIGHT, -0.6004) is Verdict.CONFIRMED  # a loss: lower is better
        assert verdict(-EIGHT, -0.6005) is Verdict.SMALLER

    def test_a_larger_difference_than_claimed_is_confirmed(self):
        assert verdict(EIGHT, 0.1) is Verdict.CONFIRMED

    def test_the_wrong_sign_is_refuted(self):
        assert verdict(EIGHT, -0.1) is Verdict.REFUTED
        assert verdict(-EIGHT, 0.1) is Verdict.REFUTED

    def test_a_size_that_is_excluded_is_no_refutation(self):
        around_zero = EIGHT - 0.5
        assert verdict(around_zero, 0.1005) is Verdict.EXCLUDED
        assert verdict(around_zero, 0.1004) is Verdict.NOT_RESOLVED
        assert verdict(around_zero, -0.1005) is Verdict.EXCLUDED
        assert verdict(around_zero, -0.1004) is Verdict.NOT_RESOLVED

    def test_never_resolved_below_5_runs(self):
        five = [0.50, 0.51, 0.49, 0.52, 0.48]
        assert verdict(five, 0.5) is Verdict.CONFIRMED
        assert verdict(five, 9.9) is Verdict.SMALLER
        assert verdict(five[:4], 0.5) is verdict(five[:4], 9.9) is Verdict.NOT_RESOLVED

    def test_parts_of_one_claim_are_judged_at_the_level_of_all(self):
        # 0.5 ± 0.1 · t/√8: t(1 − 0.025/8, 7) = 3.8
        thin = EIGHT - 0.5 + 0.1 * 3.2 / math.sqrt(8)
        assert verdict(thin, Direction.HIGHER, m=2) is Verdict.CONFIRMED
        assert verdict(thin, Direction.HIGHER, m=8) is Verdict.NOT_RESOLVED
        assert judge({"a": (thin, None)}, 8)["a"].p == pytest.approx(8 * t_test(thin))

    def test_the_absence_of_a_lead_is_judged_at_20_runs_alone_and_in_points_alone(self):
        twenty = np.tile(EIGHT - 0.4, 3)[:20]  # mean near 0.1, sd 0.1
        level = twenty - twenty.mean() + 0.02
        for values, points, expected in (
            (level, True, Verdict.NO_LEAD),
            (level[:19], True, Verdict.EXCLUDED),
            (level, False, Verdict.EXCLUDED),
            (twenty, True, Verdict.SMALLER),  # a lead, though one that is too small to name
        ):
            assert judge({"a": (values, 0.38)}, points=points)["a"].verdict is expected
        edge = 0.3 - stats.t.isf(0.05, 19) * level.std(ddof=1) / math.sqrt(20)
        found = [
            judge({"a": (level - 0.02 + sign * by, None)}, points=True)["a"]
            for sign in (1, -1)
            for by in (0.999 * edge, 1.001 * edge)
        ]
        assert [one.negligible for one in found] == [True, False, True, False]
        assert [one.lead for one in found] == [1, 1, -1, -1]

    @pytest.mark.parametrize("n", [0, 1])
    def test_no_or_one_run_is_not_resolved(self, n):
        result = judge({"claim": ([0.5] * n, 0.5)}, 2)["claim"]
        assert (result.n, result.verdict, result.lead, result.excluded) == (n, Verdict.NOT_RESOLVED, 0, False)

    def test_without_a_claim_it_is_exploratory(self):
        assert verdict(EIGHT, None) is Verdict.EXPLORATORY

    def test_comparison_carries_its_numbers(self):
        result = judge({"a": (EIGHT, 0.6)}, 2)["a"]
        assert result.interval.mean == pytest.approx(0.5)
        assert result.p == 2 * t_test(EIGHT)
        assert result.test.p == 2**-7
        assert result.superiority == 1.0
        assert result.bootstrap is None
        assert result.prediction == prediction_interval(EIGHT)
        assert (result.lead, result.excluded, result.negligible) == (1, False, None)
        assert result.verdict == "confirmed"

    def test_bootstrap_stands_beside_from_20_runs(self):
        differences = np.random.default_rng(8).normal(0.4, 0.5, 20)
        result = judge({"a": (differences, 0.5)}, 2)["a"]
        assert result.bootstrap == bca_interval(differences)

    def test_mistakes_are_refused(self):
        with pytest.raises(CosnbError, match="cos − relu"):
            judge({"cos − relu": (EIGHT, 0.0)})
        with pytest.raises(CosnbError, match="size 1"):
            judge({"a": (EIGHT, 1.0), "b": (EIGHT, 1.0)}, 1)


class TestTextbooks:
    """Fisher, The Design of Experiments (1935), section 21: Darwin's 15 pairs of maize, eighths of an inch."""

    MAIZE = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)

    def test_fishers_count_of_the_maize_pairs(self):
        # Of 2^15 sums 863 are at least the observed 314 (Fisher's 1,726 both ways), 5.267 %.
        result = sign_flip_test(self.MAIZE)
        assert (result.p, result.patterns) == (1726 / 32_768, 32_768)

    def test_students_t_of_the_maize_pairs(self):
        # Fisher: t = 2.148 for 14 degrees of freedom; so 0 lies outside the 95 % interval by a hair.
        interval = t_interval(self.MAIZE)
        assert interval.mean == pytest.approx(20.933, abs=5e-4)
        assert interval.mean / (interval.sd / math.sqrt(15)) == pytest.approx(2.148, abs=5e-4)
        assert 0 < interval.low < 0.1

    def test_students_sleep(self):
        # Student (1908), hours of sleep gained, drug 2 − drug 1: mean 1.58, t = 4.0621 (R's help page of `sleep`).
        gained = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
        interval = t_interval(gained)
        assert interval.mean / (interval.sd / math.sqrt(10)) == pytest.approx(4.0621, abs=5e-5)
        assert (interval.low, interval.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)

    def test_bca_of_a_mean_is_shifted_by_a_sixth_of_the_skewness(self):
        # DiCiccio and Efron (1996): to second order BCa's ends are those of mean + se·(z + γ(2z² + 1)/6), γ = skew/√n.
        sample = np.random.default_rng(9).gamma(3, 1, 200)
        se, skew = sample.std() / math.sqrt(200), stats.skew(sample) / math.sqrt(200)
        z = stats.norm.ppf(0.975)
        expected = [sample.mean() + se * (s * z + skew * (2 * z * z + 1) / 6) for s in (-1, 1)]
        interval = bca_interval(sample)
        assert (interval.low, interval.high) == pytest.approx(expected, abs=0.05 * se)


class TestDirections:
    def test_a_sign_is_confirmed_refuted_or_not_resolved(self):
        around_zero = EIGHT - 0.5
        higher, lower = Direction.HIGHER, Direction.LOWER
        assert [verdict(EIGHT, claim) for claim in (higher, lower)] == ["confirmed", "refuted"]
        assert [verdict(-EIGHT, claim) for claim in (higher, lower)] == ["refuted", "confirmed"]
        assert {verdict(around_zero, claim) for claim in (higher, lower)} == {"not resolved"}
        assert verdict(EIGHT[:4], lower) is Verdict.NOT_RESOLVED


class TestAlike:
    # EIGHT − 0.5 has mean 0, sd 0.1: 90 % half width 1.8946 · 0.1/√8 = 0.06698.
    def test_by_the_90_percent_interval(self):
        assert alike({"a": EIGHT - 0.5}, 0.0670) is Verdict.CONFIRMED
        assert alike({"a": EIGHT - 0.5}, 0.0669) is Verdict.NOT_RESOLVED

    def test_one_pair_beyond_the_margin_refutes(self):
        # At m = 2 the interval around 0.5 begins at 0.39955.
        assert alike({"a": EIGHT - 0.5, "b": EIGHT}, 0.3995) is Verdict.REFUTED
        assert alike({"a": EIGHT - 0.5, "b": -EIGHT}, 0.3995) is Verdict.REFUTED
        assert alike({"a": EIGHT - 0.5, "b": EIGHT}, 0.3996) is Verdict.NOT_RESOLVED

    def test_few_runs_leave_it_open(self):
        assert alike({"a": [0.0] * 7, "b": [0.0] * 4}, 1.0) is Verdict.NOT_RESOLVED
        assert alike({}, 1.0) is Verdict.NOT_RESOLVED

    def test_a_margin_must_say_something(self):
        with pytest.raises(CosnbError, match="margin"):
            alike({"a": EIGHT}, 0.0)


class TestRunsThatAreLacking:
    def judged(self, differences, claimed, m=2):
        return judge({"claim": (differences, claimed)}, m)["claim"]

    def test_with_few_runs_those_that_any_verdict_takes(self):
        assert [more_runs(self.judged(d, Direction.HIGHER)) for d in ([], [0.5], [0.5, 0.1, 0.3])] == [5, 4, 2]

    def test_points_of_accuracy_by_the_least_lead_and_a_spread_from_elsewhere(self):
        for seen in ([], [0.01, 0.02, -0.02], (EIGHT - 0.49).tolist()):
            judged = judge({"claim": (seen, 0.38 if len(seen) < 8 else Direction.HIGHER)}, 2, points=True)["claim"]
            assert len(seen) + more_runs(judged) == runs_needed(0.57, 0.3, 2) == 37

    def test_by_the_claimed_difference_or_else_by_the_one_seen(self):
        beside = EIGHT[:5] - EIGHT[:5].mean() + 0.01
        assert more_runs(self.judged(beside, 0.05)) == runs_needed(np.std(beside, ddof=1), 0.05) - 5
        beside = EIGHT - 0.48  # mean 0.02, sd 0.1
        assert more_runs(self.judged(beside, Direction.HIGHER)) == runs_needed(0.1, 0.02) - 8
        # 8 would do for 0.13, and did not: so by the difference seen, which refutes it when it is found
        close = EIGHT - 0.44  # mean 0.06
        assert runs_needed(0.1, 0.15) <= 8
        assert self.judged(close, 0.15).verdict is Verdict.NOT_RESOLVED
        assert more_runs(self.judged(close, 0.15)) == runs_needed(0.1, 0.06) - 8

    def test_none_where_it_is_resolved_or_nothing_is_claimed(self):
        assert [more_runs(self.judged(EIGHT, claim)) for claim in (0.5, Direction.LOWER, None)] == [None] * 3

    def test_alike_by_simulation(self):
        sample = EIGHT - 0.5  # sd 0.1
        n = 8 + more_runs_alike({"a": sample}, 0.05)
        rng, found = np.random.default_rng(3), []
        for count in (n, n - 3):
            drawn = [alike({"a": rng.normal(0, 0.1, count)}, 0.05) is Verdict.CONFIRMED for _ in range(2000)]
            found.append(sum(drawn) / 2000)
        assert found[0] >= 0.8 - 0.03 > found[1] - 0.03
        assert more_runs_alike({"a": sample}, 0.0670) is None
        assert more_runs_alike({"a": []}, 1.0) == 5


class TestLooks:
    """Error rates by simulation, 200,000 sequences of 20 pairs."""

    def shares(self, lead, sd=0.35, claimed=0.38, count=200_000):
        """Return how often a lead is shown, the claim excluded, and the mean number of pairs at which one is."""
        pairs = np.random.default_rng(1).normal(lead, sd, (count, 20))
        shown, excluded, needed = np.zeros(count, bool), np.zeros(count, bool), np.full(count, 20)
        for look in reversed(LOOKS):
            first = pairs[:, : look.n]
            half = stats.t.isf(look.level / 2, look.n - 1) * first.std(axis=1, ddof=1) / math.sqrt(look.n)
            here = abs(first.mean(axis=1)) > half
            beyond = first.mean(axis=1) + half < claimed
            shown |= here
            excluded |= beyond
            needed[here | beyond] = look.n
        return shown.mean(), excluded.mean(), needed.mean()

    def test_no_lead_is_shown_in_one_of_40(self):
        assert [(look.n, look.level) for look in LOOKS] == [(8, 0.001), (14, 0.0085), (20, 0.0205)]
        shown, excluded, needed = self.shares(0.0)
        assert shown == pytest.approx(0.025, abs=4 * math.sqrt(0.025 * 0.975 / 200_000))
        assert excluded == pytest.approx(0.98, abs=0.01)
        assert needed == pytest.approx(14.5, abs=0.1)

    def test_a_lead_of_the_claimed_size_is_found(self):
        shown, excluded, needed = self.shares(0.38)
        assert shown == pytest.approx(0.98, abs=0.01)
        assert excluded == pytest.approx(0.0125, abs=0.002)  # on one side
        assert needed == pytest.approx(14.5, abs=0.1)

    def test_the_code_decides_as_the_simulation_does(self):
        pairs = np.random.default_rng(4).normal(0.2, 0.35, (300, 20))
        answers = []
        for row in pairs:
            looks = sequence(row, 0.38)
            assert [look.n for look in looks] == [8, 14, 20]
            assert [look.decisive.level for look in looks] == [0.999, 0.9915, 0.9795]
            assert [look.negligible for look in looks[:2]] == [None, None]
            for look, plan in zip(looks, LOOKS, strict=True):
                interval = t_interval(row[: plan.n], 1 - plan.level)
                assert look.lead == (interval.low > 0) - (interval.high < 0)
                assert look.excluded == (interval.high < 0.38)
            answers.append(decided(looks))
        assert {answer.n for answer in answers if answer} == {8, 14, 20}
        assert any(answer is None for answer in answers)

    def test_only_the_looks_that_there_are_pairs_for(self):
        assert [len(sequence(EIGHT[:n], 0.38)) for n in (0, 7, 8)] == [0, 0, 1]
        assert [look.n for look in sequence(np.tile(EIGHT, 2), 0.38)] == [8, 14]

    def test_recording_may_stop_when_every_contrast_is_decided(self):
        lead, open_ = sequence(EIGHT, 0.38), sequence(EIGHT - 0.5 + 0.2 * np.arange(8), 0.38)
        assert decided(lead).lead == 1
        assert decided(open_) is None
        assert may_stop({"a": lead})
        assert not may_stop({"a": lead, "b": open_})
        assert not may_stop({})

    def test_the_pooled_deviation_says_nothing_of_the_means(self):
        assert pooled_deviation([EIGHT, EIGHT - 3]) == pytest.approx(0.1)
        assert pooled_deviation([[0.0, 2.0], [5.0, 5.0, 5.0]]) == pytest.approx(math.sqrt(2 / 3))


def test_a_comparison_at_its_own_level():
    found = compare(EIGHT, 0.38, 0.001, points=True, last=False)
    assert found.decisive == t_interval(EIGHT, 0.999)
    assert (found.verdict, found.negligible, found.family_size) == (Verdict.CONFIRMED, None, 1)
