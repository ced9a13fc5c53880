"""What the three panels of Figure 1 share: the samples and recipes of each scale, and the published curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_alexnet import SmallAlexNet
from shatterlab.architectures.small_inception import SmallInception
from shatterlab.core import Corruption, Dataset, Learner, Seeds
from shatterlab.corruptions.gaussian_pixels import GaussianPixels
from shatterlab.corruptions.partial_labels import PartialLabels, RandomLabels, TrueLabels
from shatterlab.corruptions.random_pixels import RandomPixels
from shatterlab.corruptions.shuffled_pixels import ShuffledPixels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Scale
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD
from shatterlab.references import curves, published
from shatterlab.trials.trial import Trial

LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FEW = (0.0, 0.2, 0.5, 0.8, 1.0)
SETTINGS: tuple[Corruption, ...] = (TrueLabels(), RandomLabels(), ShuffledPixels(), RandomPixels(), GaussianPixels())
TIME = "fit.epochs_to_loss_0.05"  # the time to overfit: the threshold that gives the published ratios from the published curves
PAPER_NAMES = {"inception": "SmallInception", "alexnet": "SmallAlexNet", "mlp_1x512": "MLP"}
_SERIES = {
    "true_labels": "true labels",
    "random_labels": "random labels",
    "shuffled_pixels": "shuffled pixels",
    "random_pixels": "random pixels",
    "gaussian": "Gaussian pixels",
}


@dataclass(frozen=True)
class Contender:
    """A recipe, the sample it is tried on, and the corruption levels of its sweep."""

    dataset: Dataset
    learner: Learner
    levels: tuple[float, ...] = LEVELS

    def trials(self, corruptions: Iterable[Corruption], replicates: int) -> tuple[Trial, ...]:
        """Every corruption under every seed, replicates outermost, so that an early look is balanced."""
        seeds = [Seeds.replicate(r) for r in range(replicates)]
        return tuple(Trial(self.dataset, corruption, self.learner, each) for each in seeds for corruption in corruptions)


def mlp(scale: Scale) -> Contender:
    """The MLP 1x512 at every level: 5,000 images at laptop scale, all of them at paper scale."""
    return Contender(_images(scale, scale.examples), Training(MLP(), SGD(lr=0.01), epochs=scale.epochs, stop=_stop(scale)))


def alexnet(scale: Scale) -> Contender:
    """The small AlexNet: 300 images, five levels and a quicker initialization at laptop scale."""
    network, levels, examples = scale.pick(
        smoke=(SmallAlexNet(8, init="he"), FEW, 200), laptop=(SmallAlexNet(init="glorot"), FEW, 300), paper=(SmallAlexNet(), LEVELS, None)
    )
    return Contender(_images(scale, examples), Training(network, SGD(lr=0.01), epochs=scale.epochs, stop=_stop(scale)), levels)


def inception(scale: Scale) -> Contender:
    """The small Inception: a quarter of its width on 300 images at laptop scale."""
    network, levels, examples = scale.pick(
        smoke=(SmallInception(width=0.1), FEW, 200), laptop=(SmallInception(width=0.25), FEW, 300), paper=(SmallInception(), LEVELS, None)
    )
    return Contender(_images(scale, examples), Training(network, SGD(lr=0.1), epochs=scale.epochs, stop=_stop(scale)), levels)


def smoke(scale: Scale) -> Contender:
    """An MLP on digits: what a test can afford."""
    recipe = Training(MLP(), SGD(lr=0.05), batch_size=32, epochs=scale.epochs, stop="overfit")
    return Contender(Digits(examples=scale.examples, test_examples=scale.test_examples), recipe, FEW)


def over_all_levels(scale: Scale, learner: Learner | None, dataset: Dataset | None) -> list[Contender]:
    """Whom Figures 1(b) and 1(c) look at: the recipe of the user's if one is given, else the paper's."""
    if learner is not None and dataset is not None:
        return [Contender(dataset, learner)]
    return scale.pick(smoke=[smoke(scale)], laptop=[mlp(scale), alexnet(scale)], paper=[inception(scale), alexnet(scale), mlp(scale)])


def sweep(contenders: Sequence[Contender], scale: Scale) -> tuple[Trial, ...]:
    """Every contender at each of its corruption levels."""
    grids = [each.trials([PartialLabels(level) for level in each.levels], scale.replicates) for each in contenders]
    return sum(grids, ())


def losses() -> list[dict[str, Any]]:
    """The published training losses of the small Inception by epoch, one curve a setting."""
    series = curves()["figure1a"]["series"]
    return [{"x": epoch, "y": loss, "name": _SERIES[name]} for name, values in series.items() for epoch, loss in enumerate(values, 1)]


def over_levels(figure: str, metric: str) -> list[dict[str, Any]]:
    """The published points of Figure 1(b) or 1(c)."""
    points = published(figure, metric=metric)
    return [{"x": each.conditions["label_corruption"], "y": each.value, "name": f"{PAPER_NAMES[str(each.conditions['model'])]} (paper)"} for each in points]


def _images(scale: Scale, examples: int | None) -> Dataset:
    return CIFAR10(crop=28, examples=examples, test_examples=scale.test_examples)


def _stop(scale: Scale) -> Any:
    """At full size zero training error comes after a loss of 0.05; in a small sample one or the other comes first."""
    return scale.pick(smoke="overfit", laptop="overfit", paper="interpolation")
