"""Data frames, arrays, lists and torch data sets of the user's process as data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from shatterlab.core import Dataset
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.core.user_code import user_code
from shatterlab.datasets.arrays import Arrays
from shatterlab.datasets.table import DataTable
from shatterlab.readers.frames import as_frame
from shatterlab.readers.sizes import require_room

_FORMS = (
    "a Dataset, the name of one, a file (.npz, .csv, .parquet), a folder, a data frame with target=, a pair (X, y), "
    "a torch Dataset of pairs or a Dataset of Hugging Face"
)


def held(data: Any, columns: Mapping[str, str]) -> Dataset:
    """The data set of a data frame, of a pair (X, y) or of a torch Dataset; its content is copied.

    Args:
        data: X is an array, a frame, a list or an .npy file, y the label of each row.
        columns: `target`, `group`, `time` and `split` of a table.

    Raises:
        DataError: the data cannot be used.
        InvalidPart: they are of another kind, or a frame comes without its target.
    """
    frame = as_frame(data, "audit")
    if frame is not None:
        return DataTable.of(frame, **columns) if "target" in columns else without_target(list(frame.columns))
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and type(data).__module__ not in ("builtins", "numpy", "torch"):
        return Arrays.of(*_stacked(data))
    if not isinstance(data, list | tuple) or len(data) != 2:
        got = f"{type(data).__name__}{f' of {len(data)} items' if isinstance(data, list | tuple) else ''}"
        raise InvalidPart(f"audit: data is {_FORMS}, got {got}.")
    x, y = map(_loaded, data)
    return _pair(x, y, columns)


def without_target(names: Sequence[Any]) -> NoReturn:
    """Refuses a table whose target is not named.

    Raises:
        InvalidPart: always; the text offers the columns.
    """
    offered = ", ".join(map(str, names[:40]))
    raise InvalidPart(f"audit: target, the name of the column with the classes, is required, got none. Columns: {offered}.")


def _pair(x: Any, y: Any, columns: Mapping[str, str]) -> Dataset:
    import pandas as pd

    if "target" in columns:
        raise InvalidPart("audit: either y or the name of a target column is required, got both. Leave one out.")
    labels = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    frame, form = as_frame(x, "audit"), "frame"
    if frame is None:
        values = _array(x)
        plain = values.dtype.kind not in "USO" and not (values.ndim == 2 and values.dtype.kind == "f" and np.isnan(values).any())
        if plain or values.ndim not in (1, 2):
            return Arrays.of(values, labels)
        frame, form = pd.DataFrame(values.astype(object) if values.dtype.kind in "US" else values), "series" if values.ndim == 1 else "array"
    if labels.ndim != 1 or len(labels) != len(frame):
        raise DataError(f"audit: one label for each of {len(frame)} rows of X is required, y has shape {labels.shape}. Pass matching rows.")
    name = str(getattr(y, "name", None) or "y")
    while name in map(str, frame.columns):
        name += "_"
    return DataTable.of(frame.reset_index(drop=True).assign(**{name: labels}), target=name, form=form, **columns)


def _array(x: Any) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(x)
    except ValueError as problem:
        raise DataError("audit: rows of one length are required in X, got rows of different lengths. Pad or drop them.") from problem


def _loaded(part: Any) -> Any:
    """An array of an .npy file or of a tensor, or the data itself."""
    if not isinstance(part, str | Path):
        return part.numpy(force=True) if hasattr(part, "detach") else part
    path = Path(part).expanduser()
    if not path.is_file():
        raise DataError(f"audit: an .npy file is required, nothing is at {path}. Check the path.")
    try:
        return np.load(path, allow_pickle=False, mmap_mode="r")  # its header is held against the size of the file before anything is allocated
    except (OSError, ValueError, EOFError) as problem:
        reason = f"{type(problem).__name__}: {problem}".partition("\n")[0][:300]
        raise DataError(f"audit: a whole .npy file of numbers or plain text is required, got {reason} at {path}. Save it with numpy.save.") from problem


def _stacked(data: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """All inputs and labels of a map-style torch Dataset."""
    name, tensors = type(data).__name__, list(getattr(data, "tensors", ()))
    if len(tensors) == 2:  # a TensorDataset
        return tensors[0].numpy(force=True), tensors[1].numpy(force=True)
    with user_code(f"audit: {name}"):
        if len(data) == 0:
            raise DataError(f"audit: at least one example is required, {name} is empty. Check how it was made.")
        first = data[0]
        if not isinstance(first, list | tuple) or len(first) != 2:
            raise InvalidPart(f"audit: pairs (input, label) are required, an item of {name} is {type(first).__name__}. Wrap the data set.")
        require_room(4 * len(data) * np.asarray(first[0]).size, f"the items of {name}", "audit")
        pairs = [(np.asarray(x), np.asarray(label).item()) for x, label in (data[i] for i in range(len(data)))]
    shapes = sorted({x.shape for x, _ in pairs})
    if len(shapes) > 1:
        raise DataError(f"audit: inputs of one shape are required, {name} has {', '.join(map(str, shapes[:3]))}. Resize them in its transform.")
    return np.stack([x for x, _ in pairs]), np.array([label for _, label in pairs])
