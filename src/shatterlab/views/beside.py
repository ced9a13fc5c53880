"""A table of named lines: what was measured beside what is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shatterlab.values import Row
from shatterlab.views.grid import Grid
from shatterlab.views.groups import caveats, selected, standing, summarize
from shatterlab.views.naming import heading, number


@dataclass(frozen=True)
class Line:
    """One line of a published table.

    Args:
        cells: what it is called, one cell a key column.
        where: column -> value of the rows that belong to it.
        published: column -> the published value; a text where no number is printed; absent where there is none.
    """

    cells: tuple[str, ...]
    where: Mapping[str, Any]
    published: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Beside:
    """Measured means with 95 % intervals over replicates, each beside the published number; lines in the published order.

    Args:
        lines: the lines.
        keys: headings of their cells.
        columns: what to show of each.
        title: the heading.
    """

    lines: Sequence[Line]
    keys: tuple[str, ...]
    columns: tuple[str, ...] = ("train.accuracy", "test.accuracy")
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
        headers = (*self.keys, "trials", *(each for column in self.columns for each in (heading(column), "published")))
        return Grid(headers, lines, len(self.keys), (*notes, *caveats({cells: each for cells, each in groups.items() if each}, self.columns)))

    def text(self, rows: Iterable[Row]) -> str:
        """The table for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no rows)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """None: a table is no figure."""
        return None

    def _cells(self, line: Line, members: Sequence[Row]) -> tuple[str, ...]:
        cells = [*line.cells, standing(members) if members else "0"]
        for column in self.columns:
            value = line.published.get(column)
            told = value if isinstance(value, str) else number(value, column)
            cells += [summarize(members, column).text(column), told]
        return tuple(cells)
