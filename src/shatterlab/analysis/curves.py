"""Curves and arrays that trials keep: means over replicates, running bests, thinning, and bins with exact zeros apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.analysis.naming import number
from shatterlab.core import Row

Path = list[tuple[int, float]]
Values = np.ndarray[Any, np.dtype[np.float64]]
_ROOM = 0.02  # of the width, left and right
_LANE = 0.08  # of the width, for zeros; half as much lies between it and the rest


def path(row: Row, column: str) -> Path:
    """(epoch, value) of a learning curve, finite, in order, the last value of an epoch, to four significant digits; errors from accuracies."""
    name, _, kind = column.rpartition(".")
    source = f"{name}.accuracy" if kind == "error" else column
    values = {epoch: 1 - value if kind == "error" else value for epoch, _, value in row.curve(source) if value is not None and math.isfinite(value)}
    return sorted((epoch, float(f"{value:.4g}")) for epoch, value in values.items())


@dataclass(frozen=True)
class MeanPoint:
    """One epoch of several replicates: their mean, smallest, largest and number, and the best mean so far."""

    epoch: int
    mean: float
    low: float
    high: float
    n: int
    best: float


def mean_path(paths: Sequence[Path], at_most: int, *, smaller_is_better: bool) -> list[MeanPoint]:
    """The mean at the epochs that every replicate has, thinned; none without replicates."""
    if not paths:
        return []
    tables = [dict(each) for each in paths]
    shared = [epoch for epoch, _ in paths[0] if all(epoch in table for table in tables)]
    averages = [math.fsum(table[epoch] for table in tables) / len(tables) for epoch in shared]
    running = itertools.accumulate(averages, min if smaller_is_better else max)
    points = []
    for epoch, average, best in thinned(list(zip(shared, averages, running, strict=True)), at_most):
        values = [table[epoch] for table in tables]
        points.append(MeanPoint(epoch, float(f"{average:.4g}"), min(values), max(values), len(values), float(f"{best:.4g}")))
    return points


def thinned(values: Sequence[Any], at_most: int) -> list[Any]:
    """At most so many of the values, evenly spaced, first and last kept."""
    if len(values) <= at_most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (at_most - 1))] for i in range(at_most)]


def flat(row: Row, array: str) -> Values:
    """An array of a row in one dimension; empty where it keeps none."""
    return np.asarray(row.arrays.get(array, ()), dtype=np.float64).ravel()


def stacked(rows: Sequence[Row], array: str) -> Values:
    """One line a replicate, as long as the shortest."""
    arrays = [flat(row, array) for row in rows]
    length = min(map(len, arrays))
    return np.stack([values[:length] for values in arrays])


def places(count: int, at_most: int) -> list[int]:
    """At most so many places of a line, denser at the left where curves bend, ends kept."""
    if count <= at_most:
        return list(range(count))
    near = range(at_most // 2)
    far = np.geomspace(len(near), count - 1, at_most - len(near)).round().astype(int)
    return sorted({*near, *map(int, far)})


@dataclass(frozen=True)
class Bins:
    """Bins of equal width on a linear or a logarithmic axis; exact zeros have a lane to their left.

    Args:
        edges: of the bins for values other than 0, ascending.
        zeros: whether some value is exactly 0.
        scale: "linear" or "log".
    """

    edges: tuple[float, ...]
    zeros: bool
    scale: str

    @classmethod
    def of(cls, values: Values, count: int, scale: str) -> Bins:
        """So many bins from the smallest to the largest of the finite values other than 0; on a logarithmic axis of the positive ones."""
        places = _places(values, scale)
        low, high = (float(places.min()), float(places.max())) if len(places) else (0.0, 1.0)
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            low, high = low - 0.5, high + 0.5
        return cls(tuple(_values(np.linspace(low, high, count + 1), scale).tolist()), bool((values == 0).any()), scale)

    @property
    def lane(self) -> tuple[float, float]:
        """Where zeros are drawn."""
        return self._left(1.5 * _LANE), self._left(0.5 * _LANE)

    @property
    def frame(self) -> tuple[float, float]:
        """The domain of the axis."""
        return self._left((1.5 * _LANE if self.zeros else 0.0) + _ROOM), self._left(-1 - _ROOM)

    def _left(self, share: float) -> float:
        first, last = _places(np.array([self.edges[0], self.edges[-1]]), self.scale, zeros=True)
        return float(_values(np.array(first - share * (last - first)), self.scale))

    def bars(self, values: Values, place: int = 0, among: int = 1) -> list[dict[str, Any]]:
        """One bar for each bin with values, `left`, `right`, `count`, `zero` and in words what it holds; the zeros' first.

        Args:
            values: any; what lies in no bin is left out.
            place: which part of the zeros' lane is this group's, 0 .. among - 1.
            among: how many groups share it.
        """
        edges = _places(np.array(self.edges), self.scale, zeros=True)
        counts, _ = np.histogram(np.clip(_places(values, self.scale), edges[0], edges[-1]), bins=edges)
        filled = [bar for bar in zip(self.edges, self.edges[1:], counts.tolist(), strict=False) if bar[2]]
        bars = [{"left": low, "right": high, "count": n, "zero": False, "text": f"{number(low)} to {number(high)}"} for low, high, n in filled]
        zeros = int(np.count_nonzero(values == 0))
        if not zeros:
            return bars
        left, right = (self._left((1.5 - (place + i) / among) * _LANE) for i in (0, 1))
        return [{"left": left, "right": right, "count": zeros, "zero": True, "text": "exactly 0"}, *bars]


def _places(values: Values, scale: str, *, zeros: bool = False) -> Values:
    shown = values[np.isfinite(values) & ((values > 0) if scale == "log" else (values != 0) | zeros)]
    return np.asarray(np.log10(shown) if scale == "log" else shown)


def _values(places: Values, scale: str) -> Values:
    return np.asarray(10.0**places if scale == "log" else places)
