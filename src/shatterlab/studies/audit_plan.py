"""What an audit trains: a first pair of trials to see what one costs, then as many replicates, settings and permutations as the time allows."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binom

from shatterlab.analysis.metric import Metric
from shatterlab.analysis.naming import counted
from shatterlab.analysis.null_distribution import NullTest, null_test
from shatterlab.core import Corruption, Dataset, Learner, Row, Seeds, Splits
from shatterlab.core.errors import InvalidPart
from shatterlab.corruptions.labels import PermutedLabels, TrueLabels, exchange_of
from shatterlab.corruptions.pixels import GaussianPixels, RandomPixels, ShuffledPixels
from shatterlab.design.experiment import once
from shatterlab.statistics.permutations import fewest_draws, p_text, significant
from shatterlab.trials.trial import Trial

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
_PIXELS: tuple[Corruption, ...] = (ShuffledPixels(), RandomPixels(), GaussianPixels())
_STEPS = (19, 39, 99, 199, 499, 999)  # permutations, after each of which it may be decided
_FULL = (*((5, True, n) for n in (999, 499, 199, 99, 39)), (3, True, 39), (3, True, 19), (3, False, 19), (1, False, 19))
_QUICK = tuple((1, False, n) for n in (999, 499, 199, 99, 39, 19))
_QUICK_TRAINING = 3.0  # seconds: loading libraries is no small part of the first one
_AIM, _PATIENCE, _QUICK_AIM = 60.0, 600.0, 10.0  # seconds: aimed at without a budget; that five replicates may take; of a quick audit


@dataclass(frozen=True)
class Plan:
    """How much an audit trains.

    Args:
        replicates: of each setting.
        settings: corruptions besides true and permuted labels.
        permutations: at most, of the first replicate's labels.
        trainings: at most, in all.
        seconds: that these take.
    """

    replicates: int
    settings: tuple[Corruption, ...]
    permutations: int
    trainings: int
    seconds: float


@dataclass(frozen=True, eq=False)
class AuditPlan:
    """Which trials an audit runs, as a function of the rows that it has.

    Args:
        learners: the models.
        dataset: the data.
        splits: of its first replicate.
        replicates: of each setting, >= 1; None: as the time allows.
        levels: of the sweep of permuted labels, in [0, 1].
        permutations: at most; 0: none; None: as the time allows.
        budget: seconds that it may take, > 0; None: about a minute where five replicates are possible in that.
        quick: only true and permuted labels.
        workers: processes.
        level: 1 - the largest p-value that counts as significant.

    Raises:
        InvalidPart: a number is out of range.
    """

    learners: tuple[Learner, ...]
    dataset: Dataset
    splits: Splits
    replicates: int | None = None
    levels: tuple[float, ...] = LEVELS
    permutations: int | None = None
    budget: float | None = None
    quick: bool = False
    workers: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.replicates is not None and self.replicates < 1:
            raise InvalidPart(f"audit: replicates is a whole number >= 1, got {self.replicates}. Three give an interval.")
        fewest = fewest_draws(self.level)
        if self.permutations is not None and self.permutations != 0 and self.permutations < fewest:
            got = f"got {self.permutations}" + (f", with which p is never below {1 / (self.permutations + 1):.3g}" if self.permutations > 0 else "")
            raise InvalidPart(f"audit: permutations is 0 or at least {fewest}, {got}. Take 999, or 0 to leave the test out.")
        if self.budget is not None and not 0 < self.budget < math.inf:
            raise InvalidPart(f"audit: budget is a number of seconds > 0, got {self.budget}. Write --budget 10m, or budget=600.")

    @property
    def metric(self) -> Metric:
        """What the test score is."""
        return Metric("accuracy" if self.splits.train.values is None else "r2")

    @property
    def inner(self) -> list[float]:
        """The levels of the sweep between true and permuted labels: none where groups or times say which labels may change places."""
        train = self.splits.train
        return sorted({float(level) for level in self.levels} - {0.0, 1.0}) if train.groups is None and train.times is None else []

    @property
    def first(self) -> tuple[Trial, ...]:
        """True and permuted labels of the first replicate of each model: what they take decides the rest."""
        return once(trial for learner in self.learners for trial in (self._trial(learner, TrueLabels(), 0), self._draws(learner)[0]))

    def __call__(self, rows: Sequence[Row]) -> tuple[Trial, ...]:
        """The trials that come after these rows; none ends the audit."""
        if not {trial.key for trial in self.first} <= (known := {row["key"] for row in rows}):
            return self.first
        plan = self.chosen(rows)
        settings = self._replicates(plan)
        if any(trial.key not in known for trial in settings):
            return (*settings, *self._next(rows, plan.permutations))
        return self._next(rows, plan.permutations)

    def chosen(self, rows: Iterable[Row]) -> Plan:
        """The most that fits into the budget; without one, into a minute, but five replicates where these take less than ten."""
        keys = {trial.key for trial in self.first}
        cost = _cost([float(str(row["seconds"])) for row in rows if row["key"] in keys])
        plans = [self._plan(*option, cost) for option in (_QUICK if self.quick else _FULL)]
        aim = self.budget or (_QUICK_AIM if self.quick else _AIM)
        fitting = next((plan for plan in plans if plan.seconds <= aim), None)
        if fitting is not None and (self.budget or self.quick or fitting.replicates == plans[0].replicates):
            return fitting
        if self.budget or self.quick:
            return plans[-1]
        five, three = plans[4], plans[6]
        return five if five.seconds <= _PATIENCE else three

    @functools.cached_property
    def least(self) -> float:
        """A bound on p: 1 over the arrangements of the training labels."""
        return 1 / exchange_of(self.splits.train).arrangements(self.splits.train.labels.numpy())

    def text(self, rows: Iterable[Row]) -> str:
        """What will be run, how long it takes, and what it can decide."""
        plan, processes = self.chosen(rows), max(1, self.workers)
        smallest = max(1 / (plan.permutations + 1), self.least)
        settings = 2 + len(plan.settings)
        parts = [f"{counted(plan.replicates, 'replicate')} of {settings} settings", *([f"up to {plan.permutations} permutations"] if plan.permutations else [])]
        on = f"{processes} process{'' if processes == 1 else 'es'}"
        ends = f"At most {counted(plan.trainings, 'training')} ({', '.join(parts)}), about {lasting(plan.seconds)} on {on}"
        if plan.permutations:
            hopeless = smallest > significant(self.level)
            ends += f"; p can be as small as {p_text(smallest, significant(self.level))}" + (", so no score can be shown to be real" if hopeless else "")
        return f"{ends}.{self._detectable()}"

    def _detectable(self) -> str:
        """The test accuracy that guessing would reach only rarely, where examples are independent."""
        if self.splits.train.values is not None or self.splits.test.groups is not None or self.splits.test.times is not None:
            return ""
        labels, n = self.splits.test.labels.numpy(), len(self.splits.test)
        guess = (labels == np.bincount(self.splits.train.labels.numpy()).argmax()).mean()
        score = binom.isf(significant(self.level), n, guess) / n
        return f" On {counted(n, 'test example')}, always answering the majority class gives {100 * guess:.1f} %, by luck up to {100 * score:.1f} %."

    def _plan(self, replicates: int, sweep: bool, permutations: int, cost: float) -> Plan:
        replicates = self.replicates or replicates
        permutations = permutations if self.permutations is None else self.permutations
        settings = self._settings if sweep and not self.quick else ()
        trainings = replicates * (2 + len(settings)) + max(0, permutations - 1)
        return Plan(replicates, settings, permutations, trainings * len(self.learners), trainings * cost / max(1, self.workers))

    @functools.cached_property
    def _settings(self) -> tuple[Corruption, ...]:
        return (*map(PermutedLabels, self.inner), *(_PIXELS if len(self.splits.train.shape) == 3 else ()))

    def _replicates(self, plan: Plan) -> tuple[Trial, ...]:
        """Replicates outermost, so that an early look is balanced."""
        settings = (TrueLabels(), PermutedLabels(), *plan.settings)
        return once(self._trial(learner, setting, r) for r in range(plan.replicates) for learner in self.learners for setting in settings)

    def _next(self, rows: Sequence[Row], planned: int) -> tuple[Trial, ...]:
        """The next permutations of the models whose test is not decided."""
        return tuple(trial for learner in self.learners for trial in self._further(rows, learner, planned))

    def _further(self, rows: Sequence[Row], learner: Learner, planned: int) -> tuple[Trial, ...]:
        test = self._test(rows, learner, planned) if planned else None
        if not planned or (test is not None and test.decided):
            return ()
        done = 0 if test is None else len(test.null)
        return self._draws(learner)[: min([planned, *(step for step in _STEPS if step > max(done, 1))])]

    def _test(self, rows: Sequence[Row], learner: Learner, planned: int) -> NullTest | None:
        keys = {trial.key for trial in (self._trial(learner, TrueLabels(), 0), *self._draws(learner)[:planned])}
        return null_test([row for row in rows if row["key"] in keys], planned, self.metric.column("test"), self.level, self.least)

    def _trial(self, learner: Learner, corruption: Corruption, replicate: int) -> Trial:
        return self._made(learner, corruption, Seeds.replicate(replicate))

    def _draws(self, learner: Learner) -> tuple[Trial, ...]:
        most = max(self.permutations or 0, _STEPS[-1] if self.permutations is None else 1)
        return tuple(self._made(learner, PermutedLabels(), Seeds(0, k, k, k)) for k in range(most))

    @functools.cached_property
    def _trials(self) -> dict[Any, Trial]:
        return {}

    def _made(self, learner: Learner, corruption: Corruption, seeds: Seeds) -> Trial:
        """One object a trial, which knows its key once it was asked for."""
        place = (id(learner), corruption, seeds)
        if place not in self._trials:
            self._trials[place] = Trial(self.dataset, corruption, learner, seeds)
        return self._trials[place]


def _cost(seconds: Sequence[float]) -> float:
    """Seconds of one training of each model: the mean of the first two, but of quick ones the smaller, since the other was the first of its process."""
    pairs = [seconds[i : i + 2] for i in range(0, len(seconds), 2)]
    return sum(min(pair) if min(pair) < _QUICK_TRAINING else sum(pair) / len(pair) for pair in pairs)


def lasting(seconds: float) -> str:
    """A time in words: "20 seconds", "3 minutes", "2.5 hours".

    Example:
        >>> lasting(17.2), lasting(170), lasting(9000)
        ('17 seconds', '3 minutes', '2.5 hours')
    """
    if seconds < 90:
        return counted(max(1, round(seconds)), "second")
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def budget_of(text: str) -> float:
    """Seconds of "90", "90s", "10m" or "2h".

    Raises:
        InvalidPart: it is none of these.

    Example:
        >>> budget_of("10m")
        600.0
    """
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        return float(number) * units[unit]
    except ValueError:
        raise InvalidPart(f"audit: budget is a time such as 90s, 10m or 2h, got {text!r}. Write --budget 10m.") from None
