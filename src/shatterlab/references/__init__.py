"""The published numbers of Zhang et al. 2017, as data: errors and accuracies are fractions."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shatterlab.core.errors import UnknownName

Status = Literal["verified", "digitized", "inferred", "secondary", "unverified"]


@dataclass(frozen=True)
class Reference:
    """One published number.

    Args:
        id: source, conditions and metric in one line.
        source: "table1" .. "table4", "figure1a" .. "figure2b", "section2.1", ...
        conditions: what it was measured under: data set, model, labels, label_corruption, ...
        metric: "test_accuracy", "test_error", "time_to_overfit_epochs", ...
        value: the number; a pair where a range is printed, true or false where the unit is "boolean".
        unit: "fraction", "epochs", "ratio_to_p0", "count", ...
        status: "verified" (printed), "digitized" (read from a figure, to about 1e-4), "inferred" (deduced).
        note: a caveat, or "".
    """

    id: str
    source: str
    conditions: Mapping[str, str | float | bool] = field(hash=False)
    metric: str
    value: float | bool | tuple[float, ...]
    unit: str
    status: Status
    note: str = ""


@functools.cache
def paper() -> Mapping[str, Any]:
    """Everything, as decoded from JSON once a process; not to be changed: meta, targets, curves, architectures, theory, kernels, claims, discrepancies, ..."""
    content: Mapping[str, Any] = json.loads(importlib.resources.files("shatterlab.references").joinpath("paper.json").read_text(encoding="utf-8"))
    return content


def published(source: str | None = None, *, metric: str | None = None, **conditions: str | float | bool) -> list[Reference]:
    """The published numbers of a table or figure that were measured under these conditions.

    Args:
        source: "table1", "figure1c", ... (None: all of them).
        metric: "test_error", "train_accuracy", ... (None: all of them).
        conditions: equalities, `model="inception", labels="random"`; a number without such a condition is left out.

    Returns:
        The references in the order of the paper; empty where nothing was published.

    Raises:
        UnknownName: no number has that source, that metric or such a condition; the nearest names are offered.

    Source:
        Zhang et al. 2017, arXiv 1611.03530v2.

    Example:
        >>> [each.value for each in published("table1", metric="test_accuracy", model="inception", labels="random")]
        [0.0978]
    """
    known = _references()
    _expect(source, {reference.source for reference in known})
    _expect(metric, {reference.metric for reference in known})
    for name in conditions:
        _expect(name, {name for reference in known for name in reference.conditions})
    fitting = [each for each in known if conditions.items() <= dict(each.conditions).items()]
    return [each for each in fitting if source in (None, each.source) and metric in (None, each.metric)]


def curves() -> Mapping[str, Any]:
    """The digitized curves by figure, "figure1a" .. "figure2b": axes, series, status."""
    return dict(paper()["curves"])


def _expect(name: str | None, known: set[str]) -> None:
    if name is not None and name not in known:
        raise UnknownName("references", name, known)


@functools.cache
def _references() -> tuple[Reference, ...]:
    frozen = ((target, target["value"]) for target in paper()["targets"])
    return tuple(Reference(**target | {"value": tuple(value) if isinstance(value, list) else value}) for target, value in frozen)
