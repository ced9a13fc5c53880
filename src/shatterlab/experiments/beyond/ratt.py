"""Who fits true labels and fails on random ones has learned: certificates from a randomly labelled part, vacuous and not."""

from __future__ import annotations

from shatterlab.architectures.linear import Linear
from shatterlab.architectures.mlp import MLP
from shatterlab.core import Dataset, Learner, Seeds
from shatterlab.corruptions.partial_labels import RandomLabels, TrueLabels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.derived import OneAgainstRest
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Claim, Experiment, Scale, grid
from shatterlab.kernels.radial import Gaussian
from shatterlab.learners.estimator import Estimator
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.learners.training import Training
from shatterlab.learners.wrapped_learners import RandomizedPart
from shatterlab.measures.certificates import RATTCertificate
from shatterlab.optimizers.sgd import SGD
from shatterlab.trials.trial import Trial
from shatterlab.views import Table

_BOUND = "measure.RATTCertificate"
_NEAREST = {"learner.learner.estimator": "sklearn.neighbors:KNeighborsClassifier"}
_RIDGED = {"learner.learner.ridge": 10.0}
_TRUE = {"corruption.level": 0.0}


def experiment(scale: Scale) -> Experiment:
    """Smoke: 1,200 digits in two groups of five classes. Laptop: 4,000 images, animals against vehicles. Paper: 40,000 images.

    Half of the sample has its labels drawn. Learners that fit everything beside learners that cannot: a strong ridge, few epochs. Of ten classes the
    bound multiplies every error by nine, so two classes are where it can say something.
    """
    n, width = scale.pick(smoke=(1200, 64), laptop=(4000, 512), paper=(40_000, 512))
    digits = OneAgainstRest(Digits(examples=n, test_examples=scale.pick(smoke=400, laptop=None, paper=None)), (0, 2, 4, 6, 8))
    images = OneAgainstRest(CIFAR10(crop=28, examples=n, test_examples=scale.test_examples), (2, 3, 4, 5, 6, 7))
    data: Dataset = scale.pick(smoke=digits, laptop=images, paper=images)
    rate, sigma = scale.pick(smoke=(0.05, 2.0), laptop=(0.01, 10.0), paper=(0.01, 10.0))
    few, many = scale.pick(smoke=(2, 100), laptop=(2, 100), paper=(1, 100))
    chosen: list[Learner] = [
        Training(Linear(), SGD(lr=0.01), epochs=few, stop="budget"),
        Training(MLP((width,)), SGD(lr=rate), epochs=few, stop="budget"),
        Training(MLP((width,)), SGD(lr=rate), epochs=many),
        KernelInterpolation(Gaussian(sigma), ridge=10.0),
        KernelInterpolation(Gaussian(sigma), ridge=1e-6),
        Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}),
    ]
    wrapped = [RandomizedPart(each) for each in chosen]
    seeds = [Seeds.replicate(r) for r in range(scale.replicates)]
    lines = ("learner.learner.kind", "learner.learner.architecture.kind", "learner.learner.epochs", "learner.learner.ridge", "setting")
    columns = ("fit.labelled_error", "fit.random_error", f"{_BOUND}.concentration", f"{_BOUND}.bound", f"{_BOUND}.vacuous", "test.error")
    return Experiment(
        name="ratt",
        source="Garg, Balakrishnan, Kolter, Lipton 2021",
        question="What does failing on random labels certify?",
        trials=grid(Trial, dataset=[data], corruption=[TrueLabels(), RandomLabels()], learner=wrapped, seeds=seeds, measures=[(RATTCertificate(),)]),
        views=(Table(lines, columns, title="Bounds from a randomly labelled half (assumed, not proved, for nets and early stopping); vacuous from 0.5"),),
        claims=(
            Claim("kernel ridge regression with a strong ridge has a bound below guessing", f"{_BOUND}.bound", _RIDGED | _TRUE, high=0.5),
            Claim("the nearest neighbour, which fits everything, has none", f"{_BOUND}.bound", _NEAREST | _TRUE, low=0.5),
            Claim("nobody has one on random labels", f"{_BOUND}.bound", {"corruption.level": 1.0}, low=0.5),
        ),
        scale=scale.name,
    )
