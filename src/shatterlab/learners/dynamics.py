"""Training dynamics of each example: what a run says of it epoch by epoch, from the scores that training computes anyway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Examples, Fit, Learner, Observer, Part, Progress, Runtime, Seeds, stratified
from shatterlab.core.errors import InvalidPart
from shatterlab.core.losses import Evaluation, evaluation, losses
from shatterlab.core.values import Resumable
from shatterlab.learners.training import Training
from shatterlab.optimizers.descent import SGD

_KEPT = {"correct": torch.bool, "margin": torch.float32, "loss": torch.float32, "probability": torch.float16, "el2n": torch.float16}


@dataclass(frozen=True)
class Dynamics(Learner):
    """Fits another learner and records, for each training example and epoch, whether it is classified correctly, its margin, loss and probability.

    A network's scores are those that training computes to measure the whole sample after an epoch, in evaluation mode and without augmentation: the cost is
    a few operations an example, no second pass. A learner without epochs is scored once. `analysis.dynamics.example_scores` turns the arrays into forgetting
    events, area under the margin and the like.

    Args:
        learner: the learner that is fitted.
        every: epochs between records, >= 1: epochs 1, 1 + every, ... that are measured.
        held_out: examples that are scored but not trained on, >= 0; class-stratified, by the data stream. They carry the labels of the sample, corrupted ones
            included. Each epoch scores them once; training figures stay those of the whole sample.

    Returns:
        The fit, which recording does not change. Fact `recorded`: the number t of epochs recorded. Arrays besides its own, about 12 bytes an example and
        epoch: `dynamics.epochs` (t,), `dynamics.correct` (t x ceil(n / 8), bits as numpy.packbits gives them), `dynamics.margin` (t x n, score of the label
        minus the largest other score), `dynamics.loss` (t x n), `dynamics.probability` (t x n, of the label), `dynamics.el2n` (t x n, length of probabilities
        minus one-hot label) and `dynamics.held_out` (positions). Scores that are values stand in for probabilities.

    Raises:
        InvalidPart: a field is out of range, nothing is left to train on, or several processes train one model.

    Source:
        Toneva et al. 2019; Pleiss et al. 2020; Swayamdipta et al. 2020; Paul et al. 2021; held-out examples: Arpit et al. 2017.
    """

    learner: Learner
    every: int = 1
    held_out: int = 0

    def validate(self) -> None:
        self.require(self.every >= 1, "every is a whole number of epochs >= 1", self.every)
        self.require(self.held_out >= 0, "held_out is a whole number of examples >= 0", self.held_out)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        training = Training(MLP((8,)), SGD(lr=0.05), epochs=3, batch_size=32)
        return (cls(training), cls(training, every=2, held_out=6))

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        n = len(train)
        self.require(self.held_out < n, f"held_out is smaller than the sample, {n}", self.held_out)
        held = stratified(train.labels.numpy(), self.held_out, seeds.rng("data", "held out")) if self.held_out else np.empty(0, np.int64)
        kept = np.setdiff1d(np.arange(n), held)
        recorder = _Recorder(train, torch.from_numpy(kept), torch.from_numpy(held), self.every, observe)
        fit = self.learner.fit(recorder.fitted, seeds, recorder, runtime)
        return replace(fit, facts={**fit.facts, "recorded": len(recorder.epochs)}, arrays={**fit.arrays, **recorder.arrays()})


class _Recorder:
    """Records scores on their way to another observer, for which the sample stays whole."""

    def __init__(self, train: Examples, kept: Tensor, held: Tensor, every: int, observe: Observer | None) -> None:
        self.train, self.kept, self.held, self.every, self.observe = train, kept, held, every, observe
        self.fitted = train if not len(held) else train.at(kept)
        self.epochs: list[int] = []
        self.records: dict[str, list[Tensor]] = {name: [] for name in _KEPT}
        self.now: dict[str, Tensor] = {}

    def scored(self, epoch: int, positions: Tensor, scores: Tensor, output: str) -> None:
        """Scores that the learner computed."""
        if self._due(epoch):
            self._record(self.kept, positions, scores, output)

    def __call__(self, progress: Progress) -> None:
        measured = progress.train_loss is not None or progress.last
        if measured and self._due(progress.epoch) and not self.now:  # a learner that hands no scores on
            evaluation(progress.scores, self.fitted, progress.output, each=partial(self._record, self.kept, output=progress.output))
        if measured and len(self.held):
            progress = self._whole(progress)
        if self.now:
            self._commit(progress.epoch)
        if self.observe is not None:
            self.observe(progress)

    def state(self) -> dict[str, Any]:
        """The records, and the state of the other observer."""
        inner = self.observe.state() if isinstance(self.observe, Resumable) else None
        return {"epochs": self.epochs, "records": self.records, "observer": inner}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from the state of an interrupted run."""
        self.epochs, self.records = state["epochs"], state["records"]
        if isinstance(self.observe, Resumable) and state["observer"] is not None:
            self.observe.restore(state["observer"])

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """The records by name, epochs first."""
        n, columns = len(self.train), {name: self.records.pop(name) for name in _KEPT}  # one at a time: half the memory
        arrays = {name: torch.stack(columns.pop(name)).numpy() if self.epochs else np.empty((0, n), np.float32) for name in _KEPT}
        arrays["correct"] = np.packbits(arrays["correct"].astype(bool), axis=1)
        arrays |= {"epochs": np.array(self.epochs, dtype=np.int64), "held_out": self.held.numpy()}
        return {f"dynamics.{name}": values for name, values in arrays.items()}

    def _due(self, epoch: int) -> bool:
        return (epoch - 1) % self.every == 0

    def _record(self, places: Tensor, positions: Tensor | slice, scores: Tensor, output: str) -> None:
        if not self.now:
            self.now = {name: torch.zeros(len(self.train), dtype=kind) for name, kind in _KEPT.items()}
            self.now["seen"] = torch.zeros(len(self.train), dtype=torch.bool)
        where = places[positions]
        for name, values in _figures(scores, self.train.labels[where].to(scores.device), output).items():
            self.now[name][where] = values.to(_KEPT[name]).cpu()
        self.now["seen"][where] = True

    def _commit(self, epoch: int) -> None:
        seen = int(self.now.pop("seen").sum())
        if seen < len(self.train):
            got = f"got the scores of {seen} of {len(self.train)} examples"
            raise InvalidPart(f"Dynamics: a single process that trains the model is required, {got}. Start one process.")
        self.epochs.append(epoch)
        for name, values in self.now.items():
            self.records[name].append(values)
        self.now = {}

    def _whole(self, progress: Progress) -> Progress:
        """The report with held-out examples scored: figures and positions are those of the whole sample."""
        record = partial(self._record, self.held, output=progress.output) if self.now else lambda chunk, scores: None
        held = evaluation(progress.scores, self.train.at(self.held), progress.output, each=record)
        batch = progress.batch and replace(progress.batch, indices=self.kept.to(progress.batch.indices.device)[progress.batch.indices])
        if progress.train_loss is None or progress.train_accuracy is None:
            return replace(progress, batch=batch)
        figures = Evaluation(progress.train_loss, progress.train_accuracy, progress.train_top5_accuracy)
        loss, accuracy, top5 = (
            None if ours is None or theirs is None else (len(self.kept) * ours + len(self.held) * theirs) / len(self.train)
            for ours, theirs in zip(figures, held, strict=True)
        )
        return replace(progress, batch=batch, train_loss=loss, train_accuracy=accuracy, train_top5_accuracy=top5)


def _figures(scores: Tensor, labels: Tensor, output: str) -> dict[str, Tensor]:
    own = scores.gather(1, labels[:, None]).squeeze(1)
    others = scores.scatter(1, labels[:, None], -torch.inf).amax(1)
    shares = scores.softmax(1) if output == "logits" else scores
    away = shares.scatter_add(1, labels[:, None], -torch.ones_like(shares[:, :1]))
    return {
        "correct": scores.argmax(1) == labels,
        "margin": own - others,
        "loss": losses(scores, labels, output),
        "probability": shares.gather(1, labels[:, None]).squeeze(1),
        "el2n": away.norm(dim=1),
    }
