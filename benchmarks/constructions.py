"""Theorem 1 built, certified and compared: seconds of processor time on one thread, ratios taken in the same run.

    SHATTERLAB_DATA=folder python benchmarks/constructions.py

1. n = 1,000,000 points in d = 100 dimensions: the vectorized float64 build against projecting and sorting the data (goal: 3 times).
2. MNIST's 60,000 and CIFAR-10's 50,000 images with random labels: build and certify (goals for MNIST: 5 s; bounds of 1e-10), and
   60,000 Gaussian points, whose projections float64 does not hold. Data sets that are not there are left out.
3. n = 10,000: against a dense lower triangular solve by scipy (goals: 100 times faster, 100 times less memory).
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import solve_triangular
from threadpoolctl import threadpool_limits

import shatterlab as sl
from shatterlab.constructions.two_layer import two_layer


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    kept = action()
    spent = time.process_time() - start
    del kept
    return spent


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} [{min(values):.3g}, {max(values):.3g}]"


def large(n: int, d: int, repeats: int) -> None:
    rng = np.random.default_rng(0)
    z, y, a = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(d)
    pairs = []
    for _ in range(repeats):
        base = seconds(lambda: np.argsort(z @ a))
        pairs.append((base, seconds(lambda: two_layer(z, y, directions=1, certified=False))))
    print(f"n = {n}, d = {d}, {repeats} pairs: median [least, most]")
    print(f"  project and sort {spread([base for base, _ in pairs])} s; build {spread([own for _, own in pairs])} s")
    print(f"  ratio {spread([own / base for base, own in pairs])}, goal at most 3")


def certified(name: str, z: np.ndarray, repeats: int) -> None:
    y = np.random.default_rng(1).integers(0, 10, len(z))
    built, checked = [], []
    for _ in range(repeats):
        built.append(seconds(lambda: two_layer(z, y)))
        network = two_layer(z, y)
        checked.append(seconds(lambda network=network: network.certified_error(z, y)))
    off = {arithmetic: np.abs(network.values(z, arithmetic) - y).max() for arithmetic in ("exact", "float64", "float32")}
    print(f"{name}, {len(z)} x {z[0].size}, random labels 0 .. 9, best of 8 directions, {repeats} runs")
    print(f"  build {spread(built)} s, certify {spread(checked)} s, both {spread([a + b for a, b in zip(built, checked, strict=True)])} s")
    print(f"  weights {network.weights}, certified error {network.certified_error(z, y):.3g}")
    print(f"  largest error by prefix sums in {', '.join(f'{arithmetic} {error:.2g}' for arithmetic, error in off.items())}")


def dense(n: int, repeats: int) -> None:
    """The peer is given its projections sorted: it makes the matrix and solves."""
    rng = np.random.default_rng(0)
    z, y = rng.integers(0, 256, (n, 100), dtype=np.uint8), rng.standard_normal(n)

    def peer() -> np.ndarray:
        network = two_layer(z, y, directions=1, certified=False)  # for a and b; its cost is the smaller part by far
        x, b = np.sort(z.astype(np.float64) @ network.a.detach().numpy()), network.b.detach().numpy()
        return solve_triangular(np.maximum(x[:, None] - b, 0), y, lower=True)

    def own() -> object:
        return two_layer(z, y, directions=1, certified=False)

    times = [(seconds(own), seconds(peer)) for _ in range(repeats)]
    print(f"n = {n}, d = 100, {repeats} pairs, against a dense triangular solve")
    print(f"  ours {spread([a for a, _ in times])} s, dense {spread([b for _, b in times])} s, ratio {spread([b / a for a, b in times])}, goal at least 100")
    peaks = [peak(action) for action in (own, peer)]
    print(f"  most memory at once {peaks[0] / 2**20:.3g} and {peaks[1] / 2**20:.3g} MiB, ratio {peaks[1] / peaks[0]:.3g}, goal at least 100")


def peak(action: Callable[[], object]) -> int:
    tracemalloc.start()
    action()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def pixels(dataset: sl.Dataset) -> np.ndarray | None:
    try:
        inputs = dataset.load().train.inputs
    except sl.DataError as problem:
        print(problem)
        return None
    return (inputs.flatten(1) * 255).round().to(torch.uint8).numpy()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--points", type=int, default=1_000_000, help="of the uncertified build")
    parser.add_argument("--real", type=int, default=60_000, help="Gaussian points to certify")
    parser.add_argument("--dense", type=int, default=10_000, help="points of the dense solve")
    parser.add_argument("--without-data", action="store_true", help="leave MNIST and CIFAR-10 out")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        large(options.points, 100, options.repeats)
        for dataset in () if options.without_data else (sl.MNIST(), sl.CIFAR10()):
            images = pixels(dataset)
            if images is not None:
                certified(dataset.kind, images, options.repeats)
        gaussian = np.random.default_rng(2).standard_normal((options.real, 100), dtype=np.float32)
        certified("Gaussian, float32", gaussian, options.repeats)
        dense(options.dense, options.repeats)


if __name__ == "__main__":
    main()
