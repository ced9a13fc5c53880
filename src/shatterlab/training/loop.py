"""One run of gradient descent: the model as it changes, and the facts about it as they become known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from shatterlab.core import Augmentation, Batch, Examples, Optimizer, Progress, Scalar, Seeds
from shatterlab.core.losses import evaluate
from shatterlab.training.early_stopping import HeldOut
from shatterlab.training.feeds import Augmented, Feed, Plain, Smoothed
from shatterlab.training.precision import autocast
from shatterlab.training.weight_decay import decaying

LOSS_THRESHOLDS = (1.0, 0.5, 0.1, 0.05, 0.01)
OVERFIT_LOSS = 0.05  # reproduces the published times to overfit from the published curves: any threshold in (0.0466, 0.0580] does
_SPENT = 0.01  # share of the schedule's whole learning-rate sum below which nothing more can be learned
_ROUNDING = 1e-4  # of whitened values, which are of order 1, computed twice in float32


@runtime_checkable
class Schedule(Protocol):
    """What a run has to know of its recipe; `Training` documents the fields."""

    @property
    def optimizer(self) -> Optimizer:
        """The rule of a step."""

    @property
    def decay(self) -> float:
        """Factor on the learning rate every `decay_steps` steps."""

    @property
    def decay_steps(self) -> int:
        """Steps, >= 1."""

    @property
    def batch_size(self) -> int | None:
        """Examples a step; None for all."""

    @property
    def epochs(self) -> int:
        """The budget."""

    @property
    def stop(self) -> float | Literal["interpolation", "overfit", "budget"]:
        """When to end before it."""

    @property
    def precision(self) -> str:
        """Number format of products."""

    @property
    def output(self) -> Literal["logits", "values"]:
        """What the scores are."""

    @property
    def augmentation(self) -> tuple[Augmentation, ...]:
        """What varies the images of a step."""

    @property
    def label_smoothing(self) -> float:
        """How far targets are moved towards the uniform distribution."""

    @property
    def weight_decay_on(self) -> tuple[str, ...]:
        """Names of the parameters that decay; none: all."""

    @property
    def validation(self) -> float:
        """Share of the sample that is held out."""

    @property
    def patience(self) -> int:
        """Epochs without a better one on it."""

    def rate(self, step: int) -> float:
        """The learning rate of step 0, 1, ..."""


class Descent:
    """One run.

    What the first layer makes of the sample never changes, so it is computed once and kept on the device; a step
    gathers from it, unless images are augmented. Nothing in a step waits for the device.

    Args:
        schedule: the recipe.
        model: input layer and network.
        train: the sample.
        device: where it runs.
    """

    def __init__(self, schedule: Schedule, model: nn.Sequential, train: Examples, device: torch.device) -> None:
        self.schedule, self.model, self.train, self.device = schedule, model, train, device
        self.step = 0
        self.facts: dict[str, Scalar] = {}
        self._chunk = 128 if device.type == "cpu" else 2048  # examples scored at once; more than 128 fall out of a processor's cache
        self._prepared = self._prepare_all()
        self._labels = train.labels.to(device)
        self.optimizer = decaying(schedule.optimizer, model[1], schedule.weight_decay_on)

    def scores(self, inputs: Tensor) -> Tensor:
        """Scores on the CPU, in evaluation mode; the model is left in the mode it was in."""
        return torch.cat([self._score(self._prepare(few)).cpu() for few in inputs.split(self._chunk)])

    def epochs(self, seeds: Seeds) -> Iterator[Progress]:
        """Trains, and reports after each epoch; the last report says that it is the last."""
        generator = torch.Generator().manual_seed(seeds.integer("order"))
        held = HeldOut(self.train, self.schedule.validation, self.schedule.patience, seeds) if self.schedule.validation else None
        feed, parts = self._feed(seeds), self._parts(held)
        reached: dict[str, tuple[int, int]] = {}
        for epoch in range(1, self.schedule.epochs + 1):
            rate = self.schedule.rate(self.step)
            batch, online_loss, online_accuracy = self._epoch(feed, epoch, self._order(generator, held))
            figures = [evaluate(self._score_in_chunks, part, self.schedule.output) for part in parts]
            for target in _targets(*figures[0]):
                reached.setdefault(target, (epoch, self.step))
            spent = held is not None and held.see(epoch, self.step, *figures[1], self.model)
            ended = self._ended(epoch, *figures[0]) or ("validation" if spent else "")
            if ended:
                self._conclude(epoch, ended, reached)
                self.facts |= {"online_loss": online_loss, "online_accuracy": online_accuracy}
                figures = self._restored(held, parts) or figures
            keep = batch if epoch == 1 or ended else None
            yield Progress(
                epoch, self.step, self.scores, self.schedule.output, *_whole(parts, figures), online_loss, online_accuracy, rate, bool(ended), keep,
                validation_loss=figures[1][0] if held else None, validation_accuracy=figures[1][1] if held else None,
            )  # fmt: skip
            if ended:
                return

    def _feed(self, seeds: Seeds) -> Feed:
        feed: Feed = Plain(self._prepared, self._labels, self._prepare)
        if self.schedule.augmentation:
            feed = Augmented(self.schedule.augmentation, self.train, self._prepare, seeds, self.device)
        return Smoothed(feed, self.schedule.label_smoothing, self.train.classes) if self.schedule.label_smoothing else feed

    def _parts(self, held: HeldOut | None) -> list[Examples]:
        """The prepared sample, or the part that is trained on and the one that is held out."""
        sample = Examples(self._prepared, self._labels, self.train.classes)
        return [sample] if held is None else [sample.at(positions.to(self.device)) for positions in (held.fitted, held.held)]

    def _order(self, generator: torch.Generator, held: HeldOut | None) -> Tensor:
        if held is None:
            return torch.randperm(len(self.train), generator=generator).to(self.device)
        return held.fitted[torch.randperm(len(held.fitted), generator=generator)].to(self.device)

    def _restored(self, held: HeldOut | None, parts: list[Examples]) -> list[tuple[float, float]]:
        """Gives the model its best weights back, and says how it does with them; nothing where none are kept, or it diverged."""
        if held is None or self.facts["diverged"]:
            return []
        held.restore(self.model)
        self.facts |= held.facts()
        return [evaluate(self._score_in_chunks, part, self.schedule.output) for part in parts]

    def _prepare(self, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            prepared: Tensor = self.model[0](inputs.to(self.device))
        return prepared

    def _prepare_all(self) -> Tensor:
        if isinstance(self.model[0], nn.Identity):
            return self.train.inputs.to(self.device)
        first = self._prepare(self.train.inputs[:1])
        prepared = first.new_empty((len(self.train), *first.shape[1:]))
        if first.ndim == 4 and first.is_contiguous(memory_format=torch.channels_last):
            prepared = prepared.contiguous(memory_format=torch.channels_last)
        for start in range(0, len(self.train), 2048):
            prepared[start : start + 2048] = self._prepare(self.train.inputs[start : start + 2048])
        return prepared

    def _score_in_chunks(self, prepared: Tensor) -> Tensor:
        return torch.cat([self._score(few) for few in prepared.split(self._chunk)])

    def _score(self, prepared: Tensor) -> Tensor:
        mode = self.model.training
        self.model.eval()
        with torch.no_grad(), autocast(self.schedule.precision, self.device):
            scores: Tensor = self.model[1](prepared.clone())  # its own, since a network may work in place
        self.model.train(mode)
        return scores.float()

    def _epoch(self, feed: Feed, epoch: int, order: Tensor) -> tuple[Batch, float, float]:
        """One pass over the sample in this order; its first batch and the means as the batches went by."""
        self.model.train()
        total, correct = torch.zeros(2, dtype=torch.float64, device=self.device)
        first: Batch | None = None
        for indices, inputs, labels, targets in feed.steps(epoch, _batches(order, self.schedule.batch_size or len(order))):
            first = first or self._batch(feed, indices, inputs, labels)
            for group in self.optimizer.param_groups:
                group["lr"] = self.schedule.rate(self.step)
            with autocast(self.schedule.precision, self.device):
                scores = self.model[1](inputs)
            loss = feed.losses(scores.float(), targets, self.schedule.output).mean()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.step += 1
            total += loss.detach() * len(indices)
            correct += (scores.detach().argmax(1) == labels).sum()
        assert first is not None
        return first, total.item() / len(order), correct.item() / len(order)

    def _batch(self, feed: Feed, indices: Tensor, fed: Tensor, labels: Tensor) -> Batch:
        """The batch for the observer: examples as the sample has them; not a number where the network is fed something else."""
        given = self.train.inputs[indices.cpu()]
        same = torch.allclose(feed.again(given, indices), fed, atol=_ROUNDING, equal_nan=True)
        return Batch(indices, given if same else torch.full_like(given, torch.nan), labels)

    def _ended(self, epoch: int, loss: float, accuracy: float) -> str:
        if not math.isfinite(loss):
            return "diverged"
        if self.schedule.stop == "interpolation" and accuracy == 1:
            return "interpolation"
        if self.schedule.stop == "overfit" and accuracy == 1 and loss <= OVERFIT_LOSS:
            return "overfit"
        if not isinstance(self.schedule.stop, str) and loss <= self.schedule.stop:
            return "loss"
        spent = self.schedule.decay < 1 and self._rate_left() < _SPENT
        return "budget" if spent or epoch == self.schedule.epochs else ""

    def _conclude(self, epoch: int, ended: str, reached: dict[str, tuple[int, int]]) -> None:
        for target in ("interpolation", *(f"loss_{threshold}" for threshold in LOSS_THRESHOLDS)):
            epochs, steps = reached.get(target, (None, None))
            self.facts |= {f"epochs_to_{target}": epochs, f"steps_to_{target}": steps}
        wanted = isinstance(self.schedule.stop, str) and "interpolation" in reached
        self.facts |= {"epochs": epoch, "steps": self.step, "ended": ended}
        self.facts |= {"censored": ended in ("budget", "validation") and not wanted, "diverged": ended == "diverged"}
        self.facts["learning_rate_left"] = self._rate_left()

    def _rate_left(self) -> float:
        return float(self.schedule.decay ** (self.step / self.schedule.decay_steps))


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """The order in batches; a last one of a single example, of which batch norm has no variance, joins the one before."""
    batches = list(order.split(size))
    if len(batches) > 1 and size > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _whole(parts: list[Examples], figures: list[tuple[float, float]]) -> tuple[float, float]:
    """Loss and accuracy over the sample from those of its parts."""
    if len(parts) == 1:
        return figures[0]
    n = sum(map(len, parts))
    loss, accuracy = (sum(len(part) * figure[i] for part, figure in zip(parts, figures, strict=True)) / n for i in (0, 1))
    return loss, accuracy


def _targets(loss: float, accuracy: float) -> Iterator[str]:
    if accuracy == 1:
        yield "interpolation"
    yield from (f"loss_{threshold}" for threshold in LOSS_THRESHOLDS if loss <= threshold)
