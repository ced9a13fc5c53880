"""A bandwidth chosen by leave-one-out error in closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from shatterlab.core import Examples, stratified
from shatterlab.core.errors import DataError
from shatterlab.kernels._distances import squared_distances

GRID = tuple(2 ** (step / 2) for step in range(-6, 5))  # of the median distance: 1/8 .. 4


def chosen_bandwidth(owner: str, of_squared_distances: Callable[[Tensor, float], Tensor], train: Examples, subset: int) -> float:
    """The sigma on the grid whose interpolant of a subset has the least leave-one-out error.

    The grid is 2^(s/2) times the median distance, s = -6 .. 4. All n leave-one-out predictions come from one inverse:
    y_i - [K^-1 Y]_i / [K^-1]_ii. Ties go to the smaller mean squared residual. Bandwidths at which the matrix is singular
    in float64 have no interpolant and are left out. The subset is class-stratified and the same at each call, so nothing
    is random. Cost: 11 inversions of the subset.

    Args:
        owner: the kernel's name, for errors.
        of_squared_distances: the kernel as a function of squared distances and sigma.
        train: the sample.
        subset: at most how many of its examples are looked at.

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
