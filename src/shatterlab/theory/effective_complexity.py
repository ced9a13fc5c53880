"""Effective model complexity: the largest sample that a learner fits, from tries at some sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Interval, clopper_pearson

_PARTS = 4  # a bracket is cut into so many, all of whose inner ends are tried: between two sizes anything may happen


@dataclass(frozen=True)
class Attempts:
    """What the replicates at one sample size came to.

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
        """Whether at least half would have fitted had every run that was cut short gone on to fit; so too where no run ended."""
        return 2 * (self.fitted + self.undecided) >= self.runs

    def interval(self, level: float = 0.95) -> Interval:
        """P(fit) with its Clopper-Pearson interval."""
        return clopper_pearson(self.fitted, self.runs, level)


@dataclass(frozen=True)
class Complexity:
    """The effective model complexity as far as the tries tell it.

    Args:
        n: the largest tried size that was fitted in at least half of the replicates; 0 where none was.
        above: the smallest tried size above it; None where none was tried.
        undecided: the smallest size above it at which runs that were cut short could turn the answer; None where none could.
        disorder: (smaller, larger) pairs of tried sizes of which the larger was fitted and the smaller not, one for each such
            smaller size, the most glaring last.
        clear: whether the 95 % intervals of P(fit) of the last pair are disjoint.
    """

    n: int
    above: int | None
    undecided: int | None
    disorder: tuple[tuple[int, int], ...] = ()
    clear: bool = False

    @property
    def lower_bound(self) -> bool:
        """Whether the capacity is only known to be at least `n`: nothing larger was tried, or what was tried was cut short."""
        return self.above is None or self.undecided is not None

    @property
    def text(self) -> str:
        """The answer in words; a bound is never told as the capacity."""
        if self.lower_bound:
            reason = "nothing larger was tried" if self.undecided is None else f"at {self.undecided:,} runs were cut short that may yet have fitted"
            told = f"EMC >= {self.n:,} ({reason})" if self.n else f"no size that was tried is fitted, and no bound follows ({reason})"
        else:
            told = f"EMC = {self.n:,} ({self.above:,} is not fitted)" if self.n else f"EMC < {self.above:,}, the smallest size that was tried"
        if not self.disorder:
            return told
        small, large = self.disorder[-1]
        how = "their 95 % intervals are disjoint" if self.clear else "which chance explains"
        return f"{told}; P(fit) does not fall throughout: {large:,} is fitted and {small:,} is not, {how}"


def effective_complexity(attempts: Iterable[Attempts]) -> Complexity:
    """The largest tried size that at least half of the replicates fit, with what speaks against taking it for the capacity.

    Nothing is assumed between or beyond the sizes that were tried; P(fit) need not fall with n.

    Args:
        attempts: one a size, in any order; sizes of which no run ended tell nothing but that they are undecided.

    Returns:
        The complexity, a lower bound where no larger size was tried or a larger one was cut short.

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
    tried = sorted(attempts, key=lambda each: each.n)
    sizes = [each.n for each in tried]
    if len(set(sizes)) < len(sizes):
        raise DataError(f"effective_complexity: one entry a size is required, got {sizes}. Bring the replicates together.")
    top = max((each.n for each in tried if each.holds), default=0)
    larger = [each for each in tried if each.n > top]
    undecided = next((each.n for each in larger if each.could_hold), None)
    disorder = _disorder([each for each in tried if each.runs])
    pairs = tuple((small.n, large.n) for small, large in disorder)
    return Complexity(top, larger[0].n if larger else None, undecided, pairs, bool(disorder) and _gap(disorder[-1]) > 0)


def _disorder(tried: Sequence[Attempts]) -> list[tuple[Attempts, Attempts]]:
    """Each size that was not fitted with the larger one that was fitted most surely, the widest gap last."""
    found = []
    for small in tried:
        later = [each for each in tried if each.n > small.n and each.holds]
        if later and not small.holds:
            found.append((small, max(later, key=lambda each: each.interval().low)))
    return sorted(found, key=_gap)


def _gap(pair: tuple[Attempts, Attempts]) -> float:
    """From the upper end of P(fit) at the smaller size to the lower end at the larger; positive where they are disjoint."""
    small, large = pair
    return large.interval().low - small.interval().high


def next_sizes(attempts: Sequence[Attempts], start: int, limit: int, resolution: float) -> tuple[int, ...]:
    """The sizes to try next in search of the effective complexity; none where the search is done.

    From `start` sizes double (or halve, while none is fitted) to the first that is not fitted and one beyond it. Then the gap above
    the largest fitted size is cut into four and all three inner sizes are tried, again and again, until it is at most `resolution` of that
    size. As everything tried counts, a larger size that is fitted after a smaller one was not moves the search up, and it begins again there.

    Args:
        attempts: what was tried so far, one a size.
        start: the first size, >= 1.
        limit: the largest size that there is, >= 1.
        resolution: the gap that may remain, as a share of the size, >= 0; a gap of 1 always may.

    Returns:
        Sizes in 1 .. limit that were not tried, ascending.
    """
    tried, held = {each.n for each in attempts}, {each.n for each in attempts if each.holds}
    ladder = _ladder(start, limit)
    if not tried:
        return (min(start, limit),)
    if not held:
        lower = [n for n in ladder if n < min(tried)]
        return tuple(lower[-1:])
    wanted = _upwards(ladder, tried, held)
    top = max(held)
    above = min((n for n in tried if n > top), default=None)
    if above is not None and above - top > max(1, resolution * top):
        wanted |= {top + round((above - top) * part / _PARTS) for part in range(1, _PARTS)} - {top, above}
    return tuple(sorted(wanted - tried))


def _ladder(start: int, limit: int) -> list[int]:
    first = min(start, limit)
    sizes = {first, limit}
    size = first
    while size > 1:
        size //= 2
        sizes.add(size)
    size = first
    while 2 * size < limit:
        size *= 2
        sizes.add(size)
    return sorted(sizes)


def _upwards(ladder: Sequence[int], tried: set[int], held: set[int]) -> set[int]:
    """The next step above the largest that was fitted and, once that is tried and was not, the one beyond it."""
    top = max(held)
    steps = [n for n in ladder if n > max((n for n in ladder if n <= top), default=0)]
    if steps and steps[0] not in tried:
        return {steps[0]}
    return {n for n in steps[1:2] if n not in tried}
