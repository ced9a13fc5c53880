"""One kernel system of MNIST (Gaussian, sigma = 5, no ridge) by us, by scikit-learn's KernelRidge and by scipy, in turn.

    SHATTERLAB_DATA=folder python benchmarks/kernel_solvers.py > benchmarks/results/kernel_solvers.txt

Every fit is a process of its own, which also measures the float32 matrix product before and after it. Goals: at least 1.9 times as
fast as either peer in at most half of its peak memory, at the same residual (<= 1e-8) and predictions; at least 75 % of the
matrix product's rate over n^3/3 + n^2 d operations at n = 20,000; all leave-one-out residuals for at most 1.5 factorizations.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from _all_cores import cores, cpu_model, products
from threadpoolctl import threadpool_limits

import shatterlab as sl

SIGMA, TESTED = 5.0, 1000
KERNEL = sl.Gaussian(SIGMA)
Found = dict[str, Any]


def ours(train: sl.Examples, test: sl.Examples, threads: int, clock: Callable[[], None]) -> Found:
    fit = sl.KernelInterpolation(KERNEL).fit(train, runtime=sl.Runtime(threads=threads))
    clock()
    start = time.perf_counter()
    sl.LeaveOneOut().of(fit, train)
    factorizations = (time.perf_counter() - start) / fit.facts["seconds_factor"]
    phases = {name: fit.facts[f"seconds_{name}"] for name in ("gram", "factor", "solve", "products")}
    return {"weights": fit.model.weights, "factorizations": factorizations, "phases": phases}


def kernel_ridge(train: sl.Examples, test: sl.Examples, threads: int, clock: Callable[[], None]) -> Found:
    from sklearn.kernel_ridge import KernelRidge

    inputs, targets = fractions(train), one_hot(train).numpy()
    fitted = KernelRidge(alpha=1e-15, kernel="rbf", gamma=1 / (2 * SIGMA**2)).fit(inputs, targets)
    clock()
    return {"weights": torch.from_numpy(fitted.dual_coef_)}


def scipy_solve(train: sl.Examples, test: sl.Examples, threads: int, clock: Callable[[], None]) -> Found:
    import scipy.linalg
    from sklearn.metrics.pairwise import rbf_kernel

    inputs, targets = fractions(train), one_hot(train).numpy()
    gram = rbf_kernel(inputs, gamma=1 / (2 * SIGMA**2))
    weights = scipy.linalg.solve(gram, targets, assume_a="pos", overwrite_a=True, check_finite=False)
    clock()
    return {"weights": torch.from_numpy(weights)}


CONTENDERS = {"shatterlab": ours, "KernelRidge": kernel_ridge, "scipy.linalg.solve": scipy_solve}


def fractions(train: sl.Examples) -> Any:
    """Pixels as k / 255 in float64: the peers then solve the system that we solve, not that of inputs rounded to float32."""
    return (train.inputs.flatten(1).double() * 255).round().div(255).numpy()


def one_hot(train: sl.Examples) -> torch.Tensor:
    return torch.nn.functional.one_hot(train.labels, train.classes).double()


def measure(name: str, n: int, threads: int) -> Found:
    """One fit, in a process of its own."""
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        splits = sl.MNIST(examples=n, test_examples=TESTED).load()
        before = products("float32", 4096, 1.0, torch.device("cpu"), lambda: None)[0]
        Path("/proc/self/clear_refs").write_text("5")
        start, ran, spent = time.perf_counter(), time.process_time(), dict[str, float]()

        def clock() -> None:
            spent["seconds"], spent["share"] = time.perf_counter() - start, (time.process_time() - ran) / threads / (time.perf_counter() - start)
            spent["memory"] = peak()

        found = CONTENDERS[name](splits.train, splits.test, threads, clock)
        after = products("float32", 4096, 1.0, torch.device("cpu"), lambda: None)[0]
        weights, inputs = found.pop("weights"), splits.train.inputs
        targets = one_hot(splits.train)
        residual = ((KERNEL.product(inputs, inputs, weights) - targets).norm() / targets.norm()).item()
        scores = KERNEL.product(splits.test.inputs, inputs, weights)
    return found | spent | {"rate": (before + after) / 2, "residual": residual, "scores": scores.numpy(), "norm": (weights * targets).sum().item()}


def peak() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def alone(name: str, n: int, threads: int) -> Found:
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, name, n, threads).result()


def spread(values: list[float], digits: int = 2, unit: float = 1) -> str:
    scaled = [value * unit for value in values]
    return f"{statistics.median(scaled):.{digits}f} [{min(scaled):.{digits}f}, {max(scaled):.{digits}f}]"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, nargs="+", default=[10_000, 20_000])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    print(f"{cpu_model()}, {cores()} cores; torch {torch.__version__}, Python {platform.python_version()}; MNIST, Gaussian kernel, sigma {SIGMA:g}, no ridge")
    print(f"{options.repeats} repeats in turn: median [least, most]; ratios are those of neighbouring runs\n")
    for n in options.examples:
        for threads in options.threads:
            results = {name: list[Found]() for name in CONTENDERS}
            for _ in range(options.repeats):
                for name in CONTENDERS:
                    results[name].append(alone(name, n, threads))
            show(n, threads, results)


def show(n: int, threads: int, results: dict[str, list[Found]]) -> None:
    mine, operations = results["shatterlab"], n**3 / 3 + n**2 * 784
    print(f"n = {n:,}, {threads} thread{'s' * (threads > 1)}")
    print("| solver | seconds | seconds, theirs / ours | peak GiB | memory, ours / theirs | largest residual | predictions differ by | y'K^-1 y differs by |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, found in results.items():
        pairs = list(zip(found, mine, strict=True))
        cells = (
            name,
            spread([each["seconds"] for each in found]),
            spread([one["seconds"] / own["seconds"] for one, own in pairs]),
            spread([each["memory"] for each in found], 2, 2**-30),
            spread([own["memory"] / one["memory"] for one, own in pairs]),
            f"{max(each['residual'] for each in found):.1e}",
            f"{max(abs(one['scores'] - own['scores']).max() for one, own in pairs):.1e}",
            f"{max(abs(one['norm'] / own['norm'] - 1) for one, own in pairs):.1e}",
        )
        print(f"| {' | '.join(cells)} |")
    shares = [operations / each["seconds"] / each["rate"] for each in mine]
    print(f"\nOurs: {spread(shares, 0, 100)} % of the float32 matrix product, {spread([each['rate'] for each in mine], 0, 1e-9)} GFLOP/s;", end=" ")
    print("; ".join(f"{phase} {spread([each['phases'][phase] for each in mine])} s" for phase in mine[0]["phases"]))
    print(f"All leave-one-out residuals: {spread([each['factorizations'] for each in mine])} factorizations")
    busy = [each["share"] for found in results.values() for each in found]
    print(f"Share of its cores that a fit had: {spread(busy)}; well below 1, something else was running\n", flush=True)


if __name__ == "__main__":
    main()
