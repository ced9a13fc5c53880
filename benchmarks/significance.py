"""Seconds of a permutation test of a random forest on breast cancer, against scikit-learn's permutation_test_score in the same run.

    python benchmarks/significance.py

Both refit the same forest on the same folds with as many processes. One after the other, `--repeats` times; the median of the ratios of a round is what
counts. Processor seconds, of this process and its workers, are there too (on Linux): on a busy machine they are what can be compared. Goals: all
permutations at most 1 of the peer; a sequential test at most 1.05 where it needs all, at most 0.5 where p > 0.2.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import permutation_test_score

import shatterlab as sl


def seconds(action: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds by the clock, seconds of the processor, and the result."""
    start, spent = time.perf_counter(), processor()
    result = action()
    return time.perf_counter() - start, processor() - spent, result


def processor() -> float:
    """Processor seconds of this process and its children so far."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = file.read_text().rpartition(")")[2].split()  # after the name: state, parent, ..., user and system ticks
            ticks += (int(fields[11]) + int(fields[12])) if int(fields[1]) == os.getpid() else 0
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("permutations", 1000), ("trees", 10), ("repeats", 3), ("workers", 2), ("examples", 569)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args(arguments)
    X, y = (each[: options.examples] for each in load_breast_cancer(return_X_y=True))
    noise = np.random.default_rng(4).permutation(y)
    forest = RandomForestClassifier(options.trees, random_state=0)

    def peer() -> tuple[Any, ...]:
        return permutation_test_score(forest, X, y, cv=5, n_permutations=options.permutations, n_jobs=options.workers, random_state=0)

    def ours(labels: np.ndarray[Any, Any], sequential: bool) -> sl.Significance:
        given: dict[str, Any] = {"permutations": options.permutations, "workers": options.workers, "tell": None, "cv": 5}
        return sl.significance(forest, X, labels, sequential=sequential, **given)

    tasks: dict[str, Callable[[], Any]] = {
        "permutation_test_score, true labels": peer,
        "significance, true labels, all permutations": lambda: ours(y, False),
        "significance, true labels, sequential": lambda: ours(y, True),
        "significance, permuted labels, sequential": lambda: ours(noise, True),
    }
    seconds(lambda: permutation_test_score(forest, X, y, cv=2, n_permutations=4, n_jobs=options.workers))  # starts the workers
    load = os.getloadavg()[0]
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    found: dict[str, str] = {}
    for _ in range(options.repeats):
        for name, task in tasks.items():
            *spent, result = seconds(task)
            took[name].append((spent[0], spent[1]))
            found[name] = f"{result[2]:.3f}  {len(result[1]):5}" if task is peer else f"{result.p:.3f}  {result.permutations:5}"
    reference = took["permutation_test_score, true labels"]
    print(f"scikit-learn {sklearn.__version__}: {len(X)} x {X.shape[1]}, {options.trees} trees, 5 folds, {options.permutations} permutations at most,", end=" ")
    print(f"{options.workers} processes; load average {load:.1f} before, {os.getloadavg()[0]:.1f} after; {options.repeats} rounds: median [least, most]")
    print(f"{'':44} {'p':>5}  {'used':>5} {'seconds':>24} {'ratio':>22} {'processor seconds':>24} {'ratio':>22}")
    for name, times in took.items():
        cells = [f"{name:44} {found[name]}"]
        for kind in (0, 1):
            mine, its = ([round_[kind] for round_ in each] for each in (times, reference))
            cells += [f"{spread(mine, 1):>24}", f"{spread([x / y for x, y in zip(mine, its, strict=True)], 3):>22}"]
        print(*cells)


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


if __name__ == "__main__":
    main()
