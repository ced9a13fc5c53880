"""Rows as files that other programs read."""

from __future__ import annotations

import pytest

from shatterlab.core.values import Row
from shatterlab.report import export_rows


def test_rows_are_exported_to_parquet_and_to_a_frame(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    rows = [Row({"key": str(k), "status": "ok", "test.error": k / 10, "note": "=1+1" if k else None}) for k in range(3)]
    frame = pandas.read_parquet(export_rows(rows, tmp_path / "rows.parquet"))
    assert frame["test.error"].tolist() == [0.0, 0.1, 0.2] and list(frame.columns) == ["key", "status", "test.error", "note"]
    text = export_rows(rows, tmp_path / "rows.csv").read_text()
    assert "'=1+1" in text and ",=1+1" not in text  # no spreadsheet runs it
