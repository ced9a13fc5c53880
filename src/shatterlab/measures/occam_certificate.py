"""An Occam certificate for a network whose training can be told in few bits."""

from __future__ import annotations

import lzma
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.measures._curvature import TrainingLoss, Vectors, flat
from shatterlab.theory.certificates import occam, prefix_bits


@dataclass(frozen=True)
class OccamCertificate(Measure):
    """Bounds the true error of the network rounded so that it can be sent in few bits.

    What training added to the initial weights is rounded to multiples of a step, and the multiples are compressed. The receiver has the architecture,
    the initial weights and the code; the message is the compressed multiples, its length and which step of a grid was used. The certificate is for the network
    that the receiver gets, whose training error is measured. A net that memorized labels needs at least their bits.

    Args:
        steps: the grid of rounding steps, each > 0.
        delta: the certificate fails with at most this probability, in (0, 1).

    Returns:
        `bound`, `vacuous` (1 where guessing is as good), `bits` of the message, `bits_per_label`, `step`, `rounded_error` (on the training
        sample), and `assumption`.

    Raises:
        NotApplicable: the fitted model is no torch module, its initial weights are not known, or it has buffers that training moves.
        InvalidPart: a field is out of range.

    Source:
        Blumer et al. 1987; for compressed networks Arora et al. 2018, Zhou et al. 2019.
    """

    steps: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3)
    delta: float = 0.05

    def validate(self) -> None:
        self.require(self.steps and min(self.steps) > 0, "steps are numbers > 0, at least one", self.steps)
        self.require(0 < self.delta < 1, "delta is a probability in (0, 1)", self.delta)

    @classmethod
    def specimens(cls) -> tuple[OccamCertificate, ...]:
        return (cls(steps=(0.01, 0.1)),)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        loss = TrainingLoss(fit, train, self.kind)
        initial = loss.initial(fit, "what sender and receiver share")
        start = tuple(initial[name].to(value) for name, value in zip(loss.names, loss.parameters, strict=True))
        best: dict[str, Any] = {}
        for step in self.steps:
            multiples = torch.round((flat(loss.parameters) - flat(start)) / step)
            bits = prefix_bits(compressed(multiples.numpy())) + math.log2(len(self.steps))
            added = loss.shaped(multiples * step)
            received: Vectors = tuple(one + other for one, other in zip(start, added, strict=True))
            error = loss.error(received)
            found = occam(error, bits, len(train), self.delta, train.classes)
            if not best or found.bound < best["bound"]:
                told = {"bits": bits, "bits_per_label": bits / len(train), "step": step, "rounded_error": error, "assumption": found.assumption}
                best = {"bound": found.bound, "vacuous": int(found.vacuous), **told}
        return best


def compressed(multiples: np.ndarray[Any, Any]) -> bytes:
    """Whole numbers as bytes from which they can be had again: a byte for their width, then LZMA of their two's complement."""
    width = next((each for each in (1, 2, 4) if np.abs(multiples).max(initial=0) < 2 ** (8 * each - 1)), 8)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9}]
    return bytes([width]) + lzma.compress(multiples.astype(f"<i{width}").tobytes(), lzma.FORMAT_RAW, filters=filters)
