"""Progress of a study: on a terminal a bar with the time left, in a notebook one line that changes, elsewhere a line a trial."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from shatterlab.core import Row

_LOG = logging.getLogger("shatterlab")
_WIDTH = 110  # of the line in a notebook


class TimeLeft:
    """When the trials will have ended, from the mean time of those that did.

    Args:
        total: trials.
        workers: that run at once.
        clock: seconds.

    Example:
        >>> now = 0.0
        >>> left = TimeLeft(total=7, workers=2, clock=lambda: now)
        >>> left.text
        ''
        >>> left.ended(seconds=60.0, done=1, total=7)
        >>> left.text  # 6 trials of a minute each, 2 at once
        'about 3 minutes left'
    """

    def __init__(self, total: int, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.workers, self.done = total, max(1, workers), 0
        self._clock, self._seconds, self._until = clock, 0.0, 0.0

    def ended(self, seconds: float, done: int, total: int) -> None:
        """A trial took so many seconds; so many are done now, of so many in all."""
        self._seconds, self.done, self.total = self._seconds + seconds, done, total
        self._until = self._clock() + self._seconds / done * (total - done) / min(self.workers, max(1, total - done))

    @property
    def text(self) -> str:
        """The time that is left in words; empty before the first trial has ended and after the last."""
        if not 0 < self.done < self.total:
            return ""
        left = max(0.0, self._until - self._clock())
        for unit, seconds in (("hour", 3600), ("minute", 60), ("second", 1)):
            if left >= 1.9 * seconds:
                return f"about {round(left / seconds)} {unit}s left"
        return "about 1 second left"


class ProgressLine(logging.Handler):
    """A bar with the time left on a terminal, one line that changes in a notebook, a line a trial elsewhere; on standard error.

    On a terminal it also shows the package's log of a long computation: the residual of a solver, say.
    """

    def __enter__(self) -> ProgressLine:
        self._console = _console()
        self._left = TimeLeft(0, 1)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if self._console.is_terminal:
            self._bar = _bar(self._console, self._time_left)
            self._bar.start()
            self._task = self._bar.add_task("", total=None)
            _LOG.addHandler(self)
            _LOG.setLevel(logging.INFO)
        return self

    def begin(self, total: int, workers: int) -> None:
        """Before the first trial: how many there are, and how many run at once."""
        self._left = TimeLeft(total, workers)
        if self._bar is not None and self._task is not None:
            self._bar.reset(self._task, total=total)
        elif self._console.is_jupyter:
            self._rewrite(f"[0/{total}]")

    def emit(self, record: logging.LogRecord) -> None:
        if self._bar is None or self._task is None:
            return
        if record.levelno >= logging.WARNING:
            self._bar.print(f"warning: {record.getMessage()}", markup=False)
        else:
            self._bar.update(self._task, description=record.getMessage())

    def __call__(self, row: Row, done: int, total: int) -> None:
        line, seconds = summary(row), row.get("seconds")
        self._left.ended(float(seconds) if isinstance(seconds, int | float) else 0.0, done, total)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, description=line)
            if row["status"] == "failed":
                self._bar.print(f"failed: {line}", markup=False)
        elif self._console.is_jupyter:
            self._rewrite(f"[{done}/{total}] {self._left.text or 'done'}: {line}")
        else:
            self._console.print(f"[{done}/{total}] {line}", markup=False, soft_wrap=True)

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            _LOG.removeHandler(self)
            self._bar.stop()
        elif self._console.is_jupyter:
            self._console.file.write("\n")

    def _time_left(self) -> str:
        waiting = "first trial" if self._left.total else "preparing"
        return self._left.text or ("" if self._left.done else waiting)

    def _rewrite(self, line: str) -> None:
        self._console.file.write(f"\r{line[:_WIDTH]:{_WIDTH}}")
        self._console.file.flush()


@contextlib.contextmanager
def shown(progress: bool | None) -> Iterator[ProgressLine | None]:
    """The progress of what runs inside.

    Args:
        progress: whether it is shown; None: where standard error is a terminal or a notebook.
    """
    console = _console()
    if progress or (progress is None and (console.is_terminal or console.is_jupyter)):
        with ProgressLine() as line:
            yield line
    else:
        yield None


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def _bar(console: Console, left: Callable[[], str]) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.table import Column
    from rich.text import Text

    class Left(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(left())

    fixed, rest = Column(no_wrap=True, min_width=7), Column(no_wrap=True, overflow="ellipsis", ratio=1)
    counted = (BarColumn(20), MofNCompleteColumn(table_column=fixed), TimeElapsedColumn(table_column=fixed), Left(table_column=fixed))
    return Progress(*counted, TextColumn("{task.description}", table_column=rest), console=console, transient=True, expand=True)


def summary(row: Row) -> str:
    """A trial and its result in one line."""
    from shatterlab.analysis.naming import model, number, setting

    name = f"{model(row)}, {setting(row)}, seeds {row['seeds.order']}"
    if row["status"] == "failed":
        return f"{name}: {row['error']}"
    scores = [(split, row.get(f"{split}.{column}"), column) for split in ("train", "test") for column in ("accuracy", "r2")]
    known = [(split, number(value, column), " R2" if column == "r2" else "") for split, value, column in scores if isinstance(value, float)]
    figures = ", ".join(f"{split}{name} {value}" for split, value, name in known)
    diverged = " diverged," if row["status"] == "diverged" else ""
    return f"{name}:{diverged} {figures} ({row['seconds']:.1f} s)"
