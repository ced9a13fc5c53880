"""Learning curves: how loss or accuracy went, epoch by epoch, in every replicate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shatterlab.analysis.naming import heading, model, number, text_of
from shatterlab.analysis.replicates import by_configuration
from shatterlab.analysis.summary import Summary, grouped, selected, standing
from shatterlab.core.values import Row
from shatterlab.views.grid import Grid
from shatterlab.views.published import NAME, framing, last_epoch, published
from shatterlab.views.theme import capital, colors, dashes, finished, legend, seen, vertical

_POINTS = 8000  # of single runs in one chart; more are thinned evenly, ends kept
_MEANS = 150  # epochs a mean line is drawn at
Path = list[tuple[int, float]]


@dataclass(frozen=True)
class LearningCurves:
    """A curve of every run, with the mean and the range over replicates where all of them still run.

    Every configuration has a mean of its own; where models share a colour, their lines differ in dashes.
    Line: mean over the replicates that ended well, drawn only at epochs that all of them reached. Band: from the
    smallest to the largest of them. Faint lines: single runs, each to its own end, which a dot marks (a cross where
    it diverged). Nothing is drawn beyond the end of a run. Failed trials are left out.

    Published curves lie behind, thin and dashed, in the colour of what they are named after. They never squeeze ours:
    the epochs end at most half beyond our longest run (or at epoch 10 where that is more), and a value other than an
    error or an accuracy stretches a log axis at most by a factor of 10, a linear one by half of our range, either way.

    With `best`, what lies between a mean line and the best value that it had so far is shaded: what stopping early could have kept, had
    one looked at this curve. Of the test split that is an oracle, not a method.

    Args:
        y: the curve: "train.loss", "train.accuracy", "train.error", the same of "online" and "test", "learning_rate".
        by: what makes a colour: a column, "setting" or "model".
        title: the heading; by default made from the columns.
        scale: "linear" or "log"; None: log for a loss.
        where: only rows whose columns have these values.
        reference: published curves, points {"x": epoch, "y": value, "name": "random labels"}, the name as `by` gives it.
        best: shade up to the running best: the largest so far, of a loss or an error the smallest.
    """

    y: str = "train.loss"
    by: str = "setting"
    title: str = ""
    scale: Literal["linear", "log"] | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    reference: Sequence[Mapping[str, Any]] | None = None
    best: bool = False

    def __post_init__(self) -> None:
        if not self.title:
            told = f"{heading(self.y)} by epoch"
            object.__setattr__(self, "title", capital(told))

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """Where each group began and ended; None where no run recorded this curve."""
        groups, notes = self._groups(rows)
        if not groups:
            return None
        several = len({name for _, name, _ in groups}) > 1
        lines = []
        for (label, name, _), members in groups.items():
            paths = [path for row in members if row.get("status", "ok") == "ok" and (path := self._path(row))]
            ends = [self._summary([path[i][1] for path in paths]).text(self.y) for i in (0, -1)] if paths else ["-", "-"]
            epochs = [path[-1][0] for path in paths]
            ran = "-" if not epochs else f"{min(epochs)}" if min(epochs) == max(epochs) else f"{min(epochs)} to {max(epochs)}"
            lines.append((label, *([name] if several else []), standing(members), ran, *ends))
        keys = (heading(self.by), *(["model"] if several else []))
        return Grid((*keys, "trials", "epochs run", "first epoch", "last epoch"), tuple(lines), len(keys), tuple(notes))

    def text(self, rows: Iterable[Row]) -> str:
        """Where each group began and ended, for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no run recorded {heading(self.y)})"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """The chart as Vega-Lite; None where no run recorded this curve."""
        groups, notes = self._groups(rows)
        if not groups:
            return None
        every = max(20, _POINTS // sum(map(len, groups.values())))
        data: dict[str, list[dict[str, Any]]] = {"runs": [], "means": [], "ends": []}
        thinned = False
        for i, ((label, name, _), members) in enumerate(groups.items()):
            named = {"by": label, "model": name, "line": i}
            data["means"] += [mean | named for mean in self._means([self._path(row) for row in members if row.get("status", "ok") == "ok"])]
            for row in members:
                path = self._path(row)
                thinned |= len(path) > every
                data["runs"] += [{"epoch": epoch, "y": value, "by": label, "run": len(data["ends"])} for epoch, value in _thin(path, every)]
                data["ends"].append(self._end(path[-1], row) | named)
        theirs = self._published(max(end["epoch"] for end in data["ends"]))
        told = self._description(len(data["ends"]), thinned) + (" Thin dashed lines: published." if theirs else "")
        data |= {"published": theirs} if theirs else {}
        return finished(self._chart(data), data, " ".join([told, *notes, *self._zeros(groups.values())]))

    def _zeros(self, groups: Iterable[Sequence[Row]]) -> list[str]:
        touched = sum(len(self._values(row)) != len(self._path(row)) for rows in groups for row in rows)
        return [f"Zeros, which a log axis cannot show, are left out of {touched} {'run' if touched == 1 else 'runs'}."] if touched else []

    def _groups(self, rows: Iterable[Row]) -> tuple[dict[tuple[str, str, int], list[Row]], list[str]]:
        """The runs of one configuration together, so that every mean is over replicates; (name, model, which) -> rows."""
        chosen, notes = selected(rows, self.where)
        having = [row for row in chosen if row.get("status") != "failed" and self._path(row)]
        groups: dict[tuple[str, str, int], list[Row]] = {}
        for (name,), members in grouped(having, (self.by,)).items():
            for each in by_configuration(members).values():
                groups[(text_of(name, self.by), model(each[0]), len(groups))] = each
        return groups, notes

    def _path(self, row: Row) -> Path:
        """(epoch, value) as drawn: on a log axis positive."""
        return [(epoch, value) for epoch, value in self._values(row) if value > 0 or self._scale == "linear"]

    def _values(self, row: Row) -> Path:
        """(epoch, value), finite, in order, the last value of an epoch, to four significant digits."""
        name, _, kind = self.y.rpartition(".")
        source = f"{name}.accuracy" if kind == "error" else self.y
        found = {epoch: 1 - value if kind == "error" else value for epoch, _, value in row.curve(source) if value is not None and math.isfinite(value)}
        return sorted((epoch, float(f"{value:.4g}")) for epoch, value in found.items())

    @property
    def _scale(self) -> str:
        return self.scale or ("log" if self.y.endswith("loss") else "linear")

    @staticmethod
    def _summary(values: Sequence[float]) -> Summary:
        return Summary(tuple(values), trials=len(values))

    def _means(self, paths: Sequence[Path]) -> list[dict[str, Any]]:
        """The mean and range at the epochs that every replicate has."""
        if not paths:
            return []
        tables = [dict(path) for path in paths]
        shared = [epoch for epoch, _ in paths[0] if all(epoch in table for table in tables)]
        means: list[dict[str, Any]] = []
        averages = {epoch: math.fsum(table[epoch] for table in tables) / len(tables) for epoch in shared}
        better = min if self.y.endswith(("loss", "error")) else max
        running = dict(zip(shared, itertools.accumulate(averages.values(), better), strict=True)) if self.best else averages
        for epoch in _thin(shared, _MEANS):
            values = [table[epoch] for table in tables]
            mean = float(f"{averages[epoch]:.4g}")
            told = f"{number(mean, self.y)}, {number(min(values), self.y)} to {number(max(values), self.y)}" if len(values) > 1 else number(mean, self.y)
            means.append({"epoch": epoch, "y": mean, "low": min(values), "high": max(values), "n": len(values), "told": told})
            means[-1] |= {"best": float(f"{running[epoch]:.4g}")} if self.best else {}
        return means

    def _end(self, last: tuple[int, float], row: Row) -> dict[str, Any]:
        diverged = row.get("status") == "diverged"
        why = "diverged" if diverged else str(row.get("fit.ended") or "not recorded")
        told = number(last[1], self.y)
        return {"epoch": last[0], "y": last[1], "ended": why, "diverged": diverged, "told": told, "trial": str(row.get("key", ""))[:12]}

    def _published(self, longest: int) -> list[dict[str, Any]]:
        """The published points up to where the frame ends and each curve's next one, so that its line runs to the edge."""
        points = sorted(published(self.reference, self.y, self._scale), key=lambda point: float(point["x"]))
        limit = last_epoch([longest], [point["x"] for point in points])
        kept = []
        for name in dict.fromkeys(str(point["name"]) for point in points):
            mine = [point for point in points if str(point["name"]) == name]
            inside = sum(point["x"] <= limit for point in mine)
            kept += [{"epoch": point["x"], "y": point["y"], "by": name, "model": NAME, "told": point["told"]} for point in mine[: inside + 1]]
        return kept

    def _chart(self, data: Mapping[str, list[dict[str, Any]]]) -> Any:
        import altair as alt

        own, theirs = [each for name in ("runs", "means", "ends") for each in data[name]], data.get("published", [])
        shared = vertical(framing([each["y"] for each in own], [each["y"] for each in theirs], self.y, self._scale), self.y, self._scale)
        axis = alt.Axis(grid=False, tickMinStep=1, tickCount=10, format="d")
        epochs = [each["epoch"] for each in own]
        frame: dict[str, Any] = {"domain": [min(epochs), last_epoch(epochs, (each["epoch"] for each in theirs))]} if theirs else {}
        x = alt.X("epoch:Q", title="Epoch", axis=axis, scale=alt.Scale(nice=False, zero=False, padding=6, **frame))
        labels = [str(each["by"]) for each in [*data["ends"], *theirs]]
        place = {"x": x, "y": alt.Y("y:Q", **shared), "color": legend(self.by, colors(labels))}
        picked = alt.selection_point(fields=["by"], bind="legend", name="picked", toggle="true")
        runs, means, ends, behind = (alt.Chart(alt.NamedData(name)) for name in ("runs", "means", "ends", "published"))
        told = [alt.Tooltip("by:N", title=heading(self.by)), alt.Tooltip("model:N"), alt.Tooltip("epoch:Q"), alt.Tooltip("told:N", title=heading(self.y))]
        band = means.mark_area(clip=True).encode(**{**place, "y": alt.Y("low:Q", **shared)}, y2="high:Q", detail="line:N", opacity=seen(picked, 0.16))
        shaded = means.mark_area(clip=True).encode(**place, y2="best:Q", detail="line:N", opacity=seen(picked, 0.3))
        faint = runs.mark_line(strokeWidth=1, clip=True).encode(**place, detail="run:N", opacity=seen(picked, 0.4))
        models = list(dict.fromkeys(str(each["model"]) for each in [*data["ends"], *theirs]))
        dash = {"strokeDash": dashes("model:N", models, "Model", thin=NAME)} if len(models) > 1 else {}
        line = means.mark_line(strokeWidth=2.5, clip=True).encode(**place, **dash, detail="line:N", opacity=seen(picked, 1.0))
        touch = means.mark_point(size=60, filled=True).encode(**place, opacity=alt.value(0), tooltip=[*told, alt.Tooltip("n:Q", title="trials")])
        shape = alt.Shape("diverged:N", legend=None, scale=alt.Scale(domain=[False, True], range=["circle", "cross"]))
        why = [*told, alt.Tooltip("ended:N"), alt.Tooltip("trial:N")]
        dots = ends.mark_point(size=42, filled=True).encode(**place, shape=shape, opacity=seen(picked, 0.9), tooltip=why).add_params(picked)
        thin = behind.mark_line(strokeWidth=1.25, clip=True).encode(**place, **dash, opacity=seen(picked, 0.8), tooltip=told)
        drawn = [*([shaded] if self.best else [band]), line, touch] if data["means"] else []
        return alt.layer(*([thin] if theirs else []), faint, dots, *drawn)

    def _description(self, count: int, thinned: bool) -> str:
        told = f"{count} {'run' if count == 1 else 'runs'}. Line: mean over replicates, drawn while all of them run; band: from the smallest to the"
        more = " largest of them. Faint lines: single runs; a dot marks where each ended, a cross where it diverged."
        if self.best:
            told = told.partition("; band")[0] + ". Shaded: up to its best so far."
            more = more.partition(".")[2]
        return told + more + (" Long runs are drawn at evenly spaced epochs." if thinned else "")


def _thin(values: Sequence[Any], at_most: int) -> list[Any]:
    """At most so many of the values, evenly spaced, first and last kept."""
    if len(values) <= at_most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (at_most - 1))] for i in range(at_most)]
