"""The ledger: quantities and bounds of learning theory for a model, on true and on random labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shatterlab.analysis.ledger import Entry
from shatterlab.analysis.naming import model as model_name
from shatterlab.core import Dataset, Learner, Runtime
from shatterlab.core.errors import InvalidPart
from shatterlab.corruptions.labels import TrueLabels
from shatterlab.design.experiment import Experiment
from shatterlab.learners.training import Training
from shatterlab.store.database import Store
from shatterlab.studies.ledger_runs import STOP, Effort, table, trials
from shatterlab.studies.run import OnRow, Study, StudyResult
from shatterlab.trials.trial import Trial
from shatterlab.views import LedgerSummary, LedgerTable

QUESTION = "Which quantity of learning theory tells the fit of true labels from the fit of random ones, and which bound says anything at all?"
SOURCE = "Zhang et al. 2017, section 2.2; Jiang et al. 2020 (measures)"


@dataclass(frozen=True)
class Ledger(StudyResult):
    """The ledger of a model of the user's own."""

    @property
    def tables(self) -> tuple[LedgerTable, ...]:
        """One a model."""
        return tuple(view for view in self.experiment.views if isinstance(view, LedgerTable))

    @property
    def entries(self) -> Mapping[str, list[Entry]]:
        """The lines of each model's table."""
        return {table.title: table.entries(self.rows) for table in self.tables}

    @property
    def verdict(self) -> str:
        """One line a model."""
        return "\n".join(_sentence(name, entries) for name, entries in self.entries.items())


def _sentence(name: str, entries: Sequence[Entry]) -> str:
    measured = [entry for entry in entries if entry.measured]
    passing = [entry.quantity.name for entry in entries if entry.verdict == "passes"]
    bounds = [entry for entry in entries if entry.bounds[0] is not None]
    useful = [entry.quantity.name for entry in bounds if entry.vacuous is False]
    test = f"of {len(measured)} quantities, {len(passing)} tell random from true labels at equal training loss"
    return f"{name}: {test}; of {len(bounds)} bounds on true labels {len(useful)} are below chance" + (f" ({', '.join(useful)})." if useful else ".")


def ledger(
    model: Any = None,
    data: Any = None,
    *,
    replicates: int = 3,
    draws: int = 2,
    twins: int = 2,
    codes: int = 2,
    store: Store | Path | str | None = None,
    workers: int = 0,
    runtime: Runtime = Runtime(),
    on_row: OnRow | None = None,
    reproduce: Sequence[str] = (),
    **recipe: Any,
) -> Ledger:
    """Measures quantities and bounds of learning theory on true and on random labels, with both fits ended at the same training loss.

    Args:
        model: a callable that returns a `torch.nn.Module`, "module:factory", the name of an architecture, a scikit-learn estimator or a Learner; None: an MLP
            and a small convolutional net.
        data: a Dataset, the name of one, an .npz file or a folder of class folders; None: 300 of scikit-learn's digits.
        replicates: fits on either kind of labels, >= 1; an interval takes two.
        draws: fits to random signs, >= 0.
        twins: pairs of fits that differ in one label, on either kind of labels, >= 0.
        codes: codes of the labels, on either kind, >= 0.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.
        reproduce: commands to print in the report.
        recipe: fields of `Training` for a torch model: `stop` (the training loss at which both fits end, by default 0.05), `epochs`, `batch_size`, ..., and
            `lr`.

    Raises:
        InvalidPart: a live module, an unknown kind of model or data, or a number out of range.
        DataError: the data is missing, damaged or unusable.
        UserCodeError: the factory fails.

    Source:
        Zhang et al. 2017, section 2.2.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> from shatterlab import Digits
        >>> result = ledger(DecisionTreeClassifier(), Digits(examples=100, test_examples=50), replicates=2, draws=1, twins=0, codes=0)
        >>> next(entry.verdict for entry in result.entries["DecisionTreeClassifier"] if entry.quantity.name == "VC dimension")
        'fails (blind)'
    """
    for name, value, least in (("replicates", replicates, 1), ("draws", draws, 0), ("twins", twins, 0), ("codes", codes, 0)):
        if value < least:
            raise InvalidPart(f"ledger: {name} is a whole number >= {least}, got {value!r}. {'Three' if least else 'Two'} are usual.")
    study = Study("ledger", model, data, recipe, store, workers, runtime, on_row, reproduce)
    learners = named([ended(learner) for learner in study.learners()], study.dataset)
    return study.result(Ledger, plan(learners, study.dataset, Effort(replicates, draws, twins, codes)))


def ended(learner: Learner) -> Learner:
    """The learner, stopped at a training loss where it would stop at another goal."""
    return replace(learner, stop=STOP) if isinstance(learner, Training) and isinstance(learner.stop, str) else learner


def named(learners: Sequence[Learner], data: Dataset) -> dict[str, Learner]:
    """Each learner by the short name of its model."""
    return {model_name(Trial(data, TrueLabels(), learner).specification()): learner for learner in learners}


def plan(learners: Mapping[str, Learner], data: Dataset, effort: Effort, **fields: Any) -> Experiment:
    """The ledger of these learners as an experiment: a summary, and a table a learner.

    Args:
        learners: learners by name.
        data: the data set.
        effort: the number of runs of each kind.
        fields: further fields of the `Experiment`.
    """
    tables = tuple(table(name, learner) for name, learner in learners.items())
    return Experiment("ledger", SOURCE, QUESTION, trials(data, learners.values(), effort), (LedgerSummary(tables), *tables), **fields)
