"""The self-check of every trial: was the model trained on the corrupted sample, all of it and nothing else?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch

from shatterlab.core import Batch, Corruption, Examples, LabelCorruption, Scalar, Splits
from shatterlab.core.lazy_inputs import Streamed
from shatterlab.statistics.significance import g_test_bound, poisson_binomial_two_sided

FALSE_ALARM = 1e-6  # of each statistical check; the other checks are exact and never alarm falsely
_SAMPLED = 64  # inputs fingerprinted, evenly spaced through the split


def fingerprint(examples: Examples) -> str:
    """sha256 over all labels and 64 evenly spaced inputs, first 16 hexadecimal digits."""
    content = hashlib.sha256(examples.labels.numpy().tobytes())
    content.update(_sampled(examples).contiguous().numpy().tobytes())
    return content.hexdigest()[:16]


def _sampled(examples: Examples) -> torch.Tensor:
    """Up to 64 inputs, evenly spaced through the split."""
    positions = np.unique(np.linspace(0, len(examples) - 1, _SAMPLED).astype(int))
    return examples.inputs[torch.from_numpy(positions)]


@dataclass
class SelfCheck:
    """Collects evidence against a trial; `columns` gives the `check.*` columns of its row.

    Args:
        original: the sample before the corruption.
        corrupted: the sample that the learner gets.
        corruption: the corruption between the two.
    """

    original: Splits
    corrupted: Splits
    corruption: Corruption
    batches: int = 0
    wrong_batches: int = 0
    _before: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._before = self._fingerprints()

    def compare(self, batch: Batch) -> None:
        """Compares a batch of the model with the corrupted sample at the same positions."""
        train = self.corrupted.train
        positions = batch.indices.cpu()
        same_labels = torch.equal(batch.labels.cpu(), train.labels[positions])
        same_inputs = torch.equal(batch.inputs.cpu(), train.inputs[positions])
        self.batches += 1
        self.wrong_batches += not (same_labels and same_inputs)

    def columns(self) -> dict[str, Scalar]:
        """The `check.*` columns; where a check fails, `check.passed` is false and `check.failures` names it."""
        after = self._fingerprints()
        columns: dict[str, Scalar] = {
            "check.train_fingerprint": self._before["corrupted train"],
            "check.test_fingerprint": self._before["corrupted test"],
            "check.unchanged_by_training": after == self._before,
            "check.batches": self.batches,
            "check.batches_equal_sample": self.wrong_batches == 0 if self.batches else None,
            "check.test_labels_true": torch.equal(self.corrupted.test.labels, self.original.test.labels),
        }
        columns |= self._labels() if isinstance(self.corruption, LabelCorruption) else self._pixels()
        failures = [name.removeprefix("check.") for name, value in columns.items() if _alarming(name, value)]
        return columns | {"check.failures": ", ".join(failures) or None, "check.passed": not failures}

    def _fingerprints(self) -> dict[str, str]:
        samples = {"original train": self.original.train, "original test": self.original.test}
        samples |= {"corrupted train": self.corrupted.train, "corrupted test": self.corrupted.test}
        return {name: fingerprint(examples) for name, examples in samples.items()}

    def _labels(self) -> dict[str, Scalar]:
        assert isinstance(self.corruption, LabelCorruption)
        true, new = self.original.train.labels.numpy(), self.corrupted.train.labels.numpy()
        k = self.original.train.classes
        columns: dict[str, Scalar] = {
            "check.inputs_untouched": self._same_inputs(),
            "check.changed": int((true != new).sum()),
        }
        transition = self.corruption.transition(k)
        if transition is None:
            return columns
        sizes = np.bincount(true, minlength=k)
        counts = np.bincount(true * k + new, minlength=k * k).reshape(k, k)
        g, p = g_test_bound(counts, transition)
        columns["check.changed_expected"] = float(sizes @ (1 - transition.diagonal()))
        columns["check.changed_p"] = poisson_binomial_two_sided(int((true != new).sum()), 1 - transition.diagonal(), sizes)
        columns |= {"check.transition_g": g, "check.transition_p": p}
        if np.allclose(transition, transition[0]):  # every class has the same law: independent of the true label
            columns["check.independence_p"] = p
        return columns

    def _pixels(self) -> dict[str, Scalar]:
        same = torch.equal(self.original.train.labels, self.corrupted.train.labels)
        return {"check.labels_untouched": same, "check.inputs_changed": not self._same_inputs()}

    def _same_inputs(self) -> bool:
        one, other = self.original.train, self.corrupted.train
        if one.inputs is other.inputs:
            return True
        return torch.equal(_sampled(one), _sampled(other)) if isinstance(one.inputs, Streamed) else torch.equal(one.inputs, other.inputs)


def _alarming(name: str, value: Scalar) -> bool:
    if name.endswith("_p"):
        return isinstance(value, float) and not value > FALSE_ALARM
    return value is False and name != "check.inputs_changed"
