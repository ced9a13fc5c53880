"""P-values that hold at small n: permutations, counts, bounds for tables and samples, paired t tests corrected for being several."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import special

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Values, confidence, numbers

_EXACT_UP_TO = 20_000  # rearrangements that are all visited
_RESAMPLES = 9_999
_DROPPED = 1e-20  # probability left out at the ends of a count's distribution
Alternative = Literal["two-sided", "less", "greater"]
Verdict = Literal["different", "undecided", "too few trials"]


@dataclass(frozen=True)
class Significance:
    """The answer of a permutation test.

    Args:
        verdict: "different", "undecided", or "too few trials" where no outcome could have been significant.
        p: the p-value, never 0.
        smallest_p: the smallest p-value that these sample sizes and values can give.
        statistic: mean(a) - mean(b).
        exact: whether every rearrangement was visited.
    """

    verdict: Verdict
    p: float
    smallest_p: float
    statistic: float
    exact: bool


def permutation_test(
    a: Values, b: Values, alternative: Alternative = "two-sided", level: float = 0.95, *, paired: bool = False, rng: np.random.Generator | None = None
) -> Significance:
    """Whether mean(a) - mean(b) is larger than rearranging the values can explain.

    All rearrangements where there are at most 20,000 (p = C / N, the observed one counted), else 9,999 random ones with p = (C + 1) / (N + 1).

    Args:
        a: one number a replicate.
        b: the replicates under the other condition.
        alternative: "greater" asks whether a is larger, "less" whether it is smaller.
        level: 1 - the largest p-value that is called significant, in (0, 1).
        paired: exchange values within pairs only (same seeds) instead of among all.
        rng: draws the rearrangements where there are too many; None: a fixed generator.

    Raises:
        DataError: no value, a value that is not finite, pairs of unequal length, or a level outside (0, 1).

    Source:
        Phipson, Smyth 2010, "Permutation p-values should never be zero".

    Example:
        >>> result = permutation_test([5, 6, 7, 8], [1, 2, 3, 4], "greater")  # 1 of C(8, 4) = 70 is as large
        >>> round(result.p * 70, 9), result.verdict
        (1.0, 'different')
    """
    first, second = numbers(a, "permutation_test"), numbers(b, "permutation_test")
    confidence(level, "permutation_test")
    if paired and len(first) != len(second):
        raise DataError(f"permutation_test: pairs are required, got {len(first)} and {len(second)} values. Pair them by seeds.")
    if min(len(first), len(second)) < 2 - paired:
        return Significance("too few trials", 1.0, 1.0, float(first.mean() - second.mean()), True)
    total = 2 ** len(first) if paired else math.comb(len(first) + len(second), len(first))
    exact = total <= _EXACT_UP_TO
    statistic, null = _rearranged(first, second, paired, exact, rng or np.random.default_rng(0))
    p, smallest = _tail(null, statistic, alternative, exact), _smallest(null, alternative, exact)
    verdict: Verdict = "too few trials" if smallest > 1 - level else "different" if p <= 1 - level else "undecided"
    return Significance(verdict, p, smallest, statistic, exact)


def _rearranged(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], paired: bool, exact: bool, rng: np.random.Generator) -> tuple[float, np.ndarray[Any, Any]]:
    from scipy import stats  # half a second to import

    def statistic(x: Any, y: Any, axis: int = -1) -> Any:
        return np.mean(x, axis=axis) - np.mean(y, axis=axis)

    kind: Literal["samples", "independent"] = "samples" if paired else "independent"
    resamples = _EXACT_UP_TO if exact else _RESAMPLES  # scipy visits all where there are no more than it may
    result = stats.permutation_test((a, b), statistic, permutation_type=kind, vectorized=True, n_resamples=resamples, random_state=rng)
    return float(result.statistic), np.asarray(result.null_distribution)


def _tail(null: np.ndarray[Any, Any], statistic: float, alternative: Alternative, exact: bool) -> float:
    slack = 1e-12 * float(np.abs(null).max(initial=abs(statistic)))  # equal sums in another order differ by rounding
    counts = {"greater": int((null >= statistic - slack).sum()), "less": int((null <= statistic + slack).sum())}
    count = min(counts.values()) if alternative == "two-sided" else counts[alternative]
    return _doubled(count / len(null) if exact else (count + 1) / (len(null) + 1), alternative)


def _smallest(null: np.ndarray[Any, Any], alternative: Alternative, exact: bool) -> float:
    return min(_tail(null, extreme, alternative, exact) for extreme in (null.min(), null.max())) if exact else _doubled(1 / (len(null) + 1), alternative)


def _doubled(p: float, alternative: Alternative) -> float:
    return min(1.0, 2 * p) if alternative == "two-sided" else p


def binomial_two_sided(count: int, n: int, p: float) -> float:
    """The exact p-value of a count under Binomial(n, p): twice the smaller tail, at most 1.

    Args:
        count: successes seen, 0 .. n.
        n: trials, >= 0.
        p: probability of a success under the hypothesis, in [0, 1].

    Returns:
        In [0, 1]; 0 where the count is impossible under p = 0 or p = 1.

    Raises:
        DataError: the count or the probability is out of range.

    Example:
        >>> binomial_two_sided(0, 10, 0.5) == 2 / 2**10
        True
    """
    if not (0 <= count <= n and 0 <= p <= 1):
        raise DataError(f"binomial_two_sided: 0 <= count <= n and p in [0, 1] are required, got {count} of {n} at {p}. Count again.")
    at_least = 1.0 if count == 0 else float(special.betainc(count, n - count + 1, p))
    at_most = 1.0 if count == n else float(special.betaincc(count + 1, n - count, p))
    return min(1.0, 2 * min(at_least, at_most))


def poisson_binomial_two_sided(count: int, probabilities: Values, sizes: Sequence[int] | np.ndarray[Any, Any]) -> float:
    """The exact p-value of a count that is a sum of binomials, one a class: twice the smaller tail, at most 1.

    Binomials are convolved, each cut where less than 1e-20 of its probability is left (Bernstein's inequality), which is added to the p-value.

    Args:
        count: successes seen over all classes.
        probabilities: of a success in each class, in [0, 1].
        sizes: trials in each class, >= 0.

    Raises:
        DataError: the lengths differ, or the count or a probability is out of range.

    Example:
        >>> poisson_binomial_two_sided(0, [0.5, 0.5], [4, 6]) == binomial_two_sided(0, 10, 0.5)
        True
    """
    rates, trials = numbers(probabilities, "poisson_binomial_two_sided"), np.asarray(sizes, dtype=np.int64)
    if rates.shape != trials.shape or trials.min() < 0 or not 0 <= count <= trials.sum() or rates.min() < 0 or rates.max() > 1:
        required = "one probability in [0, 1] and one size >= 0 a class and a count within their sum are required"
        raise DataError(f"poisson_binomial_two_sided: {required}, got {count} of {trials.tolist()} at {rates.tolist()}. Count again.")
    distinct, which = np.unique(rates, return_inverse=True)
    totals = np.bincount(which.ravel(), weights=trials).astype(np.int64)
    if len(distinct) == 1:
        return binomial_two_sided(count, int(totals[0]), float(distinct[0]))
    offset, mass = 0, np.ones(1)
    for n, p in zip(totals, distinct, strict=True):
        start, part = _binomial_mass(int(n), float(p))
        offset, mass = offset + start, np.convolve(mass, part)
    position = count - offset
    at_most, at_least = mass[: max(0, position + 1)].sum(), mass[max(0, position) :].sum()
    return float(min(1.0, 2 * (min(at_most, at_least) + len(distinct) * _DROPPED)))


def _binomial_mass(n: int, p: float) -> tuple[int, np.ndarray[Any, Any]]:
    exponent = math.log(2 / _DROPPED)
    reach = exponent / 3 + math.sqrt(exponent**2 / 9 + 2 * n * p * (1 - p) * exponent)
    low, high = (0, n) if 0 < p < 1 else (n * round(p),) * 2
    kept = np.arange(max(low, math.floor(n * p - reach)), min(high, math.ceil(n * p + reach)) + 1)
    ways = special.gammaln(n + 1) - special.gammaln(kept + 1) - special.gammaln(n - kept + 1)
    return int(kept[0]), np.exp(ways + special.xlogy(kept, p) + special.xlog1py(n - kept, -p))


def g_test_bound(counts: np.ndarray[Any, Any], transition: np.ndarray[Any, Any]) -> tuple[float, float]:
    """The G statistic of a table against known row laws, and a p-value that is never too small at any n.

    G = 2 sum_i n_i KL(p_i || T_i), p_i the observed shares of row i. With D = sum_i (m_i - 1) over rows that occur, m_i the cells that T_i allows, P(G / 2 >=
    x) <= exp(-x) (e x / D)^D for x > D.

    Args:
        counts: (true class, new class) counts, k x k, >= 0.
        transition: T_ij = P(new class j | true class i), rows sum to 1.

    Returns:
        G (infinite where a cell of probability 0 was seen) and the bound on its p-value, in [0, 1].

    Raises:
        DataError: the shapes differ, a count is negative, or a row of the transition is no distribution.

    Source:
        Agrawal 2020, "Finite-sample concentration of the multinomial in relative entropy"; the tail is Chernoff's bound with its moment generating function.

    Example:
        >>> g, p = g_test_bound(np.diag([50, 50]), np.full((2, 2), 0.5))  # all labels kept; a fair coin has G = 200 ln 2
        >>> round(g / (200 * math.log(2)), 9), p < 1e-20
        (1.0, True)
    """
    observed, law = np.asarray(counts, dtype=np.float64), np.asarray(transition, dtype=np.float64)
    if observed.shape != law.shape or observed.ndim != 2 or observed.min() < 0:
        raise DataError(f"g_test_bound: a table of counts in the shape of the transition is required, got {observed.shape} for {law.shape}. Count again.")
    if law.min() < 0 or not np.allclose(law.sum(1), 1, atol=1e-9):
        raise DataError("g_test_bound: rows of the transition are distributions that sum to 1, got others. Fix the corruption's `transition`.")
    if ((law == 0) & (observed > 0)).any():
        return math.inf, 0.0
    n = observed.sum(1, keepdims=True)
    expected = np.where(observed > 0, n * law, 1.0)
    half = max(0.0, float(special.xlogy(observed, np.where(observed > 0, observed, 1.0) / expected).sum()))  # rounding may leave -1e-13
    freedom = int((law[n[:, 0] > 0] > 0).sum() - (n > 0).sum())
    return 2 * half, _gamma_tail_bound(half, freedom)


def _gamma_tail_bound(x: float, shape: int) -> float:
    if x <= shape:
        return 1.0
    if shape == 0:
        return 1.0 if x < 1e-9 else 0.0  # only rounding separates x from 0 where every row is certain
    return min(1.0, math.exp(shape - x + shape * math.log(x / shape)))


def same_counts_bound(counts: Sequence[int] | np.ndarray[Any, Any], transition: np.ndarray[Any, Any]) -> float:
    """A bound on the probability that redrawing every label by itself leaves each class as large as it was.

    With u_j = min_i T_ij, each label is drawn with probability L = sum u from the law u / L, which does not ask for its class. Given the other labels and R ~
    Binomial(n, L), the counts have at most the probability of the mode of Multinomial(R, u / L), which falls as R grows.

    Args:
        counts: labels in each class, >= 0.
        transition: T_ij = P(new class j | old class i), rows sum to 1.

    Returns:
        In [0, 1]; about k^(k/2) (2 pi n)^(-(k-1)/2) for uniform draws from k classes, 1 where the new label always depends on the old one.

    Example:
        >>> round(same_counts_bound([2, 2], np.full((2, 2), 0.5)), 9)  # 4 fair coins show two heads and two tails in 6 of 16 ways
        0.375
    """
    sizes = np.asarray(counts)
    n, common = int(sizes.sum()), np.asarray(transition, dtype=np.float64)[sizes > 0].min(0)
    share = min(1.0, float(common.sum()))
    fewest = n if share > 1 - 1e-9 else max(0, math.floor(n * share - 6 * math.sqrt(n * share * (1 - share))))
    missed = float(special.bdtr(fewest - 1, n, share)) if 0 < fewest < n else 0.0
    return 1.0 if fewest == 0 else min(1.0, missed + _largest_mass(fewest, common / common.sum()))


def _largest_mass(n: int, law: np.ndarray[Any, Any]) -> float:
    """The probability of the mode of Multinomial(n, law): each further draw goes where law_j / (x_j + 1) is largest."""
    mode = np.floor(n * law)
    for _ in range(n - int(mode.sum())):
        mode[np.argmax(law / (mode + 1))] += 1
    return float(np.exp(special.gammaln(n + 1) + (special.xlogy(mode, law) - special.gammaln(mode + 1)).sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: rejecting those <= alpha controls the family-wise error rate at alpha.

    The i-th smallest of m is multiplied by m - i + 1, at least as large as the one before it, and cut at 1. No independence is assumed.

    Args:
        p_values: in [0, 1].

    Returns:
        The adjusted ones, in the order of `p_values`.

    Raises:
        DataError: one lies outside [0, 1].

    Source:
        Holm 1979, "A simple sequentially rejective multiple test procedure".

    Example:
        >>> holm([0.01, 0.04, 0.03])  # 3 x 0.01, then 2 x 0.03, then the largest, which stays at least as large
        [0.03, 0.06, 0.06]
    """
    wrong = [p for p in p_values if not 0 <= p <= 1]
    if wrong:
        raise DataError(f"holm: p-values in [0, 1] are required, got {wrong[0]!r}. Leave out effects that were not tested.")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def t_test(values: Values) -> float:
    """The two-sided p-value of Student's test that the mean of independent values (differences of pairs, say) is 0.

    Args:
        values: one number a replicate, at least two.

    Returns:
        In [0, 1]; 1 where all values are equal: a tie tells nothing of the spread.

    Raises:
        DataError: fewer than two values, or one that is not finite.

    Source:
        Student 1908.

    Example:
        >>> round(t_test([1.0, 2.0, 3.0]), 4)  # t = 2 / (1 / sqrt 3) = 3.4641 with 2 degrees of freedom
        0.0742
    """
    array = numbers(values, "t_test")
    if len(array) < 2:
        raise DataError(f"t_test: at least two values are required, got {len(array)}. Run more replicates.")
    mean, error = float(array.mean()), float(array.std(ddof=1)) / math.sqrt(len(array))
    if np.ptp(array) == 0:
        return 1.0
    return float(2 * special.stdtr(len(array) - 1, -abs(mean / error)))


def detectable(deviation: float, n: int, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest mean difference that a two-sided t test of n pairs would find with this power.

    Args:
        deviation: standard deviation of the differences, >= 0.
        n: pairs, >= 2.
        level: 1 - the size of the test, in (0, 1).
        power: probability of finding it, in (1 - level, 1).

    Returns:
        In the unit of the deviation.

    Raises:
        DataError: fewer than two pairs, or a number out of range.

    Source:
        Cohen 1988, chapter 2; the power is that of the noncentral t distribution, not of the normal approximation.

    Example:
        >>> round(detectable(1.0, 8), 3)  # 8 pairs find a difference of 1.16 deviations four times in five
        1.156
    """
    confidence(level, "detectable")
    if n < 2 or not deviation >= 0 or not 1 - level < power < 1:
        required = "n >= 2 pairs, a deviation >= 0 and a power in (1 - level, 1) are required"
        raise DataError(f"detectable: {required}, got {n}, {deviation!r} and {power!r}. Run more replicates, or ask for another power.")
    return float(deviation) / math.sqrt(n) * _shift(n - 1, level, power)


@functools.cache
def _shift(freedom: int, level: float, power: float) -> float:
    edge = float(special.stdtrit(freedom, (1 + level) / 2))
    deviations = np.sqrt(2 * special.gammaincinv(freedom / 2, (np.arange(20_000) + 0.5) / 20_000) / freedom)  # middles of equally likely ranges
    high = 2.0
    while _power(high, edge, deviations) < power:
        high *= 2
    from scipy import optimize  # slow to import, and needed here only

    return float(optimize.brentq(lambda shift: _power(shift, edge, deviations) - power, 0.0, high, xtol=1e-9))


def _power(shift: float, edge: float, deviations: np.ndarray[Any, Any]) -> float:
    """P(|T| > edge) = P(Z + shift > edge s) + P(Z + shift < -edge s) over the deviation s, by the midpoint rule, which errs by less than 1e-4."""
    return float((special.ndtr(shift - edge * deviations) + special.ndtr(-shift - edge * deviations)).mean())
