"""Time to overfit against label corruption, relative to true labels."""

from __future__ import annotations

from collections.abc import Iterator

from shatterlab.core import Dataset, Learner
from shatterlab.design.experiment import Claim, Experiment, Scale
from shatterlab.experiments.paper._figure1 import PAPER_NAMES, TIME, over_all_levels, over_levels, sweep
from shatterlab.references import published
from shatterlab.views import Curve, Table

FIGURE = "Figure 1(b)"
_TRUE, _RANDOM = {"corruption.level": 0.0}, {"corruption.level": 1.0}
_TOLERANCE = 1.25  # on a published ratio: one epoch more or less of the ten that the paper's Inception needs is a tenth already


def experiment(scale: Scale, learner: Learner | None = None, dataset: Dataset | None = None) -> Experiment:
    """The trials of Figure 1(c), looked at for their time.

    Args:
        scale: how large.
        learner: a recipe of the user's in place of the paper's, on `dataset`.
        dataset: what it is tried on.
    """
    reference = None if scale.name == "smoke" or learner is not None else over_levels("figure1b", "relative_time_to_overfit")
    return Experiment(
        name="figure1b",
        source="Zhang et al. 2017, Figure 1(b)",
        question="How much longer does it take to overfit as labels are corrupted?",
        trials=sweep(over_all_levels(scale, learner, dataset), scale),
        views=(
            Curve("corruption.level", TIME, by="model", relative=_TRUE, reference=reference, title="Time to overfit, relative to true labels"),
            Table(("model", "corruption.level"), (TIME, "fit.epochs_to_interpolation", "train.error")),
        ),
        claims=ANY_NET if learner is not None else (*ANY_NET, *_published()),
        scale=scale.name,
    )


def _published() -> Iterator[Claim]:
    for model, kind in PAPER_NAMES.items():
        ratio = published("figure1b", metric="relative_time_to_overfit", model=model, label_corruption=1.0)[0].value
        assert isinstance(ratio, float)
        text = f"{kind}: random labels take {ratio:.2f} times the epochs of true labels, to within a quarter"
        where = {"learner.architecture.kind": kind}
        low, high = ratio / _TOLERANCE, ratio * _TOLERANCE
        yield Claim(text, TIME, where | _RANDOM, versus=where | _TRUE, low=low, high=high, scales=("paper",), reference=FIGURE, ratio=True)


ANY_NET = (
    Claim("random labels take longer than true labels", TIME, _RANDOM, versus=_TRUE, low=1.0, reference=FIGURE, ratio=True),
    Claim("the slowdown is a small factor: random labels take at most 5 times the epochs", TIME, _RANDOM, versus=_TRUE, high=5.0, reference=FIGURE, ratio=True),
)
