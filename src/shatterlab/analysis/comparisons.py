"""What changes when one thing is changed: paired effects with corrections, and which choices move an order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

from shatterlab.analysis.naming import value_of
from shatterlab.analysis.replicates import distinct, ended_well, finite, grouped, has, matches, mixed, pairs, seeds
from shatterlab.analysis.summary import LEVEL, Summary, summarize
from shatterlab.core import Row
from shatterlab.statistics import Interval, detectable, holm, paired_difference, t_interval, t_test

BASE = "base choices"
Strength = Literal["clearly", "within noise", "no interval"]
_POWER = 0.8
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Effect:
    """A difference of means of cells, taken within each replicate.

    factor x (mean over the cells of `plus` - mean over the cells of `minus`). An interaction of A and B has plus = (both, neither), minus = (one, the other)
    and factor 2: how much more A does where B is on.

    Args:
        name: what is switched on.
        plus: column -> value of the rows of each cell that is added.
        minus: of each cell that is subtracted.
        factor: see above.
    """

    name: str
    plus: tuple[Mapping[str, Any], ...]
    minus: tuple[Mapping[str, Any], ...]
    factor: float = 1.0


@dataclass(frozen=True)
class MeasuredEffect:
    """What the rows say of an effect on one column.

    Args:
        name: of the effect.
        column: on which it is measured.
        pairs: how many replicates count.
        lost: replicates with a diverged row or an absent value.
        interval: of the mean difference; None without pairs.
        p: Student's, two-sided, adjusted by Holm for all effects on the column; None where all pairs are equal, or fewer than two.
        detectable: the smallest true effect that so many pairs with so much spread would find four times in five, before the adjustment; None likewise.
    """

    name: str
    column: str
    pairs: int
    lost: int
    interval: Interval | None = None
    p: float | None = None
    detectable: float | None = None


def differences(rows: Iterable[Row], effect: Effect, column: str) -> tuple[list[float], int]:
    """The effect in each distinct replicate, in the order of its seeds, and how many replicates were lost to diverged rows or absent values."""
    rows = list(rows)
    cells = [distinct(row for row in rows if matches(row, where)) for where in (*effect.plus, *effect.minus)]
    values, lost = [], 0
    for replicate in sorted(pairs(*cells), key=lambda members: seeds(members[0])):
        known = [value for row in replicate if ended_well(row) and (value := finite(row, column)) is not None]
        if len(known) == len(cells):
            plus, minus = known[: len(effect.plus)], known[len(effect.plus) :]
            values.append(effect.factor * (math.fsum(plus) / len(plus) - math.fsum(minus) / len(minus)))
        else:
            lost += 1
    return values, lost


def measured_effects(rows: Iterable[Row], effects: Sequence[Effect], columns: Sequence[str]) -> list[MeasuredEffect]:
    """Every effect on every column, in the order of the effects."""
    known = [row for row in rows if row.get("status") != "failed"]
    by_column = {column: _adjusted([_measured(effect.name, column, *differences(known, effect, column)) for effect in effects]) for column in columns}
    return [by_column[column][i] for i in range(len(effects)) for column in columns]


def _measured(name: str, column: str, values: Sequence[float], lost: int) -> MeasuredEffect:
    if not values:
        return MeasuredEffect(name, column, 0, lost)
    interval = t_interval(values, LEVEL)
    if max(values) - min(values) < _ROUNDING:  # equal but for rounding: differences of accuracies are counts over one number of examples
        return MeasuredEffect(name, column, len(values), lost, interval)
    deviation = math.sqrt(math.fsum((value - interval.estimate) ** 2 for value in values) / (len(values) - 1))
    return MeasuredEffect(name, column, len(values), lost, interval, t_test(values), detectable(deviation, len(values), LEVEL, _POWER))


def _adjusted(effects: Sequence[MeasuredEffect]) -> list[MeasuredEffect]:
    """Holm's correction over the effects with at least two pairs; p of those whose pairs are all equal counts as 1 and is not shown."""
    tested = [effect for effect in effects if effect.pairs > 1]
    adjusted = dict(zip((effect.name for effect in tested), holm([1.0 if effect.p is None else effect.p for effect in tested]), strict=True))
    return [effect if effect.p is None else replace(effect, p=adjusted[effect.name]) for effect in effects]


@dataclass(frozen=True)
class Ranking:
    """The base or a variant: the rows of each group, and which groups are its own rather than the base's."""

    name: str
    y: str
    groups: Mapping[Any, Sequence[Row]]
    own: frozenset[Any]

    def summary(self, group: Any) -> Summary:
        """What the replicates of a group say of y."""
        return summarize(self.groups.get(group, ()), self.y)

    @property
    def ascending(self) -> list[Any]:
        """The groups, the smallest first; those of which nothing is known last."""
        extents = {group: self.summary(group).extent for group in self.groups}
        return sorted(extents, key=lambda group: extents[group] if extents[group][0] > -math.inf else (math.inf, math.inf))

    def order(self, first: Any, second: Any) -> int | None:
        """-1 where `first` is smaller, 1 where `second` is, 0 where their means are equal; None where that is not known."""
        (low, high), (other_low, other_high) = self.summary(first).extent, self.summary(second).extent
        if math.isfinite(high) and math.isfinite(other_high) and math.isclose(low, other_low, rel_tol=1e-9):
            return 0
        return -1 if high < other_low else 1 if other_high < low else None

    def interval(self, first: Any, second: Any) -> tuple[float, float] | None:
        """Of the mean of `first` - `second`, paired by seeds; None where bounds, mixed or too few trials allow none."""
        sides = [[row for row in self.groups.get(group, ()) if ended_well(row)] for group in (first, second)]
        if not (self.summary(first).complete and self.summary(second).complete) or mixed(sides):
            return None
        means = [(summarize([a], self.y).mean, summarize([b], self.y).mean) for a, b in pairs(*sides)]
        known = [(a, b) for a, b in means if a is not None and b is not None]
        if len({a - b for a, b in known}) < 2:
            return None
        interval = paired_difference([a for a, _ in known], [b for _, b in known], LEVEL)
        return interval.low, interval.high

    def strength(self, base: Ranking, first: Any, second: Any) -> Strength:
        """How sure it is that two groups have changed places: both intervals exclude 0, on opposite sides, or not."""
        ours, theirs = self.interval(first, second), base.interval(first, second)
        if ours is None or theirs is None:
            return "no interval"
        return "clearly" if (ours[1] < 0 and theirs[0] > 0) or (ours[0] > 0 and theirs[1] < 0) else "within noise"

    def moves(self, base: Ranking) -> tuple[list[tuple[Any, Any, Strength]], list[tuple[Any, Any]]]:
        """The pairs that have changed places against the base, the smaller one first; and those whose order is not known."""
        moved, unknown = [], []
        for first, second in combinations(dict.fromkeys([*base.groups, *self.groups]), 2):
            before, now = base.order(first, second), self.order(first, second)
            if not self.own & {first, second}:
                continue
            if before is None or now is None:
                unknown.append((first, second))
            elif before * now < 0:
                pair = (first, second) if now < 0 else (second, first)
                moved.append((*pair, self.strength(base, first, second)))
        return moved, unknown


def rankings(rows: Sequence[Row], y: str, among: str, base: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]]) -> list[Ranking]:
    """The base first, then the variants; none where no row fits any of them.

    A group that has rows with a variant's choice is shown by them, any other by its base rows.

    Args:
        rows: any.
        y: a column of numbers.
        among: what is ordered: "setting", "model" or a column.
        base: column -> value of the base choices. A row that lacks the column agrees.
        variants: name -> the choice: column -> value, or a sequence of which one must match.
    """

    def ranking(name: str, choice: Mapping[str, Any], common: Mapping[Any, Sequence[Row]]) -> Ranking:
        fitting = [row for row in rows if _fits(row, choice, base, variants.values())]
        own = {group: members for (group,), members in grouped(fitting, (among,)).items()}
        return Ranking(name, y, {**common, **own}, frozenset(own))

    common = ranking(BASE, {}, {})
    every = [common, *(ranking(name, choice, common.groups) for name, choice in variants.items())]
    return every if any(each.groups for each in every) else []


def _fits(row: Row, choice: Mapping[str, Any], base: Mapping[str, Any], variants: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a row makes this choice, none that another variant adds, and the base's everywhere else."""
    kept = {column: value for column, value in base.items() if column not in choice}
    elsewhere = all(has(row, column, value) or (column not in row and value_of(row, column) is None) for column, value in kept.items())
    others = [other for other in variants if not other.items() <= choice.items()]
    return elsewhere and matches(row, choice) and not any(matches(row, other) for other in others)
