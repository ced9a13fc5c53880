"""What the replicates of one configuration say of a column: mean, interval, bounds of runs that were cut short, ratios to partners."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shatterlab.analysis import columns
from shatterlab.analysis.columns import Quantity, is_geometric, mean_interval_of, mean_of
from shatterlab.analysis.naming import counted, heading, number, text_of, value_of, with_interval
from shatterlab.analysis.replicates import by, configuration, ended_well, finite, matches, mixed, seeds, unique
from shatterlab.core import Row

LEVEL = 0.95  # of every interval that a view prints or draws
SHOWN_FROM = 3  # replicates: two give an interval 12.7 standard errors wide on either side, which nobody can read
_CHANCE = {"test.error": lambda classes: 1 - 1 / classes, "test.accuracy": lambda classes: 1 / classes}
_DERIVED = {"setting": "corruption.", "model": "learner."}  # where a partner differs in one of these, it may differ in all of that


@dataclass(frozen=True)
class Summary:
    """What the replicates of one configuration say about one column.

    Args:
        values: the finite values, one a replicate.
        bounds: for replicates that never got there, how far they were followed: lower bounds of their values.
        infinite: replicates whose value is infinite.
        trials: finished replicates in the group, those without a value included.
        reason: why values are absent, where a row says so.
        quantity: the kind of the column; means of times, of positive quantities and of ratios are geometric.
        known: between which bounds each value is known; empty: exactly.
        examples: of how many examples each value is a share.
        ratio: whether the values are ratios.
    """

    values: tuple[float, ...] = ()
    bounds: tuple[float, ...] = ()
    infinite: int = 0
    trials: int = 0
    reason: str = ""
    quantity: Quantity = "real"
    known: tuple[tuple[float, float], ...] = ()
    examples: int | None = None
    ratio: bool = False

    @property
    def complete(self) -> bool:
        """Whether a mean may be taken: no value is only a bound, none is infinite."""
        return bool(self.values) and not self.bounds and not self.infinite

    @property
    def mean(self) -> float | None:
        """The mean over replicates; None where censored or infinite values forbid one."""
        return mean_of(self.quantity, self.values) if self.complete else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of the mean; None below three replicates, and where nothing is known of their spread."""
        if not self.complete or len(self.values) < SHOWN_FROM:
            return None
        known = self.known or tuple((value, value) for value in self.values)
        interval = mean_interval_of(self.quantity, self.values, known, self.examples, LEVEL)
        return None if interval.method == "no spread" or not math.isfinite(interval.high) else (float(interval.low), float(interval.high))

    @property
    def extent(self) -> tuple[float, float]:
        """Where all that is known lies: at the mean; from the smallest value or bound up; anywhere."""
        if self.mean is not None:
            return self.mean, self.mean
        known = (*self.values, *self.bounds, *[math.inf] * bool(self.infinite))
        return min(known, default=-math.inf), math.inf

    def text(self, column: str) -> str:
        """The cell as printed: "90.3 % [89.1, 91.5]", "0.0 % (all 3)", "40 (1 of 3), ≥ 100 (2 of 3)"; of ratios "× 1.55 [1.41, 1.70]"."""
        if not self.values and not self.bounds and not self.infinite:
            return "-"
        times, column, count = ("× ", "", len(self.values)) if self.ratio else ("", column, len(self.values))
        if self.mean is None:
            return times + self._parts(column)
        if count > 1 and len(set(self.values)) == 1:
            return f"{times}{number(self.mean, column)} (all {count})"
        if count > 1 and self.interval is None:
            return f"{times}{number(self.mean, column)} (n = {count})"
        short = f" (n = {count})" if count != self.trials else ""
        return times + (with_interval(self.mean, *self.interval, column) if self.interval else number(self.mean, column)) + short

    def _parts(self, column: str) -> str:
        n = len(self.values) + len(self.bounds) + self.infinite
        ends = dict.fromkeys(number(of(self.values, default=None), column) for of in (min, max))
        bound = number(min(self.bounds, default=None), column)
        parts = ((" to ".join(ends), len(self.values)), (f"≥ {bound}", len(self.bounds)), ("infinite", self.infinite))
        return ", ".join(f"{text} ({count} of {n})" for text, count in parts if count)


def summarize(rows: Iterable[Mapping[str, Any]], column: str, *, ratio: bool = False) -> Summary:
    """The replicates' values of a column, over those that ended well; censored ones are kept apart.

    A run that never reached its goal has null in `fit.epochs_to_...`; it is known to need more than it was given.
    """
    good = [row for row in rows if ended_well(row)]
    values, known, bounds, infinite, reason, sizes = [], [], [], 0, "", set()
    for row in good:
        value = value_of(row, column)
        if isinstance(value, int | float) and math.isfinite(value):
            values.append(float(value))
            known.append((not ratio and columns.bounds(row, column)) or (float(value), float(value)))
            sizes.add(columns.examples(row, column))
        elif isinstance(value, float) and math.isinf(value):
            infinite += 1
        elif (bound := censoring(row, column)) is not None:
            bounds.append(bound)
        else:
            reason = reason or ("not a number" if isinstance(value, float) else absence(row, column) or "not recorded")
    kind: Quantity = "positive" if ratio else columns.quantity(column)
    return Summary(tuple(values), tuple(bounds), infinite, len(good), reason, kind, tuple(known), sizes.pop() if len(sizes) == 1 else None, ratio)


def censoring(row: Mapping[str, Any], column: str) -> float | None:
    """How far a run was followed that never reached the goal of `column`; None where nothing is censored."""
    known = columns.bounds(row, column)
    return known[0] if known and known[1] == math.inf else None


def absence(row: Mapping[str, Any], column: str) -> str:
    """The reason that a row keeps for an absent value of a measure; "" where it keeps none."""
    return str(row.get(f"{column}.reason") or row.get(f"{column.rpartition('.')[0]}.reason") or "")


def caveats(groups: Mapping[tuple[Any, ...], Sequence[Row]], columns: Sequence[str]) -> list[str]:
    """What a reader must know before believing a cell: mixed configurations, censored and absent values."""
    differing = mixed(groups.values())
    notes = [f"Not replicates only: rows that differ in {', '.join(differing)} share a line."] if differing else []
    geometric: list[str] = []
    for column in columns:
        summaries = [summarize(rows, column) for rows in groups.values()]
        if any(summary.bounds for summary in summaries):
            notes.append(f"{heading(column)}: ≥ counts runs that had not got there when they ended; no mean is taken over them.")
        if any(len(set(summary.values)) > 1 and is_geometric(summary.quantity, summary.values) for summary in summaries):
            geometric.append(heading(column))
        reasons = dict.fromkeys(summary.reason for summary in summaries if summary.reason and not summary.values)
        notes += [f"{heading(column)}: - means {reason}." for reason in reasons]
    return notes + ([f"Geometric means: {', '.join(geometric)}."] if geometric else [])


def left_out(count: int, why: str) -> list[str]:
    """The note on trials that are not shown; none where all are."""
    return [f"Left out: {counted(count, 'trial')} {why}."] if count else []


def chance(rows: Iterable[Mapping[str, Any]], column: str) -> tuple[float, str] | None:
    """What guessing gives in a column of test errors or accuracies, and its name; None for others, and where the numbers of classes differ.

    Where labels were permuted, which keeps class shares, that is always answering the majority class; else each of k classes as often as another.
    """
    rows = list(rows)
    classes = {row.get("classes") for row in rows if row.get("classes")}
    known = _CHANCE.get(column)
    if known is None or len(classes) != 1:
        return None
    shares = [value for row in rows if isinstance(value := row.get("baseline.test.accuracy"), float)]
    if shares and any(row.get("corruption.kind") == "PermutedLabels" for row in rows):
        share = sum(shares) / len(shares)
        return (share if column == "test.accuracy" else 1 - share), "majority class"
    return known(int(str(classes.pop()))), "chance"


def standing(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many trials ended well and how many did not: "3", "2 ok, 1 diverged"."""
    counts = {status: sum(row.get("status", "ok") == status for row in rows) for status in ("ok", "diverged", "failed")}
    return str(counts["ok"]) if counts["ok"] == len(rows) else ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def in_words(base: Mapping[str, Any]) -> str:
    """What values are relative to, in words: "corruption level 0", "true labels"."""
    return ", ".join(text_of(value) if column in _DERIVED else f"{heading(column)} {text_of(value, column)}" for column, value in base.items())


def ratios(rows: Iterable[Row], everything: Iterable[Row], column: str, base: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """The rows with their value divided by their partner's, and a note where some have none.

    Where a run ended before it got there, what is divided is how far it was followed: a lower bound of the ratio.

    Args:
        rows: the rows that are drawn.
        everything: where partners are looked for.
        column: what is divided, positive.
        base: the values that a partner has in some columns; in seeds and all other columns of the specification it is equal.

    Returns:
        The rows, those left out that have no one partner whose value is known and positive; the note.
    """
    freed = tuple(_DERIVED.get(name, f"{name}\0") for name in base)
    rows = list(rows)

    def shared(row: Row) -> tuple[Any, ...]:
        return seeds(row), configuration(row, freed)

    bases = by((row for row in unique(everything) if matches(row, base)), shared)
    only = {key: group[0] for key, group in bases.items() if len(group) == 1}
    divided = [_divided(row, column, only.get(shared(row))) for row in rows]
    kept = [row for row in divided if row is not None]
    why = f"whose ratio to the trial with the same seeds at {in_words(base)} is unknown (one of the two is missing, failed, or never got there)"
    return kept, left_out(len(rows) - len(kept), why)


def _positive(row: Row, column: str) -> float | None:
    value = finite(row, column)
    return value if value is not None and value > 0 and ended_well(row) else None


def _divided(row: Row, column: str, partner: Row | None) -> Row | None:
    """The row with a ratio as its value, or as the bound up to which it was followed; None where it has neither."""
    divisor = _positive(partner, column) if partner is not None else None
    if divisor is None:
        return None
    if not ended_well(row):
        return Row({**row, column: None})  # counted, never drawn
    value, bound = _positive(row, column), censoring(row, column)
    if value is not None:
        return Row({**row, column: value / divisor})
    return None if bound is None else Row({**row, "fit.epochs": bound / divisor, "fit.steps": bound / divisor})
