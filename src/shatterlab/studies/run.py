"""An experiment run to its end: its trials, and those that it proposes on seeing their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from shatterlab.core import Part, Row, Runtime
from shatterlab.core.errors import ShatterlabError
from shatterlab.core.part import canonical
from shatterlab.design.experiment import Experiment
from shatterlab.executors.drive import drive
from shatterlab.executors.in_process import InProcess
from shatterlab.executors.local import LocalPool
from shatterlab.learners.training import Training
from shatterlab.store.database import Store
from shatterlab.trials.trial import Trial, sample


def complete(
    experiment: Experiment,
    store: Store | Path | str | None = None,
    workers: int = 0,
    runtime: Runtime = Runtime(),
    on_row: Callable[[Row, int, int], None] | None = None,
) -> list[Row]:
    """Runs what the store is missing of an experiment until it proposes nothing more.

    Args:
        experiment: what to run.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many were to do.

    Returns:
        One row a trial, in the order of the trials.

    Raises:
        ShatterlabError: every trial that is missing would fail: its data is missing, say, or its model cannot be built.
    """
    opened = store if isinstance(store, Store) else Store(store or ":memory:")
    executor = LocalPool(workers, runtime.threads) if workers else InProcess()
    try:
        preflight(opened.missing(experiment.trials), runtime)
        rows = drive(experiment.trials, opened, executor, runtime, on_row)
        while further := experiment.further(rows):
            rows += drive(further, opened, executor, runtime, on_row)
        return rows
    finally:
        executor.shutdown()
        if opened is not store:
            opened.close()


def preflight(trials: Iterable[Trial], runtime: Runtime) -> None:
    """Loads each data set and builds each model once, so that a mistake costs seconds and shows where it is.

    What only some of the trials would fail with is left to their rows.

    Raises:
        ShatterlabError: what the first of them would fail with, where all of them would.
    """
    distinct = {(_family(trial), canonical(trial.learner.describe())): trial for trial in trials}
    problems = [_problem(trial, runtime) for trial in distinct.values()]
    first = next(filter(None, problems), None)
    if first is not None and all(problems):
        raise first


def _problem(trial: Trial, runtime: Runtime) -> ShatterlabError | None:
    try:
        train = sample(trial.dataset, runtime, trial.seeds).train
        if isinstance(trial.learner, Training):
            trial.learner.build(train, trial.seeds, runtime)
        for part in trial.learner.parts():
            Part.fingerprints(part)
    except ShatterlabError as problem:
        return problem
    return None


def _family(trial: Trial) -> str:
    """The data set, whatever its size: subsamples of one are loaded once."""
    return canonical({name: value for name, value in trial.dataset.describe().items() if name not in ("examples", "test_examples")})
