"""The verdict on one learner's capacity, in plain words and with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shatterlab.analysis.capacity import attempts
from shatterlab.analysis.naming import model
from shatterlab.core import Row
from shatterlab.theory.capacity import Attempts, Complexity, effective_complexity
from shatterlab.theory.vc import VCDimension, fitted_vc_dimension

BITS = "measure.MemorizedBits"


@dataclass(frozen=True)
class Bits:
    """The memorized bits at the sample size where they are most, as means over replicates.

    Args:
        n: the sample size.
        bits: bits of all labels.
        per_parameter: bits for each parameter; None where parameters cannot be counted.
        runs: the number of replicates.
    """

    n: int
    bits: float
    per_parameter: float | None
    runs: int


@dataclass(frozen=True)
class Measured:
    """The capacity of one learner.

    Args:
        model: its name.
        curve: fits among the replicates at each size, sizes ascending.
        complexity: the largest fitted size, or a bound of it.
        bits: the most that it memorizes; None where the learner gives no probabilities.
        no_bits: why there are none.
        vc_dimension: the experimental one; None where there are not two classes.
    """

    model: str
    curve: tuple[Attempts, ...]
    complexity: Complexity
    bits: Bits | None
    no_bits: str
    vc_dimension: VCDimension | None

    @property
    def text(self) -> str:
        """The model's name and the verdict in one line."""
        return f"{self.model}: {'; '.join(self._sentences())}."

    def _sentences(self) -> list[str]:
        sentences = [self.complexity.text]
        largest = next((size for size in self.curve if size.n == self.complexity.n), None)
        if largest is not None:
            interval = largest.interval()
            sentences.append(f"{largest.fitted} of {largest.runs} fit there (P(fit) {interval.low:.2f} to {interval.high:.2f} at 95 %)")
        if self.bits is not None:
            per_parameter = "" if self.bits.per_parameter is None else f", {self.bits.per_parameter:.3g} a parameter"
            sentences.append(f"it holds at most {self.bits.bits:,.0f} bits of the labels (at {self.bits.n:,}{per_parameter})")
        elif self.no_bits:
            sentences.append(f"bits: {self.no_bits}")
        if self.vc_dimension is not None:
            sign, off = (">=", "") if self.vc_dimension.lower_bound else ("about", f" (off the formula by {self.vc_dimension.residual:.2f})")
            sentences.append(f"experimental VC dimension {sign} {self.vc_dimension.h:,.3g}{off}")
        return sentences


def measured(rows: Sequence[Row], tolerance: float) -> Measured:
    """The capacity of one learner on one data set.

    Args:
        rows: any number, of any sizes and seeds.
        tolerance: the largest training error that counts as a fit.
    """
    curve = attempts(rows, tolerance)
    ended = [row for row in rows if row.get("status") == "ok"]
    reason = next((str(row[f"{BITS}.reason"]) for row in ended if row.get(f"{BITS}.reason")), "")
    name = model(rows[0]) if rows else "-"
    return Measured(name, tuple(curve), effective_complexity(curve), most_bits(ended), reason, _vc_dimension(ended))


def most_bits(rows: Iterable[Row]) -> Bits | None:
    """The size with the largest mean of memorized bits; sizes where a replicate has minus infinity are left out."""
    sizes: dict[int, list[Row]] = {}
    for row in rows:
        if isinstance(row.get(f"{BITS}.bits"), int | float):
            sizes.setdefault(int(str(row["train.n"])), []).append(row)
    means = [_mean_bits(n, members) for n, members in sizes.items()]
    return max((mean for mean in means if math.isfinite(mean.bits)), key=lambda mean: mean.bits, default=None)


def _mean_bits(n: int, rows: Sequence[Row]) -> Bits:
    bits, shares = ([value for row in rows if isinstance(value := row.get(f"{BITS}.{name}"), int | float)] for name in ("bits", "per_parameter"))
    return Bits(n, math.fsum(bits) / len(bits), math.fsum(shares) / len(shares) if len(shares) == len(rows) else None, len(rows))


def _vc_dimension(rows: Sequence[Row]) -> VCDimension | None:
    """From mean training errors on random labels of two classes; sizes with a censored replicate are left out."""
    if {row.get("classes") for row in rows} != {2} or {row.get("corruption.level") for row in rows} != {1.0}:
        return None
    censored = {row["train.n"] for row in rows if row.get("fit.censored")}
    errors: dict[int, list[float]] = {}
    for row in rows:
        if row["train.n"] not in censored and int(str(row["train.n"])) >= 2:
            errors.setdefault(int(str(row["train.n"])), []).append(float(str(row["train.error"])))
    if not errors:
        return None
    deviations = [abs(1 - 2 * math.fsum(values) / len(values)) for values in errors.values()]
    return fitted_vc_dimension([n / 2 for n in errors], deviations)
