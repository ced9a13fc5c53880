"""Training loss by epoch on true labels, random labels and shuffled, random and Gaussian pixels."""

from __future__ import annotations

from collections.abc import Iterator

from shatterlab.analysis.naming import model as model_name
from shatterlab.core import Dataset, Learner
from shatterlab.design.experiment import Claim, Experiment, Scale
from shatterlab.experiments.paper._figure1 import SETTINGS, TIME, Contender, alexnet, inception, losses, smoke
from shatterlab.views import Curve, LearningCurves, Scatter, Table

FIGURE = "Figure 1(a)"
_RANDOM = {"corruption.kind": "PartialLabels", "corruption.level": 1.0}
_TRUE = {"corruption.kind": "PartialLabels", "corruption.level": 0.0}
_SHUFFLED, _GAUSSIAN, _PIXELS = ({"corruption.kind": kind} for kind in ("ShuffledPixels", "GaussianPixels", "RandomPixels"))


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """Smoke: digits and an MLP. Laptop: AlexNet and a quarter-width Inception on 300 images. Paper: the small Inception.

    Args:
        scale: how large.
        learner: a recipe of the user's in place of these, on `dataset`.
        dataset: what it is tried on.
    """
    contenders = scale.pick(smoke=[smoke(scale)], laptop=[alexnet(scale), inception(scale)], paper=[inception(scale)])
    if learner is not None and dataset is not None:
        contenders = [Contender(dataset, learner)]
    trials = sum((each.trials(SETTINGS, scale.replicates) for each in contenders), ())
    models = list(dict.fromkeys(model_name(trial.specification()) for trial in trials))
    return Experiment(
        name="figure1a",
        source="Zhang et al. 2017, Figure 1(a)",
        question="How fast does the training loss fall on true labels, and how much slower on noise?",
        trials=trials,
        views=(
            *(LearningCurves("train.loss", title=f"Training loss of {each}", where={"model": each}, reference=_published(each, scale)) for each in models),
            Table(("model", "setting"), ("train.error", "test.accuracy", TIME, "fit.epochs_to_interpolation")),
            Curve("setting", TIME, by="model", title="Epochs to a training loss of 0.05"),
            Scatter("fit.epochs_to_interpolation", "test.error", by="setting", title="Test error against time to fit"),
        ),
        claims=ANY_NET if learner is not None else (*ANY_NET, *TEN_CLASSES),
        scale=scale.name,
    )


def _published(model: str, scale: Scale) -> list[dict[str, object]] | None:
    """The paper's curves are the small Inception's on all 50,000 images."""
    return losses() if model == "SmallInception" and scale.name != "smoke" else None


def _order() -> Iterator[Claim]:
    """The published order of convergence, pair by neighbouring pair, at a margin of one epoch."""
    steps = (
        ("shuffled pixels take longer than true labels", _SHUFFLED, _TRUE),
        ("Gaussian pixels take longer than shuffled pixels", _GAUSSIAN, _SHUFFLED),
        ("random pixels take longer than Gaussian pixels", _PIXELS, _GAUSSIAN),
        ("random labels take longer than random pixels", _RANDOM, _PIXELS),
    )
    for text, where, versus in steps:
        yield Claim(f"to a loss of 0.05, {text}", TIME, where, versus=versus, low=1.0, scales=("paper",), reference=FIGURE)


ANY_NET = (
    Claim("every setting is fitted: training error is zero", "train.error", high=0.0, scales=("smoke", "laptop"), reference=FIGURE),
    Claim("true labels are learned: test accuracy is at least 0.1 above that of random labels", "test.accuracy", _TRUE, versus=_RANDOM, low=0.1),
)
TEN_CLASSES = (
    Claim("random labels are fitted: training accuracy is at least 0.993", "train.accuracy", _RANDOM, low=0.993, scales=("paper",), reference="Table 1"),
    Claim("under random labels, test accuracy is chance to within 5 points", "test.accuracy", _RANDOM, low=0.05, high=0.15, reference="Table 1"),
    *_order(),
)
