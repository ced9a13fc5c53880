"""How long adding a row takes, and reading them all; the goal is a median of at most 2 ms a row of the middle size.

Run: python benchmarks/store.py [FOLDER]   (the folder decides the disk; default: a temporary one)
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from shatterlab.core import Row
from shatterlab.store import Store

CURVES = ("learning_rate", "online.accuracy", "online.loss", "test.accuracy", "test.loss", "train.accuracy", "train.loss")
ROWS = 300


def made_row(number: int, scalars: int, epochs: int) -> Row:
    columns = {f"learner.architecture.field{i:03d}": i / 7 + number if i % 2 else f"value {i} of trial {number}" for i in range(scalars)}
    curves = [(epoch, 391 * epoch, name, epoch / (number + 1)) for epoch in range(1, epochs + 1) for name in CURVES]
    return Row(columns | {"key": f"{number:064x}", "status": "ok"}, curves)


def measured(folder: Path, scalars: int, epochs: int) -> str:
    path = folder / f"{scalars}-{epochs}.sqlite"
    rows = [made_row(number, scalars, epochs) for number in range(ROWS)]
    milliseconds = []
    with Store(path) as store:
        for row in rows:
            start = time.perf_counter()
            store.add(row)
            milliseconds.append(1000 * (time.perf_counter() - start))
        start = time.perf_counter()
        assert len(store.rows()) == ROWS
        whole = 1000 * (time.perf_counter() - start) / ROWS
        start = time.perf_counter()
        store.rows(curves=False)
        scalar = 1000 * (time.perf_counter() - start) / ROWS
    late = sorted(milliseconds)[int(0.95 * ROWS)]
    size = path.stat().st_size / ROWS / 1024
    return f"{scalars:8d} {epochs:7d} {statistics.median(milliseconds):9.2f} {late:8.2f} {whole:9.3f} {scalar:13.3f} {size:8.1f}"


def main() -> None:
    print(" scalars  epochs  add: ms  95 %: ms  read: ms  less curves: ms  KiB    (a row; 7 curves an epoch; medians of", ROWS, "rows)")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        for scalars, epochs in ((30, 0), (90, 10), (90, 60), (90, 200), (200, 60)):
            print(measured(Path(folder), scalars, epochs))


if __name__ == "__main__":
    main()
