"""The experiments of section 5: what they run, what they claim, and the parts that only they use."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

import shatterlab as sl
from shatterlab.core.errors import InvalidPart
from shatterlab.core.values import Row
from shatterlab.design.claims import judge_together
from shatterlab.design.experiment import SCALES
from shatterlab.experiments.paper import section5_bad_interpolants, section5_sgd

SCALE = [SCALES[name] for name in ("smoke", "laptop", "paper")]


@pytest.mark.parametrize("scale", SCALE, ids=lambda scale: scale.name)
def test_every_linear_system_has_fewer_examples_than_dimensions(scale):
    experiment = section5_sgd.experiment(scale)
    sizes = {trial.dataset.examples for trial in experiment.trials}
    assert max(sizes) < {"smoke": 64}.get(scale.name, 28 * 28 * 3)
    assert {trial.learner.kind for trial in experiment.trials} == {"Training", "LinearMinimumNorm"}
    assert len({trial.learner.whiten for trial in experiment.trials}) == 1  # both see the same inputs
    assert len({trial.key for trial in experiment.trials}) == len(experiment.trials)


def rows(experiment, values):
    return [Row({**trial.specification(), "status": "ok", "classes": 10, "train.n": 1000, "test.n": 10_000, **values(trial)}) for trial in experiment.trials]


def told(trial, wrong=""):
    """What theory says, with a small spread between replicates, and one number wrong where asked."""
    spread, last, exact = 0.001 * trial.seeds.init, 1000, trial.learner.kind == "LinearMinimumNorm"
    near = exact or trial.learner.epochs == last
    elsewhere = not exact and trial.learner.architecture.init == "default"
    distance = {True: 0.0, False: 0.05 if near else 0.9}[exact] + (0.5 if elsewhere else 0) + spread
    return {
        "fit.relative_residual": 1e-15 * (1 + spread),
        "measure.DistanceToMinimumNorm.distance": 0.9 + spread if wrong == "distance" else distance,
        "measure.DistanceToMinimumNorm.outside": 0.5 + spread if elsewhere or wrong == "outside" else 1e-7 * (1 + spread),
        "measure.DistanceToMinimumNorm.outside_moved": None if exact else 0.2 + spread if wrong == "moved" else 1e-7 * (1 + spread),
        "measure.LogCoshCurvature.trace": (15 if near or wrong == "trace" else 14) + (2 * spread if exact else spread),
        "measure.LogCoshCurvature.zeros_per_class": 40 if wrong == "zeros" else 44,
    }


def test_the_claims_on_descent_hold_of_what_theory_says():
    experiment = section5_sgd.experiment(SCALES["smoke"])
    judged = judge_together(experiment.claims, rows(experiment, told), "laptop")
    assert {each.verdict for each in judged} == {"reproduced", "observed"}, [each for each in judged if each.verdict == "undecided"]


@pytest.mark.parametrize("wrong", ["distance", "outside", "moved", "trace", "zeros"])
def test_the_claims_on_descent_notice_a_wrong_number(wrong):
    experiment = section5_sgd.experiment(SCALES["smoke"])
    judged = judge_together(experiment.claims, rows(experiment, lambda trial: told(trial, wrong)), "laptop")
    assert "contradicted" in {each.verdict for each in judged}


def test_a_bad_interpolant_fits_and_is_worse():
    """One replicate at smoke size: the same labels fitted by functions of far larger norm, one of them wrong on purpose."""
    experiment = section5_bad_interpolants.experiment(SCALES["smoke"])
    assert len(experiment.trials) == 9
    least, centred, forced = (sl.run(experiment.trials[i]) for i in (0, 3, 6))
    assert {row["status"] for row in (least, centred, forced)} == {"ok"}
    assert [row["train.error"] for row in (least, centred, forced)] == [0.0, 0.0, 0.0]
    assert centred["fit.squared_norm"] > 10 * least["fit.squared_norm"]
    assert forced["fit.squared_norm"] > 2 * least["fit.squared_norm"]
    assert least["test.error"] < 0.1
    assert min(centred["test.error"], forced["test.error"]) > 0.4


def test_random_centres_interpolate_without_the_data(images):
    train = sl.RandomLabels().apply(images).train.at(torch.arange(60))
    kernel = sl.Gaussian(2.0)
    fit = sl.RandomCentres(kernel, ratio=2.0).fit(train)
    wanted = functional.one_hot(train.labels, 5).double()
    assert fit.facts["interpolates"] and fit.facts["centres"] == 120
    assert torch.allclose(fit.scores(train.inputs), wanted, atol=1e-6)
    least = sl.KernelInterpolation(kernel).fit(train)
    assert fit.facts["squared_norm"] > least.facts["squared_norm"]  # of all interpolants that one has the least


def test_random_centres_refuse_too_few():
    with pytest.raises(InvalidPart, match=r"^RandomCentres: ratio is a finite number >= 1, got 0.5$"):
        sl.RandomCentres(sl.Gaussian(1.0), ratio=0.5)


def test_forced_test_inputs_are_training_examples_under_random_labels():
    base = sl.Digits(examples=300, test_examples=200)
    plain, forced = base.load(), sl.ForcedTest(base).load()
    assert len(forced.train) == 500  # no two digits are equal
    assert torch.equal(forced.train.inputs[:300], plain.train.inputs) and torch.equal(forced.train.labels[:300], plain.train.labels)
    assert torch.equal(forced.test.inputs, plain.test.inputs) and torch.equal(forced.test.labels, plain.test.labels)
    rows = {row.tobytes(): label for row, label in zip(forced.test.inputs.numpy(), forced.test.labels.tolist(), strict=True)}
    same = [rows[row.tobytes()] == label for row, label in zip(forced.train.inputs[300:].numpy(), forced.train.labels[300:].tolist(), strict=True)]
    assert abs(np.mean(same) - 0.1) < 5 * np.sqrt(0.09 / 200)  # Binomial(200, 1/10): five deviations, at the fixed seed
    other = sl.ForcedTest(base).load(seeds=sl.Seeds(corruption=1, init=1, order=1))
    assert torch.equal(other.train.labels, forced.train.labels)
    assert len(sl.ForcedTest(base, share=0.25).load().train) == 350


def test_a_share_out_of_range_is_refused():
    with pytest.raises(InvalidPart, match=r"^ForcedTest: share is a fraction in \(0, 1\], got 0.0$"):
        sl.ForcedTest(sl.Digits(), share=0)
