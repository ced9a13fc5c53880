"""A network of 2n + d weights that fits any labels: how many weights, and how exact in which arithmetic."""

from __future__ import annotations

from shatterlab import CIFAR10, MNIST, Curve, Digits, Experiment, GaussianCloud, RandomLabels, Scale, Table, Trial, TwoLayerConstruction, every, grid
from shatterlab.core import Dataset

_D = 50
_REAL = {"dataset.kind": "GaussianCloud"}
_ERRORS = {"float32": "fit.float32_error", "float64": "fit.float64_error", "double-double, certified": "fit.certified_error"}
_THEOREM = "Theorem 1"


def experiment(scale: Scale) -> Experiment:
    """Smoke: up to 1,024 Gaussian points and digits. Laptop: up to 10,000 points and images of MNIST. Paper: all of MNIST and of CIFAR-10."""
    sizes: tuple[int, ...] = scale.pick(smoke=(16, 64, 256, 1024), laptop=(100, 1000, 3000, 10_000), paper=(1000, 10_000, 60_000))
    mnist: list[Dataset] = [MNIST(examples=n, test_examples=20) for n in sizes]
    digits: list[Dataset] = [Digits(examples=n, test_examples=20) for n in (*sizes[:-1], 1347)]
    # values are whole numbers of few bits, on which projections are exact
    images = scale.pick(smoke=digits, laptop=mnist, paper=[*mnist, CIFAR10(examples=50_000, test_examples=20)])
    points = [GaussianCloud(_D, n=max(sizes), examples=n, test_examples=20) for n in sizes]
    levels = {"dataset.kind": tuple(dict.fromkeys(data.kind for data in images))}
    weights = [{"x": n, "y": 2 * n + _D, "name": f"2n + d, d = {_D}"} for n in sizes]
    source = "Zhang et al. 2017, Theorem 1"
    question = "Does a network of 2n + d weights take any labels of n points, and which arithmetic is exact enough to show it?"
    trials = grid(Trial, dataset=[*points, *images], corruption=[RandomLabels()], learner=[TwoLayerConstruction()], seeds=scale.seeds)
    views = (
        Curve("train.n", _ERRORS, title="Largest error at the sample's points: real values", scale="log", where=_REAL, y_title="largest error"),
        Curve("train.n", _ERRORS, title="Largest error at the sample's points: pixels of few levels", scale="log", where=levels, y_title="largest error"),
        Curve("train.n", "fit.weights", by="dataset.kind", title="Weights against sample size, 2n + d", reference=weights),
        Table(("dataset.kind", "train.n"), ("train.error", *_ERRORS.values()), title="Errors by arithmetic"),
        Table(("dataset.kind", "train.n"), ("fit.weights", "fit.smallest_gap", "fit.largest_weight", "fit.float32_reproduces"), title="What it is made of"),
    )
    counts = [
        every(f"{n:,} points of {_D} values take {w:,} weights", "fit.weights", _REAL | {"dataset.examples": n}, low=w, high=w, reference=_THEOREM)
        for n, w in ((n, 2 * n + _D) for n in sizes)
    ]
    largest = levels | {"dataset.examples": sizes[-1]}
    claims = (
        every("every random label is reproduced", "train.error", high=0.0, reference=_THEOREM),
        *counts,
        every("on pixels of few levels the certified error is at most 1e-10", "fit.certified_error", levels, high=1e-10),
        every("on real values it is at most 1e-6", "fit.certified_error", _REAL, high=1e-6),
        every(f"of {sizes[-1]:,} images, float32 is off by at least 0.5 on one", "fit.float32_error", largest, low=0.5, scales=("laptop", "paper")),
    )
    return Experiment("theorem1", source, question, trials, views, claims, scale.name)
