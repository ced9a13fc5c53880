"""The paper's settings: corruptions to train on, and the conditions by which claims and views select their rows."""

from __future__ import annotations

from typing import Any

from shatterlab.core import Corruption
from shatterlab.corruptions.labels import RandomLabels, TrueLabels
from shatterlab.corruptions.pixels import GaussianPixels, RandomPixels, ShuffledPixels

TRUE_AND_RANDOM: tuple[Corruption, ...] = (TrueLabels(), RandomLabels())
FIVE_SETTINGS: tuple[Corruption, ...] = (*TRUE_AND_RANDOM, ShuffledPixels(), RandomPixels(), GaussianPixels())

LABELS: dict[str, Any] = {"corruption.kind": "PartialLabels"}  # of every level
TRUE: dict[str, Any] = LABELS | {"corruption.level": 0.0}
RANDOM: dict[str, Any] = LABELS | {"corruption.level": 1.0}
SHUFFLED_PIXELS, RANDOM_PIXELS, GAUSSIAN_PIXELS = ({"corruption.kind": kind} for kind in ("ShuffledPixels", "RandomPixels", "GaussianPixels"))
