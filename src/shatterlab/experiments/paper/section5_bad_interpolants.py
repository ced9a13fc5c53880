"""Interpolants whose norm is far above the minimum: fitting the training data does not make a function good."""

from __future__ import annotations

from shatterlab import MNIST, Digits, Experiment, ForcedTest, Gaussian, KernelInterpolation, RandomCentres, Scale, Scatter, Table, Trial, TrueLabels, grid
from shatterlab.design.claims import difference, every, mean, ratio

_NORM, _ERROR = "fit.squared_norm", "test.error"
_KERNEL, _CENTRES = {"learner.kind": "KernelInterpolation"}, {"learner.kind": "RandomCentres"}
_SECTION = "Section 5"


def experiment(scale: Scale) -> Experiment:
    """Smoke: 400 digits. Laptop: 1,000 examples of MNIST. Paper: 4,000, since random centres cost a singular value decomposition of n x n."""
    kernel = Gaussian(scale.pick(smoke=1.5, laptop=5.0))
    digits = Digits(examples=scale.examples, test_examples=scale.test_examples)
    data = scale.pick(smoke=digits, laptop=MNIST(examples=1000, test_examples=1000), paper=MNIST(examples=4000, test_examples=4000))
    labels, interpolants = [TrueLabels()], [KernelInterpolation(kernel), RandomCentres(kernel)]
    source = "Zhang et al. 2017, section 5"
    question = "Are there functions that fit all training labels, have a far larger norm and predict badly?"
    trials = (
        *grid(Trial, dataset=[data], corruption=labels, learner=interpolants, seeds=scale.seeds),
        *grid(Trial, dataset=[ForcedTest(data)], corruption=labels, learner=interpolants[:1], seeds=scale.seeds),
    )
    views = (
        Table(("learner.kind", "dataset.kind"), ("train.error", _ERROR, _NORM, "fit.relative_residual"), title="Three functions that fit the same labels"),
        Scatter(_NORM, _ERROR, by="learner.kind", title="Test error against squared norm"),
    )
    minimum, forced = _KERNEL | {"dataset.kind": data.kind}, _KERNEL | {"dataset.kind": "ForcedTest"}
    claims = (
        every("all three fit every training label", "train.error", high=0.0, reference=_SECTION),
        ratio("with random centres the squared norm is at least 10 times the minimum", _NORM, _CENTRES, minimum, low=10, reference=_SECTION),
        ratio("with forced test inputs the squared norm is at least twice the minimum", _NORM, forced, minimum, low=2, reference=_SECTION),
        difference("with random centres test error is higher by at least 0.2", _ERROR, _CENTRES, minimum, low=0.2, reference=_SECTION),
        mean("random labels forced on the test inputs: test error is chance to within 5 points", _ERROR, forced, low=0.85, high=0.95, reference=_SECTION),
        mean("the minimum-norm interpolant errs on at most a fifth of the test inputs", _ERROR, minimum, high=0.2),
    )
    return Experiment("section5_bad_interpolants", source, question, trials, views, claims, scale.name)
