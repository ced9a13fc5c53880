"""What learning theory says of a model, on true and on random labels: each quantity, the bound that it gives, and the randomization test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shatterlab.architectures.linear import Linear
from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_alexnet import SmallAlexNet
from shatterlab.core import Architecture, Dataset, Learner
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Claim, Experiment, Scale
from shatterlab.kernels.radial import Gaussian
from shatterlab.learners.estimator import Estimator
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD
from shatterlab.studies.ledger import ended, named, plan
from shatterlab.studies.ledger_runs import STOP, Effort

_TRUE, _RANDOM = ({"corruption.kind": "PartialLabels", "corruption.level": level} for level in (0.0, 1.0))
_SECTION = "Section 2.2"


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """Smoke: 100 digits and small nets. Laptop: 300 images of CIFAR-10, the paper's MLP and AlexNet. Paper: 10,000 images.

    Args:
        scale: how large.
        learner: a recipe of the user's in place of these, on `dataset`.
        dataset: what it is measured on.
    """
    effort = Effort.of(scale)
    if learner is not None and dataset is not None:
        return plan(named([ended(learner)], dataset), dataset, effort, scale=scale.name)
    return plan(contenders(scale), data(scale), effort, claims=claims(), scale=scale.name)


def data(scale: Scale) -> Dataset:
    """Smoke: 100 digits. Laptop: 300 images. Paper: 10,000 images."""
    n = scale.pick(smoke=100, laptop=300, paper=10_000)
    if scale.name == "smoke":
        return Digits(examples=n, test_examples=scale.test_examples)
    return CIFAR10(crop=28, examples=n, test_examples=scale.test_examples)


def contenders(scale: Scale) -> dict[str, Learner]:
    """The paper's MLP and AlexNet (not of digits), a linear model, two kernel systems, a forest and two lookup tables, by name."""
    width, rate, sigma, batch = scale.pick(smoke=(64, 0.05, 2.0, 25), laptop=(512, 0.01, 10.0, 30), paper=(512, 0.01, 10.0, 128))

    def descent(network: Architecture) -> Training:
        return Training(network, SGD(lr=rate), batch_size=batch, epochs=200, stop=STOP)

    forest = {"n_estimators": scale.pick(smoke=20, laptop=100, paper=100), "bootstrap": False}
    alexnet = SmallAlexNet(init=scale.pick(smoke="glorot", laptop="glorot", paper="tutorial"))
    made: dict[str, Learner] = {
        f"MLP 1x{width}": descent(MLP((width,))),
        "AlexNet": descent(alexnet),
        "Linear model": descent(Linear()),
        "Gaussian kernel": KernelInterpolation(Gaussian(sigma)),
        "Gaussian kernel with ridge": KernelInterpolation(Gaussian(sigma), ridge=1.0),
        "Random forest": Estimator("sklearn.ensemble:RandomForestClassifier", forest),
        "Fully grown tree": Estimator("sklearn.tree:DecisionTreeClassifier"),
        "1-nearest neighbour": Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}),
    }
    return {name: learner for name, learner in made.items() if scale.name != "smoke" or name != "AlexNet"}


def claims() -> tuple[Claim, ...]:
    """Of the networks and lookup tables that every scale has; margins of orderings are 0: the interval decides."""
    mlp = {"learner.architecture.kind": "MLP"}
    nets = {"learner.architecture.kind": ("MLP", "SmallAlexNet")}
    tables = {"learner.estimator": ("sklearn.tree:DecisionTreeClassifier", "sklearn.neighbors:KNeighborsClassifier")}
    return (
        Claim(f"every fit of a ReLU net gets to a training loss of {STOP:g} within its budget", "fit.censored", nets, high=0.0),
        Claim("lookup tables fit true and random labels alike", "train.error", tables, high=0.0, reference=_SECTION),
        Claim("on random labels the MLP's test error is that of guessing", "test.error", mlp | _RANDOM, low=0.85, high=0.95, reference=_SECTION),
        *_sees_labels("the MLP's path norm", "measure.PathNorm.l2", mlp),
        *_sees_labels("the MLP's distance from initialization", "measure.DistanceFromInitialization.distance", mlp),
        *_sees_labels("the leaves of a fully grown tree", "measure.LeafCount.leaves", {"learner.estimator": "sklearn.tree:DecisionTreeClassifier"}),
        *_sees_labels("the norm of the kernel interpolant", "measure.RKHSNorm.norm", {"learner.kind": "KernelInterpolation", "learner.ridge": 0.0}),
        *_sees_labels(
            "the mean loss change of the MLP's twins", "fit.mean_loss_difference", {"learner.kind": "Twins", "learner.learner.architecture.kind": "MLP"}
        ),
        *_certificates(mlp),
    )


def _sees_labels(name: str, column: str, where: Mapping[str, Any]) -> tuple[Claim, ...]:
    return (Claim(f"{name}: larger on random labels", column, {**where, **_RANDOM}, versus={**where, **_TRUE}, low=0.0),)


def _certificates(mlp: Mapping[str, Any]) -> tuple[Claim, ...]:
    coded = {"learner.kind": "Prequential", "learner.learner.architecture.kind": "MLP"}
    part = {"learner.kind": "RandomizedPart", "learner.learner.architecture.kind": "MLP"}
    blind = {**mlp, **_RANDOM}
    return (
        Claim("the VC bound of the MLP is vacuous on true labels too", "measure.VCBound.vacuous", {**mlp, **_TRUE}, low=1.0, reference=_SECTION),
        Claim("no PAC-Bayes certificate of the MLP says anything of random labels", "measure.PACBayesCertificate.vacuous", blind, low=1.0),
        Claim("no Occam certificate of the MLP says anything of random labels", "measure.OccamCertificate.vacuous", blind, low=1.0),
        Claim("RATT says nothing of an MLP that fits its random part", "measure.RATTCertificate.vacuous", part | _TRUE, low=1.0),
        Claim("the MLP saves bits on true labels", "measure.CodeLengthCertificate.saved", coded | _TRUE, low=0.0),
        Claim("the MLP saves at most 20 bits on random labels (probability below 1e-6)", "measure.CodeLengthCertificate.saved", coded | _RANDOM, high=20.0),
    )
