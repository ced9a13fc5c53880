"""Does training in bfloat16 change what is measured? Equivalence to float32, paired by seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from shatterlab import MLP, SGD, Experiment, Scale, SmallAlexNet, Table, Training, difference, ratio
from shatterlab.design.settings import TRUE
from shatterlab.experiments._networks import Setup, digits_or_images, sweep

SEEDS = 5  # at least
Precision = Literal["float32", "bfloat16"]
_HALF, _FULL = {"learner.precision": "bfloat16"}, {"learner.precision": "float32"}
_FIELDS = ("learner.architecture.kind", "learner.architecture.hidden", "setting", "learner.precision")


def experiment(scale: Scale) -> Experiment:
    """Smoke: an MLP on digits. Laptop: the MLPs on 1,000 images, AlexNet on 128 with true labels only. Paper: on all of them."""
    at_least = replace(scale, replicates=max(SEEDS, scale.replicates))
    pairs = zip(_setups(scale, "float32"), _setups(scale, "bfloat16"), strict=True)
    source = "this project: whether results of bfloat16 stand for those of float32"
    question = "Does training in bfloat16 give the test accuracy and the epochs to interpolation of float32?"
    trials = sweep((setup for pair in pairs for setup in pair), at_least)
    views = (Table(_FIELDS, ("fit.epochs_to_interpolation", "test.accuracy", "train.error", "seconds")),)
    return Experiment("number_format", source, question, trials, views, CLAIMS, scale.name)


def _setups(scale: Scale, precision: Precision) -> list[Setup]:
    def setup(network: MLP | SmallAlexNet, examples: int | None, levels: tuple[float, ...] = (0.0, 1.0)) -> Setup:
        return Setup(digits_or_images(scale, examples), Training(network, SGD(lr=0.01), precision=precision), levels)

    if scale.name == "smoke":
        recipe = Training(MLP(), SGD(lr=0.05), batch_size=32, precision=precision)
        return [Setup(digits_or_images(scale, scale.examples), recipe, (0.0, 1.0))]
    mlps = [setup(MLP((512,) * layers), scale.pick(smoke=None, laptop=1000, paper=None)) for layers in (1, 3)]
    if scale.name == "laptop":  # without bfloat16 instructions a step takes many times as long
        return [*mlps, setup(SmallAlexNet(init="glorot"), 128, levels=(0.0,))]
    return [*mlps, setup(SmallAlexNet(), None)]


_ACCURACY = "on true labels, test accuracy in bfloat16 is that of float32 to within 0.02"
_TIME = "epochs to interpolation in bfloat16 are those of float32 to within a tenth"
CLAIMS = (  # two one-sided tests at 5 % each: a 90 % interval inside the margins
    difference(_ACCURACY, "test.accuracy", _HALF | TRUE, _FULL | TRUE, low=-0.02, high=0.02, level=0.9),
    ratio(_TIME, "fit.epochs_to_interpolation", _HALF, _FULL, low=0.9, high=1.1, level=0.9),
)
