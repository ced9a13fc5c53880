"""A data set with two classes: one class of another data set against all its others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from shatterlab.core import Dataset, Part, Seeds, Splits
from shatterlab.datasets.digits import Digits


@dataclass(frozen=True)
class OneAgainstRest(Dataset):
    """Another data set with label 1 for one group of its classes and 0 for the rest.

    With `RandomLabels()` each label is then a fair coin: a draw of random signs, on inputs that stay fixed while the corruption seed changes. That is what
    Rademacher complexity is made of; a run on k random classes is none.

    Args:
        dataset: the other data set, subsampled by its own fields.
        positive: the classes that get label 1, at least one and not all.
        examples: as always.
        test_examples: as always.

    Raises:
        InvalidPart: no class is named.

    Source:
        Mohri, Rostamizadeh, Talwalkar 2018, chapter 9 (one against the rest).

    Example:
        >>> OneAgainstRest(Digits(), (3,)).load().train.classes
        2
    """

    dataset: Dataset
    positive: tuple[int, ...] = (0,)

    def validate(self) -> None:
        super().validate()
        named = bool(self.positive) and min(self.positive) >= 0 and len(set(self.positive)) == len(self.positive)
        self.require(named, "positive is at least one class, each named once", self.positive)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return (cls(Digits(examples=100, test_examples=50), (3,)), cls(Digits(), (0, 2, 4, 6, 8), examples=80))

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        import torch

        splits = self.dataset.load(root, seeds)
        last = splits.train.classes - 1
        self.require(max(self.positive) <= last and len(self.positive) <= last, f"positive names some of the classes 0..{last} and not all", self.positive)
        chosen = torch.tensor(self.positive)
        train, test = (replace(part, labels=torch.isin(part.labels, chosen).long(), classes=2) for part in (splits.train, splits.test))
        return Splits(train, test)
