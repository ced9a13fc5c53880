"""The report of a learner that fits in one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from shatterlab.core import Batch, Examples, Observer, Progress
from shatterlab.core.losses import evaluate


def report_values(observe: Observer | None, train: Examples, scores: Callable[[Tensor], Tensor], fitted: Tensor | None = None, steps: int = 1) -> None:
    """Reports the only epoch of a fit whose scores are values, with its training loss and accuracy.

    Args:
        observe: the observer.
        train: the sample, which is also the batch of the report.
        scores: of the fitted model.
        fitted: scores of the sample, where they are known; None: computed.
        steps: steps that the fit took.
    """
    if observe is None:
        return
    sample = train if fitted is None else Examples(torch.arange(len(train)), train.labels, train.classes)
    loss, accuracy = evaluate(scores if fitted is None else fitted.__getitem__, sample, "values")
    observe(Progress(1, steps, scores, "values", loss, accuracy, last=True, batch=_whole(train)))


def report_scores(
    observe: Observer | None, train: Examples, scores: Callable[[Tensor], Tensor], output: Literal["logits", "probabilities", "values", "targets"]
) -> None:
    """Reports the only epoch of a fit without training figures: the observer computes them.

    Args:
        observe: the observer.
        train: the sample, which is also the batch of the report.
        scores: of the fitted model.
        output: what the scores are.
    """
    if observe is not None:
        observe(Progress(1, 1, scores, output, last=True, batch=_whole(train)))


def _whole(train: Examples) -> Batch:
    return Batch(torch.arange(len(train)), train.inputs, train.labels)
