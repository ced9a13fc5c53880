"""Early stopping on ImageNet: accuracy of Inception v3 as it trains, with all, one and none of its regularizers."""

from __future__ import annotations

from shatterlab.design.experiment import Claim, Experiment, Scale
from shatterlab.experiments.paper._photos import ALL, DECAY_ONLY, KEYS, NONE, called, trials, where
from shatterlab.references import published
from shatterlab.views import ComparisonTable, LearningCurves, PublishedLine

FIGURE = "Figure 2(a)"
_BY = "learner.optimizer.weight_decay"


def experiment(scale: Scale) -> Experiment:
    """Three lines of `table2`, whose rows it shares; what lies below the best test value so far is shaded."""
    lines = (ALL, DECAY_ONLY, NONE)
    wanted = [PublishedLine(called(line), where(line, scale), _published(line)) for line in lines]
    plain = {"corruption.level": 0.0, "learner.augmentation": where(NONE, scale)["learner.augmentation"]}
    varied = {"corruption.level": 0.0, "learner.augmentation": where(ALL, scale)["learner.augmentation"]}
    return Experiment(
        name="figure2a",
        source="Zhang et al. 2017, Figure 2(a)",
        question="Would stopping early have helped, and does that depend on the other regularizers?",
        trials=trials(lines, scale),
        views=(
            LearningCurves("test.accuracy", by=_BY, title="Test accuracy without augmentation and dropout", where=plain, best=True),
            LearningCurves("test.accuracy", by=_BY, title="Test accuracy with augmentation, dropout and weight decay", where=varied, best=True),
            LearningCurves("train.accuracy", by=_BY, title="Training accuracy without augmentation and dropout", where=plain),
            ComparisonTable(wanted, KEYS, ("train.accuracy", "test.accuracy", "oracle.test.accuracy"), title=FIGURE),
        ),
        claims=(
            Claim(
                "with weight decay alone, the best test accuracy on the way is at least 0.70; the last is published as 0.673",
                "oracle.test.accuracy", where(DECAY_ONLY, scale), low=0.70, scales=("paper",), reference=FIGURE,
            ),
            Claim("with all of them, the last test accuracy is higher than without", "test.accuracy", where(ALL, scale), versus=where(NONE, scale),
                  low=0.05, scales=("paper",), reference=FIGURE),
        ),
        scale=scale.name,
    )  # fmt: skip


def _published(line: tuple[str, bool, bool, bool]) -> dict[str, float | str]:
    conditions = {"labels": line[0], "data_augmentation": line[1], "dropout": line[2], "weight_decay": line[3]}
    metrics = {"train.accuracy": "train_top1_accuracy_at_last_plotted_step", "test.accuracy": "test_top1_accuracy_at_last_plotted_step",
               "oracle.test.accuracy": "test_top1_accuracy_best_plotted"}  # fmt: skip
    return {column: float(published("figure2a", metric=metric, **conditions)[0].value) for column, metric in metrics.items()}  # type: ignore[arg-type]
