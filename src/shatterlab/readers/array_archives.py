"""Archives of arrays (.npz): what a member will become is read from its header, and checked, before it is unpacked."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shatterlab.core.errors import DataError
from shatterlab.readers.sizes import require_plausible, require_room

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # how an archive begins, the second one without members
_FLOAT32 = 4  # bytes of each value again, once it is an input


def read_npz(path: Path, alternatives: Sequence[Sequence[str]], keys: str, owner: str) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of an .npz file, by the first set of names that it has all of.

    Each array's header is read first: an array of objects, one that its member does not hold, one of more than 100 times its packed size
    (from 64 MiB on) and arrays that the free memory does not hold, in the file's types and as float32, are refused unread.

    Args:
        path: an existing file.
        alternatives: sets of names.
        keys: how errors name them.
        owner: name used in errors.

    Raises:
        DataError: it is damaged, no such archive, lacks names, or is refused.
    """
    part = ""
    try:
        with path.open("rb") as stream:
            _require_zip(stream.read(6), path, keys, owner)
            with zipfile.ZipFile(stream) as archive:
                members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
                names = next((names for names in alternatives if members.keys() >= set(names)), None)
                if names is None:
                    got = " ".join(members)[:500] or "none"
                    raise DataError(f"{owner}: the keys {keys} are required, got {got} in {path}. Save them with numpy.savez.")
                needed, arrays = 0, {}
                for part in names:
                    needed += _bytes_needed(archive, members[part], f"{part} in {path}", path, owner)
                require_room(needed, f"the arrays of {path}", owner)
                for part in names:
                    with archive.open(members[part]) as member:
                        arrays[part] = np.lib.format.read_array(member, allow_pickle=False)
                return arrays
    except DataError:
        raise
    except Exception as problem:  # zipfile, zlib and numpy each fail in their own ways
        reason, where = f"{type(problem).__name__}: {problem}".splitlines()[0][:500], f" ({part})" if part else ""
        raise DataError(f"{owner}: a whole .npz file is required, got {reason}{where} at {path}. Write it again with numpy.savez.") from problem


def _require_zip(first: bytes, path: Path, keys: str, owner: str) -> None:
    if first == np.lib.format.MAGIC_PREFIX:
        raise DataError(f"{owner}: an .npz file with {keys} is required, {path} holds a single array. Save both inputs and labels with numpy.savez.")
    if not first:
        raise EOFError("an empty file")
    if not first.startswith(_ZIP):
        raise DataError(f"{owner}: a whole .npz file is required, got a file of another format at {path}. Write it again with numpy.savez.")


def _bytes_needed(archive: zipfile.ZipFile, member: zipfile.ZipInfo, what: str, path: Path, owner: str) -> int:
    """Bytes of the array and of the same values in float32, once its header, its member and its file agree."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.compress_size > path.stat().st_size:
        raise ValueError(f"{member.filename} is packed in a way that numpy.savez does not")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        header = stream.tell()
    if dtype.hasobject:
        remedy = "Is there text in a table, or are rows of unequal length? Turn every column into numbers, labels into numbers or plain text."
        raise DataError(f"{owner}: arrays of numbers are required, {what} holds Python objects. {remedy}")
    if dtype.fields or dtype.subdtype or dtype.itemsize == 0:
        raise DataError(f"{owner}: arrays of numbers are required, {what} holds {dtype!s:.100}. Turn every column into numbers, labels into numbers or text.")
    values = math.prod(shape)
    if min(shape, default=0) < 0 or header + values * dtype.itemsize != member.file_size:
        raise ValueError(f"{member.filename} holds {member.file_size - header} bytes, not the {values * dtype.itemsize} of its shape")
    require_plausible(member.compress_size, member.file_size, what, owner)
    return values * (dtype.itemsize + _FLOAT32)
