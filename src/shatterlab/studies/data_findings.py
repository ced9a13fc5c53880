"""What is wrong with the user's data, before anything is trained on it."""

from __future__ import annotations

from typing import Any

from shatterlab.analysis.data_findings import DataFinding, findings_in
from shatterlab.core import Learner, Runtime, Seeds, Splits
from shatterlab.core.errors import printable
from shatterlab.learners.estimator import Estimator
from shatterlab.studies.model_and_data import dataset, learners
from shatterlab.trials.trial import sample

_NAMED = 5


def data_findings(data: Any = None, model: Any = None, *, seeds: Seeds = Seeds(), runtime: Runtime = Runtime(), **columns: Any) -> list[DataFinding]:
    """What is wrong with data: equal inputs in both splits, contradicting labels, a column that gives the label away, and the like.

    Args:
        data: as `audit` takes it.
        model: as `audit` takes it, to see whether it can take the columns (None: not asked).
        seeds: of the split, where the data are not split already.
        runtime: with the folder of the published data sets.
        columns: `target`, `group`, `time` and `split` of a table.

    Returns:
        Errors first, then warnings and notes; none where the data are clean.

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
    splits = sample(dataset(data, **columns), runtime, seeds)
    found = findings_in(splits)
    return [*(unusable(learners(model)[0], splits) if model is not None else ()), *found]


def unusable(learner: Learner, splits: Splits) -> list[DataFinding]:
    """The columns that a learner cannot take: text for one that needs numbers, missing values for one that refuses them.

    Args:
        learner: of which only scikit-learn's own estimators that hold no other estimator say what they take, and learners that are no estimators need numbers.
        splits: of a table, or other data, which any learner takes.
    """
    problems = splits.train.columns.problems if splits.train.columns else {}
    if learner.takes_columns and problems:
        text, missing = _taken(learner)
        problems = {content: names for content, names in problems.items() if not (missing if content == "missing values" else text)}
    findings = []
    for content, names in problems.items():
        which = ", ".join(printable(repr(name)) for name in names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        remedy = "Fill them" if content == "missing values" else "Turn them into numbers"
        sentence = f"{_name(learner)} cannot take {content}, which column{'s' if len(names) > 1 else ''} {which} hold{'' if len(names) > 1 else 's'}: {remedy}."
        findings.append(DataFinding("columns the model cannot take", "error", len(names), sentence.replace(": F", ": f").replace(": T", ": t")))
    return findings


def _name(learner: Learner) -> str:
    return learner.estimator.rpartition(":")[2] if isinstance(learner, Estimator) else learner.kind


def _taken(learner: Learner) -> tuple[bool, bool]:
    """Whether text and whether missing values are taken; yes where that is not known."""
    estimator = next((part for part in learner.parts() if isinstance(part, Estimator)), None)
    if estimator is None or not estimator.estimator.startswith("sklearn."):
        return True, True
    built = estimator.built()
    tags = getattr(built, "__sklearn_tags__", lambda: None)()
    if tags is None or any(hasattr(value, "get_params") for value in built.get_params().values()) or "steps" in built.get_params():
        return True, True
    return bool(tags.input_tags.string or tags.input_tags.categorical), bool(tags.input_tags.allow_nan)
