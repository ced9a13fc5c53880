"""Permutation tests of a costly statistic: which labels may change places, in how many ways, and p after as few draws as decide it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import confidence

Whole = np.ndarray[Any, Any]  # whole numbers, one an example
_COUNTED_UP_TO = 1e15  # arrangements, exact in float64
_EXCEEDANCES = 10  # at least, before a sequential test stops: p then has a relative error of a third


@dataclass(frozen=True, eq=False)
class Exchange:
    """Which labels may change places: examples of one unit share a label and move together, units stay inside their cell.

    Args:
        units: the unit of each example, 0 .. u - 1.
        first: the first example of each unit.
        cells: the units of each cell, in the order of time where labels are shifted.
        shifted: rotate the labels of a cell instead of permuting them.

    Example:
        >>> exchange = Exchange.of(np.arange(4), np.zeros(4, int))
        >>> exchange.arrangements(np.array([0, 0, 1, 1]))  # 4! / (2! 2!)
        6.0
    """

    units: Whole
    first: Whole
    cells: tuple[Whole, ...]
    shifted: bool = False

    @classmethod
    def of(cls, units: Whole, cells: Whole, time: Whole | None = None) -> Exchange:
        """The exchange inside cells.

        Args:
            units: the unit of each example, 0 .. u - 1.
            cells: the cell of each example, one for all examples of a unit.
            time: the rank of each example in time: labels are then shifted circularly in that order, not permuted.
        """
        _, first = np.unique(units, return_index=True)
        order = np.lexsort((first if time is None else time[first], cells[first]))
        return cls(units, first, tuple(np.split(order, np.flatnonzero(np.diff(cells[first][order])) + 1)), time is not None)

    def draw(self, rng: np.random.Generator) -> Whole:
        """Indices of a random arrangement: example i gets the label of example indices[i]; the identity is among them."""
        order = np.empty(len(self.first), np.int64)
        for cell in self.cells:
            order[cell] = np.roll(cell, rng.integers(len(cell))) if self.shifted else rng.permutation(cell)
        return self.first[order][self.units]

    def arrangements(self, labels: Whole) -> float:
        """How many different label vectors the exchange can make of these, each equally often drawn; infinite above 1e15."""
        total = 1.0
        for cell in self.cells:
            values = labels[self.first[cell]]
            total *= _period(values) if self.shifted else _multinomial(np.unique(values, return_counts=True)[1])
        return total if total <= _COUNTED_UP_TO else math.inf

    def draws(self, labels: Whole, most: int, rng: np.random.Generator) -> Iterator[Whole]:
        """Indices of `most` random arrangements, or, where no more than `most` others exist, each other one once, in random order."""
        total = self.arrangements(labels)
        if total - 1 > most:
            for _ in range(most):
                yield self.draw(rng)
            return
        seen = {labels.tobytes()}
        while len(seen) < total:
            indices = self.draw(rng)
            if (key := labels[indices].tobytes()) not in seen:
                seen.add(key)
                yield indices


def _multinomial(counts: Whole) -> float:
    if math.lgamma(counts.sum() + 1) - sum(map(math.lgamma, counts + 1)) > math.log(2 * _COUNTED_UP_TO):
        return math.inf
    return float(math.prod(math.comb(int(upto), int(count)) for upto, count in zip(counts.cumsum(), counts, strict=True)))


def _period(values: Whole) -> int:
    n = len(values)
    return next(shift for shift in range(1, n + 1) if n % shift == 0 and np.array_equal(np.roll(values, shift), values))


def shuffled_columns(values: np.ndarray[Any, Any], cells: Whole, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """A copy in which each column is permuted within each cell, independently of the other columns.

    Args:
        values: n x ..., everything after the first axis is a column of its own.
        cells: the cell of each row, its class, say.
        rng: draws the permutations.
    """
    shuffled = values.reshape(len(values), -1).copy()
    for cell in np.unique(cells):
        rows = np.flatnonzero(cells == cell)
        shuffled[rows] = rng.permuted(shuffled[rows], axis=0)
    return shuffled.reshape(values.shape)


@dataclass(frozen=True, eq=False)
class MonteCarloTest:
    """A p-value from draws under the hypothesis.

    Args:
        p: in (0, 1]; P(p <= alpha) <= alpha under the hypothesis, for every alpha.
        null: the statistic of each draw, in order.
        exceedances: draws at least as large as the observed statistic.
        stopped: whether it ended before the last draw.
    """

    p: float
    null: np.ndarray[Any, np.dtype[np.float64]]
    exceedances: int
    stopped: bool


def monte_carlo_test(statistic: float, draws: Iterable[float], most: int, stop_after: int | None = None) -> MonteCarloTest:
    """The exact p-value of a statistic that is large under the alternative: (C + 1) / (N + 1), or h / l where it stops at the h-th exceedance.

    Both are valid whenever the statistic and the draws are exchangeable under the hypothesis. Draws equal up to rounding count as exceedances.

    Args:
        statistic: the observed one.
        draws: the statistic under the hypothesis, drawn as needed.
        most: N, the number of draws that there are.
        stop_after: h, exceedances after which to stop; None: never.

    Raises:
        DataError: there is no draw.

    Source:
        Besag, Clifford 1991, "Sequential Monte Carlo p-values"; Phipson, Smyth 2010.

    Example:
        >>> monte_carlo_test(0.9, [0.5, 0.6, 0.9], 3).p  # (1 + 1) / (3 + 1)
        0.5
        >>> monte_carlo_test(0.5, [0.6, 0.4, 0.7, 0.1], 4, stop_after=2).p  # the second exceedance is the third draw
        0.6666666666666666
    """
    null: list[float] = []
    exceedances = 0
    for value in draws:
        null.append(value)
        exceedances += value >= statistic - 1e-12 * max(abs(statistic), abs(value))
        if exceedances == stop_after:
            break
    if not null:
        raise DataError("monte_carlo_test: at least one draw is required, got none. Ask for more permutations.")
    reached = exceedances == stop_after
    p = exceedances / len(null) if reached else (exceedances + 1) / (len(null) + 1)
    return MonteCarloTest(p, np.array(null), exceedances, reached and len(null) < most)


def stopping_count(most: int, level: float) -> int:
    """Exceedances after which a test of `most` draws may stop: those that leave p above 1 - level for certain, and at least 10.

    A significant test thus never stops early, and the power is that of all draws.

    Example:
        >>> stopping_count(999, 0.95)  # 50 exceedances give p = 51 / 1000
        50
    """
    return max(_EXCEEDANCES, math.ceil(significant(level) * (most + 1) - 1e-9))


def significant(level: float) -> float:
    """The largest p-value that is significant: 1 - level, rounded so that 0.9 gives 0.1 exactly.

    Raises:
        DataError: the level lies outside (0, 1).
    """
    return round(1 - confidence(level, "significance"), 12)


def fewest_draws(level: float) -> int:
    """Draws without which no p-value is significant.

    Example:
        >>> fewest_draws(0.95)
        19
    """
    return math.ceil(1 / significant(level) - 1e-9) - 1


def smallest_significant(null: np.ndarray[Any, Any], level: float) -> float | None:
    """The value above which a statistic would have been significant among these draws; None where there are too few.

    Example:
        >>> smallest_significant(np.arange(39.0), 0.95)  # above it at most one draw is as large: p <= 2 / 40
        37.0
    """
    allowed = math.floor(significant(level) * (len(null) + 1) + 1e-9)  # exceedances and the observed one
    return float(np.sort(null)[-allowed]) if allowed else None


def p_text(p: float, alpha: float) -> str:
    """A p-value in as many digits as put it on its own side of alpha.

    Example:
        >>> p_text(0.05001, 0.05), p_text(0.04999, 0.05)
        ('0.05001', '0.05')
    """
    return next(text for digits in range(3, 18) if (float(text := f"{p:.{digits}g}") <= alpha) == (p <= alpha))
