"""Weight decay as a tuning parameter: loss, speed, test error and curvature at seven coefficients, on true and random labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Dataset, Seeds
from shatterlab.corruptions.partial_labels import RandomLabels, TrueLabels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Claim, Experiment, Scale, grid
from shatterlab.learners.training import Training
from shatterlab.measures.hessian import HessianTopEigenvalue
from shatterlab.optimizers.sgd import SGD
from shatterlab.trials.trial import Trial
from shatterlab.views import Curve, Table

_W = "learner.optimizer.weight_decay"
_CURVATURE = "measure.HessianTopEigenvalue.largest"
_STEPS = "fit.steps_to_loss_0.1"
_TRUE, _RANDOM = {"corruption.level": 0.0}, {"corruption.level": 1.0}
_SHOWN: dict[str, Literal["linear", "log"]] = {"train.loss": "log", _STEPS: "linear", "test.error": "linear", _CURVATURE: "log"}
_STEP = 10**0.5


def experiment(scale: Scale) -> Experiment:
    """The MLP 1x512 for a fixed number of epochs. Smoke: digits. Laptop: 2,000 images. Paper: all of them, smaller coefficients.

    The coefficients rise by sqrt(10) from one to the next: from 1e-4 to 1e-1, at paper scale, with its many more steps, from 1e-5 to 1e-2.
    """
    examples = scale.pick(smoke=200, laptop=2000, paper=None)
    photographs = CIFAR10(crop=28, examples=examples, test_examples=scale.test_examples)
    data: Dataset = scale.pick(smoke=Digits(examples=examples, test_examples=scale.test_examples), laptop=photographs, paper=photographs)
    recipe = Training(
        scale.pick(smoke=MLP((64,)), laptop=MLP(), paper=MLP()),
        SGD(lr=scale.pick(smoke=0.05, laptop=0.01, paper=0.01)),
        batch_size=scale.pick(smoke=32, laptop=128, paper=128),
        epochs=scale.pick(smoke=40, laptop=120, paper=70),
        stop="budget",
    )
    smallest = scale.pick(smoke=1e-4, laptop=1e-4, paper=1e-5)
    coefficients = [0.0, *(float(f"{smallest * _STEP**i:.3g}") for i in range(7))]
    learners = [replace(recipe, optimizer=SGD(lr=recipe.optimizer.lr, weight_decay=w)) for w in coefficients]
    columns = ("train.loss", "train.accuracy", _STEPS, "test.error", _CURVATURE)
    seeds = [Seeds.replicate(r) for r in range(scale.replicates)]
    settings = [TrueLabels(), RandomLabels()]
    return Experiment(
        name="weight_decay",
        source='Zhang et al. 2017, section 1: explicit regularization "may improve generalization", as a tuning parameter',
        question="What does the coefficient of weight decay do to training, and does it sometimes help it?",
        trials=grid(Trial, seeds=seeds, dataset=[data], corruption=settings, learner=learners, measures=[(HessianTopEigenvalue(examples=1000),)]),
        views=(
            *(Curve(_W, column, by="setting", scale=scale_of, ordinal=True) for column, scale_of in _SHOWN.items()),
            Table(("setting", _W), columns, title="Weight decay as a tuning parameter"),
        ),
        claims=_claims(coefficients),
        scale=scale.name,
    )


def _claims(coefficients: list[float]) -> tuple[Claim, ...]:
    off, low, middle, high = ({_W: coefficients[i]} for i in (0, 1, 4, 7))
    return (
        Claim("the smallest coefficient leaves the time to a loss of 0.1 as it is, to within a tenth", _STEPS, low, versus=off, low=0.9, high=1.1, ratio=True),
        Claim("random labels are fitted all the same with the smallest", "train.accuracy", {**_RANDOM, **low}, low=0.99),
        Claim("the largest keeps random labels from being fitted: training accuracy is below 0.99", "train.accuracy", {**_RANDOM, **high}, high=0.99),
        Claim("weight decay helps optimization: the fourth coefficient lowers the training loss on true labels", "train.loss", {**_TRUE, **middle},
              versus={**_TRUE, **off}, high=0.0),
        Claim("the fourth coefficient lowers the test error on true labels", "test.error", {**_TRUE, **middle}, versus={**_TRUE, **off}, high=0.0),
    )  # fmt: skip
