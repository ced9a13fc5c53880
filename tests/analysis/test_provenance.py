"""What rows were made with: in each row, and said where it differs."""

from __future__ import annotations

import pytest

import shatterlab as sl
from shatterlab.analysis.provenance import mixed_origins
from shatterlab.core.values import Row
from shatterlab.report import render, text_report

TRIAL = sl.Trial(sl.Digits(examples=60, test_examples=30), sl.TrueLabels(), sl.LinearMinimumNorm())


def test_a_row_says_what_it_was_made_with():
    row = sl.run(TRIAL, sl.Runtime(threads=2, test_every=3))
    assert (row["runtime.device"], row["runtime.threads"], row["runtime.test_every"], row["runtime.tf32"]) == ("cpu", 2, 3, None)
    assert isinstance(row["runtime.capability"], str)


def test_rows_that_differ_in_it_are_said_to_and_no_others():
    one, two = (sl.run(TRIAL, sl.Runtime(threads=threads)) for threads in (1, 2))
    assert mixed_origins([one, one]) == [] and mixed_origins([]) == [] and mixed_origins([{"key": "old"}, one]) == []
    (told,) = mixed_origins([one, two, Row({"key": "an old row"})])
    assert "different numbers of threads (1: 1 row; 2: 1 row)" in told
    experiment = sl.Experiment("mine", "own", "Is it so?", (TRIAL,))
    mixed = [one, Row({**two, "key": "other"})]
    assert "different numbers of threads" in " ".join(text_report(experiment, mixed).split())
    assert "different numbers of threads" in render(experiment, mixed) and "different numbers" not in render(experiment, [one])


def test_checkpoints_beside_what_stores_none_are_refused(tmp_path):
    with pytest.raises(sl.InvalidPart, match=r"checkpoints: a learner that stores them is required .*, got LinearMinimumNorm"):
        sl.complete(sl.Experiment("mine", "own", "Is it so?", (TRIAL,)), runtime=sl.Runtime(checkpoints=tmp_path))
