"""How probable it is that a sample of n examples is fitted, against n, with what is known to be only a bound marked as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shatterlab.analysis.naming import heading, number, text_of
from shatterlab.analysis.summary import grouped, mixed, selected
from shatterlab.core.values import Row
from shatterlab.theory.capacity import Attempts, Complexity, effective_complexity
from shatterlab.views.grid import Grid
from shatterlab.views.theme import GREY, capital, colors, dashes, finished, legend, seen

SIZE = "train.n"  # as it was, whatever was asked for
_TITLE = "Probability that random labels are fitted"


def attempts(rows: Iterable[Row], tolerance: float = 0.0) -> list[Attempts]:
    """What the replicates at each sample size came to; a run fits where its training error is at most the tolerance.

    A run that did not fit and ended at its budget (`fit.censored`), or that diverged, is undecided; failed runs are left out.

    Args:
        rows: of one configuration but for size and seeds; rows without a size count at the size that was asked for.
        tolerance: a fraction in [0, 1).
    """
    sizes: dict[int, list[Row]] = {}
    for row in rows:
        n = row.get(SIZE) or row.get("dataset.examples")
        if isinstance(n, int | float):
            sizes.setdefault(int(n), []).append(row)
    return [_attempts(n, members, tolerance) for n, members in sorted(sizes.items())]


def _attempts(n: int, rows: Sequence[Row], tolerance: float) -> Attempts:
    ended = [row for row in rows if row.get("status", "ok") != "failed"]
    outcomes = [_outcome(row, tolerance) for row in ended]
    return Attempts(n, len(ended), outcomes.count("fitted"), outcomes.count("undecided"))


def _outcome(row: Row, tolerance: float) -> str:
    error = row.get("train.error")
    diverged = row.get("status") == "diverged"
    if isinstance(error, int | float) and error <= tolerance and not diverged:
        return "fitted"
    return "undecided" if diverged or row.get("fit.censored") else "not fitted"


@dataclass(frozen=True)
class FitProbability:
    """P(fit) against n: the share of replicates that fit their sample, one line for each value of `by`.

    Bars are 95 % Clopper-Pearson intervals. A size at which more runs could have fitted, had they not been cut short, is an open triangle:
    a lower bound of P(fit). The dashed grey line is theory's, where there is one. The effective model complexity of each line stands in
    the notes; it is a bound where that is all that the runs tell.

    Args:
        by: columns whose values, told together, name a line.
        tolerance: the largest training error that counts as a fit, a fraction in [0, 1).
        title: the heading.
        reference: a curve behind, points {"x": n, "y": probability, "name": ..}.
        where: only rows whose columns have these values.

    Example:
        >>> rows = [Row({"train.n": n, "train.error": error}) for n, error in ((8, 0.0), (16, 0.0), (16, 0.1), (32, 0.5))]
        >>> print(FitProbability(by=("learner.kind",)).text(rows).splitlines()[-1])
        -: EMC = 16 (32 is not fitted).
    """

    by: tuple[str, ...] = ("model",)
    tolerance: float = 0.0
    title: str = _TITLE
    reference: Sequence[Mapping[str, Any]] = ()
    where: Mapping[str, Any] = field(default_factory=dict)

    def curves(self, rows: Iterable[Row]) -> dict[str, list[Attempts]]:
        """The tries by size of each line."""
        return {name: attempts(members, self.tolerance) for name, members in self._lines(rows)[0].items()}

    def complexities(self, rows: Iterable[Row]) -> dict[str, Complexity]:
        """The effective model complexity of each line."""
        return {name: effective_complexity(tried) for name, tried in self.curves(rows).items()}

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line a size; None where there are no rows."""
        groups, notes = self._lines(rows)
        curves = {name: attempts(members, self.tolerance) for name, members in groups.items()}
        lines = [(name, number(each.n), str(each.runs), str(each.fitted), str(each.undecided), _told(each)) for name, tried in curves.items() for each in tried]
        if not lines:
            return None
        found = [f"{name}: {effective_complexity(tried).text}." for name, tried in curves.items()]
        headers = (", ".join(map(heading, self.by)), "n", "runs", "fitted", "cut short", "P(fit)")
        return Grid(headers, tuple(lines), 1, (*notes, *found))

    def text(self, rows: Iterable[Row]) -> str:
        """The sizes with their intervals for a terminal, and the complexities."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no rows)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """The chart as Vega-Lite; None where nothing can be drawn."""
        groups, notes = self._lines(rows)
        curves = {name: attempts(members, self.tolerance) for name, members in groups.items()}
        points = [_point(name, each) for name, tried in curves.items() for each in tried if each.runs]
        if not points:
            return None
        reference = [{"name": "theory", **point} for point in self.reference]
        found = [f"{name}: {effective_complexity(tried).text}." for name, tried in curves.items()]
        told = ["Bars: 95 % Clopper-Pearson intervals over replicates.", *notes, *found]
        if any(point["bound"] for point in points):
            told.insert(1, "Open triangles: lower bounds, where runs that were cut short may yet have fitted.")
        return finished(self._chart(points, reference, list(curves)), {"points": points, "reference": reference}, " ".join(told))

    def _lines(self, rows: Iterable[Row]) -> tuple[dict[str, list[Row]], list[str]]:
        chosen, notes = selected(rows, self.where)
        lines: dict[str, list[Row]] = {}
        for values, members in grouped(chosen, self.by).items():
            told = [text_of(value, column) for value, column in zip(values, self.by, strict=True) if value is not None]
            lines.setdefault(" ".join(told) or "-", []).extend(members)
        differing = [column for column in mixed(lines.values()) if column != "dataset.examples"]
        notes += [f"Not one configuration: rows that differ in {', '.join(differing)} share a line."] if differing else []
        failed = sum(row.get("status") == "failed" for row in chosen)
        return lines, notes + ([f"{failed} of {len(chosen)} trials failed and are left out."] if failed else [])

    def _chart(self, points: list[dict[str, Any]], reference: list[dict[str, Any]], names: list[str]) -> Any:
        import altair as alt

        sizes = [point["n"] for point in points] + [point["x"] for point in reference]
        horizontal: dict[str, Any] = {"type": "log", "domain": [min(sizes) / 1.15, max(sizes) * 1.15], "nice": False}
        axis = alt.Axis(grid=False, labelOverlap="greedy", format="~s")
        across: dict[str, Any] = {"scale": alt.Scale(**horizontal), "title": "Training examples n", "axis": axis}
        up: dict[str, Any] = {"scale": alt.Scale(domain=[0, 1]), "title": capital("P(fit)"), "axis": alt.Axis(format=".0%", tickCount=5)}
        color = {"color": legend(self.by[0] if len(self.by) == 1 else "learner", colors(names))}
        picked = alt.selection_point(fields=["by"], bind="legend", name="picked", toggle="true")
        chart, x, y = alt.Chart(alt.NamedData("points")), alt.X("n:Q", **across), alt.Y("p:Q", **up)
        told = [alt.Tooltip("by:N", title="learner"), alt.Tooltip("n:Q"), alt.Tooltip("told:N", title="P(fit)")]
        layers: list[Any] = []
        if reference:
            dash = dashes("name:N", list(dict.fromkeys(str(point["name"]) for point in reference)), "Theory")
            drawn = alt.Chart(alt.NamedData("reference")).mark_line(color=GREY, strokeWidth=1.75, clip=True)
            layers.append(drawn.encode(x=alt.X("x:Q", **across), y=alt.Y("y:Q", **up), strokeDash=dash))
        layers.append(chart.mark_line(strokeWidth=2).encode(x=x, y=y, opacity=seen(picked, 0.8), **color))
        layers.append(chart.mark_rule(strokeWidth=2).encode(x=x, y=alt.Y("low:Q", **up), y2="high:Q", opacity=seen(picked, 0.45), **color))
        dots = chart.mark_point(size=56, filled=True).transform_filter("!datum.bound")
        layers.append(dots.encode(x=x, y=y, opacity=seen(picked, 1.0), tooltip=told, **color).add_params(picked))
        if any(point["bound"] for point in points):
            triangles = chart.mark_point(size=80, strokeWidth=2, shape="triangle-up").transform_filter("datum.bound")
            layers.append(triangles.encode(x=x, y=y, opacity=seen(picked, 0.9), tooltip=told, **color))
        return alt.layer(*layers)


def _point(name: str, each: Attempts) -> dict[str, Any]:
    found = each.interval()
    return {
        "by": name,
        "n": each.n,
        "p": found.estimate,
        "low": found.low,
        "high": 1.0 if each.undecided else found.high,
        "told": _told(each),
        "bound": each.undecided > 0,
    }


def _told(each: Attempts) -> str:
    if not each.runs:
        return "-"
    found = each.interval()
    sign = "≥ " if each.undecided else ""
    return f"{sign}{found.estimate:.2f} [{found.low:.2f}, {1.0 if each.undecided else found.high:.2f}]"
