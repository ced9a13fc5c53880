"""Curves over a setting of the trials: means with intervals, replicates, published numbers; and how probable it is that n examples are fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shatterlab.analysis.capacity import attempts
from shatterlab.analysis.naming import counted, heading, number, text_of, value_of
from shatterlab.analysis.replicates import Groups, grouped, melted, mixed, selected
from shatterlab.analysis.summary import Summary, caveats, censoring, chance, in_words, left_out, ratios, standing, summarize
from shatterlab.core.values import Row
from shatterlab.theory.capacity import Attempts, Complexity, effective_complexity
from shatterlab.views.theme import GREY, Axes, alt, dashes, data, faded, finished, legend, pick, published, tooltip
from shatterlab.views.view import Grid, View

_LINE = "quantity"  # what tells the lines apart where y has several columns
Points = list[dict[str, Any]]


@dataclass(frozen=True)
class Curve(View):
    """The mean of `y` over replicates against `x`, one line for each value of `by`.

    Bars are 95 % intervals of the mean, faint points single replicates. A run that ended before it got there is an open triangle at its lower bound, and no
    mean is drawn there. A dashed line marks chance for test errors and accuracies.

    With `relative` every value is first divided by that of its partner, the trial equal in seeds and in all but these columns; means are then geometric, with
    the t interval of the logarithms. Trials whose partner is missing, or ended before it got there, are left out and counted.

    Args:
        x: a column, or "setting"; numbers make an axis, anything else categories.
        y: a column of numbers; or several, one line each: the name of the line -> the column.
        by: what makes a line: a column, "setting" or "model"; None: one line, or those of `y`.
        reference: a published curve to draw behind, points {"x": .., "y": .., "name": ..}; with `relative`, of ratios.
        scale: "linear" or "log", of the y axis.
        relative: what y is divided by, as the values that a partner has: {"corruption.level": 0.0}, {"setting": "true labels"}.
        ordinal: numbers on x stand one below the other in ascending order, whatever their distance: zero and powers of ten, say.
        chance: whether the line of guessing is drawn; it takes most of the frame where errors are far below it.
        y_title: what the axis of y is called; by default the heading of the column.

    Example:
        >>> rows = [Row({"corruption.level": 1.0, "test.error": error}) for error in (0.89, 0.91)]
        >>> print(Curve("corruption.level", "test.error").text(rows).splitlines()[-1])
        1                2  90.0 % (n = 2)
    """

    x: str
    y: str | Mapping[str, str]
    by: str | None = None
    reference: Sequence[Mapping[str, Any]] | None = None
    scale: Literal["linear", "log"] = "linear"
    relative: Mapping[str, Any] = field(default_factory=dict)
    ordinal: bool = False
    chance: bool = True
    y_title: str = ""

    def default_title(self) -> str:
        return f"{self._heading} against {heading(self.x)}"

    @property
    def _heading(self) -> str:
        name = self.y_title or heading(self._column)
        return f"{name} relative to {in_words(self.relative)}" if self.relative else name

    @property
    def _column(self) -> str:
        return self.y if isinstance(self.y, str) else next(iter(self.y.values()))

    @property
    def _unit(self) -> str:
        return "" if self.relative else self._column

    @property
    def _keys(self) -> tuple[str, ...]:
        line = self.by if isinstance(self.y, str) else _LINE
        return (self.x, line) if line else (self.x,)

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line for each x (and `by`); None where no row has an x."""
        groups, notes = self._groups(rows)
        if not groups:
            return None
        lines = [(*map(text_of, names, self._keys), standing(members), self._summary(members).text(self._column)) for names, members in groups.items()]
        headers = (*map(heading, self._keys), "trials", self._heading)
        return Grid(headers, tuple(lines), len(self._keys), (*caveats(groups, (self._column,)), *notes))

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        groups, notes = self._groups(rows)
        points = [point for names, members in groups.items() for row in members for point in self._points(names, row)]
        if not points:
            return None
        means = [mean for names, members in groups.items() if (mean := self._mean(names, self._summary(members)))]
        guessing = chance((row for members in groups.values() for row in members), self._unit) if self.chance else None
        datasets: dict[str, Points] = {"points": points, "means": means, "reference": published(self.reference, self._unit, self.scale), "once": [{}]}
        values = [point["y"] for point in points + datasets["reference"]] + ([guessing[0]] if guessing is not None else [])
        xs, series = (list(dict.fromkeys(point[field] for point in points)) for field in ("x", "by"))
        axes = Axes(xs, values, self.x, self._unit, self.scale, series, self._heading.replace(" relative to ", "\nrelative to "))
        description = self._description(datasets, guessing, [*caveats(groups, ()), *notes, *self._hidden(groups)])
        return finished(self._chart(datasets, axes, guessing), datasets, description, axes.height)

    def _groups(self, rows: Iterable[Row]) -> tuple[Groups, list[str]]:
        rows = list(rows)
        matching, notes = selected(rows, self.where)
        placed = [row for row in matching if value_of(row, self.x) is not None]
        notes += left_out(len(matching) - len(placed), f"without {heading(self.x)}")
        if self.relative:
            placed, more = ratios(placed, rows, self._column, self.relative)
            notes += more
        if not isinstance(self.y, str):
            placed = melted(placed, self.x, self.y, _LINE)
        return grouped(placed, self._keys), notes

    def _summary(self, members: Iterable[Row]) -> Summary:
        return summarize(members, self._column, ratio=bool(self.relative))

    def _place(self, names: tuple[Any, ...]) -> dict[str, Any]:
        number_like = isinstance(names[0], int | float) and not isinstance(names[0], bool) and not self.ordinal
        line = text_of(names[1], self._keys[1]) if len(names) > 1 else heading(self._column)
        return {"x": names[0] if number_like else text_of(names[0], self.x), "by": line}

    def _points(self, names: tuple[Any, ...], row: Row) -> Points:
        summary, bound = self._summary([row]), censoring(row, self._column)
        value = bound if bound is not None else summary.mean
        if value is None or summary.trials == 0 or (self.scale == "log" and value <= 0):
            return []
        text = f"{'≥ ' if bound is not None else ''}{'× ' if self.relative else ''}{number(value, self._unit)}"
        return [{**self._place(names), "y": value, "text": text, "bound": bound is not None, "trial": str(row.get("key", ""))[:12]}]

    def _mean(self, names: tuple[Any, ...], summary: Summary) -> dict[str, Any] | None:
        if summary.mean is None or (self.scale == "log" and summary.mean <= 0):
            return None
        ends = dict(zip(("low", "high"), summary.interval or (), strict=False))
        if self.scale == "log" and ends.get("low", 1) <= 0:
            ends["low"] = summary.mean * 1e-9  # far below the frame, where the bar is cut off
        return {**self._place(names), "y": summary.mean, "text": summary.text(self._column), "n": len(summary.values), **ends}

    def _hidden(self, groups: Groups) -> list[str]:
        values = [value for members in groups.values() for value in self._summary(members).values]
        count = sum(value <= 0 for value in values) if self.scale == "log" else 0
        return [f"Not drawn: {counted(count, 'trial')} at or below 0, which a log axis cannot show."] if count else []

    def _chart(self, datasets: Mapping[str, Points], axes: Axes, guessing: tuple[float, str] | None) -> Any:
        line = self._keys[1] if len(self._keys) > 1 else None
        color, picked = {"color": legend(line, axes.series)}, pick()
        tips = {"text": self._heading, "x": heading(self.x), **({"by": heading(line)} if line else {})}
        means, points = data("means"), data("points")
        single = {**axes.place(), **color, "tooltip": tooltip(tips | {"trial": "trial"})}
        layers = axes.level(*guessing) if guessing is not None else []
        if reference := datasets["reference"]:
            dash = dashes("name:N", list(dict.fromkeys(str(point["name"]) for point in reference)), "Published")
            published_tips = tooltip({"name": "name", "x": heading(self.x), "text": self._heading})
            drawn = data("reference").mark_line(color=GREY, strokeWidth=1.75, clip=True)
            layers.insert(0, drawn.encode(**axes.place(), strokeDash=dash, tooltip=published_tips))
        circles = points.mark_point(size=30, strokeWidth=1.25).transform_filter("!datum.bound")
        layers.append(circles.encode(opacity=faded(picked, 0.45), **single).add_params(picked))
        if any(point["bound"] for point in datasets["points"]):
            triangles = points.mark_point(size=70, strokeWidth=2, shape="triangle-up" if axes.numeric else "triangle-right")
            layers.append(triangles.transform_filter("datum.bound").encode(opacity=faded(picked, 0.8), **single))
        if datasets["means"] and axes.numeric:
            layers.append(means.mark_line(strokeWidth=2, clip=True).encode(opacity=faded(picked, 0.9), **axes.place(), **color))
        if any("low" in mean for mean in datasets["means"]):
            bars = means.mark_rule(strokeWidth=2, clip=True).transform_filter("isValid(datum.low)")
            layers.append(bars.encode(opacity=faded(picked, 0.75), **axes.span("low", "high"), **color))
        if datasets["means"]:
            dots = means.mark_point(size=64, filled=True).encode(opacity=faded(picked, 1.0), **axes.place(), **color)
            layers.append(dots.encode(tooltip=tooltip(tips | {"n": "trials"})))
        return alt.layer(*layers)

    def _description(self, datasets: Mapping[str, Points], guessing: tuple[float, str] | None, more: list[str]) -> str:
        points = datasets["points"]
        means = "geometric means of the paired ratios" if self.relative else "means over replicates"
        parts = [f"Filled: {means} with 95 % intervals (where one leaves the frame, the table has its ends);"]
        parts.append(f"open circles: the {len(points)} single trials.")
        if any(point["bound"] for point in points):
            parts.append("Open triangles: lower bounds of runs that ended before they got there; no mean is drawn there.")
        parts += [f"Dotted line: {guessing[1]}."] if guessing else []
        parts += ["Grey: published."] * bool(datasets["reference"])
        return " ".join(parts + more)


@dataclass(frozen=True)
class FitProbability(View):
    """P(fit) against n: the share of replicates that fit their sample, one line for each value of `by`.

    Bars are 95 % Clopper-Pearson intervals. A size with runs that were cut short is an open triangle: a lower bound of P(fit). The notes give the effective
    model complexity of each line, or a bound on it.

    Args:
        by: columns whose values, one after the other, name a line.
        tolerance: the largest training error that counts as a fit, a fraction in [0, 1).
        reference: a curve behind, points {"x": n, "y": probability, "name": ..}.

    Example:
        >>> rows = [Row({"train.n": n, "train.error": error}) for n, error in ((8, 0.0), (16, 0.0), (16, 0.1), (32, 0.5))]
        >>> print(FitProbability(by=("learner.kind",)).text(rows).splitlines()[-1])
        -: EMC = 16 (32 is not fitted).
    """

    by: tuple[str, ...] = ("model",)
    tolerance: float = 0.0
    reference: Sequence[Mapping[str, Any]] = ()

    def default_title(self) -> str:
        return "Probability that random labels are fitted"

    def curves(self, rows: Iterable[Row]) -> dict[str, list[Attempts]]:
        """The tries by size of each line."""
        return self._curves(rows)[0]

    def complexities(self, rows: Iterable[Row]) -> dict[str, Complexity]:
        """The effective model complexity of each line."""
        return {name: effective_complexity(tried) for name, tried in self.curves(rows).items()}

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line a size; None where there are no rows."""
        curves, notes = self._curves(rows)
        columns = {
            ", ".join(map(heading, self.by)): lambda point: point[0],
            "n": lambda point: number(point[1].n),
            "runs": lambda point: str(point[1].runs),
            "fitted": lambda point: str(point[1].fitted),
            "cut short": lambda point: str(point[1].undecided),
            "P(fit)": lambda point: _share(point[1]),
        }
        points = [(name, size) for name, tried in curves.items() for size in tried]
        return Grid.of(points, columns, 1, notes) if points else None

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        curves, notes = self._curves(rows)
        points = [_point(name, size) for name, tried in curves.items() for size in tried if size.runs]
        if not points:
            return None
        reference = [{"name": "theory", **point} for point in self.reference]
        description = ["Bars: 95 % Clopper-Pearson intervals over replicates."]
        if any(point["bound"] for point in points):
            description.append("Open triangles: lower bounds, where runs that were cut short may yet have fitted.")
        return finished(self._chart(points, reference, list(curves)), {"points": points, "reference": reference}, " ".join([*description, *notes]))

    def _curves(self, rows: Iterable[Row]) -> tuple[dict[str, list[Attempts]], list[str]]:
        matching, notes = selected(rows, self.where)
        lines: dict[str, list[Row]] = {}
        for values, members in grouped(matching, self.by).items():
            names = [text_of(value, column) for value, column in zip(values, self.by, strict=True) if value is not None]
            lines.setdefault(" ".join(names) or "-", []).extend(members)
        differing = [column for column in mixed(lines.values()) if column != "dataset.examples"]
        notes += [f"Not one configuration: rows that differ in {', '.join(differing)} share a line."] if differing else []
        failed = sum(row.get("status") == "failed" for row in matching)
        notes += [f"{failed} of {len(matching)} trials failed and are left out."] if failed else []
        curves = {name: attempts(members, self.tolerance) for name, members in lines.items()}
        return curves, [*notes, *(f"{name}: {effective_complexity(tried).text}." for name, tried in curves.items())]

    def _chart(self, points: list[dict[str, Any]], reference: list[dict[str, Any]], names: list[str]) -> Any:
        sizes = [point["n"] for point in points] + [point["x"] for point in reference]
        horizontal: dict[str, Any] = {"type": "log", "domain": [min(sizes) / 1.15, max(sizes) * 1.15], "nice": False}
        axis = alt.Axis(grid=False, labelOverlap="greedy", format="~s")
        across: dict[str, Any] = {"scale": alt.Scale(**horizontal), "title": "Training examples n", "axis": axis}
        up: dict[str, Any] = {"scale": alt.Scale(domain=[0, 1]), "title": "P(fit)", "axis": alt.Axis(format=".0%", tickCount=5)}
        color, picked = {"color": legend(self.by[0] if len(self.by) == 1 else "learner", names)}, pick()
        chart, x, y = data("points"), alt.X("n:Q", **across), alt.Y("p:Q", **up)
        tips = tooltip({"by": "learner", "n": "n", "text": "P(fit)"})
        layers: list[Any] = []
        if reference:
            dash = dashes("name:N", list(dict.fromkeys(str(point["name"]) for point in reference)), "Theory")
            drawn = data("reference").mark_line(color=GREY, strokeWidth=1.75, clip=True)
            layers.append(drawn.encode(x=alt.X("x:Q", **across), y=alt.Y("y:Q", **up), strokeDash=dash))
        layers.append(chart.mark_line(strokeWidth=2).encode(x=x, y=y, opacity=faded(picked, 0.8), **color))
        layers.append(chart.mark_rule(strokeWidth=2).encode(x=x, y=alt.Y("low:Q", **up), y2="high:Q", opacity=faded(picked, 0.45), **color))
        dots = chart.mark_point(size=56, filled=True).transform_filter("!datum.bound")
        layers.append(dots.encode(x=x, y=y, opacity=faded(picked, 1.0), tooltip=tips, **color).add_params(picked))
        if any(point["bound"] for point in points):
            triangles = chart.mark_point(size=80, strokeWidth=2, shape="triangle-up").transform_filter("datum.bound")
            layers.append(triangles.encode(x=x, y=y, opacity=faded(picked, 0.9), tooltip=tips, **color))
        return alt.layer(*layers)


def _point(name: str, size: Attempts) -> dict[str, Any]:
    interval = size.interval()
    high = 1.0 if size.undecided else interval.high
    return {"by": name, "n": size.n, "p": interval.estimate, "low": interval.low, "high": high, "text": _share(size), "bound": size.undecided > 0}


def _share(size: Attempts) -> str:
    if not size.runs:
        return "-"
    interval = size.interval()
    return f"{'≥ ' if size.undecided else ''}{interval.estimate:.2f} [{interval.low:.2f}, {1.0 if size.undecided else interval.high:.2f}]"
