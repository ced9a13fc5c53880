"""Early stopping on ImageNet: accuracy of Inception v3 as it trains, with all, one and none of its regularizers."""

from __future__ import annotations

from shatterlab import ComparisonTable, Experiment, LearningCurves, Scale, difference, mean
from shatterlab.experiments.paper.table2 import ALL, DECAY_ONLY, KEYS, NONE, shown, trials, where

FIGURE = "Figure 2(a)"
_BY = "learner.optimizer.weight_decay"
_METRICS = {
    "train.accuracy": "train_top1_accuracy_at_last_plotted_step",
    "test.accuracy": "test_top1_accuracy_at_last_plotted_step",
    "oracle.test.accuracy": "test_top1_accuracy_best_plotted",
}


def experiment(scale: Scale) -> Experiment:
    """Three lines of `table2`, whose rows it shares; what lies below the best test value so far is shaded."""
    lines = (ALL, DECAY_ONLY, NONE)
    on, decay_only, off = (where(line, scale) for line in lines)
    plain, varied = ({"corruption.level": 0.0, "learner.augmentation": columns["learner.augmentation"]} for columns in (off, on))
    last = "with all of them, the last test accuracy is higher than without"
    best = "with weight decay alone, the best test accuracy on the way is at least 0.70; the last is published as 0.673"
    source = "Zhang et al. 2017, Figure 2(a)"
    question = "Would stopping early have helped, and does that depend on the other regularizers?"
    views = (
        LearningCurves("test.accuracy", by=_BY, title="Test accuracy without augmentation and dropout", where=plain, best=True),
        LearningCurves("test.accuracy", by=_BY, title="Test accuracy with augmentation, dropout and weight decay", where=varied, best=True),
        LearningCurves("train.accuracy", by=_BY, title="Training accuracy without augmentation and dropout", where=plain),
        ComparisonTable([shown(line, scale, "figure2a", _METRICS) for line in lines], KEYS, tuple(_METRICS), title=FIGURE),
    )
    claims = (
        mean(best, "oracle.test.accuracy", decay_only, low=0.70, scales=("paper",), reference=FIGURE),
        difference(last, "test.accuracy", on, off, low=0.05, scales=("paper",), reference=FIGURE),
    )
    return Experiment("figure2a", source, question, trials(lines, scale), views, claims, scale.name)
