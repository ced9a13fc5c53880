"""A table of means with intervals over replicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shatterlab.analysis.naming import heading, text_of
from shatterlab.analysis.summary import caveats, grouped, selected, standing, summarize
from shatterlab.core.values import Row
from shatterlab.views.grid import Grid
from shatterlab.views.theme import capital


@dataclass(frozen=True)
class Table:
    """One line a group of rows; each cell the mean over its replicates with a 95 % interval.

    Trials that diverged or failed enter no mean; the column of trials counts them. Values known only to exceed a bound
    (a run that ended before it got there) are shown as bounds and never averaged. Where all replicates agree the
    cell says so in place of an interval, and a single one has none. Accuracies and errors are printed in percent.

    Args:
        rows: what makes a line: columns, or "setting" and "model", which are made from several.
        columns: what to show of it.
        title: the heading; by default made from the columns.
        where: only rows whose columns have these values.

    Example:
        >>> table = Table(rows=("setting",), columns=("test.error",))
        >>> print(table.text([Row({"corruption.kind": "RandomPixels", "test.error": 0.9})]))
        Test error by setting
        setting        trials  test error
        -------------  ------  ----------
        random pixels       1      90.0 %
    """

    rows: tuple[str, ...] = ("setting",)
    columns: tuple[str, ...] = ("train.error", "test.error")
    title: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.title:
            told = f"{', '.join(map(heading, self.columns))} by {', '.join(map(heading, self.rows))}"
            object.__setattr__(self, "title", capital(told))

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table; None where no row matches."""
        chosen, notes = selected(rows, self.where)
        groups = grouped(chosen, self.rows)
        if not groups:
            return None
        lines = []
        for names, members in groups.items():
            named = [text_of(name, column) for name, column in zip(names, self.rows, strict=True)]
            cells = [summarize(members, column).text(column) for column in self.columns]
            lines.append((*named, standing(members), *cells))
        headers = (*map(heading, self.rows), "trials", *map(heading, self.columns))
        return Grid(headers, tuple(lines), len(self.rows), (*notes, *caveats(groups, self.columns)))

    def text(self, rows: Iterable[Row]) -> str:
        """The table for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no rows)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """None: a table is no figure."""
        return None
