"""How large a model is: parameters of a network, leaves of trees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.core.losses import evaluate
from shatterlab.theory.certificates import occam


@dataclass(frozen=True)
class ParameterCount(Measure):
    """p, the number of trainable parameters, and p / n.

    In the paper every net has p > n, on true and on random labels alike, so the count cannot tell which one generalizes.

    Returns:
        `count` (p, >= 0) and `per_example` (p / n).

    Raises:
        NotApplicable: the fitted model is no torch module.

    Source:
        Zhang et al. 2017, Table 1.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        if not isinstance(fit.model, nn.Module):
            raise NotApplicable(f"ParameterCount: a torch module is required, got {type(fit.model).__name__}")
        count = sum(value.numel() for value in fit.model.parameters() if value.requires_grad)
        return {"count": count, "per_example": count / len(train)}


@dataclass(frozen=True)
class LeafCount(Measure):
    """Leaves of all trees of a fitted classifier, and the Occam bound of the message that describes them.

    A tree of m leaves takes 2 m - 1 bits of shape, log2 d bits a split for the feature, log2(levels) for the threshold and log2 k a leaf; the number of trees
    comes first. The code was fixed before the sample was seen, so the bound is valid as it stands.

    Args:
        delta: the bound fails with at most this probability, in (0, 1).

    Returns:
        `leaves`, `per_example` (leaves of a tree, in the mean, over n), `trees`, `bits` of the message (None where inputs are not whole steps, or a forest has
        leaves of several classes), `bound` on the error and `vacuous` (1 where guessing is as good; both None without bits).

    Raises:
        NotApplicable: the fitted model is no decision tree or forest of scikit-learn.

    Source:
        Blumer, Ehrenfeucht, Haussler, Warmuth 1987; Quinlan, Rivest 1989 (the code of a tree).
    """

    delta: float = 0.05

    def validate(self) -> None:
        self.require(0 < self.delta < 1, "delta is a probability in (0, 1)", self.delta)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        grown = [tree.tree_ for tree in getattr(fit.model, "estimators_", [fit.model]) if hasattr(tree, "tree_")]
        if not grown:
            raise NotApplicable(f"{self.kind}: a decision tree or a forest is required, got {type(fit.model).__name__}")
        leaves, trees = sum(int(tree.n_leaves) for tree in grown), len(grown)
        columns = {"leaves": leaves, "per_example": leaves / trees / len(train), "trees": trees}
        impure = any((tree.impurity[tree.children_left < 0] > 0).any() for tree in grown)
        if train.levels is None or (trees > 1 and impure):  # a forest averages shares, which need more bits than a label a leaf
            return columns | {"bits": None, "bound": None, "vacuous": None}
        d = math.prod(train.shape)
        shape = 2 * leaves - trees
        bits = shape + (leaves - trees) * (math.log2(d) + math.log2(train.levels)) + leaves * math.log2(train.classes) + 2 * math.log2(trees) + 1
        _, accuracy = evaluate(fit.scores, train, fit.output)
        certificate = occam(1 - accuracy, bits, len(train), self.delta, train.classes)
        return columns | {"bits": bits, "bound": certificate.bound, "vacuous": int(certificate.vacuous)}
