"""Test error against label corruption, for networks that fit every training label."""

from __future__ import annotations

from shatterlab import Claim, Curve, Dataset, Experiment, Learner, Scale, Scatter, Table, difference, every, mean
from shatterlab.design.settings import RANDOM
from shatterlab.experiments._networks import published_points, setups, sweep

FIGURE = "Figure 1(c)"


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """Smoke: digits and an MLP. Laptop: 5,000 CIFAR-10 images, 300 for AlexNet. Paper: the published networks and recipe.

    Args:
        scale: how large.
        learner: a recipe of the user's own in place of these, on `dataset`.
        dataset: the data set of that recipe.
    """
    reference = None if scale.name == "smoke" or learner is not None else published_points("figure1c", "test_error")
    source = "Zhang et al. 2017, Figure 1(c)"
    question = "How does test error grow as labels are corrupted while training error stays zero?"
    trials = sweep(setups(scale, ("mlp", "alexnet"), ("inception", "alexnet", "mlp"), learner, dataset), scale)
    views = (
        Curve("corruption.level", "test.error", by="model", reference=reference),
        Table(("model", "corruption.level"), ("train.error", "test.error", "fit.epochs_to_interpolation")),
        Scatter("fit.epochs_to_interpolation", "test.error", by="corruption.level", title="Test error against time to fit"),
    )
    claims = ANY_NET if learner is not None else (*ANY_NET, *TEN_CLASSES)
    return Experiment("figure1c", source, question, trials, views, claims, scale.name)


def _rises(low: float, high: float) -> Claim:
    text = f"test error rises from level {low:g} to {high:g} by at least 0.02"
    return difference(text, "test.error", {"corruption.level": high}, {"corruption.level": low}, low=0.02, reference=FIGURE)


ANY_NET = (
    every("training error is zero at every level", "train.error", high=0.0, scales=("smoke", "laptop")),
    _rises(0.0, 1.0),
    _rises(0.0, 0.5),
    _rises(0.5, 1.0),
)
TEN_CLASSES = (
    every("training accuracy is at least 0.993 at every level", "train.accuracy", low=0.993, scales=("paper",), reference="Table 1"),
    mean("test error at level 1 is chance to within 5 points", "test.error", RANDOM, low=0.85, high=0.95, scales=("smoke", "laptop")),
    mean("test error at level 1 is chance", "test.error", RANDOM, low=0.88, high=0.92, scales=("paper",), reference=FIGURE),
)
