"""Every trial of every experiment keeps its key at every scale: rows that people have stored are found by it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from shatterlab import experiments
from shatterlab.core.part import canonical
from shatterlab.design.experiment import SCALES

PINNED = Path(__file__).with_name("experiment_keys.json")


def stands_for(trial):
    """The key; where a version of another package enters it, by the fingerprint of an estimator, say, the description instead."""
    parts = [part for name in ("dataset", "corruption", "learner") for part in getattr(trial, name).parts()]
    return canonical({**trial.describe(), "measures": ()}) if any(part.fingerprints() for part in parts) else trial.key


def digest(name, scale):
    trials = experiments.find(name)(SCALES[scale]).trials
    return f"{len(trials)} {hashlib.sha256(chr(10).join(sorted(map(stands_for, trials))).encode()).hexdigest()}"


@pytest.mark.parametrize("name", experiments.names())
def test_an_experiment_keeps_the_keys_of_its_trials(name):
    """A new experiment, or one that is meant to run other trials: write the file again, python tests/experiments/test_keys.py."""
    assert {scale: digest(name, scale) for scale in SCALES} == json.loads(PINNED.read_text())[name]


if __name__ == "__main__":
    pinned = {name: {scale: digest(name, scale) for scale in SCALES} for name in experiments.names()}
    PINNED.write_text(json.dumps(pinned, indent=1) + "\n")
