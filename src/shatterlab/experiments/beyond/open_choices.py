"""Which of the choices that the paper leaves open move the order in which its settings are fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from shatterlab.architectures.small_inception import SmallInception
from shatterlab.core import Corruption, Learner
from shatterlab.corruptions.gaussian_pixels import GaussianPixels
from shatterlab.corruptions.random_pixels import RandomPixels
from shatterlab.corruptions.shuffled_pixels import ShuffledPixels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Experiment, Scale
from shatterlab.experiments.paper._figure1 import SETTINGS, TIME, Contender
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD
from shatterlab.views import RankingTable, Table

_BASE: Mapping[str, Any] = {
    "dataset.crop": 28,
    "corruption.unit": "position",
    "corruption.moments": "channel",
    "learner.architecture.convention": "shift",
}
_PIXELS: Mapping[str, tuple[dict[str, Any], list[Corruption]]] = {
    "every value moves by itself, not whole pixels": ({"corruption.unit": "value"}, [ShuffledPixels(unit="value"), RandomPixels(unit="value")]),
    "Gaussian moments of each pixel": ({"corruption.moments": "pixel"}, [GaussianPixels("pixel")]),
    "one Gaussian mean and variance for all": ({"corruption.moments": "global"}, [GaussianPixels("global")]),
}
_LATE_CROP = {"dataset.crop": None, "learner.crop": 28}
Convention = Literal["shift", "bias", "scale_shift"]
_CONVENTIONS: Mapping[Convention, str] = {"bias": "batch norm without parameters, a bias before it", "scale_shift": "batch norm with scale and shift"}


def experiment(scale: Scale) -> Experiment:
    """The small Inception. Smoke: a tenth of its width on 100 digits. Laptop: a quarter on 128 images. Paper: the published size."""
    width, examples = scale.pick(smoke=(0.1, 100), laptop=(0.25, 128), paper=(1.0, None))
    conventions: list[Convention] = ["shift", *_CONVENTIONS]
    contenders = [(_recipe(scale, SmallInception(width=width, convention=name)), SETTINGS) for name in conventions]
    contenders += [(contenders[0][0], tuple(corruptions)) for _, corruptions in _PIXELS.values()]
    images, late = (CIFAR10(crop=crop, examples=examples, test_examples=scale.test_examples) for crop in (28, None))
    digits = Digits(examples=examples, test_examples=scale.test_examples)
    data = scale.pick(smoke=digits, laptop=images, paper=images)
    trials = sum((Contender(data, learner).trials(corruptions, scale.replicates) for learner, corruptions in contenders), ())
    variants = {name: columns for name, (columns, _) in _PIXELS.items()}
    variants |= {told: {"learner.architecture.convention": name} for name, told in _CONVENTIONS.items()}
    if scale.name != "smoke":
        cropping = _recipe(scale, SmallInception(width=width), crop=28)
        trials += Contender(late, cropping).trials([ShuffledPixels(), RandomPixels()], scale.replicates)
        variants["pixels shuffled before the crop"] = _LATE_CROP
    return Experiment(
        name="open_choices",
        source="Zhang et al. 2017, section 2.1 and appendix A, which do not say",
        question="Which of the choices that the paper leaves open move the order in which its settings are fitted?",
        trials=trials,
        views=(
            RankingTable(TIME, variants, base=_BASE if scale.name != "smoke" else {name: value for name, value in _BASE.items() if name != "dataset.crop"}),
            Table(("setting", "learner.architecture.convention"), (TIME, "fit.epochs_to_interpolation", "test.accuracy"), where=_TABLED),
        ),
        scale=scale.name,
    )


def _recipe(scale: Scale, network: SmallInception, crop: int | None = None) -> Learner:
    return Training(network, SGD(lr=0.1), epochs=scale.epochs, stop="overfit", crop=crop)


_TABLED = {"corruption.unit": (None, "position"), "corruption.moments": (None, "channel"), "learner.crop": None}
