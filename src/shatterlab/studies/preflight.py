"""Whether trials can run at all: seen in seconds, before the first of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace

from shatterlab.core import Examples, Learner, Part, Runtime, Seeds
from shatterlab.core.errors import DataError, ShatterlabError
from shatterlab.core.losses import results_of
from shatterlab.core.part import canonical
from shatterlab.core.user_code import user_code
from shatterlab.learners.training import Training
from shatterlab.studies.data_findings import unusable
from shatterlab.studies.first_try import OF_A_NETWORK, few, quick, users_own
from shatterlab.trials.trial import Trial, sample, surroundings


def preflight(trials: Iterable[Trial], runtime: Runtime) -> None:
    """Loads each data set, builds each model and tries the user's own code once, so that a mistake costs seconds and shows where it is.

    What only some of the trials would fail with is left to their rows.

    Raises:
        ShatterlabError: what the first of them would fail with, where all of them would.
    """
    distinct = {(_family(trial), canonical(trial.learner.describe())): trial for trial in trials}
    tried: dict[tuple[str, str], ShatterlabError | None] = {}
    problems = [_problem(trial, runtime, tried) for trial in distinct.values()]
    first = next(filter(None, problems), None)
    if first is not None and all(problems):
        raise first


def _problem(trial: Trial, runtime: Runtime, tried: dict[tuple[str, str], ShatterlabError | None]) -> ShatterlabError | None:
    try:
        splits = sample(trial.dataset, runtime, trial.seeds)
        train = splits.train
        trial.learner.require_inputs(train)
        for finding in unusable(trial.learner, splits):
            raise DataError(f"Estimator: {finding.sentence}")
        if isinstance(trial.learner, Training):
            trial.learner.build(train, trial.seeds, runtime)
        for part in trial.learner.parts():
            Part.fingerprints(part)
    except ShatterlabError as problem:
        return problem
    own = users_own(trial.learner)
    if own is None:
        return None
    name = _family(trial), canonical(own.describe())
    if name not in tried:
        tried[name] = _first_try(own, train, trial.seeds, replace(runtime, checkpoints=None))
    return tried[name]


def _first_try(learner: Learner, train: Examples, seeds: Seeds, runtime: Runtime) -> ShatterlabError | None:
    """What fitting and scoring fails with on the whole training split, which is tried only where a few examples fail."""
    learner, most = quick(learner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a few examples
        if _failure(learner, few(train, most), seeds, runtime) is None:
            return None
    return _failure(learner, train, seeds, runtime)


def _failure(learner: Learner, sample: Examples, seeds: Seeds, runtime: Runtime) -> ShatterlabError | None:
    try:
        with surroundings(runtime), user_code(f"{learner.kind}: the first try"):
            fit = learner.fit(sample, seeds, None, runtime)
            results_of(fit.scores, few(sample, OF_A_NETWORK), fit.output)
    except ShatterlabError as problem:
        return problem
    return None


def _family(trial: Trial) -> str:
    # subsamples of one data set are loaded once
    return canonical({name: value for name, value in trial.dataset.describe().items() if name not in ("examples", "test_examples")})
