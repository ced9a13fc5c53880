"""The values that travel from a data set to a row: samples, progress, fits, rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from shatterlab.core.columns import Columns
from shatterlab.core.errors import DataError, printable
from shatterlab.core.lazy_inputs import Streamed

if TYPE_CHECKING:
    from torch import Tensor

Scalar = str | int | float | bool | None
Observer = Callable[["Progress"], None]


@dataclass(frozen=True)
class Examples:
    """n labelled examples.

    Args:
        inputs: images (n x channels x height x width) in [0, 1], or table rows (n x d); float32. A streamed sample has a `Streamed`
            in place of the tensor: `inputs[indices]` reads these images from disk.
        labels: int64 in 0 .. classes - 1, shape (n,); of a regression, positions in `values`.
        classes: k, the number of classes, or of different targets, >= 2.
        levels: 255 where the source had 8-bit pixels (16 for scikit-learn's digits), else None.
        names: of the k classes, where they are not their numbers: data of the user's, to be escaped where they are shown.
        columns: of a `DataTable`: what its inputs stand for; None: inputs are numbers.
        values: of a regression: the k different targets of both splits, increasing; float64, shape (k,). None: labels are classes.
        groups: of a table with groups: the group of each example, int64, shape (n,).
        times: of a table in the order of time: the rank of each example, int64, shape (n,).
        rows: where the data set parted one table or pair of arrays itself: the row of each example in it, int64, shape (n,).
    """

    inputs: Tensor
    labels: Tensor
    classes: int
    levels: int | None = None
    names: tuple[str, ...] | None = None
    columns: Columns | None = None
    values: Tensor | None = None
    groups: Tensor | None = None
    times: Tensor | None = None
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input: (channels, height, width) or (d,)."""
        return tuple(self.inputs.shape[1:])

    @property
    def targets(self) -> Tensor:
        """Of a regression: the number to be predicted for each example; float64, shape (n,)."""
        assert self.values is not None
        return self.values[self.labels]

    def at(self, indices: Any) -> Examples:
        """The examples at these positions, in this order."""
        inputs: Any = self.inputs.at(indices) if isinstance(self.inputs, Streamed) else self.inputs[indices]
        groups, times, rows = (None if each is None else each[indices] for each in (self.groups, self.times, self.rows))
        return replace(self, inputs=inputs, labels=self.labels[indices], groups=groups, times=times, rows=rows)

    def require_classes(self, owner: str, remedy: str = "Bin it, or use a regressor.") -> None:
        """Refuses the targets of a regression.

        Raises:
            DataError: labels stand for numbers.
        """
        if self.values is not None:
            raise DataError(f"{owner}: classes are required, got a target of numbers ({len(self.values)} distinct values). {remedy}")

    def require_targets(self, owner: str) -> None:
        """Refuses classes.

        Raises:
            DataError: labels are classes.
        """
        if self.values is None:
            got = f"{self.classes} classes"
            raise DataError(f"{owner}: a target of numbers is required for a regressor, got {got}. Use a classifier, or data whose task is 'numbers'.")

    def require_numbers(self, owner: str) -> None:
        """Refuses codes of text, dates and the like, and missing values.

        Raises:
            DataError: a column holds some; the text names it.
        """
        for content, names in (self.columns.problems if self.columns else {}).items():
            which = ", ".join(printable(repr(name)) for name in names[:5]) + (", ..." if len(names) > 5 else "")
            remedy = "Fill them" if content == "missing values" else "Turn them into numbers (text into one column of 0 and 1 for each value)"
            got = f"column{'s' if len(names) > 1 else ''} {which} hold{'' if len(names) > 1 else 's'} {content}"
            raise DataError(f"{owner}: numbers in every column are required, {got}. {remedy}, or use a scikit-learn pipeline that does.")


@dataclass(frozen=True)
class Splits:
    """A training and a test sample of one data set.

    Args:
        train: the training split.
        test: the test split.
        split_text: a sentence that says how they were parted, where the data set did it; names of columns in it are data of the user's.
    """

    train: Examples
    test: Examples
    split_text: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Runtime:
    """Where and how a trial runs. It enters no key, and each row says what it was (`runtime.*`).

    On one kind of processor with one thread, a trial gives the same bits again. Another number of threads or another device rounds sums differently, and
    trainings drift apart by that: such rows are no replicates, and a report says where they are mixed. `test_every` decides at which epochs `oracle.*` looks.

    Args:
        device: a torch device, "cpu" or "cuda".
        threads: threads a process, >= 1; one is fastest where processes fill the cores.
        data: the folder that holds the data sets (None: SHATTERLAB_DATA, else the user's cache folder).
        test_every: epochs between evaluations of the test split, >= 1; more where it is larger than the training
            split, so that evaluation never costs more than training. The last epoch is always evaluated.
        readers: threads that read streamed images ahead of their use, >= 1 (None: as many as `threads`).
        checkpoints: the folder where learners store checkpoints, from which an interrupted run resumes (None: no checkpoints).
        checkpoint_every: seconds between checkpoints, >= 0.
        trial: the key of the trial that is run, which names its checkpoints; `run` sets it.
        trial_timeout: seconds after which a worker process that is still running the trial is ended, and its row is failed, > 0 (None: no limit).
    """

    device: str = "cpu"
    threads: int = 1
    data: Path | None = None
    test_every: int = 1
    readers: int | None = None
    checkpoints: Path | None = None
    checkpoint_every: float = 600.0
    trial: str = ""
    trial_timeout: float | None = None


@dataclass(frozen=True)
class Batch:
    """The examples of one or more steps, before augmentation.

    Args:
        indices: positions in the training split.
        inputs: as the sample has them.
        labels: likewise.
        targets: the tensor that the loss was computed with, labels or distributions over the classes; None: not reported.
    """

    indices: Tensor
    inputs: Tensor
    labels: Tensor
    targets: Tensor | None = None


@dataclass(frozen=True)
class Progress:
    """One epoch of a fit, as a learner reports it to its observer.

    `scores` is the current model. Losses are means over examples, accuracies fractions. Train figures are measured in
    evaluation mode on the full training split, online figures on the batches during the epoch, validation figures in
    evaluation mode on examples that the learner held out. `train_top5_accuracy` counts labels among the five highest
    scores. `batch` is set in the first and in the last epoch, from one or more of its steps. Figures that a learner does not have are None.
    """

    epoch: int
    step: int
    scores: Callable[[Tensor], Tensor]
    output: Literal["logits", "probabilities", "values", "targets"] = "logits"
    train_loss: float | None = None
    train_accuracy: float | None = None
    online_loss: float | None = None
    online_accuracy: float | None = None
    learning_rate: float | None = None
    last: bool = False
    batch: Batch | None = None
    train_top5_accuracy: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None


@runtime_checkable
class Resumable(Protocol):
    """An observer whose state is stored in a learner's checkpoints, so that a resumed run reports as an uninterrupted one."""

    def state(self) -> dict[str, Any]:
        """Its state in plain numbers, text, lists and mappings."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from such a state."""


@runtime_checkable
class ScoreWatcher(Protocol):
    """An observer that is handed the scores of the training sample as a learner computes them, before the report of the epoch; it draws no random numbers."""

    def scored(self, epoch: int, positions: Tensor, scores: Tensor, output: str) -> None:
        """Scores (m x k) of the examples at these positions of the sample (m, on the CPU), after this epoch; `output` is their meaning."""


@dataclass(frozen=True)
class Fit:
    """A fitted model: its scoring function and facts about the fit.

    Args:
        scores: inputs as `Examples` gives them -> n x k tensor on the CPU; of a regression n x 1.
        output: the meaning of the scores, which decides the loss: "logits" (cross-entropy), "probabilities"
            (-log p), "values" (squared error to one-hot), "targets" (predictions of a regression, squared error).
        model: the fitted torch module or estimator, where there is one.
        initial: parameters at initialization by name, where there are any.
        facts: scalars for the row's `fit.*` columns.
        arrays: arrays to store with the row.
    """

    scores: Callable[[Tensor], Tensor]
    output: Literal["logits", "probabilities", "values", "targets"]
    model: Any = None
    initial: Mapping[str, Tensor] | None = None
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)


class Row(Mapping[str, Scalar]):
    """One result: a read-only mapping of dotted columns to scalars.

    `curves` is in long form, (epoch, step, name, value); `arrays` are stored beside it by name.
    """

    def __init__(
        self,
        columns: Mapping[str, Scalar],
        curves: Sequence[tuple[int, int, str, float | None]] = (),
        arrays: Mapping[str, np.ndarray[Any, Any]] | None = None,
    ) -> None:
        self._columns = dict(columns)
        self.curves = tuple(curves)
        self.arrays = dict(arrays or {})

    def __getitem__(self, column: str) -> Scalar:
        return self._columns[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Row({self._columns.get('key', '?')!s:.12}, status={self._columns.get('status')}, {len(self)} columns)"

    def curve(self, name: str) -> list[tuple[int, int, float | None]]:
        """(epoch, step, value) of one named curve, in order of steps."""
        return [(epoch, step, value) for epoch, step, curve, value in self.curves if curve == name]


def stratified(labels: np.ndarray[Any, Any], n: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Positions of n examples, drawn without replacement so that class shares match to within one example; sorted.

    Args:
        labels: int64, shape (total,).
        n: how many to draw, 1 <= n <= total.
        rng: the source of randomness.
    """
    order = rng.permutation(len(labels))
    counts = np.bincount(labels)
    quota = counts * n / len(labels)
    take = np.floor(quota).astype(int)
    remainder = np.lexsort((rng.permutation(len(counts)), take - quota))
    take[remainder[: n - take.sum()]] += 1
    shuffled = labels[order]
    return np.sort(np.concatenate([order[shuffled == label][:count] for label, count in enumerate(take)]))
