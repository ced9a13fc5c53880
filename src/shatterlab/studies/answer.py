"""What an experiment on a recipe of the user's found, as they meet it: a verdict in plain words, a report for the terminal and one as a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from shatterlab.core import Row
from shatterlab.design.experiment import Experiment
from shatterlab.report import render, text_report, write


@dataclass(frozen=True)
class Answer(ABC):
    """The rows of an experiment and what they say.

    Args:
        experiment: what was asked.
        rows: one a trial.
        reproduce: the commands or calls that give it again.
    """

    experiment: Experiment
    rows: tuple[Row, ...]
    reproduce: tuple[str, ...] = ()

    @property
    @abstractmethod
    def verdict(self) -> str:
        """The answer in plain words, in lines."""

    def text(self) -> str:
        """The report for a terminal: verdict first, then the tables."""
        return text_report(self.experiment, self.rows, self.verdict.splitlines())

    def save(self, path: Path | str) -> Path:
        """Writes the report as one self-contained HTML file.

        Raises:
            ShatterlabError: the file cannot be written there.
        """
        html = render(self.experiment, self.rows, verdict=self.verdict.splitlines(), reproduce=self.reproduce, scale=self.experiment.scale)
        return Path(write(path, html))
