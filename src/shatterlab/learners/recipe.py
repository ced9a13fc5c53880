"""The user's own training code as a learner."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Examples, Fit, Learner, Observer, Runtime, Seeds, live_code
from shatterlab.core.errors import InvalidPart, UserCodeError
from shatterlab.core.model_outputs import scores_in
from shatterlab.core.user_code import fingerprint, resolve, user_code
from shatterlab.learners._report import report_scores
from shatterlab.learners._rows import table_rows
from shatterlab.training.device import usable_device
from shatterlab.training.torch_seed import seeded

OFFERED = ("X", "y", "inputs", "labels", "classes", "seed", "device")
_IN_ORDER = ("inputs", "labels", "classes", "seed")
_Output = Literal["logits", "probabilities", "values", "targets"]


@dataclass(frozen=True)
class Recipe(Learner):
    """Your own training: a function that trains on a sample and returns what predicts.

    It is called with those of these arguments that its signature names: `X`, `y` as scikit-learn takes them (n x d float32, or the frame of a `DataTable`),
    `inputs`, `labels` as tensors, `classes`, `seed` from the init stream, and `device` ("cpu", "cuda"). All are copies. Four required arguments of other
    names get inputs, labels, classes and seed in this order; arguments with a default and another name are left alone. It returns an object with
    `predict_proba` or `predict`, or a callable: from X, where it was trained on X, else from tensors, to n x k scores, to what has them as `logits`, or to n
    whole-number labels. Torch's global generator is seeded around it; the recipe seeds other generators itself.

    Args:
        function: "module:function" or "path/to/file.py:function"; in Python also the function itself.
        output: what the scores of a callable are: "logits", "probabilities" or "values". `predict_proba` gives probabilities, labels count as values (one-hot).
            "targets" for regression: `y` and `labels` are the numbers in float64, there are no `classes`, and what predicts gives n numbers.

    Raises:
        InvalidPart: the function has a required argument of another name, takes no inputs, or takes classes where it predicts numbers.
        UserCodeError: the function fails, or what it returns does not predict.

    Example:
        >>> def fit(X, y):
        ...     from sklearn.neighbors import KNeighborsClassifier
        ...     return KNeighborsClassifier(1).fit(X, y)
        >>> sample = Examples(torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1]), 2)
        >>> Recipe(fit).fit(sample).scores(torch.tensor([[0.9]])).tolist()
        [[0.0, 1.0]]
    """

    function: str | Callable[..., Any]
    output: _Output = "logits"

    @classmethod
    def specimens(cls) -> tuple[Recipe, ...]:
        return (cls("shatterlab.learners.recipe:nearest_class_mean", output="values"),)

    def validate(self) -> None:
        if callable(self.function):
            object.__setattr__(self, "function", live_code.reference(self.function))

    def fingerprints(self) -> Mapping[str, str]:
        return {"function": self._reference if live_code.is_live(self._reference) else fingerprint(self._reference, "Recipe")}

    @property
    def takes_columns(self) -> bool:
        """Whether the function takes X, which is a data frame where the data are a table."""
        return "X" in self.arguments()

    @property
    def predicts_numbers(self) -> bool:
        """Whether the function is a regression's."""
        return self.output == "targets"

    def arguments(self) -> tuple[str, ...]:
        """The names of the arguments that the function is called with; none where it gets inputs, labels, classes and seed in this order.

        Raises:
            InvalidPart: it has a required argument of another name, takes no inputs, or takes classes where it predicts numbers.
        """
        names = _names(self._function(), self._name)
        if self.predicts_numbers and "classes" in (names or _IN_ORDER):
            raise InvalidPart(f"Recipe: arguments without classes are required for output='targets', {self._name} takes them. Write def fit(X, y).")
        return names

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        function, names, device = self._function(), self.arguments(), usable_device(runtime)
        if self.predicts_numbers:
            train.require_targets(self.kind)
        labels = train.targets if self.predicts_numbers else train.labels
        offered: dict[str, Callable[[], Any]] = {
            "X": lambda: table_rows(train.inputs, train.columns),
            "y": lambda: labels.numpy().copy(),
            "inputs": train.inputs.clone,
            "labels": labels.clone,
            "classes": lambda: train.classes,
            "seed": lambda: seeds.integer("init", "recipe") % 2**31,
            "device": lambda: str(device),
        }
        values = {name: offered[name]() for name in names or _IN_ORDER}
        with seeded(seeds.integer("init"), device), user_code(f"Recipe: {self._name}"):
            predictor = function(**values) if names else function(*values.values())
        predict, output = self._prediction(predictor)

        def answer(inputs: Tensor) -> Any:
            queries = table_rows(inputs, train.columns) if "X" in names else inputs.clone()
            with seeded(None, device), user_code(f"Recipe: predict of {self._name}"), torch.no_grad():
                return self._scores(scores_in(predict(queries)))

        def score(inputs: Tensor) -> Tensor:
            scores = answer(inputs)
            if self.predicts_numbers:
                return self._numbers(scores, len(inputs))
            return self._one_hot(scores, train.classes) if _are_labels(scores) else _placed(scores.float().cpu(), predictor, train.classes, output)

        if output not in ("probabilities", "targets") and _are_labels(answer(train.inputs[:2])):
            output = "values"
        report_scores(observe, train, score, output)
        return Fit(score, output, predictor)

    @property
    def _reference(self) -> str:
        assert isinstance(self.function, str)  # since `validate`
        return self.function

    @property
    def _name(self) -> str:
        return self._reference.removeprefix("live:").partition("#")[0] if live_code.is_live(self._reference) else self._reference

    def _function(self) -> Callable[..., Any]:
        find = live_code.find if live_code.is_live(self._reference) else resolve
        function: Callable[..., Any] = find(self._reference, "Recipe")
        return function

    def _prediction(self, predictor: Any) -> tuple[Callable[[Any], Any], _Output]:
        """The method that predicts, or the callable itself, and what its scores are."""
        if hasattr(predictor, "predict_proba") and not self.predicts_numbers:
            return predictor.predict_proba, "probabilities"
        predict = getattr(predictor, "predict", predictor)
        if isinstance(predictor, type) or not callable(predict):
            required = f"{self._name} returns an object with predict_proba or predict, or a function from inputs to scores"
            raise UserCodeError(f"Recipe: {required}, got {type(predictor).__name__}. Return predict.")
        return predict, self.output

    def _scores(self, scores: Any) -> Tensor:
        if not isinstance(scores, Tensor) and hasattr(scores, "__array__"):
            scores = torch.from_numpy(np.array(scores))
        if not isinstance(scores, Tensor):
            required = f"predict of {self._name} gives a tensor or an array"
            raise UserCodeError(f"Recipe: {required}, got {type(scores).__name__}. Return n x k scores, or n whole-number labels.")
        return scores.detach()

    def _numbers(self, scores: Tensor, n: int) -> Tensor:
        if scores.shape not in ((n,), (n, 1)):
            got = f"got shape {tuple(scores.shape)} for {n} rows"
            raise UserCodeError(f"Recipe: predict of {self._name} gives one number for each row, {got}. Predict one target.")
        return scores.double().cpu().reshape(-1, 1)

    def _one_hot(self, labels: Tensor, classes: int) -> Tensor:
        labels = labels.long().cpu()
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            got = f"got {int(labels.min())} to {int(labels.max())}"
            raise UserCodeError(f"Recipe: predict of {self._name} gives labels in 0 .. {classes - 1}, {got}. Predict the labels of the training sample.")
        return functional.one_hot(labels, classes).float()


def _names(function: Callable[..., Any], name: str) -> tuple[str, ...]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some callables written in C have no signature
        return ()
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return ()
    named = [each for each in parameters if each.kind is not each.VAR_KEYWORD]
    required = [each.name for each in named if each.default is each.empty]
    first = [each for each in named if each.kind is not each.KEYWORD_ONLY][: len(_IN_ORDER)]
    fits = [each.name == wanted or (each.name in required and each.name not in OFFERED) for each, wanted in zip(first, _IN_ORDER, strict=False)]
    if len(fits) == len(_IN_ORDER) and all(fits) and {*required} <= {each.name for each in first}:
        return ()
    for each in required:
        if each not in OFFERED:
            got = f"got {each!r} of {name}"
            raise InvalidPart(f"Recipe: arguments of the names {', '.join(OFFERED)} are required, {got}. Rename it, or give it a default.")
    names = tuple(each.name for each in named if each.name in OFFERED)
    if not {"X", "inputs"} & {*names}:
        raise InvalidPart(f"Recipe: an argument X or inputs is required, {name} takes {', '.join(names) or 'none'}. Take the sample: def fit(X, y).")
    return names


def _are_labels(scores: Tensor) -> bool:
    return scores.ndim == 1 and not scores.is_floating_point() and not scores.is_complex()


def _placed(scores: Tensor, predictor: Any, classes: int, output: str) -> Tensor:
    """The scores with a column for each class, also for those that a classifier has not seen."""
    seen = getattr(predictor, "classes_", None) if output == "probabilities" else None
    if seen is None or scores.ndim != 2 or len(seen) != scores.shape[1] or scores.shape[1] >= classes:
        return scores
    placed = torch.zeros(len(scores), classes)
    placed[:, torch.from_numpy(np.asarray(seen, dtype=np.int64))] = scores
    return placed


def nearest_class_mean(inputs: Tensor, labels: Tensor, classes: int, seed: int) -> Any:
    """A recipe to start from: scores are minus the squared distances to the means of the classes that occur."""
    rows, present = inputs.flatten(1), labels.unique()
    means = torch.stack([rows[labels == label].mean(0) for label in present])

    def predict(queries: Tensor) -> Tensor:
        scores = torch.full((len(queries), classes), -torch.inf)
        scores[:, present] = -torch.cdist(queries.flatten(1), means).square()
        return scores

    return predict
