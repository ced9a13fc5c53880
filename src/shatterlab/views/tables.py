"""Tables of results: means with intervals, measured beside published, effects, lower bounds from random signs, ledgers, judged measures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shatterlab.analysis.capacity import SignDraws, sign_draws
from shatterlab.analysis.comparisons import Effect, MeasuredEffect, measured_effects
from shatterlab.analysis.judging import JudgedMeasure, comparable, judged_measure, settings
from shatterlab.analysis.ledger import Entry, Quantity, counts, ledger_entries, reasons
from shatterlab.analysis.naming import heading, is_fraction, number, text_of, with_interval
from shatterlab.analysis.replicates import by_configuration, grouped, selected
from shatterlab.analysis.summary import LEVEL, Summary, caveats, standing, summarize
from shatterlab.core.values import Row
from shatterlab.statistics import Interval, clopper_pearson
from shatterlab.views.view import Grid, View

_LARGE = 1e5  # from here on numbers are written with a power of ten
_WIDTH = 160  # characters a line: names and intervals are long
_ONE = f"One trial: brackets are the {100 * LEVEL:g} % interval of Clopper and Pearson for its test sample."


@dataclass(frozen=True)
class Table(View):
    """One line a group of rows; each cell the mean over its replicates with a 95 % interval.

    Trials that diverged or failed enter no mean; the column of trials counts them. Values known only to exceed a bound are shown as bounds and never averaged.
    Where all replicates agree the cell says so in place of an interval. Accuracies and errors are printed in percent.

    Args:
        rows: what makes a line: columns, or "setting" and "model", which are made from several.
        columns: what to show of it.

    Example:
        >>> table = Table(rows=("setting",), columns=("test.error",))
        >>> print(table.text([Row({"corruption.kind": "RandomPixels", "test.error": 0.9})]))
        Test error by setting
        setting        trials  test error
        -------------  ------  ----------
        random pixels       1      90.0 %
    """

    rows: tuple[str, ...] = ("setting",)
    columns: tuple[str, ...] = ("train.error", "test.error")

    def default_title(self) -> str:
        return f"{', '.join(map(heading, self.columns))} by {', '.join(map(heading, self.rows))}"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        matching, notes = selected(rows, self.where)
        groups = grouped(matching, self.rows)
        if not groups:
            return None
        lines = []
        for names, members in groups.items():
            cells = [summarize(members, column).text(column) for column in self.columns]
            lines.append((*map(text_of, names, self.rows), standing(members), *cells))
        headers = (*map(heading, self.rows), "trials", *map(heading, self.columns))
        return Grid(headers, tuple(lines), len(self.rows), (*notes, *caveats(groups, self.columns)))


@dataclass(frozen=True)
class PublishedLine:
    """One line of a published table.

    Args:
        cells: what it is called, one cell a key column.
        where: the rows that belong to it: column -> its value, or a sequence of which one must match.
        published: column -> the published value, in the column's unit; a text where no number is printed; absent where there is none.
    """

    cells: tuple[str, ...]
    where: Mapping[str, Any]
    published: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparisonTable(View):
    """Means over replicates with 95 % intervals, each beside the published number; lines in the published order.

    A line that has one trial only, since nothing in it is random, shows for test errors the interval of its test sample.

    Args:
        lines: what was published, and which rows stand for it.
        keys: headings of their cells.
        columns: what to show of each; one that nothing was published of in any line has no column beside it.
        further: columns to show at the end, without what was published.
        differences: whether measured minus published is shown.
    """

    lines: Sequence[PublishedLine]
    keys: tuple[str, ...] = ("line",)
    columns: tuple[str, ...] = ("train.accuracy", "test.accuracy")
    further: tuple[str, ...] = ()
    differences: bool = False

    def default_title(self) -> str:
        return "Measured and published"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table, lines without rows included; None where no line has any."""
        known = list(rows)
        selections = {line.cells: selected(known, line.where) for line in self.lines}
        groups = {cells: members for cells, (members, _) in selections.items() if members}
        if not groups:
            return None
        notes = dict.fromkeys(note for _, notes in selections.values() for note in notes)
        if any(_by_sample(column, members) for members in groups.values() for column in self.columns):
            notes[_ONE] = None
        headers = (*self.keys, "trials", *(name for column in self.columns for name in (heading(column), *self._beside(column))), *map(heading, self.further))
        cells = tuple(self._cells(line, selections[line.cells][0]) for line in self.lines)
        return Grid(headers, cells, len(self.keys), (*notes, *caveats(groups, (*self.columns, *self.further))))

    def _beside(self, column: str) -> tuple[str, ...]:
        if not any(column in line.published for line in self.lines):
            return ()
        return ("published", "difference") if self.differences else ("published",)

    def _cells(self, line: PublishedLine, members: Sequence[Row]) -> tuple[str, ...]:
        cells = [*line.cells, standing(members) if members else "0"]
        for column in self.columns:
            value = line.published.get(column)
            beside = (value if isinstance(value, str) else number(value, column), _difference(column, members, value))
            cells += [_measured(column, members), *beside[: len(self._beside(column))]]
        return (*cells, *(summarize(members, column).text(column) for column in self.further))


def _measured(column: str, members: Sequence[Row]) -> str:
    summary = summarize(members, column)
    if not _by_sample(column, members):
        return summary.text(column)
    n = int(str(members[0]["test.n"]))
    interval = clopper_pearson(round(summary.values[0] * n), n, LEVEL)
    return with_interval(summary.values[0], interval.low, interval.high, column)


def _by_sample(column: str, members: Sequence[Row]) -> bool:
    return column == "test.error" and len(summarize(members, column).values) == 1 and isinstance(members[0].get("test.n"), int)


def _difference(column: str, members: Sequence[Row], published: float | str | None) -> str:
    mean = summarize(members, column).mean
    if mean is None or not isinstance(published, float) or len(by_configuration(members)) != 1:
        return "-"
    return f"{100 * (mean - published):+.2f} points" if is_fraction(column) else f"{mean - published:+.3g}"


@dataclass(frozen=True)
class Effects(View):
    """Paired differences over replicates with 95 % intervals, Holm's adjusted p-values, and what could have been detected.

    A replicate counts for an effect where all of its cells have a result with equal seeds, none of them diverged. p is Student's, two-sided, adjusted for all
    effects of the same column. "Detectable" is the smallest true effect that so many pairs with so much spread would find four times in five, before the
    adjustment. Where all pairs have the same difference nothing is known of its spread: it has no interval and no p.

    Args:
        effects: what is compared.
        columns: of what.
    """

    effects: tuple[Effect, ...]
    columns: tuple[str, ...] = ("train.accuracy", "test.accuracy")

    def nothing(self) -> str:
        return "no pairs"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table, one line an effect and column; None where no effect has a pair."""
        measured = measured_effects(selected(rows, self.where)[0], self.effects, self.columns)
        if not any(effect.pairs for effect in measured):
            return None
        intervals = f"Differences: mean over pairs with equal seeds, and {100 * LEVEL:g} % intervals, each by itself; fractions in points."
        columns = {
            "effect of": lambda effect: effect.name,
            "on": lambda effect: heading(effect.column),
            "pairs": lambda effect: f"{effect.pairs}" + (f" ({effect.lost} lost)" if effect.lost else ""),
            "difference": _difference_cell,
            "p, adjusted": lambda effect: _p(effect.p),
            "detectable": lambda effect: "-" if effect.detectable is None else _points(effect.detectable, effect.column),
        }
        holm = f"p, adjusted: Holm, over the {len(self.effects)} effects on the same column. It decides, not the interval."
        return Grid.of(measured, columns, 2, (intervals, holm))


def _difference_cell(effect: MeasuredEffect) -> str:
    if effect.interval is None:
        return "-"
    values = (effect.interval.estimate, effect.interval.low, effect.interval.high)
    estimate, low, high = (("+" if value > 0 else "") + _points(value, effect.column) for value in values)
    if effect.p is None:
        return estimate + (f" (all {effect.pairs})" if effect.pairs > 1 else "")
    return f"{estimate} [{low}, {high}]"


def _p(p: float | None) -> str:
    return "-" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _points(value: float, column: str) -> str:
    return f"{100 * value:.1f}" if is_fraction(column) else number(value, column)


@dataclass(frozen=True)
class RademacherTable(View):
    """For each learner: the complexity of its class is at least x, with confidence 1 - delta, and the Rademacher bound at least x + the rest.

    Each trial is one draw of fair coins as labels for inputs that all draws share; it reaches 1 - 2 training error. The mean of m draws less
    sqrt(2 ln(1/delta) / (n m)) is at most the expected supremum, which training may miss. The last column is x + 3 sqrt(ln(2/delta) / 2n): the Rademacher bound
    of a fit without training error is at least that. From 0.5 on it is vacuous whatever the complexity is; below 0.5 its value is not known, and there is no
    bound on the error without the complexity itself, or an upper bound on it (`theory.rademacher`).

    Args:
        rows: what makes a line, as in `Table`.
        delta: in (0, 1).
    """

    rows: tuple[str, ...] = ("model",)
    delta: float = 0.05

    def default_title(self) -> str:
        return "Empirical Rademacher complexity from below"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        matching, notes = selected(rows, {"corruption.kind": "PartialLabels", "corruption.level": 1.0, "classes": 2, **self.where})
        groups = grouped(matching, self.rows)
        lines = [(*map(text_of, names, self.rows), standing(members), *_bounds(sign_draws(members, self.delta))) for names, members in groups.items()]
        headers = (*map(heading, self.rows), "draws", "mean reached", f"at least ({100 * (1 - self.delta):g} %)", "bound of a perfect fit")
        return Grid(headers, tuple(lines), len(self.rows), tuple(notes)) if lines else None


def _bounds(draws: SignDraws) -> tuple[str, str, str]:
    if draws.least is None or draws.bound is None:
        return "-", "-", draws.reason
    mean = sum(draws.reached) / len(draws.reached)
    return f"{mean:.3f}", f"{draws.least:.3f}", f"at least {draws.bound:.3f} ({'vacuous' if draws.vacuous else 'not known'})"


@dataclass(frozen=True)
class LedgerTable(View):
    """The ledger of one model, a line a quantity.

    A cell is the mean over replicates with its 95 % interval. Bounds are means over replicates of upper bounds on the error; one at or above guessing is
    vacuous. "Larger on random?" is the randomization test (see `zhang_tests`), by p-values that are corrected for all quantities of the model that are tested
    (Holm); the interval of the difference is each quantity's by itself. Quantities of a class of functions are blind to labels and fail by construction.

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
        columns = {
            "quantity": lambda entry: entry.quantity.name + ("" if entry.quantity.rises else " (smaller?)"),
            "true labels": lambda entry: _value(entry, entry.true),
            "random labels": lambda entry: _value(entry, entry.noise),
            "random minus true": _entry_difference,
            "p, adjusted": lambda entry: _p(entry.p),
            "larger on random?": lambda entry: entry.verdict,
            "bound on error: true, random": _entry_bounds,
            "it is": lambda entry: entry.says,
        }
        entries = self.entries(rows)
        tested = sum(entry.difference is not None for entry in entries)
        corrected = f"Random minus true: {100 * LEVEL:g} % intervals, each by itself; p, adjusted: Holm, over the {tested} quantities tested."
        notes = [corrected] * bool(tested) + [f"Empty or not comparable: {reason} ({', '.join(names)})." for reason, names in reasons(entries).items()]
        return Grid.of(entries, columns, 1, notes) if entries else None

    def text(self, rows: Iterable[Row]) -> str:
        """Two tables for a terminal: what was measured, and the bounds of the quantities that give one."""
        grid = self.grid(rows)
        if grid is None:
            return f"{self.title}\n({self.nothing()})"
        measured = replace(grid, headers=grid.headers[:6], rows=tuple(line[:6] for line in grid.rows), notes=())
        bounded = tuple((line[0], *line[6:]) for line in grid.rows if line[6] != "-")
        bounds = replace(grid, headers=(grid.headers[0], *grid.headers[6:]), rows=bounded)
        return f"{measured.text(self.title, self.width)}\n\n{bounds.text(f'{self.title}: bounds on the error', self.width)}"


def _value(entry: Entry, summary: Summary) -> str:
    if entry.least is not None:
        return f"≥ {entry.least:.3g}"
    if summary.mean is None or abs(summary.mean) < _LARGE:
        return summary.text(entry.quantity.column)
    return f"{summary.mean:.2g}" + (f" [{', '.join(f'{end:.2g}' for end in summary.interval)}]" if summary.interval else "")


def _entry_difference(entry: Entry) -> str:
    if entry.difference is None:
        return "-"
    turned = 1 if entry.quantity.rises else -1
    low, high = sorted((turned * entry.difference.low, turned * entry.difference.high))
    estimate = turned * entry.difference.estimate
    return f"{estimate:.2g} [{low:.2g}, {high:.2g}]" if abs(estimate) >= _LARGE else with_interval(estimate, low, high, entry.quantity.column)


def _entry_bounds(entry: Entry) -> str:
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
        known = list(rows)
        tallies = {table.title: counts(entries) for table in self.tables if (entries := table.entries(known))}
        if not tallies:
            return None
        lines = tuple((name, *map(str, tally.values())) for name, tally in tallies.items())
        return Grid(("model", *next(iter(tallies.values()))), lines, 1)


@dataclass(frozen=True)
class JudgedMeasures(View):
    """A line a measure: rank correlation with the gap, plain and granulated, conditional information, robust sign error, the randomization test.

    The gap is test error minus training error; the axes are what differs between the trials' specifications (see `settings`). Trials that did not reach their
    training loss are left out, as in the source, and counted.

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
        notes += ["Larger on random: in how many settings the randomization test passes, p-values corrected over settings (Holm)."] if tested else []
        notes += [f"{others} trials did not reach their training loss, or failed, and are left out."] if others else []
        return Grid.of(judged, columns, 1, [*notes, *(f"{each.quantity.name}: {each.reason}." for each in judged if each.reason)])


def _interval(interval: Interval | None) -> str:
    if interval is None or math.isnan(interval.estimate):
        return "-"
    estimate, low, high = (round(value, 2) + 0.0 for value in (interval.estimate, interval.low, interval.high))  # + 0.0: no "-0.00"
    return f"{estimate:.2f} [{low:.2f}, {high:.2f}]"
