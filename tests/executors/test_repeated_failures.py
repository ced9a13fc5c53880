"""The same failure of the user's code twice spares the rest of its trials, and nothing else is spared."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import shatterlab as sl
from shatterlab.core import Row
from shatterlab.core.errors import UserCodeError
from shatterlab.executors.drive import InProcess, drive
from shatterlab.executors.local import LocalPool
from shatterlab.executors.repeated_failures import RepeatedFailures

DATA = sl.Digits(examples=40, test_examples=20)


def always(X, y):
    raise KeyError("lost")


def of_two_minds(X, y):
    raise KeyError(str(y.sum()))


def on_noise_only(X, y):
    if X[:, 0].any():  # the corner of a digit is empty
        raise ValueError("pixels")
    return whole(X, y)


def whole(X, y):
    return lambda X: np.zeros(len(X), dtype=int)


def asked(*functions, replicates=4, corruption=sl.TrueLabels(), data=DATA):
    return [sl.Trial(data, corruption, sl.Recipe(function), sl.Seeds.replicate(r)) for r in range(replicates) for function in functions]


@pytest.fixture
def store():
    with sl.Store(":memory:") as opened:
        yield opened


def test_two_failures_alike_end_the_run_with_the_users_own_frames(store):
    told = []
    with pytest.raises(UserCodeError) as failed:
        drive(asked(always, replicates=5), store, InProcess(), on_row=lambda row, done, total: told.append((done, total)))
    text = "drive: code that runs is required, two trials failed alike and 3 further ones were not started: Recipe: "
    assert str(failed.value).startswith(text) and str(failed.value).endswith("always failed with KeyError: 'lost'")
    assert 'raise KeyError("lost")' in failed.value.trace
    assert told == [(1, 5), (2, 2)] and [row["status"] for row in store.rows()] == ["failed", "failed"]


def test_other_models_go_on_and_the_rest_is_counted(store, caplog):
    with caplog.at_level(logging.WARNING, logger="shatterlab.executors"):
        rows = drive(asked(always, whole), store, InProcess())
    assert [row["status"] for row in rows] == ["failed", "ok", "failed", "ok", "ok", "ok"]
    assert "two trials failed alike and 2 further ones were not started: " in caplog.text


def test_different_failures_and_two_in_all_are_rows(store):
    assert [row["status"] for row in drive(asked(of_two_minds, corruption=sl.RandomLabels()), store, InProcess())] == ["failed"] * 4
    assert [row["status"] for row in drive(asked(always, replicates=2), store, InProcess())] == ["failed"] * 2


def test_what_has_ended_once_is_not_given_up(store):
    fine, broken = asked(on_noise_only, replicates=2), asked(on_noise_only, corruption=sl.GaussianPixels())
    statuses = ["ok"] * 2 + ["failed"] * 4
    assert [row["status"] for row in drive([*fine, *broken], store, InProcess())] == statuses
    assert [row["status"] for row in drive([*fine, *broken], store, InProcess())] == statuses  # it ended in an earlier run


def test_another_data_set_is_another_cell(store):
    larger = asked(always, replicates=3, data=sl.Digits(examples=50, test_examples=20))
    with pytest.raises(UserCodeError, match="2 further ones"):
        drive([*asked(always, replicates=3), *larger], store, InProcess())
    assert len(store) == 4  # two of each


def test_stages_of_a_study_share_what_has_failed_and_what_has_ended(store):
    failures = RepeatedFailures()
    assert [row["status"] for row in drive(asked(always, replicates=2), store, InProcess(), failures=failures)] == ["failed"] * 2
    with pytest.raises(UserCodeError, match="3 further ones were not started"):
        drive(asked(always, replicates=3, corruption=sl.RandomLabels()), store, InProcess(), failures=failures)
    drive(asked(on_noise_only, whole, replicates=1), store, InProcess(), failures=failures)
    later = drive(asked(on_noise_only, always, corruption=sl.GaussianPixels()), store, InProcess(), failures=failures)
    assert [row["status"] for row in later] == ["failed"] * 4  # what has ended on true labels is tried on, what never did is not
    assert len(store) == 2 + 2 + 4


def test_a_study_in_stages_ends_where_all_that_it_proposes_is_spared():
    first = asked(always, whole, replicates=2)
    staged = sl.Experiment("two stages", "nowhere", "Does it end?", tuple(first), (), (), propose=lambda rows: tuple(asked(always, replicates=6)))
    assert [row["status"] for row in sl.complete(staged)] == ["failed", "ok"] * 2


def test_the_machine_and_the_package_are_never_given_up():
    failures, [recipe] = RepeatedFailures(), asked(always, replicates=1)
    for error in ("LocalPool: a worker process died (signal 9) twice", "Trial: memory for the network is required"):
        assert [failures.note(recipe, Row({"status": "failed", "error": error})) for _ in range(3)] == [None] * 3
    ours = sl.Trial(DATA, sl.TrueLabels(), sl.KernelInterpolation(sl.Gaussian(1.0)))
    assert [failures.note(ours, Row({"status": "failed", "error": "singular"})) for _ in range(3)] == [None] * 3


@pytest.mark.filterwarnings("ignore:LocalPool")
def test_a_pool_drops_what_waits(store):
    pool = LocalPool(1)
    try:
        with pytest.raises(UserCodeError, match="two trials failed alike and 3 further ones were not started"):
            drive(asked(always, replicates=6), store, pool)
        assert len(store) == 3  # the third ran already when the second had failed
    finally:
        pool.shutdown()
