"""Test error of the random conv-net against its number of filters, up to 4,000: 2,500 images of CIFAR-10, one replicate.

    SHATTERLAB_DATA=folder shatterlab run benchmarks/filters.py --scale laptop --store benchmarks/results/filters.sqlite

The published net has 32,000 filters for 50,000 images, 5.12 features an image; here that is 1,600 filters. Without ridge nothing
interpolates below 313. Resumable; some minutes of two cores.
"""

from __future__ import annotations

import shatterlab as sl
from shatterlab.experiments.paper.table3 import RIDGE


def experiment(scale: sl.Scale) -> sl.Experiment:
    examples, most = scale.pick(smoke=(200, 100), laptop=(2500, 4000), paper=(50_000, 32_000))
    counts = [most // part for part in (16, 8, 4, 2, 1)]
    data = sl.CIFAR10(examples=examples, test_examples=examples // 2)
    learners = [sl.KernelInterpolation(sl.RandomConvolution(count), ridge=RIDGE) for count in counts]
    learners += [sl.KernelInterpolation(sl.RandomConvolution(count)) for count in counts if 8 * count > 1.25 * examples]
    by_filters = ("learner.kernel.filters", "learner.ridge")
    return sl.Experiment(
        name="filters",
        source="Zhang et al. 2017, Table 3 and section 5",
        question="How does the random conv-net's test error fall with the number of its filters, with and without ridge?",
        trials=sl.grid(sl.Trial, dataset=[data], corruption=[sl.TrueLabels()], learner=learners),
        views=(
            sl.Curve("learner.kernel.filters", "test.error", by="learner.ridge", title=f"Test error against filters, {examples:,} images"),
            sl.Table(by_filters, ("train.error", "test.error", "fit.relative_residual", "fit.squared_norm", "seconds")),
        ),
        scale=scale.name,
    )
