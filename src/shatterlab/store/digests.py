"""Digests of a run: four times 16 hexadecimal digits, of its heading, scalars, curves and arrays as the tables hold them."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Sequence
from typing import Any

_DIGITS = 16  # 64 bits each: damage that leaves one as it was has a probability of 5e-20
_NOTHING = hashlib.sha256().hexdigest()[:_DIGITS]
_PLACES = {"heading": 0, "scalars": 1, "curves": 2, "arrays": 3}


def of_run(heading: Sequence[Any], scalars: Sequence[Any], curves: Sequence[Any], arrays: Sequence[Any]) -> str:
    """The digest of a run.

    Args:
        heading: uid, key, status, finished.
        scalars: (name, value), in the order of the names.
        curves: (epoch, step, name, value), in this order.
        arrays: (name, dtype, shape, data), in the order of the names.
    """
    return of_part("heading", heading) + of_part("scalars", scalars) + of_part("curves", curves) + of_part("arrays", arrays)


def of_part(part: str, entries: Sequence[Any]) -> str:
    """The digits of one part: of "heading" its texts, else the entries of that table.

    Raises:
        TypeError, ValueError, struct.error: an entry is of a type that no run has.
    """
    if not entries:
        return _NOTHING
    digest = hashlib.sha256()
    if part == "heading":
        digest.update("\0".join(entries).encode())
    elif part == "scalars":
        values = [entry[1] for entry in entries]
        floats = [value for value in values if type(value) is float]  # six times faster in 8 bytes than as text
        digest.update("\0".join([entry[0] for entry in entries]).encode())
        digest.update(bytes([type(value) is float for value in values]) + struct.pack(f"<{len(floats)}d", *floats))
        digest.update(json.dumps([value for value in values if type(value) is not float]).encode())
    elif part == "curves":
        numbers = [math.nan if entry[3] is None else entry[3] + 0.0 for entry in entries]  # SQLite knows no NaN, and no zero below zero
        steps = [entry[0] for entry in entries] + [entry[1] for entry in entries]
        digest.update("\0".join([entry[2] for entry in entries]).encode())
        digest.update(struct.pack(f"<{len(steps)}q{len(numbers)}d", *steps, *numbers))
    else:
        for name, dtype, shape, data in entries:
            digest.update(json.dumps([name, dtype, shape, len(data)]).encode())
            digest.update(data)
    return digest.hexdigest()[:_DIGITS]


def agrees(digest: Any, part: str, entries: Sequence[Any]) -> bool:
    """Whether a part is the one that the digest of the run was taken of."""
    start = _DIGITS * _PLACES[part]
    return isinstance(digest, str) and digest[start : start + _DIGITS] == of_part(part, entries)
