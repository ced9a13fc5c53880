"""The kind of part that varies training images from epoch to epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from shatterlab.core.part import Part

if TYPE_CHECKING:
    from torch import Tensor

Drawn = Mapping[str, "Tensor"]


class Augmentation(Part, ABC):
    """A random change of training images that keeps what they show; drawn anew in every epoch, never at evaluation.

    A subclass writes `draw` and `images`. Numbers are drawn on the CPU for the whole sample, once an epoch; a step
    takes those of its examples and works on the whole batch, on the device, without a Python step an image.
    One that makes an example of several (mixup) sets `mixes` and writes `targets` too.
    """

    mixes: ClassVar[bool] = False

    @abstractmethod
    def draw(self, n: int, shape: tuple[int, ...], rng: np.random.Generator) -> Mapping[str, np.ndarray[Any, Any]]:
        """The random numbers of one epoch by name, each array with one entry (or row) for each of n examples.

        Args:
            n: size of the sample.
            shape: of one image as `images` will be given it: channels, height, width.
            rng: a stream of this augmentation's and this epoch's own.

        Raises:
            InvalidPart: images of this shape cannot be augmented so.
        """

    @abstractmethod
    def images(self, images: Tensor, drawn: Drawn) -> Tensor:
        """The augmented images of a batch; what is given stays unchanged.

        Args:
            images: m x channels x height x width, in [0, 1], before any whitening.
            drawn: this batch's share of what `draw` gave, m entries each, on the device of the images.
        """

    def targets(self, targets: Tensor, drawn: Drawn) -> Tensor:
        """The targets of a batch, m x k with rows that sum to 1; by default as they are."""
        return targets
