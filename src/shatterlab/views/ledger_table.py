"""One model's page of the ledger: each quantity on true and on random labels, the bound that it gives, what that says, and the randomization test."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from shatterlab.analysis.naming import heading, number
from shatterlab.analysis.randomization_test import zhang_tests
from shatterlab.analysis.replicates import distinct, matches
from shatterlab.analysis.summary import Summary, summarize
from shatterlab.core.errors import DataError
from shatterlab.core.values import Row
from shatterlab.theory.rademacher import at_least, rademacher_bound
from shatterlab.views.grid import Grid

Role = Literal["fit", "twins", "code", "part", "signs"]
_WRAPPED: Mapping[str, str] = {"twins": "Twins", "code": "Prequential", "part": "RandomizedPart"}
_TRUE, _RANDOM = ({"corruption.kind": "PartialLabels", "corruption.level": level} for level in (0.0, 1.0))
_CLASS = "fails (blind)"
_LARGE = 1e5  # from here on numbers are written with a power of ten
_WIDTH = 150  # characters a line: names and intervals are long


@dataclass(frozen=True)
class Quantity:
    """One line of the ledger.

    Args:
        name: in words.
        column: where its value is.
        role: the rows that have it: of the fit itself, of its twins, of the fits that code the labels ("code"), of the fits with a randomized part, of the
            fits to random signs.
        bound: the column of the bound on the error that it gives; none: it gives no bound by itself.
        chance: the error of guessing that the bound has to beat; None: 1 - 1/k.
        rises: whether more of it means more complex; the randomization test then asks whether it is larger on random labels, else whether it is smaller.
        judged: whether the test is made.
        of_class: it belongs to a class of functions fixed beforehand, which does not look at labels: the test fails by construction.
    """

    name: str
    column: str
    role: Role = "fit"
    bound: str = ""
    chance: float | None = None
    rises: bool = True
    judged: bool = True
    of_class: bool = False


@dataclass(frozen=True)
class Entry:
    """What the rows say of one quantity.

    Args:
        quantity: which.
        true: its values on true labels.
        noise: its values on random labels.
        bounds: its bound on true and on random labels; None where it gives none.
        chance: the error of guessing.
        verdict: of the randomization test; "-" where it is not made.
        reason: why a cell is empty, or why the test cannot be made.
        least: a lower bound on the value in place of the values (sign draws).
    """

    quantity: Quantity
    true: Summary
    noise: Summary
    bounds: tuple[float | None, float | None]
    chance: float
    verdict: str
    reason: str
    least: float | None = None

    @property
    def measured(self) -> bool:
        """Whether there is a value on either kind of labels."""
        return self.least is not None or any(side.values or side.infinite for side in (self.true, self.noise))

    @property
    def says(self) -> str:
        """What the bound on true labels says."""
        if self.vacuous is None:
            return "-"
        return "vacuous" if self.vacuous else f"below {self.chance:g}"

    @property
    def vacuous(self) -> bool | None:
        """Whether the bound on true labels is no better than guessing; None where there is none."""
        return None if self.bounds[0] is None else self.bounds[0] >= self.chance


@dataclass(frozen=True)
class LedgerTable:
    """The ledger of one model, a line a quantity.

    A cell is the mean over replicates with its 95 % interval. Bounds are means over replicates of upper bounds on the error that start from the
    training error; one at or above guessing is vacuous, the others are below the error of guessing, which is shown. "Larger on random?" is the
    randomization test: with both fits ended at the same training loss, on samples of the same size and seeds, the 95 % interval of the paired
    difference lies above 0 (passes), at or below 0 (fails), or holds 0 (undecided).
    Quantities of a class of functions are blind to labels and fail by construction.

    Args:
        of: the learner's own columns without the prefix "learner.", as `Part.columns` writes them.
        quantities: the lines.
        title: the heading.
        delta: of the lower bound from sign draws, in (0, 1).
    """

    of: Mapping[str, Any]
    quantities: tuple[Quantity, ...]
    title: str = "The ledger"
    delta: float = 0.05
    where: Mapping[str, Any] = field(default_factory=dict)

    def entries(self, rows: Iterable[Row]) -> list[Entry]:
        """What the rows say, a quantity at a time; none where no row is this model's."""
        known = [row for row in rows if matches(row, self.where)]
        by_role = {role: self._rows(known, role) for role in ("fit", "signs", *_WRAPPED)}
        return [self._entry(each, by_role[each.role]) for each in self.quantities] if any(by_role.values()) else []

    def _rows(self, rows: Sequence[Row], role: str) -> list[Row]:
        wrapper = _WRAPPED.get(role)
        prefix = "learner.learner." if wrapper else "learner."
        wanted = {f"{prefix}{name}": value for name, value in self.of.items()} | ({"learner.kind": wrapper} if wrapper else {})
        mine = [row for row in rows if matches(row, wanted)]
        return distinct([row for row in mine if (row.get("corruption.kind") == "RandomSigns") == (role == "signs")])

    def _entry(self, quantity: Quantity, rows: list[Row]) -> Entry:
        if quantity.role == "signs":
            return self._of_signs(quantity, rows)
        sides = [[row for row in rows if matches(row, where)] for where in (_TRUE, _RANDOM)]
        true, noise = (summarize(side, quantity.column) for side in sides)
        bounds = [_bound(side, quantity.bound) for side in sides]
        failed = next((str(row["error"]) for row in rows if row.get("status") == "failed"), "")
        reason = true.reason or noise.reason or failed or ("" if rows else "no such fit was made")
        reason = f"a learner whose fits report {heading(quantity.column)} is required" if reason == "not recorded" else reason
        verdict, why = self._tested(quantity, rows) if true.values and noise.values else ("-", "")
        verdict = _CLASS if quantity.of_class and (true.values or true.infinite) else verdict
        return Entry(quantity, true, noise, (bounds[0], bounds[1]), self._chance(quantity, rows), verdict, why if verdict == "not comparable" else reason)

    def _of_signs(self, quantity: Quantity, rows: list[Row]) -> Entry:
        good = [row for row in rows if row.get("status", "ok") == "ok"]
        sizes = {row.get("train.n") for row in good}
        failed = next((str(row["error"]) for row in rows if row.get("error")), "no signs were drawn")
        if len(sizes) != 1:
            return Entry(quantity, Summary(), Summary(), (None, None), 0.5, "-", failed if not good else "the draws differ in the size of their sample")
        n = int(next(iter(sizes)) or 0)
        least = at_least([1 - 2 * float(str(row["train.error"])) for row in good], n, self.delta)
        bound = rademacher_bound(0.0, max(least, 0.0), n, self.delta).bound
        return Entry(quantity, Summary(), Summary(), (bound, bound), 0.5, _CLASS, "", least)

    def _chance(self, quantity: Quantity, rows: Sequence[Row]) -> float:
        classes = next((int(str(row["classes"])) for row in rows if row.get("classes")), 2)
        return quantity.chance if quantity.chance is not None else 1 - 1 / classes

    def _tested(self, quantity: Quantity, rows: Sequence[Row]) -> tuple[str, str]:
        if not quantity.judged:
            return "-", ""
        column = quantity.column
        turned = [Row({**row, column: -float(str(row[column]))}) if not quantity.rises and row.get(column) is not None else row for row in rows]
        try:
            found = zhang_tests(turned, column)
        except DataError:
            return "-", ""
        if len(found) != 1:
            return "not comparable", "the fits are of several recipes or samples"
        return found[0].verdict, found[0].reason

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table; None where no row is this model's."""
        entries = self.entries(rows)
        headers = ("quantity", "true labels", "random labels", "larger on random?", "bound on error: true, random", "it is")
        return Grid(headers, tuple(map(self._line, entries)), 1, tuple(_notes(entries))) if entries else None

    def _line(self, entry: Entry) -> tuple[str, ...]:
        column, name = entry.quantity.column, entry.quantity.name
        values = [_cell(each, column) for each in (entry.true, entry.noise)]
        cells = values if entry.least is None else [f"≥ {entry.least:.3g}"] * 2
        floor = "≥ " if entry.least is not None else ""
        told = ["-" if each is None else f"{floor}{_short(each)}" for each in entry.bounds]
        bounds = ", ".join(told) if told[0] != told[1] else f"{told[0]} (both)"
        asked = name if entry.quantity.rises else f"{name} (smaller?)"
        return (asked, *cells, entry.verdict, "-" if entry.bounds == (None, None) else bounds, entry.says)

    def text(self, rows: Iterable[Row]) -> str:
        """Two tables for a terminal: what was measured, and the bounds of the quantities that give one."""
        grid = self.grid(rows)
        if grid is None:
            return f"{self.title}\n(no rows)"
        measured = replace(grid, headers=grid.headers[:4], rows=tuple(line[:4] for line in grid.rows), notes=())
        given = tuple((line[0], *line[4:]) for line in grid.rows if line[4] != "-")
        bounds = replace(grid, headers=(grid.headers[0], *grid.headers[4:]), rows=given)
        return f"{measured.text(self.title, _WIDTH)}\n\n{bounds.text(f'{self.title}: bounds on the error', _WIDTH)}"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """None: a table is no figure."""
        return None


def _cell(summary: Summary, column: str) -> str:
    """As in other tables, but large numbers in powers of ten."""
    if summary.mean is None or abs(summary.mean) < _LARGE:
        return summary.text(column)
    interval = summary.interval
    return f"{summary.mean:.2g}" + (f" [{', '.join(f'{end:.2g}' for end in interval)}]" if interval else "")


def _short(bound: float) -> str:
    return number(bound) if bound < _LARGE else f"{bound:.3g}"


def _bound(rows: Sequence[Row], column: str) -> float | None:
    found = summarize(rows, column)
    return math.inf if found.infinite else found.mean


def _notes(entries: Sequence[Entry]) -> list[str]:
    """Why cells are empty and tests not made: each reason once, with the quantities that it is about."""
    groups: dict[str, list[str]] = {}
    for entry in entries:
        if entry.reason and (not entry.measured or entry.verdict == "not comparable"):
            owner, _, told = entry.reason.partition(": ")
            groups.setdefault(told if told and " " not in owner else entry.reason, []).append(entry.quantity.name)
    return [f"Empty or not comparable: {reason} ({', '.join(names)})." for reason, names in groups.items()]


@dataclass(frozen=True)
class LedgerSummary:
    """How the quantities of several models fare: a line a model.

    Args:
        tables: the ledgers.
        title: the heading.
    """

    tables: tuple[LedgerTable, ...]
    title: str = "How many quantities tell random labels from true ones, and how many bounds say something"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table; None where no row belongs to one of the models."""
        known = list(rows)
        found = {table.title: table.entries(known) for table in self.tables}
        lines = tuple((name, *_counted(entries)) for name, entries in found.items() if entries)
        told = ("bounds on true labels", "that say something", "bounds on random labels", "that say something")
        headers = ("model", "measured", "passes", "fails", "undecided", "not comparable", *told)
        return Grid(headers, lines, 1) if lines else None

    def text(self, rows: Iterable[Row]) -> str:
        """The table for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title, _WIDTH) if grid else f"{self.title}\n(no rows)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """None: a table is no figure."""
        return None


def _counted(entries: Sequence[Entry]) -> tuple[str, ...]:
    verdicts = [entry.verdict.partition(" (")[0] for entry in entries]
    counts = [sum(entry.measured for entry in entries), *(verdicts.count(each) for each in ("passes", "fails", "undecided", "not comparable"))]
    for side in (0, 1):
        given = [(entry.bounds[side], entry.chance) for entry in entries if entry.bounds[side] is not None]
        counts += [len(given), sum(bound < chance for bound, chance in given if bound is not None)]
    return tuple(map(str, counts))
