"""How much Gaussian noise on its weights a network stands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from shatterlab.errors import NotApplicable
from shatterlab.measures._curvature import TrainingLoss, Vectors

_LEAST, _MOST = 1e-7, 1e2  # standard deviations between which the largest is looked for


def tolerated_deviation(loss: TrainingLoss, scales: Vectors, floor: float, rise: float, draws: int, steps: int, seed: int, owner: str) -> tuple[float, float]:
    """The largest s for which noise of standard deviation sqrt(s^2 scale^2 + floor^2) raises the mean training error by at most `rise`.

    The same standard normal draws serve every s, and s is found by bisection of its logarithm.

    Args:
        loss: gives the training error at any parameters.
        scales: of each parameter.
        floor: a standard deviation that every parameter has besides.
        rise: of the training error, a fraction.
        draws: noise vectors to average over.
        steps: halvings.
        seed: of the draws.
        owner: for errors.

    Returns:
        S and the mean rise there.

    Raises:
        NotApplicable: no s between 1e-7 and 100 marks the border, as of a fit that errs so much that noise makes it no worse.
    """
    before = loss.error(loss.parameters)

    def risen(deviation: float) -> float:
        errors = [loss.error(noisy) for noisy in perturbed(loss, scales, floor, deviation, draws, seed)]
        return float(np.mean(errors)) - before

    low, high = _LEAST, _MOST
    known, most = risen(low), risen(high)
    if known > rise or most <= rise:
        held = f"noise of deviation {low:g} to {high:g} raises it by {known:.3g} to {most:.3g}"
        raise NotApplicable(f"{owner}: a training error that noise can raise by {rise:g} is required, from {before:.3g} {held}")
    for _ in range(steps):
        middle = (low * high) ** 0.5
        found = risen(middle)
        if found <= rise:
            low, known = middle, found
        else:
            high = middle
    return low, known


def perturbed(loss: TrainingLoss, scales: Vectors, floor: float, deviation: float, draws: int, seed: int) -> Iterator[Vectors]:
    """The parameters with each of the draws of noise added, of standard deviation sqrt(deviation^2 scale^2 + floor^2)."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(draws):
        normal = [torch.randn(value.shape, generator=generator, dtype=torch.float32).to(value) for value in loss.parameters]
        spread = [(deviation**2 * scale.square() + floor**2).sqrt() for scale in scales]
        yield tuple(value + one * each for value, one, each in zip(loss.parameters, normal, spread, strict=True))
