"""Laws of augmentations: drawn once an epoch for every example, applied to whole batches, and images stay images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from shatterlab.core import Augmentation, Drawn
from shatterlab.core.errors import InvalidPart, NotApplicable
from shatterlab.laws import samples
from shatterlab.laws.law import demand, laws_in, leaving_generators_alone

_DRAWN = 64  # examples to draw for: of a fair coin, all equal with probability 2^-63
_SEED, _OTHER = 21, 22
_ROUNDING = 1e-6  # of values in [0, 1]: a few float32 roundings


def draws_from_its_stream(part: Augmentation) -> None:
    """The same stream gives the same numbers, another stream gives others."""
    one, again, other = (_draw(part, seed) for seed in (_SEED, _SEED, _OTHER))
    demand(part, _same(one, again), "the same stream gives the same numbers", "others", "Draw from the generator `rng` only.")
    demand(part, not _same(one, other), "another stream gives other numbers", "the same", "Use the generator `rng`.")


def draws_for_each_example(part: Augmentation) -> None:
    """Every example has its own numbers, one entry in each array."""
    drawn = _draw(part, _SEED)
    for name, values in drawn.items():
        right = isinstance(values, np.ndarray) and values.shape[:1] == (_DRAWN,)
        got = f"{type(values).__name__} of shape {getattr(values, 'shape', None)}"
        demand(part, right, f"`draw` gives arrays of {_DRAWN} entries for {_DRAWN} examples, {name} too", got, "Draw n numbers at once.")
    varied = any((values != values[:1]).any() for values in drawn.values())
    demand(part, varied, "examples differ in what is drawn for them", "the same numbers for all", "Draw n numbers, not one.")


def depends_on_what_is_drawn(part: Augmentation) -> None:
    """Images and numbers determine the result; other numbers give other images, and no generator is read."""
    images, drawn, other = _images(part), _tensors(_draw(part, _SEED)), _tensors(_draw(part, _OTHER))
    with leaving_generators_alone(part, "`images`"):
        one, again = part.images(images, drawn), part.images(images, drawn)
    demand(part, torch.equal(one, again), "the drawn numbers determine the image", "another result the second time", "Draw in `draw` only.")
    demand(part, not torch.equal(one, part.images(images, other)), "other numbers give other images", "the same images", "Use what was drawn.")


def leaves_its_batch_alone(part: Augmentation) -> None:
    """The images and targets of the batch stay unchanged."""
    images, drawn, targets = _images(part), _tensors(_draw(part, _SEED)), _targets(_DRAWN)
    before = images.clone(), targets.clone()
    part.images(images, drawn)
    part.targets(targets, drawn)
    same = torch.equal(images, before[0]) and torch.equal(targets, before[1])
    demand(part, same, "the batch stays as it is", "another batch", "Work on a copy.")


def keeps_images_images(part: Augmentation) -> None:
    """Augmented images have as many channels, the same number format, and values in [0, 1]."""
    images = _images(part)
    varied = part.images(images, _tensors(_draw(part, _SEED)))
    alike = varied.ndim == 4 and varied.shape[:2] == images.shape[:2] and varied.dtype == images.dtype
    got = f"{varied.dtype} of shape {tuple(varied.shape)}"
    demand(part, alike, f"{images.dtype} images, {images.shape[0]} of {images.shape[1]} channels", got, "Keep both.")
    low, high = float(varied.min()), float(varied.max())
    inside = low >= -_ROUNDING and high <= 1 + _ROUNDING  # False for NaN
    demand(part, inside, "values stay in [0, 1]", f"values in [{low:.4g}, {high:.4g}]", "Cut them off, or fill with 0.")


def treats_each_image_by_itself(part: Augmentation) -> None:
    """An image becomes the same whatever else is in its batch."""
    if part.mixes:
        raise NotApplicable("it mixes the examples of a batch")
    images, drawn = _images(part), _tensors(_draw(part, _SEED))
    whole = part.images(images, drawn)
    alone = torch.cat([part.images(images[i : i + 1], _rows(drawn, slice(i, i + 1))) for i in range(_DRAWN)])
    apart = float((whole - alone).abs().max()) if whole.shape == alone.shape else float("inf")
    remedy = "If it mixes examples, say `mixes = True`."
    demand(part, apart <= _ROUNDING, "an image alone becomes what it becomes among others", f"values {apart:.2g} apart", remedy)


def targets_stay_distributions(part: Augmentation) -> None:
    """Targets are distributions over the classes; they change exactly where examples are mixed."""
    targets, drawn = _targets(_DRAWN), _tensors(_draw(part, _SEED))
    after = part.targets(targets, drawn)
    sums = after.sum(1)
    proper = after.shape == targets.shape and bool((after >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=_ROUNDING)
    demand(part, proper, "targets are >= 0 and sum to 1", f"sums {float(sums.min()):.4g} .. {float(sums.max()):.4g}", "Weigh them by numbers that sum to 1.")
    changed = not torch.equal(after, targets)
    remedy = "Say `mixes = True` where it mixes examples, and only there."
    demand(part, changed == part.mixes, f"targets change: {part.mixes}, as `mixes` says", changed, remedy)


def works_on_whole_batches(part: Augmentation) -> None:
    """A batch of 48 takes as many tensor operations as one of 6: none is made image by image."""
    images, drawn = _images(part), _tensors(_draw(part, _SEED))
    counts = [_operations(part, images[:size], _rows(drawn, slice(0, size))) for size in (6, 48)]
    demand(part, counts[0] == counts[1], f"{counts[0]} tensor operations for a batch of any size", f"{counts[1]} for a larger one", "Leave out the loop.")


class _Counter(TorchDispatchMode):
    """Counts the tensor operations that happen inside."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return function(*args, **(kwargs or {}))


def _operations(part: Augmentation, images: Tensor, drawn: Drawn) -> int:
    with _Counter() as counter:
        part.images(images, drawn)
    count: int = counter.count
    return count


def _images(part: Augmentation) -> Tensor:
    inputs = samples.images(_DRAWN, 1).train.inputs
    try:
        part.draw(1, tuple(inputs.shape[1:]), np.random.default_rng(0))
    except InvalidPart:
        return inputs[:, :1].contiguous()
    return inputs


def _targets(n: int) -> Tensor:
    return torch.eye(samples.CLASSES).repeat(n, 1)[:n]


def _draw(part: Augmentation, seed: int) -> Mapping[str, np.ndarray[Any, Any]]:
    with leaving_generators_alone(part, "`draw`"):
        return part.draw(_DRAWN, tuple(_images(part).shape[1:]), np.random.default_rng(seed))


def _tensors(drawn: Mapping[str, np.ndarray[Any, Any]]) -> Drawn:
    return {name: torch.from_numpy(values) for name, values in drawn.items()}


def _rows(drawn: Drawn, rows: slice) -> Drawn:
    return {name: values[rows] for name, values in drawn.items()}


def _same(one: Mapping[str, np.ndarray[Any, Any]], other: Mapping[str, np.ndarray[Any, Any]]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


LAWS = laws_in(__name__)
