"""The small Inception at its published width on 300 images: true and random labels, one replicate.

    SHATTERLAB_DATA=folder shatterlab run benchmarks/full_inception.py --scale laptop --store benchmarks/results/full_inception.sqlite

Some minutes of one core each; resumable.
"""

from __future__ import annotations

import shatterlab as sl


def experiment(scale: sl.Scale) -> sl.Experiment:
    learner = sl.Training(sl.SmallInception(), sl.SGD(lr=0.1, momentum=0.9), epochs=scale.epochs, stop="overfit")
    return sl.Experiment(
        name="full_inception",
        source="Zhang et al. 2017, Figure 1(a)",
        question="Does the small Inception, all 1,649,402 parameters of it, fit 300 images with true and with random labels?",
        trials=sl.grid(
            sl.Trial,
            dataset=[sl.CIFAR10(crop=28, examples=scale.pick(smoke=50, laptop=300, paper=None), test_examples=scale.test_examples)],
            corruption=[sl.RandomLabels(), sl.TrueLabels()],
            learner=[learner],
        ),
        views=(
            sl.LearningCurves("train.loss"),
            sl.Table(("setting",), ("fit.parameters", "fit.epochs_to_interpolation", "train.error", "test.accuracy", "seconds")),
        ),
        claims=(sl.Claim("training error is zero", "train.error", high=0.0),),
        scale=scale.name,
    )
