"""Data of a notebook, as they lie there: frames, pairs, lists, torch data sets and .npy files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import shatterlab as sl
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.studies.model_and_data import dataset, learners, model_from_options

X, Y = np.random.default_rng(0).random((40, 3)), np.arange(40) % 2
NAMES = ["no", "yes"]


class Pairs(torch.utils.data.Dataset):
    """The rows of X with their labels."""

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return torch.tensor(X[i]), int(Y[i])


def rows(splits):
    return torch.cat([splits.train.inputs, splits.test.inputs]).sort(0).values


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        [X.tolist(), Y.tolist()],
        (torch.from_numpy(X), torch.from_numpy(Y)),
        (pd.DataFrame(X), pd.Series(Y)),
        (pd.DataFrame(X, columns=list("abc")), pd.DataFrame({"y": Y})),
        torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
        Pairs(),
    ],
    ids=["arrays", "lists", "tensors", "frame and series", "frame and frame", "TensorDataset", "Dataset"],
)
def test_each_form_gives_the_same_sample(data):
    splits = dataset(data).load()
    assert torch.equal(rows(splits), torch.from_numpy(X.astype(np.float32)).sort(0).values)
    assert (len(splits.train), len(splits.test), splits.train.classes) == (30, 10, 2) and splits.split_text
    assert dataset(data).identity() == dataset(data).identity()
    assert len(dataset(data, 20).load().train) == 20


def test_npy_files_are_a_pair(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", np.array(NAMES)[Y])
    splits = dataset((str(tmp_path / "x.npy"), tmp_path / "y.npy")).load()
    assert splits.train.names == ("no", "yes") and splits.train.inputs.shape == (30, 3)
    (tmp_path / "x.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"^audit: a whole \.npy file of numbers or plain text is required, got ValueError: .* Save it with numpy\.save\.$"):
        dataset((tmp_path / "x.npy", tmp_path / "y.npy"))


def test_images_keep_their_form_and_object_labels_are_names():
    splits = dataset((np.zeros((40, 6, 6, 3), np.uint8), np.array(NAMES, object)[Y])).load()
    assert splits.train.shape == (3, 6, 6) and splits.train.levels == 255 and splits.train.names == ("no", "yes")


def test_a_list_of_texts_reaches_a_vectorizer():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = [f"{'good' if label else 'bad'} word{i}" for i, label in enumerate(Y)]
    row = sl.run(
        sl.Trial(dataset((texts, [NAMES[label] for label in Y])), sl.TrueLabels(), learners(make_pipeline(TfidfVectorizer(), LogisticRegression()))[0])
    )
    assert (row["status"], row["error"], row["test.accuracy"]) == ("ok", None, 1.0)


def test_an_array_with_nan_reaches_an_estimator_as_an_array():
    gaps = np.where(np.arange(120).reshape(40, 3) % 7 == 0, np.nan, X)
    splits = dataset((gaps, Y)).load()
    got = splits.train.columns.rows(splits.train.inputs)
    assert isinstance(got, np.ndarray) and got.dtype == np.float64 and np.isnan(got).sum() == splits.train.inputs.lt(-1e38).sum() > 0
    row = sl.run(sl.Trial(dataset((gaps, Y)), sl.TrueLabels(), sl.Estimator("sklearn.ensemble:HistGradientBoostingClassifier", {"max_iter": 2})))
    assert (row["status"], row["error"]) == ("ok", None)


def test_an_audit_of_a_frame_leaves_out_pixels_where_there_is_text():
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeClassifier

    frame = pd.DataFrame(X, columns=list("abc")).assign(colour=["red", "blue", None, "red"] * 10, y=np.array(NAMES)[Y])
    model = make_pipeline(make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["colour"]), remainder="passthrough"), DecisionTreeClassifier())
    audit = sl.audit(model, frame, target="y", replicates=2, levels=(), permutations=0, tell=None)
    assert {row["corruption.kind"] for row in audit.rows} == {"PartialLabels", "PermutedLabels"} and {row["status"] for row in audit.rows} == {"ok"}
    assert audit.findings[0].fitted == 2


def test_a_frame_travels_to_worker_processes():
    frame = pd.DataFrame(X, columns=list("abc")).assign(y=np.array(NAMES)[Y])
    rows = sl.audit(sl.Estimator("sklearn.tree:DecisionTreeClassifier"), frame, target="y", quick=True, permutations=0, workers=1, tell=None).rows
    assert {row["status"] for row in rows} == {"ok"} and len(rows) == 2


REFUSED = {
    "a number": (3, {}, "audit: data is a Dataset, the name of one, a file (.npz, .csv, .parquet), a folder, a data frame with target=, "
                 "a pair (X, y), a torch Dataset of pairs or a Dataset of Hugging Face, got int."),
    "three": ((X, Y, Y), {}, "audit: data is a Dataset, the name of one, a file (.npz, .csv, .parquet), a folder, a data frame with target=, "
              "a pair (X, y), a torch Dataset of pairs or a Dataset of Hugging Face, got tuple of 3 items."),
    "no target": (pd.DataFrame(X, columns=list("abc")), {}, "audit: target, the name of the column with the classes, is required, got none. Columns: a, b, c."),
    "lengths": ((pd.DataFrame(X), Y[:3]), {}, "audit: one label for each of 40 rows of X is required, y has shape (3,). Pass matching rows."),
    "both": ((X, Y), {"target": "y"}, "audit: either y or the name of a target column is required, got both. Leave one out."),
    "no table": ((X, Y), {"group": "g"}, "audit: group name columns of a table, got Arrays. Leave them out."),
    "ragged": (([[1.0], [1.0, 2.0]], [0, 1]), {}, "audit: rows of one length are required in X, got rows of different lengths. Pad or drop them."),
    "no file": (("x.npy", "y.npy"), {}, "audit: an .npy file is required, nothing is at x.npy. Check the path."),
    "no pairs": (torch.utils.data.TensorDataset(torch.from_numpy(X)), {}, "audit: pairs (input, label) are required, an item of TensorDataset is tuple. "
                 "Wrap the data set."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_data_that_cannot_be_used_are_refused_in_one_line(case):
    data, columns, message = REFUSED[case]
    with pytest.raises((InvalidPart, DataError)) as refused:
        dataset(data, **columns)
    assert str(refused.value) == message


def test_arguments_of_an_estimator_from_the_command_line():
    learner, _ = model_from_options("sklearn.ensemble:RandomForestClassifier", None, {}, arguments=("n_estimators=200", "criterion=entropy", "bootstrap=false"))
    assert learner.arguments == {"n_estimators": 200, "criterion": "entropy", "bootstrap": False}
    with pytest.raises(InvalidPart) as refused:
        model_from_options("sklearn.tree:DecisionTreeClassifier", None, {}, arguments=("depth",))
    assert str(refused.value) == "audit: --set takes name=value, got 'depth'. Write --set n_estimators=200, say."
