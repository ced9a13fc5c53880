"""Where trials run: an executor takes tasks and gives their rows back as they finish."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # a worker process imports this module before it may import torch
    from shatterlab.core import Row, Runtime
    from shatterlab.trials.trial import Trial


@dataclass(frozen=True)
class Task:
    """A trial to run, and where."""

    trial: Trial
    runtime: Runtime


class Executor(Protocol):
    """Runs trials somewhere. Three methods; a row comes for every task, whatever becomes of the trial."""

    def submit(self, task: Task) -> None:
        """Takes a task; it may start at once or later."""
        ...

    def as_completed(self) -> Iterator[tuple[Task, Row]]:
        """Each task with its row as it finishes, until none is left; tasks may be submitted meanwhile."""
        ...

    def shutdown(self, cancel: bool = False) -> None:
        """Lets go of what the executor holds; `cancel` stops what runs and forgets what waits."""
        ...
