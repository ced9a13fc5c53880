"""Memorization drawn: how it is spread over the examples, and which examples have most of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shatterlab.analysis.memorization import MEMORIZED, MemorizationScores, memorization_scores
from shatterlab.analysis.replicates import matches
from shatterlab.core.errors import DataError
from shatterlab.core.values import Row
from shatterlab.views.theme import GREY, INK, alt, colors, data, finished, tooltip
from shatterlab.views.view import Grid, View

_EDGES = np.linspace(-1, 1, 41)
_RANGES = {"below -0.25": (-np.inf, -0.25), "-0.25 to 0.25": (-0.25, 0.25), "above 0.25, to 0.75": (0.25, 0.75), "above 0.75": (0.75, np.inf)}
_SIDE = 72  # pixels of a thumbnail


def _scores(rows: Iterable[Row], where: Mapping[str, Any]) -> MemorizationScores | None:
    try:
        return memorization_scores([row for row in rows if matches(row, where)])
    except DataError:
        return None


@dataclass(frozen=True)
class MemorizationHistogram(View):
    """How many examples have which memorization, from -1 to 1; those above 0.25 have a colour of their own.

    Example:
        >>> rows = [Row({"key": "a"}, arrays={"measure.LeaveOneOut.memorization_scores": np.array([0, 0, 1])})]
        >>> MemorizationHistogram().grid(rows).rows
        (('below -0.25', '0'), ('-0.25 to 0.25', '2'), ('above 0.25, to 0.75', '0'), ('above 0.75', '1'))
    """

    def default_title(self) -> str:
        return "how much the training examples are memorized"

    def nothing(self) -> str:
        return "no trial says which examples it is right on"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The number of examples in four ranges; None where no row has memorization."""
        scores = _scores(rows, self.where)
        if scores is None:
            return None
        values = scores.values[scores.known]
        counts = [(name, f"{int(((values > low) & (values <= high)).sum()):,}") for name, (low, high) in _RANGES.items()]
        return Grid(("memorization", "examples"), tuple(counts), 1, tuple(_notes(scores)))

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        scores = _scores(rows, self.where)
        if scores is None or not scores.known.any():
            return None
        values = scores.values[scores.known]
        counts, _ = np.histogram(np.round(values, 12), bins=_EDGES)
        bars = [
            {"left": low, "right": high, "count": count, "by": "memorized" if low >= MEMORIZED else "not", "text": f"{low:.2f} to {high:.2f}"}
            for low, high, count in zip(_EDGES[:-1].round(2).tolist(), _EDGES[1:].round(2).tolist(), counts.tolist(), strict=True)
            if count
        ]
        palette = colors(("not", "memorized"))
        color = alt.Color("by:N", scale=alt.Scale(domain=list(palette), range=list(palette.values())), legend=None)
        x: dict[str, Any] = {"title": "Memorization of an example", "scale": alt.Scale(domain=[-1, 1], nice=False), "axis": alt.Axis(grid=False)}
        y: dict[str, Any] = {"title": "Examples", "scale": alt.Scale(type="symlog", nice=False, domain=[0, 1.2 * max(counts)])}
        place = {"x": alt.X("left:Q", **x), "x2": "right:Q", "y": alt.Y("count:Q", **y), "y2": alt.YDatum(0)}
        drawn = data("bars").mark_rect(opacity=0.85).encode(**place, color=color, tooltip=tooltip({"text": "memorization", "count": "examples"}))
        line = data("line").mark_rule(color=GREY, strokeDash=[2, 4]).encode(x=alt.X("x:Q", **x))
        description = f"Bars: examples, on a scale that also shows single ones. Dotted line: {MEMORIZED:g}, above which an example counts as memorized."
        return finished(alt.layer(drawn, line), {"bars": bars, "line": [{"x": MEMORIZED}]}, " ".join([description, *_notes(scores)]))


@dataclass(frozen=True)
class MostMemorized(View):
    """The most memorized examples, with their labels, and their images where there are any.

    Args:
        labels: the label of each example of the sample, in words; none: not shown.
        images: place in the sample -> its image as a data URL.
        count: how many, >= 1.

    Example:
        >>> rows = [Row({"key": "a"}, arrays={"measure.LeaveOneOut.memorization_scores": np.array([0, 0, 1])})]
        >>> MostMemorized(("cat", "cat", "dog"), count=1).grid(rows).rows
        (('2', 'dog', '1', '-'),)
    """

    labels: tuple[str, ...] = ()
    images: Mapping[int, str] = field(default_factory=dict)
    count: int = 10

    def default_title(self) -> str:
        return "the most memorized examples"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """One line an example, the most memorized first; None where no row has memorization."""
        scores = _scores(rows, self.where)
        if scores is None:
            return None
        lines = tuple((str(i), *((self.labels[i],) if self.labels else ()), *_told(scores, i)) for i in scores.most(self.count))
        headers = ("example", *(("label",) if self.labels else ()), "memorization", "standard error")
        return Grid(headers, lines, 1, ("Examples are counted from 0, in the order of the training split.",)) if lines else None

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        scores = _scores(rows, self.where)
        places = [i for i in scores.most(self.count) if i in self.images] if scores is not None else []
        if scores is None or not places:
            return None
        points = [
            {
                "x": x,
                "url": self.images[i],
                "text": f"{self.labels[i] if self.labels else i}: {_told(scores, i)[0]}",
                "example": i,
                "error": _told(scores, i)[1],
            }
            for x, i in enumerate(places)
        ]
        across = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.6, len(points) - 0.4], nice=False))
        tips = tooltip({"example": "example", "text": "label and memorization", "error": "standard error"})
        images = data("points").mark_image(width=_SIDE, height=_SIDE).encode(x=across, y=alt.value(_SIDE / 2 + 8), url="url:N", tooltip=tips)
        words = data("points").mark_text(color=INK, fontSize=12, limit=_SIDE + 12).encode(x=across, y=alt.value(_SIDE + 24), text="text:N")
        description = "Images of the most memorized examples, with their labels and their memorization."
        return finished(alt.layer(images, words), {"points": points}, description, height=_SIDE + 36)


def _told(scores: MemorizationScores, i: int) -> tuple[str, str]:
    return (f"{scores.values[i]:.0f}", "-") if scores.exact else (f"{scores.values[i]:.2f}", f"{scores.standard_errors[i]:.2f}")


def _notes(scores: MemorizationScores) -> list[str]:
    if scores.exact:
        return ["Exact: right when trained on it, less right when left out."]
    notes = [f"From {scores.trials} fits on random subsets."]
    never = int((scores.inside == 0).sum()), int((scores.outside == 0).sum())
    notes += [f"No value: {never[0]:,} examples that were never inside (held out or by chance), {never[1]:,} never outside."] if any(never) else []
    return notes + ([f"Left out: {scores.left_out} fits that failed or diverged."] if scores.left_out else [])
