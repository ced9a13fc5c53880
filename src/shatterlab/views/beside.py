"""Ours beside what was published: one line a printed number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shatterlab.replicates import by_configuration
from shatterlab.statistics import clopper_pearson
from shatterlab.values import Row
from shatterlab.views.grid import Grid
from shatterlab.views.groups import LEVEL, caveats, selected, standing, summarize
from shatterlab.views.naming import heading, is_fraction, number, with_interval

_ONE = f"One trial: brackets are the {100 * LEVEL:g} % interval of Clopper and Pearson for its test sample."


@dataclass(frozen=True)
class Printed:
    """A line of `Beside`.

    Args:
        name: what it is called there.
        where: the rows that stand for it: column -> the value asked for, or a sequence of which one must match.
        value: the published number, in the column's unit; None where there is none.
    """

    name: str
    where: Mapping[str, Any]
    value: float | None = None


@dataclass(frozen=True)
class Beside:
    """The mean of a column over the replicates of each line, beside the published number.

    A line that has one trial only, since nothing in it is random, shows for test errors the interval of its test sample.

    Args:
        lines: what was published, and which rows stand for it.
        column: what was published of them.
        columns: further columns to show.
        title: the heading.
    """

    lines: Sequence[Printed]
    column: str = "test.error"
    columns: tuple[str, ...] = ()
    title: str = "Beside the published numbers"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table, lines without rows left out; None where none has any."""
        known = list(rows)
        made: list[tuple[str, ...]] = []
        notes: dict[str, None] = {}
        for line in self.lines:
            chosen, dropped = selected(known, line.where)
            if chosen:
                cell, note = self._cell(chosen)
                more = (summarize(chosen, column).text(column) for column in self.columns)
                made.append((line.name, standing(chosen), cell, number(line.value, self.column), self._difference(chosen, line), *more))
                notes |= dict.fromkeys([*dropped, *note, *caveats({(line.name,): chosen}, (self.column, *self.columns))])
        headers = ("line", "trials", heading(self.column), "published", "difference", *map(heading, self.columns))
        return Grid(headers, tuple(made), 1, tuple(notes)) if made else None

    def text(self, rows: Iterable[Row]) -> str:
        """The table for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no rows)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """None: a table is no figure."""
        return None

    def _cell(self, chosen: Sequence[Row]) -> tuple[str, list[str]]:
        summary = summarize(chosen, self.column)
        n = chosen[0].get("test.n")
        if self.column != "test.error" or len(summary.values) != 1 or not isinstance(n, int):
            return summary.text(self.column), []
        found = clopper_pearson(round(summary.values[0] * n), n, LEVEL)
        return with_interval(summary.values[0], found.low, found.high, self.column), [_ONE]

    def _difference(self, chosen: Sequence[Row], line: Printed) -> str:
        mean = summarize(chosen, self.column).mean
        if mean is None or line.value is None or len(by_configuration(chosen)) != 1:
            return "-"
        return f"{100 * (mean - line.value):+.2f} points" if is_fraction(self.column) else f"{mean - line.value:+.3g}"
