"""What a test score is, accuracy or R2: where it stands in a row, how it is printed, what a constant answer scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy.special import stdtrit

from shatterlab.analysis.summary import LEVEL
from shatterlab.core import Row
from shatterlab.statistics import Interval, clopper_pearson, interval_of_bounds, share_interval

_SPREAD_FROM = 3  # replicates


@dataclass(frozen=True)
class Metric:
    """What a score is: accuracy of classes, R2 of numbers.

    Args:
        name: "accuracy" or "r2".
    """

    name: Literal["accuracy", "r2"]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Metric:
        """The metric that the rows have."""
        return cls("r2" if any(isinstance(row.get("test.r2"), float) for row in rows) else "accuracy")

    def column(self, split: str) -> str:
        """Its column of a split, "train" or "test"."""
        return f"{split}.{self.name}"

    def of_row(self, row: Mapping[str, Any], split: str) -> float | None:
        """The score of a trial, where it has one."""
        value = row.get(self.column(split))
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    def baseline(self, row: Mapping[str, Any], split: str) -> float:
        """The score of the constant answer."""
        return float(row.get(f"baseline.{split}.{self.name}", 1 / int(row.get("classes", 2)) if self.name == "accuracy" else 0.0))

    def perfect(self, row: Mapping[str, Any]) -> bool:
        """Whether training ended without an error."""
        value = self.of_row(row, "train")
        return row["status"] == "ok" and value is not None and value >= (1 if self.name == "accuracy" else 1 - 1e-9)

    def text(self, value: float, unit: bool = True) -> str:
        """A score as it is printed."""
        return f"{100 * value:.1f}{' %' if unit else ''}" if self.name == "accuracy" else f"{value:.2f}"

    @property
    def title(self) -> str:
        """As in "test accuracy"."""
        return "accuracy" if self.name == "accuracy" else "R2"

    @property
    def labels(self) -> str:
        """What is permuted."""
        return "labels" if self.name == "accuracy" else "targets"

    @property
    def constant(self) -> str:
        """The answer of the baseline."""
        return "always answering the majority class" if self.name == "accuracy" else "always answering the mean"

    def interval(self, values: Sequence[float], examples: int | None, errors: Sequence[float] = ()) -> Interval:
        """Of the mean of replicates: never narrower than the error over the examples of one test split, which is all that one or two replicates show.

        Args:
            values: one a replicate.
            examples: of the test split; None: not known.
            errors: of R2, the standard error of each over these examples; none where they are not known.
        """
        between, counted = self._intervals(values, examples, errors)
        if counted is None:
            return between
        if len(values) < _SPREAD_FROM or between.method == "no spread":
            return counted
        ends = min(between.low, counted.low), max(between.high, counted.high)
        return Interval(between.estimate, *ends, LEVEL, between.method, between.n)

    def _intervals(self, values: Sequence[float], examples: int | None, errors: Sequence[float]) -> tuple[Interval, Interval | None]:
        """That of the spread between replicates, and that of the examples of one test split."""
        if self.name == "accuracy":
            between = share_interval(values, examples, LEVEL)
            return between, clopper_pearson(round(between.estimate * examples), examples, LEVEL) if examples else None
        enough = values if len(values) >= _SPREAD_FROM else [sum(values) / len(values)]  # of one value every mean is possible
        between = interval_of_bounds(enough, enough, LEVEL, limits=(-math.inf, 1.0))
        if examples is None or examples < 2 or len(errors) < len(values):
            return between, None
        mean, half = between.estimate, float(stdtrit(examples - 1, (1 + LEVEL) / 2)) * math.fsum(errors) / len(errors)
        return between, Interval(mean, mean - half, min(1.0, mean + half), LEVEL, "t of examples", len(values))
