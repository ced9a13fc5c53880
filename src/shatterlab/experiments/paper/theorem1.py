"""A network of 2n + d weights that takes any labels: how many numbers, and how exactly in which arithmetic."""

from __future__ import annotations

from shatterlab.core import Dataset, Seeds
from shatterlab.corruptions.partial_labels import RandomLabels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.datasets.gaussian_cloud import GaussianCloud
from shatterlab.datasets.mnist import MNIST
from shatterlab.design.experiment import Claim, Experiment, Scale, grid
from shatterlab.learners.two_layer_construction import TwoLayerConstruction
from shatterlab.trials.trial import Trial
from shatterlab.views import Curve, Table

_D = 50
_REAL = {"dataset.kind": "GaussianCloud"}
_ERRORS = {"float32": "fit.float32_error", "float64": "fit.float64_error", "double-double, certified": "fit.certified_error"}
_THEOREM = "Theorem 1"


def experiment(scale: Scale) -> Experiment:
    """Smoke: up to 1,024 Gaussian points and digits. Laptop: up to 10,000 points and images of MNIST. Paper: all of MNIST and of CIFAR-10."""
    sizes = _sizes(scale)
    images = _images(scale)
    points = [GaussianCloud(_D, n=max(sizes), examples=n, test_examples=20) for n in sizes]
    seeds = [Seeds.replicate(r) for r in range(scale.replicates)]
    levels = {"dataset.kind": tuple(dict.fromkeys(each.kind for each in images))}
    return Experiment(
        name="theorem1",
        source="Zhang et al. 2017, Theorem 1",
        question="Does a network of 2n + d weights take any labels of n points, and which arithmetic is exact enough to show it?",
        trials=grid(Trial, dataset=[*points, *images], corruption=[RandomLabels()], learner=[TwoLayerConstruction()], seeds=seeds),
        views=(
            Curve("train.n", _ERRORS, title="Largest error at the sample's points: real values", scale="log", where=_REAL, y_title="largest error"),
            Curve("train.n", _ERRORS, title="Largest error at the sample's points: pixels of few levels", scale="log", where=levels, y_title="largest error"),
            Curve("train.n", "fit.weights", by="dataset.kind", title="Weights against sample size, 2n + d", reference=_count(sizes)),
            Table(("dataset.kind", "train.n"), ("train.error", *_ERRORS.values()), title="Errors by arithmetic"),
            Table(("dataset.kind", "train.n"), ("fit.weights", "fit.smallest_gap", "fit.largest_weight", "fit.float32_reproduces"), title="What it is made of"),
        ),
        claims=_claims(scale, sizes, levels),
        scale=scale.name,
    )


def _sizes(scale: Scale) -> tuple[int, ...]:
    return scale.pick(smoke=(16, 64, 256, 1024), laptop=(100, 1000, 3000, 10_000), paper=(1000, 10_000, 60_000))


def _images(scale: Scale) -> list[Dataset]:
    """Samples whose values are whole numbers of few bits, on which projections are exact."""
    digits: list[Dataset] = [Digits(examples=n, test_examples=20) for n in (*_sizes(scale)[:-1], 1347)] if scale.name == "smoke" else []
    mnist: list[Dataset] = [MNIST(examples=n, test_examples=20) for n in _sizes(scale)]
    everything: list[Dataset] = [CIFAR10(examples=50_000, test_examples=20)]
    return scale.pick(smoke=digits, laptop=mnist, paper=mnist + everything)


def _count(sizes: tuple[int, ...]) -> list[dict[str, object]]:
    return [{"x": n, "y": 2 * n + _D, "name": f"2n + d, d = {_D}"} for n in sizes]


def _claims(scale: Scale, sizes: tuple[int, ...], levels: dict[str, tuple[str, ...]]) -> tuple[Claim, ...]:
    counts = [
        Claim(f"{n:,} points of {_D} values take {2 * n + _D:,} weights", "fit.weights", _REAL | {"dataset.examples": n}, low=2 * n + _D, high=2 * n + _D,
              reference=_THEOREM)
        for n in sizes
    ]  # fmt: skip
    largest = levels | {"dataset.examples": sizes[-1]}
    return (
        Claim("every random label is reproduced", "train.error", high=0.0, reference=_THEOREM),
        *counts,
        Claim("on pixels of few levels the certified error is at most 1e-10", "fit.certified_error", levels, high=1e-10),
        Claim("on real values it is at most 1e-6", "fit.certified_error", _REAL, high=1e-6),
        Claim(f"of {sizes[-1]:,} images, float32 is off by at least 0.5 on one", "fit.float32_error", largest, low=0.5, scales=("laptop", "paper")),
    )
