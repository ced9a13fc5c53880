"""The state of a run on disk, from which it goes on as if it had never been stopped."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from shatterlab.core import Examples, Learner, Runtime, Seeds
from shatterlab.core.errors import DataError
from shatterlab.core.lazy_inputs import Streamed
from shatterlab.core.part import canonical, digest

_SAMPLED = 8  # streamed inputs that enter the identity: reading them all would cost an epoch; the trial's key covers the files
_DIGEST = hashlib.sha256().digest_size
_log = logging.getLogger("shatterlab.training")


class Checkpoint:
    """Two files, the newest state and the one before, each written whole or not at all and closed by a SHA-256 of its content.

    They are named after what is trained, which they also hold: the trial, the learner, the seeds and the sample. A newer file that is
    damaged or cut short is left aside for the one before, with a warning in the log.

    Args:
        learner: its configuration enters the identity.
        seeds: of this run.
        train: its sample.
        runtime: names the folder, how often to write, and the trial.
    """

    def __init__(self, learner: Learner, seeds: Seeds, train: Examples, runtime: Runtime) -> None:
        self._owner, self._every, self._last = learner.kind, runtime.checkpoint_every, time.monotonic()
        self._terminated = False
        self.identity = ""
        self.file: Path | None = None
        if runtime.checkpoints is not None:
            content = {"trial": runtime.trial, "learner": learner.identity(), "seeds": seeds.identity(), "sample": _content(train)}
            self.identity = digest(content)
            self.file = Path(runtime.checkpoints) / f"{self.identity[:32]}.checkpoint"

    def due(self) -> bool:
        """Whether it is time for another one."""
        return self.file is not None and (self._terminated or time.monotonic() - self._last >= self._every)

    @contextlib.contextmanager
    def written_on_termination(self) -> Iterator[None]:
        """Inside, SIGTERM makes a checkpoint due after the step in hand; once that is written, the process ends by the signal."""
        main = threading.current_thread() is threading.main_thread()
        if self.file is None or not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            yield
            return

        def note(*_: object) -> None:
            self._terminated = True

        signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if self._terminated:
                os.kill(os.getpid(), signal.SIGTERM)

    def write(self, state: Mapping[str, Any]) -> None:
        """Puts this state in place of the last one, which becomes the one before."""
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_suffix(f".{os.getpid()}.draft")
        with draft.open("wb") as stream:
            hashed = _Hashed(stream)
            torch.save({"identity": self.identity, **state}, hashed)  # type: ignore[arg-type]
            stream.write(hashed.content.digest())
            stream.flush()
            os.fsync(stream.fileno())
        if self.file.exists():
            self.file.replace(self._before)
        draft.replace(self.file)
        self._last = time.monotonic()
        if self._terminated:
            raise SystemExit(128 + signal.SIGTERM)

    def read(self) -> dict[str, Any] | None:
        """The newest state that is whole; None where there is none. Drafts of killed runs are removed.

        Raises:
            DataError: every file that is there is damaged or belongs to another run.
        """
        if self.file is None:
            return None
        for draft in self.file.parent.glob(f"{self.file.stem}.*.draft"):
            draft.unlink(missing_ok=True)
        problems = []
        for file in (self.file, self._before):
            if not file.is_file():
                continue
            try:
                state = self._whole(file)
            except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError, TypeError) as problem:
                reason = f"{type(problem).__name__}: {problem}".partition("\n")[0].rstrip(".")
                problems.append(f"{reason} at {file}")
                continue
            if problems:
                _log.warning("%s: the newest checkpoint is damaged (%s); the run goes on from the one before", self._owner, problems[0])
            return state
        if problems:
            raise DataError(f"{self._owner}: a whole checkpoint of this run is required, got {problems[0]}. Delete it; the run then starts over.")
        return None

    @property
    def _before(self) -> Path:
        assert self.file is not None
        return self.file.with_suffix(".before")

    def _whole(self, file: Path) -> dict[str, Any]:
        size = file.stat().st_size - _DIGEST
        if size <= 0:
            raise EOFError("the file is too short")
        content = hashlib.sha256()
        with file.open("rb") as stream:
            for start in range(0, size, 2**20):
                content.update(stream.read(min(2**20, size - start)))
            if stream.read() != content.digest():
                raise ValueError("the content does not match its SHA-256")
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        if state["identity"] != self.identity:
            raise ValueError("it belongs to another trial, learner, seed or sample")
        return state


class _Hashed:
    """A stream that hashes what is written to it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.content = stream, hashlib.sha256()

    def write(self, data: Any) -> int:
        self.content.update(data)
        return self.stream.write(data)

    def flush(self) -> None:
        self.stream.flush()


def _content(train: Examples) -> str:
    """A hash of the labels, the sizes and the inputs: two samples that differ in one example never share a file. Of streamed inputs, eight count."""
    content = hashlib.sha256(train.labels.numpy().tobytes())
    content.update(canonical([*train.inputs.shape, train.classes]).encode())
    inputs = train.inputs
    if isinstance(inputs, Streamed):
        inputs = inputs[torch.from_numpy(np.unique(np.linspace(0, len(train) - 1, _SAMPLED).astype(int)))]
    content.update(inputs.contiguous().numpy().data)
    return content.hexdigest()
