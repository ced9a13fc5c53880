"""The classical contrast: linear regression with as many examples as dimensions, without ridge and with it."""

from __future__ import annotations

from shatterlab import Curve, Experiment, KernelInterpolation, LinearKernel, LinearMinimumNorm, PartialLabels, Scale, Table, Trial, grid, ratio
from shatterlab.core import Learner, Seeds
from shatterlab.experiments._networks import digits_or_images

_N = "dataset.examples"
_LEARNERS = "LinearMinimumNorm without ridge, KernelInterpolation of the linear kernel with"
_LEVEL = 0.2  # of corrupted labels: without noise in them the peak is low


def experiment(scale: Scale) -> Experiment:
    """Smoke: digits, d = 64 pixels. Laptop and paper: CIFAR-10's middle 8 x 8 pixels, d = 192. A fifth of the labels is redrawn."""
    d, ridge = scale.pick(smoke=(64, 1.0), laptop=(192, 10.0))
    sizes = [round(d * share) for share in (0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0, 8.0)]
    learners: list[Learner] = [LinearMinimumNorm(), KernelInterpolation(LinearKernel(), ridge=ridge)]
    seeds = [Seeds.replicate(r) for r in range(max(scale.replicates, scale.pick(smoke=3, laptop=8)))]
    source = "Belkin et al. 2019; the contrast to Zhang et al. 2017, section 5"
    question = "Near n = d a linear interpolant is at its worst: does ridge, an explicit regularizer, fix that?"
    trials = grid(Trial, seeds=seeds, dataset=[digits_or_images(scale, n, crop=8) for n in sizes], corruption=[PartialLabels(_LEVEL)], learner=learners)
    views = (
        Curve(_N, "test.loss", by="learner.kind", scale="log", title=f"Test loss (squared error) against training examples: {_LEARNERS}"),
        Curve(_N, "test.error", by="learner.kind", title=f"Test error against training examples: {_LEARNERS}"),
        Table((_N, "learner.kind"), ("train.loss", "test.loss", "test.error")),
    )
    column, (half, peak, many) = "test.loss", (sizes[1], sizes[4], sizes[-1])
    plain, ridged = ({n: {"learner.kind": kind, _N: n} for n in sizes} for kind in ("LinearMinimumNorm", "KernelInterpolation"))
    alike = "far from it ridge matters little: at n = 8 d the test losses agree to within a tenth"
    claims = (
        ratio("without ridge the test loss at n = d is at least twice that at n = d / 2", column, plain[peak], plain[half], low=2.0),
        ratio("and at least twice that at n = 8 d: a peak", column, plain[peak], plain[many], low=2.0),
        ratio("with ridge there is none: at n = d the test loss is at most that at n = d / 2", column, ridged[peak], ridged[half], high=1.0),
        ratio(alike, column, ridged[many], plain[many], low=0.9, high=1.1),
    )
    return Experiment("double_descent", source, question, trials, views, claims, scale.name)
