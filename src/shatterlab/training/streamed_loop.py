"""One run over streamed batches: its state after every step is all that a checkpoint needs."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from shatterlab.core import Augmentation, Batch, Examples, Observer, Optimizer, Progress, Runtime, Scalar, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.core.lazy_inputs import parts
from shatterlab.core.losses import TOP, top_five
from shatterlab.core.values import Resumable
from shatterlab.training.checkpoint import Checkpoint
from shatterlab.training.distributed import Ranks
from shatterlab.training.streamed_batches import Batches, Fed
from shatterlab.training.torch_seed import seeded

_CHUNK = {"cpu": 32, "cuda": 256}  # examples scored at once
_log = logging.getLogger("shatterlab.training")


@runtime_checkable
class Plan(Protocol):
    """What a run has to know of its recipe; `StreamedTraining` documents the fields."""

    @property
    def optimizer(self) -> Optimizer:
        """The rule of a step."""

    @property
    def batch_size(self) -> int:
        """Examples a step."""

    @property
    def epochs(self) -> int:
        """The budget."""

    @property
    def stop(self) -> float | None:
        """The accuracy at which to end before it."""

    @property
    def check_every(self) -> int:
        """Epochs between measurements of the training split."""

    @property
    def smoothing(self) -> float:
        """Of labels."""

    @property
    def auxiliary(self) -> float:
        """Weight of the auxiliary loss."""

    @property
    def augmentation(self) -> tuple[Augmentation, ...]:
        """Random changes of the images."""

    @property
    def precision(self) -> str:
        """Number format of products."""

    def rate(self, epoch: int) -> float:
        """The learning rate of epoch 1, 2, ..."""


class Symmetric(nn.Module):
    """Values in [0, 1] scaled to [-1, 1]."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Twice the inputs minus one."""
        return inputs * 2 - 1


class Heads(nn.Module):
    """The model with all its scores: the usual ones, and the auxiliary ones where they are wanted and there."""

    def __init__(self, model: nn.Sequential, auxiliary: bool) -> None:
        super().__init__()
        self.model, self.auxiliary = model, auxiliary and hasattr(model[1], "with_auxiliary")

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores and auxiliary scores."""
        if not self.auxiliary:
            return self.model(inputs), None
        network: Any = self.model[1]
        scores, auxiliary = network.with_auxiliary(self.model[0](inputs))
        return scores, auxiliary


class Run:
    """One run.

    Args:
        plan: the recipe.
        model: scaling and network.
        train: the sample.
        seeds: the order stream decides order, augmentation and dropout.
        ranks: this process among those that train together.
        runtime: where it runs.
        checkpoint: where its state goes.
    """

    def __init__(self, plan: Plan, model: nn.Sequential, train: Examples, seeds: Seeds, ranks: Ranks, runtime: Runtime, checkpoint: Checkpoint) -> None:
        self.plan, self.model, self.train, self.seeds, self.ranks, self.checkpoint = plan, model, train, seeds, ranks, checkpoint
        self.readers, self.device = runtime.readers or runtime.threads, ranks.device
        self.batches = Batches(plan.augmentation, train, seeds, ranks, self.readers)
        if ranks.size > min(plan.batch_size // 2, len(train)):
            raise InvalidPart(f"StreamedTraining: at most {plan.batch_size // 2} processes are required for this batch, got {ranks.size}. Start fewer.")
        self.optimizer = plan.optimizer.build([value for value in model.parameters() if value.requires_grad], fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=plan.precision == "float16")
        self.epoch, self.done, self.step = 1, 0, 0  # the epoch, how many of its batches are done, steps in all
        self.sums = torch.zeros(2, dtype=torch.float64, device=self.device)  # of this epoch, over all processes: loss, hits
        self.reached: int | None = None
        self.facts: dict[str, Scalar] = {}
        self.waited = self.spent = 0.0

    def scores(self, inputs: Tensor) -> Tensor:
        """Scores on the CPU, in evaluation mode; the model is left in the mode it was in."""
        return torch.cat([self._score(few).cpu() for few in inputs.split(_CHUNK.get(self.device.type, 32))])

    def epochs(self, observe: Observer | None) -> Iterator[Progress]:
        """Trains, and reports after each epoch; the last report says that it is the last."""
        observer = observe if isinstance(observe, Resumable) else None
        self._resume(observer)
        heads = Heads(self.model, self.plan.auxiliary > 0)
        with self.ranks.training(heads, unused=not heads.auxiliary and hasattr(self.model[1], "with_auxiliary")) as trained:
            ended = ""
            while not ended:
                batch = self._epoch(trained, observer)
                loss, online = (self.sums / len(self.train)).tolist()
                measured = self._measured(loss)
                ended = self._ended(measured[1] if measured else None, loss)
                keep = batch if self.epoch == 1 or ended else None
                rate, last = self.plan.rate(self.epoch), bool(ended)
                if ended:
                    self._conclude(ended)
                    self._write(observer)
                found = measured or (None, None, None)
                figures = {"train_loss": found[0], "train_accuracy": found[1], "train_top5_accuracy": found[2], "online_loss": loss, "online_accuracy": online}
                yield Progress(self.epoch, self.step, self.scores, "logits", learning_rate=rate, last=last, batch=keep, **figures)
                if not ended:
                    self.epoch, self.done, self.sums = self.epoch + 1, 0, torch.zeros_like(self.sums)

    def _epoch(self, trained: nn.Module, observer: Resumable | None) -> Batch | None:
        """The rest of this epoch; a batch of it, as the sample has it."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate(self.epoch)
        seen: Batch | None = None
        batches = self.batches.of(self.epoch, self.plan.batch_size, self.done)
        start = time.perf_counter()
        for fed in batches:
            got = time.perf_counter()
            self.waited += got - start
            seen = seen or self.batches.seen(fed)
            with seeded(self.seeds.integer("order", "dropout", str(self.step), *([str(self.ranks.rank)] if self.ranks.rank else [])), self.device):
                self._step(trained, fed)
            self.step, self.done = self.step + 1, self.done + 1
            if self.checkpoint.due():
                self._write(observer)
            now = time.perf_counter()
            self.spent, start = self.spent + now - start, now
        if seen is None:  # nothing was left of this epoch
            seen = self.batches.seen(next(iter(self.batches.of(self.epoch, self.plan.batch_size, 0))))
        return seen

    def _step(self, trained: nn.Module, fed: Fed) -> None:
        images, targets = self.batches.prepared(fed, self.device)
        with self._autocast():
            scores, auxiliary = trained(images)
        loss = self._loss(scores, targets)
        objective = loss if auxiliary is None else loss + self.plan.auxiliary * self._loss(auxiliary, targets)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(objective * (self.ranks.size / fed.size)).backward()  # type: ignore[no-untyped-call]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        hits = scores.detach().argmax(1) == (targets if targets.ndim == 1 else targets.argmax(1))
        self.sums += self.ranks.total(torch.stack([loss.detach().double(), hits.sum().double()]))

    def _loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The sum over this process's share of the batch."""
        return functional.cross_entropy(scores.float(), targets, reduction="sum", label_smoothing=self.plan.smoothing)

    def _autocast(self) -> Any:
        kind = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[self.plan.precision]
        return torch.autocast(self.device.type, dtype=kind if kind != torch.float32 else None, enabled=kind != torch.float32)

    def _score(self, inputs: Tensor) -> Tensor:
        mode = self.model.training
        self.model.eval()
        with torch.no_grad(), self._autocast():
            scores: Tensor = self.model(inputs.to(self.device))
        self.model.train(mode)
        return scores.float()

    def _measured(self, online: float) -> tuple[float, float, float | None] | None:
        """Loss, top-1 and top-5 accuracy over the training split in evaluation mode, where this epoch is to be measured; each process does its share."""
        if math.isfinite(online) and self.epoch % self.plan.check_every and self.epoch < self.plan.epochs:
            return None
        mine = self.ranks.share(torch.arange(len(self.train)))
        share = self.train if self.ranks.size == 1 else self.train.at(mine)
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        for place, inputs in parts(share.inputs, _CHUNK.get(self.device.type, 32), self.readers):
            scores, labels = self._score(inputs), share.labels[place].to(self.device)
            losses = functional.cross_entropy(scores, labels, reduction="sum").double()
            sums += torch.stack([losses, (scores.argmax(1) == labels).sum().double(), top_five(scores, labels).double()])
        loss, accuracy, top5 = (self.ranks.total(sums) / len(self.train)).tolist()
        return loss, accuracy, top5 if self.train.classes > TOP else None

    def _ended(self, accuracy: float | None, loss: float) -> str:
        if not math.isfinite(loss):
            return "diverged"
        if accuracy is not None and self.plan.stop is not None and accuracy >= self.plan.stop:
            self.reached = self.epoch
            return "accuracy"
        return "budget" if self.epoch >= self.plan.epochs else ""

    def _conclude(self, ended: str) -> None:
        self.facts |= {"epochs": self.epoch, "steps": self.step, "ended": ended, "diverged": ended == "diverged", "epochs_to_stop": self.reached}
        self.facts |= {"censored": ended == "budget" and self.plan.stop is not None, "processes": self.ranks.size}
        self.facts |= {"parameters": sum(value.numel() for value in self.model.parameters() if value.requires_grad)}
        self.facts |= {"seconds_training": self.spent, "seconds_waiting": self.waited}

    def _resume(self, observer: Resumable | None) -> None:
        """Takes up the state of the first process's checkpoint, if it has one."""
        state = self.ranks.from_first(self.checkpoint.read() if self.ranks.rank == 0 else None)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        (self.epoch, self.done, self.step), self.sums = state["place"], state["sums"].to(self.device)
        if observer is not None and state["observer"] is not None:
            observer.restore(state["observer"])
        _log.info("going on after step %d, in epoch %d", self.step, self.epoch)

    def _write(self, observer: Resumable | None) -> None:
        if self.ranks.rank:
            return
        self.checkpoint.write(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "place": (self.epoch, self.done, self.step),
                "sums": self.sums,
                "observer": observer.state() if observer is not None else None,
            }
        )
        _log.info("checkpoint after step %d", self.step)
