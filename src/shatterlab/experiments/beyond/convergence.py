"""Why shuffled and random pixels converge differently from random labels: predictions of a kernel beside measured losses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shatterlab import MLP, SGD, Claim, Experiment, Gaussian, NeuralTangent, PredictedDescent, Scale, SmallAlexNet, Training, Trial, grid, mean, ratio
from shatterlab.core import Architecture, Dataset, Kernel, Learner
from shatterlab.core.errors import InvalidPart
from shatterlab.design.settings import FIVE_SETTINGS, RANDOM, RANDOM_PIXELS, SHUFFLED_PIXELS, TRUE
from shatterlab.experiments._networks import digits_or_images
from shatterlab.views import ArrayCurves, Histogram, Scatter, Table, View

_NETWORK = "learner.learner.architecture.kind"
_MLP, _CONVOLUTIONS = {_NETWORK: "MLP"}, {_NETWORK: "SmallAlexNet"}
_LOSS, _PREDICTED_LOSS, _COMPLEXITY, _RELATIVE = "train.loss", "fit.predicted_loss", "fit.complexity", "fit.relative_complexity"
_WITHIN = 1e-6  # of a Gaussian kernel's y'K^-1 y: distances summed in another order, some hundred eps of float64 times the condition number
_FACTOR = 1.1  # "larger" means by a tenth, stated before looking


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """Smoke: 100 digits. Laptop: 200 images. Paper: 2,000 images. An MLP, and a narrow SmallAlexNet with torch's initialization.

    At laptop and paper scale rates stay near a quarter of the largest at which the kernel at initialization predicts a falling curve. At smoke
    scale they are near half of it, where the convolutional net's loss jumps.

    Args:
        scale: how large.
        learner: a torch model of the user's own in place of these, on `dataset`; of its recipe, learning rate and epochs are kept, the rest is plain descent.
        dataset: the data set of that model.

    Raises:
        InvalidPart: the learner is no `Training`.
    """
    if learner is not None and dataset is not None:
        return _plan(scale, dataset, [_plain(learner)], ())
    n, width, channels, tested = scale.pick(smoke=(100, 128, 8, 100), laptop=(200, 256, 8, 100), paper=(2000, 512, 64, 2000))
    rates = scale.pick(smoke=(0.02, 0.1), laptop=(0.004, 0.05), paper=(0.002, 0.02))
    steps, sigma = scale.pick(smoke=(60, 8.0), laptop=(150, 30.0), paper=(1000, 30.0))
    recipes = [
        _descent(MLP((width,)), rates[0], steps, (NeuralTangent(1), Gaussian(sigma))),
        _descent(SmallAlexNet(channels, init="default"), rates[1], steps, (Gaussian(sigma),)),
    ]
    return _plan(scale, digits_or_images(scale, n, tested), recipes, (*_HARDER, *_SAME, *_PREDICTED))


def _descent(architecture: Architecture, rate: float, steps: int, kernels: tuple[Kernel, ...]) -> PredictedDescent:
    optimizer = SGD(lr=rate, momentum=0.0)
    return PredictedDescent(Training(architecture, optimizer, decay=1.0, batch_size=None, epochs=steps, stop="budget", loss="squared"), kernels)


def _plain(learner: Learner) -> PredictedDescent:
    if not isinstance(learner, Training):
        raise InvalidPart(f'convergence: a torch model is required, got {learner.kind}. Name it "module:factory".')
    steps = min(learner.epochs, 200)
    descent = _descent(learner.architecture, learner.optimizer.lr, steps, ())
    return replace(descent, learner=replace(descent.learner, crop=learner.crop, whiten=learner.whiten))


def _plan(scale: Scale, data: Dataset, recipes: list[PredictedDescent], claims: tuple[Claim, ...]) -> Experiment:
    source = "Zhang et al. 2017, section 2.1; Arora et al. 2019, section 4"
    question = "Does the kernel of a network at initialization predict how fast each randomization is fitted?"
    trials = grid(Trial, dataset=[data], corruption=FIVE_SETTINGS, learner=recipes, seeds=scale.seeds)
    return Experiment("convergence", source, question, trials, tuple(_views(recipes)), claims, scale.name)


def _views(recipes: list[PredictedDescent]) -> Iterator[View]:
    lines = (_NETWORK, "setting")
    curves = (_PREDICTED_LOSS, _LOSS, "fit.curve_gap", "fit.predicted_epochs_to_half_loss", "fit.epochs_to_half_loss", "fit.largest_rate")
    yield Table(lines, curves, title="Predicted and measured")
    yield Table(lines, ("fit.complexity", "fit.relative_complexity", "fit.leading_energy", "fit.condition"), title="The network's own kernel at initialization")
    for kernel in recipes[0].kernels:
        columns = tuple(f"fit.{kernel.kind}.{name}" for name in ("predicted_loss", "complexity", "relative_complexity", "leading_energy"))
        yield Table(lines, columns, title=f"{kernel.kind} kernel, scaled to the same trace", where={_NETWORK: recipes[0].learner.architecture.kind})
    for recipe in recipes:
        name = recipe.learner.architecture.kind
        where = {_NETWORK: name}
        both = {"measured": "fit.measured_losses", "predicted": "fit.predicted_losses"}
        yield ArrayCurves(both, "training loss", title=f"Measured and predicted loss, {name}", scale="log", where=where)
        energy = {"labels": "fit.label_energy"}
        yield ArrayCurves(energy, "share of the labels' energy", "eigenvector", title=f"Label energy, {name}", first=1, x_scale="log", where=where)
        yield Histogram("fit.eigenvalues", by=("setting",), title=f"Eigenvalues, {name}", scale="log", where=where)
        yield Scatter(_PREDICTED_LOSS, _LOSS, by="setting", title=f"Measured against predicted loss, {name}", where=where)


_HARDER = (
    ratio("random labels are further from the kernel: y'K^-1 y is larger than of true labels", _COMPLEXITY, RANDOM, TRUE, low=_FACTOR),
    ratio("they are predicted to be slower: a larger loss is left", _PREDICTED_LOSS, RANDOM, TRUE, low=_FACTOR),
    ratio("and are", _LOSS, RANDOM, TRUE, low=_FACTOR, reference="Section 2.1"),
    ratio("random pixels are predicted to be faster than random labels: a smaller loss is left", _PREDICTED_LOSS, RANDOM_PIXELS, RANDOM, high=1 / _FACTOR),
    ratio("and are", _LOSS, RANDOM_PIXELS, RANDOM, high=1 / _FACTOR, reference="Section 2.1"),
)
_SAME = (
    mean("of random labels y'K^-1 y is its exact mean, to within a tenth", _RELATIVE, RANDOM, low=1 / _FACTOR, high=_FACTOR),
    mean("of random pixels too: the kernel sees noise", _RELATIVE, RANDOM_PIXELS, low=1 / _FACTOR, high=_FACTOR),
    ratio(
        "to a Gaussian kernel a shared shuffle of the pixels is nothing: y'K^-1 y over its mean stays, to within 1e-6",
        "fit.Gaussian.relative_complexity", SHUFFLED_PIXELS, TRUE, low=1 - _WITHIN, high=1 + _WITHIN,
    ),
    ratio(
        "to an MLP it is another draw of its weights: its loss stays, to within a tenth",
        _LOSS, _MLP | SHUFFLED_PIXELS, _MLP | TRUE, low=1 / _FACTOR, high=_FACTOR,
    ),
    ratio(
        "to convolutions it is a loss: y'K^-1 y of their own kernel is larger",
        _COMPLEXITY, _CONVOLUTIONS | SHUFFLED_PIXELS, _CONVOLUTIONS | TRUE, low=_FACTOR,
    ),
    ratio("and the remaining loss is larger too", _LOSS, _CONVOLUTIONS | SHUFFLED_PIXELS, _CONVOLUTIONS | TRUE, low=_FACTOR),
)  # fmt: skip
_PREDICTED = (
    mean("the curve of the MLP keeps to its prediction, to within a tenth of the initial loss", "fit.curve_gap", _MLP, high=0.1),
    mean("and so does that of the convolutional net", "fit.curve_gap", _CONVOLUTIONS, high=0.1),
)
