"""An experiment is a value: trials (the question), views (figures and tables), claims (sentences that rows can contradict)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, TypeVar

from shatterlab.analysis.replicates import matches
from shatterlab.core import Part, Row, Seeds
from shatterlab.core.errors import InvalidPart, UnknownName
from shatterlab.design.claims import SCALE_NAMES, Claim, Judgement, judge_together
from shatterlab.trials.trial import Trial

__all__ = ["SCALES", "Claim", "Experiment", "Judgement", "Scale", "grid", "once"]

Item = TypeVar("Item")
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Scale(Part):
    """How large an experiment is; its numbers enter the trials, so a smoke result can never pass for a paper result.

    Args:
        name: "smoke" (under a minute), "laptop" (2 cores, no GPU) or "paper" (the published size, a GPU).
        examples: training examples to keep (None: all), >= 1.
        test_examples: test examples to keep (None: all), >= 1.
        replicates: seeds a configuration, >= 1.
        epochs: the budget of a training, >= 1.
        numbers: further numbers that an experiment looks up by name.

    Raises:
        UnknownName: the name is not one of the three.
        InvalidPart: a number is out of range.
    """

    name: str
    examples: int | None = None
    test_examples: int | None = None
    replicates: int = 3
    epochs: int = 100
    numbers: Mapping[str, float] = field(default_factory=dict)

    def validate(self) -> None:
        if self.name not in SCALE_NAMES:
            raise UnknownName("Scale", self.name, SCALE_NAMES)
        for name in ("examples", "test_examples"):
            value = getattr(self, name)
            self.require(value is None or value >= 1, f"{name} is a whole number >= 1 or None", value)
        for name in ("replicates", "epochs"):
            self.require(getattr(self, name) >= 1, f"{name} is a whole number >= 1", getattr(self, name))

    @classmethod
    def specimens(cls) -> tuple[Part, ...]:
        return tuple(SCALES.values())

    @classmethod
    def named(cls, name: str) -> Scale:
        """The scale of that name.

        Raises:
            UnknownName: there is none; the nearest names are offered.
        """
        if name not in SCALES:
            raise UnknownName("Scale", name, SCALES)
        return SCALES[name]

    @property
    def seeds(self) -> list[Seeds]:
        """The seeds of the replicates."""
        return [Seeds.replicate(r) for r in range(self.replicates)]

    def pick(self, *, smoke: Choice, laptop: Choice, paper: Choice | EllipsisType = ...) -> Choice:
        """The value for this scale: `scale.pick(smoke=[Digits()], laptop=..., paper=...)`; without one for paper scale, that of laptop scale."""
        return {"smoke": smoke, "laptop": laptop, "paper": laptop if isinstance(paper, EllipsisType) else paper}[self.name]


SCALES: Mapping[str, Scale] = {
    "smoke": Scale("smoke", examples=400, test_examples=400, replicates=3, epochs=100),
    "laptop": Scale("laptop", examples=5000, test_examples=2000, replicates=3, epochs=100),
    "paper": Scale("paper", replicates=3, epochs=100),
}


def grid(make: Callable[..., Item], **axes: Sequence[Any]) -> tuple[Item, ...]:
    """One object for every combination of the axes; the first axis varies slowest.

    Args:
        make: `Trial`, or another callable that takes the axes by name.
        axes: name -> list of values.

    Raises:
        InvalidPart: an axis is no list.

    Example:
        >>> grid(dict, level=[0.0, 1.0], seed=[1, 2])
        ({'level': 0.0, 'seed': 1}, {'level': 0.0, 'seed': 2}, {'level': 1.0, 'seed': 1}, {'level': 1.0, 'seed': 2})
    """
    for name, values in axes.items():
        if not isinstance(values, list | tuple):
            raise InvalidPart(f"grid: every axis is a list, got {name}={values!r}. Write {name}=[...].")
    return tuple(make(**dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values()))


def once(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Each trial once, in the order of their first appearance."""
    return tuple({trial.key: trial for trial in trials}.values())


@dataclass(frozen=True)
class Experiment:
    """A question as data: what to run, what to show, what is claimed.

    Args:
        name: short, as in `shatterlab run NAME`.
        source: where the question comes from, "Zhang et al. 2017, Figure 1(c)", say.
        question: one sentence that ends in a question mark.
        trials: the trials to run; `grid` makes them.
        views: figures and tables, `Curve` and `Table`, say.
        claims: sentences that the rows may confirm or contradict.
        scale: the name of the scale of the trials; claims are judged by it.
        propose: rows so far -> further trials, a pure function that is called until it returns none (bisection,
            sequential stopping); None: there are no further trials.

    Raises:
        InvalidPart: there is nothing to run, or a trial is not a `Trial`.
    """

    name: str
    source: str
    question: str
    trials: tuple[Trial, ...]
    views: tuple[Any, ...] = ()
    claims: tuple[Claim, ...] = ()
    scale: str = ""
    propose: Callable[[Sequence[Row]], Iterable[Trial]] | None = None

    def __post_init__(self) -> None:
        for name in ("trials", "views", "claims"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple):
                raise InvalidPart(f"Experiment: {name} is a sequence, got {value!r}. Write {name}=(..., ).")
            object.__setattr__(self, name, tuple(value))
        self._require_trials(self.trials)
        self._require_open_claims()
        if not self.trials and self.propose is None:
            raise InvalidPart(f"Experiment: at least one trial or a propose is required, {self.name!r} has neither. Look for an empty axis of its grid.")

    def further(self, rows: Iterable[Row]) -> tuple[Trial, ...]:
        """The trials to run after these rows, without those that have a row already; none ends the experiment."""
        if self.propose is None:
            return ()
        known = list(rows)
        proposed = tuple(self.propose(known))
        self._require_trials(proposed)
        keys = {row.get("key") for row in known}
        return once(trial for trial in proposed if trial.key not in keys)

    def select(self, rows: Iterable[Row]) -> list[Row]:
        """The rows of this experiment's own trials, in their order, and of proposed trials as far as they were run."""
        by_key = {row.get("key"): row for row in rows}
        selected: dict[str, Row] = {}
        trials = self.trials or self.further(())
        while trials:
            selected |= {trial.key: by_key[trial.key] for trial in trials if trial.key in by_key}
            complete = all(trial.key in by_key for trial in trials)
            trials = self.further(selected.values()) if complete else ()
        return list(selected.values())

    def judge(self, rows: Iterable[Row]) -> tuple[Judgement, ...]:
        """Every claim, judged by the rows of this experiment's own trials; all of them are one family."""
        return judge_together(self.claims, self.select(rows), self.scale)

    def _require_open_claims(self) -> None:
        """A mean that training itself brings into the claimed range shows nothing: what can be claimed is that each run gets there."""
        for claim in self.claims:
            for trial in self.trials if claim.may_be_a_goal else ():
                if claim.is_met_by(trial.learner.goals()) and matches(Row(trial.specification()), claim.where):
                    required = f"a claim outside the rule by which training ends is required, {claim.text!r} lies inside {dict(trial.learner.goals())}"
                    raise InvalidPart(f"Experiment: {required}. Claim it of each run: every(...) in place of mean(...).")

    def _require_trials(self, trials: Iterable[Any]) -> None:
        for trial in trials:
            if not isinstance(trial, Trial):
                raise InvalidPart(f"Experiment: trials are Trial(dataset, corruption, learner, ...), got {trial!r}. Make them with grid(Trial, ...).")
