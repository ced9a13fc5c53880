"""Do two columns rise together? Trials with both numbers, and Kendall's tau within each model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shatterlab.analysis.naming import heading, model, text_of, value_of
from shatterlab.analysis.replicates import by, by_configuration, ended_well, finite, grouped, mixed, selected
from shatterlab.analysis.summary import LEVEL, censoring, left_out
from shatterlab.core.values import Row
from shatterlab.statistics import kendall_interval

_ENOUGH = 5  # configurations that a value of `by` needs for a line of its own


@dataclass(frozen=True)
class Pair:
    """A trial with its two numbers; `bound` where x is only known to be larger."""

    row: Row
    x: float
    y: float
    bound: bool
    configuration: int


def associated(rows: Iterable[Row], where: Mapping[str, Any], x: str, y: str, order: str) -> tuple[list[Pair], list[str]]:
    """The trials that ended well and have both numbers, in the order of the column `order`, and notes on the others."""
    matching, notes = selected(rows, where)
    pairs = {}
    for i, members in enumerate(by_configuration(matching).values()):
        for row in filter(ended_well, members):
            height, bound = finite(row, y), censoring(row, x)
            place = finite(row, x) if bound is None else bound
            if height is not None and place is not None:
                pairs[id(row)] = Pair(row, place, height, bound is not None, i)
    notes += left_out(len(matching) - len(pairs), "that diverged or failed, or lack one of the two numbers")
    groups = grouped((pair.row for pair in pairs.values()), (order,))
    return [pairs[id(row)] for members in groups.values() for row in members], notes


def among(pairs: Sequence[Pair], column: str) -> dict[str, list[Pair]]:
    """The trials of each model and of each value of the column with enough configurations, where there are several; then all."""
    groups: dict[str, list[Pair]] = {}
    for each in dict.fromkeys(("model", column)):
        named: dict[str, list[Pair]] = {}
        for pair in pairs:
            name = text_of(value_of(pair.row, each), each)
            named.setdefault(name if each in ("model", "setting") else f"{heading(each)} {name}", []).append(pair)
        if len(named) > 1:
            groups |= {name: part for name, part in named.items() if each == "model" or len({pair.configuration for pair in part}) >= _ENOUGH}
    return groups | {"all trials": list(pairs)}


def kendall(pairs: Sequence[Pair]) -> str:
    """Tau-b with its interval as printed: "0.52 [0.11, 0.80]"."""
    ordered = sorted(pairs, key=lambda pair: pair.configuration)  # the same draws whatever makes the colours
    columns = ([pair.x for pair in ordered], [pair.y for pair in ordered], [pair.configuration for pair in ordered])
    tau = kendall_interval(*columns, censored=[pair.bound for pair in ordered], level=LEVEL)
    if math.isnan(tau.estimate):
        return "- (no two trials in a known order)"
    return f"{tau.estimate:.2f}" + (" (too few configurations)" if tau.method == "too few configurations" else f" [{tau.low:.2f}, {tau.high:.2f}]")


def reading(pairs: Sequence[Pair]) -> list[str]:
    """What a reader must know before believing a tau."""
    models = by((pair.row for pair in pairs), model)
    notes = [f"Brackets: {100 * LEVEL:g} % intervals, bootstrapped over configurations, as replicates are not independent."]
    if len(models) > 1:
        notes.append("Over all trials models are mixed, whose differences tau cannot tell from the rest: read it within each model.")
    differing = [heading(column) for column in mixed(models.values())]
    return notes + ([f"Within a model, configurations differ in {', '.join(differing)}."] if differing else [])
