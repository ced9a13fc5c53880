"""Random convolutional features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Examples, Seeds, fitted_field
from shatterlab.kernels._features import FeatureKernel

_EIGHT_BIT = 255  # the unit of the normalization constant, in which both public codes count
_FILTERS = 256  # whose maps are computed at a time
_MAPS = 2**18  # numbers of these maps: 1 MiB in float32, near what a processor caches
_GPU_MAPS = 2**26
_MEASURED = 4000  # training images at most on which features are standardized: their deviations are then known to 2 %


@dataclass(frozen=True)
class RandomConvolution(FeatureKernel):
    """Features of a convolutional net with one layer whose filters are random patches of the training images.

    Each 6 x 6 patch of an image is normalized, q = (p - mean) / sqrt(variance + constant), and whitened, W (q - m); its response to filter f is v = f'W (q -
    m); max(0, v - t) and max(0, -v - t) are pooled over large windows. Filters are random patches, normalized, whitened and of length 1; W = (C + e)^(-1/2) and
    m belong to another sample of patches. With standardized features (mean 0, deviation 1 over the training sample) the kernel is 1 + the mean product of
    features.

    The defaults give 2 x 2 windows, 8 features a filter, of 32 x 32 images; `RawConvolution` has those of the other public code.

    Args:
        filters: how many, >= 1; the paper has 32,000.
        side: of a patch in pixels, >= 1.
        patches: drawn to fit the whitening, >= 2.
        convention: "normalized" as above; "raw": the image's patches are taken as they are, those of the filters are centred and of
            length 1 before and keep their length after whitening, W = E[q q' + e]^(-1/2), m = 0.
        normalization: added to the variance of a patch in 8-bit units (inputs times 255), > 0; unused if raw.
        whitening: e, > 0.
        threshold: t, >= 0.
        pooling: "sum" or "average" over a window.
        pool: side of a window, >= 1, at most the map's, image side - patch side + 1.
        stride: between windows, >= 1.
        standardize: features as above; otherwise the kernel is the mean product of features as they are.

    Raises:
        InvalidPart: a field is out of range, or the inputs are no images of sufficient size.

    Source:
        Coates, Ng 2012; Zhang et al. 2017, section 5, footnote 2; the constants are those of KeystoneML (amplab/keystone, RandomPatchCifar).
    """

    random: ClassVar[bool] = True

    filters: int = 1000
    side: int = 6
    patches: int = 100_000
    convention: Literal["normalized", "raw"] = "normalized"
    normalization: float = 10.0
    whitening: float = 0.1
    threshold: float = 0.25
    pooling: Literal["sum", "average"] = "sum"
    pool: int = 14
    stride: int = 13
    standardize: bool = True
    bank: Any = fitted_field()
    shift: Any = fitted_field()
    mean: Any = fitted_field()
    scale: Any = fitted_field()

    def validate(self) -> None:
        super().validate()
        for name in ("filters", "side", "pool", "stride"):
            self.require(getattr(self, name) >= 1, f"{name} is a whole number >= 1", getattr(self, name))
        self.require(self.patches >= 2, "patches is a whole number >= 2", self.patches)
        for name in ("normalization", "whitening"):
            self.require(0 < getattr(self, name) < np.inf, f"{name} is a finite number > 0", getattr(self, name))
        self.require(0 <= self.threshold < np.inf, "threshold is a finite number >= 0", self.threshold)

    @classmethod
    def specimens(cls) -> tuple[RandomConvolution, ...]:
        small = {"side": 3, "patches": 500, "pool": 2, "stride": 2}
        raw = replace(RawConvolution(5), **small)  # type: ignore[arg-type]
        return cls(8, **small), replace(raw, sigma="leave_one_out", subset=60)  # type: ignore[arg-type]

    def fitted(self, train: Examples, seeds: Seeds) -> RandomConvolution:
        """With its filters, its whitening and, where it standardizes, the mean and deviation of each feature."""
        if self.bank is not None:
            return self
        self._windows(train.shape)
        sample = self._normalized(self._drawn(train.inputs, self.patches, seeds.rng("init", "patches")))
        centre = sample.mean(0) if self.convention == "normalized" else torch.zeros_like(sample[0])
        sample = sample - centre
        degrees = len(sample) - (self.convention == "normalized")
        values, vectors = torch.linalg.eigh(sample.T @ sample / degrees)
        whitener = vectors / (values.clamp(min=0) + self.whitening).sqrt() @ vectors.T
        filters = (self._normalized(self._drawn(train.inputs, self.filters, seeds.rng("init", "filters"))) - centre) @ whitener
        if self.convention == "normalized":
            filters = filters / (filters.norm(dim=1, keepdim=True) + 1e-10)  # an empty patch has length 0
        bank = filters @ whitener
        shift = bank @ centre
        kernel = replace(self, bank=bank.view(-1, train.shape[0], self.side, self.side), shift=shift)
        return kernel._standardized(train, seeds).with_bandwidth(train)

    def filter_count(self) -> int:
        return self.filters

    def features_of_a_filter(self, shape: tuple[int, ...]) -> int:
        """Two for each window: of responses above the threshold and of those below its negative."""
        rows, columns = self._windows(shape)
        return 2 * rows * columns

    def constant(self) -> float:
        """The intercept of standardized features."""
        return 1.0 if self.standardize else 0.0

    def features_of(self, x: Float[Tensor, "n c h w"], block: slice) -> Float[Tensor, "n features"]:
        """Features of these filters, divided by the root of the number of all features."""
        pooled = self._pooled(x, block)
        if self.standardize:
            pooled = (pooled - self.mean[:, block].to(pooled)) * self.scale[:, block].to(pooled)
        count = self.filters * self.features_of_a_filter(tuple(x.shape[1:]))
        return pooled.flatten(1).div_(count**0.5)

    def responses(self, x: Float[Tensor, "n c h w"], block: slice) -> Float[Tensor, "n f a b"]:
        """Responses of every patch to these filters, before the threshold."""
        maps = self._filters(x)[block] @ self._patches(x)
        return maps.view(len(x), -1, x.shape[2] - self.side + 1, x.shape[3] - self.side + 1)

    def _filters(self, x: Tensor) -> Float[Tensor, "filters e"]:
        self.require(self.bank is not None, "a kernel that has seen data is required", "one that has not", "Call fitted first")
        self.require(x.shape[1] == self.bank.shape[1], f"images of {self.bank.shape[1]} channels are required", tuple(x.shape[1:]))
        bank = self.bank.flatten(1)
        if self.convention == "normalized":
            bank = bank - bank.mean(1, keepdim=True)  # takes the place of p - mean(p)
        return torch.cat([bank, -self.shift[:, None]], 1).to(x)

    def _patches(self, x: Tensor) -> Float[Tensor, "n e positions"]:
        if self.convention == "raw":
            return functional.pad(functional.unfold(x, self.side), (0, 0, 0, 1), value=1)
        wide, window, size = x.double(), (self.side, self.side), x.shape[1] * self.side**2
        mean = functional.avg_pool2d(wide.mean(1, keepdim=True), window, 1)
        square = functional.avg_pool2d(wide.square().mean(1, keepdim=True), window, 1)
        variance = (square - mean.square()).clamp_(min=0) * size / (size - 1)  # in float64, since it is a small difference
        factor = _EIGHT_BIT * (_EIGHT_BIT**2 * variance + self.normalization).rsqrt_()
        near = x - x.mean((1, 2, 3), keepdim=True)  # which changes no response, but loses fewer digits
        patches = functional.pad(functional.unfold(near, self.side), (0, 0, 0, 1), value=1)
        patches[:, :-1] *= factor.flatten(2).to(x)
        return patches

    def _pooled(self, x: Tensor, block: slice) -> Tensor:
        rows, columns = self._windows(tuple(x.shape[1:]))
        filters, windows = self._filters(x)[block], self._pooling(x)
        out = x.new_empty((len(x), 2, len(filters), rows * columns))
        held = _MAPS if x.device.type == "cpu" else _GPU_MAPS
        images = max(1, held // (windows.shape[1] * min(_FILTERS, len(filters))))
        for start in range(0, len(x), images):
            batch = slice(start, start + images)
            patches = self._patches(x[batch])
            for first in range(0, len(filters), _FILTERS):
                these = slice(first, first + _FILTERS)
                responses = filters[these] @ patches
                for side, signed in enumerate((responses - self.threshold, -self.threshold - responses)):
                    pooled = windows @ signed.relu_().flatten(0, 1).T
                    out[batch, side, these] = pooled.view(len(windows), len(patches), -1).permute(1, 2, 0)
        return out

    def _pooling(self, x: Tensor) -> Float[Tensor, "windows positions"]:
        height, width = x.shape[2] - self.side + 1, x.shape[3] - self.side + 1
        every = torch.eye(height * width, dtype=x.dtype, device=x.device).view(-1, 1, height, width)
        means = functional.avg_pool2d(every, self.pool, self.stride).flatten(1).T.contiguous()
        return means * self.pool**2 if self.pooling == "sum" else means

    def _standardized(self, train: Examples, seeds: Seeds) -> RandomConvolution:
        if not self.standardize:
            return self
        images = train.inputs
        if len(train) > _MEASURED:
            images = images[torch.from_numpy(np.sort(seeds.rng("init", "standardization").choice(len(train), _MEASURED, replace=False)))]
        moments = [torch.std_mean(self._pooled(images, block).double(), 0, correction=0) for block in self._blocks(images, len(images))]
        deviation, mean = (torch.cat(parts, 1) for parts in zip(*moments, strict=True))
        silent = deviation <= 1e-6 * mean.abs().clamp(min=1e-6)  # float32 rounding: a filter that never responds
        return replace(self, mean=mean, scale=torch.where(silent, 0.0, 1 / deviation.masked_fill(silent, 1)))

    def _drawn(self, images: Tensor, count: int, rng: np.random.Generator) -> Float[Tensor, "count d"]:
        ends = (len(images), images.shape[2] - self.side + 1, images.shape[3] - self.side + 1)
        places = torch.from_numpy(rng.integers(0, ends, size=(count, 3)))
        step = torch.arange(self.side)
        which, rows, columns = places[:, 0, None, None], places[:, 1, None, None] + step[:, None], places[:, 2, None, None] + step
        channels = [images[:, channel][which, rows, columns] for channel in range(images.shape[1])]
        return torch.stack(channels, 1).flatten(1).double()

    def _normalized(self, rows: Tensor) -> Tensor:
        if self.convention == "raw":
            rows = rows - rows.mean(1, keepdim=True)
            length = rows.norm(dim=1, keepdim=True)
            return rows / torch.where(length < 1e-8, 1.0, length)
        rows = (rows - rows.mean(1, keepdim=True)) * _EIGHT_BIT
        return rows / (rows.square().sum(1, keepdim=True) / (rows.shape[1] - 1) + self.normalization).sqrt()

    def _windows(self, shape: tuple[int, ...]) -> tuple[int, int]:
        self.require(len(shape) == 3, "images are required, channels x height x width", shape)
        least = self.side + self.pool - 1
        self.require(min(shape[1:]) >= least, f"images of at least {least} x {least} pixels are required", shape, "Set smaller side, pool and stride")
        self.require(self.side**2 * shape[0] > 1, "patches of more than one value are required", shape, "Set side to 2 or more")
        rows, columns = ((length - least) // self.stride + 1 for length in shape[1:])
        return rows, columns


def RawConvolution(filters: int = 1000) -> RandomConvolution:
    """The other public configuration of random convolutional features, of raw patches and 3 x 3 windows.

    6 x 6 patches, whitening 1e-3, threshold 1, average pooling over 15 x 15 windows with stride 6 (18 features a filter of a 32 x 32 image).

    Args:
        filters: how many, >= 1.

    Source:
        The constants are those of modestyachts/nondeep, random_features; 256,000 filters are said to reach 85.6 % on CIFAR-10 there.
    """
    return RandomConvolution(filters, convention="raw", whitening=1e-3, threshold=1.0, pooling="average", pool=15, stride=6, standardize=False)
