"""The self-check of every trial: is the sample corrupted as stated, and was the model trained on it, all of it and nothing else?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch

from shatterlab.core import Batch, Corruption, Examples, LabelCorruption, PixelCorruption, Scalar, Seeds, Splits
from shatterlab.core.lazy_inputs import Streamed
from shatterlab.trials.corrupted_inputs import input_columns
from shatterlab.trials.corrupted_labels import label_columns

FALSE_ALARM = 1e-6 / 3  # of each p-value, so that a trial alarms falsely less than once in a million; the other checks are exact
_SAMPLED = 64  # inputs fingerprinted, evenly spaced through the split


def fingerprint(examples: Examples) -> str:
    """sha256 over all labels, of a regression with the numbers behind them, and 64 evenly spaced inputs; first 16 hexadecimal digits."""
    content = hashlib.sha256(examples.labels.numpy().tobytes())
    if examples.values is not None:
        content.update(examples.values.numpy().tobytes())
    content.update(_sampled(examples).contiguous().numpy().tobytes())
    return content.hexdigest()[:16]


def _sampled(examples: Examples) -> torch.Tensor:
    """Up to 64 inputs, evenly spaced through the split."""
    positions = np.unique(np.linspace(0, len(examples) - 1, _SAMPLED).astype(int))
    return examples.inputs[torch.from_numpy(positions)]


@dataclass
class SelfCheck:
    """Collects evidence against a trial; `columns` gives the `check.*` columns of its row.

    What the corruption did is looked at before training. At most three different p-values of a trial are judged, each at a third of one in a million.

    Args:
        original: the sample before the corruption.
        corrupted: the sample that the learner gets.
        corruption: the fitted corruption between the two.
        seeds: of the trial.
    """

    original: Splits
    corrupted: Splits
    corruption: Corruption
    seeds: Seeds = Seeds()
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("batches", "wrong_batches", "targets", "wrong_targets"), 0))
    _before: dict[str, str] = field(init=False)
    _content: dict[str, Scalar] = field(init=False)

    def __post_init__(self) -> None:
        self._before = self._fingerprints()
        if isinstance(self.corruption, LabelCorruption):
            self._content = label_columns(self.corruption, self.original.train, self.corrupted.train)
        elif isinstance(self.corruption, PixelCorruption):
            self._content = input_columns(self.corruption, self.original, self.corrupted, self.seeds)
        else:
            self._content = {}

    def compare(self, batch: Batch) -> None:
        """Compares a batch of the model, and the targets of its loss where they are reported, with the corrupted sample at the same positions."""
        train = self.corrupted.train
        positions = batch.indices.cpu()
        labels = train.labels[positions]
        right = torch.equal(batch.labels.cpu(), labels) and torch.equal(batch.inputs.cpu(), train.inputs[positions])
        self.counts["batches"] += 1
        self.counts["wrong_batches"] += not right
        if batch.targets is not None:
            self.counts["targets"] += 1
            self.counts["wrong_targets"] += not stand_for(batch.targets.cpu(), labels)

    def columns(self) -> dict[str, Scalar]:
        """The `check.*` columns; where a check fails, `check.passed` is false and `check.failures` names it."""
        after = self._fingerprints()
        columns: dict[str, Scalar] = {
            "check.train_fingerprint": self._before["corrupted train"],
            "check.test_fingerprint": self._before["corrupted test"],
            "check.unchanged_by_training": after == self._before,
            "check.batches": self.counts["batches"],
            "check.batches_equal_sample": self.counts["wrong_batches"] == 0 if self.counts["batches"] else None,
            "check.targets_equal_sample": self.counts["wrong_targets"] == 0 if self.counts["targets"] else None,
            "check.test_labels_true": torch.equal(self.corrupted.test.labels, self.original.test.labels),
        }
        if isinstance(self.corruption, LabelCorruption):
            columns["check.inputs_untouched"] = self._same_inputs()
        elif isinstance(self.corruption, PixelCorruption):
            columns["check.labels_untouched"] = torch.equal(self.original.train.labels, self.corrupted.train.labels)
            columns["check.inputs_changed"] = self._inputs_changed(self.corruption)
        columns |= self._content
        failures = [name.removeprefix("check.") for name, value in columns.items() if _alarming(name, value)]
        return columns | {"check.failures": ", ".join(failures) or None, "check.passed": not failures}

    def _fingerprints(self) -> dict[str, str]:
        samples = {"original train": self.original.train, "original test": self.original.test}
        samples |= {"corrupted train": self.corrupted.train, "corrupted test": self.corrupted.test}
        return {name: fingerprint(examples) for name, examples in samples.items()}

    def _inputs_changed(self, corruption: PixelCorruption) -> bool | None:
        """None where inputs may stay as they are: at level 0, and where a permutation of few values keeps them by chance."""
        may_stay = getattr(corruption, "level", 1) == 0 or corruption.effect in ("one permutation", "a permutation each")
        return not self._same_inputs() or (None if may_stay else False)

    def _same_inputs(self) -> bool:
        one, other = self.original.train, self.corrupted.train
        if one.inputs is other.inputs:
            return True
        return torch.equal(_sampled(one), _sampled(other)) if isinstance(one.inputs, Streamed) else torch.equal(one.inputs, other.inputs)


def stand_for(targets: torch.Tensor, labels: torch.Tensor) -> bool:
    """Whether targets are these labels, or distributions in which the label has most and all other classes have the same."""
    if not targets.is_floating_point():
        return torch.equal(targets, labels)
    own = torch.nn.functional.one_hot(labels, targets.shape[1]).bool()
    rest = targets[~own].view(len(labels), -1)
    return bool((rest == rest[:, :1]).all() and (targets[own] > rest[:, 0]).all())


def _alarming(name: str, value: Scalar) -> bool:
    if name.endswith("_p"):
        return isinstance(value, float) and not value > FALSE_ALARM
    return value is False
