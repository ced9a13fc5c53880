"""Data sets made from another data set: two classes in place of k, test inputs among the training examples, both splits as one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shatterlab.core import Dataset, Part, Seeds, Splits, stratified
from shatterlab.core.errors import DataError
from shatterlab.core.lazy_inputs import Streamed
from shatterlab.datasets.digits import Digits


@dataclass(frozen=True)
class OneAgainstRest(Dataset):
    """Another data set with label 1 for one group of its classes and 0 for the rest.

    With `RandomLabels()` each label is then a fair coin: a draw of random signs, on inputs that stay fixed while the corruption seed changes. That is what
    Rademacher complexity is made of; a run on k random classes is none.

    Args:
        dataset: the other data set, subsampled by its own fields.
        positive: the classes that get label 1, at least one and not all.
        examples: how many training examples to keep (None: all).
        test_examples: how many test examples to keep (None: all).

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
        splits.train.require_classes(self.kind)
        last = splits.train.classes - 1
        self.require(max(self.positive) <= last and len(self.positive) <= last, f"positive names some of the classes 0..{last} and not all", self.positive)
        positive = torch.tensor(self.positive)
        train, test = (replace(part, labels=torch.isin(part.labels, positive).long(), classes=2, names=None) for part in (splits.train, splits.test))
        return Splits(train, test)


@dataclass(frozen=True)
class ForcedTest(Dataset):
    """Another data set with its test inputs, or a share of them, added to the training split under uniformly random labels.

    Whatever interpolates it fits every training label of the other data set too, and is wrong on the added test inputs: an interpolant
    made bad on purpose. The test split stays as it is, with true labels. Inputs that are in both splits of the other data set would get two labels;
    those of the test split are then not added.

    Args:
        dataset: the other data set, subsampled by its own fields.
        share: of the test inputs that are added, in (0, 1].
        examples: how many examples of the extended training split to keep (None: all).
        test_examples: how many test examples to keep (None: all).

    Raises:
        InvalidPart: the share is out of range.

    Source:
        Zhang et al. 2017, section 5: forcing random labels on the test points makes an interpolant of large norm.
    """

    dataset: Dataset
    share: float = 1.0

    def validate(self) -> None:
        super().validate()
        self.require(0 < self.share <= 1, "share is a fraction in (0, 1]", self.share)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return (cls(Digits(examples=100, test_examples=50), 0.4), cls(Digits(examples=100), 0.1))

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        import torch

        splits = self.dataset.load(root, seeds)
        splits.train.require_classes(self.kind)
        train, test = splits.train, splits.test
        known = {row.tobytes() for row in (train.inputs.flatten(1) + 0.0).numpy()}
        fresh = []
        for position, row in enumerate((test.inputs.flatten(1) + 0.0).numpy()):
            if row.tobytes() not in known:
                known.add(row.tobytes())
                fresh.append(position)
        added = test.at(fresh)
        count = max(1, round(self.share * len(added)))
        added = added.at(stratified(added.labels.numpy(), count, seeds.rng("data", "forced test inputs")))
        drawn = seeds.rng("data", "forced labels").integers(train.classes, size=len(added))
        labels = torch.cat([train.labels, torch.from_numpy(drawn)])
        return Splits(replace(train, inputs=torch.cat([train.inputs, added.inputs]), labels=labels, groups=None, times=None, rows=None), test)


@dataclass(frozen=True)
class Pooled(Dataset):
    """All examples of another data set as one training split, in the order of their source where that is known, else those for training first.

    For cross-validation of a whole table. The test split stays as it is; as its examples are also trained on, its figures are no test figures.

    Args:
        dataset: the other data set, subsampled by its own fields, with inputs in memory.
        examples: how many training examples to keep (None: all).
        test_examples: how many test examples to keep (None: all).

    Raises:
        DataError: inputs are read from disk.

    Example:
        >>> len(Pooled(Digits(examples=100, test_examples=50)).load().train)
        150
    """

    dataset: Dataset

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return ()  # it breaks the law that test examples are not training examples, and says so

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        import torch

        splits = self.dataset.load(root, seeds)
        both = (splits.train, splits.test)
        if any(isinstance(part.inputs, Streamed) for part in both):
            raise DataError(f"{self.kind}: inputs in memory are required, got {self.dataset.kind}, which reads them from disk. Use its splits as they are.")
        columns = {name: [getattr(part, name) for part in both] for name in ("inputs", "labels", "groups", "times", "rows")}
        joined: dict[str, Any] = {name: None if values[0] is None else torch.cat(values) for name, values in columns.items()}
        whole = replace(splits.train, **joined)
        return Splits(whole if whole.rows is None else whole.at(whole.rows.argsort()), splits.test)
