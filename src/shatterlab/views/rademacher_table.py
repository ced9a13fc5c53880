"""Lower bounds on Rademacher complexity from runs on random signs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shatterlab.analysis.naming import heading, text_of
from shatterlab.analysis.summary import grouped, selected, standing, summarize
from shatterlab.core.values import Row
from shatterlab.theory.rademacher import at_least, rademacher_bound
from shatterlab.views.grid import Grid


@dataclass(frozen=True)
class RademacherTable:
    """For each learner: the complexity of its class is at least x, with confidence 1 - delta, and what a bound with x certifies.

    Each trial is one draw: two classes, labels that are fair coins, inputs that all draws share. A draw reaches 1 - 2 training error. The mean of m
    draws less sqrt(2 ln(1/delta) / (n m)) is at most the expected supremum. It is no estimate: training may miss the supremum. The last column is the
    least that the Rademacher bound can say of any fit of this class: training error 0 + x + 3 sqrt(ln(2/delta) / 2n); at 0.5 and above it is vacuous.

    Args:
        rows: what makes a line, as in `Table`.
        delta: in (0, 1).
        where: only rows whose columns have these values.
        title: the heading.
    """

    rows: tuple[str, ...] = ("model",)
    delta: float = 0.05
    where: Mapping[str, Any] = field(default_factory=dict)
    title: str = "Empirical Rademacher complexity from below"

    def grid(self, rows: Iterable[Row]) -> Grid | None:
        """The table; None where no row matches."""
        signs = {"corruption.kind": "PartialLabels", "corruption.level": 1.0, "classes": 2, **self.where}
        chosen, notes = selected(rows, signs)
        lines = []
        for names, members in grouped(chosen, self.rows).items():
            good = [row for row in members if row.get("status", "ok") == "ok"]
            sizes = {row.get("train.n") for row in good}
            reached = [1 - 2 * error for error in summarize(good, "train.error").values]
            named = [text_of(name, column) for name, column in zip(names, self.rows, strict=True)]
            lines.append((*named, standing(members), *self._cells(reached, sizes)))
        headers = (*map(heading, self.rows), "draws", "mean reached", f"at least ({100 * (1 - self.delta):g} %)", "error bound of a perfect fit")
        return Grid(headers, tuple(lines), len(self.rows), tuple(notes)) if lines else None

    def _cells(self, reached: list[float], sizes: set[Any]) -> tuple[str, str, str]:
        if not reached or len(sizes) != 1:
            return "-", "-", "no draw" if not reached else "samples of several sizes"
        n = int(next(iter(sizes)))
        least = at_least(reached, n, self.delta)
        certificate = rademacher_bound(0.0, max(least, 0.0), n, self.delta)
        said = f"{certificate.bound:.3f}" + (" (vacuous)" if certificate.vacuous else "")
        return f"{sum(reached) / len(reached):.3f}", f"{least:.3f}", said

    def text(self, rows: Iterable[Row]) -> str:
        """The table for a terminal."""
        grid = self.grid(rows)
        return grid.text(self.title) if grid else f"{self.title}\n(no rows)"

    def spec(self, rows: Iterable[Row]) -> dict[str, Any] | None:
        """None: a table is no figure."""
        return None
