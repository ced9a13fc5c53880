"""A learner around another one that fits it on a random subset of the sample."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Batch, Examples, Fit, Learner, Observer, Part, Progress, Runtime, Scalar, Seeds
from shatterlab.learners.training import Training
from shatterlab.optimizers.descent import SGD

_ROWS = 2048  # examples scored at a time


@dataclass(frozen=True)
class OnSubset(Learner):
    """Fits another learner on a random subset of the sample and says which examples the fit gets right, inside and outside of it.

    Many such fits estimate how much each example is memorized (`memorization`), and what each one does for the prediction of another. The subset has
    m = share (n - held_out) examples, rounded, drawn from the order stream without regard to classes. The held-out ones are drawn from the data stream:
    fits that differ in their other seeds hold out the same examples.

    Args:
        learner: the learner that is fitted.
        share: of the examples that are not held out, in (0, 1); at least one is inside and one outside.
        held_out: examples that are never inside, >= 0.

    Returns:
        The fit on the subset. Facts besides its own: `inside` (m), `inside_accuracy`, `outside_accuracy`, `held_out_accuracy` (where some are),
        `mean_memorization` (inside less outside accuracy), `subset` (its fingerprint). Arrays: `inside` and `correct`, a bit for each example of the sample,
        packed into bytes as numpy.packbits does.

    Raises:
        InvalidPart: a field is out of range, or fewer than two examples are not held out.

    Source:
        Feldman, Zhang 2020, "What neural networks memorize and why", section 2.

    Example:
        >>> from shatterlab import Estimator, GaussianCloud, Seeds
        >>> train = GaussianCloud(examples=40).load().train
        >>> fit = OnSubset(Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}), share=0.5).fit(train, Seeds(order=3))
        >>> fit.facts["inside"], fit.facts["inside_accuracy"], int(np.unpackbits(fit.arrays["inside"]).sum())
        (20, 1.0, 20)
    """

    role: ClassVar[str] = "subset"

    learner: Learner
    share: float = 0.7
    held_out: int = 0

    def validate(self) -> None:
        self.require(0 < self.share < 1, "share is a fraction in (0, 1)", self.share, "0.7 is usual")
        self.require(self.held_out >= 0, "held_out is a whole number >= 0", self.held_out)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return (cls(Training(MLP((8,)), SGD(lr=0.05), epochs=2, batch_size=32), held_out=5),)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        n = len(train)
        free = n - self.held_out
        self.require(free >= 2, "at least 2 examples that are not held out are required", free, "Hold out fewer")
        eligible = np.sort(seeds.rng("data", "held out").permutation(n)[self.held_out :])
        m = min(max(round(self.share * free), 1), free - 1)
        inside = np.zeros(n, dtype=bool)
        inside[seeds.rng("order", "subset").choice(eligible, m, replace=False)] = True
        positions = torch.from_numpy(np.flatnonzero(inside))
        fit = self.learner.fit(train.at(positions), seeds, None if observe is None else _at(observe, positions), runtime)
        correct = (torch.cat([fit.scores(batch).argmax(1).cpu() for batch in train.inputs.split(_ROWS)]) == train.labels).numpy()
        right, others = float(correct[inside].mean()), float(correct[np.setdiff1d(eligible, np.flatnonzero(inside))].mean())
        facts: dict[str, Scalar] = {
            "inside": m,
            "inside_accuracy": right,
            "outside_accuracy": others,
            "mean_memorization": right - others,
            "subset": hashlib.sha256(inside.tobytes()).hexdigest()[:12],
            **({"held_out_accuracy": float(np.delete(correct, eligible).mean())} if self.held_out else {}),
        }
        return replace(fit, facts={**fit.facts, **facts}, arrays={**fit.arrays, "inside": np.packbits(inside), "correct": np.packbits(correct)})


def _at(observe: Observer, positions: torch.Tensor) -> Observer:
    """Reports places in the whole sample; training figures, which are those of the subset, are left out."""

    def report(progress: Progress) -> None:
        batch = progress.batch
        if batch is not None:
            batch = Batch(positions.to(batch.indices.device)[batch.indices], batch.inputs, batch.labels, batch.targets)
        observe(replace(progress, batch=batch, train_loss=None, train_accuracy=None, train_top5_accuracy=None))

    return report
