"""Examples a second in training, summed over one process a core: this package, the author's demo loop, and the chip itself.

    SHATTERLAB_DATA=folder python benchmarks/training.py [--nets mlp-1x512 alexnet ...] [--repeats 3] [--seconds 5]

In each repeat and for each net, one after the other and all processes at once, each with one thread:
(a) `Training.fit` on images of 3 x 28 x 28 pixels in batches of 128; "steps" is the time from the start of an epoch to the end
    of its last step, "epochs" has the evaluation of the training split besides; the first epoch is dropped, and what comes
    before it once in a fit;
(b) the loop of the first author's demo (`_demo_loop.py` says what is kept and what differs), alike with and without its
    evaluation of the training split;
(c) the product of two square matrices in the precision of (a). The share is operations a step by torch's counter (those of the
    network in stock layers, forward and backward), times the rate of (a)'s steps, over the rate of the product.

Ratios are taken within a repeat; printed are medians [least, most]. Goals for epochs against epochs on a CPU: MLP 1x512 3x,
MLP 3x512 4x, AlexNet 4x, Inception 2.5x; on a GPU 10x. Images are CIFAR-10's where they are found, else random ones.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import _demo_loop
import numpy as np
import torch
from _all_cores import cores, cpu_model, crew, products, seconds, settle
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.flop_counter import FlopCounterMode

import shatterlab as sl
from shatterlab.core import Architecture, Progress

CROP = 28


@dataclass(frozen=True)
class Net:
    """A network of the paper, ours and the peer's; `megaflops` is the known count of an example's training step."""

    architecture: Architecture
    peer: Callable[[], nn.Module]
    lr: float
    examples: int  # of an epoch here: whole batches, so few that an epoch takes seconds at most
    megaflops: float


NETS = {
    "mlp-1x512": Net(sl.MLP((512,)), partial(_demo_loop.mlp, 512), 0.01, 5120, 4.85),
    "mlp-3x512": Net(sl.MLP((512, 512, 512)), partial(_demo_loop.mlp, 512, 512, 512), 0.01, 5120, 8.0),
    "alexnet": Net(sl.SmallAlexNet(), _demo_loop.alexnet, 0.01, 640, 143),
    "inception": Net(sl.SmallInception(), _demo_loop.inception, 0.1, 256, 1221),
}


@dataclass(frozen=True)
class Sample:
    """8-bit images n x 32 x 32 x 3 and their labels."""

    images: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    source: str

    @classmethod
    def of(cls, examples: int) -> Sample:
        """CIFAR-10's where it is found, else random ones."""
        try:
            train = sl.CIFAR10(examples=examples, test_examples=10).load().train
        except sl.DataError:
            rng = np.random.default_rng(0)
            return cls(rng.integers(0, 256, (examples, 32, 32, 3), np.uint8), rng.integers(0, 10, examples), "random images")
        images = train.inputs.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        return cls(images, train.labels.numpy(), "CIFAR-10")

    def first(self, n: int) -> Sample:
        """N of them."""
        return Sample(self.images[:n], self.labels[:n], self.source)

    def as_examples(self) -> sl.Examples:
        """As our learners take them: the centre, in [0, 1]."""
        start = (self.images.shape[1] - CROP) // 2
        centre = self.images[:, start : start + CROP, start : start + CROP]
        return sl.Examples(torch.from_numpy(centre).permute(0, 3, 1, 2).contiguous().float() / 255, torch.from_numpy(self.labels), 10, 255)


@dataclass(frozen=True)
class Rates:
    """Examples a second; `steps` is NaN where steps cannot be told from the evaluation (replayed CUDA graphs)."""

    steps: float
    epochs: float


class EnoughError(Exception):
    """Ends a fit from its observer."""


class EpochClock:
    """Seconds of each epoch but the first, as the observer of a fit; of its steps, through torch's hook of all optimizers."""

    def __init__(self, steps: int, seconds: float, device: torch.device, ready: Callable[[], object]) -> None:
        self.steps, self.seconds, self.device, self.ready = steps, seconds, device, ready
        self.count, self.start, self.last_step = 0, 0.0, float("nan")
        self.stepping: list[float] = []
        self.whole: list[float] = []

    def step_ended(self, *_: object) -> None:
        """Takes the time after the last step of an epoch."""
        if self.device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            return
        self.count += 1
        if self.count == self.steps:
            settle(self.device)
            self.last_step = time.perf_counter()

    def epoch_ended(self, progress: Progress) -> None:
        """Takes the time after an epoch, and ends the fit when enough of them are there."""
        settle(self.device)
        now = time.perf_counter()
        if progress.epoch == 1:
            self.ready()
        else:
            self.stepping.append(self.last_step - self.start if self.count == self.steps else float("nan"))
            self.whole.append(now - self.start)
        if sum(self.whole) >= self.seconds:
            raise EnoughError
        self.count, self.start = 0, time.perf_counter()

    def rates(self, examples: int) -> Rates:
        """Means over the epochs."""
        return Rates(examples * len(self.stepping) / sum(self.stepping), examples * len(self.whole) / sum(self.whole))


def ours(name: str, sample: Sample, options: argparse.Namespace, ready: Callable[[], object]) -> Rates:
    """The rates of `Training.fit`, seen from outside."""
    net, device = NETS[name], torch.device(options.device)
    learner = sl.Training(net.architecture, sl.SGD(lr=net.lr, momentum=0.9), epochs=10**6, stop="budget", precision=options.precision)
    clock = EpochClock(len(sample.labels) // _demo_loop.BATCH, options.seconds, device, ready)
    hook = register_optimizer_step_post_hook(clock.step_ended)
    try:
        learner.fit(sample.as_examples(), observe=clock.epoch_ended, runtime=sl.Runtime(options.device))
    except EnoughError:
        pass
    finally:
        hook.remove()
    return clock.rates(len(sample.labels))


def demo(name: str, sample: Sample, options: argparse.Namespace, ready: Callable[[], object]) -> Rates:
    """The rates of the demo loop, after one batch to warm up."""
    net, device = NETS[name], torch.device(options.device)
    loop = _demo_loop.DemoLoop(net.peer(), sample.images, sample.labels.tolist(), net.lr, device, CROP, options.loader_workers)
    loop.train(1)
    loop.evaluate(1)
    ready()
    stepping, evaluating, epochs = 0.0, 0.0, 0
    while stepping + evaluating < options.seconds:
        stepping += seconds(loop.train, device)
        evaluating += seconds(loop.evaluate, device)
        epochs += 1
    examples = epochs * len(sample.labels)
    return Rates(examples / stepping, examples / (stepping + evaluating))


def operations(name: str) -> float:
    """Millions of floating-point operations of a training step an example, counted by torch on the peer's stock layers.

    Ours has 2 % more in the AlexNet, whose response normalization is a convolution; they are no part of the task.
    """
    network, few = NETS[name].peer(), 4
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(few, 3, CROP, CROP)).square().sum().backward()
    return float(counter.get_total_flops() / few / 1e6)


class Record:
    """The rates of one net, summed over the processes, repeat by repeat."""

    def __init__(self, megaflops: float) -> None:
        self.megaflops = megaflops
        self.ours: list[Rates] = []
        self.demo: list[Rates] = []
        self.product: list[float] = []

    def line(self, name: str) -> str:
        """Its line of the table."""
        ratios = [(a.steps / b.steps, a.epochs / b.epochs) for a, b in zip(self.ours, self.demo, strict=True)]
        shares = [100 * a.steps * self.megaflops * 1e6 / product for a, product in zip(self.ours, self.product, strict=True)]
        cells = [name, spread([a.steps for a in self.ours], 0), spread([a.epochs for a in self.ours], 0)]
        cells += [spread([b.steps for b in self.demo], 0), spread([b.epochs for b in self.demo], 0)]
        cells += [spread([steps for steps, _ in ratios], 2), spread([epochs for _, epochs in ratios], 2)]
        return table_line([*cells, f"{self.megaflops:.4g}", spread(shares, 0)])


HEAD = (
    "net", "ours: steps", "ours: epochs", "demo: steps", "demo: epochs", "steps, ours / demo", "epochs, ours / demo",
    "MFLOP an example", "% of the matrix product",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed(arguments)
    torch.set_num_threads(1)
    product = (options.side, options.seconds, torch.device(options.device))
    counts = {name: operations(name) for name in options.nets}
    for name, count in counts.items():
        assert abs(count / NETS[name].megaflops - 1) <= 0.02, f"{name}: {NETS[name].megaflops} MFLOP an example are known, torch counts {count}"
    sizes = {name: options.examples or NETS[name].examples for name in options.nets}
    sample = Sample.of(max(sizes.values()))
    records = {name: Record(count) for name, count in counts.items()}
    chip: dict[str, list[tuple[float, int]]] = {"float32": [], "bfloat16": []}
    with crew(options.processes) as all_cores:
        for _ in range(options.repeats):
            for name, record in records.items():
                some = sample.first(sizes[name])
                record.ours.append(summed(all_cores.all_do(ours, name, some, options)))
                record.demo.append(summed(all_cores.all_do(demo, name, some, options)))
                record.product.append(sum(rate for rate, _ in all_cores.all_do(products, options.precision, *product)))
            for precision in chip:
                chip[precision] += all_cores.all_do(products, precision, *product)
    report(options, sample.source, records, chip)
    print(f"Share of its core that a process had while it was measured: {spread(all_cores.shares, 2)}; below 0.95, something else was running")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, with what follows from the device filled in."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="least time of a measurement; one epoch at least is measured")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="of ours; the demo loop is float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--processes", type=int, help="default: one a core, on a GPU one")
    parser.add_argument("--examples", type=int, help="of an epoch, a multiple of 128 (default: by net)")
    parser.add_argument("--side", type=int, help="of the square matrices (default: 2048, on a GPU 8192)")
    parser.add_argument("--loader-workers", type=int, default=0, help="loader processes of the demo loop; it has 1, for which busy cores have no room")
    options = parser.parse_args(arguments)
    if options.examples is not None and (options.examples < 128 or options.examples % 128):
        parser.error(f"--examples is a multiple of 128, got {options.examples}")
    gpu = options.device == "cuda"
    options.processes = options.processes or (1 if gpu else cores())
    options.side = options.side or (8192 if gpu else 2048)
    return options


def report(options: argparse.Namespace, source: str, records: dict[str, Record], chip: dict[str, list[tuple[float, int]]]) -> None:
    """Prints the table and what it was measured on."""
    processor = torch.cuda.get_device_name() if options.device == "cuda" else f"{cpu_model()} ({torch.backends.cpu.get_cpu_capability()})"
    print(f"{processor}, {cores()} cores; torch {torch.__version__}; {options.processes} processes of one thread; ours in {options.precision}; {source}")
    print(f"Examples a second over all processes, batches of 128; {options.repeats} repeats: median [least, most]\n")
    print(table_line(HEAD))
    print(table_line(["---"] * len(HEAD)))
    for name, record in records.items():
        print(record.line(name))
    print()
    for precision, found in chip.items():
        rates, sides = [rate / 1e9 for rate, _ in found], sorted({side for _, side in found})
        print(f"Product of {precision} matrices of side {' or '.join(map(str, sides))}, one process of {options.processes}: {spread(rates, 1)} GFLOP/s")


def summed(rates: Sequence[Rates]) -> Rates:
    """Over processes."""
    return Rates(sum(each.steps for each in rates), sum(each.epochs for each in rates))


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def table_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
