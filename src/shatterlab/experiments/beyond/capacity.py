"""How many random labels a model swallows: effective model complexity, bits, and Cover's curve for the linear ones."""

from __future__ import annotations

from typing import Any

from shatterlab.architectures.linear import Linear
from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_inception import SmallInception
from shatterlab.core import Dataset, Learner, Runtime, Seeds
from shatterlab.corruptions.partial_labels import RandomLabels
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.datasets.gaussian_cloud import GaussianCloud
from shatterlab.design.experiment import Claim, Experiment, Scale, grid
from shatterlab.experiments.paper import _figure1 as figure1
from shatterlab.learners.estimator import Estimator
from shatterlab.learners.linear import LinearSeparator
from shatterlab.learners.training import Training
from shatterlab.measures.memorized_bits import MemorizedBits
from shatterlab.optimizers.adam import Adam
from shatterlab.studies.capacity import SOURCE, Search, plan
from shatterlab.studies.capacity import views as default_views
from shatterlab.theory.vc import cover_probability
from shatterlab.trials.trial import Trial, sample
from shatterlab.views import Curve, FitProbability, Table

_HIDDEN, _N = "learner.architecture.hidden", "dataset.examples"
_BITS = "measure.MemorizedBits"
_CLOUD, _SEPARATOR = {"dataset.kind": "GaussianCloud"}, {"learner.kind": "LinearSeparator"}
_FOREST = {"n_estimators": 10, "max_depth": 5, "bootstrap": False}


def searches(scale: Scale) -> tuple[Search, ...]:
    """One for each learner whose capacity is looked for: nets of growing width, a forest of small depth, a narrow conv net."""
    data, limit = _data(scale)
    resolution, start = scale.pick(smoke=0.5, laptop=0.2, paper=0.1), scale.pick(smoke=16, laptop=16, paper=64)
    learners: list[Learner] = [_net(scale, width) for width in widths(scale)]
    learners.append(Estimator("sklearn.ensemble:RandomForestClassifier", _FOREST))
    found = tuple(Search(data, each, limit, start, scale.replicates, resolution) for each in learners)
    narrow = Training(SmallInception(width=0.03), Adam(lr=0.01), batch_size=None, epochs=100)
    slow = Search(data, narrow, limit, start, scale.pick(smoke=2, laptop=2, paper=3), scale.pick(smoke=1.0, laptop=0.5, paper=0.1))
    return found if scale.name == "smoke" else (*found, slow)


def widths(scale: Scale) -> tuple[int, ...]:
    """Hidden units of the nets."""
    return scale.pick(smoke=(2, 16), laptop=(1, 2, 4, 8, 16, 32), paper=(1, 2, 4, 8, 16, 32))


def _net(scale: Scale, width: int) -> Learner:
    epochs, batch = scale.pick(smoke=(300, None), laptop=(1000, None), paper=(1000, 128))
    return Training(MLP((width,)), Adam(lr=0.01), decay_steps=scale.pick(smoke=20, laptop=50, paper=391), batch_size=batch, epochs=epochs)


def _data(scale: Scale) -> tuple[Dataset, int]:
    """What the searches draw from, and how many examples there are."""
    small = scale.pick(smoke=400, laptop=1347, paper=50_000)
    return scale.pick(smoke=Digits(test_examples=100), laptop=Digits(test_examples=100), paper=CIFAR10(crop=28)), small


def fixed(scale: Scale) -> tuple[Trial, ...]:
    """Every width at one size, linear classifiers at sizes around Cover's threshold, and the paper's nets on all that there is."""
    data, _ = _data(scale)
    seeds, measures = [Seeds.replicate(r) for r in range(scale.replicates)], [(MemorizedBits(),)]
    nets = [_net(scale, width) for width in widths(scale)]
    shared = grid(Trial, dataset=[_some(data, contrast(scale))], corruption=[RandomLabels()], learner=nets, seeds=seeds, measures=measures)
    return (*shared, *_linear(scale), *_published(scale))


def contrast(scale: Scale) -> int:
    """A size that wide nets fit and narrow ones do not."""
    return scale.pick(smoke=64, laptop=256, paper=1024)


def dimensions(scale: Scale) -> int:
    """Of the Gaussian points: d."""
    return scale.pick(smoke=10, laptop=20, paper=50)


def _linear(scale: Scale) -> tuple[Trial, ...]:
    """The programme at all sizes and, on fewer samples, gradient descent on the same linear scores."""
    runs, few = scale.pick(smoke=(24, 3), laptop=(60, 6), paper=(200, 20))
    descent = Training(Linear(bias=False), Adam(lr=0.05), batch_size=None, epochs=scale.pick(smoke=200, laptop=1000, paper=5000), whiten=False)
    clouds = [GaussianCloud(dimensions(scale), n=5 * dimensions(scale), examples=n, test_examples=20) for n in _sizes(scale)]
    made: tuple[Trial, ...] = ()
    for learner, count in ((LinearSeparator(), runs), (descent, few)):
        made += grid(Trial, dataset=clouds, corruption=[RandomLabels()], learner=[learner], seeds=[Seeds.replicate(r) for r in range(count)])
    return made


def _sizes(scale: Scale) -> list[int]:
    """d, 2 d and 3 d, and sizes between and beyond."""
    d = dimensions(scale)
    shares = scale.pick(smoke=(1, 1.5, 2, 2.5, 3), laptop=(0.5, 1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 3, 4), paper=(0.5, 1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 3, 4))
    return [round(share * d) for share in shares]


def _published(scale: Scale) -> tuple[Trial, ...]:
    """The paper's nets on random labels, the trials of Figure 1(c): they fit whatever there is, so a size is all that they can show."""
    made = scale.pick(smoke=[figure1.smoke], laptop=[figure1.mlp], paper=[figure1.inception, figure1.alexnet, figure1.mlp])
    return sum((each(scale).trials([RandomLabels()], scale.replicates) for each in made), ())


def _some(data: Dataset, n: int) -> Dataset:
    return Search(data, LinearSeparator(), n).trials(n)[0].dataset


def views(scale: Scale) -> tuple[Any, ...]:
    """P(fit) of the nets, of the others and of the linear classifiers; errors and bits against size; the paper's nets."""
    d, small = dimensions(scale), {_HIDDEN: tuple(_told(width) for width in widths(scale))}
    cover = [{"x": n, "y": cover_probability(n, d), "name": f"Cover 1965, d = {d}"} for n in range(max(2, d // 2), 4 * d + 1)]
    others = {"learner.kind": ("Estimator", "Training"), "learner.architecture.kind": (None, "SmallInception"), "dataset.kind": _data(scale)[0].kind}
    published = {
        _HIDDEN: (_told(512), None),
        "learner.kind": "Training",
        "dataset.kind": figure1.smoke(scale).dataset.kind if scale.name == "smoke" else "CIFAR10",
    }
    return (
        FitProbability((_HIDDEN,), title="Nets of one hidden layer: P(fit) against sample size", where=small),
        FitProbability(("model",), title="Other learners: P(fit) against sample size", where=others),
        FitProbability(("learner.kind",), title="Linear classifiers on Gaussian points, and Cover's curve", reference=cover, where=_CLOUD),
        Curve("train.n", f"{_BITS}.bits", by=_HIDDEN, title="Bits of random labels that are held, against sample size", where=small),
        Table((_HIDDEN, "train.n"), ("fit.parameters", "train.error", f"{_BITS}.bits", f"{_BITS}.per_parameter"), title="Bits by width and size", where=small),
        FitProbability(("model", _HIDDEN), title="The paper's nets on all examples: a lower bound", where=published | {"learner.optimizer.kind": "SGD"}),
    )


def claims(scale: Scale) -> tuple[Claim, ...]:
    """What theory and the sources say; every one can be contradicted by a row."""
    d, few = dimensions(scale), contrast(scale)
    at = [_CLOUD | _SEPARATOR | {_N: size} for size in (d, 2 * d, 3 * d)]
    narrow, wide = ({_HIDDEN: _told(each), _N: few} for each in (widths(scale)[0], widths(scale)[-1]))
    cover = "Cover 1965"
    return (
        Claim(f"a hyperplane through 0 separates any labels of {d} points in {d} dimensions", "fit.separable", at[0], low=1.0, reference=cover),
        Claim(f"and half of the labels of {2 * d} points", "fit.separable", at[1], low=0.25, high=0.75, reference=cover),
        Claim(f"and hardly any of {3 * d} points", "fit.separable", at[2], high=0.2, reference=cover),
        Claim(f"the narrowest net cannot hold {few} random labels: it errs on at least a tenth", "train.error", narrow, low=0.1),
        Claim("the widest nearly holds them: it errs on at most a tenth", "train.error", wide, high=0.1),
        Claim("no net holds more than 3.6 bits a parameter", f"{_BITS}.per_parameter", {_HIDDEN: tuple(_told(each) for each in widths(scale))}, high=3.6,
              reference="Morris et al. 2025, of language models"),
        Claim("the paper's MLP fits every random label that there is", "train.error", {_HIDDEN: _told(512)}, high=0.0, scales=("smoke", "laptop"),
              reference="Zhang et al. 2017, section 2.2"),
    )  # fmt: skip


def _told(width: int) -> str:
    """The column's text for this width."""
    return str(MLP((width,)).columns("learner.architecture")[_HIDDEN])


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """Smoke: nets of two widths on digits. Laptop: six widths, a narrow conv net. Paper: CIFAR-10. Linear classifiers on Gaussian points at each.

    Args:
        scale: how large.
        learner: a recipe of the user's in place of these, on `dataset`.
        dataset: what it is measured on.
    """
    if learner is not None and dataset is not None:
        limit = dataset.examples or len(sample(dataset, Runtime(), Seeds.replicate(0)).train)
        return plan([Search(dataset, learner, limit, replicates=scale.replicates)], default_views(), scale=scale.name)
    return plan(
        searches(scale),
        views(scale),
        fixed(scale),
        claims=claims(scale),
        source=f"{SOURCE}; Cover 1965 (linear classifiers); Zhang et al. 2017, section 2.2 (the paper's nets)",
        question="How many random labels does each kind of model swallow, and how many bits is that for each parameter?",
        scale=scale.name,
    )
