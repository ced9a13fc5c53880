"""The audit of its two default recipes: true and random labels, a sweep of levels, three kinds of noise pixels."""

from __future__ import annotations

from dataclasses import replace

from shatterlab import Experiment, Scale
from shatterlab.studies.audit import plan
from shatterlab.studies.model_and_data import dataset, learners


def experiment(scale: Scale) -> Experiment:
    """The audit of the two default recipes on digits, at any scale."""
    return replace(plan(learners(), dataset(), scale.replicates), scale=scale.name)
