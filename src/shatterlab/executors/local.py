"""Worker processes on this machine."""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType

from shatterlab.core import Row, live_code
from shatterlab.core.catalog import outside_files
from shatterlab.core.errors import InvalidPart, ShatterlabError
from shatterlab.core.part import canonical
from shatterlab.executors import Task
from shatterlab.executors._worker import LOG, Answer, Message, serve
from shatterlab.trials.machine_limits import gpu_lost
from shatterlab.trials.trial import Trial, failed

_LIVES = 2  # workers that a trial may take down with it before it counts as failed
_LOOK_EVERY = 2.0  # seconds between looks for dead workers whose line a process of their own holds open


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalPool:
    """Runs trials in worker processes of this machine, each with its own few threads.

    A worker receives the trial's description, the files that define its parts and the callables that only this process
    has, pickled; it never imports the script that started it. The death of a worker takes down its own trial only, which
    is tried once more and then `failed`. A worker whose GPU failed under a trial is replaced before the next one.

    Args:
        workers: how many trials run at once, >= 1; one a core is fastest, and more bring a warning.
        threads: threads of each worker, >= 1; takes the place of `Runtime.threads`.

    Raises:
        InvalidPart: workers or threads is below 1.
    """

    def __init__(self, workers: int, threads: int = 1) -> None:
        for name, value in (("workers", workers), ("threads", threads)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InvalidPart(f"LocalPool: {name} is a whole number >= 1, got {value!r}. Use 1 for one after the other.")
        if workers > cores():
            warnings.warn(f"LocalPool: at most one worker a core is fastest, got {workers} on {cores()}. Use --workers {cores()}.", stacklevel=2)
        self._threads = threads
        self._idle = [_Slot(threads) for _ in range(workers)]
        self._running: list[tuple[_Slot, _Attempt]] = []
        self._waiting: deque[_Attempt] = deque()
        atexit.register(self.shutdown, cancel=True)

    def submit(self, task: Task) -> None:
        """Takes a task, and starts it where a worker is idle.

        Raises:
            InvalidPart: a part is defined where a worker cannot find it, in the running script, say, or a factory cannot be pickled.
            ShatterlabError: no worker process can be started.
        """
        _require_portable(task.trial)
        task = replace(task, runtime=replace(task.runtime, threads=self._threads))
        message = canonical(task.trial.describe()), outside_files(task.trial), live_code.pickled(task.trial), task.runtime
        self._waiting.append(_Attempt(task, message))
        self._dispatch()

    def as_completed(self) -> Iterator[tuple[Task, Row]]:
        """Each task with its row as it finishes, until none is left."""
        while self._waiting or self._running:
            self._dispatch()
            wait([slot.line for slot, _ in self._running], timeout=_LOOK_EVERY)
            for slot, attempt in [(slot, attempt) for slot, attempt in self._running if slot.has_news()]:
                row = self._result(slot, attempt)
                self._running.remove((slot, attempt))
                self._idle.insert(0 if slot.is_started else len(self._idle), slot)
                self._dispatch()  # the worker goes on while the caller stores the row
                if row is not None:
                    yield attempt.task, row

    def shutdown(self, cancel: bool = False) -> None:
        """Ends the workers, after their trials unless `cancel`; what waits is forgotten."""
        self._waiting.clear()
        slots = [slot for slot, _ in self._running] + self._idle
        if cancel:
            for slot in slots:
                slot.kill()
        for slot in slots:
            slot.end()
        self._running, self._idle = [], slots

    def _dispatch(self) -> None:
        while self._waiting and self._idle:
            attempt, slot = self._waiting.popleft(), self._idle.pop(0)
            self._running.append((slot, attempt))
            slot.start(attempt.message)

    def _result(self, slot: _Slot, attempt: _Attempt) -> Row | None:
        """The row; None where the worker died and the trial is to be tried again."""
        try:
            row, error, trace = slot.answer()
        except (EOFError, OSError):
            attempt.deaths += 1
            cause = slot.bury()
            if attempt.deaths < _LIVES:
                self._waiting.appendleft(attempt)
                return None
            remedy = "Out of memory? Use fewer --workers, or a smaller network or batch_size." if cause == "signal 9" else "Run it alone to see why."
            row, error, trace = None, f"LocalPool: a worker process died ({cause}) twice while running this trial. {remedy}", ""
        except Exception as problem:  # the row holds something that this process cannot read
            row, error, trace = None, f"{type(problem).__name__}: {problem}".partition("\n")[0], ""
        if row is not None and gpu_lost(row):
            slot.replace()
        return failed(attempt.task.trial, error, trace) if row is None else row


@dataclass(eq=False)
class _Attempt:
    task: Task
    message: Message
    deaths: int = 0


class _Slot:
    """Room for one worker process, which is started for the first task and again after a death."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._process: BaseProcess | None = None
        self._line: Connection | None = None
        self._heard: Answer | Exception | None = None

    @property
    def is_started(self) -> bool:
        """Whether it has a process, which may yet have died idle."""
        return self._process is not None

    @property
    def line(self) -> Connection:
        """Where the answer comes from; readable too when the worker has died."""
        assert self._line is not None  # asked of running slots only
        return self._line

    def start(self, message: Message) -> None:
        if self._process is not None:
            with contextlib.suppress(OSError):
                self.line.send(message)
                return
            self.bury()  # it died idle: no fault of this task
        spawn = multiprocessing.get_context("spawn")
        self._line, theirs = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(theirs, self._threads), name="shatterlab worker")
        try:
            with _unseen_by_the_child():
                self._process.start()
        except OSError as problem:
            self._process = self._line = None
            raise ShatterlabError(f"LocalPool: a worker process that starts is required, got {problem}. Use fewer --workers.") from problem
        theirs.close()  # so that the death of the worker ends the line
        with contextlib.suppress(OSError):  # it died at once: `answer` tells
            self.line.send(message)

    def has_news(self) -> bool:
        """Whether it has answered or died; what it tells of its work meanwhile goes to the log of this process."""
        while self._heard is None and self.line.poll():
            try:
                heard: Answer | str = self.line.recv()
            except Exception as problem:  # the line's end, or a row that this process cannot read
                self._heard = problem
                break
            if isinstance(heard, str):
                logging.getLogger(LOG).info("%s", heard)
            else:
                self._heard = heard
        return self._heard is not None or (self._process is not None and not self._process.is_alive())

    def answer(self) -> Answer:
        heard, self._heard = self._heard, None
        if heard is None or isinstance(heard, Exception):
            raise heard or EOFError
        return heard

    def bury(self) -> str:
        """Lets go of a dead worker; says what it died of."""
        process = self._process
        if process is not None:
            process.join(_LOOK_EVERY)
        self.kill()
        self.end()
        code = process.exitcode if process else None
        return "no exit code" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"

    def replace(self) -> None:
        """Ends a worker that has answered but cannot go on; the next task starts another one."""
        self.kill()
        self.end()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        """Closes the line, upon which a worker ends, and waits for that."""
        if self._process is not None:
            self.line.close()
            self._process.join()
            self._process = self._line = None


@contextlib.contextmanager
def _unseen_by_the_child() -> Iterator[None]:
    """A process started inside is told of no script to import, and is not interrupted from the keyboard."""
    script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _require_portable(trial: Trial) -> None:
    for part in trial.parts():
        module = type(part).__module__
        if not (module.startswith("shatterlab.") or part.outside_fingerprint):
            remedy = "Put it in a file of its own and load that with `catalog.load`, or use InProcess."
            raise InvalidPart(f"LocalPool: parts of the package or of a loaded file are required, {part.kind} is defined in {module}. {remedy}")
