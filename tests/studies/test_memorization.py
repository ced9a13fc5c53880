"""The study of memorization: exact where it can be, sampled elsewhere, and what both say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

import shatterlab as sl
from shatterlab.core.errors import DataError, InvalidPart, UnknownName

CLOUD = sl.GaussianCloud(examples=60, test_examples=30)
TREE = DecisionTreeClassifier()


@pytest.fixture(scope="module")
def sampled() -> sl.Memorization:
    return sl.memorization(TREE, sl.Digits(examples=60, test_examples=30), trials=40, corruption=sl.PartialLabels(0.3), tell=None)


@pytest.fixture(scope="module")
def exact() -> sl.Memorization:
    return sl.memorization(KNeighborsClassifier(1), sl.Digits(examples=60, test_examples=30), corruption=sl.PartialLabels(0.3), tell=None)


def test_sampled_values_and_their_words(sampled):
    (finding,) = sampled.findings
    assert not finding.exact
    assert len(sampled.rows) == finding.trials == 40
    assert finding.memorized_low <= finding.memorized <= finding.memorized_high
    assert f"DecisionTreeClassifier memorizes about {finding.memorized} of 60 training examples (memorization above 0.25; between " in sampled.verdict
    assert "Trained on 70 % of the examples it is right on 100.0 % of the examples it was trained on" in sampled.verdict
    assert "From 40 fits; the error of one value is" in sampled.verdict
    assert {row["seeds.data"] for row in sampled.rows} == {row["seeds.corruption"] for row in sampled.rows} == {0}
    assert [row["seeds.order"] for row in sampled.rows] == list(range(40))


def test_the_labels_are_those_that_the_model_was_given(sampled):
    data = sl.Digits(examples=60, test_examples=30)
    given = sl.PartialLabels(0.3).apply(data.load()).train.labels
    assert sampled.labels == tuple(map(str, given.tolist()))
    changed = (given != data.load().train.labels).numpy()
    assert sampled.scores.values[changed].mean() > sampled.scores.values[~changed].mean() + 0.2  # a tree has to memorize what contradicts the rest


def test_exact_values_are_said_to_be_exact(exact):
    (finding,) = exact.findings
    assert finding.exact
    assert (finding.error, finding.memorized_low, finding.memorized_high) == (0.0, finding.memorized, finding.memorized)
    assert "wrong when trained on all others (exact values)" in exact.verdict
    assert finding.mean == pytest.approx(exact.rows[0]["train.accuracy"] - (1 - exact.rows[0]["measure.LeaveOneOut.error"]))
    with pytest.raises(DataError, match="fits on random subsets are required for influence"):
        exact.influence()


def test_frames_files_and_charts(sampled, exact, tmp_path):
    for result in (sampled, exact):
        frame = result.to_frame()
        assert list(frame.columns) == ["index", "label", "memorization", "standard_error", "inside", "outside"]
        assert len(frame) == 60
        page = result.save(tmp_path / "page.html").read_text()
        assert "data:image/png;base64," in page
        report = json.loads(result.save(tmp_path / "page.json").read_text())
        assert report["findings"][0]["memorized"] == result.findings[0].memorized
        assert {table["title"] for table in report["tables"]} == {"How much the training examples are memorized", "The most memorized examples"}
        assert result.figure("The most memorized examples") is not None
    assert (sampled.to_frame()["inside"] + sampled.to_frame()["outside"] == 40).all()


@pytest.mark.parametrize(
    "model", [sl.LinearMinimumNorm(), sl.KernelInterpolation(sl.Gaussian(2.0)), RidgeClassifier()], ids=["least squares", "kernel", "ridge"]
)
def test_models_with_a_closed_form_take_one_fit(model):
    result = sl.memorization(model, CLOUD)
    assert result.scores.exact
    assert len(result.rows) == 1


def test_a_model_whose_closed_form_does_not_apply_is_sampled_and_says_why():
    told: list[str] = []
    result = sl.memorization(RidgeClassifier(class_weight="balanced"), CLOUD, trials=10, tell=told.append)
    assert not result.scores.exact
    assert "no exact values, LeaveOneOut: a ridge classifier of numbers with one alpha > 0" in told[0]
    assert "10 fits on 70 % of 60 examples" in told[1]


def test_influence_is_of_examples_that_no_fit_saw():
    result = sl.memorization(KNeighborsClassifier(1), CLOUD, trials=60, influence=True, tell=None, progress=False)
    values, errors = result.influence()
    assert len(result.held_out) == 12
    assert values.shape == errors.shape == (60, 12)
    assert np.isnan(values[result.held_out]).all()
    assert "12 examples that were never inside" in result.text()
    assert np.nanmax(abs(values)) <= 1


def test_trials_that_are_too_few_for_an_error_are_said_before_the_run():
    told: list[str] = []
    sl.memorization(TREE, CLOUD, trials=12, error=0.1, tell=told.append)
    bound = "the root mean squared error of a value is at most 0.89"
    assert told == [f"memorization: 12 fits on 70 % of 60 examples; {bound}. At most 0.1 takes 480 trials."]


def test_an_error_alone_chooses_the_trials():
    assert len(sl.memorization(TREE, CLOUD, error=0.5, tell=None).rows) == 59


def test_rows_are_found_again(tmp_path):
    for trials, new in ((12, 12), (15, 3), (15, 0)):
        counted: list[object] = []
        sl.memorization(TREE, CLOUD, trials=trials, store=tmp_path / "s.sqlite", tell=None, on_row=lambda row, done, of, into=counted: into.append(row))
        assert len(counted) == new


def test_fits_that_fail_are_left_out_and_counted(tmp_path):
    """Eleven of one class, one of the other: where that one is outside, a logistic regression cannot be fitted."""
    inputs, labels = np.random.default_rng(0).normal(size=(12, 2)), np.array([0] * 11 + [1])
    file = tmp_path / "rare.npz"
    np.savez(file, x_train=inputs, y_train=labels, x_test=inputs, y_test=labels)
    result = sl.memorization(LogisticRegression(), file, trials=20, tell=None)
    assert 0 < result.scores.left_out < 20
    assert f"Left out: {result.scores.left_out} fits that failed or diverged." in result.text()
    assert np.isnan(result.scores.values[11])  # it was never outside in a fit that ended


@pytest.mark.parametrize(
    ("model", "fields", "text"),
    [
        (None, {}, r"^memorization: a model is required, got None\. Name an architecture, or pass an estimator\.$"),
        (TREE, {"trials": 9}, r"^memorization: trials is a whole number >= 10 or None, got 9\. 200 are usual\.$"),
        (TREE, {"share": 1.0}, r"^memorization: share is a fraction in \(0, 1\), got 1\.0\. 0\.7 is usual\.$"),
        (TREE, {"error": 0}, r"^memorization: error is in \(0, 1\) or None, got 0\. 0\.1 takes some 500 trials\.$"),
        (LinearRegression(), {}, r"^memorization: a model that tells classes apart is required, got a regressor\."),
    ],
)
def test_what_cannot_be_asked_is_refused(model, fields, text):
    with pytest.raises(InvalidPart, match=text):
        sl.memorization(model, CLOUD, **fields)


def test_a_network_goes_by_its_own_name():
    result = sl.memorization("MLP", CLOUD, trials=10, epochs=1, tell=None)
    assert result.verdict.startswith("MLP memorizes about ")


def test_an_unknown_model_gets_the_nearest_names():
    with pytest.raises(UnknownName, match=r"^memorization: model: a known name is required, got 'MPL'\. Did you mean MLP"):
        sl.memorization("MPL", CLOUD)


def test_a_forest_leaves_the_rest_of_its_recipe_alone():
    with pytest.raises(InvalidPart, match="fields of Training go with a torch model, got epochs beside Estimator"):
        sl.memorization(RandomForestClassifier(), CLOUD, epochs=3)
