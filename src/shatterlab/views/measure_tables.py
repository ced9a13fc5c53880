"""Tables that judge measures of fits: the ledger of a model, how the models of several ledgers fare, and measures over many trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shatterlab.analysis.judging import JudgedMeasure, comparable, judged_measure, settings
from shatterlab.analysis.ledger import Entry, Quantity, counts, ledger_entries, reasons
from shatterlab.analysis.naming import number
from shatterlab.analysis.summary import LEVEL, Summary
from shatterlab.core.values import Row
from shatterlab.statistics import Interval
from shatterlab.views.view import Grid, View

_LARGE = 1e5  # from here on numbers are written with a power of ten
_WIDTH = 150  # characters a line: names and intervals are long


@dataclass(frozen=True)
class LedgerTable(View):
    """The ledger of one model, a line a quantity.

    A cell is the mean over replicates with its 95 % interval. Bounds are means over replicates of upper bounds on the error that start from the
    training error; one at or above guessing is vacuous, the others are below the error of guessing, which is shown. "Larger on random?" is the
    randomization test: with both fits ended at the same training loss, on samples of the same size and seeds, the 95 % interval of the paired
    difference lies above 0 (passes), at or below 0 (fails), or holds 0 (undecided).
    Quantities of a class of functions are blind to labels and fail by construction.

    Args:
        of: the learner's own columns without the prefix "learner.", as `Part.columns` writes them.
        quantities: the lines.
        delta: of the lower bound from sign draws, in (0, 1).
    """

    of: Mapping[str, Any]
    quantities: tuple[Quantity, ...]
    delta: float = 0.05
    width = _WIDTH

    def default_title(self) -> str:
        return "The ledger"

    def entries(self, rows: Iterable[Row]) -> list[Entry]:
        """What the rows say, a quantity at a time; none where no row is this model's."""
        return ledger_entries(rows, self.of, self.quantities, self.where, self.delta)

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table; None where no row is this model's."""
        columns = {
            "quantity": lambda entry: entry.quantity.name + ("" if entry.quantity.rises else " (smaller?)"),
            "true labels": lambda entry: _value(entry, entry.true),
            "random labels": lambda entry: _value(entry, entry.noise),
            "larger on random?": lambda entry: entry.verdict,
            "bound on error: true, random": _bounds,
            "it is": lambda entry: entry.says,
        }
        entries = self.entries(rows)
        notes = [f"Empty or not comparable: {reason} ({', '.join(names)})." for reason, names in reasons(entries).items()]
        return Grid.of(entries, columns, 1, notes) if entries else None

    def text(self, rows: Iterable[Row]) -> str:
        """Two tables for a terminal: what was measured, and the bounds of the quantities that give one."""
        grid = self.grid(rows)
        if grid is None:
            return f"{self.title}\n({self.nothing()})"
        measured = replace(grid, headers=grid.headers[:4], rows=tuple(line[:4] for line in grid.rows), notes=())
        bounded = tuple((line[0], *line[4:]) for line in grid.rows if line[4] != "-")
        bounds = replace(grid, headers=(grid.headers[0], *grid.headers[4:]), rows=bounded)
        return f"{measured.text(self.title, self.width)}\n\n{bounds.text(f'{self.title}: bounds on the error', self.width)}"


def _value(entry: Entry, summary: Summary) -> str:
    """As in other tables, but large numbers in powers of ten."""
    if entry.least is not None:
        return f"≥ {entry.least:.3g}"
    if summary.mean is None or abs(summary.mean) < _LARGE:
        return summary.text(entry.quantity.column)
    return f"{summary.mean:.2g}" + (f" [{', '.join(f'{end:.2g}' for end in summary.interval)}]" if summary.interval else "")


def _bounds(entry: Entry) -> str:
    if entry.bounds == (None, None):
        return "-"
    sign = "≥ " if entry.least is not None else ""
    true, random = ("-" if bound is None else sign + (number(bound) if bound < _LARGE else f"{bound:.3g}") for bound in entry.bounds)
    return f"{true}, {random}" if true != random else f"{true} (both)"


@dataclass(frozen=True)
class LedgerSummary(View):
    """How the quantities of several models fare: a line a model.

    Args:
        tables: the ledgers.
    """

    tables: tuple[LedgerTable, ...]
    width = _WIDTH

    def default_title(self) -> str:
        return "How many quantities tell random labels from true ones, and how many bounds say something"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table; None where no row belongs to one of the models."""
        known = list(rows)
        tallies = {table.title: counts(entries) for table in self.tables if (entries := table.entries(known))}
        if not tallies:
            return None
        lines = tuple((name, *map(str, tally.values())) for name, tally in tallies.items())
        return Grid(("model", *next(iter(tallies.values()))), lines, 1)


@dataclass(frozen=True)
class JudgedMeasures(View):
    """A line a measure: rank correlation with the gap, plain and granulated, conditional information, robust sign error, the randomization test.

    The gap is test error minus training error. What differs between the trials' specifications are the axes; a list of equal numbers, such as
    hidden layers, is two: how many, and how large. Trials that did not reach their training loss are left out, as in the source, and counted.

    Args:
        quantities: the measures; one that falls where models are more complex (`rises=False`) is judged with its sign turned.

    Source:
        Jiang et al. 2020; Dziugaite et al. 2020; Zhang et al. 2017 for the last column.
    """

    quantities: tuple[Quantity, ...]
    width = _WIDTH

    def default_title(self) -> str:
        return "Do measures order models as the generalization gap does?"

    def verdicts(self, rows: Iterable[Row]) -> list[JudgedMeasure]:
        """What the rows say of each quantity; none where no trial has a gap."""
        kept, _ = comparable(rows, self.where)
        axes = settings(kept)
        return [judged_measure(quantity, kept, axes) for quantity in self.quantities] if kept else []

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table; None where no trial has a gap."""
        rows = list(rows)
        kept, others = comparable(rows, self.where)
        judged = self.verdicts(rows)
        if not judged:
            return None
        tested = any(each.zhang for each in judged)
        columns = {
            "measure": lambda each: each.quantity.name + ("" if each.quantity.rises else " (turned)"),
            "trials": lambda each: str(each.trials),
            "Kendall's tau": lambda each: _interval(each.tau),
            "granulated tau": lambda each: _interval(each.granulated),
            "information beyond two axes": lambda each: _interval(each.information),
            "larger on random": lambda each: f"{each.zhang.get('passes', 0)} of {sum(each.zhang.values())}" if each.zhang else "-",
            "robust sign error": lambda each: _interval(each.sign_error),
            "worst between": lambda each: each.worst or "-",
        }
        if not tested:
            del columns["larger on random"]
        axes = ", ".join(settings(kept)[0]) or "none"
        notes = [f"Axes: {axes}. Intervals: {100 * LEVEL:g} %, whole settings drawn again; sign error 0.5 is guessing."]
        notes += ["Larger on random: in how many settings the randomization test passes."] if tested else []
        notes += [f"{others} trials did not reach their training loss, or failed, and are left out."] if others else []
        return Grid.of(judged, columns, 1, [*notes, *(f"{each.quantity.name}: {each.reason}." for each in judged if each.reason)])


def _interval(interval: Interval | None) -> str:
    if interval is None or math.isnan(interval.estimate):
        return "-"
    estimate, low, high = (round(value, 2) + 0.0 for value in (interval.estimate, interval.low, interval.high))  # + 0.0: no "-0.00"
    return f"{estimate:.2f} [{low:.2f}, {high:.2f}]"
