"""How clearly a model gives each training example its label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from shatterlab.core import Examples, Fit, Measure


@dataclass(frozen=True)
class Margins(Measure):
    """The margin of an example is the score of its label minus the highest other score: f_y(x) - max_{j != y} f_j(x).

    All margins are positive exactly where the model interpolates without ties.

    Returns:
        `minimum`, `lower_quartile`, `median`, and `margins`, an array of all n in the order of the sample.

    Source:
        Bartlett, Foster, Telgarsky 2017, section 1 (without their normalization).
    """

    def of(self, fit: Fit, train: Examples) -> Mapping[str, Any]:
        scores = torch.cat([fit.scores(inputs).float() for inputs in train.inputs.split(2048)])
        label = train.labels[:, None]
        other = scores.scatter(1, label, -torch.inf).amax(1)
        margins = scores.gather(1, label).squeeze(1) - other
        lower, median = torch.quantile(margins.double(), torch.tensor([0.25, 0.5], dtype=torch.float64)).tolist()
        return {"minimum": margins.min().item(), "lower_quartile": lower, "median": median, "margins": margins.numpy()}
