"""Coverage by simulation and by enumeration, two routes against scipy, and bugs that the checks would notice."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from shatterlab.core.errors import DataError
from shatterlab.statistics import (
    Interval,
    binomial_two_sided,
    bootstrap_interval,
    clopper_pearson,
    equivalence,
    g_test_bound,
    kendall_interval,
    kendall_tau,
    mean_interval,
    paired_difference,
    permutation_test,
    poisson_binomial_two_sided,
    ratio_interval,
    same_counts_bound,
    t_interval,
)


def within(rate, nominal, trials):
    """Whether a simulated rate agrees with its nominal value: 5 standard errors, false alarm 6e-7; seeds are fixed besides."""
    return abs(rate - nominal) <= 5 * math.sqrt(nominal * (1 - nominal) / trials)


class TestInterval:
    def test_inside_and_disjoint(self):
        interval = Interval(0.5, 0.4, 0.6, 0.95, "t", 3)
        assert interval.inside(0.4, 0.6) and interval.inside(None, 0.6) and interval.inside(0.4, None)
        assert not interval.inside(0.41, None) and not interval.inside(None, 0.59)
        assert interval.disjoint(0.61, None) and interval.disjoint(None, 0.39) and not interval.disjoint(0.6, None)
        assert interval.width == pytest.approx(0.2)

    @given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=6), st.floats(-1e3, 1e3), st.floats(0, 1e3))
    def test_never_both_inside_and_disjoint(self, values, low, width):
        interval = t_interval(values)
        assert not (interval.inside(low, low + width) and interval.disjoint(low, low + width))
        assert interval.low <= interval.estimate <= interval.high


class TestMeans:
    def test_t_agrees_with_scipy(self):
        values = np.random.default_rng(1).normal(size=7)
        ends = stats.t.interval(0.9, 6, loc=values.mean(), scale=values.std(ddof=1) / math.sqrt(7))
        ours = t_interval(values, 0.9)
        assert (ours.low, ours.high) == pytest.approx(ends, rel=1e-12)
        assert (ours.n, ours.level, ours.method) == (7, 0.9, "t")

    @pytest.mark.parametrize("n", [2, 3, 5])
    def test_t_covers_what_it_says(self, n):
        draws = np.random.default_rng(2).normal(size=(2000, n))
        intervals = [t_interval(draw) for draw in draws]
        assert within(np.mean([each.low <= 0 <= each.high for each in intervals]), 0.95, 2000)

    def test_the_coverage_check_notices_a_normal_quantile_in_place_of_t(self):
        draws = np.random.default_rng(2).normal(size=(2000, 3))
        half = 1.96 * draws.std(axis=1, ddof=1) / math.sqrt(3)
        assert not within(np.mean(np.abs(draws.mean(axis=1)) <= half), 0.95, 2000)

    def test_bca_at_three_replicates_is_why_ten_are_required(self):
        """The message says 73 %, measured over 3,000 samples; here on 300, whose 5 standard errors are 0.13."""
        rng = np.random.default_rng(3)
        ends = [stats.bootstrap((rng.normal(size=3),), np.mean, n_resamples=999, method="BCa", random_state=rng).confidence_interval for _ in range(300)]
        assert within(np.mean([low <= 0 <= high for low, high in ends]), 0.73, 300)
        with pytest.raises(DataError) as refusal:
            bootstrap_interval([1.0, 2.0, 3.0], 0.95, rng)
        assert str(refusal.value) == "bootstrap_interval: at least 10 replicates are required, got 3. At 3 a 95 % interval covers 73 %: use t_interval."

    def test_bca_from_ten_covers_nearly_what_it_says(self):
        """0.90 at n = 10 normal values, measured over 4,000 samples; here on 200, whose 5 standard errors are 0.11."""
        rng = np.random.default_rng(4)
        covered = [(each := bootstrap_interval(rng.normal(size=10), 0.95, rng)).low <= 0 <= each.high for _ in range(200)]
        assert within(np.mean(covered), 0.90, 200)

    def test_bca_is_reproducible_and_right_of_t_for_skewed_values(self):
        values = np.random.default_rng(5).exponential(size=12)
        first, again = (mean_interval(values, rng=np.random.default_rng(0)) for _ in range(2))
        assert first == again and first.method == "BCa"
        plain = mean_interval(values)
        assert plain.method == "t" and first.low > plain.low  # the skew pushes a bootstrap interval to the long side

    def test_mean_interval_chooses_by_n(self):
        rng = np.random.default_rng(0)
        assert mean_interval(np.arange(9.0), rng=rng).method == "t"
        assert mean_interval(np.arange(10.0), rng=rng).method == "BCa"

    @pytest.mark.parametrize("n", [2, 3, 12])
    def test_equal_values_tell_nothing_of_their_spread(self, n):
        interval = mean_interval([0.1] * n, rng=np.random.default_rng(0))
        assert (interval.low, interval.estimate, interval.high, interval.n, interval.method) == (-math.inf, 0.1, math.inf, n, "no spread")
        ratios = ratio_interval([20] * n, [10] * n)
        assert (ratios.low, ratios.estimate, ratios.high, ratios.method) == (0.0, pytest.approx(2), math.inf, "no spread")

    def test_one_value_is_too_few(self):
        interval = t_interval([0.3])
        assert (interval.estimate, interval.low, interval.high, interval.method) == (0.3, -math.inf, math.inf, "too few")

    def test_paired_difference_uses_the_pairs(self):
        shared = np.array([0.0, 10.0, -5.0])
        gain = np.array([1.0, 1.1, 0.9])
        interval = paired_difference(shared + gain, shared)
        assert interval.low == pytest.approx(t_interval(gain).low, rel=1e-9)  # 10 + 1.1 - 10 rounds by 1e-15
        assert interval.low > 0 and t_interval(shared + 1).low < 0  # unpaired, nothing could be said

    def test_ratio_is_scale_free_and_refuses_zero(self):
        a, b = np.array([20.0, 45.0, 66.0]), np.array([10.0, 20.0, 30.0])
        there, back = ratio_interval(a, b), ratio_interval(b, a)
        assert there.estimate == pytest.approx(stats.gmean(a / b))
        assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))
        assert ratio_interval([3], [2]).low == 0 and ratio_interval([3], [2]).high == math.inf
        with pytest.raises(DataError, match=r"^ratio_interval: positive numbers are required, got 0\.0\. Use paired_difference\.$"):
            ratio_interval([1, 2], [0, 1])

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: t_interval([]), "t_interval: a sequence of at least one number is required, got shape (0,). Run more replicates."),
            (lambda: t_interval([1, math.nan]), "t_interval: finite numbers are required, got nan. Leave diverged trials out and say how many."),
            (lambda: t_interval([1, 2], 95), "t_interval: level is a confidence in (0, 1), got 95. Use 0.95, say."),
            (lambda: paired_difference([1, 2], [1]), "paired_difference: as many values on both sides are required, got 2 and 1. Pair them by seeds."),
        ],
    )
    def test_refusals(self, call, message):
        with pytest.raises(DataError) as refusal:
            call()
        assert str(refusal.value) == message


class TestClopperPearson:
    @pytest.mark.parametrize(("successes", "n"), [(0, 1), (0, 5), (3, 3), (2, 7), (450, 500), (10_000, 10_000)])
    def test_agrees_with_scipy(self, successes, n):
        ends = stats.binomtest(successes, n).proportion_ci(0.95, method="exact")
        ours = clopper_pearson(successes, n)
        assert (ours.low, ours.high) == pytest.approx((ends.low, ends.high), rel=1e-9)

    def test_three_of_three(self):
        assert round(clopper_pearson(3, 3).low, 4) == 0.2924

    def test_covers_at_every_probability(self):
        """Exactly, by enumeration of the outcomes at n = 7."""
        intervals = [clopper_pearson(successes, 7) for successes in range(8)]
        for p in np.linspace(0.01, 0.99, 197):
            assert sum(stats.binom.pmf(s, 7, p) for s, each in enumerate(intervals) if each.low <= p <= each.high) >= 0.95

    def test_refuses_impossible_counts(self):
        with pytest.raises(DataError, match=r"^clopper_pearson: 0 <= successes <= n and n >= 1 are required, got 4 of 3\. Count again\.$"):
            clopper_pearson(4, 3)


class TestEquivalence:
    def test_verdicts(self):
        assert equivalence([0.1], 0.1, 0.02).verdict == "too few"
        assert equivalence([0.1, 0.101, 0.099], 0.1, 0.02).verdict == "equivalent"
        assert equivalence([0.1, 0.1, 0.1], 0.1, 0.02).verdict == "undecided"  # a tie is no certainty
        assert equivalence([0.3, 0.31, 0.29], 0.1, 0.02).verdict == "different"
        assert equivalence([0.0, 0.2, 0.1], 0.1, 0.02).verdict == "undecided"

    def test_wrong_at_most_one_time_in_twenty_at_the_edge_of_the_zone(self):
        """The true mean sits on the edge: "equivalent" is then wrong with probability <= 0.05, 4,000 samples, 5 standard errors."""
        draws = np.random.default_rng(6).normal(0.12, 0.01, size=(4000, 5))
        wrong = np.mean([equivalence(draw, 0.1, 0.02).verdict == "equivalent" for draw in draws])
        assert within(wrong, 0.05, 4000)

    def test_no_difference_found_is_not_equivalence(self):
        """The planted bug is to call what is not significantly different equal."""
        values = [0.02, 0.2, 0.09]
        assert t_interval(values).low < 0.1 < t_interval(values).high
        assert equivalence(values, 0.1, 0.02).verdict == "undecided"

    def test_refuses_no_margin(self):
        with pytest.raises(DataError, match=r"^equivalence: margin is > 0, got 0\. State what still counts as equal\.$"):
            equivalence([0.1, 0.1], 0.1, 0)


class TestPermutation:
    @pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
    def test_exact_against_the_obvious_loop(self, alternative):
        a, b = [3.0, 1.0, 4.0, 1.5], [2.0, 0.5, 1.0]
        pool, seen = a + b, np.mean(a) - np.mean(b)
        null = []
        for chosen in itertools.combinations(range(7), 4):
            rest = [pool[i] for i in range(7) if i not in chosen]
            null.append(np.mean([pool[i] for i in chosen]) - np.mean(rest))
        upper, lower = (np.mean(np.array(null) >= seen - 1e-12), np.mean(np.array(null) <= seen + 1e-12))
        expected = {"greater": upper, "less": lower, "two-sided": min(1, 2 * min(upper, lower))}[alternative]
        result = permutation_test(a, b, alternative)
        assert result.exact and result.p == pytest.approx(expected) and result.statistic == pytest.approx(seen)

    def test_paired_against_the_obvious_loop(self):
        a, b = np.array([1.0, 2.0, 3.0, 4.5, 5.0]), np.array([0.5, 2.5, 1.0, 4.0, 3.0])
        null = [np.mean(np.array(signs) * (a - b)) for signs in itertools.product([1, -1], repeat=5)]
        assert permutation_test(a, b, "greater", paired=True).p == pytest.approx(np.mean(np.array(null) >= np.mean(a - b) - 1e-12))

    def test_smallest_possible_p(self):
        assert permutation_test([4, 5, 6], [1, 2, 3]).smallest_p == pytest.approx(2 / 20)
        assert permutation_test([4, 5, 6], [1, 2, 3]).verdict == "too few trials"
        assert permutation_test([4, 5, 6], [1, 2, 3], "greater").verdict == "different"  # 1 / 20
        assert permutation_test([5, 6, 7, 8], [1, 2, 3, 4]).verdict == "different"  # 2 / 70
        assert permutation_test([4], [1, 2, 3], "greater").verdict == "too few trials"
        assert permutation_test([1, 1, 1, 1], [1, 1, 1, 1]).verdict == "too few trials"  # ties: p is 1 whatever happens

    def test_sampled_p_is_never_zero(self):
        a, b = np.arange(20.0) + 100, np.arange(20.0)
        result = permutation_test(a, b, "greater")
        assert not result.exact and result.p == result.smallest_p == 1 / 10_000
        assert result == permutation_test(a, b, "greater")

    def test_false_alarms(self):
        draws = np.random.default_rng(7).normal(size=(300, 9))
        alarms = np.mean([permutation_test(draw[:4], draw[4:]).verdict == "different" for draw in draws])
        assert alarms <= 0.05 + 5 * math.sqrt(0.05 * 0.95 / 300)


class TestCounts:
    @given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.0, 1e-4, 0.1, 0.5, 0.9, 1.0]))
    def test_binomial_against_scipy(self, count, more, p):
        n = count + more
        tails = min(stats.binom.cdf(count, n, p), stats.binom.sf(count - 1, n, p)) if n else 1.0
        assert binomial_two_sided(count, n, p) == pytest.approx(min(1.0, 2 * tails), rel=1e-9, abs=1e-300)

    def test_certain_outcomes(self):
        assert binomial_two_sided(0, 9, 0.0) == 1 and binomial_two_sided(1, 9, 0.0) == 0
        assert binomial_two_sided(9, 9, 1.0) == 1 and binomial_two_sided(8, 9, 1.0) == 0
        assert poisson_binomial_two_sided(4, [0.0, 1.0], [3, 4]) == 1
        assert poisson_binomial_two_sided(3, [0.0, 1.0], [3, 4]) < 1e-18  # the bound on what is left out

    @pytest.mark.parametrize("sizes", [[3, 5, 2], [400, 90, 700]])
    def test_poisson_binomial_against_the_full_convolution(self, sizes):
        rates = [0.2, 0.9, 0.55]
        mass = np.ones(1)
        for n, p in zip(sizes, rates, strict=True):
            mass = np.convolve(mass, stats.binom.pmf(np.arange(n + 1), n, p))
        for count in range(0, len(mass), max(1, len(mass) // 60)):
            expected = min(1.0, 2 * min(mass[: count + 1].sum(), mass[count:].sum()))
            # gammaln of n <= 700 is exact to about 700 eps ln 700 relative; cut tails are < 1e-19 absolute
            assert poisson_binomial_two_sided(count, rates, sizes) == pytest.approx(expected, rel=1e-10, abs=1e-18)

    def test_false_alarm_of_the_change_count_by_enumeration(self):
        rates, sizes = [0.3, 0.6], [20, 15]
        mass = np.convolve(*(stats.binom.pmf(np.arange(n + 1), n, p) for n, p in zip(sizes, rates, strict=True)))
        p_values = np.array([poisson_binomial_two_sided(count, rates, sizes) for count in range(36)])
        for alpha in (0.1, 1e-2, 1e-4, 1e-6):
            assert mass[p_values <= alpha].sum() <= alpha

    def test_notices_labels_redrawn_among_the_other_classes_only(self):
        """The classic slip: level 1 changes every label, where 0.9 of them is expected; at n = 1,347 no chance explains it."""
        sizes = np.full(10, 135)
        assert poisson_binomial_two_sided(1350, np.full(10, 0.9), sizes) < 1e-6 < poisson_binomial_two_sided(1215, np.full(10, 0.9), sizes)

    def test_refusals(self):
        with pytest.raises(DataError, match=r"^binomial_two_sided: 0 <= count <= n and p in \[0, 1\] are required, got 5 of 4 at 0\.5\. Count again\.$"):
            binomial_two_sided(5, 4, 0.5)
        with pytest.raises(DataError, match=r"^poisson_binomial_two_sided: one probability in \[0, 1\]"):
            poisson_binomial_two_sided(1, [0.5, 1.5], [2, 2])


class TestG:
    def outcomes(self, law, sizes):
        """Every 2-column table with these row sums, its probability, and its counts."""
        for ones in itertools.product(*(range(n + 1) for n in sizes)):
            probability = math.prod(stats.binom.pmf(one, n, row[1]) for one, n, row in zip(ones, sizes, law, strict=True))
            yield probability, np.array([[n - one, one] for one, n in zip(ones, sizes, strict=True)])

    @pytest.mark.parametrize("law", [[[0.5, 0.5], [0.5, 0.5]], [[0.999, 0.001], [0.2, 0.8]], [[0.95, 0.05], [0.05, 0.95]]])
    @pytest.mark.parametrize("sizes", [(1, 1), (6, 9), (20, 12)])
    def test_never_alarms_too_often_by_enumeration(self, law, sizes):
        found = [(probability, g_test_bound(counts, np.array(law))[1]) for probability, counts in self.outcomes(law, sizes)]
        probabilities, p_values = np.array(found).T
        for alpha in p_values:
            assert probabilities[p_values <= alpha].sum() <= alpha * (1 + 1e-12)

    def test_the_enumeration_notices_the_asymptotic_chi_square(self):
        """The planted bug: Wilks' chi-square law, which does not hold at small n."""
        law = [[0.999, 0.001], [0.999, 0.001]]
        found = [(probability, stats.chi2.sf(g_test_bound(counts, np.array(law))[0], 2)) for probability, counts in self.outcomes(law, (20, 20))]
        probabilities, p_values = np.array(found).T
        assert any(probabilities[p_values <= alpha].sum() > alpha for alpha in p_values)

    @pytest.mark.parametrize("n", [3, 12, 60])
    @pytest.mark.parametrize("p", [0.01, 0.3, 0.5])
    def test_moment_generating_function_is_below_the_gamma_one(self, n, p):
        """Agrawal's theorem at k = 2, by enumeration."""
        for t in (0.1, 0.5, 0.9):
            mean = sum(
                probability * math.exp(t * g_test_bound(counts, np.array([[1 - p, p]]))[0] / 2) for probability, counts in self.outcomes([[1 - p, p]], (n,))
            )
            assert mean <= 1 / (1 - t)

    def test_conservative_for_ten_classes_by_simulation(self):
        """Small, uneven rows, level 1 of label corruption; nominal 0.01, 2,000 tables, none above 5 standard errors."""
        rng, law = np.random.default_rng(8), np.full((10, 10), 0.1)
        sizes = np.arange(1, 11)
        alarms = np.mean([g_test_bound(rng.multinomial(sizes, law), law)[1] <= 0.01 for _ in range(2000)])
        assert alarms <= 0.01 + 5 * math.sqrt(0.01 * 0.99 / 2000)

    def test_power(self):
        """A fifth of 1,350 labels kept, though all should be redrawn, alarms at 1e-6: half G is then near 1350 x 0.11."""
        rng, law = np.random.default_rng(9), np.full((10, 10), 0.1)
        leaking = 0.2 * np.eye(10) + 0.8 * law
        p_values = [g_test_bound(rng.multinomial(np.full(10, 135), leaking), law)[1] for _ in range(50)]
        assert max(p_values) < 1e-6
        honest = [g_test_bound(rng.multinomial(np.full(10, 135), law), law)[1] for _ in range(50)]
        assert min(honest) > 1e-6

    def test_certain_laws(self):
        assert g_test_bound(np.diag([5, 7]), np.eye(2)) == (0.0, 1.0)
        assert g_test_bound(np.array([[5, 1], [0, 7]]), np.eye(2)) == (math.inf, 0.0)
        assert g_test_bound(np.zeros((2, 2), int), np.eye(2)) == (0.0, 1.0)

    def test_agrees_with_scipys_statistic(self):
        counts, law = np.array([[12, 30, 18], [22, 9, 9]]), np.array([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]])
        expected = stats.power_divergence(counts.ravel(), (counts.sum(1, keepdims=True) * law).ravel(), lambda_="log-likelihood").statistic
        assert g_test_bound(counts, law)[0] == pytest.approx(expected)

    def test_refuses_what_is_no_law(self):
        with pytest.raises(DataError, match=r"^g_test_bound: rows of the transition are distributions that sum to 1"):
            g_test_bound(np.eye(2), np.full((2, 2), 0.6))
        with pytest.raises(DataError, match=r"got \(3, 3\) for \(2, 2\)"):
            g_test_bound(np.eye(3), np.eye(2))


def tau_by_loops(x, y, cut):
    """The obvious loop over pairs, by what is known of each: the other route."""
    agreeing, in_x, in_y = 0, 0, 0
    for i, j in itertools.combinations(range(len(x)), 2):
        first = (x[i], math.inf) if cut[i] else (x[i], x[i])  # the true x lies here, a bound itself excluded
        second = (x[j], math.inf) if cut[j] else (x[j], x[j])
        rises = (second[0] > first[1] or (cut[j] and not cut[i] and second[0] >= first[1])) - (
            first[0] > second[1] or (cut[i] and not cut[j] and first[0] >= second[1])
        )
        if rises or not (cut[i] or cut[j]):
            up = (y[j] > y[i]) - (y[j] < y[i])
            agreeing, in_x, in_y = agreeing + rises * up, in_x + abs(rises), in_y + abs(up)
    return agreeing / math.sqrt(in_x * in_y) if in_x and in_y else math.nan


class TestKendall:
    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=15))
    def test_agrees_with_scipy_where_nothing_is_censored(self, points):
        x, y = zip(*points, strict=True)
        assert kendall_tau(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12, nan_ok=True)

    def test_agrees_with_scipy_on_many_values(self):
        x, y = np.random.default_rng(0).normal(size=(2, 500))
        assert kendall_tau(x, x + y) == pytest.approx(stats.kendalltau(x, x + y).statistic, abs=1e-12)

    @given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=12))
    def test_agrees_with_the_obvious_loop_where_some_are_censored(self, points):
        x, y, cut = (list(each) for each in zip(*points, strict=True))
        assert kendall_tau(x, y, cut) == pytest.approx(tau_by_loops(x, y, cut), abs=1e-12, nan_ok=True)

    def test_pairs_of_unknown_order_do_not_count(self):
        x, y = [10, 20, 15, 15], [0.1, 0.5, 0.9, 0.0]
        cut = [False, False, True, True]  # known: 10 < 20, 10 < both censored; the first two agree, the last does not
        assert kendall_tau(x, y, cut) == pytest.approx(1 / 3)
        assert kendall_tau(x, y) == pytest.approx((3 - 2) / math.sqrt(5 * 6))  # the planted bug: bounds taken for values
        assert kendall_tau([5, 5], [1, 2], [False, True]) == 1.0  # not there at 5 is later than there at 5
        assert math.isnan(kendall_tau([5, 6], [1, 2], [True, True]))
        assert math.isnan(kendall_tau([1.0], [1.0])) and math.isnan(kendall_tau([1, 1], [1, 2]))

    def test_a_heavily_censored_sample_keeps_its_sign(self):
        """Complete tau of these normal pairs is 0.67; cut at the median, the known pairs still say it (5 s.e. of 300: 0.14)."""
        x, noise = np.random.default_rng(3).normal(size=(2, 300))
        cut = x > 0
        assert kendall_tau(np.minimum(x, 0), x + 0.6 * noise, cut) == pytest.approx(2 / math.pi * math.asin(1 / math.hypot(1, 0.6)), abs=0.14)

    def test_the_resampling_is_the_one_of_whole_clusters(self):
        """Drawn with a planted generator, the interval is the tau of the copied points, a cluster and its copy kept apart."""
        rng = np.random.default_rng(1)
        x, y, clusters = rng.normal(size=12), rng.normal(size=12), [i // 2 for i in range(12)]
        times = [2, 1, 0, 1, 1, 1]

        class Planted:
            def multinomial(self, n, p, size):
                return np.array([times, [1] * 6])

        pairs = [(i, j, times[clusters[i]] * (times[clusters[j]] if clusters[i] != clusters[j] else 1)) for i, j in itertools.combinations(range(12), 2)]
        signs = sum(weight * np.sign((x[i] - x[j]) * (y[i] - y[j])) for i, j, weight in pairs)
        expected, whole = signs / sum(weight for *_, weight in pairs), kendall_tau(x, y)
        found = kendall_interval(x, y, clusters, level=0.5, rng=Planted())
        assert found.estimate == pytest.approx(whole, abs=1e-12)
        assert (found.low, found.high) == pytest.approx(np.quantile([expected, whole], [0.25, 0.75]), abs=1e-12)

    @pytest.mark.parametrize(("clusters", "size"), [(5, 1), (5, 3), (11, 1), (11, 3)])
    def test_coverage(self, clusters, size):
        """Of normal pairs with correlation 0.5, all clusters and their members alike: what the docstring says, 91 to 100 %."""
        rng = np.random.default_rng([clusters, size])
        tau, covered, trials = 2 / math.pi * math.asin(0.5), 0, 200
        which = list(np.repeat(np.arange(clusters), size))
        for _ in range(trials):
            shared, own = (rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], n) for n in (clusters, clusters * size))
            x, y = (math.sqrt(0.7) * shared[which] + math.sqrt(0.3) * own).T
            found = kendall_interval(x, y, which)
            covered += found.low <= tau <= found.high
            assert found.low <= found.estimate <= found.high
        assert covered / trials >= 0.91 - 5 * math.sqrt(0.91 * 0.09 / trials)

    def test_replicates_taken_for_independent_would_say_too_much(self):
        """Twelve configurations with five all but identical replicates each: the naive interval is far too narrow."""
        rng = np.random.default_rng(2)
        x, y = np.repeat(rng.normal(size=(2, 12)), 5, axis=1) + 1e-3 * rng.normal(size=(2, 60))
        honest, naive = kendall_interval(x, y, [i // 5 for i in range(60)]), kendall_interval(x, y, list(range(60)))
        assert honest.estimate == naive.estimate and honest.n == 12
        assert honest.width > 1.6 * naive.width  # sqrt(5) = 2.2 times as wide, were both normal

    def test_what_gives_no_interval(self):
        few = kendall_interval([1, 2, 3, 4], [1, 2, 3, 4], list("abcd"))
        assert (few.estimate, few.low, few.high, few.method, few.n) == (1.0, -1.0, 1.0, "too few configurations", 4)
        tied = kendall_interval([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], list("abcde"))
        assert math.isnan(tied.estimate) and (tied.low, tied.high, tied.method) == (-1.0, 1.0, "tied")

    @pytest.mark.parametrize("sign", [1, -1])
    def test_perfect_agreement_is_no_certainty(self, sign):
        found = kendall_interval(range(11), [sign * i for i in range(11)], list(range(11)))
        bound = 2 * 0.025 ** (1 / 5) - 1  # five disjoint pairs all agree
        assert (found.low, found.high) == pytest.approx((bound, 1.0) if sign == 1 else (-1.0, -bound))
        assert (found.estimate, found.method) == (sign, "disjoint pairs")

    def test_the_same_numbers_give_the_same_interval(self):
        x, y = np.random.default_rng(0).normal(size=(2, 20))
        assert kendall_interval(x, y, list(range(20))) == kendall_interval(x, y, list(range(20)))

    def test_refusals(self):
        with pytest.raises(DataError, match=r"^kendall_tau: as many values on both sides are required, got 2, 1 and 2 flags\. Take them from the same rows\.$"):
            kendall_tau([1, 2], [1])
        with pytest.raises(DataError, match=r"^kendall_interval: one cluster a point is required, got 1 for 2\. Pass both of the same rows\.$"):
            kendall_interval([1, 2], [1, 2], ["a"])
        with pytest.raises(DataError, match=r"^kendall_interval: level is a confidence in \(0, 1\), got 1\. Use 0\.95, say\.$"):
            kendall_interval([1, 2], [1, 2], ["a", "b"], level=1)
        with pytest.raises(DataError, match=r"^kendall_tau: finite numbers are required, got nan\."):
            kendall_tau([1, math.nan], [1, 2])


class TestSameCounts:
    @pytest.mark.parametrize("sizes", [[3, 3], [2, 4], [2, 2, 2], [1, 2, 3], [0, 2, 4]])
    @pytest.mark.parametrize("level", [0.0, 0.3, 0.8, 1.0])
    def test_never_below_the_probability_by_enumeration(self, sizes, level):
        k, true = len(sizes), np.repeat(np.arange(len(sizes)), sizes)
        transition = (1 - level) * np.eye(k) + level / k
        outcomes = (np.array(new) for new in itertools.product(range(k), repeat=len(true)))
        exact = sum(transition[true, new].prod() for new in outcomes if (np.bincount(new, minlength=k) == sizes).all())
        assert same_counts_bound(sizes, transition) >= exact - 1e-12

    @pytest.mark.parametrize("k", [2, 3, 10])
    def test_of_equal_classes_that_are_all_redrawn_it_is_the_probability(self, k):
        assert same_counts_bound([7] * k, np.full((k, k), 1 / k)) == pytest.approx(stats.multinomial.pmf([7] * k, 7 * k, [1 / k] * k), rel=1e-9)

    def test_labels_that_follow_from_the_class_always_may_keep_their_counts(self):
        assert same_counts_bound([50, 50], np.eye(2)) == same_counts_bound([50, 50], np.eye(2)[::-1]) == 1.0
