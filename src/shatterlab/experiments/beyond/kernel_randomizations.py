"""The paper's randomizations run on kernel machines: do convex methods without a single layer to train do the same?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shatterlab import CIFAR10, MNIST, Digits, Estimator, Experiment, Gaussian, KernelInterpolation, Laplacian, MaximumMargin, PartialLabels, Scale, Trial, grid
from shatterlab.core import Dataset
from shatterlab.design.claims import difference, every, mean, ratio
from shatterlab.design.settings import FIVE_SETTINGS, GAUSSIAN_PIXELS, RANDOM, SHUFFLED_PIXELS, TRUE, TRUE_AND_RANDOM
from shatterlab.views import Curve, Scatter, Table, View

_NORM, _ERROR, _STEPS = "fit.squared_norm", "test.error", "fit.steps"
_MARGIN = "measure.MaximumMargin"
_SETTINGS = (FIVE_SETTINGS[0], PartialLabels(0.5), *FIVE_SETTINGS[1:])
_SYSTEM, _MACHINE = {"learner.ridge": 0.0}, {"learner.kind": "Estimator"}  # a kind would free all other fields of a learner from agreeing
_DIRECT, _ITERATIVE = {"learner.solver": "direct"}, {"learner.solver": "iterative"}
_HARD = 1e6  # C: no coefficient comes near it, which a claim checks


@dataclass(frozen=True)
class _Task:
    """A data set with the bandwidth of its Gaussian kernel; the Laplacian kernel's is twice as large."""

    dataset: Dataset
    sigma: float

    def trials(self, scale: Scale) -> tuple[Trial, ...]:
        """Every setting for the two kernels by both solvers; for the support vector machine true and random labels."""
        kernels = (Gaussian(self.sigma), Laplacian(2 * self.sigma))
        systems = [KernelInterpolation(kernel, solver=solver) for kernel in kernels for solver in ("direct", "iterative")]
        machine = Estimator("sklearn.svm:SVC", {"C": _HARD, "kernel": "rbf", "gamma": 1 / (2 * self.sigma**2)})
        data, margin = [self.dataset], [(MaximumMargin(),)]
        interpolants = grid(Trial, seeds=scale.seeds, dataset=data, corruption=_SETTINGS, learner=systems)
        return interpolants + grid(Trial, seeds=scale.seeds, dataset=data, corruption=TRUE_AND_RANDOM, learner=[machine], measures=margin)


def experiment(scale: Scale) -> Experiment:
    """Smoke: 400 digits. Laptop: 1,500 examples each of MNIST and CIFAR-10. Paper: 10,000 of each.

    All settings of a data set share one bandwidth, on purpose: norms compare functions of one space, and a bandwidth chosen by the labels would be another on
    random labels. On MNIST they are 5 (Gaussian) and 10 (Laplacian), those of Belkin, Ma, Mandal 2018. On CIFAR-10 7 and 14, near what leave-one-out error
    prefers for the Gaussian on true labels; on digits 1.5 and 3. The support vector machine has the same Gaussian kernel.
    """
    digits = Digits(examples=scale.examples, test_examples=scale.test_examples)
    tasks = scale.pick(smoke=[_Task(digits, 1.5)], laptop=_images(1500, 1000), paper=_images(10_000, 10_000))
    source = "Zhang et al. 2017, sections 2 and 5; Belkin, Ma, Mandal 2018"
    question = "Do kernel methods fit random labels and noise as deep nets do, and what does it cost them in norm, margin and iterations?"
    trials = sum((task.trials(scale) for task in tasks), ())
    claims = (*_FITTED, *_GENERALIZATION, *_CAPACITY, *_SAME)
    return Experiment("kernel_randomizations", source, question, trials, tuple(_views(tasks)), claims, scale.name)


def _images(examples: int, tested: int) -> list[_Task]:
    mnist, cifar = MNIST(examples=examples, test_examples=tested), CIFAR10(crop=28, examples=examples, test_examples=tested)
    return [_Task(mnist, 5.0), _Task(cifar, 7.0)]


def _views(tasks: list[_Task]) -> Iterator[View]:
    by = ("dataset.kind", "learner.kernel.kind", "setting")
    yield Table(by, ("train.error", _ERROR, _NORM), title="Minimum-norm interpolants (direct solver)", where=_DIRECT)
    yield Table(by, ("train.error", _STEPS, _NORM), title="The same by preconditioned conjugate gradients", where=_ITERATIVE)
    shown = ("support", "support_per_pair", "mean_margin", "smallest_margin", "at_bound")
    columns = ("train.error", _ERROR, *(f"{_MARGIN}.{name}" for name in shown))
    yield Table(("dataset.kind", "setting"), columns, title="Support vector machine with a hard margin", where=_MACHINE)
    for task in tasks:
        name = task.dataset.kind
        on = {"dataset.kind": name}
        yield Curve("setting", _NORM, by="learner.kernel.kind", title=f"Squared norm of the interpolant, {name}", scale="log", where=_DIRECT | on)
        yield Curve("setting", _STEPS, by="learner.kernel.kind", title=f"Iterations of conjugate gradients, {name}", where=_ITERATIVE | on)
        for kernel in ("Gaussian", "Laplacian"):
            where = _DIRECT | on | {"learner.kernel.kind": kernel}
            yield Scatter(_NORM, _ERROR, by="setting", title=f"Test error against squared norm, {kernel} kernel, {name}", where=where, x_scale="log")


_FITTED = (
    every("every machine fits every setting: training error is zero", "train.error", high=0.0, reference="Section 5"),
    every("every system is solved: the relative residual is at most 1e-8", "fit.interpolates", _SYSTEM, low=1.0),
    every("the support vector machine's margin is hard: no coefficient reaches C", f"{_MARGIN}.at_bound", _MACHINE, high=0.0),
)
_GENERALIZATION = (
    difference("true labels are learned: under random labels test error is higher by at least 0.1", _ERROR, RANDOM, TRUE, low=0.1),
    mean("under random labels test error is chance to within 5 points", _ERROR, RANDOM, low=0.85, high=0.95, scales=("laptop", "paper")),
    mean("under Gaussian pixels test error is chance to within 5 points", _ERROR, GAUSSIAN_PIXELS, low=0.85, high=0.95, scales=("laptop", "paper")),
)
_CAPACITY = (
    ratio("random labels take a squared norm larger by a factor of at least 1.1", _NORM, _SYSTEM | RANDOM, _SYSTEM | TRUE, low=1.1),
    ratio("and at most 5 times the iterations", _STEPS, _ITERATIVE | RANDOM, _ITERATIVE | TRUE, high=5, reference="Section 2"),
    mean("on random labels at least 0.95 of the examples are support vectors", f"{_MARGIN}.support", _MACHINE | RANDOM, low=0.95),
    difference(
        "and of a pair of classes a larger share supports it than on true labels, by at least 0.1",
        f"{_MARGIN}.support_per_pair", _MACHINE | RANDOM, _MACHINE | TRUE, low=0.1,
    ),
    ratio(
        "random labels leave a smaller margin: its mean over pairs falls by a factor of at least 1.05, the root of 1.1",
        f"{_MARGIN}.mean_margin", _MACHINE | RANDOM, _MACHINE | TRUE, high=1 / 1.1**0.5,
    ),
)  # fmt: skip

# A permutation of pixels changes no distance, hence no entry of a radial kernel's matrix except by rounding: some hundred eps of float64, 5e-14. The norm then
# changes by at most that times the condition number, and by the square of the relative residual, (1e-8)^2, times it: 1e-6 leaves room up to 1e7.
_WITHIN = 1e-6
_SAME = (
    every("shuffled pixels change no test error at all", _ERROR, _SYSTEM | SHUFFLED_PIXELS, _SYSTEM | TRUE, low=0.0, high=0.0),
    every("nor the squared norm, to within 1e-6 of it", _NORM, _SYSTEM | SHUFFLED_PIXELS, _SYSTEM | TRUE, ratio=True, low=1 - _WITHIN, high=1 + _WITHIN),
    every("both solvers find the same squared norm, to within 1e-6 of it", _NORM, _ITERATIVE, _DIRECT, ratio=True, low=1 - _WITHIN, high=1 + _WITHIN),
)
