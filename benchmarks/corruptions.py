"""Seconds to corrupt 50,000 CIFAR-10-sized images on one thread, against a cold copy of the tensor in the same run.

    python benchmarks/corruptions.py

A cold copy allocates its memory anew, as every corruption of pixels must; the copy and the corruption are timed in
turn, and the median of the pairwise ratios is what counts. Goals: labels under 20 ms; shuffled pixels at most 3
copies, random and Gaussian pixels at most 6.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

import shatterlab as sl


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    kept = action()
    spent = time.perf_counter() - start
    del kept
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(options.examples, 3, 32, 32, generator=generator)
    labels = torch.randint(10, (options.examples,), generator=generator)
    few = sl.Examples(images[:10], labels[:10], 10, 255)
    splits = sl.Splits(sl.Examples(images, labels, 10, 255), few)
    parts = (sl.RandomLabels(), sl.ShuffledPixels(), sl.ShuffledPixels("value"), sl.RandomPixels(), sl.RandomPixels("value"), sl.GaussianPixels())
    images.clone()
    print(f"{options.examples} images 3 x 32 x 32, float32, one thread, {options.runs} pairs: median [least, most]")
    print(f"{'corruption':38} {'seconds':>22} {'ratio to a cold copy':>24}")
    for part in parts:
        pairs = [(seconds(images.clone), seconds(lambda part=part: part.apply(splits))) for _ in range(options.runs)]
        took, ratios = [b for _, b in pairs], [b / a for a, b in pairs]
        print(f"{part!s:38} {spread(took, 3):>22} {spread(ratios, 2):>24}")


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


if __name__ == "__main__":
    main()
