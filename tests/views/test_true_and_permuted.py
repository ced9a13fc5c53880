"""The chart of an audit: its numbers are those of the rows, and what is missing is said."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shatterlab.analysis.metric import Metric
from shatterlab.analysis.null_distribution import null_test
from shatterlab.core.values import Row
from shatterlab.report import page
from shatterlab.views import Table, TrueAndPermuted

STREAMS = ("data", "corruption", "init", "order")
SCORES = (0.93, 0.95, 0.96)


def made(setting, seeds, test, train=1.0, metric="accuracy", status="ok", model="MLP", **more):
    kind = {"true": {"corruption.kind": "PartialLabels", "corruption.level": 0.0}, "permuted": {"corruption.kind": "PermutedLabels"}}[setting]
    scores = {f"train.{metric}": train, f"test.{metric}": test} if status == "ok" else {}
    sizes = {"train.n": 400, "test.n": 200, "classes": 2, "baseline.train.accuracy": 0.62, "baseline.test.accuracy": 0.63}
    columns = {"key": f"{model} {setting} {seeds}", "status": status, "learner.kind": "Training", "learner.architecture.kind": model}
    return Row({**columns, **kind, **sizes, **dict(zip((f"seeds.{each}" for each in STREAMS), seeds, strict=True)), **scores, **more})


def replicates(setting, scores, **more):
    return [made(setting, (r,) * 4, score, **more) for r, score in enumerate(scores)]


def permutations(scores, **more):
    """Further ones, at the data seed of the first replicate."""
    return [made("permuted", (0, k, k, k), score, **more) for k, score in enumerate(scores, 1)]


ROWS = [*replicates("true", SCORES), *replicates("permuted", (0.5, 0.55, 0.6)), *permutations([0.4 + 0.005 * k for k in range(38)])]
VIEW = TrueAndPermuted(planned=39)


def numbers(spec, name="points"):
    return {point["line"]: (point["x"], point.get("low"), point.get("high")) for point in spec["datasets"][name]}


def test_the_numbers_are_those_of_the_rows():
    spec, grid = VIEW.spec(ROWS), VIEW.grid(ROWS)
    interval = Metric("accuracy").interval(SCORES, 200)
    mean, low, high = numbers(spec)["test,|true labels"]
    assert (mean, low, high) == (pytest.approx(sum(SCORES) / 3), interval.low, interval.high)
    assert numbers(spec)["training,|permuted labels"][0] == 1.0
    assert [line[:2] for line in grid.rows] == [("true labels", "3"), ("permuted labels", "3"), ("always the majority class", "-")]
    assert grid.rows[0][3] == f"{100 * mean:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
    assert grid.rows[0][2] == Table(columns=("train.accuracy",)).grid(ROWS[:3]).rows[0][2]
    assert grid.rows[2][2:] == ("62.0 %", "63.0 %")
    assert spec["datasets"]["constant"] == [{"x": 0.63, "text": "majority class 63.0 %"}]


def test_the_null_is_that_of_the_test():
    spec, test = VIEW.spec(ROWS), null_test(ROWS, 39)
    bars = spec["datasets"]["bars"]
    assert sum(bar["count"] for bar in bars) == len(test.null) == 39
    for bar in bars:
        assert bar["count"] == sum(bar["left"] <= value < bar["right"] for value in test.null)
    widths = {round(200 * (bar["right"] - bar["left"]), 9) for bar in bars}
    assert widths == {2.0}  # each of the bars holds as many of the possible counts of 200
    assert spec["datasets"]["observed"] == [{"x": 0.93, "text": "true labels 93.0 %"}]
    assert spec["concat"][1]["title"] == ["Test accuracy, 39 permutations:", f"p = {test.p:g}"] and test.p == 0.025
    assert VIEW.grid(ROWS).notes == ("Test accuracy 93.0 %; 39 permutations give at most 58.5 %, half of them at most 49.5 %: p = 0.025.",)


def test_the_order_of_the_rows_says_nothing():
    shuffled = random.Random(0).sample(ROWS, len(ROWS))
    assert VIEW.grid(shuffled) == VIEW.grid(ROWS)
    spec, other = VIEW.spec(ROWS), VIEW.spec(shuffled)
    assert (other["datasets"]["bars"], numbers(other)) == (spec["datasets"]["bars"], numbers(spec))


def test_a_test_that_stops_early_depends_on_the_seeds_and_not_on_the_order_of_the_rows():
    """Ten high scores first, then low ones: which permutations are used is decided by their seeds."""
    rows = [*replicates("true", SCORES), *permutations([0.99] * 10 + [0.5] * 89)]
    view = TrueAndPermuted(planned=99)
    (note,) = view.grid(rows).notes
    assert note == "Test accuracy 93.0 %; 10 permutations, which decided it, give at most 99.0 %, half of them at most 99.0 %, 10 as high: p = 1."
    assert view.grid(rows[::-1]).notes == (note,)


def test_before_the_permutations_have_run_there_is_the_left_side_only():
    spec = VIEW.spec(ROWS[:3])
    assert len(spec["concat"]) == 1 and not {"bars", "observed"} & set(spec["datasets"])
    assert [line[0] for line in VIEW.grid(ROWS[:3]).rows] == ["true labels", "always the majority class"]
    assert VIEW.spec([]) is None and VIEW.grid([]) is None and "no trial on true" in VIEW.text([])


def test_a_replicate_that_is_missing_or_failed_is_counted():
    without = [row for row in ROWS if row["key"] != "MLP true (1, 1, 1, 1)"]
    assert VIEW.grid(without).rows[0][1:] == ("2", "100.0 % (all 2)", "94.5 % [90.4, 97.2]")  # Clopper and Pearson's for 189 of 200
    assert "low" not in VIEW.spec(without)["datasets"]["points"][0]
    failed = [*without, made("true", (1,) * 4, None, status="failed")]
    assert VIEW.grid(failed).rows[0][1] == "2 ok, 1 failed"
    assert "Left out: 1 trial on true or permuted labels that diverged or failed." in VIEW.grid(failed).notes
    first = [row for row in ROWS if row["key"] != "MLP true (0, 0, 0, 0)"]
    assert len(VIEW.spec(first)["concat"]) == 1  # the null belongs to another split


def test_a_permutation_that_failed_counts_as_higher_and_is_said():
    rows = [*ROWS[:6], *permutations([0.5] * 37), made("permuted", (0, 38, 38, 38), None, status="failed")]
    notes, spec = VIEW.grid(rows).notes, VIEW.spec(rows)
    assert notes[0] == "1 permutation failed and counts as scoring higher."
    assert notes[-1].endswith("1 as high: p = 0.05.")
    assert sum(bar["count"] for bar in spec["datasets"]["bars"]) == 38
    assert "inf" not in json.dumps(spec).lower().replace("infinite", "")


def test_permutations_that_are_not_there_yet_are_counted():
    assert "5 of the planned 39 permutations have run." in VIEW.grid([*ROWS[:4], *permutations([0.5] * 4)]).notes


def test_one_model_is_drawn_and_several_recipes_of_one_name_get_no_p():
    other = [Row({**row, "key": f"other {row['key']}", "learner.architecture.kind": "CNN"}) for row in ROWS]
    assert TrueAndPermuted(model="MLP", planned=39).grid([*ROWS, *other]) == VIEW.grid(ROWS)
    wider = [Row({**row, "key": f"wider {row['key']}", "learner.architecture.width": 9}) for row in ROWS]
    mixed = TrueAndPermuted(model="MLP", planned=39)
    assert "Several recipes, so no permutation test: rows that differ in learner.architecture.width share a line." in mixed.grid([*ROWS, *wider]).notes
    assert len(mixed.spec([*ROWS, *wider])["concat"]) == 1


def test_of_a_regression_the_mean_is_the_constant_answer():
    rows = [
        *replicates("true", (0.8, 0.82, 0.85), metric="r2"),
        *replicates("permuted", (-0.2, -0.1, 0.0), metric="r2"),
        *permutations([-0.3] * 30, metric="r2"),
    ]
    view = TrueAndPermuted(planned=31, metric="r2")
    assert view.grid(rows).rows[2] == ("always the mean", "-", "0", "0")
    spec = view.spec(rows)
    assert spec["datasets"]["constant"] == [{"x": 0.0, "text": "mean 0"}]
    assert sum(bar["count"] for bar in spec["datasets"]["bars"]) == 31
    assert spec["concat"][0]["layer"][0]["encoding"]["x"]["scale"]["domain"][0] < -0.2


def test_a_score_far_below_the_others_does_not_hide_them():
    rows = [*replicates("true", (0.8, 0.82, 0.85), metric="r2"), *permutations([-0.3 + 0.01 * k for k in range(30)] + [-1e6], metric="r2")]
    spec = TrueAndPermuted(planned=31, metric="r2").spec(rows)
    bars = spec["datasets"]["bars"]
    assert sum(bar["count"] for bar in bars) == 30 and len(bars) > 5 and "Not drawn: 1 permutation far below the others." in spec["description"]
    assert "Not drawn" not in VIEW.spec(ROWS)["description"]


def test_tables_leave_further_permutations_aside():
    table = Table(rows=("setting",), columns=("test.accuracy",), where={"replicate": True})
    assert [line[:2] for line in table.grid(ROWS).rows] == [("true labels", "3"), ("permuted labels", "3")]


@settings(max_examples=10, deadline=None)
@given(st.text(min_size=1, max_size=30).filter(lambda name: name != "Imported"))
def test_a_name_is_text_and_nothing_else(name):
    rows = [Row({**row, "learner.architecture.kind": name}) for row in ROWS[:8]]
    view = TrueAndPermuted(model=name, planned=39)
    embedded = str(page.embedded(view.spec(rows)))
    assert not set("<>&") & set(embedded) and json.loads(embedded)["concat"]
    assert len(view.grid(rows).rows) == 3


def test_every_chart_is_one_that_vega_lite_draws():
    converter = pytest.importorskip("vl_convert")
    whole, left = (converter.vegalite_to_svg(VIEW.spec(rows)) for rows in (ROWS, ROWS[:3]))
    assert (whole.count(">majority class 63.0 %<"), whole.count(">true labels 93.0 %<"), whole.count("mark-rect")) == (2, 1, 1)
    assert (left.count(">majority class 63.0 %<"), left.count("mark-rect")) == (1, 0)
