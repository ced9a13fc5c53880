"""A list that was made elsewhere, with pictures on a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from shatterlab.core.values import Row
from shatterlab.views.view import Grid, View

_LINES = 20  # in a terminal


class Picture(str):
    """The cell of a picture: a text, and a PNG that a page shows in its place.

    Args:
        text: what stands for the picture elsewhere.
        png: the file's content.
    """

    png: bytes

    def __new__(cls, text: str, png: bytes) -> Picture:
        self = super().__new__(cls, text)
        self.png = png
        return self


@dataclass(frozen=True)
class Listed(View):
    """A table that does not come from rows; a terminal gets its first 20 lines without its pictures.

    Args:
        table: what is shown; None: nothing.
        empty: what the text says where there is none.

    Example:
        >>> print(Listed(Grid(("label", "count"), (("cat", "3"),)), title="Labels").text([]))
        Labels
        label  count
        -----  -----
        cat        3
    """

    table: Grid | None = None
    empty: str = "nothing"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table, whatever the rows."""
        return self.table

    def nothing(self) -> str:
        return self.empty

    def text(self, rows: Iterable[Row]) -> str:
        """The first lines for a terminal."""
        grid = self.table
        if grid is None:
            return super().text(rows)
        kept = [column for column in range(len(grid.headers)) if not any(isinstance(row[column], Picture) for row in grid.rows)]
        lines = tuple(tuple(row[column] for column in kept) for row in grid.rows[:_LINES])
        more = (f"{len(grid.rows) - _LINES} more lines are in the report.",) if len(grid.rows) > _LINES else ()
        return replace(grid, headers=tuple(grid.headers[column] for column in kept), rows=lines, notes=(*grid.notes, *more)).text(self.title, self.width)
