"""Values relative to a partner's: the trial with the same seeds and the same configuration but for some columns."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from shatterlab.analysis.naming import heading, text_of, value_of
from shatterlab.analysis.replicates import by_configuration
from shatterlab.analysis.summary import LEVEL, Summary, censoring, unique
from shatterlab.core.values import Row
from shatterlab.statistics import ratio_interval

_SEEDS = ("seeds.data", "seeds.corruption", "seeds.init", "seeds.order")
_MADE_FROM = {"setting": "corruption.", "model": "learner."}  # where a partner differs in one of these, it may differ in all of that


class Ratios(Summary):
    """What paired ratios say together: their geometric mean, with the interval of their logarithms."""

    @property
    def mean(self) -> float | None:
        """The geometric mean of the ratios; None where a ratio is only a bound."""
        if len(set(self.values)) == 1 and self.complete:
            return self.values[0]
        return math.exp(math.fsum(map(math.log, self.values)) / len(self.values)) if self.complete else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of the geometric mean; None below two pairs or where all are equal."""
        if not self.complete or len(set(self.values)) < 2:
            return None
        found = ratio_interval(self.values, [1.0] * len(self.values), LEVEL)
        return found.low, found.high

    def text(self, column: str = "") -> str:
        """The cell as printed: "× 1.55 [1.41, 1.70]", "× ≥ 3 (2 of 2)"; never in the unit of the column."""
        told = super().text("")
        return told if told == "-" else f"× {told}"


def in_words(base: Mapping[str, Any]) -> str:
    """What the values are relative to, in words: "corruption level 0", "true labels"."""
    return ", ".join(text_of(value) if column in _MADE_FROM else f"{heading(column)} {text_of(value, column)}" for column, value in base.items())


def ratios(rows: Iterable[Row], everything: Iterable[Row], column: str, base: Mapping[str, Any]) -> tuple[list[Row], list[str]]:
    """The rows with their value divided by their partner's, and a note where some have none.

    Where a run ended before it got there, what is divided is how far it was followed: a lower bound of the ratio.

    Args:
        rows: the rows that are drawn.
        everything: where partners are looked for.
        column: what is divided, positive.
        base: the values that a partner has in some columns; in seeds and all other columns of the specification it is equal.

    Returns:
        The rows, those left out that have no one partner whose value is known and positive; the note.
    """
    partners: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in unique(everything):
        if all(value_of(row, name) == value for name, value in base.items()):
            partners[_shared(row, base)].append(row)
    found, left_out = [], 0
    for row in rows:
        alike = partners[_shared(row, base)]
        divisor = _positive(alike[0], column) if len(alike) == 1 else None
        divided = _divided(row, column, divisor) if divisor else None
        if divided is not None:
            found.append(divided)
        left_out += divided is None
    count = f"{left_out} {'trial' if left_out == 1 else 'trials'}"
    why = f"whose ratio to the trial with the same seeds at {in_words(base)} is unknown (one of the two is missing, failed, or never got there)"
    return found, [f"Left out: {count} {why}."] if left_out else []


def _shared(row: Row, base: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a row and its partner have in common: seeds, and the configuration but for the columns of the base."""
    freed = tuple(_MADE_FROM.get(column, f"{column}\0") for column in base)
    (configuration,) = by_configuration([row])
    return (*(row.get(seed) for seed in _SEEDS), *(item for item in configuration if not f"{item[0]}\0".startswith(freed)))


def _positive(row: Row, column: str) -> float | None:
    value = row.get(column)
    usable = row.get("status", "ok") == "ok" and isinstance(value, int | float) and math.isfinite(value) and value > 0
    return float(value) if usable and isinstance(value, int | float) else None


def _divided(row: Row, column: str, divisor: float) -> Row | None:
    """The row with a ratio as its value, or as the bound up to which it was followed; None where it has neither."""
    if row.get("status", "ok") != "ok":
        return Row({**row, column: None})  # counted, never drawn
    value, bound = _positive(row, column), censoring(row, column)
    if value is not None:
        return Row({**row, column: value / divisor})
    return None if bound is None else Row({**row, "fit.epochs": bound / divisor, "fit.steps": bound / divisor})
