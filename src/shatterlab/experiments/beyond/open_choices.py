"""Choices that the paper leaves open: which of them change the order in which its settings are fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from shatterlab import CIFAR10, SGD, Experiment, GaussianPixels, RandomPixels, RankingTable, Scale, ShuffledPixels, SmallInception, Table, Training, Trial
from shatterlab.core import Corruption, Dataset
from shatterlab.design.settings import FIVE_SETTINGS
from shatterlab.experiments._networks import TIME, Setup, digits_or_images

_BASE: Mapping[str, Any] = {"dataset.crop": 28, "corruption.unit": "position", "corruption.moments": "channel", "learner.architecture.convention": "shift"}
_PIXELS: Mapping[str, tuple[dict[str, Any], list[Corruption]]] = {
    "every value moves by itself, not whole pixels": ({"corruption.unit": "value"}, [ShuffledPixels(unit="value"), RandomPixels(unit="value")]),
    "Gaussian moments of each pixel": ({"corruption.moments": "pixel"}, [GaussianPixels("pixel")]),
    "one Gaussian mean and variance for all": ({"corruption.moments": "global"}, [GaussianPixels("global")]),
}
Convention = Literal["shift", "bias", "scale_shift"]
_CONVENTIONS: Mapping[Convention, str] = {"bias": "batch norm without parameters, a bias before it", "scale_shift": "batch norm with scale and shift"}


def experiment(scale: Scale) -> Experiment:
    """The small Inception. Smoke: a tenth of its width on 100 digits. Laptop: a quarter on 128 images. Paper: the published size."""
    width, examples = scale.pick(smoke=(0.1, 100), laptop=(0.25, 128), paper=(1.0, None))
    images = digits_or_images(scale, examples)

    def trials(corruptions: Iterable[Corruption], data: Dataset = images, crop: int | None = None, convention: Convention = "shift") -> tuple[Trial, ...]:
        network = SmallInception(width=width, convention=convention)
        return Setup(data, Training(network, SGD(lr=0.1), epochs=scale.epochs, stop="overfit", crop=crop)).trials(corruptions, scale)

    names: list[Convention] = ["shift", *_CONVENTIONS]
    grids = [*(trials(FIVE_SETTINGS, convention=name) for name in names), *(trials(corruptions) for _, corruptions in _PIXELS.values())]
    variants = {name: columns for name, (columns, _) in _PIXELS.items()}
    variants |= {title: {"learner.architecture.convention": name} for name, title in _CONVENTIONS.items()}
    base = {column: value for column, value in _BASE.items() if scale.name != "smoke" or column != "dataset.crop"}
    if scale.name != "smoke":
        uncropped = CIFAR10(examples=examples, test_examples=scale.test_examples)
        grids.append(trials([ShuffledPixels(), RandomPixels()], data=uncropped, crop=28))
        variants["pixels shuffled before the crop"] = {"dataset.crop": None, "learner.crop": 28}
    source = "Zhang et al. 2017, section 2.1 and appendix A, which do not say"
    question = "Which of the choices that the paper leaves open move the order in which its settings are fitted?"
    views = (
        RankingTable(TIME, variants, base=base),
        Table(("setting", "learner.architecture.convention"), (TIME, "fit.epochs_to_interpolation", "test.accuracy"), where=_TABLED),
    )
    return Experiment("open_choices", source, question, sum(grids, ()), views, scale=scale.name)


_TABLED = {"corruption.unit": (None, "position"), "corruption.moments": (None, "channel"), "learner.crop": None}
