"""Measures of a fit judged over many trials: do they order models as the generalization gap does, and do they see random labels?"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shatterlab.analysis.judging import conditional_information, granulated_tau, sign_errors
from shatterlab.analysis.naming import heading
from shatterlab.analysis.randomization_test import zhang_tests
from shatterlab.analysis.replicates import distinct, matches
from shatterlab.analysis.summary import LEVEL
from shatterlab.core.values import Row
from shatterlab.statistics import Interval, kendall_interval
from shatterlab.views.grid import Grid
from shatterlab.views.ledger_table import Quantity

_SPECIFICATION = ("dataset.", "corruption.", "learner.")
_WIDTH = 150  # characters a line: four intervals
_SETS = 2  # axes that are held fixed at a time, and the least for whose absence nothing can be asked


@dataclass(frozen=True)
class Verdict:
    """How one quantity fares.

    Args:
        quantity: which.
        trials: that have both it and a gap.
        tau: Kendall's, over all of them.
        granulated: Kendall's tau where one axis at a time differs.
        information: beyond any two axes, a share.
        sign_error: in the environment where it is worst.
        worst: that environment.
        zhang: verdicts of the randomization test, counted over settings; empty where rows have one kind of labels only.
        reason: why there is nothing.
    """

    quantity: Quantity
    trials: int = 0
    tau: Interval | None = None
    granulated: Interval | None = None
    information: Interval | None = None
    sign_error: Interval | None = None
    worst: str = ""
    zhang: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class JudgedMeasures:
    """A line a measure: rank correlation with the gap, plain and granulated, conditional information, robust sign error, the randomization test.

    The gap is test error minus training error. What differs between the trials' specifications are the axes; a list of equal numbers, such as
    hidden layers, is two: how many, and how large. Trials that did not reach their training loss are left out, as in the source, and counted.

    Args:
        quantities: the measures; one that falls where models are more complex (`rises=False`) is judged with its sign turned.
        title: the heading.
        where: only rows whose columns have these values.

    Source:
        Jiang et al. 2020; Dziugaite et al. 2020; Zhang et al. 2017 for the last column.
    """

    quantities: tuple[Quantity, ...]
    title: str = "Do measures order models as the generalization gap does?"
    where: Mapping[str, Any] = field(default_factory=dict)

    def verdicts(self, rows: Iterable[Row]) -> list[Verdict]:
        """What the rows say of each quantity; none where no trial has a gap."""
        kept, _ = self._kept(rows)
        return self._judged(kept, settings(kept))

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table; None where no trial has a gap."""
        kept, left = self._kept(rows)
        axes = settings(kept)
        found = self._judged(kept, axes)
        if not found:
            return None
        with_zhang = any(each.zhang for each in found)
        asked = ("larger on random",) if with_zhang else ()
        headers = ("measure", "trials", "Kendall's tau", "granulated tau", "information beyond two axes", *asked, "robust sign error", "worst between")
        lines = tuple(_line(each, with_zhang) for each in found)
        notes = [f"Axes: {', '.join(axes[0]) or 'none'}. Intervals: {100 * LEVEL:g} %, whole settings drawn again; sign error 0.5 is guessing."]
        notes += ["Larger on random: in how many settings the randomization test passes."] if with_zhang else []
        notes += [f"{left} trials did not reach their training loss, or failed, and are left out."] if left else []
        notes += [f"{each.quantity.name}: {each.reason}." for each in found if each.reason]
        return Grid(headers, lines, 1, tuple(notes))

    def text(self, rows: Iterable[Row]) -> str:
        """The table for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title, _WIDTH) if grid else f"{self.title}\n(no rows)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """None: a table is no figure."""
        return None

    def _judged(self, kept: Sequence[Row], axes: Sequence[Mapping[str, Hashable]]) -> list[Verdict]:
        return [_judged(each, kept, axes) for each in self.quantities] if kept else []

    def _kept(self, rows: Iterable[Row]) -> tuple[list[Row], int]:
        """The trials that count, and how many do not."""
        mine = distinct(row for row in rows if matches(row, self.where))
        kept = [row for row in mine if row.get("status", "ok") == "ok" and gap(row) is not None and row.get("fit.ended", "loss") == "loss"]
        return kept, len(mine) - len(kept)


def gap(row: Row) -> float | None:
    """Test error minus training error; None where either is not known."""
    test, train = row.get("test.error"), row.get("train.error")
    return float(test) - float(train) if isinstance(test, int | float) and isinstance(train, int | float) else None


def settings(rows: Sequence[Row]) -> list[dict[str, Hashable]]:
    """The axes of each trial by name: what differs between the specifications of the rows, seeds left out.

    Example:
        >>> rows = [Row({"learner.optimizer.lr": 0.1, "learner.architecture.hidden": "[64,64]"}), Row({"learner.optimizer.lr": 0.2})]
        >>> settings(rows)[0]
        {'hidden depth': 2, 'hidden width': 64, 'learning rate': 0.1}
    """
    split = [dict(item for column, value in row.items() if _specifies(column) for item in _parts(column, value)) for row in rows]
    names = sorted({name for each in split for name in each})
    varied = [name for name in names if len({each.get(name) for each in split}) > 1]
    return [{name: each.get(name) for name in varied} for each in split]


def _specifies(column: str) -> bool:
    return column.startswith(_SPECIFICATION) and not column.endswith(".fingerprint")


def _parts(column: str, value: Any) -> list[tuple[str, Hashable]]:
    name = heading(column)
    listed = json.loads(value) if isinstance(value, str) and value.startswith("[") else None
    if listed and all(isinstance(each, int | float) for each in listed) and len(set(listed)) == 1:
        return [(f"{name} depth", len(listed)), (f"{name} width", listed[0])]
    return [(name, value)]


def _judged(quantity: Quantity, rows: Sequence[Row], axes: Sequence[Mapping[str, Hashable]]) -> Verdict:
    sign = 1.0 if quantity.rises else -1.0
    known = [(sign * float(str(row[quantity.column])), row, each) for row, each in zip(rows, axes, strict=True) if _finite(row.get(quantity.column))]
    if len(known) < 2 or not axes[0]:
        absent = next((str(row[name]) for row in rows if (name := f"{quantity.column.rpartition('.')[0]}.reason") in row), "it is not recorded")
        return Verdict(quantity, len(known), reason="trials that differ in nothing cannot be ordered" if known else absent)
    values, gaps = [value for value, _, _ in known], [gap(row) or 0.0 for _, row, _ in known]
    of = [each for _, _, each in known]
    errors = sign_errors(values, gaps, of, _test_examples(rows))
    return Verdict(
        quantity,
        len(known),
        kendall_interval(values, gaps, [tuple(each.values()) for each in of]),
        granulated_tau(values, gaps, of).overall,
        conditional_information(values, gaps, of).overall if len(axes[0]) > _SETS else None,
        errors.overall,
        errors.decisive or "",
        _zhang(quantity, [row for _, row, _ in known], sign),
    )


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _test_examples(rows: Sequence[Row]) -> int | None:
    sizes = {row.get("test.n") for row in rows}
    return int(str(sizes.pop())) if len(sizes) == 1 and None not in sizes else None


def _zhang(quantity: Quantity, rows: Sequence[Row], sign: float) -> dict[str, int]:
    if not {row.get("corruption.level") for row in rows if row.get("corruption.kind") == "PartialLabels"} >= {0.0, 1.0}:
        return {}
    turned = [Row({**row, quantity.column: sign * float(str(row[quantity.column]))}) for row in rows]
    return dict(Counter(each.verdict for each in zhang_tests(turned, quantity.column)))


def _line(found: Verdict, with_zhang: bool) -> tuple[str, ...]:
    name = found.quantity.name if found.quantity.rises else f"{found.quantity.name} (turned)"
    counted = (f"{found.zhang.get('passes', 0)} of {sum(found.zhang.values())}" if found.zhang else "-",) if with_zhang else ()
    orders = [_told(each) for each in (found.tau, found.granulated, found.information)]
    return (name, str(found.trials), *orders, *counted, _told(found.sign_error), found.worst or "-")


def _told(interval: Interval | None) -> str:
    if interval is None or math.isnan(interval.estimate):
        return "-"
    estimate, low, high = (round(each, 2) + 0.0 for each in (interval.estimate, interval.low, interval.high))  # + 0.0: no "-0.00"
    return f"{estimate:.2f} [{low:.2f}, {high:.2f}]"
