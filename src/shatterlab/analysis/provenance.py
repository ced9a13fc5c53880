"""What rows were made with, and whether that differs among rows that are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

_DECIDING = {
    "runtime.threads": ("numbers of threads", "sums are then rounded in another order, and trainings drift apart"),
    "runtime.device": ("devices", "their kernels round differently, and trainings drift apart"),
    "runtime.capability": ("processor capabilities", "their kernels round differently, and trainings drift apart"),
    "runtime.tf32": ("settings of TF32", "products then have 10 or 23 bits"),
    "version.torch": ("versions of torch", "their kernels may round differently"),
    "runtime.test_every": ("intervals between looks at the test split", "the best of all looks (oracle) is then the best of more or fewer"),
}


def mixed_origins(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """One sentence for each thing that decides results and differs among the rows; none where they were made alike, or do not say.

    Example:
        >>> print(mixed_origins([{"runtime.threads": 1}, {"runtime.threads": 2}, {"runtime.threads": 1}])[0])
        Rows were made with different numbers of threads (1: 2 rows; 2: 1 row): sums are then rounded in another order, and trainings drift apart.
    """
    rows = list(rows)
    told = []
    for column, (what, why) in _DECIDING.items():
        counts = Counter(str(row[column]) for row in rows if row.get(column) is not None)
        if len(counts) > 1:
            kinds = "; ".join(f"{value}: {count} row{'s' if count > 1 else ''}" for value, count in sorted(counts.items()))
            told.append(f"Rows were made with different {what} ({kinds}): {why}.")
    return told
