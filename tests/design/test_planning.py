"""How sure could an experiment be: the smallest effect that planned replicates decide."""

from __future__ import annotations

import math

import numpy as np
import pytest

import shatterlab as sl
from shatterlab.design.planning import decidable


def planned(claims, replicates=4, scale="laptop"):
    corruptions = [sl.TrueLabels(), sl.RandomLabels()]
    seeds = [sl.Seeds.replicate(r) for r in range(replicates)]
    trials = sl.grid(
        sl.Trial, dataset=[sl.Digits(examples=50)], corruption=corruptions, learner=[sl.Estimator("sklearn.tree:DecisionTreeClassifier")], seeds=seeds
    )
    return sl.Experiment("mine", "here", "Does it?", trials, claims=claims, scale=scale)


FALLS = sl.difference("test accuracy falls", "test.accuracy", {"corruption.level": 1.0}, {"corruption.level": 0.0}, high=0.0)
FITS = sl.every("it fits", "train.error", high=0.0)


def test_without_rows_the_effect_is_in_standard_deviations():
    (only,) = decidable(planned((FALLS,)))
    assert (only.replicates, only.level, only.spread) == (4, 0.95, None)
    assert only.effect == sl.statistics.detectable(1.0, 4, 0.95, 0.8)
    assert (
        only.text
        == f"4 replicates decide it four times in five where the true mean lies beyond its bound by {only.effect:.1f} standard deviations of a replicate"
    )


def test_the_family_makes_it_larger_and_counts_are_no_tests():
    first, second, counted = decidable(planned((FALLS, FALLS, FITS)))
    assert first.level == second.level == pytest.approx(0.975)
    assert first.effect > sl.statistics.detectable(1.0, 4, 0.95, 0.8)
    assert counted.text == "4 replicates are counted: where all agree, P >= 0.40"


def test_the_spread_of_known_rows_gives_the_claims_own_unit():
    experiment = planned((FALLS,))
    rng = np.random.default_rng(0)
    rows = [sl.Row({**trial.specification(), "status": "ok", "test.accuracy": float(rng.normal(0.5, 0.01)), "test.n": 200}) for trial in experiment.trials]
    (only,) = decidable(experiment, rows)
    halves = {level: [row["test.accuracy"] for row in rows if row["corruption.level"] == level] for level in (0.0, 1.0)}
    assert only.spread == pytest.approx(np.std(np.subtract(halves[1.0], halves[0.0]), ddof=1))
    assert only.text.endswith(f"by {100 * only.effect * only.spread:.1f} %")


def test_a_mean_of_four_is_decided_four_times_in_five_at_that_effect():
    (only,) = decidable(planned((FALLS,)))
    rng, n = np.random.default_rng(1), 4000
    values = rng.normal(-only.effect, 1, (n, 4))
    high = values.mean(1) + 3.182446 * values.std(1, ddof=1) / 2  # t(3) at 0.975
    assert (high <= 0).mean() == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / n))


def test_what_is_not_judged_is_not_planned():
    assert decidable(planned((FALLS,), scale="smoke")) == []
    (only,) = decidable(planned((FALLS,), replicates=1))
    assert only.text == "1 replicate decide nothing; at least 2 are required".replace("decide", "decides")
