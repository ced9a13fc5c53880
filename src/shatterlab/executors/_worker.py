"""The code of a worker process. Importing this module imports neither torch nor numpy."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shatterlab.core import Row, Runtime

Message = tuple[str, list[str], dict[str, bytes], "Runtime"]  # the trial's description, files to load, pickled factories, runtime
STARTED = ""  # the message that a trial has begun: its time counts from here
Reply = tuple["Row | None", str, str]  # the row, or None with the error and its traceback
LOG = "shatterlab"  # its INFO messages, the progress of long computations, go to the parent
_FIRST_TO_GO = 300  # is added to the score by which Linux chooses what to end when memory runs out; the driver holds the store
_PR_SET_PDEATHSIG = 1
_SILENCE = 0.5  # seconds, at least, between two of them


def serve(line: Connection, threads: int) -> None:
    """Runs the trials that arrive through the pipe, one after the other, until the pipe is closed.

    Args:
        line: the pipe; it brings a Message and takes STARTED and a Reply, and between them messages of the log (str).
        threads: of this process, >= 1.
    """
    _prepare(threads)
    logging.getLogger(LOG).addHandler(_LogSender(line))
    logging.getLogger(LOG).setLevel(logging.INFO)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            message = line.recv()
            line.send(STARTED)
            reply = _run(*message)
            try:
                line.send(reply)
            except OSError:
                raise
            except Exception as problem:  # the row cannot be pickled
                line.send(_failure(problem))


class _LogSender(logging.Handler):
    """Sends messages of the log through the pipe, at most one every `_SILENCE` seconds."""

    def __init__(self, line: Connection) -> None:
        super().__init__(logging.INFO)
        self._line, self._silent_until = line, 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if time.monotonic() >= self._silent_until:
            self._silent_until = time.monotonic() + _SILENCE
            with contextlib.suppress(OSError):
                self._line.send(record.getMessage())


def _prepare(threads: int) -> None:
    """Limits the threads before torch is imported, and ends this process when its parent ends, whatever it does then."""
    _die_with_parent()
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; the parent decides
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"  # a line for a person, without our source
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()
    import torch

    import shatterlab.trials.trial  # noqa: F401  (its time is no trial's)

    torch.set_num_threads(threads)


def _die_with_parent() -> None:
    """Its own process group, so that the parent can end what a trial started; first to go where memory runs out; ended by Linux with its parent."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    with contextlib.suppress(OSError, ValueError):
        score = Path("/proc/self/oom_score_adj")
        score.write_text(str(min(1000, int(score.read_text()) + _FIRST_TO_GO)))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # also where code of the trial never gives the interpreter's lock back
        parent = multiprocessing.parent_process()
        if parent is not None and os.getppid() != parent.pid:
            os._exit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)  # with what the trial started
        os._exit(1)


def _run(description: str, files: list[str], factories: dict[str, bytes], runtime: Runtime) -> Reply:
    from shatterlab.core.catalog import load
    from shatterlab.core.live_code import receive
    from shatterlab.trials.trial import Trial, run

    try:
        for file in files:
            load(file)
        receive(factories)
        return run(Trial.of(json.loads(description)), runtime), "", ""
    except BaseException as problem:  # also SystemExit: user code must not end the worker
        return _failure(problem)


def _failure(problem: BaseException) -> Reply:
    return None, f"{type(problem).__name__}: {problem}".partition("\n")[0], "".join(traceback.format_exception(problem))
