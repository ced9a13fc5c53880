"""A table of named lines: what was measured beside what is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shatterlab.analysis.naming import heading, is_fraction, number, with_interval
from shatterlab.analysis.replicates import by_configuration
from shatterlab.analysis.summary import LEVEL, caveats, selected, standing, summarize
from shatterlab.core.values import Row
from shatterlab.statistics import clopper_pearson
from shatterlab.views.grid import Grid

_ONE = f"One trial: brackets are the {100 * LEVEL:g} % interval of Clopper and Pearson for its test sample."


@dataclass(frozen=True)
class PublishedLine:
    """One line of a published table.

    Args:
        cells: what it is called, one cell a key column.
        where: the rows that belong to it: column -> the value asked for, or a sequence of which one must match.
        published: column -> the published value, in the column's unit; a text where no number is printed; absent where there is none.
    """

    cells: tuple[str, ...]
    where: Mapping[str, Any]
    published: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparisonTable:
    """Means over replicates with 95 % intervals, each beside the published number; lines in the published order.

    A line that has one trial only, since nothing in it is random, shows for test errors the interval of its test sample.

    Args:
        lines: what was published, and which rows stand for it.
        keys: headings of their cells.
        columns: what to show of each; one that nothing was published of in any line has no column beside it.
        further: columns to show at the end, without what was published.
        differences: whether measured minus published is shown.
        title: the heading.
    """

    lines: Sequence[PublishedLine]
    keys: tuple[str, ...] = ("line",)
    columns: tuple[str, ...] = ("train.accuracy", "test.accuracy")
    further: tuple[str, ...] = ()
    differences: bool = False
    title: str = "Measured and published"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table, lines without rows included; None where no line has any."""
        known = list(rows)
        groups: dict[tuple[str, ...], list[Row]] = {}
        notes: dict[str, None] = {}
        for line in self.lines:
            groups[line.cells], told = selected(known, line.where)
            notes |= dict.fromkeys(told)
        if not any(groups.values()):
            return None
        lines = tuple(self._cells(line, groups[line.cells]) for line in self.lines)
        if any(self._by_sample(column, each) for each in groups.values() for column in self.columns):
            notes[_ONE] = None
        told = caveats({cells: each for cells, each in groups.items() if each}, (*self.columns, *self.further))
        return Grid(self._headers(), lines, len(self.keys), (*notes, *told))

    def text(self, rows: Iterable[Row]) -> str:
        """The table for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no rows)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """None: a table is no figure."""
        return None

    def _headers(self) -> tuple[str, ...]:
        told = (each for column in self.columns for each in (heading(column), *self._beside(column)))
        return (*self.keys, "trials", *told, *map(heading, self.further))

    def _beside(self, column: str) -> tuple[str, ...]:
        if not any(column in line.published for line in self.lines):
            return ()
        return ("published", "difference") if self.differences else ("published",)

    def _cells(self, line: PublishedLine, members: Sequence[Row]) -> tuple[str, ...]:
        cells = [*line.cells, standing(members) if members else "0"]
        for column in self.columns:
            value = line.published.get(column)
            beside = [value if isinstance(value, str) else number(value, column), _difference(column, members, value)]
            cells += [self._measured(column, members), *beside[: len(self._beside(column))]]
        return (*cells, *(summarize(members, column).text(column) for column in self.further))

    def _measured(self, column: str, members: Sequence[Row]) -> str:
        summary = summarize(members, column)
        if not self._by_sample(column, members):
            return summary.text(column)
        n = members[0]["test.n"]
        assert isinstance(n, int)
        found = clopper_pearson(round(summary.values[0] * n), n, LEVEL)
        return with_interval(summary.values[0], found.low, found.high, column)

    def _by_sample(self, column: str, members: Sequence[Row]) -> bool:
        return column == "test.error" and len(summarize(members, column).values) == 1 and isinstance(members[0].get("test.n"), int)


def _difference(column: str, members: Sequence[Row], published: float | str | None) -> str:
    mean = summarize(members, column).mean
    if mean is None or not isinstance(published, float) or len(by_configuration(members)) != 1:
        return "-"
    return f"{100 * (mean - published):+.2f} points" if is_fraction(column) else f"{mean - published:+.3g}"
