"""Preregistration: what an experiment will run and claims, written down with the time and a hash before its first row."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shatterlab.analysis.naming import counted
from shatterlab.core import Row
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.core.part import canonical, digest
from shatterlab.design.experiment import Experiment

_FIELDS = ("experiment", "scale", "claims", "keys", "time")


@dataclass(frozen=True)
class Frozen:
    """A preregistration.

    Args:
        experiment: its name.
        scale: its scale.
        claims: every claim as it describes itself.
        keys: of the trials.
        time: when it was written, by the clock of the machine, in UTC.
    """

    experiment: str
    scale: str
    claims: tuple[Mapping[str, Any], ...]
    keys: tuple[str, ...]
    time: datetime.datetime

    @classmethod
    def of(cls, experiment: Experiment) -> Frozen:
        """What an experiment claims now."""
        keys = tuple(sorted(trial.key for trial in experiment.trials))
        claims = tuple(claim.describe() for claim in experiment.claims)
        return cls(experiment.name, experiment.scale, claims, keys, datetime.datetime.now(datetime.UTC).replace(microsecond=0))

    @classmethod
    def read(cls, path: Path | str) -> Frozen:
        """The preregistration in a file.

        Raises:
            DataError: there is none, or it was changed after it was written.
        """
        try:
            saved = json.loads(Path(path).read_text("utf-8"))
            name, scale, claims, keys, time = (saved[field] for field in _FIELDS)
            frozen = cls(name, scale, tuple(claims), tuple(keys), datetime.datetime.fromisoformat(time))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise DataError(f"freeze: a file that `shatterlab freeze` wrote is required, {path} is none ({problem}). Freeze the experiment again.") from None
        if saved.get("sha256") != frozen.sha256:
            raise DataError(f"freeze: a file as it was written is required, {path} was changed since: its hash is another one. Take the original.")
        return frozen

    @property
    def sha256(self) -> str:
        """Of name, scale, claims, keys and time; 64 hexadecimal digits. Where it is made public, nobody can change them later."""
        return digest(self._content)

    def write(self, path: Path | str) -> Path:
        """Writes it as JSON to a new file.

        Raises:
            InvalidPart: the file exists, or cannot be written.
        """
        try:
            with Path(path).open("x", encoding="utf-8") as file:
                json.dump({**self._content, "sha256": self.sha256}, file, indent=1)
        except FileExistsError:
            raise InvalidPart(f"freeze: a new file is required, {path} exists. A preregistration is not written twice: name another one.") from None
        except OSError as problem:
            raise InvalidPart(f"freeze: a file that can be written is required, got {path} ({problem.strerror}). Name another one.") from None
        return Path(path)

    def text(self, experiment: Experiment, rows: Iterable[Row]) -> str:
        """Whether what is judged is what was frozen, and before the first row."""
        rows = list(rows)
        when = f"The claims were frozen at {self.time:%Y-%m-%d %H:%M:%S} UTC (sha256 {self.sha256[:12]})"
        starts = sorted(_start(row) for row in rows if row.get("finished"))
        earlier = sum(start < self.time for start in starts)
        place = f"before the first of {counted(len(starts), 'row')}" if not earlier else f"AFTER {earlier} of {counted(len(starts), 'row')} had begun"
        changed = [f"{verb} {text!r}" for verb, text in self._changes(experiment)]
        kept = f" NOT the claims of today: {'; '.join(changed)}." if changed else ""
        known = set(self.keys)
        other = 0 if experiment.propose is not None else sum(trial.key not in known for trial in experiment.trials)
        return f"{when}, {place}.{kept}" + (f" {other} of {counted(len(experiment.trials), 'trial')} are not the frozen ones." if other else "")

    @property
    def _content(self) -> dict[str, Any]:
        values = {"experiment": self.experiment, "scale": self.scale, "claims": list(self.claims), "keys": list(self.keys)}
        return {**values, "time": self.time.isoformat()}

    def _changes(self, experiment: Experiment) -> list[tuple[str, str]]:
        was, now = ({canonical(claim): str(claim.get("text", "")) for claim in claims} for claims in (self.claims, Frozen.of(experiment).claims))
        return [("without", was[claim]) for claim in was if claim not in now] + [("with", now[claim]) for claim in now if claim not in was]


def freeze(experiment: Experiment, path: Path | str) -> Frozen:
    """Preregistration in one line: writes what an experiment claims, the keys of its trials, the time and a hash of all to a new file.

    Args:
        experiment: before it is run; its report says whether it was.
        path: of the file, which does not exist yet.

    Raises:
        InvalidPart: the file exists, or cannot be written.
    """
    frozen = Frozen.of(experiment)
    frozen.write(path)
    return frozen


def _start(row: Row) -> datetime.datetime:
    ended = datetime.datetime.fromisoformat(str(row["finished"]))
    return ended - datetime.timedelta(seconds=float(str(row.get("seconds") or 0)))
