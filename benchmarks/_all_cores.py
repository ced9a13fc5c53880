"""Every core busy with the same task at the same time, one process of one thread each; what the chip is, and what it can do."""

from __future__ import annotations

import multiprocessing
import os
import platform
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


class Crew:
    """Processes that do one task at a time, all of them at once; each counts from the moment when all are ready.

    `shares` tells what part of the time since then each of them was running, task by task: less than 1 where something
    else on the machine took its core (or where it waited for another device).
    """

    def __init__(self, pool: ProcessPoolExecutor, processes: int) -> None:
        self.pool, self.processes = pool, processes
        self.shares: list[float] = []

    def all_do(self, task: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What each of them gives.

        Raises:
            Exception: what the first to fail raised.
        """
        futures = [self.pool.submit(_when_all_are_ready, task, arguments) for _ in range(self.processes)]
        failures = [failure for each in wait(futures).done if (failure := each.exception())]
        if failures:
            raise next((each for each in failures if not isinstance(each, threading.BrokenBarrierError)), failures[0])
        results = [each.result() for each in futures]
        self.shares += [share for _, share in results]
        return [result for result, _ in results]


_barrier: Any = None


@contextmanager
def crew(processes: int) -> Iterator[Crew]:
    """That many processes with one thread each, gone afterwards."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _enlist, (context.Barrier(processes),)) as pool:
        yield Crew(pool, processes)


def _enlist(barrier: Any) -> None:
    global _barrier
    _barrier = barrier
    torch.set_num_threads(1)


def _when_all_are_ready(task: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, float]:
    start = ran = 0.0

    def ready() -> None:
        nonlocal start, ran
        _barrier.wait()
        start, ran = time.perf_counter(), time.process_time()

    try:
        result = task(*arguments, ready)
        return result, (time.process_time() - ran) / (time.perf_counter() - start)
    except BaseException:
        _barrier.abort()  # nobody waits for one that failed
        raise


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def products(precision: str, side: int, least: float, device: torch.device, ready: Callable[[], object]) -> tuple[float, int]:
    """Operations a second in the product of two square matrices, and their side.

    Args:
        precision: the name of torch's type.
        side: halved as long as one product would take longer than `least`.
        least: seconds to measure for.
        device: where the matrices are.
        ready: called when everything is warm.
    """
    kind = getattr(torch, precision)
    small = torch.ones(256, 256, device=device, dtype=kind)
    rate = 2 * 256**3 / min(seconds(lambda: small @ small, device) for _ in range(3))
    while side > 256 and 2 * side**3 / rate > least:
        side //= 2
    left, right = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    left @ right
    ready()
    spent, count = 0.0, 0
    while spent < least:
        spent += seconds(lambda: left @ right, device)
        count += 1
    return count * 2 * side**3 / spent, side


def seconds(action: Callable[[], object], device: torch.device) -> float:
    """How long it takes, until the device has done it."""
    settle(device)
    start = time.perf_counter()
    action()
    settle(device)
    return time.perf_counter() - start


def settle(device: torch.device) -> None:
    """Waits for what the device has still to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def cpu_model() -> str:
    """Its name, where the system tells."""
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
