"""Seconds of a permutation test of a random forest on breast cancer, against scikit-learn's permutation_test_score in the same run.

    python benchmarks/significance.py

Both refit the same forest on the same folds with as many processes. One after the other, `--repeats` times; the median of the ratios of a round is what
counts. Goals: all permutations at most 1 of the peer; a sequential test at most 1.05 where it needs all, at most 0.5 where p > 0.2.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import permutation_test_score

import shatterlab as sl


def seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


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
    took: dict[str, list[float]] = {name: [] for name in tasks}
    found: dict[str, str] = {}
    for _ in range(options.repeats):
        for name, task in tasks.items():
            spent, result = seconds(task)
            took[name].append(spent)
            found[name] = f"{result[2]:.3f}  {len(result[1]):5}" if task is peer else f"{result.p:.3f}  {result.permutations:5}"
    reference = took["permutation_test_score, true labels"]
    print(f"scikit-learn {sklearn.__version__}: {len(X)} x {X.shape[1]}, {options.trees} trees, 5 folds, {options.permutations} permutations at most,", end=" ")
    print(f"{options.workers} processes; load average {load:.1f} before, {os.getloadavg()[0]:.1f} after; {options.repeats} rounds: median [least, most]")
    print(f"{'':44} {'p':>5}  {'used':>5} {'seconds':>24} {'ratio to scikit-learn':>26}")
    for name, times in took.items():
        ratios = [a / b for a, b in zip(times, reference, strict=True)]
        print(f"{name:44} {found[name]} {spread(times, 1):>24} {spread(ratios, 3):>26}")


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


if __name__ == "__main__":
    main()
