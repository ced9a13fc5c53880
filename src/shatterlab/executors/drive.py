"""Runs the trials that a store lacks: what an executor is, the executor of this process, and `drive`."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from shatterlab.core import Row, Runtime
from shatterlab.core.errors import InvalidPart, ShatterlabError, StoreError, UserCodeError
from shatterlab.executors.repeated_failures import RepeatedFailures, model_on_data
from shatterlab.store.database import Store
from shatterlab.store.tables import Unstorable
from shatterlab.trials.machine_limits import gpu_lost
from shatterlab.trials.trial import Trial, failed, run

_log = logging.getLogger("shatterlab.executors")


@dataclass(frozen=True)
class Task:
    """A trial and the runtime to run it with."""

    trial: Trial
    runtime: Runtime


class Executor(Protocol):
    """Runs trials somewhere and returns a row for every task, also where its trial fails.

    `workers` says how many trials run at once.
    """

    workers: int

    def submit(self, task: Task) -> None:
        """Queues a task; it may start at once or later."""
        ...

    def as_completed(self) -> Iterator[tuple[Task, Row]]:
        """Each task with its row as it finishes, until none is left; tasks may be submitted meanwhile."""
        ...

    def withdraw(self, unwanted: Callable[[Task], bool]) -> int:
        """Drops waiting tasks and says how many; those that run go on."""
        ...

    def shutdown(self, cancel: bool = False) -> None:
        """Releases the executor's resources; `cancel` also stops running trials and drops the queue."""
        ...


class InProcess:
    """Runs one trial after the other in this process, when its row is requested."""

    workers = 1

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Queues a task; it runs when its turn comes in `as_completed`.

        Raises:
            InvalidPart: its runtime has a time limit, which only a worker process can be held to.
        """
        if task.runtime.trial_timeout is not None:
            raise InvalidPart(
                f"InProcess: no time limit is required, got trial_timeout = {task.runtime.trial_timeout:g}. Use worker processes, which can be ended."
            )
        self._waiting.append(task)

    def as_completed(self) -> Iterator[tuple[Task, Row]]:
        """Each task with its row, in the order of submission.

        Raises:
            ShatterlabError: the GPU failed during a trial and no longer answers this process, and trials are left. The
                row of the failed trial comes first.
        """
        while self._waiting:
            task = self._waiting.popleft()
            row = run(task.trial, task.runtime)
            yield task, row
            if gpu_lost(row) and self._waiting:
                left = f"{len(self._waiting)} trials are left"
                raise ShatterlabError(f"InProcess: a GPU that answers this process is required, it failed and {left}. Restart, or use worker processes.")

    def withdraw(self, unwanted: Callable[[Task], bool]) -> int:
        """Drops waiting tasks and says how many."""
        before = len(self._waiting)
        self._waiting = deque(task for task in self._waiting if not unwanted(task))
        return before - len(self._waiting)

    def shutdown(self, cancel: bool = False) -> None:
        """Drops the queue; this executor has no other resources."""
        self._waiting.clear()


@runtime_checkable
class Watcher(Protocol):
    """Is told how many trials are missing before the first of them ends, then of each row."""

    def begin(self, total: int, workers: int) -> None:
        """Before the first trial: how many there are, and how many run at once."""

    def __call__(self, row: Row, done: int, total: int) -> None:
        """After each trial: its row, how many are done and how many there are."""


def drive(
    trials: Iterable[Trial],
    store: Store,
    executor: Executor,
    runtime: Runtime = Runtime(),
    on_row: Callable[[Row, int, int], None] | None = None,
    failures: RepeatedFailures | None = None,
) -> list[Row]:
    """Runs the trials that the store is missing and adds each row as it finishes.

    This process is the store's only writer. After an interruption, or where the store cannot be written, the executor is
    stopped and added rows stay; the same call then runs only the missing trials. Otherwise the executor keeps
    running for the next call. Where two trials of the user's code failed alike and none of it ended, its further trials are
    not started (`RepeatedFailures`); they are counted in the log.

    Args:
        trials: the trials whose rows to return.
        store: where rows are looked up and added.
        executor: where missing trials run.
        runtime: how they run.
        on_row: called after each row is added with the row, the number of rows added and the number of trials that were missing; a `Watcher` is told that
            number before the first trial too.
        failures: of earlier calls for the same study (None: there are none).

    Returns:
        The rows of all trials from the store, in the order of the trials, each key once; none of those that were not started.

    Raises:
        StoreError: the store cannot be read or written, or a row was damaged meanwhile.
        UserCodeError: all models failed so, and no trial of the study has ended; with the user's own traceback.
        KeyboardInterrupt: passed on once the executor is stopped.
    """
    by_key = {trial.key: trial for trial in trials}
    missing = store.missing(by_key.values())
    failures = failures or RepeatedFailures()
    failures.ended += [by_key[key] for key in by_key.keys() - {each.key for each in missing}]
    try:
        spared = _run(missing, store, executor, runtime, on_row, failures)
    except BaseException:
        executor.shutdown(cancel=True)
        raise
    if spared:
        _say_spared(failures, spared, {model_on_data(trial) for trial in by_key.values()})
    rows = {row["key"]: row for row in store.rows(keys=by_key)}
    if len(rows) < len(by_key) - spared:
        got = f"got {len(by_key) - spared - len(rows)} damaged of {len(by_key)} in {Path(store.path).name}"
        raise StoreError(f"Store: whole rows are required, {got}. Run the same command again.")
    return [rows[key] for key in by_key if key in rows]


def _run(
    missing: list[Trial], store: Store, executor: Executor, runtime: Runtime, on_row: Callable[[Row, int, int], None] | None, failures: RepeatedFailures
) -> int:
    """Runs the trials; how many were not started for the failures before them."""
    wanted = [trial for trial in missing if not failures.spares(trial)]
    spared = len(missing) - len(wanted)
    if isinstance(on_row, Watcher) and wanted:
        on_row.begin(len(wanted), executor.workers)
    for trial in wanted:
        executor.submit(Task(trial, runtime))
    for done, (task, row) in enumerate(executor.as_completed(), 1):
        added = _added(store, task.trial, row)
        given_up = failures.note(task.trial, added)
        if given_up is not None:
            spared += executor.withdraw(lambda other, name=given_up: model_on_data(other.trial) == name)  # type: ignore[misc]
        if on_row is not None:
            on_row(added, done, len(missing) - spared)
    return spared


def _say_spared(failures: RepeatedFailures, spared: int, models: set[str]) -> None:
    row = next(iter(failures.given_up.values()))
    text = f"drive: code that runs is required, two trials failed alike and {spared} further ones were not started: {row.get('error')}"
    if failures.given_up.keys() >= models and not failures.ended:
        raise UserCodeError(text, str(row.get("trace") or ""))
    _log.warning("%s", text)


def _added(store: Store, trial: Trial, row: Row) -> Row:
    """Adds the row and returns it; adds a failed row instead where it belongs to another trial or cannot be stored."""
    if row["key"] != trial.key:
        row = failed(trial, "Trial: code and data that stay as they are required, they changed after this trial was submitted. Run it again.")
    try:
        store.add(row)
    except Unstorable as problem:
        row = failed(trial, str(problem))
        store.add(row)
    return row
