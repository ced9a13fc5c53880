"""Where a verdict is decided: replicates against the range that a claim states, and the claims of an experiment against each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from shatterlab.analysis import columns
from shatterlab.analysis.columns import Bounds, Quantity, mean_interval_of, mean_of
from shatterlab.analysis.replicates import outcome
from shatterlab.core import Row
from shatterlab.statistics import Interval, clopper_pearson, holm, interval_of_bounds

# of several configurations the first in this order decides
Verdict = Literal["contradicted", "undecided", "too few trials", "observed", "reproduced", "not judged", "not at this scale"]
Origin = float | Literal["chance"]
Reason = Literal["diverged", "impossible", "censored", "blank"]
_SMALLEST_P = 1e-9
_FAMILY = 0.05  # the chance that some claim of an experiment is called reproduced or contradicted where none is


@dataclass(frozen=True)
class Value:
    """One replicate, or one pair of replicates: a number and the bounds between which it is known; the number is NaN where a run was cut short."""

    point: float
    low: float
    high: float


@dataclass(frozen=True)
class Sample:
    """The values of one configuration: one a replicate, or one a pair of replicates where two sides are compared.

    Args:
        label: what distinguishes the configuration from the others that a claim is about.
        values: one a replicate or pair.
        lost: how many replicates diverged or have no ratio.
        notes: what a reader should know about missing, censored and identical values.
        quantity: the kind of the values; differences are real numbers, ratios positive ones.
        examples: of how many examples each is a share; None where it is none or that is not known.
        limits: where no mean can lie outside.
    """

    label: str
    values: tuple[Value, ...]
    lost: int = 0
    notes: tuple[str, ...] = ()
    quantity: Quantity = "real"
    examples: int | None = None
    limits: Bounds = (-math.inf, math.inf)

    @property
    def n(self) -> int:
        """The number of values."""
        return len(self.values)

    @property
    def certain(self) -> bool:
        """Whether every value is exactly 0 or exactly 1: of such shares the runs can be counted, but not how they spread."""
        return self.quantity == "share" and len({value.point for value in self.values}) == 1 and self.values[0].point in (0.0, 1.0)

    def interval(self, level: float) -> Interval:
        """Of the mean, by what the column is (`analysis.columns`); from bounds alone, the outer end of each side's interval."""
        points, known = [value.point for value in self.values], [(value.low, value.high) for value in self.values]
        if not any(map(math.isnan, points)):
            if self.quantity != "real":
                return mean_interval_of(self.quantity, points, known, self.examples, level)
            interval = interval_of_bounds([low for low, _ in known], [high for _, high in known], level, limits=self.limits)
            return replace(interval, estimate=mean_of("real", points))
        scale: Literal["log", "linear"] = "log" if self.quantity in ("time", "positive") else "linear"
        return interval_of_bounds([low for low, _ in known], [high for _, high in known], level, scale, self.limits)


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
    counts = Counter(value for value in values if isinstance(value, str))
    known = tuple(value for value in values if isinstance(value, Value))
    counts["censored"] = sum(math.isnan(value.point) for value in known)
    explanations: dict[Reason, str] = {
        "diverged": "diverged or infinite, of which no mean can be taken",
        "impossible": f"with {column} <= {origin or 0} on a side, of which no ratio can be taken",
        "censored": "censored: decided by bounds only",
        "blank": "without a value",
    }
    notes = [f"{counts[reason]} of {len(kept)} {text}" for reason, text in explanations.items() if counts[reason]]
    if len(kept) < len(replicates):
        notes.append(f"{len(replicates) - len(kept)} identical to another, counted once: nothing varied between them")
    if not columns.is_known(column):
        notes.append(f"{column} is read as a real number")
    paired, kind = any(len(rows) > 1 for rows in kept), columns.quantity(column)
    sizes = {columns.examples(row, column) for rows in kept for row in rows}
    shifted = origin != 0
    quantity: Quantity = "positive" if ratio else "real" if paired or shifted else kind
    limits = (-1.0, 1.0) if kind == "share" and not ratio else (-math.inf, math.inf)
    of = sizes.pop() if len(sizes) == 1 else None
    return Sample(label, known, counts["diverged"] + counts["impossible"], tuple(notes), quantity, of, limits)


def _value(rows: tuple[Row, ...], column: str, ratio: bool, origin: Origin) -> Value | Reason:
    values = [_known(row, column, origin) for row in rows]
    known = [value for value in values if value is not None]
    if any(row.get("status") == "diverged" for row in rows) or any(not math.isfinite(value.low) for value in known):
        return "diverged"
    if None in values:
        return "blank"
    if len(known) == 1:
        return known[0]
    one, other = known
    if not ratio:
        return Value(one.point - other.point, one.low - other.high, one.high - other.low)
    points = [value.low if math.isnan(value.point) else value.point for value in known]
    if min(points) <= 0:
        return "impossible"
    low, high = max(0.0, one.low) / other.high, one.high / other.low if other.low > 0 else math.inf
    return "diverged" if math.isinf(low) else Value(one.point / other.point, low, high)  # beyond the largest number


def _known(row: Row, column: str, origin: Origin) -> Value | None:
    if origin == "chance":
        classes = row.get("classes")
        if not isinstance(classes, int):
            return None
        origin = 1 / classes
    known, value = columns.bounds(row, column), row.get(column)
    if known is None:
        return None
    point = float(value) if isinstance(value, int | float) else math.nan
    return Value(point - origin, known[0] - origin, known[1] - origin)


@dataclass(frozen=True)
class Finding:
    """What the rows say of one claim before its family is looked at.

    Args:
        verdict: "reproduced" or "contradicted" is what `p` speaks for, whether or not it decides.
        p: two-sided: 1 minus the highest confidence at which the interval still lies inside (outside) the claimed range; None where nothing is tested.
        interval: of the configuration that decides, at the claim's level.
        n: values behind it.
        notes: what a reader should know, in sentences without their full stop.
        configurations: how many there are, how each fared, and which one this is; empty where there is one.
    """

    verdict: Verdict
    p: float | None = None
    interval: Interval | None = None
    n: int = 0
    notes: tuple[str, ...] = ()
    configurations: str = ""


@dataclass(frozen=True)
class ClaimedRange:
    """The range in which a mean, or every single value, is claimed to lie.

    Args:
        low: the lower end; None for no bound.
        high: the upper end; None for no bound.
        level: confidence of the interval that is shown.
        each: whether every single value is claimed to lie in it.
    """

    low: float | None
    high: float | None
    level: float
    each: bool = False

    def judge(self, samples: Sequence[Sample], replicates: str) -> Finding:
        """The worst finding of all configurations; by one of m it is contradicted where p <= alpha / m.

        Args:
            samples: one a configuration, at least one.
            replicates: what the values are, in words.
        """
        judged = [(sample, self._one(sample, len(samples), replicates)) for sample in samples]
        verdicts = [finding.verdict if finding.p is None or finding.p <= 1 - self.level else "undecided" for _, finding in judged]
        counts = Counter(verdicts)
        worst = next(verdict for verdict in get_args(Verdict) if counts[verdict])
        candidates = [pair for pair, verdict in zip(judged, verdicts, strict=True) if verdict == worst]
        clearest = 1 if worst == "contradicted" else -1  # one is enough to contradict, all of them have to hold
        decisive, finding = min(candidates, key=lambda pair: (clearest * (1.0 if pair[1].p is None else pair[1].p), self._slack(pair[1].interval), pair[1].n))
        if len(samples) == 1:
            return finding
        if worst == "observed" and len(candidates) == len(samples):
            total = sum(each.n for each in samples)
            return replace(finding, configurations=f"{total} of {total} runs in {len(samples)} configurations; in the one with the fewest, ")
        summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict) if counts[verdict])
        return replace(finding, configurations=f"{len(samples)} configurations: {summary}; {decisive.label}: ")

    def _one(self, values: Sample, configurations: int, replicates: str) -> Finding:
        if self.each or (values.n and not values.lost and values.certain and self._holds(values.values[0])):
            return self._counted(values)
        if values.n < 2:
            verdict: Verdict = "undecided" if values.lost else "too few trials"
            needed = () if values.lost else (f"{values.n} distinct {replicates}, at least 2 are required",)
            return Finding(verdict, None, values.interval(self.level) if values.n else None, values.n, (*needed, *values.notes))
        interval = values.interval(self.level)
        if values.lost:
            return Finding("undecided", None, interval, values.n, values.notes)
        if interval.method == "no spread":
            return Finding("undecided", None, None, values.n, ("all values are equal, which tells nothing of their spread", *values.notes))
        inside = smallest_p(lambda level: values.interval(level).inside(self.low, self.high))
        outside = min(1.0, configurations * smallest_p(lambda level: values.interval(level).disjoint(self.low, self.high)))
        direction: Verdict = "reproduced" if inside < outside else "contradicted" if outside < 1 else "undecided"
        return Finding(direction, min(inside, outside), interval, values.n, values.notes)

    def _counted(self, values: Sample) -> Finding:
        """A statement about the runs themselves: in how many the value lies in the range, and the probability that this speaks for."""
        n = values.n + values.lost
        if not n:
            return Finding("too few trials", notes=("no run has a value", *values.notes))
        good, unknown = sum(map(self._holds, values.values)), sum(map(self._open, values.values))
        interval = clopper_pearson(good, n, self.level)
        if unknown and good + unknown == n:
            return Finding("undecided", None, interval, n, (f"{good} of {n} runs, {unknown} were cut short before that was known", *values.notes))
        chance = f"P >= {interval.low:.2f}" if good == n else f"P <= {interval.high:.2f}" if not good else f"P in [{interval.low:.2f}, {interval.high:.2f}]"
        sentence = f"{good} of {n} runs, so {chance} at {100 * self.level:.4g} %"
        return Finding("observed" if good == n else "contradicted", None, interval, n, (sentence, *values.notes))

    def _holds(self, value: Value) -> bool:
        if not math.isnan(value.point):
            return (self.low is None or value.point >= self.low) and (self.high is None or value.point <= self.high)
        return (self.low is None or value.low >= self.low) and (self.high is None or value.high <= self.high)

    def _open(self, value: Value) -> bool:
        disjoint = (self.low is not None and value.high < self.low) or (self.high is not None and value.low > self.high)
        return math.isnan(value.point) and not self._holds(value) and not disjoint

    def _slack(self, interval: Interval | None) -> float:
        if interval is None:
            return -math.inf
        low = math.inf if self.low is None else interval.low - self.low
        high = math.inf if self.high is None else self.high - interval.high
        return min(low, high)


def smallest_p(holds: Callable[[float], bool]) -> float:
    """1 minus the highest level at which a statement about a nested family of intervals holds; 1 where it holds at none.

    Args:
        holds: whether it holds for the interval of this level.
    """
    if not holds(_SMALLEST_P):
        return 1.0
    low, high = math.log(_SMALLEST_P), 0.0
    if holds(1 - _SMALLEST_P):
        return 0.0
    for _ in range(20):  # p to 2e-5 of itself
        middle = (low + high) / 2
        low, high = (low, middle) if holds(1 - math.exp(middle)) else (middle, high)
    return math.exp(high)


def corrected(findings: Sequence[Finding], levels: Sequence[float]) -> list[tuple[Verdict, str]]:
    """The verdict on each claim of a family, and why: Holm's correction over all that are tested.

    A claim with a level of its own, 0.9 say, is tested at 1 - 0.9 where the others are at 0.05.

    Args:
        findings: one a claim.
        levels: of each claim.
    """
    scaled = [1.0 if finding.p is None else min(1.0, finding.p * _FAMILY / (1 - level)) for finding, level in zip(findings, levels, strict=True)]
    tested = [i for i, finding in enumerate(findings) if finding.p is not None]
    adjusted = dict(zip(tested, holm([scaled[i] for i in tested]), strict=True))
    return [_settled(finding, scaled[i], adjusted.get(i), len(tested)) for i, finding in enumerate(findings)]


def _settled(finding: Finding, p: float, adjusted: float | None, family: int) -> tuple[Verdict, str]:
    if adjusted is None or finding.interval is None:
        return finding.verdict, finding.configurations + "; ".join(finding.notes)
    decided = finding.verdict if adjusted <= _FAMILY + 1e-12 else "undecided"
    place = {"reproduced": "lies inside", "contradicted": "lies outside"}.get(finding.verdict, "") if p <= _FAMILY else ""
    holms = f", {_shown(adjusted)} with Holm's correction for {family} claims" if family > 1 and place else ""
    sentence = f"the {100 * finding.interval.level:.4g} % interval {place or 'reaches beyond'} what is claimed (p = {_shown(p)}{holms})"
    return decided, finding.configurations + "; ".join((sentence, *finding.notes))


def _shown(p: float) -> str:
    return "0.001 at most" if p <= 0.001 else f"{p:.2g}"
