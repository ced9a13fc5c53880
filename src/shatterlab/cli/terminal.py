"""Output at the terminal: progress, errors and exit codes."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from shatterlab.core.errors import InvalidPart, ShatterlabError, UserCodeError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from shatterlab.core import Row


_LOG = logging.getLogger("shatterlab")


class ProgressLine(logging.Handler):
    """A bar with the time left on a terminal, a line a trial elsewhere; on standard error either way.

    On a terminal it also shows the package's log of a long computation: the residual of a solver, say.
    """

    def __enter__(self) -> ProgressLine:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.table import Column

        self._console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if self._console.is_terminal:
            fixed, rest = Column(no_wrap=True, min_width=7), Column(no_wrap=True, overflow="ellipsis", ratio=1)
            counted = (BarColumn(20), MofNCompleteColumn(table_column=fixed), TimeElapsedColumn(table_column=fixed))
            left = (TextColumn("left", table_column=Column(min_width=4)), TimeRemainingColumn(table_column=fixed))
            self._bar = Progress(*counted, *left, TextColumn("{task.description}", table_column=rest), console=self._console, transient=True, expand=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=None)
            _LOG.addHandler(self)
            _LOG.setLevel(logging.INFO)
        return self

    def emit(self, record: logging.LogRecord) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=record.getMessage())

    def __call__(self, row: Row, done: int, total: int) -> None:
        line = _summary(row)
        if self._bar is None or self._task is None:
            self._console.print(f"[{done}/{total}] {line}", markup=False, soft_wrap=True)
            return
        self._bar.update(self._task, completed=done, total=total, description=line)
        if row["status"] == "failed":
            self._bar.print(f"failed: {line}", markup=False)

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            _LOG.removeHandler(self)
            self._bar.stop()


def _summary(row: Row) -> str:
    from shatterlab.analysis.naming import model, number, setting

    name = f"{model(row)}, {setting(row)}, seeds {row['seeds.order']}"
    if row["status"] == "failed":
        return f"{name}: {row['error']}"
    scores = [(split, row.get(f"{split}.{column}"), column) for split in ("train", "test") for column in ("accuracy", "r2")]
    known = [(split, number(value, column), " R2" if column == "r2" else "") for split, value, column in scores if isinstance(value, float)]
    figures = ", ".join(f"{split}{name} {value}" for split, value, name in known)
    diverged = " diverged," if row["status"] == "diverged" else ""
    return f"{name}:{diverged} {figures} ({row['seconds']:.1f} s)"


def complain(problem: ShatterlabError) -> int:
    """Prints the user's own traceback, where there is one, and the one line; returns the exit code."""
    if isinstance(problem, UserCodeError) and problem.trace:
        print(problem.trace.rstrip(), file=sys.stderr)
    print(f"error: {problem}", file=sys.stderr)
    return problem.exit_code


def workers_or_cores(workers: int | None) -> int:
    """The number of worker processes; by default one for each core that this process may use."""
    if workers is not None and workers < 1:
        raise InvalidPart(f"--workers: a whole number >= 1 is required, got {workers}. Leave it out for one a core.")
    return workers or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def require_writable(output: Path) -> None:
    """Refuses an output file that cannot be written, before an hour of trials rather than after it."""
    folder = output.absolute().parent
    if output.is_dir() or not folder.is_dir() or not os.access(output if output.exists() else folder, os.W_OK):
        raise InvalidPart(f"--output: a file in a folder that can be written is required, got {output}. Name another one.")


def end_as_interrupted() -> None:
    """SIGTERM and SIGHUP end the trials as Ctrl-C does; a signal that the caller ignores (nohup) stays ignored."""

    def interrupt(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and threading.current_thread() is threading.main_thread() and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, interrupt)


@contextlib.contextmanager
def interruptible(store: Path) -> Iterator[None]:
    """Where Ctrl-C ends the trials, says where the finished ones are."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"Interrupted. Finished trials are in {store}; the same command does the rest.", file=sys.stderr)
        raise


def exit_code(rows: Iterable[Row]) -> int:
    """The exit code of finished trials: 1 where one failed, which it prints."""
    failures = [row for row in rows if row["status"] == "failed"]
    if failures:
        print(f"error: {len(failures)} trials failed, the first with: {failures[0]['error']}", file=sys.stderr)
    return 1 if failures else 0


def print_names(heading: str, names: Iterable[tuple[str, str]]) -> None:
    """A heading, and below it each name with its summary."""
    print(f"{heading}:")
    for name, summary in names:
        print(f"  {name:18} {summary}")
