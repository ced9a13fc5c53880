"""The state of a run on disk, from which it goes on as if it had never been stopped."""

from __future__ import annotations

import hashlib
import os
import pickle
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shatterlab.core import Examples, Learner, Runtime, Seeds
from shatterlab.core.errors import DataError
from shatterlab.core.lazy_inputs import Streamed
from shatterlab.core.part import canonical, digest

_SAMPLED = 8  # streamed inputs that enter the name: reading them all would cost an epoch


class Checkpoint:
    """One file, written whole or not at all, named after what is trained: learner, seeds and sample.

    Args:
        learner: its configuration enters the name.
        seeds: of this run.
        train: its sample.
        runtime: names the folder, and how often to write.
    """

    def __init__(self, learner: Learner, seeds: Seeds, train: Examples, runtime: Runtime) -> None:
        self._owner, self._every, self._last = learner.kind, runtime.checkpoint_every, time.monotonic()
        self.file: Path | None = None
        if runtime.checkpoints is not None:
            content = {"learner": learner.identity(), "seeds": seeds.identity(), "sample": _content(train)}
            self.file = Path(runtime.checkpoints) / f"{digest(content)[:32]}.checkpoint"

    def due(self) -> bool:
        """Whether it is time for another one."""
        return self.file is not None and time.monotonic() - self._last >= self._every

    def write(self, state: Mapping[str, Any]) -> None:
        """Puts this state in place of the last one."""
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_suffix(f".{os.getpid()}.draft")
        with draft.open("wb") as stream:
            torch.save(dict(state), stream)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self.file)
        self._last = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """The last state; None where there is none.

        Raises:
            DataError: the file is damaged.
        """
        if self.file is None or not self.file.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.file, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError) as problem:
            reason = f"{type(problem).__name__}: {problem}".partition("\n")[0].rstrip(".")
            raise DataError(f"{self._owner}: a whole checkpoint is required, got {reason} at {self.file}. Delete it; the run then starts anew.") from problem
        return state


def _content(train: Examples) -> str:
    """A hash of the labels, the sizes and the inputs: two samples that differ in one example never share a file. Of streamed inputs, a few count."""
    content = hashlib.sha256(train.labels.numpy().tobytes())
    content.update(canonical([*train.inputs.shape, train.classes]).encode())
    inputs = train.inputs
    if isinstance(inputs, Streamed):
        inputs = inputs[torch.from_numpy(np.unique(np.linspace(0, len(train) - 1, _SAMPLED).astype(int)))]
    content.update(inputs.contiguous().numpy().data)
    return content.hexdigest()
