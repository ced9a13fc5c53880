"""Mutated files for each reader: an answer or one line; a campaign by `python tests/readers/fuzz.py SECONDS`.

A mutant flips bits, overwrites, cuts, repeats or inserts bytes of a whole file. A campaign must see no other exception than DataError and no message
that is not one line; it names the mutants that take more than a second (an image of up to 89 million pixels is within the limit).
"""

from __future__ import annotations

import gzip
import io
import pickle
import random
import resource
import sys
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from shatterlab.core.errors import DataError
from shatterlab.datasets.arrays import Arrays
from shatterlab.datasets.mnist import read_idx
from shatterlab.readers.array_pickles import read_pickle, read_torch_file
from shatterlab.readers.photos import PhotoStream, antialiased_square


def _npz(save: Callable[..., None]) -> bytes:
    written = io.BytesIO()
    save(written, x=np.arange(48.0).reshape(8, 6), y=np.arange(8) % 2)
    return written.getvalue()


def torch_file(content: object) -> bytes:
    """What `torch.save` writes of arrays and plain containers."""
    return torch_zip(pickle.dumps(content, protocol=2))


def torch_zip(data: bytes, name: str = "archive/data.pkl", compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive of a pickle and a version, as torch has it."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), data, compression)
        archive.writestr(zipfile.ZipInfo("archive/version"), b"3\n")
    return written.getvalue()


def _photo(suffix: str, mode: str = "RGB") -> bytes:
    written = io.BytesIO()
    values = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    Image.fromarray(values).convert(mode).save(written, suffix)
    return written.getvalue()


_IDX = bytes((0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 5)) + bytes(range(50))
_BATCH = {b"data": np.arange(48, dtype=np.uint8).reshape(4, 12), b"labels": [1, 2, 3, 0], b"names": [b"a", ("b", 1.5, None)]}
_PHOTOS = [_photo("JPEG"), _photo("JPEG", "L"), _photo("JPEG", "CMYK"), *map(_photo, ("PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")), _photo("PNG", "P")]


@dataclass(frozen=True)
class Reader:
    """A reader of files: whole files, the name of a file, and how one is read."""

    whole: list[bytes]
    name: str
    reads: Callable[[Path], object]

    def read(self, folder: Path, content: bytes) -> None:
        path = folder / self.name
        path.write_bytes(content)
        self.reads(path)


def _streamed(path: Path) -> object:
    return PhotoStream([path.read_bytes()], 16, 0.875, "StreamedFolder")[:]


READERS = {
    "npz": Reader([_npz(np.savez), _npz(np.savez_compressed)], "x.npz", lambda path: Arrays(str(path)).load()),
    "idx": Reader([_IDX], "images", lambda path: read_idx(path, 3, "MNIST")),
    "idx.gz": Reader([gzip.compress(_IDX, mtime=0)], "images.gz", lambda path: read_idx(path, 3, "MNIST")),
    "pickle": Reader([pickle.dumps(_BATCH, protocol=protocol) for protocol in range(5)], "batch", lambda path: read_pickle(path, "CIFAR100")),
    "file of torch": Reader([torch_file(_BATCH)], "human.pt", lambda path: read_torch_file(path, "CIFAR10N")),
    "photo": Reader(_PHOTOS, "photo", lambda path: antialiased_square(path, 16, "ImageFolder")),
    "streamed photo": Reader(_PHOTOS, "photo", _streamed),
}


def mutated(name: str, seed: int) -> bytes:
    """A mutant of one of the whole files of a reader; the seed decides which."""
    rng = random.Random(f"{name} {seed}")
    content = bytearray(rng.choice(READERS[name].whole))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        place, length = rng.randrange(len(content) + 1), rng.choice((1, 1, 2, 4, 8, 32))
        match rng.randrange(7):
            case 0 if content:
                content[place % len(content)] ^= 1 << rng.randrange(8)
            case 1:
                content[place : place + length] = rng.randbytes(length)
            case 2:
                content[place : place + length] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
            case 3:
                del content[place : place + length]
            case 4:
                content[place:place] = content[rng.randrange(len(content) + 1) :][:length]
            case 5:
                content[place:place] = rng.randbytes(length)
            case 6 if rng.randrange(4) == 0:
                del content[place:]
    return bytes(content)


def _campaign(name: str, seconds: float, folder: Path) -> str:
    counts: Counter[str] = Counter()
    end, seed, slowest = time.monotonic() + seconds, 0, 0.0
    while time.monotonic() < end:
        content, start = mutated(name, seed), time.monotonic()
        try:
            READERS[name].read(folder, content)
            counts["read"] += 1
        except DataError as problem:
            counts["refused" if str(problem).isprintable() and len(str(problem)) < 2000 else "NOT ONE LINE"] += 1
        except BaseException:
            counts["OTHER EXCEPTION"] += 1
            print(f"{name}, seed {seed}:\n{traceback.format_exc()}")
        slowest = max(slowest, time.monotonic() - start)
        if time.monotonic() - start > 1:
            print(f"{name}, seed {seed}: {time.monotonic() - start:.1f} s")
        seed += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    outcome = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    return f"{name}: {seed} files in {seconds:g} s: {outcome}; the slowest took {slowest:.2f} s; peak memory of the process {peak} MiB"


def main() -> None:
    """Runs a campaign of so many seconds for each reader."""
    import tempfile

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for name in READERS:
            print(_campaign(name, float(sys.argv[1]), Path(folder)), flush=True)


if __name__ == "__main__":
    main()
