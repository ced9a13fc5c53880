"""The command `memorization`: which training examples does a model get right only because it was trained on them?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from shatterlab.cli.options import STORE, without_none
from shatterlab.cli.terminal import exit_code, interruptible, require_writable, workers_or_cores


def memorization(
    *,
    model: str,
    data: Path | str | None = None,
    target: str | None = None,
    arguments: Annotated[tuple[str, ...], Parameter(name="--set")] = (),
    trials: int | None = None,
    error: float | None = None,
    share: float = 0.7,
    exact: bool = True,
    level: float = 0.0,
    examples: int | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    store: Path = STORE,
    output: Path = Path("shatterlab-memorization.html"),
    workers: int | None = None,
    device: str = "cpu",
    trial_timeout: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None,
) -> int:
    """Which training examples does your model get right only because it was trained on them? Exact where the model allows it, else by many fits.

    Args:
        model: "module:factory" (a torch module's), "path/to/file.py:factory", a scikit-learn class as
            "sklearn.ensemble:RandomForestClassifier", or an architecture of `shatterlab list`.
        data: An .npz, .csv or .parquet file, a folder of class folders, or a data set of `shatterlab list`. Default: digits.
        target: The column of a table with the classes.
        arguments: An argument of a scikit-learn class, "n_estimators=200", or a field of a torch model's optimizer or training; again for each further one.
        trials: Fits on random subsets, 10 or more. Default: as many as --error needs, else 200.
        error: The error that each value may have, 0.1, say.
        share: Of the examples, inside in each fit.
        exact: Whether exact values are taken where the model has them.
        level: The share of labels that are redrawn first, in [0, 1].
        examples: Keep only so many training examples, class-stratified.
        epochs: Budget of a torch model. Default: 100, or 5,000 steps where these are more.
        lr: Initial learning rate of a torch model. Default: 0.01.
        batch_size: Examples a step of a torch model. Default: 64.
        store: Where rows are kept; rows already there are not computed again.
        output: The report: .html, .md or .json.
        workers: Processes; default: one a core.
        device: Where trials run: cpu or cuda.
        trial_timeout: Seconds after which a trial is ended and counts as failed. Default: no limit.
    """
    from shatterlab.core import Corruption, Runtime
    from shatterlab.core.catalog import build
    from shatterlab.studies import model_and_data as user
    from shatterlab.studies.memorization import memorization as run_memorization
    from shatterlab.studies.progress import ProgressLine
    from shatterlab.studies.run import form_of

    form, corruption = form_of(output), build({"kind": "PartialLabels", "level": level})
    assert isinstance(corruption, Corruption)
    require_writable(output)
    options = without_none(epochs=epochs, lr=lr, batch_size=batch_size)
    learner, recipe = user.model_from_options(model, None, options, "memorization", arguments)
    with ProgressLine() as progress, interruptible(store):
        result = run_memorization(
            learner,
            user.dataset(data, examples, target=target),
            trials=trials,
            error=error,
            share=share,
            exact=exact,
            corruption=corruption,
            store=store,
            workers=workers_or_cores(workers),
            runtime=Runtime(device=device, trial_timeout=trial_timeout),
            on_row=progress,
            tell=lambda text: print(text, file=sys.stderr),
            reproduce=(shlex.join(["shatterlab", *sys.argv[1:]]),),
            **recipe,
        )
    result.save(output, form)
    print(result.text())
    print(f"\nReport: {output}")
    return exit_code(result.rows)
