"""The one place that seeds torch's process-wide generator, and leaves it as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Layers and dropout read torch's global generator: inside, it is seeded; afterwards it is what it was.

    With None it is only kept: whatever runs inside cannot shift anybody's randomness.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if seed is not None:
            torch.manual_seed(seed)  # noqa: TID251 (inside fork_rng, hence undone)
        yield
