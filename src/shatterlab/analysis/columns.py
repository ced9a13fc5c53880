"""What kind of quantity a column holds, and between which bounds a row's value is known."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from shatterlab.statistics import Interval, clopper_pearson, interval_of_bounds, share_interval

Quantity = Literal["share", "time", "positive", "outcome", "r2", "real"]
Bounds = tuple[float, float]
_EXAMPLES = {"train": "train.n", "test": "test.n", "oracle": "test.n", "validation": "train.n", "noisy": "noisy.n"}
_PATTERNS: tuple[tuple[Quantity, str], ...] = (
    ("share", r"(.*\.)?(accuracy|error|top5_accuracy|online_accuracy|clean_accuracy|random_error|support|support_per_pair|leverage)"),
    ("time", r"fit\.(epochs|steps)(_to_.*)?"),
    ("outcome", r"check\..*(?<!_p)|fit\.(separable|interpolates|censored|diverged)|.*\.vacuous"),
    ("r2", r"(.*\.)?r2"),
    ("positive", r"(.*\.)?(rmse|r2_se)"),
    ("real", r".*\.(saved|saved_bits|margin|mean_margin|smallest_margin|gap|per_parameter|overall)|.*gap"),
    ("positive", r"seconds.*|peak_memory|seeds\..*|.*\.n|classes"),
    ("positive", r".*(loss|norm|distance|difference|error|residual|trace|largest|smallest|mean|weight|weights|width|parameters|connections|neurons)"),
    ("positive", r".*(complexity|eigenvalue|eigenvalues|bound|bits|leaves|dimension|moved|outside|zeros_per_class|sharpness|sum|average|l1|l2)"),
    ("positive", r".*(norm_\d+|count|per_example|product|squared|noise_scale|squared_gradient|condition)"),
)


@functools.cache
def quantity(column: str) -> Quantity:
    """The kind of a column: a share of examples, a time in whole epochs or steps, a positive quantity, yes or no, an R2 (at most 1), or a real number.

    A column that the registry does not know is a real number (see `is_known`).

    Example:
        >>> [quantity(column) for column in ("test.error", "fit.epochs_to_interpolation", "train.loss", "fit.separable", "my.score")]
        ['share', 'time', 'positive', 'outcome', 'real']
    """
    return next((kind for kind, pattern in _PATTERNS if re.fullmatch(pattern, column)), "real")


@functools.cache
def is_known(column: str) -> bool:
    """Whether the registry knows the column."""
    return any(re.fullmatch(pattern, column) for _, pattern in _PATTERNS)


def examples(row: Mapping[str, Any], column: str) -> int | None:
    """Of how many examples the column is a share; None where the row does not say."""
    count = row.get(_EXAMPLES.get(column.partition(".")[0], "")) if quantity(column) == "share" else None
    return count if isinstance(count, int) and count >= 1 else None


def bounds(row: Mapping[str, Any], column: str) -> Bounds | None:
    """Between which bounds the value of a column is known; None where there is none.

    A time lies within its last epoch; a goal that was not reached takes longer than the run; a share of m examples is known to within 1 / (2 m).

    Example:
        >>> bounds({"fit.epochs_to_interpolation": 20}, "fit.epochs_to_interpolation"), bounds({"test.error": 0.25, "test.n": 50}, "test.error")
        ((19.0, 20.0), (0.24, 0.26))
    """
    value = row.get(column)
    if column.startswith(("fit.epochs", "fit.steps")):
        return _time(row, column, value)
    if not isinstance(value, int | float):
        return None
    of = examples(row, column)
    half = 0.5 / of if of and math.isfinite(value) else 0.0
    return float(value) - half, float(value) + half


def _time(row: Mapping[str, Any], column: str, value: Any) -> Bounds | None:
    unit = "epochs" if column.startswith("fit.epochs") else "steps"
    epochs, length = row.get("fit.epochs"), row.get(f"fit.{unit}")
    if value is None and column.startswith(f"fit.{unit}_to_") and isinstance(length, int | float):
        return float(length), math.inf
    if not isinstance(value, int | float):
        return None
    if column in ("fit.epochs", "fit.steps"):
        return float(value), float(value)
    step = float(length) / float(epochs) if unit == "steps" and isinstance(length, int | float) and isinstance(epochs, int | float) and epochs else 1.0
    return max(0.0, float(value) - step), float(value)


def mean_interval_of(kind: Quantity, values: Sequence[float], known: Sequence[Bounds], of: int | None, level: float) -> Interval:
    """The interval of the mean of a column of this kind over replicates; of times and positive quantities the geometric mean.

    Args:
        kind: of the column.
        values: one a replicate.
        known: the bounds of each.
        of: of how many examples each is a share, None: not known.
        level: confidence, in (0, 1).

    Raises:
        DataError: no value, or a level outside (0, 1).
    """
    if kind == "outcome" and set(values) <= {0.0, 1.0}:
        return clopper_pearson(round(sum(values)), len(values), level)
    if kind == "share" and min(values) >= 0 and max(values) <= 1:
        return share_interval(values, of, level)
    lows, highs = [low for low, _ in known], [high for _, high in known]
    limits = (0.0 if kind in ("positive", "time") and min(values) >= 0 else -math.inf, 1.0 if kind == "r2" and max(values) <= 1 else math.inf)
    scale: Literal["log", "linear"] = "log" if is_geometric(kind, values) else "linear"
    interval = interval_of_bounds(lows, highs, level, scale, limits)
    return replace(interval, estimate=mean_of(kind, values)) if all(map(math.isfinite, highs)) else interval


def is_geometric(kind: Quantity, values: Sequence[float]) -> bool:
    """Whether the mean of these values is the geometric one: of times and positive quantities, unless one is 0."""
    return kind in ("time", "positive") and min(values) > 0


def mean_of(kind: Quantity, values: Sequence[float]) -> float:
    """The mean that intervals of this kind are about."""
    if len(set(values)) == 1:
        return values[0]
    if is_geometric(kind, values):
        return math.exp(math.fsum(map(math.log, values)) / len(values))
    return math.fsum(values) / len(values)
