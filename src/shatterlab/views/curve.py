"""A curve over a setting of the trials: means with intervals, the replicates behind them, the published curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shatterlab.analysis.naming import heading, number, text_of, value_of
from shatterlab.analysis.ratios import Ratios, in_words, ratios
from shatterlab.analysis.summary import Summary, caveats, censoring, chance, grouped, melted, selected, standing, summarize
from shatterlab.core.values import Row
from shatterlab.views.axes import Axes
from shatterlab.views.grid import Grid
from shatterlab.views.published import published
from shatterlab.views.theme import GREY, capital, colors, dashes, finished, legend, seen

Groups = dict[tuple[Any, ...], list[Row]]
_LINE = "quantity"  # what tells the lines apart where y has several columns


@dataclass(frozen=True)
class Curve:
    """The mean of `y` over replicates against `x`, one line for each value of `by`.

    Bars are 95 % intervals of the mean, faint points single replicates. Where a run ended before it got there, the
    point is an open triangle at its lower bound and no mean is drawn. A dashed line marks chance for test errors and
    accuracies. Rows that have no `x` are left out and counted in the caption.

    With `relative` every value is first divided by that of its partner, the trial with the same seeds and the same
    configuration but for these columns; means are then geometric, with the t interval of the logarithms. A trial that
    ended before it got there gives a lower bound of its ratio; trials whose partner did, or is missing, are left out
    and counted.

    Args:
        x: a column, or "setting"; numbers make an axis, anything else categories.
        y: a column of numbers; or several, one line each: the name of the line -> the column.
        by: what makes a line: a column, "setting" or "model"; None: one line, or those of `y`.
        title: the heading; by default made from the columns.
        reference: a published curve to draw behind, points {"x": .., "y": .., "name": ..}; with `relative`, of ratios.
        scale: "linear" or "log", of the y axis.
        where: only rows whose columns have these values.
        relative: what y is divided by, as the values that a partner has: {"corruption.level": 0.0}, {"setting": "true labels"}.
        ordinal: numbers on x stand one below the other in ascending order, whatever their distance: zero and powers of ten, say,
            which neither a linear nor a log axis can hold.
        chance: whether the line of guessing is drawn; it takes most of the frame where errors are far below it.
        y_title: what the axis of y is called; by default the heading of the column.

    Example:
        >>> rows = [Row({"corruption.level": 1.0, "test.error": error}) for error in (0.89, 0.91)]
        >>> print(Curve("corruption.level", "test.error").text(rows).splitlines()[-1])
        1                2  90.0 % [77.3, 102.7]
    """

    x: str
    y: str | Mapping[str, str]
    by: str | None = None
    title: str = ""
    reference: Sequence[Mapping[str, Any]] | None = None
    scale: Literal["linear", "log"] = "linear"
    where: Mapping[str, Any] = field(default_factory=dict)
    relative: Mapping[str, Any] = field(default_factory=dict)
    ordinal: bool = False
    chance: bool = True
    y_title: str = ""

    def __post_init__(self) -> None:
        if not self.title:
            told = f"{self._heading} against {heading(self.x)}"
            object.__setattr__(self, "title", capital(told))

    @property
    def _heading(self) -> str:
        name = self.y_title or heading(self._column)
        return f"{name} relative to {in_words(self.relative)}" if self.relative else name

    @property
    def _column(self) -> str:
        """The column of y; where y has several, all are read from the first, one row a line."""
        return self.y if isinstance(self.y, str) else next(iter(self.y.values()))

    @property
    def _by(self) -> str | None:
        return self.by if isinstance(self.y, str) else _LINE

    @property
    def _unit(self) -> str:
        """The column in whose unit values are printed; "" for ratios."""
        return "" if self.relative else self._column

    def _summary(self, members: Iterable[Row]) -> Summary:
        summary = summarize(members, self._column)
        return Ratios(**vars(summary)) if self.relative else summary

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line for each x (and `by`); None where no row has an x."""
        groups, notes = self._groups(rows)
        if not groups:
            return None
        keys = (self.x, self._by) if self._by else (self.x,)
        lines = []
        for names, members in groups.items():
            named = [text_of(name, column) for name, column in zip(names, keys, strict=False)]
            lines.append((*named, standing(members), self._summary(members).text(self._column)))
        return Grid((*map(heading, keys), "trials", self._heading), tuple(lines), len(keys), (*caveats(groups, (self._column,)), *notes))

    def text(self, rows: Iterable[Row]) -> str:
        """The means with their intervals for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no rows)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """The chart as Vega-Lite; None where nothing can be drawn."""
        groups, notes = self._groups(rows)
        points = [point for names, members in groups.items() for row in members for point in self._points(names, row)]
        if not points:
            return None
        means = [self._mean(names, self._summary(members)) for names, members in groups.items()]
        guessing = chance((row for members in groups.values() for row in members), self._unit) if self.chance else None
        data: dict[str, list[dict[str, Any]]] = {
            "points": points,
            "means": [mean for mean in means if mean is not None],
            "reference": published(self.reference, self._unit, self.scale),
            "once": [{}],
        }
        axes = self._axes(data, guessing)
        told = self._description(data, guessing is not None, [*caveats(groups, ()), *notes, *self._zeros(groups)])
        return finished(self._chart(data, axes, guessing), data, told, axes.height)

    def _groups(self, rows: Iterable[Row]) -> tuple[Groups, list[str]]:
        rows = list(rows)
        chosen, notes = selected(rows, self.where)
        having = [row for row in chosen if value_of(row, self.x) is not None]
        count = len(chosen) - len(having)
        notes += [f"Left out: {count} {'trial' if count == 1 else 'trials'} without {heading(self.x)}."] if count else []
        if self.relative:
            having, more = ratios(having, rows, self._column, self.relative)
            notes += more
        if not isinstance(self.y, str):
            having = melted(having, self.x, self.y, _LINE)
        return grouped(having, (self.x, self._by) if self._by else (self.x,)), notes

    def _series(self, names: tuple[Any, ...]) -> str:
        return text_of(names[1], self._by) if self._by else heading(self._column)

    def _x(self, names: tuple[Any, ...]) -> Any:
        number_like = isinstance(names[0], int | float) and not isinstance(names[0], bool) and not self.ordinal
        return names[0] if number_like else text_of(names[0], self.x)

    def _points(self, names: tuple[Any, ...], row: Row) -> list[dict[str, Any]]:
        summary, bound = self._summary([row]), censoring(row, self._column)
        value = bound if bound is not None else summary.mean
        if value is None or summary.trials == 0 or (self.scale == "log" and value <= 0):
            return []
        told = f"{'≥ ' if bound is not None else ''}{'× ' if self.relative else ''}{number(value, self._unit)}"
        return [{"x": self._x(names), "y": value, "by": self._series(names), "told": told, "bound": bound is not None, "trial": str(row.get("key", ""))[:12]}]

    def _mean(self, names: tuple[Any, ...], summary: Summary) -> dict[str, Any] | None:
        if summary.mean is None or (self.scale == "log" and summary.mean <= 0):
            return None
        ends = dict(zip(("low", "high"), summary.interval or (), strict=False))
        if self.scale == "log" and ends.get("low", 1) <= 0:
            ends["low"] = summary.mean * 1e-9  # far below the frame, where the bar is cut off
        return {"x": self._x(names), "y": summary.mean, "by": self._series(names), "told": summary.text(self._column), "n": len(summary.values), **ends}

    def _zeros(self, groups: Groups) -> list[str]:
        values = [value for members in groups.values() for value in self._summary(members).values]
        count = sum(value <= 0 for value in values) if self.scale == "log" else 0
        return [f"Not drawn: {count} {'trial' if count == 1 else 'trials'} at or below 0, which a log axis cannot show."] if count else []

    def _axes(self, data: Mapping[str, list[dict[str, Any]]], guessing: float | None) -> Axes:
        values = [point["y"] for point in data["points"] + data["reference"]] + ([guessing] if guessing is not None else [])
        xs, series = (list(dict.fromkeys(point[field] for point in data["points"])) for field in ("x", "by"))
        return Axes(xs, values, self.x, self._unit, self.scale, series, self._heading.replace(" relative to ", "\nrelative to "))

    def _chart(self, data: Mapping[str, list[dict[str, Any]]], axes: Axes, guessing: float | None) -> Any:
        import altair as alt

        color = {"color": legend(self._by, colors(axes.series))}
        picked = alt.selection_point(fields=["by"], bind="legend", name="picked", toggle="true")
        titles = {"told": self._heading, "x": heading(self.x), **({"by": heading(self._by)} if self._by else {})}
        told = [alt.Tooltip(f"{field}:N", title=title) for field, title in titles.items()]
        single = {**axes.place(), **color, "tooltip": [*told, alt.Tooltip("trial:N")]}
        means, points = alt.Chart(alt.NamedData("means")), alt.Chart(alt.NamedData("points"))
        layers = [*self._published(axes, data["reference"]), *(axes.level(guessing, "chance") if guessing is not None else [])]
        circles = points.mark_point(size=30, strokeWidth=1.25).transform_filter("!datum.bound")
        layers.append(circles.encode(opacity=seen(picked, 0.45), **single).add_params(picked))
        if any(point["bound"] for point in data["points"]):
            triangles = points.mark_point(size=70, strokeWidth=2, shape="triangle-up" if axes.numeric else "triangle-right")
            layers.append(triangles.transform_filter("datum.bound").encode(opacity=seen(picked, 0.8), **single))
        if data["means"] and axes.numeric:
            layers.append(means.mark_line(strokeWidth=2, clip=True).encode(opacity=seen(picked, 0.9), **axes.place(), **color))
        if any("low" in mean for mean in data["means"]):
            bars = means.mark_rule(strokeWidth=2, clip=True).transform_filter("isValid(datum.low)")
            layers.append(bars.encode(opacity=seen(picked, 0.75), **axes.span("low", "high"), **color))
        if data["means"]:
            dots = means.mark_point(size=64, filled=True).encode(opacity=seen(picked, 1.0), **axes.place(), **color)
            layers.append(dots.encode(tooltip=[*told, alt.Tooltip("n:Q", title="trials")]))
        return alt.layer(*layers)

    def _published(self, axes: Axes, points: list[dict[str, Any]]) -> list[Any]:
        import altair as alt

        if not points:
            return []
        dash = dashes("name:N", list(dict.fromkeys(str(point["name"]) for point in points)), "Published")
        told = [alt.Tooltip("name:N"), alt.Tooltip("x:N", title=heading(self.x)), alt.Tooltip("told:N", title=self._heading)]
        drawn = alt.Chart(alt.NamedData("reference")).mark_line(color=GREY, strokeWidth=1.75, clip=True)
        return [drawn.encode(**axes.place(), strokeDash=dash, tooltip=told)]

    def _description(self, data: Mapping[str, list[dict[str, Any]]], chance: bool, more: list[str]) -> str:
        points = data["points"]
        means = "geometric means of the paired ratios" if self.relative else "means over replicates"
        parts = [f"Filled: {means} with 95 % intervals (where one leaves the frame, the table has its ends);"]
        parts.append(f"open circles: the {len(points)} single trials.")
        if any(point["bound"] for point in points):
            parts.append("Open triangles: lower bounds of runs that ended before they got there; no mean is drawn there.")
        parts += ["Dotted line: chance."] * chance + ["Grey: published."] * bool(data["reference"])
        return " ".join(parts + more)
