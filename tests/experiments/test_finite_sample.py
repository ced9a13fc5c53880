"""The experiments of Theorem 1 and Corollary 1, and the view of several columns."""

from __future__ import annotations

import pytest

import shatterlab as sl
from shatterlab.core.values import Row
from shatterlab.design.claims import judge_together
from shatterlab.design.experiment import SCALES
from shatterlab.experiments.paper import corollary1, theorem1
from shatterlab.views import Curve

SCALE = [SCALES[name] for name in ("smoke", "laptop", "paper")]


def rows(experiment, values):
    """Rows as trials would write them (test data, not a result)."""
    found = []
    for trial in experiment.trials:
        n = trial.dataset.examples or trial.dataset.n
        columns = {"status": "ok", "classes": 2, "train.n": n, "train.error": 0.0, "test.loss": trial.seeds.init, **values(trial, n)}
        found.append(Row({**trial.specification(), **columns}))
    return found


def judged(experiment, values):
    """At laptop scale what is run at smoke scale, where nothing is judged."""
    found = rows(experiment, values)
    if experiment.scale != "smoke":
        return experiment.judge(found)
    assert {each.verdict for each in experiment.judge(found)} <= {"not judged", "not at this scale"}
    return judge_together(experiment.claims, found, "laptop")


@pytest.mark.parametrize("scale", SCALE, ids=lambda scale: scale.name)
def test_theorem1_counts_weights_and_errors(scale):
    experiment = theorem1.experiment(scale)

    def told(trial, n, wrong=0):
        return {"fit.weights": 2 * n + 50 + wrong, "fit.certified_error": 1e-12, "fit.float32_error": 3.0}

    right = judged(experiment, told)
    elsewhere = "too few trials" if scale.name == "smoke" else "not at this scale"  # smoke scale lacks the images that laptop scale's claim is about
    assert {each.verdict for each in right} <= {"observed", elsewhere}
    wrong = judged(experiment, lambda trial, n: told(trial, n, 1) | {"fit.certified_error": 1.0, "fit.float32_error": 0.1, "train.error": 0.5})
    assert {each.verdict for each in wrong} <= {"contradicted", elsewhere}
    assert len(right) == len(experiment.claims) >= 6


@pytest.mark.parametrize("scale", SCALE, ids=lambda scale: scale.name)
def test_corollary1_has_width_and_weights_at_every_depth(scale):
    experiment = corollary1.experiment(scale)
    depths = {(trial.learner.form, trial.learner.depth) for trial in experiment.trials}
    assert ("carry", 2) in depths and ("multiplexer", 2) not in depths and ("multiplexer", 33) in depths

    def told(trial, n, factor=1):
        return {"fit.width": factor * (n // trial.learner.depth), "fit.connections": factor * 3 * n, "fit.certified_error": 1e-12}

    assert {each.verdict for each in judged(experiment, told)} == {"observed"}
    wrong = judged(experiment, lambda trial, n: told(trial, n, 9) | {"fit.certified_error": 1.0, "train.error": 0.5})
    assert {each.verdict for each in wrong} == {"contradicted"}


def test_a_network_of_the_smoke_scale_is_what_it_claims():
    trial = theorem1.experiment(SCALES["smoke"]).trials[0]
    row = sl.run(trial)
    assert (row["train.error"], row["fit.weights"]) == (0, 2 * 16 + 50)
    assert row["fit.certified_error"] < 1e-10


VIEW = Curve("train.n", {"in float32": "fit.a", "in float64": "fit.b"}, title="Errors", scale="log", y_title="largest error")
SAMPLE = [Row({"key": f"{n}-{r}", "train.n": n, "fit.a": 0.1 * n, "fit.b": 1e-9 * (n + r), "train.loss": 0.0}) for n in (8, 16) for r in range(2)]


def test_each_column_is_a_line():
    grid = VIEW.grid(SAMPLE)
    assert [line[:3] for line in grid.rows] == [(n, name, "2") for n in ("8", "16") for name in ("in float32", "in float64")]
    assert grid.rows[0][3] == "0.8 (all 2)"
    assert grid.notes == ()
    assert VIEW.text(SAMPLE).startswith("Errors\n")
    assert {point["by"] for point in VIEW.spec(SAMPLE)["datasets"]["points"]} == {"in float32", "in float64"}


def test_a_column_that_no_row_has_is_told_as_absent():
    grid = Curve("train.n", {"absent": "fit.c"}, title="Errors").grid(SAMPLE)
    assert {line[3] for line in grid.rows} == {"-"}
    assert VIEW.spec([]) is None
    assert VIEW.grid([Row({"fit.a": 1.0})]) is None
