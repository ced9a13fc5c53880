"""The plainest executor: one trial after the other, here."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from shatterlab.core import Row
from shatterlab.core.errors import ShatterlabError
from shatterlab.executors import Task
from shatterlab.trials.machine_limits import gpu_lost
from shatterlab.trials.trial import run


class InProcess:
    """Runs each trial in this process when its row is asked for."""

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Takes a task, which runs when its turn comes in `as_completed`."""
        self._waiting.append(task)

    def as_completed(self) -> Iterator[tuple[Task, Row]]:
        """Each task with its row, in the order of submission.

        Raises:
            ShatterlabError: the GPU failed under a trial and answers this process no more, and trials are left; the
                row of that trial is given before.
        """
        while self._waiting:
            task = self._waiting.popleft()
            row = run(task.trial, task.runtime)
            yield task, row
            if gpu_lost(row) and self._waiting:
                left = f"{len(self._waiting)} trials are left"
                raise ShatterlabError(f"InProcess: a GPU that answers this process is required, it failed and {left}. Start anew, or use worker processes.")

    def shutdown(self, cancel: bool = False) -> None:
        """Forgets what waits; nothing else is held."""
        self._waiting.clear()
