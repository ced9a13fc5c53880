"""Test error against label corruption, for networks that fit every training label."""

from __future__ import annotations

from shatterlab.core import Dataset, Learner
from shatterlab.design.experiment import Claim, Experiment, Scale
from shatterlab.experiments.paper._figure1 import over_all_levels, over_levels, sweep
from shatterlab.views import Curve, Scatter, Table

FIGURE = "Figure 1(c)"


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """Smoke: digits and an MLP. Laptop: 5,000 CIFAR-10 images, 300 for AlexNet. Paper: the published networks and recipe.

    Args:
        scale: how large.
        learner: a recipe of the user's in place of these, on `dataset`.
        dataset: what it is tried on.
    """
    reference = None if scale.name == "smoke" or learner is not None else over_levels("figure1c", "test_error")
    return Experiment(
        name="figure1c",
        source="Zhang et al. 2017, Figure 1(c)",
        question="How does test error grow as labels are corrupted while training error stays zero?",
        trials=sweep(over_all_levels(scale, learner, dataset), scale),
        views=(
            Curve("corruption.level", "test.error", by="model", reference=reference),
            Table(("model", "corruption.level"), ("train.error", "test.error", "fit.epochs_to_interpolation")),
            Scatter("fit.epochs_to_interpolation", "test.error", by="corruption.level", title="Test error against time to fit"),
        ),
        claims=ANY_NET if learner is not None else (*ANY_NET, *TEN_CLASSES),
        scale=scale.name,
    )


def _rises(low: float, high: float) -> Claim:
    text = f"test error rises from level {low:g} to {high:g} by at least 0.02"
    return Claim(text, "test.error", {"corruption.level": high}, versus={"corruption.level": low}, low=0.02, reference=FIGURE)


ANY_NET = (
    Claim("training error is zero at every level", "train.error", high=0.0, scales=("smoke", "laptop")),
    _rises(0.0, 1.0),
    _rises(0.0, 0.5),
    _rises(0.5, 1.0),
)
_AT_ONE = {"corruption.level": 1.0}
TEN_CLASSES = (
    Claim("training accuracy is at least 0.993 at every level", "train.accuracy", low=0.993, scales=("paper",), reference="Table 1"),
    Claim("test error at level 1 is chance to within 5 points", "test.error", _AT_ONE, low=0.85, high=0.95, scales=("smoke", "laptop")),
    Claim("test error at level 1 is chance", "test.error", _AT_ONE, low=0.88, high=0.92, scales=("paper",), reference=FIGURE),
)
