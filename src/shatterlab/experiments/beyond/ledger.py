"""The ledger of the paper's networks, kernels and lookup tables: quantities and bounds of learning theory on true and on random labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shatterlab import MLP, SGD, Claim, Estimator, Experiment, Gaussian, KernelInterpolation, Linear, Scale, SmallAlexNet, Training, difference, every, mean
from shatterlab.core import Architecture, Dataset, Learner
from shatterlab.design.settings import RANDOM, TRUE
from shatterlab.experiments._networks import digits_or_images
from shatterlab.studies.ledger import STOP, Effort, ended, named, plan

_TREE, _NEIGHBOUR = "sklearn.tree:DecisionTreeClassifier", "sklearn.neighbors:KNeighborsClassifier"
_MLP, _OF_MLP = {"learner.architecture.kind": "MLP"}, {"learner.learner.architecture.kind": "MLP"}  # the learner itself, and one that contains it
_SECTION = "Section 2.2"


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """Smoke: 100 digits and small nets. Laptop: 300 images of CIFAR-10, the paper's MLP and AlexNet. Paper: 10,000 images.

    Args:
        scale: how large.
        learner: a recipe of the user's own in place of these, on `dataset`.
        dataset: the data set of that recipe.
    """
    effort = Effort.of(scale)
    if learner is not None and dataset is not None:
        return plan(named([ended(learner)], dataset), dataset, effort, scale=scale.name)
    data = digits_or_images(scale, scale.pick(smoke=100, laptop=300, paper=10_000))
    return plan(learners(scale), data, effort, claims=claims(), scale=scale.name)


def learners(scale: Scale) -> dict[str, Learner]:
    """The paper's MLP and AlexNet (not of digits), a linear model, two kernel systems, a forest and two lookup tables, by name."""
    width, rate, sigma, batch = scale.pick(smoke=(64, 0.05, 2.0, 25), laptop=(512, 0.01, 10.0, 30), paper=(512, 0.01, 10.0, 128))

    def descent(network: Architecture) -> Training:
        return Training(network, SGD(lr=rate), batch_size=batch, epochs=200, stop=STOP)

    forest = {"n_estimators": scale.pick(smoke=20, laptop=100, paper=100), "bootstrap": False}
    alexnet = SmallAlexNet(init=scale.pick(smoke="glorot", laptop="glorot", paper="tutorial"))
    by_name: dict[str, Learner] = {
        f"MLP 1x{width}": descent(MLP((width,))),
        "AlexNet": descent(alexnet),
        "Linear model": descent(Linear()),
        "Gaussian kernel": KernelInterpolation(Gaussian(sigma)),
        "Gaussian kernel with ridge": KernelInterpolation(Gaussian(sigma), ridge=1.0),
        "Random forest": Estimator("sklearn.ensemble:RandomForestClassifier", forest),
        "Fully grown tree": Estimator(_TREE),
        "1-nearest neighbour": Estimator(_NEIGHBOUR, {"n_neighbors": 1}),
    }
    return {name: learner for name, learner in by_name.items() if scale.name != "smoke" or name != "AlexNet"}


def claims() -> tuple[Claim, ...]:
    """Claims about the networks and lookup tables that every scale has; margins of orderings are 0: the interval decides."""
    coded, part, saved = {"learner.kind": "Prequential", **_OF_MLP}, {"learner.kind": "RandomizedPart", **_OF_MLP}, "measure.CodeLengthCertificate.saved"
    nets, interpolant = {"learner.architecture.kind": ("MLP", "SmallAlexNet")}, {"learner.kind": "KernelInterpolation", "learner.ridge": 0.0}
    return (
        every(f"every fit of a ReLU net gets to a training loss of {STOP:g} within its budget", "fit.censored", nets, high=0.0),
        every("lookup tables fit true and random labels alike", "train.error", {"learner.estimator": (_TREE, _NEIGHBOUR)}, high=0.0, reference=_SECTION),
        mean("on random labels the MLP's test error is that of guessing", "test.error", _MLP | RANDOM, low=0.85, high=0.95, reference=_SECTION),
        _larger("the MLP's path norm", "measure.PathNorm.l2", _MLP),
        _larger("the MLP's distance from initialization", "measure.DistanceFromInitialization.distance", _MLP),
        _larger("the leaves of a fully grown tree", "measure.LeafCount.leaves", {"learner.estimator": _TREE}),
        _larger("the norm of the kernel interpolant", "measure.RKHSNorm.norm", interpolant),
        _larger("the mean loss change of the MLP's twins", "fit.mean_loss_difference", {"learner.kind": "Twins", **_OF_MLP}),
        every("the VC bound of the MLP is vacuous on true labels too", "measure.VCBound.vacuous", _MLP | TRUE, low=1.0, reference=_SECTION),
        every("every PAC-Bayes certificate of the MLP is vacuous on random labels", "measure.PACBayesCertificate.vacuous", _MLP | RANDOM, low=1.0),
        every("every Occam certificate of the MLP is vacuous on random labels", "measure.OccamCertificate.vacuous", _MLP | RANDOM, low=1.0),
        every("RATT is vacuous for an MLP that fits its random part", "measure.RATTCertificate.vacuous", part | TRUE, low=1.0),
        mean("the MLP saves bits on true labels", saved, coded | TRUE, low=0.0),
        mean("the MLP saves at most 20 bits on random labels (probability below 1e-6)", saved, coded | RANDOM, high=20.0),
    )


def _larger(name: str, column: str, where: Mapping[str, Any]) -> Claim:
    return difference(f"{name}: larger on random labels", column, {**where, **RANDOM}, {**where, **TRUE}, low=0.0)
