"""The permutation test of an audit: the score on true labels among the scores on permuted ones."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.core import Row
from shatterlab.statistics.permutations import monte_carlo_test, significant, smallest_significant, stopping_count


@dataclass(frozen=True, eq=False)
class NullTest:
    """The score on true labels, and the scores after the training labels were permuted.

    Args:
        score: the test score of the first replicate on true labels.
        null: the test score of each permutation on the same split, in order; a permutation whose trial failed counts as infinite.
        exceedances: permutations that scored at least as high.
        p: the p-value, in (0, 1]; P(p <= alpha) <= alpha where training labels say nothing about test labels.
        planned: permutations at most.
        stopped: whether fewer decided it.
        smallest_p: the smallest p-value that could have come out.
        level: 1 - the largest p-value that counts as significant.
    """

    score: float
    null: np.ndarray[Any, np.dtype[np.float64]]
    exceedances: int
    p: float
    planned: int
    stopped: bool
    smallest_p: float
    level: float = 0.95

    @property
    def significant(self) -> bool:
        """Whether the score is more than permuted labels give."""
        return self.p <= significant(self.level)

    @property
    def decided(self) -> bool:
        """Whether it has ended: no further permutation is needed."""
        return self.stopped or len(self.null) >= self.planned

    @property
    def detectable(self) -> float | None:
        """A score above this one would have been significant; None where no score would."""
        return None if self.smallest_p > significant(self.level) else smallest_significant(self.null, self.level)


def null_test(rows: Iterable[Row], planned: int, score: str = "test.accuracy", level: float = 0.95, least: float = 0.0) -> NullTest | None:
    """The permutation test of one model; sequential, so that its result does not depend on how many permutations were run ahead.

    The null are the rows of `PermutedLabels`, of those that permute all labels, whose data seed is that of the first replicate, in the order of their
    corruption seeds.

    Args:
        rows: of one model.
        planned: permutations at most, >= 1.
        score: the column of the score, larger is better.
        level: 1 - the largest p-value that counts as significant, in (0, 1).
        least: a bound on p, 1 over the arrangements of the labels.

    Returns:
        The test; None where the first replicate on true labels, or every permutation, is missing.

    Source:
        Besag, Clifford 1991, "Sequential Monte Carlo p-values".
    """
    known = [row for row in rows if row["status"] in ("ok", "diverged", "failed")]
    true = [row for row in known if row["corruption.kind"] == "PartialLabels" and row["corruption.level"] == 0 and isinstance(row.get(score), float)]
    if not true:
        return None
    first = min(true, key=lambda row: int(str(row["seeds.data"])))
    whole = [row for row in known if row["corruption.kind"] == "PermutedLabels" and row.get("corruption.level") in (None, 1)]
    permuted = [row for row in whole if row["seeds.data"] == first["seeds.data"]]
    permuted.sort(key=lambda row: int(str(row["seeds.corruption"])))
    draws = [float(value) if isinstance(value := row.get(score), float) and math.isfinite(value) else math.inf for row in permuted[:planned]]
    if not draws:
        return None
    observed = float(str(first[score]))
    test = monte_carlo_test(observed, draws, planned, stopping_count(planned, level))
    return NullTest(observed, test.null, test.exceedances, max(test.p, least), planned, test.stopped, max(1 / (planned + 1), least), level)
