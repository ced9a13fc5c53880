"""Networks that fit any labels by formula, side by side: weights, neurons, depth, largest weight and precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from shatterlab import MNIST, DeepConstruction, Digits, Experiment, MemorizingNetwork, RandomLabels, Scale, Scatter, Table, Trial, TwoLayerConstruction, grid
from shatterlab.core import Learner
from shatterlab.design.claims import Claim, every, ratio

_WEIGHTS, _NEURONS, _LARGEST, _OFF = "fit.weights", "fit.neurons", "fit.largest_weight", "fit.float64_error"
_SIZES = (_WEIGHTS, _NEURONS, "fit.width", "fit.depth", _LARGEST, "fit.bits", _OFF)
_NAMES = ("learner.kind", "learner.construction", "learner.form", "learner.depth")
_TWO, _DEPTH = {"learner.kind": "TwoLayerConstruction"}, 5


def experiment(scale: Scale) -> Experiment:
    """Smoke: 400 digits. Laptop: 1,000 images of MNIST. Paper: 10,000. Labels are random, 0 .. 9, one output each network."""
    n = scale.pick(smoke=400, laptop=1000, paper=10000)
    data = scale.pick(smoke=Digits(examples=n, test_examples=200), laptop=MNIST(examples=n, test_examples=1000))
    d, plane = scale.pick(smoke=(64, 40), laptop=(784, 500))
    source = "Zhang et al. 2017, Theorem 1; Livni et al. 2014; Baum 1988 and Bubeck et al. 2020; Yun et al. 2019"
    question = "How large is a network that takes any labels of a sample, and what does being small cost?"
    theorem = [TwoLayerConstruction(), DeepConstruction(depth=_DEPTH), DeepConstruction(depth=_DEPTH, form="multiplexer")]
    learners: list[Learner] = [*theorem, MemorizingNetwork("untied"), MemorizingNetwork("baum", plane=plane), MemorizingNetwork("yun")]
    trials = grid(Trial, dataset=[data], corruption=[RandomLabels()], learner=learners, seeds=scale.seeds)
    views = (
        Table(_NAMES, _SIZES, title="Networks through the same points"),
        Scatter(_NEURONS, _WEIGHTS, by="learner.kind", title="Weights against neurons"),
        Scatter(_LARGEST, _OFF, by="learner.kind", title="What large weights cost in precision"),
    )
    return Experiment("memorizing_networks", source, question, trials, views, tuple(_claims(n, d, plane)), scale.name)


def _claims(n: int, d: int, plane: int) -> Iterator[Claim]:
    untied, baum, yun = _named("untied"), _named("baum", plane), _named("yun")
    yield every("every network fits every label", "train.error", high=0.0)
    yield every("in plain float64, no output is further than 0.01 from its label", _OFF, high=0.01)
    yield _exactly("one direction for all: 2 n + d weights", _WEIGHTS, _TWO, 2 * n + d, "Theorem 1")
    yield _exactly("a direction for each unit: n d + 2 n weights", _WEIGHTS, untied, n * d + 2 * n, "Livni et al. 2014")
    yield _exactly("slabs: 4 ceil(n / m) neurons, m points on a hyperplane", _NEURONS, baum, 4 * math.ceil(n / plane), "Bubeck et al. 2020")
    groups = math.isqrt(n - 1) + 1
    yield _exactly("three layers: d1 + d2 neurons with d1 d2 >= 4 n", _NEURONS, yun, 2 * (groups + math.ceil(n / groups)), "Yun et al. 2019")
    for other, name in ((untied, "a direction for each unit"), (baum, "slabs")):
        yield every(f"of depth 2, one direction for all has fewer weights than {name}", _WEIGHTS, _TWO, other, ratio=True, high=1.0)
    yield every("slabs have the fewest neurons: fewer than three layers", _NEURONS, baum, yun, ratio=True, high=1.0)
    yield every("three layers have fewer neurons than one a point", _NEURONS, yun, untied, ratio=True, high=1.0)
    yield ratio("one direction for all points takes weights 100 times as large as a direction for each", _LARGEST, yun, untied, low=100.0)


def _named(construction: str, plane: int | None = None) -> dict[str, Any]:
    return {"learner.kind": "MemorizingNetwork", "learner.construction": construction, "learner.plane": plane}


def _exactly(text: str, column: str, where: dict[str, Any], value: int, reference: str) -> Claim:
    return every(text, column, where, low=value, high=value, reference=reference)
