"""The ledger of a model: each quantity on true and on random labels, the bound that it gives, and its test."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from shatterlab.analysis.capacity import sign_draws
from shatterlab.analysis.naming import heading
from shatterlab.analysis.randomization_test import ZhangTest, corrected, zhang_tests
from shatterlab.analysis.replicates import distinct, matches
from shatterlab.analysis.summary import Summary, summarize
from shatterlab.core import Row, catalog
from shatterlab.core.errors import DataError, UnknownName
from shatterlab.statistics import Interval

Role = Literal["fit", "twins", "code", "part", "signs"]
_TRUE, _RANDOM = ({"corruption.kind": "PartialLabels", "corruption.level": level} for level in (0.0, 1.0))
_OF_CLASS = "fails (blind)"


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

    def rising(self, rows: Iterable[Row]) -> list[Row]:
        """The rows with the sign of the quantity turned where less of it means more complex."""
        return [Row({**row, self.column: -float(str(row[self.column]))}) if not self.rises and row.get(self.column) is not None else row for row in rows]


@dataclass(frozen=True)
class Entry:
    """What the rows say of one quantity.

    Args:
        quantity: which.
        true: its values on true labels.
        noise: its values on random labels.
        bounds: its bound on true and on random labels; None where it gives none. With `least`, the bound is at least this.
        chance: the error of guessing.
        verdict: of the randomization test, corrected over the quantities of the model; "-" where it is not made.
        reason: why a cell is empty, or why the test cannot be made.
        least: a lower bound on the value in place of the values (sign draws).
        difference: random minus true labels, the interval of this quantity by itself; None where the test is not made.
        p: Holm's adjusted p-value; None where no test is made, or nothing varied.
    """

    quantity: Quantity
    true: Summary
    noise: Summary
    bounds: tuple[float | None, float | None]
    chance: float
    verdict: str
    reason: str
    least: float | None = None
    difference: Interval | None = None
    p: float | None = None

    @property
    def measured(self) -> bool:
        """Whether there is a value on either kind of labels."""
        return self.least is not None or any(side.values or side.infinite for side in (self.true, self.noise))

    @property
    def vacuous(self) -> bool | None:
        """Whether the bound on true labels is no better than guessing; None where there is none, or too little is known of it."""
        below = self.below_guessing()
        return None if below is None else not below

    def below_guessing(self, side: int = 0) -> bool | None:
        """Whether the bound on true (0) or on random labels (1) is better than guessing; None where there is none, or too little is known of it."""
        bound = self.bounds[side]
        return None if bound is None or (self.least is not None and bound < self.chance) else bound < self.chance

    @property
    def says(self) -> str:
        """What the bound on true labels says."""
        if self.vacuous is None:
            return "-" if self.bounds[0] is None else "not known"
        return "vacuous" if self.vacuous else f"below {self.chance:g}"


def role(row: Row) -> Role:
    """What the fit of a row is for: a learner around another one declares it, random signs are recognized by the corruption."""
    if row.get("corruption.kind") == "RandomSigns":
        return "signs"
    return _role_of_kind(str(row["learner.kind"])) if "learner.learner.kind" in row else "fit"


@functools.cache
def _role_of_kind(kind: str) -> Role:
    try:
        declared: Role = catalog.get(kind).role
    except UnknownName:
        return "fit"
    return declared


def ledger_entries(rows: Iterable[Row], of: Mapping[str, Any], quantities: Sequence[Quantity], where: Mapping[str, Any], delta: float) -> list[Entry]:
    """What the rows say, a quantity at a time; none where no row is this model's.

    Args:
        rows: any.
        of: the learner's own columns without the prefix "learner.".
        quantities: the lines.
        where: only rows whose columns have these values.
        delta: of the lower bound from sign draws, in (0, 1).
    """
    known = [row for row in rows if matches(row, where)]
    by_role = {name: _of_role(known, name, of) for name in get_args(Role)}
    if not any(by_role.values()):
        return []
    tests = [_test(each, by_role[each.role]) for each in quantities]
    family = iter(corrected([test for test in tests if test is not None]))
    return [
        _of_signs(each, by_role["signs"], delta) if each.role == "signs" else _entry(each, by_role[each.role], None if test is None else next(family))
        for each, test in zip(quantities, tests, strict=True)
    ]


def _of_role(rows: Sequence[Row], name: Role, of: Mapping[str, Any]) -> list[Row]:
    prefix = "learner." if name in ("fit", "signs") else "learner.learner."
    own = {f"{prefix}{column}": value for column, value in of.items()}
    return distinct(row for row in rows if matches(row, own) and role(row) == name)


def _entry(quantity: Quantity, rows: list[Row], test: ZhangTest | None) -> Entry:
    sides = _sides(rows)
    true, noise = (summarize(side, quantity.column) for side in sides)
    first, second = (math.inf if side.infinite else side.mean for side in (summarize(side, quantity.bound) for side in sides))
    failed = next((str(row["error"]) for row in rows if row.get("status") == "failed"), "")
    reason = true.reason or noise.reason or failed or ("" if rows else "no such fit was made")
    reason = f"a learner whose fits report {heading(quantity.column)} is required" if reason == "not recorded" else reason
    verdict = _OF_CLASS if quantity.of_class and (true.values or true.infinite) else "-" if test is None else test.verdict
    classes = next((int(str(row["classes"])) for row in rows if row.get("classes")), 2)
    guessing = quantity.chance if quantity.chance is not None else 1 - 1 / classes
    reason = test.reason if test is not None and verdict == "not comparable" else reason
    difference, p = (None, None) if test is None else (test.interval, test.p)
    return Entry(quantity, true, noise, (first, second), guessing, verdict, reason, difference=difference, p=p)


def _sides(rows: list[Row]) -> list[list[Row]]:
    return [[row for row in rows if matches(row, where)] for where in (_TRUE, _RANDOM)]


def _of_signs(quantity: Quantity, rows: list[Row], delta: float) -> Entry:
    draws = sign_draws(rows, delta)
    if draws.least is None:
        failed = next((str(row["error"]) for row in rows if row.get("error")), "no signs were drawn")
        return Entry(quantity, Summary(), Summary(), (None, None), 0.5, "-", "the draws differ in the size of their sample" if draws.reached else failed)
    return Entry(quantity, Summary(), Summary(), (draws.bound, draws.bound), 0.5, _OF_CLASS, "", draws.least)


def _test(quantity: Quantity, rows: list[Row]) -> ZhangTest | None:
    """The test of one quantity by itself; None where it is not made, or one side has no value."""
    if not quantity.judged or quantity.of_class or quantity.role == "signs" or not all(summarize(side, quantity.column).values for side in _sides(rows)):
        return None
    try:
        tests = zhang_tests(quantity.rising(rows), quantity.column)
    except DataError:
        return None
    return tests[0] if len(tests) == 1 else ZhangTest(quantity.column, "not comparable", None, 0, "the fits are of several recipes or samples", {})


def counts(entries: Sequence[Entry]) -> dict[str, int]:
    """How the quantities of one model fare: measured, each verdict, and the bounds that there are and that say something."""
    verdicts = [entry.verdict.partition(" (")[0] for entry in entries]
    tally = {"measured": sum(entry.measured for entry in entries)}
    tally |= {verdict: verdicts.count(verdict) for verdict in ("passes", "fails", "undecided", "not comparable")}
    for side, labels in enumerate(("true labels", "random labels")):
        bounds = [below for entry in entries if (below := entry.below_guessing(side)) is not None]
        tally |= {f"bounds on {labels}": len(bounds), f"that say something on {labels}": sum(bounds)}
    return tally


def reasons(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """Why cells are empty and tests not made: each reason with the names of the quantities that it is about."""
    groups: dict[str, list[str]] = {}
    for entry in entries:
        if entry.reason and (not entry.measured or entry.verdict == "not comparable"):
            owner, _, text = entry.reason.partition(": ")
            groups.setdefault(text if text and " " not in owner else entry.reason, []).append(entry.quantity.name)
    return groups
