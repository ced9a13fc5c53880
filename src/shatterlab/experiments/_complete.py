"""An experiment run to its end: its trials, and those that it proposes on seeing their rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shatterlab.core import Row, Runtime
from shatterlab.executors.drive import drive
from shatterlab.executors.in_process import InProcess
from shatterlab.executors.local import LocalPool
from shatterlab.experiment import Experiment
from shatterlab.store import Store


def complete(
    experiment: Experiment,
    store: Store | Path | str | None = None,
    workers: int = 0,
    runtime: Runtime = Runtime(),
    on_row: Callable[[Row, int, int], None] | None = None,
) -> list[Row]:
    """Runs what the store is missing of an experiment until it proposes nothing more.

    Args:
        experiment: what to run.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many were to do.

    Returns:
        One row a trial, in the order of the trials.
    """
    opened = store if isinstance(store, Store) else Store(store or ":memory:")
    executor = LocalPool(workers, runtime.threads) if workers else InProcess()
    try:
        rows = drive(experiment.trials, opened, executor, runtime, on_row)
        while further := experiment.further(rows):
            rows += drive(further, opened, executor, runtime, on_row)
        return rows
    finally:
        executor.shutdown()
        if opened is not store:
            opened.close()
