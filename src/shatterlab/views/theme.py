"""How every chart looks: one colour a setting, safe for colour-blind readers, and one set of axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shatterlab.analysis.naming import heading, is_fraction

_SETTINGS = {
    "true labels": "#0072B2",
    "random labels": "#D55E00",
    "shuffled pixels": "#009E73",
    "random pixels": "#CC79A7",
    "Gaussian pixels": "#E69F00",
}
_OTHERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A00", "#5B5EA6")  # Okabe and Ito's, and two more
_PARTIAL = "partially corrupted labels ("
_DASHES = ([1, 0], [6, 4], [2, 3], [10, 4, 2, 4], [12, 3], [4, 8])
_THIN = [4, 2]
_SHAPES = ("circle", "square", "diamond", "cross")
GREY = "#7B8490"
HEIGHT = 330
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


def colors(labels: Iterable[str]) -> dict[str, str]:
    """A colour for each label: settings have their own everywhere, others take the palette's in order.

    Partially corrupted labels lie between true labels (blue) and random labels (vermilion) by their level.
    """
    names = list(dict.fromkeys(labels))
    fixed = {name: found for name in names if (found := _setting(name))}
    free = [color for color in _OTHERS if color not in fixed.values()]
    others = [name for name in names if name not in fixed]
    return {name: fixed.get(name) or free[others.index(name) % len(free)] for name in names}


def _setting(name: str) -> str | None:
    if not name.startswith(_PARTIAL):
        return _SETTINGS.get(name)
    level = float(name.removeprefix(_PARTIAL).rstrip(")"))
    ends = [[int(_SETTINGS[end][i : i + 2], 16) for i in (1, 3, 5)] for end in ("true labels", "random labels")]
    return "#" + "".join(f"{round(low + level * (high - low)):02X}" for low, high in zip(*ends, strict=True))


def domain(values: Sequence[float], column: str = "") -> list[float]:
    """The range of a linear axis, from the values alone, so that a wide interval does not flatten them.

    Errors and accuracies: whole tenths within [0, 1], from 0 unless all are above a half. Others: from 0 where none
    is negative, with a little room.
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
    import altair as alt

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


def capital(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def legend(column: str | None, labels: Mapping[str, str]) -> Any:
    """The colour channel "by" with one colour a label; a legend where there is more than one label."""
    import altair as alt

    shown = alt.Legend(title=capital(heading(column)), symbolOpacity=1, symbolType="circle", symbolStrokeWidth=2) if column and len(labels) > 1 else None
    return alt.Color("by:N", scale=alt.Scale(domain=list(labels), range=list(labels.values())), legend=shown)


def dashes(field: str, names: Sequence[str], title: str, thin: str = "") -> Any:
    """The dash channel: one pattern a name, the first unbroken; the name `thin` has short dashes that no other has."""
    import altair as alt

    patterns = [_THIN if name == thin else _DASHES[i % len(_DASHES)] for i, name in enumerate(names)]
    shown = alt.Legend(title=title, symbolType="stroke", symbolStrokeColor=GREY, symbolSize=300)
    return alt.StrokeDash(field, scale=alt.Scale(domain=list(names), range=patterns), legend=shown)


def shapes(field: str, names: Sequence[str], title: str) -> Any:
    """The shape channel: one filled shape a name; no triangle, which means a bound."""
    import altair as alt

    marks = [_SHAPES[i % len(_SHAPES)] for i in range(len(names))]
    shown = alt.Legend(title=title, symbolFillColor=GREY, symbolStrokeColor=GREY)
    return alt.Shape(field, scale=alt.Scale(domain=list(names), range=marks), legend=shown)


def seen(picked: Any, strength: float) -> Any:
    """An opacity that fades where another name is picked in the legend."""
    import altair as alt

    return alt.condition(picked, alt.value(strength), alt.value(strength / 8))


def finished(chart: Any, datasets: Mapping[str, list[dict[str, Any]]], description: str, height: int = HEIGHT) -> dict[str, Any]:
    """The chart's specification with its data inside, in the look that all charts share."""
    described = chart.properties(width="container", height=height, description=description, autosize={"type": "fit-x", "contains": "padding"})
    spec: dict[str, Any] = described.configure(**_look()).to_dict()
    spec["datasets"] = dict(datasets)
    return spec


def _look() -> dict[str, Any]:
    axis = {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal", "titlePadding": 10, "labelPadding": 6, "labelFlush": False}
    lines = {"gridColor": "#E3E7EC", "domainColor": GREY, "tickColor": GREY, "labelColor": "#3C4650", "titleColor": "#1D242B"}
    legend = {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 260, "orient": "top", "symbolSize": 90, "offset": 12}
    words = {"labelColor": "#3C4650", "titleColor": "#1D242B", "titleFontWeight": "normal", "columnPadding": 18, "rowPadding": 4}
    return {
        "background": "transparent",
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {**axis, **lines},
        "legend": {**legend, **words},
    }
