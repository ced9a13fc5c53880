"""Test error against label corruption, for networks that fit every training label."""

from __future__ import annotations

from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_alexnet import SmallAlexNet
from shatterlab.architectures.small_inception import SmallInception
from shatterlab.core import Dataset, Seeds
from shatterlab.corruptions.partial_labels import PartialLabels
from shatterlab.datasets.cifar10 import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.experiment import Claim, Experiment, Scale, grid
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD
from shatterlab.references import published
from shatterlab.trial import Trial
from shatterlab.views import Curve, Table

LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FEW = (0.0, 0.2, 0.5, 0.8, 1.0)
FIGURE = "Figure 1(c)"
PUBLISHED = tuple({"x": each.conditions["label_corruption"], "y": each.value, "name": f"{each.conditions['model']} (paper)"} for each in published("figure1c"))


def experiment(scale: Scale) -> Experiment:
    """Smoke: digits and an MLP. Laptop: 5,000 CIFAR-10 images, 500 for AlexNet. Paper: the published networks and recipe."""
    small = Training(MLP(), SGD(lr=0.05), batch_size=32, epochs=scale.epochs)
    mlp = Training(MLP(), SGD(lr=0.01), epochs=scale.epochs)
    alexnet = Training(SmallAlexNet(), SGD(lr=0.01), epochs=scale.epochs)
    inception = Training(SmallInception(), SGD(lr=0.1), epochs=scale.epochs)
    quick_alexnet = Training(SmallAlexNet(init="he"), SGD(lr=0.01), epochs=scale.epochs)  # half the epochs of the tutorial's initialization
    cifar10 = CIFAR10(crop=28, examples=scale.examples, test_examples=scale.test_examples)
    few_images = CIFAR10(crop=28, examples=500, test_examples=1000)
    digits = Digits(examples=scale.examples, test_examples=scale.test_examples)
    plan: list[tuple[Dataset, tuple[float, ...], list[Training]]] = scale.pick(
        smoke=[(digits, FEW, [small])],
        laptop=[(cifar10, LEVELS, [mlp]), (few_images, FEW, [quick_alexnet])],
        paper=[(cifar10, LEVELS, [inception, alexnet, mlp])],
    )
    seeds = [Seeds.replicate(r) for r in range(scale.replicates)]
    grids = [grid(Trial, dataset=[data], learner=learners, corruption=[*map(PartialLabels, levels)], seeds=seeds) for data, levels, learners in plan]
    return Experiment(
        name="figure1c",
        source="Zhang et al. 2017, Figure 1(c)",
        question="How does test error grow as labels are corrupted while training error stays zero?",
        trials=sum(grids, ()),
        views=(
            Curve("corruption.level", "test.error", by="learner.architecture.kind", reference=scale.pick(smoke=None, laptop=PUBLISHED, paper=PUBLISHED)),
            Table(("learner.architecture.kind", "corruption.level"), ("train.error", "test.error", "fit.epochs_to_interpolation")),
        ),
        claims=CLAIMS,
        scale=scale.name,
    )


CLAIMS = (
    Claim("training error is zero at every level", "train.error", high=0.0, scales=("smoke", "laptop")),
    Claim("training accuracy is at least 0.993 at every level", "train.accuracy", low=0.993, scales=("paper",), reference="Table 1"),
    Claim(
        "test error at level 1 exceeds that at level 0 by at least 0.02",
        "test.error",
        where={"corruption.level": 1.0},
        versus={"corruption.level": 0.0},
        low=0.02,
        reference=FIGURE,
    ),
    Claim(
        "test error rises from level 0 to 0.5 by at least 0.02",
        "test.error",
        where={"corruption.level": 0.5},
        versus={"corruption.level": 0.0},
        low=0.02,
        reference=FIGURE,
    ),
    Claim(
        "test error rises from level 0.5 to 1 by at least 0.02",
        "test.error",
        where={"corruption.level": 1.0},
        versus={"corruption.level": 0.5},
        low=0.02,
        reference=FIGURE,
    ),
    Claim("test error at level 1 is chance", "test.error", where={"corruption.level": 1.0}, low=0.88, high=0.92, scales=("paper",), reference=FIGURE),
)
