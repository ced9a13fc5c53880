"""The audit: does this recipe fit noise as well as it fits the data?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shatterlab.analysis.naming import model as model_name
from shatterlab.core import Dataset, Learner, Runtime, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.corruptions.labels import PartialLabels
from shatterlab.design.claims import difference, mean
from shatterlab.design.experiment import Experiment, grid, once
from shatterlab.design.settings import FIVE_SETTINGS, LABELS, RANDOM, TRUE, TRUE_AND_RANDOM
from shatterlab.learners.training import Training
from shatterlab.store.database import Store
from shatterlab.studies.audit_verdict import Finding, findings, verdict
from shatterlab.studies.run import OnRow, Study, StudyResult
from shatterlab.trials.trial import Trial
from shatterlab.views import Curve, LearningCurves, Table

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
QUESTION = "Does this recipe fit noise as well as it fits the data, and what does its training score then certify?"


@dataclass(frozen=True)
class Audit(StudyResult):
    """The result of an audit."""

    @property
    def findings(self) -> list[Finding]:
        """The verdict on each recipe."""
        return findings(self.rows)

    @property
    def verdict(self) -> str:
        """One line a recipe, after a summary where there are several."""
        return "\n".join(verdict(self.findings))


def audit(
    model: Any = None,
    data: Any = None,
    *,
    replicates: int = 5,
    levels: Sequence[float] = LEVELS,
    store: Store | Path | str | None = None,
    workers: int = 0,
    runtime: Runtime = Runtime(),
    on_row: OnRow | None = None,
    reproduce: Sequence[str] = (),
    **recipe: Any,
) -> Audit:
    """Trains the same recipe on true, partially random and random labels and on shuffled, random and Gaussian pixels.

    Args:
        model: a callable that returns a `torch.nn.Module`, "module:factory", the name of an architecture, a
            scikit-learn estimator or a Learner; None: an MLP and a small convolutional net.
        data: a Dataset, the name of one, an .npz file or a folder of class folders; None: scikit-learn's digits.
        replicates: runs of each setting, each with its own labels, noise, initial weights and order, >= 1.
        levels: corruption levels in [0, 1] of the sweep; 0 (true labels) and 1 (random labels) are always added.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.
        reproduce: commands to print in the report.
        recipe: fields of `Training` for a torch model: `epochs` (by default 100, or 5,000 steps where these are
            more), `batch_size` (64), `stop`, ..., and `lr` (0.01; 0.05 for the two default nets).

    Raises:
        InvalidPart: a live module, an unknown kind of model or data, or a field out of range.
        DataError: the data is missing, damaged or unusable.
        UserCodeError: the factory fails.

    Source:
        Zhang et al. 2017, section 2.
    """
    study = Study("audit", model, data, recipe, store, workers, runtime, on_row, reproduce)
    return study.result(Audit, plan(study.learners(), study.dataset, replicates, levels))


def plan(recipes: Sequence[Learner], data: Dataset, replicates: int = 5, levels: Sequence[float] = LEVELS) -> Experiment:
    """The audit as an experiment: five settings and a sweep of levels, replicates outermost so that an early look is balanced."""
    if replicates < 1:
        raise InvalidPart(f"audit: replicates is a whole number >= 1, got {replicates}. Three give an interval.")
    sweep = [PartialLabels(level) for level in sorted({0.0, 1.0, *map(float, levels)})]
    corruptions = [*TRUE_AND_RANDOM, *sweep, *FIVE_SETTINGS]
    trials = once(grid(Trial, seeds=[Seeds.replicate(r) for r in range(replicates)], learner=recipes, dataset=[data], corruption=corruptions))
    epochs = any(isinstance(recipe, Training) for recipe in recipes)
    return Experiment(
        name="audit",
        source="Zhang et al. 2017, section 2.1",
        question=QUESTION,
        trials=trials,
        views=_views(list(dict.fromkeys(model_name(trial.specification()) for trial in trials)), epochs),
        claims=(
            mean("random labels are fitted: training error on them is zero", "train.error", RANDOM, low=0.0, high=0.0),
            difference("under random labels, test accuracy falls below that of true labels", "test.accuracy", RANDOM, TRUE, high=0.0),
        ),
    )


def _views(models: Sequence[str], epochs: bool) -> tuple[Any, ...]:
    time = "fit.epochs_to_interpolation"
    table = Table(rows=("model", "setting"), columns=("train.accuracy", "test.accuracy", *((time,) if epochs else ())), title="The settings")
    error = Curve(x="corruption.level", y="test.error", by="model", title="Test error against corruption level", where=LABELS)
    if not epochs:
        return (table, error)
    learning = [
        LearningCurves(y=y, by="setting", title=f"{heading} of {model}", where={"model": model})
        for model in models
        for y, heading in (("train.loss", "Training loss"), ("test.accuracy", "Test accuracy"))
    ]
    times = Curve(x="corruption.level", y=time, by="model", title="Epochs to zero training error against corruption level", where=LABELS)
    return (table, *learning, times, error)
