"""Learning curves: how loss or accuracy went, epoch by epoch, in every replicate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shatterlab.analysis.columns import quantity
from shatterlab.analysis.curves import MeanPoint, Path, mean_path, path, thinned
from shatterlab.analysis.naming import counted, heading, model, number, text_of
from shatterlab.analysis.replicates import by_configuration, ended_well, grouped, selected
from shatterlab.analysis.summary import Summary, standing
from shatterlab.core.values import Row
from shatterlab.views.theme import PUBLISHED, alt, dashes, data, faded, finished, framing, last_epoch, legend, pick, published, tooltip, vertical
from shatterlab.views.view import Grid, View

_POINTS = 8000  # of single runs in one chart; more are thinned evenly, ends kept
_MEANS = 150  # epochs a mean line is drawn at
Data = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class LearningCurves(View):
    """A curve of every run, with the mean and the range over replicates where all of them still run.

    Line: mean over the replicates of one configuration that ended well, drawn only at epochs that all of them reached. Band: from the smallest to the largest.
    Faint lines: single runs, each to its own end, which a dot marks (a cross where it diverged). Models of one colour differ in dashes.

    Published curves lie behind, thin and dashed, in the colour of what they are named after; they never squeeze ours (see `framing` and `last_epoch`).

    With `best`, what lies between a mean line and its best value so far is shaded: what stopping early could have kept. Of the test split that is an oracle.

    Args:
        y: the curve: "train.loss", "train.accuracy", "train.error", the same of "online" and "test", "learning_rate".
        by: what makes a colour: a column, "setting" or "model".
        scale: "linear" or "log"; None: log for a loss.
        reference: published curves, points {"x": epoch, "y": value, "name": "random labels"}, the name as `by` gives it.
        best: shade up to the running best: the largest so far, of a loss or an error the smallest.
    """

    y: str = "train.loss"
    by: str = "setting"
    scale: Literal["linear", "log"] | None = None
    reference: Sequence[Mapping[str, Any]] | None = None
    best: bool = False

    def default_title(self) -> str:
        return f"{heading(self.y)} by epoch"

    def nothing(self) -> str:
        return f"no run recorded {heading(self.y)}"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """Where each group began and ended; None where no run recorded this curve."""
        groups, notes = self._groups(rows)
        several = len({name for _, name, _ in groups}) > 1
        lines = []
        for (label, name, _), members in groups.items():
            paths = [drawn for row in members if ended_well(row) and (drawn := self._path(row))]
            ends = [Summary(tuple(drawn[i][1] for drawn in paths), trials=len(paths), quantity=quantity(self.y)).text(self.y) for i in (0, -1)]
            epochs = sorted({drawn[-1][0] for drawn in paths})
            ran = "-" if not epochs else f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
            lines.append((label, *([name] if several else []), standing(members), ran, *ends))
        keys = (heading(self.by), *(["model"] if several else []))
        return Grid((*keys, "trials", "epochs run", "first epoch", "last epoch"), tuple(lines), len(keys), tuple(notes)) if lines else None

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        groups, notes = self._groups(rows)
        if not groups:
            return None
        at_most = max(20, _POINTS // sum(map(len, groups.values())))
        datasets: Data = {"runs": [], "means": [], "ends": []}
        for i, ((label, name, _), members) in enumerate(groups.items()):
            line = {"by": label, "model": name, "line": i}
            means = mean_path([self._path(row) for row in members if ended_well(row)], _MEANS, smaller_is_better=self.y.endswith(("loss", "error")))
            datasets["means"] += [self._mean(point) | line for point in means]
            for row in members:
                run = len(datasets["ends"])
                datasets["runs"] += [{"epoch": epoch, "y": value, "by": label, "run": run} for epoch, value in thinned(self._path(row), at_most)]
                datasets["ends"].append(self._end(row) | line)
        theirs = self._published(max(end["epoch"] for end in datasets["ends"]))
        datasets |= {"published": theirs} if theirs else {}
        every = [row for members in groups.values() for row in members]
        description = self._description(every, any(len(self._path(row)) > at_most for row in every), bool(theirs), notes)
        return finished(self._chart(datasets), datasets, " ".join(description))

    def _groups(self, rows: Iterable[Row]) -> tuple[dict[tuple[str, str, int], list[Row]], list[str]]:
        matching, notes = selected(rows, self.where)
        recorded = [row for row in matching if row.get("status") != "failed" and self._path(row)]
        groups: dict[tuple[str, str, int], list[Row]] = {}
        for (name,), members in grouped(recorded, (self.by,)).items():
            for replicates in by_configuration(members).values():
                groups[(text_of(name, self.by), model(replicates[0]), len(groups))] = replicates
        return groups, notes

    @property
    def _scale(self) -> str:
        return self.scale or ("log" if self.y.endswith("loss") else "linear")

    def _path(self, row: Row) -> Path:
        return [(epoch, value) for epoch, value in path(row, self.y) if value > 0 or self._scale == "linear"]

    def _mean(self, point: MeanPoint) -> dict[str, Any]:
        text = number(point.mean, self.y) + (f", {number(point.low, self.y)} to {number(point.high, self.y)}" if point.n > 1 else "")
        drawn = {"epoch": point.epoch, "y": point.mean, "low": point.low, "high": point.high, "n": point.n, "text": text}
        return drawn | ({"best": point.best} if self.best else {})

    def _end(self, row: Row) -> dict[str, Any]:
        (epoch, value), diverged = self._path(row)[-1], row.get("status") == "diverged"
        why = "diverged" if diverged else str(row.get("fit.ended") or "not recorded")
        return {"epoch": epoch, "y": value, "ended": why, "diverged": diverged, "text": number(value, self.y), "trial": str(row.get("key", ""))[:12]}

    def _published(self, longest: int) -> list[dict[str, Any]]:
        points = sorted(published(self.reference, self.y, self._scale), key=lambda point: float(point["x"]))
        limit = last_epoch([longest], [point["x"] for point in points])
        kept = []
        for name in dict.fromkeys(str(point["name"]) for point in points):
            own = [point for point in points if str(point["name"]) == name]
            inside = sum(point["x"] <= limit for point in own)
            kept += [{"epoch": point["x"], "y": point["y"], "by": name, "model": PUBLISHED, "text": point["text"]} for point in own[: inside + 1]]
        return kept

    def _chart(self, datasets: Data) -> Any:
        ours, theirs = [point for name in ("runs", "means", "ends") for point in datasets[name]], datasets.get("published", [])
        shared = vertical(framing([point["y"] for point in ours], [point["y"] for point in theirs], self.y, self._scale), self.y, self._scale)
        epochs = [point["epoch"] for point in ours]
        frame: dict[str, Any] = {"domain": [min(epochs), last_epoch(epochs, (point["epoch"] for point in theirs))]} if theirs else {}
        axis = alt.Axis(grid=False, tickMinStep=1, tickCount=10, format="d")
        x = alt.X("epoch:Q", title="Epoch", axis=axis, scale=alt.Scale(nice=False, zero=False, padding=6, **frame))
        named, picked = [*datasets["ends"], *theirs], pick()
        place = {"x": x, "y": alt.Y("y:Q", **shared), "color": legend(self.by, [point["by"] for point in named])}
        models = list(dict.fromkeys(str(point["model"]) for point in named))
        dash = {"strokeDash": dashes("model:N", models, "Model", thin=PUBLISHED)} if len(models) > 1 else {}
        shape = alt.Shape("diverged:N", legend=None, scale=alt.Scale(domain=[False, True], range=["circle", "cross"]))
        tips = {"by": heading(self.by), "model": "model", "epoch": "epoch", "text": heading(self.y)}
        means = data("means")
        thin = data("published").mark_line(strokeWidth=1.25, clip=True).encode(**place, **dash, opacity=faded(picked, 0.8), tooltip=tooltip(tips))
        faint = data("runs").mark_line(strokeWidth=1, clip=True).encode(**place, detail="run:N", opacity=faded(picked, 0.4))
        dots = data("ends").mark_point(size=42, filled=True).encode(**place, shape=shape, opacity=faded(picked, 0.9))
        dots = dots.encode(tooltip=tooltip(tips | {"ended": "ended", "trial": "trial"})).add_params(picked)
        band = means.mark_area(clip=True).encode(**{**place, "y": alt.Y("low:Q", **shared)}, y2="high:Q", detail="line:N", opacity=faded(picked, 0.16))
        shaded = means.mark_area(clip=True).encode(**place, y2="best:Q", detail="line:N", opacity=faded(picked, 0.3))
        line = means.mark_line(strokeWidth=2.5, clip=True).encode(**place, **dash, detail="line:N", opacity=faded(picked, 1.0))
        touch = means.mark_point(size=60, filled=True).encode(**place, opacity=alt.value(0), tooltip=tooltip(tips | {"n": "trials"}))
        drawn = [shaded if self.best else band, line, touch] if datasets["means"] else []
        return alt.layer(*([thin] if theirs else []), faint, dots, *drawn)

    def _description(self, rows: Sequence[Row], thin: bool, behind: bool, notes: Sequence[str]) -> list[str]:
        hidden = sum(len(path(row, self.y)) != len(self._path(row)) for row in rows)
        band = "Shaded: up to its best so far." if self.best else ""
        mean = "Line: mean over replicates, drawn while all of them run" + ("." if self.best else "; band: from the smallest to the largest of them.")
        runs = "Faint lines: single runs; a dot marks where each ended, a cross where it diverged."
        more = ("Long runs are drawn at evenly spaced epochs." * thin, "Thin dashed lines: published." * behind)
        zeros = f"Zeros, which a log axis cannot show, are left out of {counted(hidden, 'run')}." if hidden else ""
        return [part for part in (f"{counted(len(rows), 'run')}.", mean, band, runs, *more, *notes, zeros) if part]
