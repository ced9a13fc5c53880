"""Trials in, rows in the store: only what is missing runs, and what is done stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shatterlab.core import Row, Runtime
from shatterlab.executors import Executor, Task
from shatterlab.store.database import Store
from shatterlab.store.tables import Unstorable
from shatterlab.trials.trial import Trial, failed


def drive(
    trials: Iterable[Trial],
    store: Store,
    executor: Executor,
    runtime: Runtime = Runtime(),
    on_row: Callable[[Row, int, int], None] | None = None,
) -> list[Row]:
    """Runs the trials that the store is missing and adds each row as it finishes.

    This process is the store's only writer. Where it is interrupted, or the store cannot be written, the executor is
    stopped and what was added stays; the same call then does only what is missing. Otherwise the executor is left
    running for the next call.

    Args:
        trials: what is asked for.
        store: where the rows go.
        executor: where the trials run.
        runtime: how they run.
        on_row: called after each row was added with the row, how many are done and how many were missing.

    Returns:
        The rows of all trials from the store, in the order of the trials, each key once.

    Raises:
        StoreError: the store cannot be read or written.
        KeyboardInterrupt: passed on once the executor is stopped.
    """
    asked = {trial.key: trial for trial in trials}
    missing = store.missing(asked.values())
    try:
        for trial in missing:
            executor.submit(Task(trial, runtime))
        for done, (task, row) in enumerate(executor.as_completed(), 1):
            added = _added(store, task.trial, row)
            if on_row is not None:
                on_row(added, done, len(missing))
    except BaseException:
        executor.shutdown(cancel=True)
        raise
    found = {row["key"]: row for row in store.rows(keys=asked)}
    return [found[key] for key in asked]


def _added(store: Store, trial: Trial, row: Row) -> Row:
    """The row as it was added; a failed one in its place where the row is not this trial's or cannot be stored."""
    if row["key"] != trial.key:
        row = failed(trial, "Trial: code and data that stay as they are required, they changed after this trial was asked for. Run it again.")
    try:
        store.add(row)
    except Unstorable as problem:
        row = failed(trial, str(problem))
        store.add(row)
    return row
