"""The main job: does this recipe fit noise as well as it fits the data?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shatterlab.analysis.naming import model as model_name
from shatterlab.core import Dataset, Learner, Row, Runtime, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.corruptions.gaussian_pixels import GaussianPixels
from shatterlab.corruptions.partial_labels import PartialLabels, RandomLabels, TrueLabels
from shatterlab.corruptions.random_pixels import RandomPixels
from shatterlab.corruptions.shuffled_pixels import ShuffledPixels
from shatterlab.design.experiment import Claim, Experiment
from shatterlab.learners.training import Training
from shatterlab.store.database import Store
from shatterlab.studies.answer import Answer
from shatterlab.studies.audit_verdict import Finding, findings, verdict
from shatterlab.studies.model_and_data import dataset, learners
from shatterlab.studies.run import complete
from shatterlab.trials.trial import Trial, sample
from shatterlab.views import Curve, LearningCurves, Table

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
QUESTION = "Does this recipe fit noise as well as it fits the data, and what does its training score then certify?"
_RANDOM = {"corruption.kind": "PartialLabels", "corruption.level": 1.0}
_LABELS = {"corruption.kind": "PartialLabels"}
_TRUE = {"corruption.kind": "PartialLabels", "corruption.level": 0.0}


@dataclass(frozen=True)
class Audit(Answer):
    """The result of an audit.

    Args:
        experiment: what was asked.
        rows: one a trial.
        reproduce: the commands or calls that give it again.
    """

    @property
    def findings(self) -> list[Finding]:
        """The verdict on each recipe."""
        return findings(self.rows)

    @property
    def verdict(self) -> str:
        """The answer in plain words: a line a recipe, led by a summary where there are several."""
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
    on_row: Callable[[Row, int, int], None] | None = None,
    reproduce: Sequence[str] = (),
    **recipe: Any,
) -> Audit:
    """Trains the same recipe on true, partially random and random labels and on shuffled, random and Gaussian pixels.

    Args:
        model: a callable that makes a `torch.nn.Module`, "module:factory", the name of an architecture, a
            scikit-learn estimator or a Learner; None: an MLP and a small convolutional net.
        data: a Dataset, the name of one, an .npz file or a folder of class folders; None: scikit-learn's digits.
        replicates: runs of each setting, each with its own labels, noise, initial weights and order, >= 1.
        levels: corruption levels in [0, 1] of the sweep; 0 (true labels) and 1 (random labels) are always added.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many were to do.
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
    source = dataset(data)
    train = sample(source, runtime, Seeds.replicate(0)).train
    recipes = learners(model, len(train), **recipe)
    experiment = plan(recipes, source, replicates, levels)
    rows = complete(experiment, store, workers, runtime, on_row)
    return Audit(experiment, tuple(rows), tuple(reproduce))


def plan(recipes: Sequence[Learner], data: Dataset, replicates: int = 5, levels: Sequence[float] = LEVELS) -> Experiment:
    """The audit as an experiment: five settings and a sweep of levels, replicates outermost so that an early look is balanced."""
    if replicates < 1:
        raise InvalidPart(f"audit: replicates is a whole number >= 1, got {replicates}. Three give an interval.")
    sweep = [PartialLabels(level) for level in sorted({0.0, 1.0, *map(float, levels)})]
    corruptions = [TrueLabels(), RandomLabels(), *sweep, ShuffledPixels(), RandomPixels(), GaussianPixels()]
    trials = [Trial(data, corruption, recipe, Seeds.replicate(r)) for r in range(replicates) for recipe in recipes for corruption in corruptions]
    epochs = any(isinstance(recipe, Training) for recipe in recipes)
    return Experiment(
        name="audit",
        source="Zhang et al. 2017, section 2.1",
        question=QUESTION,
        trials=tuple({trial.key: trial for trial in trials}.values()),
        views=_views(list(dict.fromkeys(model_name(trial.specification()) for trial in trials)), epochs),
        claims=(
            Claim("random labels are fitted: training error on them is zero", "train.error", where=_RANDOM, low=0.0, high=0.0),
            Claim("under random labels, test accuracy falls below that of true labels", "test.accuracy", where=_RANDOM, versus=_TRUE, high=0.0),
        ),
    )


def _views(models: Sequence[str], epochs: bool) -> tuple[Any, ...]:
    time = "fit.epochs_to_interpolation"
    table = Table(rows=("model", "setting"), columns=("train.accuracy", "test.accuracy", *((time,) if epochs else ())), title="The settings")
    error = Curve(x="corruption.level", y="test.error", by="model", title="Test error against corruption level", where=_LABELS)
    if not epochs:
        return (table, error)
    learning = [
        LearningCurves(y=y, by="setting", title=f"{heading} of {model}", where={"model": model})
        for model in models
        for y, heading in (("train.loss", "Training loss"), ("test.accuracy", "Test accuracy"))
    ]
    times = Curve(x="corruption.level", y=time, by="model", title="Epochs to zero training error against corruption level", where=_LABELS)
    return (table, *learning, times, error)
