"""The stores under benchmarks/results are the evidence of the docs: every later version still reads them and finds its trials in them by key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shatterlab import experiments
from shatterlab.core import catalog
from shatterlab.design.experiment import Scale
from shatterlab.store.database import Store

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
RESULTS = BENCHMARKS / "results"
ROWS = {"figure1": 72, "figure1_others": 130, "filters": 7, "full_inception": 2, "full_kernels": 2, "full_mlp": 11, "photos": 24, "regularization": 321}
COMPLETE = {
    "figure1": ("figure1a", "figure1b", "figure1c"),
    "figure1_others": ("depth_against_width", "open_choices"),
    "full_inception": ("full_inception.py",),
    "full_mlp": ("full_mlp.py",),
    "photos": ("table2", "figure2a"),  # known by the names of their folders below the data root, which need not be there
    "regularization": ("table1", "figure2b", "table4", "weight_decay", "double_descent"),
}
PARTIAL = [  # store, experiment, scale, rows that it has there
    ("figure1_others", "number_format", "laptop", 49),  # of 50: AlexNet has four replicates so far
    ("regularization", "implicit_regularizers", "laptop", 9),  # of 21
    ("filters", "filters.py", "laptop", 7),  # of 9: the largest without ridge are missing
    ("full_kernels", "table3", "paper", 2),
    ("full_mlp", "figure1c", "paper", 11),
]


@pytest.fixture(scope="module")
def rows_of(tmp_path_factory):
    """Store -> its rows, read from a copy: opening may write beside the file, and migrates what is old."""
    read = {}

    def rows(name):
        if name not in read:
            copy = shutil.copy(RESULTS / f"{name}.sqlite", tmp_path_factory.mktemp("stores"))
            with Store(copy, create=False) as store:
                read[name] = store.rows()
        return read[name]

    return rows


def experiment(name, scale, monkeypatch):
    monkeypatch.setattr(catalog, "_outside", dict(catalog._outside))  # what a benchmark defines is forgotten again
    make = experiments.load(BENCHMARKS / name) if name.endswith(".py") else experiments.find(name)
    return make(Scale.named(scale))


def test_no_store_is_forgotten_here():
    assert {file.stem for file in RESULTS.glob("*.sqlite")} == set(ROWS)


@pytest.mark.parametrize("store", ROWS)
def test_a_store_opens_and_gives_its_rows(store, rows_of):
    rows = rows_of(store)
    assert len(rows) == len({row["key"] for row in rows}) == ROWS[store]
    assert {row["status"] for row in rows} == {"ok"}


@pytest.mark.parametrize(("store", "name"), [(store, name) for store, names in COMPLETE.items() for name in names])
def test_an_experiment_finds_all_of_its_trials(store, name, rows_of, monkeypatch):
    finished = experiment(name, "laptop", monkeypatch)
    assert [row["key"] for row in finished.select(rows_of(store))] == [trial.key for trial in finished.trials]
    assert finished.further(rows_of(store)) == ()


@pytest.mark.parametrize(("store", "name", "scale", "count"), PARTIAL)
def test_an_experiment_finds_the_trials_that_were_run(store, name, scale, count, rows_of, monkeypatch):
    begun = experiment(name, scale, monkeypatch)
    assert len(begun.select(rows_of(store))) == count < len(begun.trials)


@pytest.mark.parametrize("store", ROWS)
def test_every_row_belongs_to_an_experiment(store, rows_of, monkeypatch):
    pairs = [(name, "laptop") for name in COMPLETE.get(store, ())] + [(name, scale) for other, name, scale, _ in PARTIAL if other == store]
    known = {trial.key for name, scale in pairs for trial in experiment(name, scale, monkeypatch).trials}
    assert {row["key"] for row in rows_of(store)} <= known
