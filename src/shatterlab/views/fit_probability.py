"""How probable it is that a sample of n examples is fitted, against n, with what is known to be only a bound marked as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shatterlab.analysis.capacity import attempts
from shatterlab.analysis.naming import heading, number, text_of
from shatterlab.analysis.replicates import grouped, mixed, selected
from shatterlab.core.values import Row
from shatterlab.theory.capacity import Attempts, Complexity, effective_complexity
from shatterlab.views.theme import GREY, alt, dashes, data, faded, finished, legend, pick, tooltip
from shatterlab.views.view import Grid, View


@dataclass(frozen=True)
class FitProbability(View):
    """P(fit) against n: the share of replicates that fit their sample, one line for each value of `by`.

    Bars are 95 % Clopper-Pearson intervals. A size at which more runs could have fitted, had they not been cut short, is an open triangle:
    a lower bound of P(fit). The dashed grey line is theory's, where there is one. The effective model complexity of each line stands in
    the notes; it is a bound where that is all that the runs tell.

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
        """The chart as Vega-Lite; None where nothing can be drawn."""
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
        """The tries by size of each line, and what a reader must know of them."""
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
