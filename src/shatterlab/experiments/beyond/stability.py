"""How far one example moves a fit: twin runs that differ in one label, beside the bounds of theory, on true and on random labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shatterlab import MLP, SGD, Gaussian, KernelInterpolation, LeaveOneOut, Linear, ReplaceOne, SmallAlexNet, StabilityBound, Training, Trial, Twins
from shatterlab.core import Learner, Measure
from shatterlab.design.claims import difference, mean, ratio
from shatterlab.design.experiment import Experiment, Scale
from shatterlab.design.settings import RANDOM, TRUE, TRUE_AND_RANDOM
from shatterlab.experiments._networks import digits_or_images
from shatterlab.views import Curve, Table

_SUP, _MEAN, _APART = "fit.sup_loss_difference", "fit.mean_loss_difference", "fit.parameter_distance"
_BOUND, _EXACT = "measure.StabilityBound", "measure.ReplaceOne"
_KIND, _RIDGE, _BUDGET = "learner.learner.architecture.kind", "learner.learner.ridge", "learner.learner.epochs"
_NETWORK, _LINEAR = {_KIND: "MLP"}, {_KIND: "Linear"}
_RIDGES = (0.01, 1.0, 100.0)
Measured = tuple[Learner, tuple[Measure, ...]]


def experiment(scale: Scale) -> Experiment:
    """Smoke: 100 digits. Laptop: 300 images. Paper: 5,000 images.

    Distance against steps is a row for each budget. Uniform stability is a worst case over samples, so it has one value for true and for random labels; what
    is measured is a lower bound on it, and does depend on the labels. The linear model takes the theorem's steps, small and without momentum, so that its
    bound applies.
    """
    budgets = scale.pick(smoke=(1, 2, 4, 8, 16), laptop=(1, 2, 4, 8, 16, 40), paper=(1, 2, 4, 8, 16, 32, 64))
    pairs = [(Twins(learner), measures) for learner, measures in (*_descents(scale, budgets), *_kernels(scale))]
    data = digits_or_images(scale, scale.pick(smoke=100, laptop=300, paper=5000))
    source = "Zhang et al. 2017, section 2.2; Hardt, Recht, Singer 2016; Bousquet, Elisseeff 2002"
    question = "How far does one training example move a fit, what does theory allow, and does either tell true from random labels?"
    trials = tuple(Trial(data, labels, learner, seeds, measures) for seeds in scale.seeds for learner, measures in pairs for labels in TRUE_AND_RANDOM)
    descent, kernel = {"learner.learner.kind": "Training"}, {"learner.learner.kind": "KernelInterpolation"}
    measured = (_SUP, _MEAN, "fit.own_loss_difference", "fit.disagreement", _APART, f"{_BOUND}.bound")
    conventions = (f"{_BOUND}.bound", f"{_BOUND}.penalty", f"{_BOUND}.bound_at_2n_same_lambda", f"{_BOUND}.bound_at_2n_same_penalty")
    exact = (f"{_EXACT}.largest", f"{_EXACT}.mean", f"{_EXACT}.leverage", "measure.LeaveOneOut.error", "train.error", "test.error")
    views = (
        Table((_KIND, _BUDGET, "setting"), measured, where=descent, title="Descent: what twins show (at least) beside the bound of theory (at most)"),
        Curve("fit.steps", _APART, by="setting", scale="log", title="Distance of the weights of twins, MLP", where=_NETWORK),
        Curve("fit.steps", _APART, by="setting", scale="log", title="Distance of the weights of twins, linear model", where=_LINEAR),
        Table((_RIDGE, "setting"), (_SUP, *exact), where=kernel, title="Kernel ridge regression: one pair of twins, all labels replaced, one example left out"),
        Table(
            (_RIDGE,), conventions, where=kernel, title="The bound of kernel ridge regression in both conventions: lambda of (K + lambda I), penalty lambda / n"
        ),
    )
    first, last, ridged = _NETWORK | {_BUDGET: budgets[0]}, _NETWORK | {_BUDGET: budgets[-1]}, {_RIDGE: 1.0}
    claims = (
        ratio("twins move apart as training goes on", _APART, last, first, low=1.0),
        ratio("more ridge, more stability", f"{_EXACT}.largest", {_RIDGE: _RIDGES[0]}, {_RIDGE: _RIDGES[1]}, low=1.0),
        difference("one label moves the losses of the MLP more where labels are random", _MEAN, last | RANDOM, last | TRUE, low=0.0),
        difference("and those of kernel ridge regression, all labels replaced", f"{_EXACT}.mean", ridged | RANDOM, ridged | TRUE, low=0.0),
        mean("an interpolant follows every label", f"{_EXACT}.leverage", {_RIDGE: 0.0}, low=0.999),
    )
    return Experiment("stability", source, question, trials, views, claims, scale.name)


def _descents(scale: Scale, budgets: Sequence[int]) -> Iterator[Measured]:
    width, batch = scale.pick(smoke=(64, 25), laptop=(512, 30), paper=(512, 50))  # batches divide n: no example weighs more than another
    rate, small = scale.pick(smoke=(0.05, 0.02), laptop=(0.01, 1e-3))  # the linear model takes steps of at most 2 / beta
    for epochs in budgets:
        yield Training(MLP((width,)), SGD(lr=rate), epochs=epochs, batch_size=batch, stop="budget"), (StabilityBound(lr=rate, momentum=0.9),)
        yield Training(Linear(), SGD(lr=small, momentum=0.0), epochs=epochs, batch_size=batch, stop="budget"), (StabilityBound(lr=small),)
    if scale.name != "smoke":
        alexnet = Training(SmallAlexNet(init="glorot"), SGD(lr=0.01), epochs=16, batch_size=batch, stop="budget")
        yield alexnet, (StabilityBound(lr=0.01, momentum=0.9),)


def _kernels(scale: Scale) -> Iterator[Measured]:
    kernel, exact = Gaussian(scale.pick(smoke=2.0, laptop=10.0)), (ReplaceOne(examples=scale.pick(smoke=None, laptop=None, paper=500)), LeaveOneOut(sampled=0))
    for ridge in (0.0, *_RIDGES):
        yield KernelInterpolation(kernel, ridge=ridge), (StabilityBound(ridge=ridge), *exact)
