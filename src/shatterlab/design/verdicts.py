"""Where a verdict is decided: the interval of replicates against the range that a claim states."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from shatterlab.analysis.replicates import outcome
from shatterlab.core import Row
from shatterlab.statistics import Interval, mean_interval, ratio_interval

Verdict = Literal["contradicted", "undecided", "too few trials", "reproduced", "not at this scale"]  # of several configurations the first in this order decides
Origin = float | Literal["chance"]
Bounds = tuple[float, float]  # of a value; equal where it is known
Reason = Literal["diverged", "impossible", "censored", "blank"]


@dataclass(frozen=True)
class Sample:
    """The values of one configuration: one a replicate, or one a pair of replicates where two sides are compared.

    Args:
        label: what distinguishes the configuration from the others that a claim is about.
        lows: lower bounds of the values.
        highs: upper bounds, equal to the lower ones where no value is censored.
        lost: how many replicates diverged or have no ratio.
        notes: what a reader should know about missing, censored and identical values.
        ratio: whether the values are ratios.
    """

    label: str
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    lost: int
    notes: tuple[str, ...]
    ratio: bool = False

    @property
    def n(self) -> int:
        """The number of values."""
        return len(self.lows)

    def interval(self, level: float) -> Interval:
        """Of the mean: t below 10 replicates, BCa from there on; of ratios: log-ratio t; from bounds, the outer end of each side's interval."""
        low, high = (self._interval(values, level) for values in (self.lows, self.highs))
        if self.lows == self.highs and low is not None:
            return low
        least = 0.0 if self.ratio else -math.inf
        return Interval(math.nan, least if low is None else low.low, math.inf if high is None else high.high, level, "bounds of censored values", self.n)

    def _interval(self, values: Sequence[float], level: float) -> Interval | None:
        if not all(map(math.isfinite, values)):
            return None
        if not self.ratio:
            return mean_interval(values, level, np.random.default_rng(0))
        return ratio_interval(values, [1.0] * len(values), level) if min(values) > 0 else None


def sample(label: str, replicates: Sequence[tuple[Row, ...]], column: str, ratio: bool = False, origin: Origin = 0.0) -> Sample:
    """Reads the values of a configuration.

    Args:
        label: what distinguishes the configuration.
        replicates: the row of each, or the pair of rows that is compared.
        column: the column to read.
        ratio: divide the two rows of a pair instead of subtracting them.
        origin: what values are counted from.
    """
    kept = list({tuple(outcome(row) for row in rows): rows for rows in replicates}.values())
    values = [_value(rows, column, ratio, origin) for rows in kept]
    bounds = [value for value in values if isinstance(value, tuple)]
    counts = Counter(value for value in values if isinstance(value, str)) + Counter(censored=sum(low != high for low, high in bounds))
    explanations: dict[Reason, str] = {
        "diverged": "diverged or infinite, of which no mean can be taken",
        "impossible": f"with {column} <= {origin or 0} on a side, of which no ratio can be taken",
        "censored": "censored: decided by bounds only",
        "blank": "without a value",
    }
    notes = [f"{counts[reason]} of {len(kept)} {text}" for reason, text in explanations.items() if counts[reason]]
    if len(kept) < len(replicates):
        notes.append(f"{len(replicates) - len(kept)} identical to another, counted once")
    lows, highs = tuple(low for low, _ in bounds), tuple(high for _, high in bounds)
    return Sample(label, lows, highs, counts["diverged"] + counts["impossible"], tuple(notes), ratio)


def _value(rows: tuple[Row, ...], column: str, ratio: bool, origin: Origin) -> Bounds | Reason:
    values = [_bounds(row, column, origin) for row in rows]
    known = [value for value in values if value is not None]
    if any(row.get("status") == "diverged" for row in rows) or any(not math.isfinite(low) for low, _ in known):
        return "diverged"
    if None in values:
        return "blank"
    if len(known) == 1:
        return known[0]
    (low, high), (least, most) = known
    if not ratio:
        return low - most, high - least
    return (low / most, high / least) if min(low, least) > 0 else "impossible"


def _bounds(row: Row, column: str, origin: Origin) -> Bounds | None:
    value = row.get(column)
    if origin == "chance":
        classes = row.get("classes")
        if not isinstance(classes, int):
            return None
        origin = 1 / classes
    if isinstance(value, int | float):
        return float(value) - origin, float(value) - origin
    for unit in ("epochs", "steps"):
        budget = row.get(f"fit.{unit}")
        if column.startswith(f"fit.{unit}_to_") and value is None and isinstance(budget, int | float):
            return float(budget) - origin, math.inf  # a time that was not reached
    return None


@dataclass(frozen=True)
class ClaimedRange:
    """The range in which a mean is claimed to lie.

    Args:
        low: the lower end; None for no bound.
        high: the upper end; None for no bound.
        level: confidence of the intervals that are compared with it.
    """

    low: float | None
    high: float | None
    level: float

    def decide(self, samples: Sequence[Sample], replicates: str) -> tuple[Verdict, Interval | None, int, str]:
        """The worst verdict of all configurations.

        Args:
            samples: one a configuration, at least one.
            replicates: what the values are, in words.

        Returns:
            The verdict, the interval and number of values of the configuration that has it most clearly, and the reason.
        """
        judged = [(sample, *self._verdict(sample, len(samples))) for sample in samples]
        counts = Counter(verdict for _, verdict, _ in judged)
        worst = next(verdict for verdict in get_args(Verdict) if counts[verdict])
        decisive, _, interval = min((result for result in judged if result[1] == worst), key=lambda result: self._slack(result[2]))
        reason = _reason(worst, interval, decisive, replicates)
        if len(samples) > 1:
            summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict) if counts[verdict])
            reason = f"{len(samples)} configurations: {summary}; {decisive.label}: {reason}"
        return worst, interval, decisive.n, reason

    def _verdict(self, values: Sample, configurations: int) -> tuple[Verdict, Interval | None]:
        if values.n == 0:
            return ("undecided" if values.lost else "too few trials"), None
        interval = values.interval(self.level)
        if values.lost:
            return "undecided", interval
        if values.n == 1:
            return "too few trials", interval
        if interval.inside(self.low, self.high):
            return "reproduced", interval
        strict = interval if configurations == 1 else values.interval(1 - (1 - self.level) / configurations)
        return ("contradicted" if strict.disjoint(self.low, self.high) else "undecided"), interval

    def _slack(self, interval: Interval | None) -> float:
        if interval is None:
            return -math.inf
        low = math.inf if self.low is None else interval.low - self.low
        high = math.inf if self.high is None else self.high - interval.high
        return min(low, high)


def _reason(verdict: Verdict, interval: Interval | None, values: Sample, replicates: str) -> str:
    place = {"reproduced": "lies inside", "contradicted": "lies outside", "undecided": "reaches beyond"}
    sentences = []
    if verdict == "too few trials":
        sentences.append(f"{values.n} distinct {replicates}, at least 2 are required")
    elif interval is not None and not values.lost:
        sentences.append(f"the {100 * interval.level:.4g} % interval {place[verdict]} what is claimed")
    return "; ".join([*sentences, *values.notes])
