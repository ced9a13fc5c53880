"""An interpolant that is far from the one of least norm."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Batch, Examples, Fit, Kernel, Learner, Observer, Progress, Runtime, Scalar, Seeds
from shatterlab.core.losses import evaluate
from shatterlab.kernels.radial import Gaussian
from shatterlab.training.device import free_memory, usable_device

INTERPOLATES = 1e-6  # largest relative residual that counts as interpolation


@dataclass(frozen=True)
class RandomCentres(Learner):
    """Interpolates with a kernel centred at random points that have nothing to do with the data: a bad interpolant.

    f(x) = sum_j k(x, u_j) C_j with f(x_i) = y_i; the m points u_j are uniform in the box between the least and the largest input value;
    where m > n, of all coefficients that fit those of least Euclidean norm are taken. The function fits every training label, and its
    norm in the kernel's space is far above the least one, that of `KernelInterpolation`. Cost: some 20 n m min(n, m) operations.

    Facts: `squared_norm` (sum over classes of c'K_uu c), `relative_residual`, `interpolates` (that it is at most 1e-6), `centres` (m).

    Args:
        kernel: k.
        ratio: m / n, >= 1. At 1 the system is square and the interpolant at its worst; many more centres approach the kernel's own
            interpolant again, as random features do (1,000 images of MNIST, sigma 5: test error 84 % at 1, 20 % at 2).

    Raises:
        InvalidPart: a field is out of range, or memory does not suffice.

    Source:
        Zhang et al. 2017, section 5: interpolants of large norm are easily made so.
    """

    kernel: Kernel
    ratio: float = 1.0

    def validate(self) -> None:
        self.require(1 <= self.ratio < math.inf, "ratio is a finite number >= 1", self.ratio)

    @classmethod
    def specimens(cls) -> tuple[RandomCentres, ...]:
        return (cls(Gaussian(2.0)),)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        device = usable_device(runtime)
        count = math.ceil(self.ratio * len(train))
        needed, free = 8 * count * (2 * count + 4 * len(train)), free_memory(device)
        self.require(needed <= free, f"{needed / 2**30:.3g} GiB of memory are required", f"{free / 2**30:.3g} GiB free", "Take fewer examples")
        kernel, inputs = self.kernel.fitted(train, seeds), train.inputs.double().to(device)
        low, high = inputs.min().item(), inputs.max().item()
        drawn = torch.from_numpy(seeds.rng("init", "centres").uniform(low, high, size=(count, *train.shape))).to(device)
        design = kernel.gram(inputs, drawn)
        targets = functional.one_hot(train.labels, train.classes).to(design)
        weights = _least(design, targets)
        residual = ((design @ weights - targets).norm() / targets.norm()).item()
        squared_norm = (weights * (kernel.gram(drawn, drawn) @ weights)).sum().item()

        def score(rows: Tensor) -> Tensor:
            return (kernel.gram(rows.double().to(device), drawn) @ weights).cpu()

        if observe is not None:
            loss, accuracy = evaluate(score, train, "values")
            given = Batch(torch.arange(len(train)), train.inputs, train.labels)
            observe(Progress(1, 1, score, "values", loss, accuracy, last=True, batch=given))
        facts: dict[str, Scalar] = {"squared_norm": squared_norm, "relative_residual": residual, "interpolates": residual <= INTERPOLATES, "centres": count}
        return Fit(score, "values", None, None, facts)


def _least(design: Tensor, targets: Tensor) -> Tensor:
    """The coefficients of least norm, by singular values, those below eps max(n, m) of the largest left out; corrected once."""
    left, values, right = torch.linalg.svd(design, full_matrices=False)
    kept = values > max(design.shape) * torch.finfo(design.dtype).eps * values[0]
    weights = design.new_zeros((design.shape[1], targets.shape[1]))
    for _ in range(2):
        weights = weights + right[kept].T @ (left[:, kept].T @ (targets - design @ weights) / values[kept, None])
    return weights
