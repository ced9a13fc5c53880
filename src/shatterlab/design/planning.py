"""How sure could an experiment be? The smallest effect that its planned replicates can decide, said before it is run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from shatterlab.analysis.naming import number
from shatterlab.analysis.replicates import by_configuration, matches
from shatterlab.core import Row
from shatterlab.design.claims import Claim
from shatterlab.design.experiment import Experiment
from shatterlab.statistics import clopper_pearson, detectable

_POWER = 0.8


@dataclass(frozen=True)
class Decidable:
    """What the planned replicates can decide of one claim.

    Args:
        claim: which.
        replicates: the fewest that a configuration of it has.
        level: of the interval that decides: that of the claim, corrected for all claims that are tested.
        spread: standard deviation of a value (of a pair's difference, or of the logarithm of a ratio or positive quantity); None: not known yet.
        effect: how far from its bound the true mean has to be for a verdict four times in five, in units of the spread; None where nothing is tested.
    """

    claim: Claim
    replicates: int
    level: float
    spread: float | None = None
    effect: float | None = None

    @property
    def text(self) -> str:
        """In a sentence, in the claim's own unit where the spread is known."""
        runs = f"{self.replicates} replicate{'' if self.replicates == 1 else 's'}"
        if self.claim.each:
            least = clopper_pearson(self.replicates, self.replicates, self.claim.level).low if self.replicates else 0.0
            return f"{runs} are counted: where all agree, P >= {least:.2f}"
        if self.effect is None:
            return f"{runs} decide{'s' if self.replicates == 1 else ''} nothing; at least 2 are required"
        beyond = f"{runs} decide it four times in five where the true mean lies beyond its bound by"
        if self.spread is None:
            return f"{beyond} {self.effect:.1f} standard deviations of a replicate"
        if self.claim.is_logarithmic:
            return f"{beyond} a factor of {math.exp(self.effect * self.spread):.3g}"
        return f"{beyond} {number(self.effect * self.spread, self.claim.column)}"


def decidable(experiment: Experiment, rows: Iterable[Row] = ()) -> list[Decidable]:
    """The smallest effect that each claim of an experiment can decide at its scale; claims of other scales are left out, and smoke scale decides none.

    Holm's first step is the strictest: the smallest of m p-values has to be below 0.05 / m. That level is assumed for every claim.

    Args:
        experiment: what is planned.
        rows: results of it or of a smaller run, from which spreads are taken; none: effects in standard deviations.
    """
    if experiment.scale == "smoke":
        return []
    claims = [claim for claim in experiment.claims if not claim.scales or experiment.scale in claim.scales]
    tested = sum(not claim.each for claim in claims)
    planned = [Row({**trial.specification(), "status": "ok"}) for trial in experiment.trials]
    known = list(rows)
    return [_decidable(claim, planned, known, max(1, tested)) for claim in claims]


def _decidable(claim: Claim, planned: Sequence[Row], rows: Sequence[Row], family: int) -> Decidable:
    sides = [where for where in (claim.where, claim.versus) if where is not None]
    counts = [len(members) for where in sides for members in by_configuration(row for row in planned if matches(row, where)).values()]
    replicates, level = min(counts, default=0), 1 - (1 - claim.level) / family
    if claim.each or replicates < 2:
        return Decidable(claim, replicates, level)
    spreads = [spread for values in claim.values(rows) if len(values) > 2 and (spread := float(np.std(values, ddof=1))) > 0]
    return Decidable(claim, replicates, level, max(spreads, default=None), detectable(1.0, replicates, level, _POWER))
