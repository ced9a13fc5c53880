"""The device of a fit: whether it can be used, whether its memory holds the network, and its number formats."""

from __future__ import annotations

import contextlib
import functools
import math
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from shatterlab.core import Architecture, Optimizer, Part, Runtime
from shatterlab.core.errors import InvalidPart
from shatterlab.core.memory import free_memory_of_machine, gibibytes

_COPIES = 3  # every weight, its initial value, which the fit keeps, and its gradient
_FORMATS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


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


def require_memory(architecture: Architecture, optimizer: Optimizer, shape: tuple[int, ...], classes: int, device: torch.device) -> None:
    """Refuses a network of the package whose weights, gradients and optimizer state alone exceed the memory that is free.

    Batches and the sample come on top, and other processes may take what is free here, so passing is no promise. A
    network from outside is not asked: to know its size would mean to build it.

    Args:
        architecture: the network.
        optimizer: keeps further numbers for each weight.
        shape: of one input.
        classes: k.
        device: where it is to be trained.

    Raises:
        InvalidPart: it does not fit.
    """
    if not _of_the_package(architecture):
        return
    weights, others = _counts(architecture, tuple(shape), classes)
    needed, free = 4 * (weights * (_COPIES + _state(optimizer)) + others), free_memory(device)
    if needed > free:
        place = "memory" if device.type == "cpu" else f"memory of {device}"
        required = f"{gibibytes(needed)} GiB of {place} at least are required for {weights:,} weights of {architecture.kind}"
        raise InvalidPart(f"Training: {required}, got {gibibytes(free)} GiB free. Use a smaller network.")


def free_memory(device: torch.device) -> float:
    """Bytes that a process may still take on the device; infinite where the system does not tell."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return float(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return free_memory_of_machine() if device.type == "cpu" else math.inf


def _of_the_package(part: Part) -> bool:
    return type(part).__module__.startswith("shatterlab.") and not part.outside_fingerprint and not part.fingerprints()


@functools.lru_cache(maxsize=64)
def _counts(architecture: Architecture, shape: tuple[int, ...], classes: int) -> tuple[int, int]:
    """Weights and other numbers of the network, which is built without any memory."""
    with torch.device("meta"):
        network = architecture.build(shape, classes)
    return sum(each.numel() for each in network.parameters()), sum(each.numel() for each in network.buffers())


@functools.lru_cache(maxsize=64)
def _state(optimizer: Optimizer) -> int:
    """How many numbers the optimizer keeps for each weight, seen after a step on a few."""
    if not _of_the_package(optimizer):
        return 0
    weights = torch.zeros(3, requires_grad=True)
    weights.grad = torch.zeros(3)
    built = optimizer.build([weights])
    built.step()
    return sum(isinstance(value, torch.Tensor) and value.shape == weights.shape for value in built.state[weights].values())


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
