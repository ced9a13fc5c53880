"""The linear map of least norm among all that fit the sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from shatterlab.architectures.linear import linear_network
from shatterlab.core import Batch, Examples, Fit, Learner, Observer, Progress, Runtime, Scalar, Seeds
from shatterlab.core.losses import evaluate
from shatterlab.training.device import free_memory, usable_device
from shatterlab.training.preprocessing import preparation
from shatterlab.training.torch_seed import seeded

INTERPOLATES = 1e-6  # largest |X W - Y| / |Y| that counts as interpolation
_ROWS = 4096  # examples widened to float64 at a time


class Wide(nn.Module):
    """Brings inputs to float64, in which the map is applied."""

    def forward(self, inputs: Float[Tensor, "m *shape"]) -> Float[Tensor, "m *shape"]:
        """The same numbers."""
        return inputs.double()


@dataclass(frozen=True)
class LinearMinimumNorm(Learner):
    """Solves X W = Y for the linear map of least Euclidean norm, one one-hot column a class, without bias.

    W = X^+ Y, the pseudo-inverse: where n < d and X has rank n, of infinitely many interpolants the one of least norm, which gradient
    descent from 0 reaches; elsewhere, of the least-squares solutions the one of least norm. It comes from the eigenvectors of the smaller
    of X X' and X'X in float64; eigenvalues at or below max(n, d) eps times the largest, eps = 2.2e-16, count as 0, that is singular values
    below some 1e-7 of the largest. Cost: n d min(n, d) operations for the product, about 10 min(n, d)^3 for the eigenvectors.

    Facts: `squared_norm` (|W|^2 over all classes; y'K^-1 y where it interpolates), `rank`, `relative_residual` (|X W - Y| / |Y|, computed
    anew from W), `interpolates` (that it is at most 1e-6), `smallest_singular_value` and `largest_singular_value` of those kept.
    Arrays: `squared_norms` by class, `singular_values`, largest first.

    Args:
        whiten: prepare inputs as `Training` does: images are whitened one by one, features of a table standardized.

    Raises:
        InvalidPart: the smaller of the two matrices does not fit the memory that is free.

    Source:
        Zhang et al. 2017, section 5, equation 3; Penrose 1956 (of all least-squares solutions the one of least norm).
    """

    whiten: bool = False

    @classmethod
    def specimens(cls) -> tuple[LinearMinimumNorm, ...]:
        return cls(), cls(whiten=True)

    def fit(self, train: Examples, seeds: Seeds = Seeds(), observe: Observer | None = None, runtime: Runtime = Runtime()) -> Fit:
        device = usable_device(runtime)
        self._require_memory(train, device)
        first = nn.Sequential(preparation(train.inputs, self.whiten), Wide()).to(device)
        rows = torch.cat([first(few.to(device)).flatten(1) for few in train.inputs.split(_ROWS)])
        targets = functional.one_hot(train.labels, train.classes).to(rows)
        weights, kept = minimum_norm(rows, targets)
        with seeded(None, device):  # the layer draws weights, which are not used
            network = linear_network(train.shape, train.classes, bias=False).double()
        network[1].weight = nn.Parameter(weights.T.contiguous())
        model = nn.Sequential(first, network.to(device)).eval()

        def score(inputs: Tensor) -> Tensor:
            with torch.no_grad():
                return torch.cat([model(few.to(device)).cpu() for few in inputs.split(_ROWS)])

        residual = ((rows @ weights - targets).norm() / targets.norm()).item()
        facts: dict[str, Scalar] = {"squared_norm": weights.square().sum().item(), "rank": len(kept), "relative_residual": residual}
        facts |= {"interpolates": residual <= INTERPOLATES, "parameters": weights.numel()}
        facts |= {"smallest_singular_value": kept[-1].item(), "largest_singular_value": kept[0].item()} if len(kept) else {}
        if observe is not None:
            loss, accuracy = evaluate(score, train, "values")
            given = Batch(torch.arange(len(train)), train.inputs, train.labels)
            observe(Progress(1, 1, score, "values", loss, accuracy, last=True, batch=given))
        arrays = {"squared_norms": weights.square().sum(0).cpu().numpy(), "singular_values": kept.cpu().numpy()}
        return Fit(score, "values", model, None, facts, arrays)

    def _require_memory(self, train: Examples, device: torch.device) -> None:
        n, d = len(train), math.prod(train.shape)
        needed, free = 8 * (n * d + 3 * min(n, d) ** 2), free_memory(device)
        required = f"{needed / 2**30:.3g} GiB of memory are required for {n} x {d} inputs"
        self.require(needed <= free, required, f"{free / 2**30:.3g} GiB free", "Take fewer examples")


def minimum_norm(rows: Float[Tensor, "n d"], targets: Float[Tensor, "n k"]) -> tuple[Float[Tensor, "d k"], Float[Tensor, " rank"]]:
    """X^+ Y and the singular values that count, largest first.

    Args:
        rows: X, float64.
        targets: Y, float64.

    Example:
        >>> x = torch.tensor([[3.0, 4.0]], dtype=torch.float64)  # one equation, two unknowns
        >>> w, kept = minimum_norm(x, torch.tensor([[25.0]], dtype=torch.float64))
        >>> [round(each, 6) for each in w.flatten().tolist()]  # the point nearest to 0 on the line 3 a + 4 b = 25
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
