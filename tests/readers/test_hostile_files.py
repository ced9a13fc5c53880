"""Files made to hurt: each ends in one clear line before it costs memory or time, and what only looks unusual is read."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from readers.fuzz import READERS, mutated
from readers.made_files import idx, refusal
from shatterlab.core import memory
from shatterlab.core.errors import DataError
from shatterlab.datasets.arrays import Arrays
from shatterlab.datasets.image_folder import ImageFolder
from shatterlab.datasets.mnist import read_idx
from shatterlab.datasets.streamed_folder import StreamedFolder
from shatterlab.readers import photos
from shatterlab.readers.array_pickles import read_pickle

LABELS = np.arange(8) % 2


def cheap_refusal(action, megabytes=40) -> str:
    """The refusal, for which at most so much memory is allocated."""
    tracemalloc.start()
    try:
        return refusal(action)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < megabytes * 2**20


# Archives of arrays --------------------------------------------------------------------------------------------------


def npz(path: Path, compression=zipfile.ZIP_DEFLATED, **members: bytes) -> str:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return str(path)


def npy(array: np.ndarray) -> bytes:
    written = io.BytesIO()
    np.save(written, array)
    return written.getvalue()


def npy_header(description: str) -> bytes:
    text = description.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_a_small_archive_of_many_zeros_is_refused_before_it_is_unpacked(tmp_path):
    path = npz(tmp_path / "x.npz", x=npy(np.zeros((8, 10 * 2**20), np.uint8)), y=npy(LABELS))
    assert os.path.getsize(path) < 2**17
    message = cheap_refusal(Arrays(path).load, 4)
    assert message.startswith("Arrays: an array of at most 100 times its packed size is required, got x in ")
    assert ", which becomes 0.0781 GiB from 8" in message and message.endswith(" bytes. If that is meant, store it unpacked.")


def test_what_memory_does_not_hold_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    np.savez(tmp_path / "x.npz", x=np.zeros((8, 100), np.uint8), y=LABELS)
    needed = 8 * 100 * 5 + 8 * 12  # bytes, and float32 beside them
    monkeypatch.setattr(memory, "_available", lambda: iter([needed]))
    monkeypatch.setattr(memory, "_left_to_group", lambda: iter([]))
    assert len(Arrays(str(tmp_path / "x.npz")).load().train) == 6
    monkeypatch.setattr(memory, "_available", lambda: iter([needed - 1]))
    message = refusal(Arrays(str(tmp_path / "x.npz")).load)
    assert message.startswith(f"Arrays: 3.81e-06 GiB of memory are required for the arrays of {tmp_path}/x.npz, got 3.81e-06 GiB free. ")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (8, 1099511627776)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (8, -5)}",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (8, 1000000000000)}",
        "{'descr': [('a', '<f8', (1000000,))], 'fortran_order': False, 'shape': (8,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (8,)}",
        "{'descr': '|V8', 'fortran_order': False, 'shape': (8,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': ('a',)}",
        "{'descr': '|u1', 'shape': (8,)}",
        "[" * 60,
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, header):
    message = cheap_refusal(Arrays(npz(tmp_path / "x.npz", x=npy_header(header) + bytes(64), y=npy(LABELS))).load)
    assert message.startswith("Arrays: ") and "x.npz" in message


def test_members_packed_as_numpy_does_not_are_refused(tmp_path):
    for compression in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):  # LZMA's header may ask for 4 GiB
        message = refusal(Arrays(npz(tmp_path / "x.npz", compression, x=npy(np.zeros((8, 2))), y=npy(LABELS))).load)
        assert "got ValueError: x.npy is packed in a way that numpy.savez does not (x) at " in message


def test_a_member_that_says_it_is_larger_than_the_file_is_refused(tmp_path):
    path = Path(npz(tmp_path / "x.npz", zipfile.ZIP_STORED, x=npy(np.zeros((8, 2))), y=npy(LABELS)))
    content = path.read_bytes()
    place = content.index(b"PK\x01\x02")
    path.write_bytes(content[: place + 20] + struct.pack("<II", 2**31, 2**31) + content[place + 28 :])
    assert "(x) at " in cheap_refusal(Arrays(str(path)).load)


# IDX and pickles -----------------------------------------------------------------------------------------------------


def test_an_idx_file_that_says_it_holds_terabytes_is_refused(tmp_path):
    header = bytes((0, 0, 8, 3)) + struct.pack(">3I", 2**20, 2**10, 2**10)
    plain, packed = tmp_path / "images", tmp_path / "images.gz"
    plain.write_bytes(header + bytes(100))
    packed.write_bytes(gzip.compress(header + bytes(100)))
    assert cheap_refusal(lambda: read_idx(plain, 3, "MNIST"), 2).startswith("MNIST: 1099511627776 bytes after the header are required, got 100 at ")
    assert "images.gz, which becomes 1,024 GiB from " in cheap_refusal(lambda: read_idx(packed, 3, "MNIST"), 2)


def test_a_gz_that_holds_more_than_its_header_says_is_not_unpacked(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(np.zeros((2, 3, 3), np.uint8)) + bytes(50 * 2**20)))
    assert cheap_refusal(lambda: read_idx(path, 3, "MNIST"), 2).startswith("MNIST: 18 bytes after the header are required, got more at ")


@pytest.mark.parametrize(
    "content",
    [
        b"}(N" + b"\x85" * 9 + b"Nu.",  # the hash of a tuple in 150,000 tuples ended the process
        b"}N" + b"\x85" * 9 + b"Ns.",
    ],
    ids=["nested key", "one nested key"],
)
def test_a_pickle_does_not_end_the_process(tmp_path, content):
    path = tmp_path / "train"
    path.write_bytes(content)
    assert "a whole pickle is required" in refusal(lambda: read_pickle(path, "CIFAR100"))


def test_a_pickle_may_copy_a_text_once(tmp_path):
    path, text = tmp_path / "train", b"X\x00\x00\x10\x00" + b"a" * 2**20 + b"q\x01"
    encode = b"c_codecs\nencode\n(h\x01X\x06\0\0\0latin1tR"
    path.write_bytes(b"](" + text + encode + b"e.")
    assert len(read_pickle(path, "CIFAR100")[1]) == 2**20
    path.write_bytes(b"](" + text + 2_000 * encode + b"e.")
    assert "texts that would be copied" in cheap_refusal(lambda: read_pickle(path, "CIFAR100"))


# Photos --------------------------------------------------------------------------------------------------------------


def jpeg(width: int, height: int) -> bytes:
    """A small JPEG whose header says another size."""
    written = io.BytesIO()
    Image.new("RGB", (16, 16), (9, 90, 190)).save(written, "JPEG")
    content = bytearray(written.getvalue())
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")


def total(part) -> int:
    splits = part.load()
    return len(splits.train) + len(splits.test)


def classes(root: Path, extra: bytes | None = None, name="9.png") -> Path:
    for number, label in enumerate(("ant", "bee")):
        (root / label).mkdir(parents=True)
        for each in range(4):
            Image.new("RGB", (12, 10), (60 * number, 20 * each, 90)).save(root / label / f"{each}.png")
    if extra is not None:
        (root / "ant" / name).write_bytes(extra)
    return root


BOMBS = {"676 million in JPEG": jpeg(26_000, 26_000), "169 million in PNG": png(13_000, 13_000), "most": png(2**31 - 1, 2**31 - 1)}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("part", [ImageFolder, StreamedFolder])
def test_a_photo_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, part, content):
    message = cheap_refusal(lambda: part(str(classes(tmp_path, content)), size=8).load().train.inputs[:])
    assert "pixels, more than max_pixels = 89,478,485" in message and f"{tmp_path}/ant/9.png" in message


def test_the_limit_of_pixels_is_a_field(tmp_path):
    classes(tmp_path)
    for part in (ImageFolder, StreamedFolder):
        assert "12 x 10 pixels, more than max_pixels = 119" in refusal(lambda part=part: part(str(tmp_path), size=8, max_pixels=119).load().train.inputs[:])
        assert len(part(str(tmp_path), size=8, max_pixels=120).load().train) == 6
        assert part(str(tmp_path), size=8).identity() == part(str(tmp_path), size=8, max_pixels=photos.MOST_PIXELS).identity()
    assert Image.MAX_IMAGE_PIXELS == photos.MOST_PIXELS  # Pillow's own is left as it was


def test_a_photo_that_would_be_scaled_to_gigabytes_is_refused(tmp_path):
    strip = io.BytesIO()
    Image.new("1", (1, 60_000)).save(strip, "PNG")
    message = cheap_refusal(ImageFolder(str(classes(tmp_path, strip.getvalue())), size=64).load)
    assert "64 x 3840000 pixels, more than max_pixels" in message


def test_a_file_far_larger_than_its_pixels_could_be_is_not_read(tmp_path):
    with (classes(tmp_path, b"\xff\xd8") / "ant/9.png").open("r+b") as file:
        file.truncate(2**34)  # takes no room on the disk
    assert f"{2**34:,} bytes, more than max_pixels = 89,478,485 take" in cheap_refusal(StreamedFolder(str(tmp_path), size=8).load)


def test_a_drawing_is_not_given_to_a_program_that_draws_it(tmp_path):
    drawing = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    assert "a drawing (EPS), not pixels" in refusal(ImageFolder(str(classes(tmp_path, drawing, "9.eps")), size=8).load)


# Class folders -------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", [ImageFolder, StreamedFolder])
def test_pipes_devices_and_broken_links_are_named_not_waited_for(tmp_path, part):
    odd = classes(tmp_path) / "ant" / "9.png"
    for make, what in (
        (lambda: os.mkfifo(odd), f"a pipe is at {odd}"),
        (lambda: odd.symlink_to("/dev/zero"), f"a device is at {odd}"),
        (lambda: odd.symlink_to(odd), f"got 'Too many levels of symbolic links' at {odd}"),
        (lambda: odd.symlink_to(tmp_path / "gone"), f"got 'No such file or directory' at {odd}"),
    ):
        make()
        for action in (part(str(tmp_path), size=8).load, part(str(tmp_path), size=8).identity):
            message = refusal(action)
            assert message.startswith(f"{part.__name__}: a regular file is required, ") and what in message
        odd.unlink()


@pytest.mark.parametrize("part", [ImageFolder, StreamedFolder])
def test_links_lead_nowhere_else_unless_that_is_asked_for(tmp_path, part):
    outside = tmp_path / "outside.png"
    Image.new("RGB", (12, 10)).save(outside)
    root = classes(tmp_path / "photos")
    (root / "bee" / "8.png").symlink_to("../ant/0.png")
    assert total(part(str(root), size=8)) == 9  # inside
    link = root / "ant" / "9.png"
    link.symlink_to(outside)
    message = refusal(part(str(root), size=8).load)
    assert message == (f"{part.__name__}: files inside of {root} are required, {link} is a link to {outside}. Copy the file there, or set follow_links=True.")
    assert total(part(str(root), size=8, follow_links=True)) == 10


@pytest.mark.parametrize("part", [ImageFolder, StreamedFolder])
def test_the_folder_and_its_class_folders_may_be_links(tmp_path, part):
    (tmp_path / "root").symlink_to(classes(tmp_path / "photos"))
    (tmp_path / "photos" / "bee").rename(tmp_path / "elsewhere")
    (tmp_path / "photos" / "bee").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "8.png").symlink_to("0.png")
    assert total(part(str(tmp_path / "root"), size=8)) == 9


def test_a_list_of_labels_that_is_a_pipe_or_far_too_large_is_refused(tmp_path):
    for split in ("train", "val"):
        classes(tmp_path / split)
    for label in ("ant", "bee"):
        (tmp_path / "val" / label).rename(tmp_path / label)
    part = StreamedFolder(str(tmp_path), size=8, held_out_labels="labels.txt")
    os.mkfifo(tmp_path / "labels.txt")
    assert "a pipe is at " in refusal(part.load)
    (tmp_path / "labels.txt").unlink()
    with (tmp_path / "labels.txt").open("wb") as file:
        file.truncate(2**33)
    assert f"got {2**33:,} bytes at " in cheap_refusal(part.load)


ODD = [b"caf\xe9", b"a\nb", b"\x1b[31mred", "ünï\u202e".encode()]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_class_folders_and_files_of_any_bytes_are_read_and_shown_in_one_line(tmp_path):
    root = os.fsencode(tmp_path) + b"/ph\xe9otos"
    for name in ODD:
        os.makedirs(root + b"/" + name)
        for each in range(4):
            Image.new("RGB", (9, 9), (each, 2, 3)).save(os.fsdecode(root + b"/" + name + b"/\xff%d.png" % each))
    for part in (ImageFolder(os.fsdecode(root), size=8), StreamedFolder(os.fsdecode(root), size=8)):
        assert part.load().train.classes == 4 and len(part.identity()["path"]) == 39
    open(root + b"/a\nb/broken.png", "wb").close()
    message = refusal(ImageFolder(os.fsdecode(root), size=8).load)
    assert message.isprintable() and "ph\\udce9otos/a\\nb/broken.png" in message


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_the_command_line_prints_names_of_any_bytes(tmp_path):
    store, output = os.fsencode(tmp_path) + b"/r\xe9.sqlite", os.fsencode(tmp_path) + b"/r\xe9.csv"
    code = "import sys; from shatterlab.store.database import Store; Store(sys.argv[1]).close(); from shatterlab.cli import main; "
    code += "main(['export', '--store', sys.argv[1], '--output', sys.argv[2]])"
    done = subprocess.run([sys.executable, "-c", code, store, output], capture_output=True, check=False)
    assert done.returncode == 0 and b"r\\udce9.csv" in done.stdout, done.stderr


# What fuzzing found, and a little of it each time ----------------------------------------------------------------------


@pytest.mark.parametrize("name", READERS)
def test_a_few_mutated_files_are_read_or_refused(tmp_path, name):
    """A hundred mutants of each format; `python tests/readers/fuzz.py SECONDS` tries as many as the time allows."""
    problems = []
    for seed in range(100):
        try:
            READERS[name].read(tmp_path, mutated(name, seed))
        except DataError as problem:
            problems.append(str(problem))
    assert problems and all(text.isprintable() and len(text) < 2000 for text in problems)
