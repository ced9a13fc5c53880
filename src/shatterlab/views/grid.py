"""What every view can give, and the plain table that text and HTML share."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shatterlab.core.values import Row

_PLAIN = str.maketrans({"≥": ">=", "×": "x", "–": "-", "·": "-"})
_GAP = "  "


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
        return max(cells, *(len(word) for word in plain(self.headers[column]).split()), min(10, len(plain(self.headers[column]))))

    def _split(self, width: int) -> list[list[int]]:
        keys = list(range(self.keys))
        start = sum(self._width(column) + len(_GAP) for column in keys) - len(_GAP)
        blocks, used = [list(keys)], start
        for column in range(self.keys, len(self.headers)):
            needed = self._width(column) + len(_GAP)
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
        headers = [[""] * (height - len(lines)) + lines for lines in wrapped]
        lines = [self._line([each[i] for each in headers], columns, widths) for i in range(height)]
        lines.append(_GAP.join("-" * size for size in widths))
        lines += [self._line([plain(row[column]) for column in columns], columns, widths) for row in self.rows]
        return "\n".join(lines)

    def _line(self, cells: Sequence[str], columns: Sequence[int], widths: Sequence[int]) -> str:
        padded = [cell.ljust(size) if column < self.keys else cell.rjust(size) for cell, column, size in zip(cells, columns, widths, strict=True)]
        return _GAP.join(padded).rstrip()


def plain(text: str) -> str:
    """The text with this package's own special signs in ASCII, on one line, safe for any terminal's encoding."""
    return " ".join(text.translate(_PLAIN).split())


class View(Protocol):
    """One figure or table of an experiment: a pure function of rows, in three forms."""

    @property
    def title(self) -> str:
        """What it shows, as a heading."""
        ...

    def text(self, rows: Iterable[Row]) -> str:
        """For the terminal."""
        ...

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """A Vega-Lite chart with its data inside; None where this is no figure or there is nothing to draw."""
        ...

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The numbers as a table; None where there are none."""
        ...
