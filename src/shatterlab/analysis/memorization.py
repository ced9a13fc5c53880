"""How much each training example is memorized, and what it does for the prediction of another: rows in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.analysis.replicates import ended_well, unique
from shatterlab.core import Row
from shatterlab.core.errors import DataError
from shatterlab.statistics import Interval, t_interval
from shatterlab.statistics.two_shares import share_difference, share_difference_bounds

MEMORIZED = 0.25  # a score above it counts as memorized (Feldman and Zhang's threshold)
EXACT = "measure.LeaveOneOut.memorization_scores"
_INSIDE, _CORRECT = "fit.inside", "fit.correct"

Numbers = np.ndarray[Any, np.dtype[np.float64]]
Whole = np.ndarray[Any, np.dtype[np.int64]]
Bits = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class MemorizationScores:
    """The memorization of every example: how much more often a fit is right on it when it was trained on it.

    Args:
        values: mem(i) in [-1, 1], NaN where an example was never inside or never outside; shape (n,).
        standard_errors: of the values; 0 where they are exact.
        inside: fits that were trained on the example.
        outside: fits that were not.
        inside_correct: those of `inside` that are right on it.
        outside_correct: likewise of `outside`.
        differences: of each fit, accuracy inside minus accuracy outside; none where values are exact.
        trials: the fits.
        left_out: fits that failed or diverged.
        exact: whether the values are 1[fit correct] - 1[leave-one-out prediction correct], without sampling.
    """

    values: Numbers
    standard_errors: Numbers
    inside: Whole
    outside: Whole
    inside_correct: Whole
    outside_correct: Whole
    differences: tuple[float, ...] = ()
    trials: int = 1
    left_out: int = 0
    exact: bool = False

    @property
    def known(self) -> Bits:
        """The examples that have a value."""
        return ~np.isnan(self.values)

    @property
    def mean(self) -> Interval:
        """Mean memorization: accuracy inside minus accuracy outside, which for exact values is training minus leave-one-out accuracy."""
        if self.exact:
            mean = float(self.values.mean())
            return Interval(mean, mean, mean, 0.95, "exact", len(self.values))
        return t_interval(self.differences)

    def count(self, above: float = MEMORIZED, level: float = 0.95) -> Interval:
        """How many examples have a memorization above a threshold.

        The interval speaks for all examples at once: its low end counts those whose lower bound lies above the threshold, its high end those whose upper bound
        does, with bounds that are all right with probability `level` (Bonferroni over the examples).

        Args:
            above: the threshold, in [-1, 1).
            level: in (0, 1).
        """
        known = self.known
        estimate = int((self.values[known] > above).sum())
        if self.exact or not known.any():
            return Interval(estimate, estimate, estimate, level, "exact" if self.exact else "no values", int(known.sum()))
        x, n, y, m = (each[known] for each in (self.inside_correct, self.inside, self.outside_correct, self.outside))
        low, high = share_difference_bounds(x, n, y, m, (1 - level) / (2 * len(x)))
        return Interval(estimate, int((low > above).sum()), int((high > above).sum()), level, "Clopper-Pearson, all examples at once", int(known.sum()))

    def most(self, count: int) -> list[int]:
        """The places of the most memorized examples, of those above 0, the most memorized first; of equal ones the more certain, then the first."""
        order = np.lexsort((np.arange(len(self.values)), self.standard_errors, -np.where(self.known, self.values, -np.inf)))
        return [int(i) for i in order[:count] if self.values[i] > 0]


def memorization_scores(rows: Iterable[Row]) -> MemorizationScores:
    """The memorization of every example, exact where a row has leave-one-out scores, else sampled.

    mem(i) = P[correct on i | i inside] - P[correct on i | i outside] over subsets and seeds, by the two observed shares; given which fits have i inside, these
    are independent draws.

    Args:
        rows: of one learner `OnSubset` on one sample, or one row with the measure `LeaveOneOut`.

    Raises:
        DataError: no row has either, or the samples differ.

    Source:
        Feldman, Zhang 2020, equations 1 and 2.

    Example:
        >>> bits = lambda *values: np.packbits(np.array(values, dtype=bool))
        >>> fits = [({"inside": bits(1, 0), "correct": bits(1, 0)}), ({"inside": bits(0, 1), "correct": bits(0, 1)})]
        >>> rows = [Row({"key": f"{r}", "train.n": 2}, arrays={f"fit.{name}": b for name, b in fit.items()}) for r, fit in enumerate(fits)]
        >>> memorization_scores(rows).values.tolist()
        [1.0, 1.0]
    """
    rows = unique(rows)
    exact = next((row for row in rows if EXACT in row.arrays), None)
    if exact is not None:
        values = np.asarray(exact.arrays[EXACT], dtype=np.float64)
        ones = np.ones(len(values), dtype=np.int64)
        return MemorizationScores(values, np.zeros(len(values)), ones, ones, ones, ones, exact=True)
    inside, correct, left_out = _bits(rows)
    counts = inside.sum(0), (~inside).sum(0), (inside & correct).sum(0), (~inside & correct).sum(0)
    values, errors = share_difference(counts[2], counts[0], counts[3], counts[1])
    eligible = inside.any(0)
    shares = [(right[trained].mean(), right[eligible & ~trained].mean()) for trained, right in zip(inside, correct, strict=True)]
    differences = tuple(float(a - b) for a, b in shares)
    return MemorizationScores(values, errors, *counts, differences, len(inside), left_out)


def influence(rows: Iterable[Row], on: Sequence[int]) -> tuple[Numbers, Numbers]:
    """What training on example i does for the prediction of example j: P[correct on j | i inside] - P[correct on j | i outside].

    Only fits that do not have j inside count, so that j is a test example.

    Args:
        rows: as `memorization_scores` takes them, sampled.
        on: places j in the sample, held-out ones best.

    Returns:
        Influence in [-1, 1] and its standard error, n x len(on); NaN where no fit tells, and for i = j.

    Raises:
        DataError: no row has sampled fits, the samples differ, or a place is outside the sample.

    Source:
        Feldman, Zhang 2020, equation 3.
    """
    inside, correct, _ = _bits(unique(rows))
    places = np.asarray(on, dtype=np.int64)
    n = inside.shape[1]
    if places.ndim != 1 or ((places < 0) | (places >= n)).any():
        raise DataError(f"influence: places of the sample in 0..{n - 1} are required, got {list(on)}. Count from 0.")
    unseen = ~inside[:, places]
    right = unseen & correct[:, places]
    with_i, without_i = (side.astype(np.float64).T for side in (inside, ~inside))
    return share_difference(with_i @ right, with_i @ unseen, without_i @ right, without_i @ unseen)


def worst_error(trials: int, share: float) -> float:
    """A bound on the root mean squared error of a sampled memorization, whatever the learner: its mean square is at most 1/(pt) + 1/((1-p)t) + e^(-pt/16)/2.

    Args:
        trials: t, >= 1.
        share: of the examples inside, in (0, 1); p is the smaller of it and its complement.

    Source:
        Feldman, Zhang 2020, lemma 2.1.

    Example:
        >>> round(worst_error(500, 0.7), 3)
        0.098
    """
    p = min(share, 1 - share)
    return math.sqrt(1 / (p * trials) + 1 / ((1 - p) * trials) + math.exp(-p * trials / 16) / 2)


def needed_trials(error: float, share: float) -> int:
    """The fewest trials at which `worst_error` is at most so large.

    Args:
        error: in (0, 1].
        share: as in `worst_error`.

    Example:
        >>> needed_trials(0.1, 0.7), needed_trials(0.2, 0.7)
        (480, 189)
    """
    high = 1
    while worst_error(high, share) > error:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if worst_error(middle, share) <= error else (middle, high)
    return high


def _bits(rows: Sequence[Row]) -> tuple[Bits, Bits, int]:
    """Which examples each fit was trained on and which it is right on, trials x n, and how many trials are left out."""
    good = [row for row in rows if ended_well(row) and _INSIDE in row.arrays]
    sizes = {int(str(row["train.n"])) for row in good}
    prints = {row.get("check.train_fingerprint") for row in good}
    if not good:
        failed = next((str(row["error"]) for row in rows if row.get("error")), "none has")
        raise DataError(f"memorization: at least one trial of OnSubset that ended well is required, got {len(rows)} rows ({failed}). Look at their errors.")
    if len(sizes) > 1 or len(prints) > 1:
        raise DataError(f"memorization: one sample for all trials is required, got {max(len(sizes), len(prints))}. Keep the data and the corruption seed.")
    n = sizes.pop()
    inside, correct = (np.stack([np.unpackbits(row.arrays[name], count=n) for row in good]).astype(bool) for name in (_INSIDE, _CORRECT))
    return inside, correct, len(rows) - len(good)
