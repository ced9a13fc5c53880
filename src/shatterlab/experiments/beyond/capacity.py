"""The largest sample whose random labels each kind of model fits, its memorized bits, and Cover's curve for linear classifiers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shatterlab import CIFAR10, MLP, Adam, Digits, Estimator, GaussianCloud, Linear, LinearSeparator, MemorizedBits, RandomLabels, SmallInception, Training
from shatterlab.core import Dataset, Learner, Runtime, Seeds
from shatterlab.design.claims import Claim, every, mean
from shatterlab.design.experiment import Experiment, Scale, grid
from shatterlab.experiments._networks import hidden_column, setups
from shatterlab.studies.capacity import SOURCE, Search, plan
from shatterlab.studies.capacity import views as default_views
from shatterlab.theory.vc import cover_probability
from shatterlab.trials.trial import Trial, sample
from shatterlab.views import Curve, FitProbability, Table

_HIDDEN, _N = "learner.architecture.hidden", "dataset.examples"
_BITS = "measure.MemorizedBits"
_CLOUD, _SEPARATOR = {"dataset.kind": "GaussianCloud"}, {"learner.kind": "LinearSeparator"}
_FOREST = {"n_estimators": 10, "max_depth": 5, "bootstrap": False}
_SHARES = (0.5, 1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 3, 4)  # n / d of linear classifiers


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """Smoke: nets of two widths on digits. Laptop: six widths, a narrow conv net. Paper: CIFAR-10. Linear classifiers on Gaussian points at each.

    Args:
        scale: how large.
        learner: a recipe of the user's own in place of these, on `dataset`.
        dataset: the data set of that recipe.
    """
    if learner is not None and dataset is not None:
        limit = dataset.examples or len(sample(dataset, Runtime(), Seeds.replicate(0)).train)
        return plan([Search(dataset, learner, limit, replicates=scale.replicates)], default_views(), scale=scale.name)
    published = (
        setup.trials([RandomLabels()], scale) for setup in setups(scale, ("mlp",), ("inception", "alexnet", "mlp"))
    )  # they fit every size: one will do
    return plan(
        searches(scale),
        views(scale),
        (*_nets_of_one_size(scale), *_linear(scale), *sum(published, ())),
        claims=claims(scale),
        source=f"{SOURCE}; Cover 1965 (linear classifiers); Zhang et al. 2017, section 2.2 (the paper's nets)",
        question="How many random labels can each kind of model fit, and how many bits is that for each parameter?",
        scale=scale.name,
    )


def searches(scale: Scale) -> tuple[Search, ...]:
    """One a learner: nets of growing width, a forest of small depth, and beyond smoke scale a narrow conv net."""
    data, limit = _data(scale)
    resolution, start = scale.pick(smoke=(0.5, 16), laptop=(0.2, 16), paper=(0.1, 64))
    learners = [*_nets(scale), Estimator("sklearn.ensemble:RandomForestClassifier", _FOREST)]
    quick = tuple(Search(data, learner, limit, start, scale.replicates, resolution) for learner in learners)
    if scale.name == "smoke":
        return quick
    narrow = Training(SmallInception(width=0.03), Adam(lr=0.01), batch_size=None, epochs=100)
    replicates, resolution = scale.pick(smoke=(0, 0.0), laptop=(2, 0.5), paper=(3, 0.1))
    return (*quick, Search(data, narrow, limit, start, replicates, resolution))


def widths(scale: Scale) -> tuple[int, ...]:
    """Hidden units of the nets."""
    return scale.pick(smoke=(2, 16), laptop=(1, 2, 4, 8, 16, 32))


def dimensions(scale: Scale) -> int:
    """Dimensions of the Gaussian points."""
    return scale.pick(smoke=10, laptop=20, paper=50)


def contrast(scale: Scale) -> int:
    """A size that wide nets fit and narrow ones do not."""
    return scale.pick(smoke=64, laptop=256, paper=1024)


def _nets(scale: Scale) -> list[Learner]:
    epochs, batch, steps = scale.pick(smoke=(300, None, 20), laptop=(1000, None, 50), paper=(1000, 128, 391))
    return [Training(MLP((width,)), Adam(lr=0.01), decay_steps=steps, batch_size=batch, epochs=epochs) for width in widths(scale)]


def _data(scale: Scale) -> tuple[Dataset, int]:
    digits, limit = Digits(test_examples=100), scale.pick(smoke=400, laptop=1347, paper=50_000)
    return scale.pick(smoke=digits, laptop=digits, paper=CIFAR10(crop=28)), limit


def _nets_of_one_size(scale: Scale) -> tuple[Trial, ...]:
    data, _ = _data(scale)
    sampled = [replace(data, examples=contrast(scale))]
    return grid(Trial, dataset=sampled, corruption=[RandomLabels()], learner=_nets(scale), seeds=scale.seeds, measures=[(MemorizedBits(),)])


def _linear(scale: Scale) -> tuple[Trial, ...]:
    runs, fewer = scale.pick(smoke=(24, 3), laptop=(60, 6), paper=(200, 20))
    d, shares = dimensions(scale), scale.pick(smoke=(1, 1.5, 2, 2.5, 3), laptop=_SHARES)
    descent = Training(Linear(bias=False), Adam(lr=0.05), batch_size=None, epochs=scale.pick(smoke=200, laptop=1000, paper=5000), whiten=False)
    clouds = [GaussianCloud(d, n=5 * d, examples=round(share * d), test_examples=20) for share in shares]

    def trials(learner: Learner, replicates: int) -> tuple[Trial, ...]:
        seeds = [Seeds.replicate(r) for r in range(replicates)]
        return grid(Trial, dataset=clouds, corruption=[RandomLabels()], learner=[learner], seeds=seeds)

    return trials(LinearSeparator(), runs) + trials(descent, fewer)


def views(scale: Scale) -> tuple[Any, ...]:
    """P(fit) of the nets, of the others and of the linear classifiers; errors and bits against size; the paper's nets."""
    d, small = dimensions(scale), {_HIDDEN: tuple(hidden_column((width,)) for width in widths(scale))}
    cover = [{"x": n, "y": cover_probability(n, d), "name": f"Cover 1965, d = {d}"} for n in range(max(2, d // 2), 4 * d + 1)]
    others = {"learner.kind": ("Estimator", "Training"), "learner.architecture.kind": (None, "SmallInception"), "dataset.kind": _data(scale)[0].kind}
    kind = scale.pick(smoke="Digits", laptop="CIFAR10")
    published = {_HIDDEN: (hidden_column((512,)), None), "learner.kind": "Training", "dataset.kind": kind, "learner.optimizer.kind": "SGD"}
    return (
        FitProbability((_HIDDEN,), title="Nets of one hidden layer: P(fit) against sample size", where=small),
        FitProbability(("model",), title="Other learners: P(fit) against sample size", where=others),
        FitProbability(("learner.kind",), title="Linear classifiers on Gaussian points, and Cover's curve", reference=cover, where=_CLOUD),
        Curve("train.n", f"{_BITS}.bits", by=_HIDDEN, title="Memorized bits of random labels, against sample size", where=small),
        Table((_HIDDEN, "train.n"), ("fit.parameters", "train.error", f"{_BITS}.bits", f"{_BITS}.per_parameter"), title="Bits by width and size", where=small),
        FitProbability(("model", _HIDDEN), title="The paper's nets on all examples: a lower bound", where=published),
    )


def claims(scale: Scale) -> tuple[Claim, ...]:
    """What theory and the sources say."""
    d, n, nets = dimensions(scale), contrast(scale), tuple(hidden_column((width,)) for width in widths(scale))
    at = [_CLOUD | _SEPARATOR | {_N: size} for size in (d, 2 * d, 3 * d)]
    narrow, wide, published = {_HIDDEN: nets[0], _N: n}, {_HIDDEN: nets[-1], _N: n}, {_HIDDEN: hidden_column((512,))}
    cover, bits, paper = "Cover 1965", "Morris et al. 2025, of language models", "Zhang et al. 2017, section 2.2"
    return (
        every(f"a hyperplane through 0 separates any labels of {d} points in {d} dimensions", "fit.separable", at[0], low=1.0, reference=cover),
        mean(f"and half of the labels of {2 * d} points", "fit.separable", at[1], low=0.25, high=0.75, reference=cover),
        mean(f"and hardly any of {3 * d} points", "fit.separable", at[2], high=0.2, reference=cover),
        mean(f"the narrowest net cannot hold {n} random labels: it errs on at least a tenth", "train.error", narrow, low=0.1),
        every("the widest nearly holds them: it errs on at most a tenth", "train.error", wide, high=0.1),
        every("no net holds more than 3.6 bits a parameter", f"{_BITS}.per_parameter", {_HIDDEN: nets}, high=3.6, reference=bits),
        every("the paper's MLP fits every random label", "train.error", published, high=0.0, scales=("smoke", "laptop"), reference=paper),
    )
