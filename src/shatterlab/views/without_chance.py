"""A figure of errors far below those of guessing, whose line would take most of the frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shatterlab.core.values import Row
from shatterlab.views.grid import Grid, View


@dataclass(frozen=True)
class WithoutChance:
    """Another view as it is, but for the line that marks chance.

    Args:
        view: a `Curve` or `Scatter` of test errors or accuracies.
    """

    view: View

    @property
    def title(self) -> str:
        """That of the view."""
        return self.view.title

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The view's own numbers."""
        return self.view.grid(rows)

    def text(self, rows: Iterable[Row]) -> str:
        """The view's own text."""
        return self.view.text(rows)

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """The view's chart of rows that do not say how many classes there are."""
        unsaid = [Row({name: value for name, value in row.items() if name != "classes"}, row.curves, row.arrays) for row in rows]
        return self.view.spec(unsaid)
