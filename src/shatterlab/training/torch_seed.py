"""The one place that seeds torch's process-wide generator, saves its state, and leaves it as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor


@contextlib.contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Layers and dropout read torch's global generator: inside, it is seeded; afterwards it is what it was.

    With None it is only kept: whatever runs inside cannot shift anybody's randomness.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if seed is not None:
            torch.manual_seed(seed)  # noqa: TID251 (inside fork_rng, hence undone)
        yield


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators, of the processor and of this device."""
    state = {"cpu": torch.get_rng_state()}
    return state | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def restore_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Puts torch's generators into states that `random_state` gave."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
