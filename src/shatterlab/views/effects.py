"""A table of effects: what switching something on changes, pair by pair, with corrections for looking at several."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shatterlab.analysis.naming import heading, is_fraction, number
from shatterlab.analysis.replicates import distinct, matches
from shatterlab.analysis.summary import LEVEL
from shatterlab.core.values import Row
from shatterlab.statistics import Interval, detectable, holm, t_interval, t_test
from shatterlab.views.grid import Grid

_SEEDS = ("seeds.data", "seeds.corruption", "seeds.init", "seeds.order")
_POWER = 0.8
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Effect:
    """A difference of means of cells, taken within each replicate.

    factor x (mean over the cells of `plus` - mean over the cells of `minus`). A main effect has the cells with the factor on and off; an
    interaction of A and B has plus = (both, neither), minus = (one, the other) and factor 2: how much more A does where B is on.

    Args:
        name: what is switched on.
        plus: column -> value of the rows of each cell that is added.
        minus: of each cell that is subtracted.
        factor: see above.
    """

    name: str
    plus: tuple[Mapping[str, Any], ...]
    minus: tuple[Mapping[str, Any], ...]
    factor: float = 1.0


@dataclass(frozen=True)
class Effects:
    """Paired differences over replicates with 95 % intervals, Holm's adjusted p-values, and what could have been detected.

    A replicate counts for an effect where all of its cells have a result with equal seeds, none of them diverged. p is Student's, two-sided,
    adjusted for all effects of the same column in this table. "Detectable" is the smallest true effect that so many pairs with so much
    spread would find four times in five, before the adjustment: a smaller one may well be there unseen. Where all pairs have the same
    difference nothing is known of its spread: it has no interval and no p.

    Args:
        effects: what is compared.
        columns: of what.
        title: the heading.
    """

    effects: tuple[Effect, ...]
    columns: tuple[str, ...] = ("train.accuracy", "test.accuracy")
    title: str = "Effects"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table, one line an effect and column; None where no effect has a pair."""
        known = [row for row in rows if row.get("status", "ok") != "failed"]
        found = {(effect.name, column): differences(known, effect, column) for column in self.columns for effect in self.effects}
        if not any(values for values, _ in found.values()):
            return None
        adjusted = {key: p for column in self.columns for key, p in _adjusted({key: each[0] for key, each in found.items() if key[1] == column}).items()}
        lines = tuple(_line(effect.name, column, *found[effect.name, column], adjusted) for effect in self.effects for column in self.columns)
        headers = ("effect of", "on", "pairs", "difference", "p, adjusted", "detectable")
        told = f"Differences: mean over pairs with equal seeds, and {100 * LEVEL:g} % intervals, each by itself; fractions in points."
        return Grid(headers, lines, 2, (told, f"p, adjusted: Holm, over the {len(self.effects)} effects on the same column."))

    def text(self, rows: Iterable[Row]) -> str:
        """The table for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no pairs)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """None: a table is no figure."""
        return None


def differences(rows: Iterable[Row], effect: Effect, column: str) -> tuple[list[float], int]:
    """The effect in each replicate, in the order of its seeds, and how many replicates were lost to diverged rows or absent values.

    Replicates in which nothing was random count once.
    """
    cells = [[_by_seeds(rows, where) for where in side] for side in (effect.plus, effect.minus)]
    tables = [table for side in cells for table in side]
    shared = sorted(set.intersection(*(set(table) for table in tables))) if tables else []
    found, lost = [], 0
    for seeds in shared:
        sides = [[_value(table[seeds], column) for table in side] for side in cells]
        if all(value is not None for side in sides for value in side):
            plus, minus = (math.fsum(value for value in side if value is not None) / len(side) for side in sides)
            found.append(effect.factor * (plus - minus))
        else:
            lost += 1
    return found, lost


def _by_seeds(rows: Iterable[Row], where: Mapping[str, Any]) -> dict[tuple[Any, ...], Row]:
    chosen = distinct(row for row in rows if matches(row, where))
    return {tuple(row.get(seed) for seed in _SEEDS): row for row in chosen}


def _value(row: Row, column: str) -> float | None:
    value = row.get(column)
    usable = isinstance(value, int | float) and math.isfinite(value) and row.get("status", "ok") == "ok"
    return float(value) if usable and isinstance(value, int | float) else None


def _adjusted(samples: Mapping[tuple[str, str], Sequence[float]]) -> dict[tuple[str, str], float]:
    tested = {key: 1.0 if _alike(values) else t_test(values) for key, values in samples.items() if len(values) > 1}
    return dict(zip(tested, holm(list(tested.values())), strict=True))


def _line(name: str, column: str, values: Sequence[float], lost: int, adjusted: Mapping[tuple[str, str], float]) -> tuple[str, ...]:
    pairs = f"{len(values)}" + (f" ({lost} lost)" if lost else "")
    if not values:
        return (name, heading(column), pairs, "-", "-", "-")
    interval = t_interval(values, LEVEL)
    if _alike(values):
        every = f" (all {len(values)})" if len(values) > 1 else ""
        return (name, heading(column), pairs, _signed(interval.estimate, column) + every, "-", "-")
    deviation = math.sqrt(math.fsum((value - interval.estimate) ** 2 for value in values) / (len(values) - 1))
    p = adjusted[name, column]
    least = _points(detectable(deviation, len(values), LEVEL, _POWER), column)
    return (name, heading(column), pairs, _told(interval, column), "< 0.001" if p < 0.001 else f"{p:.3f}", least)


def _alike(values: Sequence[float]) -> bool:
    """Equal but for rounding: differences of accuracies are counts over one number of examples."""
    return max(values) - min(values) < _ROUNDING


def _told(interval: Interval, column: str) -> str:
    return f"{_signed(interval.estimate, column)} [{_signed(interval.low, column)}, {_signed(interval.high, column)}]"


def _signed(value: float, column: str) -> str:
    return ("+" if value > 0 else "") + _points(value, column)


def _points(value: float, column: str) -> str:
    return f"{100 * value:.1f}" if is_fraction(column) else number(value, column)
