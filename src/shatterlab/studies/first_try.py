"""What of the user's code is tried before a study, and on what: a few examples, in a second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shatterlab.architectures.imported import Imported
from shatterlab.core import Examples, Learner
from shatterlab.learners.estimator import Estimator
from shatterlab.learners.recipe import Recipe
from shatterlab.learners.streamed_training import StreamedTraining
from shatterlab.learners.training import Training

MOST = 64  # examples of a first try
OF_A_NETWORK = 8  # a step of a large network on photos takes a second an example


def users_own(learner: Learner) -> Learner | None:
    """The learner, or the one inside it, that runs the user's code: a recipe, an estimator, or gradient steps on the user's network; None where none does."""
    for part in learner.parts():
        network = isinstance(part, Training | StreamedTraining) and any(isinstance(inner, Imported) or inner.outside_fingerprint for inner in part.parts())
        if network or isinstance(part, Recipe | Estimator):
            assert isinstance(part, Learner)
            return part
    return None


def few(sample: Examples, most: int = MOST) -> Examples:
    """Equally many examples of each class, as far as there are so many; of numbers the first ones.

    Args:
        sample: to choose from.
        most: examples in all.
    """
    labels = sample.labels.numpy() if sample.values is None else np.zeros(len(sample))
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    rank = np.arange(len(labels)) - np.searchsorted(ordered, ordered)  # within its class
    return sample.at(np.sort(order[np.argsort(rank, kind="stable")][:most]))


def quick(learner: Learner) -> tuple[Learner, int]:
    """The learner with one epoch, where it has epochs, and how many examples it is tried on."""
    if isinstance(learner, Training):
        return replace(learner, epochs=1, validation=0.0), OF_A_NETWORK
    if isinstance(learner, StreamedTraining):
        return replace(learner, epochs=1), OF_A_NETWORK
    return learner, MOST
