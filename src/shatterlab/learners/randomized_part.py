"""Any learner, trained on a sample of which a part has random labels: who fits the rest and not that part has learned."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Batch, Examples, Fit, Learner, Observer, Part, Progress, Runtime, Seeds
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD

_ROWS = 2048  # examples scored at a time


@dataclass(frozen=True)
class RandomizedPart(Learner):
    """Fits another learner once on the sample with the labels of m of its examples redrawn evenly from all k classes.

    Only the inputs of those m are used, so they may be unlabelled. Two errors are counted: on the n - m examples that kept their labels, and on the m against
    the labels that were drawn for them. `RATTCertificate` turns the two into a bound on the true error. Which examples are redrawn, and to what, comes from the
    order stream.

    Args:
        learner: what is fitted.
        share: m / n, in (0, 1); m is rounded and at least 1, and at least 1 example keeps its label.

    Returns:
        The fit on the mixed sample. Facts besides its own: `labelled` (n - m), `randomized` (m), `labelled_error`, `random_error`. The figures of a run itself
        (`train.loss`, `train.error`) are those of the sample that it was asked to fit, before the m labels were redrawn.

    Raises:
        InvalidPart: the share is out of range, or the sample has fewer than two examples.

    Source:
        Garg, Balakrishnan, Kolter, Lipton 2021, "RATT: leveraging unlabeled data to guarantee generalization".
    """

    learner: Learner
    share: float = 0.5

    def validate(self) -> None:
        self.require(0 < self.share < 1, "share is a fraction in (0, 1)", self.share)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return (cls(Training(MLP((8,)), SGD(lr=0.05), epochs=2, batch_size=32), share=0.3),)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        n = len(train)
        self.require(n >= 2, "at least 2 examples are required", n)
        m = min(max(round(self.share * n), 1), n - 1)
        rng = seeds.rng("order", "randomized part")
        redrawn = torch.zeros(n, dtype=torch.bool)
        redrawn[torch.from_numpy(rng.permutation(n)[:m])] = True
        labels = train.labels.clone()
        labels[redrawn] = torch.from_numpy(rng.integers(train.classes, size=m))
        fit = self.learner.fit(replace(train, labels=labels), seeds, None if observe is None else _told(observe, ~redrawn), runtime)
        wrong = _answers(fit, train) != labels
        facts = {
            "labelled": n - m,
            "randomized": m,
            "labelled_error": wrong[~redrawn].double().mean().item(),
            "random_error": wrong[redrawn].double().mean().item(),
        }
        return replace(fit, facts={**fit.facts, **facts})


def _told(observe: Observer, kept: Tensor) -> Observer:
    """The observer without what is about labels that it does not know: figures of the mixed sample, and the redrawn examples of a batch."""

    def told(progress: Progress) -> None:
        batch = progress.batch
        if batch is not None:
            known = kept[batch.indices.cpu()].to(batch.indices.device)
            batch = Batch(batch.indices[known], batch.inputs[known], batch.labels[known])
        observe(replace(progress, batch=batch, train_loss=None, train_accuracy=None, train_top5_accuracy=None))

    return told


def _answers(fit: Fit, train: Examples) -> Tensor:
    return torch.cat([fit.scores(few).argmax(1).cpu() for few in train.inputs.split(_ROWS)])
