"""Each finding on data that has the defect, nothing on data that has not, and the answer of the obvious loop."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import shatterlab as sl
from shatterlab.analysis.data_findings import equal_rows, findings_in
from shatterlab.core import Examples, Splits
from shatterlab.core.errors import DataError

RNG = np.random.default_rng(0)


def sample(x, y, n_train=300, classes=2):
    x, y = torch.from_numpy(np.asarray(x, np.float32)), torch.from_numpy(np.asarray(y, np.int64))
    return Splits(Examples(x[:n_train], y[:n_train], classes), Examples(x[n_train:], y[n_train:], classes))


def clean(n=400, d=5):
    return RNG.random((n, d)), RNG.integers(0, 2, n)


def kinds(splits):
    return [finding.kind for finding in findings_in(splits)]


def only(splits):
    [finding] = findings_in(splits)
    return finding


QUESTION = "is it known before the label is, or made from it?"


def test_nothing_is_said_of_clean_data():
    assert kinds(sample(*clean())) == []
    assert sl.data_findings("Digits") == []
    assert sl.data_findings(sl.GaussianCloud()) == []


@given(st.lists(st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0**-149, 1e38]), min_size=3, max_size=3), min_size=1, max_size=30), st.integers(0, 30))
def test_equal_rows_are_those_of_the_obvious_loop(values, cut):
    rows = np.array(values, np.float32)
    parts = [part for part in (rows[:cut], rows[cut:]) if len(part)]
    expected = [next(j for j in range(len(rows)) if np.array_equal(rows[j], rows[i])) for i in range(len(rows))]
    assert equal_rows(*parts).tolist() == expected


def test_rows_whose_hashes_collide_are_told_apart(monkeypatch):
    from shatterlab.analysis import data_findings

    monkeypatch.setattr(data_findings, "_hashes", lambda rows: np.zeros(len(rows), np.uint64))
    assert equal_rows(np.float32([[1, 2], [3, 4], [1, 2]]), np.float32([[3, 4]])).tolist() == [0, 1, 0, 1]


def test_inputs_in_both_splits():
    x, y = clean()
    x[310], y[310] = x[7], y[7]
    x[399], y[399] = x[20], y[20]
    found = only(sample(x, y))
    assert (found.kind, found.severity, found.count) == ("equal across splits", "warning", 2)
    assert found.sentence == "2 of 100 test inputs are also training inputs (test 10 = training 7, test 99 = training 20): memory alone scores on them."


def test_equal_inputs_with_different_labels_bound_the_accuracy():
    x, y = clean()
    x[:3], y[:3] = x[0], [0, 1, 1]
    found = only(sample(x, y))
    assert (found.kind, found.count) == ("equal with different labels", 3)
    assert found.sentence == (
        "3 training examples have equal inputs and different labels (positions 0, 1, 2): no model is right on more than 99.67 % of the split."
    )
    y[:3] = 1
    assert kinds(sample(x, y)) == []  # copies that agree


def test_the_bound_is_that_of_the_best_table_of_labels():
    x, y = RNG.integers(0, 6, (300, 1)).repeat(2, 1), RNG.integers(0, 3, 300)
    best = sum(np.bincount(y[x[:, 0] == value]).max() for value in range(6)) / 300
    [found] = [found for found in findings_in(sample(np.r_[x, x[:100] + 50.0], np.r_[y, y[:100]], classes=3)) if "training examples" in found.sentence]
    assert f"more than {100 * best:.2f} %" in found.sentence


def test_constant_columns():
    x, y = clean()
    x[:, 2] = 3
    assert only(sample(x, y)).sentence == "1 column has one value in the whole training split: 2."
    assert only(sample(x, y)).severity == "note"


@pytest.mark.parametrize("leak", [lambda y: y, lambda y: 5 - y + RNG.random(len(y)) / 2, lambda y: np.where(y == 1, 3.0, RNG.integers(0, 3, len(y)))])
def test_a_column_that_gives_the_label(leak):
    x, y = clean()
    x[:, 3] = leak(y)
    found = only(sample(x, y))
    assert (found.kind, found.sentence) == (
        "one column gives the label",
        f"Column 3 alone gives every test label: {QUESTION}",
    )


def test_a_column_that_gives_nearly_every_label_of_a_large_sample():
    x, y = clean(60_000, 2)
    x[:, 0] = np.where(RNG.random(60_000) < 0.005, 1 - y, y) + RNG.random(60_000) / 10
    found = only(sample(x, y, 45_000))
    assert found.kind == "one column gives the label" and "Column 0 alone gives 99." in found.sentence
    x[:, 0] = np.where(RNG.random(60_000) < 0.05, 1 - y, y) + RNG.random(60_000) / 10
    assert kinds(sample(x, y, 45_000)) == []


def test_identifiers_and_rare_classes_are_no_such_column():
    x, y = clean()
    x[:, 0] = RNG.permutation(400)
    assert kinds(sample(x, y)) == []
    rare = (np.arange(400) % 199 == 0).astype(int)
    assert kinds(sample(x, rare)) == ["unequal classes"]  # naming one class is right on 99.5 %


def test_a_text_column_that_gives_the_label_is_named_and_escaped():
    y = np.arange(200) % 2
    frame = pd.DataFrame({"<b>\n": np.where(y == 1, "yes", "no"), "other": RNG.random(200), "y": y})
    [found] = sl.data_findings(frame, target="y")
    assert found.sentence == "Column '<b>\\\\n' alone gives every test label: is it known before the label is, or made from it?".replace("\\\\", "\\")


def test_small_and_one_sided_test_splits():
    x, y = clean(320)
    y[300:] = 1
    assert kinds(sample(x, y)) == ["small test split", "one test class"]
    assert findings_in(sample(x, y))[0].sentence == "The test split has 20 examples: one of them is 5.0 points of test accuracy."


def test_classes_of_unequal_size():
    x, _ = clean()
    found = only(sample(x, np.arange(400) % 5 == 0))
    assert found.kind == "unequal classes" and found.severity == "note"
    assert found.sentence == "Class 0 is 80.0 % of the training split: compare accuracies with that of always naming it."


def test_pixels_that_were_not_divided():
    images, y = RNG.integers(0, 256, (400, 1, 4, 4)).astype(float), RNG.integers(0, 2, 400)
    assert only(sample(images, y)).kind == "pixels in 0..255"
    assert kinds(sample(images / 255, y)) == []


def test_columns_that_the_model_cannot_take():
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    x, y = clean()
    text = pd.DataFrame(x[:, :3], columns=["a", "b", "c"]).assign(word=RNG.choice(["x", "y", "z"], 400), label=y)
    [found] = sl.data_findings(text, "MLP", target="label")
    assert (found.severity, found.sentence) == (
        "error",
        "Training cannot take text, which column 'word' holds: turn them into numbers, or put it into a pipeline that does.",
    )
    assert [f.kind for f in sl.data_findings(text, LogisticRegression(), target="label")] == ["columns the model cannot take"]
    assert sl.data_findings(text, make_pipeline(OneHotEncoder(), LogisticRegression()), target="label") == []
    gaps = text.drop(columns="word").assign(a=np.where(x[:, 0] < 0.1, np.nan, x[:, 0]), b=np.where(x[:, 1] > 0.9, np.nan, x[:, 1]))
    [found] = sl.data_findings(gaps, LogisticRegression(), target="label")
    assert found.sentence == "LogisticRegression cannot take missing values, which columns 'a', 'b' hold: fill them, or put it into a pipeline that does."
    assert sl.data_findings(gaps, HistGradientBoostingClassifier(), target="label") == []
    assert sl.data_findings(gaps, RandomForestClassifier(), target="label") == []
    coded = gaps.assign(a=pd.Categorical(text.word), big=2**40 + np.arange(400)).drop(columns="b")
    assert sl.data_findings(coded, HistGradientBoostingClassifier(), target="label") == []
    assert [f.count for f in sl.data_findings(coded, RandomForestClassifier(), target="label")] == [1]
    with pytest.raises(DataError, match=r"^Estimator: RandomForestClassifier cannot take categories, which column 'a' holds: turn them into numbers, or "):
        sl.audit(RandomForestClassifier(), coded, target="label")


def test_it_is_cheap():
    """10,000 images and 100,000 rows, a fifth and a tenth of what should take seconds; processor time, so that other programs do not matter."""
    images, rows = sample(RNG.random((10_000, 3, 32, 32), np.float32), RNG.integers(0, 2, 10_000), 8000), sample(*clean(100_000, 30), 80_000)
    start = time.process_time()
    findings_in(images)
    findings_in(rows)
    assert time.process_time() - start < 3


def regression(x, y, n_train=300):
    x, y = torch.from_numpy(np.asarray(x, np.float32)), np.asarray(y, np.float64)
    values, codes = np.unique(y, return_inverse=True)
    labels, numbers = torch.from_numpy(codes), torch.from_numpy(values)
    return Splits(*(Examples(x[part], labels[part], len(values), values=numbers) for part in (slice(n_train), slice(n_train, None))))


def noisy(n=400):
    rng = np.random.default_rng(3)
    return rng.normal(size=(n, 5)), rng.normal(size=n)


def test_nothing_is_said_of_a_clean_regression():
    x, y = noisy()
    assert kinds(regression(x, y)) == [] and kinds(regression(x, x @ np.arange(5) + y)) == []


@pytest.mark.parametrize("column", ["copy", "scaled", "logarithm", "bent"])
def test_a_column_that_gives_the_number_away(column):
    x, y = noisy()
    x[:, 2] = {"copy": y, "scaled": 5 - 1000 * y, "logarithm": np.exp(y), "bent": y + 0.05 * x[:, 2]}[column]
    found = only(regression(x, y))
    assert found.kind == "one column gives the label"
    assert found.sentence.startswith("Column 2 alone gives R2 0.99") or found.sentence.startswith("Column 2 alone gives R2 1.000")
    assert found.sentence.endswith(" on the test split: is it known before the target is, or made from it?")
    x[:, 2] = y + 0.3 * np.random.default_rng(0).normal(size=len(y))  # R2 of about 0.92: a good predictor is no leak
    assert kinds(regression(x, y)) == []


def test_a_column_of_identifiers_gives_no_number_away_and_one_of_few_values_may():
    _, y = noisy()
    town = np.arange(400) % 7
    frame = pd.DataFrame({"id": [f"row {i}" for i in range(400)], "town": [f"town {i}" for i in town], "y": y})
    assert [finding.kind for finding in findings_in(sl.DataTable.of(frame, "y", task="numbers").load())] == []
    [found] = findings_in(sl.DataTable.of(frame.assign(y=town * 1.5 + 0.01 * y), "y", task="numbers").load())
    assert found.sentence.startswith("Column 'town' alone gives R2 1.000 on the test split")


def test_equal_inputs_with_different_numbers_bound_r2():
    x, y = noisy()
    x[:3] = x[0]
    y[3] = y[4]
    x[3] = x[4]  # equal numbers: nothing to say
    found = only(regression(x, y))
    means = np.r_[np.full(3, y[:3].mean()), y[3:300]]
    bound = 1 - np.square(y[:300] - means).sum() / np.square(y[:300] - y[:300].mean()).sum()
    assert (found.kind, found.severity, found.count) == ("equal with different labels", "note", 3)
    assert (
        found.sentence == f"3 training examples have equal inputs and different targets (positions 0, 1, 2): no model has an R2 above {bound:.3f} on the split."
    )


def test_test_targets_that_say_little():
    x, y = noisy()
    y[300:] = 2.5
    assert only(regression(x, y)).sentence == "All test targets are 2.5: R2 is not defined on them."
    x, y = noisy(320)
    assert only(regression(x, y)).sentence == "The test split has 20 examples: R2 on so few says little."


def test_findings_of_a_regressor_are_those_of_numbers():
    from sklearn.linear_model import Ridge

    x, y = noisy()
    assert sl.data_findings((x, y), Ridge()) == []
    x[:, 1] = y
    assert [finding.kind for finding in sl.data_findings((x, y), Ridge())] == ["one column gives the label"]
    with pytest.raises(DataError, match="use a regressor, or bin it"):
        sl.data_findings((x, y))
