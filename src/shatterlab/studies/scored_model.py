"""A model with its metric and its splits, as one function from data to a score: what a permutation test repeats."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import hash as content_hash
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import BaseCrossValidator, GroupKFold, PredefinedSplit, StratifiedGroupKFold, check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import _safe_split

from shatterlab.core.errors import DataError, InvalidPart, UnknownName, UserCodeError
from shatterlab.core.user_code import user_code
from shatterlab.statistics.permutations import Whole

OWNER = "significance"
_FOLDS = 5
_WHOLE, _SPLIT = 2, 4  # arguments of a user's function: (X, y) or (X_train, y_train, X_test, y_test)


@dataclass(frozen=True, eq=False)
class ScoredModel:
    """One function from data to a score, the larger the better.

    Args:
        model: an estimator, which is cloned for every fit, or a function that fits and scores.
        metric: the name of the score.
        scorer: scores a fitted estimator; None for a function.
        cv: a splitter; None for a function that takes all data.
        groups: what the splitter gets as groups.
        classes: whether labels are classes.
        own_cv: whether the splitter is ours, which gets class codes instead of y, so that labels may be of any type.
        pairwise: whether X is a Gram matrix, whose columns are split too.
    """

    model: Any
    metric: str
    scorer: Callable[[Any, Any, Any], Any] | None
    cv: BaseCrossValidator | None
    groups: Whole | None
    classes: bool
    own_cv: bool = False
    pairwise: bool = False

    def score(self, X: Any, y: Any, codes: Whole, *, watch: bool = False) -> float:
        """The mean score over the splits.

        Args:
            X: inputs.
            y: labels or targets.
            codes: the same as whole numbers.
            watch: refuse a model that changes the data of its first fit.

        Raises:
            UserCodeError: the model, the metric or the splitter fails.
            DataError: a score is no finite number, or the model changes its data.
        """
        if self.cv is None:
            return self._score_of((X, y), watch)
        with user_code(f"{OWNER}: the cross-validation"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The groups parameter is ignored")  # they may be there for the permutation only
            splits = list(self.cv.split(X, codes if self.classes and self.own_cv else y, self.groups))
        if not splits:
            raise DataError(f"{OWNER}: at least one split is required, the cross-validation gives none.")
        scores: list[float] = []
        for train, test in splits:
            with user_code(f"{OWNER}: the cross-validation"):
                data = (*self._part(X, y, train, train), *self._part(X, y, test, train))
            scores.append(self._score_of(data, watch and not scores))
        return float(np.mean(scores))

    def _part(self, X: Any, y: Any, positions: Any, train: Any) -> tuple[Any, Any]:
        return X[np.ix_(positions, train)] if self.pairwise else _at(X, positions), _at(y, positions)

    def _score_of(self, data: tuple[Any, ...], watch: bool) -> float:
        before = content_hash([_content(each) for each in data]) if watch else None
        with user_code(f"{OWNER}: the model"):
            if self.scorer is None:
                score = self.model(*data)
            else:
                X_train, y_train, X_test, y_test = data
                fitted = clone(self.model)
                fitted.fit(X_train, y_train)
                score = self.scorer(fitted, X_test, y_test)
        if watch and content_hash([_content(each) for each in data]) != before:
            raise DataError(f"{OWNER}: a model that leaves its data as they are is required, its first fit changed them. Let it work on copies (copy=True).")
        if not isinstance(score, int | float | np.integer | np.floating) or not math.isfinite(score):
            got = str(float(score)) if isinstance(score, int | float | np.number) else f"a {type(score).__name__}"
            raise DataError(f"{OWNER}: one finite number is required as {self.metric}, got {got}. Take stratified or fewer splits, or another metric.")
        return float(score)

    def baseline(self, X: Any, y: Any, codes: Whole) -> float | None:
        """The score of the same metric and splits without a look at the inputs; None where there is none."""
        if self.scorer is None or not (self.classes or is_regressor(self.model)):
            return None
        constant = DummyClassifier() if self.classes else DummyRegressor()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a metric may warn that a constant answer leaves it undefined
            try:
                return replace(self, model=constant).score(X, y, codes)
            except (UserCodeError, DataError):
                return None


def scored_model(model: Any, y: Any, codes: Whole, cv: Any, scoring: Any, groups: Whole | None, whole_groups: bool) -> ScoredModel:
    """A model, ready to be scored.

    Args:
        model: an estimator of scikit-learn's interface, or a function of (X, y) or of (X_train, y_train, X_test, y_test).
        y: labels or targets.
        codes: the same as whole numbers.
        cv: a number of folds, a splitter, an iterable of splits, or None for the default.
        scoring: the name of a metric, a scorer, or None for the default.
        groups: the group of each example.
        whole_groups: whether groups share one label, so that by default folds keep them together.

    Raises:
        InvalidPart: the model is neither, or an option does not go with it.
        UnknownName: scikit-learn has no such metric.
        UserCodeError: the splits cannot be made.
    """
    estimator = hasattr(model, "fit")
    if isinstance(model, type) or (estimator and not hasattr(model, "get_params")) or not (estimator or callable(model)):
        got = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        remedy = "Give an instance, or a function fit_and_score(X_train, y_train, X_test, y_test)."
        raise InvalidPart(f"{OWNER}: an estimator with fit and get_params or a function is required, got {got}. {remedy}")
    floating = np.asarray(y).dtype.kind == "f"
    classes = bool(is_classifier(model)) if estimator else not floating
    metric, scorer = _metric(model, scoring, classes) if estimator else _of_function(scoring)
    if not estimator and _arguments(model) == _WHOLE:
        if cv is not None:
            raise InvalidPart(f"{OWNER}: a function of (X, y) makes its own splits, got cv={cv!r} beside it. Leave cv out.")
        return ScoredModel(model, metric, None, None, None, classes)
    with user_code(f"{OWNER}: the cross-validation"):
        splitter = _splitter(cv, codes, classes, groups if whole_groups else None)
        pairwise = estimator and _safe_split(model, np.zeros((2, 2)), None, [0])[0].shape == (1, 1)
        return ScoredModel(model, metric, scorer, splitter, groups, classes, cv is None or isinstance(cv, int | np.integer), pairwise)


def parts_of(cv: Any, n: int) -> Whole | None:
    """The part of each example under splits that do not depend on labels any more; None where labels may leave their part.

    Such splits may have been stratified: labels that leave their part would then get other class shares in each fold than the true ones have. Splits into
    single examples (leave one out) say nothing about labels.

    Args:
        cv: as in `scored_model`.
        n: the number of examples.
    """
    if isinstance(cv, PredefinedSplit):
        cv = list(cv.split())
    if not isinstance(cv, list):
        return None
    where = np.zeros((n, 2 * len(cv)), bool)
    for column, positions in enumerate(side for split in cv for side in split):
        where[positions, column] = True
    parts = np.asarray(np.unique(where, axis=0, return_inverse=True)[1]).ravel()
    return parts if np.bincount(parts).min() > 1 else None


def _splitter(cv: Any, codes: Whole, classes: bool, whole: Whole | None) -> Any:
    if cv is not None:
        return check_cv(cv, codes, classifier=classes)
    units = codes if whole is None else codes[np.unique(whole, return_index=True)[1]]  # each as large as a class must be for that many folds
    folds = max(2, min(_FOLDS, *(np.unique(units, return_counts=True)[1] if classes else [len(units)])))
    if whole is None:
        return check_cv(folds, codes, classifier=classes)
    return StratifiedGroupKFold(folds) if classes else GroupKFold(folds)


def _metric(model: Any, scoring: Any, classes: bool) -> tuple[str, Any]:
    if scoring is None:
        chosen = getattr(model, "scoring", None)  # of a search
        scoring = chosen if isinstance(chosen, str) or callable(chosen) else "accuracy" if classes else "r2" if is_regressor(model) else None
    if isinstance(scoring, str) and scoring not in get_scorer_names():
        raise UnknownName(f"{OWNER}: scoring", scoring, get_scorer_names())
    if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
        raise InvalidPart(f"{OWNER}: scoring is one metric, its name or a scorer, got {scoring!r}. Call once for each metric.")
    name = scoring if isinstance(scoring, str) else getattr(getattr(scoring, "_score_func", scoring), "__name__", "score")
    with user_code(f"{OWNER}: scoring"):
        return name, check_scoring(model, scoring=scoring)


def _of_function(scoring: Any) -> tuple[str, None]:
    if scoring is not None:
        raise InvalidPart(f"{OWNER}: a function gives its own score, got scoring={scoring!r} beside it. Leave scoring out.")
    return "score", None


def _arguments(function: Callable[..., Any]) -> int:
    with user_code(f"{OWNER}: the model"):
        parameters = inspect.signature(function).parameters.values()
    required = [each for each in parameters if each.default is each.empty and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if len(required) not in (_WHOLE, _SPLIT):
        got = f"{len(required)} required arguments"
        raise InvalidPart(f"{OWNER}: a function of (X, y) or of (X_train, y_train, X_test, y_test) is required, got {got}. Wrap the model in one.")
    return len(required)


def _at(data: Any, positions: Any) -> Any:
    return data[positions] if isinstance(data, np.ndarray) else _safe_indexing(data, positions)


def _content(data: Any) -> Any:
    """What decides whether two data are equal, without what reading them may rearrange."""
    if hasattr(data, "iloc"):
        return [column.to_numpy() for _, column in data.items()] if data.ndim > 1 else data.to_numpy()
    if hasattr(data, "tocsr"):
        ordered = data.tocsr(copy=True)
        ordered.sum_duplicates()
        return ordered.data, ordered.indices, ordered.indptr
    return data
