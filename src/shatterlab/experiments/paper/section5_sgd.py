"""Gradient descent from 0 on a linear model ends at the interpolant of least norm, and curvature does not single that out."""

from __future__ import annotations

from typing import Any, Literal

from shatterlab.architectures.linear import Linear
from shatterlab.core import Dataset, Learner, Seeds
from shatterlab.corruptions.partial_labels import TrueLabels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Claim, Experiment, Scale, grid
from shatterlab.learners.linear import LinearMinimumNorm
from shatterlab.learners.training import Training
from shatterlab.measures.linear_models import DistanceToMinimumNorm, LogCoshCurvature
from shatterlab.optimizers.sgd import SGD
from shatterlab.trials.trial import Trial
from shatterlab.views import Curve, Histogram, Table

_DISTANCE = "measure.DistanceToMinimumNorm.distance"
_OUTSIDE = "measure.DistanceToMinimumNorm.outside"
_MOVED = "measure.DistanceToMinimumNorm.outside_moved"
_TRACE = "measure.LogCoshCurvature.trace"
_ZEROS, _SPECTRUM = "measure.LogCoshCurvature.zeros_per_class", "measure.LogCoshCurvature.eigenvalues"
_INIT, _EPOCHS = "learner.architecture.init", "learner.epochs"
_EXACT = {"learner.kind": "LinearMinimumNorm"}
_SECTION = "Section 5"


def experiment(scale: Scale) -> Experiment:
    """Smoke: 20 digits of 64 pixels. Laptop and paper: 500 and 1,000 images of 2,352 values.

    The distance against steps is a curve over trials: each point is a run of its own that ends there, a pure function of its row.
    """
    n = scale.pick(smoke=20, laptop=500, paper=1000)
    d = scale.pick(smoke=64, laptop=2352, paper=2352)
    images = CIFAR10(crop=28, examples=n, test_examples=scale.test_examples)
    data: Dataset = scale.pick(smoke=Digits(examples=n, test_examples=scale.test_examples), laptop=images, paper=images)
    budgets = scale.pick(smoke=(3, 30, 300, 1000), laptop=(1, 3, 10, 30, 100, 300, 1000), paper=(1, 3, 10, 30, 100, 300, 1000, 3000))
    exact = LinearMinimumNorm(whiten=_whitened(scale))
    learners: list[Learner] = [exact, *(_descent(scale, "zero", epochs) for epochs in budgets), _descent(scale, "default", budgets[-1])]
    seeds = [Seeds.replicate(r) for r in range(scale.replicates)]
    measures = [(DistanceToMinimumNorm(), LogCoshCurvature())]
    return Experiment(
        name="section5_sgd",
        source="Zhang et al. 2017, section 5",
        question="Which of all interpolants does gradient descent find, and could curvature tell it from the others?",
        trials=grid(Trial, dataset=[data], corruption=[TrueLabels()], learner=learners, seeds=seeds, measures=measures),
        views=(
            Curve("fit.steps", _DISTANCE, by=_INIT, scale="log", title="Distance to the interpolant of least norm, relative to its norm"),
            Curve("fit.steps", "train.loss", by=_INIT, scale="log"),
            Table(("learner.kind", _INIT, _EPOCHS), (_DISTANCE, _OUTSIDE, _MOVED, "train.loss", "test.accuracy"), title="Where descent stands"),
            Table(("learner.kind", _INIT, _EPOCHS), (_TRACE, "measure.LogCoshCurvature.largest", _ZEROS), title="Curvature where it stands"),
            Histogram(_SPECTRUM, ("learner.kind", _EPOCHS), f"Eigenvalues of all classes' Hessians, in theory at least {d - n:,} of {d:,} a class are 0",
                      scale="log", counts="log", where=_shown(budgets)),
        ),
        claims=_claims(budgets, scale.pick(smoke=0.2, laptop=0.3, paper=0.5), d - n),
        scale=scale.name,
    )  # fmt: skip


def _shown(budgets: tuple[int, ...]) -> dict[str, Any]:
    """The exact solution, and descent from 0 after its first epochs and at its end."""
    return {_INIT: (None, "zero"), _EPOCHS: (None, budgets[0], budgets[-1])}


def _descent(scale: Scale, init: Literal["default", "zero"], epochs: int) -> Training:
    """Squared loss at a constant rate below 1 / (largest eigenvalue of a batch), never stopped before its budget."""
    rate, batch = scale.pick(smoke=(0.02, 5), laptop=(4e-4, 50), paper=(4e-4, 50))
    linear = Linear(bias=False, init=init)
    whiten = _whitened(scale)
    return Training(linear, SGD(lr=rate), decay=1.0, batch_size=batch, epochs=epochs, stop="budget", whiten=whiten, loss="squared")


def _whitened(scale: Scale) -> bool:
    """Photographs are whitened, since their brightness alone would make the system a hundred times worse conditioned."""
    return scale.pick(smoke=False, laptop=True, paper=True)


def _claims(budgets: tuple[int, ...], left: float, zeros: int) -> tuple[Claim, ...]:
    first, last = ({"learner.kind": "Training", _INIT: "zero", _EPOCHS: epochs} for epochs in (budgets[0], budgets[-1]))
    elsewhere = {"learner.kind": "Training", _INIT: "default"}
    near: dict[str, Any] = {"low": 0.98, "high": 1.02, "ratio": True}
    return (
        Claim("the exact solution interpolates", "fit.relative_residual", _EXACT, high=1e-6),
        Claim(f"from 0, at most {left:g} of the way to the interpolant of least norm is left at the end", _DISTANCE, last, high=left, reference=_SECTION),
        Claim("and less than after the first epochs, by a factor of at least 1.5", _DISTANCE, first, versus=last, low=1.5, ratio=True, reference=_SECTION),
        Claim("from 0, descent stays in the span of the inputs", _OUTSIDE, {_INIT: "zero"}, high=1e-3, reference=_SECTION),
        Claim("from elsewhere, what is orthogonal to the inputs stays as it was", _MOVED, elsewhere, high=1e-3),
        Claim("from elsewhere, descent does not come near: at least a tenth of the norm remains", _DISTANCE, elsewhere, low=0.1),
        Claim("every Hessian has at least d - n zero eigenvalues", _ZEROS, low=zeros, reference=_SECTION),
        Claim("the Hessian where descent ends has the trace of that at the exact solution, to within 2 %", _TRACE, last, versus=_EXACT, **near),
        Claim("before it interpolates the trace is another, lower by at least 2 %", _TRACE, first, versus=_EXACT, high=0.98, ratio=True),
    )
