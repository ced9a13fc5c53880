"""The user's own training code as a learner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from shatterlab.core import Examples, Fit, Learner, Observer, Runtime, Seeds
from shatterlab.core.errors import UserCodeError
from shatterlab.core.user_code import fingerprint, resolve, user_code
from shatterlab.learners._report import report_scores
from shatterlab.training.device import usable_device
from shatterlab.training.torch_seed import seeded


@dataclass(frozen=True)
class Recipe(Learner):
    """A function `(inputs, labels, classes, seed) -> predict` where `predict(inputs)` gives n x k scores.

    It gets copies of the tensors and a seed from the init stream. Torch's global generator is seeded around it; the recipe seeds other generators itself.

    Args:
        function: "module:function" or "path/to/file.py:function".
        output: what the scores are: "logits", "probabilities" or "values".

    Raises:
        UserCodeError: the function fails, or what it returns is not callable.
    """

    function: str
    output: Literal["logits", "probabilities", "values"] = "logits"

    @classmethod
    def specimens(cls) -> tuple[Recipe, ...]:
        return (cls("shatterlab.learners.recipe:nearest_class_mean", output="values"),)

    def fingerprints(self) -> Mapping[str, str]:
        return {"function": fingerprint(self.function, "Recipe")}

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        function, device = resolve(self.function, "Recipe"), usable_device(runtime)
        seed = seeds.integer("init", "recipe") % 2**31
        with seeded(seeds.integer("init"), device), user_code(f"Recipe: {self.function}"):
            predict = function(train.inputs.clone(), train.labels.clone(), train.classes, seed)
        if not callable(predict):
            raise UserCodeError(f"Recipe: {self.function} returns a function from inputs to scores, got {type(predict).__name__}. Return predict.")

        def score(rows: Tensor) -> Tensor:
            with seeded(None, device), user_code(f"Recipe: predict of {self.function}"), torch.no_grad():
                scores = predict(rows.clone())
                scores = torch.from_numpy(scores) if isinstance(scores, np.ndarray) else scores
                if not isinstance(scores, Tensor):
                    got = f"got {type(scores).__name__}. Return n x k scores."
                    raise UserCodeError(f"Recipe: predict of {self.function} gives a tensor or an array, {got}")
                return scores.detach().float().cpu()

        report_scores(observe, train, score, self.output)
        return Fit(score, self.output, predict)


def nearest_class_mean(inputs: Tensor, labels: Tensor, classes: int, seed: int) -> Any:
    """A recipe to start from: scores are minus the squared distances to the means of the classes that occur."""
    rows, present = inputs.flatten(1), labels.unique()
    means = torch.stack([rows[labels == label].mean(0) for label in present])

    def predict(queries: Tensor) -> Tensor:
        scores = torch.full((len(queries), classes), -torch.inf)
        scores[:, present] = -torch.cdist(queries.flatten(1), means).square()
        return scores

    return predict
