"""What augmentation adds to a training step, for each of the paper's networks: its share of the step's time.

    SHATTERLAB_DATA=folder python benchmarks/augmentation.py [--repeats 5] [--threads 1] [--device cpu]

In each repeat and for each network, one after the other in one process: a batch of 128 images of 3 x 32 x 32 pixels is gathered,
augmented and prepared ("augmented"), gathered from the prepared sample ("plain"), and a whole plain step of training is made. The
share is (augmented - plain) / (plain step + augmented - plain). Printed are medians [least, most] over the repeats. Goal on a CPU: below
15 % for the small AlexNet and the small Inception.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

import shatterlab as sl
from shatterlab.core import Augmentation
from shatterlab.core.losses import losses
from shatterlab.training.feeds import MemoryFeed

BATCH = 128
NETS = {
    "small AlexNet": sl.SmallAlexNet(),
    "small Inception": sl.SmallInception(),
    "a quarter-width Inception": sl.SmallInception(width=0.25),
    "MLP 1x512": sl.MLP(),
}
AUGMENTATIONS: dict[str, tuple[Augmentation, ...]] = {
    "crop": (sl.RandomCrop(28),),
    "crop and flip": (sl.RandomCrop(28), sl.HorizontalFlip()),
    "flip and rotation": (sl.HorizontalFlip(), sl.Rotation(25)),
    "colour jitter": (sl.ColorJitter(),),
    "cutout": (sl.Cutout(16),),
    "mixup": (sl.Mixup(),),
}


def sample() -> sl.Examples:
    """Images of CIFAR-10 where it is found, else random ones."""
    try:
        return sl.CIFAR10(examples=1024, test_examples=10).load().train
    except sl.DataError:
        return sl.Examples(torch.rand(1024, 3, 32, 32), torch.arange(1024) % 10, 10, 255)


def milliseconds(action: Callable[[], object], device: torch.device, least: float = 0.2) -> float:
    """Of one call, over as many as take `least` seconds; one goes before."""
    action()
    settle(device)
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < least:
        action()
        calls += 1
    settle(device)
    return 1000 * (time.perf_counter() - start) / calls


def settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Stepper:
    """One network ready to train, and the feeds of its steps."""

    def __init__(self, architecture: sl.Architecture, train: sl.Examples, device: torch.device) -> None:
        self.recipe = sl.Training(architecture, sl.SGD(lr=0.001), crop=28)
        self.train, self.device = train, device
        self.model: nn.Sequential = self.recipe.build(train, runtime=sl.Runtime(device=str(device))).train()
        self.optimizer = self.recipe.optimizer.build(list(self.model.parameters()), fused=True)
        self.plain = self.feed(())

    def feed(self, augmentations: Sequence[Augmentation]) -> MemoryFeed:
        """An epoch's numbers are drawn once, for all examples, and are no part of a step."""
        feed = MemoryFeed(self.model, augmentations, self.train, sl.Seeds(), self.device, batch_size=BATCH)
        self.fetch(feed)
        return feed

    def fetch(self, feed: MemoryFeed) -> None:
        """The first batch of the epoch."""
        next(feed.steps(1, 0))

    def step(self) -> None:
        """A plain step from gathering to the optimizer."""
        batch = next(self.plain.steps(1, 0))
        loss = losses(self.model[1](batch.inputs).float(), batch.targets, "logits").mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


def told(values: Sequence[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device, train = torch.device(arguments.device), sample()
    print(f"{'network':28}{'augmentation':20}{'plain step, ms':>22}{'added, ms':>20}{'share, %':>20}")
    for name, architecture in NETS.items():
        stepper = Stepper(architecture, train, device)
        found: dict[str, list[tuple[float, float]]] = {}
        for _ in range(arguments.repeats):
            plain, whole = milliseconds(partial(stepper.fetch, stepper.plain), device), milliseconds(stepper.step, device)
            for label, augmentations in AUGMENTATIONS.items():
                feed = stepper.feed(augmentations)
                found.setdefault(label, []).append((whole, milliseconds(partial(stepper.fetch, feed), device) - plain))
        for label, pairs in found.items():
            steps, added = [step for step, _ in pairs], [extra for _, extra in pairs]
            shares = [100 * extra / (step + extra) for step, extra in pairs]
            print(f"{name:28}{label:20}{told(steps):>22}{told(added, 2):>20}{told(shares):>20}", flush=True)


if __name__ == "__main__":
    main()
