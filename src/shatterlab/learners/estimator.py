"""A scikit-learn estimator as a learner."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from shatterlab.core import Examples, Fit, Learner, Observer, Runtime, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.core.user_code import fingerprint, resolve, user_code
from shatterlab.learners._report import report_scores


@dataclass(frozen=True)
class Estimator(Learner):
    """A classifier of scikit-learn, or with its interface: `fit(X, y)` and `predict_proba(X)` or `predict(X)`.

    Scores are the probabilities of `predict_proba`, else 1 for the predicted class. Every `random_state`, at any depth, is set from the init stream.

    Args:
        estimator: "module:Class", as in "sklearn.ensemble:RandomForestClassifier".
        arguments: its constructor's arguments; an estimator inside them is {"estimator": ..., "arguments": {...}}.

    Raises:
        InvalidPart: the name is not that of a class with `fit` and `predict`.
        UserCodeError: the estimator fails.
    """

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
            InvalidPart: a parameter is not plain data, an estimator, or a list of those.
        """
        written = _written(estimator)
        return cls(written["estimator"], written["arguments"])

    def fingerprints(self) -> Mapping[str, str]:
        return {"estimator": fingerprint(self.estimator, "Estimator")}

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        estimator = _built({"estimator": self.estimator, "arguments": self.arguments})
        states = {name: seeds.integer("init", name) % 2**32 for name in estimator.get_params() if name.split("__")[-1] == "random_state"}
        rows, labels = train.inputs.flatten(1).numpy(), train.labels.numpy()
        with threadpool_limits(runtime.threads), user_code(f"Estimator: {self.estimator}"):
            estimator.set_params(**states)
            estimator.fit(rows.copy(), labels.copy())  # copies, which it may change
        score = _scorer(estimator, train.classes, self.estimator, runtime.threads)
        report_scores(observe, train, score, "probabilities")
        return Fit(score, "probabilities", estimator)


def _scorer(estimator: Any, classes: int, name: str, threads: int) -> Any:
    columns = np.asarray(estimator.classes_, dtype=int)

    def score(inputs: Tensor) -> Tensor:
        rows = inputs.flatten(1).numpy().copy()
        scores = np.zeros((len(rows), classes), dtype=np.float64)
        with threadpool_limits(threads), user_code(f"Estimator: {name}"):
            if hasattr(estimator, "predict_proba"):
                scores[:, columns] = estimator.predict_proba(rows)
            else:
                scores[np.arange(len(rows)), np.asarray(estimator.predict(rows), dtype=int)] = 1
        return torch.from_numpy(scores)

    return score


def _built(description: Any) -> Any:
    if isinstance(description, Mapping):
        if "estimator" not in description:
            return {name: _built(value) for name, value in description.items()}
        factory = resolve(description["estimator"], "Estimator")
        if not (inspect.isclass(factory) and all(hasattr(factory, name) for name in ("fit", "predict", "get_params"))) and not hasattr(factory, "transform"):
            raise InvalidPart(f"Estimator: a class with fit, predict and get_params is required, got {description['estimator']!r}. Name a classifier.")
        with user_code(f"Estimator: {description['estimator']}"):
            return factory(**{name: _built(value) for name, value in description.get("arguments", {}).items()})
    if isinstance(description, list | tuple):
        return [_built(value) for value in description]
    return description


def _written(value: Any) -> Any:
    if hasattr(value, "get_params") and not inspect.isclass(value):
        cls, options = type(value), value.get_params(deep=False)
        defaults = {name: item.default for name, item in inspect.signature(cls).parameters.items()}
        changed = {
            name: _written(option)
            for name, option in options.items()
            if name not in defaults or type(option) is not type(defaults[name]) or option != defaults[name]
        }
        return {"estimator": f"{cls.__module__}:{cls.__qualname__}", "arguments": changed}
    if isinstance(value, Mapping):
        return {str(name): _written(option) for name, option in value.items()}
    if isinstance(value, list | tuple):
        return [_written(option) for option in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.integer | np.floating):
        return value.item()
    raise InvalidPart(f"Estimator: parameters of plain data are required, got {value!r}. Wrap the estimator in a Recipe.")
