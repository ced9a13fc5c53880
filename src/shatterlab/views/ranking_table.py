"""Which open choices move an order: settings ranked by a column, one choice changed at a time."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from shatterlab.analysis.comparisons import Ranking, rankings
from shatterlab.analysis.naming import capital, heading, number, text_of
from shatterlab.analysis.replicates import grouped, selected
from shatterlab.analysis.summary import LEVEL, caveats, left_out, standing
from shatterlab.core.values import Row
from shatterlab.views.theme import Axes, alt, data, faded, finished, legend, pick, tooltip
from shatterlab.views.view import Grid, View

_LANE = 15  # pixels a setting inside of a line
_LABEL = 32  # characters a line of a choice's name beside the chart
_SIGNS = {-1: " < ", 0: " = ", 1: " > ", None: " ? "}
_MEANING = {
    "clearly": f"the {100 * LEVEL:g} % intervals of the paired differences exclude 0, on opposite sides (not corrected for how many are compared)",
    "within noise": "at least one of the two intervals includes 0",
    "no interval": "a value is only a lower bound, fewer than two trials share their seeds, or all paired differences are equal",
}


@dataclass(frozen=True)
class RankingTable(View):
    """Which choices change the order of the settings by `y`; each variant changes some columns of the base.

    A setting that has rows with a variant's choice is shown by them, any other by its base rows: a choice about pixels says nothing of random labels. A pair
    of settings has moved where its means are in the opposite order. Equal means are no order; a bound orders only where it says so.

    Args:
        y: a column of numbers.
        variants: name -> the choice: column -> value, or a sequence of which one must match.
        among: what is ordered: "setting", "model" or a column.
        base: column -> value of the base choices. A row that lacks the column agrees (labels have no unit of pixels).

    Example:
        >>> cell = lambda level, unit, y: Row({"corruption.kind": "PartialLabels", "corruption.level": level, "unit": unit, "y": y})
        >>> rows = [cell(0.0, "a", 1.0), cell(1.0, "a", 2.0), cell(0.0, "b", 3.0)]
        >>> print(RankingTable("y", {"unit b": {"unit": "b"}}, base={"unit": "a"}).grid(rows).rows[1][-1])
        random labels before true labels (no interval)
    """

    y: str
    variants: Mapping[str, Mapping[str, Any]]
    among: str = "setting"
    base: Mapping[str, Any] = field(default_factory=dict)

    def default_title(self) -> str:
        return f"{heading(self.y)} by {heading(self.among)}, one choice changed at a time"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line for the base and one a variant, with the pairs whose order moves; None where no row fits."""
        lines, notes = self._rankings(rows)
        if not lines:
            return None
        moves = [self._moves(line, lines[0]) for line in lines]
        cells = tuple((*self._cells(line, lines), moved) for line, moved in zip(lines, moves, strict=True))
        return Grid(("choice", "trials", *map(self._name, self._groups(lines)), "order moves"), cells, 1, (*_reading(lines, moves), *notes))

    def text(self, rows: Iterable[Row]) -> str:
        """The means for a terminal and, below, what moves in each variant."""
        grid = self.grid(rows)
        if not grid:
            return f"{self.title}\n({self.nothing()})"
        sentences = [f"{capital(name)}: {'order moves: ' if i else ''}{moved}." for i, (name, *_, moved) in enumerate(grid.rows)]
        return Grid(grid.headers[:-1], tuple(cells[:-1] for cells in grid.rows), 1, (*sentences, *grid.notes)).text(self.title)

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """The chart as Vega-Lite, one row a variant and one dot a setting; None where nothing can be drawn."""
        lines, notes = self._rankings(rows)
        points = [point for line in lines for group in self._groups(lines) if (point := self._point(line, group))]
        if not points:
            return None
        drawn = list(dict.fromkeys(point["x"] for point in points))
        named = {point["by"] for point in points}
        ranked = [self._name(group) for group in lines[0].ascending]  # the base is a staircase, what moves breaks it
        names = [*(name for name in ranked if name in named), *sorted(named - set(ranked))]
        axes = Axes(drawn, [point["y"] for point in points], "variant", self.y, "linear", names)
        description = [f"Dots: means over replicates with {100 * LEVEL:g} % intervals (where one leaves the frame, the table has its ends)."]
        description += ["Pale: the setting's base trials, which this choice does not touch."] * any(not point["own"] for point in points)
        description += ["Open triangles: lower bounds of runs that ended before they got there; no mean is drawn."] * any(point["bound"] for point in points)
        description += [f"Order moves in {line.name}: {self._moves(line, lines[0])}." for line in lines[1:]]
        height = len(drawn) * (_LANE * len(names) + 24)
        return finished(self._chart(axes, points), {"points": points}, " ".join([*description, *notes]), height)

    def _rankings(self, rows: Iterable[Row]) -> tuple[list[Ranking], list[str]]:
        matching, notes = selected(rows, self.where)
        lines = rankings(matching, self.y, self.among, self.base, self.variants)
        shown = {id(row) for line in lines for members in line.groups.values() for row in members}
        notes += left_out(len(matching) - len(shown), "of other choices") if lines else []
        return lines, notes + caveats({(line.name, group): members for line in lines for group, members in line.groups.items()}, (self.y,))

    def _name(self, group: Any) -> str:
        return text_of(group, self.among)

    def _groups(self, lines: Sequence[Ranking]) -> list[Any]:
        return [group for (group,) in grouped((row for line in lines for members in line.groups.values() for row in members), (self.among,))]

    def _cells(self, line: Ranking, lines: Sequence[Ranking]) -> tuple[str, ...]:
        own, otherwise = [row for group in line.own for row in line.groups[group]], "as base" if line.own else "-"
        cells = (line.summary(group).text(self.y) if group in line.own else otherwise if group in line.groups else "-" for group in self._groups(lines))
        return (line.name, standing(own), *cells)

    def _moves(self, line: Ranking, base: Ranking) -> str:
        if line is base:
            names = base.ascending
            steps = [_SIGNS[base.order(first, second)] + self._valued(base, second) for first, second in pairwise(names)]
            return "".join([self._valued(base, names[0]), *steps]) if names else "no trial yet"
        if not line.own:
            return "no trial yet"
        moved, unknown = line.moves(base)
        sentences = [f"{self._name(first)} before {self._name(second)} ({strength})" for first, second, strength in moved]
        open_pairs = ", ".join(f"{self._name(first)} and {self._name(second)}" for first, second in unknown)
        return ", ".join([*(sentences or ["none"] * (not unknown)), *([f"not known for {open_pairs}"] if unknown else [])])

    def _valued(self, line: Ranking, group: Any) -> str:
        low, high = line.summary(group).extent
        value = "-" if math.isinf(low) else f"{'≥ ' if math.isinf(high) else ''}{number(low, self.y)}"
        return f"{self._name(group)} {value}"

    def _point(self, line: Ranking, group: Any) -> dict[str, Any] | None:
        summary, own = line.summary(group), group in line.own
        value, _ = summary.extent
        if math.isinf(value) or not line.own:
            return None
        ends = dict(zip(("low", "high"), summary.interval or (), strict=False)) if own else {}
        text = summary.text(self.y) + ("" if own else ", as base")
        more = {"choice": line.name, "text": text, "n": summary.trials, "own": own, "bound": summary.mean is None}
        return {"x": textwrap.fill(line.name, _LABEL), "y": value, "by": self._name(group), **more, **ends}

    def _chart(self, axes: Axes, points: Sequence[Mapping[str, Any]]) -> Any:
        color, picked, place = {"color": legend(self.among, axes.series)}, pick(), axes.place()
        tips = tooltip({"text": heading(self.y), "choice": "choice", "by": heading(self.among), "n": "trials"})
        names = alt.Axis(grid=False, labelLimit=230, ticks=False, domain=False, labelExpr="split(datum.label, '\\n')")
        place["y"] = alt.Y("x:N", title=None, sort=list(axes.xs), axis=names, scale=alt.Scale(padding=0.3))
        layers = []
        if any("low" in point for point in points):
            bars = data("points").mark_rule(strokeWidth=2, clip=True).transform_filter("isValid(datum.low)")
            layers.append(bars.encode(opacity=faded(picked, 0.75), **axes.span("low", "high") | {"y": place["y"]}, **color))
        marks: dict[bool, dict[str, Any]] = {False: {"size": 64, "filled": True}, True: {"size": 70, "strokeWidth": 2, "shape": "triangle-right"}}
        for own, strength in ((True, 1.0), (False, 0.35)):
            for bound in sorted({False, any(point["bound"] for point in points)}):
                shown = data("points").mark_point(**marks[bound])
                shown = shown.transform_filter(f"datum.bound == {str(bound).lower()} && datum.own == {str(own).lower()}")
                layers.append(shown.encode(opacity=faded(picked, strength), **place, **color, tooltip=tips))
        layers[0] = layers[0].add_params(picked)
        return alt.layer(*layers)


def _reading(lines: Sequence[Ranking], moves: Sequence[str]) -> list[str]:
    notes = [f"{capital(word)}: {meaning}." for word, meaning in _MEANING.items() if any(f"({word})" in moved for moved in moves)]
    notes += ["?: bounds or missing values leave this order open."] * (" ? " in moves[0])
    based = any(set(line.groups) - line.own for line in lines if line.own)
    return notes + ["As base: no trial of this setting makes the choice; its base trials are compared."] * based
