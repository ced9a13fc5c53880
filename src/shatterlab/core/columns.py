"""The columns of a table: what float32 inputs mean, and the rows that an estimator gets from them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

MISSING = float(np.finfo(np.float32).min)  # stands for a missing value, so that inputs stay finite and can be compared


@dataclass(frozen=True, eq=False)
class Column:
    """One column: its inputs are its values, or codes of them.

    Args:
        name: as in the table.
        content: "numbers", or what the codes stand for: "text", "dates", ...
        dtype: of pandas, which rows have again.
        values: what the codes 0, 1, ... stand for, as an array of pandas; None: the inputs are the values.
        missing: whether a value is missing.
    """

    name: Hashable
    content: str
    dtype: Any
    values: Any = None
    missing: bool = False

    @property
    def problem(self) -> str:
        """What a learner of numbers cannot take; empty where there is nothing."""
        return self.content if self.values is not None else "missing values" if self.missing else ""

    def restored(self, inputs: np.ndarray[Any, Any]) -> Any:
        """The values behind some inputs, as an array of numpy or pandas.

        Args:
            inputs: float32, shape (m,). Whole numbers and booleans that a corruption of pixels has moved here from another column stay floats.
        """
        import pandas as pd

        gone = inputs == MISSING
        if self.values is not None:
            return pd.api.extensions.take(self.values, np.where(gone, -1, inputs).astype(np.int64), allow_fill=True)
        numbers = inputs.astype(np.float64)
        numbers[gone] = np.nan
        known = inputs[~gone]
        whole = pd.api.types.is_float_dtype(self.dtype) or bool((known == np.floor(known)).all())
        fits = whole and not (pd.api.types.is_bool_dtype(self.dtype) and ((known < 0) | (known > 1)).any())
        return pd.array(numbers).astype(self.dtype) if fits and not isinstance(self.dtype, np.dtype) else numbers.astype(self.dtype if fits else np.float64)


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a sample whose inputs are table rows.

    Args:
        columns: one for each of d inputs.
        form: what an estimator gets: a "frame" of pandas, an "array", or a "series" of one column.
    """

    columns: tuple[Column, ...]
    form: Literal["frame", "array", "series"] = "frame"

    def rows(self, inputs: Tensor) -> Any:
        """The rows behind some inputs (m x d), in new memory.

        Example:
            >>> import torch
            >>> table = Columns((Column("a", "numbers", np.dtype(int)), Column("b", "text", object, np.array(["no", "yes"], object))))
            >>> table.rows(torch.tensor([[3.0, 1.0], [4.0, MISSING]])).to_dict("list")
            {'a': [3, 4], 'b': ['yes', nan]}
        """
        import pandas as pd

        values = inputs.numpy()
        frame = pd.DataFrame({j: column.restored(values[:, j]) for j, column in enumerate(self.columns)})
        frame.columns = pd.Index([column.name for column in self.columns])
        if self.form == "series":
            return frame.iloc[:, 0]
        return frame if self.form == "frame" else frame.to_numpy()

    @property
    def problems(self) -> dict[str, list[str]]:
        """What a learner of numbers cannot take, and the names of the columns that hold it; names are data of the user's."""
        problems: dict[str, list[str]] = {}
        for column in self.columns:
            if column.problem:
                problems.setdefault(column.problem, []).append(str(column.name))
        return problems
