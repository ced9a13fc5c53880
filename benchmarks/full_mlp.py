"""MLP 1x512 on all 50,000 images of CIFAR-10 at the eleven levels of Figure 1(c), by the paper's recipe.

    SHATTERLAB_DATA=folder shatterlab run benchmarks/full_mlp.py --scale paper --store benchmarks/results/full_mlp.sqlite
    shatterlab export --store benchmarks/results/full_mlp.sqlite --output benchmarks/results/full_mlp.jsonl

Resumable: rows already in the store are not computed again. About ten minutes of one core a level.
"""

from __future__ import annotations

import shatterlab as sl
from shatterlab.references import published

LEVELS = [0.0, 1.0, 0.5, 0.3, 0.8, 0.1, 0.9, 0.2, 0.7, 0.4, 0.6]  # an early look covers the range


def experiment(scale: sl.Scale) -> sl.Experiment:
    learner = sl.Training(sl.MLP(hidden=(512,)), sl.SGD(lr=0.01, momentum=0.9), decay=0.95, decay_steps=391, batch_size=128, epochs=100)
    printed = [{"x": each.conditions["label_corruption"], "y": each.value, "name": "MLP 1x512, published"} for each in published("figure1c", model="mlp_1x512")]
    return sl.Experiment(
        name="full_mlp",
        source="Zhang et al. 2017, Figure 1(b) and 1(c)",
        question="Does the MLP 1x512 fit all 50,000 labels at every corruption level, and what is its test error then?",
        trials=sl.grid(
            sl.Trial,
            dataset=[sl.CIFAR10(crop=28)],
            corruption=[sl.PartialLabels(level) for level in LEVELS],
            learner=[learner],
            seeds=[sl.Seeds.replicate(r) for r in range(1)],
        ),
        views=(
            sl.Curve(x="corruption.level", y="test.error", title="Test error, MLP 1x512, 50,000 images", reference=printed),
            sl.Table(rows=("corruption.level",), columns=("train.accuracy", "test.error", "fit.epochs_to_interpolation", "fit.epochs_to_loss_0.05", "seconds")),
        ),
        scale=scale.name,
    )
