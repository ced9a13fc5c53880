"""The randomization test of Zhang et al.: does a quantity tell the fit of true labels from the fit of random ones?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from shatterlab.analysis.replicates import by_configuration, distinct, pairs
from shatterlab.analysis.summary import absence
from shatterlab.core import Row
from shatterlab.core.errors import DataError
from shatterlab.statistics.intervals import Interval, paired_difference
from shatterlab.statistics.significance import holm, t_test

Verdict = Literal["passes", "fails", "undecided", "not comparable"]
_SAME = 1e-6  # of training losses of exact solutions, which are equal but for rounding
_ROUNDING = 1e-12  # of the larger value of a pair: differences that vary less do not vary
_LEVEL, _KIND = "corruption.level", "corruption.kind"


@dataclass(frozen=True)
class ZhangTest:
    """The verdict on one measure for one learner.

    Args:
        column: of the measure.
        verdict: "passes" where the mean difference is above 0 and p <= 1 - level, "fails" where it is below 0 and p <= 1 - level, else "undecided"; "not
            comparable" where there are no two pairs of the same seeds, n and training loss.
        interval: of the mean paired difference, random minus true labels, by itself; None where there are no two pairs.
        n: pairs that count.
        reason: in words.
        learner: what was fitted, as columns; the specification but for the corruption.
        p: Student's, two-sided; of this test by itself from `zhang_tests`, adjusted for the family from `corrected`. None where all pairs have the same
            difference: nothing is known of its spread then, and the test is undecided.
    """

    column: str
    verdict: Verdict
    interval: Interval | None
    n: int
    reason: str
    learner: Mapping[str, Any]
    p: float | None = None


def corrected(tests: Sequence[ZhangTest], level: float = 0.95) -> list[ZhangTest]:
    """The tests of one family, with Holm's adjusted p-values and the verdicts that follow from them.

    A family is whatever is read together: the quantities of one model, or the settings in which one measure is tested. Of m quantities that see nothing, about
    m / 20 would get a verdict by chance. A test in which nothing varied counts as one of the family; one that could not be made does not.

    Args:
        tests: from `zhang_tests`.
        level: 1 - the probability that any quantity without a difference gets a verdict other than "undecided", in (0, 1).

    Returns:
        In the order of `tests`.
    """
    made = [place for place, test in enumerate(tests) if test.interval is not None]
    adjusted = dict(zip(made, holm([1.0 if tests[place].p is None else tests[place].p or 0.0 for place in made]), strict=True))
    return [
        test if test.interval is None or test.p is None else replace(test, p=adjusted[place], **_judged(test.interval, adjusted[place], level, len(made)))
        for place, test in enumerate(tests)
    ]


def _judged(interval: Interval, p: float, level: float, tests: int) -> dict[str, Any]:
    """Verdict and reason of a test whose p-value is adjusted for the number of tests."""
    verdict = "undecided" if p > 1 - level else "passes" if interval.estimate > 0 else "fails"
    place = {"passes": "lies above 0", "fails": "lies below 0", "undecided": "may be 0"}[verdict]
    adjusted = f" after Holm's correction for {tests} tests" if tests > 1 else ""
    measured = f"{interval.estimate:.4g} [{interval.low:.4g}, {interval.high:.4g}] over {interval.n} pairs, p = {p:.3g}{adjusted}"
    return {"verdict": verdict, "reason": f"random minus true labels {place}: {measured}"}


def zhang_tests(rows: Iterable[Row], column: str, level: float = 0.95) -> list[ZhangTest]:
    """Whether a measure tells random labels from true ones, one verdict a learner and data set.

    A measure that explains generalization has to be larger on random labels. A longer run alone makes most norms larger, so both fits must have stopped at the
    same training loss: by the same `learner.stop`, or, of exact solutions, with equal losses. A pair shares all seeds and n. A measure may pass and be useless.
    Each test is by itself: correct what is read together by `corrected`.

    Args:
        rows: of trials with true (`PartialLabels` of level 0) and with random labels (level 1).
        column: "measure.PathNorm.l2", say.
        level: of the interval, in (0, 1).

    Returns:
        In the order of the rows.

    Raises:
        DataError: no row has the column.
    """
    kept = [row for row in distinct(rows) if row.get(_KIND) == "PartialLabels" and row.get(_LEVEL) in (0.0, 1.0)]
    if not any(column in row or f"{column.rpartition('.')[0]}.reason" in row for row in kept):
        required = f"rows with {column} on true and on random labels are required"
        raise DataError(f"zhang_tests: {required}, got none among {len(kept)}. Add the measure to the trials.")
    return [_verdict(dict(learner), members, column, level) for learner, members in by_configuration(kept, ("corruption.",)).items()]


def _verdict(learner: Mapping[str, Any], rows: list[Row], column: str, level: float) -> ZhangTest:
    matched = pairs(*([row for row in rows if row[_LEVEL] == side] for side in (1.0, 0.0)))
    obstacles = [(_obstacle(noise, true), noise, true) for noise, true in matched]
    comparable = [(noise, true) for obstacle, noise, true in obstacles if not obstacle]
    values = [(noise.get(column), true.get(column)) for noise, true in comparable]
    known = [(float(a), float(b)) for a, b in values if isinstance(a, int | float) and isinstance(b, int | float)]
    if len(known) < 2:
        reasons = [obstacle for obstacle, _, _ in obstacles if obstacle] + [why for pair in comparable for row in pair if (why := absence(row, column))]
        reason = (reasons or [f"{len(matched)} pairs of rows with equal seeds, at least 2 are required"])[0]
        return ZhangTest(column, "not comparable", None, len(known), reason, learner)
    noises, trues = (np.array(side) for side in zip(*known, strict=True))
    interval = paired_difference(noises, trues, level)
    if np.ptp(noises - trues) <= _ROUNDING * max(np.abs(noises).max(), np.abs(trues).max()):
        reason = f"random minus true labels is {interval.estimate:.4g} in all {len(known)} pairs: nothing varied, so nothing is known of its spread"
        return ZhangTest(column, "undecided", interval, len(known), reason, learner)
    p = t_test(noises - trues)
    return ZhangTest(column, n=len(known), interval=interval, learner=learner, p=p, **_judged(interval, p, level, 1))


def _obstacle(noise: Row, true: Row) -> str:
    if noise.get("status") != "ok" or true.get("status") != "ok":
        return "a fit failed or diverged"
    if noise.get("train.n") != true.get("train.n"):
        return f"the samples differ in size: {noise.get('train.n')} and {true.get('train.n')}"
    if noise.get("fit.ended") == true.get("fit.ended") == "loss":
        return ""
    losses = [row.get("train.loss") for row in (noise, true)]
    if all(isinstance(loss, int | float) for loss in losses) and abs(float(str(losses[0])) - float(str(losses[1]))) <= _SAME:
        return ""
    ends = f"{noise.get('fit.ended') or 'without a stop'} at {losses[0]:.4g}, {true.get('fit.ended') or 'without a stop'} at {losses[1]:.4g}"
    return f"the fits did not stop at the same training loss: {ends}"
