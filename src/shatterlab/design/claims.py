"""Claims: what a paper or a user says of a column, so that rows can contradict it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from shatterlab.analysis.replicates import Configuration, by_configuration, distinct, matches, outcome, pairs, partners
from shatterlab.core import Part, Row
from shatterlab.core.errors import UnknownName
from shatterlab.statistics import Interval, mean_interval, ratio_interval

SCALE_NAMES = ("smoke", "laptop", "paper")
Verdict = Literal["reproduced", "contradicted", "undecided", "too few trials", "not at this scale"]


@dataclass(frozen=True)
class Judgement:
    """What the rows say about a claim.

    Args:
        claim: the sentence judged.
        verdict: "reproduced" (the interval lies inside the claim's), "contradicted" (outside), "undecided",
            "too few trials" (fewer than two distinct replicates) or "not at this scale".
        interval: of the mean, the mean difference or the geometric mean ratio; where configurations are many, of the
            one that decides; its estimate is NaN where censored values leave bounds only; None where there is none.
        n: distinct replicates (or pairs) behind that interval.
        reason: why, in one sentence.
    """

    claim: Claim
    verdict: Verdict
    interval: Interval | None
    n: int
    reason: str


@dataclass(frozen=True)
class Claim(Part):
    """A sentence about the mean of a column over replicates: it lies in [low, high].

    Each configuration that `where` matches is judged by itself and the claim holds if it holds in all: means over
    different models are no replicates. With `versus`, the number is the paired difference column[where] -
    column[versus], paired by seeds between configurations that agree in everything else; with `ratio` it is the
    geometric mean of column[where] / column[versus]. "Contradicted" by one of m configurations takes an interval of
    level 1 - (1 - level) / m.

    Failed rows are left out. Diverged ones enter no mean, and while there is one the claim is undecided; so it is
    while a ratio has a side <= 0. A time that was not reached (`fit.epochs_to_...` is null) is a bound, and such
    claims are decided by bounds only.

    Args:
        text: the sentence.
        column: a column of numbers, "test.error", say.
        where: column -> value, or a sequence of values of which one must match.
        versus: likewise, the side to subtract or to divide by; None for a claim about the mean itself.
        low: lower end of what is claimed, in the column's unit, of a ratio a factor > 0; None for no bound. State
            orderings with a margin.
        high: upper end likewise; one of the two is required.
        scales: the scales at which it is judged; empty: at every one.
        level: confidence, in (0, 1).
        reference: where it is published, "Figure 1(c)", say.
        ratio: compare with `versus` by the ratio: "at most 5 times the epochs" is high=5; equal within a tenth is
            low=0.9, high=1.1, at level=0.9 the two one-sided tests at 5 %.
        origin: what a ratio counts from, in the column's unit; "chance": 1/k, for accuracies above that of guessing among the row's k classes, also
            without a ratio.

    Raises:
        InvalidPart: no bound, low above high, a level outside (0, 1), an unknown scale, a ratio without `versus` or
            with a bound <= 0, or a number for an origin without a ratio.

    Example:
        >>> slower = Claim("random labels take at most 5 times as long", "fit.epochs_to_interpolation", {"corruption.level": 1.0},
        ...                versus={"corruption.level": 0.0}, high=5, ratio=True)
        >>> times = {(0.0, 0): 10, (0.0, 1): 20, (1.0, 0): 30, (1.0, 1): 60}  # three times as long with either seed
        >>> judged = slower.judge({"corruption.level": level, "seeds.order": seed, slower.column: time} for (level, seed), time in times.items())
        >>> judged.verdict, round(judged.interval.estimate, 9)
        ('reproduced', 3.0)
    """

    text: str
    column: str
    where: Mapping[str, Any] = field(default_factory=dict)
    versus: Mapping[str, Any] | None = None
    low: float | None = None
    high: float | None = None
    scales: tuple[str, ...] = ()
    level: float = 0.95
    reference: str = ""
    ratio: bool = False
    origin: float | Literal["chance"] = 0.0

    def validate(self) -> None:
        low, high = (-math.inf if self.low is None else self.low), (math.inf if self.high is None else self.high)
        self.require(self.low is not None or self.high is not None, "low, high or both are required", self.text, "Say what is claimed as a range.")
        self.require(low <= high, "low is at most high", (self.low, self.high))
        self.require(0 < self.level < 1, "level is a confidence in (0, 1)", self.level)
        self.require(self.versus is not None or not self.ratio, "versus is required for a ratio", None, "Say what to divide by")
        self.require(self.ratio or self.origin in (0, "chance"), "origin is 0 without a ratio", self.origin, "Shift low and high instead")
        for bound in (self.low, self.high) if self.ratio else ():
            self.require(bound is None or bound > 0, "low and high of a ratio are factors > 0", bound, "1 stands for as large as")
        for scale in self.scales:
            self.require(scale in SCALE_NAMES, f"scales are among {', '.join(SCALE_NAMES)}", scale)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return (cls("test error is chance", "test.error", low=0.88, high=0.92),)

    def judge(self, rows: Iterable[Row], scale: str = "") -> Judgement:
        """What these rows say; a pure function of them.

        Args:
            rows: any rows; those that do not match are left out.
            scale: the scale they were made at.
        """
        if self.scales and scale not in self.scales:
            return Judgement(self, "not at this scale", None, 0, f"judged at {' and '.join(self.scales)} scale only")
        usable = [row for row in rows if row.get("status", "ok") != "failed"]
        unknown = self._unknown_column(usable)
        samples = [] if unknown else self._samples(usable)
        if not samples:
            return Judgement(self, "too few trials", None, 0, unknown or f"no finished row has {_told(self.where)}")
        return self._combined([(sample, *self._verdict(sample, len(samples))) for sample in samples])

    def _unknown_column(self, rows: Sequence[Row]) -> str:
        """What is wrong with a name that no row knows; a typing error must not look like a lack of trials."""
        known = {column for row in rows for column in row}
        asked = [self.column, *self.where, *(self.versus or {})]
        missing = next((column for column in asked if rows and column not in known), None)
        return str(UnknownName("Claim", missing, known)) if missing else ""

    def _samples(self, rows: Sequence[Row]) -> list[_Sample]:
        ours = by_configuration(row for row in rows if matches(row, self.where))
        observed: dict[Configuration, list[tuple[Row, ...]]]
        if self.versus is None:
            observed = {configuration: [(row,) for row in distinct(members)] for configuration, members in ours.items()}
        else:
            theirs = by_configuration(row for row in rows if matches(row, self.versus))
            observed = {each: pairs(ours[each], theirs[other] if other else []) for each, other in partners(ours, theirs, self._freed()).items()}
        labels = _labels(observed)
        return [_sample(labels[each], groups, self) for each, groups in observed.items()]

    def _freed(self) -> tuple[str, ...]:
        """The columns in which the two sides of a comparison may differ; another kind of part has other fields."""
        named = (*self.where, *(self.versus or {}))
        return tuple(column.removesuffix("kind") if column.endswith(".kind") else f"{column}\0" for column in named)

    def _verdict(self, sample: _Sample, configurations: int) -> tuple[Verdict, Interval | None]:
        if sample.n == 0:
            return ("undecided" if sample.lost else "too few trials"), None
        interval = sample.interval(self.level)
        if sample.lost:
            return "undecided", interval
        if sample.n == 1:
            return "too few trials", interval
        if interval.inside(self.low, self.high):
            return "reproduced", interval
        strict = interval if configurations == 1 else sample.interval(1 - (1 - self.level) / configurations)
        return ("contradicted" if strict.disjoint(self.low, self.high) else "undecided"), interval

    def _combined(self, judged: Sequence[tuple[_Sample, Verdict, Interval | None]]) -> Judgement:
        """The worst verdict, and the configuration that has it most clearly."""
        order: tuple[Verdict, ...] = ("contradicted", "undecided", "too few trials", "reproduced")
        verdict = next(each for each in order if any(found == each for _, found, _ in judged))
        sample, _, interval = min((each for each in judged if each[1] == verdict), key=lambda each: self._slack(each[2]))
        told = self._reason(verdict, interval, sample)
        if len(judged) > 1:
            counts = {each: sum(found == each for _, found, _ in judged) for each in order}
            summary = ", ".join(f"{count} {each}" for each, count in counts.items() if count)
            told = f"{len(judged)} configurations: {summary}; {sample.label}: {told}"
        return Judgement(self, verdict, interval, sample.n, told)

    def _slack(self, interval: Interval | None) -> float:
        """How far the interval keeps inside the claim's ends; negative where it reaches beyond one."""
        if interval is None:
            return -math.inf
        low = math.inf if self.low is None else interval.low - self.low
        high = math.inf if self.high is None else self.high - interval.high
        return min(low, high)

    def _reason(self, verdict: Verdict, interval: Interval | None, sample: _Sample) -> str:
        place = {"reproduced": "lies inside", "contradicted": "lies outside", "undecided": "reaches beyond"}
        said = []
        if verdict == "too few trials":
            kind = "replicates" if self.versus is None else "pairs with one other configuration that agrees in everything else"
            said.append(f"{sample.n} distinct {kind}, at least 2 are required")
        elif interval is not None and not sample.lost:
            said.append(f"the {100 * interval.level:.4g} % interval {place[verdict]} what is claimed")
        return "; ".join([*said, *sample.notes])


@dataclass(frozen=True)
class _Sample:
    """The replicates of one configuration, or its pairs, as bounds (low = high where a value is known)."""

    label: str
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    lost: int
    notes: tuple[str, ...]
    ratio: bool = False

    @property
    def n(self) -> int:
        return len(self.lows)

    def interval(self, level: float) -> Interval:
        """Of the mean: t below 10 replicates, BCa from there on; of ratios: log-ratio t; from bounds, the outer end of each side's interval."""
        low, high = (self._end(values, level) for values in (self.lows, self.highs))
        if self.lows == self.highs and low is not None:
            return low
        least = 0.0 if self.ratio else -math.inf
        return Interval(math.nan, least if low is None else low.low, math.inf if high is None else high.high, level, "bounds of censored values", self.n)

    def _end(self, values: Sequence[float], level: float) -> Interval | None:
        if not all(map(math.isfinite, values)):
            return None
        if not self.ratio:
            return mean_interval(values, level, np.random.default_rng(0))
        return ratio_interval(values, [1.0] * len(values), level) if min(values) > 0 else None


def _sample(label: str, groups: Sequence[tuple[Row, ...]], claim: Claim) -> _Sample:
    """Reads the values; notes what has none."""
    bounds: list[tuple[float, float]] = []
    censored, diverged, blank, impossible = 0, 0, 0, 0
    kept = list({tuple(outcome(row) for row in each): each for each in groups}.values())
    for each in kept:
        ends = [_ends(row, claim.column, claim.origin) for row in each]
        known = [end for end in ends if end is not None]
        if any(row.get("status") == "diverged" for row in each) or any(not math.isfinite(low) for low, _ in known):
            diverged += 1
        elif None in ends:
            blank += 1
        elif claim.ratio and min(low for low, _ in known) <= 0:
            impossible += 1
        else:
            bounds.append(_compared(known, claim.ratio))
            censored += any(low != high for low, high in known)
    n = len(kept)
    notes = (
        (diverged, "diverged or infinite, of which no mean can be taken"),
        (impossible, f"with {claim.column} <= {claim.origin or 0} on a side, of which no ratio can be taken"),
        (censored, "censored: decided by bounds only"),
        (blank, "without a value"),
    )
    told = [f"{count} of {n} {what}" for count, what in notes if count]
    same = [f"{len(groups) - n} identical to another, counted once"] if n < len(groups) else []
    lows, highs = tuple(low for low, _ in bounds), tuple(high for _, high in bounds)
    return _Sample(label, lows, highs, diverged + impossible, tuple(told + same), claim.ratio)


def _compared(known: Sequence[tuple[float, float]], ratio: bool) -> tuple[float, float]:
    """The bounds of a value itself, of a difference or of a ratio of two positive numbers."""
    if len(known) == 1:
        return known[0]
    (low, high), (least, most) = known
    return (low / most, high / least) if ratio else (low - most, high - least)


def _ends(row: Row, column: str, origin: float | Literal["chance"]) -> tuple[float, float] | None:
    """The value above the origin, twice; (budget, inf) for a time that was not reached; None where there is no number."""
    value = row.get(column)
    if origin == "chance":
        classes = row.get("classes")
        if not isinstance(classes, int):
            return None
        origin = 1 / classes
    if isinstance(value, int | float):
        return float(value) - origin, float(value) - origin
    for unit in ("epochs", "steps"):
        followed = row.get(f"fit.{unit}")
        if column.startswith(f"fit.{unit}_to_") and value is None and isinstance(followed, int | float):
            return float(followed) - origin, math.inf
    return None


def _labels(configurations: Iterable[Configuration]) -> dict[Configuration, str]:
    """What tells the configurations apart: the kinds of their parts where these do, else every field that differs."""
    all_of_them = list(configurations)
    common = set.intersection(*(set(each) for each in all_of_them)) if all_of_them else set()
    differing = {each: [item for item in each if item not in common] for each in all_of_them}
    kinds = {each: ", ".join(str(value) for column, value in items if column.endswith(".kind")) for each, items in differing.items()}
    if len(set(kinds.values())) == len(kinds):
        return kinds
    return {each: ", ".join(f"{column} = {value}" for column, value in items) for each, items in differing.items()}


def _told(where: Mapping[str, Any]) -> str:
    return ", ".join(f"{column} = {value}" for column, value in where.items()) or "any configuration"
