"""The audit's sentence on the gap between training and test accuracy: how much of it is memorization."""

from __future__ import annotations

from collections.abc import Sequence

from shatterlab.analysis.rrm import gap_parts
from shatterlab.core import Row
from shatterlab.statistics import clopper_pearson

_FROM = 3  # replicates, from which on the spread decides anything


def gap_sentence(rows: Sequence[Row]) -> str:
    """One sentence at the smallest level of the sweep that changed labels; "" where the gap or its part is not decided.

    The gap must exceed 0 over the replicates and over the examples of the test split. A memorization term above the gap is no part of it, since the terms
    then only bound the gap: the sentence says that memory is enough for it.

    Args:
        rows: of one model.
    """
    parts = min(gap_parts(rows), key=lambda each: each.level, default=None)
    n = max((int(str(row["test.n"])) for row in rows if row.get("test.n")), default=0)
    if parts is None or parts.replicates < _FROM or not n or {parts.gap.method, parts.memorization.method} != {"t"}:
        return ""
    gap, memory = parts.gap, parts.memorization
    if gap.low <= 0 or clopper_pearson(round(parts.test * n), n).high >= parts.test + gap.estimate:
        return ""
    points, where = f"{100 * gap.estimate:.1f}", f"with {100 * parts.level:.3g} % of the labels permuted"
    if memory.low >= gap.estimate:
        seen = f"it gives {100 * parts.noisy:.1f} % of the examples with a wrong label their true one, and {100 * parts.test:.1f} % of unseen examples"
        return f"Memory is enough to make the whole gap of {points} points between training and test: {where}, {seen}."
    if memory.low <= 0:
        return f"Of the {points}-point gap between training and test, none is shown to be memorization ({where})."
    if memory.estimate > gap.estimate:
        return ""
    share = f"{100 * memory.estimate:.1f} [{100 * memory.low:.1f}, {100 * memory.high:.1f}]"
    return f"Of the {points}-point gap between training and test, {share} are memorization ({where})."
