"""What Table 3 is made of at each scale: the samples, the kernels, and the paths along bandwidth, ridge and filters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shatterlab.core import Dataset, Kernel, Measure, Seeds
from shatterlab.corruptions.partial_labels import TrueLabels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.datasets.mnist import MNIST
from shatterlab.design.experiment import Scale
from shatterlab.kernels.gabor import Gabor
from shatterlab.kernels.radial import Gaussian
from shatterlab.kernels.random_convolution import RandomConvolution
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.measures.leave_one_out import LeaveOneOut
from shatterlab.trials.trial import Trial

PUBLISHED_FILTERS = 32_000  # of 50,000 examples: 0.64 an example, and 8 features each, 5.12 an example
PROCESSOR_FILTERS = 4_000  # at full size a processor is done with as many within the hour; more are for a GPU
RIDGE = 0.3  # of the random conv-net, by least leave-one-out error on small samples; the published one is not printed
CONVOLUTION_RIDGES = (0.003, 0.03, RIDGE, 3.0)
RIDGES = (1e-6, 1e-4, 1e-2, 0.1, 1.0)  # of the raw pixels, whose kernel has k(x, x) = 1


@dataclass(frozen=True)
class Sizes:
    """The samples and kernels of one scale.

    Args:
        mnist: of the rows of Table 3.
        paths: of the paths along bandwidth and ridge, where replicates must differ: a subsample.
        cifar10: raw pixels.
        convolved: for the random conv-net.
        subset: examples on which leave-one-out error chooses a bandwidth.
        gabor: the filter bank.
        convolution: the random conv-net, of any number of filters.
        sigmas: the path along the bandwidth, ascending.
        sigma: the bandwidth of the ridge path, one of them.
        filters: of the random conv-net with ridge, ascending; the last is that of Table 3's row.
        interpolating: likewise without ridge: more features than examples, or nothing interpolates.
        whole: replicates of a row that draws nothing at all.
    """

    mnist: Dataset
    paths: Dataset
    cifar10: Dataset
    convolved: Dataset
    subset: int
    gabor: Gabor
    convolution: RandomConvolution
    sigmas: tuple[float, ...]
    sigma: float
    filters: tuple[int, ...]
    interpolating: tuple[int, ...]
    whole: int

    @classmethod
    def of(cls, scale: Scale) -> Sizes:
        """Smoke: 400 digits. Laptop: 2,000 to 5,000 images, 625 for the random conv-net. Paper: all, paths on 10,000."""
        return {"smoke": _smoke, "laptop": _laptop, "paper": _paper}[scale.name](scale)

    def convolved_by(self, filters: int) -> RandomConvolution:
        """The random conv-net with so many filters."""
        return replace(self.convolution, filters=filters)


def _smoke(scale: Scale) -> Sizes:
    digits = Digits(examples=scale.examples, test_examples=scale.test_examples)
    return Sizes(
        mnist=digits,
        paths=digits,
        cifar10=digits,
        convolved=digits,
        subset=400,
        gabor=Gabor(orientations=4, wavelengths=(2.0, 3.0), pool=2, stride=2, subset=400),
        convolution=RandomConvolution(side=3, patches=2000, pool=3, stride=3),
        sigmas=(0.5, 1.0, 2.0, 4.0, 8.0),
        sigma=1.0,
        filters=(16, 64, 128, 256),
        interpolating=(64, 128, 256),
        whole=scale.replicates,
    )


def _laptop(scale: Scale) -> Sizes:
    return Sizes(
        mnist=MNIST(examples=2000, test_examples=2000),
        paths=MNIST(examples=4000, test_examples=5000),
        cifar10=CIFAR10(examples=5000, test_examples=2000),
        convolved=CIFAR10(examples=625, test_examples=1000),
        subset=1000,
        gabor=Gabor(subset=1000),
        convolution=RandomConvolution(),
        sigmas=_SIGMAS,
        sigma=5.0,
        filters=(25, 50, 100, 200, 400),
        interpolating=(100, 200, 400),
        whole=scale.replicates,
    )


def _paper(scale: Scale) -> Sizes:
    most = tuple(PUBLISHED_FILTERS // part for part in (4, 2, 1))
    return Sizes(
        mnist=MNIST(),
        paths=MNIST(examples=10_000),
        cifar10=CIFAR10(),
        convolved=CIFAR10(),
        subset=4000,
        gabor=Gabor(subset=4000),
        convolution=RandomConvolution(),
        sigmas=_SIGMAS,
        sigma=5.0,
        filters=(500, 1000, 2000, PROCESSOR_FILTERS, *most),
        interpolating=most,
        whole=1,
    )


_SIGMAS = (1.0, 2.0, 3.5, 5.0, 8.0, 16.0)  # on either side of the one that leave-one-out error chooses


def trials(scale: Scale) -> tuple[Trial, ...]:
    """The rows of the table, then the paths, then what takes more filters than a processor should be asked for; each key once."""
    sizes, replicates = Sizes.of(scale), scale.replicates
    measures = scale.pick(smoke=_LEFT_OUT, laptop=_LEFT_OUT, paper=())
    chosen = Gaussian("leave_one_out", subset=sizes.subset)
    few = [count for count in sizes.filters if scale.name != "paper" or count <= PROCESSOR_FILTERS]
    many = [count for count in sizes.filters if count not in few]
    made = [
        *_each(sizes.mnist, [(chosen, 0.0), (sizes.gabor, 0.0)], sizes.whole, measures),
        *_each(sizes.cifar10, [(chosen, 0.0)], sizes.whole, measures),
        *_each(sizes.paths, [(Gaussian(sigma), 0.0) for sigma in sizes.sigmas], replicates, measures),
        *_each(sizes.paths, [(Gaussian(sizes.sigma), ridge) for ridge in RIDGES], replicates, measures),
    ]
    for counts in (few, many):
        made += _each(sizes.convolved, [(sizes.convolved_by(count), RIDGE) for count in counts], replicates, measures)
        made += _each(sizes.convolved, [(sizes.convolved_by(count), 0.0) for count in counts if count in sizes.interpolating], replicates, measures)
    largest = sizes.convolved_by(sizes.filters[-1])
    made += _each(sizes.convolved, [(largest, ridge) for ridge in CONVOLUTION_RIDGES], replicates, measures)
    return tuple({trial.key: trial for trial in made}.values())


_LEFT_OUT: tuple[Measure, ...] = (LeaveOneOut(sampled=0),)


def _each(data: Dataset, systems: Iterable[tuple[Kernel, float]], replicates: int, measures: Sequence[Measure]) -> list[Trial]:
    """Replicates outermost, so that an early look has every system."""
    learners = [KernelInterpolation(kernel, ridge=ridge) for kernel, ridge in systems]
    seeds = [Seeds.replicate(r) for r in range(replicates)]
    return [Trial(data, TrueLabels(), learner, each, tuple(measures)) for each in seeds for learner in learners]
