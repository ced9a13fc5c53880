"""The parts of a report as plain values: claims, figures, trials, self-checks, what it takes to run it again."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shatterlab.analysis.naming import heading, model, number, setting, text_of, value_of, with_interval
from shatterlab.analysis.provenance import mixed_origins
from shatterlab.analysis.replicates import SPECIFICATION, by, seeds, unique
from shatterlab.analysis.summary import SHOWN_FROM, censoring
from shatterlab.core.values import Row
from shatterlab.design.claims import Claim, Judgement, judge_together
from shatterlab.views import Grid, View
from shatterlab.views.view import plain

if TYPE_CHECKING:
    from shatterlab.design.experiment import Experiment

FALSE_ALARM = 1e-6 / 3  # of each statistical self-check
_WIDTH = 100  # characters a line of text
SHOWN = 1000  # trials in the table; all that failed or diverged come first
_CHECKS = {
    "batches_equal_sample": ("Batches", "The batches that the model was given equal the corrupted sample."),
    "unchanged_by_training": ("Sample unchanged", "Labels and sampled inputs have the same fingerprint before and after training."),
    "targets_equal_sample": ("Targets", "The targets of the training loss in these batches are the labels of the corrupted sample."),
    "test_labels_true": ("Test labels", "The labels of the test split stay true."),
    "inputs_untouched": ("Inputs untouched", "A corruption of labels leaves the inputs as they were."),
    "labels_untouched": ("Labels untouched", "A corruption of pixels leaves the labels as they were."),
    "inputs_changed": ("Inputs changed", "A corruption of pixels changes inputs, unless a permutation of few values or level 0 keeps them."),
    "same_when_read_again": ("Read again", "An input is corrupted in the same way whenever it is read."),
    "permuted": ("Permuted", "Inputs of both splits are rearranged, by one permutation or each by its own, and nothing else."),
    "permutation_p": ("Law of the permutations", "Permutations look uniform and independent: they keep few places and neighbours, and few are equal."),
    "noise_ignores_inputs": ("Noise alone", "Noise is the same whatever input it replaces, and another one in the other split."),
    "noise_p": ("Law of the noise", "Its values follow the normal law with the stated moments."),
    "labels_changed": ("Labels changed", "A corruption of labels that states no law changes labels."),
    "renamed_p": ("Not renamed", "The new label is no function of the true class, unless the corruption states that."),
    "changed_p": ("Changed labels", "Their number agrees with the law of the corruption, a sum of binomials."),
    "transition_p": ("Law of the labels", "New labels against true ones agree with the law of the corruption (G test)."),
    "class_counts_p": ("Drawn, not permuted", "Labels are drawn one by one: the classes are not exactly as large as before."),
    "class_counts_kept": ("Permuted, not drawn", "Labels are dealt out anew: each class is exactly as large as before."),
    "independence_p": ("Independence", "A fully random label says nothing of the true class (G test)."),
}
TRIAL_COLUMNS = (
    "setting", "model", "replicate", "train.error", "test.error", "fit.epochs", "fit.epochs_to_interpolation", "seconds", "status", "key"
)  # fmt: skip
_WORDS = ("setting", "model", "replicate", "status", "key")


@dataclass(frozen=True)
class ClaimLine:
    """A claim with what the rows say about it."""

    text: str
    verdict: str
    tag: str
    interval: str
    claimed: str
    n: int
    reason: str


@dataclass(frozen=True)
class Figure:
    """A view drawn: its chart, if it is one, its numbers, its place among the charts, and whether it may be folded away."""

    title: str
    caption: str
    spec: dict[str, Any] | None
    grid: Grid | None
    place: int
    aside: bool


@dataclass(frozen=True)
class Cell:
    """A cell of the table of trials: what it shows, and by what it is sorted."""

    column: str
    text: str
    value: float | str

    @property
    def number(self) -> bool:
        """Whether it belongs to a column of numbers."""
        return self.column not in _WORDS


@dataclass(frozen=True)
class TrialLine:
    """A row of the table of trials."""

    cells: tuple[Cell, ...]
    status: str
    key: str


@dataclass(frozen=True)
class Mishap:
    """One error with the trials that it ended, and the traceback of the first that has one."""

    error: str
    trials: tuple[str, ...]
    trace: str


@dataclass(frozen=True)
class CheckLine:
    """One self-check over all trials."""

    name: str
    meaning: str
    outcome: str
    smallest_p: str
    clean: bool


@dataclass(frozen=True)
class Checks:
    """The self-checks of all trials and how often they would alarm for nothing."""

    lines: tuple[CheckLine, ...]
    passed: int
    checked: int
    expected_alarms: str


def claims(experiment: Experiment, rows: Sequence[Row]) -> list[ClaimLine]:
    """Every claim of the experiment, judged by these rows."""
    return [
        ClaimLine(
            judged.claim.text,
            judged.verdict,
            judged.tag,
            _interval(judged),
            _claimed(judged.claim) + (f" ({judged.claim.reference})" if judged.claim.reference else ""),
            judged.n,
            judged.reason,
        )
        for judged in judge_together(experiment.claims, rows, experiment.scale)
    ]


def _claimed(claim: Claim) -> str:
    unit = "" if claim.ratio else claim.column
    if claim.low is None or claim.high is None:
        return f"at least {number(claim.low, unit)}" if claim.high is None else f"at most {number(claim.high, unit)}"
    low, high = number(claim.low, unit), number(claim.high, unit)
    return low if low == high else f"{low} to {high}"


def _interval(judged: Judgement) -> str:
    """The estimate with the ends of its interval that exist; without them below three replicates and where nothing is judged; of counts the reason says it."""
    interval, claim = judged.interval, judged.claim
    if interval is None or interval.method == "Clopper-Pearson":
        return ""
    column = "" if claim.ratio else claim.column
    if math.isnan(interval.estimate):
        if interval.low <= 0 and (claim.ratio or interval.low == -math.inf):
            return f"at most {number(interval.high, column)}" if math.isfinite(interval.high) else ""
        return f"≥ {number(interval.low, column)}"
    if judged.verdict != "not judged" and interval.n >= SHOWN_FROM and math.isfinite(interval.low) and math.isfinite(interval.high):
        return with_interval(interval.estimate, interval.low, interval.high, column)
    return number(interval.estimate, column)


def figures(views: Iterable[View], rows: Sequence[Row]) -> list[Figure]:
    """Every view of the experiment, drawn; charts first come as they are declared."""
    drawn: list[Figure] = []
    for view in views:
        spec, place = view.spec(rows), 1 + sum(figure.spec is not None for figure in drawn)
        aside = bool(getattr(view, "aside", False))  # a view of one's own need not inherit
        drawn.append(Figure(view.title, str((spec or {}).get("description", "")), _finite(spec), view.grid(rows), place, aside))
    return drawn


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def listed(rows: Iterable[Row]) -> list[Row]:
    """The rows but for further permutations of a permutation test that ended well."""
    return [row for row in rows if not _permutation(row) or row.get("status", "ok") != "ok"]


def trials(rows: Sequence[Row]) -> list[TrialLine]:
    """The listed rows as lines of a table; of more than 1,000 those that went wrong and the first of the rest."""
    rows = listed(rows)
    shown = sorted(rows, key=lambda row: row.get("status", "ok") == "ok") if len(rows) > SHOWN else rows
    return [TrialLine(tuple(_cell(row, name) for name in TRIAL_COLUMNS), str(row.get("status", "ok")), str(row.get("key", ""))) for row in shown[:SHOWN]]


def _cell(row: Row, column: str) -> Cell:
    if column in _WORDS:
        words = {"replicate": _replicate(row), "status": str(row.get("status", "ok")), "key": str(row.get("key", ""))}
        text = words.get(column) or str(value_of(row, column) or "")
        return Cell(column, text[:12] if column == "key" else text, text)
    value = row.get(column)
    text = number(float(value), column) if isinstance(value, int | float) else "-"
    if (bound := censoring(row, column)) is not None:
        text = f"≥ {number(bound, column)}"
    return Cell(column, text, float(value) if isinstance(value, int | float) and math.isfinite(value) else "")


def mishaps(rows: Sequence[Row]) -> list[Mishap]:
    """Every error once, with the trials that it ended."""
    ended = by((row for row in rows if row.get("error")), lambda row: str(row["error"]))
    traces = {error: next((str(row["trace"]) for row in group if row.get("trace")), "") for error, group in ended.items()}
    return [Mishap(error, tuple(map(_named, group)), traces[error]) for error, group in ended.items()]


def _named(row: Row) -> str:
    return f"{model(row)}, {setting(row)}, replicate {_replicate(row)} ({str(row.get('key', ''))[:12]})"


def _replicate(row: Row) -> str:
    four = seeds(row)
    if None in four:
        return "-"
    return str(four[0]) if len(set(four)) == 1 else "/".join(map(str, four))


def checks(rows: Sequence[Row]) -> Checks:
    """Which self-checks ran, in how many trials they passed, and the smallest p-value seen."""
    lines, tests = [], 0
    names = dict.fromkeys(column.removeprefix("check.") for row in rows for column in row if column.startswith("check."))
    for name in sorted(names, key=lambda name: list(_CHECKS).index(name) if name in _CHECKS else len(_CHECKS)):
        values: list[Any] = [row[f"check.{name}"] for row in rows if row.get(f"check.{name}") is not None]
        statistical = name.endswith("_p")
        judged = [value for value in values if (isinstance(value, float) if statistical else _yes_or_no(name, value))]
        if not judged or name == "passed":
            continue
        good = sum(float(value) > FALSE_ALARM if statistical else bool(value) for value in judged)
        tests += len(judged) if statistical else 0
        smallest = f"{min(map(float, judged)):.2g}" if statistical else "exact"
        title, meaning = _CHECKS.get(name, (heading(name), ""))
        lines.append(CheckLine(title, meaning, f"{good} of {len(judged)}", smallest, good == len(judged)))
    passed = [row["check.passed"] for row in rows if row.get("check.passed") in (True, False)]
    return Checks(tuple(lines), sum(map(bool, passed)), len(passed), f"{tests * FALSE_ALARM:.7f}".rstrip("0"))


def _yes_or_no(name: str, value: Any) -> bool:
    """Whether the value is an outcome; a database gives truth as 0 and 1, so of what is not known here only booleans are."""
    return isinstance(value, bool) or (name in _CHECKS and value in (0, 1))


def configuration(rows: Sequence[Row]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The columns of the specification that all rows share, with the value, and those that vary, with their values."""
    columns = dict.fromkeys(column for row in rows for column in row if column.startswith(SPECIFICATION))
    same: list[tuple[str, str]] = []
    varying: list[tuple[str, str]] = []
    for column in columns:
        values = dict.fromkeys(_shortened(text_of(row[column])) for row in rows if column in row)
        (same if len(values) == 1 else varying).append((column, _shortened(", ".join(values))))
    return same, varying


def _shortened(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def replicates(rows: Sequence[Row]) -> list[str]:
    """The replicates that occur, as the table of trials names them, in the order of their seeds."""
    names = {seeds(row): _replicate(row) for row in rows if None not in seeds(row) and not _permutation(row)}
    return list(dict.fromkeys(names[four] for four in sorted(names)))


def permutations(rows: Sequence[Row]) -> int:
    """How many permutations of the labels the permutation tests drew, those of first replicates counted."""
    drawn = {(model(row), row.get("seeds.data")) for row in rows if _permutation(row)}
    return sum(setting(row) == "permuted labels" and (model(row), row.get("seeds.data")) in drawn for row in rows)


def _permutation(row: Row) -> bool:
    return setting(row) == "permuted labels" and not value_of(row, "replicate")


def versions(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Each program that made the rows with its version; several where they differ."""
    names = dict.fromkeys(column for row in rows for column in row if column.startswith("version."))
    columns = sorted(names, key=lambda column: column != "version.shatterlab")
    return [(column.removeprefix("version."), ", ".join(dict.fromkeys(str(row[column]) for row in rows if row.get(column) is not None))) for column in columns]


def unfinished(experiment: Experiment, rows: Sequence[Row]) -> int:
    """How many of the experiment's trials have no row."""
    done = {row.get("key") for row in rows}
    return sum(trial.key not in done for trial in experiment.trials)


def counts(rows: Sequence[Row]) -> Counter[str]:
    """How many rows have each status."""
    return Counter(str(row.get("status", "ok")) for row in rows)


def headline(lines: Sequence[ClaimLine], rows: Sequence[Row]) -> list[str]:
    """A verdict for an experiment that gives none: how its claims fared, and no more than that."""
    if not rows:
        return ["There is no result yet: no trial has run."]
    if not counts(rows)["ok"]:
        return ["There is no result: no trial ended well."]
    if not lines:
        return ["No claim was put to the test; the figures and tables speak for themselves."]
    tally = Counter(line.tag for line in lines)
    if set(tally) <= {"not judged", "not at this scale"} and tally["not judged"]:
        return ["Everything ran. Smoke scale decides nothing: run it with --scale laptop for verdicts."]
    return [f"Of {len(lines)} {'claim' if len(lines) == 1 else 'claims'}: " + ", ".join(f"{count} {verdict}" for verdict, count in tally.items()) + "."]


def text_report(experiment: Experiment, rows: Iterable[Row], verdict: Sequence[str] = ()) -> str:
    """The result of an experiment, for a terminal of 100 columns.

    Args:
        experiment: its question, views and claims.
        rows: the results of its own trials (`Experiment.select` has them); each key counts once.
        verdict: the answer in plain words, the main sentence first; without one the claims are counted.
    """
    rows = unique(rows)
    judged = claims(experiment, rows)
    lines = list(verdict) or headline(judged, rows)
    parts = [_wrapped(f"{experiment.name}: {experiment.question}"), "\n".join(_wrapped(line, "  ") for line in lines)]
    if judged:
        parts.append("\n".join(["Claims", *map(_claim_text, judged)]))
    parts += [view.text(rows) for view in experiment.views]
    ended, errors = ending(rows, unfinished(experiment, rows))
    parts.append("\n".join([*ended, *(_wrapped(error, "  ") for error in errors)]))
    return "\n\n".join(parts)


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(plain(text), _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _claim_text(line: ClaimLine) -> str:
    numbers = f": {line.interval}, claimed {line.claimed} (n = {line.n})" if line.interval else ""
    first = textwrap.fill(plain(f"[{line.tag}] {line.text}{numbers}"), _WIDTH, initial_indent="  ", subsequent_indent="    ")
    return first + (f"\n{_wrapped(line.reason, '    ')}" if line.reason else "")


def ending(rows: Sequence[Row], missing: int) -> tuple[list[str], list[str]]:
    """How the trials ended, in lines: how many with which status, and how many passed their self-checks; and each error once."""
    checked, ended = checks(rows), ", ".join(f"{count} {status}" for status, count in counts(rows).items()) or "none"
    lines = [f"Trials: {ended}{f', {missing} not run yet' if missing else ''}."]
    if checked.checked:
        lines.append(f"Self-checks: passed in {checked.passed} of {checked.checked} trials.")
    return [*lines, *mixed_origins(rows)], list(dict.fromkeys(str(row["error"]) for row in rows if row.get("error")))
