"""Interpolation by kernels: test error on MNIST and CIFAR-10 without a deep net, and what norm and ridge have to do with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shatterlab import CIFAR10, MNIST, Dataset, Digits, Gabor, Gaussian, Kernel, KernelInterpolation, LeaveOneOut, RandomConvolution, Trial, TrueLabels
from shatterlab.design.claims import Claim, difference, every, mean, ratio
from shatterlab.design.experiment import Experiment, Scale, grid, once
from shatterlab.references import published
from shatterlab.views import ComparisonTable, Curve, PublishedLine, Scatter, Table

PUBLISHED_FILTERS = 32_000  # of 50,000 examples: 0.64 an example, and 8 features each, 5.12 an example
PROCESSOR_FILTERS = 4_000  # at full size a processor takes an hour for as many; more are for a GPU
RIDGE = 0.3  # of the random conv-net, by smallest leave-one-out error on small samples; the published one is not printed
CONVOLUTION_RIDGES = (0.003, 0.03, RIDGE, 3.0)
RIDGES = (1e-6, 1e-4, 1e-2, 0.1, 1.0)  # of the raw pixels, whose kernel has k(x, x) = 1
_ERROR, _NORM, _LEFT_OUT = "test.error", "fit.squared_norm", "measure.LeaveOneOut.error"
_DATA, _KERNEL, _SIGMA = "dataset.kind", "learner.kernel.kind", "learner.kernel.sigma"
_FILTERS, _RIDGE, _BANDWIDTH = "learner.kernel.filters", "learner.ridge", "fit.kernel_bandwidth"
_TABLE, _SECTION = "Table 3", "Section 5"
_LARGER = ("laptop", "paper")
Where = Mapping[str, Any]


@dataclass(frozen=True)
class Samples:
    """The samples and kernels of one scale.

    Args:
        mnist: of the rows of Table 3.
        paths: of the paths along bandwidth and ridge, where replicates must differ: a subsample.
        cifar10: raw pixels.
        convolved: for the random conv-net.
        gabor: the filter bank; leave-one-out error chooses bandwidths on as many examples as its own.
        filters: of the random conv-net with ridge, ascending; the last is that of Table 3's row.
        interpolating: likewise without ridge: more features than examples, or nothing interpolates.
        convolution: the random conv-net, of any number of filters.
        sigmas: the path along the bandwidth, ascending; the default lies on either side of the one that leave-one-out error chooses.
        sigma: the bandwidth of the ridge path, one of them.
    """

    mnist: Dataset
    paths: Dataset
    cifar10: Dataset
    convolved: Dataset
    gabor: Gabor
    filters: tuple[int, ...]
    interpolating: tuple[int, ...]
    convolution: RandomConvolution = RandomConvolution()
    sigmas: tuple[float, ...] = (1.0, 2.0, 3.5, 5.0, 8.0, 16.0)
    sigma: float = 5.0

    @classmethod
    def of(cls, scale: Scale) -> Samples:
        """Smoke: 400 digits. Laptop: 2,000 to 5,000 images, 625 for the random conv-net. Paper: all, paths on 10,000."""
        digits = Digits(examples=scale.examples, test_examples=scale.test_examples)
        gabor = Gabor(orientations=4, wavelengths=(2.0, 3.0), pool=2, stride=2, subset=400)
        small = RandomConvolution(side=3, patches=2000, pool=3, stride=3)
        mnist, paths = MNIST(examples=2000, test_examples=2000), MNIST(examples=4000, test_examples=5000)
        images, few_images = CIFAR10(examples=5000, test_examples=2000), CIFAR10(examples=625, test_examples=1000)
        most = tuple(PUBLISHED_FILTERS // part for part in (4, 2, 1))
        return scale.pick(
            smoke=cls(digits, digits, digits, digits, gabor, (16, 64, 128, 256), (64, 128, 256), small, sigmas=(0.5, 1.0, 2.0, 4.0, 8.0), sigma=1.0),
            laptop=cls(mnist, paths, images, few_images, Gabor(subset=1000), (25, 50, 100, 200, 400), (100, 200, 400)),
            paper=cls(MNIST(), MNIST(examples=10_000), CIFAR10(), CIFAR10(), Gabor(subset=4000), (500, 1000, 2000, PROCESSOR_FILTERS, *most), most),
        )

    def raw(self) -> Where:
        """The rows of MNIST as it is."""
        return {_DATA: self.mnist.kind, "dataset.examples": self.mnist.examples, _KERNEL: "Gaussian", _SIGMA: "leave_one_out", _RIDGE: 0.0}

    def filtered(self) -> Where:
        """The rows of MNIST behind Gabor filters."""
        return {_DATA: self.mnist.kind, _KERNEL: "Gabor", _RIDGE: 0.0}

    def with_filters(self, filters: int | Sequence[int], ridge: float | Sequence[float]) -> Where:
        """The rows of the random conv-net with that many filters and that ridge."""
        return {_DATA: self.convolved.kind, _KERNEL: "RandomConvolution", _FILTERS: filters, _RIDGE: ridge}

    def path(self, sigma: float | Sequence[float], ridge: float | Sequence[float] = 0.0) -> Where:
        """The rows of the paths with that bandwidth and ridge."""
        return {_DATA: self.paths.kind, "dataset.examples": self.paths.examples, _KERNEL: "Gaussian", _SIGMA: sigma, _RIDGE: ridge}

    def lines(self) -> tuple[tuple[PublishedLine, float], ...]:
        """The rows of the table and the unit of their last printed digit."""
        pixels = {_DATA: self.cifar10.kind, _KERNEL: "Gaussian", _SIGMA: "leave_one_out", _RIDGE: 0.0}
        plain, ridged = (self.with_filters(self.filters[-1], ridge) for ridge in (0.0, RIDGE))
        return (
            (PublishedLine(("MNIST, pixels",), self.raw(), {_ERROR: _value("mnist", "none")}), 0.001),
            (PublishedLine(("MNIST, Gabor filters",), self.filtered(), {_ERROR: _value("mnist", "gabor_filters")}), 0.001),
            (PublishedLine(("CIFAR-10, pixels",), pixels, {_ERROR: _value("cifar10", "none")}), 0.01),
            (PublishedLine(("CIFAR-10, random conv-net",), plain, {_ERROR: _value("cifar10", "random_convnet")}), 0.01),
            (PublishedLine(("CIFAR-10, random conv-net, ridge",), ridged, {_ERROR: _value("cifar10", "random_convnet", ridge=True)}), 0.01),
        )


def experiment(scale: Scale) -> Experiment:
    """Smoke: 400 digits. Laptop: 2,000 to 5,000 images, 625 for the random conv-net. Paper: all of them; paths on 10,000."""
    samples = Samples.of(scale)
    source = "Zhang et al. 2017, Table 3 and section 5"
    question = "How well does the minimum-norm interpolant of a kernel predict, and does less norm, or a ridge, improve it?"
    claims = (*_SOLVED, *_printed(samples), *_norms(samples), *_ridges(samples, scale), *_more_filters(samples))
    return Experiment("table3", source, question, _trials(samples, scale), _views(samples, scale), claims, scale.name)


def _trials(samples: Samples, scale: Scale) -> tuple[Trial, ...]:
    paper = scale.name == "paper"
    measures = () if paper else (LeaveOneOut(sampled=0),)
    pixels = Gaussian("leave_one_out", subset=samples.gabor.subset)

    def systems(data: Dataset, kernels: Sequence[Kernel], ridges: Sequence[float] = (0.0,), replicates: int = scale.replicates) -> tuple[Trial, ...]:
        learners = [KernelInterpolation(kernel, ridge=ridge) for kernel in kernels for ridge in ridges]
        return grid(Trial, seeds=scale.seeds[:replicates], dataset=[data], corruption=[TrueLabels()], learner=learners, measures=[measures])

    def convolutions(filters: Sequence[int], ridges: Sequence[float]) -> tuple[Trial, ...]:
        return systems(samples.convolved, [replace(samples.convolution, filters=count) for count in filters], ridges)

    whole = 1 if paper else scale.replicates  # replicates of a row that draws nothing at full size
    on_processor = [count for count in samples.filters if not paper or count <= PROCESSOR_FILTERS]
    on_gpu = [count for count in samples.filters if count not in on_processor]
    return once(
        (
            *systems(samples.mnist, (pixels, samples.gabor), replicates=whole),
            *systems(samples.cifar10, (pixels,), replicates=whole),
            *systems(samples.paths, [Gaussian(sigma) for sigma in samples.sigmas]),
            *systems(samples.paths, [Gaussian(samples.sigma)], RIDGES),
            *convolutions(on_processor, (RIDGE,)),
            *convolutions([count for count in on_processor if count in samples.interpolating], (0.0,)),
            *convolutions(on_gpu, (RIDGE,)),
            *convolutions([count for count in on_gpu if count in samples.interpolating], (0.0,)),
            *convolutions(samples.filters[-1:], CONVOLUTION_RIDGES),
        )
    )


def _value(dataset: str, preprocessing: str, *, ridge: bool = False) -> float:
    source = "section5" if ridge else "table3"
    (printed,) = published(source, metric="test_error", dataset=dataset, preprocessing=preprocessing, l2_regularization=ridge)
    assert isinstance(printed.value, float)
    return printed.value


def _views(samples: Samples, scale: Scale) -> tuple[Any, ...]:
    most, printed = samples.filters[-1], published("section5", metric="min_norm_solution_l2_norm")
    norms = f"printed for MNIST: norms of about {' and '.join(f'{norm.value:g}' for norm in printed)}"
    alike = {**samples.raw(), _KERNEL: ("Gaussian", "Gabor")}
    bandwidths, ridges = samples.path(samples.sigmas), samples.path(samples.sigma, (0.0, *RIDGES))
    convolved_ridges, filters = samples.with_filters(most, (0.0, *CONVOLUTION_RIDGES)), samples.with_filters(samples.filters, (0.0, RIDGE))
    columns = ("train.n", "train.error", "fit.relative_residual", _NORM, _BANDWIDTH)
    lines = [line for line, _ in samples.lines()]
    table = ComparisonTable(lines, columns=(_ERROR,), further=columns, differences=True, title="Table 3: test error beside the published one")
    digits = Table((_KERNEL, _SIGMA, _FILTERS), (_ERROR, *columns), where={_RIDGE: 0.0, _SIGMA: ("leave_one_out", None)}, title="Interpolants of digits")
    left_out = Table((_DATA, _KERNEL, _SIGMA, _FILTERS, _RIDGE), (_ERROR, _LEFT_OUT), title="Leave-one-out error, from training examples alone")
    return (
        digits if scale.name == "smoke" else table,
        Table((_KERNEL,), (_ERROR, _NORM, _BANDWIDTH), where=alike, title=f"Norm and error, bandwidths chosen alike ({norms})"),
        Curve(_SIGMA, _ERROR, where=bandwidths, scale="log", chance=False, title="Test error against bandwidth, pixels"),
        Curve(_SIGMA, _NORM, where=bandwidths, scale="log", title="Squared norm against bandwidth, pixels"),
        Scatter(_NORM, _ERROR, by=_SIGMA, where=bandwidths, x_scale="log", chance=False, title="Test error against squared norm, along the bandwidth"),
        Curve(_RIDGE, _ERROR, where=ridges, scale="log", ordinal=True, chance=False, title="Test error against ridge, pixels"),
        Curve(_RIDGE, _ERROR, where=convolved_ridges, ordinal=True, chance=False, title="Test error against ridge, random conv-net"),
        Curve(_FILTERS, _ERROR, by=_RIDGE, where=filters, title="Test error against the number of filters", reference=_reference(scale)),
        *((left_out,) if scale.name != "paper" else ()),
    )


def _reference(scale: Scale) -> list[dict[str, Any]] | None:
    if scale.name != "paper":
        return None
    points = (("without ridge (paper)", _value("cifar10", "random_convnet")), ("with ridge (paper)", _value("cifar10", "random_convnet", ridge=True)))
    return [{"x": filters, "y": value, "name": name} for name, value in points for filters in (PUBLISHED_FILTERS // 2, PUBLISHED_FILTERS)]


_SOLVED = (
    every("without ridge every training label is fitted", "train.error", {_RIDGE: 0.0}, high=0.0, reference=_SECTION),
    every("without ridge every system is solved to a relative residual of 1e-8", "fit.interpolates", {_RIDGE: 0.0}, low=1.0),
)


def _printed(samples: Samples) -> Iterator[Claim]:
    for line, unit in samples.lines():
        (name,), value = line.cells, float(line.published[_ERROR])
        text = f"{name}: test error is {100 * value:g} % to within {_points(unit)}"
        source = _SECTION if "ridge" in name else _TABLE
        # half of the unit is rounding, the other half is for constants that are not printed
        yield mean(text, _ERROR, line.where, low=value - unit, high=value + unit, scales=("paper",), reference=source)


def _points(fraction: float) -> str:
    return "1 point" if fraction == 0.01 else f"{100 * fraction:g} points"


def _norms(samples: Samples) -> tuple[Claim, ...]:  # the published factors are 1.8 (of norms) and 2 (of errors)
    raw, filtered, narrow, wide = samples.raw(), samples.filtered(), samples.path(samples.sigmas[0]), samples.path(samples.sigmas[-1])
    error = "bandwidths chosen alike: with Gabor filters test error on MNIST is lower, by a quarter at least"
    norm = "bandwidths chosen alike: with Gabor filters the squared norm on MNIST is higher, by a tenth at least"
    wide_norm = f"at sigma = {samples.sigmas[-1]:g} the squared norm is at least 10 times that at sigma = {samples.sigmas[0]:g}"
    wide_error = f"and yet test error at sigma = {samples.sigmas[-1]:g} is lower by at least 0.2 points"
    return (
        ratio(error, _ERROR, filtered, raw, high=0.75, reference=_SECTION, scales=_LARGER),
        ratio(norm, _NORM, filtered, raw, low=1.1, reference=_SECTION, scales=_LARGER),
        ratio(wide_norm, _NORM, wide, narrow, low=10.0, reference=_SECTION, scales=_LARGER),
        difference(wide_error, _ERROR, wide, narrow, high=-0.002, reference=_SECTION, scales=_LARGER),
    )


def _ridges(samples: Samples, scale: Scale) -> tuple[Claim, ...]:
    margin = scale.pick(smoke=0.01, laptop=0.002)  # of 400 digits four are a point; the paper prints 0.1 points, so less than 0.2 would not show
    path, plain = samples.path(samples.sigma, RIDGES), samples.path(samples.sigma)
    with_ridge, without = (samples.with_filters(samples.filters[-1], ridge) for ridge in (RIDGE, 0.0))
    text = "with ridge the random conv-net's test error is lower by at least a point, half of what is published"
    return (
        difference(f"no ridge of the path lowers test error on pixels by more than {_points(margin)}", _ERROR, path, plain, low=-margin, reference=_SECTION),
        difference(text, _ERROR, with_ridge, without, high=-0.01, scales=_LARGER, reference=_SECTION),
    )


def _more_filters(samples: Samples) -> Iterator[Claim]:
    for text, counts, ridge in (("without", samples.interpolating, 0.0), ("with", samples.filters, RIDGE)):
        least, most = counts[0], counts[-1]
        fewer, more = (samples.with_filters(count, ridge) for count in (least, most))
        yield difference(
            f"{text} ridge, {most:,} filters have at least 2 points less test error than {least:,}", _ERROR, more, fewer, high=-0.02, scales=_LARGER
        )
