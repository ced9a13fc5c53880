"""Corruptions of training labels: redrawn with some probability, replaced by coin tosses, or permuted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shatterlab.core import Examples, LabelCorruption
from shatterlab.core.errors import DataError
from shatterlab.statistics.permutations import Exchange


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
    """Each training example is chosen with probability `level`, and the labels of the chosen are permuted: each class stays exactly as large as it was.

    The null of a permutation test: where classes are unequal, `RandomLabels` makes them equal too, and a model shows both differences. It has no transition,
    since labels are not drawn independently: given the true class, the new one is i with probability n_i / n, and the counts are hypergeometric.

    Labels change places as the data allow it. Of a table with groups, they move between groups as wholes where each group has one label, else within each group
    (a class then keeps its number of groups, or of examples); of a table in the order of time they are shifted circularly. Both at level 1 only.

    Args:
        level: the probability that an example is chosen, in [0, 1].

    Raises:
        InvalidPart: the level lies outside [0, 1].
        DataError: a level below 1 is asked of a sample with groups or times.

    Source:
        Ojala, Garriga 2010, "Permutation tests for studying classifier performance", Test 1.

    Example:
        >>> np.bincount(PermutedLabels().labels(np.array([0, 0, 0, 2]), 3, np.random.default_rng(0)), minlength=3).tolist()
        [3, 0, 1]
    """

    keeps_class_counts: ClassVar[bool] = True

    level: float = 1.0

    def validate(self) -> None:
        self.require(0 <= self.level <= 1, "level is a probability in [0, 1]", self.level)

    @classmethod
    def specimens(cls) -> tuple[PermutedLabels, ...]:
        return (cls(), cls(0.3))

    def labels(self, labels: np.ndarray[Any, Any], classes: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        if self.level == 1:
            return rng.permutation(labels)
        chosen = np.flatnonzero(rng.random(len(labels)) < self.level)
        labels[chosen] = rng.permutation(labels[chosen])
        return labels

    def relabelled(self, train: Examples, rng: np.random.Generator) -> np.ndarray[Any, Any]:
        labels = train.labels.numpy()
        if train.groups is None and train.times is None:
            return self.labels(labels.copy(), train.classes, rng)
        if self.level < 1:
            raise DataError(f"{self.kind}: level 1 is required where examples have groups or times, got {self.level:g}. Permute all of them.")
        return np.asarray(labels[exchange_of(train).draw(rng)])


def exchange_of(train: Examples) -> Exchange:
    """Which labels of a sample may change places: those of whole groups, of one group, or all; in the order of time where it has one."""
    n, groups = len(train), None if train.groups is None else np.unique(train.groups.numpy(), return_inverse=True)[1].ravel()
    times = None if train.times is None else train.times.numpy()
    if groups is None:
        return Exchange.of(np.arange(n), np.zeros(n, np.int64), times)
    return Exchange.of(groups, np.zeros(n, np.int64), times) if one_label_each(train) else Exchange.of(np.arange(n), groups, times)


def one_label_each(train: Examples) -> bool:
    """Whether the sample has groups, of which each has one label."""
    if train.groups is None:
        return False
    pairs = np.stack([train.groups.numpy(), train.labels.numpy()])
    return len(np.unique(pairs, axis=1).T) == len(np.unique(pairs[0]))
