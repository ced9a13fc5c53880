"""Who fits true labels and fails on random ones has learned: certificates from a randomly labelled part, vacuous and not."""

from __future__ import annotations

from shatterlab import MLP, SGD, Estimator, Gaussian, KernelInterpolation, Linear, OneAgainstRest, RandomizedPart, RATTCertificate, Table, Training, Trial, mean
from shatterlab.core import Learner
from shatterlab.design.experiment import Experiment, Scale, grid
from shatterlab.design.settings import RANDOM, TRUE, TRUE_AND_RANDOM
from shatterlab.experiments._networks import digits_or_images

_BOUND = "measure.RATTCertificate"
_NEIGHBOUR = "sklearn.neighbors:KNeighborsClassifier"


def experiment(scale: Scale) -> Experiment:
    """Smoke: 1,200 digits in two groups of five classes. Laptop: 4,000 images, animals against vehicles. Paper: 40,000 images.

    Half of the sample has random labels. Learners that fit everything stand beside learners that cannot: a strong ridge, few epochs. With ten classes
    the bound multiplies every error by nine, so only with two classes can it be informative.
    """
    n, width = scale.pick(smoke=(1200, 64), laptop=(4000, 512), paper=(40_000, 512))
    group = scale.pick(smoke=(0, 2, 4, 6, 8), laptop=(2, 3, 4, 5, 6, 7))
    data = OneAgainstRest(digits_or_images(scale, n, scale.pick(smoke=400, laptop=scale.test_examples)), group)
    rate, sigma = scale.pick(smoke=(0.05, 2.0), laptop=(0.01, 10.0))
    short, long = scale.pick(smoke=(2, 100), laptop=(2, 100), paper=(1, 100))
    learners: list[Learner] = [
        Training(Linear(), SGD(lr=0.01), epochs=short, stop="budget"),
        Training(MLP((width,)), SGD(lr=rate), epochs=short, stop="budget"),
        Training(MLP((width,)), SGD(lr=rate), epochs=long),
        KernelInterpolation(Gaussian(sigma), ridge=10.0),
        KernelInterpolation(Gaussian(sigma), ridge=1e-6),
        Estimator(_NEIGHBOUR, {"n_neighbors": 1}),
    ]
    strong, neighbour = {"learner.learner.ridge": 10.0}, {"learner.learner.estimator": _NEIGHBOUR}
    lines = ("learner.learner.kind", "learner.learner.architecture.kind", "learner.learner.epochs", "learner.learner.ridge", "setting")
    columns = ("fit.labelled_error", "fit.random_error", f"{_BOUND}.concentration", f"{_BOUND}.bound", f"{_BOUND}.vacuous", "test.error")
    source = "Garg, Balakrishnan, Kolter, Lipton 2021"
    question = "What does failing on random labels certify?"
    trials = grid(
        Trial,
        dataset=[data],
        corruption=TRUE_AND_RANDOM,
        learner=[RandomizedPart(learner) for learner in learners],
        seeds=scale.seeds,
        measures=[(RATTCertificate(),)],
    )
    views = (Table(lines, columns, title="Bounds from a randomly labelled half (assumed, not proved, for nets and early stopping); vacuous from 0.5"),)
    claims = (
        mean("kernel ridge regression with a strong ridge has a bound below guessing", f"{_BOUND}.bound", strong | TRUE, high=0.5),
        mean("the nearest neighbour, which fits everything, has none", f"{_BOUND}.bound", neighbour | TRUE, low=0.5),
        mean("no learner has one on random labels", f"{_BOUND}.bound", RANDOM, low=0.5),
    )
    return Experiment("ratt", source, question, trials, views, claims, scale.name)
