"""The training curve of gradient descent on squared error, from the eigenvalues of a kernel and the labels' share in each eigenvector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from shatterlab.core.errors import DataError

Array = np.ndarray[Any, np.dtype[np.float64]]
_ASYMMETRY = 1e-8  # of the largest entry: far above float64's rounding of a matrix computed in two halves, far below a wrong matrix
_LONGEST = 2**60  # steps: a longer run counts as one that never arrives


@dataclass(frozen=True)
class Spectrum:
    """The eigenvalues lambda_i of a Gram matrix, the largest first, with their eigenvectors v_i as columns.

    Eigenvalues of up to n eps lambda_1 are rounding: such singular directions enter no inverse, and labels with a part in them have infinite `complexity`.

    Args:
        values: n eigenvalues, falling.
        vectors: n x n, orthonormal columns.
    """

    values: Array
    vectors: Array

    @classmethod
    def of(cls, gram: Any) -> Spectrum:
        """The spectrum of a Gram matrix.

        Raises:
            DataError: it is not square, symmetric and finite, is 0, or has an eigenvalue below 0 by more than rounding.
        """
        matrix = np.asarray(gram, dtype=np.float64)
        if matrix.ndim != 2 or len(matrix) != len(matrix.T) or not len(matrix):
            raise DataError(f"Spectrum: a square matrix is required, got shape {matrix.shape}. Pass gram(x, x).")
        largest = float(np.abs(matrix).max())
        if not math.isfinite(largest) or largest == 0:
            raise DataError("Spectrum: a finite matrix other than 0 is required, got one that is not. Look for inputs that are 0 or not finite.")
        if np.abs(matrix - matrix.T).max() > _ASYMMETRY * largest:
            raise DataError("Spectrum: a symmetric matrix is required, got one that is not. Pass gram(x, x).")
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        if values[0] < -1e-6 * values[-1]:
            raise DataError(f"Spectrum: eigenvalues >= 0 are required, got {values[0]:.3g} beside {values[-1]:.3g}. A kernel has none below 0.")
        return cls(values[::-1].copy(), vectors[:, ::-1].copy())

    @property
    def singular(self) -> int:
        """How many eigenvalues are 0 up to rounding."""
        return int(np.count_nonzero(self.values <= self._floor))

    @property
    def largest_rate(self) -> float:
        """The eta below which every component shrinks: 2 / lambda_1."""
        return 2 / float(self.values[0])

    @property
    def _floor(self) -> float:
        return float(len(self.values) * np.finfo(np.float64).eps * self.values[0])

    def energies(self, columns: Any) -> Array:
        """Sum over columns of (v_i' r)^2, one number an eigenvector; their sum is |r|^2.

        Args:
            columns: r, n numbers, or n x k for k classes.

        Raises:
            DataError: another number of rows.
        """
        rows = np.asarray(columns, dtype=np.float64).reshape(len(columns), -1)
        if len(rows) != len(self.values):
            raise DataError(f"Spectrum: one row of labels an example is required, got {len(rows)} for {len(self.values)}. Pass both of the same sample.")
        return np.asarray(np.square(self.vectors.T @ rows).sum(1))

    def cumulative(self, columns: Any) -> Array:
        """The share of |r|^2 in the first 1, 2, ... n eigenvectors, in [0, 1]."""
        energies = self.energies(columns)
        return np.asarray(np.cumsum(energies) / energies.sum())

    def complexity(self, columns: Any) -> float:
        """Sum over columns of y'K^-1 y: the squared norm of the minimum-norm interpolant; infinite where no function of the RKHS interpolates.

        Source:
            Arora et al. 2019, "Fine-grained analysis of optimization and generalization", equation 3.
        """
        energies, kept = self.energies(columns), self.values > self._floor
        if energies[~kept].sum() > len(energies) * np.finfo(np.float64).eps * energies.sum():
            return math.inf
        return float((energies[kept] / self.values[kept]).sum())

    def expected_complexity(self, variance: float, mean: float = 0.0) -> float:
        """E y'K^-1 y over labels that are independent with this mean and variance: variance tr K^-1 + mean^2 1'K^-1 1, exactly.

        Infinite where there is a singular direction. For k columns whose variances sum to s and that are centred, pass s.
        """
        if self.singular:
            return math.inf
        ones = self.complexity(np.ones(len(self.values))) if mean else 0.0
        return float(variance * (1 / self.values).sum() + mean**2 * ones)

    def losses(self, columns: Any, eta: float, steps: int) -> Array:
        """|r_t|^2 / n = (1/n) sum_i (1 - eta lambda_i)^(2 t) (v_i'r_0)^2 for t = 0 .. steps.

        Gradient descent on f = f_0 + K alpha gives r_(t+1) = (I - eta K) r_t. For the mean over n of the squared error summed over classes, eta = 2 lr / n.

        Args:
            columns: r_0, the labels less the scores before the first step.
            eta: the rate, > 0; above `largest_rate` the curve rises.
            steps: >= 0.

        Raises:
            DataError: a rate or number of steps out of range.

        Example:
            >>> Spectrum.of([[2.0, 0.0], [0.0, 1.0]]).losses([1.0, 1.0], eta=0.5, steps=2)  # one direction at once, one by halves
            array([1.      , 0.125   , 0.03125])
        """
        _require(eta, steps)
        return np.array([self._loss(self.energies(columns), eta, t) for t in range(steps + 1)])

    def steps_to(self, columns: Any, eta: float, loss: float) -> int | None:
        """The first t at which `losses` is at or below this loss; None where it never is, or where the rate is above `largest_rate`."""
        _require(eta, 0)
        energies = self.energies(columns)
        if self._loss(energies, eta, 0) <= loss:
            return 0
        if eta >= self.largest_rate:
            return None
        high = 1
        while self._loss(energies, eta, high) > loss:
            high *= 2
            if high > _LONGEST:
                return None
        low = high // 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._loss(energies, eta, middle) <= loss else (middle, high)
        return high

    def _loss(self, energies: Array, eta: float, t: int) -> float:
        kept = np.maximum(self.values, 0.0)
        with np.errstate(over="ignore", under="ignore"):
            return float((np.abs(1 - eta * kept) ** (2.0 * t) * energies).sum() / len(energies))


def _require(eta: float, steps: int) -> None:
    if not (math.isfinite(eta) and eta > 0) or steps < 0:
        raise DataError(f"Spectrum: a finite rate > 0 and a number of steps >= 0 are required, got {eta!r} and {steps!r}.")
