"""Which device a fit runs on."""

from __future__ import annotations

import torch

from shatterlab.core import Runtime
from shatterlab.core.errors import InvalidPart


def usable_device(runtime: Runtime) -> torch.device:
    """The device that the runtime names.

    Raises:
        InvalidPart: torch does not know it, or has none here.
    """
    try:
        device = torch.device(runtime.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as problem:
        reason = str(problem).partition("\n")[0].rstrip(".")
        raise InvalidPart(f"Runtime: device is one that torch can use here, got {runtime.device!r} ({reason}). Use cpu.") from problem
    return device
