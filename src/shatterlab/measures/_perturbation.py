"""How much Gaussian noise on its weights a network stands."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._curvature import TrainingLoss, Vectors, require_examples

_LEAST, _MOST = 1e-7, 1e2  # standard deviations between which the largest is looked for


@dataclass(frozen=True)
class ToleratedNoise(Measure):
    """The largest standard deviation of Gaussian noise on the weights that the training error stands; subclasses say in what proportion.

    Args:
        rise: how much the mean training error may rise, a fraction in (0, 1).
        draws: noise vectors, >= 1; each costs one pass over the examples a step.
        steps: halvings of the logarithm of s, >= 1: after k of them it is known to a factor of 10^(9 / 2^k).
        examples: how many training examples, evenly spread, the error is measured on, >= 1; None: all.
        seed: of the noise, >= 0.
    """

    rise: float = 0.1
    draws: int = 10
    steps: int = 14
    examples: int | None = None
    seed: int = 0

    def validate(self) -> None:
        self.require(0 < self.rise < 1, "rise is a fraction in (0, 1)", self.rise)
        self.require(self.draws >= 1, "draws is a whole number >= 1", self.draws)
        self.require(self.steps >= 1, "steps is a whole number >= 1", self.steps)
        self.require(self.seed >= 0, "seed is a whole number >= 0", self.seed)
        require_examples(self, self.examples)

    @classmethod
    def specimens(cls) -> tuple[ToleratedNoise, ...]:
        return (cls(draws=2, steps=5),)

    @abstractmethod
    def scales(self, loss: TrainingLoss) -> tuple[Vectors, float]:
        """What the deviation is multiplied by at each parameter, and the deviation that every parameter has besides."""

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        loss = TrainingLoss(fit, train, self.kind, self.examples)
        scales, floor = self.scales(loss)
        deviation, rise = tolerated_deviation(loss, scales, floor, self.rise, self.draws, self.steps, self.seed, self.kind)
        return {"deviation": deviation, "sharpness": deviation**-2, "rise": rise, **self.beside(deviation, loss, fit, len(train))}

    def beside(self, deviation: float, loss: TrainingLoss, fit: Fit, n: int) -> Mapping[str, Any]:
        """What a subclass makes of the deviation on n examples, besides the sharpness; nothing by default."""
        return {}


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
