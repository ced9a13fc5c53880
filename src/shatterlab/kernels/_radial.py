"""Kernels that depend on the distance alone, with a bandwidth that is given or chosen."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from shatterlab.core import Examples, Kernel, Seeds, fitted_field
from shatterlab.kernels._bandwidth import chosen_bandwidth
from shatterlab.kernels._counts import CountedDistances, counted, counts
from shatterlab.kernels._distances import squared_distances


@dataclass(frozen=True)
class Radial(Kernel, ABC):
    """A kernel that depends on |x - z| / sigma alone; a permutation of pixels that all inputs share leaves it as it is.

    Args:
        sigma: the bandwidth, > 0, in the unit of the inputs; or "leave_one_out": the one of 11 multiples 2^(s/2), s = -6 .. 4,
            of the median distance whose interpolant of a subset has the least leave-one-out error, known in closed form.
        subset: at most how many training examples that choice looks at, >= 2; unused where sigma is a number.
    """

    sigma: float | Literal["leave_one_out"] = 5.0
    subset: int = 2000
    bandwidth: float | None = fitted_field()

    def validate(self) -> None:
        positive = isinstance(self.sigma, str) or (math.isfinite(self.sigma) and self.sigma > 0)
        self.require(positive, 'sigma is a finite number > 0 or "leave_one_out"', self.sigma)
        self.require(self.subset >= 2, "subset is a whole number >= 2", self.subset)

    @classmethod
    def specimens(cls) -> tuple[Radial, ...]:
        return cls(), cls(0.7), cls("leave_one_out", subset=60)

    @staticmethod
    @abstractmethod
    def of_squared_distances(distances: Tensor, sigma: float) -> Tensor:
        """The kernel as a function of |x - z|^2, which is written over, and sigma."""

    def fitted(self, train: Examples, seeds: Seeds) -> Radial:
        if not isinstance(self.sigma, str):
            return self
        return replace(self, bandwidth=chosen_bandwidth(self.kind, self.of_squared_distances, train, self.subset))

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        return self.of_squared_distances(squared_distances(x.flatten(1), z.flatten(1).to(x.dtype)), self._sigma())

    def diagonal(self, x: Tensor) -> Tensor:
        self._sigma()
        return x.new_ones(len(x))

    def coded(self, x: Tensor) -> CountedDistances | None:
        """Of 8-bit inputs their squared distances in counts, which are whole numbers."""
        return self._counted(x, x)

    def by_tiles(self, x: Tensor, z: Tensor, dtype: torch.dtype) -> Callable[[slice, slice], Tensor]:
        found = self._counted(x, z)
        if found is None:
            return super().by_tiles(x, z, dtype)
        return lambda rows, columns: found.decoded(found.tile(rows, columns), dtype)

    def _counted(self, x: Tensor, z: Tensor) -> CountedDistances | None:
        if not (counted(x).all() and (z is x or counted(z).all())):
            return None
        left, sigma = counts(x), self._sigma()
        return CountedDistances(left, left if z is x else counts(z), lambda distances: self.of_squared_distances(distances, sigma))

    def _sigma(self) -> float:
        sigma = self.bandwidth if isinstance(self.sigma, str) else self.sigma
        self.require(sigma is not None, 'a bandwidth is required, "leave_one_out" chooses it in fitted(train, seeds)', sigma, "Call fitted first")
        assert sigma is not None
        return sigma
