"""Judging measures of fits: do they rise with the generalization gap, within families of models that differ in one choice?"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

from shatterlab.analysis.ledger import Quantity
from shatterlab.analysis.naming import heading
from shatterlab.analysis.randomization_test import corrected, zhang_tests
from shatterlab.analysis.replicates import SPECIFICATION, distinct, ended_well, finite, matches
from shatterlab.analysis.summary import absence
from shatterlab.core import Row
from shatterlab.core.errors import DataError
from shatterlab.statistics import Interval, kendall_interval
from shatterlab.statistics.intervals import Values, confidence, numbers

Setting = Mapping[str, Hashable]
Array = np.ndarray[Any, np.dtype[Any]]

_RESAMPLES = 1_000
_HELD = 2  # axes that are held fixed at a time, and the least for whose absence nothing can be asked
_CLUSTERS_FROM = 5  # below it a resample has too few different outcomes


@dataclass(frozen=True)
class Judged:
    """How a measure fares, over all and in parts.

    Args:
        overall: the figure and its bootstrap interval.
        parts: the figure of each part: an axis, a set of axes, an environment.
        decisive: the part that decides the overall figure, where one does.
    """

    overall: Interval
    parts: Mapping[str, float]
    decisive: str | None = None


def granulated_tau(measure: Values, gap: Values, settings: Sequence[Setting], level: float = 0.95, rng: np.random.Generator | None = None) -> Judged:
    """Kendall's tau between trials that differ in one axis only, averaged over the settings of the others, then over the axes.

    Tau is the sum of sign(difference of measures) sign(difference of gaps) over pairs of trials that agree in all other axes, ties 0: a measure gains nothing
    from knowing the depth of a net. Replicates of one setting make no pairs with each other.

    Args:
        measure: one number a trial.
        gap: its generalization gap.
        settings: the axes of each trial by name: width, batch size, corruption level. Seeds are no axes.
        level: confidence, in (0, 1).
        rng: draws the resamples of whole settings; None: a fixed generator.

    Returns:
        `overall` in [-1, 1], 1 where the measure orders every group as the gap does; `parts`: each axis. NaN where no two trials differ in one axis only.

    Raises:
        DataError: no value, one that is not finite, lengths or axes that differ, or a level outside (0, 1).

    Source:
        Jiang et al. 2020, "Fantastic generalization measures and where to find them", equations 4 and 5.
    """
    pairs = _Pairs.of(measure, gap, settings, "granulated_tau", one_axis=True)
    group = _numbered([(axis, rest) for axis, rest, _ in pairs.families])
    of_group = [axis for axis, _ in dict.fromkeys((axis, rest) for axis, rest, _ in pairs.families)]

    def taus(weights: Array) -> dict[str, float]:
        total = np.bincount(group, weights, len(of_group))
        agreeing = np.bincount(group, weights * pairs.agreement, len(of_group))
        by_axis: dict[str, list[float]] = {}
        for axis, part, whole in zip(of_group, agreeing, total, strict=True):
            if whole:
                by_axis.setdefault(axis, []).append(part / whole)
        return {axis: float(np.mean(values)) for axis, values in by_axis.items()}

    return pairs.judged(taus, lambda parts: float(np.mean(list(parts.values()))), (-1.0, 1.0), level, rng)


def conditional_information(measure: Values, gap: Values, settings: Sequence[Setting], level: float = 0.95, rng: np.random.Generator | None = None) -> Judged:
    """The information that the order of two trials by the measure has on their order by the gap, beyond that of any two axes.

    I(V_measure; V_gap | U_S) / H(V_gap | U_S), the least over all sets S of at most two axes, where V is the sign of a difference and U_S the values of the
    axes S in both trials. It is 0 for a measure that only reads off an axis, 1 for one that decides the order; too large where cells hold few pairs.

    Args:
        measure: one number a trial.
        gap: its generalization gap.
        settings: the axes of each trial by name.
        level: confidence, in (0, 1).
        rng: draws the resamples of whole settings; None: a fixed generator.

    Returns:
        `overall` in [0, 1], `parts`: each set of axes ("" is none), `decisive`: the set with the least. NaN where no two trials differ in their gap.

    Raises:
        DataError: as in `granulated_tau`.

    Source:
        Jiang et al. 2020, section 4.2, equations 6 to 8.
    """
    pairs = _Pairs.of(measure, gap, settings, "conditional_information", one_axis=False)
    axes = sorted(settings[0])
    sets = [held for size in range(_HELD + 1) for held in itertools.combinations(axes, size)]
    both = [*pairs.settings, *((other, one) for one, other in pairs.settings)]  # each pair in both orders
    cells = {" + ".join(held): _numbered([tuple(tuple(one[axis] for axis in held) for one in pair) for pair in both]) for held in sets}
    first, second = (np.concatenate([sign, -sign]).astype(np.int64) for sign in pairs.signs)
    signs = (first + 1) * 3 + second + 1

    def information(weights: Array) -> dict[str, float]:
        twice = np.concatenate([weights, weights])
        shares = {name: _normalized(cell, signs, twice) for name, cell in cells.items() if twice.any()}
        return {name: share for name, share in shares.items() if not np.isnan(share)}

    return pairs.judged(information, lambda parts: min(parts.values()), (0.0, 1.0), level, rng, decisive=min)


def sign_errors(
    measure: Values, gap: Values, settings: Sequence[Setting], test_examples: int | None = None, level: float = 0.95, rng: np.random.Generator | None = None
) -> Judged:
    """How often a measure orders two trials wrongly, in the environment where it does worst.

    An environment changes one axis between two of its values: its sign error is the mean over such pairs of (1 - sign(difference of measures) sign(difference
    of gaps)) / 2; the robust sign error is the largest over environments. With `test_examples` a pair counts by how sure its order of gaps is,
    (1 - 2 exp(-n d^2 / 2))^2 for a difference d, 0 where that is negative.

    Args:
        measure: one number a trial.
        gap: its generalization gap, a fraction.
        settings: the axes of each trial by name.
        test_examples: n, on how many test examples gaps were measured, >= 1; None: every pair counts alike.
        level: confidence, in (0, 1).
        rng: draws the resamples of whole settings; None: a fixed generator.

    Returns:
        `overall` in [0, 1], 1/2 by chance, `parts`: each environment, `decisive`: the worst. The largest of noisy numbers tends to be too large.

    Raises:
        DataError: as in `granulated_tau`, or test_examples below 1.

    Source:
        Dziugaite et al. 2020, "In search of robust measures of generalization", section 4; its weights by Hoeffding's inequality.
    """
    if test_examples is not None and test_examples < 1:
        raise DataError(f"sign_errors: test_examples is a whole number >= 1 or None, got {test_examples}. Pass the size of the test split.")
    pairs = _Pairs.of(measure, gap, settings, "sign_errors", one_axis=True)
    names = [f"{axis}: {' / '.join(map(str, sorted(values, key=_in_order)))}" for axis, _, values in pairs.families]
    environment, distinct = _numbered(names), list(dict.fromkeys(names))
    sure = np.ones(len(names)) if test_examples is None else np.clip(1 - 2 * np.exp(-test_examples * pairs.gaps**2 / 2), 0, None) ** 2

    def errors(weights: Array) -> dict[str, float]:
        total = np.bincount(environment, weights * sure, len(distinct))
        wrong = np.bincount(environment, weights * sure * (1 - pairs.agreement) / 2, len(distinct))
        return {name: float(part / whole) for name, part, whole in zip(distinct, wrong, total, strict=True) if whole}

    return pairs.judged(errors, lambda parts: max(parts.values()), (0.0, 1.0), level, rng, decisive=max)


@dataclass(frozen=True)
class _Pairs:
    """All pairs of trials of different settings (i < j), or those that differ in one axis only."""

    clusters: int
    members: tuple[Array, Array]
    signs: tuple[Array, Array]
    gaps: Array
    settings: list[tuple[Setting, Setting]]
    families: list[tuple[str, tuple[Any, ...], frozenset[Hashable]]] = field(default_factory=list)

    @property
    def agreement(self) -> Array:
        return np.asarray(self.signs[0] * self.signs[1])

    @classmethod
    def of(cls, measure: Values, gap: Values, settings: Sequence[Setting], owner: str, *, one_axis: bool) -> _Pairs:
        values, gaps = numbers(measure, owner), numbers(gap, owner)
        if not len(values) == len(gaps) == len(settings):
            lengths = f"{len(values)}, {len(gaps)} and {len(settings)}"
            raise DataError(f"{owner}: as many measures, gaps and settings are required, got {lengths}. Take them from the same rows.")
        axes = sorted(settings[0])
        if any(sorted(setting) != axes for setting in settings):
            known = ", ".join(axes) or "none"
            raise DataError(f"{owner}: the same axes in every setting are required, got others than {known}. Name every axis for every trial.")
        values_of = [tuple(setting[axis] for axis in axes) for setting in settings]
        cluster = _numbered(values_of)
        kept, families = [], []
        for i, j in itertools.combinations(range(len(values)), 2):
            differing = [place for place, (one, other) in enumerate(zip(values_of[i], values_of[j], strict=True)) if one != other]
            if len(differing) == 1 or (differing and not one_axis):
                kept.append((i, j))
                place = differing[0]
                families.append((axes[place], values_of[i][:place] + values_of[i][place + 1 :], frozenset((values_of[i][place], values_of[j][place]))))
        first, second = np.array(kept, dtype=np.int64).reshape(-1, 2).T
        signs = (np.sign(values[second] - values[first]), np.sign(gaps[second] - gaps[first]))
        between = [(settings[i], settings[j]) for i, j in kept]
        return cls(int(cluster.max()) + 1, (cluster[first], cluster[second]), signs, np.abs(gaps[second] - gaps[first]), between, families)

    def judged(
        self,
        parts: Callable[[Array], dict[str, float]],
        combined: Callable[[dict[str, float]], float],
        limits: tuple[float, float],
        level: float,
        rng: np.random.Generator | None,
        decisive: Callable[..., str] | None = None,
    ) -> Judged:
        """The figure, and the percentile interval over resamples in which setting c comes m_c times and a pair m_c m_c' times."""
        confidence(level, "judging")
        figures = parts(np.ones(len(self.gaps)))
        if not figures:
            return Judged(Interval(float("nan"), *limits, level, "no pairs", self.clusters), {})
        estimate, deciding = combined(figures), decisive(figures, key=figures.get) if decisive else None
        if self.clusters < _CLUSTERS_FROM:
            return Judged(Interval(estimate, *limits, level, "too few settings", self.clusters), figures, deciding)
        counts = (rng or np.random.default_rng(0)).multinomial(self.clusters, [1 / self.clusters] * self.clusters, size=_RESAMPLES)
        resampled = [parts(count[self.members[0]] * count[self.members[1]].astype(np.float64)) for count in counts]
        values = [combined(figures) for figures in resampled if figures]
        low, high = (float(end) for end in np.quantile(values, [(1 - level) / 2, (1 + level) / 2]))
        return Judged(Interval(estimate, low, high, level, "bootstrap over settings", self.clusters), figures, deciding)


def _in_order(value: Hashable) -> tuple[bool, float, str]:
    return (False, float(value), "") if isinstance(value, int | float) else (True, 0.0, str(value))


def _numbered(names: Sequence[Hashable]) -> Array:
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([place[name] for name in names], dtype=np.int64)


def _normalized(cell: Array, signs: Array, weights: Array) -> float:
    """I(V; W | U) / H(W | U) of weighted pairs in cells U, `signs` being 3 (V + 1) + W + 1; NaN where H is 0."""
    table: Array = np.bincount(cell * 9 + signs, weights / weights.sum(), 9 * (int(cell.max()) + 1)).reshape(-1, 3, 3)
    measures, gaps = table.sum(2), table.sum(1)
    measure, gap, cells, both = (float(special.entr(part.ravel()).sum()) for part in (measures, gaps, gaps.sum(1), table))
    unknown = gap - cells
    return (measure + gap - cells - both) / unknown if unknown > 1e-12 else float("nan")


@dataclass(frozen=True)
class JudgedMeasure:
    """How one quantity fares.

    Args:
        quantity: which.
        trials: that have both it and a gap.
        tau: Kendall's, over all of them.
        granulated: Kendall's tau where one axis at a time differs.
        information: beyond any two axes, a share.
        sign_error: in the environment where it is worst.
        worst: that environment.
        zhang: verdicts of the randomization test, corrected and counted over settings; empty where rows have one kind of labels only.
        reason: why there is nothing.
    """

    quantity: Quantity
    trials: int = 0
    tau: Interval | None = None
    granulated: Interval | None = None
    information: Interval | None = None
    sign_error: Interval | None = None
    worst: str = ""
    zhang: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""


def comparable(rows: Iterable[Row], where: Mapping[str, Any]) -> tuple[list[Row], int]:
    """The trials that are judged: those with a gap that reached their training loss; and how many others match."""
    matching = distinct(row for row in rows if matches(row, where))
    kept = [row for row in matching if ended_well(row) and gap(row) is not None and row.get("fit.ended", "loss") == "loss"]
    return kept, len(matching) - len(kept)


def gap(row: Row) -> float | None:
    """Test error minus training error; None where either is not known."""
    test, train = row.get("test.error"), row.get("train.error")
    return float(test) - float(train) if isinstance(test, int | float) and isinstance(train, int | float) else None


def settings(rows: Sequence[Row]) -> list[dict[str, Hashable]]:
    """The axes of each trial by name: what differs between the specifications of the rows, seeds left out.

    Example:
        >>> rows = [Row({"learner.optimizer.lr": 0.1, "learner.architecture.hidden": "[64,64]"}), Row({"learner.optimizer.lr": 0.2})]
        >>> settings(rows)[0]
        {'hidden depth': 2, 'hidden width': 64, 'learning rate': 0.1}
    """
    specified = [{column: row[column] for column in row if column.startswith(SPECIFICATION) and not column.endswith(".fingerprint")} for row in rows]
    split = [dict(item for column, value in each.items() for item in _axes(column, value)) for each in specified]
    names = sorted({name for axes in split for name in axes})
    varied = [name for name in names if len({axes.get(name) for axes in split}) > 1]
    return [{name: axes.get(name) for name in varied} for axes in split]


def _axes(column: str, value: Any) -> list[tuple[str, Hashable]]:
    name = heading(column)
    items = json.loads(value) if isinstance(value, str) and value.startswith("[") else None
    if items and all(isinstance(item, int | float) for item in items) and len(set(items)) == 1:
        return [(f"{name} depth", len(items)), (f"{name} width", items[0])]
    return [(name, value)]


def judged_measure(quantity: Quantity, rows: Sequence[Row], axes: Sequence[Setting]) -> JudgedMeasure:
    """What comparable trials, of which each has its axes, say of a quantity."""
    pairs = [(row, setting) for row, setting in zip(quantity.rising(rows), axes, strict=True) if finite(row, quantity.column) is not None]
    if len(pairs) < 2 or not axes[0]:
        absent = next((reason for row in rows if (reason := absence(row, quantity.column))), "it is not recorded")
        return JudgedMeasure(quantity, len(pairs), reason="trials that differ in nothing cannot be ordered" if pairs else absent)
    known, of = [row for row, _ in pairs], [setting for _, setting in pairs]
    values, gaps = [finite(row, quantity.column) or 0.0 for row in known], [gap(row) or 0.0 for row in known]
    sizes = {row.get("test.n") for row in rows}
    errors = sign_errors(values, gaps, of, int(str(sizes.pop())) if len(sizes) == 1 and None not in sizes else None)
    levels = {row.get("corruption.level") for row in known if row.get("corruption.kind") == "PartialLabels"}
    return JudgedMeasure(
        quantity,
        len(known),
        kendall_interval(values, gaps, [tuple(setting.values()) for setting in of]),
        granulated_tau(values, gaps, of).overall,
        conditional_information(values, gaps, of).overall if len(axes[0]) > _HELD else None,
        errors.overall,
        errors.decisive or "",
        dict(Counter("fails" if quantity.of_class else test.verdict for test in corrected(zhang_tests(known, quantity.column))))
        if levels >= {0.0, 1.0}
        else {},
    )
