"""Progress: how many trials there are before the first ends, the time left from then on, and silence where nobody watches."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

import shatterlab as sl
from shatterlab.core import Row
from shatterlab.executors.drive import InProcess, Watcher, drive
from shatterlab.studies import progress
from shatterlab.studies.progress import ProgressLine, TimeLeft, shown
from shatterlab.studies.run import complete

DATA = sl.Digits(examples=40, test_examples=20)


@pytest.fixture
def console(monkeypatch):
    def use(**options):
        made = Console(file=io.StringIO(), width=140, highlight=False, **options)
        monkeypatch.setattr(progress, "_console", lambda: made)
        return made

    return use


def row(status="ok", seconds=60.0, seed=0):
    trial = sl.Trial(DATA, sl.TrueLabels(), sl.LinearMinimumNorm(), sl.Seeds.replicate(seed))
    figures = {"status": status, "seconds": seconds, "train.accuracy": 1.0, "test.accuracy": 0.5, "error": "lost" if status == "failed" else None}
    return Row({**trial.specification(), **figures})


def asked():
    trials = [sl.Trial(DATA, corruption, sl.LinearMinimumNorm()) for corruption in (sl.TrueLabels(), sl.RandomLabels())]
    return sl.Experiment("two", "nowhere", "How long?", tuple(trials), (), ())


@pytest.mark.parametrize(
    ("seconds", "total", "workers", "text"),
    [
        (60, 4, 1, "about 3 minutes left"),
        (60, 4, 3, "about 60 seconds left"),
        (60, 7, 2, "about 3 minutes left"),
        (60, 3, 8, "about 60 seconds left"),  # two trials keep two of the workers busy
        (3600, 5, 1, "about 4 hours left"),
        (0.001, 3, 1, "about 1 second left"),
        (60, 1, 1, ""),
    ],
)
def test_the_time_left_is_that_of_the_trials_left_shared_by_the_workers(seconds, total, workers, text):
    now = 100.0
    left = TimeLeft(total, workers, lambda: now)
    assert left.text == ""
    left.ended(seconds, 1, total)
    assert left.text == text


def test_the_time_left_runs_down_and_never_below_zero():
    now = [0.0]
    left = TimeLeft(3, 1, lambda: now[0])
    left.ended(60, 1, 3)
    now[0] = 90.0
    assert left.text == "about 30 seconds left"
    now[0] = 900.0
    assert left.text == "about 1 second left"
    left.ended(120, 2, 3)  # the mean is 90 s by now
    assert left.text == "about 90 seconds left"


def test_a_terminal_has_the_total_before_the_first_trial_ends_and_then_the_time_left(console):
    made = console(force_terminal=True)
    with ProgressLine() as line:
        line.begin(10, 2)
        line._bar.refresh()
        before = made.file.getvalue()
        line(row(), 1, 10)
        line(row("failed", seed=1), 2, 10)
        line._bar.refresh()
        logging.getLogger("shatterlab.executors").warning("one model was given up")
    shown_since = made.file.getvalue().removeprefix(before)
    assert "0/10" in before and "first trial" in before and "left" not in before
    assert "about 4 minutes left" in shown_since and "2/10" in shown_since
    assert "failed: LinearMinimumNorm" in shown_since and "warning: one model was given up" in shown_since


def test_a_notebook_has_one_line_that_changes(console):
    made = console(force_jupyter=True, force_terminal=False)
    with shown(None) as line:
        line.begin(3, 1)
        line(row(), 1, 3)
        line(row(), 2, 3)
        line(row(), 3, 3)
    empty, *lines = made.file.getvalue().split("\r")
    assert empty == "" and lines[0].rstrip() == "[0/3]"
    assert lines[1].startswith("[1/3] about 2 minutes left: LinearMinimumNorm") and lines[2].startswith("[2/3] about 60 seconds left: ")
    assert lines[-1].startswith("[3/3] done: ") and lines[-1].endswith("\n")


def test_a_pipe_has_a_line_a_trial_where_it_is_wanted_and_else_nothing(console):
    made = console(force_terminal=False)
    complete(asked())
    assert made.file.getvalue() == ""
    complete(asked(), progress=True)
    assert [line.partition(" ")[0] for line in made.file.getvalue().splitlines()] == ["[1/2]", "[2/2]"]
    made = console(force_terminal=True)
    complete(asked(), progress=False)
    sl.audit("Linear", DATA, replicates=1, levels=(), epochs=1, progress=False)
    assert made.file.getvalue() == ""


def test_who_watches_is_told_of_the_total_once_before_the_first_row():
    told = []

    class Watching:
        def begin(self, total, workers):
            told.append((total, workers))

        def __call__(self, row, done, total):
            told.append((row["status"], done, total))

    assert isinstance(ProgressLine(), Watcher)
    with sl.Store(":memory:") as store:
        drive(asked().trials, store, InProcess(), on_row=Watching())
        drive(asked().trials, store, InProcess(), on_row=Watching())  # nothing is missing
    assert told == [(2, 1), ("ok", 1, 2), ("ok", 2, 2)]
