"""A fair coin in place of every training label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.core import LabelCorruption


@dataclass(frozen=True)
class RandomSigns(LabelCorruption):
    """Each training label becomes class 0 or class 1 by the toss of a fair coin; the model keeps its k scores.

    That is one draw of the signs that Rademacher complexity is made of, for the class of two-class classifiers x -> sign(f_1(x) - f_0(x)) of a
    k-class model f. Where training ends with the error e, that class reaches a correlation of at least 1 - 2 e with the coins (an answer beyond 1 counts
    as wrong, which can only lower it). Labels drawn from all k classes are no draw of signs. At one data seed all draws share their inputs.

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
