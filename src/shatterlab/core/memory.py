"""The memory that is free on this machine: the system's and the control groups' word."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

_UNLIMITED = 2**60  # what cgroups that set no limit tell is larger


def free_memory_of_machine() -> float:
    """Bytes of memory that this process may still take; infinite where the system does not tell."""
    return float(min([*_available(), *_left_to_group()], default=math.inf))


def gibibytes(size: int | float) -> str:
    """A number of bytes in GiB, to three digits."""
    amount = size / 2**30
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"


def _available(meminfo: Path = Path("/proc/meminfo")) -> Iterator[int]:
    """What the system can give, page cache that it would drop included; nothing where it does not tell."""
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return
    yield from (1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))


def _left_to_group(membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """What each control group around this process still allows: a container's limit, say, under both of Linux's schemes."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        names = controllers.split(",")
        if controllers and "memory" not in names:
            continue
        files = ("memory/", "memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("", "memory.max", "memory.current")
        here = Path(path.lstrip("/"))
        for group in (here, *here.parents):
            yield from _left(root / files[0] / group, *files[1:])


def _left(group: Path, limit: str, usage: str) -> Iterator[int]:
    """Limit minus usage, in which files that the system would drop do not count; nothing where there is no limit."""
    try:
        texts = {name: (group / name).read_text().strip() for name in (limit, usage, "memory.stat")}
    except OSError:
        return
    if texts[limit] == "max" or int(texts[limit]) > _UNLIMITED:
        return
    stat = dict(line.split() for line in texts["memory.stat"].splitlines())
    dropped = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    yield max(0, int(texts[limit]) - int(texts[usage]) + dropped)
