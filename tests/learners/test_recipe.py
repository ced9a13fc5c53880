"""The user's own training: which arguments it gets, what it may return, and what is refused before it is called."""

from __future__ import annotations

import types

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

import shatterlab as sl
from shatterlab.core.errors import InvalidPart
from shatterlab.core.losses import evaluate


def fitted(function, sample, **fields):
    fit = sl.Recipe(function, **fields).fit(sample)
    return fit, fit.scores(sample.inputs)


def test_a_function_gets_those_arguments_that_it_names(small_images):
    got = {}

    def train(device, y, X, *, seed, classes=None, labels=None, inputs=None, epochs=3, **more):
        got.update(locals())
        return lambda X: np.zeros((len(X), classes), np.float32)

    fit, scores = fitted(train, small_images.train)
    sample = small_images.train
    assert got["X"].shape == (60, 3 * 6 * 6) and got["X"].dtype == np.float32 and np.array_equal(got["y"], sample.labels.numpy())
    assert torch.equal(got["inputs"], sample.inputs) and torch.equal(got["labels"], sample.labels)
    assert (got["classes"], got["device"], got["epochs"], got["more"]) == (5, "cpu", 3, {}) and 0 <= got["seed"] < 2**31
    assert scores.shape == (60, 5) and fit.output == "logits"


@pytest.mark.parametrize("names", ["a, b, c, d", "inputs, labels, classes, generator", "inputs, labels, classes, seed, /", "*data"])
def test_four_arguments_of_other_names_get_the_sample_in_order(names, tmp_path, small_images):
    got = []
    exec(f"def train({names}):\n    got.append(list(locals().values()))\n    return lambda rows: rows.flatten(1)[:, :5]", space := {"got": got})
    fitted(space["train"], small_images.train)
    values = got[0][0] if names == "*data" else got[0]
    assert [type(value) for value in values] == [torch.Tensor, torch.Tensor, int, int] and values[2] == 5


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("X, target", "Recipe: arguments of the names X, y, inputs, labels, classes, seed, device are required, got 'target' of "),
        ("X, y, classes, generator", "Recipe: arguments of the names X, y, inputs, labels, classes, seed, device are required, got 'generator' of "),
        ("classes, seed", "Recipe: an argument X or inputs is required, "),
        ("", "Recipe: an argument X or inputs is required, "),
    ],
)
def test_other_arguments_are_refused_before_the_function_is_called(names, message, small_images):
    exec(f"def train({names}):\n    raise AssertionError", space := {})
    with pytest.raises(InvalidPart) as refused:
        sl.Recipe(space["train"]).require_inputs(small_images.train)
    assert str(refused.value).startswith(message)


def test_what_predicts_probabilities_labels_or_scores_is_scored_as_what_it_is(images):
    def forest(X, y):
        return KNeighborsClassifier(1).fit(X, y)

    def labels_only(X, y):
        return LinearSVC().fit(X, y)

    def plain(X, y):
        return KNeighborsClassifier(1).fit(X, y).predict

    def like_hugging_face(inputs, labels, classes):
        weights = torch.linalg.lstsq(inputs.flatten(1), torch.nn.functional.one_hot(labels, classes).float(), driver="gelsd").solution
        return lambda rows: types.SimpleNamespace(logits=rows.flatten(1) @ weights, loss=None)

    for train, output in ((forest, "probabilities"), (labels_only, "values"), (plain, "values"), (like_hugging_face, "logits")):
        fit, scores = fitted(train, images.train)
        assert (fit.output, tuple(scores.shape)) == (output, (len(images.train), images.train.classes))
        assert evaluate(fit.scores, images.train, fit.output)[1] > 0.95


def test_hard_labels_cost_twice_the_error(images):
    fit, _ = fitted(lambda X, y: lambda X: np.zeros(len(X), np.int64), images.train)
    loss, accuracy = evaluate(fit.scores, images.train, fit.output)
    assert loss == pytest.approx(2 * (1 - accuracy))  # two classes of a one-hot label differ, where it is wrong


def test_a_class_that_the_sample_lacks_has_a_probability_of_zero(small_images):
    sample = small_images.train.at(torch.nonzero(small_images.train.labels != 2).flatten())
    _, scores = fitted(lambda X, y: KNeighborsClassifier(1).fit(X, y), sample)
    assert scores.shape[1] == 5 and scores[:, 2].sum() == 0 and torch.equal(scores.argmax(1), sample.labels)


def test_x_of_a_table_is_the_frame_with_its_names():
    frame = pd.DataFrame({"colour": ["red", "blue", None, "red"] * 10, "size": np.arange(40.0), "kind": ["a", "b", "a", "a"] * 10})
    columns = []

    def train(X, y):
        columns.append(list(X.columns))
        return lambda X: (X["colour"] == "blue").to_numpy().astype(int)

    row = sl.run(sl.Trial(sl.DataTable.of(frame, "kind"), sl.TrueLabels(), sl.Recipe(train)))
    assert (row["status"], row["test.accuracy"], columns) == ("ok", 1.0, [["colour", "size"]])
    tensors = sl.run(sl.Trial(sl.DataTable.of(frame, "kind"), sl.TrueLabels(), sl.Recipe(lambda inputs, labels: None)))
    assert str(tensors["error"]).startswith("Recipe: numbers in every column are required, column 'colour' holds text.")


def test_a_function_of_a_file_has_the_key_of_its_name(tmp_path):
    (tmp_path / "mine.py").write_text("def train(X, y):\n    return None\n")
    named = sl.Recipe(f"{tmp_path / 'mine.py'}:train")
    from shatterlab.core.user_code import resolve

    assert sl.Recipe(resolve(str(named.function), "Recipe")) == named
    assert sl.Recipe(lambda X, y: None).identity()["function"].startswith("live:")
