"""One sample parted into three quarters for training and one for testing."""

from __future__ import annotations

from typing import Any

import numpy as np

from shatterlab.core import Seeds, stratified


def three_quarters(labels: np.ndarray[Any, Any], seeds: Seeds) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Positions of the training and of the test examples, each sorted, drawn from the data stream.

    Of n examples floor(3 n / 4) are for training, class shares matched to within one example. Two exceptions for
    tiny classes shift these sizes: the only example of a class is for training, and of two or more at least
    one goes to each side.

    Args:
        labels: whole numbers >= 0, shape (n,).
        seeds: the data stream decides.
    """
    n = len(labels)
    if n == 0:
        return np.arange(0), np.arange(0)
    rng = seeds.rng("data", "split")
    training = np.zeros(n, dtype=bool)
    training[stratified(labels, max(1, 3 * n // 4), rng)] = True
    totals = np.bincount(labels)
    inside = np.bincount(labels[training], minlength=len(totals))
    for each in np.flatnonzero((totals > 0) & (inside == 0)):
        training[rng.choice(np.flatnonzero(labels == each))] = True
    for each in np.flatnonzero((totals > 1) & (inside == totals)):
        training[rng.choice(np.flatnonzero(labels == each))] = False
    return np.flatnonzero(training), np.flatnonzero(~training)
