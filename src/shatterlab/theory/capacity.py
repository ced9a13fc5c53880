"""The capacity of a training procedure: the largest sample that it fits, from tries at some sizes, and the bits that it stores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Interval, Values, clopper_pearson

_PARTS = 4  # a bracket is cut into so many parts and all inner ends are tried: P(fit) need not fall between two sizes


@dataclass(frozen=True)
class Attempts:
    """The outcomes of the replicates at one sample size.

    Args:
        n: the sample size, >= 1.
        runs: how many ended, >= 0.
        fitted: how many of them fitted their sample.
        undecided: how many of the others were cut short (their budget ended, or they diverged), so that they may yet have fitted.
    """

    n: int
    runs: int
    fitted: int
    undecided: int = 0

    def __post_init__(self) -> None:
        if self.n < 1 or min(self.fitted, self.undecided) < 0 or self.fitted + self.undecided > self.runs:
            raise DataError(f"Attempts: fitted and undecided runs among all, at a size >= 1, are required, got {self}. Count again.")

    @property
    def holds(self) -> bool:
        """Whether at least half of the runs fitted."""
        return self.runs > 0 and 2 * self.fitted >= self.runs

    @property
    def could_hold(self) -> bool:
        """Whether at least half of the runs fitted or were cut short before they could; true where no run ended."""
        return 2 * (self.fitted + self.undecided) >= self.runs

    def interval(self, level: float = 0.95) -> Interval:
        """P(fit) with its Clopper-Pearson interval."""
        return clopper_pearson(self.fitted, self.runs, level)


@dataclass(frozen=True)
class Complexity:
    """The effective model complexity, as far as the attempts determine it.

    Args:
        n: the largest tried size that was fitted in at least half of the replicates; 0 where none was.
        above: the smallest tried size above it; None where none was tried.
        undecided: the smallest size above it at which runs that were cut short could turn the answer; None where none could.
        disorder: (smaller, larger) tried sizes where the larger was fitted and the smaller was not, one for each such smaller size, the widest gap last.
        clear: whether the 95 % intervals of P(fit) of the last pair are disjoint.
    """

    n: int
    above: int | None
    undecided: int | None
    disorder: tuple[tuple[int, int], ...] = ()
    clear: bool = False

    @property
    def lower_bound(self) -> bool:
        """Whether the capacity is only known to be at least `n`: nothing larger was tried, or a larger try was cut short."""
        return self.above is None or self.undecided is not None

    @property
    def text(self) -> str:
        """The answer in words, which never states a bound as the capacity."""
        if self.lower_bound:
            reason = "nothing larger was tried" if self.undecided is None else f"at {self.undecided:,} runs were cut short that may yet have fitted"
            answer = f"EMC >= {self.n:,} ({reason})" if self.n else f"no size that was tried is fitted, and no bound follows ({reason})"
        else:
            answer = f"EMC = {self.n:,} ({self.above:,} is not fitted)" if self.n else f"EMC < {self.above:,}, the smallest size that was tried"
        if not self.disorder:
            return answer
        small, large = self.disorder[-1]
        how = "their 95 % intervals are disjoint" if self.clear else "which chance explains"
        return f"{answer}; P(fit) does not fall throughout: {large:,} is fitted and {small:,} is not, {how}"


def effective_complexity(attempts: Iterable[Attempts]) -> Complexity:
    """The largest tried size that at least half of the replicates fit, and the evidence against calling it the capacity.

    It assumes nothing between or beyond the tried sizes, and is a lower bound where no larger size was tried or a larger try was cut short.

    Args:
        attempts: one a size, in any order; a size where no run ended counts as undecided.

    Raises:
        DataError: two of them have one size.

    Source:
        Nakkiran et al. 2020, "Deep double descent", definition 1 (with the median run in place of the mean error).

    Example:
        >>> effective_complexity([Attempts(8, 3, 3), Attempts(16, 3, 2), Attempts(24, 3, 0)]).text
        'EMC = 16 (24 is not fitted)'
        >>> effective_complexity([Attempts(8, 3, 3), Attempts(16, 3, 0, undecided=3)]).text
        'EMC >= 8 (at 16 runs were cut short that may yet have fitted)'
    """
    tried = sorted(attempts, key=lambda attempt: attempt.n)
    sizes = [attempt.n for attempt in tried]
    if len(set(sizes)) < len(sizes):
        raise DataError(f"effective_complexity: one entry a size is required, got {sizes}. Bring the replicates together.")
    top = max((attempt.n for attempt in tried if attempt.holds), default=0)
    larger = [attempt for attempt in tried if attempt.n > top]
    undecided = next((attempt.n for attempt in larger if attempt.could_hold), None)
    disorder = _disorder([attempt for attempt in tried if attempt.runs])
    pairs = tuple((small.n, large.n) for small, large in disorder)
    return Complexity(top, larger[0].n if larger else None, undecided, pairs, bool(disorder) and _gap(disorder[-1]) > 0)


def _disorder(tried: Sequence[Attempts]) -> list[tuple[Attempts, Attempts]]:
    pairs = []
    for small in tried:
        later = [attempt for attempt in tried if attempt.n > small.n and attempt.holds]
        if later and not small.holds:
            pairs.append((small, max(later, key=lambda attempt: attempt.interval().low)))
    return sorted(pairs, key=_gap)


def _gap(pair: tuple[Attempts, Attempts]) -> float:
    small, large = pair
    return large.interval().low - small.interval().high


def next_sizes(attempts: Sequence[Attempts], start: int, limit: int, resolution: float) -> tuple[int, ...]:
    """The sizes to try next in search of the effective complexity; none where the search is done.

    From `start` sizes double (or halve, while none is fitted) to the first that is not fitted and one beyond it. Then the gap above the largest fitted size is
    cut into four, again and again, until it is at most `resolution` times that size. A larger size that turns out fitted moves the search up.

    Args:
        attempts: the tries so far, one a size.
        start: the first size, >= 1.
        limit: the largest available size, >= 1.
        resolution: the gap that may remain, as a share of the size, >= 0; a gap of 1 always may.

    Returns:
        Sizes in 1 .. limit that were not tried, ascending.
    """
    tried, held = {attempt.n for attempt in attempts}, {attempt.n for attempt in attempts if attempt.holds}
    ladder = _ladder(min(start, limit), limit)
    if not tried:
        return (min(start, limit),)
    if not held:
        return tuple([n for n in ladder if n < min(tried)][-1:])
    top = max(held)
    steps = [n for n in ladder if n > top]
    sizes = set(steps[1:2] if steps and steps[0] in tried else steps[:1])
    above = min((n for n in tried if n > top), default=None)
    if above is not None and above - top > max(1, resolution * top):
        sizes |= {top + round((above - top) * part / _PARTS) for part in range(1, _PARTS)} - {top, above}
    return tuple(sorted(sizes - tried))


def _ladder(first: int, limit: int) -> list[int]:
    halved, doubled = (first >> i for i in range(first.bit_length())), (first << i for i in range(limit.bit_length()))
    return sorted({limit, *halved, *(size for size in doubled if size < limit)})


def memorized_bits(log_likelihoods: Values, classes: int) -> float:
    """The bits of uniformly random labels that a model stores: n log2 k less the code length under its probabilities.

    n log2 k - sum_i -log2 p(y_i | x_i): 0 for uniform probabilities, negative for a model that is certain and wrong, -inf where a label has probability 0.

    Args:
        log_likelihoods: ln p(y_i | x_i) of each label, <= 0; -inf is allowed.
        classes: k, >= 2.

    Returns:
        Bits, at most n log2 k.

    Raises:
        DataError: there is no label, one has NaN or a probability above 1, or there are fewer than two classes.

    Source:
        Morris et al. 2025 (the quantity, for language models).

    Example:
        >>> memorized_bits([0.0] * 8, 4)  # eight labels of two bits each, all known
        16.0
    """
    logs = np.asarray(log_likelihoods, dtype=np.float64)
    if logs.ndim != 1 or len(logs) == 0 or classes < 2:
        raise DataError(f"memorized_bits: at least one label and two classes are required, got {logs.size} and {classes}. Pass one value a label.")
    if np.isnan(logs).any() or logs.max() > 1e-6:  # log-softmax in float32 may exceed 0 by its rounding
        raise DataError(f"memorized_bits: logarithms of probabilities are required, all <= 0, got {logs.max()}. Normalize the scores.")
    return float(len(logs) * math.log2(classes) + np.minimum(logs, 0).sum() / math.log(2))
