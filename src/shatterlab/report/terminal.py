"""The report as text: verdict first, then claims, then what every view says."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from shatterlab.analysis.replicates import unique
from shatterlab.core.values import Row
from shatterlab.report.sections import Checks, ClaimLine, checks, claims, counts, headline, unfinished
from shatterlab.views.view import plain

if TYPE_CHECKING:
    from shatterlab.design.experiment import Experiment

_WIDTH = 100


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
        parts.append("\n".join(["Claims", *map(_claim, judged)]))
    parts += [view.text(rows) for view in experiment.views]
    parts.append(_ending(rows, checks(rows), unfinished(experiment, rows)))
    return "\n\n".join(parts)


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(plain(text), _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _claim(line: ClaimLine) -> str:
    numbers = f": {line.interval}, claimed {line.claimed} (n = {line.n})" if line.interval else ""
    first = textwrap.fill(plain(f"[{line.verdict}] {line.text}{numbers}"), _WIDTH, initial_indent="  ", subsequent_indent="    ")
    return first + (f"\n{_wrapped(line.reason, '    ')}" if line.reason else "")


def _ending(rows: Sequence[Row], checked: Checks, missing: int) -> str:
    ended = ", ".join(f"{count} {status}" for status, count in counts(rows).items()) or "none"
    lines = [f"Trials: {ended}{f', {missing} not run yet' if missing else ''}."]
    if checked.checked:
        lines.append(f"Self-checks: passed in {checked.passed} of {checked.checked} trials.")
    errors = dict.fromkeys(str(row["error"]) for row in rows if row.get("error"))
    return "\n".join(lines + [_wrapped(error, "  ") for error in errors])
