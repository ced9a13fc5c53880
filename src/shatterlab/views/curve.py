"""A curve over a setting of the trials: means with intervals, the replicates behind them, the published curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shatterlab.values import Row
from shatterlab.views.grid import Grid
from shatterlab.views.groups import Summary, caveats, censoring, grouped, matching, standing, summarize
from shatterlab.views.naming import heading, number, text_of, value_of
from shatterlab.views.theme import GREY, capital, colors, finished, legend, seen, vertical

_CHANCE = {"test.error": lambda classes: 1 - 1 / classes, "test.accuracy": lambda classes: 1 / classes}
_DASHES = ([6, 4], [2, 3], [10, 4, 2, 4], [12, 3], [4, 8])
Groups = dict[tuple[Any, ...], list[Row]]


@dataclass(frozen=True)
class Curve:
    """The mean of `y` over replicates against `x`, one line for each value of `by`.

    Bars are 95 % intervals of the mean, faint points single replicates. Where a run ended before it got there, the
    point is an open triangle at its lower bound and no mean is drawn. A dashed line marks chance for test errors and
    accuracies. Rows that have no `x` are left out and counted in the caption.

    Args:
        x: a column, or "setting"; numbers make an axis, anything else categories.
        y: a column of numbers.
        by: what makes a line: a column, "setting" or "model"; None: one line.
        title: the heading; by default made from the columns.
        reference: a published curve to draw behind, points {"x": .., "y": .., "name": ..}.
        scale: "linear" or "log", of the y axis.
        where: only rows whose columns have these values.

    Example:
        >>> rows = [Row({"corruption.level": 1.0, "test.error": error}) for error in (0.89, 0.91)]
        >>> print(Curve("corruption.level", "test.error").text(rows).splitlines()[3])
        1                 90.0 % [77.3, 102.7]       2
    """

    x: str
    y: str
    by: str | None = None
    title: str = ""
    reference: Sequence[Mapping[str, Any]] | None = None
    scale: Literal["linear", "log"] = "linear"
    where: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.title:
            told = f"{heading(self.y)} against {heading(self.x)}"
            object.__setattr__(self, "title", capital(told))

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line for each x (and `by`); None where no row has an x."""
        groups, left_out = self._groups(rows)
        if not groups:
            return None
        keys = (self.x, self.by) if self.by else (self.x,)
        lines = []
        for names, members in groups.items():
            named = [text_of(name, column) for name, column in zip(names, keys, strict=False)]
            lines.append((*named, summarize(members, self.y).text(self.y), standing(members)))
        notes = [*caveats(groups, (self.y,)), *self._left_out(left_out)]
        return Grid((*map(heading, keys), heading(self.y), "trials"), tuple(lines), len(keys), tuple(notes))

    def text(self, rows: Iterable[Row]) -> str:
        """The means with their intervals for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no rows)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """The chart as Vega-Lite; None where nothing can be drawn."""
        groups, left_out = self._groups(rows)
        points = [point for names, members in groups.items() for row in members for point in self._points(names, row)]
        if not points:
            return None
        means = [self._mean(names, summarize(members, self.y)) for names, members in groups.items()]
        chance = self._chance(groups)
        data = {"points": points, "means": [mean for mean in means if mean is not None], "reference": self._reference()}
        return finished(self._chart(data, chance), data, self._description(points, chance is not None, self._left_out(left_out)))

    def _groups(self, rows: Iterable[Row]) -> tuple[Groups, int]:
        chosen = matching(rows, self.where)
        having = [row for row in chosen if value_of(row, self.x) is not None]
        return grouped(having, (self.x, self.by) if self.by else (self.x,)), len(chosen) - len(having)

    def _left_out(self, count: int) -> list[str]:
        return [f"Left out: {count} {'trial' if count == 1 else 'trials'} without {heading(self.x)}."] if count else []

    def _series(self, names: tuple[Any, ...]) -> str:
        return text_of(names[1], self.by or "") if self.by else heading(self.y)

    def _x(self, names: tuple[Any, ...]) -> Any:
        number_like = isinstance(names[0], int | float) and not isinstance(names[0], bool)
        return names[0] if number_like else text_of(names[0], self.x)

    def _points(self, names: tuple[Any, ...], row: Row) -> list[dict[str, Any]]:
        summary, bound = summarize([row], self.y), censoring(row, self.y)
        value = bound if bound is not None else summary.mean
        if value is None or summary.trials == 0 or (self.scale == "log" and value <= 0):
            return []
        told = f"{'≥ ' if bound is not None else ''}{number(value, self.y)}"
        return [{"x": self._x(names), "y": value, "by": self._series(names), "told": told, "bound": bound is not None, "trial": str(row.get("key", ""))[:12]}]

    def _mean(self, names: tuple[Any, ...], summary: Summary) -> dict[str, Any] | None:
        if summary.mean is None or (self.scale == "log" and summary.mean <= 0):
            return None
        ends = dict(zip(("low", "high"), summary.interval or (), strict=False))
        if self.scale == "log" and ends.get("low", 1) <= 0:
            ends["low"] = min(summary.values)
        return {"x": self._x(names), "y": summary.mean, "by": self._series(names), "told": summary.text(self.y), "n": len(summary.values), **ends}

    def _chance(self, groups: Groups) -> float | None:
        classes = {row.get("classes") for members in groups.values() for row in members if row.get("classes")}
        known = _CHANCE.get(self.y)
        return known(int(str(classes.pop()))) if known and len(classes) == 1 else None

    def _across(self, points: list[dict[str, Any]]) -> Any:
        """The x channel: an axis of numbers, or categories in the order of the groups."""
        import altair as alt

        xs = list(dict.fromkeys(point["x"] for point in points))
        if not all(isinstance(each, int | float) for each in xs):
            return alt.X("x:N", title=None, sort=xs, axis=alt.Axis(grid=False, labelAngle=-28, labelLimit=220), scale=alt.Scale(type="point", padding=0.6))
        few = {"values": sorted(xs), "labelExpr": "format(datum.value, '.4~g')"} if len(xs) <= 11 else {}
        axis = alt.Axis(grid=False, labelOverlap="greedy", **few)
        return alt.X("x:Q", title=capital(heading(self.x)), axis=axis, scale=alt.Scale(zero=False, nice=False, padding=18))

    def _chart(self, data: Mapping[str, list[dict[str, Any]]], chance: float | None) -> Any:
        import altair as alt

        heights = [point["y"] for point in data["points"] + data["reference"]] + ([chance] if chance is not None else [])
        x, shared = self._across(data["points"]), vertical(heights, self.y, self.scale)
        ordered, palette = x.to_dict()["type"] == "quantitative", colors(str(point["by"]) for point in data["points"])
        place = {"x": x, "y": alt.Y("y:Q", **shared), "color": legend(self.by, palette)} | ({} if ordered else {"xOffset": alt.XOffset("by:N", sort=list(palette))})
        picked = alt.selection_point(fields=["by"], bind="legend", name="picked")
        told = [alt.Tooltip("told:N", title=heading(self.y)), alt.Tooltip("x:N", title=heading(self.x)), *([alt.Tooltip("by:N", title=heading(self.by))] if self.by else [])]
        means, points = alt.Chart(alt.NamedData("means")), alt.Chart(alt.NamedData("points"))
        single = {**place, "tooltip": [*told, alt.Tooltip("trial:N", title="trial")]}
        layers = self._behind(x, shared, chance, bool(data["reference"]))
        layers.append(points.mark_point(size=30, strokeWidth=1.25).transform_filter("!datum.bound").encode(opacity=seen(picked, 0.45), **single).add_params(picked))
        if any(point["bound"] for point in data["points"]):
            layers.append(points.mark_point(size=70, strokeWidth=2, shape="triangle-up").transform_filter("datum.bound").encode(opacity=seen(picked, 0.8), **single))
        if data["means"] and ordered:
            layers.append(means.mark_line(strokeWidth=2, clip=True).encode(opacity=seen(picked, 0.9), **place))
        if any("low" in mean for mean in data["means"]):
            bars = {**place, "y": alt.Y("low:Q", **shared), "y2": "high:Q"}
            layers.append(means.mark_rule(strokeWidth=2, clip=True).transform_filter("isValid(datum.low)").encode(opacity=seen(picked, 0.75), **bars))
        if data["means"]:
            layers.append(means.mark_point(size=64, filled=True).encode(opacity=seen(picked, 1.0), tooltip=[*told, alt.Tooltip("n:Q", title="trials")], **place))
        return alt.layer(*layers)

    def _behind(self, x: Any, shared: dict[str, Any], chance: float | None, published: bool) -> list[Any]:
        """The published curve and the line of chance, drawn first and in grey."""
        import altair as alt

        layers = []
        if published:
            names = list(dict.fromkeys(str(point["name"]) for point in self._reference()))
            scale = alt.Scale(domain=names, range=[_DASHES[i % len(_DASHES)] for i in range(len(names))])
            dash = alt.StrokeDash("name:N", scale=scale, legend=alt.Legend(title="Published", symbolType="stroke", symbolStrokeColor=GREY, symbolSize=300))
            told = [alt.Tooltip("name:N"), alt.Tooltip("x:N", title=heading(self.x)), alt.Tooltip("told:N", title=heading(self.y))]
            drawn = alt.Chart(alt.NamedData("reference")).mark_line(color=GREY, strokeWidth=1.75, clip=True)
            layers.append(drawn.encode(x=x, y=alt.Y("y:Q", **shared), strokeDash=dash, tooltip=told))
        if chance is not None:
            one = alt.Chart(alt.InlineData(values=[{}]))
            layers.append(one.mark_rule(color=GREY, strokeDash=[2, 4], strokeWidth=1.5).encode(y=alt.YDatum(chance, **shared)))
            layers.append(one.mark_text(text="chance", color=GREY, align="left", dx=6, dy=-7, fontSize=12).encode(y=alt.YDatum(chance, **shared), x=alt.value(0)))
        return layers

    def _reference(self) -> list[dict[str, Any]]:
        return [{"name": "published", "told": number(point["y"], self.y), **point} for point in self.reference or ()]

    def _description(self, points: Sequence[Mapping[str, Any]], chance: bool, more: list[str]) -> str:
        parts = [f"Filled: means over replicates with 95 % intervals (where one leaves the frame, its numbers are in the table); open circles: the {len(points)} single trials."]
        parts += ["Open triangles: lower bounds of runs that ended before they got there; no mean is drawn there."] * any(point["bound"] for point in points)
        parts += ["Dotted line: chance."] * chance + ["Grey dashed: the published curve."] * bool(self.reference)
        return " ".join(parts + more)

