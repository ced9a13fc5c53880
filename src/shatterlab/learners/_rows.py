"""Inputs as scikit-learn's interface takes them."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from shatterlab.core.columns import Columns


def table_rows(inputs: Tensor, columns: Columns | None) -> Any:
    """The inputs in new memory: an array n x d of float32, or the rows that the columns of a `DataTable` stand for."""
    return inputs.flatten(1).numpy().copy() if columns is None else columns.rows(inputs)
