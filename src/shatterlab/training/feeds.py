"""What a step of training is fed: batches of a sample that is held in memory, or read ahead from a stream; plain or augmented."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from shatterlab.core import Augmentation, Batch, Drawn, Examples, Scalar, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.core.lazy_inputs import Streamed, Windowed, ahead
from shatterlab.core.losses import losses, soft_losses
from shatterlab.training.distributed import Ranks
from shatterlab.training.step import Read, Step
from shatterlab.training.stopping import HeldOut

_LEAST = 2  # examples in the last batch of a sample in memory
_ROUNDING = 1e-4  # of whitened values, which are of order 1, computed twice in float32


class Feed(ABC):
    """Makes the batches of an epoch, each a function of the seeds alone.

    Attributes:
        count: examples an epoch trains on, over all processes.
        batches: steps of an epoch.
        parts: of the sample that are evaluated: what is trained on, then what is held out.
        places: where the examples of each part are in the sample.
        chunk: examples scored at once.
        batch: examples evaluated at once.
        readers: threads that read ahead.
        output: of the network, "logits" or "values".
        smoothed_later: label smoothing that the loss does, not the targets.
    """

    count: int
    batches: int
    parts: list[Examples]
    places: list[Tensor]
    chunk: int
    batch: int = 2048
    readers: int = 1
    output: Literal["logits", "values"] = "logits"
    smoothed_later: float = 0.0

    def __init__(self, model: nn.Sequential, augmentation: Sequence[Augmentation], train: Examples, seeds: Seeds, device: torch.device) -> None:
        self.model, self.augmentation, self.train, self.seeds, self.device = model, tuple(augmentation), train, seeds, device
        self.mixes = any(each.mixes for each in self.augmentation)

    @abstractmethod
    def steps(self, epoch: int, start: int) -> Iterator[Step]:
        """The batches of epoch 1, 2, ... from number `start` (0, 1, ...) on."""

    @abstractmethod
    def observed(self, step: Step) -> Batch:
        """The batch for the observer, in the epoch of the step: examples as the sample has them; not a number where the network was fed something else.

        Targets are those of the step, or -1 where its loss is not that of its scores and targets. Where examples are mixed they are labels: the sample's, if
        mixing these gives the targets of the step, else -1.
        """

    @abstractmethod
    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, as a number."""

    def prepare(self, inputs: Tensor) -> Tensor:
        """Inputs of the sample as the network takes them."""
        with torch.no_grad():
            prepared: Tensor = self.model[0](inputs.to(self.device))
        return prepared

    def ready(self, inputs: Tensor) -> Tensor:
        """Inputs of `parts` as the network takes them."""
        return self.prepare(inputs)

    def step_seed(self, step: int) -> int | None:
        """The seed of the dropout of step 0, 1, ...; None: the stream of the whole run goes on."""
        return None

    def facts(self, online_loss: float, online_accuracy: float) -> dict[str, Scalar]:
        """Scalars for the row."""
        return {}

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` gave."""
        assert not state, f"{type(self).__name__} keeps no state"

    def _compared(self, step: Step, again: Step, original: Tensor, true: Tensor, labels: Tensor) -> Batch:
        """What the observer is told of a step, which the sample's inputs and labels (original, true) make `again`."""
        same = torch.allclose(again.inputs, step.inputs, atol=_ROUNDING, equal_nan=True)
        targets = step.targets
        if self.mixes and torch.allclose(again.targets, targets, atol=_ROUNDING):
            targets = true
        if (self.mixes and targets is not true) or not step.loss_is_of_targets(self.output, self.smoothed_later):
            targets = torch.full_like(true, -1)
        return Batch(step.positions, original if same else torch.full_like(original, torch.nan), labels, targets)

    def _targets(self, labels: Tensor, drawn: Sequence[Drawn]) -> Tensor:
        """Labels, or distributions over the classes where an augmentation mixes examples."""
        if not self.mixes:
            return labels
        targets = functional.one_hot(labels, self.train.classes).float()
        for augmentation, numbers in zip(self.augmentation, drawn, strict=True):
            targets = augmentation.targets(targets, numbers) if augmentation.mixes else targets
        return targets


def draw(augmentation: Sequence[Augmentation], n: int, shape: tuple[int, ...], seeds: Seeds, epoch: int) -> list[Mapping[str, np.ndarray[Any, Any]]]:
    """The numbers of every example for one epoch, for each augmentation.

    They are a function of the seeds and the epoch, whatever was drawn before, and those of an augmentation do not depend on what stands
    beside it: each has its own stream, and each example its own entry.
    """
    drawn: list[Mapping[str, np.ndarray[Any, Any]]] = []
    for place, each in enumerate(augmentation):
        numbers = each.draw(n, shape, seeds.rng("order", "augmentation", str(epoch), f"{place} {each.kind}"))
        one = {name: torch.from_numpy(np.asarray(value[:1])) for name, value in numbers.items()}
        shape = tuple(each.images(torch.zeros(1, *shape), one).shape[1:])
        drawn.append(numbers)
    return drawn


class MemoryFeed(Feed):
    """Batches of a sample that is held on the device.

    What the first layer makes of the sample never changes, so it is computed once; a step gathers from it, unless images are augmented.

    Args:
        model: its first layer prepares inputs.
        augmentation: random changes, in this order.
        train: the sample.
        seeds: the order stream decides.
        device: where the steps run.
        batch_size: examples a step; None for all.
        output: "logits" or "values", which decides the loss.
        smoothing: s, in [0, 1): targets become (1 - s) target + s / k.
        held_out: examples that are not trained on.

    Source:
        Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision", section 7 (label smoothing).
    """

    def __init__(
        self, model: nn.Sequential, augmentation: Sequence[Augmentation], train: Examples, seeds: Seeds, device: torch.device, *,
        batch_size: int | None = 128, output: Literal["logits", "values"] = "logits", smoothing: float = 0.0, held_out: HeldOut | None = None,
    ) -> None:  # fmt: skip
        super().__init__(model, augmentation, train, seeds, device)
        self.output, self.smoothing = output, smoothing
        self.chunk = 128 if device.type == "cpu" else 2048  # more than 128 fall out of a processor's cache
        self.prepared, self.labels = self._prepare_all(), train.labels.to(device)
        sample = Examples(self.prepared, self.labels, train.classes)
        self.fitted = None if held_out is None else held_out.fitted
        self.places = [torch.arange(len(train))] if held_out is None else [held_out.fitted, held_out.held]
        self.parts = [sample] if held_out is None else [sample.at(positions.to(device)) for positions in self.places]
        self.count = len(self.parts[0])
        self.batch_size = batch_size or self.count
        self.batches = len(split(torch.empty(self.count), self.batch_size, least=_LEAST))
        self.images = train.inputs.to(device) if self.augmentation else None
        self.drawn: list[Drawn] = []
        self._losses = soft_losses if self.mixes or smoothing else losses
        self._generator = torch.Generator().manual_seed(seeds.integer("order"))
        self._before, self._epoch, self._order = self._generator.get_state(), 0, torch.empty(0, dtype=torch.long)

    def steps(self, epoch: int, start: int) -> Iterator[Step]:
        if epoch != self._epoch:
            self._begin(epoch)
        for positions in split(self._order, self.batch_size, least=_LEAST)[start:]:
            labels, share = self.labels[positions], self._share(positions)
            inputs = self.prepared[positions] if self.images is None else self._varied(self.images[positions], share)
            yield Step(positions, inputs, labels, self._smoothed(self._targets(labels, share)), weight=len(positions))

    def observed(self, step: Step) -> Batch:
        place, share = step.positions.cpu(), self._share(step.positions)
        original, labels = self.train.inputs[place], self.train.labels[place].to(self.device)
        inputs = self.prepare(original) if self.images is None else self._varied(original.to(self.device), share)
        again = replace(step, inputs=inputs, targets=self._smoothed(self._targets(labels, share)))
        return self._compared(step, again, original, labels, step.labels)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The mean over the batch."""
        return self._losses(scores, targets, self.output).mean()

    def ready(self, inputs: Tensor) -> Tensor:
        return inputs

    def facts(self, online_loss: float, online_accuracy: float) -> dict[str, Scalar]:
        return {"online_loss": online_loss, "online_accuracy": online_accuracy}

    def state(self) -> dict[str, Any]:
        return {"generator": self._before}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._generator.set_state(state["generator"])
        self._epoch = 0

    def _begin(self, epoch: int) -> None:
        """The order of this epoch, and the numbers of its augmentations: drawn on the CPU, and moved once."""
        self._before, self._epoch = self._generator.get_state(), epoch
        order = torch.randperm(self.count, generator=self._generator)
        self._order = (order if self.fitted is None else self.fitted[order]).to(self.device)
        drawn = draw(self.augmentation, len(self.train), self.train.shape, self.seeds, epoch)
        self.drawn = [{name: torch.from_numpy(value).to(self.device) for name, value in numbers.items()} for numbers in drawn]

    def _prepare_all(self) -> Tensor:
        if isinstance(self.model[0], nn.Identity):
            return self.train.inputs.to(self.device)
        first = self.prepare(self.train.inputs[:1])
        prepared = first.new_empty((len(self.train), *first.shape[1:]))
        if first.ndim == 4 and first.is_contiguous(memory_format=torch.channels_last):
            prepared = prepared.contiguous(memory_format=torch.channels_last)
        for start in range(0, len(self.train), 2048):
            prepared[start : start + 2048] = self.prepare(self.train.inputs[start : start + 2048])
        return prepared

    def _share(self, positions: Tensor) -> list[Drawn]:
        return [{name: value[positions] for name, value in numbers.items()} for numbers in self.drawn]

    def _varied(self, images: Tensor, drawn: Sequence[Drawn]) -> Tensor:
        for augmentation, numbers in zip(self.augmentation, drawn, strict=True):
            images = augmentation.images(images, numbers)
        return self.prepare(images)

    def _smoothed(self, targets: Tensor) -> Tensor:
        if not self.smoothing:
            return targets
        distribution = targets if targets.is_floating_point() else functional.one_hot(targets, self.train.classes).float()
        return distribution * (1 - self.smoothing) + self.smoothing / self.train.classes


class StreamFeed(Feed):
    """Batches that are read ahead while the network works on the ones before; each process reads its share.

    Args:
        model: its first layer prepares inputs.
        augmentation: random changes, in this order.
        train: the sample.
        seeds: the order stream decides.
        ranks: which share is read here.
        batch_size: examples a step over all processes.
        smoothing: share of each label spread evenly over the classes, in [0, 1).
        readers: threads that read ahead.

    Raises:
        InvalidPart: an augmentation mixes examples and several processes train, or there are too many processes for a batch.
    """

    def __init__(
        self, model: nn.Sequential, augmentation: Sequence[Augmentation], train: Examples, seeds: Seeds, ranks: Ranks, *,
        batch_size: int = 32, smoothing: float = 0.0, readers: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(model, augmentation, train, seeds, ranks.device)
        self.ranks, self.batch_size, self.smoothed_later, self.readers = ranks, batch_size, smoothing, readers
        self.count, self.chunk = len(train), 256 if ranks.device.type == "cuda" else 32
        self.batch, self.least = self.chunk, (batch_size + 1) // 2
        self.batches = len(split(torch.empty(self.count), batch_size, self.least))
        self.places = [ranks.share(torch.arange(len(train)))]
        self.parts = [train if ranks.size == 1 else train.at(self.places[0])]
        self.seconds = self.waited = 0.0
        mixing = [each.kind for each in self.augmentation if each.mixes]
        if mixing and ranks.size > 1:
            raise InvalidPart(f"StreamedTraining: a single process is required for {mixing[0]}, which mixes the batch, got {ranks.size}. Leave it out.")
        if ranks.size > min(batch_size // 2, len(train)):
            raise InvalidPart(f"StreamedTraining: at most {batch_size // 2} processes are required for this batch, got {ranks.size}. Start fewer.")

    def steps(self, epoch: int, start: int) -> Iterator[Step]:
        begin = time.perf_counter()
        for read in self.read(epoch, start):
            self.waited += time.perf_counter() - begin
            yield self.on_device(read)
            now = time.perf_counter()
            self.seconds, begin = self.seconds + now - begin, now

    def read(self, epoch: int, start: int) -> Iterator[Read]:
        """The batches of an epoch as they are read, from number `start` on."""
        order = torch.from_numpy(self.seeds.rng("order", f"epoch {epoch}").permutation(len(self.train)))
        drawn = draw(self.augmentation, len(self.train), self.train.shape, self.seeds, epoch)
        batches = split(order, self.batch_size, self.least)[start:]
        if isinstance(self.train.inputs, Streamed):
            yield from ahead(lambda positions: self._read(positions, drawn), batches, self.readers)
        else:
            yield from (self._read(positions, drawn) for positions in batches)

    def on_device(self, read: Read) -> Step:
        """The step that this batch makes: images augmented and prepared."""
        images = _floats(read.inputs.to(self.device, non_blocking=True))
        labels = read.labels.to(self.device, non_blocking=True)
        drawn = [{name: value.to(self.device, non_blocking=True) for name, value in numbers.items()} for numbers in read.drawn]
        for place, (augmentation, numbers) in enumerate(zip(self.augmentation, drawn, strict=True)):
            if not (read.cut and place == 0):
                images = augmentation.images(images, numbers)
        targets = self._targets(labels, drawn)
        hits = targets if targets.ndim == 1 else targets.argmax(1)
        return Step(read.positions, self.prepare(images), hits, targets, share=self.ranks.size / read.size, read=read)

    def observed(self, step: Step) -> Batch:
        assert step.read is not None
        original, labels = self.train.inputs[step.positions], self.train.labels[step.positions]
        inputs = step.read.inputs if step.read.cut else original  # windows of the photos are not in the sample
        return self._compared(step, self.on_device(replace(step.read, inputs=inputs, labels=labels)), original, labels.to(self.device), step.read.labels)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The sum over this process's share of the batch."""
        return functional.cross_entropy(scores, targets, reduction="sum", label_smoothing=self.smoothed_later)

    def step_seed(self, step: int) -> int | None:
        return self.seeds.integer("order", "dropout", str(step), *([str(self.ranks.rank)] if self.ranks.rank else []))

    def facts(self, online_loss: float, online_accuracy: float) -> dict[str, Scalar]:
        return {"processes": self.ranks.size, "seconds_training": self.seconds, "seconds_waiting": self.waited}

    def _read(self, batch: Tensor, drawn: Sequence[Mapping[str, np.ndarray[Any, Any]]]) -> Read:
        """Runs in the readers' threads."""
        positions = self.ranks.share(batch)
        place = positions.numpy()
        numbers = [{name: np.asarray(value[place]) for name, value in each.items()} for each in drawn]
        inputs, cut = self._decoded(positions, numbers)
        if self.device.type == "cuda":
            inputs = inputs.pin_memory()
        tensors = tuple({name: torch.from_numpy(value) for name, value in each.items()} for each in numbers)
        return Read(positions, len(batch), inputs, self.train.labels[positions], tensors, cut)

    def _decoded(self, positions: Tensor, drawn: Sequence[Mapping[str, np.ndarray[Any, Any]]]) -> tuple[Tensor, bool]:
        source: Any = self.train.inputs
        if not isinstance(source, Streamed):
            return source[positions], False
        first = self.augmentation[0] if self.augmentation else None
        windows = first.boxes(drawn[0]) if isinstance(first, Windowed) else None
        codes = source.codes(positions.numpy(), windows)
        return (source.read(positions.numpy()), False) if codes is None else (codes, windows is not None)


def split(order: Tensor, size: int, least: int) -> list[Tensor]:
    """The order in batches; a last one of fewer than `least` examples joins the one before (batch norm has no variance of one example)."""
    batches = list(order.split(size))
    if len(batches) > 1 and size > 1 and len(batches[-1]) < least:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def require_same_shape(owner: str, augmentation: Sequence[Augmentation], sample: Examples, prepare: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
    """Tries the augmentations on some examples: what the network is fed must have the shape that it has at evaluation.

    Raises:
        InvalidPart: the sample holds no images, or the shape is another.
    """
    if len(sample.shape) != 3:
        raise InvalidPart(f"{owner}: images are required for augmentation, got inputs of shape {sample.shape}. Leave it out.")
    images = sample.inputs
    for each, numbers in zip(augmentation, draw(augmentation, len(sample), sample.shape, Seeds(), 1), strict=True):
        images = each.images(images, {name: torch.from_numpy(np.asarray(value)) for name, value in numbers.items()})
    if tuple(prepare(images).shape[1:]) != shape:
        required = f"augmented images of the shape that the network meets at evaluation, {shape}, are required"
        raise InvalidPart(f"{owner}: {required}, got {tuple(images.shape[1:])}. Set crop to the side of the augmented images.")


def _floats(inputs: Tensor) -> Tensor:
    return inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs
