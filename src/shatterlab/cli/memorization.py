"""The command `memorization`: which training examples does a model get right only because it was trained on them?"""

from __future__ import annotations

from pathlib import Path

from shatterlab.cli.study_options import StudyOptions, show, tell
from shatterlab.cli.terminal import exit_code, require_writable
from shatterlab.core.errors import InvalidPart


def memorization(
    *,
    options: StudyOptions = StudyOptions(),
    trials: int | None = None,
    error: float | None = None,
    share: float = 0.7,
    exact: bool = True,
    level: float = 0.0,
    output: Path = Path("shatterlab-memorization.html"),
) -> int:
    """Which training examples does your model get right only because it was trained on them? Exact where the model allows it, else by many fits.

    Args:
        options: Which model, on which data, and where its trials run.
        trials: Fits on random subsets, 10 or more. Default: as many as --error needs, else 200.
        error: The error that each value may have, 0.1, say.
        share: Of the examples, inside in each fit.
        exact: Whether exact values are taken where the model has them.
        level: The share of labels that are redrawn first, in [0, 1].
        output: The report: .html, .md or .json.
    """
    from shatterlab.corruptions.labels import PartialLabels
    from shatterlab.studies.memorization import memorization as study
    from shatterlab.studies.run import form_of

    if options.model is None and options.recipe is None:
        raise InvalidPart("memorization: --model or --recipe is required, got neither. Name one.")
    form, corruption = form_of(output), PartialLabels(level)
    require_writable(output)
    result = options.run(study, trials=trials, error=error, share=share, exact=exact, corruption=corruption, tell=tell)
    show(result, output, form)
    return exit_code(result.rows)
