"""The generalization gap taken apart into robustness, rationality and memorization, from rows with true and with partly changed labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shatterlab.analysis.columns import bounds
from shatterlab.analysis.replicates import by, configuration, distinct, ended_well, finite, pairs
from shatterlab.core import Row
from shatterlab.statistics import Interval, interval_of_bounds

_LEVELS = ("PartialLabels", "PermutedLabels")  # corruptions whose level 0 is the true labels
_TERMS = {  # (column of the run on true labels or not, column) minus likewise
    "gap": ((True, "train.accuracy"), (True, "test.accuracy")),
    "robustness": ((True, "train.accuracy"), (False, "train.clean_accuracy")),
    "rationality": ((False, "noisy.clean_accuracy"), (True, "test.accuracy")),
    "memorization": ((False, "train.clean_accuracy"), (False, "noisy.clean_accuracy")),
}


@dataclass(frozen=True)
class GapParts:
    """What the gap between training and test accuracy is made of, at one level of changed labels. Accuracies are against true labels.

    The three differences add up to the gap: (Train(0) - Train(eta)) + (Train(eta) - NTrain(eta)) + (NTrain(eta) - Test) = Train(0) - Test. So their positive
    parts, the terms of the paper, bound it. A large memorization term with a negative rationality term says that the model takes over wrong labels where it
    would classify unseen ones correctly; the bound is then loose.

    Args:
        level: of the corruption, in (0, 1).
        gap: Train(0) - Test: training less test accuracy of the run on true labels.
        robustness: Train(0) - Train(eta): what training accuracy loses when some labels are changed.
        rationality: NTrain(eta) - Test: how much better it is to have a wrong label than none.
        memorization: Train(eta) - NTrain(eta): how much better the whole sample is known than the examples with a wrong label.
        noisy: NTrain(eta): accuracy on the training examples whose label was changed, against the label before.
        test: Test.
        replicates: pairs of runs with equal seeds.

    Source:
        Bansal, Kaplun, Barak 2021, "For self-supervised learning, rationality implies generalization, provably".
    """

    level: float
    gap: Interval
    robustness: Interval
    rationality: Interval
    memorization: Interval
    noisy: float
    test: float
    replicates: int

    @property
    def bound(self) -> float:
        """Sum of the positive parts of the three means; at least the mean gap."""
        return sum(max(0.0, term.estimate) for term in (self.robustness, self.rationality, self.memorization))


def gap_parts(rows: Iterable[Row], level: float = 0.95) -> list[GapParts]:
    """The parts of each model's gap, one for every level below 1 at which labels were changed; in the order of the rows, then of the levels.

    Runs on true and on changed labels are paired by their seeds. "Changed" labels differ from before; a label that was redrawn to its own class is right.

    Args:
        rows: true labels (`PartialLabels` or `PermutedLabels` at level 0) and others of one or more models; the rest is left out.
        level: confidence of the intervals over replicates, in (0, 1).
    """
    known = [row for row in distinct(rows) if ended_well(row) and row.get("corruption.kind") in _LEVELS]
    found = []
    for members in by(known, lambda row: configuration(row, ("corruption.",))).values():
        settings = by(members, lambda row: (float(str(row["corruption.level"])), str(row["corruption.kind"])))
        true = [row for (amount, _), same in settings.items() if amount == 0 for row in same]
        for (amount, _), noisy in sorted(settings.items()):
            both = [pair for pair in pairs(true, [row for row in noisy if finite(row, "noisy.clean_accuracy") is not None]) if _complete(pair)]
            if amount > 0 and both:
                found.append(_parts(amount, both, level))
    return found


def _complete(pair: Sequence[Row]) -> bool:
    return all(finite(pair[0], f"{split}.accuracy") is not None for split in ("train", "test"))


def _parts(amount: float, both: Sequence[Sequence[Row]], level: float) -> GapParts:
    terms = {}
    for name, sides in _TERMS.items():
        ends = [[bounds(true if clean else noisy, column) or (0.0, 1.0) for clean, column in sides] for true, noisy in both]
        lows, highs = [a[0] - b[1] for a, b in ends], [a[1] - b[0] for a, b in ends]
        terms[name] = interval_of_bounds(lows, highs, level, limits=(-1.0, 1.0))
    mean = [sum(float(str(pair[side][column])) for pair in both) / len(both) for side, column in ((1, "noisy.clean_accuracy"), (0, "test.accuracy"))]
    return GapParts(amount, terms["gap"], terms["robustness"], terms["rationality"], terms["memorization"], mean[0], mean[1], len(both))
