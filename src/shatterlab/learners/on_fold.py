"""A learner on all but one fold of its sample, with the class probabilities of the fold that it did not see."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Batch, Examples, Fit, Learner, Observer, Part, Progress, Runtime, Seeds
from shatterlab.core.errors import DataError
from shatterlab.core.lazy_inputs import Streamed, chunks
from shatterlab.learners.training import Training
from shatterlab.optimizers.descent import SGD

_ROWS = 2048  # examples scored at a time


@dataclass(frozen=True)
class OnFold(Learner):
    """Fits another learner on all folds of the sample but one, and keeps the class probabilities of the one that was left out.

    The folds are drawn from the order stream, so that trials with equal seeds and `fold` 0 .. folds - 1 are one cross-validation. Equal inputs share a fold,
    and so do groups; where examples have times a fold is a block of time; else each fold has nearly the class shares of the sample.

    Args:
        learner: the learner that is fitted.
        folds: how many there are, >= 2.
        fold: which one is left out, 0 .. folds - 1.

    Returns:
        The fit on the other folds. Facts besides its own: `left_out` (how many examples), `left_out_error`. Arrays: `left_out` (their positions in the
        sample) and `probabilities` (float32, one row each). The figures of a run itself (`train.loss`, `train.error`) are those of the whole sample.

    Raises:
        InvalidPart: a field is out of range.
        DataError: a fold would be empty, or the others have one class only.

    Source:
        Stone 1974, "Cross-validatory choice and assessment of statistical predictions".
    """

    role: ClassVar[str] = "fold"

    learner: Learner
    folds: int = 5
    fold: int = 0

    def validate(self) -> None:
        self.require(self.folds >= 2, "folds is a whole number >= 2", self.folds)
        self.require(0 <= self.fold < self.folds, f"fold is a whole number in 0..{self.folds - 1}", self.fold)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return (cls(Training(MLP((8,)), SGD(lr=0.05), epochs=2, batch_size=32), folds=3, fold=1),)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        places = folds_of(train, self.folds, seeds.rng("order", "folds"))
        left_out, kept = (torch.from_numpy(np.flatnonzero(where)) for where in (places == self.fold, places != self.fold))
        if len(left_out) == 0 or len(train.labels[kept].unique()) < 2:
            what = "one class only outside of it" if len(left_out) else "an empty one"
            raise DataError(f"{self.kind}: folds with examples, and two classes outside of each, are required, got {what}. Use fewer folds, or more examples.")
        fit = self.learner.fit(train.at(kept), seeds, None if observe is None else _of_the_whole(observe, kept), runtime)
        unseen = train.at(left_out)
        probabilities = class_probabilities(fit, unseen)
        error = float((probabilities.argmax(1) != unseen.labels.numpy()).mean())
        facts = {**fit.facts, "left_out": len(left_out), "left_out_error": error}
        return replace(fit, facts=facts, arrays={**fit.arrays, "left_out": left_out.numpy(), "probabilities": probabilities})


def folds_of(train: Examples, folds: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """The fold of each example, int64 in 0 .. folds - 1, shape (n,).

    Args:
        train: the sample.
        folds: how many there are, >= 2.
        rng: decides which examples share a fold; blocks of time need no draw.

    Example:
        >>> sample = Examples(torch.rand(6, 2), torch.tensor([0, 0, 0, 1, 1, 1]), 2)
        >>> np.bincount(folds_of(sample, 3, np.random.default_rng(0)) + 3 * sample.labels.numpy()).tolist()
        [1, 1, 1, 1, 1, 1]
    """
    if train.times is not None:
        _, places, counts = np.unique(train.times.numpy(), return_inverse=True, return_counts=True)
        blocks: np.ndarray[Any, Any] = ((np.cumsum(counts) - counts / 2) * folds / len(train)).astype(np.int64)[places]
        return blocks
    together = _equal_inputs(train) if train.groups is None else train.groups.numpy()
    _, firsts, places, counts = np.unique(together, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((rng.random(len(counts)), train.labels.numpy()[firsts], -counts))  # the largest first; then class by class
    chosen, sizes = np.empty(len(counts), np.int64), [0] * folds
    for unit in order.tolist():
        chosen[unit] = smallest = min(range(folds), key=sizes.__getitem__)
        sizes[smallest] += int(counts[unit])
    return chosen[places]


def _equal_inputs(train: Examples) -> np.ndarray[Any, Any]:
    """The same number for equal inputs; photos that are read from disk are taken as different."""
    if isinstance(train.inputs, Streamed):
        return np.arange(len(train))
    known: dict[bytes, int] = {}
    digests = (hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest() for row in train.inputs.flatten(1).numpy())
    return np.array([known.setdefault(digest, len(known)) for digest in digests])


def class_probabilities(fit: Fit, examples: Examples) -> np.ndarray[Any, Any]:
    """The class probabilities of examples under a fit, float32, n x k; rows add up to 1.

    Logits are taken through softmax. Scores of a squared loss estimate probabilities too: negative ones become 0. Where a model says 0 of all classes they are
    equally likely. What is not finite stays NaN.
    """
    scores = torch.cat([fit.scores(batch).detach().double().cpu() for _, batch in chunks(examples.inputs, _ROWS, torch.get_num_threads())])
    shares: Tensor = scores.softmax(1) if fit.output == "logits" else scores.clamp(min=0)
    total = shares.sum(1, keepdim=True)
    result: np.ndarray[Any, Any] = torch.where(total == 0, 1 / examples.classes, shares / total).float().numpy()
    return result


def _of_the_whole(observe: Observer, kept: Tensor) -> Observer:
    """The observer of a sample for a learner that is fitted on a part of it: positions are those in the whole, figures of the part are dropped."""

    def report(progress: Progress) -> None:
        batch = progress.batch
        if batch is not None:
            batch = Batch(kept[batch.indices.cpu()].to(batch.indices.device), batch.inputs, batch.labels, batch.targets)
        observe(replace(progress, batch=batch, train_loss=None, train_accuracy=None, train_top5_accuracy=None))

    return report
