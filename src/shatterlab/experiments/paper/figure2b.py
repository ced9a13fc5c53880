"""Batch norm steadies training: accuracy by epoch of the small Inception with and without it, no explicit regularizer."""

from __future__ import annotations

from typing import Any

from shatterlab.design.experiment import Claim, Experiment, Scale
from shatterlab.experiments.paper._regularizers import distinct_trials, nets, replicates, where
from shatterlab.references import curves
from shatterlab.views import LearningCurves, Table

FIGURE = "Figure 2(b)"
_BATCH_NORM = "learner.architecture.batch_norm"
_SERIES = {"test_inception": ("test.accuracy", "yes"), "train_inception": ("train.accuracy", "yes"), "test_inception_wo_bn": ("test.accuracy", "no")}


def experiment(scale: Scale) -> Experiment:
    """Two lines of `table1`, whose rows it shares. Smoke: digits. Laptop: 1,000 images. Paper: the published networks on all images."""
    found = nets(scale)
    trials = [found[name].trials(found[name].recipe(), "true", replicates(scale)) for name in ("inception", "inception_wo_bn")]
    on, off = (where(each[0]) for each in trials)
    near = scale.name == "paper"
    return Experiment(
        name="figure2b",
        source="Zhang et al. 2017, Figure 2(b)",
        question="What does batch norm, an implicit regularizer, do to training and to test accuracy?",
        trials=distinct_trials(trial for each in trials for trial in each),
        views=(
            LearningCurves("test.accuracy", by=_BATCH_NORM, reference=_published("test.accuracy") if near else None, best=True),
            LearningCurves("train.accuracy", by=_BATCH_NORM, reference=_published("train.accuracy") if near else None),
            Table((_BATCH_NORM,), ("test.accuracy", "oracle.test.accuracy", "train.accuracy", "fit.epochs_to_interpolation")),
        ),
        claims=(
            Claim("with batch norm the test accuracy at the end is higher", "test.accuracy", on, versus=off, low=0.0, reference=FIGURE),
            Claim("it is higher by 0 to 4 points", "test.accuracy", on, versus=off, low=0.0, high=0.04, scales=("paper",), reference=FIGURE),
            Claim("with batch norm interpolation comes earlier", "fit.epochs_to_interpolation", on, versus=off, high=1.0, ratio=True, reference=FIGURE),
        ),
        scale=scale.name,
    )


def _published(column: str) -> list[dict[str, Any]]:
    """The published curves of this column, named as the table names batch norm."""
    series = curves()["figure2b"]["series"]
    return [{"x": epoch, "y": y, "name": name} for key, (of, name) in _SERIES.items() if of == column for epoch, y in enumerate(series[key], 1)]
