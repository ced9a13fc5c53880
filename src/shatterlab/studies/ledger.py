"""What learning theory says of a model, on true and on random labels: each quantity, the bound that it gives, and the randomization test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shatterlab.analysis.naming import model as model_name
from shatterlab.core import Dataset, Learner, Row, Runtime, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.corruptions.partial_labels import TrueLabels
from shatterlab.design.experiment import Experiment
from shatterlab.learners.training import Training
from shatterlab.store.database import Store
from shatterlab.studies import ledger_runs as lines
from shatterlab.studies.answer import Answer
from shatterlab.studies.model_and_data import dataset as asked_for
from shatterlab.studies.model_and_data import learners
from shatterlab.studies.run import complete
from shatterlab.trials.trial import Trial, sample
from shatterlab.views import LedgerSummary, LedgerTable
from shatterlab.views.ledger_table import Entry

QUESTION = "Which quantity of learning theory tells the fit of true labels from the fit of random ones, and which bound says anything at all?"
SOURCE = "Zhang et al. 2017, section 2.2; Jiang et al. 2020 (measures)"


@dataclass(frozen=True)
class Ledger(Answer):
    """The ledger of a model of the user's.

    Args:
        experiment: what was asked.
        rows: one a trial.
        reproduce: the commands or calls that give it again.
    """

    @property
    def tables(self) -> tuple[LedgerTable, ...]:
        """One a model."""
        return tuple(view for view in self.experiment.views if isinstance(view, LedgerTable))

    @property
    def entries(self) -> Mapping[str, list[Entry]]:
        """What was found of each model, a quantity at a time."""
        return {table.title: table.entries(self.rows) for table in self.tables}

    @property
    def verdict(self) -> str:
        """The answer in plain words, a line a model."""
        return "\n".join(_said(name, entries) for name, entries in self.entries.items())


def _said(name: str, entries: Sequence[Entry]) -> str:
    measured = [entry for entry in entries if entry.measured]
    passing = [entry.quantity.name for entry in entries if entry.verdict == "passes"]
    bounds = [entry for entry in entries if entry.bounds[0] is not None]
    useful = [entry.quantity.name for entry in bounds if entry.vacuous is False]
    told = f"of {len(measured)} quantities, {len(passing)} tell random from true labels at equal training loss"
    return f"{name}: {told}; of {len(bounds)} bounds on true labels {len(useful)} are below chance" + (f" ({', '.join(useful)})." if useful else ".")


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
    on_row: Callable[[Row, int, int], None] | None = None,
    reproduce: Sequence[str] = (),
    **recipe: Any,
) -> Ledger:
    """Measures what learning theory says of a recipe on true and on random labels, with both fits ended at the same training loss.

    Args:
        model: a callable that makes a `torch.nn.Module`, "module:factory", the name of an architecture, a scikit-learn estimator or a Learner; None: an MLP
            and a small convolutional net.
        data: a Dataset, the name of one, an .npz file or a folder of class folders; None: 300 of scikit-learn's digits.
        replicates: fits on either kind of labels, >= 1; two are the least for an interval.
        draws: fits to random signs, >= 0.
        twins: pairs of fits that differ in one label, on either kind of labels, >= 0.
        codes: codes of the labels, on either kind, >= 0.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many were to do.
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
        >>> found = ledger(DecisionTreeClassifier(), Digits(examples=100, test_examples=50), replicates=2, draws=1, twins=0, codes=0)
        >>> next(each.verdict for each in found.entries["DecisionTreeClassifier"] if each.quantity.name == "VC dimension")
        'fails (blind)'
    """
    for name, value, least in (("replicates", replicates, 1), ("draws", draws, 0), ("twins", twins, 0), ("codes", codes, 0)):
        if value < least:
            raise InvalidPart(f"ledger: {name} is a whole number >= {least}, got {value!r}. {'Three' if least else 'Two'} are usual.")
    source = asked_for(data)
    train = sample(source, runtime, Seeds.replicate(0)).train
    recipes = [ended(each) for each in learners(model, len(train), "ledger", **recipe)]
    made = plan(named(recipes, source), source, lines.Effort(replicates, draws, twins, codes))
    rows = complete(made, store, workers, runtime, on_row)
    return Ledger(made, tuple(rows), tuple(reproduce))


def ended(learner: Learner) -> Learner:
    """The recipe, with a training loss to end at in place of any other goal."""
    return replace(learner, stop=lines.STOP) if isinstance(learner, Training) and isinstance(learner.stop, str) else learner


def named(recipes: Sequence[Learner], source: Dataset) -> dict[str, Learner]:
    """Each recipe by the short name of its model."""
    return {model_name(Trial(source, TrueLabels(), each).specification()): each for each in recipes}


def plan(contenders: Mapping[str, Learner], source: Dataset, effort: lines.Effort, **fields: Any) -> Experiment:
    """The ledger of these learners as an experiment: a summary, and a table a learner.

    Args:
        contenders: learners by name.
        source: the sample.
        effort: how often each kind of run is made.
        fields: of the `Experiment`, besides.
    """
    tables = tuple(lines.table(name, learner) for name, learner in contenders.items())
    views = (LedgerSummary(tables), *tables)
    return Experiment("ledger", SOURCE, QUESTION, lines.trials(source, contenders.values(), effort), views, **fields)
