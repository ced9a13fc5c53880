"""A bound from examples with random labels that were mixed into the training sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.theory.certificates import ratt


@dataclass(frozen=True)
class RATTCertificate(Measure):
    """Bounds the true error by E_S + (k - 1) - k E_R + concentration, from the two training errors of a fit of `RandomizedPart`.

    E_S is the error on the examples that kept their labels, E_R on those whose labels were drawn. Who fits the drawn labels as well has E_R near 0, and the
    bound is
    vacuous: the randomization test as a theorem. It is proved for learners that minimize the number of training errors over a class; for deep networks that
    is assumed.

    Args:
        delta: the certificate fails with at most this probability, in (0, 1).

    Returns:
        `bound`, `concentration` (bound less the formula without it), `vacuous` (1 where guessing is as good), `chance` and `assumption`.

    Raises:
        NotApplicable: no part of the sample had its labels drawn.
        InvalidPart: delta is out of range.

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
        found = ratt(on_labelled, on_random, int(labelled), int(randomized), train.classes, self.delta)
        k = train.classes
        plain = on_labelled + (k - 1) - k * on_random
        return {
            "bound": found.bound,
            "concentration": found.bound - plain,
            "vacuous": int(found.vacuous),
            "chance": found.chance,
            "assumption": found.assumption,
        }
