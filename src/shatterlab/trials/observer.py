"""The observer of a trial: learning curves, evaluations of the test split, and checks of the batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shatterlab.core import Examples, Progress, Scalar
from shatterlab.core.losses import Evaluation, results_of
from shatterlab.trials.self_check import SelfCheck

_CURVES = ("train_loss", "train_accuracy", "train_top5_accuracy", "online_loss", "online_accuracy", "validation_loss", "validation_accuracy", "learning_rate")
_TESTED = ("loss", "accuracy", "top5_accuracy", "r2")


class TrialObserver:
    """Records the curves of a trial, evaluates the test split every few epochs, and passes batches to the self-check.

    `final` is the evaluation of the fitted model on its training sample, where the learner reports one.
    """

    def __init__(self, test: Examples, check: SelfCheck, every: int) -> None:
        self.test, self.check, self.every = test, check, every
        self.curves: list[tuple[int, int, str, float | None]] = []
        self.last = (0, 0)
        self.final: Evaluation | None = None

    def __call__(self, progress: Progress) -> None:
        self.last = (progress.epoch, progress.step)
        if progress.last and progress.train_loss is not None and progress.train_accuracy is not None:
            self.final = Evaluation(progress.train_loss, progress.train_accuracy, progress.train_top5_accuracy)
        for name in _CURVES:
            value = getattr(progress, name)
            if value is not None:
                self.curves.append((*self.last, name.replace("_", ".", 1) if name != "learning_rate" else name, value))
        if progress.batch is not None:
            self.check.compare(progress.batch)
        if not progress.last and progress.epoch % self.every == 0:
            for name, value in results_of(progress.scores, self.test, progress.output).items():
                if name in _TESTED and isinstance(value, float):
                    self.curves.append((*self.last, f"test.{name}", value))

    def state(self) -> dict[str, Any]:
        """The state that a learner stores in its checkpoints."""
        return {"curves": self.curves, "last": self.last, "compared": self.check.counts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from the state of an interrupted run."""
        self.curves, self.last = list(map(tuple, state["curves"])), tuple(state["last"])
        self.check.counts |= state.get("compared", {})

    def finished(self, columns: Mapping[str, Scalar]) -> list[tuple[int, int, str, float | None]]:
        """The curves, ending with the final test figures; empty for a learner without epochs."""
        if not self.curves:
            return []
        ends = [(*self.last, name, value) for name in ("test.loss", "test.accuracy", "test.r2") if isinstance(value := columns.get(name), float)]
        return self.curves + ends
