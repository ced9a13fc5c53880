"""A data set whose test inputs are among the training examples, under random labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from shatterlab.core import Dataset, Part, Seeds, Splits, stratified
from shatterlab.datasets.digits import Digits


@dataclass(frozen=True)
class ForcedTest(Dataset):
    """Another data set with its test inputs, or a share of them, added to the training split under uniformly random labels.

    Whatever interpolates it fits every training label of the other data set too, and is wrong on the added test inputs: an interpolant
    made bad on purpose. The test split stays as it is, with true labels. Inputs that are in both splits of the other data set would get two labels;
    those of the test split are then not added.

    Args:
        dataset: the other data set, subsampled by its own fields.
        share: of the test inputs that are added, in (0, 1].
        examples: as always, of the extended training split.
        test_examples: as always.

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
        return Splits(replace(train, inputs=torch.cat([train.inputs, added.inputs]), labels=labels), test)
