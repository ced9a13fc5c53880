"""Memorization: which training examples a model gets right only because it was trained on them."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier

from shatterlab.analysis.memorization import EXACT, MEMORIZED, MemorizationScores, memorization_scores, needed_trials, worst_error
from shatterlab.analysis.memorization import influence as sampled_influence
from shatterlab.analysis.naming import model as model_name
from shatterlab.core import Corruption, Examples, Learner, Runtime, Seeds
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.core.frames import frame_of
from shatterlab.core.lazy_inputs import Streamed
from shatterlab.corruptions.labels import TrueLabels
from shatterlab.design.experiment import Experiment
from shatterlab.learners.estimator import Estimator
from shatterlab.learners.kernel_interpolation import KernelInterpolation
from shatterlab.learners.linear import LinearMinimumNorm
from shatterlab.learners.on_subset import OnSubset
from shatterlab.measures.leave_one_out import LeaveOneOut
from shatterlab.store.database import Store
from shatterlab.studies.run import OnRow, Study, StudyResult
from shatterlab.trials.trial import Trial, sample
from shatterlab.views import MemorizationHistogram, MostMemorized

OWNER = "memorization"
QUESTION = "Which training examples does this model get right only because it was trained on them?"
SOURCE = "Feldman, Zhang 2020, What neural networks memorize and why"
TRIALS, FEWEST = 200, 10
_SHOWN, _SIDE = 10, 72  # examples that are shown, pixels of each


@dataclass(frozen=True)
class Memorized:
    """The numbers behind the verdict.

    Args:
        model: its name.
        exact: whether the values are leave-one-out values without sampling.
        examples: of the training split that have a value.
        memorized: those with a memorization above 0.25.
        memorized_low: at least so many, for all examples at once at 95 %.
        memorized_high: at most so many, likewise.
        mean: mean memorization.
        mean_low: low end of its 95 % interval over the fits.
        mean_high: high end.
        trials: the fits.
        error: a bound on the root mean squared error of each value; 0 where they are exact.
        most: places of the most memorized examples, the most memorized first.
    """

    model: str
    exact: bool
    examples: int
    memorized: int
    memorized_low: int
    memorized_high: int
    mean: float
    mean_low: float
    mean_high: float
    trials: int
    error: float
    most: tuple[int, ...]


@dataclass(frozen=True, repr=False)
class Memorization(StudyResult):
    """The memorization of each training example by one model.

    Args:
        labels: the label of each example in words, as the model was given it; the other fields are those of `StudyResult`.
        share: of the examples, inside in each fit.
        model: its name.
    """

    labels: tuple[str, ...] = ()
    share: float = 0.7
    model: str = "the model"

    @functools.cached_property
    def scores(self) -> MemorizationScores:
        """The memorization of every example with what it rests on."""
        return memorization_scores(self.rows)

    @property
    def findings(self) -> list[Memorized]:
        """The numbers behind the verdict."""
        scores, count, mean = self.scores, self.scores.count(), self.scores.mean
        error = 0.0 if scores.exact else worst_error(scores.trials, self.share)
        numbers = int(count.estimate), int(count.low), int(count.high), mean.estimate, mean.low, mean.high, scores.trials, error
        return [Memorized(self.model, scores.exact, int(scores.known.sum()), *numbers, tuple(scores.most(_SHOWN)))]

    @property
    def verdict(self) -> str:
        """How many examples are memorized, which most, what the numbers rest on, and what they do not say."""
        (finding,) = self.findings
        lines = [self._first(finding), self._accuracies(finding), self._most(finding)]
        meaning = "A memorized example is not wrong: a rare one can be right in no other way. But wrong labels are among them: look at these first."
        return "\n".join([*lines, meaning])

    def to_frame(self) -> Any:
        """A pandas frame with one row an example: `index`, `label`, `memorization`, `standard_error`, `inside` and `outside` (fits).

        Raises:
            InvalidPart: pandas is not installed.
        """
        scores = self.scores
        columns = {"memorization": scores.values, "standard_error": scores.standard_errors, "inside": scores.inside, "outside": scores.outside}
        return frame_of({"index": range(len(scores.values)), "label": self.labels, **columns}, OWNER)

    def influence(self, on: Sequence[int] | None = None) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """What training on each example does for the predictions of others, and the standard errors; n x len(on).

        Args:
            on: places in the training split; None: the held-out examples (`held_out` lists them).

        Raises:
            DataError: the values are exact, so no fit on a subset tells, or nothing is held out and `on` is None.
        """
        if self.scores.exact:
            raise DataError(f"{OWNER}: fits on random subsets are required for influence, got exact values. Ask with influence=True.")
        places = self.held_out if on is None else on
        if not len(places):
            raise DataError(f"{OWNER}: held-out examples are required, got none. Ask with influence=True, or name examples by `on`.")
        return sampled_influence(self.rows, places)

    @property
    def held_out(self) -> list[int]:
        """Places of the examples that no fit was trained on."""
        return [int(i) for i in np.flatnonzero(self.scores.inside == 0)]

    def _first(self, finding: Memorized) -> str:
        of = f"of {finding.examples:,} training examples"
        if finding.exact:
            return f"{finding.model} memorizes {finding.memorized:,} {of}: it is right on each of them, and wrong when trained on all others (exact values)."
        between = f"between {finding.memorized_low:,} and {finding.memorized_high:,} at 95 %, all examples at once"
        first = f"{finding.model} memorizes about {finding.memorized:,} {of} (memorization above {MEMORIZED:g}; {between})."
        undecided = finding.memorized_low == 0 < finding.memorized_high
        return f"{first} {finding.trials} fits do not decide of any single example whether it is memorized." if undecided else first

    def _accuracies(self, finding: Memorized) -> str:
        if finding.exact:
            text = f"Mean memorization {finding.mean:.3g}: training accuracy less leave-one-out accuracy."
            rounding = self.rows[0].get("measure.LeaveOneOut.undecided")
            return f"{text} Rounding could turn {100 * float(rounding):.2g} % of the values." if rounding else text
        inside, outside = ([float(str(row[f"fit.{side}_accuracy"])) for row in self.rows if f"fit.{side}_accuracy" in row] for side in ("inside", "outside"))
        shares = f"{100 * np.mean(inside):.1f} % of the examples it was trained on and {100 * np.mean(outside):.1f} % of the others"
        mean = f"mean memorization {finding.mean:.3g} ({finding.mean_low:.3g} to {finding.mean_high:.3g} at 95 %)"
        error = f"the error of one value is {np.nanmedian(self.scores.standard_errors):.2g} (median), and at most {finding.error:.2g} (bound, any model)"
        return f"Trained on {100 * self.share:g} % of the examples it is right on {shares}: {mean}. From {finding.trials} fits; {error}."

    def _most(self, finding: Memorized) -> str:
        some = [i for i in finding.most if self.scores.values[i] > MEMORIZED][:5]
        if not some:
            return f"No example has a memorization above {MEMORIZED:g}."
        return "The most memorized: " + "; ".join(f"example {i} (label {self.labels[i]}, {self.scores.values[i]:.2f})" for i in some) + "."


def memorization(
    model: Any,
    data: Any = None,
    *,
    trials: int | None = None,
    error: float | None = None,
    share: float = 0.7,
    influence: bool = False,
    exact: bool = True,
    corruption: Corruption = TrueLabels(),
    store: Store | Path | str | None = None,
    workers: int = 0,
    runtime: Runtime = Runtime(),
    on_row: OnRow | None = None,
    tell: Callable[[str], None] | None = print,
    reproduce: Sequence[str] = (),
    progress: bool | None = None,
    **recipe: Any,
) -> Memorization:
    """Measures how much each training example is memorized: how much more often the model is right on it when it was trained on it.

    mem(i) = P[right on i | trained on i] - P[right on i | not trained on i]. Interpolation by a kernel, minimum-norm least squares, ridge and nearest-neighbour
    classifiers have exact leave-one-out values from one fit; any other model is fitted many times on random subsets.

    Args:
        model: a callable that returns a `torch.nn.Module`, "module:factory", the name of an architecture, a scikit-learn estimator or a Learner.
        data: a Dataset, the name of one, an .npz file or a folder of class folders; None: 300 of scikit-learn's digits.
        trials: fits on random subsets, >= 10; None: as many as `error` needs, else 200.
        error: the root mean squared error to reach for each value, in (0, 1); the bound behind it holds for any model, and most need fewer fits.
        share: of the examples, inside in each fit, in (0, 1).
        influence: hold out a fifth of the examples, so that the result says what each example does for the prediction of these; values are then sampled.
        exact: take exact values where the model has them; False: always sample.
        corruption: what is done to the sample first, `PartialLabels(0.2)`, say; the same in all fits.
        store: where rows are kept and found again (None: in memory).
        workers: processes; 0 runs the trials in this one.
        runtime: device, threads and data root.
        on_row: called after each trial with its row, how many are done and how many there are.
        tell: gets the number of fits and their error before the run; None: nobody.
        reproduce: commands to print in the report.
        progress: whether progress is shown on standard error where there is no on_row; None: on a terminal and in a notebook.
        recipe: fields of `Training` for a torch model: `epochs`, `batch_size`, ...; of its optimizer: `lr`, ...

    Raises:
        InvalidPart: no model, an unknown kind of model or data, a regressor, or a number out of range.
        DataError: the data is missing, damaged or unusable, or no fit ended well.
        UserCodeError: the model fails.

    Source:
        Feldman, Zhang 2020, section 2.

    Example:
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> from shatterlab import GaussianCloud
        >>> result = memorization(KNeighborsClassifier(1), GaussianCloud(examples=60))
        >>> result.scores.exact, result.rows[0]["train.accuracy"]  # it has seen all of them
        (True, 1.0)
    """
    _require(model, trials, error, share)
    study = Study(OWNER, model, data, recipe, store, workers, runtime, on_row, reproduce, progress)
    (learner,) = study.learners()
    base = Trial(study.dataset, corruption, learner)
    train = corruption.fitted(study.train, base.seeds).apply(sample(study.dataset, runtime, base.seeds), base.seeds).train
    rows = study.rows(experiment := plan(base, 0)) if exact and not influence and has_exact_values(learner) else []
    if not any(EXACT in row.arrays for row in rows):
        if rows and tell is not None:
            tell(f"{OWNER}: no exact values, {rows[0].get('measure.LeaveOneOut.reason') or rows[0].get('error')}.")
        count = trials or (needed_trials(error, share) if error else TRIALS)
        if tell is not None:
            tell(_announced(count, error, share, len(train)))
        rows = study.rows(experiment := plan(base, count, share, len(train) // 5 if influence else 0))
    labels = _labels(train)
    shown = memorization_scores(rows).most(_SHOWN)
    views = (MemorizationHistogram(), MostMemorized(labels, _images(train, shown), _SHOWN))
    return Memorization(replace(experiment, views=views), tuple(rows), tuple(reproduce), labels, share, model_name(base.specification()))


def _require(model: Any, trials: int | None, error: float | None, share: float) -> None:
    checks = (
        (model is not None, "a model is required", model, "Name an architecture, or pass an estimator"),
        (trials is None or trials >= FEWEST, f"trials is a whole number >= {FEWEST} or None", trials, f"{TRIALS} are usual"),
        (error is None or 0 < error < 1, "error is in (0, 1) or None", error, "0.1 takes some 500 trials"),
        (0 < share < 1, "share is a fraction in (0, 1)", share, "0.7 is usual"),
    )
    for good, required, got, remedy in checks:
        if not good:
            raise InvalidPart(f"{OWNER}: {required}, got {got!r}. {remedy}.")


def _announced(count: int, error: float | None, share: float, n: int) -> str:
    text = f"{OWNER}: {count} fits on {100 * share:g} % of {n:,} examples; the root mean squared error of a value is at most {worst_error(count, share):.2g}."
    needed = 0 if error is None else needed_trials(error, share)
    return f"{text} At most {error:g} takes {needed:,} trials." if needed > count else text


def has_exact_values(learner: Learner) -> bool:
    """Whether one fit of this learner has leave-one-out values of all examples, by its kind."""
    if isinstance(learner, KernelInterpolation):
        return learner.solver == "direct"
    return isinstance(learner, LinearMinimumNorm) or (isinstance(learner, Estimator) and isinstance(learner.built(), KNeighborsClassifier | RidgeClassifier))


def plan(base: Trial, trials: int, share: float = 0.7, held_out: int = 0, **fields: Any) -> Experiment:
    """The study of one learner on one sample as an experiment.

    Args:
        base: data set, corruption and learner.
        trials: fits on random subsets; 0: one fit with exact values. Replicate r has its own subset, initial weights and order; data and corruption stay.
        share: of the examples, inside in each fit.
        held_out: examples that are never inside.
        fields: further fields of the `Experiment`.
    """
    fits: Iterable[Trial] = [replace(base, measures=(LeaveOneOut(),))]
    if trials:
        learner = OnSubset(base.learner, share, held_out)
        fits = [replace(base, learner=learner, seeds=Seeds(base.seeds.data, base.seeds.corruption, r, r)) for r in range(trials)]
    return replace(Experiment(OWNER, SOURCE, QUESTION, tuple(fits), (MemorizationHistogram(), MostMemorized(count=_SHOWN))), **fields)


def _labels(train: Examples) -> tuple[str, ...]:
    names = train.names or tuple(map(str, range(train.classes)))
    return tuple(names[label] for label in train.labels.tolist())


def _images(train: Examples, places: Sequence[int]) -> dict[int, str]:
    """The images of these examples as data URLs; none where inputs are no images of one or three channels."""
    if isinstance(train.inputs, Streamed) or len(train.shape) != 3 or train.shape[0] not in (1, 3):
        return {}
    return {i: _image(train.inputs[i].clamp(0, 1).mul(255).byte().permute(1, 2, 0).squeeze(2).numpy()) for i in places}


def _image(pixels: np.ndarray[Any, Any]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.NEAREST).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
