"""What a short code of the labels proves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.theory.certificates import code_length


@dataclass(frozen=True)
class CodeLengthCertificate(Measure):
    """The most probability that random labels have to be coded as shortly as a fit of `Prequential` coded these: 2^-saved bits.

    It needs no trust in the model: on uniformly random labels 2^(n log2 k - L) has mean 1 whatever the model is, so that c bits or more are saved with
    probability at most 2^-c. It says whether labels carry a rule at all, and bounds no error.

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
        found = code_length(float(str(bits)), len(train), train.classes)
        return {"bits": found.bits, "saved": found.saved, "saved_per_label": found.saved / len(train), "p_value": found.p_value}
