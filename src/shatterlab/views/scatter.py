"""One point a trial: how far two columns rise together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shatterlab.analysis.association import Pair, among, associated, kendall, reading
from shatterlab.analysis.naming import counted, heading, model, number, text_of, value_of
from shatterlab.analysis.summary import chance
from shatterlab.core.values import Row
from shatterlab.views.theme import Axes, alt, data, faded, finished, legend, pick, shapes, tooltip, vertical
from shatterlab.views.view import Grid, View


@dataclass(frozen=True)
class Scatter(View):
    """`y` against `x`, one point for each trial that ended well, with Kendall's tau-b.

    Tau is given within each model first: over models that differ in both columns it is confounded. Its interval is a bootstrap over configurations, as
    replicates are not independent. A run that ended before it got there is a triangle to the right: x is larger, and pairs of unknown order do not count.

    Args:
        x: a column of numbers.
        y: a column of numbers.
        by: what makes a colour: a column, "setting" or "model"; None: the model, where there are several.
        x_scale: "linear" or "log".
        chance: whether the line of guessing is drawn.

    Source:
        Kendall 1938; Oakes 1982 for censored x.

    Example:
        >>> rows = [Row({"fit.epochs": e, "test.error": e / 100, "corruption.level": e / 10}) for e in range(1, 10)]
        >>> print(Scatter("fit.epochs", "test.error").text(rows).splitlines()[3])
        all trials       9               9         0  1.00 [-0.20, 1.00]
    """

    x: str
    y: str
    by: str | None = None
    x_scale: Literal["linear", "log"] = "linear"
    chance: bool = True

    def default_title(self) -> str:
        return f"{heading(self.y)} against {heading(self.x)}, every trial"

    @property
    def _by(self) -> str:
        return self.by or "model"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """Kendall's tau of each model, then of all; None where no trial has both numbers."""
        trials, notes = associated(rows, self.where, self.x, self.y, self._by)
        columns = {
            "among": lambda group: group[0],
            "trials": lambda group: str(len(group[1])),
            "configurations": lambda group: str(len({pair.configuration for pair in group[1]})),
            "censored": lambda group: str(sum(pair.bound for pair in group[1])),
            "Kendall's tau": lambda group: kendall(group[1]),
        }
        what = f"Kendall's tau-b of {heading(self.x)} and {heading(self.y)}."
        return Grid.of(among(trials, self._by).items(), columns, 1, (what, *reading(trials), *notes)) if trials else None

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        trials, notes = associated(rows, self.where, self.x, self.y, self._by)
        drawn = [pair for pair in trials if pair.x > 0 or self.x_scale == "linear"]
        if not drawn:
            return None
        hidden = len(trials) - len(drawn)
        notes += [f"Not drawn: {counted(hidden, 'trial')} with {heading(self.x)} at or below 0."] if hidden else []
        datasets: dict[str, list[dict[str, Any]]] = {"points": [self._point(pair) for pair in drawn], "once": [{}]}
        guessing = chance((pair.row for pair in drawn), self.y) if self.chance else None
        taus = "; ".join(f"{name} {kendall(members)}" for name, members in among(trials, self._by).items())
        description = [f"{len(trials)} trials of {len({pair.configuration for pair in trials})} configurations. Kendall's tau-b: {taus}."]
        description += reading(trials)
        description += ["Triangles: runs that ended before they got there; their x is larger."] * any(pair.bound for pair in drawn)
        description += [f"Dotted line: {guessing[1]}."] if guessing else []
        return finished(self._chart(datasets["points"], guessing), datasets, " ".join([*description, *notes]))

    def _point(self, pair: Pair) -> dict[str, Any]:
        text = f"{'≥ ' if pair.bound else ''}{number(pair.x, self.x)}"
        names = {"by": text_of(value_of(pair.row, self._by), self._by), "model": model(pair.row), "trial": str(pair.row.get("key", ""))[:12]}
        return {"x": pair.x, "y": pair.y, "bound": pair.bound, "x_text": text, "y_text": number(pair.y, self.y), **names}

    def _chart(self, points: Sequence[Mapping[str, Any]], guessing: tuple[float, str] | None) -> Any:
        names, models = (list(dict.fromkeys(point[field] for point in points)) for field in ("by", "model"))
        values = [point["y"] for point in points] + ([guessing[0]] if guessing is not None else [])
        picked = pick()
        x = alt.X("x:Q", **vertical([point["x"] for point in points], self.x, self.x_scale))
        place = {"x": x, "y": alt.Y("y:Q", **vertical(values, self.y, "linear")), "color": legend(self._by, names)}
        tips = tooltip({"by": heading(self._by), "model": "model", "x_text": heading(self.x), "y_text": heading(self.y), "trial": "trial"})
        shape = {"shape": shapes("model:N", models, "Model")} if len(models) > 1 and self._by != "model" else {}
        layers = Axes([0.0], values, self.x, self.y, "linear", names).level(*guessing) if guessing is not None else []
        dots = data("points").mark_point(size=48, filled=True).transform_filter("!datum.bound")
        layers.append(dots.encode(**place, **shape, opacity=faded(picked, 0.75), tooltip=tips).add_params(picked))
        if any(point["bound"] for point in points):
            triangles = data("points").mark_point(size=80, strokeWidth=2, shape="triangle-right").transform_filter("datum.bound")
            layers.append(triangles.encode(**place, opacity=faded(picked, 0.9), tooltip=tips))
        return alt.layer(*layers)
