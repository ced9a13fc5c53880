"""Which labels look wrong? A ranking by cross-validation of the user's own pipeline."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shatterlab.analysis.data_findings import equal_rows
from shatterlab.analysis.naming import counted
from shatterlab.core import Dataset, Examples, Row, Runtime, Seeds
from shatterlab.core.errors import InvalidPart, printable
from shatterlab.core.frames import frame_of, harmless
from shatterlab.core.lazy_inputs import Streamed
from shatterlab.corruptions.labels import TrueLabels
from shatterlab.datasets.derived import Pooled
from shatterlab.design.experiment import Experiment
from shatterlab.learners.on_fold import OnFold
from shatterlab.report import write
from shatterlab.statistics import Interval, clopper_pearson
from shatterlab.statistics.label_quality import agreement_z, confident_classes, label_margin, self_confidence
from shatterlab.store.database import Store
from shatterlab.studies.example_views import confusion_list, example_list
from shatterlab.studies.model_and_data import dataset
from shatterlab.studies.run import OnRow, Study, StudyResult
from shatterlab.trials.trial import Trial, sample

QUESTION = "Which labels look wrong?"
SOURCE = "Northcutt, Jiang, Chuang 2021 (confident learning); Stone 1974 (cross-validation)"
Rank = Literal["margin", "self_confidence"]
_CHANCE = 3.09  # standard deviations: agreement by chance has a probability of about 0.001
_CLEAN = 0.01  # of the labels: so many a good model contradicts by its own errors
_PAIRS = 3  # confused classes that the verdict names
_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class WrongLabels:
    """The numbers behind the verdict.

    Args:
        examples: how many there are.
        judged: of these, how many have a score.
        accuracy: share of the judged whose likeliest class, out of sample, is their label.
        tells: whether the model's answers go with the labels more than chance explains.
        suspicious: labels that the model contradicts with confidence; 0 where it cannot tell.
        rate: their share among the labels that the model is sure about, with the exact binomial interval; None where it is sure about none.
        conflicts: examples with equal inputs and different labels.
        hard: whether the model gave answers without probabilities.
    """

    examples: int
    judged: int
    accuracy: float
    tells: bool
    suspicious: int
    rate: Interval | None
    conflicts: int
    hard: bool

    @property
    def first(self) -> int:
        """How many of the list to look at: conflicts, and as many as the estimated share of all labels, or those that look wrong where they are more."""
        estimated = round(self.rate.estimate * self.judged) if self.rate is not None and self.tells else 0
        return min(self.examples, self.conflicts + max(self.suspicious, estimated))


@dataclass(frozen=True, repr=False, eq=False)
class Suspicious(StudyResult):
    """The labels of a sample, the most suspicious first.

    Args:
        examples: those that were judged.
        probabilities: of the classes of each example by models that were not fitted on it, n x k, the mean over replicates; NaN where there is none.
        rank: the score that orders the list.
    """

    examples: Examples = None  # type: ignore[assignment]
    probabilities: _Array = None  # type: ignore[assignment]
    rank: Rank = "margin"

    @functools.cached_property
    def labels(self) -> _Array:
        """As they are in the data; int64, shape (n,)."""
        labels: _Array = self.examples.labels.numpy()
        return labels

    @functools.cached_property
    def judged(self) -> _Array:
        """Whether an example has a score: its fold ended, and its class occurs in the other folds; shape (n,)."""
        judged: _Array = np.asarray(np.isfinite(self.probabilities).all(1))
        return judged

    @functools.cached_property
    def scores(self) -> dict[str, _Array]:
        """`margin` and `self_confidence` of each example, NaN where there is none: low where a label looks wrong."""
        return {"margin": label_margin(self.probabilities, self.labels), "self_confidence": self_confidence(self.probabilities, self.labels)}

    @functools.cached_property
    def flagged(self) -> _Array:
        """Whether the model is sure about a class that is not the label; nowhere where it cannot tell. Shape (n,)."""
        flagged: _Array = (self._confident >= 0) & (self._confident != self.labels) & self.findings[0].tells
        return flagged

    @functools.cached_property
    def suggested(self) -> _Array:
        """The likeliest class of each example; its label where there is no score. Shape (n,)."""
        suggested: _Array = np.where(self.judged, np.nan_to_num(self.probabilities).argmax(1), self.labels)
        return suggested

    @functools.cached_property
    def conflicts(self) -> _Array:
        """Whether an example with an equal input has another label; shape (n,). Photos that are read from disk are not compared."""
        if isinstance(self.examples.inputs, Streamed):
            return np.zeros(len(self.labels), bool)
        groups = equal_rows(self.examples.inputs.flatten(1).numpy())
        low, high = np.full(len(groups), self.examples.classes), np.full(len(groups), -1)
        np.minimum.at(low, groups, self.labels)
        np.maximum.at(high, groups, self.labels)
        torn: _Array = (low < high)[groups]
        return torn

    @functools.cached_property
    def order(self) -> _Array:
        """Positions in the sample, the most suspicious first: conflicts, then by score; what has none comes last."""
        key = np.where(self.judged, self.scores[self.rank], np.inf)
        return np.lexsort((np.arange(len(key)), key, ~self.conflicts))

    @property
    def index(self) -> _Array:
        """The row of each example in the user's table or arrays; else its position in the training split."""
        return np.arange(len(self.labels)) if self.examples.rows is None else self.examples.rows.numpy()

    @functools.cached_property
    def findings(self) -> list[WrongLabels]:
        """The numbers behind the verdict, one entry."""
        judged, sure = self.judged, self._confident >= 0
        wrong, right = int((sure & (self._confident != self.labels)).sum()), self.suggested == self.labels
        rate = clopper_pearson(wrong, int(sure.sum())) if sure.any() else None
        tells = agreement_z(self._confident[sure], self.labels[sure], self.examples.classes) > _CHANCE
        accuracy = float(right[judged].mean()) if judged.any() else 0.0
        hard = bool(np.isin(self.probabilities[judged], (0, 1)).all())
        return [WrongLabels(len(judged), int(judged.sum()), accuracy, tells, wrong * tells, rate, int(self.conflicts.sum()), hard)]

    @property
    def verdict(self) -> str:
        """How many labels look wrong, how sure that is, and what to do."""
        return "\n".join([self._answer(), *self._cautions()])

    def _answer(self) -> str:
        [numbers] = self.findings
        if not numbers.judged:
            return "No label could be judged: no fold ended with finite probabilities. The trials say why."
        if not numbers.tells or numbers.rate is None:
            reach = (
                f"its answers on examples that it had not seen go with the labels no more than chance does (it names {100 * numbers.accuracy:.1f} % of them)"
            )
            return f"This model cannot tell which labels are wrong: {reach}. Use more examples or another model; the order of the list says nothing."
        rate = numbers.rate
        share = f"{100 * rate.estimate:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
        contradicted = f"{numbers.suspicious:,} of {numbers.judged:,} labels"
        if rate.estimate > 0.5:
            weak = f"it contradicts {share} of those that it is sure about, more than it agrees with"
            return f"This model cannot tell how many labels are wrong: {weak}. Use a better model; the order of the list is only better than chance."
        if rate.low <= _CLEAN:
            why = f"the model contradicts {contradicted} with confidence ({share} of those that it is sure about), which its own errors may explain"
            return f"Nothing stands out: {why}."
        look = f"Look at the first {numbers.first:,} of the list"
        return f"{contradicted} look wrong: the model contradicts {share} of those that it is sure about. {look}, and correct or drop what is wrong."

    def _cautions(self) -> list[str]:
        [numbers] = self.findings
        lines = []
        if numbers.conflicts:
            lines.append(f"In the data: {counted(numbers.conflicts, 'example')} have equal inputs and different labels; they are first in the list.")
        if numbers.judged and numbers.tells:
            lines.append(
                f"The model names {100 * numbers.accuracy:.1f} % of the labels of examples that it had not seen. Its confident errors count as wrong "
                "labels, so the share is too high where the model is weak; the interval is that of the draw of the examples alone."
            )
            pairs = ", ".join(f"{self._name(label)} for {self._name(other)} ({count})" for label, other, count in self.confused[:_PAIRS])
            lines += [f"Most often the label is said in place of the suggested one: {pairs}."] if pairs and numbers.suspicious else []
        if numbers.judged and numbers.hard:
            lines.append("The model answers without probabilities (0 or 1), so most examples tie: use one with predict_proba, or more replicates.")
        if numbers.judged < numbers.examples:
            missing = numbers.examples - numbers.judged
            lines.append(f"{counted(missing, 'example')} could not be judged: of a class that no other fold has, or of a fold that did not end.")
        return lines

    @property
    def confused(self) -> list[tuple[int, int, int]]:
        """Label, suggested class and how many labels that look wrong are such, the most frequent first."""
        pairs, counts = np.unique(np.stack([self.labels, self._confident], 1)[self.flagged], axis=0, return_counts=True)
        return [(int(pairs[i, 0]), int(pairs[i, 1]), int(counts[i])) for i in np.argsort(-counts, kind="stable")]

    @functools.cached_property
    def _confident(self) -> _Array:
        confident = np.full(len(self.labels), -1)
        if self.judged.any():
            confident[self.judged] = confident_classes(self.probabilities[self.judged], self.labels[self.judged])
        return confident

    def _name(self, label: int) -> str:
        return printable(repr(self.examples.names[label])) if self.examples.names else str(label)

    def _columns(self) -> dict[str, list[Any]]:
        names: Sequence[Any] = self.examples.names or range(self.examples.classes)
        columns = {"index": self.index, "label": None, "suggested": None, **self.scores, "looks_wrong": self.flagged, "conflict": self.conflicts}
        named = {"label": self.labels, "suggested": self.suggested}
        listed = {name: [] if values is None else values[self.order].tolist() for name, values in columns.items()}
        return listed | {name: [names[label] for label in values[self.order].tolist()] for name, values in named.items()}

    def to_frame(self) -> Any:
        """A pandas frame, the most suspicious label first: `index`, `label`, `suggested`, `margin`, `self_confidence`, `looks_wrong`, `conflict`.

        Raises:
            InvalidPart: pandas is not installed.
        """
        return frame_of(self._columns(), "suspicious")

    def to_csv(self, path: Path | str) -> Path:
        """Writes the list of `to_frame` as a CSV file; a text that a spreadsheet would run as a formula gets an apostrophe in front.

        Raises:
            ShatterlabError: the file cannot be written there.
        """
        columns, text = self._columns(), io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(columns)
        table.writerows(map(harmless, line) for line in zip(*columns.values(), strict=True))
        return write(path, text.getvalue())


def suspicious(
    model: Any = None,
    data: Any = None,
    *,
    target: str | None = None,
    group: str | None = None,
    time: str | None = None,
    split: str | None = None,
    folds: int = 5,
    replicates: int = 1,
    rank: Rank = "margin",
    store: Store | Path | str | None = None,
    workers: int = 0,
    runtime: Runtime = Runtime(),
    on_row: OnRow | None = None,
    reproduce: Sequence[str] = (),
    progress: bool | None = None,
    **recipe: Any,
) -> Suspicious:
    """Ranks the labels by how much models that were fitted without them contradict them.

    The pipeline is cross-validated as it is: each example is scored by a fit on the other folds. Equal inputs, and groups of a table, share a fold; where a
    table has times, folds are blocks of time. All rows of a table without a `split` column are judged; else the training split.

    Args:
        model: as `audit` takes it, a classifier; best with probabilities. None: an MLP.
        data: as `audit` takes it; None: 300 of scikit-learn's digits.
        target: of a table, the column with the classes.
        group: of a table, the column whose values each stay in one fold.
        time: of a table, the column that orders its rows.
        split: of a table, the column that says "train" or "test"; the rows for training are judged.
        folds: of the cross-validation, >= 2.
        replicates: cross-validations, each with its own folds and seeds, whose probabilities are averaged, >= 1.
        rank: what orders the list: "margin", p(label) - the largest other p, or "self_confidence", p(label).
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.
        reproduce: commands to print in the report.
        progress: whether progress is shown on standard error where there is no on_row; None: on a terminal and in a notebook.
        recipe: fields of `Training` for a torch model, as `audit` takes them.

    Raises:
        InvalidPart: a number is out of range, the model is a regressor, or the kind of model or data is unknown.
        DataError: the data is missing, damaged or unusable, or too small for so many folds.
        UserCodeError: the model fails.

    Source:
        Northcutt, Jiang, Chuang 2021, "Confident learning: estimating uncertainty in dataset labels".

    Example:
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> x, y = np.arange(40.0)[:, None], np.repeat([0, 1], 20)
        >>> y[3] = 1  # a wrong label
        >>> int(suspicious(KNeighborsClassifier(), (x, y)).to_frame()["index"][0])
        3
    """
    checks = (
        (folds >= 2, "folds is a whole number >= 2", folds, "Five are usual"),
        (replicates >= 1, "replicates is a whole number >= 1", replicates, "One is enough for a first look"),
        (rank in ("margin", "self_confidence"), "rank is 'margin' or 'self_confidence'", rank, "Take the margin"),
    )
    for good, required, got, remedy in checks:
        if not good:
            raise InvalidPart(f"suspicious: {required}, got {got!r}. {remedy}.")
    source = dataset(data, target=target, group=group, time=time, split=split)
    study = Study("suspicious", model, source, recipe, store, workers, runtime, on_row, reproduce, progress)
    source, examples = _judged(study.dataset, runtime)
    examples.require_classes("suspicious")
    if len(examples) < folds:
        raise InvalidPart(f"suspicious: at least one example for each fold is required, got {len(examples)} examples and {folds} folds. Use fewer folds.")
    learner = study.learners()[0]
    trials = [
        Trial(source, TrueLabels(), OnFold(learner, folds, fold), replace(Seeds.replicate(r), data=0, corruption=0))
        for r in range(replicates)
        for fold in range(folds)
    ]
    rows = study.rows(Experiment("suspicious", SOURCE, QUESTION, tuple(trials), ()))
    shown = [_without_test(row) for row in rows] if isinstance(source, Pooled) else rows
    result = Suspicious(
        Experiment("suspicious", SOURCE, QUESTION, tuple(trials), ()), tuple(shown), tuple(reproduce),
        examples=examples, probabilities=out_of_sample(rows, examples), rank=rank,
    )  # fmt: skip
    return replace(result, experiment=replace(result.experiment, views=_views(result)))


def _judged(source: Dataset, runtime: Runtime) -> tuple[Dataset, Examples]:
    """The data set whose training split is judged, and that split: all rows of a table, unless a column of it parts them."""
    train = sample(source, runtime, Seeds.replicate(0)).train
    if train.rows is None or getattr(source, "split", None) is not None:
        return source, train
    pooled = Pooled(source)
    return pooled, sample(pooled, runtime, Seeds.replicate(0)).train


def _without_test(row: Row) -> Row:
    """The row without its test figures: these examples were in the folds."""
    return Row({name: value for name, value in row.items() if not name.startswith(("test.", "oracle."))}, arrays=row.arrays)


def out_of_sample(rows: Sequence[Row], examples: Examples) -> _Array:
    """The class probabilities of each example, the mean over the trials of `OnFold` that left it out; n x k, float64.

    NaN where no such trial ended well, and where the class of an example does not occur outside of its fold, so that nothing could name it.
    """
    labels, classes = examples.labels.numpy(), examples.classes
    sums, counts, totals = np.zeros((len(labels), classes)), np.zeros(len(labels)), np.bincount(labels, minlength=classes)
    for row in rows:
        if row.get("status") != "ok" or "fit.probabilities" not in row.arrays:
            continue
        places, probabilities = row.arrays["fit.left_out"], row.arrays["fit.probabilities"].astype(np.float64)
        outside = totals - np.bincount(labels[places], minlength=classes)
        good = np.isfinite(probabilities).all(1) & (outside[labels[places]] > 0)
        sums[places[good]] += probabilities[good]
        counts[places[good]] += 1
    means: _Array = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], np.nan)
    return means


def _views(result: Suspicious) -> tuple[Any, ...]:
    names = [result._name(label) for label in range(result.examples.classes)]
    most = result.findings[0].first
    listed = example_list(result.examples, result.order[: min(max(most, 20), 200)], result.index, result.suggested, result.scores, names)
    return (listed, confusion_list(result.confused, names))
