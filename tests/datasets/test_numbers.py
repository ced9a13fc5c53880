"""Targets of a regression: the numbers survive to the last bit, splits ignore them, and what is no number is refused in one line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import shatterlab as sl
from readers.made_files import refusal
from shatterlab.core.errors import InvalidPart
from shatterlab.datasets.arrays import Arrays
from shatterlab.datasets.table import DataTable

X = np.random.default_rng(0).random((40, 3))
PRICES = np.random.default_rng(1).normal(1e6, 1.0, 40)  # float32 would round them to sixteenths


def arrays(y, **fields):
    return Arrays.of(np.arange(len(y))[:, None].astype(float), y, task="numbers", **fields).load()


def pairs(splits):
    """The target of each row, which its only input numbers."""
    return {int(x): float(t) for part in (splits.train, splits.test) for x, t in zip(part.inputs[:, 0], part.targets, strict=True)}


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=8, max_size=40).filter(lambda y: len(set(y)) > 1 + len(y) // 4))
def test_targets_are_the_numbers_of_their_rows_to_the_last_bit(y):
    splits = arrays(np.array(y))
    assert pairs(splits) == dict(enumerate(y))
    assert splits.train.classes == len(set(y)) == len(splits.train.values) and bool((splits.train.values.diff() > 0).all())
    assert splits.train.values.dtype == torch.float64 and splits.train.names is None


@pytest.mark.parametrize(
    "y",
    [PRICES, PRICES.tolist(), PRICES.astype(object), torch.from_numpy(PRICES), pd.Series(PRICES), pd.Series(PRICES, dtype="Float64")],
    ids=["array", "list", "objects", "tensor", "series", "nullable series"],
)
def test_each_form_of_numbers_gives_the_same_targets(y):
    from sklearn.linear_model import Ridge

    from shatterlab.studies.model_and_data import dataset, with_task

    splits = with_task(dataset((X, y)), Ridge()).load()
    assert sorted([*splits.train.targets.tolist(), *splits.test.targets.tolist()]) == sorted(PRICES)
    assert with_task(dataset((X, y)), sl.Estimator("sklearn.linear_model:LogisticRegression")).task == "classes"


def test_a_table_keeps_its_target_in_float64_and_its_columns(tmp_path):
    frame = pd.DataFrame({"area": X[:, 0], "town": ["a", "b", None, "c"] * 10, "price": PRICES})
    frame.to_csv(tmp_path / "prices.csv", index=False)
    held, read = DataTable.of(frame, "price", task="numbers").load(), DataTable(str(tmp_path / "prices.csv"), "price", task="numbers").load()
    for splits in (held, read):
        assert sorted([*splits.train.targets.tolist(), *splits.test.targets.tolist()]) == sorted(PRICES)
        assert [column.name for column in splits.train.columns.columns] == ["area", "town"]
        assert splits.split_text == "The test split is a quarter of the examples, drawn at random."
    assert torch.equal(held.train.targets, read.train.targets)


@pytest.mark.parametrize("role", ["group", "time", "split"])
def test_groups_times_and_given_splits_are_as_for_classes(role):
    other = {"group": np.arange(40) // 4, "time": np.arange(40)[::-1], "split": ["train", "train", "test", "train"] * 10}[role]
    frame = pd.DataFrame({"a": X[:, 0], "other": other, "y": PRICES})
    numbers = DataTable.of(frame, "y", task="numbers", **{role: "other"}).load()
    classes = DataTable.of(frame.assign(y=np.arange(40) % 2), "y", **{role: "other"}).load()
    assert torch.equal(numbers.train.inputs, classes.train.inputs) and numbers.split_text == classes.split_text


def test_a_split_and_a_subsample_are_drawn_without_a_look_at_the_numbers():
    y = np.random.default_rng(2).permutation(np.r_[np.zeros(200), np.arange(200)])
    one, other = arrays(y, examples=100), arrays(-(y**3) + 5, examples=100)
    assert torch.equal(one.train.inputs, other.train.inputs) and torch.equal(one.test.inputs, other.test.inputs)
    assert (len(one.train), len(one.test)) == (100, 100)


def test_the_task_leaves_keys_of_classes_alone_and_enters_those_of_numbers():
    labels = np.arange(40) % 2
    assert "task" not in Arrays.of(X, labels).describe() and Arrays.of(X, labels, task="numbers").identity() != Arrays.of(X, labels).identity()
    with pytest.raises(InvalidPart, match="Arrays: classes go with a task of classes, got 2"):
        Arrays.of(X, labels, classes=2, task="numbers")
    with pytest.raises(InvalidPart, match="task is one of 'classes', 'numbers', got 'rank'"):
        Arrays.of(X, labels, task="rank")


ADVICE = "A quantity to be predicted is regression: use a regressor, or bin it."
REFUSED = {
    "text": (np.array(["cheap", "dear"] * 20), "Arrays: numbers are required for a regressor, got text in y, such as cheap. Use a classifier."),
    "a gap": (np.r_[np.nan, PRICES[1:]], "Arrays: a label for each example is required, got nan at position 0 of y. Clean or drop such examples."),
    "infinity": (np.r_[PRICES[1:], np.inf], "Arrays: a label for each example is required, got inf at position 39 of y. Clean or drop such examples."),
    "one number": (np.full(40, 2.5), "Arrays: at least two different targets are required, the training split has only 2.5. Nothing can be told apart."),
    "two columns": (np.c_[PRICES, PRICES], "Arrays: one label an example, shape (40,), is required, y has shape (40, 2). Use y.argmax(1) for one-hot rows, "
                    "y.ravel() for a single column."),
    "dates": (np.arange(40).astype("datetime64[D]"), "Arrays: labels are whole numbers or text, y holds datetime64[D]. Number the classes 0, 1, ..."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_number_is_refused_in_one_line(case):
    y, message = REFUSED[case]
    assert refusal(Arrays.of(X, y, task="numbers").load) == message


def test_a_classifier_is_told_of_regressors_where_labels_are_a_quantity():
    assert refusal(Arrays.of(X, PRICES).load) == f"Arrays: labels are whole numbers or text, got {PRICES[0]} at position 0 of y. {ADVICE}"
    assert refusal(Arrays.of(X, np.arange(40)[::-1] * 7).load) == f"Arrays: classes are required, got 40 distinct numbers in 40 examples. {ADVICE}"


@pytest.mark.parametrize("derived", [sl.OneAgainstRest, sl.ForcedTest])
def test_data_sets_made_of_classes_refuse_numbers(derived):
    message = f"{derived.__name__}: classes are required, got a target of numbers (40 distinct values). Bin it, or use a regressor."
    assert refusal(derived(Arrays.of(X, PRICES, task="numbers")).load) == message
