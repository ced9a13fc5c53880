"""Explicit networks of few neurons as learners: built by formula, they fit any labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from shatterlab.constructions.baum import baum
from shatterlab.constructions.untied import untied
from shatterlab.constructions.yun import yun
from shatterlab.core import Examples, Fit, Learner, Observer, Runtime, Seeds
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.learners._constructed import nearest_class
from shatterlab.learners._report import report_values
from shatterlab.solvers.system import require_sound
from shatterlab.training.device import usable_device

_ROWS = 2048  # points evaluated at a time


@dataclass(frozen=True)
class MemorizingNetwork(Learner):
    """Writes down a small ReLU network that takes every label of the sample, by one of three constructions.

    "untied": depth 2, n ReLUs, n d + 2 n weights, any distinct points. "baum": depth 2, 4 ceil(n / d) ReLUs, points in general position. "yun": depth 3, two
    hidden layers of about 2 sqrt(n) ReLUs, any distinct points. A seed chooses a centre, a partition or a direction. Float64 on the CPU.

    Args:
        construction: which.
        outputs: "class_number": one output, and the score is 1 for the class whose number is nearest to it and 0 for the others;
            "one_hot": an output a class, which is its score, with as many times the neurons for "baum" and, in the second layer, "yun".
        plane: of "baum", points a hyperplane at most, >= 1 (None: the dimension that the points span). Real images are seldom in general position.
        first_width: of "yun", the first hidden width, even (None: about 2 sqrt(n)).

    Returns:
        Facts: `parameters` and `weights` (all numbers of the network, biases included), `distinct_weights` (how many of these differ), `neurons`
        (hidden ReLUs), `width` (of the widest hidden layer), `depth` (linear maps), `largest_weight`, `bits` (of the weights as they are
        stored), `float64_error` (the largest difference of an output from its label in plain float64).

    Raises:
        DataError: equal inputs have different labels, an input is not finite, a label is out of range, points are too close or, for "baum", not in general
            position.
        InvalidPart: an argument is out of range or belongs to another construction.

    Source:
        Livni, Shalev-Shwartz, Shamir 2014; Baum 1988 and Bubeck, Eldan, Lee, Mikulincer 2020; Yun, Sra, Jadbabaie 2019.
    """

    construction: Literal["untied", "baum", "yun"] = "untied"
    outputs: Literal["class_number", "one_hot"] = "class_number"
    plane: int | None = None
    first_width: int | None = None

    def validate(self) -> None:
        self.require(self.plane is None or self.construction == "baum", 'plane is None where construction is not "baum"', self.plane)
        self.require(self.first_width is None or self.construction == "yun", 'first_width is None where construction is not "yun"', self.first_width)
        self.require(self.plane is None or self.plane >= 1, "plane is a whole number >= 1 or None", self.plane)
        even = self.first_width is None or (self.first_width >= 2 and self.first_width % 2 == 0)
        self.require(even, "first_width is an even number >= 2 or None", self.first_width)

    @classmethod
    def specimens(cls) -> tuple[MemorizingNetwork, ...]:
        return cls(), cls("untied", "one_hot"), cls("baum"), cls("baum", "one_hot", plane=4), cls("yun"), cls("yun", "one_hot", first_width=8)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        if usable_device(runtime).type != "cpu":
            raise InvalidPart(f"{self.kind}: the device is the CPU, got {runtime.device!r}. The construction works in float64 there.")
        require_sound(self.kind, train)
        inputs = train.inputs.flatten(1)
        targets = train.labels.double() if self.outputs == "class_number" else functional.one_hot(train.labels, train.classes).double()
        builders: dict[str, Callable[..., nn.Sequential]] = {
            "untied": untied,
            "baum": partial(baum, plane=self.plane),
            "yun": partial(yun, first=self.first_width),
        }
        network = builders[self.construction](inputs, targets, seed=seeds.integer("init", self.construction))
        facts = dense_facts(network, inputs, targets)
        shape, classes = train.shape, train.classes if self.outputs == "class_number" else None

        def score(rows: Tensor) -> Tensor:
            got = tuple(rows.shape[1:])
            if got != shape:
                raise DataError(f"MemorizingNetwork: inputs of shape {shape}, as in training, are required, got {got}. Score what was fitted.")
            values = dense_values(network, rows)
            return values if classes is None else nearest_class(values[:, 0], classes)

        report_values(observe, train, score)
        return Fit(score, "values", network, facts=facts | {"parameters": facts["weights"]})


def dense_values(network: nn.Module, z: Any) -> Tensor:
    """The network's values at n x d points (or images, flattened), n x k, float64, a block of rows at a time."""
    inputs = torch.as_tensor(z).flatten(1)
    with torch.no_grad():
        return torch.cat([network(rows.double()) for rows in inputs.split(_ROWS)])


def dense_facts(network: nn.Sequential, z: Any, y: Any) -> dict[str, int | float]:
    """The facts of `MemorizingNetwork` but `parameters`: the size of a dense ReLU network and its error on the labels.

    Args:
        network: linear maps with ReLU between them.
        z: n x d points.
        y: n or n x k labels.
    """
    weights = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    hidden = [layer.out_features for layer in network if isinstance(layer, nn.Linear)][:-1]
    labels = torch.as_tensor(y).double().reshape(len(y), -1)
    return {
        "weights": weights.numel(),
        "distinct_weights": len(weights.unique()),
        "neurons": sum(hidden),
        "width": max(hidden),
        "depth": len(hidden) + 1,
        "largest_weight": weights.abs().max().item(),
        "bits": 8 * weights.numel() * weights.element_size(),
        "float64_error": (dense_values(network, z) - labels).abs().max().item(),
    }
