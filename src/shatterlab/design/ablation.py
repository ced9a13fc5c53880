"""An ablation: one trial, the factors that are switched on in it, and the effect of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from shatterlab.analysis.naming import heading
from shatterlab.core import Corruption, Part, Seeds
from shatterlab.core.errors import InvalidPart, UnknownName
from shatterlab.corruptions.labels import RandomLabels
from shatterlab.design.claims import Claim, every, mean, ratio
from shatterlab.design.experiment import Experiment
from shatterlab.trials.trial import Trial
from shatterlab.views import Effect, Effects, LearningCurves, Table

Cell = tuple[str, ...]  # the names of the factors that are on, in their order


@dataclass(frozen=True)
class Factor:
    """A change that can be switched on in a trial: a regularizer, say.

    Args:
        name: in words, "weight decay".
        sets: dotted field of the trial -> its value when on, {"learner.optimizer.weight_decay": 5e-4}.
        adds: dotted field of the trial, a tuple -> the items appended to it when on, {"learner.augmentation": (RandomCrop(28),)}.

    Example:
        >>> Factor("dropout", sets={"learner.architecture.dropout": 0.5}).name
        'dropout'
    """

    name: str
    sets: Mapping[str, Any] = field(default_factory=dict)
    adds: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.sets and not self.adds:
            raise InvalidPart(f"Factor: a field to set or to add to is required, {self.name!r} has none. Say what it switches on.")

    def applied(self, trial: Trial) -> Trial:
        """The trial with this factor on.

        Raises:
            UnknownName: a part on the way has no such field.
        """
        for path, value in self.sets.items():
            trial = _changed(trial, path, value)
        for path, items in self.adds.items():
            trial = _changed(trial, path, items, append=True)
        return trial


@dataclass(frozen=True)
class Ablation:
    """A grid of trials over factors that are on or off, with effects, interactions and two claims.

    Every cell of the grid is trained with the same seeds, so that an effect is a difference within a replicate. One further cell has every
    factor on and random labels: a learner that fits those is not kept from memorizing by regularization.

    Args:
        base: the trial with every factor off; its seeds are replaced by those of the replicates.
        factors: at least one, of different names.
        design: "factorial": all 2^f combinations, for main effects (over the settings of the other factors) and two-way
            interactions; "one_at_a_time": no factor, every factor alone, all factors.
        replicates: seeds a cell, >= 1; from 2 on there are intervals.
        chance: the test accuracy of guessing; None: 1/k of the data's k classes.
        keeps: what "not necessary" means: with all factors off, more than this share of the test accuracy above chance remains.
        randomized: the corruption of the further cell.

    Raises:
        InvalidPart: no factor, two of one name, or a number out of range.
    """

    base: Trial
    factors: tuple[Factor, ...]
    design: Literal["factorial", "one_at_a_time"] = "factorial"
    replicates: int = 3
    chance: float | None = None
    keeps: float = 0.8
    randomized: Corruption = RandomLabels()

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", tuple(self.factors))
        names = self.names
        if not names or len(set(names)) < len(names):
            raise InvalidPart(f"Ablation: at least one factor, of different names, is required, got {', '.join(names) or 'none'}. Name each.")
        if self.design not in ("factorial", "one_at_a_time"):
            raise InvalidPart(f"Ablation: design is 'factorial' or 'one_at_a_time', got {self.design!r}")
        if self.replicates < 1 or not 0 <= (self.chance or 0) < 1 or not 0 < self.keeps < 1:
            got = (self.replicates, self.chance, self.keeps)
            raise InvalidPart(f"Ablation: replicates >= 1, chance in [0, 1) and keeps in (0, 1) are required, got {got}")

    @property
    def names(self) -> Cell:
        """The names of the factors, in their order."""
        return tuple(factor.name for factor in self.factors)

    def cells(self) -> dict[Cell, Trial]:
        """The grid: names of the factors that are on -> the trial."""
        counts = range(len(self.names) + 1) if self.design == "factorial" else sorted({0, 1, len(self.names)})
        return {on: self._with(on) for count in counts for on in itertools.combinations(self.names, count)}

    def trials(self) -> tuple[Trial, ...]:
        """Every cell, and the one on random labels, under every seed; replicates outermost, so that an early look is balanced."""
        cells = [*self.cells().values(), self._randomized]
        return tuple(replace(trial, seeds=Seeds.replicate(r)) for r in range(self.replicates) for trial in cells)

    def effects(self) -> tuple[Effect, ...]:
        """Main effects, then interactions of two; one at a time: every factor alone against none, then all of them."""
        where = self._where()
        if self.design == "factorial":
            main = (_contrast(name, where, [name in on for on in where], 1.0) for name in self.names)
            # how much more the one does where the other is on, over the settings of the rest
            crossed = (
                _contrast(f"{one} x {other}", where, [(one in on) == (other in on) for on in where], 2.0)
                for one, other in itertools.combinations(self.names, 2)
            )
            return (*main, *crossed)
        combined = () if len(self.names) == 1 else (Effect("all of them", (where[self.names],), (where[()],)),)
        return (*(Effect(name, (where[(name,)],), (where[()],)) for name in self.names), *combined)

    def claims(self) -> tuple[Claim, ...]:
        """Neither necessary nor sufficient, as sentences that rows can contradict."""
        where = self._where()
        off, on, random = where[()], where[self.names], self._columns(self._randomized)
        factors, accuracy = ", ".join(self.names), "test.accuracy"
        chance = 0.0 if self.chance is None else self.chance
        necessary = f"not necessary: without {factors}, over {self.keeps:g} of the test accuracy above chance remains"
        sufficient = f"not sufficient: with {factors}, random labels are fitted to at least 0.99"
        nothing = "and nothing is learned from them: test accuracy is chance to within 5 points"
        return (
            ratio(necessary, accuracy, off, on, low=self.keeps, origin="chance" if self.chance is None else self.chance),
            every(sufficient, "train.accuracy", random, low=0.99),
            mean(nothing, accuracy, random, low=chance - 0.05, high=chance + 0.05, above_chance=self.chance is None),
        )

    def experiment(self, name: str, source: str = "", scale: str = "") -> Experiment:
        """All of it as an experiment: trials, the table of cells, the table of effects, the claims.

        Args:
            name: name of the experiment.
            source: where the question comes from.
            scale: name of the scale of the trials.
        """
        question = f"What do {', '.join(self.names)} do, are they necessary, and are they sufficient?"
        differing = tuple(column for column in self._differing() if not column.endswith(".fingerprint"))
        table = Table(differing, ("train.accuracy", "test.accuracy", "fit.epochs"), title="Cells of the ablation")
        views = (table, Effects(self.effects(), title=f"Effects, {self.design.replace('_', ' ')}"), *self._curves())
        return Experiment(name, source, question, self.trials(), views, self.claims(), scale)

    def _curves(self) -> Iterator[LearningCurves]:
        labels = {column: value for column, value in self.base.specification().items() if column.startswith("corruption.") and value is not None}
        for column in dict.fromkeys(next(iter({**factor.sets, **factor.adds})) for factor in self.factors):
            yield LearningCurves("test.accuracy", column, title=f"Test accuracy by epoch and {heading(column)}", where=labels, best=True)

    def _with(self, on: Cell) -> Trial:
        trial = self.base
        for factor in self.factors:
            trial = factor.applied(trial) if factor.name in on else trial
        return trial

    @property
    def _randomized(self) -> Trial:
        return replace(self._with(self.names), corruption=self.randomized)

    def _differing(self) -> list[str]:
        cells = [trial.specification() for trial in (*self.cells().values(), self._randomized)]
        columns = dict.fromkeys(column for cell in cells for column in cell if column != "key")
        return [column for column in columns if len({cell.get(column) for cell in cells}) > 1]

    def _columns(self, trial: Trial) -> dict[str, Any]:
        specification = trial.specification()
        return {column: specification.get(column) for column in self._differing()}

    def _where(self) -> dict[Cell, dict[str, Any]]:
        return {on: self._columns(trial) for on, trial in self.cells().items()}


def _contrast(name: str, where: Mapping[Cell, dict[str, Any]], plus: list[bool], factor: float) -> Effect:
    marked = list(zip(where.values(), plus, strict=True))
    return Effect(name, tuple(cell for cell, mark in marked if mark), tuple(cell for cell, mark in marked if not mark), factor=factor)


def _changed(part: Any, path: str, value: Any, append: bool = False) -> Any:
    name, _, rest = path.partition(".")
    known = [item.name for item in type(part).configuration()] if isinstance(part, Part) else []
    if name not in known:
        raise UnknownName(getattr(part, "kind", type(part).__name__), name, known)
    old = getattr(part, name)
    return replace(part, **{name: _changed(old, rest, value, append) if rest else (*old, *value) if append else value})
