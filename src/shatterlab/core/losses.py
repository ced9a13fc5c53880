"""Loss and accuracy of scores, loss and R2 of predictions: one definition for every learner, split and figure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from shatterlab.core import Examples, Scalar
from shatterlab.core.errors import UserCodeError
from shatterlab.core.lazy_inputs import chunks

_BATCH = 2048  # examples scored at a time
TOP = 10  # with so many classes or fewer, top-5 accuracy is not reported


class Evaluation(NamedTuple):
    """Mean loss, top-1 accuracy, and top-5 accuracy (None with 10 classes or fewer)."""

    loss: float
    accuracy: float
    top5: float | None


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


def soft_losses(scores: Tensor, targets: Tensor, output: str) -> Tensor:
    """The loss of each example whose target is a distribution over the classes: for logits, the mean of `losses` under it.

    Args:
        scores: n x k.
        targets: n x k, each row >= 0 with sum 1.
        output: "logits" for cross-entropy, or "values" for the squared error to the target.

    Returns:
        Shape (n,). One-hot targets give the values of `losses`.
    """
    if output == "logits":
        return functional.cross_entropy(scores, targets, reduction="none")
    return (scores - targets).square().sum(1)


def evaluate(score: Callable[[Tensor], Tensor], examples: Examples, output: str) -> tuple[float, float]:
    """Mean loss and accuracy: `evaluation` without top-5 accuracy.

    Raises:
        UserCodeError: the scores are not n x k.
    """
    return evaluation(score, examples, output)[:2]


def evaluation(
    score: Callable[[Tensor], Tensor],
    examples: Examples,
    output: str,
    batch: int = _BATCH,
    threads: int | None = None,
    total: Callable[[Tensor], Tensor] = lambda sums: sums,
    each: Callable[[slice, Tensor], object] = lambda chunk, scores: None,
) -> Evaluation:
    """Mean loss, top-1 and top-5 accuracy (ties go to the lowest class).

    Args:
        score: inputs -> scores, n x k.
        examples: the sample to score.
        output: the meaning of the scores, as for `losses`.
        batch: examples scored at a time.
        threads: that read streamed inputs ahead (None: as many as torch uses).
        total: sums a tensor over the processes that score a share each.
        each: called with the positions and the scores of every batch.

    Raises:
        UserCodeError: the scores are not n x k.
    """
    loss, correct, top5 = torch.zeros(3, dtype=torch.float64)
    for chunk, inputs in chunks(examples.inputs, batch, threads or torch.get_num_threads()):
        scores = score(inputs).detach().float()
        labels = examples.labels[chunk].to(scores.device)
        if scores.shape != (len(labels), examples.classes):
            required = (len(labels), examples.classes)
            raise UserCodeError(f"scores: examples x classes, {required}, are required, got {tuple(scores.shape)}. Give the model one output a class.")
        each(chunk, scores)
        loss = loss.to(scores.device) + losses(scores, labels, output).double().sum()
        correct = correct.to(scores.device) + (scores.argmax(1) == labels).sum()
        top5 = top5.to(scores.device) + top_five(scores, labels)
    count = torch.tensor(len(examples), dtype=torch.float64, device=loss.device)
    *sums, n = total(torch.stack([loss, correct, top5, count])).tolist()
    return Evaluation(sums[0] / n, sums[1] / n, sums[2] / n if examples.classes > TOP else None)


def results_of(
    score: Callable[[Tensor], Tensor], examples: Examples, output: str, each: Callable[[slice, Tensor], object] = lambda chunk, scores: None
) -> dict[str, Scalar]:
    """The columns of one split: loss, accuracy, error and top-5 accuracy of classes; loss, R2 and RMSE of numbers, whose accuracy and error are None.

    Args:
        score: inputs -> scores, n x k; of a regression predictions, n x 1.
        examples: the sample to score.
        output: the meaning of the scores, as for `losses`; of a regression "targets".
        each: called with the positions and the scores of every batch of a classification.

    Raises:
        UserCodeError: the scores have another shape.
    """
    if examples.values is None:
        return class_results(evaluation(score, examples, output, each=each))
    predictions = torch.cat([score(inputs).detach().cpu().double() for _, inputs in chunks(examples.inputs, _BATCH, torch.get_num_threads())])
    if predictions.shape != (len(examples), 1):
        raise UserCodeError(f"scores: one prediction an example, {(len(examples), 1)}, is required, got {tuple(predictions.shape)}. Predict one target.")
    return {"accuracy": None, "error": None, **number_results(predictions[:, 0], examples.targets)}


def class_results(figures: Evaluation) -> dict[str, Scalar]:
    """Loss, accuracy, error and, with more than 10 classes, top-5 accuracy as columns."""
    columns: dict[str, Scalar] = {"loss": figures.loss, "accuracy": figures.accuracy, "error": 1 - figures.accuracy}
    return columns if figures.top5 is None else columns | {"top5_accuracy": figures.top5}


def number_results(predictions: Tensor, targets: Tensor) -> dict[str, Scalar]:
    """Mean squared error (`loss`), its root, and R2 = 1 - SSE / SST about the mean of these targets with its standard error (None where all are equal).

    The standard error (`r2_se`) is that of a ratio of two means over the examples, by linearization, for n independent examples.

    Args:
        predictions: float64, shape (n,).
        targets: likewise.

    Example:
        >>> number_results(torch.tensor([1.0, 2.0, 4.0]).double(), torch.tensor([1.0, 2.0, 3.0]).double())["r2"]
        0.5
    """
    errors, spread, n = (predictions - targets).square(), (targets - targets.mean()).square(), len(targets)
    loss = float(errors.sum()) / n
    columns: dict[str, Scalar] = {"loss": loss, "r2": None, "r2_se": None, "rmse": math.sqrt(loss)}
    if bool((targets == targets[0]).all()):
        return columns
    ratio = float(errors.sum() / spread.sum())
    away = (errors - ratio * spread) / spread.mean()
    return columns | {"r2": 1 - ratio, "r2_se": math.sqrt(float(away.square().sum()) / (n * (n - 1)))}


def top_five(scores: Tensor, labels: Tensor) -> Tensor:
    """The number of labels among the five highest scores of their example; 0 with `TOP` classes or fewer."""
    if scores.shape[1] <= TOP:
        return torch.zeros((), device=scores.device)
    return (scores.topk(5, dim=1).indices == labels[:, None]).any(1).sum()
