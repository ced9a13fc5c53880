"""The gap taken apart: an identity, a bound, and two learners whose parts are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import shatterlab as sl
from shatterlab.analysis.columns import examples, quantity
from shatterlab.analysis.rrm import gap_parts
from shatterlab.core import Row

SHARE = st.floats(0, 1)
NEAREST = sl.Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1})
RIGID = sl.Estimator("sklearn.linear_model:LogisticRegression", {"C": 0.01, "max_iter": 500})


def row(seed, level, kind="PartialLabels", model="a", **columns):
    base = {"key": f"{model}{seed}{kind}{level}", "status": "ok", "corruption.kind": kind, "corruption.level": level, "learner.kind": model}
    return Row(base | {f"seeds.{stream}": seed for stream in ("data", "corruption", "init", "order")} | {"train.n": 1000, "test.n": 500} | columns)


def both(seed, train, test, clean, noisy, level=0.1, **others):
    told = {"train.clean_accuracy": clean, "noisy.clean_accuracy": noisy, "noisy.n": 90}
    return [row(seed, 0.0, **{"train.accuracy": train, "test.accuracy": test}), row(seed, level, **told, **others)]


@given(st.lists(st.tuples(SHARE, SHARE, SHARE, SHARE), min_size=1, max_size=6))
def test_the_parts_add_up_to_the_gap_and_their_positive_parts_bound_it(accuracies):
    [parts] = gap_parts([each for seed, four in enumerate(accuracies) for each in both(seed, *four)])
    total = parts.robustness.estimate + parts.rationality.estimate + parts.memorization.estimate
    gap = sum(train - test for train, test, *_ in accuracies) / len(accuracies)
    assert parts.replicates == len(accuracies) and parts.gap.estimate == pytest.approx(gap, abs=1e-9)
    assert total == pytest.approx(gap, abs=1e-9) and parts.bound >= gap - 1e-9


def test_runs_are_paired_by_seeds_and_levels_stand_apart():
    rows = both(0, 0.9, 0.7, 0.85, 0.75) + both(1, 1.0, 0.8, 0.9, 0.8) + both(1, 1.0, 0.8, 0.5, 0.4, level=0.5)[1:]
    rows += [row(7, 0.1, **{"train.clean_accuracy": 0.1, "noisy.clean_accuracy": 0.1}), row(1, 1.0, "PermutedLabels", **{"train.accuracy": 1.0})]
    rows += [row(0, 0.0, model="b", **{"train.accuracy": 1.0, "test.accuracy": 0.2})]
    low, high = gap_parts(rows)
    assert (low.level, low.replicates, high.level, high.replicates) == (0.1, 2, 0.5, 1)
    assert (low.gap.estimate, low.memorization.estimate) == (pytest.approx(0.2), pytest.approx(0.1))
    assert (low.noisy, low.test) == (pytest.approx(0.775), pytest.approx(0.75))
    assert (high.gap.low, high.gap.high) == (-1, 1)  # one pair shows no spread


def test_failed_runs_and_missing_partners_leave_nothing():
    true, noisy = both(0, 0.9, 0.7, 0.85, 0.75)
    assert gap_parts([true]) == gap_parts([noisy]) == gap_parts([true, Row({**noisy, "status": "failed"})]) == []


def trials(learner, level, seeds=3):
    data = sl.Digits(examples=300, test_examples=200)
    return [sl.run(sl.Trial(data, each, learner, sl.Seeds.replicate(seed))) for seed in range(seeds) for each in (sl.TrueLabels(), sl.PartialLabels(level))]


def test_the_nearest_neighbour_memorizes_everything():
    """It gives back every label: NTrain = 0, Train(eta) = 1 - c for the changed share c of mean eta (1 - 1/k). So memorization is 1 - c, robustness c."""
    rows = trials(NEAREST, 0.3)
    [parts] = gap_parts(rows)
    changed = sum(row["check.changed"] / 300 for row in rows if row["corruption.level"] > 0) / 3
    assert parts.memorization.estimate == pytest.approx(1 - changed) and parts.robustness.estimate == pytest.approx(changed)
    assert parts.noisy == 0 and parts.bound == pytest.approx(1)
    assert parts.memorization.low <= 1 - 0.3 * 0.9 <= parts.memorization.high


def test_a_rigid_learner_hardly_memorizes():
    [parts], [all_of_it] = gap_parts(trials(RIGID, 0.3)), gap_parts(trials(NEAREST, 0.3, 1))
    assert parts.memorization.estimate < 0.25 < all_of_it.memorization.estimate and parts.noisy > 0.6


def test_a_permuted_share_is_taken_as_a_redrawn_one():
    data = sl.Digits(examples=200, test_examples=100)
    rows = [sl.run(sl.Trial(data, each, NEAREST)) for each in (sl.TrueLabels(), sl.PermutedLabels(0.25))]
    [parts] = gap_parts(rows)
    assert parts.level == 0.25 and parts.memorization.estimate == pytest.approx(1 - rows[1]["noisy.n"] / 200)


def test_the_columns_are_shares_of_their_examples():
    assert {quantity(name) for name in ("noisy.accuracy", "noisy.clean_accuracy", "train.clean_accuracy")} == {"share"}
    assert examples({"noisy.n": 9, "train.n": 50}, "noisy.clean_accuracy") == 9 and examples({"train.n": 50}, "train.clean_accuracy") == 50
