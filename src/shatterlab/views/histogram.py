"""A histogram of an array that trials keep: eigenvalues, margins, scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from shatterlab.analysis.naming import heading, number, text_of
from shatterlab.analysis.summary import caveats, grouped, selected, standing
from shatterlab.core.values import Row
from shatterlab.views.bins import Bins
from shatterlab.views.grid import Grid
from shatterlab.views.theme import HEIGHT, capital, colors, dashes, finished, legend, seen


@dataclass(frozen=True)
class _Group:
    """The trials of one line: their arrays, flat."""

    names: tuple[Any, ...]
    label: str
    rows: tuple[Row, ...]
    arrays: tuple[np.ndarray[Any, Any], ...]

    @property
    def pooled(self) -> np.ndarray[Any, Any]:
        return np.concatenate(self.arrays)

    def counts(self, of: Any) -> str:
        """How many values of a trial are such, "96" or "95 to 97" over replicates."""
        found = [int(np.count_nonzero(of(each))) for each in self.arrays]
        low, high = number(min(found)), number(max(found))
        return low if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class Histogram:
    """How the values of an array are spread, one outline a group, replicates pooled: heights are means over the group's trials.

    Exact zeros have a bar of their own on the left and are counted in the table, so that a matrix with many zero eigenvalues shows
    them on a logarithmic axis too. All groups share their bins. Trials that diverged, failed or keep no such array are left out and counted,
    as are values that are not finite or that a logarithmic axis cannot show.

    Args:
        array: the name of an array, "measure.LogCoshCurvature.eigenvalues", say.
        by: what makes a group: columns, "setting" or "model"; none: all trials in one.
        title: the heading; by default made from the array's name.
        scale: "linear" or "log", of the values.
        counts: "linear" or "log", of the heights.
        bins: how many, >= 1.
        where: only rows whose columns have these values.

    Example:
        >>> rows = [Row({"key": f"{i}"}, arrays={"spectrum": np.array([0.0, 0.0, 1.0, 10.0 + i])}) for i in range(2)]
        >>> print(Histogram("spectrum", scale="log").text(rows))
        Values of spectrum
                                        least
                  values a         other than   median of
        trials       trial  zeros           0       these  largest
        ------  ----------  -----  ----------  ----------  -------
             2           4      2           1         5.5       11
    """

    array: str
    by: tuple[str, ...] = ()
    title: str = ""
    scale: Literal["linear", "log"] = "linear"
    counts: Literal["linear", "log"] = "linear"
    bins: int = 40
    where: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", f"Values of {heading(self.array)}")

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line a group: how many values, how many of them 0, and where the others lie; None where no trial keeps the array."""
        groups, notes = self._groups(rows)
        if not groups:
            return None
        lines = []
        for group in groups:
            others = group.pooled[np.isfinite(group.pooled) & (group.pooled != 0)]
            ends = [others.min(), float(np.median(others)), others.max()] if len(others) else [None] * 3
            told = [text_of(name, column) for name, column in zip(group.names, self.by, strict=True)]
            told += [standing(group.rows), group.counts(np.ones_like), group.counts(lambda each: each == 0)]
            lines.append((*told, *(number(None if end is None else float(end)) for end in ends)))
        headers = (*map(heading, self.by), "trials", "values a trial", "zeros", "least other than 0", "median of these", "largest")
        return Grid(headers, tuple(lines), max(1, len(self.by)) if self.by else 0, tuple(notes))

    def text(self, rows: Iterable[Row]) -> str:
        """The counts and ends for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no trial keeps {heading(self.array)})"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """The chart as Vega-Lite; None where nothing can be drawn."""
        groups, notes = self._groups(rows)
        pooled = np.concatenate([group.pooled for group in groups]) if groups else np.empty(0)
        shown = pooled[np.isfinite(pooled)]
        hidden = int(np.count_nonzero(shown < 0)) if self.scale == "log" else 0
        if len(shown) == hidden:
            return None
        bins = Bins.of(shown, self.bins, self.scale)
        bars = [bar for i, group in enumerate(groups) for bar in _bars(group, bins, i, len(groups))]
        floor = min(bar["y"] for bar in bars) / 2 if self.counts == "log" else 0.0
        data: dict[str, list[dict[str, Any]]] = {"bars": [{**bar, "floor": floor} for bar in bars], "outlines": []}
        data["outlines"] = [point for group in groups for point in _outline(group.label, data["bars"])] if len(groups) > 1 else []
        notes += [f"Not drawn: {hidden:,} values below 0, which a logarithmic axis cannot show."] if hidden else []
        several = "Colours and dashes tell the groups apart; where these coincide, so do their lines." if len(groups) > 1 else ""
        zeros = "The bar on the left: values that are exactly 0." if bins.zeros else ""
        told = f"Heights: values in a bin, the mean over {'each group of' if len(groups) > 1 else 'all'} trials."
        return finished(self._chart(data, bins, groups), data, " ".join(each for each in (told, zeros, several, *notes) if each), HEIGHT)

    def _groups(self, rows: Iterable[Row]) -> tuple[list[_Group], list[str]]:
        """The trials that ended well and keep the array, brought together, and notes of the others."""
        chosen, notes = selected(rows, self.where)
        having = [row for row in chosen if row.get("status", "ok") == "ok" and self._flat(row).size]
        missing = len(chosen) - len(having)
        why = f"that diverged or failed, or keep no {heading(self.array)}"
        notes += [f"Left out: {missing} {'trial' if missing == 1 else 'trials'} {why}."] if missing else []
        groups = grouped(having, self.by) if having else {}
        strange = sum(int(np.count_nonzero(~np.isfinite(self._flat(row)))) for row in having)
        notes += [f"Left out: {strange:,} {'value that is' if strange == 1 else 'values that are'} not finite."] if strange else []
        found = [_Group(names, self._label(names), tuple(members), tuple(map(self._flat, members))) for names, members in groups.items()]
        return found, notes + caveats(groups, ())

    def _flat(self, row: Row) -> np.ndarray[Any, Any]:
        return np.asarray(row.arrays.get(self.array, ()), dtype=np.float64).ravel()

    def _label(self, names: Sequence[Any]) -> str:
        told = [text_of(name, column) for name, column in zip(names, self.by, strict=True) if name is not None]
        return ", ".join(told) or "all trials"

    def _chart(self, data: Mapping[str, list[dict[str, Any]]], bins: Bins, groups: Sequence[_Group]) -> Any:
        import altair as alt

        labels, several, title = [group.label for group in groups], len(groups) > 1, " and ".join(map(heading, self.by))
        x: dict[str, Any] = {
            "title": capital(heading(self.array)),
            "scale": alt.Scale(domain=list(bins.frame), nice=False),
            "axis": alt.Axis(grid=False, **bins.axis()),
        }
        y: dict[str, Any] = {"title": "Values a trial", **self._heights(data["bars"])}
        shown = alt.Legend(title=capital(title), symbolType="stroke", symbolSize=500, symbolStrokeWidth=2.5, symbolOpacity=1)
        color = {"color": legend(title, colors(labels)).legend(shown if several else None)}
        picked = alt.selection_point(fields=["by"], bind="legend", name="picked", toggle="true")
        titles = {"by": "group", "told": "values", "height": "values a trial", "n": "trials"}
        told = [alt.Tooltip(f"{name}:N", title=title) for name, title in titles.items()]
        bars = alt.Chart(alt.NamedData("bars")).mark_rect(clip=True)
        place = {"x": alt.X("left:Q", **x), "x2": "right:Q", "y": alt.Y("y:Q", **y), "y2": "floor:Q", **color, "tooltip": told}
        layers: list[Any] = [bars.encode(**place, opacity=seen(picked, 0.2 if several else 0.85)).add_params(picked)]
        if several:
            layers.append(bars.transform_filter("datum.zero").encode(**place, opacity=seen(picked, 0.85)))
            lines = alt.Chart(alt.NamedData("outlines")).mark_line(strokeWidth=2, clip=True)
            dash = {"strokeDash": dashes("by:N", labels, title).legend(shown)}
            corner = {"x": alt.X("x:Q", **x), "y": alt.Y("y:Q", **y), "order": "order:Q", "detail": "part:N"}
            layers.append(lines.encode(**corner, **color, **dash, opacity=seen(picked, 1.0)))
        return alt.layer(*layers)

    def _heights(self, bars: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Scale and axis of the heights: from 0, or from half of the least that is drawn, by powers of ten."""
        import altair as alt

        low, high = min(bar["floor"] for bar in bars), max(bar["y"] for bar in bars)
        if self.counts == "linear":
            return {"scale": alt.Scale(domain=[0, high * 1.08], nice=False), "axis": alt.Axis(tickCount=6)}
        powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
        return {"scale": alt.Scale(type="log", domain=[low, high * 1.5], nice=False), "axis": alt.Axis(values=powers, format=",~r")}


def _bars(group: _Group, bins: Bins, place: int, among: int) -> list[dict[str, Any]]:
    """The bins that have values; the zeros of several groups stand side by side."""
    trials = len(group.arrays)
    told = []
    for bar in bins.bars(group.pooled, place, among):
        height = bar.pop("count") / trials
        told.append({**bar, "y": height, "by": group.label, "height": number(height), "n": trials})
    return told


def _outline(label: str, bars: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The skyline of one group, zeros apart: corners in order, a new part after each gap."""
    corners: list[dict[str, Any]] = []
    end, part = None, -1
    for bar in bars:
        if bar["by"] != label or bar["zero"]:
            continue
        if bar["left"] != end:
            corners += [{"x": end, "y": bar["floor"], "part": part}] if end is not None else []
            part += 1
            corners.append({"x": bar["left"], "y": bar["floor"], "part": part})
        corners += [{"x": bar[side], "y": bar["y"], "part": part} for side in ("left", "right")]
        end = bar["right"]
    corners += [{"x": end, "y": bars[0]["floor"], "part": part}] if end is not None else []
    return [{**corner, "by": label, "order": i} for i, corner in enumerate(corners)]
