"""What all studies share: how they are run, and what their result offers."""

from __future__ import annotations

import contextlib
import functools
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from shatterlab.core import Dataset, Examples, Learner, Row, Runtime, Seeds
from shatterlab.core.errors import InvalidPart, UnknownName
from shatterlab.core.frames import frame_of
from shatterlab.core.lazy_inputs import Streamed
from shatterlab.design.experiment import Experiment
from shatterlab.executors.drive import InProcess, drive
from shatterlab.executors.local import LocalPool
from shatterlab.executors.repeated_failures import RepeatedFailures
from shatterlab.report import json_report, markdown_report, notebook, render, text_report, write
from shatterlab.store.database import Store
from shatterlab.studies.model_and_data import dataset, learners, predicts_numbers
from shatterlab.studies.preflight import preflight
from shatterlab.studies.progress import shown
from shatterlab.trials.trial import Trial, sample

Form = Literal["html", "md", "json"]
_FORMS: dict[str, Form] = {".html": "html", ".htm": "html", ".md": "md", ".json": "json"}
OnRow = Callable[[Row, int, int], None]


@dataclass(frozen=True, repr=False)
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

    @property
    def findings(self) -> Sequence[Any]:
        """The numbers behind the verdict: a dataclass for each model."""
        return ()

    def save(self, path: Path | str, form: Form | None = None) -> Path:
        """Writes the report: one self-contained HTML file, Markdown with its tables, or JSON with findings and the scalars of every row.

        Args:
            path: the file.
            form: "html", "md" or "json"; None: what the name ends in.

        Raises:
            InvalidPart: the name ends in something else.
            ShatterlabError: the file cannot be written there.
        """
        chosen, lines = form or form_of(path), self.verdict.splitlines()
        if chosen == "html":
            text = render(self.experiment, self.rows, verdict=lines, reproduce=self.reproduce, scale=self.experiment.scale, folded=True)
        elif chosen == "md":
            text = markdown_report(self.experiment, self.rows, lines, self.reproduce)
        else:
            text = json_report(self.experiment, self.rows, lines, self.findings, self.reproduce)
        return Path(write(path, text))

    def figure(self, which: int | str = 0) -> Any:
        """A chart of the report, as Altair's, to be changed, shown or saved.

        Args:
            which: its place among the charts, or its title.

        Raises:
            InvalidPart: there is no chart at this place.
            UnknownName: no chart has this title.
        """
        import altair  # takes a second

        drawn = {view.title: spec for view in self.experiment.views if (spec := view.spec(self.rows)) is not None}
        if isinstance(which, str) and which not in drawn:
            raise UnknownName(f"{self.experiment.name}: chart", which, drawn)
        if not isinstance(which, str) and not -len(drawn) <= which < len(drawn):
            raise InvalidPart(f"{self.experiment.name}: a chart from 0 to {len(drawn) - 1} is required, got {which}. The titles: {', '.join(drawn) or 'none'}.")
        return altair.Chart.from_dict(drawn[which] if isinstance(which, str) else list(drawn.values())[which])

    def to_frame(self) -> Any:
        """A pandas frame with one row a trial and a column for every scalar.

        Raises:
            InvalidPart: pandas is not installed.
        """
        return frame_of(self.rows, self.experiment.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.rows)} trials: {textwrap.shorten(self.verdict, 160)}>"

    def _repr_html_(self) -> str:
        title, grid = next(((view.title, grid) for view in self.experiment.views if (grid := view.grid(self.rows)) is not None), ("", None))
        return notebook(self.verdict.splitlines(), title, grid)


def form_of(path: Path | str) -> Form:
    """The form of a report whose file ends so.

    Raises:
        InvalidPart: the name ends in something else.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMS:
        raise InvalidPart(f"report: a file that ends in .html, .md or .json is required, got {Path(path).name!r}. Rename it, or name the format.")
    return _FORMS[suffix]


Result = TypeVar("Result", bound=StudyResult)


@dataclass(frozen=True)
class Study:
    """A model, data, and where to run: the options that `audit`, `capacity` and `ledger` share.

    Args:
        name: of the study, as errors name it.
        model: what `learners` takes.
        data: what `dataset` takes.
        recipe: fields of `Training` and of its optimizer for a torch model.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.
        reproduce: commands to print in the report.
        progress: whether progress is shown where there is no on_row; None: on a terminal and in a notebook.
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
    progress: bool | None = None

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The data set that `data` stands for.

        Raises:
            InvalidPart: the study counts fitted labels, and the model is a regressor.
        """
        if self.name != "audit" and predicts_numbers(self.model):
            raise InvalidPart(f"{self.name}: a model that tells classes apart is required, got a regressor. Take a classifier, or audit the regressor.")
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
        return kind(experiment, tuple(self.rows(experiment)), tuple(self.reproduce), **fields)

    def rows(self, experiment: Experiment, announce: Callable[[Sequence[Row]], None] | None = None) -> list[Row]:
        """One row a trial of an experiment that is run to its end; `announce` as `complete` takes it."""
        return complete(experiment, self.store, self.workers, self.runtime, self.on_row, self.progress, announce)


def complete(
    experiment: Experiment,
    store: Store | Path | str | None = None,
    workers: int = 0,
    runtime: Runtime = Runtime(),
    on_row: OnRow | None = None,
    progress: bool | None = None,
    announce: Callable[[Sequence[Row]], None] | None = None,
) -> list[Row]:
    """Runs what the store is missing of an experiment until it proposes nothing more.

    Args:
        experiment: what to run.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.
        progress: whether progress is shown on standard error where there is no on_row; None: on a terminal and in a notebook.
        announce: called with the rows so far before further trials are run.

    Returns:
        One row a trial, in the order of the trials.

    Raises:
        ShatterlabError: every trial that is missing would fail: its data is missing, say, or its model cannot be built.
        UserCodeError: two trials of each model failed alike, and none ended.
    """
    opened = store if isinstance(store, Store) else Store(store or ":memory:")
    executor, failures = LocalPool(workers, runtime.threads) if workers else InProcess(), RepeatedFailures()
    try:
        missing = opened.missing(experiment.trials)
        _require_checkpoints(missing, runtime)
        preflight(missing, runtime)
        with contextlib.nullcontext(on_row) if on_row is not None else shown(progress) as watcher:
            rows = drive(experiment.trials, opened, executor, runtime, watcher, failures)
            while further := experiment.further(rows):
                if announce is not None:
                    announce(rows)
                more = drive(further, opened, executor, runtime, watcher, failures)
                if not more:  # all of them are spared, and would be proposed again
                    break
                rows += more
        return rows
    finally:
        executor.shutdown()
        if opened is not store:
            opened.close()


def _require_checkpoints(trials: Sequence[Trial], runtime: Runtime) -> None:
    """Refuses a folder for checkpoints that no learner would write to."""
    kinds = dict.fromkeys(trial.learner.kind for trial in trials)
    writes = any(part.stores_checkpoints for trial in trials for part in trial.learner.parts() if isinstance(part, Learner))
    if runtime.checkpoints is not None and kinds and not writes:
        names = ", ".join(kinds)
        raise InvalidPart(f"checkpoints: a learner that stores them is required (Training, StreamedTraining), got {names}. Leave the folder out.")
