"""Data sets of Hugging Face's package: images keep their pixels, tables their columns, both the names of their classes and their own test split."""

from __future__ import annotations

import io
import sys
import types

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import shatterlab as sl
from shatterlab.core.errors import DataError, InvalidPart, UnknownName
from shatterlab.readers.saved_datasets import is_saved, parts_of
from shatterlab.studies.hugging_face_data import of_hugging_face
from shatterlab.studies.model_and_data import dataset

NAMES = ["cat", "dog"]
RNG = np.random.default_rng(0)


def png(seed, side=40):
    pixels, content = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


class ClassLabel:
    names = NAMES


class Value:
    pass


class Part:
    """What this package uses of a data set of that one."""

    def __init__(self, columns, **features):
        self.columns = columns
        self.features = {name: features.get(name, Value()) for name in columns}

    def __getitem__(self, name):
        return self.columns[name]

    def to_pandas(self):
        return pd.DataFrame(self.columns)


def table(n, **more):
    return Part({"age": RNG.random(n).tolist(), "label": (np.arange(n) % 2).tolist(), **more}, label=ClassLabel())


def test_a_table_keeps_its_columns_its_test_split_and_the_names_of_classes():
    data = of_hugging_face({"train": table(30), "validation": table(12)}, {})
    splits = data.load()
    assert (len(splits.train), len(splits.test), splits.train.names) == (30, 12, ("cat", "dog"))
    assert [column.name for column in splits.train.columns.columns] == ["age"]
    whole = of_hugging_face(table(40, ward=["a", "b"] * 20), {"target": "ward"}).load()
    assert (len(whole.train), whole.train.names) == (30, ("a", "b"))


@pytest.mark.parametrize(
    ("data", "columns", "size", "problem", "message"),
    [
        ({"first": table(8), "second": table(8)}, {}, None, DataError, "audit: a split train is required, got first, second. Rename one, or pass one of them."),
        (table(8), {"target": "lable"}, None, UnknownName, "audit: target: a known name is required, got 'lable'. Did you mean label, age?"),
        (Part({"a": [1], "b": [2]}), {}, None, InvalidPart, "audit: target, the name of the column with the classes, is required, got none. Columns: a, b."),
        (table(8), {}, 64, InvalidPart, "audit: size is the side of images, got a data set without any. Leave it out."),
        (
            Part({"a": [1.0, 2.0], "label": [0, -1]}, label=ClassLabel()), {}, None, DataError,
            "audit: a label for each example is required, 1 of label are -1. Take a split with labels.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_one_line(data, columns, size, problem, message):
    with pytest.raises(problem) as refused:
        of_hugging_face(data, columns, size)
    assert str(refused.value) == message


def test_a_saved_data_set_asks_for_its_package(tmp_path, monkeypatch):
    for name in ("dataset_info.json", "state.json"):
        assert not is_saved(tmp_path)
        (tmp_path / name).write_text("{}")
    monkeypatch.setitem(sys.modules, "datasets", types.ModuleType("datasets"))
    with pytest.raises(InvalidPart) as refused:
        dataset(tmp_path)
    assert str(refused.value) == (
        f"audit: the package datasets is required to read the saved data set at {tmp_path}, it is not installed. Run pip install 'shatterlab[hf]'."
    )
    assert parts_of({"only": 3}, "audit") == [3]


# With the package itself


@pytest.fixture
def hf():
    pytest.importorskip("datasets.arrow_dataset", reason="needs the extra hf")
    import datasets

    datasets.disable_progress_bars()
    return datasets


@pytest.mark.filterwarnings("ignore")
def test_saved_images_are_read_with_their_classes_and_splits(hf, tmp_path):
    features = hf.Features({"image": hf.Image(), "label": hf.ClassLabel(names=NAMES)})

    def part(n):
        return hf.Dataset.from_dict({"image": [{"bytes": png(i), "path": None} for i in range(n)], "label": [i % 2 for i in range(n)]}, features=features)

    hf.DatasetDict({"train": part(12), "test": part(6)}).save_to_disk(str(tmp_path / "pets"))
    splits = dataset(tmp_path / "pets", size=20).load()
    assert (splits.train.shape, len(splits.train), len(splits.test), splits.train.names, splits.train.levels) == ((3, 20, 20), 12, 6, ("cat", "dog"), 255)
    part(12).save_to_disk(str(tmp_path / "whole"))
    assert dataset(tmp_path / "whole") == dataset(part(12)) and dataset(part(12)).load().train.shape == (3, 32, 32)
    row = sl.run(sl.Trial(dataset(tmp_path / "pets"), sl.TrueLabels(), sl.Training(sl.Linear(), epochs=1)))
    assert (row["status"], row["class_names"]) == ("ok", '["cat","dog"]')
    (tmp_path / "pets" / "train" / "state.json").write_text("{")
    with pytest.raises(DataError, match=r"^audit: a whole data set of save_to_disk is required, got .* Save it again\.$"):
        dataset(tmp_path / "pets")
    broken = hf.Dataset.from_dict({"image": [{"bytes": b"no image", "path": None}], "label": [0]}, features=features)
    with pytest.raises(DataError, match=r"^audit: row 0 of image: a whole image file is required, got UnidentifiedImageError: .* Replace or remove it\.$"):
        dataset(broken)


@pytest.mark.filterwarnings("ignore")
def test_a_saved_table_is_read_as_a_table(hf, tmp_path):
    features = hf.Features({"age": hf.Value("float64"), "ward": hf.Value("string"), "ill": hf.ClassLabel(names=["no", "yes"])})
    rows = {"age": RNG.random(40).tolist(), "ward": ["n", "s"] * 20, "ill": [0, 1] * 20}
    hf.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "visits"))
    splits = dataset(tmp_path / "visits").load()
    assert splits.train.names == ("no", "yes") and splits.train.columns.problems == {"text": ["ward"]}
    assert dataset(tmp_path / "visits", group="ward").group == "ward"
