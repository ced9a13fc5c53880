"""The table that judges measures over many trials, on made rows whose answer is known, and the experiment that fills it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import shatterlab as sl
from shatterlab.analysis import judging as statistics
from shatterlab.analysis.judging import gap, settings
from shatterlab.core import Row
from shatterlab.core.errors import InvalidPart
from shatterlab.design.experiment import SCALES
from shatterlab.experiments.beyond import judging
from shatterlab.views import JudgedMeasures, Quantity

GOOD, FLAT, TURNED, BLIND = (f"measure.Made.{name}" for name in ("good", "flat", "turned", "blind"))
VIEW = JudgedMeasures(
    (Quantity("good", GOOD), Quantity("flat", FLAT), Quantity("turned", TURNED, rises=False), Quantity("blind", BLIND), Quantity("absent", "measure.None.x"))
)


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "_RESAMPLES", 100)


def rows(levels=(0.0,), replicates=2):
    """The gap grows with the rate and falls with width; "good" is the gap, "flat" a constant, "turned" its opposite, "blind" the width."""
    made = []
    for width, depth, rate, level, seed in itertools.product((16, 64), (1, 2), (0.1, 0.2), levels, range(replicates)):
        error = 0.1 + rate - width / 1000 + 0.01 * depth + 0.5 * level + 0.001 * seed
        own = {GOOD: error, FLAT: 1.0, TURNED: -error, BLIND: float(width)}
        said = {"learner.architecture.hidden": str([width] * depth).replace(" ", ""), "learner.optimizer.lr": rate, "corruption.kind": "PartialLabels"}
        seeds = {f"seeds.{name}": seed for name in ("data", "corruption", "init", "order")}
        ended = {"status": "ok", "fit.ended": "loss", "train.loss": 0.05, "test.loss": error, "train.n": 100, "test.n": 100_000}
        made.append(Row({**said, **seeds, **ended, "corruption.level": level, "train.error": 0.0, "test.error": error, "key": f"{len(made)}", **own}))
    return made


def found(made, name):
    return next(each for each in VIEW.verdicts(made) if each.quantity.name == name)


def test_a_measure_that_is_the_gap_is_right_everywhere():
    good = found(rows(), "good")
    assert (good.trials, good.tau.estimate, good.granulated.estimate, good.sign_error.estimate) == (16, 1.0, 1.0, 0.0)
    assert good.information.estimate == pytest.approx(1.0)
    assert good.zhang == {}


def test_one_that_falls_is_judged_with_its_sign_turned():
    """Planted: were it not turned, everything would be wrong with it."""
    turned = found(rows(), "turned")
    assert (turned.tau.estimate, turned.granulated.estimate, turned.sign_error.estimate) == (1.0, 1.0, 0.0)
    plain = JudgedMeasures((Quantity("turned", TURNED),)).verdicts(rows())[0]
    assert (plain.granulated.estimate, plain.sign_error.estimate) == (-1.0, 1.0)


def test_a_choice_read_off_knows_nothing_beyond_it_and_is_wrong_on_it():
    blind = found(rows(), "blind")
    assert blind.information.estimate == pytest.approx(0.0, abs=1e-12)
    assert (blind.sign_error.estimate, blind.worst) == (1.0, "hidden width: 16 / 64")
    assert found(rows(), "flat").granulated.estimate == 0.0


def test_the_axes_are_what_differs_but_not_seeds():
    made = rows()
    assert set(settings(made)[0]) == {"hidden depth", "hidden width", "learning rate"}
    assert settings(made)[0] == {"hidden depth": 1, "hidden width": 16, "learning rate": 0.1}
    uneven = [Row({"learner.architecture.hidden": text}) for text in ("[3,4]", "[3]")]
    assert settings(uneven)[0] == {"hidden": "[3,4]", "hidden depth": None, "hidden width": None}


def test_with_random_labels_the_randomization_test_is_counted_over_settings():
    made = rows(levels=(0.0, 1.0), replicates=3)
    rng = np.random.default_rng(0)
    made = [Row({**row, GOOD: row[GOOD] + 1e-3 * rng.random(), TURNED: row[TURNED] - 1e-3 * rng.random()}) for row in made]
    assert found(made, "good").zhang == {"passes": 8}
    assert found(made, "blind").zhang == {"undecided": 8}  # the same number in all pairs: nothing varied
    assert found(made, "turned").zhang == {"passes": 8}
    place = VIEW.grid(made).headers.index("larger on random")
    assert [row[place] for row in VIEW.grid(made).rows] == ["8 of 8", "0 of 8", "8 of 8", "0 of 8", "-"]
    assert "larger on random" not in VIEW.grid(rows()).headers


def test_trials_that_did_not_reach_the_loss_are_left_out_and_counted():
    made = rows()
    made[0] = Row({**made[0], "fit.ended": "budget"})
    made[1] = Row({**made[1], "status": "diverged", GOOD: None})
    grid = VIEW.grid(made)
    assert grid.rows[0][1] == "14"
    assert "2 trials did not reach their training loss, or failed, and are left out." in grid.notes


def test_an_absent_measure_is_an_empty_line_with_its_reason():
    made = [Row({**row, "measure.None.reason": "a tree is required"}) for row in rows()]
    assert found(made, "absent").reason == "a tree is required"
    assert found(rows(), "absent").reason == "it is not recorded"
    assert VIEW.grid(made).rows[-1][1:] == ("0", "-", "-", "-", "-", "-")


def test_without_rows_or_with_one_setting_there_is_nothing_to_order():
    assert VIEW.grid([]) is None
    assert "(no rows)" in VIEW.text([])
    alike = [row for row in rows() if row["learner.optimizer.lr"] == 0.1 and row[BLIND] == 16.0 and row["learner.architecture.hidden"] == "[16]"]
    assert "cannot be ordered" in found(alike, "good").reason
    assert gap(Row({"test.error": 0.3})) is None


@pytest.mark.parametrize("scale", SCALES)
def test_the_experiment_varies_one_thing_at_a_time_on_both_kinds_of_labels(scale):
    experiment = judging.experiment(SCALES[scale])
    specifications = [Row(trial.specification()) for trial in experiment.trials]
    axes = settings(specifications)[0]
    assert {"corruption level", "hidden depth", "hidden width", "learning rate"} <= set(axes)
    assert len({trial.key for trial in experiment.trials}) == len(experiment.trials)
    assert len(experiment.views[0].quantities) == 18  # every measure of a network, none for lack of a line in the ledger


def test_a_network_of_ones_own_is_varied_around_its_recipe():
    learner = sl.Training(sl.MLP((8,)), sl.SGD(lr=0.1), batch_size=20, epochs=3)
    experiment = judging.experiment(SCALES["smoke"], learner=learner, dataset=sl.Digits(examples=40, test_examples=20))
    axes = settings([Row(trial.specification()) for trial in experiment.trials])
    assert {name: {each[name] for each in axes} for name in axes[0]} == {
        "batch size": {10, 20},
        "corruption level": {0.0, 1.0},
        "learning rate": {0.05, 0.1},
        "weight decay": {0.0, 5e-4},
    }
    assert {trial.learner.stop for trial in experiment.trials} == {0.05}


def test_what_is_no_network_trained_by_sgd_is_refused():
    with pytest.raises(InvalidPart, match="a network trained by SGD is required, whose rate and batch size can be varied, got KernelInterpolation"):
        judging.experiment(SCALES["smoke"], learner=sl.KernelInterpolation(sl.Gaussian(1.0)), dataset=sl.Digits(examples=40))
