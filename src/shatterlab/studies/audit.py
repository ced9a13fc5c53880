"""The audit: is my score real, and how much of what my model shows in training could be memory?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shatterlab.analysis.data_findings import DataFinding, findings_in
from shatterlab.analysis.metric import Metric
from shatterlab.analysis.naming import capital, heading
from shatterlab.analysis.naming import model as model_name
from shatterlab.core import Row, Runtime, Seeds
from shatterlab.core.errors import DataError, printable
from shatterlab.design.experiment import Experiment
from shatterlab.learners.streamed_training import StreamedTraining
from shatterlab.learners.training import Training
from shatterlab.store.database import Store
from shatterlab.studies.audit_plan import LEVELS, AuditPlan
from shatterlab.studies.audit_verdict import Finding, findings, verdict
from shatterlab.studies.model_and_data import dataset, recipe_text, with_task
from shatterlab.studies.model_findings import constant_answers, model_findings
from shatterlab.studies.run import OnRow, Study, StudyResult
from shatterlab.trials.trial import sample
from shatterlab.views import Curve, LearningCurves, Table, TrueAndPermuted

QUESTION = "Is the score real, and how much of what the model shows on its training data could be memory?"
_LEAKS = ("equal across splits", "one column gives the label")
_OF_MODEL = ("softmax before the loss", "sigmoid before the loss", "constant scores", "one answer")
_REPLICATES = {"replicate": True}  # without the further permutations of the first one
_SWEEP = _REPLICATES | {"corruption.kind": ("PartialLabels", "PermutedLabels")}


@dataclass(frozen=True, repr=False)
class Audit(StudyResult):
    """The result of an audit.

    Args:
        data_findings: what is wrong with the data, seen before anything was trained.
        permutations: planned at most.
        least: a bound on every p-value: 1 over the arrangements of the labels.
        notes: how the test split was parted, and how networks were trained where the recipe is this package's: one sentence each.
    """

    data_findings: tuple[DataFinding, ...] = ()
    permutations: int = 0
    least: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        """The verdict on each model."""
        return findings(self.rows, self.permutations, any(found.kind in _LEAKS for found in self.data_findings), self.least)

    @property
    def p_value(self) -> float | None:
        """Of the permutation test of the only model, or the largest of several; None where it was left out."""
        values = [finding.p_value for finding in self.findings]
        return None if not values or None in values else max(filter(None, values))

    @property
    def verdict(self) -> str:
        """The sentences on one model, or a summary and a line each for several; then what was found in data and model, the split, whose recipe it was."""
        seen = [*self.data_findings, *constant_answers(self.rows)]
        told = [f"{'The model' if found.kind in _OF_MODEL else 'In the data'}: {printable(found.sentence)}" for found in seen]
        return "\n".join([*verdict(self.findings), *told, *map(printable, self.notes)])


def audit(
    model: Any = None,
    data: Any = None,
    *,
    target: str | None = None,
    group: str | None = None,
    time: str | None = None,
    split: str | None = None,
    replicates: int | None = None,
    levels: Sequence[float] = LEVELS,
    permutations: int | None = None,
    budget: float | None = None,
    quick: bool = False,
    store: Store | Path | str | None = None,
    workers: int = 0,
    runtime: Runtime = Runtime(),
    on_row: OnRow | None = None,
    progress: bool | None = None,
    tell: Callable[[str], object] | None = print,
    reproduce: Sequence[str] = (),
    **recipe: Any,
) -> Audit:
    """Trains the same model on true and on permuted labels, and says whether its score is real and how much of it could be memory.

    The first replicate's labels are permuted again and again: an exact permutation test of the whole training, with the test split as it is. A sweep permutes
    a part of the labels only, and images are shuffled or replaced by noise as in the paper.

    Args:
        model: a callable that returns a `torch.nn.Module`, "module:factory", the name of an architecture, a
            scikit-learn estimator or a Learner; None: an MLP and a small convolutional net.
        data: a Dataset, the name of one, an .npz, .csv or .parquet file, a folder of class folders, a data frame, a pair (X, y) of arrays, frames, lists or
            .npy files, or a torch Dataset of pairs; None: scikit-learn's digits.
        target: of a table, the column with the classes.
        group: of a table, the column whose values each stay in one split; labels are then permuted between or within groups.
        time: of a table, the column by which the latest quarter of the rows is the test split; labels are then shifted in time.
        split: of a table, the column that says "train" or "test".
        replicates: runs of each setting, each with its own labels, initial weights and order, >= 1; None: 5, or fewer where a training takes long.
        levels: in [0, 1], the shares of the labels that are permuted; 0 (true labels) and 1 (all) are always added.
        permutations: at most, >= 19 or 0 for no test; None: 39 to 999, as many as about a minute allows. It ends as soon as p must exceed 0.05.
        budget: seconds that the trainings may take (starting and the report come on top), > 0, which choose replicates and permutations where these are None.
        quick: true and permuted labels only, with as many permutations as ten seconds of training allow, 19 at least.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.
        progress: whether progress is shown on standard error where there is no on_row; None: on a terminal and in a notebook.
        tell: gets the plan, how long it takes and what it can decide, after the first trials; None: nobody.
        reproduce: commands to print in the report.
        recipe: fields of `Training` for a torch model: `epochs` (by default 100, or 5,000 steps where these are
            more), `batch_size` (64), `stop`, ..., and `lr` (0.01; 0.05 for the two default nets).

    Raises:
        InvalidPart: a live module, an unknown kind of model or data, or a field out of range.
        DataError: the data is missing, damaged or unusable, or no label can change its place.
        UserCodeError: the factory fails.

    Source:
        Zhang et al. 2017, section 2; Ojala, Garriga 2010, "Permutation tests for studying classifier performance", Test 1.
    """
    source = with_task(dataset(data, target=target, group=group, time=time, split=split), model)
    study = Study("audit", model, source, recipe, store, workers, runtime, on_row, reproduce, progress)
    splits = sample(study.dataset, runtime, Seeds.replicate(0))
    options = {"levels": tuple(map(float, levels)), "permutations": permutations, "budget": budget, "quick": quick, "workers": workers}
    plan = AuditPlan(tuple(study.learners()), study.dataset, splits, replicates, **options)  # type: ignore[arg-type]
    if plan.least == 1:
        reason = "labels are equal wherever they may change places"
        raise DataError(f"audit: labels that can be permuted are required, got none: {reason}. The smallest possible p is 1. Take other groups.")
    told: list[str] = []

    def announce(rows: Sequence[Row]) -> None:
        if tell is not None and not told:
            told.append(plan.text(rows))
            tell(told[0])

    rows = study.rows(experiment(plan), announce)
    learners = plan.learners
    found = [*findings_in(splits), *(finding for learner in learners for finding in model_findings(learner, splits, runtime=runtime))]
    notes = tuple(filter(None, (splits.split_text, *(recipe_text(learner, splits.train.shape) for learner in learners))))
    permutations = plan.chosen(rows).permutations
    return Audit(experiment(plan, permutations), tuple(rows), tuple(reproduce), tuple(found), permutations, plan.least, notes)


def experiment(plan: AuditPlan, permutations: int = 0) -> Experiment:
    """An audit as an experiment: a first pair of trials, and the rest as the plan proposes; `permutations` at most are drawn."""
    trials = plan.first
    models = list(dict.fromkeys(model_name(trial.specification()) for trial in trials))
    epochs = any(isinstance(learner, Training | StreamedTraining) for learner in plan.learners)
    metric = plan.metric
    answers = [TrueAndPermuted(model=model, planned=max(1, permutations), metric=metric.name, least=plan.least) for model in models]
    views = (*answers, *(_views(models, epochs, metric, swept=not plan.quick and bool(plan.inner))))
    return Experiment("audit", "Zhang et al. 2017, section 2; Ojala, Garriga 2010", QUESTION, trials, views, propose=plan)


def _views(models: Sequence[str], epochs: bool, metric: Metric, swept: bool) -> tuple[Any, ...]:
    time, labels = "fit.epochs_to_interpolation", metric.labels
    columns = (metric.column("train"), metric.column("test"), *((time,) if epochs else ()))
    keys = ("model", "setting") if len(models) > 1 else ("setting",)
    table = Table(rows=keys, columns=columns, title="The settings", where=_REPLICATES, aside=True)
    outcome = "test.error" if metric.name == "accuracy" else "test.rmse"
    error = Curve(x="corruption.level", y=outcome, by="model", title=f"{capital(heading(outcome))} against the share of permuted {labels}", where=_SWEEP)
    if not epochs:
        return (error, table) if swept else (table,)
    learning = [
        LearningCurves(y=y, by="setting", title=f"{name} of {model}", where=_REPLICATES | {"model": model}, aside=True)
        for model in models
        for y, name in (("train.loss", "Training loss"), ("test.accuracy", "Test accuracy"))
    ]
    times = Curve(
        x="corruption.level", y=time, by="model", title=f"Epochs to zero training error against the share of permuted {labels}", where=_SWEEP, aside=True
    )
    return (error, table, *learning, times) if swept else (table, *learning)
