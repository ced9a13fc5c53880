"""Kernels of many explicit features, computed a block of filters at a time and never all at once."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shatterlab.core import Examples, Kernel, fitted_field, stratified
from shatterlab.kernels.radial import Gaussian, leave_one_out_bandwidth

_BLOCK = 2**27  # numbers of a block of features: 512 MiB in float32
_MOST = 1024  # filters of a block
_TILE = 4096  # rows and columns that one matrix product adds to
_FALLING = 512  # rows turned from inner products to a Gaussian at a time
_ROWS = 2**28  # numbers of the Gram rows held for a product
_HELD = 2**27  # numbers of features that are held: 1 GiB in float64

FeatureKernelT = TypeVar("FeatureKernelT", bound="FeatureKernel")


@dataclass(frozen=True)
class FeatureKernel(Kernel):
    """A kernel of explicit features phi: <phi(x), phi(z)> + c, or exp(-|phi(x) - phi(z)|^2 / (2 sigma^2)).

    Every result is a sum over blocks of filters: at most 512 MiB of features (in float32) exist at a time.

    Args:
        sigma: None for the inner product; for a Gaussian kernel of the features its bandwidth, > 0, or "leave_one_out", which is selected as for `Gaussian`.
        subset: training examples that the selection uses, at most, >= 2; unused otherwise.
    """

    sigma: float | Literal["leave_one_out"] | None = field(default=None, kw_only=True)
    subset: int = field(default=2000, kw_only=True)
    bandwidth: float | None = fitted_field()

    def validate(self) -> None:
        free = self.sigma is None or isinstance(self.sigma, str)
        self.require(free or (math.isfinite(float(self.sigma or 0)) and float(self.sigma or 0) > 0), "sigma is a finite number > 0", self.sigma)
        self.require(self.subset >= 2, "subset is a whole number >= 2", self.subset)

    @abstractmethod
    def filter_count(self) -> int:
        """How many filters there are."""

    @abstractmethod
    def features_of_a_filter(self, shape: tuple[int, ...]) -> int:
        """How many features one filter gives of an input of this shape."""

    @abstractmethod
    def features_of(self, x: Tensor, filters: slice) -> Tensor:
        """Features of these filters, n x features, in the dtype of x."""

    def constant(self) -> float:
        """The constant c >= 0 that is added to every inner product."""
        return 0.0

    def features(self, x: Float[Tensor, "n c h w"], block: int | None = None) -> Float[Tensor, "n features"]:
        """All features at once, the constant among them: a small sample's Gram matrix is their product (without sigma).

        Args:
            x: inputs.
            block: filters at a time, >= 1; the order of the features depends on it, no inner product does. None: by memory.
        """
        blocks = [self.features_of(x, filters) for filters in self._blocks(x, len(x), block)]
        ones = [x.new_full((len(x), 1), math.sqrt(self.constant()))] if self.constant() else []
        return torch.cat([*blocks, *ones], 1)

    def gram(self, x: Float[Tensor, "n c h w"], z: Float[Tensor, "m c h w"]) -> Float[Tensor, "n m"]:
        out = x.new_empty((len(x), len(z)))
        self.gram_into(out, x, z)
        return out

    def gram_into(self, out: Float[Tensor, "n m"], x: Float[Tensor, "n c h w"], z: Float[Tensor, "m c h w"]) -> None:
        """Every feature is computed once: the sum over blocks of filters grows in `out` itself."""
        symmetric = x is z
        out.fill_(self.constant())
        left, right = (out.new_full((len(inputs),), self.constant()) for inputs in (x, z))
        for filters in self._blocks(x, max(len(x), len(z))):
            phi = self.features_of(x.to(out.dtype), filters)
            psi = phi if symmetric else self.features_of(z.to(out.dtype), filters)
            left += phi.square().sum(1)
            right += psi.square().sum(1)
            _add_products(out, phi, psi, symmetric)
        if symmetric:
            _mirror(out)
        if self.sigma is not None:
            self._fall(out, left, right, symmetric)

    def by_tiles(self, x: Tensor, z: Tensor, dtype: torch.dtype) -> Callable[[slice, slice], Tensor]:
        """With sigma: from all features at once, where memory holds them."""
        if self.sigma is None or not self._holdable(x, z):
            return super().by_tiles(x, z, dtype)
        left = self.features(x.to(dtype))
        return self._gaussian().by_tiles(left, left if z is x else self.features(z.to(dtype)), dtype)

    def product(self, x: Float[Tensor, "n c h w"], z: Float[Tensor, "m c h w"], weights: Float[Tensor, "m k"]) -> Float[Tensor, "n k"]:
        """Without sigma a sum over blocks of phi(x) (phi(z)' w), without a Gram matrix; with sigma by tiles or rows of one."""
        if self.sigma is None:
            out = (self.constant() * weights.sum(0)).repeat(len(x), 1)
            for filters in self._blocks(x, max(len(x), len(z))):
                phi = self.features_of(z.to(weights.dtype), filters)
                out += (phi if x is z else self.features_of(x.to(weights.dtype), filters)) @ (phi.T @ weights)
            return out
        if self._holdable(x, z):
            return super().product(x, z, weights)
        wide = z.to(weights.dtype)
        return torch.cat([self.gram(rows, wide) @ weights for rows in x.to(weights.dtype).split(max(1, _ROWS // max(1, len(z))))])

    def scorer(self, z: Float[Tensor, "m c h w"], weights: Float[Tensor, "m k"]) -> Callable[[Tensor], Tensor]:
        """Computes features of z once: without sigma it keeps one weight a feature, with sigma the features, where memory holds them."""
        if self.sigma is None:
            primal = [(filters, self.features_of(z.to(weights.dtype), filters).T @ weights) for filters in self._blocks(z, len(z))]
            start = self.constant() * weights.sum(0)
            return lambda x: sum((self.features_of(x.to(weights.dtype), filters) @ inner for filters, inner in primal), start.repeat(len(x), 1))
        if not self._holdable(z):
            return super().scorer(z, weights)
        held, gaussian = self.features(z.to(weights.dtype)), self._gaussian()
        return lambda x: gaussian.product(self.features(x.to(weights.dtype)), held, weights)

    def _holdable(self, *inputs: Tensor) -> bool:
        return all(len(x) * self.filter_count() * self.features_of_a_filter(tuple(x.shape[1:])) <= _HELD for x in inputs)

    def _gaussian(self) -> Gaussian:
        sigma = self.bandwidth if isinstance(self.sigma, str) else self.sigma
        self.require(sigma is not None, 'a kernel that has seen data is required where sigma is "leave_one_out"', "one that has not", "Call fitted first")
        assert sigma is not None
        return Gaussian(sigma)

    def diagonal(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        if self.sigma is not None:
            return x.new_ones(len(x))
        out = x.new_full((len(x),), self.constant())
        for filters in self._blocks(x, len(x)):
            out += self.features_of(x, filters).square().sum(1)
        return out

    def with_bandwidth(self: FeatureKernelT, train: Examples) -> FeatureKernelT:
        """This kernel with the bandwidth of least leave-one-out error on the features of a subset, where sigma is "leave_one_out"."""
        if self.sigma != "leave_one_out":
            return self
        sample = train
        if len(train) > self.subset:
            sample = train.at(stratified(train.labels.numpy(), self.subset, np.random.default_rng(0)))
        embedded = replace(sample, inputs=_embedded(replace(self, sigma=None).gram(sample.inputs, sample.inputs)))
        return replace(self, bandwidth=leave_one_out_bandwidth(self.kind, _falling, embedded, self.subset))

    def _blocks(self, x: Tensor, n: int, block: int | None = None) -> Iterator[slice]:
        count = self.filter_count()
        size = block or min(_MOST, max(1, _BLOCK // max(1, n * self.features_of_a_filter(tuple(x.shape[1:])))))
        for start in range(0, count, size):
            yield slice(start, min(start + size, count))

    def _fall(self, out: Tensor, left: Tensor, right: Tensor, symmetric: bool) -> None:
        sigma = float(self._gaussian().sigma)
        for start in range(0, len(out), _FALLING):
            rows = slice(start, start + _FALLING)
            distances = out[rows].mul_(-2).add_(left[rows, None] + right)  # the sum first: it is the same for both orders of a pair
            distances.clamp_(min=0).div_(-2 * sigma**2).exp_()  # equal inputs: rounding around 0
        if symmetric:
            out.fill_diagonal_(1)


def _falling(distances: Tensor, sigma: float) -> Tensor:
    return (distances / (-2 * sigma**2)).exp_()


def _add_products(out: Tensor, left: Tensor, right: Tensor, symmetric: bool) -> None:
    for row in range(0, len(left), _TILE):
        for column in range(0, row + 1 if symmetric else len(right), _TILE):
            out[row : row + _TILE, column : column + _TILE].addmm_(left[row : row + _TILE], right[column : column + _TILE].T)


def _mirror(out: Tensor) -> None:
    for row in range(0, len(out), _TILE):
        rows = slice(row, row + _TILE)
        out[rows, rows] = (out[rows, rows] + out[rows, rows].T) / 2
        for column in range(0, row, _TILE):
            out[column : column + _TILE, rows] = out[rows, column : column + _TILE].T.contiguous()  # torch transposes by blocks only into what is contiguous


def _embedded(gram: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(gram.double())
    coordinates: Tensor = (vectors * values.clamp(min=0).sqrt()).float()
    return coordinates
