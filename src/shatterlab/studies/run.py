"""What all studies share: how they are run, and what their result offers."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from shatterlab.core import Dataset, Examples, Learner, Row, Runtime, Seeds
from shatterlab.core.lazy_inputs import Streamed
from shatterlab.design.experiment import Experiment
from shatterlab.executors.drive import InProcess, drive
from shatterlab.executors.local import LocalPool
from shatterlab.report import render, text_report, write
from shatterlab.store.database import Store
from shatterlab.studies.model_and_data import dataset, learners
from shatterlab.studies.preflight import preflight
from shatterlab.trials.trial import sample

OnRow = Callable[[Row, int, int], None]


@dataclass(frozen=True)
class StudyResult(ABC):
    """Result of a study: verdict, text, HTML.

    Args:
        experiment: trials, views and claims of the study.
        rows: one a trial.
        reproduce: the commands or calls that repeat it.
    """

    experiment: Experiment
    rows: tuple[Row, ...]
    reproduce: tuple[str, ...] = ()

    @property
    @abstractmethod
    def verdict(self) -> str:
        """The answer in plain words, in lines."""

    def text(self) -> str:
        """The report for a terminal: verdict first, then the tables."""
        return text_report(self.experiment, self.rows, self.verdict.splitlines())

    def save(self, path: Path | str) -> Path:
        """Writes the report as one self-contained HTML file.

        Raises:
            ShatterlabError: the file cannot be written there.
        """
        html = render(self.experiment, self.rows, verdict=self.verdict.splitlines(), reproduce=self.reproduce, scale=self.experiment.scale, folded=True)
        return Path(write(path, html))


Result = TypeVar("Result", bound=StudyResult)


@dataclass(frozen=True)
class Study:
    """A model, data, and where to run: the options that `audit`, `capacity` and `ledger` share.

    Args:
        name: of the study, as errors name it.
        model: what `learners` takes.
        data: what `dataset` takes.
        recipe: fields of `Training` for a torch model, and `lr`.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.
        reproduce: commands to print in the report.
    """

    name: str
    model: Any
    data: Any
    recipe: Mapping[str, Any]
    store: Store | Path | str | None
    workers: int
    runtime: Runtime
    on_row: OnRow | None
    reproduce: Sequence[str]

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The data set that `data` stands for."""
        return dataset(self.data)

    @functools.cached_property
    def train(self) -> Examples:
        """The training split of the first replicate."""
        return sample(self.dataset, self.runtime, Seeds.replicate(0)).train

    def learners(self, most: int | None = None) -> list[Learner]:
        """The learners that the model stands for.

        Args:
            most: training examples at most that the default budget is chosen for; None: all.
        """
        examples = min(len(self.train), most or len(self.train))
        return learners(self.model, examples, self.name, isinstance(self.train.inputs, Streamed), **self.recipe)

    def result(self, kind: type[Result], experiment: Experiment, **fields: Any) -> Result:
        """Runs an experiment to its end.

        Args:
            kind: of the result.
            experiment: what to run.
            fields: of the result, besides those that every result has.
        """
        rows = complete(experiment, self.store, self.workers, self.runtime, self.on_row)
        return kind(experiment, tuple(rows), tuple(self.reproduce), **fields)


def complete(
    experiment: Experiment, store: Store | Path | str | None = None, workers: int = 0, runtime: Runtime = Runtime(), on_row: OnRow | None = None
) -> list[Row]:
    """Runs what the store is missing of an experiment until it proposes nothing more.

    Args:
        experiment: what to run.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.

    Returns:
        One row a trial, in the order of the trials.

    Raises:
        ShatterlabError: every trial that is missing would fail: its data is missing, say, or its model cannot be built.
    """
    opened = store if isinstance(store, Store) else Store(store or ":memory:")
    executor = LocalPool(workers, runtime.threads) if workers else InProcess()
    try:
        preflight(opened.missing(experiment.trials), runtime)
        rows = drive(experiment.trials, opened, executor, runtime, on_row)
        while further := experiment.further(rows):
            rows += drive(further, opened, executor, runtime, on_row)
        return rows
    finally:
        executor.shutdown()
        if opened is not store:
            opened.close()
