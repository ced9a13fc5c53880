"""What is wrong with the user's data, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shatterlab.analysis.data_findings import DataFinding, findings_in
from shatterlab.core import Learner, Runtime, Seeds, Splits
from shatterlab.core.columns import Column
from shatterlab.core.errors import printable
from shatterlab.learners.estimator import Estimator
from shatterlab.studies.model_and_data import dataset, learners, with_task
from shatterlab.studies.model_findings import model_findings
from shatterlab.trials.trial import sample

_NAMED = 5


def data_findings(data: Any = None, model: Any = None, *, seeds: Seeds = Seeds(), runtime: Runtime = Runtime(), **columns: Any) -> list[DataFinding]:
    """What is wrong with data: equal inputs in both splits, contradicting labels, a column that gives the label away, and the like.

    Args:
        data: as `audit` takes it.
        model: as `audit` takes it, to see whether it can take the columns, and how its network answers before training (None: not asked).
        seeds: of the split, where the data are not split already.
        runtime: with the folder of the published data sets.
        columns: `target`, `group`, `time` and `split` of a table.

    Returns:
        Those of the model first, then errors, warnings and notes of the data; none where both are clean.

    Raises:
        DataError: the data are missing, damaged or unusable.

    Example:
        >>> import numpy as np
        >>> x, y = np.random.default_rng(0).random((200, 3)), np.arange(200) % 2
        >>> data_findings((x, y))
        []
        >>> print(data_findings((np.c_[x, y + 0.1], y))[0].sentence)
        Column 3 alone gives every test label: is it known before the label is, or made from it?
    """
    splits = sample(with_task(dataset(data, **columns), model), runtime, seeds)
    learner = learners(model)[0] if model is not None else None
    return [*(() if learner is None else [*unusable(learner, splits), *model_findings(learner, splits)]), *findings_in(splits)]


def unusable(learner: Learner, splits: Splits) -> list[DataFinding]:
    """The columns that a learner cannot take: text for one that needs numbers, missing values for one that refuses them.

    Args:
        learner: of which only scikit-learn's own estimators that hold no other estimator say what they take, and learners that are no estimators need numbers.
        splits: of a table, or other data, which any learner takes.
    """
    estimator = next((part for part in learner.parts() if isinstance(part, Estimator)), None)
    takes = _takes(estimator.built()) if estimator is not None else lambda column: not column.problem or learner.takes_columns
    refused: dict[str, list[str]] = {}
    for column in splits.train.columns.columns if splits.train.columns else ():
        if not takes(column):
            refused.setdefault(column.problem, []).append(str(column.name))
    name = estimator.estimator.rpartition(":")[2] if estimator is not None else learner.kind
    return [_finding(name, content, names) for content, names in refused.items()]


def _finding(model: str, content: str, names: list[str]) -> DataFinding:
    which = ", ".join(printable(repr(name)) for name in names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    columns = f"which columns {which} hold" if len(names) > 1 else f"which column {which} holds"
    remedy = "fill them" if content == "missing values" else "turn them into numbers"
    sentence = f"{model} cannot take {content}, {columns}: {remedy}, or put it into a pipeline that does."
    return DataFinding("columns the model cannot take", "error", len(names), sentence)


def _takes(estimator: Any) -> Callable[[Column], bool]:
    """Whether an estimator takes a column; yes where that is not known."""
    tags, options = getattr(estimator, "__sklearn_tags__", lambda: None)(), estimator.get_params()
    composed = any(hasattr(value, "get_params") or isinstance(value, list) for value in options.values())
    if tags is None or composed or not type(estimator).__module__.startswith("sklearn."):
        return lambda column: True

    def takes(column: Column) -> bool:
        if column.problem == "missing values":
            return bool(tags.input_tags.allow_nan)
        if column.problem == "categories":
            return bool(tags.input_tags.categorical or "categorical_features" in options or column.dtype.categories.dtype.kind in "iufb")
        return column.problem not in ("text", "dates", "objects") or bool(tags.input_tags.string)

    return takes
