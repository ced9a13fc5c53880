"""What a person at the terminal sees while trials run, and when something is refused."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from shatterlab.errors import ShatterlabError, UserCodeError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from shatterlab.core import Row


class ProgressLine:
    """A bar with the time left on a terminal, a line a trial elsewhere; on standard error either way."""

    def __enter__(self) -> ProgressLine:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if self._console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("trials"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
            self._bar = Progress(*columns, TextColumn("{task.description}"), console=self._console, transient=True)
            self._bar.start()
        return self

    def __call__(self, row: Row, done: int, total: int) -> None:
        told = _told(row)
        if self._bar is None:
            self._console.print(f"[{done}/{total}] {told}", markup=False, soft_wrap=True)
            return
        if self._task is None:
            self._task = self._bar.add_task("", total=total)
        self._bar.update(self._task, completed=done, total=total, description=told)
        if row["status"] == "failed":
            self._bar.print(f"failed: {told}", markup=False)

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


def _told(row: Row) -> str:
    from shatterlab.views.naming import model, setting

    name = f"{model(row)}, {setting(row)}, seeds {row['seeds.order']}"
    if row["status"] == "failed":
        return f"{name}: {row['error']}"
    figures = ", ".join(f"{split} {100 * value:.1f} %" for split in ("train", "test") if isinstance(value := row[f"{split}.accuracy"], float))
    diverged = " diverged," if row["status"] == "diverged" else ""
    return f"{name}:{diverged} {figures} ({row['seconds']:.1f} s)"


def complain(problem: ShatterlabError) -> int:
    """Prints the user's own traceback, where there is one, and the one line; returns the exit code."""
    if isinstance(problem, UserCodeError) and problem.trace:
        print(problem.trace.rstrip(), file=sys.stderr)
    print(f"error: {problem}", file=sys.stderr)
    return problem.exit_code
