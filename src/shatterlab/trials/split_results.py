"""What a fit reaches on both splits, and on the training examples whose labels were changed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from shatterlab.core import Corruption, Examples, Fit, LabelCorruption, Scalar, Splits
from shatterlab.core.losses import Evaluation, class_results, evaluation, results_of


def split_results(fit: Fit, original: Splits, corrupted: Splits, corruption: Corruption, known: Evaluation | None) -> dict[str, Scalar]:
    """The `train.*`, `test.*` and `noisy.*` columns.

    Where a label corruption left some labels as they were (any but level 1), training examples with a changed label are also compared with the label before:
    the accuracy on them is NTrain of Bansal et al. "Changed", not "redrawn": an example that was redrawn to its own class carries the right label.

    Args:
        fit: the fitted model.
        original: the sample before the corruption.
        corrupted: the sample that was fitted.
        corruption: what changed it.
        known: the evaluation of the training split, where the learner reports one; changed examples are then scored again, else nothing is.

    Source:
        Bansal, Kaplun, Barak 2021, "For self-supervised learning, rationality implies generalization, provably".
    """
    train, guesses = corrupted.train, torch.empty(len(corrupted.train), dtype=torch.int64)

    def keep(places: Any, scores: Tensor) -> None:
        guesses[places] = scores.argmax(1).cpu()

    fitted = class_results(known) if known else results_of(fit.scores, train, fit.output, keep)
    tested = results_of(fit.scores, corrupted.test, fit.output)
    columns = {f"{name}.{column}": value for name, part, values in (("train", train, fitted), ("test", corrupted.test, tested))
               for column, value in {"n": len(part), **values}.items()}  # fmt: skip
    changed = _changed(original.train, train, corruption)
    if not len(changed):
        return columns
    if known:
        evaluation(fit.scores, train.at(changed), fit.output, each=lambda chunk, scores: keep(changed[chunk], scores))
    clean, noisy = ((guesses[changed] == part.labels[changed]).double().mean().item() for part in (original.train, train))
    whole = float(str(fitted["accuracy"])) + len(changed) / len(train) * (clean - noisy)
    return columns | {"train.clean_accuracy": whole, "noisy.n": len(changed), "noisy.accuracy": noisy, "noisy.clean_accuracy": clean}


def _changed(original: Examples, train: Examples, corruption: Corruption) -> Tensor:
    """Positions of changed labels of classes; none at level 1, where nothing is left to compare them with."""
    if not isinstance(corruption, LabelCorruption) or train.values is not None or getattr(corruption, "level", None) == 1:
        return torch.empty(0, dtype=torch.int64)
    return (original.labels != train.labels).nonzero().flatten()
