"""The search for the largest sample that a learner fits: which trials come next, as a pure function of rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shatterlab.core import Corruption, Dataset, Learner, Measure, Row, Seeds
from shatterlab.corruptions.partial_labels import RandomLabels
from shatterlab.measures.memorized_bits import MemorizedBits
from shatterlab.theory.effective_complexity import Attempts, next_sizes
from shatterlab.trials.trial import Trial
from shatterlab.views.fit_probability import attempts


@dataclass(frozen=True)
class Search:
    """A learner, a data set, and how finely the sizes between fitted and not fitted are looked through.

    Args:
        dataset: what samples are drawn from; its `examples` is replaced.
        learner: what fits them.
        limit: how many training examples there are, >= 1.
        start: the first size, >= 1.
        replicates: runs at each size, each with its own sample, labels and initial weights, >= 1.
        resolution: the gap above the largest fitted size that may remain, as a share of it.
        tolerance: the largest training error that counts as a fit.
        corruption: of the labels; random by default.
        measures: of every fit.
    """

    dataset: Dataset
    learner: Learner
    limit: int
    start: int = 16
    replicates: int = 3
    resolution: float = 0.1
    tolerance: float = 0.0
    corruption: Corruption = RandomLabels()
    measures: tuple[Measure, ...] = (MemorizedBits(),)

    def trials(self, n: int) -> tuple[Trial, ...]:
        """The replicates at this size."""
        some = replace(self.dataset, examples=n)
        return tuple(Trial(some, self.corruption, self.learner, Seeds.replicate(r), self.measures) for r in range(self.replicates))

    def first(self) -> tuple[Trial, ...]:
        """The trials that any search begins with."""
        return self.trials(min(self.start, self.limit))

    def propose(self, rows: Iterable[Row]) -> tuple[Trial, ...]:
        """The trials to run after these rows; none where the search is done.

        Sizes are looked for among the replicates of this search only, by their keys: other rows tell nothing.
        """
        known = {str(row["key"]): row for row in rows}
        tried: list[Attempts] = []
        proposed: list[Trial] = []
        sizes = [min(self.start, self.limit)]
        while sizes and not proposed:  # sizes of which every replicate has its row are done: the next are asked for
            for n in sizes:
                trials = self.trials(n)
                proposed += [trial for trial in trials if trial.key not in known]
                tried.append(self._attempts(n, [known[trial.key] for trial in trials if trial.key in known]))
            sizes = list(next_sizes(tried, self.start, self.limit, self.resolution))
        return tuple(proposed)

    def rows(self, rows: Iterable[Row]) -> list[Row]:
        """Those of this search among any rows."""
        wanted = {"learner": self.learner, "corruption": self.corruption, "dataset": replace(self.dataset, examples=None)}
        told = {column: value for name, part in wanted.items() for column, value in part.columns(name).items() if column != "dataset.examples"}
        return [row for row in rows if all(row.get(column) == value for column, value in told.items())]

    def _attempts(self, n: int, rows: Sequence[Row]) -> Attempts:
        found = attempts(rows, self.tolerance)
        return replace(found[0], n=n) if found else Attempts(n, 0, 0)
