"""What runs say of a learner's capacity: how often it fits a sample of each size, and its Rademacher complexity from below."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shatterlab.analysis.replicates import by, ended_well
from shatterlab.analysis.summary import summarize
from shatterlab.core import Row
from shatterlab.theory.capacity import Attempts
from shatterlab.theory.rademacher import at_least, rademacher_bound


def attempts(rows: Iterable[Row], tolerance: float = 0.0) -> list[Attempts]:
    """What the replicates at each sample size came to; a run fits where its training error is at most the tolerance.

    A run that did not fit and ended at its budget (`fit.censored`), or that diverged, is undecided; failed runs are left out.

    Args:
        rows: of one configuration but for size and seeds; rows without a size count at the size in their configuration.
        tolerance: a fraction in [0, 1).
    """
    sizes = by((row for row in rows if _size(row) is not None), lambda row: _size(row) or 0)
    outcomes = {n: [_outcome(row, tolerance) for row in sizes[n] if row.get("status", "ok") != "failed"] for n in sorted(sizes)}
    return [Attempts(n, len(each), each.count("fitted"), each.count("undecided")) for n, each in outcomes.items()]


def _size(row: Row) -> int | None:
    n = row.get("train.n") or row.get("dataset.examples")
    return int(n) if isinstance(n, int | float) else None


def _outcome(row: Row, tolerance: float) -> str:
    error, diverged = row.get("train.error"), row.get("status") == "diverged"
    if isinstance(error, int | float) and error <= tolerance and not diverged:
        return "fitted"
    return "undecided" if diverged or row.get("fit.censored") else "not fitted"


@dataclass(frozen=True)
class SignDraws:
    """What fits of random signs say of the Rademacher complexity of a class.

    Args:
        reached: 1 - 2 training error of each draw.
        least: the complexity is at least this, with confidence 1 - delta; None where the draws give no bound.
        bound: the Rademacher bound on the error of a perfect fit is at least this, since the complexity is at least `least`; no bound itself. None likewise.
        vacuous: whether the Rademacher bound is known to be no better than guessing.
        reason: why there is no bound.
    """

    reached: tuple[float, ...] = ()
    least: float | None = None
    bound: float | None = None
    vacuous: bool = False
    reason: str = ""


def sign_draws(rows: Iterable[Row], delta: float) -> SignDraws:
    """The lower bound from the draws that ended well.

    Args:
        rows: of one learner; labels are fair coins, inputs are shared by all draws.
        delta: in (0, 1).
    """
    good = [row for row in rows if ended_well(row)]
    reached = tuple(1 - 2 * error for error in summarize(good, "train.error").values)
    sizes: set[Any] = {row.get("train.n") for row in good}
    if not reached or len(sizes) != 1:
        return SignDraws(reached, reason="samples of several sizes" if reached else "no draw")
    n = int(sizes.pop() or 0)
    least = at_least(reached, n, delta)
    certificate = rademacher_bound(0.0, max(least, 0.0), n, delta)
    return SignDraws(reached, least, certificate.bound, certificate.vacuous)
