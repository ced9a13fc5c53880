"""The peer of `training.py`: the training loop of the first author's demo for fitting random labels, written anew.

As there: a DataLoader over single 8-bit images with transforms in Python (PIL image, tensor, normalization by channel),
float32, torch's default memory format, plain SGD, loss and accuracy read back to Python in every step, running means,
and after each epoch a second pass over the training sample through the same loader.

Different from it, each for the paper's experiment or in the peer's favour:
- the networks are the paper's, with as many parameters as ours, from torch's own layers (the demo has a Wide ResNet and
  an MLP without biases); response normalization is torch's, images are cropped to 28 x 28 pixels as in the paper;
- no weight decay, and the paper's learning rate, as ours; its stepwise decay costs nothing and is left out;
- scoring builds no graph (what `volatile=True` meant when the demo was written), and there is no pass over a test split;
- no loader process by default: where every core has a training process, a second one a core can only take turns with it.

Source: github.com/pluskid/fitting-random-labels (Zhang 2017), train.py and cifar10_data.py.
"""

from __future__ import annotations

from itertools import islice, pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

MEAN = [value / 255 for value in (125.3, 123.0, 113.9)]
DEVIATION = [value / 255 for value in (63.0, 62.1, 66.7)]
BATCH = 128


class CenterCrop(nn.Module):
    """The centre square of a PIL image."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, picture: Image.Image) -> Image.Image:
        width, height = picture.size
        left, top = round((width - self.side) / 2), round((height - self.side) / 2)
        return picture.crop((left, top, left + self.side, top + self.side))


class ToTensor:
    """A PIL image as channels x height x width in [0, 1]."""

    def __call__(self, picture: Image.Image) -> Tensor:
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        return pixels.permute(2, 0, 1).contiguous().to(torch.float32).div(255)


class Normalize(nn.Module):
    """Each channel less its mean, over its deviation; constants become tensors and are checked for each image, as in torchvision."""

    def forward(self, pixels: Tensor) -> Tensor:
        pixels = pixels.clone()
        mean, deviation = (torch.as_tensor(each, dtype=pixels.dtype, device=pixels.device) for each in (MEAN, DEVIATION))
        if (deviation == 0).any():
            raise ValueError("Normalize: deviations are above 0.")
        return pixels.sub_(mean.view(-1, 1, 1)).div_(deviation.view(-1, 1, 1))


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images n x 32 x 32 x 3 of 8 bits and their labels, transformed one by one as they are asked for."""

    def __init__(self, images: np.ndarray[Any, Any], labels: list[int], crop: int) -> None:
        self.images, self.labels = images, labels
        self.transforms = (CenterCrop(crop), ToTensor(), Normalize())

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture: Any = Image.fromarray(self.images[index])
        for transform in self.transforms:
            picture = transform(picture)
        return picture, self.labels[index]


class DemoLoop:
    """One training run."""

    def __init__(
        self, network: nn.Module, images: np.ndarray[Any, Any], labels: list[int], lr: float, device: torch.device, crop: int = 28, workers: int = 0
    ) -> None:
        self.network, self.device = network.to(device), device
        self.loader = DataLoader(Pictures(images, labels, crop), BATCH, shuffle=True, num_workers=workers, pin_memory=device.type == "cuda")
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr, momentum=0.9)

    def train(self, batches: int | None = None) -> tuple[float, float]:
        """One epoch, or its first batches: loss and percent of correct answers as they went by."""
        self.network.train()
        loss_mean, accuracy_mean = Mean(), Mean()
        for inputs, labels in islice(self.loader, batches):
            loss = self._met(inputs, labels, loss_mean, accuracy_mean)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        return loss_mean.value, accuracy_mean.value

    def evaluate(self, batches: int | None = None) -> tuple[float, float]:
        """Loss and percent of correct answers of the model as it is, on the training sample or its first batches."""
        self.network.eval()
        loss_mean, accuracy_mean = Mean(), Mean()
        with torch.no_grad():
            for inputs, labels in islice(self.loader, batches):
                self._met(inputs, labels, loss_mean, accuracy_mean)
        return loss_mean.value, accuracy_mean.value

    def _met(self, inputs: Tensor, labels: Tensor, loss_mean: Mean, accuracy_mean: Mean) -> Tensor:
        labels = labels.to(self.device, non_blocking=True)
        inputs = inputs.to(self.device)
        scores = self.network(inputs)
        loss: Tensor = self.criterion(scores, labels)
        percent = _percent_correct(scores.detach(), labels)
        loss_mean.add(loss.item(), len(inputs))
        accuracy_mean.add(percent.item(), len(inputs))
        return loss


class Mean:
    """A running mean."""

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0

    @property
    def value(self) -> float:
        """What it is now."""
        return self.total / max(self.count, 1)

    def add(self, value: float, count: int) -> None:
        """`count` more, of this mean."""
        self.total += value * count
        self.count += count


def _percent_correct(scores: Tensor, labels: Tensor) -> Tensor:
    _, best = scores.topk(1, 1, largest=True, sorted=True)
    hits = best.t().eq(labels.view(1, -1))
    return hits[:1].reshape(-1).float().sum(0).mul_(100 / len(labels))


def mlp(*hidden: int) -> nn.Module:
    """ReLU layers of these widths on 3 x 28 x 28 pixels."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise((3 * 28 * 28, *hidden)):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], 10))


def alexnet() -> nn.Module:
    """The paper's small AlexNet for 3 x 28 x 28 pixels; `ceil_mode` is TensorFlow's SAME padding for even sides."""
    layers: list[nn.Module] = []
    for inputs in (3, 64):
        layers += [nn.Conv2d(inputs, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
        layers += [nn.LocalResponseNorm(9, alpha=0.001, beta=0.75, k=1)]
    head = (nn.Linear(64 * 7 * 7, 384), nn.ReLU(), nn.Linear(384, 192), nn.ReLU(), nn.Linear(192, 10))
    return nn.Sequential(*layers, nn.Flatten(), *head)


def inception() -> nn.Module:
    """The paper's small Inception."""
    blocks = [_filtered(3, 96, 3), _Fork(96, 32, 32), _Fork(64, 32, 48), _Halving(80, 80), _Fork(160, 112, 48), _Fork(160, 96, 64)]
    blocks += [_Fork(160, 80, 80), _Fork(160, 48, 96), _Halving(144, 96), _Fork(240, 176, 160), _Fork(336, 176, 160)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(336, 10))


def _filtered(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Module:
    norm = nn.BatchNorm2d(outputs)
    norm.weight.requires_grad_(False)  # the published count has one number a filter beside its kernel: the shift
    return nn.Sequential(nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False), norm, nn.ReLU())


class _Fork(nn.Module):
    def __init__(self, inputs: int, narrow: int, wide: int) -> None:
        super().__init__()
        self.narrow, self.wide = _filtered(inputs, narrow, 1), _filtered(inputs, wide, 3)

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.narrow(images), self.wide(images)], 1)


class _Halving(nn.Module):
    def __init__(self, inputs: int, added: int) -> None:
        super().__init__()
        self.filtered = _filtered(inputs, added, 3, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.filtered(images), functional.max_pool2d(images, 3, stride=2, padding=1)], 1)
