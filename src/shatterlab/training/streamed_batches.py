"""Batches of a sample, read ahead while the network works on the ones before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Augmentation, Batch, Examples, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.core.lazy_inputs import Streamed, Windowed, ahead
from shatterlab.training.distributed import Ranks

_Numbers = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Fed:
    """This process's share of a batch, on its way to the device.

    Args:
        positions: in the training split.
        size: of the whole batch.
        inputs: in 8 bits, or float32 in [0, 1].
        labels: of these positions.
        drawn: what each augmentation drew for them.
        cut: the first augmentation's windows were cut while the photos were decoded.
    """

    positions: Tensor
    size: int
    inputs: Tensor
    labels: Tensor
    drawn: tuple[Mapping[str, Tensor], ...]
    cut: bool


class Batches:
    """The batches of every epoch, each a function of the seeds and its number alone.

    Args:
        augmentation: random changes, in this order.
        train: the sample.
        seeds: the order stream decides.
        ranks: which share is read here.
        readers: threads that read ahead.

    Raises:
        InvalidPart: an augmentation mixes examples, and several processes train.
    """

    def __init__(self, augmentation: Sequence[Augmentation], train: Examples, seeds: Seeds, ranks: Ranks, readers: int) -> None:
        self.augmentation, self.train, self.seeds, self.ranks, self.readers = tuple(augmentation), train, seeds, ranks, readers
        mixing = [each.kind for each in self.augmentation if each.mixes]
        if mixing and ranks.size > 1:
            raise InvalidPart(f"StreamedTraining: a single process is required for {mixing[0]}, which mixes the batch, got {ranks.size}. Leave it out.")

    def of(self, epoch: int, size: int, start: int) -> Iterator[Fed]:
        """The batches of an epoch, from number `start` (0, 1, ...) on."""
        order = torch.from_numpy(self.seeds.rng("order", f"epoch {epoch}").permutation(len(self.train)))
        drawn = self._drawn(epoch)
        wanted = split(order, size)[start:]
        if isinstance(self.train.inputs, Streamed):
            yield from ahead(lambda positions: self._fed(positions, drawn), wanted, self.readers)
        else:
            yield from (self._fed(positions, drawn) for positions in wanted)

    def prepared(self, fed: Fed, device: torch.device) -> tuple[Tensor, Tensor]:
        """The images as the model takes them, in [0, 1], and the targets: labels, or distributions where an augmentation mixes."""
        images = _floats(fed.inputs.to(device, non_blocking=True))
        targets = fed.labels.to(device, non_blocking=True)
        if any(each.mixes for each in self.augmentation):
            targets = functional.one_hot(targets, self.train.classes).float()
        for place, (each, numbers) in enumerate(zip(self.augmentation, fed.drawn, strict=True)):
            here = {name: value.to(device, non_blocking=True) for name, value in numbers.items()}
            if not (fed.cut and place == 0):
                images = each.images(images, here)
            targets = each.targets(targets, here) if each.mixes else targets
        return images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images, targets

    def seen(self, fed: Fed) -> Batch:
        """The batch for the observer: examples as the sample has them; not a number where the network was fed something else before augmentation."""
        given = self.train.inputs[fed.positions]
        same = fed.cut or torch.equal(_floats(fed.inputs), given)
        return Batch(fed.positions, given if same else torch.full_like(given, torch.nan), fed.labels)

    def _drawn(self, epoch: int) -> tuple[_Numbers, ...]:
        """The numbers of an epoch, for the whole sample."""
        shape, made = self.train.shape, []
        for place, each in enumerate(self.augmentation):
            numbers = each.draw(len(self.train), shape, self.seeds.rng("order", "augmentation", str(epoch), f"{place} {each.kind}"))
            one = {name: torch.from_numpy(np.asarray(value[:1])) for name, value in numbers.items()}
            shape = tuple(each.images(torch.zeros(1, *shape), one).shape[1:])
            made.append(numbers)
        return tuple(made)

    def _fed(self, batch: Tensor, drawn: Sequence[_Numbers]) -> Fed:
        """Runs in the readers' threads."""
        positions = self.ranks.share(batch)
        some = positions.numpy()
        mine = [{name: np.asarray(value[some]) for name, value in numbers.items()} for numbers in drawn]
        inputs, cut = self._read(positions, mine)
        if self.ranks.device.type == "cuda":
            inputs = inputs.pin_memory()
        tensors = tuple({name: torch.from_numpy(value) for name, value in numbers.items()} for numbers in mine)
        return Fed(positions, len(batch), inputs, self.train.labels[positions], tensors, cut)

    def _read(self, positions: Tensor, drawn: Sequence[_Numbers]) -> tuple[Tensor, bool]:
        source: Any = self.train.inputs
        if not isinstance(source, Streamed):
            return source[positions], False
        first = self.augmentation[0] if self.augmentation else None
        windows = first.boxes(drawn[0]) if isinstance(first, Windowed) else None
        codes = source.codes(positions.numpy(), windows)
        return (source.read(positions.numpy()), False) if codes is None else (codes, windows is not None)


def split(order: Tensor, size: int) -> list[Tensor]:
    """The order in batches; a last one of less than half the size joins the one before, whatever the number of processes."""
    batches = list(order.split(size))
    if len(batches) > 1 and 2 * len(batches[-1]) < size:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _floats(inputs: Tensor) -> Tensor:
    return inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs
