"""Preregistration: what was claimed when, and what is said of it later."""

from __future__ import annotations

import datetime
import json

import pytest

import shatterlab as sl
from shatterlab.core.values import Row


def experiment(high=0.5):
    trial = sl.Trial(sl.Digits(examples=50, test_examples=20), sl.TrueLabels(), sl.LinearMinimumNorm())
    return sl.Experiment("mine", "own", "Is it so?", (trial,), (), (sl.mean("errors are rare", "test.error", high=high),), "laptop")


def row(at, seconds=1.0):
    return Row({"key": "k", "finished": at.isoformat(), "seconds": seconds})


def test_what_was_frozen_is_read_again_and_placed_in_time(tmp_path):
    frozen = sl.freeze(experiment(), tmp_path / "frozen.json")
    assert sl.Frozen.read(tmp_path / "frozen.json") == frozen and len(frozen.sha256) == 64
    later, earlier = (frozen.time + datetime.timedelta(seconds=seconds) for seconds in (60, 0.5))
    assert "before the first of 1 row." in frozen.text(experiment(), [row(later)])
    assert "AFTER 1 of 2 rows had begun." in frozen.text(experiment(), [row(later), row(earlier)])  # it began half a second before


def test_another_claim_or_trial_is_named(tmp_path):
    frozen = sl.freeze(experiment(), tmp_path / "frozen.json")
    assert "NOT the claims of today: without 'errors are rare'; with 'errors are rare'." in frozen.text(experiment(0.9), [])
    other = sl.Experiment("mine", "own", "Is it so?", (*experiment().trials, sl.Trial(sl.Digits(), sl.TrueLabels(), sl.LinearMinimumNorm())))
    assert "1 of 2 trials are not the frozen ones." in frozen.text(other, [])


def test_nobody_changes_it_unseen_or_writes_it_twice(tmp_path):
    path = tmp_path / "frozen.json"
    sl.freeze(experiment(), path)
    with pytest.raises(sl.InvalidPart, match="freeze: a new file is required"):
        sl.freeze(experiment(), path)
    saved = json.loads(path.read_text())
    for field, value in (("time", "2020-01-01T00:00:00+00:00"), ("claims", []), ("keys", [])):
        path.write_text(json.dumps({**saved, field: value}))
        with pytest.raises(sl.DataError, match="was changed since"):
            sl.Frozen.read(path)
    for text in ("", "[]", '{"claims": 3}', "\x00"):
        path.write_text(text)
        with pytest.raises(sl.DataError, match="a file that `shatterlab freeze` wrote is required"):
            sl.Frozen.read(path)


def test_the_report_says_so(tmp_path, monkeypatch, capsys):
    from shatterlab.cli.commands import main

    monkeypatch.chdir(tmp_path)
    for command in (
        ["freeze", "figure1c", "--output", "f.json"],
        ["run", "section5_bad_interpolants"],
        ["report", "section5_bad_interpolants", "--frozen", "f.json"],
    ):
        with pytest.raises(SystemExit):
            main(command)
    told = capsys.readouterr().out
    assert "are frozen in f.json, sha256 " in told and "NOT the claims of today" in told
