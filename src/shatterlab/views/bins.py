"""The bins of a histogram and the axis below them, exact zeros apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.analysis.naming import number

_ROOM = 0.02  # of the width, left and right
_LANE = 0.08  # of the width, for zeros; half as much lies between it and the rest


@dataclass(frozen=True)
class Bins:
    """Bins of equal width on a linear or a logarithmic axis, whose positions are values or their logarithms to base 10.

    Args:
        edges: of the bins for values other than 0, ascending; positions.
        zeros: whether some value is exactly 0; zeros then have a lane to the left of the first edge.
        scale: "linear" or "log".
    """

    edges: tuple[float, ...]
    zeros: bool
    scale: str

    @classmethod
    def of(cls, values: np.ndarray[Any, Any], count: int, scale: str) -> Bins:
        """So many bins from the least to the largest of the finite values other than 0; on a logarithmic axis of the positive ones."""
        others = values[values > 0] if scale == "log" else values[values != 0]
        places = np.log10(others) if scale == "log" else others
        low, high = (float(places.min()), float(places.max())) if len(places) else (0.0, 1.0)
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            low, high = low - 0.5, high + 0.5
        return cls(tuple(np.linspace(low, high, count + 1).tolist()), bool((values == 0).any()), scale)

    @property
    def width(self) -> float:
        """From the first to the last edge."""
        return self.edges[-1] - self.edges[0]

    @property
    def lane(self) -> tuple[float, float]:
        """Where zeros are drawn."""
        right = self.edges[0] - _LANE / 2 * self.width
        return right - _LANE * self.width, right

    @property
    def frame(self) -> tuple[float, float]:
        """The domain of the axis."""
        left = self.lane[0] if self.zeros else self.edges[0]
        return left - _ROOM * self.width, self.edges[-1] + _ROOM * self.width

    def bars(self, values: np.ndarray[Any, Any], place: int = 0, among: int = 1) -> list[dict[str, Any]]:
        """One bar for each bin with values, `left`, `right`, `count`, `zero` and in words what it holds; the zeros' first.

        Args:
            values: any; what lies in no bin is left out.
            place: which part of the zeros' lane is this group's, 0 .. among - 1.
            among: how many groups share it.
        """
        zeros = int(np.count_nonzero(values == 0))
        left, right = self.lane
        share = (right - left) / among
        lane = {"left": left + place * share, "right": left + (place + 1) * share, "count": zeros, "zero": True, "told": "exactly 0"}
        others = values[np.isfinite(values) & ((values > 0) if self.scale == "log" else (values != 0))]
        counts, _ = np.histogram(np.clip(np.log10(others) if self.scale == "log" else others, self.edges[0], self.edges[-1]), bins=self.edges)
        found = [lane] if zeros else []
        for start, end, count in zip(self.edges, self.edges[1:], counts.tolist(), strict=False):
            told = f"{number(self._value(start))} to {number(self._value(end))}"
            found += [{"left": start, "right": end, "count": count, "zero": False, "told": told}] if count else []
        return found

    def axis(self) -> dict[str, Any]:
        """The ticks of the axis and their labels; the lane of zeros is labelled 0."""
        shown = "format(pow(10, datum.value), '.3~g')" if self.scale == "log" else "format(datum.value, '.4~g')"
        ticks = [place for place in self._ticks() if self.edges[0] - 1e-9 <= place <= self.edges[-1] + 1e-9]
        if not self.zeros:
            return {"values": ticks, "labelExpr": shown}
        return {"values": [sum(self.lane) / 2, *ticks], "labelExpr": f"datum.value < {self.edges[0]!r} - {self.width!r} / 50 ? '0' : {shown}"}

    def _value(self, place: float) -> float:
        return float(10**place) if self.scale == "log" else place

    def _ticks(self) -> list[float]:
        """Powers of ten, with 2 and 5 times these where they are few; on a linear axis multiples of 1, 2 or 5 times one."""
        if self.scale == "log":
            powers = range(math.floor(self.edges[0]), math.ceil(self.edges[-1]) + 1)
            every = max(1, len(powers) // 8)
            factors = (1, 2, 5) if len(powers) <= 4 else (1,)
            return [power + math.log10(factor) for power in powers if power % every == 0 for factor in factors]
        rough = self.width / 6
        unit = 10 ** math.floor(math.log10(rough))
        step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough)
        return [step * i for i in range(math.floor(self.edges[0] / step), math.ceil(self.edges[-1] / step) + 1)]
