"""What one example moves: twin runs that differ in one label, on true and on random labels."""

from __future__ import annotations

from shatterlab.architectures.linear import Linear
from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_alexnet import SmallAlexNet
from shatterlab.core import Dataset, Learner, Seeds
from shatterlab.corruptions.partial_labels import RandomLabels, TrueLabels
from shatterlab.datasets.cifar10 import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.experiment import Claim, Experiment, Scale, grid
from shatterlab.kernels.gaussian import Gaussian
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.learners.training import Training
from shatterlab.learners.twins import Twins
from shatterlab.optimizers.sgd import SGD
from shatterlab.trial import Trial
from shatterlab.views import Curve, Table

_SUP, _OWN, _APART = "fit.sup_loss_difference", "fit.own_loss_difference", "fit.parameter_distance"
_NETWORK = {"learner.learner.architecture.kind": "MLP"}
_BUDGET = "learner.learner.epochs"


def experiment(scale: Scale) -> Experiment:
    """Smoke: 100 digits. Laptop: 300 images. Paper: 5,000 images.

    Distance against steps is a row for each budget. Uniform stability is a worst case over samples, so it has one value for true and for random labels; what
    is measured is a lower bound on it, and does depend on the labels.
    """
    n, width, budgets = scale.pick(smoke=(100, 64, (1, 4, 16)), laptop=(300, 512, (1, 4, 16, 40)), paper=(5000, 512, (1, 4, 16, 64)))
    images = CIFAR10(crop=28, examples=n, test_examples=scale.test_examples)
    data: Dataset = scale.pick(smoke=Digits(examples=n, test_examples=scale.test_examples), laptop=images, paper=images)
    rate, sigma = scale.pick(smoke=(0.05, 2.0), laptop=(0.01, 10.0), paper=(0.01, 10.0))
    learners: list[Learner] = [Twins(Training(MLP((width,)), SGD(lr=rate), epochs=epochs, batch_size=32, stop="budget")) for epochs in budgets]
    learners += [
        Twins(Training(Linear(), SGD(lr=0.01), epochs=budgets[-1], batch_size=32, stop="budget")),
        *(Twins(KernelInterpolation(Gaussian(sigma), ridge=ridge)) for ridge in (0.01, 1.0)),
    ]
    if scale.name != "smoke":
        learners.append(Twins(Training(SmallAlexNet(), SGD(lr=0.01), epochs=budgets[-1], stop="budget")))
    seeds = [Seeds.replicate(r) for r in range(scale.replicates)]
    lines = ("learner.learner.kind", "learner.learner.architecture.kind", "learner.learner.ridge", _BUDGET, "setting")
    return Experiment(
        name="stability",
        source="Zhang et al. 2017, section 2.2; Hardt, Recht, Singer 2016",
        question="How far does one training example move a fit, and does that tell true from random labels?",
        trials=grid(Trial, dataset=[data], corruption=[TrueLabels(), RandomLabels()], learner=learners, seeds=seeds),
        views=(
            Table(lines, (_SUP, "fit.mean_loss_difference", _OWN, "fit.disagreement", "fit.memorized"), title="Twins: one label replaced"),
            Curve("fit.steps", _APART, by="setting", scale="log", title="Distance of the weights of twins", where=_NETWORK),
        ),
        claims=(
            Claim(
                "twins move apart as training goes on", _APART, _NETWORK | {_BUDGET: budgets[-1]}, versus=_NETWORK | {_BUDGET: budgets[0]}, low=1.0, ratio=True
            ),
            Claim("more ridge, more stability", _SUP, {"learner.learner.ridge": 0.01}, versus={"learner.learner.ridge": 1.0}, low=1.0, ratio=True),
        ),
        scale=scale.name,
    )
