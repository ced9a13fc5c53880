"""A separating hyperplane, or the proof that there is none, by linear programming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy import optimize, sparse
from torch import Tensor, nn

from shatterlab.core import Batch, Examples, Fit, Learner, Observer, Progress, Runtime, Scalar, Seeds
from shatterlab.core.losses import evaluate
from shatterlab.solvers.checks import require_sound

Matrix = np.ndarray[Any, np.dtype[np.float64]]


class Separator(nn.Module):
    """Linear scores of which class 0 always has 0.

    Args:
        weight: (k - 1) x d, the scores of classes 1 .. k - 1.
        bias: shape (k - 1,); None: none.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)

    def forward(self, inputs: Float[Tensor, "m *shape"]) -> Float[Tensor, "m k"]:
        """Scores in float64."""
        scores = nn.functional.linear(inputs.flatten(1).double(), self.weight, self.bias)
        return torch.cat([scores.new_zeros((len(scores), 1)), scores], 1)


@dataclass(frozen=True)
class LinearSeparator(Learner):
    """Finds linear scores that give every training example its label, if there are any; a linear programme decides.

    minimize sum_i s_i subject to f_y(x_i) - f_j(x_i) >= 1 - s_i for all classes j other than the label y, s_i >= 0; f_0 = 0. The sample is
    separable exactly where the least sum is 0. With two classes that is a hyperplane with margins; without bias it passes through 0, and on points in
    general position with random labels it exists with Cover's probability (`statistics.cover_probability`). Where there is none, the
    map of least total slack is kept, which errs on some examples.

    Facts: `separable` (every example has its label by a positive margin, computed anew from the map found), `slack` (the least sum), `proof` (where
    not separable: the largest entry of sum_i lambda_i z_i for the programme's multipliers lambda, sum 1, of the differences z_i that should be
    positive, columns scaled to at most 1; multipliers that give 0 prove that no map separates, so it is rounding), `parameters`.

    Args:
        bias: learn a bias, which is one dimension more.

    Raises:
        DataError: an input is not finite.
        InvalidPart: the solver gives up.

    Source:
        Cover 1965; Bennett, Mangasarian 1992 (the programme).

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
        found = _programme(differences, owner, len(train))
        self.require(found.status == 0, "a programme that the solver can end is required", found.message, "Bring the inputs to like scales")
        maps = torch.from_numpy(found.x[: differences.shape[1]].reshape(train.classes - 1, -1) / scale)
        model = Separator(maps[:, :-1].contiguous(), maps[:, -1].contiguous()) if self.bias else Separator(maps, None)

        def score(inputs: Tensor) -> Tensor:
            with torch.no_grad():
                scores: Tensor = model(inputs)
            return scores

        separable = _separates(score(train.inputs), train.labels)
        multipliers = -found.ineqlin.marginals
        proof = None if separable else float(np.abs(differences.T @ multipliers).max() / multipliers.sum())
        facts: dict[str, Scalar] = {"separable": separable, "slack": float(found.fun), "proof": proof, "parameters": maps.numel()}
        if observe is not None:
            loss, accuracy = evaluate(score, train, "values")
            given = Batch(torch.arange(len(train)), train.inputs, train.labels)
            observe(Progress(1, 1, score, "values", loss, accuracy, last=True, batch=given))
        return Fit(score, "values", model, None, facts)

    def _scaled(self, train: Examples) -> tuple[Matrix, Matrix]:
        """The inputs with every column divided by a power of 2 near its largest value, which changes no answer, and these powers."""
        rows = train.inputs.flatten(1).double().numpy()
        rows = np.hstack([rows, np.ones((len(rows), 1))]) if self.bias else rows
        largest = np.abs(rows).max(0)
        scale = np.exp2(np.ceil(np.log2(np.where(largest > 0, largest, 1.0))))
        return rows / scale, scale


def _differences(rows: Matrix, labels: np.ndarray[Any, Any], classes: int) -> tuple[Any, np.ndarray[Any, Any]]:
    """One line for each example and other class: what, times the maps of classes 1 .. k - 1, is f_y - f_j; and whose line it is."""
    blocks, owner = [], []
    for other in range(classes):
        mine = np.flatnonzero(labels != other)
        signs = np.eye(classes)[labels[mine]] - np.eye(classes)[other]
        lines = signs[:, 1:, None] * rows[mine][:, None, :]
        blocks.append(sparse.csr_array(lines.reshape(len(mine), rows.shape[1] * (classes - 1))))
        owner.append(mine)
    return sparse.vstack(blocks, format="csr"), np.concatenate(owner)


def _programme(differences: Any, owner: np.ndarray[Any, Any], n: int) -> Any:
    lines, free = differences.shape
    slack = sparse.csr_array((np.ones(lines), (np.arange(lines), owner)), shape=(lines, n))
    constraints = -sparse.hstack([differences, slack], format="csr")
    costs = np.concatenate([np.zeros(free), np.ones(n)])
    bounds = [(None, None)] * free + [(0, None)] * n
    return optimize.linprog(costs, A_ub=constraints, b_ub=-np.ones(lines), bounds=bounds, method="highs")


def _separates(scores: Float[Tensor, "n k"], labels: Tensor) -> bool:
    label = labels[:, None]
    other = scores.scatter(1, label, -torch.inf).amax(1)
    return bool((scores.gather(1, label).squeeze(1) > other).all())
