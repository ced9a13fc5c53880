"""What every view is, and the plain table that text and HTML share."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from shatterlab.analysis.naming import capital
from shatterlab.core.values import Row

_PLAIN = str.maketrans({"≥": ">=", "×": "x", "–": "-", "·": "-"})
_SPACE = "  "
Item = TypeVar("Item")


@dataclass(frozen=True)
class Grid:
    """A table of strings.

    Args:
        headers: one a column.
        rows: cells as printed, as many in each as there are headers.
        keys: how many leading columns name the line; they are aligned left and repeated where a wide table is split.
        notes: what a reader must know, printed below.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: int = 1
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, items: Iterable[Item], columns: Mapping[str, Callable[[Item], str]], keys: int = 1, notes: Iterable[str] = ()) -> Grid:
        """A table of one line for each of the `items`; columns: header -> what an item has there; `keys` and `notes` as above."""
        return cls(tuple(columns), tuple(tuple(cell(item) for cell in columns.values()) for item in items), keys, tuple(notes))

    def text(self, title: str = "", width: int = 100) -> str:
        """The table for a terminal: aligned, in plain ASCII but for names, split into blocks where it is too wide.

        Args:
            title: a line above.
            width: characters a line; one that no split can shorten is longer.
        """
        blocks = [self._block(columns) for columns in self._split(width)]
        notes = "\n".join(textwrap.fill(plain(note), width, subsequent_indent="  ") for note in self.notes)
        body = "\n\n".join(blocks) if self.rows else "(no rows)"
        return "\n".join(part for part in (textwrap.fill(plain(title), width), body, notes) if part)

    def _width(self, column: int) -> int:
        cells = max((len(plain(row[column])) for row in self.rows), default=0)
        header = plain(self.headers[column])
        return max(cells, *map(len, header.split()), min(10, len(header)))

    def _split(self, width: int) -> list[list[int]]:
        keys = list(range(self.keys))
        start = sum(self._width(column) + len(_SPACE) for column in keys) - len(_SPACE)
        blocks, used = [list(keys)], start
        for column in range(self.keys, len(self.headers)):
            needed = self._width(column) + len(_SPACE)
            if used + needed > width and len(blocks[-1]) > len(keys):
                blocks.append(list(keys))
                used = start
            blocks[-1].append(column)
            used += needed
        return blocks

    def _block(self, columns: Sequence[int]) -> str:
        widths = [self._width(column) for column in columns]
        wrapped = [textwrap.wrap(plain(self.headers[column]), size) or [""] for column, size in zip(columns, widths, strict=True)]
        height = max(map(len, wrapped))
        headers = zip(*([""] * (height - len(lines)) + lines for lines in wrapped), strict=True)
        rule = _SPACE.join("-" * size for size in widths)
        cells = ([plain(row[column]) for column in columns] for row in self.rows)
        return "\n".join([*(self._line(line, columns, widths) for line in headers), rule, *(self._line(line, columns, widths) for line in cells)])

    def _line(self, cells: Sequence[str], columns: Sequence[int], widths: Sequence[int]) -> str:
        padded = [cell.ljust(size) if column < self.keys else cell.rjust(size) for cell, column, size in zip(cells, columns, widths, strict=True)]
        return _SPACE.join(padded).rstrip()


def plain(text: str) -> str:
    """The text with this package's own special signs in ASCII, on one line, safe for any terminal's encoding."""
    return " ".join(text.translate(_PLAIN).split())


@dataclass(frozen=True, kw_only=True)
class View(ABC):
    """One figure or table of an experiment: a pure function of rows, in three forms.

    A view of one's own may be any object with `title`, `text`, `spec` and `grid`; one that inherits writes `grid`, and `spec` where it draws.

    Args:
        title: the heading; by default made from the columns.
        where: only rows whose columns have these values, or one of them where a sequence is given.
        aside: whether the page of a study folds it away.
    """

    title: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    aside: bool = False
    width: ClassVar[int] = 100  # characters a line of text

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", capital(self.default_title()))

    def default_title(self) -> str:
        """The title where none is set."""
        return type(self).__name__

    def nothing(self) -> str:
        """What the text says where there is no table."""
        return "no rows"

    @abstractmethod
    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The numbers as a table; None where there are none."""

    def text(self, rows: Iterable[Row]) -> str:
        """The table for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title, self.width) if grid else f"{self.title}\n({self.nothing()})"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """A Vega-Lite chart with its data inside; None where this is no figure or there is nothing to draw."""
        return None
