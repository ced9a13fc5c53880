"""Tables: from a file or a data frame to float32 inputs and what they mean."""

from __future__ import annotations

import csv
import hashlib
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from shatterlab.core.columns import MISSING, Column, Columns
from shatterlab.core.errors import DataError, ShatterlabError
from shatterlab.readers.sizes import require_room

if TYPE_CHECKING:
    import pandas as pd

_WHOLE = 2**24  # whole numbers up to here are exact in float32
_ROUNDING = 1e-3  # of a column's standard deviation: how far float32 may move its values
_SHOWN = 60  # characters of a value that an error shows
TABLES = (".csv", ".parquet")


def table_file(path: str, owner: str) -> Path:
    """The file of a table; a relative path starts at the working folder.

    Raises:
        DataError: none is there.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file() or file.suffix.lower() not in TABLES:
        got = "a folder" if file.is_dir() else "nothing" if not file.exists() else "another file"
        raise DataError(f"{owner}: a .csv or .parquet file is required, {got} is at {file}. Check the path.")
    return file


def read_table(path: Path, owner: str) -> pd.DataFrame:
    """The data frame in a .csv or .parquet file; types are those that pandas finds.

    Raises:
        DataError: it is damaged, has no rows or fewer than two columns, names a column twice, or pandas (for .parquet also pyarrow) is missing.
    """
    pandas = _pandas(owner)
    require_room(4 * path.stat().st_size, f"the table {path}", owner)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            if path.suffix.lower() == ".parquet":
                frame = pandas.read_parquet(path)
            else:
                _require_distinct(_header(path), f"{owner}: {path.name}")
                frame = pandas.read_csv(path, index_col=False, low_memory=False, encoding="utf-8-sig")
    except ShatterlabError:
        raise
    except ImportError as problem:
        raise DataError(f"{owner}: pyarrow is required for .parquet files, got none. Install shatterlab[frames], or save the table as .csv.") from problem
    except Exception as problem:  # pandas and pyarrow fail in their own ways
        reason = f"{type(problem).__name__}: {str(problem).strip()}".partition("\n")[0][:500]
        raise DataError(f"{owner}: a whole {path.suffix} file is required, got {reason} at {path}. Save the table again.") from problem
    if frame.shape[1] < 2:
        remedy = "Separate columns by commas." if path.suffix.lower() == ".csv" else "Save inputs and labels in one table."
        raise DataError(f"{owner}: at least two columns are required, a feature and the target, got {_names(frame)} in {path.name}. {remedy}")
    return checked_frame(frame, f"{owner}: {path.name}")


def checked_frame(frame: pd.DataFrame, owner: str) -> pd.DataFrame:
    """The frame itself.

    Raises:
        DataError: it has no rows, or a name stands for two columns.
    """
    _require_distinct([str(name) for name in frame.columns], owner)
    if len(frame) == 0:
        raise DataError(f"{owner}: at least one row is required, the table has none. Check how it was made.")
    return frame


def as_frame(data: Any, owner: str) -> pd.DataFrame | None:
    """A data frame of any library (pandas, polars, pyarrow) as one of pandas; None: it is no data frame.

    Raises:
        DataError: pandas is missing.
    """
    import narwhals as nw

    frame = nw.from_native(data, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return None
    _pandas(owner)
    return frame.to_pandas()


def inputs_of(frame: pd.DataFrame, form: Literal["frame", "array", "series"], owner: str) -> tuple[np.ndarray[Any, Any], Columns]:
    """The inputs (n x d, float32) of a table's rows, and what they mean.

    Numbers are rounded to float32. What that cannot hold becomes codes: text, categories, dates, whole numbers beyond 2^24, floats that differ by less than
    float32 tells apart. A missing value is `MISSING`.

    Raises:
        DataError: a value is infinite or cannot be compared with others.
    """
    inputs = np.empty(frame.shape, np.float32)
    columns = []
    for position, name in enumerate(frame.columns):
        inputs[:, position], column = _column(frame.iloc[:, position], name, f"{owner}: column {str(name)!r}")
        columns.append(column)
    return inputs, Columns(tuple(columns), form)


def _column(series: pd.Series[Any], name: Any, owner: str) -> tuple[np.ndarray[Any, Any], Column]:
    import pandas as pd

    dtype: Any = series.dtype
    if isinstance(dtype, pd.SparseDtype):
        dtype = dtype.subtype
        series = series.astype(dtype)
    number = (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)) and dtype.kind in "biuf"
    if number and not isinstance(dtype, pd.CategoricalDtype):
        exact = series.to_numpy(dtype=np.float64, na_value=np.nan)
        gone = np.isnan(exact)
        if np.isinf(exact).any():
            raise DataError(f"{owner}: finite numbers are required, got infinity in row {int(np.isinf(exact).argmax())}. Clean or drop it.")
        with np.errstate(over="ignore"):
            rounded = exact.astype(np.float32)
        if _holds(exact[~gone], rounded[~gone], pd.api.types.is_float_dtype(dtype)):
            rounded[gone] = MISSING
            return rounded, Column(name, "numbers", dtype, missing=bool(gone.any()))
    try:
        codes, values = pd.factorize(series.to_numpy() if isinstance(dtype, np.dtype) else series.array, sort=bool(number))
    except TypeError as problem:
        got = type(series.dropna().iloc[0]).__name__
        raise DataError(f"{owner}: numbers, text, dates or categories are required, got {got}. Turn it into columns of those.") from problem
    numbers = "whole numbers beyond 2^24" if pd.api.types.is_integer_dtype(dtype) else "numbers that float32 cannot tell apart"
    content = numbers if number else "categories" if isinstance(dtype, pd.CategoricalDtype) else _content(series)
    return np.where(codes < 0, MISSING, codes).astype(np.float32), Column(name, content, dtype, values, bool((codes < 0).any()))


def _content(series: pd.Series[Any]) -> str:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(series.dtype) or isinstance(series.dtype, pd.PeriodDtype):
        return "dates"
    return "text" if pd.api.types.infer_dtype(series, skipna=True) in ("string", "empty") else "objects"


def _holds(exact: np.ndarray[Any, Any], rounded: np.ndarray[Any, Any], floats: bool) -> bool:
    """Whether float32 holds the numbers: whole ones exactly, others to a small part of their spread."""
    if not len(exact):
        return True
    if not floats:
        return bool(np.abs(exact).max() <= _WHOLE)
    constant = exact.min() == exact.max()
    return bool((np.abs(rounded) < -MISSING).all() and (constant or np.abs(exact - rounded).max() <= _ROUNDING * exact.std()))


def digest_of(frame: pd.DataFrame, owner: str) -> str:
    """A digest of names, types and values, the same in every process; 32 hexadecimal digits."""
    inputs, described = inputs_of(frame, "frame", owner)
    content = hashlib.sha256(inputs.tobytes())
    for column in described.columns:
        content.update(repr((str(column.name), str(column.dtype), None if column.values is None else list(map(str, column.values)))).encode())
    return content.hexdigest()[:32]


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return [name for name in next(csv.reader(stream), []) if name]


def _require_distinct(names: list[str], owner: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{owner}: one column a name is required, got {', '.join(map(repr, twice[:5]))} more than once. Rename or drop the others.")


def _names(frame: pd.DataFrame) -> str:
    return f"only {str(frame.columns[0])[:_SHOWN]!r}" if frame.shape[1] else "none"


def _pandas(owner: str) -> Any:
    try:
        import pandas
    except ImportError as problem:
        raise DataError(f"{owner}: pandas is required for tables, got none. Install shatterlab[frames].") from problem
    return pandas
