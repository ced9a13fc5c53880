"""Scores on true against permuted labels, and the permutation test: is the score real?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from shatterlab.analysis.metric import Metric
from shatterlab.analysis.naming import counted, heading, number, with_interval
from shatterlab.analysis.null_distribution import NullTest, null_test
from shatterlab.analysis.replicates import ended_well, matches, mixed, selected, unique
from shatterlab.analysis.summary import left_out, standing, summarize
from shatterlab.core.values import Row
from shatterlab.statistics.permutations import p_text
from shatterlab.views.theme import GREY, alt, colors, data, side_by_side, tooltip, vertical
from shatterlab.views.view import Grid, View

_BARS = 30  # of the histogram, at most
_HEIGHT = 210
_ABOVE = -17  # pixels: words above the frame
_LABELS = ("true labels", "permuted labels")
_CONSTANT = {"accuracy": "majority class", "r2": "mean"}
_NAME = {"accuracy": "accuracy", "r2": "R2"}
_NEEDED = ("status", "corruption.kind", "seeds.data", "seeds.corruption")
Points = list[dict[str, Any]]


@dataclass(frozen=True)
class TrueAndPermuted(View):
    """Training and test score of one model on true and on permuted labels, beside its permutation test.

    On the left means over replicates with 95 % intervals and the score of a constant answer; on the right the test scores of all permutations on the first
    replicate's split, with its score on true labels. Permutations that failed count as scoring higher. Without permutations there is no right side.

    Args:
        model: its name; "": all rows.
        planned: permutations at most, >= 1.
        metric: of the columns "train.accuracy" and "test.accuracy", say; larger is better.
        least: a bound on p, 1 over the arrangements of the labels.

    Source:
        Ojala, Garriga 2010, "Permutation tests for studying classifier performance", Test 1.

    Example:
        >>> seeds = {f"seeds.{stream}": 0 for stream in ("data", "corruption", "init", "order")}
        >>> true = {"corruption.kind": "PartialLabels", "corruption.level": 0.0, "train.accuracy": 1.0, "test.accuracy": 0.9, "classes": 2, "status": "ok"}
        >>> permuted = {**true, "corruption.kind": "PermutedLabels", "corruption.level": None, "test.accuracy": 0.5}
        >>> rows = [Row(true | seeds), *(Row(permuted | seeds | {"seeds.corruption": k}) for k in range(19))]
        >>> print(TrueAndPermuted(planned=19).grid(rows).notes[-1])
        Test accuracy 90.0 %; 19 permutations give at most 50.0 %, half of them at most 50.0 %: p = 0.05.
    """

    model: str = ""
    planned: int = 999
    metric: Literal["accuracy", "r2"] = "accuracy"
    least: float = 0.0

    def default_title(self) -> str:
        return "score on true and on permuted labels" + (f": {self.model}" if self.model else "")

    def nothing(self) -> str:
        return "no trial on true or on permuted labels has ended well"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line for either kind of labels, one for a constant answer; None where no replicate ended well."""
        own = self._own(rows)
        groups, notes = self._replicates(own)
        if not any(map(ended_well, (row for members in groups.values() for row in members))):
            return None
        columns = [f"{split}.{self.metric}" for split in ("train", "test")]
        lines = [(name, standing(members), *(self._score(split, name, members)[2] for split in ("train", "test"))) for name, members in groups.items()]
        lines.append((f"always the {_CONSTANT[self.metric]}", "-", *(number(self._constant(groups, column), column) for column in columns)))
        return Grid(("labels", "trials", *map(heading, columns)), tuple(lines), 1, (*notes, *self._test_in_words(own)))

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        own = self._own(rows)
        groups, notes = self._replicates(own)
        points = [point for split in ("train", "test") for name, members in groups.items() if (point := self._point(split, name, members))]
        if not points:
            return None
        score = f"test.{self.metric}"
        constant, test = self._constant(groups, score), self._test(own)
        datasets: dict[str, Points] = {"points": points, "constant": [{"x": constant, "text": f"{_CONSTANT[self.metric]} {number(constant, score)}"}]}
        panels = {f"Training and test {_NAME[self.metric]}:\nmeans and 95 % intervals": self._scores(datasets)}
        description = [
            "Points: means over replicates with 95 % intervals; that of the test score counts the error of one test split.",
            "Dotted line: always answering the same.",
        ]
        if test is not None and (drawn := _near(test.null)).size:
            datasets |= {"bars": _bars(drawn, self._examples(own), score), "observed": [{"x": test.score, "text": f"true labels {number(test.score, score)}"}]}
            panels[f"Test {_NAME[self.metric]}, {counted(len(test.null), 'permutation')}:\np = {p_text(test.p, 1 - test.level)}"] = self._null(datasets)
            description += ["Bars: permutations of the first replicate's training labels.", "Full line: its score on true labels."]
            far = int(np.isfinite(test.null).sum()) - len(drawn)
            description += [f"Not drawn: {counted(far, 'permutation')} far below the others."] if far else []
        return side_by_side(panels, datasets, " ".join([*description, *notes, *self._test_in_words(own)]), _HEIGHT)

    def _own(self, rows: Iterable[Row]) -> list[Row]:
        where = {**self.where, **({"model": self.model} if self.model else {})}
        return [row for row in unique(rows) if matches(row, where)]

    def _replicates(self, own: Sequence[Row]) -> tuple[dict[str, list[Row]], list[str]]:
        groups, notes = {}, []
        for name in _LABELS:
            groups[name], dropped = selected(own, {"setting": name, "replicate": True})
            notes += dropped
        lost = sum(not ended_well(row) for members in groups.values() for row in members)
        notes += left_out(lost, "on true or permuted labels that diverged or failed")
        differing = mixed([own_learners(own)])
        notes += [f"Several recipes, so no permutation test: rows that differ in {', '.join(differing)} share a line."] if differing else []
        return {name: members for name, members in groups.items() if members}, list(dict.fromkeys(notes))

    def _test(self, own: Sequence[Row]) -> NullTest | None:
        if mixed([own_learners(own)]):
            return None
        test = null_test([row for row in own if all(column in row for column in _NEEDED)], self.planned, f"test.{self.metric}", least=self.least)
        return test if test is not None and len(test.null) > 1 else None  # the first replicate's own permutation is no distribution

    def _test_in_words(self, own: Sequence[Row]) -> list[str]:
        test, score = self._test(own), f"test.{self.metric}"
        if test is None:
            return []
        finite, n = test.null[np.isfinite(test.null)], len(test.null)
        failed = n - len(finite)
        notes = [f"{counted(failed, 'permutation')} failed and {'counts' if failed == 1 else 'count'} as scoring higher."] if failed else []
        if not test.decided:
            notes.append(f"{n} of the planned {self.planned} permutations have run.")
        told = f"{counted(n, 'permutation')}{', which decided it,' if test.stopped else ''}"
        if finite.size:
            told += f" give at most {number(float(finite.max()), score)}, half of them at most {number(float(np.median(finite)), score)}"
        as_high = f", {test.exceedances} as high" if test.exceedances else ""
        return [*notes, f"Test {_NAME[self.metric]} {number(test.score, score)}; {told}{as_high}: p = {p_text(test.p, 1 - test.level)}."]

    def _constant(self, groups: Mapping[str, Sequence[Row]], column: str) -> float:
        """The score of always answering the same; that of chance where no row says it."""
        own = groups.get("true labels") or groups["permuted labels"]
        known = summarize(own, f"baseline.{column}").mean
        return Metric(self.metric).baseline(own[0], column.partition(".")[0]) if known is None else known

    def _examples(self, own: Sequence[Row]) -> int | None:
        sizes = {row["test.n"] for row in own if isinstance(row.get("test.n"), int)}
        return int(str(sizes.pop())) if self.metric == "accuracy" and len(sizes) == 1 else None

    def _score(self, split: str, name: str, members: Sequence[Row]) -> tuple[float | None, tuple[float, float] | None, str]:
        """The mean over replicates, the ends of its interval, both as text; of the test score on true labels as the verdict has them: its split is a sample."""
        column, metric = f"{split}.{self.metric}", Metric(self.metric)
        summary = summarize(members, column)
        if summary.mean is None or (split, name) != ("test", "true labels"):
            return summary.mean, summary.interval, summary.text(column)
        interval = metric.interval(summary.values, summary.examples)
        known = math.isfinite(interval.low) and interval.method not in ("too few", "no spread")
        ends = (float(interval.low), float(interval.high)) if known else None
        return summary.mean, ends, with_interval(summary.mean, *ends, column) if ends else summary.text(column)

    def _point(self, split: str, name: str, members: Sequence[Row]) -> dict[str, Any] | None:
        mean, ends, text = self._score(split, name, members)
        if mean is None:
            return None
        line = f"{'training' if split == 'train' else 'test'},|{name}"
        low_and_high = dict(zip(("low", "high"), ends or (), strict=False))
        return {"line": line, "by": name, "x": mean, "text": text, "n": sum(map(ended_well, members)), **low_and_high}

    def _scores(self, datasets: Mapping[str, Points]) -> Any:
        points = datasets["points"]
        values = [point[field] for point in points + datasets["constant"] for field in ("x", "low", "high") if field in point]
        across = vertical(values, f"test.{self.metric}", "linear", _NAME[self.metric])
        middle = sum(across["scale"].domain) / 2
        palette = colors(_LABELS)
        names = alt.Axis(grid=False, ticks=False, domain=False, labelExpr="split(datum.label, '|')", labelLineHeight=14)
        place = {"y": alt.Y("line:N", title=None, sort=[point["line"] for point in points], axis=names, scale=alt.Scale(padding=0.2))}
        color = {"color": alt.Color("by:N", scale=alt.Scale(domain=list(palette), range=list(palette.values())), legend=None)}
        tips = tooltip({"by": "labels", "text": heading(f"test.{self.metric}").removeprefix("test "), "n": "trials"})
        chart = data("points")
        text = chart.mark_text(align=alt.expr(f"datum.x > {middle!r} ? 'right' : 'left'"), baseline="bottom", dy=-9, fontSize=12, color=GREY)
        return alt.layer(
            *_rule("constant", across, middle, strokeDash=[2, 4], color=GREY, down=_ABOVE),
            chart.mark_rule(strokeWidth=3, clip=True).transform_filter("isValid(datum.low)").encode(x=alt.X("low:Q", **across), x2="high:Q", **place, **color),
            chart.mark_point(size=90, filled=True, opacity=1).encode(x=alt.X("x:Q", **across), **place, **color, tooltip=tips),
            text.encode(x=alt.X("x:Q", **across), text="text:N", **place),
        )

    def _null(self, datasets: Mapping[str, Points]) -> Any:
        bars, score = datasets["bars"], f"test.{self.metric}"
        ends = [bar[field] for bar in bars for field in ("left", "right")] + [rule["x"] for name in ("constant", "observed") for rule in datasets[name]]
        across = vertical([min(max(end, 0.0), 1.0) if self.metric == "accuracy" else end for end in ends], score, "linear")
        middle, top = sum(across["scale"].domain) / 2, max(bar["count"] for bar in bars)
        up: dict[str, Any] = {"title": "Permutations", "scale": alt.Scale(domain=[0, 1.15 * top], nice=False), "axis": alt.Axis(tickCount=5, tickMinStep=1)}
        permuted, true = colors(_LABELS)["permuted labels"], colors(_LABELS)["true labels"]
        drawn = data("bars").mark_rect(color=permuted, opacity=0.85, clip=True)
        return alt.layer(
            drawn.encode(
                x=alt.X("left:Q", **across),
                x2="right:Q",
                y=alt.Y("count:Q", **up),
                y2=alt.YDatum(0),
                tooltip=tooltip({"text": heading(score), "count": "permutations"}),
            ),
            *_rule("constant", across, middle, strokeDash=[2, 4], color=GREY),
            *_rule("observed", across, middle, strokeWidth=2.5, color=true, down=_ABOVE),
        )


def own_learners(rows: Sequence[Row]) -> list[Row]:
    """The rows with the columns of their learner alone."""
    return [Row({name: value for name, value in row.items() if name.startswith("learner.") and value is not None}) for row in rows]


def _near(null: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The finite scores but for those so far below that the others would share a bar: an R2 has no lower end."""
    finite: np.ndarray[Any, Any] = null[np.isfinite(null)]
    if not finite.size:
        return finite
    low, middle, high = np.quantile(finite, (0.25, 0.5, 0.75))
    return np.asarray(finite[finite >= middle - 10 * max(high - low, 0.1)])


def _rule(name: str, across: Mapping[str, Any], middle: float, *, color: str, down: int = 0, **look: Any) -> list[Any]:
    """A line from top to bottom, and its words beside its upper end, on the side where there is room."""
    place = alt.X("x:Q", **across)
    side = f"datum.x > {middle!r} ? "
    words = data(name).mark_text(align=alt.expr(f"{side}'right' : 'left'"), dx=alt.expr(f"{side}-6 : 6"), baseline="top", fontSize=12, color=GREY)
    return [data(name).mark_rule(color=color, **{"strokeWidth": 1.5, **look}).encode(x=place), words.encode(x=place, y=alt.value(down), text="text:N")]


def _bars(null: np.ndarray[Any, Any], examples: int | None, column: str) -> Points:
    """The histogram: where scores are shares of so many examples, each bar holds equally many of the possible ones."""
    if examples:
        low, high = (round(float(end) * examples) for end in (null.min(), null.max()))
        step = math.ceil((high - low + 1) / _BARS)
        edges = (np.arange(low, high + step + 1, step) - 0.5) / examples
    else:
        edges = np.histogram_bin_edges(null, bins=min(_BARS, math.ceil(2 * math.sqrt(len(null)))))
    counts, _ = np.histogram(null, edges)
    bars = [(float(left), float(right), int(count)) for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True) if count]
    return [{"left": left, "right": right, "count": count, "text": f"{number(left, column)} to {number(right, column)}"} for left, right, count in bars]
