"""Tables: an estimator gets the user's rows with names and types, other learners numbers or one clear line; splits are as stated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import shatterlab as sl
from readers.made_files import refusal
from shatterlab.core import catalog
from shatterlab.core.errors import DataError, InvalidPart, UnknownName
from shatterlab.datasets.table import DataTable

N = 80


def made(n=N):
    """A column of every kind, with a target."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "whole": rng.integers(0, 9, n),
            "real": rng.normal(size=n),
            "flag": rng.random(n) < 0.5,
            "text": rng.choice(["x", "yy", None], n),
            "choice": pd.Categorical(rng.choice(list("abc"), n), categories=list("abcd")),
            "day": pd.date_range("2020", periods=n),
            "count": pd.array([None, *rng.integers(0, 5, n - 1)], dtype="Int64"),
            "number": rng.integers(2**40, 2**41, n),
            "gaps": np.where(rng.random(n) < 0.2, np.nan, rng.random(n)),
            "maybe": pd.array([True, None] * (n // 2), dtype="boolean"),
            "things": pd.Series(["q", 3] * (n // 2), dtype=object),
            "fixed": 0.1,
            "zone": pd.date_range("2020", periods=n, tz="Europe/Paris"),
            "y": rng.choice(["u", "v"], n),
        }
    )


class Keeps:
    """An estimator that keeps what it is given."""

    def fit(self, rows, labels):
        self.rows, self.labels, self.classes_ = rows, labels, np.unique(labels)
        return self

    def predict(self, rows):
        self.scored = rows
        return np.zeros(len(rows), int)

    def get_params(self, deep=True):
        return {}

    def set_params(self, **params):
        return self


def kept(splits):
    """What an estimator was given to fit and to score."""
    fit = sl.Estimator(f"{__name__}:Keeps").fit(splits.train)
    fit.scores(splits.test.inputs)
    return fit.model.rows, fit.model.scored


def test_an_estimator_gets_the_rows_with_names_types_and_missing_values():
    frame = made().assign(split=np.where(np.arange(N) % 4 == 3, "test", "train"))
    splits = DataTable.of(frame, "y", split="split").load()
    features = frame.drop(columns=["y", "split"])
    for rows, test in zip(kept(splits), (False, True), strict=True):
        wanted = features[(frame.split == "test") == test].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, wanted, rtol=1e-6)  # floats are rounded to float32
    exact = ["whole", "flag", "number", "day", "choice"]
    assert kept(splits)[0][exact].equals(features[frame.split == "train"].reset_index(drop=True)[exact])


def test_inputs_are_finite_and_columns_say_what_they_stand_for():
    splits = DataTable.of(made(), "y").load()
    assert splits.train.inputs.isfinite().all() and splits.train.inputs.dtype == torch.float32
    assert splits.train.columns.problems == {
        "text": ["text"],
        "categories": ["choice"],
        "dates": ["day", "zone"],
        "missing values": ["count", "gaps", "maybe"],
        "whole numbers beyond 2^24": ["number"],
        "objects": ["things"],
    }
    assert splits.train.names == ("u", "v") and splits.split_text == "The test split is a quarter of the examples, drawn with class shares kept."


def test_values_that_float32_cannot_tell_apart_or_hold_come_back_exactly():
    columns = {"tick": 1e12 + np.arange(N) / 8, "huge": np.where(np.arange(N) % 2, 1e300, 1.0), "edge": np.where(np.arange(N) % 2, np.finfo("f4").min, 1.0)}
    frame = made()[["number", "y"]].assign(**columns)
    rows = kept(DataTable.of(frame, "y").load())[0]
    expected = frame[frame.number.isin(rows.number)].reset_index(drop=True)
    assert rows.equals(expected.drop(columns="y"))


def test_a_pipeline_on_text_and_gaps_runs_as_a_trial():
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["text"]), (SimpleImputer(), ["real", "gaps"]))
    learner = sl.Estimator.of(make_pipeline(columns, RandomForestClassifier(10, bootstrap=False)))
    row = sl.run(sl.Trial(DataTable.of(made(), "y"), sl.RandomLabels(), learner))
    assert (row["status"], row["error"], row["train.accuracy"]) == ("ok", None, 1.0)
    assert (row["class_names"], row["classes"]) == ('["u","v"]', 2) and row["split_text"].startswith("The test split is a quarter")


NUMBERS_ONLY = [sl.Training(sl.MLP((4,))), sl.KernelInterpolation(sl.Gaussian(1.0)), sl.Recipe("shatterlab.learners.recipe:nearest_class_mean")]


@pytest.mark.parametrize("learner", NUMBERS_ONLY)
def test_learners_of_numbers_refuse_text_and_gaps_by_name(learner):
    row = sl.run(sl.Trial(DataTable.of(made()[["real", "text", "y"]], "y"), sl.TrueLabels(), learner))
    assert row["error"] == (
        f"{learner.kind}: numbers in every column are required, column 'text' holds text. "
        "Turn them into numbers (text into one column of 0 and 1 for each value), or use a scikit-learn pipeline that does."
    )
    row = sl.run(sl.Trial(DataTable.of(made()[["real", "gaps", "count", "y"]], "y"), sl.TrueLabels(), learner))
    assert row["error"].startswith(f"{learner.kind}: numbers in every column are required, columns 'gaps', 'count' hold missing values. Fill them, or use")


def test_learners_of_numbers_and_pixel_corruptions_take_a_table_of_numbers():
    data = DataTable.of(made()[["real", "whole", "flag", "y"]], "y")
    for corruption in (sl.ShuffledPixels(), sl.RandomPixels(), sl.GaussianPixels()):
        for learner in (sl.Training(sl.MLP((4,)), epochs=2), sl.Estimator("sklearn.tree:DecisionTreeClassifier")):
            row = sl.run(sl.Trial(data, corruption, learner))
            assert (row["status"], row["error"]) == ("ok", None)
    mixed = DataTable.of(made()[["real", "text", "y"]], "y").load()
    assert refusal(lambda: sl.ShuffledPixels().apply(mixed)).startswith("ShuffledPixels: numbers in every column are required, column 'text' holds text.")


def test_hostile_names_are_data():
    frame = pd.DataFrame({"<b>\n": ["\x1b[31m", "a"] * 8, "y": ["<script>", "b\r"] * 8})
    splits = DataTable.of(frame, "y").load()
    assert splits.train.names == ("<script>", "b\r") and list(kept(splits)[0].columns) == ["<b>\n"]
    message = refusal(lambda: sl.ShuffledPixels().apply(splits))
    assert r"column '<b>\n' holds text" in message and message.isprintable()


# Splits


def test_whole_groups_stay_on_one_side():
    frame = made().assign(patient=np.arange(N) // 4)
    splits = [DataTable.of(frame, "y", group="patient").load(seeds=sl.Seeds(data=seed)) for seed in (0, 0, 1)]
    sides = [kept(part)[1]["number"].tolist() for part in splits]
    for numbers in sides:
        test = frame.number.isin(numbers)
        assert frame.groupby("patient").number.count().max() == 4 and test.groupby(frame.patient).nunique().max() == 1 and test.sum() == N // 4
    assert sides[0] == sides[1] != sides[2]
    assert splits[0].split_text == "The test split is 5 of 20 whole groups of patient: 20 of 80 rows."
    assert "patient" not in kept(splits[0])[0]


@pytest.mark.parametrize("times", [pd.date_range("2020-01-01", periods=N)[::-1], np.arange(N)[::-1], pd.date_range("2020-01-01", periods=N)[::-1].astype(str)])
def test_the_latest_rows_are_for_the_test(times):
    frame = made()[["number", "y"]].assign(when=times)
    splits = DataTable.of(frame, "y", time="when").load()
    assert kept(splits)[1]["number"].tolist() == frame.number[:20].tolist()  # the table is in reversed order
    assert splits.split_text.startswith("The test split is the latest by when: 20 of 80 rows, from ")


def test_rows_of_one_time_stay_together():
    frame = made()[["real", "y"]].assign(when=np.repeat([3, 2, 1, 1], 20))
    assert len(DataTable.of(frame, "y", time="when").load().test) == 20
    frame["when"] = np.repeat([2, 1, 1, 1], 20)
    assert len(DataTable.of(frame, "y", time="when").load().test) == 20
    frame["when"] = 5
    assert (
        refusal(DataTable.of(frame, "y", time="when").load)
        == "DataTable: the time column 'when': two different times are required, got 5 only. Leave time out."
    )


BAD_SPLITS = {
    "words": ({"split": "s"}, {"s": ["train", "val"] * 40}, "the split column 's': the words train and test are required, got 'val'. Rename them."),
    "no test": ({"split": "s"}, {"s": "train"}, "the split column 's': the words train and test are required, got 'train'. Rename them."),
    "gap": ({"split": "s"}, {"s": ["train", None] * 40}, "the split column 's': a value in each row is required, 40 are missing. Fill them."),
    "one group": ({"group": "s"}, {"s": 1}, "the group column 's': two different groups are required, got 1 only. Leave group out."),
    "no dates": ({"time": "s"}, {"s": ["soon", "late"] * 40}, "the time column 's': numbers or dates such as 2024-01-31 are required, got soon. Rewrite them."),
}


@pytest.mark.parametrize("case", BAD_SPLITS)
def test_a_split_that_cannot_be_made_is_refused(case):
    fields, columns, message = BAD_SPLITS[case]
    assert refusal(DataTable.of(made().assign(**columns), "y", **fields).load) == f"DataTable: {message}"


# Files


def saved(path, text):
    path.write_text(text)
    return str(path)


def test_the_public_name_is_that_of_the_data_set():
    assert sl.DataTable is DataTable and catalog.get("DataTable") is DataTable


def test_a_csv_file_and_its_frame_are_one_sample(tmp_path):
    frame = made()[["whole", "real", "text", "y"]]
    frame.to_csv(tmp_path / "t.csv", index=False)
    one, other = DataTable(str(tmp_path / "t.csv"), "y"), DataTable.of(frame, "y")
    assert torch.equal(one.load().train.inputs, other.load().train.inputs)
    assert one.identity()["path"].startswith("sha256:") and other.identity()["path"].startswith("live:table#")
    assert catalog.build(one.describe()) == one and catalog.build(other.describe()) == other


def test_the_key_of_a_frame_is_that_of_its_content():
    frame = made()
    key = DataTable.of(frame, "y").identity()
    assert DataTable.of(frame.copy(), "y").identity() == key
    for column, value in (("text", "other"), ("whole", 99), ("y", "u" if frame.y[3] == "v" else "v"), ("number", 7)):
        changed = frame.copy()
        changed.loc[3, column] = value
        assert DataTable.of(changed, "y").identity() != key, column
    assert DataTable.of(frame.rename(columns={"real": "Real"}), "y").identity() != key
    assert DataTable.of(frame.astype({"whole": float}), "y").identity() != key


REFUSED = {
    "empty": ("", "a whole .csv file is required, got EmptyDataError: No columns to parse from file at {path}. Save the table again."),
    "no rows": ("a,y\n", "t.csv: at least one row is required, the table has none. Check how it was made."),
    "one column": ("a;y\n1;2\n", "at least two columns are required, a feature and the target, got only 'a;y' in t.csv. Separate columns by commas."),
    "a name twice": ("a,a,y\n1,2,3\n", "t.csv: one column a name is required, got 'a' more than once. Rename or drop the others."),
    "ragged": ("a,y\n1,2\n1,2,3\n", "a whole .csv file is required, got ParserError: Error tokenizing data. C error: Expected 2 fields in "
               "line 3, saw 3 at {path}. Save the table again."),
    "no label": ("a,y\n1,u\n2,\n3,v\n", "t.csv: the target column 'y': a label in each row is required, 1 of 3 are missing, "
                 "the first in row 1. Drop such rows; empty cells, NA, None and NaN of a .csv file are missing."),
    "a quantity": ("a,y\n1,0.5\n2,1.5\n", "t.csv: the target column 'y': labels are whole numbers or text, got 0.5 at position 0 of labels. "
                   "A quantity to be predicted is regression: use a regressor, or bin it."),
    "infinity": ("a,y\n1,0\ninf,1\n", "t.csv: column 'a': finite numbers are required, got infinity in row 1. Clean or drop it."),
    "nothing else": ("s,y\ntrain,0\ntest,1\n", "t.csv: a column besides target, group, time and split is required, got none. Add features."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_files_that_cannot_be_used_are_refused_in_one_line(tmp_path, case):
    text, message = REFUSED[case]
    path = saved(tmp_path / "t.csv", text)
    assert refusal(DataTable(path, "y", split="s" if case == "nothing else" else None).load) == f"DataTable: {message}".format(path=path)


def test_a_file_that_is_not_there_or_binary_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    assert refusal(DataTable(str(path), "y").load) == f"DataTable: a .csv or .parquet file is required, nothing is at {path}. Check the path."
    assert refusal(DataTable(str(path), "y").fingerprints) == f"DataTable: a .csv or .parquet file is required, nothing is at {path}. Check the path."
    path.write_bytes(bytes(range(256)) * 9)
    assert refusal(DataTable(str(path), "y").load).startswith("DataTable: a whole .csv file is required, got UnicodeDecodeError: ")


def test_a_parquet_file_needs_pyarrow(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1")
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        message = "DataTable: pyarrow is required for .parquet files, got none. Install shatterlab[frames], or save the table as .csv."
        assert refusal(DataTable(str(path), "y").load) == message
        return
    assert refusal(DataTable(str(path), "y").load).startswith("DataTable: a whole .parquet file is required, got ")
    made().drop(columns="things").to_parquet(path)
    assert len(DataTable(str(path), "y").load().train) == 60


def test_columns_that_are_not_there_are_offered():
    with pytest.raises(UnknownName, match=r"^DataTable: target: a known name is required, got 'Gap'\. Did you mean gaps\?$"):
        DataTable.of(made(), "Gap").load()
    with pytest.raises(InvalidPart, match=r"^DataTable: one of group, time and split is enough, and no more, got 'a, b'$"):
        DataTable("t.csv", "y", group="a", time="b")
    with pytest.raises(InvalidPart, match=r"^DataTable: a column of its own is required for the target, got 'y'$"):
        DataTable("t.csv", "y", group="y")
    with pytest.raises(InvalidPart, match=r"^DataTable: a data frame of this process is required, got 'live:table#0' of another one\. Pass the data again\.$"):
        DataTable("live:table#0", "y").load()


def test_frames_that_cannot_be_used_are_refused():
    frame = made()
    with pytest.raises(DataError, match=r"^DataTable: at least one row is required, the table has none\. Check how it was made\.$"):
        DataTable.of(frame[:0], "y")
    with pytest.raises(DataError, match=r"^DataTable: one column a name is required, got 'y' more than once\. Rename or drop the others\.$"):
        DataTable.of(pd.concat([frame, frame["y"]], axis=1), "y")
    with pytest.raises(
        DataError, match=r"^DataTable: column 'real': numbers, text, dates or categories are required, got list\. Turn it into columns of those\.$"
    ):
        DataTable.of(frame.assign(real=[[1]] * N), "y")
