"""Time to overfit against label corruption, relative to true labels."""

from __future__ import annotations

from shatterlab import Claim, Curve, Dataset, Experiment, Learner, Scale, Table, ratio
from shatterlab.design.settings import RANDOM, TRUE
from shatterlab.experiments._networks import PAPER_NAMES, TIME, published_points, setups, sweep
from shatterlab.references import published

FIGURE = "Figure 1(b)"
_TITLE = "Time to overfit, relative to true labels"
_TOLERANCE = 1.25  # on a published ratio: one epoch more or less of the ten that the paper's Inception needs is a tenth already


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """The trials of Figure 1(c), for their time.

    Args:
        scale: how large.
        learner: a recipe of the user's own in place of the paper's, on `dataset`.
        dataset: the data set of that recipe.
    """
    reference = None if scale.name == "smoke" or learner is not None else published_points("figure1b", "relative_time_to_overfit")
    source = "Zhang et al. 2017, Figure 1(b)"
    question = "How much longer does it take to overfit as labels are corrupted?"
    trials = sweep(setups(scale, ("mlp", "alexnet"), ("inception", "alexnet", "mlp"), learner, dataset), scale)
    views = (
        Curve("corruption.level", TIME, by="model", relative={"corruption.level": 0.0}, reference=reference, title=_TITLE),
        Table(("model", "corruption.level"), (TIME, "fit.epochs_to_interpolation", "train.error")),
    )
    claims = ANY_NET if learner is not None else (*ANY_NET, *(_published(model, kind) for model, kind in PAPER_NAMES.items()))
    return Experiment("figure1b", source, question, trials, views, claims, scale.name)


def _published(model: str, kind: str) -> Claim:
    (reference,) = published("figure1b", metric="relative_time_to_overfit", model=model, label_corruption=1.0)
    value, where = float(reference.value), {"learner.architecture.kind": kind}  # type: ignore[arg-type]
    text = f"{kind}: random labels take {value:.2f} times the epochs of true labels, to within a quarter"
    return ratio(text, TIME, where | RANDOM, where | TRUE, low=value / _TOLERANCE, high=value * _TOLERANCE, scales=("paper",), reference=FIGURE)


ANY_NET = (
    ratio("random labels take longer than true labels", TIME, RANDOM, TRUE, low=1.0, reference=FIGURE),
    ratio("the slowdown is a small factor: random labels take at most 5 times the epochs", TIME, RANDOM, TRUE, high=5.0, reference=FIGURE),
)
