"""What the store and the executors cost: adding a row (goal: a median of at most 2 ms), reading it, driving a trial (at most 3 ms).

Run: python benchmarks/store.py [FOLDER]   (the folder decides the disk; default: a temporary one)
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from shatterlab.architectures.mlp import MLP
from shatterlab.core import Row, Runtime, Seeds
from shatterlab.corruptions.labels import PartialLabels
from shatterlab.datasets.digits import Digits
from shatterlab.executors.drive import Executor, InProcess, drive
from shatterlab.executors.local import LocalPool
from shatterlab.learners.training import Training
from shatterlab.store.database import Store
from shatterlab.trials.trial import Trial

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


def driven(folder: Path, executor: Executor, name: str) -> str:
    """Milliseconds a trial beyond the seconds that the trial itself says it took."""
    learner = Training(MLP(hidden=(16,)), epochs=2)
    trials = [Trial(Digits(examples=100, test_examples=50), PartialLabels(0.5), learner, Seeds(corruption=r)) for r in range(ROWS + 1)]
    with Store(folder / f"{name}.sqlite") as store:
        drive(trials[:1], store, executor, Runtime())  # starts the worker
        start = time.perf_counter()
        rows = drive(trials[1:], store, executor, Runtime())
        whole = time.perf_counter() - start
    executor.shutdown()
    assert {row["status"] for row in rows} == {"ok"}
    itself = sum(float(row["seconds"] or 0) for row in rows)
    return f"{name}: {1000 * (whole - itself) / ROWS:.2f} ms a trial beyond the trial's own {1000 * itself / ROWS:.2f} ms"


def main() -> None:
    print(" scalars  epochs  add: ms  95 %: ms  read: ms  less curves: ms  KiB    (a row; 7 curves an epoch; medians of", ROWS, "rows)")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        for scalars, epochs in ((30, 0), (90, 10), (90, 60), (90, 200), (200, 60)):
            print(measured(Path(folder), scalars, epochs))
        print(driven(Path(folder), InProcess(), "in this process"))
        print(driven(Path(folder), LocalPool(1), "in one worker process"))


if __name__ == "__main__":
    main()
