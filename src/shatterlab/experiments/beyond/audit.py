"""The randomization tests of the two default recipes: true and random labels, a sweep of levels, three kinds of noise pixels."""

from __future__ import annotations

from shatterlab import Experiment, Scale
from shatterlab.analysis.naming import model as model_name
from shatterlab.corruptions.labels import PartialLabels
from shatterlab.design.claims import difference, every
from shatterlab.design.experiment import grid, once
from shatterlab.design.settings import FIVE_SETTINGS, LABELS, RANDOM, TRUE, TRUE_AND_RANDOM
from shatterlab.studies.model_and_data import dataset, learners
from shatterlab.trials.trial import Trial
from shatterlab.views import Curve, LearningCurves, Table

_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
_TIME = "fit.epochs_to_interpolation"


def experiment(scale: Scale) -> Experiment:
    """The two default recipes on digits, at any scale; replicates outermost, so that an early look is balanced."""
    corruptions = [*TRUE_AND_RANDOM, *map(PartialLabels, _LEVELS), *FIVE_SETTINGS]
    trials = once(grid(Trial, seeds=scale.seeds, learner=learners(), dataset=[dataset()], corruption=corruptions))
    models = list(dict.fromkeys(model_name(trial.specification()) for trial in trials))
    claims = (
        every("random labels are fitted: training error on them is zero", "train.error", RANDOM, low=0.0, high=0.0),
        difference("under random labels, test accuracy falls below that of true labels", "test.accuracy", RANDOM, TRUE, high=0.0),
    )
    question = "Does a recipe fit noise as well as it fits the data, and what does its training score then certify?"
    return Experiment("audit", "Zhang et al. 2017, section 2.1", question, trials, _views(models), claims, scale.name)


def _views(models: list[str]) -> tuple[Table | LearningCurves | Curve, ...]:
    table = Table(rows=("model", "setting"), columns=("train.accuracy", "test.accuracy", _TIME), title="The settings")
    learning = [
        LearningCurves(y=y, by="setting", title=f"{heading} of {model}", where={"model": model})
        for model in models
        for y, heading in (("train.loss", "Training loss"), ("test.accuracy", "Test accuracy"))
    ]
    times = Curve(x="corruption.level", y=_TIME, by="model", title="Epochs to zero training error against corruption level", where=LABELS)
    error = Curve(x="corruption.level", y="test.error", by="model", title="Test error against corruption level", where=LABELS)
    return (table, *learning, times, error)
