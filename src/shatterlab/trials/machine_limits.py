"""What a machine runs out of in mid-sweep, told as a person needs it: memory, or a GPU that answers."""

from __future__ import annotations

import contextlib
import errno
import gc
import re

import torch

from shatterlab.core import Row
from shatterlab.core.errors import ShatterlabError, UserCodeError

_MEMORY_SHORT = "Trial: memory for the network, its batches and the sample is required, got "
_GPU_LOST = "Trial: a GPU that answers is required, got "
_SHORTAGE = re.compile(r"can't allocate memory|not enough memory|out of memory|Storage size calculation overflowed|ALLOC_FAILED|bad_alloc", re.IGNORECASE)
_BLOCK = re.compile(r"(?:tried|unable) to allocate ([\d.]*\d)\.? ?(bytes|[KMGT]i?B)", re.IGNORECASE)
_DEVICE = re.compile(r"\b(CUDA|HIP|cuDNN|cuBLAS)( driver)? error\b|\b(CUBLAS|CUDNN)_STATUS_", re.IGNORECASE)


def told(problem: BaseException, device: str) -> str | None:
    """The error of a row where the machine, not the code, is what failed; else None.

    Args:
        problem: what a trial raised; of a user's code the exception that it hides counts.
        device: where the trial ran.
    """
    while isinstance(problem, UserCodeError) and problem.__cause__ is not None:
        problem = problem.__cause__
    if isinstance(problem, ShatterlabError):
        return None
    first_line = str(problem).partition("\n")[0].rstrip(".")
    if _is_shortage(problem):
        sharing = "" if device == "cpu" else ", or fewer --workers on one GPU"
        return f"{_MEMORY_SHORT}{_block(str(problem)) or first_line or type(problem).__name__}. Use a smaller network or batch_size{sharing}."
    if _is_of_the_device(problem) and not _gpu_answers(device):
        return f"{_GPU_LOST}{first_line}. What is done is kept; the same command does the rest."
    return None


def gpu_lost(row: Row) -> bool:
    """Whether the GPU failed under this trial so that it refuses whatever the same process asks of it next."""
    return str(row.get("error") or "").startswith(_GPU_LOST)


def release_after(row: Row) -> None:
    """Gives back the memory that a trial left behind where it ran short: what follows may need it."""
    if not str(row.get("error") or "").startswith(_MEMORY_SHORT):
        return
    gc.collect()
    with contextlib.suppress(RuntimeError):
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _is_shortage(problem: BaseException) -> bool:
    if isinstance(problem, OSError):
        return problem.errno == errno.ENOMEM
    named = isinstance(problem, RuntimeError) and _SHORTAGE.search(str(problem)) is not None
    return named or isinstance(problem, MemoryError | torch.OutOfMemoryError)


def _block(text: str) -> str:
    """What was asked for in vain, in GiB; nothing where the message does not tell."""
    asked = _BLOCK.search(text)
    if asked is None:
        return ""
    size = float(asked[1]) / 1024 ** "GMKb".index(asked[2][0]) if asked[2][0] in "GMKb" else float(asked[1]) * 1024
    return f"none for a block of {size:,.0f} GiB" if size >= 100 else f"none for a block of {size:.3g} GiB"


def _is_of_the_device(problem: BaseException) -> bool:
    accelerator = getattr(torch, "AcceleratorError", ())  # from torch 2.8 on
    return isinstance(problem, accelerator) or (isinstance(problem, RuntimeError) and _DEVICE.search(str(problem)) is not None)


def _gpu_answers(device: str) -> bool:
    """Whether the GPU still computes for this process; after an illegal access, say, it refuses everything."""
    place = "cuda" if device == "cpu" else device  # a user's own code may compute where the runtime does not say
    try:
        return torch.ones(2, device=place).sum().item() == 2
    except (RuntimeError, AssertionError):
        return False
