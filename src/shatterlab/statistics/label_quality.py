"""Which labels look wrong, from class probabilities of examples that the model was not fitted on: scores, confident classes, agreement."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Floats = np.ndarray[Any, Any]


def self_confidence(probabilities: Floats, labels: Floats) -> Floats:
    """The probability of each example's own label, in [0, 1]: low where the label looks wrong.

    Args:
        probabilities: n x k, out of sample.
        labels: int64 in 0 .. k - 1, shape (n,).

    Example:
        >>> self_confidence(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([1, 1])).tolist()
        [0.1, 0.8]
    """
    own: Floats = np.take_along_axis(probabilities, labels[:, None], 1)[:, 0]
    return own


def label_margin(probabilities: Floats, labels: Floats) -> Floats:
    """The probability of each example's own label minus that of the likeliest other class, in [-1, 1].

    Args:
        probabilities: n x k, out of sample, k >= 2.
        labels: int64 in 0 .. k - 1, shape (n,).

    Source:
        Wei et al. 2018, normalized margin, without its map to [0, 1].

    Example:
        >>> label_margin(np.array([[0.75, 0.25], [0.25, 0.75]]), np.array([1, 1])).tolist()
        [-0.5, 0.5]
    """
    others = np.array(probabilities, dtype=np.float64)
    np.put_along_axis(others, labels[:, None], -np.inf, 1)
    margin: Floats = self_confidence(probabilities, labels) - others.max(1)
    return margin


def confident_classes(probabilities: Floats, labels: Floats) -> Floats:
    """The class that the model is sure about for each example, -1 where there is none.

    It is sure about class j where p_j is at least its mean over the examples with label j; of several such classes the likeliest counts. An example
    whose confident class is not its label is an entry off the diagonal of the confident joint.

    Args:
        probabilities: n x k, out of sample.
        labels: int64 in 0 .. k - 1, shape (n,).

    Source:
        Northcutt, Jiang, Chuang 2021, "Confident learning", equations 1 and 2.

    Example:
        >>> confident_classes(np.array([[0.9, 0.1], [0.8, 0.2], [0.5, 0.5], [0.1, 0.9]]), np.array([0, 0, 1, 1])).tolist()
        [0, -1, -1, 1]
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, self_confidence(probabilities, labels), minlength=classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    sure = probabilities >= thresholds - 1e-9  # equal but for the rounding of the mean
    likeliest = np.where(sure, probabilities, -1.0).argmax(1)
    confident: Floats = np.where(sure.any(1), likeliest, -1)
    return confident


def agreement_z(answers: Floats, labels: Floats, classes: int) -> float:
    """How far the number of answers that equal the label is above that of answers without relation to the labels, in standard deviations.

    Mean and variance are those over all permutations of the labels, exactly. It is at most sqrt(n - 1), and 0 where all answers or all labels are equal.

    Args:
        answers: int64 in 0 .. k - 1, shape (n,).
        labels: likewise.
        classes: k.

    Source:
        Cohen 1960 (kappa); Hoeffding 1951 (moments of permutation statistics).

    Example:
        >>> agreement_z(np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1]), 2)
        2.0
    """
    n = len(labels)
    if n < 2:
        return 0.0
    given, known = np.bincount(answers, minlength=classes) / n, np.bincount(labels, minlength=classes) / n
    expected = float(given @ known)
    away = np.eye(classes) - known[:, None] - given[None, :] + expected
    variance = n * n * float(given @ np.square(away) @ known) / (n - 1)
    agreed = int((answers == labels).sum())
    return round((agreed - n * expected) / math.sqrt(variance), 12) if variance > 1e-12 else 0.0
