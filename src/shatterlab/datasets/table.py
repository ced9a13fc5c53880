"""The user's own tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from shatterlab.core import Dataset, Part, Seeds, Splits, live_code
from shatterlab.core.errors import DataError, UnknownName
from shatterlab.readers.examples import Target, Task, target_of
from shatterlab.readers.frames import checked_frame, digest_of, inputs_of, read_table, table_file
from shatterlab.readers.published_files import file_digest

if TYPE_CHECKING:
    import pandas as pd

_Positions = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


@dataclass(frozen=True)
class DataTable(Dataset):
    """Your own table in a .csv or .parquet file, or a data frame of this process (`DataTable.of`).

    Scikit-learn estimators get its rows as a data frame with names and types, so text, dates, categories and missing values are your pipeline's business; other
    learners need numbers in every column. Numbers are rounded to float32. The test split is what `split` says; else the rows with the latest quarter of `time`;
    else whole groups with a quarter of the rows; else a quarter of the rows, class shares kept where there are classes, drawn from the data stream like the
    groups. Columns that `split`, `time` and `group` name are no inputs.

    Args:
        path: the file; a relative path starts at the working folder. A name that begins with "live:" stands for a data frame of this process.
        target: the column with the class of each row (text, true/false or whole numbers), or with the number to be predicted.
        group: a column, such as a patient's number, whose values each stay on one side.
        time: a column of dates or numbers that orders the rows.
        split: a column that says "train" or "test".
        form: what an estimator gets: a data "frame", an "array", or a "series" of one column.
        task: "classes", or "numbers" where the target is numbers that a regressor predicts; they are kept in float64.
        examples: how many training examples to keep (None: all).
        test_examples: how many test examples to keep (None: all).

    Raises:
        InvalidPart: more than one of group, time and split is given, or one column is named twice.
    """

    path: str
    target: str
    group: str | None = None
    time: str | None = None
    split: str | None = None
    form: Literal["frame", "array", "series"] = "frame"
    task: Task = "classes"

    def validate(self) -> None:
        super().validate()
        self.require(self.path, "path is the path of a .csv or .parquet file", self.path)
        named = [name for name in (self.group, self.time, self.split) if name is not None]
        self.require(len(named) <= 1, "one of group, time and split is enough, and no more", ", ".join(named))
        self.require(self.target not in named, "a column of its own is required for the target", self.target)

    @classmethod
    def of(cls, frame: Any, target: str, **fields: Any) -> DataTable:
        """The data set of a data frame of pandas that this process holds.

        Args:
            frame: copied, so that later changes do not matter.
            target: the column with the classes or numbers.
            fields: `group`, `time`, `split`, `form`, `task`, `examples`, `test_examples`.

        Raises:
            DataError: the frame has no rows, names a column twice or holds what cannot be compared.

        Example:
            >>> import pandas as pd
            >>> frame = pd.DataFrame({"size": [1.0, 2.0, 5.0, 6.0] * 4, "colour": ["red", None, "blue", "red"] * 4, "kind": ["a", "a", "b", "b"] * 4})
            >>> splits = DataTable.of(frame, "kind").load()
            >>> splits.train.names, len(splits.test), splits.train.columns.problems
            (('a', 'b'), 4, {'text': ['colour']})
        """
        checked_frame(frame, cls.__name__)
        return cls(live_code.hold(frame.copy(), f"table#{digest_of(frame, cls.__name__)}"), target, **fields)

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return ()  # a user's file is not everywhere

    def fingerprints(self) -> Mapping[str, str]:
        if live_code.is_live(self.path):
            return {"path": self.path}
        return {"path": f"sha256:{file_digest(table_file(self.path, self.kind), 'sha256', self.kind)[:32]}"}

    def frame(self) -> pd.DataFrame:
        """The whole table as a data frame of pandas.

        Raises:
            DataError: the file is missing or damaged.
            InvalidPart: the frame is of another process.
        """
        held = live_code.is_live(self.path)
        return live_code.held(self.path, "a data frame", self.kind) if held else read_table(table_file(self.path, self.kind), self.kind)

    def read(self, root: Path | None, seeds: Seeds) -> Splits:
        frame, owner = self.frame(), self.kind if live_code.is_live(self.path) else f"{self.kind}: {Path(self.path).name}"
        columns = {role: self._column(frame, role) for role in ("target", "group", "time", "split") if getattr(self, role) is not None}
        named = f"{owner}: the target column {self.target!r}"
        target = target_of({"labels": labels_of(columns["target"], named)}, self.task, None, named)
        features = frame.drop(columns=[column.name for column in columns.values()])
        if features.shape[1] == 0:
            raise DataError(f"{owner}: a column besides target, group, time and split is required, got none. Add features.")
        values, inputs = inputs_of(features, self.form, owner)
        rows, text = self._positions(columns, target, seeds, owner)
        described: dict[str, Any] = {"columns": inputs, "rows": torch.arange(len(frame))} | {
            f"{role}s": _ranks(columns[role]) for role in ("group", "time") if role in columns
        }
        whole = replace(target.examples(values, target.labels["labels"]), **described)
        return Splits(*(whole.at(torch.from_numpy(each)) for each in rows), split_text=text)

    def _column(self, frame: pd.DataFrame, role: str) -> pd.Series[Any]:
        known, name = {str(name): name for name in frame.columns}, getattr(self, role)
        if name not in known:
            raise UnknownName(f"{self.kind}: {role}", name, list(known)[:40])
        return frame[known[name]]

    def _positions(self, columns: Mapping[str, pd.Series[Any]], target: Target, seeds: Seeds, owner: str) -> tuple[_Positions, str]:
        """Positions of the training and of the test rows, and what to say of them."""
        for role, part in (("split", _given), ("time", _latest), ("group", _whole_groups)):
            if role in columns:
                column, named = columns[role], f"{owner}: the {role} column {getattr(self, role)!r}"
                if column.isna().any():
                    raise DataError(f"{named}: a value in each row is required, {column.isna().sum()} are missing. Fill them.")
                test, text = part(column, seeds, named)
                return (np.flatnonzero(~test), np.flatnonzero(test)), text
        return target.parted(target.labels["labels"], seeds)


def labels_of(column: pd.Series[Any], owner: str) -> np.ndarray[Any, Any]:
    """The labels of a column as an array that `class_numbers` takes.

    Raises:
        DataError: a label is missing.
    """
    gone = column.isna().to_numpy()
    if gone.any():
        got = f"{gone.sum()} of {len(gone)} are missing, the first in row {int(gone.argmax())}"
        raise DataError(f"{owner}: a label in each row is required, {got}. Drop such rows; empty cells, NA, None and NaN of a .csv file are missing.")
    return column.to_numpy() if isinstance(column.dtype, np.dtype) else column.astype(object).to_numpy()


def _given(column: pd.Series[Any], seeds: Seeds, owner: str) -> tuple[np.ndarray[Any, Any], str]:
    words = column.astype(str).str.strip().str.lower()
    other = sorted(set(words) - {"train", "test"})
    if other or words.nunique() < 2:
        raise DataError(f"{owner}: the words train and test are required, got {', '.join(map(repr, other[:5])) or repr(words.iloc[0])}. Rename them.")
    return (words == "test").to_numpy(), f"The test split is given by the column {column.name!s}."


def _latest(column: pd.Series[Any], seeds: Seeds, owner: str) -> tuple[np.ndarray[Any, Any], str]:
    import pandas as pd

    times = column
    if not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(column.dtype)):
        try:
            times = pd.to_datetime(column.astype(str), format="ISO8601", utc=True)
        except ValueError as problem:
            raise DataError(f"{owner}: numbers or dates such as 2024-01-31 are required, got {column.iloc[0]!s:.60}. Rewrite them.") from problem
    ordered = times.sort_values(kind="stable").reset_index(drop=True)
    test = (times >= ordered[3 * len(ordered) // 4]).to_numpy()
    if test.all():  # the earliest time is that of three quarters and more
        test = (times > ordered[0]).to_numpy()
    if not test.any():
        raise DataError(f"{owner}: two different times are required, got {ordered[0]} only. Leave time out.")
    share = f"{test.sum()} of {len(test)} rows"
    return test, f"The test split is the latest by {column.name!s}: {share}, from {times[test].min()} on."


def _whole_groups(column: pd.Series[Any], seeds: Seeds, owner: str) -> tuple[np.ndarray[Any, Any], str]:
    groups, counts = np.unique(column.astype(str).to_numpy(dtype=str), return_counts=True)
    if len(groups) < 2:
        raise DataError(f"{owner}: two different groups are required, got {groups[0]!s:.60} only. Leave group out.")
    order = seeds.rng("data", "split").permutation(len(groups))
    before = np.cumsum(counts[order]) - counts[order]  # test rows so far, group by group
    chosen = order[: max(1, min(len(groups) - 1, int((before < len(column) / 4).sum())))]
    test = np.isin(column.astype(str).to_numpy(dtype=str), groups[chosen])
    return test, f"The test split is {len(chosen)} of {len(groups)} whole groups of {column.name!s}: {test.sum()} of {len(test)} rows."


def _ranks(column: pd.Series[Any]) -> torch.Tensor:
    """Whole numbers in the order of the values: the same for equal ones."""
    values = column if column.dtype.kind in "iufbM" else column.astype(str)
    return torch.from_numpy(np.unique(values.to_numpy(), return_inverse=True)[1].ravel().astype(np.int64))
