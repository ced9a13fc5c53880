"""Claims: what a paper or a user says about a column, so that rows can contradict it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

from shatterlab.analysis.columns import quantity
from shatterlab.analysis.replicates import Configuration, by_configuration, distinct, matches, pairs, partners
from shatterlab.core import Part, Row
from shatterlab.core.errors import UnknownName
from shatterlab.design.verdicts import ClaimedRange, Finding, Origin, Sample, Verdict, corrected, sample
from shatterlab.statistics import Interval

SCALE_NAMES = ("smoke", "laptop", "paper")
Where = Mapping[str, Any]  # column -> value, or a sequence of values of which one must match


@dataclass(frozen=True)
class Judgement:
    """What the rows say about a claim.

    Args:
        claim: the sentence judged.
        verdict: "reproduced" (the interval lies inside the claim's, after Holm's correction for all claims that are judged together), "contradicted"
            (outside), "undecided", "observed" (every single run agrees, a statement about these runs), "too few trials" (fewer than two distinct
            replicates), "not judged" (smoke scale) or "not at this scale".
        interval: of the mean, the mean difference or the geometric mean ratio, at the claim's level, without correction; of a count the probability's;
            where configurations are many, of the one that decides; its estimate is NaN where censored values leave bounds only; None where there is none.
        n: distinct replicates (or pairs) behind that interval.
        reason: why, in one sentence.
        p: two-sided, before Holm's correction; None where nothing is tested.
        scale: the scale that the verdict is about.
    """

    claim: Claim
    verdict: Verdict
    interval: Interval | None
    n: int
    reason: str
    p: float | None = None
    scale: str = ""

    @property
    def tag(self) -> str:
        """The verdict with its scale, "reproduced at laptop scale"."""
        return f"{self.verdict} at {self.scale} scale" if self.scale and self.verdict in ("reproduced", "contradicted", "observed") else self.verdict


@dataclass(frozen=True)
class Claim(Part):
    """A sentence about the mean of a column over replicates: it lies in [low, high].

    Each configuration that `where` matches is judged by itself and the claim holds if it holds in all: means over different models are no replicates. With
    `versus`, the number is the paired difference column[where] - column[versus], paired by seeds between configurations that agree in everything else; with
    `ratio` it is the geometric mean of column[where] / column[versus]. Of times and positive quantities the mean is the geometric one (`analysis.columns`).
    "Contradicted" by one of m configurations takes p <= (1 - level) / m. With `each` every single value is claimed to lie in the range: what the runs show is
    counted ("observed": all of them), with the interval of the probability. So is a claim that an error is 0 or an accuracy 1, and one about values that are
    all 0 or all 1.

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
        each: whether the claim is about every single value.

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
    each: bool = False

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
        return judge_together((self,), rows, scale)[0]

    def finding(self, rows: Iterable[Row], scale: str = "") -> Finding:
        """What these rows say before other claims are looked at: the verdict that they speak for, and its p-value."""
        if self.scales and scale not in self.scales:
            return Finding("not at this scale", notes=(f"judged at {' and '.join(self.scales)} scale only",))
        usable = [row for row in rows if row.get("status", "ok") != "failed"]
        unknown = self._unknown_column(usable)
        samples = [] if unknown else self._samples(usable)
        if not samples:
            conditions = ", ".join(f"{column} = {value}" for column, value in self.where.items()) or "any configuration"
            return Finding("too few trials", notes=(unknown or f"no finished row has {conditions}",))
        if scale == "smoke":
            first = samples[0]
            shown = first.interval(self.level) if first.n and len(samples) == 1 else None
            return Finding("not judged", None, shown, first.n, ("smoke scale shows values and decides nothing: run it at laptop scale",))
        replicates = "replicates" if self.versus is None else "pairs with one other configuration that agrees in everything else"
        return ClaimedRange(self.low, self.high, self.level, self.each or self._all_or_none).judge(samples, replicates)

    @property
    def is_logarithmic(self) -> bool:
        """Whether its mean is geometric."""
        return self.ratio or (self.versus is None and quantity(self.column) in ("time", "positive"))

    def values(self, rows: Iterable[Row]) -> list[list[float]]:
        """The finite values of each configuration, or of its pairs; their logarithms where the mean is geometric."""
        samples = self._samples([row for row in rows if row.get("status", "ok") != "failed"])
        points = [[value.point for value in sample.values if math.isfinite(value.point)] for sample in samples]
        return [[math.log(point) for point in each if point > 0] for each in points] if self.is_logarithmic else points

    @property
    def may_be_a_goal(self) -> bool:
        """Whether it is about the mean of a column at which training may be told to end."""
        return self.versus is None and not self.each and not self._all_or_none and self.column in ("train.accuracy", "train.error", "train.loss")

    def is_met_by(self, goals: Mapping[str, float]) -> bool:
        """Whether a run that ends at these goals lies in the claimed range."""
        accuracy = goals.get("train.accuracy")
        ends = {**goals, **({} if accuracy is None else {"train.error": 1 - accuracy})}
        if self.column not in ends:
            return False
        if self.column == "train.accuracy":
            return self.low is not None and self.low <= ends[self.column] and (self.high is None or self.high >= 1)
        return self.high is not None and self.high >= ends[self.column] and (self.low is None or self.low <= 0)

    @property
    def _all_or_none(self) -> bool:
        return self.versus is None and quantity(self.column) == "share" and (self.high == 0 or self.low == 1)

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


def every(text: str, column: str, where: Where | None = None, versus: Where | None = None, *, ratio: bool = False, **options: Unpack[Options]) -> Claim:
    """The claim that every single value lies in [low, high]: "zero training error in 3 of 3 runs, so P >= 0.29".

    Args:
        text: the sentence.
        column: a column of numbers.
        where: which rows.
        versus: the rows that are subtracted, or divided by, pair by pair; None: none.
        ratio: divide by `versus`.
        options: `low`, `high`, `scales`, `level` and `reference` of `Claim`.

    Example:
        >>> fitted = every("training error is zero", "train.error", high=0.0)
        >>> judged = fitted.judge([{"seeds.order": seed, "train.error": 0.0} for seed in range(3)])
        >>> judged.verdict, judged.reason
        ('observed', '3 of 3 runs, so P >= 0.29 at 95 %')
    """
    return Claim(text, column, where or {}, versus=versus, ratio=ratio, each=True, **options)


def judge_together(claims: Sequence[Claim], rows: Iterable[Row], scale: str = "") -> tuple[Judgement, ...]:
    """Claims as one family: Holm's correction over all that are tested decides, the interval that is shown is each claim's own.

    Args:
        claims: of one experiment.
        rows: its rows; those that do not match a claim are left out.
        scale: the scale they were run at.
    """
    rows = list(rows)
    findings = [claim.finding(rows, scale) for claim in claims]
    settled = corrected(findings, [claim.level for claim in claims])
    return tuple(
        Judgement(claim, verdict, found.interval, found.n, reason, found.p, scale)
        for claim, found, (verdict, reason) in zip(claims, findings, settled, strict=True)
    )


def _labels(configurations: Iterable[Configuration]) -> dict[Configuration, str]:
    distinct_ones = list(configurations)
    common = set.intersection(*map(set, distinct_ones)) if distinct_ones else set()
    differing = {one: [item for item in one if item not in common] for one in distinct_ones}
    kinds = {one: ", ".join(str(value) for column, value in items if column.endswith(".kind")) for one, items in differing.items()}
    if len(set(kinds.values())) == len(kinds):
        return kinds
    return {one: ", ".join(f"{column} = {value}" for column, value in items) for one, items in differing.items()}
