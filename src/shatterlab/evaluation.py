"""Loss and accuracy of scores: one definition for every learner, split and figure."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Examples
from shatterlab.errors import UserCodeError

_BATCH = 2048  # examples scored at a time


def losses(scores: Tensor, labels: Tensor, output: str) -> Tensor:
    """The loss of each example: cross-entropy for logits, -log p for probabilities, squared error for values.

    Args:
        scores: n x k.
        labels: int64, shape (n,).
        output: "logits", "probabilities" or "values".

    Returns:
        Shape (n,), >= 0; infinite where a probability of the true class is 0. "values": the sum over the k
        classes of (score - one-hot)^2.
    """
    if output == "logits":
        return functional.cross_entropy(scores, labels, reduction="none")
    if output == "probabilities":
        return -scores.gather(1, labels[:, None]).squeeze(1).log()
    return (scores - functional.one_hot(labels, scores.shape[1])).square().sum(1)


def evaluate(score: Callable[[Tensor], Tensor], examples: Examples, output: str) -> tuple[float, float]:
    """Mean loss an example, and the fraction whose highest score is the label's (ties go to the lowest class).

    Raises:
        UserCodeError: the scores are not n x k.
    """
    total, correct = torch.zeros(2, dtype=torch.float64)
    for start in range(0, len(examples), _BATCH):
        some = slice(start, start + _BATCH)
        scores = score(examples.inputs[some]).detach().float()
        labels = examples.labels[some].to(scores.device)
        if scores.shape != (len(labels), examples.classes):
            wanted = (len(labels), examples.classes)
            raise UserCodeError(f"scores: examples x classes, {wanted}, are required, got {tuple(scores.shape)}. Give the model one output a class.")
        total = total.to(scores.device) + losses(scores, labels, output).double().sum()
        correct = correct.to(scores.device) + (scores.argmax(1) == labels).sum()
    return total.item() / len(examples), correct.item() / len(examples)
