"""The command `audit`: is my score real, and how much of it could be memory?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from shatterlab.cli.study_options import StudyOptions, show, tell
from shatterlab.cli.terminal import exit_code, require_writable

if TYPE_CHECKING:
    from shatterlab.studies.audit import Audit
    from shatterlab.studies.gate import Condition

GATE_FAILED = 6  # exit code


def audit(
    *,
    options: StudyOptions = StudyOptions(),
    quick: bool = False,
    budget: str | None = None,
    permutations: int | None = None,
    replicates: int | None = None,
    levels: Annotated[tuple[float, ...], Parameter(consume_multiple=True)] = (0.0, 0.25, 0.5, 0.75, 1.0),
    output: Path | None = None,
    form: Annotated[Literal["html", "md", "json"] | None, Parameter(name="--format")] = None,
    fail_if: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    junit: Path | None = None,
) -> int:
    """Is your score real, and how much of what your model shows in training could be memory? Trains it on true and on permuted labels, and reports.

    Args:
        options: Which model, on which data, and where its trials run.
        quick: True and permuted labels only, with as many permutations as ten seconds of training allow, 19 at least.
        budget: The time that the trainings may take, "90s", "10m" or "2h": it chooses replicates and permutations.
        permutations: Of the first replicate's labels at most, 19 or more; 0 for no test. Default: 39 to 999, as many as about a minute allows.
        replicates: Runs of each setting. Default: 5, or fewer where a training takes long.
        levels: Shares of the labels that are permuted, in [0, 1]; 0 (true labels) and 1 (all) are always added.
        output: The report. Default: shatterlab-audit.html, or .md or .json.
        form: The report as one HTML page, as Markdown with all tables, or as JSON. Default: what the name of the output ends in.
        fail_if: A condition under which the command ends with exit code 6, "p > 0.01", say; again for each further one. Names: p, score, baseline, gain,
            memory, failed, duplicates, leaks, conflicts, problems.
        junit: A file for the conditions as JUnit XML.
    """
    from shatterlab.studies.audit import audit as study
    from shatterlab.studies.audit_plan import budget_of
    from shatterlab.studies.gate import Condition
    from shatterlab.studies.run import form_of

    output = output or Path(f"shatterlab-audit.{form or 'html'}")
    form = form or form_of(output)
    for file in filter(None, (output, junit)):
        require_writable(file)
    conditions = [Condition.of(condition) for condition in fail_if]
    amount = {"quick": quick, "budget": None if budget is None else budget_of(budget), "permutations": permutations, "replicates": replicates}
    result = options.run(study, levels=levels, tell=tell, **amount)
    show(result, output, form)
    gated = _gated(result, conditions, junit)  # said and written although trials failed
    return exit_code(result.rows) or gated


def _gated(result: Audit, conditions: Sequence[Condition], junit: Path | None) -> int:
    """What the conditions say of an audit, printed and written; the exit code of the gate."""
    from shatterlab.report import write
    from shatterlab.studies import gate

    outcomes = gate.gate(result, conditions)
    for outcome in outcomes:
        print(outcome.text)
    if junit is not None:
        write(junit, gate.junit(outcomes, result.verdict))
    return GATE_FAILED if any(outcome.failed for outcome in outcomes) else 0
