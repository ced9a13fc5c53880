"""Interpolants of far larger norm than the least: fitting the training data does not make a function good."""

from __future__ import annotations

from shatterlab.core import Seeds
from shatterlab.corruptions.partial_labels import TrueLabels
from shatterlab.datasets.derived import ForcedTest
from shatterlab.datasets.digits import Digits
from shatterlab.datasets.mnist import MNIST
from shatterlab.design.experiment import Claim, Experiment, Scale, grid
from shatterlab.kernels.radial import Gaussian
from shatterlab.learners.kernel_interpolation import KernelInterpolation, RandomCentres
from shatterlab.trials.trial import Trial
from shatterlab.views import Scatter, Table

_NORM, _ERROR = "fit.squared_norm", "test.error"
_KERNEL, _CENTRES = {"learner.kind": "KernelInterpolation"}, {"learner.kind": "RandomCentres"}
_SECTION = "Section 5"


def experiment(scale: Scale) -> Experiment:
    """Smoke: 400 digits. Laptop: 1,000 examples of MNIST. Paper: 4,000, since random centres cost a singular value decomposition of n x n."""
    sigma = scale.pick(smoke=1.5, laptop=5.0, paper=5.0)
    digits = Digits(examples=scale.examples, test_examples=scale.test_examples)
    few, many = MNIST(examples=1000, test_examples=1000), MNIST(examples=4000, test_examples=4000)
    data = scale.pick(smoke=digits, laptop=few, paper=many)
    seeds, plain = [Seeds.replicate(r) for r in range(scale.replicates)], [TrueLabels()]
    kernel, forced = Gaussian(sigma), ForcedTest(data)
    interpolants = grid(Trial, dataset=[data], corruption=plain, learner=[KernelInterpolation(kernel), RandomCentres(kernel)], seeds=seeds)
    return Experiment(
        name="section5_bad_interpolants",
        source="Zhang et al. 2017, section 5",
        question="Are there functions that fit all training labels, have a far larger norm and predict badly?",
        trials=interpolants + grid(Trial, dataset=[forced], corruption=plain, learner=[KernelInterpolation(kernel)], seeds=seeds),
        views=(
            Table(("learner.kind", "dataset.kind"), ("train.error", _ERROR, _NORM, "fit.relative_residual"), title="Three functions that fit the same labels"),
            Scatter(_NORM, _ERROR, by="learner.kind", title="Test error against squared norm"),
        ),
        claims=_claims(data.kind),
        scale=scale.name,
    )


def _claims(plain: str) -> tuple[Claim, ...]:
    least, forced = _KERNEL | {"dataset.kind": plain}, _KERNEL | {"dataset.kind": "ForcedTest"}
    return (
        Claim("all three fit every label they are given", "train.error", high=0.0, reference=_SECTION),
        Claim("with random centres the squared norm is at least 10 times the least", _NORM, _CENTRES, versus=least, low=10, ratio=True, reference=_SECTION),
        Claim("with forced test inputs the squared norm is at least twice the least", _NORM, forced, versus=least, low=2, ratio=True,
              reference=_SECTION),
        Claim("with random centres test error is higher by at least 0.2", _ERROR, _CENTRES, versus=least, low=0.2, reference=_SECTION),
        Claim("random labels forced on the test inputs: test error is chance to within 5 points", _ERROR, forced, low=0.85, high=0.95, reference=_SECTION),
        Claim("the interpolant of least norm errs on at most a fifth of the test inputs", _ERROR, least, high=0.2),
    )  # fmt: skip
