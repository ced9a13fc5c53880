"""Claims: what a paper or a user says about a column, so that rows can contradict it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

from shatterlab.analysis.replicates import Configuration, by_configuration, distinct, matches, pairs, partners
from shatterlab.core import Part, Row
from shatterlab.core.errors import UnknownName
from shatterlab.design.verdicts import ClaimedRange, Origin, Sample, Verdict, sample
from shatterlab.statistics import Interval

SCALE_NAMES = ("smoke", "laptop", "paper")
Where = Mapping[str, Any]  # column -> value, or a sequence of values of which one must match


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

    Each configuration that `where` matches is judged by itself and the claim holds if it holds in all: means over different models are no replicates. With
    `versus`, the number is the paired difference column[where] - column[versus], paired by seeds between configurations that agree in everything else; with
    `ratio` it is the geometric mean of column[where] / column[versus]. "Contradicted" by one of m configurations takes an interval of level 1 - (1 - level) /
    m.

    Failed rows are left out. Diverged ones enter no mean, and while there is one the claim is undecided; so it is while a ratio has a side <= 0. A time that
    was not reached (`fit.epochs_to_...` is null) is a bound, and such claims are decided by bounds only.

    Args:
        text: the sentence.
        column: a column of numbers, "test.error", say.
        where: column -> value, or a sequence of values of which one must match.
        versus: likewise, the side to subtract or to divide by; None for a claim about the mean itself.
        low: lower end of what is claimed, in the column's unit, of a ratio a factor > 0; None for no bound. State orderings with a margin.
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
    where: Where = field(default_factory=dict)
    versus: Where | None = None
    low: float | None = None
    high: float | None = None
    scales: tuple[str, ...] = ()
    level: float = 0.95
    reference: str = ""
    ratio: bool = False
    origin: Origin = 0.0

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
            scale: the scale they were run at.
        """
        if self.scales and scale not in self.scales:
            return Judgement(self, "not at this scale", None, 0, f"judged at {' and '.join(self.scales)} scale only")
        usable = [row for row in rows if row.get("status", "ok") != "failed"]
        unknown = self._unknown_column(usable)
        samples = [] if unknown else self._samples(usable)
        if not samples:
            conditions = ", ".join(f"{column} = {value}" for column, value in self.where.items()) or "any configuration"
            return Judgement(self, "too few trials", None, 0, unknown or f"no finished row has {conditions}")
        replicates = "replicates" if self.versus is None else "pairs with one other configuration that agrees in everything else"
        return Judgement(self, *ClaimedRange(self.low, self.high, self.level).decide(samples, replicates))

    def _unknown_column(self, rows: Sequence[Row]) -> str:
        known = {column for row in rows for column in row}
        missing = next((column for column in (self.column, *self._conditions()) if rows and column not in known), None)
        return str(UnknownName("Claim", missing, known)) if missing else ""  # a typing error must not look like a lack of trials

    def _samples(self, rows: Sequence[Row]) -> list[Sample]:
        ours = by_configuration(row for row in rows if matches(row, self.where))
        replicates: dict[Configuration, list[tuple[Row, ...]]]
        if self.versus is None:
            replicates = {configuration: [(row,) for row in distinct(members)] for configuration, members in ours.items()}
        else:
            theirs = by_configuration(row for row in rows if matches(row, self.versus))
            # another kind of part has other fields, so a named kind frees them all
            freed = tuple(column.removesuffix("kind") if column.endswith(".kind") else f"{column}\0" for column in self._conditions())
            replicates = {one: pairs(ours[one], theirs[other] if other else []) for one, other in partners(ours, theirs, freed).items()}
        labels = _labels(replicates)
        return [sample(labels[configuration], rows, self.column, self.ratio, self.origin) for configuration, rows in replicates.items()]

    def _conditions(self) -> tuple[str, ...]:
        return (*self.where, *(self.versus or {}))


class Options(TypedDict, total=False):
    """What every constructor of a claim takes by name, as `Claim` describes it."""

    low: float | None
    high: float | None
    scales: tuple[str, ...]
    level: float
    reference: str


def mean(text: str, column: str, where: Where | None = None, *, above_chance: bool = False, **options: Unpack[Options]) -> Claim:
    """The claim that the mean of a column over replicates lies in [low, high].

    Args:
        text: the sentence.
        column: a column of numbers.
        where: which rows; every configuration that matches is judged by itself.
        above_chance: count from 1/k, the accuracy of guessing among the row's k classes.
        options: `low`, `high`, `scales`, `level` and `reference` of `Claim`.

    Example:
        >>> chance = mean("test error at level 1 is chance", "test.error", {"corruption.level": 1.0}, low=0.88, high=0.92)
        >>> chance.judge([{"corruption.level": 1.0, "seeds.order": seed, "test.error": error} for seed, error in enumerate((0.899, 0.903, 0.901))]).verdict
        'reproduced'
    """
    return Claim(text, column, where or {}, origin="chance" if above_chance else 0.0, **options)


def difference(text: str, column: str, where: Where, versus: Where, **options: Unpack[Options]) -> Claim:
    """The claim that the mean of column[where] - column[versus], paired by seeds, lies in [low, high].

    Args:
        text: the sentence.
        column: a column of numbers.
        where: the rows of one side.
        versus: the rows of the other side, which is subtracted.
        options: `low`, `high`, `scales`, `level` and `reference` of `Claim`.
    """
    return Claim(text, column, where, versus=versus, **options)


def ratio(text: str, column: str, where: Where, versus: Where, *, origin: Origin = 0.0, **options: Unpack[Options]) -> Claim:
    """The claim that the geometric mean of column[where] / column[versus], paired by seeds, lies in [low, high].

    Args:
        text: the sentence.
        column: a column of positive numbers.
        where: the rows of one side.
        versus: the rows of the other side, which is divided by.
        origin: what both sides are counted from; "chance": 1/k, for accuracies above that of guessing.
        options: `low` and `high` (factors > 0), `scales`, `level` and `reference` of `Claim`.
    """
    return Claim(text, column, where, versus=versus, ratio=True, origin=origin, **options)


def _labels(configurations: Iterable[Configuration]) -> dict[Configuration, str]:
    distinct_ones = list(configurations)
    common = set.intersection(*map(set, distinct_ones)) if distinct_ones else set()
    differing = {one: [item for item in one if item not in common] for one in distinct_ones}
    kinds = {one: ", ".join(str(value) for column, value in items if column.endswith(".kind")) for one, items in differing.items()}
    if len(set(kinds.values())) == len(kinds):
        return kinds
    return {one: ", ".join(f"{column} = {value}" for column, value in items) for one, items in differing.items()}
