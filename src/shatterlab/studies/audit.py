"""The audit: does this recipe fit noise as well as it fits the data?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shatterlab.analysis.data_findings import DataFinding, findings_in
from shatterlab.analysis.naming import capital
from shatterlab.analysis.naming import model as model_name
from shatterlab.analysis.summary import SHOWN_FROM
from shatterlab.core import Dataset, Learner, PixelCorruption, Row, Runtime, Seeds
from shatterlab.core.errors import InvalidPart, printable
from shatterlab.corruptions.labels import PartialLabels
from shatterlab.design.claims import difference, every
from shatterlab.design.experiment import Experiment, grid, once
from shatterlab.design.settings import FIVE_SETTINGS, LABELS, RANDOM, TRUE, TRUE_AND_RANDOM
from shatterlab.learners.training import Training
from shatterlab.statistics import clopper_pearson, ratio_interval, share_interval
from shatterlab.store.database import Store
from shatterlab.studies.model_and_data import dataset
from shatterlab.studies.run import OnRow, Study, StudyResult
from shatterlab.trials.trial import Trial, sample
from shatterlab.views import Curve, LearningCurves, Table

CHANCE_MARGIN = 0.05  # of test accuracy: what still counts as chance, stated before looking
_LEVEL = 0.95
_LEAKS = ("equal across splits", "one column gives the label")
Signal = Literal["real", "not shown", "below", "unknown"]


@dataclass(frozen=True)
class Finding:
    """The verdict on one recipe.

    Args:
        model: its name.
        fitted: replicates with random labels whose training error is zero.
        replicates: replicates with random labels that ended.
        sentences: the verdict, the main sentence first.
        signal: whether the test score on true labels is above always answering the majority class: "real", "not shown", "below" or "unknown".
    """

    model: str
    fitted: int
    replicates: int
    sentences: tuple[str, ...]
    signal: Signal = "unknown"

    @property
    def text(self) -> str:
        """The model's name and the verdict in one line."""
        return f"{self.model}: {'; '.join(self.sentences)}."


def findings(rows: Iterable[Row], leaks: bool = False) -> list[Finding]:
    """One finding a recipe, in the order of the rows.

    Args:
        rows: of an audit.
        leaks: whether the data themselves may give test labels away, so that no score on them is called real.
    """
    recipes: dict[str, list[Row]] = {}
    for row in rows:
        recipe = {column: value for column, value in row.items() if column.startswith("learner.")}
        recipes.setdefault(json.dumps(recipe, sort_keys=True), []).append(row)
    return [_finding(members, leaks) for members in recipes.values()]


def verdict(findings: Sequence[Finding]) -> list[str]:
    """Of one recipe its sentences, the main one first; of several a summary, then one line each."""
    if len(findings) == 1:
        first, *rest = findings[0].sentences
        return [f"{findings[0].model}: {first}.", *(f"{capital(sentence)}." for sentence in rest)]
    lines = [finding.text for finding in findings]
    fit = [finding.model for finding in findings if finding.fitted]
    real = sum(finding.signal == "real" for finding in findings)
    conclusion = f" ({', '.join(fit)}): for these a perfect training score certifies nothing" if fit else ""
    return [f"The score of {real} of {len(findings)} recipes is real. {len(fit)} of {len(findings)} fit random labels{conclusion}.", *lines]


def _finding(rows: Sequence[Row], leaks: bool) -> Finding:
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
    signal, score = _score([row for row in true.values() if row["status"] == "ok"], leaks)
    sentences = [*score, _fitting(fitted, noise), *_slowdown(true, noise), _chance(list(noise.values())), *_conclusion(signal, fitted, true, noise), *problems]
    return Finding(name, fitted, len(noise), tuple(sentences), signal)


def _by_seed(rows: Iterable[Row], level: float) -> dict[Any, Row]:
    labels = [row for row in rows if row["corruption.kind"] == "PartialLabels" and row["corruption.level"] == level]
    return {tuple(row[f"seeds.{stream}"] for stream in ("data", "corruption", "init", "order")): row for row in labels}


def _fits(row: Mapping[str, Any]) -> bool:
    return bool(row["status"] == "ok" and row["train.error"] == 0)


def _score(true: Sequence[Row], leaks: bool) -> tuple[Signal, list[str]]:
    """Is the score real: the test accuracy on true labels against always answering the majority class."""
    known = [row for row in true if isinstance(row.get("test.accuracy"), float)]
    if not known:
        return "unknown", []
    scores = [float(str(row["test.accuracy"])) for row in known]
    guesses = [float(str(row.get("baseline.test.accuracy", 1 / int(str(row["classes"]))))) for row in known]
    of = _test_examples(known)
    mean, guess = sum(scores) / len(scores), sum(guesses) / len(guesses)
    interval = share_interval(scores, of, _LEVEL)
    if len(known) == 1 and of:
        interval = clopper_pearson(round(scores[0] * of), of, _LEVEL)
    printed = len(known) >= SHOWN_FROM and interval.method != "no spread"
    spread = f" [{100 * interval.low:.1f}, {100 * interval.high:.1f}]" if printed else ""
    sentence = f"test accuracy on true labels is {_percent(mean)}{spread}, always answering the majority class gives {_percent(guess)}"
    if interval.low > guess:
        return ("unknown" if leaks else "real"), [f"{sentence}: the score is {'above that, but the data may give labels away, see below' if leaks else 'real'}"]
    if interval.high < guess:
        return "below", [f"{sentence}: the score is BELOW that"]
    return "not shown", [f"{sentence}: that the score is more than that is not shown by {len(known)} replicate{'s' if len(known) > 1 else ''}"]


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
    of = _test_examples(noise)
    narrow, wide = (share_interval(values, of, level) for level in (2 * _LEVEL - 1, _LEVEL))  # two one-sided tests; one two-sided
    sentence = f"test accuracy then is {_percent(sum(values) / len(values))}"
    if len(values) > 1 and narrow.inside(chance - CHANCE_MARGIN, chance + CHANCE_MARGIN):
        return f"{sentence}, chance ({_percent(chance)}) to within {100 * CHANCE_MARGIN:.0f} points"
    if len(values) > 1 and wide.disjoint(chance - CHANCE_MARGIN, chance + CHANCE_MARGIN):
        side = "above" if wide.low > chance else "below"
        return f"{sentence}, {side} chance ({_percent(chance)}), which random labels cannot teach: check how the test split is scored"
    return f"{sentence}; whether that is chance ({_percent(chance)}) needs more replicates"


def _conclusion(signal: Signal, fitted: int, true: Mapping[Any, Row], noise: Mapping[Any, Row]) -> list[str]:
    """How much could be memory, and what that means; advice on epochs only to what has them."""
    if any(row["status"] == "diverged" for row in true.values()):
        return ["but training diverges on true labels too: lower the learning rate before reading more into it"]
    means = {"real": "what it has learned is in the test score", "unknown": "the test score on true labels says what it has learned"}
    learned = means.get(signal, "and nothing shows that it has learned")
    if fitted:
        return [f"so a perfect training score certifies nothing for this recipe; {learned}"]
    memory = _mean(noise.values())
    if not true:
        return [f"so about {_percent(memory)} of any labels is what memory alone reaches on this sample"]
    sentence = (
        f"training accuracy is {_percent(_mean(true.values()))} on true and {_percent(memory)} on random labels, which is what memory alone reaches; {learned}"
    )
    weak = not any(map(_fits, true.values())) and any(row.get("fit.epochs") for row in true.values())
    return [sentence, *(["true labels are not fitted either: more epochs or another learning rate may fit more of both"] if weak else [])]


def _mean(rows: Iterable[Row]) -> float:
    values = [float(str(row["train.accuracy"])) for row in rows]
    return sum(values) / len(values)


def _test_examples(rows: Iterable[Row]) -> int | None:
    sizes = {row.get("test.n") for row in rows}
    return int(str(sizes.pop())) if len(sizes) == 1 and None not in sizes else None


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
QUESTION = "Does this recipe fit noise as well as it fits the data, and what does its training score then certify?"


@dataclass(frozen=True, repr=False)
class Audit(StudyResult):
    """The result of an audit.

    Args:
        data_findings: what is wrong with the data, seen before anything was trained.
    """

    data_findings: tuple[DataFinding, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        """The verdict on each recipe."""
        return findings(self.rows, any(found.kind in _LEAKS for found in self.data_findings))

    @property
    def verdict(self) -> str:
        """The sentences on one recipe, or a summary and a line each for several; then what was found in the data."""
        return "\n".join([*verdict(self.findings), *(f"In the data: {printable(found.sentence)}" for found in self.data_findings)])


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
    splits = sample(study.dataset, runtime, Seeds.replicate(0))
    pixels = not (splits.train.columns and splits.train.columns.problems)
    planned = plan(study.learners(), study.dataset, replicates, levels, pixels=pixels)
    return study.result(Audit, planned, data_findings=tuple(findings_in(splits)))


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
