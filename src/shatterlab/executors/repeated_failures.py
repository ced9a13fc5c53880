"""When the user's code fails twice alike, further trials of it are spared."""

from __future__ import annotations

from shatterlab.core import Row
from shatterlab.core.part import canonical
from shatterlab.trials.trial import Trial

_OF_THE_MACHINE = ("LocalPool: ", "Trial: ")  # a lack of memory, a dead worker, a check of ours: these say nothing of the code


class RepeatedFailures:
    """Counts the failures of each model of the user's on each data set.

    A model is given up after two trials on one data set that failed with the same text, where none on it has ended. Learners of the package are never given up:
    what fails in some cells of a sweep is a result of it. Neither are failures of the machine counted. The trials of a study in stages share one count.
    """

    def __init__(self) -> None:
        self.ended: list[Trial] = []
        self._failures: dict[tuple[str, str], int] = {}
        self.given_up: dict[str, Row] = {}

    def note(self, trial: Trial, row: Row) -> str | None:
        """Counts the row of a trial; the name of its model on its data set where that is now given up, else None."""
        if row["status"] != "failed":
            self.ended.append(trial)
            return None
        error = str(row.get("error"))
        if error.startswith(_OF_THE_MACHINE) or not any(part.fingerprints() or part.outside_fingerprint for part in trial.learner.parts()):
            return None
        name = model_on_data(trial)
        self._failures[name, error] = self._failures.get((name, error), 0) + 1
        if self._failures[name, error] < 2 or name in self.given_up or any(model_on_data(each) == name for each in self.ended):
            return None
        self.given_up[name] = row
        return name

    def spares(self, trial: Trial) -> bool:
        """Whether the trial's model is given up on its data set."""
        return bool(self.given_up) and model_on_data(trial) in self.given_up


def model_on_data(trial: Trial) -> str:
    """What two trials of one learner and one data set have in common."""
    return canonical([trial.learner.describe(), trial.dataset.describe()])
