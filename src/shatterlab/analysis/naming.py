"""What a person reads in place of columns: settings, models, headings, and numbers with their unit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

Columns = Mapping[str, Any]

_PIXELS = {"ShuffledPixels": "shuffled pixels", "RandomPixels": "random pixels", "GaussianPixels": "Gaussian pixels"}
_ORDER = ("true labels", "partially corrupted labels", "random labels", "partially permuted labels", "permuted labels", *_PIXELS.values())
_HEADINGS = {
    "train.accuracy": "training accuracy",
    "train.error": "training error",
    "train.loss": "training loss",
    "train.r2": "training R2",
    "test.r2": "test R2",
    "train.rmse": "training RMSE",
    "test.rmse": "test RMSE",
    "dataset.kind": "data set",
    "dataset.examples": "training examples",
    "learner.optimizer.lr": "learning rate",
    "fit.epochs": "epochs run",
    "fit.steps": "steps run",
    "fit.parameters": "parameters",
    "peak_memory": "peak memory in bytes",
}
_FRACTIONS = ("accuracy", "error", "gap")


class Setting(str):
    """The name of a setting, with the numbers behind it: a label is never read back.

    Args:
        name: as printed.
        place: in the order of the paper; after all of the paper's settings for others.
        level: the corruption level of partially corrupted labels; else None.
    """

    place: int
    level: float | None

    def __new__(cls, name: str, place: int = len(_ORDER), level: float | None = None) -> Setting:
        self = super().__new__(cls, name)
        self.place, self.level = place, level
        return self


def setting(row: Columns) -> Setting:
    """The setting of a row as the paper names it: "true labels", "random pixels".

    Args:
        row: columns with `corruption.kind` and, for labels, `corruption.level`.

    Returns:
        One of the six settings, a partial corruption with its level; for another corruption its own name in words.

    Example:
        >>> setting({"corruption.kind": "PartialLabels", "corruption.level": 0.5})
        'partially corrupted labels (0.5)'
    """
    kind, level = row.get("corruption.kind"), row.get("corruption.level")
    if kind == "PartialLabels" and isinstance(level, int | float):
        name = {0.0: "true labels", 1.0: "random labels"}.get(float(level))
        return Setting(name, _ORDER.index(name)) if name else Setting(f"partially corrupted labels ({level:g})", 1, float(level))
    if kind == "PermutedLabels" and isinstance(level, int | float):
        whole = float(level) == 1
        name = "permuted labels" if whole else f"partially permuted labels ({level:g})"
        return Setting(name, _ORDER.index("permuted labels") - (not whole), None if whole else float(level))
    if kind is None:
        return Setting("-")
    name = _PIXELS.get(str(kind)) or _words(str(kind))
    if level is not None:
        return Setting(f"{name} ({level:g})" if isinstance(level, int | float) else f"{name} ({level})")
    return Setting(name, _ORDER.index(name)) if name in _ORDER else Setting(name)


def model(row: Columns) -> str:
    """The short name of what was fitted: the architecture, the user's own factory or class, else the learner.

    Example:
        >>> model({"learner.kind": "Training", "learner.architecture.kind": "MLP"})
        'MLP'
    """
    architecture = row.get("learner.architecture.kind")
    if architecture is not None and architecture != "Imported":
        return str(architecture)
    factory = str(row.get("learner.architecture.factory", ""))
    if factory.startswith("live:"):
        return factory.removeprefix("live:").partition("#")[0].rpartition(".")[2]
    for column, value in row.items():
        names_code = column.startswith("learner.") and isinstance(value, str) and re.fullmatch(r'[^{\["]+:[A-Za-z_][\w.]*', value)
        if names_code and not column.endswith("fingerprint"):
            return str(value).rpartition(":")[2]
    return str(architecture or row.get("learner.kind") or "-")


def value_of(row: Columns, column: str) -> Any:
    """The value of a column, or of "setting", "model" and "replicate" (whether the four seeds are equal), which are made from several."""
    if column == "replicate":
        return len({row.get(f"seeds.{stream}") for stream in ("data", "corruption", "init", "order")}) == 1
    return setting(row) if column == "setting" else model(row) if column == "model" else row.get(column)


def heading(column: str) -> str:
    """The column as a heading: "test error", "epochs to loss 0.05"."""
    if column in _HEADINGS:
        return _HEADINGS[column]
    own = re.sub(r"^(learner\.)*", "", column.removesuffix(".kind"))  # a learner around another has its columns too
    if f"learner.{own}" in _HEADINGS:
        return _HEADINGS[f"learner.{own}"]
    own = own.removeprefix("architecture.").removeprefix("optimizer.")
    if own.startswith("fit."):
        return own.removeprefix("fit.").replace("_", " ")
    return " ".join(_words(step.replace("_", " ")) for step in own.removeprefix("measure.").split("."))


def is_fraction(column: str) -> bool:
    """Whether the column is an accuracy, an error or a gap, which is printed in percent."""
    own = column.rpartition(".")[2]
    return own in _FRACTIONS or own.endswith("_accuracy")


def number(value: float | None, column: str = "", unit: bool = True) -> str:
    """The value as printed: fractions in percent with one decimal, the rest with three significant digits."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if is_fraction(column):
        return f"{100 * value:.1f}" + (" %" if unit else "")
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-3 else f"{value:.1e}"


def with_interval(estimate: float, low: float, high: float, column: str = "") -> str:
    """An estimate with the ends of its interval, all to the second significant digit of the interval's half-width."""
    half = (high - low) / 2
    if is_fraction(column) or not math.isfinite(half) or half < 1e-6 or 0 < abs(estimate) < half / 100:
        return f"{number(estimate, column)} [{number(low, column, unit=False)}, {number(high, column, unit=False)}]"
    places = max(0, 1 - math.floor(math.log10(half)))
    return f"{estimate:,.{places}f} [{low:,.{places}f}, {high:,.{places}f}]"


def text_of(value: Any, column: str = "") -> str:
    """Any scalar of a row as printed."""
    if value is None:
        return "-"
    if isinstance(value, bool) or column.endswith(".batch_norm"):  # a store gives booleans back as 0 and 1
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value, column)
    if column.endswith(".augmentation"):
        return ", ".join(_words(part["kind"]) for part in json.loads(str(value))) or "none"
    return value if isinstance(value, str) else str(value)


def capital(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 trial", "2 trials"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _words(name: str) -> str:
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(word if word.isupper() and len(word) > 1 else word[:1].lower() + word[1:] for word in split.split())
