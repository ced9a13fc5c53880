"""What is claimed of the ledger: sentences that its rows can contradict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shatterlab.experiment import Claim
from shatterlab.experiments._ledger import STOP

_TRUE, _RANDOM = ({"corruption.kind": "PartialLabels", "corruption.level": level} for level in (0.0, 1.0))
_SECTION = "Section 2.2"


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
