"""A scikit-learn estimator as a learner."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import is_regressor
from threadpoolctl import ThreadpoolController
from torch import Tensor

from shatterlab.core import Examples, Fit, Learner, Observer, Runtime, Seeds
from shatterlab.core.errors import UserCodeError
from shatterlab.core.user_code import fingerprint, user_code
from shatterlab.learners._arguments import built, places, written
from shatterlab.learners._report import report_scores
from shatterlab.learners._rows import table_rows


@dataclass(frozen=True)
class Estimator(Learner):
    """A classifier or regressor of scikit-learn, or with its interface: `fit(X, y)` and `predict_proba(X)` or `predict(X)`.

    Scores are the probabilities of `predict_proba`, else 1 for the predicted class; of a regressor its predictions. Every `random_state`, at any depth, is set
    from the init stream.
    The rows of a `DataTable` are those of a data frame, with names and types; all other inputs are arrays of n x d float32.

    Args:
        estimator: "module:Class", as in "sklearn.ensemble:RandomForestClassifier".
        arguments: its constructor's arguments; an estimator inside them is {"estimator": ..., "arguments": {...}}, NaN is {"float": "nan"}.

    Raises:
        InvalidPart: the name is not that of a class with `fit` and `predict`.
        UserCodeError: the estimator fails.
        DataError: a classifier gets a target of numbers, or a regressor classes.

    Example:
        >>> Estimator("sklearn.linear_model:Ridge", {"alpha": 2.0}).predicts_numbers
        True
    """

    reads_columns = True

    estimator: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def specimens(cls) -> tuple[Estimator, ...]:
        forest = cls("sklearn.ensemble:RandomForestClassifier", {"n_estimators": 20, "bootstrap": False})
        return (forest, cls("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}))

    @classmethod
    def of(cls, estimator: Any) -> Estimator:
        """The learner that makes copies of an unfitted estimator, as it is configured.

        Raises:
            InvalidPart: a parameter is not plain data, an estimator, something that can be imported, or a list or mapping of those.
        """
        description = written(estimator)
        return cls(description["estimator"], description["arguments"])

    def __post_init__(self) -> None:
        object.__setattr__(self, "arguments", _without_nan(self.arguments))
        super().__post_init__()

    def fingerprints(self) -> Mapping[str, str]:
        inner = [fingerprint(place, "Estimator") for place in sorted(places(self.arguments))]
        own = [text for text in inner if ":" not in text]  # of the user's own files; an installed package is named by its description
        return {"estimator": "+".join([fingerprint(self.estimator, "Estimator"), *own])}

    @functools.cached_property
    def predicts_numbers(self) -> bool:
        """Whether the estimator is a regressor, also inside of a pipeline or a search."""
        return _is_regressor(self.built())

    def built(self) -> Any:
        """A fresh, unfitted estimator of this configuration."""
        return built({"estimator": self.estimator, "arguments": self.arguments})

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        self.require_inputs(train)
        estimator = self.built()
        labels = (train.targets if self.predicts_numbers else train.labels).numpy().copy()  # a copy, like the rows: it may change them
        states = {name: seeds.integer("init", name) % 2**32 for name in estimator.get_params() if name.split("__")[-1] == "random_state"}
        with _threads(runtime.threads), user_code(f"Estimator: {self.estimator}"):
            estimator.set_params(**states)
            estimator.fit(table_rows(train.inputs, train.columns), labels)
        output: Literal["probabilities", "targets"] = "targets" if self.predicts_numbers else "probabilities"
        score = (_predictor if self.predicts_numbers else _scorer)(estimator, train, self.estimator, runtime.threads)
        report_scores(observe, train, score, output)
        return Fit(score, output, estimator)


def _is_regressor(estimator: Any) -> bool:
    try:
        return bool(is_regressor(estimator))
    except (AttributeError, TypeError, ValueError):  # an interface of before scikit-learn's tags
        return bool(getattr(estimator, "_estimator_type", None) == "regressor")


def _threads(count: int) -> Any:
    """Limits the threads of the libraries that are loaded now. To find them takes as long as a small fit, so it is done again only after an import."""
    return _controller(len(sys.modules)).limit(limits=count)


@functools.lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:
    return ThreadpoolController()


def _scorer(estimator: Any, train: Examples, name: str, threads: int) -> Any:
    columns = np.asarray(estimator.classes_, dtype=int)

    def score(inputs: Tensor) -> Tensor:
        rows = table_rows(inputs, train.columns)
        scores = np.zeros((len(rows), train.classes), dtype=np.float64)
        with _threads(threads), user_code(f"Estimator: {name}"):
            if hasattr(estimator, "predict_proba"):
                scores[:, columns] = estimator.predict_proba(rows)
            else:
                scores[np.arange(len(rows)), np.asarray(estimator.predict(rows), dtype=int)] = 1
        return torch.from_numpy(scores)

    return score


def _predictor(estimator: Any, train: Examples, name: str, threads: int) -> Any:
    def predict(inputs: Tensor) -> Tensor:
        with _threads(threads), user_code(f"Estimator: {name}"):
            predictions = np.asarray(estimator.predict(table_rows(inputs, train.columns)), dtype=np.float64)
        if predictions.size != len(inputs):
            got = f"predictions of shape {predictions.shape} for {len(inputs)} rows"
            raise UserCodeError(f"Estimator: {name}: one number for each row is required, got {got}. Predict one target.")
        return torch.from_numpy(predictions.reshape(-1, 1).copy())

    return predict


def _without_nan(value: Any) -> Any:
    """The same plain data in JSON's words: NaN and infinity have none."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, Mapping):
        return {name: _without_nan(option) for name, option in value.items()}
    return type(value)(map(_without_nan, value)) if type(value) in (list, tuple) else value
