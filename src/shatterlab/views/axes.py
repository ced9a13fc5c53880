"""The two axes of a curve: numbers run to the right and values upwards; categories run down and values to the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shatterlab.analysis.naming import heading
from shatterlab.views.theme import GREY, HEIGHT, capital, vertical

_LINE = 46  # pixels a category
_TWO_LINES = "split(replace(datum.label, 'partially corrupted ', 'partially corrupted|'), '|')"  # the one long name


@dataclass(frozen=True)
class Axes:
    """Where a point (x, y) of a curve goes.

    Args:
        xs: the different x in order, numbers or names.
        values: all y that are drawn, at least one.
        x: the column of x, named on its axis.
        y: the column of y; "" where y is a ratio.
        scale: "linear" or "log", of y.
        series: the names of the lines, which stand side by side in a category.
        title: of the axis of y, in place of the column's heading.
    """

    xs: Sequence[Any]
    values: Sequence[float]
    x: str
    y: str
    scale: str
    series: Sequence[str]
    title: str = ""

    @property
    def numeric(self) -> bool:
        """Whether x is a number, so that a line may join its points."""
        return all(isinstance(each, int | float) for each in self.xs)

    @property
    def height(self) -> int:
        """Of the chart, in pixels."""
        return HEIGHT if self.numeric else _LINE * len(self.xs) + 20

    def place(self, field: str = "y") -> dict[str, Any]:
        """The channels that put (x, field) in its place."""
        import altair as alt

        if not self.numeric:
            offset = {"yOffset": alt.YOffset("by:N", sort=list(self.series))} if len(self.series) > 1 else {}
            axis = alt.Axis(grid=False, labelLimit=230, ticks=False, domain=False, labelExpr=_TWO_LINES)
            return {"y": alt.Y("x:N", title=None, sort=list(self.xs), axis=axis, scale=alt.Scale(padding=0.3)), **offset, **self._value(field)}
        few: dict[str, Any] = {"values": sorted(self.xs), "labelExpr": "format(datum.value, '.4~g')"} if len(self.xs) <= 11 else {}
        axis = alt.Axis(grid=False, labelOverlap="greedy", **few)
        return {"x": alt.X("x:Q", title=capital(heading(self.x)), axis=axis, scale=alt.Scale(zero=False, nice=False, padding=18)), **self._value(field)}

    def span(self, low: str, high: str) -> dict[str, Any]:
        """The channels of a bar from one field to another."""
        return {**self.place(low), "y2" if self.numeric else "x2": f"{high}:Q"}

    def level(self, value: float, word: str) -> list[Any]:
        """A dotted line across the chart at this y, and its name; their data is a single point, "once"."""
        import altair as alt

        once, shared = alt.Chart(alt.NamedData("once")), vertical(self.values, self.y, self.scale, self.title)
        datum = {"y": alt.YDatum(value, **shared)} if self.numeric else {"x": alt.XDatum(value, **shared)}
        corner = {"x": alt.value(0)} if self.numeric else {"y": alt.value(0)}
        rule = once.mark_rule(color=GREY, strokeDash=[2, 4], strokeWidth=1.5).encode(**datum)
        name = once.mark_text(text=word, color=GREY, align="left", baseline="bottom", dx=6, dy=-2 if self.numeric else 12, fontSize=12)
        return [rule, name.encode(**datum, **corner)]

    def _value(self, field: str) -> dict[str, Any]:
        import altair as alt

        shared = vertical(self.values, self.y, self.scale, self.title)
        return {"y": alt.Y(f"{field}:Q", **shared)} if self.numeric else {"x": alt.X(f"{field}:Q", **shared)}
