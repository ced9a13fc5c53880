"""Capacity: the largest sample whose random labels a recipe fits, and the bits it memorizes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shatterlab.analysis.capacity import attempts
from shatterlab.analysis.naming import model as model_name
from shatterlab.core import Corruption, Dataset, Learner, Measure, Row, Runtime, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.corruptions.labels import RandomLabels
from shatterlab.design.experiment import Experiment, once
from shatterlab.measures.memorized_bits import MemorizedBits
from shatterlab.store.database import Store
from shatterlab.studies.model_and_data import DIGITS
from shatterlab.studies.run import OnRow, Study, StudyResult
from shatterlab.theory.capacity import Attempts, Complexity, effective_complexity, next_sizes
from shatterlab.theory.vc import VCDimension, fitted_vc_dimension
from shatterlab.trials.trial import Trial
from shatterlab.views import Curve, FitProbability, Table

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
    name = model_name(rows[0]) if rows else "-"
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


QUESTION = "Of how many examples can this recipe learn random labels, and how many bits is that for each parameter?"
SOURCE = "Nakkiran et al. 2020 (effective model complexity); Morris et al. 2025 (bits)"


@dataclass(frozen=True)
class Search:
    """The search for the largest sample that a learner fits: which trials come next is a pure function of rows.

    Args:
        dataset: the data set to draw samples from; its `examples` is replaced.
        learner: the learner to fit.
        limit: the number of training examples in the data set, >= 1.
        start: the first size, >= 1.
        replicates: runs at each size, each with its own sample, labels and initial weights, >= 1.
        resolution: the gap above the largest fitted size that may remain, as a share of it.
        tolerance: the largest training error that counts as a fit.
        corruption: corruption of the labels; random by default.
        measures: measures of every fit.
    """

    dataset: Dataset
    learner: Learner
    limit: int
    start: int = 16
    replicates: int = 3
    resolution: float = 0.1
    tolerance: float = 0.0
    corruption: Corruption = RandomLabels()
    measures: tuple[Measure, ...] = (MemorizedBits(),)

    def trials(self, n: int) -> tuple[Trial, ...]:
        """The replicates at this size."""
        sampled = replace(self.dataset, examples=n)
        return tuple(Trial(sampled, self.corruption, self.learner, Seeds.replicate(r), self.measures) for r in range(self.replicates))

    def first(self) -> tuple[Trial, ...]:
        """The trials that the search begins with."""
        return self.trials(min(self.start, self.limit))

    def propose(self, rows: Iterable[Row]) -> tuple[Trial, ...]:
        """The trials to run after these rows; none where the search is done. Rows of other searches are ignored."""
        known = {str(row["key"]): row for row in rows}
        tried: list[Attempts] = []
        proposed: list[Trial] = []
        sizes = [min(self.start, self.limit)]
        while sizes and not proposed:  # where every replicate of these sizes has a row, go on to the next sizes
            for n in sizes:
                trials = self.trials(n)
                proposed += [trial for trial in trials if trial.key not in known]
                tried.append(self._attempts(n, [known[trial.key] for trial in trials if trial.key in known]))
            sizes = list(next_sizes(tried, self.start, self.limit, self.resolution))
        return tuple(proposed)

    def rows(self, rows: Iterable[Row]) -> list[Row]:
        """The rows that belong to this search, of any size."""
        parts = {"learner": self.learner, "corruption": self.corruption, "dataset": replace(self.dataset, examples=None)}
        where = {column: value for name, part in parts.items() for column, value in part.columns(name).items() if column != "dataset.examples"}
        return [row for row in rows if all(row.get(column) == value for column, value in where.items())]

    def _attempts(self, n: int, rows: Sequence[Row]) -> Attempts:
        known = attempts(rows, self.tolerance)
        return replace(known[0], n=n) if known else Attempts(n, 0, 0)


@dataclass(frozen=True, repr=False)
class Capacity(StudyResult):
    """The capacity of each learner.

    Args:
        searches: one a learner; the other fields are those of `StudyResult`.
    """

    searches: tuple[Search, ...] = ()

    @property
    def findings(self) -> list[Measured]:
        """The capacity of each learner, with its uncertainty."""
        return [measured(search.rows(self.rows), search.tolerance) for search in self.searches]

    @property
    def verdict(self) -> str:
        """One line a learner."""
        return "\n".join(finding.text for finding in self.findings)


def capacity(
    model: Any = None,
    data: Any = None,
    *,
    replicates: int = 5,
    start: int = 16,
    resolution: float = 0.1,
    tolerance: float = 0.0,
    corruption: Corruption = RandomLabels(),
    store: Store | Path | str | None = None,
    workers: int = 0,
    runtime: Runtime = Runtime(),
    on_row: OnRow | None = None,
    reproduce: Sequence[str] = (),
    progress: bool | None = None,
    **recipe: Any,
) -> Capacity:
    """Searches for the largest sample whose random labels a recipe fits, and counts the bits that it then holds.

    Sizes double from `start` until one is not fitted, and once more; the gap above the largest fitted size is then searched at three
    sizes at a time until it is small. A run that ends at its budget without a fit leaves a lower bound, never a capacity.

    Args:
        model: a callable that returns a `torch.nn.Module`, "module:factory", the name of an architecture, a scikit-learn
            estimator or a Learner; None: an MLP and a small convolutional net.
        data: a Dataset, the name of one, an .npz file or a folder of class folders; None: 300 of scikit-learn's digits.
        replicates: runs at each size, each with its own sample, labels and initial weights, >= 1.
        start: the first size, >= 1.
        resolution: the gap above the largest fitted size that may remain, as a share of it, > 0.
        tolerance: the largest training error that counts as a fit, a fraction in [0, 1).
        corruption: corruption of the labels; `TrueLabels()` gives the complexity on true labels.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.
        reproduce: commands to print in the report.
        progress: whether progress is shown on standard error where there is no on_row; None: on a terminal and in a notebook.
        recipe: fields of `Training` for a torch model: `epochs` (by default 1,000), `batch_size` (64), ...; of its optimizer: `lr` (0.01), ....

    Raises:
        InvalidPart: a live module, an unknown kind of model or data, or a number out of range.
        DataError: the data is missing, damaged or unusable.
        UserCodeError: the factory fails.

    Source:
        Nakkiran et al. 2020, "Deep double descent", definition 1.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> result = capacity(DecisionTreeClassifier(max_leaf_nodes=2), replicates=2, start=4)  # a single split tells two labels apart
        >>> result.findings[0].complexity.n <= 4
        True
    """
    checks = (
        (replicates >= 1, "replicates is a whole number >= 1", replicates, "Three give an interval"),
        (start >= 1, "start is a whole number >= 1", start, "16 is usual"),
        (resolution > 0, "resolution is a share > 0", resolution, "0.1 leaves a gap of a tenth"),
        (0 <= tolerance < 1, "tolerance is a training error in [0, 1)", tolerance, "0 asks for every label"),
    )
    for good, required, got, remedy in checks:
        if not good:
            raise InvalidPart(f"capacity: {required}, got {got!r}. {remedy}.")
    study = Study("capacity", model, data, recipe, store, workers, runtime, on_row, reproduce, progress)
    searches = tuple(
        Search(study.dataset, learner, len(study.train), start, replicates, resolution, tolerance, corruption) for learner in study.learners(most=DIGITS)
    )
    return study.result(Capacity, plan(searches, views(tolerance)), searches=searches)


def plan(searches: Sequence[Search], views: tuple[Any, ...], fixed: Iterable[Trial] = (), **fields: Any) -> Experiment:
    """Searches as one experiment: their first sizes and the fixed trials, then what the searches propose.

    Args:
        searches: one a learner, independent of each other.
        views: figures and tables.
        fixed: trials that are run whatever the rows say.
        fields: fields of the `Experiment` to replace.
    """
    trials = [trial for search in searches for trial in search.first()] + list(fixed)

    def propose(rows: Sequence[Row]) -> tuple[Trial, ...]:
        return tuple(trial for search in searches for trial in search.propose(rows))

    return replace(Experiment("capacity", SOURCE, QUESTION, once(trials), views, propose=propose), **fields)


def views(tolerance: float = 0.0) -> tuple[Any, ...]:
    """P(fit) and training error against sample size, and memorized bits."""
    return (
        FitProbability(("model",), tolerance),
        Curve("train.n", "train.error", by="model", title="Training error on random labels"),
        Table(("model", "train.n"), ("train.error", f"{BITS}.bits", f"{BITS}.per_parameter", f"{BITS}.share"), title="Bits of the labels that are held"),
    )
