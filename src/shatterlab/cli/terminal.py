"""Output at the terminal: errors and exit codes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from shatterlab.core.errors import InvalidPart, ShatterlabError, UserCodeError

if TYPE_CHECKING:
    from shatterlab.core import Row


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
