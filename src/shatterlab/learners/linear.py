"""Linear maps: the minimum-norm interpolant, and a separating hyperplane or the proof that there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy import optimize, sparse
from torch import Tensor, nn
from torch.nn import functional

from shatterlab.architectures.linear import linear_network
from shatterlab.core import Examples, Fit, Learner, Observer, Runtime, Scalar, Seeds
from shatterlab.learners._report import report_values
from shatterlab.solvers.system import require_sound
from shatterlab.training.device import free_memory, usable_device
from shatterlab.training.preprocessing import preparation
from shatterlab.training.torch_seed import seeded

INTERPOLATES = 1e-6  # largest |X W - Y| / |Y| that counts as interpolation
_ROWS = 4096  # examples widened to float64 at a time
Matrix = np.ndarray[Any, np.dtype[np.float64]]


class Wide(nn.Module):
    """Converts inputs to float64, in which the map is applied."""

    def forward(self, inputs: Float[Tensor, "m *shape"]) -> Float[Tensor, "m *shape"]:
        return inputs.double()


@dataclass(frozen=True)
class LinearMinimumNorm(Learner):
    """Solves X W = Y for the minimum-norm linear map, one one-hot column a class, without bias.

    W = X^+ Y: where X has rank n, the minimum-norm interpolant, which gradient descent from 0 reaches; elsewhere, the minimum-norm least-squares solution. It
    comes from the eigenvectors of the smaller of X X' and X'X in float64; singular values below some 1e-7 of the largest count as 0. Cost: n d min(n, d)
    operations for the product, about 10 min(n, d)^3 for the eigenvectors.

    Facts: `squared_norm` (|W|^2 over all classes; y'K^-1 y where it interpolates), `rank`, `relative_residual` (|X W - Y| / |Y|, recomputed from W),
    `interpolates` (it is at most 1e-6), `smallest_singular_value`, `largest_singular_value` (kept ones). Arrays: `squared_norms` by class, `singular_values`,
    largest first.

    Args:
        whiten: prepare inputs as `Training` does: images are whitened one by one, features of a table standardized.

    Raises:
        InvalidPart: the smaller of the two matrices does not fit the free memory.

    Source:
        Zhang et al. 2017, section 5, equation 3; Penrose 1956 (the minimum-norm least-squares solution).
    """

    whiten: bool = False

    @classmethod
    def specimens(cls) -> tuple[LinearMinimumNorm, ...]:
        return cls(), cls(whiten=True)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        device = usable_device(runtime)
        n, d = len(train), math.prod(train.shape)
        needed, free = 8 * (n * d + 3 * min(n, d) ** 2), free_memory(device)
        required = f"{needed / 2**30:.3g} GiB of memory are required for {n} x {d} inputs"
        self.require(needed <= free, required, f"{free / 2**30:.3g} GiB free", "Take fewer examples")
        first = nn.Sequential(preparation(train.inputs, self.whiten), Wide()).to(device)
        rows = torch.cat([first(batch.to(device)).flatten(1) for batch in train.inputs.split(_ROWS)])
        targets = functional.one_hot(train.labels, train.classes).to(rows)
        weights, kept = minimum_norm(rows, targets)
        with seeded(None, device):  # the layer draws weights, which are not used
            network = linear_network(train.shape, train.classes, bias=False).double()
        network[1].weight = nn.Parameter(weights.T.contiguous())
        model = nn.Sequential(first, network.to(device)).eval()

        def score(inputs: Tensor) -> Tensor:
            with torch.no_grad():
                return torch.cat([model(batch.to(device)).cpu() for batch in inputs.split(_ROWS)])

        residual = ((rows @ weights - targets).norm() / targets.norm()).item()
        facts: dict[str, Scalar] = {"squared_norm": weights.square().sum().item(), "rank": len(kept), "relative_residual": residual}
        facts |= {"interpolates": residual <= INTERPOLATES, "parameters": weights.numel()}
        facts |= {"smallest_singular_value": kept[-1].item(), "largest_singular_value": kept[0].item()} if len(kept) else {}
        report_values(observe, train, score)
        arrays = {"squared_norms": weights.square().sum(0).cpu().numpy(), "singular_values": kept.cpu().numpy()}
        return Fit(score, "values", model, None, facts, arrays)


def minimum_norm(rows: Float[Tensor, "n d"], targets: Float[Tensor, "n k"]) -> tuple[Float[Tensor, "d k"], Float[Tensor, " rank"]]:
    """X^+ Y and the singular values that count, largest first.

    Args:
        rows: X, float64.
        targets: Y, float64.

    Example:
        >>> x = torch.tensor([[3.0, 4.0]], dtype=torch.float64)  # one equation, two unknowns
        >>> w, kept = minimum_norm(x, torch.tensor([[25.0]], dtype=torch.float64))
        >>> [round(value, 6) for value in w.flatten().tolist()]  # the point nearest to 0 on the line 3 a + 4 b = 25
        [3.0, 4.0]
    """
    wide = rows.shape[0] <= rows.shape[1]
    values, vectors = torch.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    kept = values > max(rows.shape) * torch.finfo(rows.dtype).eps * values[-1].clamp(min=0)
    values, basis = values[kept], vectors[:, kept]
    weights = rows.new_zeros((rows.shape[1], targets.shape[1]))
    for _ in range(2):  # the second time corrects the rounding of the first
        missing = targets - rows @ weights
        if wide:
            weights = weights + rows.T @ (basis @ (basis.T @ missing / values[:, None]))
        else:
            weights = weights + basis @ (basis.T @ (rows.T @ missing) / values[:, None])
    return weights, values.flip(0).sqrt()


class Separator(nn.Module):
    """Linear scores; class 0 always has 0.

    Args:
        weight: (k - 1) x d, the scores of classes 1 .. k - 1.
        bias: shape (k - 1,); None: none.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)

    def forward(self, inputs: Float[Tensor, "m *shape"]) -> Float[Tensor, "m k"]:
        scores = nn.functional.linear(inputs.flatten(1).double(), self.weight, self.bias)
        return torch.cat([scores.new_zeros((len(scores), 1)), scores], 1)


@dataclass(frozen=True)
class LinearSeparator(Learner):
    """Finds linear scores that classify every training example, if there are any; a linear program decides.

    minimize sum_i s_i subject to f_y(x_i) - f_j(x_i) >= 1 - s_i for all classes j other than the label y, s_i >= 0; f_0 = 0. The sample is separable exactly
    where the least sum is 0. Without bias, on points in general position with two random labels, a map exists with Cover's probability
    (`theory.vc.cover_probability`). Where there is none, the fit has the least total slack.

    Facts: `separable` (every example has a positive margin, recomputed from the map), `slack` (the least sum), `proof` (where
    not separable: the largest entry of sum_i lambda_i z_i for the program's multipliers lambda, sum 1, of the differences z_i that should be
    positive, columns scaled to at most 1; multipliers that give 0 prove that no map separates, so it is rounding), `parameters`.

    Args:
        bias: learn a bias, one dimension more.

    Raises:
        DataError: an input is not finite.
        InvalidPart: the solver fails.

    Source:
        Cover 1965; Bennett, Mangasarian 1992 (the linear program).

    Example:
        >>> line = Examples(torch.tensor([[-2.0], [-1.0], [1.0], [3.0]]), torch.tensor([0, 0, 1, 1]), 2)
        >>> LinearSeparator().fit(line).facts["separable"]
        True
    """

    bias: bool = False

    @classmethod
    def specimens(cls) -> tuple[LinearSeparator, ...]:
        return cls(), cls(bias=True)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        require_sound(self.kind, train)
        rows, scale = self._scaled(train)
        differences, owner = _differences(rows, train.labels.numpy(), train.classes)
        lines, free = differences.shape
        slack = sparse.csr_array((np.ones(lines), (np.arange(lines), owner)), shape=(lines, len(train)))
        constraints, costs = -sparse.hstack([differences, slack], format="csr"), np.concatenate([np.zeros(free), np.ones(len(train))])
        bounds = [(None, None)] * free + [(0, None)] * len(train)
        solution: Any = optimize.linprog(costs, A_ub=constraints, b_ub=-np.ones(lines), bounds=bounds, method="highs")
        self.require(solution.status == 0, "a linear program that the solver can solve is required", solution.message, "Bring the inputs to like scales")
        maps = torch.from_numpy(solution.x[: differences.shape[1]].reshape(train.classes - 1, -1) / scale)
        model = Separator(maps[:, :-1].contiguous(), maps[:, -1].contiguous()) if self.bias else Separator(maps, None)

        def score(inputs: Tensor) -> Tensor:
            with torch.no_grad():
                scores: Tensor = model(inputs)
            return scores

        scores, label = score(train.inputs), train.labels[:, None]
        separable = bool((scores.gather(1, label) > scores.scatter(1, label, -torch.inf).amax(1, keepdim=True)).all())
        multipliers = -solution.ineqlin.marginals
        proof = None if separable else float(np.abs(differences.T @ multipliers).max() / multipliers.sum())
        facts: dict[str, Scalar] = {"separable": separable, "slack": float(solution.fun), "proof": proof, "parameters": maps.numel()}
        report_values(observe, train, score)
        return Fit(score, "values", model, None, facts)

    def _scaled(self, train: Examples) -> tuple[Matrix, Matrix]:
        rows = train.inputs.flatten(1).double().numpy()
        rows = np.hstack([rows, np.ones((len(rows), 1))]) if self.bias else rows
        largest = np.abs(rows).max(0)
        scale = np.exp2(np.ceil(np.log2(np.where(largest > 0, largest, 1.0))))
        return rows / scale, scale


def _differences(rows: Matrix, labels: np.ndarray[Any, Any], classes: int) -> tuple[Any, np.ndarray[Any, Any]]:
    blocks, owner = [], []
    for other in range(classes):
        mine = np.flatnonzero(labels != other)
        signs = np.eye(classes)[labels[mine]] - np.eye(classes)[other]
        lines = signs[:, 1:, None] * rows[mine][:, None, :]
        blocks.append(sparse.csr_array(lines.reshape(len(mine), rows.shape[1] * (classes - 1))))
        owner.append(mine)
    return sparse.vstack(blocks, format="csr"), np.concatenate(owner)
