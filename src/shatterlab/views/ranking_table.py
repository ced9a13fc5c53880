"""Which open choices move an order: settings ranked by a column, one choice changed at a time."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any

from shatterlab.analysis.naming import heading, number, text_of, value_of
from shatterlab.analysis.replicates import pairs
from shatterlab.analysis.summary import LEVEL, Summary, caveats, grouped, mixed, selected, standing, summarize
from shatterlab.core.values import Row
from shatterlab.statistics import paired_difference
from shatterlab.views.axes import Axes
from shatterlab.views.grid import Grid
from shatterlab.views.theme import capital, colors, finished, legend, seen

_BASE = "base choices"
_LANE = 15  # pixels a setting inside of a line
_LABEL = 32  # characters a line of a choice's name beside the chart
_CLEAR, _NOISE, _NONE = "clearly", "within noise", "no interval"
_MEANING = {
    _CLEAR: f"the {100 * LEVEL:g} % intervals of the paired differences exclude 0, on opposite sides (not corrected for how many are compared)",
    _NOISE: "at least one of the two intervals includes 0",
    _NONE: "a value is only a lower bound, fewer than two trials share their seeds, or all paired differences are equal",
}


@dataclass(frozen=True)
class _Line:
    """The base or a variant: the rows of each setting, and which of them are its own rather than the base's."""

    name: str
    y: str
    groups: Mapping[Any, Sequence[Row]]
    own: frozenset[Any]

    def summary(self, name: Any) -> Summary:
        return summarize(self.groups.get(name, ()), self.y)

    def order(self, first: Any, second: Any) -> int | None:
        """-1 where `first` is smaller, 1 where `second` is, 0 where their means are equal; None where that is not known."""
        (low, high), (other_low, other_high) = _extent(self.summary(first)), _extent(self.summary(second))
        if math.isfinite(high) and math.isfinite(other_high) and math.isclose(low, other_low, rel_tol=1e-9):
            return 0
        return -1 if high < other_low else 1 if other_high < low else None

    def interval(self, first: Any, second: Any) -> tuple[float, float] | None:
        """Of the mean of `first` - `second`, paired by seeds; None where bounds, mixed or too few trials allow none."""
        groups = [[row for row in self.groups.get(name, ()) if row.get("status", "ok") == "ok"] for name in (first, second)]
        if not (self.summary(first).complete and self.summary(second).complete) or mixed(groups):
            return None
        numbers = [(summarize([a], self.y).mean, summarize([b], self.y).mean) for a, b in pairs(*groups)]
        both = [(a, b) for a, b in numbers if a is not None and b is not None]
        if len({a - b for a, b in both}) < 2:
            return None
        found = paired_difference([a for a, _ in both], [b for _, b in both], LEVEL)
        return found.low, found.high

    def strength(self, base: _Line, first: Any, second: Any) -> str:
        """How sure it is that the two are ordered in opposite ways here and in the base."""
        ours, theirs = self.interval(first, second), base.interval(first, second)
        if ours is None or theirs is None:
            return _NONE
        return _CLEAR if (ours[1] < 0 and theirs[0] > 0) or (ours[0] > 0 and theirs[1] < 0) else _NOISE


@dataclass(frozen=True)
class RankingTable:
    """Which choices change the order of the settings by `y`; each variant changes some columns of the base.

    A setting that has rows with a variant's choice is shown by them, any other by its base rows: a choice about pixels
    says nothing of random labels. A pair of settings has moved where its means are in the opposite order. Equal
    means are no order; a value known only to exceed a bound is never averaged, and orders only where the bound says so.

    Args:
        y: a column of numbers.
        variants: name -> the choice: column -> value, or a sequence of which one must match.
        among: what is ordered: "setting", "model" or a column.
        base: column -> value of the base choices. A row that lacks the column agrees (labels have no unit of pixels).
        title: the heading; by default made from the columns.
        where: only rows whose columns have these values.

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
    title: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", capital(f"{heading(self.y)} by {heading(self.among)}, one choice changed at a time"))

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line for the base and one a variant, with the pairs whose order moves; None where no row fits."""
        lines, notes = self._lines(rows)
        if not lines:
            return None
        moves = [self._moves(line, lines[0]) for line in lines]
        cells = tuple((*self._cells(line, lines), told) for line, told in zip(lines, moves, strict=True))
        return Grid((*self._headers(lines), "order moves"), cells, 1, (*self._reading(lines, moves), *notes))

    def text(self, rows: Iterable[Row]) -> str:
        """The means for a terminal and, below, what moves in each variant."""
        lines, notes = self._lines(rows)
        if not lines:
            return f"{self.title}\n(no rows)"
        moves = [self._moves(line, lines[0]) for line in lines]
        told = [f"{capital(line.name)}: {'' if line is lines[0] else 'order moves: '}{each}." for line, each in zip(lines, moves, strict=True)]
        cells = tuple(self._cells(line, lines) for line in lines)
        return Grid(self._headers(lines), cells, 1, (*told, *self._reading(lines, moves), *notes)).text(self.title)

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """The chart as Vega-Lite, one row a variant and one dot a setting; None where nothing can be drawn."""
        lines, notes = self._lines(rows)
        points = [point for line in lines for name in self._names(lines) if (point := self._point(line, name))]
        if not points:
            return None
        drawn = list(dict.fromkeys(point["x"] for point in points))
        named = {point["by"] for point in points}
        ranked = [text_of(name, self.among) for name in self._ranked(lines[0])]  # the base is a staircase, what moves breaks it
        names = [*(name for name in ranked if name in named), *sorted(named - set(ranked))]
        axes = Axes(drawn, [point["y"] for point in points], "variant", self.y, "linear", names)
        height = len(drawn) * (_LANE * len(names) + 24)
        told = [f"Dots: means over replicates with {100 * LEVEL:g} % intervals (where one leaves the frame, the table has its ends)."]
        told += ["Pale: the setting's base trials, which this choice does not touch."] * any(not point["own"] for point in points)
        told += ["Open triangles: lower bounds of runs that ended before they got there; no mean is drawn."] * any(point["bound"] for point in points)
        told += [f"Order moves in {line.name}: {self._moves(line, lines[0])}." for line in lines[1:]]
        return finished(self._chart(axes, points), {"points": points}, " ".join([*told, *notes]), height)

    def _lines(self, rows: Iterable[Row]) -> tuple[list[_Line], list[str]]:
        """The base first, then the variants; none where no row fits any of them."""
        chosen, notes = selected(rows, self.where)
        base = [row for row in chosen if self._fits(row, {})]
        common = self._line(_BASE, base, {})
        lines = [common, *(self._line(name, [row for row in chosen if self._fits(row, choice)], common.groups) for name, choice in self.variants.items())]
        counted = {id(row) for line in lines for members in line.groups.values() for row in members}
        if not counted:
            return [], notes
        left = len(chosen) - len(counted)
        notes += [f"Left out: {left} {'trial' if left == 1 else 'trials'} of other choices."] if left else []
        return lines, notes + caveats({(line.name, name): members for line in lines for name, members in line.groups.items()}, (self.y,))

    def _line(self, name: str, rows: Sequence[Row], base: Mapping[Any, Sequence[Row]]) -> _Line:
        own = {names[0]: members for names, members in grouped(rows, (self.among,)).items()}
        return _Line(name, self.y, {**base, **own}, frozenset(own))

    def _fits(self, row: Row, choice: Mapping[str, Any]) -> bool:
        """Whether a row makes this choice, none that another variant adds, and the base's everywhere else."""
        others = [other for other in self.variants.values() if not _within(other, choice)]
        kept = {column: value for column, value in self.base.items() if column not in choice}
        elsewhere = all(_is(row, column, value) or (column not in row and value_of(row, column) is None) for column, value in kept.items())
        return elsewhere and _makes(row, choice) and not any(_makes(row, other) for other in others)

    def _names(self, lines: Sequence[_Line]) -> list[Any]:
        """Every setting that occurs, in the paper's order."""
        return [names[0] for names in grouped((row for line in lines for members in line.groups.values() for row in members), (self.among,))]

    def _headers(self, lines: Sequence[_Line]) -> tuple[str, ...]:
        return ("choice", "trials", *(text_of(name, self.among) for name in self._names(lines)))

    def _cells(self, line: _Line, lines: Sequence[_Line]) -> tuple[str, ...]:
        own, else_ = [row for name in line.own for row in line.groups[name]], "as base" if line.own else "-"
        told = (line.summary(name).text(self.y) if name in line.own else else_ if name in line.groups else "-" for name in self._names(lines))
        return (line.name, standing(own), *told)

    def _moves(self, line: _Line, base: _Line) -> str:
        """The pairs whose order differs from the base; of the base itself its order."""
        if line is base:
            return self._ranking(base)
        if not line.own:
            return "no trial yet"
        moved, unknown = [], []
        for first, second in combinations(dict.fromkeys([*base.groups, *line.groups]), 2):
            was, now = base.order(first, second), line.order(first, second)
            names = [text_of(name, self.among) for name in (first, second)]
            if not line.own & {first, second}:
                continue
            if was is None or now is None:
                unknown.append(" and ".join(names))
            elif was * now < 0:
                moved.append(f"{' before '.join(names if now < 0 else names[::-1])} ({line.strength(base, first, second)})")
        return ", ".join([*(moved or ["none"] * (not unknown)), *([f"not known for {', '.join(unknown)}"] if unknown else [])])

    def _ranking(self, line: _Line) -> str:
        """The settings, the smallest first: "true labels < random labels"; equal means by =, an unknown order by ?."""
        names = self._ranked(line)
        sign = {-1: " < ", 0: " = ", 1: " > ", None: " ? "}
        told = [sign[line.order(first, second)] + self._told(line, second) for first, second in pairwise(names)]
        return "".join([self._told(line, names[0]), *told]) if names else "no trial yet"

    def _ranked(self, line: _Line) -> list[Any]:
        extents = {name: _extent(line.summary(name)) for name in line.groups}
        return sorted(extents, key=lambda name: extents[name] if extents[name][0] > -math.inf else (math.inf, math.inf))

    def _told(self, line: _Line, name: Any) -> str:
        low, high = _extent(line.summary(name))
        value = "-" if math.isinf(low) else f"{'≥ ' if math.isinf(high) else ''}{number(low, self.y)}"
        return f"{text_of(name, self.among)} {value}"

    def _reading(self, lines: Sequence[_Line], moves: Sequence[str]) -> list[str]:
        """What a reader must know before believing a move."""
        notes = [f"{capital(word)}: {meaning}." for word, meaning in _MEANING.items() if any(f"({word})" in told for told in moves)]
        notes += ["?: bounds or missing values leave this order open."] * (" ? " in moves[0])
        return notes + ["As base: no trial of this setting makes the choice; its base trials are compared."] * any(
            set(line.groups) - line.own for line in lines if line.own
        )

    def _point(self, line: _Line, name: Any) -> dict[str, Any] | None:
        """A dot at the mean or a triangle at the smallest bound; none where a setting has no value, or a variant no trial."""
        summary = line.summary(name)
        value, _ = _extent(summary)
        if math.isinf(value) or not line.own:
            return None
        own, bound = name in line.own, summary.mean is None
        ends = dict(zip(("low", "high"), summary.interval or (), strict=False)) if own else {}
        told = summary.text(self.y) + ("" if own else ", as base")
        more = {"choice": line.name, "told": told, "n": summary.trials, "own": own, "bound": bound}
        return {"x": textwrap.fill(line.name, _LABEL), "y": value, "by": text_of(name, self.among), **more, **ends}

    def _chart(self, axes: Axes, points: Sequence[Mapping[str, Any]]) -> Any:
        import altair as alt

        color = {"color": legend(self.among, colors(axes.series))}
        picked = alt.selection_point(fields=["by"], bind="legend", name="picked", toggle="true")
        titles = {"told": heading(self.y), "choice": "choice", "by": heading(self.among), "n": "trials"}
        tooltip = [alt.Tooltip(f"{field}:N", title=title) for field, title in titles.items()]
        chart = alt.Chart(alt.NamedData("points"))
        place = axes.place()
        lines = alt.Axis(grid=False, labelLimit=230, ticks=False, domain=False, labelExpr="split(datum.label, '\\n')")
        place["y"] = alt.Y("x:N", title=None, sort=list(axes.xs), axis=lines, scale=alt.Scale(padding=0.3))
        layers = []
        if any("low" in point for point in points):
            bars = chart.mark_rule(strokeWidth=2, clip=True).transform_filter("isValid(datum.low)")
            layers.append(bars.encode(opacity=seen(picked, 0.75), **axes.span("low", "high") | {"y": place["y"]}, **color))
        for own, strength in ((True, 1.0), (False, 0.35)):
            dots = chart.mark_point(size=64, filled=True).transform_filter(f"!datum.bound && datum.own == {str(own).lower()}")
            layers.append(dots.encode(opacity=seen(picked, strength), **place, **color, tooltip=tooltip))
            triangles = chart.mark_point(size=70, strokeWidth=2, shape="triangle-right").transform_filter(f"datum.bound && datum.own == {str(own).lower()}")
            if any(point["bound"] for point in points):
                layers.append(triangles.encode(opacity=seen(picked, strength), **place, **color, tooltip=tooltip))
        layers[0] = layers[0].add_params(picked)
        return alt.layer(*layers)


def _extent(summary: Summary) -> tuple[float, float]:
    """Where all that a summary knows lies: at its mean; from its smallest value or bound up; anywhere."""
    if summary.mean is not None:
        return summary.mean, summary.mean
    known = (*summary.values, *summary.bounds, *[math.inf] * bool(summary.infinite))
    return min(known, default=-math.inf), math.inf


def _is(row: Row, column: str, wanted: Any) -> bool:
    return value_of(row, column) in (wanted if isinstance(wanted, list | tuple | set | frozenset) else (wanted,))


def _makes(row: Row, choice: Mapping[str, Any]) -> bool:
    return all(_is(row, column, wanted) for column, wanted in choice.items())


def _within(part: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Whether a row that makes the whole choice always makes this part of it."""
    return all(column in whole and whole[column] == wanted for column, wanted in part.items())
