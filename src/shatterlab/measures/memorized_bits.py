"""Bits of the labels that a model holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from shatterlab.core import Examples, Fit, Measure
from shatterlab.core.errors import NotApplicable
from shatterlab.theory.capacity import memorized_bits


@dataclass(frozen=True)
class MemorizedBits(Measure):
    """Bits of the training labels that the model holds: n log2 k less their code length under its probabilities.

    bits = n log2 k - sum_i -log2 p(y_i | x_i). On random labels it is what the model has memorized; on true labels it also counts what generalizes. It is
    negative for a model that is sure and wrong, -inf where a label has probability 0.

    Returns:
        `bits` (at most n log2 k), `share` (of n log2 k, at most 1), `per_example`, and `per_parameter` (trainable ones; None without torch).

    Raises:
        NotApplicable: the scores are no probabilities ("values"), or every probability is 0 or 1, which gives no code length.

    Source:
        Morris et al. 2025 (for language models); Zhang et al. 2017 for random labels.
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        logs = _log_likelihoods(fit, train)
        bits, whole = memorized_bits(logs.numpy(), train.classes), memorized_bits(torch.zeros_like(logs).numpy(), train.classes)
        count = sum(value.numel() for value in fit.model.parameters() if value.requires_grad) if isinstance(fit.model, nn.Module) else 0
        return {"bits": bits, "share": bits / whole, "per_example": bits / len(train), "per_parameter": bits / count if count else None}


def _log_likelihoods(fit: Fit, train: Examples) -> Tensor:
    if fit.output == "values":
        raise NotApplicable("MemorizedBits: probabilities are required, the scores of this model are values. Fit one that gives logits or probabilities.")
    scores = torch.cat([fit.scores(inputs).double() for inputs in train.inputs.split(2048)])
    label = train.labels[:, None]
    if fit.output == "logits":
        return scores.log_softmax(1).gather(1, label).squeeze(1)
    if bool(((scores == 0) | (scores == 1)).all()):
        raise NotApplicable("MemorizedBits: probabilities between 0 and 1 are required, all of this model's are 0 or 1, as of the nearest neighbour's lookup")
    return scores.gather(1, label).squeeze(1).log()
