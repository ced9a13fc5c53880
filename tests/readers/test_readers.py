"""Where published files lie, IDX files and pickles of arrays: what is read, and what is refused in which words."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import os
import pickle
import re
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readers.fuzz import torch_file, torch_zip
from readers.made_files import idx, made_file, refusal
from shatterlab.core.errors import DataError
from shatterlab.datasets.cifar import CIFAR10, CIFAR100
from shatterlab.datasets.mnist import MNIST, FashionMNIST, read_idx
from shatterlab.readers import published_files
from shatterlab.readers.array_pickles import read_pickle, read_torch_file
from shatterlab.readers.published_files import canonical_files, check_files, data_root

DOCS = Path(__file__).parents[2] / "docs" / "how-to"


@pytest.fixture(autouse=True)
def _no_data_root(monkeypatch):
    monkeypatch.delenv("SHATTERLAB_DATA", raising=False)


# The data root and published files -------------------------------------------------------------------------------------


def test_the_data_root_is_the_argument_else_the_variable_else_the_users_cache(monkeypatch, tmp_path):
    assert data_root() == platformdirs.user_cache_path("shatterlab") / "data"
    monkeypatch.setenv("SHATTERLAB_DATA", "")
    assert data_root() == platformdirs.user_cache_path("shatterlab") / "data"
    monkeypatch.setenv("SHATTERLAB_DATA", str(tmp_path / "variable"))
    assert data_root() == tmp_path / "variable"
    assert data_root(tmp_path / "argument") == tmp_path / "argument"
    assert data_root(Path("~/somewhere")) == Path.home() / "somewhere"


def test_every_published_file_is_known_by_name_and_md5():
    files = canonical_files()
    assert [file.path for file in files if file.dataset == "CIFAR10"] == [
        *(f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)),
        "cifar-10-batches-py/test_batch",
    ]
    assert {file.dataset for file in files} == {"MNIST", "FashionMNIST", "CIFAR10", "CIFAR10N", "CIFAR100"}
    assert len(files) == 4 + 4 + 6 + 1 + 2
    every = [*files, *(file.packed for file in files if file.packed)]
    assert len({file.md5 for file in every}) == 25
    assert all(re.fullmatch("[0-9a-f]{32}", file.md5) for file in every)


def test_the_page_about_data_files_names_every_file_and_md5():
    page = (DOCS / "data-files.md").read_text()
    for file in canonical_files():
        for each in filter(None, (file, file.packed)):
            assert Path(each.path).name in page and each.md5 in page, each.path


def test_a_missing_file_is_told_with_its_place_and_its_source(tmp_path):
    assert refusal(lambda: CIFAR10().load(tmp_path)) == (
        f"CIFAR10: the file data_batch_1 is required, nothing is at {tmp_path}/cifar-10-batches-py/data_batch_1. "
        "Get it from https://www.cs.toronto.edu/~kriz/cifar.html, or name the folder that holds cifar-10-batches-py by --data FOLDER or SHATTERLAB_DATA."
    )
    assert refusal(lambda: MNIST().load(tmp_path)) == (
        "MNIST: the file train-images-idx3-ubyte or train-images-idx3-ubyte.gz is required, "
        f"nothing is at {tmp_path}/MNIST/raw/train-images-idx3-ubyte[.gz]. "
        "Get it from https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz, "
        "or name the folder that holds MNIST by --data FOLDER or SHATTERLAB_DATA."
    )
    assert "the file train is required" in refusal(lambda: CIFAR100().load(tmp_path))
    assert f"{tmp_path}/FashionMNIST/raw/" in refusal(lambda: FashionMNIST().load(tmp_path))


def test_the_variable_is_where_files_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("SHATTERLAB_DATA", str(tmp_path / "elsewhere"))
    assert f"nothing is at {tmp_path}/elsewhere/cifar-10-batches-py/data_batch_1." in refusal(CIFAR10().load)


def test_a_damaged_file_is_told_by_size_or_md5(tmp_path):
    file = made_file(tmp_path, b"the published content")
    path = tmp_path / "made/file"
    assert file.find(tmp_path) == path
    path.write_bytes(b"cut")
    remedy = "It is damaged: delete it and get it again from https://example.org/made."
    assert refusal(lambda: file.find(tmp_path)) == f"Made: file of 21 bytes is required, got 3 bytes at {path}. {remedy}"
    path.write_bytes(b"the published_content")
    got = hashlib.md5(b"the published_content").hexdigest()
    assert refusal(lambda: file.find(tmp_path)) == f"Made: file with md5 {file.md5} is required, got md5 {got} at {path}. {remedy}"
    unsized = dataclasses.replace(file, size=None)
    assert "with md5" in refusal(lambda: unsized.find(tmp_path))


def test_a_checksum_is_computed_once_for_an_unchanged_file(tmp_path, monkeypatch):
    file, reads = made_file(tmp_path, b"twenty bytes of data"), []
    real = hashlib.file_digest
    monkeypatch.setattr(published_files.hashlib, "file_digest", lambda *args: reads.append(1) or real(*args))
    for _ in range(3):
        file.find(tmp_path)
    assert len(reads) == 1
    path = tmp_path / "made/file"
    path.write_bytes(b"TWENTY bytes of data")  # as long as before; the time of change tells
    os.utime(path, ns=(1, 1))
    assert "with md5" in refusal(lambda: file.find(tmp_path))
    assert len(reads) == 2


def test_an_unreadable_file_is_told(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    message = refusal(lambda: published_files.file_digest(tmp_path / "loop", "md5", "Made"))
    assert message.startswith("Made: a readable file is required, got ") and f"at {tmp_path}/loop. Check the file and its permissions." in message


def test_check_files_tells_ok_missing_and_damaged(tmp_path, monkeypatch):
    whole = made_file(tmp_path, b"whole", "cifar-100-python/train", "CIFAR100")
    broken = dataclasses.replace(made_file(tmp_path, b"broken", "cifar-100-python/test", "CIFAR100"), md5="0" * 32)
    monkeypatch.setattr(CIFAR100, "FILES", (whole, broken))
    states = {state.path: state for state in check_files(tmp_path)}
    assert states["cifar-100-python/train"] == ("CIFAR100", "cifar-100-python/train", "ok", f"{tmp_path}/cifar-100-python/train")
    assert states["cifar-100-python/test"].status == "damaged"
    assert "delete it and get it again" in states["cifar-100-python/test"].detail
    assert states["MNIST/raw/t10k-labels-idx1-ubyte"].status == "missing"
    assert {state.dataset for state in states.values()} == {"MNIST", "FashionMNIST", "CIFAR10", "CIFAR10N", "CIFAR100"}


# IDX -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (idx(np.zeros((2, 3), np.uint8)), "got the first bytes '00 00 08 02'"),
        (b"<html>", "got the first bytes '3c 68 74 6d'"),
        (b"", "got the first bytes ''"),
        (idx(np.zeros((2, 3, 3), np.uint8))[:-1], "18 bytes after the header are required, got 17"),
    ],
)
def test_what_is_no_idx_file_is_refused(tmp_path, content, got):
    path = tmp_path / "images"
    path.write_bytes(content)
    message = refusal(lambda: read_idx(path, 3, "MNIST"))
    assert message.startswith("MNIST: ") and got in message and f" at {path}. Delete it and get it again." in message


@pytest.mark.parametrize("content", [b"no gzip at all", gzip.compress(idx(np.zeros((9, 9, 9), np.uint8)), mtime=0)[:-12]], ids=["no gzip", "cut short"])
def test_a_damaged_gz_is_refused(tmp_path, content):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    message = refusal(lambda: read_idx(path, 3, "MNIST"))
    assert message.startswith("MNIST: a whole .gz file is required, got ") and message.endswith(f" at {path}. Delete it and get it again.")


# Pickles ---------------------------------------------------------------------------------------------------------------


class Planted:
    """Unpickled without restriction, it creates a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_a_malicious_pickle_is_refused_before_it_runs(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "train"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps({b"data": Planted(marker)}, protocol=protocol))
        assert refusal(lambda: read_pickle(path, "CIFAR100")) == (
            f"CIFAR100: a pickle of arrays and plain containers is required, got one that names {os.system.__module__}.system at {path}. "
            "It could run code, so nothing of it was run: delete it and get it again from the data set's own page."
        )
        assert not marker.exists()
    pickle.loads(path.read_bytes())  # teeth: what is planted does run where nothing restrains it
    assert marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        b'cbuiltins\neval\n(S\'open("marker", "w")\'\ntR.',
        b"cbuiltins\ngetattr\n.",
        b"cnumpy\nload\n.",
        b"cnumpy.core.multiarray\nfromfile\n.",
        b"(S'touch marker'\nios\nsystem\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
        b"\x80\x04\x8c\x05numpy\x8c\x14_core.multiarray.sys\x93.",
        b"c_codecs\ndecode\n.",
        b"cshatterlab.readers.array_pickles\nnp\n.",
    ],
)
def test_every_other_global_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "train"
    path.write_bytes(content)
    assert "got one that names " in refusal(lambda: read_pickle(path, "CIFAR100"))
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("protocol", range(5))  # from 5 on numpy names another function, which no published file does
def test_arrays_and_containers_of_every_protocol_are_read(tmp_path, protocol):
    content = {b"data": np.arange(6, dtype=np.uint8).reshape(2, 3), b"names": [b"a", ("b", 1.5, None, True)], b"big": np.arange(3.0)}
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    read = read_pickle(path, "CIFAR100")
    assert np.array_equal(read[b"data"], content[b"data"]) and np.array_equal(read[b"big"], content[b"big"])
    assert read[b"names"] == content[b"names"]


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"}(", b"no pickle", b"cnumpy\nndarray\n(J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86tR.", b"cnumpy\nndarray\nNb."]
)
def test_a_damaged_pickle_is_refused(tmp_path, content):
    path = tmp_path / "train"
    path.write_bytes(content)
    message = refusal(lambda: read_pickle(path, "CIFAR100"))
    assert message.startswith("CIFAR100: a whole pickle is required, got ") and message.endswith(f" at {path}. Delete it and get it again.")


def object_array(code: bytes) -> bytes:
    """A pickle of an array of this dtype over bytes of the file's choosing."""
    dtype = b"cnumpy\ndtype\n(S'" + code + b"'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
    return b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\nt" + dtype + b"I00\nS'AAAAAAAA'\ntb."


@pytest.mark.parametrize(
    "content",
    [
        object_array(b"O8"),  # addresses of the file's choosing: the process died of signal 11
        object_array(b"V8"),
        b"\x80\x02}r\x00\x00\x00\x20.",  # memo index 2^29
        b"(" * 2_000 + b".",
        b"]" * 2_000 + b"a" * 1_999 + b".",
        b"\x8a\xff.",
        b"B\xff\xff\xff\x7f.",  # 2 GiB of bytes in a file of six
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
    ],
    ids=["objects", "void", "memo", "marks", "nested", "cut short", "two gigabytes", "eight exabytes"],
)
def test_a_hostile_pickle_costs_one_line_and_no_memory(tmp_path, content):
    path = tmp_path / "train"
    path.write_bytes(content)
    tracemalloc.start()
    with contextlib.suppress(DataError):
        read_pickle(path, "CIFAR100")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**26


def test_the_array_that_hostile_pickles_imitate_is_read(tmp_path):
    path = tmp_path / "train"
    path.write_bytes(object_array(b"u8"))
    assert read_pickle(path, "CIFAR100").tolist() == [int.from_bytes(b"A" * 8, "little")]


@given(st.integers(0, 2**32), st.integers(1, 8))
@settings(max_examples=100)
def test_mutated_pickles_are_read_or_refused(tmp_path_factory, seed, changes):
    """Flipped bytes of a whole batch: an answer or one line, never another exception."""
    rng = np.random.default_rng(seed)
    content = bytearray(pickle.dumps({b"data": np.arange(48, dtype=np.uint8).reshape(4, 12), b"labels": [1, 2, 3, 0]}, protocol=int(rng.integers(5))))
    for place in rng.integers(0, len(content), changes):
        content[place] = rng.integers(256)
    path = tmp_path_factory.getbasetemp() / f"mutated{os.getpid()}"
    path.write_bytes(bytes(content))
    try:
        refused = ""
        read_pickle(path, "CIFAR100")
    except DataError as problem:
        refused = str(problem)
    assert refused.isprintable() and len(refused) < 1000


# Files of torch.save ---------------------------------------------------------------------------------------------------


def test_a_file_of_torch_with_arrays_is_read_without_torch(tmp_path):
    import torch

    content = {"clean_label": np.arange(500), "set": "worst"}
    (tmp_path / "made.pt").write_bytes(torch_file(content))
    torch.save(content, tmp_path / "saved.pt", pickle_protocol=2)
    for name in ("made.pt", "saved.pt"):
        read = read_torch_file(tmp_path / name, "CIFAR10N")
        assert np.array_equal(read["clean_label"], np.arange(500)) and read["set"] == "worst"


def test_a_malicious_file_of_torch_is_refused_before_it_runs(tmp_path):
    path, marker = tmp_path / "human.pt", tmp_path / "marker"
    path.write_bytes(torch_file({"clean_label": Planted(marker)}))
    assert f"got one that names {os.system.__module__}.system at {path}. It could run code, so nothing of it was run" in refusal(
        lambda: read_torch_file(path, "CIFAR10N")
    )
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        pickle.dumps({}),
        torch_file({"clean_label": np.arange(9)})[:-40],
        torch_file({"clean_label": np.arange(9)})[40:],
        torch_zip(b"", "archive/other.pkl"),
        torch_zip(b"."),
        torch_zip(pickle.dumps({"labels": b"0" * 2**20}, protocol=2), compression=zipfile.ZIP_DEFLATED),
        torch_zip(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n.").replace(b"_utils", b"_UTILS"),
    ],
    ids=["empty", "no archive", "cut at the end", "cut at the start", "no pickle", "empty stack", "packed", "another checksum"],
)
def test_what_is_no_whole_file_of_torch_is_refused(tmp_path, content):
    path = tmp_path / "human.pt"
    path.write_bytes(content)
    message = refusal(lambda: read_torch_file(path, "CIFAR10N"))
    assert message.startswith("CIFAR10N: a whole file of torch.save is required, got ") and message.endswith(f" at {path}. Delete it and get it again.")


def test_a_file_of_torch_with_tensors_is_refused_by_name(tmp_path):
    import torch

    torch.save({"clean_label": torch.arange(9)}, tmp_path / "human.pt")
    assert "got one that names torch._utils._rebuild_tensor_v2" in refusal(lambda: read_torch_file(tmp_path / "human.pt", "CIFAR10N"))
