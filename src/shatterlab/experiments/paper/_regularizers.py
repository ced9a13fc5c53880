"""What Tables 1 and 4 and Figure 2(b) share: five networks, their samples, and the regularizers that are switched on and off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_alexnet import SmallAlexNet
from shatterlab.architectures.small_inception import SmallInception
from shatterlab.augmentations.random_crop import RandomCrop
from shatterlab.core import Architecture, Augmentation, Corruption, Dataset, Seeds
from shatterlab.corruptions.partial_labels import RandomLabels, TrueLabels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Scale
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD
from shatterlab.trials.trial import Trial

CHANCE = 0.1  # of ten classes
_IDENTIFYING = (
    "dataset.examples", "learner.architecture.kind", "learner.architecture.hidden", "learner.architecture.batch_norm",
    "learner.optimizer.weight_decay", "learner.augmentation", "corruption.level",
)  # fmt: skip


@dataclass(frozen=True)
class Net:
    """A network of Table 1 with its sample, its recipe without any regularizer, and what its regularizers are.

    Args:
        name: as the references have it.
        told: as a table prints it.
        dataset: the sample, uncropped.
        learner: the recipe, which crops the centre and regularizes nothing.
        crop: the random crop that stands for data augmentation.
        weight_decay: the coefficient.
        decayed: the parameters it acts on; none: all.
    """

    name: str
    told: str
    dataset: Dataset
    learner: Training
    crop: Augmentation
    weight_decay: float
    decayed: tuple[str, ...] = ()

    def recipe(self, crop: bool = False, weight_decay: bool = False) -> Training:
        """The recipe with these regularizers on."""
        learner = replace(self.learner, augmentation=(self.crop,)) if crop else self.learner
        if weight_decay:
            assert isinstance(learner.optimizer, SGD)
            learner = replace(learner, optimizer=replace(learner.optimizer, weight_decay=self.weight_decay), weight_decay_on=self.decayed)
        return learner

    def trials(self, learner: Training, labels: str, replicates: int) -> tuple[Trial, ...]:
        """Replicates of one line of a table."""
        corruption: Corruption = TrueLabels() if labels == "true" else RandomLabels()
        return tuple(Trial(self.dataset, corruption, learner, Seeds.replicate(r)) for r in range(replicates))


def nets(scale: Scale) -> dict[str, Net]:
    """The five networks of Table 1 by name.

    Smoke: narrow ones on 100 digits, shifted by up to a pixel. Laptop: quarter-width Inception nets and AlexNet on 1,000 images of CIFAR-10,
    in batches of 32, the MLPs on 5,000. Paper: the published ones on all images. The coefficients are the same at every scale: TensorFlow's
    for Inception, its CIFAR-10 tutorial's for AlexNet (on the hidden linear layers), the first author's demo's for the MLPs.
    """
    width = scale.pick(smoke=0.1, laptop=0.25, paper=1.0)
    alexnet = scale.pick(smoke=SmallAlexNet(8, init="glorot"), laptop=SmallAlexNet(init="glorot"), paper=SmallAlexNet())
    sizes = scale.pick(smoke=(100, 100, 100), laptop=(1000, 1000, 5000), paper=(None, None, None))
    hidden = scale.pick(smoke=64, laptop=512, paper=512)
    return {
        each.name: each
        for each in (
            _net(scale, "inception", "Inception", SmallInception(width=width), decay=4e-5, examples=sizes[0], rate=0.1),
            _net(scale, "inception_wo_bn", "Inception w/o BN", _without_norm(scale), decay=4e-5, examples=sizes[0], rate=_slower(scale)),
            _net(scale, "alexnet", "AlexNet", alexnet, decay=0.004, examples=sizes[1], decayed=("full*.weight",)),
            _net(scale, "mlp_3x512", "MLP 3x512", MLP((hidden,) * 3), decay=1e-4, examples=sizes[2]),
            _net(scale, "mlp_1x512", "MLP 1x512", MLP((hidden,)), decay=1e-4, examples=sizes[2]),
        )
    }


def _without_norm(scale: Scale) -> SmallInception:
    return scale.pick(
        smoke=SmallInception(batch_norm=False, width=0.1, init="he"), laptop=SmallInception(False, width=0.25, init="he"), paper=SmallInception(False)
    )


def _slower(scale: Scale) -> float:
    """Narrow and without batch norm it does not start at the published rate, or loses at once what it has learned."""
    return scale.pick(smoke=0.05, laptop=0.01, paper=0.1)


def _net(
    scale: Scale, name: str, told: str, architecture: Architecture, *, decay: float, examples: int | None, rate: float = 0.01, decayed: tuple[str, ...] = ()
) -> Net:
    if scale.name == "smoke":
        data: Dataset = Digits(examples=examples, test_examples=200)
        learner = Training(architecture, SGD(lr=max(rate, 0.05)), batch_size=25, epochs=50, stop="overfit")
        return Net(name, told, data, learner, RandomCrop(None, padding=1), decay, decayed)
    data = CIFAR10(examples=examples, test_examples=scale.test_examples)
    stop: Any = scale.pick(smoke="overfit", laptop="overfit", paper="budget")
    laptop = 150 if name == "inception_wo_bn" else 100  # at its lower rate it takes over 80 to fit 1,000 images
    learner = Training(architecture, SGD(lr=rate), epochs=scale.pick(smoke=50, laptop=laptop, paper=70), stop=stop, crop=28)
    if scale.name == "laptop" and not name.startswith("mlp"):
        learner = replace(learner, batch_size=32)
    return Net(name, told, data, learner, RandomCrop(28), decay, decayed)


def replicates(scale: Scale) -> int:
    """Seeds a line: two at smoke scale, where a table of 19 lines is to take seconds."""
    return scale.pick(smoke=2, laptop=scale.replicates, paper=scale.replicates)


def where(trial: Trial) -> dict[str, Any]:
    """The columns by which the rows of a trial and of its replicates are told from others of these experiments."""
    said = trial.specification()
    return {column: said[column] for column in _IDENTIFYING if said.get(column) is not None}


def distinct_trials(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Each trial once, replicates outermost, so that an early look is balanced."""
    once = {trial.key: trial for trial in trials}.values()
    return tuple(sorted(once, key=lambda trial: trial.seeds.data))


def above_chance(conditions: Mapping[str, Any]) -> Mapping[str, Any]:
    """What turns a ratio of accuracies into one of accuracies above chance."""
    return {**conditions, "ratio": True, "origin": CHANCE}
