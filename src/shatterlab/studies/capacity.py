"""How many random labels a model swallows: effective model complexity, bits, and Cover's curve for the linear ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shatterlab.core import Corruption, Row, Runtime, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.corruptions.partial_labels import RandomLabels
from shatterlab.design.experiment import Experiment
from shatterlab.store.database import Store
from shatterlab.studies.answer import Answer
from shatterlab.studies.capacity_search import Search
from shatterlab.studies.capacity_verdict import Measured, measured
from shatterlab.studies.model_and_data import DIGITS, dataset, learners
from shatterlab.studies.run import complete
from shatterlab.trials.trial import Trial, sample
from shatterlab.views import Curve, FitProbability, Table

QUESTION = "Of how many examples can this recipe learn random labels, and how many bits is that for each parameter?"
SOURCE = "Nakkiran et al. 2020 (effective model complexity); Morris et al. 2025 (bits)"
_BITS = "measure.MemorizedBits"


@dataclass(frozen=True)
class Capacity(Answer):
    """The result of a measurement of capacity.

    Args:
        experiment: what was asked.
        rows: one a trial.
        reproduce: the commands or calls that give it again.
        searches: one a learner.
    """

    searches: tuple[Search, ...] = ()

    @property
    def findings(self) -> list[Measured]:
        """What was found of each learner."""
        return [measured(search.rows(self.rows), search.tolerance) for search in self.searches]

    @property
    def verdict(self) -> str:
        """The answer in plain words, a line a learner."""
        return "\n".join(each.text for each in self.findings)


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
    on_row: Callable[[Row, int, int], None] | None = None,
    reproduce: Sequence[str] = (),
    **recipe: Any,
) -> Capacity:
    """Searches for the largest sample whose random labels a recipe fits, and counts the bits that it then holds.

    Sizes double from `start` until one is not fitted, and one further; the gap above the largest fitted size is then looked through at three
    sizes at a time until it is small. A run that ends at its budget without a fit leaves a lower bound, never a capacity.

    Args:
        model: a callable that makes a `torch.nn.Module`, "module:factory", the name of an architecture, a scikit-learn
            estimator or a Learner; None: an MLP and a small convolutional net.
        data: a Dataset, the name of one, an .npz file or a folder of class folders; None: 300 of scikit-learn's digits.
        replicates: runs at each size, each with its own sample, labels and initial weights, >= 1.
        start: the first size, >= 1.
        resolution: the gap above the largest fitted size that may remain, as a share of it, > 0.
        tolerance: the largest training error that counts as a fit, a fraction in [0, 1).
        corruption: of the labels; `TrueLabels()` gives the complexity on true labels.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many were to do.
        reproduce: commands to print in the report.
        recipe: fields of `Training` for a torch model: `epochs` (by default 1,000), `batch_size` (64), ..., and `lr` (0.01).

    Raises:
        InvalidPart: a live module, an unknown kind of model or data, or a number out of range.
        DataError: the data is missing, damaged or unusable.
        UserCodeError: the factory fails.

    Source:
        Nakkiran et al. 2020, "Deep double descent", definition 1.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> found = capacity(DecisionTreeClassifier(max_leaf_nodes=2), replicates=2, start=4)  # a single split tells two labels apart
        >>> found.findings[0].complexity.n <= 4
        True
    """
    _require(replicates, start, resolution, tolerance)
    source = dataset(data)
    train = sample(source, runtime, Seeds.replicate(0)).train
    recipes = learners(model, min(len(train), DIGITS), "capacity", **recipe)
    searches = tuple(Search(source, each, len(train), start, replicates, resolution, tolerance, corruption) for each in recipes)
    experiment = plan(searches, views(tolerance))
    rows = complete(experiment, store, workers, runtime, on_row)
    return Capacity(experiment, tuple(rows), tuple(reproduce), searches)


def _require(replicates: int, start: int, resolution: float, tolerance: float) -> None:
    checks = (
        (replicates >= 1, "replicates is a whole number >= 1", replicates, "Three give an interval"),
        (start >= 1, "start is a whole number >= 1", start, "16 is usual"),
        (resolution > 0, "resolution is a share > 0", resolution, "0.1 leaves a gap of a tenth"),
        (0 <= tolerance < 1, "tolerance is a training error in [0, 1)", tolerance, "0 asks for every label"),
    )
    for good, required, got, remedy in checks:
        if not good:
            raise InvalidPart(f"capacity: {required}, got {got!r}. {remedy}.")


def plan(searches: Sequence[Search], views: tuple[Any, ...], fixed: Iterable[Trial] = (), **fields: Any) -> Experiment:
    """Searches as one experiment: their first sizes and fixed trials to begin with, the rest on seeing rows.

    Args:
        searches: each goes its own way.
        views: what to show.
        fixed: trials that are run whatever the rows say.
        fields: of the `Experiment`, in place of a plain measurement's.
    """
    trials = [trial for search in searches for trial in search.first()] + list(fixed)

    def propose(rows: Sequence[Row]) -> tuple[Trial, ...]:
        return tuple(trial for search in searches for trial in search.propose(rows))

    made = Experiment("capacity", SOURCE, QUESTION, tuple({trial.key: trial for trial in trials}.values()), views, propose=propose)
    return replace(made, **fields)


def views(tolerance: float = 0.0) -> tuple[Any, ...]:
    """P(fit) and training error against size, and the bits of the labels."""
    return (
        FitProbability(("model",), tolerance),
        Curve("train.n", "train.error", by="model", title="Training error on random labels"),
        Table(("model", "train.n"), ("train.error", f"{_BITS}.bits", f"{_BITS}.per_parameter", f"{_BITS}.share"), title="Bits of the labels that are held"),
    )
