"""Why shuffled and random pixels converge otherwise than random labels: what a kernel foretells of each setting, beside what happens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_alexnet import SmallAlexNet
from shatterlab.core import Architecture, Corruption, Dataset, Kernel, Learner, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.corruptions.gaussian_pixels import GaussianPixels
from shatterlab.corruptions.partial_labels import RandomLabels, TrueLabels
from shatterlab.corruptions.random_pixels import RandomPixels
from shatterlab.corruptions.shuffled_pixels import ShuffledPixels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Claim, Experiment, Scale, grid
from shatterlab.kernels.radial import Gaussian
from shatterlab.kernels.wide_networks import NeuralTangent
from shatterlab.learners.predicted_descent import PredictedDescent
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD
from shatterlab.trials.trial import Trial
from shatterlab.views import Histogram, Scatter, Table, View
from shatterlab.views.array_curves import ArrayCurves

_SETTINGS: tuple[Corruption, ...] = (TrueLabels(), RandomLabels(), ShuffledPixels(), RandomPixels(), GaussianPixels())
_NETWORK = "learner.learner.architecture.kind"
_TRUE = {"corruption.kind": "PartialLabels", "corruption.level": 0.0}
_RANDOM = {"corruption.kind": "PartialLabels", "corruption.level": 1.0}
_SHUFFLED, _NOISE = {"corruption.kind": "ShuffledPixels"}, {"corruption.kind": "RandomPixels"}
_MLP, _CONVOLUTIONS = {_NETWORK: "MLP"}, {_NETWORK: "SmallAlexNet"}
_LOSS, _FORETOLD = "train.loss", "fit.predicted_loss"
_WITHIN = 1e-6  # of a Gaussian kernel's y'K^-1 y: distances summed in another order, some hundred eps of float64 times the condition number
_FACTOR = 1.1  # what is called larger: a tenth, stated before looking


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """Smoke: 100 digits. Laptop: 200 images. Paper: 2,000 images. An MLP, and a narrow SmallAlexNet with torch's initialization.

    At laptop and paper scale rates stay near a quarter of the largest at which the kernel at initialization predicts a falling curve. At smoke
    scale they are near half of it, where the convolutional net's loss is seen to jump.

    Args:
        scale: how large.
        learner: a torch model of the user's in place of these, on `dataset`; of its recipe, learning rate and epochs are kept, the rest is plain descent.
        dataset: what it is tried on.

    Raises:
        InvalidPart: the learner is no `Training`.
    """
    if learner is not None and dataset is not None:
        return _plan(scale, dataset, [_plain(learner)], ())
    n, width, channels, tested = scale.pick(smoke=(100, 128, 8, 100), laptop=(200, 256, 8, 100), paper=(2000, 512, 64, 2000))
    images = CIFAR10(crop=28, examples=n, test_examples=tested)
    data: Dataset = scale.pick(smoke=Digits(examples=n, test_examples=tested), laptop=images, paper=images)
    rates = scale.pick(smoke=(0.02, 0.1), laptop=(0.004, 0.05), paper=(0.002, 0.02))
    steps = scale.pick(smoke=60, laptop=150, paper=1000)
    sigma = scale.pick(smoke=8.0, laptop=30.0, paper=30.0)
    recipes = [
        _descent(MLP((width,)), rates[0], steps, (NeuralTangent(1), Gaussian(sigma))),
        _descent(SmallAlexNet(channels, init="default"), rates[1], steps, (Gaussian(sigma),)),
    ]
    return _plan(scale, data, recipes, (*_HARDER, *_SAME, *_PREDICTED))


def _descent(architecture: Architecture, rate: float, steps: int, kernels: tuple[Kernel, ...]) -> PredictedDescent:
    optimizer = SGD(lr=rate, momentum=0.0)
    return PredictedDescent(Training(architecture, optimizer, decay=1.0, batch_size=None, epochs=steps, stop="budget", loss="squared"), kernels)


def _plain(learner: Learner) -> PredictedDescent:
    """The user's own model by plain descent."""
    if not isinstance(learner, Training):
        raise InvalidPart(f'convergence: a torch model is required, got {learner.kind}. Name it "module:factory".')
    steps = min(learner.epochs, 200)
    made = _descent(learner.architecture, learner.optimizer.lr, steps, ())
    return replace(made, learner=replace(made.learner, crop=learner.crop, whiten=learner.whiten))


def _plan(scale: Scale, data: Dataset, recipes: list[PredictedDescent], claims: tuple[Claim, ...]) -> Experiment:
    seeds = [Seeds.replicate(r) for r in range(scale.replicates)]
    return Experiment(
        name="convergence",
        source="Zhang et al. 2017, section 2.1; Arora et al. 2019, section 4",
        question="Does the kernel of a network at initialization foretell how fast each randomization is fitted?",
        trials=grid(Trial, dataset=[data], corruption=_SETTINGS, learner=recipes, seeds=seeds),
        views=tuple(_views(recipes)),
        claims=claims,
        scale=scale.name,
    )


def _views(recipes: list[PredictedDescent]) -> Iterator[View]:
    lines = (_NETWORK, "setting")
    curves = (_FORETOLD, _LOSS, "fit.curve_gap", "fit.predicted_epochs_to_half_loss", "fit.epochs_to_half_loss", "fit.largest_rate")
    yield Table(lines, curves, title="Predicted and measured")
    yield Table(lines, ("fit.complexity", "fit.relative_complexity", "fit.leading_energy", "fit.condition"), title="The network's own kernel at initialization")
    for kernel in recipes[0].kernels:
        told = tuple(f"fit.{kernel.kind}.{name}" for name in ("predicted_loss", "complexity", "relative_complexity", "leading_energy"))
        yield Table(lines, told, title=f"{kernel.kind} kernel, scaled to the same trace", where={_NETWORK: recipes[0].learner.architecture.kind})
    for recipe in recipes:
        name = recipe.learner.architecture.kind
        where = {_NETWORK: name}
        both = {"measured": "fit.measured_losses", "predicted": "fit.predicted_losses"}
        yield ArrayCurves(both, "training loss", title=f"Measured and predicted loss, {name}", scale="log", where=where)
        energy = {"labels": "fit.label_energy"}
        yield ArrayCurves(energy, "share of the labels' energy", "eigenvector", title=f"Label energy, {name}", first=1, x_scale="log", where=where)
        yield Histogram("fit.eigenvalues", by=("setting",), title=f"Eigenvalues, {name}", scale="log", where=where)
        yield Scatter(_FORETOLD, _LOSS, by="setting", title=f"Measured against predicted loss, {name}", where=where)


_HARDER = (
    Claim(
        "random labels are further from the kernel: y'K^-1 y is larger than of true labels", "fit.complexity", _RANDOM, versus=_TRUE, low=_FACTOR, ratio=True
    ),
    Claim("they are predicted to be slower: a larger loss is left", _FORETOLD, _RANDOM, versus=_TRUE, low=_FACTOR, ratio=True),
    Claim("and are", _LOSS, _RANDOM, versus=_TRUE, low=_FACTOR, ratio=True, reference="Section 2.1"),
    Claim(
        "random pixels are predicted to be faster than random labels: a smaller loss is left", _FORETOLD, _NOISE, versus=_RANDOM, high=1 / _FACTOR, ratio=True
    ),
    Claim("and are", _LOSS, _NOISE, versus=_RANDOM, high=1 / _FACTOR, ratio=True, reference="Section 2.1"),
)
_SAME = (
    Claim("of random labels y'K^-1 y is its exact mean, to within a tenth", "fit.relative_complexity", _RANDOM, low=1 / _FACTOR, high=_FACTOR),
    Claim("of random pixels too: the kernel sees noise", "fit.relative_complexity", _NOISE, low=1 / _FACTOR, high=_FACTOR),
    Claim("to a Gaussian kernel a shared shuffle of the pixels is nothing: y'K^-1 y over its mean stays, to within 1e-6", "fit.Gaussian.relative_complexity",
          _SHUFFLED, versus=_TRUE, low=1 - _WITHIN, high=1 + _WITHIN, ratio=True),
    Claim("to an MLP it is another draw of its weights: its loss stays, to within a tenth", _LOSS, _MLP | _SHUFFLED, versus=_MLP | _TRUE,
          low=1 / _FACTOR, high=_FACTOR, ratio=True),
    Claim("to convolutions it is a loss: y'K^-1 y of their own kernel is larger", "fit.complexity", _CONVOLUTIONS | _SHUFFLED,
          versus=_CONVOLUTIONS | _TRUE, low=_FACTOR, ratio=True),
    Claim("and so is what is left of the loss", _LOSS, _CONVOLUTIONS | _SHUFFLED, versus=_CONVOLUTIONS | _TRUE, low=_FACTOR, ratio=True),
)  # fmt: skip
_PREDICTED = (
    Claim("the curve of the MLP keeps to its prediction, to within a tenth of the initial loss", "fit.curve_gap", _MLP, high=0.1),
    Claim("and so does that of the convolutional net", "fit.curve_gap", _CONVOLUTIONS, high=0.1),
)
