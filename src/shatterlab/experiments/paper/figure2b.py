"""Batch norm steadies training: accuracy by epoch of the small Inception with and without it, no explicit regularizer."""

from __future__ import annotations

from typing import Any

from shatterlab import Experiment, LearningCurves, Scale, Table, difference, ratio
from shatterlab.experiments._networks import balanced, nets, replicates, where
from shatterlab.references import curves

FIGURE = "Figure 2(b)"
_BATCH_NORM, _EPOCHS = "learner.architecture.batch_norm", "fit.epochs_to_interpolation"
_SERIES = {"test_inception": ("test.accuracy", "yes"), "train_inception": ("train.accuracy", "yes"), "test_inception_wo_bn": ("test.accuracy", "no")}


def experiment(scale: Scale) -> Experiment:
    """Two lines of `table1`, whose rows it shares. Smoke: digits. Laptop: 1,000 images. Paper: the published networks on all images."""
    networks = [nets(scale)[name] for name in ("inception", "inception_wo_bn")]
    runs = [net.trials(net.recipe(), "true", replicates(scale)) for net in networks]
    on, off = (where(replicated[0]) for replicated in runs)
    source = "Zhang et al. 2017, Figure 2(b)"
    question = "What does batch norm, an implicit regularizer, do to training and to test accuracy?"
    trials = balanced(trial for replicated in runs for trial in replicated)
    views = (
        LearningCurves("test.accuracy", by=_BATCH_NORM, reference=_published("test.accuracy", scale), best=True),
        LearningCurves("train.accuracy", by=_BATCH_NORM, reference=_published("train.accuracy", scale)),
        Table((_BATCH_NORM,), ("test.accuracy", "oracle.test.accuracy", "train.accuracy", _EPOCHS)),
    )
    claims = (
        difference("with batch norm the test accuracy at the end is higher", "test.accuracy", on, off, low=0.0, reference=FIGURE),
        difference("it is higher by 0 to 4 points", "test.accuracy", on, off, low=0.0, high=0.04, scales=("paper",), reference=FIGURE),
        ratio("with batch norm interpolation comes earlier", _EPOCHS, on, off, high=1.0, reference=FIGURE),
    )
    return Experiment("figure2b", source, question, trials, views, claims, scale.name)


def _published(column: str, scale: Scale) -> list[dict[str, Any]] | None:
    if scale.name != "paper":
        return None
    series = curves()["figure2b"]["series"]
    return [{"x": epoch, "y": y, "name": name} for key, (of, name) in _SERIES.items() if of == column for epoch, y in enumerate(series[key], 1)]
