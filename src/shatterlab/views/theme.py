"""How every chart looks: colours safe for colour-blind readers, axes and frames, and published curves, which never squeeze ours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shatterlab.analysis.naming import capital, heading, is_fraction, number

_SETTINGS = {"true labels": "#0072B2", "random labels": "#D55E00", "shuffled pixels": "#009E73", "random pixels": "#CC79A7", "Gaussian pixels": "#E69F00"}
_OTHERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A00", "#5B5EA6")  # Okabe and Ito's, and two more
_DASHES = ([1, 0], [6, 4], [2, 3], [10, 4, 2, 4], [12, 3], [4, 8])
_THIN = [4, 2]
_SHAPES = ("circle", "square", "diamond", "cross")
GREY, INK = "#7B8490", "#3C4650"
HEIGHT = 330
_LINE = 46  # pixels a category
PANEL = 300  # pixels of one of several panels, unless the page has room for more
PUBLISHED = "published"
_SHORTEST = 10.0  # epochs that the frame may show at least, where there are published ones
_TWO_LINES = "split(replace(datum.label, 'partially corrupted ', 'partially corrupted|'), '|')"  # the one long name
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


class _Altair:
    def __getattr__(self, name: str) -> Any:
        import altair  # at the first chart: it takes a second

        return getattr(altair, name)


alt: Any = _Altair()


def colors(labels: Iterable[str]) -> dict[str, str]:
    """A colour for each label: settings have their own everywhere, others take the palette's in order.

    Partially corrupted labels lie between true labels (blue) and random labels (vermilion) by their level.
    """
    names = list(dict.fromkeys(labels))
    fixed = {name: color for name in names if (color := _of_setting(name))}
    free = [color for color in _OTHERS if color not in fixed.values()]
    others = [name for name in names if name not in fixed]
    return {name: fixed.get(name) or free[others.index(name) % len(free)] for name in names}


def _of_setting(name: str) -> str | None:
    level = getattr(name, "level", None)
    if level is None:
        return _SETTINGS.get(name)
    ends = [[int(_SETTINGS[end][i : i + 2], 16) for i in (1, 3, 5)] for end in ("true labels", "random labels")]
    return "#" + "".join(f"{round(low + level * (high - low)):02X}" for low, high in zip(*ends, strict=True))


def pick() -> Any:
    """The selection by a click on a name in the legend."""
    return alt.selection_point(fields=["by"], bind="legend", name="picked", toggle="true")


def faded(picked: Any, strength: float) -> Any:
    """An opacity that fades where another name is picked in the legend."""
    return alt.condition(picked, alt.value(strength), alt.value(strength / 8))


def tooltip(titles: Mapping[str, str]) -> list[Any]:
    """What a mark says where the pointer rests on it: field -> what it is called."""
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in titles.items()]


def data(name: str) -> Any:
    """A chart of the data set of this name."""
    return alt.Chart(alt.NamedData(name))


def legend(column: str | None, labels: Iterable[str]) -> Any:
    """The colour channel "by" with one colour a label; a legend where there is more than one label."""
    palette = colors(labels)
    shown = alt.Legend(title=capital(heading(column)), symbolOpacity=1, symbolType="circle", symbolStrokeWidth=2) if column and len(palette) > 1 else None
    return alt.Color("by:N", scale=alt.Scale(domain=list(palette), range=list(palette.values())), legend=shown)


def dashes(field: str, names: Sequence[str], title: str, thin: str = "") -> Any:
    """The dash channel: one pattern a name, the first unbroken; the name `thin` has short dashes that no other has."""
    patterns = [_THIN if name == thin else _DASHES[i % len(_DASHES)] for i, name in enumerate(names)]
    shown = alt.Legend(title=title, symbolType="stroke", symbolStrokeColor=GREY, symbolSize=300)
    return alt.StrokeDash(field, scale=alt.Scale(domain=list(names), range=patterns), legend=shown)


def shapes(field: str, names: Sequence[str], title: str) -> Any:
    """The shape channel: one filled shape a name; no triangle, which means a bound."""
    marks = [_SHAPES[i % len(_SHAPES)] for i in range(len(names))]
    shown = alt.Legend(title=title, symbolFillColor=GREY, symbolStrokeColor=GREY)
    return alt.Shape(field, scale=alt.Scale(domain=list(names), range=marks), legend=shown)


def finished(chart: Any, datasets: Mapping[str, list[dict[str, Any]]], description: str, height: int = HEIGHT) -> dict[str, Any]:
    """The chart's specification with its data inside, in the look that all charts share."""
    fitted = chart.properties(width="container", height=height, autosize={"type": "fit-x", "contains": "padding"})
    return _in_this_look(fitted, datasets, description)


def side_by_side(panels: Mapping[str, Any], datasets: Mapping[str, list[dict[str, Any]]], description: str, height: int) -> dict[str, Any]:
    """Charts beside each other, as `finished`: title of a panel, its lines apart by a newline -> the chart.

    Vega-Lite fits no more than one chart to its container, so the page widens the panels, and puts one below the other where there is no room.
    """
    titled = [chart.properties(width=PANEL, height=height, title=title.split("\n")) for title, chart in panels.items()]
    return _in_this_look(alt.concat(*titled, columns=len(titled), spacing=36), datasets, description)


def _in_this_look(chart: Any, datasets: Mapping[str, list[dict[str, Any]]], description: str) -> dict[str, Any]:
    axis = {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal", "titlePadding": 10, "labelPadding": 6, "labelFlush": False}
    lines = {"gridColor": "#E3E7EC", "domainColor": GREY, "tickColor": GREY, "labelColor": INK, "titleColor": "#1D242B"}
    legend = {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 260, "orient": "top", "symbolSize": 90, "offset": 12}
    words = {"labelColor": INK, "titleColor": "#1D242B", "titleFontWeight": "normal", "columnPadding": 18, "rowPadding": 4}
    look = {"background": "transparent", "font": _FONT, "view": {"stroke": None}, "axis": {**axis, **lines}, "legend": {**legend, **words}}
    look["title"] = {"anchor": "start", "frame": "bounds", "fontSize": 13, "fontWeight": 600, "color": "#1D242B", "lineHeight": 18, "offset": 10}
    return {**chart.properties(description=description).configure(**look).to_dict(), "datasets": dict(datasets)}


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
        return all(isinstance(x, int | float) for x in self.xs)

    @property
    def height(self) -> int:
        """Of the chart, in pixels."""
        return HEIGHT if self.numeric else _LINE * len(self.xs) + 20

    def place(self, field: str = "y") -> dict[str, Any]:
        """The channels that put (x, field) in its place."""
        if not self.numeric:
            offset = {"yOffset": alt.YOffset("by:N", sort=list(self.series))} if len(self.series) > 1 else {}
            axis = alt.Axis(grid=False, labelLimit=230, ticks=False, domain=False, labelExpr=_TWO_LINES)
            return {"y": alt.Y("x:N", title=None, sort=list(self.xs), axis=axis, scale=alt.Scale(padding=0.3)), **offset, **self._value(field)}
        labelled: dict[str, Any] = {"values": sorted(self.xs), "labelExpr": "format(datum.value, '.4~g')"} if len(self.xs) <= 11 else {}
        axis = alt.Axis(grid=False, labelOverlap="greedy", **labelled)
        return {"x": alt.X("x:Q", title=capital(heading(self.x)), axis=axis, scale=alt.Scale(zero=False, nice=False, padding=18)), **self._value(field)}

    def span(self, low: str, high: str) -> dict[str, Any]:
        """The channels of a bar from one field to another."""
        return {**self.place(low), "y2" if self.numeric else "x2": f"{high}:Q"}

    def level(self, value: float, word: str) -> list[Any]:
        """A dotted line across the chart at this y, and its name; their data is a single point, "once"."""
        once, shared = data("once"), vertical(self.values, self.y, self.scale, self.title)
        datum = {"y": alt.YDatum(value, **shared)} if self.numeric else {"x": alt.XDatum(value, **shared)}
        corner = {"x" if self.numeric else "y": alt.value(0)}
        rule = once.mark_rule(color=GREY, strokeDash=[2, 4], strokeWidth=1.5).encode(**datum)
        name = once.mark_text(text=word, color=GREY, align="left", baseline="bottom", dx=6, dy=-2 if self.numeric else 12, fontSize=12)
        return [rule, name.encode(**datum, **corner)]

    def _value(self, field: str) -> dict[str, Any]:
        shared = vertical(self.values, self.y, self.scale, self.title)
        return {"y": alt.Y(f"{field}:Q", **shared)} if self.numeric else {"x": alt.X(f"{field}:Q", **shared)}


def domain(values: Sequence[float], column: str = "") -> list[float]:
    """The range of a linear axis, from the values alone, so that a wide interval does not flatten them.

    Errors and accuracies: whole tenths within [0, 1], from 0 unless all are above a half. Others: from 0 where none is negative, with a little room.
    """
    low, high = min(values), max(values)
    if not is_fraction(column) or low < 0 or high > 1:
        room = 0.12 * (high - low) or 0.12 * abs(high) or 1.0
        return [min(0.0, low - room) if low < 0 else 0.0, high + room]
    bottom = math.floor(low * 10) / 10 if low > 0.5 else 0.0
    top = max(0.1, min(1.0, (math.floor(high * 10 - 1e-9) + 1) / 10))
    return [min(bottom, top - 0.1), top]


def vertical(values: Sequence[float], column: str, scale: str, title: str = "") -> dict[str, Any]:
    """Title, scale and axis of the y channel (or of x), as Altair takes them; a log axis is labelled at powers of ten.

    Args:
        values: what sets the frame, at least one.
        column: named on the axis; fractions are printed in percent. "" where the values are no column's: ratios.
        scale: "linear" or "log".
        title: of the axis, in place of the column's heading; it may have several lines.
    """
    name: Any = capital(title or heading(column))
    name = name.split("\n") if "\n" in name else name
    axis: dict[str, Any] = {"tickCount": 6} | ({"format": ".0%"} if is_fraction(column) else {})
    if scale == "linear":
        return {"title": name, "scale": alt.Scale(domain=domain(values, column), nice=not is_fraction(column)), "axis": alt.Axis(**axis)}
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    if high - low > 2:
        axis["values"] = [10.0**power for power in range(low, high + 1, -(-(high - low) // 8))]
    limits = [min(values) / 1.25, max(values) * 1.25]
    return {"title": name, "scale": alt.Scale(type="log", domain=limits, nice=False), "axis": alt.Axis(**axis)}


def published(points: Sequence[Mapping[str, Any]] | None, column: str, scale: str) -> list[dict[str, Any]]:
    """The points that can be drawn, each with a name and its value as printed: finite, and on a log axis positive.

    Args:
        points: {"x": .., "y": .., "name": ..} each.
        column: of y; "" where y is a ratio.
        scale: "linear" or "log", of y.
    """
    finite = [point for point in points or () if point["y"] is not None and math.isfinite(point["y"])]
    return [{"name": PUBLISHED, "text": number(point["y"], column), **point} for point in finite if point["y"] > 0 or scale == "linear"]


def last_epoch(ours: Iterable[float], theirs: Iterable[float]) -> float:
    """Where the frame ends: published curves may take it half beyond our longest run, or to epoch 10 where that is more."""
    longest = max(ours)
    return max(longest, min(max(theirs, default=longest), max(1.5 * longest, _SHORTEST)))


def framing(ours: Sequence[float], theirs: Sequence[float], column: str, scale: str) -> list[float]:
    """The values that set the frame: ours, and published ones as far as they do not squeeze ours.

    Errors and accuracies all count. Others may stretch the frame by a factor of 10 on either side of a log axis, by half our range (from 0) on a linear one.
    """
    if not theirs or is_fraction(column):
        return [*ours, *theirs]
    low, high = min(ours), max(ours)
    room = (high - min(low, 0.0)) / 2
    lowest, highest = (low / 10, high * 10) if scale == "log" else (low - room, high + room)
    return [*ours, max(min(theirs), lowest), min(max(theirs), highest)]
