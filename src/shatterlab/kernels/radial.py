"""Kernels that depend on the distance alone: Gaussian and Laplacian, with a fixed bandwidth or the one of least leave-one-out error."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from shatterlab.core import Examples, Kernel, Seeds, fitted_field, stratified
from shatterlab.core.errors import DataError
from shatterlab.kernels._distances import CountedDistances, counts, squared_distances, whole_counts

GRID = tuple(2 ** (step / 2) for step in range(-6, 5))  # of the median distance: 1/8 .. 4


@dataclass(frozen=True)
class _Radial(Kernel, ABC):
    """A kernel that depends on |x - z| / sigma alone; the same permutation of all pixels does not change it.

    Args:
        sigma: the bandwidth, > 0, in the unit of the inputs; or "leave_one_out": the one of 11 multiples 2^(s/2), s = -6 .. 4,
            of the median distance whose interpolant of a subset has the least leave-one-out error, known in closed form.
        subset: training examples that this selection uses, at most, >= 2; unused where sigma is a number.
    """

    sigma: float | Literal["leave_one_out"] = 5.0
    subset: int = 2000
    bandwidth: float | None = fitted_field()

    def validate(self) -> None:
        positive = isinstance(self.sigma, str) or (math.isfinite(self.sigma) and self.sigma > 0)
        self.require(positive, 'sigma is a finite number > 0 or "leave_one_out"', self.sigma)
        self.require(self.subset >= 2, "subset is a whole number >= 2", self.subset)

    @classmethod
    def specimens(cls) -> tuple[_Radial, ...]:
        return cls(), cls(0.7), cls("leave_one_out", subset=60)

    @staticmethod
    @abstractmethod
    def of_squared_distances(distances: Tensor, sigma: float) -> Tensor:
        """The kernel as a function of |x - z|^2, which is written over, and sigma."""

    def fitted(self, train: Examples, seeds: Seeds) -> _Radial:
        if not isinstance(self.sigma, str):
            return self
        return replace(self, bandwidth=leave_one_out_bandwidth(self.kind, self.of_squared_distances, train, self.subset))

    def gram(self, x: Tensor, z: Tensor) -> Tensor:
        return self.of_squared_distances(squared_distances(x.flatten(1), z.flatten(1).to(x.dtype)), self._sigma())

    def diagonal(self, x: Tensor) -> Tensor:
        self._sigma()
        return x.new_ones(len(x))

    def coded(self, x: Tensor) -> CountedDistances | None:
        """Squared distances of 8-bit inputs in counts, which are whole numbers."""
        return self._counted(x, x)

    def by_tiles(self, x: Tensor, z: Tensor, dtype: torch.dtype) -> Callable[[slice, slice], Tensor]:
        distances = self._counted(x, z)
        if distances is None:
            return super().by_tiles(x, z, dtype)
        return lambda rows, columns: distances.decoded(distances.tile(rows, columns), dtype)

    def _counted(self, x: Tensor, z: Tensor) -> CountedDistances | None:
        if not (whole_counts(x).all() and (z is x or whole_counts(z).all())):
            return None
        left, sigma = counts(x), self._sigma()
        return CountedDistances(left, left if z is x else counts(z), lambda distances: self.of_squared_distances(distances, sigma))

    def _sigma(self) -> float:
        sigma = self.bandwidth if isinstance(self.sigma, str) else self.sigma
        self.require(sigma is not None, 'a bandwidth is required, "leave_one_out" chooses it in fitted(train, seeds)', sigma, "Call fitted first")
        assert sigma is not None
        return sigma


@dataclass(frozen=True)
class Gaussian(_Radial):
    """Falls with the squared distance: exp(-|x - z|^2 / (2 sigma^2)).

    Strictly positive definite: it fits any labels of distinct inputs. The narrower it is, the better conditioned the system and the more local the interpolant.

    Source:
        Zhang et al. 2017, section 5; sigma = 5 on MNIST: Belkin, Ma, Mandal 2018.

    Example:
        >>> import torch
        >>> round(Gaussian(1.0).gram(torch.zeros(1, 2), torch.ones(1, 2)).item(), 4)  # exp(-1)
        0.3679
    """

    @staticmethod
    def of_squared_distances(distances: Tensor, sigma: float) -> Tensor:
        return distances.mul_(-1 / (2 * sigma**2)).exp_()


@dataclass(frozen=True)
class Laplacian(_Radial):
    """Falls with the Euclidean distance and has a kink at 0: exp(-|x - z| / sigma).

    Its functions are rougher than a Gaussian kernel's and its system far better conditioned: it fits random labels in fewer passes.

    Source:
        Belkin, Ma, Mandal 2018 (sigma = 10 there).

    Example:
        >>> import torch
        >>> round(Laplacian(5.0).gram(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])).item(), 4)  # exp(-1)
        0.3679
    """

    sigma: float | Literal["leave_one_out"] = 10.0

    @staticmethod
    def of_squared_distances(distances: Tensor, sigma: float) -> Tensor:
        return distances.sqrt_().mul_(-1 / sigma).exp_()


def leave_one_out_bandwidth(owner: str, of_squared_distances: Callable[[Tensor, float], Tensor], train: Examples, subset: int) -> float:
    """The sigma on the grid whose interpolant of a subset has the least leave-one-out error.

    The grid is 2^(s/2) times the median distance, s = -6 .. 4, without bandwidths at which the matrix is singular in float64. All predictions come from one
    inverse, y_i - [K^-1 Y]_i / [K^-1]_ii; ties go to the smaller mean squared residual. The subset is class-stratified and the same at each call.

    Args:
        owner: the kernel's name, for errors.
        of_squared_distances: the kernel as a function of squared distances and sigma.
        train: the sample.
        subset: examples used, at most.

    Raises:
        DataError: all inputs are equal, or no bandwidth of the grid gives an interpolant (equal inputs).
    """
    if len(train) > subset:
        train = train.at(stratified(train.labels.numpy(), subset, np.random.default_rng(0)))
    distances = squared_distances(*[train.inputs.flatten(1).double()] * 2)
    different = distances[distances > 0]
    if not len(different):
        raise DataError(f"{owner}: inputs that differ are required to choose sigma, got {len(train)} equal ones. Give sigma as a number.")
    median = different.sqrt().median().item()
    results = [(*left_out(of_squared_distances(distances.clone(), factor * median), train), factor * median) for factor in GRID]
    error, _, sigma = min(results)
    if error == np.inf:
        raise DataError(f"{owner}: at least one bandwidth at which the Gram matrix is regular is required, got none. Drop equal inputs, or give sigma.")
    return sigma


def left_out(gram: Tensor, train: Examples) -> tuple[float, float]:
    """Leave-one-out error (a fraction) and mean squared leave-one-out residual of the interpolant; infinite where the matrix is singular."""
    factor, failed = torch.linalg.cholesky_ex(gram)
    pivots = factor.diagonal().square()
    if failed or pivots.min() < len(gram) * torch.finfo(gram.dtype).eps * pivots.max():
        return np.inf, np.inf
    inverse = torch.cholesky_inverse(factor)
    targets = torch.nn.functional.one_hot(train.labels, train.classes).to(gram.dtype)
    diagonal = inverse.diagonal().clone()
    inverse.fill_diagonal_(0)  # y_i - [K^-1 Y]_i / [K^-1]_ii without the difference, whose rounding would give the label away
    predictions = -(inverse @ targets) / diagonal[:, None]
    wrong = predictions.argmax(1) != train.labels
    return wrong.double().mean().item(), (targets - predictions).square().mean().item()
