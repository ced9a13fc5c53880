"""The audit: does this recipe fit noise as well as it fits the data?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shatterlab.analysis.naming import model as model_name
from shatterlab.core import Dataset, Learner, PixelCorruption, Row, Runtime, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.corruptions.labels import PartialLabels
from shatterlab.design.claims import difference, every
from shatterlab.design.experiment import Experiment, grid, once
from shatterlab.design.settings import FIVE_SETTINGS, LABELS, RANDOM, TRUE, TRUE_AND_RANDOM
from shatterlab.learners.training import Training
from shatterlab.statistics import clopper_pearson, equivalence, mean_interval, ratio_interval
from shatterlab.store.database import Store
from shatterlab.studies.model_and_data import dataset
from shatterlab.studies.run import OnRow, Study, StudyResult
from shatterlab.trials.trial import Trial
from shatterlab.views import Curve, LearningCurves, Table

CHANCE_MARGIN = 0.05  # of test accuracy: what still counts as chance, stated before looking
_LEVEL = 0.95


@dataclass(frozen=True)
class Finding:
    """The verdict on one recipe.

    Args:
        model: its name.
        fitted: replicates with random labels whose training error is zero.
        replicates: replicates with random labels that ended.
        sentences: the verdict, the main sentence first.
    """

    model: str
    fitted: int
    replicates: int
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The model's name and the verdict in one line."""
        return f"{self.model}: {'; '.join(self.sentences)}."


def findings(rows: Iterable[Row]) -> list[Finding]:
    """One finding a recipe, in the order of the rows."""
    recipes: dict[str, list[Row]] = {}
    for row in rows:
        recipe = {column: value for column, value in row.items() if column.startswith("learner.")}
        recipes.setdefault(json.dumps(recipe, sort_keys=True), []).append(row)
    return [_finding(members) for members in recipes.values()]


def verdict(findings: Sequence[Finding]) -> list[str]:
    """One line a recipe, after a summary where there are several."""
    lines = [finding.text for finding in findings]
    if len(findings) == 1:
        return lines
    fit = [finding.model for finding in findings if finding.fitted]
    conclusion = f" ({', '.join(fit)}): for these a perfect training score cannot by itself certify generalization" if fit else ""
    return [f"{len(fit)} of {len(findings)} recipes fit random labels{conclusion}.", *lines]


def _finding(rows: Sequence[Row]) -> Finding:
    name = model_name(rows[0])
    ended = [row for row in rows if row["status"] in ("ok", "diverged")]
    true, noise = _by_seed(ended, 0.0), _by_seed(ended, 1.0)
    failures = len(rows) - len(ended)
    problems = [f"{failures} of {len(rows)} trials failed and are left out"] if failures else []
    diverged = sum(row["status"] == "diverged" for row in ended)
    problems += [f"{diverged} of {len(rows)} trials diverged"] if diverged else []
    if not noise:
        return Finding(name, 0, 0, ("no verdict: no trial with random labels ended", *problems))
    fitted = sum(_fits(row) for row in noise.values())
    sentences = [_fitting(fitted, noise), *_slowdown(true, noise), _chance(list(noise.values())), _conclusion(fitted, true, noise), *problems]
    return Finding(name, fitted, len(noise), tuple(sentences))


def _by_seed(rows: Iterable[Row], level: float) -> dict[Any, Row]:
    labels = [row for row in rows if row["corruption.kind"] == "PartialLabels" and row["corruption.level"] == level]
    return {tuple(row[f"seeds.{stream}"] for stream in ("data", "corruption", "init", "order")): row for row in labels}


def _fits(row: Mapping[str, Any]) -> bool:
    return bool(row["status"] == "ok" and row["train.error"] == 0)


def _fitting(fitted: int, noise: Mapping[Any, Row]) -> str:
    n = len(noise)
    interval = clopper_pearson(fitted, n, _LEVEL)
    if fitted:
        return f"fits random labels: {fitted} of {n} (P(fit) >= {interval.low:.2f} at 95 %)"
    best = max(float(row["train.accuracy"]) for row in noise.values())  # type: ignore[arg-type]
    budgets = {int(str(row["fit.epochs"])) for row in noise.values() if row.get("fit.epochs")}
    within = f" within {max(budgets)} epoch{'s' if max(budgets) > 1 else ''}" if budgets else ""
    return f"does not fit random labels{within}: 0 of {n} (P(fit) <= {interval.high:.2f} at 95 %), training accuracy on them reaches {_percent(best)}"


def _slowdown(true: Mapping[Any, Row], noise: Mapping[Any, Row]) -> list[str]:
    both = [(noise[seed], true[seed]) for seed in noise if seed in true and _fits(noise[seed]) and _fits(true[seed])]
    times = [(a.get("fit.epochs_to_interpolation"), b.get("fit.epochs_to_interpolation")) for a, b in both]
    known = [(float(a), float(b)) for a, b in times if isinstance(a, int | float) and isinstance(b, int | float)]
    if not known:
        return []
    interval = ratio_interval([a for a, _ in known], [b for _, b in known], _LEVEL)
    factor, low, high, word = interval.estimate, interval.low, interval.high, "slower"
    if factor < 1:
        factor, low, high, word = 1 / factor, 1 / high, 1 / low, "faster"
    spread = f" [{low:.1f}, {high:.1f}]" if interval.method == "log-ratio t" else ""
    return [f"{factor:.1f}x{spread} {word} than true labels"]


def _chance(noise: Sequence[Row]) -> str:
    chance = 1 / int(str(noise[0]["classes"]))
    values = [float(str(row["test.accuracy"])) for row in noise]
    result = equivalence(values, chance, CHANCE_MARGIN, _LEVEL)
    mean = sum(values) / len(values)
    sentence = f"test accuracy then is {_percent(mean)}"
    if result.verdict == "equivalent":
        return f"{sentence}, chance ({_percent(chance)}) to within {100 * CHANCE_MARGIN:.0f} points"
    if result.verdict == "different" and mean > chance:
        return f"{sentence}, above chance ({_percent(chance)}), which random labels cannot teach: check how the test split is scored"
    if result.verdict == "different":
        return f"{sentence}, below chance ({_percent(chance)})"
    return f"{sentence}; whether that is chance ({_percent(chance)}) needs more replicates"


def _conclusion(fitted: int, true: Mapping[Any, Row], noise: Mapping[Any, Row]) -> str:
    learned = sum(_fits(row) for row in true.values())
    if fitted:
        return "so a perfect training score cannot by itself certify generalization for this recipe"
    if true and not learned:
        if any(row["status"] == "diverged" for row in true.values()):
            return "but training diverges on true labels too: lower the learning rate before reading more into it"
        best = max(float(str(row["train.accuracy"])) for row in true.values())
        return f"but true labels are not fitted either (training accuracy {_percent(best)}): raise the epochs or the learning rate before reading more into it"
    memory = mean_interval([float(str(row["train.accuracy"])) for row in noise.values()], _LEVEL)
    return f"so of its training score, about {_percent(memory.estimate)} is what memory alone reaches on this sample and budget"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
QUESTION = "Does this recipe fit noise as well as it fits the data, and what does its training score then certify?"


@dataclass(frozen=True)
class Audit(StudyResult):
    """The result of an audit."""

    @property
    def findings(self) -> list[Finding]:
        """The verdict on each recipe."""
        return findings(self.rows)

    @property
    def verdict(self) -> str:
        """One line a recipe, after a summary where there are several."""
        return "\n".join(verdict(self.findings))


def audit(
    model: Any = None,
    data: Any = None,
    *,
    target: str | None = None,
    group: str | None = None,
    time: str | None = None,
    split: str | None = None,
    replicates: int = 5,
    levels: Sequence[float] = LEVELS,
    store: Store | Path | str | None = None,
    workers: int = 0,
    runtime: Runtime = Runtime(),
    on_row: OnRow | None = None,
    reproduce: Sequence[str] = (),
    **recipe: Any,
) -> Audit:
    """Trains the same recipe on true, partially random and random labels and on shuffled, random and Gaussian pixels.

    Args:
        model: a callable that returns a `torch.nn.Module`, "module:factory", the name of an architecture, a
            scikit-learn estimator or a Learner; None: an MLP and a small convolutional net.
        data: a Dataset, the name of one, an .npz, .csv or .parquet file, a folder of class folders, a data frame, a pair (X, y) of arrays, frames, lists or
            .npy files, or a torch Dataset of pairs; None: scikit-learn's digits.
        target: of a table, the column with the classes.
        group: of a table, the column whose values each stay in one split.
        time: of a table, the column by which the latest quarter of the rows is the test split.
        split: of a table, the column that says "train" or "test".
        replicates: runs of each setting, each with its own labels, noise, initial weights and order, >= 1.
        levels: corruption levels in [0, 1] of the sweep; 0 (true labels) and 1 (random labels) are always added.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.
        reproduce: commands to print in the report.
        recipe: fields of `Training` for a torch model: `epochs` (by default 100, or 5,000 steps where these are
            more), `batch_size` (64), `stop`, ..., and `lr` (0.01; 0.05 for the two default nets).

    Raises:
        InvalidPart: a live module, an unknown kind of model or data, or a field out of range.
        DataError: the data is missing, damaged or unusable.
        UserCodeError: the factory fails.

    Source:
        Zhang et al. 2017, section 2.
    """
    source = dataset(data, target=target, group=group, time=time, split=split)
    study = Study("audit", model, source, recipe, store, workers, runtime, on_row, reproduce)
    columns = study.train.columns
    return study.result(Audit, plan(study.learners(), study.dataset, replicates, levels, pixels=not (columns and columns.problems)))


def plan(recipes: Sequence[Learner], data: Dataset, replicates: int = 5, levels: Sequence[float] = LEVELS, pixels: bool = True) -> Experiment:
    """The audit as an experiment: five settings and a sweep of levels, replicates outermost so that an early look is balanced.

    Without `pixels`, for text say, which cannot be exchanged with the numbers of another column, no corruption of inputs is tried.
    """
    if replicates < 1:
        raise InvalidPart(f"audit: replicates is a whole number >= 1, got {replicates}. Three give an interval.")
    sweep = [PartialLabels(level) for level in sorted({0.0, 1.0, *map(float, levels)})]
    corruptions = [*TRUE_AND_RANDOM, *sweep, *(setting for setting in FIVE_SETTINGS if pixels or not isinstance(setting, PixelCorruption))]
    trials = once(grid(Trial, seeds=[Seeds.replicate(r) for r in range(replicates)], learner=recipes, dataset=[data], corruption=corruptions))
    epochs = any(isinstance(recipe, Training) for recipe in recipes)
    source = "Zhang et al. 2017, section 2.1"
    question = QUESTION
    views = _views(list(dict.fromkeys(model_name(trial.specification()) for trial in trials)), epochs)
    claims = (
        every("random labels are fitted: training error on them is zero", "train.error", RANDOM, low=0.0, high=0.0),
        difference("under random labels, test accuracy falls below that of true labels", "test.accuracy", RANDOM, TRUE, high=0.0),
    )
    return Experiment("audit", source, question, trials, views, claims)


def _views(models: Sequence[str], epochs: bool) -> tuple[Any, ...]:
    time = "fit.epochs_to_interpolation"
    table = Table(rows=("model", "setting"), columns=("train.accuracy", "test.accuracy", *((time,) if epochs else ())), title="The settings")
    error = Curve(x="corruption.level", y="test.error", by="model", title="Test error against corruption level", where=LABELS)
    if not epochs:
        return (table, error)
    learning = [
        LearningCurves(y=y, by="setting", title=f"{heading} of {model}", where={"model": model})
        for model in models
        for y, heading in (("train.loss", "Training loss"), ("test.accuracy", "Test accuracy"))
    ]
    times = Curve(x="corruption.level", y=time, by="model", title="Epochs to zero training error against corruption level", where=LABELS)
    return (table, *learning, times, error)
