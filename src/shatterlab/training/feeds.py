"""What a step of training is fed: examples gathered from the prepared sample, or varied batch by batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Augmentation, Drawn, Examples, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.core.losses import losses, soft_losses

Step = tuple[Tensor, Tensor, Tensor, Tensor]  # positions in the sample, inputs as the network meets them, labels, targets of the loss
Prepare = Callable[[Tensor], Tensor]


class Feed(ABC):
    """Makes the batches of an epoch; `losses` is what their targets are measured by."""

    losses: Callable[[Tensor, Tensor, str], Tensor]

    @abstractmethod
    def steps(self, epoch: int, batches: Iterable[Tensor]) -> Iterator[Step]:
        """The batches at these positions, one after the other."""

    @abstractmethod
    def again(self, given: Tensor, indices: Tensor) -> Tensor:
        """What the network is to be fed in this epoch where the sample holds these inputs at these positions."""


class Plain(Feed):
    """The sample as it was prepared before the first step; a step gathers from it and does nothing else.

    Args:
        prepared: inputs as the network meets them.
        labels: theirs.
        prepare: what made the one from the inputs of the sample.
    """

    def __init__(self, prepared: Tensor, labels: Tensor, prepare: Prepare) -> None:
        self.prepared, self.labels, self.prepare = prepared, labels, prepare
        self.losses = losses

    def steps(self, epoch: int, batches: Iterable[Tensor]) -> Iterator[Step]:
        """The batches at these positions; targets are the labels."""
        for indices in batches:
            labels = self.labels[indices]
            yield indices, self.prepared[indices], labels, labels

    def again(self, given: Tensor, indices: Tensor) -> Tensor:
        """These inputs prepared anew."""
        return self.prepare(given)


class Augmented(Feed):
    """The images of the sample, augmented anew in every epoch, and then prepared, batch by batch.

    The numbers of epoch e are a function of the seeds and e alone, whatever was drawn before, and those of an augmentation do not
    depend on what stands beside it: each has its own stream, and each example its own entry.

    Args:
        augmentations: applied in this order.
        train: the sample.
        prepare: what the network's input layer makes of images.
        seeds: whence the streams come.
        device: where the steps run.
    """

    def __init__(self, augmentations: Sequence[Augmentation], train: Examples, prepare: Prepare, seeds: Seeds, device: torch.device) -> None:
        self.augmentations, self.train, self.prepare, self.seeds, self.device = augmentations, train, prepare, seeds, device
        self.images, self.labels = train.inputs.to(device), train.labels.to(device)
        self.mixing = any(each.mixes for each in augmentations)
        self.losses = soft_losses if self.mixing else losses
        self.drawn: list[Drawn] = []

    def steps(self, epoch: int, batches: Iterable[Tensor]) -> Iterator[Step]:
        """The batches at these positions; targets are soft where an augmentation mixes examples."""
        self.drawn = self.draw(epoch)
        for indices in batches:
            labels, share = self.labels[indices], self._share(indices)
            yield indices, self._varied(self.images[indices], share), labels, self._targets(labels, share)

    def again(self, given: Tensor, indices: Tensor) -> Tensor:
        """These inputs augmented and prepared anew, with this epoch's numbers."""
        return self._varied(given.to(self.device), self._share(indices))

    def draw(self, epoch: int) -> list[Drawn]:
        """The numbers of every example for one epoch: drawn on the CPU, and moved once."""
        drawn: list[Drawn] = []
        few = self.images[:2]
        for place, each in enumerate(self.augmentations):
            rng = self.seeds.rng("order", "augmentation", str(epoch), f"{place} {each.kind}")
            values = {name: torch.from_numpy(value).to(self.device) for name, value in each.draw(len(self.train), tuple(few.shape[1:]), rng).items()}
            few = each.images(few, {name: value[: len(few)] for name, value in values.items()})
            drawn.append(values)
        return drawn

    def _share(self, indices: Tensor) -> list[Drawn]:
        return [{name: value[indices] for name, value in each.items()} for each in self.drawn]

    def _varied(self, images: Tensor, share: Sequence[Drawn]) -> Tensor:
        for augmentation, drawn in zip(self.augmentations, share, strict=True):
            images = augmentation.images(images, drawn)
        return self.prepare(images)

    def _targets(self, labels: Tensor, share: Sequence[Drawn]) -> Tensor:
        if not self.mixing:
            return labels
        targets = functional.one_hot(labels, self.train.classes).float()
        for augmentation, drawn in zip(self.augmentations, share, strict=True):
            targets = augmentation.targets(targets, drawn)
        return targets


class Smoothed(Feed):
    """Another feed, its targets moved towards the uniform distribution: (1 - s) target + s / k.

    Args:
        feed: makes the batches.
        amount: s, in (0, 1).
        classes: k.

    Source:
        Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision", section 7.
    """

    def __init__(self, feed: Feed, amount: float, classes: int) -> None:
        self.feed, self.amount, self.classes = feed, amount, classes
        self.losses = soft_losses

    def steps(self, epoch: int, batches: Iterable[Tensor]) -> Iterator[Step]:
        """The batches of the other feed with smoothed targets."""
        for indices, inputs, labels, targets in self.feed.steps(epoch, batches):
            hard = targets if targets.is_floating_point() else functional.one_hot(targets, self.classes).float()
            yield indices, inputs, labels, hard * (1 - self.amount) + self.amount / self.classes

    def again(self, given: Tensor, indices: Tensor) -> Tensor:
        """As the other feed says."""
        return self.feed.again(given, indices)


def require_same_shape(owner: str, augmentations: Sequence[Augmentation], few: Examples, prepare: Prepare, shape: tuple[int, ...]) -> None:
    """Tries the augmentations on a few examples: what the network is fed must have the shape that it has at evaluation.

    Raises:
        InvalidPart: the sample holds no images, or the shape is another.
    """
    if len(few.shape) != 3:
        raise InvalidPart(f"{owner}: images are required for augmentation, got inputs of shape {few.shape}. Leave it out.")
    feed = Augmented(augmentations, few, lambda images: images, Seeds(), few.inputs.device)
    feed.drawn = feed.draw(1)
    images = feed.again(few.inputs, torch.arange(len(few)))
    if tuple(prepare(images).shape[1:]) != shape:
        required = f"augmented images of the shape that the network meets at evaluation, {shape}, are required"
        raise InvalidPart(f"{owner}: {required}, got {tuple(images.shape[1:])}. Set crop to the side of the augmented images.")
