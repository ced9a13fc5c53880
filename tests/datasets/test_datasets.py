"""Data sets: what they give, what they refuse and in which words, and the published files against their references."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import pickle
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from readers.fuzz import torch_file
from readers.made_files import idx, made_file, refusal
from shatterlab.core import Seeds, Splits, catalog
from shatterlab.core.errors import InvalidPart
from shatterlab.datasets.arrays import Arrays
from shatterlab.datasets.cifar import CIFAR10, CIFAR10N, CIFAR100
from shatterlab.datasets.derived import Pooled
from shatterlab.datasets.digits import Digits
from shatterlab.datasets.image_folder import ImageFolder
from shatterlab.datasets.mnist import MNIST, FashionMNIST, idx_files, read_idx
from shatterlab.readers.examples import class_numbers, three_quarters
from shatterlab.readers.published_files import check_files

DOCS = Path(__file__).parents[2] / "docs" / "how-to"
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _no_data_root(request, monkeypatch):
    if "data" not in request.keywords:
        monkeypatch.delenv("SHATTERLAB_DATA", raising=False)


def same(a: Splits, b: Splits) -> bool:
    return all(torch.equal(x.inputs, y.inputs) and torch.equal(x.labels, y.labels) for x, y in ((a.train, b.train), (a.test, b.test)))


# Digits ----------------------------------------------------------------------------------------------------------------


def test_digits_are_scikit_learns_images_parted_3_to_1():
    from sklearn.datasets import load_digits

    splits = Digits().load()
    assert (splits.train.shape, len(splits.train), len(splits.test)) == ((1, 8, 8), 1347, 450)
    assert (splits.train.classes, splits.train.levels) == (10, 16)
    assert splits.train.inputs.dtype == torch.float32 and splits.train.labels.dtype == torch.int64
    together = torch.cat([splits.train.inputs, splits.test.inputs]).flatten(1) * 16  # exact: 16 is a power of two
    known = load_digits().data
    assert sorted(map(bytes, together.numpy().astype(np.uint8))) == sorted(map(bytes, known.astype(np.uint8)))
    assert float(splits.train.inputs.max()) == 1.0 and float(splits.train.inputs.min()) == 0.0


def test_digits_keep_class_shares_and_follow_the_data_stream_only():
    splits = Digits().load()
    train, test = (torch.bincount(part.labels, minlength=10) for part in (splits.train, splits.test))
    assert ((train - (train + test) * 1347 / 1797).abs() < 1).all()
    assert same(splits, Digits().load(seeds=Seeds(data=0, corruption=5, init=6, order=7)))
    assert not same(splits, Digits().load(seeds=Seeds(data=1)))


def test_one_draw_of_digits_does_not_change_the_next():
    first = Digits().load()
    kept = first.train.inputs.clone()
    first.train.inputs.zero_()
    assert torch.equal(Digits().load().train.inputs, kept)


def test_subsampling_is_stratified_and_deterministic():
    whole = Digits().load()
    few = Digits(examples=100, test_examples=50).load()
    assert (len(few.train), len(few.test)) == (100, 50)
    counts, all_counts = (torch.bincount(part.labels, minlength=10) for part in (few.train, whole.train))
    assert ((counts - all_counts * 100 / 1347).abs() < 1).all()
    assert same(few, Digits(examples=100, test_examples=50).load())
    assert not torch.equal(few.train.inputs, Digits(examples=100).load(seeds=Seeds(data=3)).train.inputs)
    rows = {bytes(image) for image in whole.train.inputs.flatten(1).numpy()}
    assert all(bytes(image) in rows for image in few.train.inputs.flatten(1).numpy())


def test_more_examples_than_there_are_is_refused():
    assert refusal(Digits(examples=1348).load) == "Digits: examples is at most 1347, the size of the split, got 1348. Ask for fewer."


def test_tiny_classes_are_parted_sensibly():
    labels = np.array([0] * 40 + [1] * 2 + [2] * 1 + [4] * 3)
    for data in range(200):
        train, test = three_quarters(labels, Seeds(data=data))
        assert sorted([*train, *test]) == list(range(len(labels)))
        inside, outside = np.bincount(labels[train], minlength=5), np.bincount(labels[test], minlength=5)
        assert inside[2] == 1 and outside[2] == 0
        assert inside[1] == 1 and outside[1] == 1
        assert inside[4] >= 1 and outside[4] >= 1
        assert 33 <= len(train) <= 35  # floor(3 * 46 / 4) = 34, shifted by one at most here
    assert [len(part) for part in three_quarters(np.array([0]), Seeds())] == [1, 0]
    assert [len(part) for part in three_quarters(np.array([], int), Seeds())] == [0, 0]


# MNIST and its form ----------------------------------------------------------------------------------------------------


def made_idx_root(folder: Path, part, packed: bool, monkeypatch) -> list[np.ndarray]:
    arrays = [RNG.integers(0, 256, (20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8) % 10]
    arrays += [RNG.integers(0, 256, (10, 28, 28), np.uint8), np.arange(10, dtype=np.uint8)]
    published = {}
    for file, array in zip(part.FILES, arrays, strict=True):
        plain, path = idx(array), folder / file.path
        gz = gzip.compress(plain, mtime=0)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(path.name + ".gz" * packed).write_bytes(gz if packed else plain)
        published[path.name] = (len(plain), hashlib.md5(plain).hexdigest(), len(gz), hashlib.md5(gz).hexdigest())
    monkeypatch.setattr(part, "FILES", idx_files(part.__name__, "https://example.org", published))
    return arrays


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("part", [MNIST, FashionMNIST])
def test_idx_files_are_read_plain_or_packed(tmp_path, monkeypatch, part, packed):
    images, labels, test_images, test_labels = made_idx_root(tmp_path, part, packed, monkeypatch)
    splits = part().load(tmp_path)
    assert splits.train.shape == (1, 28, 28) and splits.train.levels == 255 and splits.train.classes == 10
    for part_, pixels, numbers in ((splits.train, images, labels), (splits.test, test_images, test_labels)):
        assert np.array_equal(part_.inputs.numpy(), pixels[:, None].astype(np.float32) / np.float32(255))
        assert part_.labels.tolist() == numbers.tolist()


def test_the_plain_file_is_preferred_to_the_packed_one(tmp_path, monkeypatch):
    made_idx_root(tmp_path, MNIST, False, monkeypatch)
    for file in MNIST.FILES:
        (tmp_path / f"{file.path}.gz").write_bytes(b"damaged, and never looked at")
    assert len(MNIST().load(tmp_path).train) == 20
    (tmp_path / MNIST.FILES[0].path).unlink()
    message = refusal(lambda: MNIST().load(tmp_path))
    assert "train-images-idx3-ubyte.gz of " in message and "got 28 bytes" in message


def test_a_pool_has_the_rows_of_both_splits_in_their_order():
    x, y = np.arange(40.0)[:, None], np.arange(40) % 4
    pool = Pooled(Arrays.of(x, y)).load().train
    assert pool.inputs[:, 0].tolist() == x[:, 0].tolist() and pool.labels.tolist() == y.tolist() and pool.rows.tolist() == list(range(40))
    digits, parted = Pooled(Digits(examples=30, test_examples=20)).load(), Digits(examples=30, test_examples=20).load()
    assert torch.equal(digits.train.inputs, torch.cat([parted.train.inputs, parted.test.inputs])) and digits.train.rows is None


# CIFAR -----------------------------------------------------------------------------------------------------------------


def python2_batch(pixels: np.ndarray, labels: dict[bytes, list[int]]) -> bytes:
    """A batch as Python 2 pickled the published ones: protocol 2, byte strings, numpy's old module names."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value

    def whole(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN" + whole(-1) * 2 + b"K\x00tb"
    array = empty + b"(K\x01" + whole(len(pixels)) + whole(3072) + b"\x86" + dtype + b"\x89" + text(pixels.tobytes()) + b"tb"
    lists = b"".join(text(key) + b"](" + b"".join(map(whole, numbers)) + b"e" for key, numbers in labels.items())
    return b"\x80\x02}(" + text(b"data") + array + lists + text(b"batch_label") + text(b"made") + b"u."


def made_cifar100(folder: Path, monkeypatch) -> list[tuple[np.ndarray, list[int], list[int]]]:
    made, files = [], []
    for name, n in (("train", 200), ("test", 100)):
        pixels, fine = RNG.integers(0, 256, (n, 3072), np.uint8), [i % 100 for i in range(n)]
        coarse = [label // 5 for label in fine]
        content = python2_batch(pixels, {b"fine_labels": fine, b"coarse_labels": coarse})
        files.append(made_file(folder, content, f"cifar-100-python/{name}", "CIFAR100"))
        made.append((pixels, fine, coarse))
    monkeypatch.setattr(CIFAR100, "FILES", tuple(files))
    return made


def test_cifar100_reads_both_its_label_sets(tmp_path, monkeypatch):
    made = made_cifar100(tmp_path, monkeypatch)
    fine, coarse = (CIFAR100(labels=labels).load(tmp_path) for labels in ("fine", "coarse"))
    assert (fine.train.classes, coarse.train.classes) == (100, 20)
    for index, name in enumerate(("train", "test")):
        pixels, fine_labels, coarse_labels = made[index]
        expected = pixels.reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255)
        assert np.array_equal(getattr(fine, name).inputs.numpy(), expected)
        assert getattr(fine, name).labels.tolist() == fine_labels
        assert getattr(coarse, name).labels.tolist() == coarse_labels
    assert fine.train.levels == 255


HUMAN = ("aggre_label", "random_label1", "random_label2", "random_label3", "worse_label")
WHOSE = ("aggregate", "random1", "random2", "random3", "worst")


def made_cifar10n(folder: Path, monkeypatch, **changes) -> dict[str, np.ndarray]:
    clean = np.arange(20) % 10
    content = {"clean_label": clean, **{name: (clean + shift) % 10 for shift, name in enumerate(HUMAN, 1)}} | changes
    files = [
        made_file(folder, python2_batch(np.zeros((20, 3072), np.uint8), {b"labels": clean.tolist()}), f"cifar-10-batches-py/{name}") for name in ("a", "test")
    ]
    monkeypatch.setattr(CIFAR10, "FILES", tuple(files))
    human = torch_file({name: labels for name, labels in content.items() if labels is not None})
    monkeypatch.setattr(CIFAR10N, "FILES", (made_file(folder, human, "CIFAR-N/CIFAR-10_human.pt", "CIFAR10N"),))
    return content


@pytest.mark.parametrize(("noise", "column"), list(zip(WHOSE, HUMAN, strict=True)))
def test_cifar10n_has_the_labels_of_people_for_training_and_the_published_ones_for_the_test(tmp_path, monkeypatch, noise, column):
    content = made_cifar10n(tmp_path, monkeypatch)
    splits = CIFAR10N(noise=noise).load(tmp_path)
    assert splits.train.labels.tolist() == content[column].tolist() and splits.test.labels.tolist() == content["clean_label"].tolist()
    assert splits.train.names[:2] == ("airplane", "automobile")


@pytest.mark.parametrize(
    "changes",
    [{"clean_label": np.arange(20) % 9}, {"clean_label": None}, {"aggre_label": None}, {"aggre_label": np.arange(19)}, {"aggre_label": np.arange(20.0)}],
    ids=["other images", "no clean labels", "no labels", "one missing", "no whole numbers"],
)
def test_labels_that_do_not_belong_to_cifar10_are_refused(tmp_path, monkeypatch, changes):
    made_cifar10n(tmp_path, monkeypatch, **changes)
    assert refusal(lambda: CIFAR10N().load(tmp_path)) == (
        "CIFAR10N: clean_label, equal to the labels of CIFAR-10, and aggre_label, one whole number for each training image are required, "
        f"got others at {tmp_path}/CIFAR-N/CIFAR-10_human.pt. Delete it and get it again from https://example.org/made."
    )


def test_a_label_of_people_outside_of_the_classes_is_refused(tmp_path, monkeypatch):
    made_cifar10n(tmp_path, monkeypatch, aggre_label=np.arange(20) % 10 + 1)
    assert "labels are whole numbers in 0..9, the training split has 1..10" in refusal(lambda: CIFAR10N().load(tmp_path))


@pytest.mark.data
def test_the_published_labels_of_people_have_their_published_noise():
    """Wei et al. 2022, table 1; the authors print two decimals."""
    root = Path(os.environ["SHATTERLAB_DATA"])
    if not (root / CIFAR10N.FILES[0].path).is_file():
        pytest.skip("CIFAR-10_human.pt is not there; its licence does not let it be shipped")
    clean = CIFAR10().load(root).train.labels
    noise = [100 * float((CIFAR10N(noise=name).load(root).train.labels != clean).double().mean()) for name in WHOSE]
    assert noise == pytest.approx([9.01, 17.23, 18.12, 17.64, 40.21], abs=0.005)


@pytest.mark.parametrize(("crop", "start"), [(28, 2), (1, 15), (31, 0), (32, 0)])
def test_crop_keeps_the_centre(tmp_path, monkeypatch, crop, start):
    made_cifar100(tmp_path, monkeypatch)
    whole, cropped = CIFAR100().load(tmp_path), CIFAR100(crop=crop).load(tmp_path)
    assert torch.equal(cropped.train.inputs, whole.train.inputs[:, :, start : start + crop, start : start + crop])
    assert cropped.test.shape == (3, crop, crop)


def test_cifar_fields_out_of_range_are_refused():
    for part in (CIFAR10, CIFAR100):
        for crop in (0, 33):
            with pytest.raises(InvalidPart, match=rf"^{part.__name__}: crop is a whole number in 1\.\.32 or None, got {crop}$"):
                part(crop=crop)
        with pytest.raises(InvalidPart, match="examples is a whole number >= 1 or None, got 0"):
            part(examples=0)
    with pytest.raises(InvalidPart, match=r"^CIFAR100: labels is one of 'fine', 'coarse', got 'medium'$"):
        CIFAR100(labels="medium")


def test_cifar10_reads_five_batches_in_order(tmp_path, monkeypatch):
    files, pixels = [], RNG.integers(0, 256, (60, 3072), np.uint8)
    for i, file in enumerate(CIFAR10.FILES):
        some = slice(10 * i, 10 * i + 10)
        files.append(made_file(tmp_path, python2_batch(pixels[some], {b"labels": list(range(10))}), file.path, "CIFAR10"))
    monkeypatch.setattr(CIFAR10, "FILES", tuple(files))
    splits = CIFAR10().load(tmp_path)
    together = torch.cat([splits.train.inputs, splits.test.inputs]).flatten(1)
    assert np.array_equal(together.numpy(), pixels.astype(np.float32) / np.float32(255))
    assert splits.train.labels.tolist() == list(range(10)) * 5 and len(splits.test) == 10


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}, protocol=2), "data, labels"),
        (pickle.dumps({b"data": np.zeros((2, 3071), np.uint8), b"fine_labels": [0, 1]}), "data, fine_labels"),
        (pickle.dumps({b"data": np.zeros((2, 3072)), b"fine_labels": [0, 1]}), "data, fine_labels"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"fine_labels": ["a", "b"]}), "data, fine_labels"),
        (pickle.dumps([1, 2]), "none"),
    ],
)
def test_a_pickle_that_is_no_batch_is_refused(tmp_path, monkeypatch, content, found):
    file = made_file(tmp_path, content, "cifar-100-python/train", "CIFAR100")
    monkeypatch.setattr(CIFAR100, "FILES", (file, file))
    assert refusal(lambda: CIFAR100().load(tmp_path)) == (
        f"CIFAR100: a batch with data (n x 3072 bytes) and fine_labels (a list of whole numbers) is required, "
        f"got the keys {found} at {tmp_path}/cifar-100-python/train. Delete it and get it again from https://example.org/made."
    )


# Arrays ----------------------------------------------------------------------------------------------------------------


def saved(folder: Path, **arrays) -> str:
    np.savez(folder / "mine.npz", **arrays)
    return str(folder / "mine.npz")


def parted(x: np.ndarray, y) -> dict[str, np.ndarray]:
    return {"x_train": x, "y_train": np.asarray(y), "x_test": x[:4], "y_test": np.asarray(y)[:4]}


def test_tables_and_images_of_every_layout(tmp_path):
    y = np.arange(12) % 3
    layouts = {(12, 5): (5,), (12, 6, 7): (1, 6, 7), (12, 3, 8, 9): (3, 8, 9), (12, 8, 9, 3): (3, 8, 9), (12, 8, 9, 1): (1, 8, 9), (12, 8, 9, 4): (4, 8, 9)}
    layouts |= {(12, 3, 8, 3): (3, 8, 3), (12, 1, 8, 4): (1, 8, 4), (12, 5, 8, 9): (5, 8, 9), (12, 8, 9, 2): (8, 9, 2)}
    for given, expected in layouts.items():
        x = RNG.random(given)
        splits = Arrays(saved(tmp_path, **parted(x, y))).load()
        assert splits.train.shape == expected and splits.train.levels is None and splits.train.classes == 3
        inputs = splits.train.inputs.numpy()
        assert inputs.dtype == np.float32 and splits.train.inputs.is_contiguous()
        moved = np.moveaxis(x, -1, 1) if len(given) == 4 and expected != given[1:] else x.reshape(12, *expected)
        assert np.array_equal(inputs, moved.astype(np.float32))
        assert splits.test.labels.tolist() == y[:4].tolist()


def test_bytes_are_divided_by_255_and_the_rest_is_taken_as_it_is(tmp_path):
    y = np.arange(8) % 2
    pixels = RNG.integers(0, 256, (8, 4, 4), np.uint8)
    splits = Arrays(saved(tmp_path, **parted(pixels, y))).load()
    assert splits.train.levels == 255
    assert np.array_equal(splits.train.inputs.numpy()[:, 0], pixels.astype(np.float32) / np.float32(255))
    for table in (RNG.integers(-9, 9, (8, 3)), RNG.random((8, 3)).astype(np.float16), RNG.random((8, 3)) > 0.5, 300 * RNG.random((8, 3))):
        splits = Arrays(saved(tmp_path, **parted(table, y))).load()
        assert splits.train.levels is None
        assert np.array_equal(splits.train.inputs.numpy(), table.astype(np.float32))


def test_one_sample_is_parted_by_the_data_stream(tmp_path):
    x, y = np.arange(80.0).reshape(40, 2), np.repeat([0, 1], 20)
    part = Arrays(saved(tmp_path, x=x, y=y))
    splits = part.load()
    assert torch.bincount(splits.train.labels).tolist() == [15, 15] and torch.bincount(splits.test.labels).tolist() == [5, 5]
    positions = torch.cat([splits.train.inputs, splits.test.inputs])[:, 0].int() // 2
    assert sorted(positions.tolist()) == list(range(40))
    assert torch.equal(torch.cat([splits.train.labels, splits.test.labels]), torch.from_numpy(y)[positions.long()])
    assert same(splits, part.load(seeds=Seeds(init=9))) and not same(splits, part.load(seeds=Seeds(data=1)))


def test_the_four_keys_win_over_the_two_and_other_keys_are_passed_over(tmp_path):
    x, y = RNG.random((8, 3)), np.arange(8) % 2
    splits = Arrays(saved(tmp_path, x=x, y=y, names=np.array(["a"]), **parted(x, y))).load()
    assert (len(splits.train), len(splits.test)) == (8, 4)


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [
        (np.array([0.0, 1.0, 2.0, 1.0], np.float32), [0, 1, 2, 1]),
        (np.array([0, 1, 3, 1], np.uint8), [0, 1, 2, 1]),
        (np.array([1.0, 2.0, 3.0, 2.0]), [0, 1, 2, 1]),
        (np.array([1, -1, 1, -1]), [1, 0, 1, 0]),
        (np.array([7, 0, 2**63, 0], np.uint64), [1, 0, 2, 0]),
        (np.array([True, False, True, False]), [1, 0, 1, 0]),
        (np.array(["dog", "cat", "emu", "cat"]), [1, 0, 2, 0]),
        (np.array([b"dog", b"cat", b"emu", b"cat"]), [1, 0, 2, 0]),
    ],
)
def test_labels_of_every_type(tmp_path, labels, numbers):
    splits = Arrays(saved(tmp_path, x_train=RNG.random((4, 2)), y_train=labels, x_test=RNG.random((2, 2)), y_test=labels[:2])).load()
    assert splits.train.labels.tolist() == numbers and splits.test.labels.tolist() == numbers[:2]
    assert splits.train.classes == splits.test.classes == max(numbers) + 1


def test_texts_are_numbered_over_both_splits_and_classes_may_be_stated(tmp_path):
    x = RNG.random((4, 2))
    path = saved(tmp_path, x_train=x, y_train=np.array(["b", "d", "b", "d"]), x_test=x[:2], y_test=np.array(["aa", "b"]))
    splits = Arrays(path).load()
    assert (splits.train.labels.tolist(), splits.test.labels.tolist(), splits.train.classes) == ([1, 2, 1, 2], [0, 1], 3)
    assert Arrays(path, classes=7).load().train.classes == 7
    assert refusal(Arrays(path, classes=2).load) == "Arrays: mine.npz: at most 2 distinct labels are required, got 3. Raise classes, or leave it out."
    assert Arrays(saved(tmp_path, **parted(x, [0, 1, 0, 1])), classes=5).load().test.classes == 5


def test_classes_are_the_distinct_labels_and_keep_their_names(tmp_path):
    x = RNG.random((8, 2))
    numbered = Arrays(saved(tmp_path, x=x, y=np.arange(8) % 3 + 1)).load()
    assert numbered.train.classes == 3 and numbered.train.names == numbered.test.names == ("1", "2", "3")
    assert set(numbered.train.labels.tolist()) == {0, 1, 2}  # no class 0 that nothing belongs to, no chance of 1 / 4
    assert Arrays(saved(tmp_path, x=x, y=np.array([b"a", b"\xff"] * 4))).load().train.names == ("a", "\\xff")
    assert Arrays(saved(tmp_path, x=x, y=np.arange(8) % 2)).load().train.names is None
    assert Arrays(saved(tmp_path, x=x, y=np.arange(8) % 2 * 2), classes=3).load().train.classes == 3  # class 1 is empty, as stated


@pytest.mark.parametrize(
    ("labels", "numbers", "names"),
    [(["b", "a", "b"], [1, 0, 1], ("a", "b")), ([True, 5, 5], [0, 1, 1], ("1", "5")), ([np.int64(3), 4.0, 3], [0, 1, 0], ("3", "4"))],
)
def test_labels_of_python_objects(labels, numbers, names):
    got, classes, known = class_numbers({"y": np.array(labels, object)}, None, "Here")
    assert (got["y"].tolist(), classes, known) == (numbers, 2, names)


def test_labels_that_are_mixed_or_missing_are_refused():
    for labels, got in ((["a", None], "none at position 1 of y"), ([1, "a"], "int and str in y"), (["a", float("nan")], "none at position 1 of y")):
        message = refusal(lambda labels=labels: class_numbers({"y": np.array(labels, object)}, None, "Here"))
        assert message == f"Here: a label for each example, all text or all numbers, is required, got {got}. Clean or drop them."


_X, _Y = np.linspace(0, 1, 12).reshape(6, 2), np.arange(6) % 2
_IMAGES = np.zeros((6, 4, 4), np.uint8)
REFUSED = {
    "no keys": (
        {"images": _X, "labels": _Y},
        "Arrays: the keys x_train y_train x_test y_test (or x y) are required, got images labels in {path}. Save them with numpy.savez.",
    ),
    "half the keys": (
        {"x_train": _X, "y_train": _Y},
        "Arrays: the keys x_train y_train x_test y_test (or x y) are required, got x_train y_train in {path}. Save them with numpy.savez.",
    ),
    "objects": (
        {"x": np.array([[1, "a"]] * 6, dtype=object), "y": _Y},
        "Arrays: arrays of numbers are required, x in {path} holds Python objects. Is there text in a table, or are rows of unequal length? "
        "Turn every column into numbers, labels into numbers or plain text.",
    ),
    "text in a table": (
        {"x": np.array([["red", "1"]] * 6), "y": _Y},
        "Arrays: mine.npz: numbers are required, x holds text, such as red. "
        "Turn every column into numbers (a text column into one column of 0 and 1 for each of its values).",
    ),
    "complex": ({"x": _X * 1j, "y": _Y}, "Arrays: mine.npz: numbers are required, x holds complex128. Turn them into floats."),
    "one axis": (
        {"x": _X[:, 0], "y": _Y},
        "Arrays: mine.npz: n x d, n x height x width, n x channels x height x width or n x height x width x channels is required, "
        "x has shape (6,). Reshape it.",
    ),
    "no columns": (
        {"x": _X[:, :0], "y": _Y},
        "Arrays: mine.npz: n x d, n x height x width, n x channels x height x width or n x height x width x channels is required, "
        "x has shape (6, 0). Reshape it.",
    ),
    "wide pixels": (
        {"x": _IMAGES.astype(np.int64), "y": _Y},
        "Arrays: mine.npz: images are uint8 in 0..255 or floats in [0, 1], x holds int64. "
        "Save 8-bit pixels with .astype(numpy.uint8), others as floats in [0, 1].",
    ),
    "one-hot": (
        {"x": _X, "y": np.eye(6)},
        "Arrays: mine.npz: one label an example, shape (6,), is required, y has shape (6, 6). Use y.argmax(1) for one-hot rows, y.ravel() for a single column.",
    ),
    "lengths": (
        {"x": _X, "y": _Y[:5]},
        "Arrays: mine.npz: as many labels as inputs are required, x has 6 examples and y has 5. Save matching arrays.",
    ),
    "empty": ({"x": _X[:0], "y": _Y[:0]}, "Arrays: mine.npz: at least one example is required, x is empty. Check how the file was made."),
    "empty test": (
        {"x_train": _X, "y_train": _Y, "x_test": _X[:0], "y_test": _Y[:0]},
        "Arrays: mine.npz: at least one example is required, x_test is empty. Check how the file was made.",
    ),
    "shapes": (
        {"x_train": _X, "y_train": _Y, "x_test": _X[:, :1], "y_test": _Y},
        "Arrays: mine.npz: inputs of one shape (channels first) are required, x_train has (2,) and x_test has (1,) an example. Save both alike.",
    ),
    "scales": (
        {"x_train": _IMAGES, "y_train": _Y, "x_test": _IMAGES / 255, "y_test": _Y},
        "Arrays: mine.npz: both splits as uint8 or both as floats are required, x_train is uint8 and x_test float64. Save both alike.",
    ),
    "label types": (
        {"x_train": _X, "y_train": _Y, "x_test": _X, "y_test": _Y.astype(str)},
        "Arrays: mine.npz: labels of one type are required, y_train holds numbers, y_test holds text. Save both alike.",
    ),
    "fractions": (
        {"x": _X, "y": _Y + 0.5},
        "Arrays: mine.npz: labels are whole numbers or text, got 0.5 at position 0 of y. A quantity to be predicted is regression: use a regressor, or bin it.",
    ),
    "NaN label": (
        {"x": _X, "y": np.array([0, 1, np.nan, 0, 1, 0])},
        "Arrays: mine.npz: a label for each example is required, got nan at position 2 of y. Clean or drop such examples.",
    ),
    "a quantity in whole numbers": (
        {"x": np.zeros((60, 2)), "y": 1000 * np.arange(60)},
        "Arrays: mine.npz: classes are required, got 60 distinct numbers in 60 examples. A quantity to be predicted is regression: use a regressor, or bin it.",
    ),
    "dates": (
        {"x": _X, "y": _Y.astype("datetime64[D]")},
        "Arrays: mine.npz: labels are whole numbers or text, y holds datetime64[D]. Number the classes 0, 1, ...",
    ),
    "one class": (
        {"x": _X, "y": _Y * 0},
        "Arrays: at least two classes are required, the training split has only class 0. Nothing can be told apart.",
    ),
    "NaN": (
        {"x_train": np.where(np.arange(6)[:, None] == 3, np.nan, _X), "y_train": _Y, "x_test": _X, "y_test": _Y},
        "Arrays: finite inputs are required, the training split has NaN or infinity in 1 examples, the first at position 3. Clean or drop them.",
    ),
    "too large": (
        {"x_train": _X * 1e300, "y_train": _Y, "x_test": _X, "y_test": _Y},
        "Arrays: finite inputs are required, the training split has NaN or infinity in 6 examples, the first at position 0. Clean or drop them.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_arrays_that_cannot_be_used_are_refused_in_plain_words(tmp_path, case):
    arrays, message = REFUSED[case]
    path = saved(tmp_path, **arrays)
    assert refusal(Arrays(path).load) == message.format(path=path)


def test_labels_beyond_the_stated_classes_are_refused(tmp_path):
    part = Arrays(saved(tmp_path, x=_X, y=_Y + 2), classes=3)
    assert refusal(part.load) == "Arrays: mine.npz: labels are whole numbers in 0..2, got 3 at position 1 of y. Raise classes, or leave it out."
    with pytest.raises(InvalidPart, match=r"^Arrays: classes is a whole number >= 2 or None, got 1$"):
        Arrays("mine.npz", classes=1)
    with pytest.raises(InvalidPart, match=r"^Arrays: path is the path of an \.npz file, got ''$"):
        Arrays("")


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    path = tmp_path / "mine.npz"
    assert refusal(Arrays(str(path)).load) == f"Arrays: an .npz file is required, nothing is at {path}. Check the path."
    assert refusal(Arrays(str(tmp_path)).load) == f"Arrays: an .npz file is required, a folder is at {tmp_path}. Check the path."
    path.write_text("x,y\n1,2\n")
    assert refusal(Arrays(str(path)).load) == f"Arrays: a whole .npz file is required, got a file of another format at {path}. Write it again with numpy.savez."
    path.write_bytes(b"")
    assert refusal(Arrays(str(path)).load).startswith("Arrays: a whole .npz file is required, got EOFError")
    np.save(tmp_path / "mine.npy", _X)
    message = refusal(Arrays(str(tmp_path / "mine.npy")).load)
    assert message == (
        "Arrays: an .npz file with x_train y_train x_test y_test (or x y) is required, "
        f"{tmp_path}/mine.npy holds a single array. Save both inputs and labels with numpy.savez."
    )


def test_a_damaged_npz_is_refused(tmp_path):
    path = Path(saved(tmp_path, x=RNG.random((200, 10)), y=np.arange(200) % 2))
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:1000] + bytes(64) + whole[1064:]):
        path.write_bytes(damaged)
        message = refusal(Arrays(str(path)).load)
        assert message.startswith("Arrays: a whole .npz file is required, got BadZipFile: ") and message.endswith(
            f" at {path}. Write it again with numpy.savez."
        )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY but no more")
        archive.writestr("y.npy", b"")
    assert " (x) at " in refusal(Arrays(str(path)).load)


def test_a_fingerprint_stands_for_the_content_not_for_the_path(tmp_path, monkeypatch):
    path = saved(tmp_path, x=_X, y=_Y)
    before = Arrays(path).identity()
    assert before["path"] == "sha256:" + hashlib.sha256(Path(path).read_bytes()).hexdigest()[:32]
    monkeypatch.chdir(tmp_path)
    assert Arrays("mine.npz").identity() == before and Arrays("mine.npz").describe() == {"kind": "Arrays", "path": "mine.npz"}
    assert same(Arrays("mine.npz").load(), Arrays(path).load())
    saved(tmp_path, x=_X + 1e-9, y=_Y)
    os.utime(path, ns=(1, 1))
    assert Arrays(path).identity() != before
    assert catalog.build(Arrays(path, classes=4).describe()) == Arrays(path, classes=4)
    assert refusal(Arrays("gone.npz").identity).startswith("Arrays: an .npz file is required, nothing is at ")


# ImageFolder -----------------------------------------------------------------------------------------------------------


def photo(path: Path, colour: tuple[int, ...] | int = (200, 100, 50), mode: str = "RGB", size: tuple[int, int] = (48, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def made_folder(folder: Path, splits: tuple[str, ...] = ("train", "val")) -> Path:
    for split in splits:
        for name, colour in (("cat", (255, 0, 0)), ("ant", (0, 0, 255))):
            for i in range(4):
                photo(folder / split / name / f"{i}.png", colour)
    return folder


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_class_folders_in_two_splits(tmp_path, held_out):
    splits = ImageFolder(str(made_folder(tmp_path, ("train", held_out)))).load()
    assert (splits.train.shape, len(splits.train), len(splits.test)) == ((3, 32, 32), 8, 8)
    assert (splits.train.classes, splits.train.levels) == (2, 255)
    assert splits.train.labels.tolist() == [0] * 4 + [1] * 4  # ant before cat
    assert (splits.train.inputs[:4, 2] == 1).all() and (splits.train.inputs[:4, :2] == 0).all()
    assert (splits.train.inputs[4:, 0] == 1).all() and (splits.train.inputs[4:, 1:] == 0).all()


def test_val_is_preferred_to_test_and_stray_files_are_passed_over(tmp_path):
    made_folder(tmp_path, ("train", "val", "test"))
    photo(tmp_path / "val/cat/5.png")
    (tmp_path / "classes.txt").write_text("beside the class folders")
    (tmp_path / "train/cat/.DS_Store").write_text("hidden")
    (tmp_path / "train/.cache").mkdir()
    splits = ImageFolder(str(tmp_path)).load()
    assert (len(splits.train), len(splits.test)) == (8, 9)


def test_class_folders_alone_are_parted_by_the_data_stream(tmp_path):
    for i in range(8):
        photo(tmp_path / f"cat/{i}.png", (30 * i, 0, 0))
        photo(tmp_path / f"ant/{i}.png", (0, 30 * i, 0))
    part = ImageFolder(str(tmp_path), size=4)
    splits = part.load()
    assert torch.bincount(splits.train.labels).tolist() == [6, 6] and torch.bincount(splits.test.labels).tolist() == [2, 2]
    assert same(splits, part.load()) and not same(splits, part.load(seeds=Seeds(data=1)))
    assert (splits.train.inputs[splits.train.labels == 1, 1] == 0).all()  # cats have no green


def test_the_shorter_side_is_scaled_and_the_centre_kept(tmp_path):
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:, 16:48] = (0, 128, 0)
    for name in ("wide", "tall"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.fromarray(pixels if name == "wide" else pixels.transpose(1, 0, 2).copy()).save(tmp_path / name / f"{i}.png")
    whole = ImageFolder(str(tmp_path), size=32).load().train.inputs
    assert torch.equal(whole, (torch.tensor([0, 128, 0]) / 255)[None, :, None, None].expand_as(whole))
    inner = ImageFolder(str(tmp_path), size=8).load().train.inputs[:, 1, 2:6, 2:6]
    assert (inner == torch.tensor(128) / 255).all()  # the filter spans 4 pixels each side, the border is 2 x 4 away
    assert ImageFolder(str(tmp_path), size=50).load().train.shape == (3, 50, 50)


def test_scaling_down_is_antialiased(tmp_path):
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.fromarray(board).save(tmp_path / name / f"{i}.png")
    inputs = ImageFolder(str(tmp_path), size=8).load().train.inputs
    assert ((inputs - 0.5).abs() < 0.05).all()  # picking single pixels would give 0 or 1


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("L", 90, "jpg", (90, 90, 90)),
        ("1", 1, "png", (255, 255, 255)),
        ("LA", (90, 10), "png", (90, 90, 90)),
        ("RGBA", (10, 200, 30, 128), "png", (10, 200, 30)),
        ("CMYK", (0, 255, 255, 0), "jpg", (255, 0, 0)),
        ("RGB", (10, 200, 30), "jpg", (10, 200, 30)),
        ("RGB", (10, 200, 30), "bmp", (10, 200, 30)),
    ],
)
def test_every_kind_of_image_becomes_rgb(tmp_path, mode, colour, suffix, expected):
    for name in ("a", "b"):
        for i in range(2):
            photo(tmp_path / name / f"{i}.{suffix}", colour, mode)
    inputs = ImageFolder(str(tmp_path), size=8).load().train.inputs
    wanted = torch.tensor(expected)[None, :, None, None] / 255
    assert ((inputs - wanted).abs() <= 4 / 255).all()  # JPEG rounds a constant's YCbCr, which moves RGB by up to 3 levels


def test_a_palette_with_transparency_becomes_rgb_without_a_warning(tmp_path):
    for name in ("a", "b"):
        for i in range(2):
            path = photo(tmp_path / name / f"{i}.png")
            image = Image.new("P", (9, 9), 1)
            image.putpalette([0, 0, 0, 10, 200, 30])
            image.save(path, transparency=b"\x00\xff")
    inputs = ImageFolder(str(tmp_path), size=8).load().train.inputs
    assert torch.equal(inputs[0, :, 0, 0] * 255, torch.tensor([10.0, 200.0, 30.0]))


def test_files_that_are_no_whole_image_are_refused_by_name(tmp_path):
    folder = made_folder(tmp_path)
    broken = folder / "train/cat/9.jpg"
    broken.write_text("no image")
    message = refusal(ImageFolder(str(folder)).load)
    assert message.startswith("ImageFolder: a whole image file is required, got UnidentifiedImageError: ")
    assert message.endswith(f" at {broken}. Replace or remove it.")
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)).save(broken)
    broken.write_bytes(broken.read_bytes()[:-900])
    message = refusal(ImageFolder(str(folder)).load)
    assert message.startswith("ImageFolder: a whole image file is required, got OSError: ") and str(broken) in message
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(broken.with_suffix(".png"))
    broken.unlink()
    assert refusal(ImageFolder(str(folder)).load) == (
        f"ImageFolder: images of 8 bits a channel are required, got Pillow's mode I;16 at {broken.with_suffix('.png')}. Convert it."
    )


def test_folders_of_the_wrong_layout_are_refused(tmp_path):
    folder = made_folder(tmp_path / "photos")
    load = ImageFolder(str(folder)).load
    (folder / "train/dog").mkdir()
    assert refusal(load) == f"ImageFolder: at least one image a class is required, {folder}/train/dog is empty. Fill or remove it."
    photo(folder / "train/dog/0.png")
    photo(folder / "val/elk/0.png")
    assert refusal(load) == (
        f"ImageFolder: the same class folders in train and val are required, got only in train: dog; only in val: elk in {folder}. Rename or remove them."
    )
    (folder / "val").rename(folder / "validation")
    assert refusal(load) == (f"ImageFolder: a folder val or test beside train is required, got neither in {folder}. Add one, or put the class folders there.")
    (folder / "train").rename(folder / "training")
    assert refusal(load) == (f"ImageFolder: a class folder holds images only, got the folder {folder}/training/ant. Move its images up, or check the layout.")
    (tmp_path / "flat").mkdir()
    photo(tmp_path / "flat/0.png")
    assert refusal(ImageFolder(str(tmp_path / "flat")).load) == (
        f"ImageFolder: one folder a class is required, got none in {tmp_path}/flat. Sort the images into folders named after their classes."
    )
    missing = tmp_path / "nowhere"
    assert refusal(ImageFolder(str(missing)).load) == f"ImageFolder: a folder of class folders is required, nothing is at {missing}. Check the path."
    file = tmp_path / "flat/0.png"
    assert refusal(ImageFolder(str(file)).load) == f"ImageFolder: a folder of class folders is required, a file is at {file}. Check the path."
    one = tmp_path / "one"
    for i in range(4):
        photo(one / f"cat/{i}.png")
    assert "at least two classes are required" in refusal(ImageFolder(str(one)).load)


def test_a_folder_too_large_for_memory_is_refused_with_figures(tmp_path):
    folder = made_folder(tmp_path)
    assert refusal(ImageFolder(str(folder), size=20000).load) == (
        f"ImageFolder: at most 4 GiB in memory is required, 16 images of 20000 x 20000 pixels take 71.5 GiB. "
        f"Lower size, keep fewer files in {folder}, or use StreamedFolder."
    )
    with pytest.raises(InvalidPart, match=r"^ImageFolder: size is a whole number >= 1, got 0$"):
        ImageFolder("photos", size=0)


def test_the_fingerprint_of_a_folder_follows_names_and_bytes(tmp_path, monkeypatch):
    folder = made_folder(tmp_path / "photos")
    first = ImageFolder(str(folder)).fingerprints()
    assert re.fullmatch("sha256:[0-9a-f]{32}", first["path"])
    monkeypatch.chdir(tmp_path)
    assert ImageFolder("photos").fingerprints() == first
    (folder / "train/cat/0.png").rename(folder / "train/cat/00.png")
    second = ImageFolder("photos").fingerprints()
    photo(folder / "train/cat/00.png", (254, 0, 0))
    third = ImageFolder("photos").fingerprints()
    (folder / "train/cat/.hidden").write_text("not read, so not counted")
    assert len({first["path"], second["path"], third["path"]}) == 3 and ImageFolder("photos").fingerprints() == third
    assert ImageFolder("photos").identity()["path"] == third["path"]


# The page about data sets ----------------------------------------------------------------------------------------------


def test_the_data_set_of_the_page_works_as_an_outside_file(tmp_path):
    block = re.search(r"```python\n(.*?)```", (DOCS / "dataset.md").read_text(), re.DOTALL)
    (tmp_path / "stripes.py").write_text(block.group(1))
    module = catalog.load(tmp_path / "stripes.py")
    part = catalog.build({"kind": "Stripes", "noise": 0.1, "examples": 50})
    assert isinstance(part, module.Stripes) and len(part.load().train) == 50
    assert same(part.load(), part.load()) and not same(part.load(), part.load(seeds=Seeds(data=1)))


# The real files --------------------------------------------------------------------------------------------------------

GREY = {  # sha256 of the arrays of bytes, as published with the references: training images, labels, test images, labels
    MNIST: (
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ),
    FashionMNIST: (
        "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
        "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
        "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
        "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
    ),
    CIFAR10: (
        "9d5c2eddadb0deff02c14c350c0385aab7b1d5ff1edfeb4997c8dc8644960111",
        "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "177777c33ba79825320efa646ad04a94bdc3c80e4ebe3bd21724f8cdfd4b9d56",
        "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    ),
}


def as_bytes(tensor: torch.Tensor) -> np.ndarray:
    return (tensor * 255).round().byte().numpy() if tensor.is_floating_point() else tensor.byte().numpy()


@pytest.mark.data
@pytest.mark.parametrize("part", GREY)
def test_the_real_arrays_have_their_published_digests(part):
    splits = part().load()
    tensors = (splits.train.inputs, splits.train.labels, splits.test.inputs, splits.test.labels)
    assert tuple(hashlib.sha256(as_bytes(tensor)).hexdigest() for tensor in tensors) == GREY[part]
    assert float(splits.train.inputs.min()) == 0.0 and float(splits.train.inputs.max()) == 1.0
    if part is MNIST:
        assert splits.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    else:
        each = (len(splits.train) // 10, len(splits.test) // 10)
        assert torch.bincount(splits.train.labels).tolist() == [each[0]] * 10 and torch.bincount(splits.test.labels).tolist() == [each[1]] * 10


@pytest.mark.data
def test_the_packed_files_hold_what_the_plain_ones_hold():
    for file, dimensions in zip([*MNIST.FILES, *FashionMNIST.FILES], (3, 1, 3, 1) * 2, strict=True):
        assert file.packed is not None
        packed = dataclasses.replace(file.packed).find(None)
        assert packed.suffix == ".gz" and np.array_equal(read_idx(packed, dimensions, "MNIST"), read_idx(file.find(None), dimensions, "MNIST"))


@pytest.mark.data
def test_real_cifar10_cropped_and_subsampled():
    splits = CIFAR10(crop=28, examples=1000, test_examples=200).load()
    assert splits.train.shape == (3, 28, 28)
    assert torch.bincount(splits.train.labels).tolist() == [100] * 10 and torch.bincount(splits.test.labels).tolist() == [20] * 10
    whole = CIFAR10().load().train.inputs[:, :, 2:30, 2:30].flatten(1)
    rows = {hash(bytes(row)) for row in whole.numpy()}
    assert all(hash(bytes(row)) in rows for row in splits.train.inputs.flatten(1).numpy())


@pytest.mark.data
def test_check_files_finds_the_real_files_whole():
    states = [state for state in check_files() if state.dataset not in ("CIFAR100", "CIFAR10N")]
    assert len(states) == 14 and all(state.status == "ok" for state in states), states
