"""Bounds on the true error that come with a proof: PAC-Bayes, Occam, RATT, and the code length of labels."""

from __future__ import annotations

import lzma
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.measures._training_loss import TrainingLoss, Vectors, flat
from shatterlab.theory.certificates import code_length, kl_inverse, occam, pac_bayes, prefix_bits, ratt


@dataclass(frozen=True)
class PACBayesCertificate(Measure):
    """Bounds the true error of the network with Gaussian noise of deviation s on every weight, from its distance to the initialization.

    Prior N(theta_0, s^2), posterior N(theta, s^2): KL = |theta - theta_0|^2 / (2 s^2). s is the best of a fixed grid, by a union bound; half of delta pays for
    the noisy net's training error, a mean over draws. It certifies the random network, not the fitted one.

    Args:
        draws: noise vectors for each s, >= 1; each costs one pass.
        delta: the certificate fails with at most this probability, in (0, 1).
        deviations: the grid of s, each > 0.
        seed: of the noise, >= 0.

    Returns:
        `bound`, `vacuous` (1 where guessing is as good), `deviation` (s), `divergence` (KL in nats), `noisy_error` (its training error), `assumption`.

    Raises:
        NotApplicable: no torch module, unknown initial weights, or buffers that training moves (batch norm's would have to be part of the prior).

    Source:
        Dziugaite, Roy 2017, "Computing nonvacuous generalization bounds", without their optimization; Langford, Caruana 2002; Maurer 2004.
    """

    draws: int = 20
    delta: float = 0.05
    deviations: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    seed: int = 0

    def validate(self) -> None:
        self.require(self.draws >= 1, "draws is a whole number >= 1", self.draws)
        self.require(0 < self.delta < 1, "delta is a probability in (0, 1)", self.delta)
        self.require(self.deviations and min(self.deviations) > 0, "deviations are numbers > 0, at least one", self.deviations)
        self.require(self.seed >= 0, "seed is a whole number >= 0", self.seed)

    @classmethod
    def specimens(cls) -> tuple[PACBayesCertificate, ...]:
        return (cls(draws=2, deviations=(0.01, 0.1)),)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        loss = TrainingLoss(fit, train, self.kind)
        moved = loss.moved(loss.initial(fit, "the centre of the prior"))
        ones, share = tuple(torch.ones_like(value) for value in loss.parameters), self.delta / (2 * len(self.deviations))
        best: dict[str, Any] = {}
        for deviation in self.deviations:
            errors = [loss.error(noisy) for noisy in loss.perturbed(ones, 0.0, deviation, self.draws, self.seed)]
            noisy_error = kl_inverse(sum(errors) / self.draws, math.log(1 / share) / self.draws)
            divergence = moved / (2 * deviation**2)
            certificate = pac_bayes(noisy_error, divergence, len(train), share, train.classes)
            if not best or certificate.bound < best["bound"]:
                columns = {"deviation": deviation, "divergence": divergence, "noisy_error": noisy_error, "assumption": certificate.assumption}
                best = {"bound": certificate.bound, "vacuous": int(certificate.vacuous), **columns}
        return best


@dataclass(frozen=True)
class OccamCertificate(Measure):
    """Bounds the true error of the network rounded to a message of few bits.

    What training added to the initial weights is rounded to multiples of a step of a grid and compressed; the receiver has the architecture and the initial
    weights. The certificate is for the decoded network. A network that memorized labels needs at least their bits.

    Args:
        steps: the grid of rounding steps, each > 0.
        delta: the certificate fails with at most this probability, in (0, 1).

    Returns:
        `bound`, `vacuous` (1 where guessing is as good), `bits` of the message, `bits_per_label`, `step`, `rounded_error` (in training), `assumption`.

    Raises:
        NotApplicable: the fitted model is no torch module, its initial weights are not known, or it has buffers that training moves.

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
            certificate = occam(error, bits, len(train), self.delta, train.classes)
            if not best or certificate.bound < best["bound"]:
                columns = {"bits": bits, "bits_per_label": bits / len(train), "step": step, "rounded_error": error, "assumption": certificate.assumption}
                best = {"bound": certificate.bound, "vacuous": int(certificate.vacuous), **columns}
        return best


def compressed(multiples: np.ndarray[Any, Any]) -> bytes:
    """Whole numbers as bytes that decode exactly: a byte for their width, then LZMA of their two's complement."""
    width = next((width for width in (1, 2, 4) if np.abs(multiples).max(initial=0) < 2 ** (8 * width - 1)), 8)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9}]
    return bytes([width]) + lzma.compress(multiples.astype(f"<i{width}").tobytes(), lzma.FORMAT_RAW, filters=filters)


@dataclass(frozen=True)
class RATTCertificate(Measure):
    """Bounds the true error by E_S + (k - 1) - k E_R + concentration, from the two training errors of a fit of `RandomizedPart`.

    E_S is the error on examples that kept their labels, E_R on those with drawn labels: near 0 for a model that fits these too, which makes the bound vacuous.
    Proved for learners that minimize the number of training errors; of deep networks that is assumed.

    Args:
        delta: the certificate fails with at most this probability, in (0, 1).

    Returns:
        `bound`, `concentration` (bound less the formula without it), `vacuous` (1 where guessing is as good), `chance` and `assumption`.

    Raises:
        NotApplicable: no part of the sample had its labels drawn.

    Source:
        Garg et al. 2021, theorems 1 and 3; the concentration term as in `shatterlab.theory.certificates.ratt`.
    """

    delta: float = 0.05

    def validate(self) -> None:
        self.require(0 < self.delta < 1, "delta is a probability in (0, 1)", self.delta)

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        names = ("labelled_error", "random_error", "labelled", "randomized")
        errors = [fit.facts.get(name) for name in names]
        if None in errors:
            raise NotApplicable(f"{self.kind}: a part with random labels is required, this sample had none. Fit RandomizedPart")
        on_labelled, on_random, labelled, randomized = (float(str(value)) for value in errors)
        certificate = ratt(on_labelled, on_random, int(labelled), int(randomized), train.classes, self.delta)
        k = train.classes
        plain = on_labelled + (k - 1) - k * on_random
        return {
            "bound": certificate.bound,
            "concentration": certificate.bound - plain,
            "vacuous": int(certificate.vacuous),
            "chance": certificate.chance,
            "assumption": certificate.assumption,
        }


@dataclass(frozen=True)
class CodeLengthCertificate(Measure):
    """A bound on the probability that random labels have a code as short as that of a fit of `Prequential`: 2^-saved bits.

    On random labels 2^(n log2 k - L) has mean 1 whatever the model. It says whether labels carry a rule at all, and bounds no error.

    Returns:
        `bits` (L), `saved` (n log2 k - L), `saved_per_label` and `p_value` (1 where nothing is saved).

    Raises:
        NotApplicable: the labels were not coded.

    Source:
        Dawid 1984; Ville 1939; Blier, Ollivier 2018.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        bits = fit.facts.get("code_bits")
        if bits is None:
            raise NotApplicable(f"{self.kind}: labels coded block by block are required, this fit has no code. Fit Prequential")
        code = code_length(float(str(bits)), len(train), train.classes)
        return {"bits": code.bits, "saved": code.saved, "saved_per_label": code.saved / len(train), "p_value": code.p_value}
