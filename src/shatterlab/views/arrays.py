"""Arrays that trials keep, drawn: as curves, measured beside predicted; as histograms of eigenvalues, margins, scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from shatterlab.analysis.curves import Bins, Values, flat, places, stacked
from shatterlab.analysis.naming import capital, heading, number, text_of
from shatterlab.analysis.replicates import Groups, ended_well, grouped, selected
from shatterlab.analysis.summary import caveats, left_out, standing
from shatterlab.core.values import Row
from shatterlab.views.theme import GREY, INK, alt, dashes, data, faded, finished, legend, pick, tooltip, vertical
from shatterlab.views.view import Grid, View

_POINTS = 160  # of a line; more are thinned
Scale = Literal["linear", "log"]


def _keeping(rows: Iterable[Row], where: Mapping[str, Any], arrays: Sequence[str], by: Sequence[str], names: str) -> tuple[Groups, list[str]]:
    """The trials that ended well and keep the arrays, grouped, and notes on the others."""
    matching, notes = selected(rows, where)
    keeping = [row for row in matching if ended_well(row) and all(flat(row, array).size for array in arrays)]
    notes += left_out(len(matching) - len(keeping), f"that diverged or failed, or keep no {names}")
    return (grouped(keeping, by) if keeping else {}), notes


@dataclass(frozen=True)
class ArrayCurves(View):
    """The mean over replicates of one or more arrays against the place in the array, one colour for each value of `by`, one dash an array.

    Bands reach from the smallest to the largest replicate of the first array; a mean ends where the shortest replicate does.

    Args:
        arrays: what the dash is called -> the name of the array; the first is drawn unbroken.
        y: what the values are, for the axis: "training loss", say.
        x: what the place is: "step".
        by: what makes a colour: a column, "setting" or "model".
        first: the number of the first place.
        scale: "linear" or "log", of the y axis; what is not above 0 is not drawn on a log axis.
        x_scale: likewise of the x axis.

    Example:
        >>> rows = [Row({"setting": "-"}, arrays={"a": np.array([4.0, 2.0]), "b": np.array([4.0, 1.0])})]
        >>> print(ArrayCurves({"measured": "a", "predicted": "b"}, "loss").grid(rows).rows)
        (('-', '1', 'measured', '2', '4', '2'), ('-', '1', 'predicted', '2', '4', '1'))
    """

    arrays: Mapping[str, str]
    y: str
    x: str = "step"
    by: str = "setting"
    first: int = 0
    scale: Scale = "linear"
    x_scale: Scale = "linear"

    def default_title(self) -> str:
        return f"{self.y} by {self.x}"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line for each group and array: where its mean begins and ends; None where no trial keeps them all."""
        groups, notes = self._groups(rows)
        lines = []
        for (group,), members in groups.items():
            for name, array in self.arrays.items():
                mean = stacked(members, array).mean(0)
                lines.append((text_of(group, self.by), standing(members), name, number(len(mean)), number(float(mean[0])), number(float(mean[-1]))))
        return Grid((heading(self.by), "trials", "curve", "places", "first", "last"), tuple(lines), 1, tuple(notes)) if lines else None

    def nothing(self) -> str:
        return f"no trial keeps {', '.join(self.arrays.values())}"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        groups, notes = self._groups(rows)
        points = [point for (group,), members in groups.items() for point in self._points(text_of(group, self.by), members)]
        if not points:
            return None
        several = len(self.arrays) > 1
        lines = "Lines: means over replicates" + (f"; dashes tell {' from '.join(self.arrays)}." if several else ".")
        bands = "Bands: from the smallest to the largest replicate" + (f" of {next(iter(self.arrays))}." if several else ".")
        return finished(self._chart(points), {"points": points}, " ".join([lines, bands, *notes]))

    def _groups(self, rows: Iterable[Row]) -> tuple[Groups, list[str]]:
        groups, notes = _keeping(rows, self.where, tuple(self.arrays.values()), (self.by,), " or ".join(self.arrays))
        return groups, notes + caveats(groups, ())

    def _points(self, group: str, members: Sequence[Row]) -> list[dict[str, Any]]:
        points = []
        for order, (name, array) in enumerate(self.arrays.items()):
            values = stacked(members, array)
            for i in places(values.shape[1], _POINTS):
                low, mean, high = (float(of(values[:, i])) for of in (np.min, np.mean, np.max))
                x = i + self.first
                if not np.isfinite(mean) or (self.scale == "log" and low <= 0) or (self.x_scale == "log" and x <= 0):
                    continue
                ends = {"low": low, "high": high} if order == 0 else {}
                points.append({"x": x, "y": float(f"{mean:.5g}"), "by": group, "curve": name, "line": f"{group} {name}", "text": number(mean), **ends})
        return points

    def _chart(self, points: list[dict[str, Any]]) -> Any:
        shared = vertical([point[name] for point in points for name in ("y", "low", "high") if name in point], "", self.scale, self.y)
        axis = alt.X("x:Q", title=capital(self.x), axis=alt.Axis(grid=False), scale=alt.Scale(type=self.x_scale, nice=False, zero=False, padding=6))
        picked, chart = pick(), data("points")
        base = {"x": axis, "color": legend(self.by, [point["by"] for point in points]), "detail": "line:N"}
        dash = {"strokeDash": dashes("curve:N", list(self.arrays), "Curve")} if len(self.arrays) > 1 else {}
        place = {**base, "y": alt.Y("y:Q", **shared)}
        tips = tooltip({"by": heading(self.by), "curve": "curve", "x": self.x, "text": self.y})
        band = chart.transform_filter("isValid(datum.low)").mark_area(clip=True)
        return alt.layer(
            band.encode(**base, y=alt.Y("low:Q", **shared), y2="high:Q", opacity=faded(picked, 0.16)),
            chart.mark_line(strokeWidth=2.25, clip=True).encode(**place, **dash, opacity=faded(picked, 1.0)),
            chart.mark_point(size=60, filled=True).encode(**place, opacity=alt.value(0), tooltip=tips).add_params(picked),
        )


@dataclass(frozen=True)
class Histogram(View):
    """How the values of an array are spread, one outline a group, replicates pooled: heights are means over the group's trials.

    Exact zeros have a bar of their own on the left, on a logarithmic axis too. Trials without the array, and values that cannot be shown, are counted.

    Args:
        array: the name of an array, "measure.LogCoshCurvature.eigenvalues", say.
        by: what makes a group: columns, "setting" or "model"; none: all trials in one.
        scale: "linear" or "log", of the values.
        counts: "linear" or "log", of the heights.
        bins: how many, >= 1.

    Example:
        >>> rows = [Row({"key": f"{i}"}, arrays={"spectrum": np.array([0.0, 0.0, 1.0, 10.0 + i])}) for i in range(2)]
        >>> print(Histogram("spectrum", scale="log").text(rows))
        Values of spectrum
                                     smallest
                  values a         other than   median of
        trials       trial  zeros           0       these  largest
        ------  ----------  -----  ----------  ----------  -------
             2           4      2           1         5.5       11
    """

    array: str
    by: tuple[str, ...] = ()
    scale: Scale = "linear"
    counts: Scale = "linear"
    bins: int = 40

    def default_title(self) -> str:
        return f"Values of {heading(self.array)}"

    def nothing(self) -> str:
        return f"no trial keeps {heading(self.array)}"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line a group: how many values, how many of them 0, and where the others lie; None where no trial keeps the array."""
        groups, notes = self._groups(rows)
        lines = []
        for names, members in groups.items():
            pooled = self._pooled(members)
            others = pooled[np.isfinite(pooled) & (pooled != 0)]
            ends = (others.min(), np.median(others), others.max()) if len(others) else (None, None, None)
            counts = (standing(members), self._count(members, np.size), self._count(members, lambda values: np.count_nonzero(values == 0)))
            lines.append((*map(text_of, names, self.by), *counts, *(number(None if end is None else float(end)) for end in ends)))
        headers = (*map(heading, self.by), "trials", "values a trial", "zeros", "smallest other than 0", "median of these", "largest")
        return Grid(headers, tuple(lines), len(self.by), tuple(notes)) if lines else None

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        groups, notes = self._groups(rows)
        pooled = self._pooled([row for members in groups.values() for row in members])
        finite = pooled[np.isfinite(pooled)]
        hidden = int(np.count_nonzero(finite < 0)) if self.scale == "log" else 0
        if len(finite) == hidden:
            return None
        bins, several = Bins.of(finite, self.bins, self.scale), len(groups) > 1
        bars = [bar for i, (names, members) in enumerate(groups.items()) for bar in self._bars(bins, names, members, i, len(groups))]
        floor = min(bar["y"] for bar in bars) / 2 if self.counts == "log" else 0.0
        outlines = _outlines(bars, bins, floor) if several else []
        datasets: dict[str, list[dict[str, Any]]] = {"bars": [{**bar, "floor": floor} for bar in bars], "outlines": outlines, "once": [{}]}
        notes += [f"Not drawn: {hidden:,} values below 0, which a logarithmic axis cannot show."] if hidden else []
        description = [f"Heights: values in a bin, the mean over {'each group of' if several else 'all'} trials."]
        description += ["The bar on the left: values that are exactly 0."] * bins.zeros
        description += ["Colours and dashes tell the groups apart; where these coincide, so do their lines."] * several
        return finished(self._chart(datasets, bins), datasets, " ".join([*description, *notes]))

    def _groups(self, rows: Iterable[Row]) -> tuple[Groups, list[str]]:
        groups, notes = _keeping(rows, self.where, (self.array,), self.by, heading(self.array))
        strange = int(np.count_nonzero(~np.isfinite(self._pooled([row for members in groups.values() for row in members]))))
        notes += [f"Left out: {strange:,} {'value that is' if strange == 1 else 'values that are'} not finite."] if strange else []
        return groups, notes + caveats(groups, ())

    def _pooled(self, rows: Sequence[Row]) -> Values:
        return np.concatenate([flat(row, self.array) for row in rows]) if rows else np.empty(0)

    def _count(self, rows: Sequence[Row], of: Callable[[Values], Any]) -> str:
        """How many values of a trial are such, "96" or "95 to 97" over replicates."""
        counts = [int(of(flat(row, self.array))) for row in rows]
        low, high = number(min(counts)), number(max(counts))
        return low if low == high else f"{low} to {high}"

    def _bars(self, bins: Bins, names: Sequence[Any], members: Sequence[Row], place: int, among: int) -> list[dict[str, Any]]:
        label = ", ".join(text_of(name, column) for name, column in zip(names, self.by, strict=True) if name is not None) or "all trials"
        bars = []
        for bar in bins.bars(self._pooled(members), place, among):
            height = bar.pop("count") / len(members)
            bars.append({**bar, "y": height, "by": label, "height": number(height), "n": len(members)})
        return bars

    def _chart(self, datasets: Mapping[str, list[dict[str, Any]]], bins: Bins) -> Any:
        labels, title = list(dict.fromkeys(bar["by"] for bar in datasets["bars"])), " and ".join(map(heading, self.by))
        several = len(labels) > 1
        left = f"datum.value < {bins.edges[0]!r}"  # where only zeros are
        tick = {"condition": {"test": left, "value": None}, "value": GREY} if bins.zeros else alt.Undefined
        label = f"{left} ? '' : datum.label" if bins.zeros else alt.Undefined
        axis = alt.Axis(grid=False, tickColor=tick, labelExpr=label, tickCount=8, format="~g" if self.scale == "log" else alt.Undefined)
        x: dict[str, Any] = {"title": capital(heading(self.array)), "scale": alt.Scale(type=self.scale, domain=list(bins.frame), nice=False), "axis": axis}
        y: dict[str, Any] = {"title": "Values a trial", **self._heights(datasets["bars"])}
        strokes = alt.Legend(title=capital(title), symbolType="stroke", symbolSize=500, symbolStrokeWidth=2.5, symbolOpacity=1)
        color, picked = {"color": legend(title, labels).legend(strokes if several else None)}, pick()
        tips = tooltip({"by": "group", "text": "values", "height": "values a trial", "n": "trials"})
        bars = data("bars").mark_rect(clip=True)
        place = {"x": alt.X("left:Q", **x), "x2": "right:Q", "y": alt.Y("y:Q", **y), "y2": "floor:Q", **color, "tooltip": tips}
        layers: list[Any] = [bars.encode(**place, opacity=faded(picked, 0.2 if several else 0.85)).add_params(picked)]
        if several:
            layers.append(bars.transform_filter("datum.zero").encode(**place, opacity=faded(picked, 0.85)))
            lines = data("outlines").mark_line(strokeWidth=2, clip=True, interpolate="step-after")
            dash = {"strokeDash": dashes("by:N", labels, title).legend(strokes)}
            layers.append(lines.encode(x=alt.X("x:Q", **x), y=alt.Y("y:Q", **y), order="order:Q", **color, **dash, opacity=faded(picked, 1.0)))
        if bins.zeros:
            low, high = bins.lane
            middle = math.sqrt(low * high) if bins.scale == "log" else (low + high) / 2
            zero = data("once").mark_text(text="0", baseline="top", dy=11, fontSize=12, color=INK)
            layers.append(zero.encode(x=alt.XDatum(middle, **x), y=alt.value("height")))
        return alt.layer(*layers)

    def _heights(self, bars: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        low, high = min(bar["floor"] for bar in bars), max(bar["y"] for bar in bars)
        if self.counts == "linear":
            return {"scale": alt.Scale(domain=[0, high * 1.08], nice=False), "axis": alt.Axis(tickCount=6)}
        powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
        return {"scale": alt.Scale(type="log", domain=[low, high * 1.5], nice=False), "axis": alt.Axis(values=powers, format=",~r")}


def _outlines(bars: Sequence[Mapping[str, Any]], bins: Bins, floor: float) -> list[dict[str, Any]]:
    heights: dict[str, dict[float, float]] = {}
    for bar in bars:
        if not bar["zero"]:
            heights.setdefault(bar["by"], {})[bar["left"]] = bar["y"]
    points = []
    for name, of_group in heights.items():
        corners = [(bins.edges[0], floor), *((edge, of_group.get(edge, floor)) for edge in bins.edges)]
        points += [{"x": edge, "y": height, "by": name, "order": i} for i, (edge, height) in enumerate(corners)]
    return points
