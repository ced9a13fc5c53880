"""Corruptions of training labels: redrawn with some probability, replaced by coin tosses, or permuted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shatterlab.core import LabelCorruption


@dataclass(frozen=True)
class PartialLabels(LabelCorruption):
    """Each training label is redrawn, with probability `level`, uniformly from all k classes.

    The true class may be drawn again, so the changed fraction is level (1 - 1/k) on average. Levels of
    one seed are nested: a label that is redrawn at 0.3 is redrawn, to the same class, at 0.5.

    Args:
        level: the probability that a label is redrawn, in [0, 1].

    Raises:
        InvalidPart: the level lies outside [0, 1].

    Source:
        Zhang et al. 2017, section 2.1.

    Example:
        >>> PartialLabels(1).describe() == RandomLabels().describe()
        True
    """

    level: float

    def validate(self) -> None:
        self.require(0 <= self.level <= 1, "level is a probability in [0, 1]", self.level)

    @classmethod
    def specimens(cls) -> tuple[PartialLabels, ...]:
        return (cls(0.0), cls(0.3), cls(1.0))

    def labels(self, labels: np.ndarray[Any, Any], classes: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        redrawn = rng.random(len(labels)) < self.level
        return np.where(redrawn, rng.integers(classes, size=len(labels)), labels)

    def transition(self, classes: int) -> np.ndarray[Any, Any]:
        return (1 - self.level) * np.eye(classes) + self.level / classes


def TrueLabels() -> PartialLabels:
    """The data as they are: `PartialLabels(0.0)`."""
    return PartialLabels(0.0)


def RandomLabels() -> PartialLabels:
    """Every label redrawn uniformly, independent of its input: `PartialLabels(1.0)`."""
    return PartialLabels(1.0)


@dataclass(frozen=True)
class RandomSigns(LabelCorruption):
    """Each training label becomes class 0 or class 1 by the toss of a fair coin; the model keeps its k scores.

    That is one draw of the signs in Rademacher complexity, for the class of two-class classifiers x -> sign(f_1(x) - f_0(x)) of a
    k-class model f. Where training ends with the error e, that class reaches a correlation of at least 1 - 2 e with the coins (an answer beyond class 1 counts
    as wrong, which can only lower it). Labels drawn from all k classes are not signs. All draws at one data seed share their inputs.

    Source:
        Bartlett, Mendelson 2002, definition 2 (without their factor 2 and absolute value).

    Example:
        >>> set(RandomSigns().labels(np.array([7, 7, 7, 7]), 10, np.random.default_rng(0)).tolist()) <= {0, 1}
        True
    """

    def labels(self, labels: np.ndarray[Any, Any], classes: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        return rng.integers(2, size=len(labels))

    def transition(self, classes: int) -> np.ndarray[Any, Any]:
        coin = np.zeros((classes, classes))
        coin[:, :2] = 0.5
        return coin


@dataclass(frozen=True)
class PermutedLabels(LabelCorruption):
    """The training labels are permuted among all examples, so that each class stays exactly as large as it was.

    The null of a permutation test: where classes are unequal, `RandomLabels` makes them equal too, and a model shows both differences. It has no transition,
    since labels are not drawn independently: given the true class, the new one is i with probability n_i / n, and the counts are hypergeometric.

    Source:
        Ojala, Garriga 2010, "Permutation tests for studying classifier performance", Test 1.

    Example:
        >>> np.bincount(PermutedLabels().labels(np.array([0, 0, 0, 2]), 3, np.random.default_rng(0)), minlength=3).tolist()
        [3, 0, 1]
    """

    keeps_class_counts: ClassVar[bool] = True

    def labels(self, labels: np.ndarray[Any, Any], classes: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        return rng.permutation(labels)
