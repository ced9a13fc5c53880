"""What Table 2 and Figure 2(a) share: Inception v3 on photos, each regularizer switched by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from shatterlab.architectures.inception_v3 import InceptionV3
from shatterlab.augmentations.color_jitter import ColorJitter
from shatterlab.augmentations.horizontal_flip import HorizontalFlip
from shatterlab.augmentations.random_resized_crop import RandomResizedCrop
from shatterlab.core import Dataset, Seeds
from shatterlab.corruptions.partial_labels import RandomLabels, TrueLabels
from shatterlab.datasets.generated_photos import GeneratedPhotos
from shatterlab.datasets.streamed_folder import StreamedFolder
from shatterlab.design.experiment import Scale
from shatterlab.learners.streamed_training import StreamedTraining
from shatterlab.optimizers.rms_prop import RMSProp
from shatterlab.trials.trial import Trial

Line = tuple[str, bool, bool, bool]  # labels, augmentation, dropout, weight decay: a line of the published table
ALL, DECAY_ONLY, NONE = ("true", True, True, True), ("true", False, False, True), ("true", False, False, False)
KEYS = ("labels", "augmentation", "dropout", "weight decay")
_DISTORTION = (RandomResizedCrop((0.05, 1.0)), HorizontalFlip(), ColorJitter(32 / 255, 0.5, 0.5, 0.2))
_LABELS = {"true": TrueLabels(), "random": RandomLabels()}
_CLASSES = {"smoke": 4, "laptop": 10, "paper": 1000}
SAMPLE = StreamedFolder("data:imagenet-sample", size=75)  # 64 photos, one a class


def photos(scale: Scale) -> Dataset:
    """Smoke: photos drawn by a program. Laptop: Imagenette at 75 pixels. Paper: ILSVRC 2012 at 299, below the data root."""
    return scale.pick(
        smoke=GeneratedPhotos(classes=4, per_class=6, side=90, size=75),
        laptop=StreamedFolder("data:imagenette", size=75, examples=300, test_examples=200),
        paper=StreamedFolder("data:imagenet", size=299, examples=1_281_167, test_examples=50_000),
    )


def chance(scale: Scale) -> float:
    """1 / k."""
    return 1 / _CLASSES[scale.name]


def recipe(line: Line, scale: Scale) -> StreamedTraining:
    """Inception v3 with these regularizers; the settings of its time at paper scale, ones that fit a few hundred photos in minutes below."""
    _, augmented, dropout, decay = line
    width, momentum = scale.pick(smoke=(0.1, 0.1), laptop=(0.25, 0.1), paper=(1.0, 0.0003))
    network = InceptionV3(dropout=0.2 if dropout else 0.0, width=width, norm_momentum=momentum, init=scale.pick(smoke="he", laptop="he", paper="truncated"))
    of_its_time, quick = RMSProp(lr=0.045, alpha=0.9, momentum=0.9, eps=1.0), RMSProp(lr=0.0003, alpha=0.9, momentum=0.9, eps=0.001)
    return StreamedTraining(
        network,
        replace(scale.pick(smoke=quick, laptop=quick, paper=of_its_time), weight_decay=4e-5 if decay else 0.0),
        decay=scale.pick(smoke=1.0, laptop=0.94, paper=0.94),
        batch_size=scale.pick(smoke=12, laptop=60, paper=256),
        epochs=scale.pick(smoke=3, laptop=30, paper=100),
        smoothing=0.1,
        augmentation=_DISTORTION if augmented else (),
        precision=scale.pick(smoke="float32", laptop="float32", paper="bfloat16"),
    )


def trials(lines: Iterable[Line], scale: Scale) -> tuple[Trial, ...]:
    """Every line under every seed, replicates outermost; at paper scale and in a smoke test there is one."""
    seeds = [Seeds.replicate(r) for r in range(scale.pick(smoke=1, laptop=scale.replicates, paper=1))]
    wanted = list(lines)
    return tuple(Trial(photos(scale), _LABELS[line[0]], recipe(line, scale), each) for each in seeds for line in wanted)


def where(line: Line, scale: Scale) -> dict[str, Any]:
    """The columns that tell the rows of a line from the others'."""
    said = Trial(photos(scale), _LABELS[line[0]], recipe(line, scale)).specification()
    told = ("dataset.kind", "dataset.path", "corruption.level", "learner.augmentation", "learner.architecture.dropout", "learner.optimizer.weight_decay")
    return {column: said[column] for column in told if said.get(column) is not None}


def called(line: Line) -> tuple[str, ...]:
    """Its cells in a table."""
    return (line[0], *("yes" if each else "no" for each in line[1:]))
