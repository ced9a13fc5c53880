"""Inception v3 on ImageNet: do regularizers explain generalization, and do they keep random labels from being fitted?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from shatterlab.core import Seeds
from shatterlab.corruptions.partial_labels import RandomLabels
from shatterlab.design.experiment import Claim, Experiment, Scale
from shatterlab.experiments.paper._photos import ALL, KEYS, NONE, SAMPLE, Line, called, chance, recipe, trials, where
from shatterlab.references import published
from shatterlab.trials.trial import Trial
from shatterlab.views import ComparisonTable, PublishedLine, Table

TABLE = "Table 2"
COLUMNS = {"train.accuracy": "train_top1_accuracy", "train.top5_accuracy": "train_top5_accuracy",
           "test.accuracy": "test_top1_accuracy", "test.top5_accuracy": "test_top5_accuracy"}  # fmt: skip
_FITTED = {"dataset.path": "data:imagenet-sample"}


def experiment(scale: Scale) -> Experiment:
    """The seven published lines. Smoke: generated photos. Laptop: Imagenette, quarter width, 75 pixels. Paper: ILSVRC 2012.

    At laptop scale random labels are also fitted to one photo each of 64 classes, the only sample here with a top 5.
    """
    sample = fitted(scale)
    return Experiment(
        name="table2",
        source="Zhang et al. 2017, Table 2 (appendix B)",
        question="Does Inception v3 on photos need its regularizers to generalize, and do they keep it from fitting random labels?",
        trials=(*trials(lines(), scale), *sample),
        views=(
            ComparisonTable([_shown(line, scale) for line in lines()], KEYS, tuple(COLUMNS), title=TABLE),
            *([Table(("dataset.path",), ("train.accuracy", "train.top5_accuracy", "fit.epochs"), "Random labels of 64 photos", _FITTED)] if sample else []),
        ),
        claims=tuple(_claims(scale)),
        scale=scale.name,
    )


def lines() -> list[Line]:
    """The lines of the published table, in its order."""
    found = (each.conditions for each in published("table2", metric="train_top1_accuracy"))
    return [(str(c["labels"]), bool(c["data_augmentation"]), bool(c["dropout"]), bool(c["weight_decay"])) for c in found]


def fitted(scale: Scale) -> tuple[Trial, ...]:
    """Random labels on the 64-photo sample, no regularizer, until 96 % are fitted; one batch holds all, so that its moments are those of evaluation."""
    if scale.name != "laptop":
        return ()
    learner = replace(recipe(("random", False, False, False), scale), batch_size=64, decay=1.0, epochs=200, smoothing=0.0, stop=0.96)
    return tuple(Trial(SAMPLE, RandomLabels(), learner, Seeds.replicate(r)) for r in range(scale.replicates))


def _shown(line: Line, scale: Scale) -> PublishedLine:
    labels, augmented, dropout, decay = line
    conditions: dict[str, str | bool] = {"labels": labels, "data_augmentation": augmented, "dropout": dropout, "weight_decay": decay}
    values = {column: published(TABLE.replace(" ", "").lower(), metric=metric, **conditions) for column, metric in COLUMNS.items()}
    return PublishedLine(called(line), where(line, scale), {column: float(found[0].value) for column, found in values.items() if found})  # type: ignore[arg-type]


def _claims(scale: Scale) -> Iterator[Claim]:
    on, off = where(ALL, scale), where(NONE, scale)
    counted: dict[str, Any] = {"ratio": True, "origin": chance(scale)}
    yield Claim(
        "not necessary: without any regularizer more than half of the accuracy above chance remains",
        "test.accuracy", off, versus=on, low=0.5, scales=("laptop", "paper"), reference=TABLE, **counted,
    )  # fmt: skip
    yield Claim("switching all of them off costs 14 to 22 points", "test.accuracy", off, versus=on, low=-0.22, high=-0.14, scales=("paper",), reference=TABLE)
    for line in lines():
        if line[0] == "random":
            told = "without regularizers" if line == ("random", False, False, False) else f"with weight decay{' and dropout' if line[2] else ''}"
            yield Claim(f"random labels are fitted {told}: training accuracy is at least 0.85", "train.accuracy", where(line, scale), low=0.85,
                        scales=("laptop", "paper"), reference=TABLE)  # fmt: skip
    margin = scale.pick(smoke=1.0, laptop=0.06, paper=0.002)  # laptop: 200 photos, 3 standard errors of a mean of 3 replicates are 0.037
    random = where(("random", False, False, False), scale)
    low, high = chance(scale) - margin, chance(scale) + margin
    yield Claim("under random labels, test accuracy is chance", "test.accuracy", random, low=low, high=high, scales=("laptop", "paper"), reference=TABLE)
    if scale.name == "laptop":
        yield Claim("random labels of 64 photos, one a class, are fitted: more than 0.95", "train.accuracy", _FITTED, low=0.95, reference=TABLE)
