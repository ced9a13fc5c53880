"""Scores of each training example from its training dynamics: arrays of a fit of `Dynamics` in, named scores out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shatterlab.core.errors import DataError

Array = np.ndarray[Any, Any]
_NAMES = ("epochs", "correct", "margin", "loss", "probability", "el2n", "held_out")


def example_scores(arrays: Mapping[str, Array], early: int = 10) -> dict[str, Array]:
    """The scores of each example, by name; all shape (n,).

    Everything is measured after whole epochs on the current model, so an event inside an epoch is not seen (Toneva et al. look at an example when it is
    trained on), and margins are those of the example without augmentation. Where epochs were left out, so were their events.

    Args:
        arrays: of `Dynamics`, from a fit (`fit.arrays`) or a row (`row.arrays`).
        early: EL2N is taken at the last recorded epoch up to this one, >= 1, or at the first recorded.

    Returns:
        `forgetting_events`: how often the example is correct at one record and wrong at the next; infinite where it never was correct.
        `first_learned`: first recorded epoch with a correct answer; infinite where there is none.
        `aum`: area under the margin, the mean over the epochs of the label's score minus the largest other score.
        `confidence` and `variability`: mean and population standard deviation of the label's probability over the epochs (a data map).
        `el2n`: length of (probabilities - one-hot label) at an early epoch, in [0, sqrt(2)]; authors average it over runs.
        `cumulative_loss`: sum of the losses over the recorded epochs.
        `held_out`: whether the example was only scored.

    Raises:
        DataError: the arrays are not those of `Dynamics`, or have no epoch.

    Source:
        Toneva et al. 2019 (forgetting events); Pleiss et al. 2020 (AUM); Swayamdipta et al. 2020 (data maps); Paul, Ganguli, Dziugaite 2021 (EL2N);
        Ravikumar et al. 2025, "Towards memorization estimation: fast, formal and free" (cumulative loss).

    Example:
        >>> right = np.packbits(np.array([[0, 1], [1, 1], [0, 1]], dtype=bool), axis=1)
        >>> flat = np.ones((3, 2))
        >>> parts = {"correct": right, "margin": flat, "loss": flat, "probability": flat, "el2n": flat, "epochs": np.arange(1, 4), "held_out": np.arange(0)}
        >>> example_scores({f"dynamics.{name}": values for name, values in parts.items()})["forgetting_events"].tolist()
        [1.0, 0.0]
    """
    parts = _parts(arrays)
    correct, epochs = correctness(arrays), parts["epochs"]
    learned = correct.any(0)
    held_out = np.zeros(correct.shape[1], dtype=bool)
    held_out[parts["held_out"]] = True
    probability = parts["probability"].astype(np.float64)
    return {
        "forgetting_events": np.where(learned, (correct[:-1] & ~correct[1:]).sum(0), np.inf),
        "first_learned": np.where(learned, epochs[correct.argmax(0)], np.inf),
        "aum": parts["margin"].mean(0, dtype=np.float64),
        "confidence": probability.mean(0),
        "variability": probability.std(0),
        "el2n": parts["el2n"][max(0, int((epochs <= early).sum()) - 1)].astype(np.float64),
        "cumulative_loss": parts["loss"].sum(0, dtype=np.float64),
        "held_out": held_out,
    }


def correctness(arrays: Mapping[str, Array]) -> Array:
    """Whether each example is classified correctly at each recorded epoch, shape (epochs, n); its mean over a group is the accuracy of the group.

    Args:
        arrays: of `Dynamics`, from a fit or a row.

    Raises:
        DataError: the arrays are not those of `Dynamics`, or have no epoch.
    """
    parts = _parts(arrays)
    return np.unpackbits(parts["correct"], axis=1, count=parts["margin"].shape[1]).astype(bool)


def _parts(arrays: Mapping[str, Array]) -> dict[str, Array]:
    parts = {name: values for name in _NAMES for key, values in arrays.items() if key.endswith(f"dynamics.{name}")}
    if len(parts) < len(_NAMES):
        raise DataError(f"example_scores: the arrays of a fit of Dynamics are required, got {', '.join(arrays) or 'none'}. Fit sl.Dynamics(learner).")
    if not len(parts["epochs"]):
        raise DataError("example_scores: at least one recorded epoch is required, got none. Record more often.")
    return parts
