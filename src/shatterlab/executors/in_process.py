"""The plainest executor: one trial after the other, here."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from shatterlab.core import Row
from shatterlab.executors import Task
from shatterlab.trial import run


class InProcess:
    """Runs each trial in this process when its row is asked for."""

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Takes a task, which runs when its turn comes in `as_completed`."""
        self._waiting.append(task)

    def as_completed(self) -> Iterator[tuple[Task, Row]]:
        """Each task with its row, in the order of submission."""
        while self._waiting:
            task = self._waiting.popleft()
            yield task, run(task.trial, task.runtime)

    def shutdown(self, cancel: bool = False) -> None:
        """Forgets what waits; nothing else is held."""
        self._waiting.clear()
