"""A Gabor filter bank for small grey images."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Examples, Seeds
from shatterlab.kernels._features import FeatureKernel

_OCTAVE = 0.56  # deviation of the envelope in wavelengths: filters one octave wide
_REACH = 2.5  # deviations of the envelope that a filter covers
_MAPS = 2**22  # numbers of the maps of responses held at a time: 16 MiB in float32


@dataclass(frozen=True)
class Gabor(FeatureKernel):
    """How strongly an image is striped, at each of several orientations and wavelengths, in each of its regions.

    The filter of wavelength l and orientation a is e(u, v) (exp(2 pi i u' / l) - c) with u' = u cos a + v sin a, the envelope e(u, v) = exp(-(u^2 + v^2) / (2
    s^2)), s = 0.56 l (one octave), and c such that uniform images give 0; it is scaled so that a grating cos(2 pi u' / l) gives 1. Features are means over
    windows of the magnitudes of its responses, channel by channel; beyond its edge an image continues as the edge is.

    With the defaults an image of 28 x 28 pixels has 8 x 3 x 7 x 7 = 1,176 features. The paper does not say which Gabor filters it used.

    Args:
        orientations: how many, >= 1, at multiples of pi / orientations.
        wavelengths: in pixels, each >= 2.
        pool: side of a window in pixels, >= 1.
        stride: between windows, >= 1.
        sigma: as for every kernel of features; by leave-one-out error unless stated.

    Raises:
        InvalidPart: a field is out of range, or the inputs are no images of sufficient size.

    Source:
        Gabor 1946; Daugman 1985 (two dimensions); Zhang et al. 2017, Table 3, which has 0.6 % test error on MNIST with such filters.
    """

    orientations: int = 8
    wavelengths: tuple[float, ...] = (4.0, 6.0, 9.0)
    pool: int = 4
    stride: int = 4
    sigma: float | Literal["leave_one_out"] | None = field(default="leave_one_out", kw_only=True)

    def validate(self) -> None:
        super().validate()
        for name in ("orientations", "pool", "stride"):
            self.require(getattr(self, name) >= 1, f"{name} is a whole number >= 1", getattr(self, name))
        self.require(self.wavelengths, "at least one wavelength is required", self.wavelengths)
        self.require(all(2 <= wavelength < math.inf for wavelength in self.wavelengths), "wavelengths are numbers of pixels >= 2", self.wavelengths)

    @classmethod
    def specimens(cls) -> tuple[Gabor, ...]:
        coarse = cls(orientations=2, wavelengths=(3.0,), pool=3, stride=3, sigma=None)
        return cls(orientations=4, wavelengths=(2.0, 3.0), pool=2, stride=2, subset=60), coarse

    def fitted(self, train: Examples, seeds: Seeds) -> Gabor:
        """With the bandwidth of least leave-one-out error, where sigma says so; nothing else depends on data."""
        self._windows(train.shape)
        return self if self.bandwidth is not None else self.with_bandwidth(train)

    def filter_count(self) -> int:
        """One for each orientation and wavelength; orientations of the first wavelength come first."""
        return self.orientations * len(self.wavelengths)

    def features_of_a_filter(self, shape: tuple[int, ...]) -> int:
        """One for each channel and window."""
        rows, columns = self._windows(shape)
        return shape[0] * rows * columns

    def features_of(self, x: Float[Tensor, "n c h w"], filters: slice) -> Float[Tensor, "n features"]:
        channels = x.shape[1]
        rows, columns = self._windows(tuple(x.shape[1:]))
        count = filters.stop - filters.start
        out = x.new_empty((len(x), channels * count * rows * columns))
        images = max(1, _MAPS // (2 * count * x[0].numel()))
        for start in range(0, len(x), images):
            batch = slice(start, start + images)
            out[batch] = functional.avg_pool2d(self.magnitudes(x[batch], filters), self.pool, self.stride).flatten(1)
        return out

    def magnitudes(self, x: Float[Tensor, "n c h w"], filters: slice | None = None) -> Float[Tensor, "n cf h w"]:
        """Magnitudes of every pixel's responses to these filters, channel by channel (None: to all).

        A filter is a product of a wave down and a wave across, less a multiple of one without waves: two small matrix products in place of a sum over a square.
        """
        grey = x.flatten(0, 1).permute(1, 0, 2)  # rows first
        height, count, width = grey.shape
        flat = grey.reshape(height, count * width)
        maps = [self._magnitude(wave, flat, width) for wave in self._waves()[filters or slice(None)]]
        return torch.stack(maps).view(-1, height, *x.shape[:2], width).permute(2, 3, 0, 1, 4).reshape(len(x), -1, height, width)

    def bank(self) -> Float[Tensor, "f 2 side side"]:
        """Real and imaginary parts of all filters, in float64."""
        return torch.stack([torch.stack([even, odd]) / size for _, size, even, odd in map(self._drawn, self._waves())])

    def _waves(self) -> list[tuple[float, float]]:
        return [(wavelength, math.pi * turn / self.orientations) for wavelength in self.wavelengths for turn in range(self.orientations)]

    def _offsets(self) -> Tensor:
        reach = math.ceil(_REACH * _OCTAVE * max(self.wavelengths))
        return torch.arange(-reach, reach + 1, dtype=torch.float64)

    def _drawn(self, wave: tuple[float, float]) -> tuple[float, float, Tensor, Tensor]:
        (wavelength, angle), offsets = wave, self._offsets()
        v, u = torch.meshgrid(offsets, offsets, indexing="ij")
        envelope = torch.exp(-(u.square() + v.square()) / (2 * (_OCTAVE * wavelength) ** 2))
        phase = 2 * math.pi * (u * math.cos(angle) + v * math.sin(angle)) / wavelength
        mean = ((envelope * phase.cos()).sum() / envelope.sum()).item()
        even, odd = envelope * (phase.cos() - mean), envelope * phase.sin()
        return mean, (even * phase.cos()).sum().item(), even, odd

    def _magnitude(self, wave: tuple[float, float], flat: Tensor, width: int) -> Tensor:
        wavelength, angle = wave
        mean, size, _, _ = self._drawn(wave)
        down, across = self._lines(wavelength, math.sin(angle), len(flat)).to(flat), self._lines(wavelength, math.cos(angle), width).to(flat)
        real, imaginary, even = ((matrix @ flat).view(-1, width) for matrix in down)
        straight = real @ across[0].T - imaginary @ across[1].T - mean * (even @ across[2].T)
        turned = real @ across[1].T + imaginary @ across[0].T
        return torch.hypot(straight, turned).div_(size).view(len(flat), -1, width)

    def _lines(self, wavelength: float, share: float, length: int) -> Float[Tensor, "3 length length"]:
        offsets = self._offsets()
        envelope = torch.exp(-offsets.square() / (2 * (_OCTAVE * wavelength) ** 2))
        phase = 2 * math.pi * share * offsets / wavelength
        places = (torch.arange(length)[:, None] + offsets.long()).clamp(0, length - 1)
        values = torch.stack([envelope * phase.cos(), envelope * phase.sin(), envelope])[:, None].expand(3, length, -1)
        return torch.zeros(3, length, length, dtype=torch.float64).scatter_add(2, places.expand(3, -1, -1), values)

    def _windows(self, shape: tuple[int, ...]) -> tuple[int, int]:
        self.require(len(shape) == 3, "images are required, channels x height x width", shape)
        self.require(min(shape[1:]) >= self.pool, f"images of at least {self.pool} x {self.pool} pixels are required", shape, "Set a smaller pool")
        rows, columns = ((length - self.pool) // self.stride + 1 for length in shape[1:])
        return rows, columns
