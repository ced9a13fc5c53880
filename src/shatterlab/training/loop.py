"""THE training loop: what happens in a step, in an epoch, and at a checkpoint, for samples in memory and streamed ones alike."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from shatterlab.core import Batch, Examples, Observer, Optimizer, Progress, Scalar
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.core.losses import Evaluation, evaluation
from shatterlab.core.values import Resumable, ScoreWatcher
from shatterlab.training.checkpoint import Checkpoint
from shatterlab.training.device import autocast
from shatterlab.training.distributed import Ranks
from shatterlab.training.feeds import Feed
from shatterlab.training.recipe import GradientTraining
from shatterlab.training.step import Step
from shatterlab.training.stopping import Stopping
from shatterlab.training.torch_seed import random_state, restore_random_state, seeded

_log = logging.getLogger("shatterlab.training")


class Heads(nn.Module):
    """A network with all its scores: the usual ones, and the auxiliary ones where it has them and they have weight."""

    def __init__(self, network: nn.Module, auxiliary: bool) -> None:
        super().__init__()
        has_auxiliary = hasattr(network, "with_auxiliary")
        self.network, self.auxiliary, self.unused = network, auxiliary and has_auxiliary, has_auxiliary and not auxiliary

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Scores and auxiliary scores."""
        if not self.auxiliary:
            return self.network(inputs), None
        network: Any = self.network
        scores, auxiliary = network.with_auxiliary(inputs)
        return scores, auxiliary


class TrainingLoop:
    """One run of gradient descent. Its state after every step is all that a checkpoint needs; nothing in a step waits for the device.

    Args:
        recipe: the schedule.
        model: input layer and network.
        feed: makes the batches.
        stopping: decides when to end.
        ranks: this process among those that train together.
        checkpoint: where the state goes.
    """

    def __init__(self, recipe: GradientTraining, model: nn.Sequential, feed: Feed, stopping: Stopping, ranks: Ranks, checkpoint: Checkpoint) -> None:
        self.recipe, self.model, self.feed, self.stopping, self.ranks, self.checkpoint = recipe, model, feed, stopping, ranks, checkpoint
        self.device = ranks.device
        self.optimizer = build_optimizer(recipe.optimizer, model[1], recipe.decaying_parameters)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.precision == "float16")
        self.epoch, self.done, self.step = 1, 0, 0  # the epoch, how many of its batches are done, steps in all
        self.sums = self._zeros()
        self.facts: dict[str, Scalar] = {}

    def _zeros(self) -> list[Tensor]:
        """Sums of an epoch over all processes: losses and hits."""
        return list(torch.zeros(2, dtype=torch.float64, device=self.device).unbind())

    def scores(self, inputs: Tensor) -> Tensor:
        """Scores on the CPU, in evaluation mode; the model is left in the mode it was in."""
        return torch.cat([self._score(self.feed.prepare(part)).cpu() for part in inputs.split(self.feed.chunk)])

    def epochs(self, observe: Observer | None) -> Iterator[Progress]:
        """Trains, and reports after each epoch; the last report says that it is the last."""
        observer = observe if isinstance(observe, Resumable) else None
        self._resume(observer)
        heads = Heads(self.model[1], self.recipe.auxiliary_weight > 0)
        with self.ranks.training(heads, unused=heads.unused) as trained:
            reason = ""
            while not reason:
                steps = self._train_epoch(trained, observer)
                online_loss, online_accuracy = (total.item() / self.feed.count for total in self.sums)
                evaluations = self._evaluate(online_loss, observe if isinstance(observe, ScoreWatcher) else None)
                reason = self.stopping.reason(self.epoch, self.step, online_loss, evaluations, self.model)
                rate = self.recipe.learning_rate(self.epoch, self.step - self.done)
                if reason:
                    self._write(observer)  # before the best weights come back: a run that resumes here ends again as this one does
                    self._conclude(reason)
                    self.facts |= self.feed.facts(online_loss, online_accuracy)
                    if reason != "diverged" and self.stopping.restore_best(self.model):
                        evaluations = self._evaluate(online_loss)
                figures = _figures(self.feed.parts, evaluations)
                batch = self._watched(steps) if self.epoch == 1 or reason else None
                yield Progress(
                    self.epoch, self.step, self.scores, self.recipe.output, online_loss=online_loss, online_accuracy=online_accuracy,
                    learning_rate=rate, last=bool(reason), batch=batch, **figures,
                )  # fmt: skip
                if not reason:
                    self.epoch, self.done, self.sums = self.epoch + 1, 0, self._zeros()

    def _train_epoch(self, trained: nn.Module, observer: Resumable | None) -> list[Step]:
        """The rest of this epoch; its first and last step and one at random, as they were fed."""
        self.model.train()
        last = self.feed.batches - 1
        watched = dict.fromkeys((0, int(self.feed.seeds.rng("order", "watched step", str(self.epoch)).integers(last + 1)), last))
        fed: dict[int, Step] = {}
        for number, step in enumerate(self.feed.steps(self.epoch, self.done), self.done):
            if number in watched:
                inputs = step.inputs.clone()  # before a network works on them in place
                fed[number] = replace(self._step(trained, step), inputs=inputs)
            else:
                self._step(trained, step)
            if self.checkpoint.due():
                self._write(observer)
        # a resumed run makes the steps again that it did before
        return [fed[number] if number in fed else next(iter(self.feed.steps(self.epoch, number))) for number in watched]

    def _watched(self, steps: list[Step]) -> Batch:
        """The steps for the observer, in one batch."""
        batches = [self.feed.observed(step) for step in steps]
        return Batch(*(torch.cat(parts) for parts in zip(*((each.indices, each.inputs, each.labels, each.targets) for each in batches), strict=True)))

    def _step(self, trained: nn.Module, step: Step) -> Step:
        """One step of gradient descent; the step with the targets that its loss was computed with, its scores and its loss."""
        targets = step.targets
        rate = self.recipe.learning_rate(self.epoch, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        seed = self.feed.step_seed(self.step)
        with contextlib.nullcontext() if seed is None else seeded(seed, self.device):
            with autocast(self.recipe.precision, self.device):
                scores, auxiliary = trained(step.inputs)
            loss = self.feed.loss(scores.float(), targets)
            objective = loss if auxiliary is None else loss + self.recipe.auxiliary_weight * self.feed.loss(auxiliary.float(), targets)
            if step.share != 1:
                objective = objective * step.share
            self.optimizer.zero_grad(set_to_none=True)
            self.scaler.scale(objective).backward()  # type: ignore[no-untyped-call]
            self.scaler.step(self.optimizer)
            self.scaler.update()
        value, answers = loss.detach(), scores.detach()
        sums = value * step.weight, (answers.argmax(1) == step.labels).sum()
        if self.ranks.size > 1:
            sums = tuple(self.ranks.total(torch.stack(sums).double()))
        self.sums[0] += sums[0]
        self.sums[1] += sums[1]
        self.step, self.done = self.step + 1, self.done + 1
        return replace(step, targets=targets, scores=answers, loss=value)

    def _score(self, prepared: Tensor) -> Tensor:
        mode = self.model.training
        self.model.eval()
        with torch.no_grad(), autocast(self.recipe.precision, self.device):
            scores: Tensor = self.model[1](prepared.clone())  # its own, since a network may work in place
        self.model.train(mode)
        return scores.float()

    def _evaluate(self, online_loss: float, watcher: ScoreWatcher | None = None) -> list[Evaluation]:
        """Loss and accuracy of each part of the sample in evaluation mode, where this epoch is measured; each process does its share."""
        if not self.recipe.is_measured(self.epoch) and math.isfinite(online_loss):
            return []
        return [
            evaluation(
                self._score_part, part, self.recipe.output, batch=self.feed.batch, threads=self.feed.readers, total=self.ranks.total,
                each=partial(self._hand_on, watcher, places),
            )
            for part, places in zip(self.feed.parts, self.feed.places, strict=True)
        ]  # fmt: skip

    def _hand_on(self, watcher: ScoreWatcher | None, places: Tensor, chunk: slice, scores: Tensor) -> None:
        if watcher is not None:
            watcher.scored(self.epoch, places[chunk], scores, self.recipe.output)

    def _score_part(self, inputs: Tensor) -> Tensor:
        return torch.cat([self._score(self.feed.ready(part)) for part in inputs.split(self.feed.chunk)])

    def _conclude(self, reason: str) -> None:
        self.facts |= {"epochs": self.epoch, "steps": self.step, "ended": reason, "diverged": reason == "diverged"}
        self.facts |= {"parameters": sum(value.numel() for value in self.model.parameters() if value.requires_grad)}
        self.facts |= self.stopping.facts(reason, self.epoch, self.step)

    def _resume(self, observer: Resumable | None) -> None:
        """Continues from the first process's checkpoint, if it has one."""
        state = self.ranks.from_first(self.checkpoint.read() if self.ranks.rank == 0 else None)
        if state is None:
            return
        epoch, done, step = state["place"]
        if not (1 <= epoch <= self.recipe.epochs and 0 <= done <= self.feed.count and done <= step <= epoch * self.feed.count):
            required = f"a checkpoint within the {self.recipe.epochs} epochs of this run is required"
            raise DataError(f"{self.recipe.kind}: {required}, got epoch {epoch}, batch {done}, step {step} at {self.checkpoint.file}. Delete it.")
        self.epoch, self.done, self.step, self.sums = epoch, done, step, [total.to(self.device) for total in state["sums"]]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.feed.restore(state["feed"])
        self.stopping.restore(state["stopping"])
        restore_random_state(state["random"], self.device)
        if observer is not None and state["observer"] is not None:
            observer.restore(state["observer"])
        _log.info("resumed after step %d, in epoch %d", self.step, self.epoch)

    def _write(self, observer: Resumable | None) -> None:
        if self.ranks.rank or self.checkpoint.file is None:
            return
        self.checkpoint.write(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "place": (self.epoch, self.done, self.step),
                "sums": self.sums,
                "feed": self.feed.state(),
                "stopping": self.stopping.state(),
                "random": random_state(self.device),
                "observer": observer.state() if observer is not None else None,
            }
        )
        _log.info("checkpoint after step %d", self.step)


def build_optimizer(optimizer: Optimizer, network: nn.Module, patterns: tuple[str, ...] = ()) -> torch.optim.Optimizer:
    """The torch optimizer over all trainable parameters, in which only those whose names match a pattern decay.

    Args:
        optimizer: the rule, with its weight decay.
        network: names the parameters.
        patterns: shell patterns of names ("full*.weight"); none: every parameter decays.

    Raises:
        InvalidPart: a pattern matches no parameter, or the torch optimizer has no weight decay.
    """
    named = {name: value for name, value in network.named_parameters() if value.requires_grad}
    if not patterns:
        return optimizer.build(list(named.values()), fused=True)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in named):
            raise InvalidPart(f"Training: weight_decay_on names parameters of the network, got {pattern!r}, which matches none. It has {', '.join(named)}.")
    decaying = [name for name in named if any(fnmatchcase(name, pattern) for pattern in patterns)]
    built = optimizer.build([named[name] for name in decaying], fused=True)
    if not all(group.get("weight_decay") for group in built.param_groups):
        raise InvalidPart(f"Training: an optimizer with weight_decay > 0 in its groups is required for weight_decay_on, got {optimizer.kind}. Use SGD, say.")
    others = [value for name, value in named.items() if name not in decaying]
    if others:
        built.add_param_group({"params": others, "weight_decay": 0.0})
    return built


def _figures(parts: list[Examples], evaluations: list[Evaluation]) -> dict[str, float | None]:
    """The figures of a report: those of the whole sample from its parts', and those of the part that is held out."""
    if not evaluations:
        return {}
    if len(parts) == 1:
        [whole] = evaluations
        return {"train_loss": whole.loss, "train_accuracy": whole.accuracy, "train_top5_accuracy": whole.top5}
    sizes, n = [len(part) for part in parts], sum(map(len, parts))
    loss = sum(size * each.loss for size, each in zip(sizes, evaluations, strict=True)) / n
    accuracy = sum(size * each.accuracy for size, each in zip(sizes, evaluations, strict=True)) / n
    return {"train_loss": loss, "train_accuracy": accuracy, "validation_loss": evaluations[1].loss, "validation_accuracy": evaluations[1].accuracy}
