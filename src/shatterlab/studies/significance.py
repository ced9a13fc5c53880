"""Is the score real? A permutation test of a whole pipeline: refitted on labels that its inputs say nothing about."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from shatterlab.core.errors import DataError, InvalidPart, UserCodeError
from shatterlab.core.frames import frame_of
from shatterlab.core.user_code import user_code
from shatterlab.statistics import clopper_pearson
from shatterlab.statistics.permutations import Whole, fewest_draws, monte_carlo_test, p_text, significant, smallest_significant, stopping_count
from shatterlab.studies.permutable import FEATURES, LABELS, Permutable, joined
from shatterlab.studies.scored_model import OWNER, ScoredModel, scored_model

Test = Literal["labels", "features within class"]
Tell = Callable[[str], object]
_PERCENT = ("accuracy", "balanced_accuracy", "top_k_accuracy")
_BY_PROBABILITY = ("roc_auc", "average_precision", "log_loss", "brier", "d2_")
_FIRST = 40  # permutations before the first word about the score that is needed
_INDICES = 20_000_000  # sent to workers at a time


@dataclass(frozen=True, eq=False, repr=False)
class Significance:
    """Whether a score is more than permuted labels give.

    Args:
        score: the score with the labels as they are.
        null: the score of each permutation, in order.
        exceedances: permutations that scored at least as high as the labels as they are.
        p: the p-value, in (0, 1]; P(p <= alpha) <= alpha where the inputs say nothing about the labels.
        smallest_p: the smallest p-value that could have come out.
        level: 1 - the largest p-value that counts as significant.
        planned: permutations at most.
        stopped: whether fewer decided it.
        complete: whether every arrangement of the labels was visited.
        baseline: the score of the majority class, the class shares or the mean target; None for a function.
        metric: the name of the score.
        change: what was permuted, as in "with permuted labels".
        test: "labels" or "features within class".
        examples: how many there are.
        classes: whether labels are classes.
        independent: whether examples were taken as independent, without groups and time.
    """

    score: float
    null: np.ndarray[Any, np.dtype[np.float64]]
    exceedances: int
    p: float
    smallest_p: float
    level: float
    planned: int
    stopped: bool
    complete: bool
    baseline: float | None
    metric: str
    change: str
    test: Test
    examples: int
    classes: bool
    independent: bool

    @property
    def p_value(self) -> float:
        """The same as `p`."""
        return self.p

    @property
    def permutations(self) -> int:
        """How many were used."""
        return len(self.null)

    @property
    def detectable(self) -> float | None:
        """A score above this one would have been significant; None where no score would."""
        return None if self.smallest_p > significant(self.level) else smallest_significant(self.null, self.level)

    @property
    def verdict(self) -> str:
        """One of the following.

        "real", "real, but no better than the baseline", "undecided" (more permutations would tell), "not shown" and "too few examples" (no score could be
        significant); of features: "uses dependence between features" in place of the first two.
        """
        alpha = significant(self.level)
        if self.smallest_p > alpha:
            return "too few examples"
        if self.p > alpha:
            return "undecided" if not self.complete and self._range()[0] <= alpha else "not shown"
        if self.test == FEATURES:
            return "uses dependence between features"
        return "real" if self.baseline is None or self.score > self.baseline else "real, but no better than the baseline"

    def text(self) -> str:
        """The score, what chance gives, p, and what follows, in sentences."""
        of_chance = [] if self.baseline is None else [f"{self._constant()} gives {self.value(self.baseline)}"]
        of_chance.append(f"{self.change} at best {self.value(self.null.max())}, half the time at most {self.value(float(np.median(self.null)))}")
        stopped = f", which decided it before the planned {self.planned}" if self.stopped else ", all that there are" if self.complete else ""
        first = f"{self._named()} {self.value(self.score)}; {'; '.join(of_chance)}: p = {self._p()} ({self.permutations} permutations{stopped})."
        caution = "Examples are taken as independent: give groups or time where some belong together."
        return "\n".join([first, self._conclusion(), *([caution] if self.independent else [])])

    def to_frame(self) -> Any:
        """A pandas frame with the columns `permutation` (0: labels as they are) and `score`.

        Raises:
            InvalidPart: pandas is not installed.
        """
        return frame_of(({"permutation": k, "score": float(score)} for k, score in enumerate([self.score, *self.null])), OWNER)

    def figure(self) -> Any:
        """A histogram of the scores of all permutations, with the score as a line: an Altair chart."""
        import altair as alt  # takes a second

        scores, bins = [{"score": float(score)} for score in self.null], alt.Bin(maxbins=30)
        null = alt.Chart(alt.Data(values=scores)).mark_bar().encode(x=alt.X("score:Q", bin=bins, title=self._named()), y=alt.Y("count()", title="permutations"))
        own = alt.Chart(alt.Data(values=[{"score": self.score}])).mark_rule(strokeWidth=2, color="#D55E00").encode(x="score:Q")
        return (null + own).properties(title=f"{self._named()} {self.value(self.score)}, p = {self._p()}")

    def __repr__(self) -> str:
        return f"<Significance {self.verdict}: {self._named()} {self.value(self.score)}, p = {self._p()}, {self.permutations} permutations>"

    def _repr_html_(self) -> str:
        first, *others = self.text().splitlines()
        return f"<p><strong>{html.escape(self.verdict)}</strong>: {html.escape(first)}</p><p>{html.escape(' '.join(others))}</p>"

    def value(self, score: float) -> str:
        """A score as the text prints it: accuracies in percent, other metrics as they are."""
        return f"{100 * score:.1f} %" if self.metric in _PERCENT else f"{score:.4g}"

    def _named(self) -> str:
        return "score" if self.metric == "score" else f"test {self.metric.replace('_', ' ') if self.metric in _PERCENT else self.metric}"

    def _constant(self) -> str:
        shares = any(word in self.metric for word in _BY_PROBABILITY)
        return "always answering the mean" if not self.classes else "answering the class shares" if shares else "always answering the majority class"

    def _p(self) -> str:
        return p_text(self.p, significant(self.level))

    def _range(self) -> tuple[float, float]:
        """Where the share of all permutations that score as high lies, at 95 %."""
        interval = clopper_pearson(self.exceedances, self.permutations)
        return interval.low, interval.high

    def _conclusion(self) -> str:
        verdict, alpha = self.verdict, significant(self.level)
        claim = "Your model is not shown to use dependence between features" if self.test == FEATURES else "Your score is not shown to be real"
        if verdict == "too few examples":
            ways = f"{self.examples} examples allow only {round(1 / self.smallest_p)} arrangements of their labels"
            return f"{ways}, so p is at least {p_text(self.smallest_p, alpha)}: no score can be shown to be real at p <= {alpha:g}. Collect more examples."
        if verdict == "undecided":
            low, high = self._range()
            more = f"permutations={10 * (self.planned + 1) - 1}"
            return f"{claim}, and this is undecided: the share of all permutations that score as high lies between {low:.2g} and {high:.2g}. Take {more}."
        if verdict == "not shown":
            share = f"{100 * self.exceedances / self.permutations:.0f} % of the permutations score at least as high"
            needed = "" if self.detectable is None else f" A score above {self.value(self.detectable)} would have been."
            return f"{claim}: {share}.{needed}"
        if verdict == "real, but no better than the baseline":
            return f"Your score is real but of no use: the inputs say something about the labels, and {self._constant()} scores as high."
        real = "Your score is real." if self.test == LABELS else "Your model uses dependence between features: without it the score falls."
        few = self.exceedances == 0 and not self.complete and self.planned < 999
        return f"{real} p can be no smaller with {self.permutations} permutations: permutations=999 would tell how small it is." if few else real


def significance(
    model: Any,
    X: Any,
    y: Any,
    *,
    held_out: tuple[Any, Any] | None = None,
    cv: Any = None,
    scoring: Any = None,
    groups: Any = None,
    strata: Any = None,
    time: Any = None,
    test: Test = "labels",
    permutations: int | Sequence[Any] = 999,
    sequential: bool = True,
    level: float = 0.95,
    seed: int = 0,
    workers: int = 0,
    tell: Tell | None = print,
) -> Significance:
    """Tests whether a score is more than chance: the whole model is refitted and scored on permuted labels.

    p = (C + 1) / (N + 1) with C of N permutations scoring at least as high. A sequential test ends as soon as p must exceed 1 - level, which costs no power.

    Args:
        model: a classifier, regressor, pipeline or search of scikit-learn's interface; or a function (X_train, y_train, X_test, y_test) -> score; or a function
            (X, y) -> score of the whole procedure, with whatever looks at all data before the splits. The larger the score the better.
        X: n inputs: an array, a pandas frame, a sparse matrix or a list.
        y: n labels or targets, of any type that is hashable.
        held_out: (X_test, y_test): fit on X, score there; labels are permuted within either part. None: cross-validation.
        cv: a number of folds, a splitter or its splits; None: 5 folds, fewer for small classes, which keep groups that share a label together. Splits given as
            a list may have been stratified, so labels are permuted within the examples that share their folds: better give the splitter.
        scoring: the name of one of scikit-learn's metrics or a scorer; None: accuracy, r2 for regressors, a search's own.
        groups: a group of each example (a patient, a site). Where each has one label, labels move between groups as wholes, else within groups.
        strata: a stratum of each example; labels stay in theirs.
        time: a time of each example, or True for the order of the rows; labels are shifted circularly, in each group and stratum. Exact if stationary.
        test: "labels" asks whether inputs say anything about labels (Test 1), "features within class" whether the model uses dependence between features
            (Test 2: each is permuted within each class, by itself).
        permutations: how many at most, or index arrays: in the k-th, example i gets the label of example permutations[k][i].
        sequential: end as soon as it is decided; False: all permutations.
        level: 1 - the largest p-value that counts as significant, in (0, 1).
        seed: of the permutations; what is random in the model is its own.
        workers: processes; 0 refits in this one. The result does not depend on it.
        tell: gets the smallest possible p before the run, and after 40 permutations the score that would be significant; None: nobody.

    Returns:
        Score, null scores, p, baseline, verdict and text.

    Raises:
        InvalidPart: an option is out of range or does not go with another.
        DataError: the data are unusable, nothing can be permuted, a score is not finite, or the model changes its data.
        UserCodeError: the model, the metric or the splitter fails.

    Source:
        Ojala, Garriga 2010, "Permutation tests for studying classifier performance", Tests 1 and 2; Besag, Clifford 1991.

    Example:
        >>> import numpy as np
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> result = significance(DecisionTreeClassifier(), np.arange(40)[:, None], np.arange(40) >= 20, permutations=19, tell=None)
        >>> result.verdict, result.p  # no permutation scores as high: 1 / 20
        ('real', 0.05)
    """
    alpha, workers = significant(level), _workers(workers)
    if test not in (LABELS, FEATURES):
        raise InvalidPart(f"{OWNER}: test is {LABELS!r} or {FEATURES!r}, got {test!r}.")
    if held_out is not None:
        X, y, cv = _behind(X, y, held_out, cv)
    elif not (cv is None or isinstance(cv, int | np.integer) or hasattr(cv, "split")):
        with user_code(f"{OWNER}: the cross-validation"):
            cv = list(cv)
    examples = Permutable.of(X, y, cv, groups, strata, time, test, permutations)
    most = _most(permutations, level)
    scored = scored_model(model, examples.y, examples.codes, cv, scoring, examples.groups, examples.whole)
    ways = examples.arrangements(scored.classes)
    planned, complete = int(min(most, ways - 1)), ways - 1 <= most
    smallest = 1 / (planned + 1)
    say = tell or (lambda _: None)
    hopeless = f", above {alpha:g}: no score can be significant" if smallest > alpha else ""
    say(f"{OWNER}: at most {planned} refits {examples.change}: p can be no smaller than {p_text(smallest, alpha)}{hopeless}.")
    score = scored.score(examples.X, examples.y, examples.codes, watch=True)
    baseline = scored.baseline(examples.X, examples.y, examples.codes)
    stop = stopping_count(planned, level) if sequential else None
    scores = _under_permutations(scored, examples, examples.draws(most, seed), workers, stop)
    result = Significance(
        score, np.zeros(0), 0, 1.0, smallest, level, planned, False, complete, baseline, scored.metric, examples.change, test, len(examples.codes),
        scored.classes, examples.groups is None and examples.time is None,
    )  # fmt: skip
    outcome = monte_carlo_test(score, _announced(result, scores, say), planned, stop)
    complete = complete and not outcome.stopped
    return replace(result, p=outcome.p, null=outcome.null, exceedances=outcome.exceedances, stopped=outcome.stopped, complete=complete)


def _workers(workers: int) -> int:
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
        raise InvalidPart(f"{OWNER}: workers is a whole number >= 0, got {workers!r}. 0 refits in this process.")
    return workers


def _most(permutations: int | Sequence[Any], level: float) -> int:
    most = permutations if isinstance(permutations, int | np.integer) else len(permutations)
    if most < (fewest := fewest_draws(level)):
        got = f"got {most}, with which p is never below {1 / (most + 1):.3g}" if most > 0 else f"got {most}"
        raise InvalidPart(f"{OWNER}: at least {fewest} permutations are required at level {level}, {got}. Take permutations=999.")
    return int(most)


def _behind(X: Any, y: Any, held_out: tuple[Any, Any], cv: Any) -> tuple[Any, Any, list[tuple[Whole, Whole]]]:
    if cv is not None:
        raise InvalidPart(f"{OWNER}: cross-validation or held-out data are required, got both. Leave cv or held_out out.")
    if not isinstance(held_out, tuple | list) or len(held_out) != 2:
        raise InvalidPart(f"{OWNER}: held_out is a pair (X_test, y_test), got {type(held_out).__name__}.")
    n, both = len(y), (joined(X, held_out[0]), joined(y, held_out[1]))
    return *both, [(np.arange(n), np.arange(n, len(both[1])))]


def _under_permutations(scored: ScoredModel, examples: Permutable, draws: Iterator[Any], workers: int, stop: int | None) -> Iterator[float]:
    """The score of each draw, in order. Batches for the workers double, as a sequential test may end after the first."""
    if not workers:
        yield from (_score(scored, examples, draw) for draw in draws)
        return
    size, largest = max(_FIRST, stop or 0), max(8 * workers, _INDICES // len(examples.codes))
    with Parallel(n_jobs=workers) as pool:
        while batch := list(itertools.islice(draws, min(size, largest))):
            step = math.ceil(len(batch) / (16 * workers))  # few enough for one that is late to matter little
            chunks = [batch[start : start + step] for start in range(0, len(batch), step)]
            for scores in pool(delayed(_scores)(scored, examples, chunk) for chunk in chunks):
                yield from scores
            size = 2 * size if stop else largest


def _scores(scored: ScoredModel, examples: Permutable, draws: Sequence[Any]) -> list[float]:
    return [_score(scored, examples, draw) for draw in draws]


def _score(scored: ScoredModel, examples: Permutable, draw: Any) -> float:
    try:
        return scored.score(*examples.rearranged(draw))
    except DataError as problem:
        raise DataError(f"{problem} The data as they are gave a score, those {examples.change.removeprefix('with ')} did not.") from None
    except UserCodeError as problem:
        raise UserCodeError(f"{problem} ({examples.change}; the data as they are gave a score)", problem.trace) from None


def _announced(result: Significance, scores: Iterator[float], say: Tell) -> Iterator[float]:
    first: list[float] = []
    for score in scores:
        yield score
        first.append(score)
        if len(first) == _FIRST < result.planned and (needed := replace(result, null=np.array(first)).detectable) is not None:
            say(f"{OWNER}: by the first {_FIRST} permutations a score above {result.value(needed)} is significant, yours is {result.value(result.score)}.")
