"""Rows brought together: grouped, paired, told apart by what their learners declare, and labelled without losing the numbers."""

from __future__ import annotations

import pytest

import shatterlab as sl
from shatterlab.analysis.ledger import role
from shatterlab.analysis.naming import setting
from shatterlab.analysis.replicates import by_configuration, configuration, grouped, matches, pairs
from shatterlab.core import Row


def row(level=0.0, seed=0, kind="PartialLabels", **columns):
    seeds = {f"seeds.{stream}": seed for stream in ("data", "corruption", "init", "order")}
    return Row({"corruption.kind": kind, "corruption.level": level, "learner.kind": "Training", **seeds, **columns})


def test_settings_are_grouped_in_the_paper_s_order_by_their_level_and_not_by_their_name():
    rows = [row(kind="GaussianPixels", level=None), row(1.0), row(0.95), row(0.1), row(1e-7), row(0.0), row(kind="MirroredLabels", level=0.5)]
    names = [name for (name,) in grouped(rows, ("setting",))]
    assert [name.level for name in names] == [None, 1e-7, 0.1, 0.95, None, None, None]
    assert (
        names[0] == "true labels"
        and names[1] == "partially corrupted labels (1e-07)"
        and names[4:] == ["random labels", "Gaussian pixels", "mirrored labels (0.5)"]
    )


def test_rows_are_paired_by_all_four_seeds_on_every_side():
    sides = [[row(level, seed) for seed in seeds] for level, seeds in ((0.0, (3, 1, 2)), (0.5, (1, 2, 9)), (1.0, (2, 1)))]
    assert [[each["seeds.init"] for each in members] for members in pairs(*sides)] == [[1, 1, 1], [2, 2, 2]]
    assert pairs() == []


def test_a_configuration_leaves_out_what_is_freed():
    base, other = row(0.0, **{"learner.ridge": 0.0, "learner.ridge_path": 1}), row(1.0, 5, **{"learner.ridge": 0.1, "learner.ridge_path": 1})
    assert len(by_configuration([base, other])) == 2
    assert len(by_configuration([base, other], ("corruption.", "learner.ridge\0"))) == 1
    assert ("learner.ridge_path", 1) in configuration(base, ("learner.ridge\0",))


def test_rows_match_by_what_is_made_from_several_columns_too():
    assert matches(row(0.5), {"setting": ["true labels", setting(row(0.5))], "model": "Training"})
    assert not matches(row(0.5), {"setting": "true labels"})


WRAPPED = {"Twins": "twins", "Prequential": "code", "RandomizedPart": "part"}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_learner_declares_what_its_fits_are_for(name):
    learner = getattr(sl, name)(sl.Training(sl.MLP((4,))))
    assert role(row(**learner.columns("learner"))) == WRAPPED[name]
    assert "role" not in learner.describe(defaults=True)  # it enters no key


def test_other_rows_are_of_the_fit_itself_or_of_signs():
    assert role(row()) == "fit"
    assert role(row(**{"learner.kind": "NotInstalled", "learner.learner.kind": "Training"})) == "fit"
    assert role(row(kind="RandomSigns", level=None)) == "signs"
