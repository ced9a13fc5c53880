"""The report as JSON, for other programs: verdict, numbers, rows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shatterlab import __version__
from shatterlab.analysis.replicates import unique
from shatterlab.core.values import Row
from shatterlab.report import sections

if TYPE_CHECKING:
    from shatterlab.design.experiment import Experiment

SCHEMA = "shatterlab.report/1"


def json_report(experiment: Experiment, rows: Iterable[Row], verdict: Sequence[str] = (), findings: Iterable[Any] = (), reproduce: Sequence[str] = ()) -> str:
    """The result of an experiment as one JSON object: what it is called, its verdict and findings, claims, tables, and the scalars of every row.

    Infinite numbers are the texts "inf" and "-inf", what is not a number is null.

    Args:
        experiment: its question, views and claims.
        rows: the results of its own trials; each key counts once.
        verdict: the answer in plain words, the main sentence first; without one the claims are counted.
        findings: dataclasses with the numbers behind the verdict.
        reproduce: the commands that make this report again.
    """
    rows = unique(rows)
    judged = sections.claims(experiment, rows)
    grids = [(view.title, view.grid(rows)) for view in experiment.views]
    report = {
        "schema": SCHEMA,
        "shatterlab": __version__,
        "name": experiment.name,
        "question": experiment.question,
        "source": experiment.source,
        "scale": experiment.scale,
        "verdict": list(verdict) or sections.headline(judged, rows),
        "findings": list(findings),
        "claims": judged,
        "tables": [{"title": title, "headers": grid.headers, "rows": grid.rows, "notes": grid.notes} for title, grid in grids if grid],
        "unfinished": sections.unfinished(experiment, rows),
        "rows": [dict(row) for row in rows],
        "reproduce": list(reproduce),
    }
    return json.dumps(plain_value(report), indent=1, allow_nan=False) + "\n"


def plain_value(value: Any) -> Any:
    """The value as JSON knows it: dataclasses are objects of their fields, arrays are lists, what is neither is its text.

    Example:
        >>> plain_value({"p": np.float64("nan"), "null": np.array([0.5, np.inf])})
        {'p': None, 'null': [0.5, 'inf']}
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain_value(inner) for name, inner in value.items()}
    if is_dataclass(value):
        return {field.name: plain_value(getattr(value, field.name)) for field in fields(value)}
    return [plain_value(inner) for inner in value] if isinstance(value, Iterable) else str(value)
