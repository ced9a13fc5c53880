"""Does training in bfloat16 change what is measured? Equivalence to float32, paired by seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_alexnet import SmallAlexNet
from shatterlab.core import Corruption, Dataset
from shatterlab.corruptions.partial_labels import RandomLabels, TrueLabels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Claim, Experiment, Scale
from shatterlab.experiments.paper._figure1 import Contender
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD
from shatterlab.views import Table

SEEDS = 5  # at least
PRECISIONS: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
_TRUE = {"corruption.level": 0.0}
_HALF, _FULL = {"learner.precision": "bfloat16"}, {"learner.precision": "float32"}
_FIELDS = ("learner.architecture.kind", "learner.architecture.hidden", "setting", "learner.precision")


def experiment(scale: Scale) -> Experiment:
    """Smoke: an MLP on digits. Laptop: the MLPs on 1,000 images, AlexNet on 128 with true labels only. Paper: on all of them."""
    labels = (TrueLabels(), RandomLabels())
    digits = Digits(examples=scale.examples, test_examples=scale.test_examples)
    images, few = (CIFAR10(crop=28, examples=scale.pick(smoke=1, laptop=n, paper=None), test_examples=scale.test_examples) for n in (1000, 128))
    small = Training(MLP(), SGD(lr=0.05), batch_size=32)
    mlps = [(images, _recipe(MLP()), labels), (images, _recipe(MLP((512,) * 3)), labels)]
    few_trials = (few, _recipe(SmallAlexNet(init="glorot")), labels[:1])  # without bfloat16 instructions a step takes many times as long
    alexnet = scale.pick(smoke=few_trials, laptop=few_trials, paper=(images, _recipe(SmallAlexNet()), labels))
    chosen: list[tuple[Dataset, Training, tuple[Corruption, ...]]]
    chosen = [(digits, small, labels)] if scale.name == "smoke" else [*mlps, alexnet]
    seeds = max(SEEDS, scale.replicates)
    both = [(Contender(data, replace(net, precision=precision)), each) for data, net, each in chosen for precision in PRECISIONS]
    return Experiment(
        name="number_format",
        source="this project: whether results of bfloat16 stand for those of float32",
        question="Does training in bfloat16 give the test accuracy and the epochs to interpolation of float32?",
        trials=sum((contender.trials(each, seeds) for contender, each in both), ()),
        views=(Table(_FIELDS, ("fit.epochs_to_interpolation", "test.accuracy", "train.error", "seconds")),),
        claims=tuple(_claims()),
        scale=scale.name,
    )


def _claims() -> Iterator[Claim]:
    """Two one-sided tests at 5 % each, which is a 90 % interval inside the margins."""
    text = "on true labels, test accuracy in bfloat16 is that of float32 to within 0.02"
    yield Claim(text, "test.accuracy", _HALF | _TRUE, versus=_FULL | _TRUE, low=-0.02, high=0.02, level=0.9)
    text = "epochs to interpolation in bfloat16 are those of float32 to within a tenth"
    yield Claim(text, "fit.epochs_to_interpolation", _HALF, versus=_FULL, low=0.9, high=1.1, level=0.9, ratio=True)


def _recipe(network: MLP | SmallAlexNet) -> Training:
    return Training(network, SGD(lr=0.01))
