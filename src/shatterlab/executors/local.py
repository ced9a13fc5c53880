"""Worker processes on this machine."""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType

from shatterlab.core import Row, Runtime, live_code
from shatterlab.core.catalog import outside_files
from shatterlab.core.errors import InvalidPart, ShatterlabError
from shatterlab.core.part import canonical
from shatterlab.executors._worker import LOG, STARTED, Message, Reply, serve
from shatterlab.executors.drive import Task
from shatterlab.trials.machine_limits import gpu_lost
from shatterlab.trials.trial import Trial, failed

_LIVES = 2  # worker deaths after which a trial counts as failed
_CHECK_EVERY = 2.0  # seconds between checks for dead workers whose pipe a child process of theirs holds open


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalPool:
    """Runs trials in worker processes of this machine, each with its own few threads.

    A worker receives the trial's description, the files that define its parts and the callables that only this process
    has, pickled; it never imports the script that started it. The death of a worker affects its own trial only, which
    runs once more and is then `failed`; one that outlasts `Runtime.trial_timeout` is ended and `failed` at once. A worker whose GPU failed during a
    trial is replaced before the next one. On Linux workers end with this process, whatever their trial does.

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
        self.workers = workers
        self._threads = threads
        self._idle = [_Slot(threads) for _ in range(workers)]
        self._running: list[tuple[_Slot, _Attempt]] = []
        self._waiting: deque[_Attempt] = deque()
        atexit.register(self.shutdown, cancel=True)

    def submit(self, task: Task) -> None:
        """Queues a task, and starts it where a worker is idle.

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
            wait([slot.line for slot, _ in self._running], timeout=min([_CHECK_EVERY, *(slot.left(attempt.task.runtime) for slot, attempt in self._running)]))
            for slot, attempt in self._running[:]:
                if slot.has_result():
                    row = self._result(slot, attempt)
                elif slot.left(attempt.task.runtime) <= 0:
                    row = _too_long(slot, attempt.task)
                else:
                    continue
                self._running.remove((slot, attempt))
                self._idle.insert(0 if slot.is_started else len(self._idle), slot)
                self._dispatch()  # the worker goes on while the caller stores the row
                if row is not None:
                    yield attempt.task, row

    def withdraw(self, unwanted: Callable[[Task], bool]) -> int:
        """Drops waiting tasks and says how many; those that run go on."""
        before = len(self._waiting)
        self._waiting = deque(attempt for attempt in self._waiting if not unwanted(attempt.task))
        return before - len(self._waiting)

    def shutdown(self, cancel: bool = False) -> None:
        """Ends the workers, after their trials unless `cancel`; drops the queue."""
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
        """The row; None where the worker died and the trial waits for its second attempt."""
        try:
            row, error, trace = slot.reply()
        except (EOFError, OSError):
            attempt.deaths += 1
            cause = slot.remove_dead()
            if attempt.deaths < _LIVES:
                self._waiting.appendleft(attempt)
                return None
            remedy = "Out of memory? Use fewer --workers, or a smaller network or batch_size." if cause == "signal 9" else "Run it alone to see why."
            row, error, trace = None, f"LocalPool: a worker process died ({cause}) twice while running this trial. {remedy}", ""
        except Exception as problem:  # this process cannot unpickle the row
            row, error, trace = None, f"{type(problem).__name__}: {problem}".partition("\n")[0], ""
        if row is not None and gpu_lost(row):
            slot.kill()  # the next task starts another worker
            slot.end()
        return failed(attempt.task.trial, error, trace) if row is None else row


def _too_long(slot: _Slot, task: Task) -> Row:
    slot.kill()
    slot.end()
    required = f"a trial within the time limit of {task.runtime.trial_timeout:g} s is required"
    return failed(task.trial, f"LocalPool: {required}, got one that was still running and was ended. Raise --trial-timeout, or see why it takes so long.")


@dataclass(eq=False)
class _Attempt:
    task: Task
    message: Message
    deaths: int = 0


class _Slot:
    """One worker process, started for the first task and again after a death."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._process: BaseProcess | None = None
        self._line: Connection | None = None
        self._received: Reply | Exception | None = None
        self._since = math.inf  # when its trial began

    @property
    def is_started(self) -> bool:
        """Whether it has a process, alive or dead."""
        return self._process is not None

    @property
    def line(self) -> Connection:
        """The pipe that brings the reply; readable too when the worker has died."""
        assert self._line is not None  # only running slots are asked
        return self._line

    def left(self, runtime: Runtime) -> float:
        """Seconds that are left to its trial, 0 where there are none."""
        limit = math.inf if runtime.trial_timeout is None else runtime.trial_timeout
        return math.inf if math.inf in (limit, self._since) else max(0.0, self._since + limit - time.monotonic())

    def start(self, message: Message) -> None:
        self._since = math.inf
        if self._process is not None:
            with contextlib.suppress(OSError):
                self.line.send(message)
                return
            self.remove_dead()  # it died idle, which is no fault of this task
        spawn = multiprocessing.get_context("spawn")
        self._line, worker_end = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(worker_end, self._threads), name="shatterlab worker")
        try:
            with _no_script_no_interrupt():
                self._process.start()
        except OSError as problem:
            self._process = self._line = None
            raise ShatterlabError(f"LocalPool: a worker process that starts is required, got {problem}. Use fewer --workers.") from problem
        worker_end.close()  # so that the death of the worker closes the pipe
        with contextlib.suppress(OSError):  # it died at once, which `reply` reports
            self.line.send(message)

    def has_result(self) -> bool:
        """Whether the worker has replied or died; messages of its log go to the log of this process."""
        while self._received is None and self.line.poll():
            try:
                received: Reply | str = self.line.recv()
            except Exception as problem:  # the pipe is closed, or this process cannot unpickle the row
                self._received = problem
                break
            if received == STARTED:
                self._since = time.monotonic()
            elif isinstance(received, str):
                logging.getLogger(LOG).info("%s", received)
            else:
                self._received = received
        return self._received is not None or (self._process is not None and not self._process.is_alive())

    def reply(self) -> Reply:
        received, self._received = self._received, None
        if received is None or isinstance(received, Exception):
            raise received or EOFError
        return received

    def remove_dead(self) -> str:
        """Removes a dead worker; returns the cause of its death."""
        process = self._process
        if process is not None:
            process.join(_CHECK_EVERY)
        self.kill()
        self.end()
        code = process.exitcode if process else None
        return "no exit code" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """Ends the process and what its trial started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError, AttributeError):
                os.killpg(self._process.pid or 0, signal.SIGKILL)
            self._process.kill()

    def end(self) -> None:
        """Closes the pipe, upon which the worker ends, and waits for its end."""
        if self._process is not None:
            self.line.close()
            self._process.join()
            self._process = self._line = None


@contextlib.contextmanager
def _no_script_no_interrupt() -> Iterator[None]:
    """A process started inside does not import the running script, and Ctrl-C does not interrupt it."""
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
