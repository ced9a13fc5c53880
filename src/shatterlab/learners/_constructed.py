"""What learners that write a network down share: the sample on a line, scores, and facts about both."""

from __future__ import annotations

import copy
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional

from shatterlab.constructions.line import Line, on_a_line
from shatterlab.constructions.network import Network
from shatterlab.core import Batch, Examples, Fit, Learner, Observer, Progress, Runtime, Scalar, Seeds
from shatterlab.core.losses import evaluate
from shatterlab.solvers.system import require_sound

_ROWS = 4096  # examples scored at a time


@dataclass(frozen=True)
class Construction(Learner):
    """A learner that writes its network down; a subclass says which."""

    outputs: Literal["class_number", "one_hot"] = "class_number"
    arithmetic: Literal["double_double", "float64", "float32"] = "double_double"
    evaluation: Literal["sorted", "relu"] = "sorted"
    directions: int = 8

    def validate(self) -> None:
        self.require(self.directions >= 1, "directions is a whole number >= 1", self.directions)
        plain = self.evaluation == "sorted" or self.arithmetic != "double_double"
        remedy = "Take float64 or float32, or evaluate by sorting"
        self.require(plain, "arithmetic of plain ReLU evaluation is float64 or float32", self.arithmetic, remedy)

    @abstractmethod
    def network(self, line: Line) -> Network:
        """The network through the values of the line."""

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        require_sound(self.kind, train)
        with threadpool_limits(runtime.threads):
            started = time.perf_counter()
            first = nn.Sequential(_reading(train), nn.Flatten())
            rows, labels = points(first, train.inputs), train.labels.numpy()
            values = labels.astype(np.float64) if self.outputs == "class_number" else np.eye(train.classes)[labels]
            line = on_a_line(self.kind, rows, labels, seeds.rng("init", "directions"), self.directions)
            line = replace(line, values=values[line.order])
            network = self.network(line)
            built = time.perf_counter()
            certified = network.certified_error(rows, values)
            facts = _facts(network, line, rows, values) | {"certified_error": certified, "duplicates": len(train) - len(line.order)}
            facts |= {"seconds_build": round(built - started, 6), "seconds_certify": round(time.perf_counter() - built, 6)}
        score = self._scoring(first, network, train.classes, runtime.threads)
        loss, accuracy = evaluate(score, train, "values")
        if observe is not None:
            batch = Batch(torch.arange(len(train)), train.inputs, train.labels)
            observe(Progress(1, 1, score, "values", loss, accuracy, last=True, batch=batch))
        return Fit(score, "values", nn.Sequential(first, network).eval(), facts=facts | {"interpolates": accuracy == 1.0})

    def _scoring(self, first: nn.Module, network: Network, classes: int, threads: int) -> Callable[[Tensor], Tensor]:
        if self.evaluation == "relu":
            evaluate_rows = _plain_relu(network, self.arithmetic)
        else:
            evaluate_rows = network.evaluator("exact" if self.arithmetic == "double_double" else self.arithmetic)

        def score(inputs: Tensor) -> Tensor:
            with threadpool_limits(threads):
                blocks = [evaluate_rows(points(first, block)) for block in inputs.split(_ROWS)]
            values = torch.from_numpy(np.concatenate(blocks))
            return values if self.outputs == "one_hot" else nearest_class(values[:, 0], classes)

        return score


class Levels(nn.Module):
    """Reads inputs in [0, 1] of an 8-bit source as the whole numbers 0 .. 255 that they were; any other as the nearest of them."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs.double() * self.levels).round()


def nearest_class(values: Tensor, classes: int) -> Tensor:
    """1 for the class whose number is nearest to the value, 0 for the others; NaN where there is no value."""
    nearest = values.round().clamp(0, classes - 1)
    scores = functional.one_hot(nearest.nan_to_num().long(), classes).double()
    return torch.where(values.isnan()[:, None], torch.nan, scores)


def points(first: nn.Module, inputs: Tensor) -> np.ndarray[Any, Any]:
    """Inputs as rows for the network, whole numbers of 8 bits where they are levels."""
    blocks = [first(block) for block in inputs.split(_ROWS)]
    if all(rows.dtype == torch.float64 and rows.numel() and rows.min() >= 0 and rows.max() <= 255 for rows in blocks):
        blocks = [rows.to(torch.uint8) if torch.equal(rows, rows.round()) else rows for rows in blocks]
    return np.asarray(torch.cat(blocks).numpy())


def _reading(train: Examples) -> nn.Module:
    if train.levels is None:
        return nn.Identity()
    levels = Levels(train.levels)
    same = all(torch.equal((levels(block) / train.levels).float(), block) for block in train.inputs.split(_ROWS))
    return levels if same else nn.Identity()


def _plain_relu(network: Network, arithmetic: str) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    plain = copy.deepcopy(network).to(getattr(torch, arithmetic))

    def evaluate_rows(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.no_grad():
            return np.asarray(plain(torch.from_numpy(rows)).double().reshape(len(rows), -1).numpy())

    return evaluate_rows


def _facts(network: Network, line: Line, rows: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> dict[str, Scalar]:
    facts: dict[str, Scalar] = {
        "weights": network.weights,
        "connections": network.connections(),
        "width": network.width,
        "neurons": sum(network.widths),
        "depth": network.depth,
        "distinct": len(line.order),
        "bits": 64 * network.weights,
        "exact_projections": line.exact,
        "direction_bits": int(np.abs(line.direction).max()).bit_length(),
        "smallest_gap": line.smallest_gap,
        "largest_weight": network.w.detach().abs().max().item() * line.reach,
    }
    for arithmetic in ("float64", "float32"):
        plain = network.evaluator(arithmetic)(rows).reshape(values.shape)
        facts[f"{arithmetic}_error"] = float(np.abs(plain - values).max())
        right = np.rint(plain) == values if values.ndim == 1 else plain.argmax(1) == values.argmax(1)
        facts[f"{arithmetic}_reproduces"] = bool(right.all())
    return facts
