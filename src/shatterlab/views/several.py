"""Several columns of the same rows as the lines of one curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shatterlab.analysis.naming import value_of
from shatterlab.analysis.summary import selected
from shatterlab.core.values import Row
from shatterlab.views.curve import Curve
from shatterlab.views.grid import Grid

_LINE = "quantity"


@dataclass(frozen=True)
class Several:
    """Means with intervals of several columns against `x`, one line a column; else as `Curve`.

    Args:
        x: a column of numbers.
        columns: what the line is called -> the column of numbers that it shows.
        y: what these are, in one word or with underscores: the axis is called so.
        title: the heading.
        reference: a curve behind, points {"x": .., "y": .., "name": ..}.
        scale: "linear" or "log", of the y axis.
        where: only rows whose columns have these values.

    Example:
        >>> view = Several("train.n", {"in float32": "fit.float32_error", "in float64": "fit.float64_error"}, "largest_error", "Errors")
        >>> rows = [Row({"train.n": 8, "fit.float32_error": 0.5, "fit.float64_error": 0.25})]
        >>> view.spec(rows)["datasets"]["points"][1]["by"]
        'in float64'
    """

    x: str
    columns: Mapping[str, str]
    y: str
    title: str
    reference: Sequence[Mapping[str, Any]] | None = None
    scale: Literal["linear", "log"] = "linear"
    where: Mapping[str, Any] = field(default_factory=dict)

    def text(self, rows: Iterable[Row]) -> str:
        """The means with their intervals for a terminal."""
        return self._curve.text(self._long(rows))

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line for each x and column; None where no row has an x."""
        return self._curve.grid(self._long(rows))

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """The chart as Vega-Lite; None where nothing can be drawn."""
        return self._curve.spec(self._long(rows))

    @property
    def _curve(self) -> Curve:
        return Curve(self.x, self.y, by=_LINE, title=self.title, reference=self.reference, scale=self.scale)

    def _long(self, rows: Iterable[Row]) -> list[Row]:
        """One row for each row and column, with nothing of its configuration: what differs between lines is the column alone."""
        chosen, _ = selected(rows, self.where)
        kept = [(row, {self.x: value_of(row, self.x), "status": row.get("status", "ok")}) for row in chosen]
        return [
            Row({**said, "key": f"{row.get('key', place)} {name}", _LINE: name, self.y: row.get(column)})
            for name, column in self.columns.items()
            for place, (row, said) in enumerate(kept)
        ]
