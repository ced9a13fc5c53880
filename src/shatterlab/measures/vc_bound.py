"""What the VC dimension of a model's class says of its error."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.core.losses import evaluate
from shatterlab.measures._fitted import device_of, evaluated
from shatterlab.measures._networks import without_preparation
from shatterlab.theory.vc import linear_dimension, relu_dimension, vc_bound

_UNLIMITED = ("DecisionTreeClassifier", "ExtraTreeClassifier", "RandomForestClassifier", "ExtraTreesClassifier", "KNeighborsClassifier")
_KEPT = (nn.ReLU, nn.Flatten, nn.Identity, nn.Dropout)


@dataclass(frozen=True)
class VCBound(Measure):
    """The VC dimension of the class that a model was chosen from, one class against the rest, and the bound on the error that follows from it.

    Exact for linear classifiers (d + 1; d through 0); an upper bound with all its constants for fully connected ReLU nets; infinite for fully grown trees,
    forests of such, nearest neighbours with one neighbour and systems of a strictly positive definite kernel: they give any labels to any different points.
    Nothing here looks at labels, so the dimension is one number for true and for random ones. The bound is training error plus what the dimension adds, on
    two-class classifiers (one score of the model against a threshold); of k classes it is that of one against the rest, and the error of all k is bounded by
    no less.

    Args:
        delta: the bound fails with at most this probability, in (0, 1).

    Returns:
        `dimension`, `upper_bound` (1 where the dimension is only bounded from above, else 0), `per_example` (over n), `order` (W L log2 W for nets, else
        None), `bound`, `vacuous` (1 where it is at least 1/2).

    Raises:
        NotApplicable: no formula is known for this model; the layer or kind is named.
        InvalidPart: delta is out of range.

    Source:
        Vapnik, Chervonenkis 1971; Cover 1965; Bartlett, Harvey, Liaw, Mehrabian 2019, theorem 7.
    """

    delta: float = 0.05

    def validate(self) -> None:
        self.require(0 < self.delta < 1, "delta is a probability in (0, 1)", self.delta)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        dimension, upper, order = self._dimension(fit, train)
        with evaluated(fit.model) if isinstance(fit.model, nn.Module) else contextlib.nullcontext():
            _, accuracy = evaluate(fit.scores, train, fit.output)
        found = vc_bound(1 - accuracy, dimension, len(train), self.delta)
        told = {"dimension": dimension, "upper_bound": int(upper), "per_example": dimension / len(train), "order": order}
        return told | {"bound": found.bound, "vacuous": int(found.vacuous)}

    def _dimension(self, fit: Fit, train: Examples) -> tuple[float, bool, float | None]:
        model = fit.model
        if isinstance(model, nn.Module):
            widths, bias = self._widths(model, train)
            if len(widths) == 2:
                return float(linear_dimension(widths[0], bias)), False, None
            found = relu_dimension([*widths[:-1], 1])
            return found.upper, True, found.order
        kernel = getattr(model, "kernel", None)
        if isinstance(getattr(model, "weights", None), torch.Tensor) and type(kernel).__name__ in ("Gaussian", "Laplacian"):
            return math.inf, False, None
        if type(model).__name__ in _UNLIMITED and _unrestricted(model):
            return math.inf, False, None
        raise NotApplicable(f"{self.kind}: a model whose dimension is known is required, got {type(model).__name__}")

    def _widths(self, model: nn.Module, train: Examples) -> tuple[list[int], bool]:
        """Units of each layer of a chain of linear layers, and whether all have biases."""
        first, rest = without_preparation(model)
        named = [(name, each) for name, each in rest.named_modules() if not isinstance(each, nn.Sequential)]
        odd = [(name, each) for name, each in named if not isinstance(each, (nn.Linear, *_KEPT))]
        if odd or not isinstance(rest, nn.Sequential):
            name, each = odd[0] if odd else ("the top", rest)
            raise NotApplicable(f"{self.kind}: a chain of linear layers and ReLUs is required, got {type(each).__name__} at {name or 'the top'}")
        layers = [each for _, each in named if isinstance(each, nn.Linear)]
        relus = sum(isinstance(each, nn.ReLU) for _, each in named)
        if not layers or relus != len(layers) - 1:
            raise NotApplicable(f"{self.kind}: one ReLU between every two linear layers is required, got {len(layers)} layers and {relus} ReLUs")
        with evaluated(model), torch.no_grad():
            d = first(train.inputs[:1].to(device_of(model)).clone()).flatten(1).shape[1]
        return [d, *(layer.out_features for layer in layers)], all(layer.bias is not None for layer in layers)


def _unrestricted(model: Any) -> bool:
    """Whether nothing keeps an estimator from fitting any labels: no limit of depth, leaves or size, one neighbour, no bootstrap."""
    free = {"max_depth": None, "max_leaf_nodes": None, "min_samples_leaf": 1, "min_samples_split": 2, "ccp_alpha": 0.0, "n_neighbors": 1, "bootstrap": False}
    given = model.get_params(deep=False)
    return all(given[name] == value for name, value in free.items() if name in given)
