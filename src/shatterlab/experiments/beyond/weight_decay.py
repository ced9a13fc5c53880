"""Weight decay as a tuning parameter: loss, speed, test error and curvature at seven coefficients, on true and random labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from shatterlab import MLP, SGD, Curve, Experiment, HessianTopEigenvalue, Scale, Table, Training, Trial, difference, every, grid, mean, ratio
from shatterlab.design.settings import RANDOM, TRUE, TRUE_AND_RANDOM
from shatterlab.experiments._networks import digits_or_images

_W = "learner.optimizer.weight_decay"
_CURVATURE = "measure.HessianTopEigenvalue.largest"
_STEPS = "fit.steps_to_loss_0.1"
_SHOWN: dict[str, Literal["linear", "log"]] = {"train.loss": "log", _STEPS: "linear", "test.error": "linear", _CURVATURE: "log"}
_STEP = 10**0.5


def experiment(scale: Scale) -> Experiment:
    """The MLP 1x512 for a fixed number of epochs. Smoke: digits. Laptop: 2,000 images. Paper: all of them, smaller coefficients.

    The coefficients rise by sqrt(10) from one to the next: from 1e-4 to 1e-1, at paper scale, with its many more steps, from 1e-5 to 1e-2.
    """
    hidden, rate, batch, epochs = scale.pick(smoke=((64,), 0.05, 32, 40), laptop=((512,), 0.01, 128, 120), paper=((512,), 0.01, 128, 70))
    recipe = Training(MLP(hidden), SGD(lr=rate), batch_size=batch, epochs=epochs, stop="budget")
    smallest = scale.pick(smoke=1e-4, laptop=1e-4, paper=1e-5)
    coefficients = [0.0, *(float(f"{smallest * _STEP**i:.3g}") for i in range(7))]
    columns = ("train.loss", "train.accuracy", _STEPS, "test.error", _CURVATURE)
    source = 'Zhang et al. 2017, section 1: explicit regularization "may improve generalization", as a tuning parameter'
    question = "What does the coefficient of weight decay do to training, and does it sometimes help it?"
    trials = grid(
        Trial,
        seeds=scale.seeds,
        dataset=[digits_or_images(scale, scale.pick(smoke=200, laptop=2000, paper=None))],
        corruption=TRUE_AND_RANDOM,
        learner=[replace(recipe, optimizer=SGD(lr=rate, weight_decay=w)) for w in coefficients],
        measures=[(HessianTopEigenvalue(examples=1000),)],
    )
    views = (
        *(Curve(_W, column, by="setting", scale=scale_of, ordinal=True) for column, scale_of in _SHOWN.items()),
        Table(("setting", _W), columns, title="Weight decay as a tuning parameter"),
    )
    off, low, middle, high = ({_W: coefficients[i]} for i in (0, 1, 4, 7))
    helps = "weight decay helps optimization: the fourth coefficient lowers the training loss on true labels"
    claims = (
        ratio("the smallest coefficient leaves the time to a loss of 0.1 as it is, to within a tenth", _STEPS, low, off, low=0.9, high=1.1),
        every("random labels are fitted all the same with the smallest", "train.accuracy", RANDOM | low, low=0.99),
        mean("the largest keeps random labels from being fitted: training accuracy is below 0.99", "train.accuracy", RANDOM | high, high=0.99),
        difference(helps, "train.loss", TRUE | middle, TRUE | off, high=0.0),
        difference("the fourth coefficient lowers the test error on true labels", "test.error", TRUE | middle, TRUE | off, high=0.0),
    )
    return Experiment("weight_decay", source, question, trials, views, claims, scale.name)
