"""Rows as a data frame of pandas, which need not be installed, and cells that no spreadsheet runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shatterlab.core.errors import InvalidPart


def frame_of(table: Iterable[Mapping[str, Any]] | Mapping[str, Any], owner: str) -> Any:
    """A pandas frame of rows, with a column for every name that occurs, or of columns by name.

    Args:
        table: one mapping of names to scalars a row, or one of names to columns.
        owner: name used in errors.

    Raises:
        InvalidPart: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        missing = "pandas is required for a data frame, it is not installed. Run `pip install 'shatterlab[frames]'`, or use the rows."
        raise InvalidPart(f"{owner}: {missing}") from None
    return pandas.DataFrame(dict(table) if isinstance(table, Mapping) else [dict(row) for row in table])


def harmless(cell: Any) -> Any:
    """A cell with an apostrophe in front where a spreadsheet would run its text as a formula; numbers stay as they are.

    Source:
        OWASP, "CSV injection".

    Example:
        >>> harmless("=1+1"), harmless("-5"), harmless("cat"), harmless(-5.0)
        ("'=1+1", '-5', 'cat', -5.0)
    """
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
