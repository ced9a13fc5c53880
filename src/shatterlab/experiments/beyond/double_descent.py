"""The classical contrast: linear regression with as many examples as dimensions, without ridge and with it."""

from __future__ import annotations

from typing import Any

from shatterlab.core import Dataset, Learner, Seeds
from shatterlab.corruptions.partial_labels import PartialLabels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Claim, Experiment, Scale, grid
from shatterlab.kernels.linear import LinearKernel
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.learners.linear import LinearMinimumNorm
from shatterlab.trials.trial import Trial
from shatterlab.views import Curve, Table

_N = "dataset.examples"
_TOLD = "LinearMinimumNorm without ridge, KernelInterpolation of the linear kernel with"
_LEVEL = 0.2  # of corrupted labels: without noise in them the peak is low


def experiment(scale: Scale) -> Experiment:
    """Smoke: digits, d = 64 pixels. Laptop and paper: CIFAR-10's middle 8 x 8 pixels, d = 192. A fifth of the labels is redrawn."""
    d = scale.pick(smoke=64, laptop=192, paper=192)
    sizes = [round(d * share) for share in (0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0, 8.0)]
    ridge = scale.pick(smoke=1.0, laptop=10.0, paper=10.0)
    learners: list[Learner] = [LinearMinimumNorm(), KernelInterpolation(LinearKernel(), ridge=ridge)]
    seeds = [Seeds.replicate(r) for r in range(max(scale.replicates, scale.pick(smoke=3, laptop=8, paper=8)))]
    return Experiment(
        name="double_descent",
        source="Belkin et al. 2019; the contrast to Zhang et al. 2017, section 5",
        question="Near n = d a linear interpolant is at its worst: does ridge, an explicit regularizer, mend that?",
        trials=grid(Trial, seeds=seeds, dataset=[_data(scale, n) for n in sizes], corruption=[PartialLabels(_LEVEL)], learner=learners),
        views=(
            Curve(_N, "test.loss", by="learner.kind", scale="log", title=f"Test loss (squared error) against training examples: {_TOLD}"),
            Curve(_N, "test.error", by="learner.kind", title=f"Test error against training examples: {_TOLD}"),
            Table((_N, "learner.kind"), ("train.loss", "test.loss", "test.error")),
        ),
        claims=_claims(sizes),
        scale=scale.name,
    )


def _data(scale: Scale, n: int) -> Dataset:
    photographs = CIFAR10(crop=8, examples=n, test_examples=scale.test_examples)
    return scale.pick(smoke=Digits(examples=n, test_examples=scale.test_examples), laptop=photographs, paper=photographs)


def _claims(sizes: list[int]) -> tuple[Claim, ...]:
    plain, ridge = {"learner.kind": "LinearMinimumNorm"}, {"learner.kind": "KernelInterpolation"}
    few, peak, many = sizes[1], sizes[4], sizes[-1]

    def times(text: str, where: dict[str, Any], versus: dict[str, Any], **bound: float) -> Claim:
        return Claim(text, "test.loss", where, versus=versus, ratio=True, **bound)  # type: ignore[arg-type]

    return (
        times("without ridge the test loss at n = d is at least twice that at n = d / 2", {**plain, _N: peak}, {**plain, _N: few}, low=2.0),
        times("and at least twice that at n = 8 d: a peak", {**plain, _N: peak}, {**plain, _N: many}, low=2.0),
        times("with ridge there is none: at n = d the test loss is at most that at n = d / 2", {**ridge, _N: peak}, {**ridge, _N: few}, high=1.0),
        times(
            "far from it ridge matters little: at n = 8 d the test losses agree to within a tenth", {**ridge, _N: many}, {**plain, _N: many}, low=0.9, high=1.1
        ),
    )
