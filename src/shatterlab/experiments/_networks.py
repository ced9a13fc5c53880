"""Samples and recipes of the paper's small networks at each scale: those of Figure 1, and those of Table 1 with their regularizers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from shatterlab import CIFAR10, MLP, SGD, Digits, PartialLabels, RandomCrop, RandomLabels, SmallAlexNet, SmallInception, Training, Trial, TrueLabels
from shatterlab.core import Architecture, Augmentation, Corruption, Dataset, Learner, Seeds
from shatterlab.design.experiment import Scale, grid, once
from shatterlab.references import curves, published

LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
FIVE_LEVELS = (0.0, 0.2, 0.5, 0.8, 1.0)
TIME = "fit.epochs_to_loss_0.05"  # the time to overfit: this threshold on the published curves gives the published ratios
PAPER_NAMES = {"inception": "SmallInception", "alexnet": "SmallAlexNet", "mlp_1x512": "MLP"}
CHANCE = 0.1  # of ten classes
_IDENTIFYING = (
    "dataset.examples", "learner.architecture.kind", "learner.architecture.hidden", "learner.architecture.batch_norm",
    "learner.optimizer.weight_decay", "learner.augmentation", "corruption.level",
)  # fmt: skip


def digits_or_images(scale: Scale, examples: int | None, test_examples: int | None = None, crop: int = 28) -> Dataset:
    """Digits at smoke scale, else CIFAR-10, with that many training examples (None: all) and by default the scale's test examples."""
    tested = test_examples or scale.test_examples
    return scale.pick(smoke=Digits(examples=examples, test_examples=tested), laptop=CIFAR10(crop=crop, examples=examples, test_examples=tested))


def hidden_column(hidden: tuple[int, ...]) -> str:
    """The text of the column "learner.architecture.hidden" for these hidden layers."""
    return str(MLP(hidden).columns("")[".hidden"])


@dataclass(frozen=True)
class Setup:
    """A learner, the sample it is fitted to, and the corruption levels of its sweep."""

    dataset: Dataset
    learner: Learner
    levels: tuple[float, ...] = LEVELS

    def trials(self, corruptions: Iterable[Corruption], scale: Scale) -> tuple[Trial, ...]:
        """Every corruption under every seed, replicates outermost, so that an early look is balanced."""
        return grid(Trial, seeds=scale.seeds, dataset=[self.dataset], corruption=list(corruptions), learner=[self.learner])


def setups(scale: Scale, laptop: Iterable[str], paper: Iterable[str], learner: Learner | None = None, dataset: Dataset | None = None) -> list[Setup]:
    """The networks of Figure 1 of these names, or an MLP on digits at smoke scale.

    Args:
        scale: how large.
        laptop: "mlp", "alexnet" or "inception", at laptop scale: 5,000 images for the MLP, 300 for the others.
        paper: likewise at paper scale, on all images.
        learner: a recipe of the user's own in place of these, on `dataset`.
        dataset: the data set of that recipe.
    """
    if learner is not None and dataset is not None:
        return [Setup(dataset, learner)]
    if scale.name == "smoke":
        recipe = Training(MLP(), SGD(lr=0.05), batch_size=32, epochs=scale.epochs, stop="overfit")
        return [Setup(digits_or_images(scale, scale.examples), recipe, FIVE_LEVELS)]
    return [_setup(scale, name) for name in scale.pick(smoke=(), laptop=laptop, paper=paper)]


def _setup(scale: Scale, name: str) -> Setup:
    laptop = scale.name == "laptop"
    network, rate = {
        "mlp": (MLP(), 0.01),
        "alexnet": (SmallAlexNet(init="glorot") if laptop else SmallAlexNet(), 0.01),
        "inception": (SmallInception(width=0.25) if laptop else SmallInception(), 0.1),
    }[name]
    examples = scale.examples if name == "mlp" else 300 if laptop else None
    levels = FIVE_LEVELS if laptop and name != "mlp" else LEVELS
    stop: Any = "overfit" if laptop else "interpolation"  # at full size zero training error comes after a loss of 0.05, in a small sample either may be first
    return Setup(digits_or_images(scale, examples), Training(network, SGD(lr=rate), epochs=scale.epochs, stop=stop), levels)


def sweep(setups: Iterable[Setup], scale: Scale) -> tuple[Trial, ...]:
    """Every setup at each of its corruption levels."""
    return tuple(trial for setup in setups for trial in setup.trials(map(PartialLabels, setup.levels), scale))


def published_losses() -> list[dict[str, Any]]:
    """The published training losses of the small Inception by epoch, one curve a setting."""
    series = curves()["figure1a"]["series"]
    names = {name: "Gaussian pixels" if name == "gaussian" else name.replace("_", " ") for name in series}
    return [{"x": epoch, "y": loss, "name": names[name]} for name, values in series.items() for epoch, loss in enumerate(values, 1)]


def published_points(figure: str, metric: str) -> list[dict[str, Any]]:
    """The published points of Figure 1(b) or 1(c)."""
    points = [(point.conditions, point.value) for point in published(figure, metric=metric)]
    return [{"x": where["label_corruption"], "y": value, "name": f"{PAPER_NAMES[str(where['model'])]} (paper)"} for where, value in points]


@dataclass(frozen=True)
class Net:
    """A network of Table 1 with its sample, its recipe without regularizers, and its regularizers.

    Args:
        name: its name in the references.
        title: its name in tables.
        dataset: the sample, uncropped.
        learner: the recipe, which crops the centre and regularizes nothing.
        crop: the random crop that stands for data augmentation.
        weight_decay: the coefficient.
        weight_decay_on: the parameters it acts on; none: all.
    """

    name: str
    title: str
    dataset: Dataset
    learner: Training
    crop: Augmentation
    weight_decay: float
    weight_decay_on: tuple[str, ...] = ()

    def recipe(self, cropped: bool = False, decayed: bool = False) -> Training:
        """The recipe with random crops, with weight decay, or with both."""
        learner = replace(self.learner, augmentation=(self.crop,)) if cropped else self.learner
        if decayed:
            assert isinstance(learner.optimizer, SGD)
            learner = replace(learner, optimizer=replace(learner.optimizer, weight_decay=self.weight_decay), weight_decay_on=self.weight_decay_on)
        return learner

    def trials(self, learner: Training, labels: str, replicates: int) -> tuple[Trial, ...]:
        """Replicates of a recipe on "true" or "random" labels."""
        corruption: Corruption = TrueLabels() if labels == "true" else RandomLabels()
        return tuple(Trial(self.dataset, corruption, learner, Seeds.replicate(r)) for r in range(replicates))


def nets(scale: Scale) -> dict[str, Net]:
    """The five networks of Table 1 by name.

    Smoke: narrow ones on 100 digits, shifted by up to a pixel. Laptop: quarter-width Inception nets and AlexNet on 1,000 images of CIFAR-10,
    in batches of 32, the MLPs on 5,000. Paper: the published ones on all images. The coefficients are the same at every scale: TensorFlow's
    for Inception, its CIFAR-10 tutorial's for AlexNet (on the hidden linear layers), the first author's demo's for the MLPs.
    """
    width, hidden = scale.pick(smoke=(0.1, 64), laptop=(0.25, 512), paper=(1.0, 512))
    alexnet = scale.pick(smoke=SmallAlexNet(8, init="glorot"), laptop=SmallAlexNet(init="glorot"), paper=SmallAlexNet())
    initialized = scale.pick(smoke=SmallInception(False, init="he"), laptop=SmallInception(False, init="he"), paper=SmallInception(False))
    slower = scale.pick(smoke=0.05, laptop=0.01, paper=0.1)  # narrow and without batch norm it does not train at the published rate
    networks = (
        _net(scale, "inception", "Inception", SmallInception(width=width), 0.1, 4e-5),
        _net(scale, "inception_wo_bn", "Inception w/o BN", replace(initialized, width=width), slower, 4e-5),
        _net(scale, "alexnet", "AlexNet", alexnet, 0.01, 0.004, ("full*.weight",)),
        _net(scale, "mlp_3x512", "MLP 3x512", MLP((hidden,) * 3), 0.01, 1e-4),
        _net(scale, "mlp_1x512", "MLP 1x512", MLP((hidden,)), 0.01, 1e-4),
    )
    return {net.name: net for net in networks}


def _net(scale: Scale, name: str, title: str, architecture: Architecture, rate: float, weight_decay: float, weight_decay_on: tuple[str, ...] = ()) -> Net:
    if scale.name == "smoke":
        data: Dataset = Digits(examples=100, test_examples=200)
        learner = Training(architecture, SGD(lr=max(rate, 0.05)), batch_size=25, epochs=50, stop="overfit")
        return Net(name, title, data, learner, RandomCrop(None, padding=1), weight_decay, weight_decay_on)
    learner = Training(architecture, SGD(lr=rate), epochs=70, stop="budget", crop=28)
    examples = None
    if scale.name == "laptop":
        examples = 5000 if name.startswith("mlp") else 1000
        epochs = 150 if name == "inception_wo_bn" else 100  # at its lower rate it takes over 80 to fit 1,000 images
        learner = replace(learner, epochs=epochs, stop="overfit", batch_size=128 if name.startswith("mlp") else 32)
    data = CIFAR10(examples=examples, test_examples=scale.test_examples)
    return Net(name, title, data, learner, RandomCrop(28), weight_decay, weight_decay_on)


def replicates(scale: Scale) -> int:
    """Seeds a line: two at smoke scale, where a table of 19 lines is to take seconds."""
    return scale.pick(smoke=2, laptop=scale.replicates)


def where(trial: Trial) -> dict[str, Any]:
    """The columns by which the rows of a trial and its replicates differ from others of these experiments."""
    columns = trial.specification()
    return {column: columns[column] for column in _IDENTIFYING if columns.get(column) is not None}


def balanced(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Each trial once, replicates outermost, so that an early look is balanced."""
    return tuple(sorted(once(trials), key=lambda trial: trial.seeds.data))
