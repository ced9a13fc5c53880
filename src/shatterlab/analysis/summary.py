"""Replicates brought together: which rows belong to one line of a table, and what they say as one cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shatterlab.analysis.naming import heading, number, rank, value_of, with_interval
from shatterlab.analysis.replicates import distinct
from shatterlab.core.values import Row
from shatterlab.statistics import mean_interval

LEVEL = 0.95  # of every interval that a view prints or draws
_SPECIFICATION = ("dataset.", "corruption.", "learner.")
_CHANCE = {"test.error": lambda classes: 1 - 1 / classes, "test.accuracy": lambda classes: 1 / classes}


@dataclass(frozen=True)
class Summary:
    """What the replicates of one configuration say about one column.

    Args:
        values: the finite values, one a replicate.
        bounds: for replicates that never got there, how far they were followed: lower bounds of their values.
        infinite: replicates whose value is infinite.
        trials: finished replicates in the group, those without a value included.
        reason: why values are absent, where a row says so.
    """

    values: tuple[float, ...] = ()
    bounds: tuple[float, ...] = ()
    infinite: int = 0
    trials: int = 0
    reason: str = ""

    @property
    def complete(self) -> bool:
        """Whether a mean may be taken: no value is only a bound, none is infinite."""
        return bool(self.values) and not self.bounds and not self.infinite

    @property
    def mean(self) -> float | None:
        """The mean over replicates; None where censored or infinite values forbid one."""
        return math.fsum(self.values) / len(self.values) if self.complete else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of the mean; None below two replicates or where all are equal, which tells nothing of their spread."""
        if not self.complete or len(set(self.values)) < 2:
            return None
        found = mean_interval(self.values, LEVEL)
        return float(found.low), float(found.high)

    def text(self, column: str) -> str:
        """The cell as printed: "90.3 % [89.1, 91.5]", "0.0 % (all 3)", "40 (1 of 3), ≥ 100 (2 of 3)"."""
        if not self.values and not self.bounds and not self.infinite:
            return "-"
        if not self.complete:
            return self._parts(column)
        short = f" (n = {len(self.values)})" if len(self.values) != self.trials else ""
        told = number(self.mean, column)
        if self.mean is not None and self.interval:
            return with_interval(self.mean, *self.interval, column) + short
        return f"{told} (all {len(self.values)})" if len(self.values) > 1 else told + short

    def _parts(self, column: str) -> str:
        n = len(self.values) + len(self.bounds) + self.infinite
        parts = []
        if self.values:
            low, high = number(min(self.values), column), number(max(self.values), column)
            parts.append((low if low == high else f"{low} to {high}", len(self.values)))
        if self.bounds:
            parts.append((f"≥ {number(min(self.bounds), column)}", len(self.bounds)))
        if self.infinite:
            parts.append(("infinite", self.infinite))
        return ", ".join(f"{told} ({count} of {n})" for told, count in parts)


def summarize(rows: Iterable[Mapping[str, Any]], column: str) -> Summary:
    """The replicates' values of a column, over those that ended well; censored ones are kept apart.

    A run that never reached its goal has null in `fit.epochs_to_...`; it is known to need more than it was given.
    """
    good = [row for row in rows if row.get("status", "ok") == "ok"]
    values, bounds, infinite, reason = [], [], 0, ""
    for row in good:
        value = value_of(row, column)
        if isinstance(value, int | float) and math.isfinite(value):
            values.append(float(value))
        elif isinstance(value, float) and math.isinf(value):
            infinite += 1
        elif (bound := censoring(row, column)) is not None:
            bounds.append(bound)
        else:
            reason = reason or _reason(row, column, value)
    return Summary(tuple(values), tuple(bounds), infinite, len(good), reason)


def censoring(row: Mapping[str, Any], column: str) -> float | None:
    """How far a run was followed that never reached the goal of `column`; None where nothing is censored."""
    for unit in ("epochs", "steps"):
        followed = row.get(f"fit.{unit}")
        if column.startswith(f"fit.{unit}_to_") and row.get(column) is None and isinstance(followed, int | float):
            return float(followed)
    return None


def _reason(row: Mapping[str, Any], column: str, value: Any) -> str:
    if isinstance(value, float):
        return "not a number"
    given = row.get(f"{column}.reason") or row.get(f"{column.rpartition('.')[0]}.reason")
    return str(given) if given else "not recorded"


def unique(rows: Iterable[Row]) -> list[Row]:
    """The rows, each key once (the last one counts); rows without a key all stay."""
    return list({row.get("key") or id(row): row for row in rows}.values())


def grouped(rows: Iterable[Row], columns: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    """The rows by what they have in these columns: settings in the paper's order, numbers ascending, the rest as they come."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(value_of(row, column) for column in columns), []).append(row)
    first = {column: {value: place for place, value in enumerate(dict.fromkeys(each[i] for each in groups))} for i, column in enumerate(columns)}
    return dict(sorted(groups.items(), key=lambda item: [_place(value, first[column]) for column, value in zip(columns, item[0], strict=True)]))


def melted(rows: Iterable[Row], x: str, columns: Mapping[str, str], line: str) -> list[Row]:
    """One row for each row and column: its value in the first of the columns, the column's name in `line`.

    Of the configuration only `x` stays, so that rows of different lines differ in the line alone.
    """
    first = next(iter(columns.values()))
    kept = [(row, {x: value_of(row, x), "status": row.get("status", "ok")}) for row in rows]
    return [
        Row({**said, "key": f"{row.get('key', place)} {name}", line: name, first: row.get(column)})
        for name, column in columns.items()
        for place, (row, said) in enumerate(kept)
    ]


def _place(value: Any, first: Mapping[Any, int]) -> tuple[float, float, float]:
    if isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value):
        return (0, 0, float(value))
    return (1, *rank(value)) if rank(value)[0] < rank("")[0] else (2, 0, first[value])


def selected(rows: Iterable[Row], where: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """The rows that count, and a note where some do not: each key once, and replicates in which nothing was random once.

    Args:
        rows: any rows.
        where: column, "setting" or "model" -> the value asked for, or a sequence of which one must match.
    """
    asked = {column: value if isinstance(value, list | tuple | set | frozenset) else (value,) for column, value in where.items()}
    chosen = [row for row in unique(rows) if all(value_of(row, column) in values for column, values in asked.items())]
    kept = distinct(chosen)
    dropped = len(chosen) - len(kept)
    told = "trial identical to another, in which nothing was random, is" if dropped == 1 else "trials identical to others, in which nothing was random, are"
    return kept, [f"{dropped} {told} counted once."] if dropped else []


def mixed(groups: Iterable[Sequence[Row]]) -> list[str]:
    """The columns of the specification that differ inside a group: there, "replicates" are not replicates."""
    differing: dict[str, None] = {}
    for rows in groups:
        if len(rows) > 1:
            columns = dict.fromkeys(column for row in rows for column in row if column.startswith(_SPECIFICATION))
            differing |= dict.fromkeys(column for column in columns if len({row.get(column) for row in rows}) > 1)
    return list(differing)


def caveats(groups: Mapping[tuple[Any, ...], Sequence[Row]], columns: Sequence[str]) -> list[str]:
    """What a reader must know before believing a cell: mixed configurations, censored and absent values."""
    notes = []
    differing = mixed(groups.values())
    if differing:
        notes.append(f"Not replicates only: rows that differ in {', '.join(differing)} share a line.")
    for column in columns:
        summaries = [summarize(rows, column) for rows in groups.values()]
        if any(each.bounds for each in summaries):
            notes.append(f"{heading(column)}: ≥ counts runs that had not got there when they ended; no mean is taken over them.")
        reasons = dict.fromkeys(each.reason for each in summaries if each.reason and not each.values)
        notes += [f"{heading(column)}: - means {reason}." for reason in reasons]
    return notes


def chance(rows: Iterable[Mapping[str, Any]], column: str) -> float | None:
    """What guessing gives in a column of test errors or accuracies; None for others, and where the numbers of classes differ."""
    classes = {row.get("classes") for row in rows if row.get("classes")}
    known = _CHANCE.get(column)
    return known(int(str(classes.pop()))) if known and len(classes) == 1 else None


def standing(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many trials ended well and how many did not: "3", "2 ok, 1 diverged"."""
    counts = {status: sum(row.get("status", "ok") == status for row in rows) for status in ("ok", "diverged", "failed")}
    told = [f"{count} {status}" for status, count in counts.items() if count]
    return str(counts["ok"]) if counts["ok"] == len(rows) else ", ".join(told)
