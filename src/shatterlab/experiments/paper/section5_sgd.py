"""Gradient descent from 0 on a linear model ends at the minimum-norm interpolant, and curvature does not single that out."""

from __future__ import annotations

from typing import Literal

from shatterlab import SGD, DistanceToMinimumNorm, Experiment, Learner, Linear, LinearMinimumNorm, LogCoshCurvature, Scale, Training, Trial, TrueLabels, grid
from shatterlab.design.claims import Claim, every, mean, ratio
from shatterlab.experiments._networks import digits_or_images
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
    n, d = scale.pick(smoke=(20, 64), laptop=(500, 2352), paper=(1000, 2352))
    budgets = scale.pick(smoke=(3, 30, 300, 1000), laptop=(1, 3, 10, 30, 100, 300, 1000), paper=(1, 3, 10, 30, 100, 300, 1000, 3000))
    from_zero = [_descent(scale, "zero", epochs) for epochs in budgets]
    learners: list[Learner] = [LinearMinimumNorm(whiten=scale.name != "smoke"), *from_zero, _descent(scale, "default", budgets[-1])]
    source = "Zhang et al. 2017, section 5"
    question = "Which of all interpolants does gradient descent find, and could curvature tell it from the others?"
    trials = grid(
        Trial,
        dataset=[digits_or_images(scale, n)],
        corruption=[TrueLabels()],
        learner=learners,
        seeds=scale.seeds,
        measures=[(DistanceToMinimumNorm(), LogCoshCurvature())],
    )
    views = (
        Curve("fit.steps", _DISTANCE, by=_INIT, scale="log", title="Distance to the minimum-norm interpolant, relative to its norm"),
        Curve("fit.steps", "train.loss", by=_INIT, scale="log"),
        Table(("learner.kind", _INIT, _EPOCHS), (_DISTANCE, _OUTSIDE, _MOVED, "train.loss", "test.accuracy"), title="Where descent stands"),
        Table(("learner.kind", _INIT, _EPOCHS), (_TRACE, "measure.LogCoshCurvature.largest", _ZEROS), title="Curvature where it stands"),
        Histogram(
            _SPECTRUM,
            ("learner.kind", _EPOCHS),
            title=f"Eigenvalues of all classes' Hessians, in theory at least {d - n:,} of {d:,} a class are 0",
            scale="log",
            counts="log",
            where={_INIT: (None, "zero"), _EPOCHS: (None, budgets[0], budgets[-1])},
        ),
    )
    claims = _claims(budgets, scale.pick(smoke=0.2, laptop=0.3, paper=0.5), d - n)
    return Experiment("section5_sgd", source, question, trials, views, claims, scale.name)


def _descent(scale: Scale, init: Literal["default", "zero"], epochs: int) -> Training:
    rate, batch = scale.pick(smoke=(0.02, 5), laptop=(4e-4, 50))  # below 1 / (largest eigenvalue of a batch)
    whiten = scale.name != "smoke"  # the brightness of photographs alone would make the system a hundred times worse conditioned
    return Training(Linear(bias=False, init=init), SGD(lr=rate), decay=1.0, batch_size=batch, epochs=epochs, stop="budget", whiten=whiten, loss="squared")


def _claims(budgets: tuple[int, ...], left: float, zeros: int) -> tuple[Claim, ...]:
    first, last = ({"learner.kind": "Training", _INIT: "zero", _EPOCHS: epochs} for epochs in (budgets[0], budgets[-1]))
    elsewhere = {"learner.kind": "Training", _INIT: "default"}
    return (
        every("the exact solution interpolates", "fit.relative_residual", _EXACT, high=1e-6),
        mean(f"from 0, at most {left:g} of the way to the minimum-norm interpolant is left at the end", _DISTANCE, last, high=left, reference=_SECTION),
        ratio("and less than after the first epochs, by a factor of at least 1.5", _DISTANCE, first, last, low=1.5, reference=_SECTION),
        every("from 0, descent stays in the span of the inputs", _OUTSIDE, {_INIT: "zero"}, high=1e-3, reference=_SECTION),
        every("from elsewhere, the part orthogonal to the inputs does not change", _MOVED, elsewhere, high=1e-3),
        mean("from elsewhere, descent does not come near: at least a tenth of the norm remains", _DISTANCE, elsewhere, low=0.1),
        every("every Hessian has at least d - n zero eigenvalues", _ZEROS, low=zeros, reference=_SECTION),
        ratio("the Hessian where descent ends has the trace of the one at the exact solution, to within 2 %", _TRACE, last, _EXACT, low=0.98, high=1.02),
        ratio("before it interpolates the trace is lower by at least 2 %", _TRACE, first, _EXACT, high=0.98),
    )
