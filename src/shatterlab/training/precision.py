"""Number formats of a training run, and what a processor makes of them."""

from __future__ import annotations

import contextlib
import functools
import time
import warnings
from pathlib import Path
from typing import Any

import torch

_FORMATS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """The context of forward passes: "bfloat16" or "float16" for matrix products and convolutions, or nothing for "float32"."""
    if precision == "float32":
        return contextlib.nullcontext()
    if precision == "bfloat16" and device.type == "cpu" and not _has_bfloat16():
        _warn_of_cost()
    return torch.autocast(device.type, dtype=_FORMATS[precision])


@functools.cache
def _has_bfloat16() -> bool:
    """Whether this processor has bfloat16 instructions; taken for granted where the system does not tell."""
    try:
        words = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return True
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(words)


@functools.cache
def _warn_of_cost() -> None:
    square = torch.ones(768, 768)
    seconds = {kind: min(_seconds(square.to(kind)) for _ in range(3)) for kind in (torch.float32, torch.bfloat16)}
    ratio = seconds[torch.bfloat16] / seconds[torch.float32]
    warnings.warn(
        f"Training: this processor has no bfloat16 instructions; a matrix product takes {ratio:.1f} times as long as in float32. Use precision='float32' here.",
        RuntimeWarning,
        stacklevel=4,
    )


def _seconds(square: torch.Tensor) -> float:
    start = time.perf_counter()
    square @ square
    return time.perf_counter() - start
