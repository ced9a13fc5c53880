"""Rows as a table for other programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shatterlab.core import Row
from shatterlab.core.errors import InvalidPart
from shatterlab.report.files import write

_FORMS = (".csv", ".json", ".jsonl")


def export_rows(rows: Sequence[Row], path: Path | str) -> Path:
    """Writes rows in the form that the suffix says.

    .csv has a column for every name that occurs and empty cells for null; .json is a list of objects with the
    columns and `curves` (epoch, step, name, value), .jsonl the same with one object a line. Infinite numbers are
    written as text in JSON, which has none.

    Raises:
        InvalidPart: another suffix.
        ShatterlabError: the file cannot be written there.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return write(path, _csv(rows))
    objects = [{**{name: _plain(value) for name, value in row.items()}, "curves": [list(map(_plain, point)) for point in row.curves]} for row in rows]
    if suffix == ".json":
        return write(path, json.dumps(objects, indent=1, allow_nan=False) + "\n")
    if suffix == ".jsonl":
        return write(path, "".join(json.dumps(each, allow_nan=False) + "\n" for each in objects))
    raise InvalidPart(f"export: an output that ends in {', '.join(_FORMS)} is required, got {Path(path).name!r}. Rename it.")


def _csv(rows: Sequence[Row]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(dict(row) for row in rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
