"""What recording the dynamics of every example adds to a training: its share of the time, for a small MLP and a small convolutional net.

    SHATTERLAB_DATA=folder python benchmarks/dynamics.py [--repeats 7] [--threads 1]

In each repeat and for each network the same training is timed without and with `Dynamics`, in an order that alternates. The share is (with - without) /
without, of processor time; printed are medians [least, most] over the repeats. "alone" is the time of the records themselves over that of the training,
measured inside the run with `Dynamics`, which is steadier. Goal on a CPU: below 5 %. Images are CIFAR-10's where it is found, else random ones.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from _all_cores import cpu_model

import shatterlab as sl
from shatterlab.core import Learner
from shatterlab.learners import dynamics

NETS = {
    "MLP 1x64": (sl.Training(sl.MLP((64,)), sl.SGD(lr=0.01), epochs=5, stop="budget"), 5000),
    "MLP 1x512": (sl.Training(sl.MLP((512,)), sl.SGD(lr=0.01), epochs=3, stop="budget"), 5000),
    "small AlexNet, 8 channels": (sl.Training(sl.SmallAlexNet(8, init="he"), sl.SGD(lr=0.01), epochs=3, stop="budget"), 2000),
}


def sample(n: int) -> sl.Examples:
    """Images of CIFAR-10 where it is found, else random ones."""
    try:
        return sl.CIFAR10(examples=n, test_examples=10).load().train
    except sl.DataError:
        return sl.Examples(torch.rand(n, 3, 32, 32), torch.arange(n) % 10, 10, 255)


class Clock:
    """Processor time spent in the recorder."""

    def __init__(self) -> None:
        self.seconds = 0.0
        for name in ("_record", "_commit"):
            setattr(dynamics._Recorder, name, self.timed(getattr(dynamics._Recorder, name)))

    def timed(self, method: Callable[..., None]) -> Callable[..., None]:
        """The method, its time counted."""

        def call(*args: object, **options: object) -> None:
            start = time.process_time()
            method(*args, **options)
            self.seconds += time.process_time() - start

        return call


def seconds(learner: Learner, train: sl.Examples) -> float:
    """Processor time of one fit."""
    start = time.process_time()
    learner.fit(train)
    return time.process_time() - start


def spread(values: Sequence[float]) -> str:
    """Median [least, most], in percent."""
    return f"{100 * statistics.median(values):6.2f} [{100 * min(values):.2f}, {100 * max(values):.2f}]"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = Clock()
    print(f"{cpu_model()}, {options.threads} thread, {options.repeats} repeats, torch {torch.__version__}")
    print(f"{'network':<29}{'n':>6}{'epochs':>8}{'without, s':>12}{'added, %':>24}{'alone, %':>22}")
    for name, (plain, n) in NETS.items():
        train, times, alone = sample(n), [], []
        watched = sl.Dynamics(plain)
        seconds(replace(plain, epochs=1), train)
        for repeat in range(options.repeats):
            clock.seconds = 0.0
            both = {learner: seconds(learner, train) for learner in ((plain, watched) if repeat % 2 else (watched, plain))}
            times.append(both)
            alone.append(clock.seconds / both[plain])
        added = [both[watched] / both[plain] - 1 for both in times]
        print(f"{name:<29}{n:>6}{plain.epochs:>8}{statistics.median(both[plain] for both in times):>12.2f}{spread(added):>24}{spread(alone):>22}", flush=True)


if __name__ == "__main__":
    main()
