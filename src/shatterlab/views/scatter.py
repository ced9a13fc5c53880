"""One point a trial, and how far two columns rise together: Kendall's tau within each model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shatterlab.analysis.naming import heading, model, number, text_of, value_of
from shatterlab.analysis.replicates import by_configuration
from shatterlab.analysis.summary import LEVEL, censoring, chance, grouped, mixed, selected
from shatterlab.core.values import Row
from shatterlab.statistics import Interval, kendall_interval
from shatterlab.views.axes import Axes
from shatterlab.views.grid import Grid
from shatterlab.views.theme import capital, colors, finished, legend, seen, shapes, vertical

_ENOUGH = 5  # configurations that a value of `by` needs for a line of its own


@dataclass(frozen=True)
class _Point:
    """A trial with its two numbers; `bound` where x is only known to be larger."""

    row: Row
    x: float
    y: float
    bound: bool
    configuration: int


@dataclass(frozen=True)
class Scatter:
    """`y` against `x`, one point for each trial that ended well, with Kendall's tau-b.

    Tau is given within each model first: over models that differ in both columns it is confounded. Its interval is a
    bootstrap over configurations, as replicates are not independent. Where a run ended before it got there, x is
    only known to be larger: the point is a triangle that points to the right, and pairs whose order is then unknown
    do not count.

    Args:
        x: a column of numbers.
        y: a column of numbers.
        by: what makes a colour: a column, "setting" or "model"; None: the model, where there are several.
        title: the heading; by default made from the columns.
        where: only rows whose columns have these values.
        x_scale: "linear" or "log".
        chance: whether the line of guessing is drawn.

    Source:
        Kendall 1938; Oakes 1982 for censored x.

    Example:
        >>> rows = [Row({"fit.epochs": e, "test.error": e / 100, "corruption.level": e / 10}) for e in range(1, 10)]
        >>> print(Scatter("fit.epochs", "test.error").text(rows).splitlines()[3])
        all trials       9               9         0  1.00 [-0.20, 1.00]
    """

    x: str
    y: str
    by: str | None = None
    title: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    x_scale: Literal["linear", "log"] = "linear"
    chance: bool = True

    def __post_init__(self) -> None:
        if not self.title:
            told = f"{heading(self.y)} against {heading(self.x)}, every trial"
            object.__setattr__(self, "title", capital(told))

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """Kendall's tau of each model, then of all; None where no trial has both numbers."""
        points, notes = self._points(rows)
        if not points:
            return None
        headers = ("among", "trials", "configurations", "censored", "Kendall's tau")
        lines = []
        for name, members in self._among(points).items():
            count = len({point.configuration for point in members})
            censored = sum(point.bound for point in members)
            lines.append((name, str(len(members)), str(count), str(censored), _told(_tau(members))))
        what = f"Kendall's tau-b of {heading(self.x)} and {heading(self.y)}."
        return Grid(headers, tuple(lines), 1, (what, *self._reading(points), *notes))

    def text(self, rows: Iterable[Row]) -> str:
        """The taus with their intervals for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no rows)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """The chart as Vega-Lite; None where nothing can be drawn."""
        points, notes = self._points(rows)
        drawn = [point for point in points if point.x > 0 or self.x_scale == "linear"]
        if not drawn:
            return None
        hidden = len(points) - len(drawn)
        notes += [f"Not drawn: {hidden} {'trial' if hidden == 1 else 'trials'} with {heading(self.x)} at or below 0."] if hidden else []
        data: dict[str, list[dict[str, Any]]] = {"points": [self._shown(point) for point in drawn], "once": [{}]}
        guessing = chance((point.row for point in drawn), self.y) if self.chance else None
        taus = "; ".join(f"{name} {_told(_tau(members))}" for name, members in self._among(points).items())
        told = [f"{len(points)} trials of {len({point.configuration for point in points})} configurations. Kendall's tau-b: {taus}."]
        told += self._reading(points)
        told += ["Triangles: runs that ended before they got there; their x is larger."] * any(point.bound for point in drawn)
        told += ["Dotted line: chance."] * (guessing is not None)
        return finished(self._chart(data, guessing), data, " ".join([*told, *notes]))

    def _points(self, rows: Iterable[Row]) -> tuple[list[_Point], list[str]]:
        """The trials that ended well and have both numbers, in the order of `by`, and a note of the others."""
        chosen, notes = selected(rows, self.where)
        points = []
        for i, members in enumerate(by_configuration(chosen).values()):
            for row in members:
                y, x, bound = _finite(row, self.y), _finite(row, self.x), censoring(row, self.x)
                place = x if bound is None else bound
                if row.get("status", "ok") == "ok" and y is not None and place is not None:
                    points.append(_Point(row, place, y, bound is not None, i))
        count = len(chosen) - len(points)
        why = "that diverged or failed, or lack one of the two numbers"
        notes += [f"Left out: {count} {'trial' if count == 1 else 'trials'} {why}."] if count else []
        order = [row for members in grouped([point.row for point in points], (self._by,)).values() for row in members]
        place_of = {id(row): place for place, row in enumerate(order)}
        return sorted(points, key=lambda point: place_of[id(point.row)]), notes

    @property
    def _by(self) -> str:
        return self.by or "model"

    def _among(self, points: Sequence[_Point]) -> dict[str, list[_Point]]:
        """The points of each model and of each value of `by` with enough configurations, where there are several; then all."""
        found: dict[str, list[_Point]] = {}
        for column in dict.fromkeys(("model", self._by)):
            groups: dict[str, list[_Point]] = {}
            for point in points:
                name = text_of(value_of(point.row, column), column)
                groups.setdefault(name if column in ("model", "setting") else f"{heading(column)} {name}", []).append(point)
            enough = {name: each for name, each in groups.items() if column == "model" or len({point.configuration for point in each}) >= _ENOUGH}
            found |= enough if len(groups) > 1 else {}
        return found | {"all trials": list(points)}

    def _reading(self, points: Sequence[_Point]) -> list[str]:
        """What a reader must know before believing a tau."""
        notes = [f"Brackets: {100 * LEVEL:g} % intervals, bootstrapped over configurations, as replicates are not independent."]
        if len({model(point.row) for point in points}) > 1:
            notes.append("Over all trials models are mixed, whose differences tau cannot tell from the rest: read it within each model.")
        differing = [heading(column) for column in mixed([[point.row for point in members] for members in _by_model(points)])]
        notes += [f"Within a model, configurations differ in {', '.join(differing)}."] if differing else []
        return notes

    def _shown(self, point: _Point) -> dict[str, Any]:
        told = f"{'≥ ' if point.bound else ''}{number(point.x, self.x)}"
        named = {"by": text_of(value_of(point.row, self._by), self._by), "model": model(point.row), "trial": str(point.row.get("key", ""))[:12]}
        return {"x": point.x, "y": point.y, "bound": point.bound, "x_told": told, "y_told": number(point.y, self.y), **named}

    def _chart(self, data: Mapping[str, list[dict[str, Any]]], guessing: float | None) -> Any:
        import altair as alt

        points = data["points"]
        names, models = (list(dict.fromkeys(point[field] for point in points)) for field in ("by", "model"))
        values = [point["y"] for point in points] + ([guessing] if guessing is not None else [])
        picked = alt.selection_point(fields=["by"], bind="legend", name="picked", toggle="true")
        x = alt.X("x:Q", **vertical([point["x"] for point in points], self.x, self.x_scale))
        place = {"x": x, "y": alt.Y("y:Q", **vertical(values, self.y, "linear")), "color": legend(self._by, colors(names))}
        titles = {"by": heading(self._by), "model": "model", "x_told": heading(self.x), "y_told": heading(self.y), "trial": "trial"}
        told = [alt.Tooltip(f"{field}:N", title=title) for field, title in titles.items()]
        shape = {"shape": shapes("model:N", models, "Model")} if len(models) > 1 and self._by != "model" else {}
        chart = alt.Chart(alt.NamedData("points"))
        layers = Axes([0.0], values, self.x, self.y, "linear", names).level(guessing, "chance") if guessing is not None else []
        dots = chart.mark_point(size=48, filled=True).transform_filter("!datum.bound")
        layers.append(dots.encode(**place, **shape, opacity=seen(picked, 0.75), tooltip=told).add_params(picked))
        if any(point["bound"] for point in points):
            triangles = chart.mark_point(size=80, strokeWidth=2, shape="triangle-right").transform_filter("datum.bound")
            layers.append(triangles.encode(**place, opacity=seen(picked, 0.9), tooltip=told))
        return alt.layer(*layers)


def _finite(row: Row, column: str) -> float | None:
    value = row.get(column)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _by_model(points: Sequence[_Point]) -> list[list[_Point]]:
    groups: dict[str, list[_Point]] = {}
    for point in points:
        groups.setdefault(model(point.row), []).append(point)
    return list(groups.values())


def _tau(points: Sequence[_Point]) -> Interval:
    ordered = sorted(points, key=lambda point: point.configuration)  # the same draws whatever makes the colours
    columns = ([point.x for point in ordered], [point.y for point in ordered], [point.configuration for point in ordered])
    return kendall_interval(*columns, censored=[point.bound for point in ordered], level=LEVEL)


def _told(tau: Interval) -> str:
    if math.isnan(tau.estimate):
        return "- (no two trials in a known order)"
    return f"{tau.estimate:.2f}" + (" (too few configurations)" if tau.method == "too few configurations" else f" [{tau.low:.2f}, {tau.high:.2f}]")
