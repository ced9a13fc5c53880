"""Failures of the machine during a trial, in plain words: memory runs out, or the GPU no longer answers."""

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


def machine_error(problem: BaseException, device: str) -> str | None:
    """The error text of a row where the machine failed, not the code; else None.

    Args:
        problem: the exception of a trial; for a UserCodeError its cause is examined.
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
    """Whether the GPU failed during this trial and refuses all further work of the same process."""
    return str(row.get("error") or "").startswith(_GPU_LOST)


def release_after(row: Row) -> None:
    """Frees the memory of a trial that ran out of it, for the trials that follow."""
    if not str(row.get("error") or "").startswith(_MEMORY_SHORT):
        return
    gc.collect()
    with contextlib.suppress(RuntimeError):
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _is_shortage(problem: BaseException) -> bool:
    if isinstance(problem, OSError):
        return problem.errno == errno.ENOMEM
    if isinstance(problem, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(problem, RuntimeError) and _SHORTAGE.search(str(problem)) is not None


def _block(text: str) -> str:
    """The size of the block that could not be allocated, in GiB; empty where the message does not say."""
    match = _BLOCK.search(text)
    if match is None:
        return ""
    size = float(match[1]) / 1024 ** "GMKb".index(match[2][0]) if match[2][0] in "GMKb" else float(match[1]) * 1024
    return f"none for a block of {size:,.0f} GiB" if size >= 100 else f"none for a block of {size:.3g} GiB"


def _is_of_the_device(problem: BaseException) -> bool:
    accelerator = getattr(torch, "AcceleratorError", ())  # from torch 2.8 on
    return isinstance(problem, accelerator) or (isinstance(problem, RuntimeError) and _DEVICE.search(str(problem)) is not None)


def _gpu_answers(device: str) -> bool:
    """Whether the GPU still computes for this process; after an illegal memory access, for example, it refuses."""
    place = "cuda" if device == "cpu" else device  # user code may use a GPU that the runtime does not name
    try:
        return torch.ones(2, device=place).sum().item() == 2
    except (RuntimeError, AssertionError):
        return False
