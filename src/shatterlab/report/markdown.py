"""The report as Markdown, for a pull request or a notebook: verdict, claims, tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from shatterlab.analysis.naming import capital
from shatterlab.analysis.replicates import unique
from shatterlab.core.errors import printable
from shatterlab.core.values import Row
from shatterlab.report import sections
from shatterlab.views import Grid

if TYPE_CHECKING:
    from shatterlab.design.experiment import Experiment


def markdown_report(experiment: Experiment, rows: Iterable[Row], verdict: Sequence[str] = (), reproduce: Sequence[str] = ()) -> str:
    """The result of an experiment as Markdown: verdict, claims, the table of each view, what went wrong, how to run it again.

    Args:
        experiment: its question, views and claims.
        rows: the results of its own trials; each key counts once.
        verdict: the answer in plain words, the main sentence first; without one the claims are counted.
        reproduce: the commands that make this report again.
    """
    rows = unique(rows)
    judged = sections.claims(experiment, rows)
    main, *others = list(verdict) or sections.headline(judged, rows)
    parts = [f"# {escaped(experiment.question)}", f"**{escaped(main)}**", _list(map(escaped, others))]
    if judged:
        parts += ["## Claims", _list(_claim(line) for line in judged)]
    for view in experiment.views:
        grid = view.grid(rows)
        parts += [f"## {escaped(view.title)}", table(grid) if grid else "No trial has anything to show here."]
        parts.append(_list(escaped(capital(note)) for note in grid.notes) if grid else "")
    ended, errors = sections.ending(rows, sections.unfinished(experiment, rows))
    parts += ["## Trials", _list(map(escaped, [*ended, *errors]))]
    parts += [_code(reproduce) if reproduce else ""]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(grid: Grid) -> str:
    """The table in the form that GitHub and Jupyter read; keys are aligned left, the rest right."""
    rules = [":--" if column < grid.keys else "--:" for column in range(len(grid.headers))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (map(_cell, map(capital, grid.headers)), rules, *(map(_cell, row) for row in grid.rows)))


def escaped(text: str) -> str:
    r"""The text on one line, with nothing left that Markdown or HTML would read as a sign of theirs.

    Example:
        >>> print(escaped("a|b <i> [x](y)"))
        a\|b \<i\> \[x\](y)
    """
    return re.sub(r"^([#+=-]|\d+(?=[.)](?:\s|$)))", lambda match: f"\\{match[0]}" if not match[0].isdigit() else f"{match[0]}\\", _inline(text))


def _inline(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", printable(" ".join(text.split())))


def _cell(text: str) -> str:
    return _inline(text) or " "


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _claim(line: sections.ClaimLine) -> str:
    numbers = f": {line.interval}, claimed {line.claimed} (n = {line.n})" if line.interval else ""
    return f"**{escaped(line.tag)}**: {escaped(line.text + numbers)}" + (f" {escaped(capital(line.reason))}" if line.reason else "")


def _code(lines: Sequence[str]) -> str:
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
    return "\n".join([f"{fence}text", *(printable(line) for line in lines), fence])
