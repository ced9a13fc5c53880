"""The command `suspicious`: which labels look wrong?"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from shatterlab.cli.study_options import StudyOptions, show
from shatterlab.cli.terminal import exit_code, require_writable


def suspicious(
    *,
    options: StudyOptions = StudyOptions(),
    folds: int = 5,
    replicates: int = 1,
    rank: Literal["margin", "self_confidence"] = "margin",
    output: Path = Path("shatterlab-suspicious.html"),
    csv: Path | None = None,
) -> int:
    """Which labels look wrong? Cross-validates your model and ranks the labels by how much fits that did not see them contradict them.

    Groups of a table share a fold, a time makes folds blocks of time, and with a split the rows for training are judged.

    Args:
        options: Which model, on which data, and where its trials run.
        folds: Of the cross-validation.
        replicates: Cross-validations, each with its own folds and seeds, whose probabilities are averaged.
        rank: What orders the list: the margin of the label over the likeliest other class, or its probability.
        output: The report, with thumbnails or row values: .html, .md or .json.
        csv: A file for the whole list.
    """
    from shatterlab.studies.run import form_of
    from shatterlab.studies.suspicious import suspicious as study

    form = form_of(output)
    for file in filter(None, (output, csv)):
        require_writable(file)
    result = options.run(study, folds=folds, replicates=replicates, rank=rank)
    show(result, output, form)
    if csv is not None:
        print(f"List: {result.to_csv(csv)}")
    return exit_code(result.rows)
