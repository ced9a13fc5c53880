"""Arrays that trials keep, drawn as curves: measured beside predicted, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from shatterlab.analysis.naming import heading, number, text_of
from shatterlab.analysis.summary import caveats, grouped, selected, standing
from shatterlab.core.values import Row
from shatterlab.views.grid import Grid
from shatterlab.views.theme import capital, colors, dashes, finished, legend, seen, vertical

_POINTS = 160  # of a line; more are thinned, denser at the left, ends kept
Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class ArrayCurves:
    """The mean over replicates of one or more arrays against the place in the array, one colour for each value of `by`, one dash an array.

    Bands reach from the smallest to the largest replicate of the first array. A mean ends where the shortest replicate does. Trials that diverged, failed or
    lack one of the arrays are left out and counted.

    Args:
        arrays: what the dash is called -> the name of the array; the first is drawn unbroken.
        y: what the values are, for the axis: "training loss", say.
        x: what the place is: "step".
        by: what makes a colour: a column, "setting" or "model".
        title: the heading; by default made from y and x.
        first: the number of the first place.
        scale: "linear" or "log", of the y axis; what is not above 0 is not drawn on a log axis.
        x_scale: likewise of the x axis.
        where: only rows whose columns have these values.

    Example:
        >>> rows = [Row({"setting": "-"}, arrays={"a": np.array([4.0, 2.0]), "b": np.array([4.0, 1.0])})]
        >>> print(ArrayCurves({"measured": "a", "predicted": "b"}, "loss").grid(rows).rows)
        (('-', '1', 'measured', '2', '4', '2'), ('-', '1', 'predicted', '2', '4', '1'))
    """

    arrays: Mapping[str, str]
    y: str
    x: str = "step"
    by: str = "setting"
    title: str = ""
    first: int = 0
    scale: Literal["linear", "log"] = "linear"
    x_scale: Literal["linear", "log"] = "linear"
    where: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", capital(f"{self.y} by {self.x}"))

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line for each group and array: where its mean begins and ends; None where no trial keeps them all."""
        groups, notes = self._groups(rows)
        if not groups:
            return None
        lines = []
        for (name,), members in groups.items():
            for called, array in self.arrays.items():
                mean = _stacked(members, array).mean(0)
                lines.append((text_of(name, self.by), standing(members), called, number(len(mean)), number(float(mean[0])), number(float(mean[-1]))))
        return Grid((heading(self.by), "trials", "curve", "places", "first", "last"), tuple(lines), 1, tuple(notes))

    def text(self, rows: Iterable[Row]) -> str:
        """First and last value of each curve for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no trial keeps {', '.join(self.arrays.values())})"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """The chart as Vega-Lite; None where nothing can be drawn."""
        groups, notes = self._groups(rows)
        points = [point for names, members in groups.items() for point in self._points(text_of(names[0], self.by), members)]
        if not points:
            return None
        told = "Lines: means over replicates"
        told += f"; dashes tell {' from '.join(self.arrays)}" if len(self.arrays) > 1 else ""
        told += ". Bands: from the smallest to the largest replicate" + (f" of {next(iter(self.arrays))}." if len(self.arrays) > 1 else ".")
        return finished(self._chart(points), {"points": points}, " ".join([told, *notes]))

    def _groups(self, rows: Iterable[Row]) -> tuple[dict[tuple[Any, ...], list[Row]], list[str]]:
        chosen, notes = selected(rows, self.where)
        having = [row for row in chosen if row.get("status", "ok") == "ok" and all(np.size(row.arrays.get(each, ())) for each in self.arrays.values())]
        missing = len(chosen) - len(having)
        why = f"that diverged or failed, or keep no {' or '.join(self.arrays)}"
        notes += [f"Left out: {missing} {'trial' if missing == 1 else 'trials'} {why}."] if missing else []
        groups = grouped(having, (self.by,)) if having else {}
        return groups, notes + caveats(groups, ())

    def _points(self, name: str, members: Sequence[Row]) -> list[dict[str, Any]]:
        found = []
        for place, (called, array) in enumerate(self.arrays.items()):
            values = _stacked(members, array)
            for i in _places(values.shape[1]):
                low, mean, high = (float(of(values[:, i])) for of in (np.min, np.mean, np.max))
                x = i + self.first
                if not np.isfinite(mean) or (self.scale == "log" and low <= 0) or (self.x_scale == "log" and x <= 0):
                    continue
                ends = {"low": low, "high": high} if place == 0 else {}
                found.append({"x": x, "y": float(f"{mean:.5g}"), "by": name, "curve": called, "line": f"{name} {called}", "told": number(mean), **ends})
        return found

    def _chart(self, points: list[dict[str, Any]]) -> Any:
        import altair as alt

        ends = [point[name] for point in points for name in ("y", "low", "high") if name in point]
        shared = vertical(ends, "", self.scale, self.y)
        axis = alt.X("x:Q", title=capital(self.x), axis=alt.Axis(grid=False), scale=alt.Scale(type=self.x_scale, nice=False, zero=False, padding=6))
        color = legend(self.by, colors(point["by"] for point in points))
        picked = alt.selection_point(fields=["by"], bind="legend", name="picked", toggle="true")
        chart, shown = alt.Chart(alt.NamedData("points")), {"x": axis, "color": color, "detail": "line:N"}
        band = chart.transform_filter("isValid(datum.low)").mark_area(clip=True)
        dash = {"strokeDash": dashes("curve:N", list(self.arrays), "Curve")} if len(self.arrays) > 1 else {}
        place = {**shown, "y": alt.Y("y:Q", **shared)}
        titles = {"by": heading(self.by), "curve": "curve", "x": self.x, "told": self.y}
        told = [alt.Tooltip(f"{name}:N", title=title) for name, title in titles.items()]
        return alt.layer(
            band.encode(**shown, y=alt.Y("low:Q", **shared), y2="high:Q", opacity=seen(picked, 0.16)),
            chart.mark_line(strokeWidth=2.25, clip=True).encode(**place, **dash, opacity=seen(picked, 1.0)),
            chart.mark_point(size=60, filled=True).encode(**place, opacity=alt.value(0), tooltip=told).add_params(picked),
        )


def _stacked(rows: Sequence[Row], array: str) -> Values:
    """One line a replicate, as long as the shortest."""
    found = [np.asarray(row.arrays[array], dtype=np.float64).ravel() for row in rows]
    length = min(map(len, found))
    return np.stack([each[:length] for each in found])


def _places(count: int) -> list[int]:
    """At most so many places, denser at the left where curves bend, ends kept."""
    if count <= _POINTS:
        return list(range(count))
    near = range(_POINTS // 2)
    far = np.geomspace(len(near), count - 1, _POINTS - len(near)).round().astype(int)
    return sorted({*near, *map(int, far)})
