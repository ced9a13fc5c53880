"""Views on hand-made rows: what is printed, what is drawn, and what must never be averaged."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
import pytest
from scipy import stats

from shatterlab.values import Row
from shatterlab.views import Curve, Grid, LearningCurves, Table, model, setting
from shatterlab.views.groups import censoring, summarize
from shatterlab.views.naming import heading, number
from shatterlab.views.theme import colors, domain

SETTINGS = [("PartialLabels", level) for level in (0.0, 0.25, 0.5, 0.75, 1.0)] + [(kind, None) for kind in ("ShuffledPixels", "RandomPixels", "GaussianPixels")]


def made_row(kind="PartialLabels", level=0.0, replicate=0, architecture="MLP", **more):
    """One row as a trial of 10 classes would write it; its numbers are made up, its shape is real."""
    rng = np.random.default_rng([replicate, len(kind), int(100 * (level or 0)), len(architecture)])
    noise = {"PartialLabels": level or 0.0, "ShuffledPixels": 0.1, "RandomPixels": 0.85, "GaussianPixels": 0.95}[kind]
    epochs = int(8 + 22 * noise + rng.integers(0, 6) + 5 * (architecture != "MLP"))
    losses = 2.3 * np.exp(-np.arange(1, epochs + 1) * 5.5 / epochs) * rng.uniform(0.85, 1.15, epochs)
    accuracy = float(np.clip(0.97 - 0.87 * noise + rng.normal(0, 0.012), 0, 1))
    rising = accuracy * (1 - np.exp(-np.arange(1, epochs + 1) / 3))
    rising[-1] = accuracy
    curves = [(e, 12 * e, name, float(v)) for name, ys in (("train.loss", losses), ("test.accuracy", rising)) for e, v in enumerate(ys, 1)]
    columns = {
        "key": hashlib.sha256(f"{kind}{level}{replicate}{architecture}".encode()).hexdigest(),
        "dataset.kind": "Digits", "dataset.examples": None, "corruption.kind": kind,
        **({"corruption.level": level} if level is not None else {"corruption.unit": "position"}),
        "learner.kind": "Training", "learner.architecture.kind": architecture, "learner.batch_size": 128,
        **{f"seeds.{stream}": replicate for stream in ("data", "corruption", "init", "order")},
        "status": "ok", "error": None, "trace": None, "classes": 10,
        "train.accuracy": 1.0, "train.error": 0.0, "train.loss": float(losses[-1]),
        "test.accuracy": accuracy, "test.error": 1 - accuracy, "test.loss": 0.2 + 4 * noise,
        "fit.epochs": epochs, "fit.steps": 12 * epochs, "fit.epochs_to_interpolation": epochs, "fit.steps_to_interpolation": 12 * epochs,
        "fit.censored": False, "fit.ended": "interpolated", "fit.parameters": 38_282,
        "check.unchanged_by_training": True, "check.batches": 2, "check.batches_equal_sample": True, "check.test_labels_true": True,
        "check.failures": None, "check.passed": True,
        "seconds": float(0.05 * epochs), "peak_memory": None, "version.shatterlab": "0.1.0", "version.torch": "2.13.0", "finished": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip
    if level is not None:
        columns |= {"check.inputs_untouched": True, "check.changed": 5, "check.changed_p": 0.3 + 0.1 * replicate, "check.transition_p": 0.5}
        columns |= {"check.independence_p": 0.42} if level == 1.0 else {}
    else:
        columns |= {"check.labels_untouched": True, "check.inputs_changed": True}
    return Row(columns | more, more.pop("curves", curves))


def made_rows(replicates=3, architectures=("MLP", "SmallAlexNet")):
    """An audit's worth of rows: two models, six settings, a sweep of levels; one failed, one diverged, two censored."""
    rows = [made_row(kind, level, r, name) for name in architectures for kind, level in SETTINGS for r in range(replicates)]
    trace = 'Traceback (most recent call last):\n  File "my_model.py", line 3, in forward\n    x = <b>self</b>.layer(x)\nValueError: bad width'
    error = "scores: examples x classes, (64, 10), are required, got (64, 9)."
    rows[1] = Row({**rows[1], "status": "failed", "error": error, "trace": trace, "train.error": None, "test.error": None})
    broken = [point if point[0] < 5 else (*point[:3], math.nan) for point in rows[5].curves]
    rows[5] = Row({**rows[5], "status": "diverged", "train.loss": math.nan, "test.loss": math.nan, "test.error": 0.9, "fit.ended": "diverged"}, broken)
    cut = {"fit.epochs_to_interpolation": None, "fit.censored": True, "fit.ended": "budget", "train.error": 0.02, "train.accuracy": 0.98}
    rows[12:14] = [Row({**row, **cut}, row.curves) for row in rows[12:14]]
    return rows


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"corruption.kind": "PartialLabels", "corruption.level": 0.0}, "true labels"),
        ({"corruption.kind": "PartialLabels", "corruption.level": 0.5}, "partially corrupted labels (0.5)"),
        ({"corruption.kind": "PartialLabels", "corruption.level": 1.0}, "random labels"),
        ({"corruption.kind": "ShuffledPixels", "corruption.unit": "position"}, "shuffled pixels"),
        ({"corruption.kind": "RandomPixels"}, "random pixels"),
        ({"corruption.kind": "GaussianPixels"}, "Gaussian pixels"),
        ({"corruption.kind": "MirroredLabels", "corruption.level": 0.25}, "mirrored labels (0.25)"),
        ({}, "-"),
    ],
)
def test_a_setting_has_the_name_that_the_paper_gives_it(columns, name):
    assert setting(columns) == name


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"learner.kind": "Training", "learner.architecture.kind": "SmallAlexNet"}, "SmallAlexNet"),
        ({"learner.kind": "Training", "learner.architecture.kind": "Imported", "learner.architecture.factory": "my nets/mine.py:TinyNet"}, "TinyNet"),
        (
            {"learner.kind": "Estimator", "learner.estimator": "sklearn.ensemble:RandomForestClassifier", "learner.parameters": '{"a":1}'},
            "RandomForestClassifier",
        ),
        ({"learner.kind": "LinearMinimumNorm"}, "LinearMinimumNorm"),
        ({}, "-"),
    ],
)
def test_a_model_is_called_by_what_the_user_calls_it(columns, name):
    assert model(columns) == name


def test_headings_and_numbers_are_for_people():
    told = [heading(column) for column in ("test.error", "fit.epochs_to_loss_0.05", "learner.optimizer.kind", "measure.Margin.smallest_one")]
    assert told == ["test error", "epochs to loss 0.05", "learner optimizer", "margin smallest one"]
    assert [number(value, "test.error") for value in (0.903, 0.0, 1.0, None, math.nan)] == ["90.3 %", "0.0 %", "100.0 %", "-", "-"]
    assert [number(value) for value in (12.0, 1649402, 0.05, 1234.5, 0.00012, math.inf)] == ["12", "1,649,402", "0.05", "1,234", "1.2e-04", "infinite"]


def rows_of(values, column="test.error", **more):
    return [Row({"key": f"{i}", "status": "ok", column: value, **more}) for i, value in enumerate(values)]


def test_a_cell_is_the_mean_with_the_t_interval():
    values = [0.88, 0.91, 0.90]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert summarize(rows_of(values), "test.error").text("test.error") == f"{100 * np.mean(values):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.5], "50.0 %"),
        ([0.0, 0.0, 0.0], "0.0 % (all 3)"),
        ([], "-"),
        ([None, None], "-"),
        ([0.5, None], "50.0 % (n = 1)"),
        ([math.nan, 0.25], "25.0 % (n = 1)"),
        ([math.inf, 0.25, 0.5], "25.0 % to 50.0 % (2 of 3), infinite (1 of 3)"),
    ],
)
def test_a_cell_says_what_it_stands_on(values, text):
    assert summarize(rows_of(values), "test.error").text("test.error") == text


def test_censored_times_are_never_averaged():
    column = "fit.epochs_to_interpolation"
    rows = [Row({"status": "ok", column: time, "fit.epochs": 100}) for time in (40, None, None)]
    summary = summarize(rows, column)
    assert (summary.mean, summary.interval) == (None, None)
    assert summary.text(column) == "40 (1 of 3), ≥ 100 (2 of 3)"
    assert summarize(rows[1:], column).text(column) == "≥ 100 (2 of 2)"
    assert [censoring(row, column) for row in rows] == [None, 100.0, 100.0]
    assert censoring(Row({"fit.epochs": 100, "fit.parameters": None}), "fit.parameters") is None
    assert summarize([Row({"status": "ok", column: None})], column).text(column) == "-"  # followed for how long is unknown: no bound


def test_failed_and_diverged_trials_are_counted_and_enter_no_mean():
    rows = [*rows_of([0.1, 0.1]), Row({"key": "f", "status": "failed", "test.error": 0.9}), Row({"key": "d", "status": "diverged", "test.error": 0.9})]
    grid = Table(rows=("setting",), columns=("test.error",)).grid(rows)
    assert grid.rows == (("-", "2 ok, 1 diverged, 1 failed", "10.0 % (all 2)"),)


def test_an_absent_value_has_its_reason():
    rows = [Row({"key": "1", "status": "ok", "measure.Norms.spectral": None, "measure.Norms.reason": "a forest has no weights"})]
    grid = Table(rows=("model",), columns=("measure.Norms.spectral",)).grid(rows)
    assert grid.rows[0][-1] == "-"
    assert grid.notes == ("norms spectral: - means a forest has no weights.",)


def test_replicates_in_which_nothing_was_random_count_once():
    same = {"status": "ok", "train.loss": 0.1, "test.loss": 0.2, "check.train_fingerprint": "f"}
    grid = Table(rows=("model",), columns=("test.error",)).grid([Row({"key": f"{i}", "test.error": 0.3, **same}) for i in range(3)])
    assert grid.rows == (("-", "1", "30.0 %"),)
    assert grid.notes == ("2 trials identical to others, in which nothing was random, are counted once.",)


def test_a_key_that_comes_twice_counts_once():
    rows = [Row({"key": "a", "status": "failed"}), Row({"key": "a", "status": "ok", "test.error": 0.5})]
    assert Table(columns=("test.error",)).grid(rows).rows == (("-", "1", "50.0 %"),)


def test_a_line_that_mixes_configurations_says_so():
    rows = [made_row(architecture=name) for name in ("MLP", "SmallAlexNet")]
    assert "Not replicates only: rows that differ in learner.architecture.kind share a line." in Table().grid(rows).notes
    assert not any("replicates" in note for note in Table(rows=("model", "setting")).grid(rows).notes)
    assert "differ in learner.architecture.kind" in Curve("corruption.level", "test.error").spec(rows)["description"]


def test_the_table_as_printed():
    rows = [made_row("RandomPixels", None, 0), made_row(level=1.0), made_row(level=0.5), made_row(level=0.0)]
    rows = [Row({**row, "test.error": value}) for row, value in zip(rows, (0.8, 0.9, 0.45, 0.03), strict=True)]
    assert Table(rows=("setting",), columns=("train.error", "test.error"), title="Settings").text(rows) == (
        "Settings\n"
        "                                            training\n"
        "setting                           trials       error  test error\n"
        "--------------------------------  ------  ----------  ----------\n"
        "true labels                            1       0.0 %       3.0 %\n"
        "partially corrupted labels (0.5)       1       0.0 %      45.0 %\n"
        "random labels                          1       0.0 %      90.0 %\n"
        "random pixels                          1       0.0 %      80.0 %"
    )


def test_a_wide_table_is_split_into_blocks_of_a_hundred_columns():
    columns = ("train.error", "test.error", "train.loss", "test.loss", "fit.epochs_to_interpolation", "fit.steps_to_interpolation")
    text = Table(rows=("model", "setting"), columns=columns).text(made_rows())
    assert max(map(len, text.splitlines())) <= 100
    assert text.isascii()
    assert sum(line.startswith("model ") for line in text.splitlines()) >= 3  # the names stand in every block
    grid = Grid(("name", "number"), (("long" * 40, "1"),))
    assert grid.text(width=100).count("\n") == 2  # what no split can shorten stays whole


def test_where_chooses_rows_as_claims_do():
    rows = made_rows()
    assert [line[0] for line in Table(where={"model": "MLP", "corruption.level": [0.0, 1.0]}).grid(rows).rows] == ["true labels", "random labels"]
    assert Table(where={"model": "nothing"}).grid(rows) is None


VIEWS = [
    Table(),
    Curve("corruption.level", "test.error", by="model"),
    Curve("corruption.level", "fit.epochs_to_interpolation", by="model", scale="log"),
    Curve("setting", "test.accuracy", by="model"),
    Curve("setting", "test.loss"),
    Curve("corruption.level", "test.error", reference=[{"x": 0.0, "y": 0.1, "name": "published"}, {"x": 1.0, "y": 0.9, "name": "published"}]),
    LearningCurves("train.loss"),
    LearningCurves("test.error", by="model"),
    LearningCurves("test.accuracy", where={"model": "MLP"}),
]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.title)
def test_a_view_of_nothing_is_no_error(view):
    nothing = Row({"key": "1", "status": "failed", "error": "no"})
    for rows in ([], [nothing], [Row({})], [Row({"status": "diverged", "test.error": math.nan, "corruption.level": 1.0})]):
        assert view.spec(rows) is None
        assert view.text(rows).startswith(view.title)
        view.grid(rows)


@pytest.mark.parametrize("view", VIEWS[1:], ids=lambda view: view.title)
@pytest.mark.parametrize("replicates", [1, 3])
def test_a_chart_follows_the_schema_and_holds_its_data(view, replicates):
    import altair

    spec = view.spec([row for row in made_rows() if row["seeds.data"] < replicates])
    altair.Chart.from_dict(spec | {"datasets": {}})  # validates; the data is checked below
    text = json.dumps(spec, allow_nan=False)
    assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/v6")  # a name; nothing is fetched
    assert '"url"' not in text
    assert spec["width"] == "container"
    named = {layer["data"]["name"] for layer in spec["layer"]}
    assert named <= set(spec["datasets"])
    assert all(spec["datasets"][name] for name in named), "an empty data set in a chart makes Vega warn"


def test_a_curve_draws_means_intervals_and_single_trials():
    rows = [Row({"key": f"{x}{r}", "corruption.level": x, "test.error": x / 2 + 0.01 * r, "classes": 10}) for x in (0.0, 1.0) for r in range(3)]
    spec = Curve("corruption.level", "test.error").spec(rows)
    assert len(spec["datasets"]["points"]) == 6
    first, second = spec["datasets"]["means"]
    low, high = stats.t.interval(0.95, 2, 0.01, 0.01 / math.sqrt(3))
    assert (first["x"], first["n"]) == (0.0, 3)
    assert (first["y"], first["low"], first["high"]) == pytest.approx((0.01, low, high))
    assert second["told"].startswith("51.0 % [")
    chance = [layer["encoding"]["y"]["datum"] for layer in spec["layer"] if "datum" in layer["encoding"].get("y", {})]
    assert chance == pytest.approx([0.9, 0.9])  # the line and its name


def test_chance_is_drawn_only_where_it_is_known():
    rows = [made_row(), Row({**made_row(replicate=1), "classes": 5})]
    assert "chance" not in Curve("corruption.level", "test.error").spec(rows)["description"]  # two kinds of chance
    assert "chance" not in Curve("corruption.level", "train.error").spec(rows[:1])["description"]
    assert "chance" in Curve("corruption.level", "test.accuracy").spec(rows[:1])["description"]


def test_a_curve_has_no_mean_where_times_are_only_bounds():
    rows = [Row({**made_row(level=1.0, replicate=r), "fit.epochs_to_interpolation": time, "fit.epochs": 50}) for r, time in enumerate((30, None))]
    spec = Curve("corruption.level", "fit.epochs_to_interpolation").spec(rows)
    assert spec["datasets"]["means"] == []
    assert [(point["y"], point["bound"], point["told"]) for point in spec["datasets"]["points"]] == [(30, False, "30"), (50, True, "≥ 50")]
    assert "lower bounds" in spec["description"]


def test_a_curve_tells_what_it_leaves_out():
    rows = [made_row(level=1.0), made_row("RandomPixels", None)]
    curve = Curve("corruption.level", "test.error")
    assert "Left out: 1 trial without corruption level." in curve.spec(rows)["description"]
    assert curve.grid(rows).notes == ("Left out: 1 trial without corruption level.",)
    log = Curve("corruption.level", "train.error", scale="log").spec([*rows_of([0.0, 0.5], "train.error", **{"corruption.level": 1.0})])
    assert "Not drawn: 1 trial at or below 0" in log["description"]


def test_settings_run_down_the_side_in_the_paper_s_order():
    spec = Curve("setting", "test.error").spec(made_rows())
    order = next(layer["encoding"]["y"]["sort"] for layer in spec["layer"] if layer["encoding"].get("y", {}).get("field") == "x")
    assert order == [setting(Row({"corruption.kind": kind, "corruption.level": level})) for kind, level in SETTINGS]


def learning_row(values, replicate=0, status="ok", name="train.loss", **more):
    curves = [(epoch, 10 * epoch, name, value) for epoch, value in enumerate(values, 1)]
    return Row({"key": f"{replicate}", "status": status, "corruption.kind": "RandomPixels", **more}, curves)


def test_a_learning_curve_is_a_mean_only_where_all_replicates_still_run():
    rows = [learning_row([1.0, 0.5], 0), learning_row([3.0, 1.5, 0.25], 1)]
    data = LearningCurves("train.loss").spec(rows)["datasets"]
    assert [(mean["epoch"], mean["y"], mean["low"], mean["high"], mean["n"]) for mean in data["means"]] == [(1, 2.0, 1.0, 3.0, 2), (2, 1.0, 0.5, 1.5, 2)]
    assert [(end["epoch"], end["y"]) for end in data["ends"]] == [(2, 0.5), (3, 0.25)]
    assert max(run["epoch"] for run in data["runs"]) == 3


def test_a_diverged_run_is_drawn_to_its_end_and_enters_no_mean():
    rows = [learning_row([1.0, 0.5]), learning_row([4.0, math.nan, None], 1, "diverged"), learning_row([9.0], 2, "failed")]
    data = LearningCurves("train.loss").spec(rows)["datasets"]
    assert [mean["y"] for mean in data["means"]] == [1.0, 0.5]
    assert [(end["epoch"], end["ended"]) for end in data["ends"]] == [(2, "not recorded"), (1, "diverged")]


def test_models_that_share_a_colour_have_means_of_their_own():
    rows = [learning_row([1.0], 0, **{"learner.kind": "A"}), learning_row([3.0], 1, **{"learner.kind": "B"})]
    view = LearningCurves("train.loss")
    assert [(mean["model"], mean["y"]) for mean in view.spec(rows)["datasets"]["means"]] == [("A", 1.0), ("B", 3.0)]
    assert [line[:2] for line in view.grid(rows).rows] == [("random pixels", "A"), ("random pixels", "B")]


def test_errors_are_drawn_from_accuracies_and_zeros_are_not_hidden():
    errors = LearningCurves("test.error").spec([learning_row([0.25, 1.0], name="test.accuracy")])
    assert [run["y"] for run in errors["datasets"]["runs"]] == [0.75, 0.0]
    zeros = LearningCurves("train.loss").spec([learning_row([0.5, 0.0])])
    assert "Zeros, which a log axis cannot show, are left out of 1 run." in zeros["description"]
    assert LearningCurves("train.loss", scale="linear").spec([learning_row([0.5, 0.0])])["datasets"]["ends"][0]["y"] == 0.0


def test_long_runs_are_thinned_and_keep_their_ends():
    rows = [learning_row(np.linspace(2, 1, 3000).tolist(), r) for r in range(20)]
    spec = LearningCurves("train.loss").spec(rows)
    first = [run["epoch"] for run in spec["datasets"]["runs"] if run["run"] == 0]
    assert (first[0], first[-1], len(first)) == (1, 3000, 400)  # 8,000 points over 20 runs
    assert len(spec["datasets"]["means"]) == 150
    assert "evenly spaced epochs" in spec["description"]


def test_a_setting_has_one_colour_in_every_chart():
    names = [setting(Row({"corruption.kind": kind, "corruption.level": level})) for kind, level in SETTINGS]
    together = colors(names)
    assert len(set(together.values())) == len(names)
    assert all(colors([name]) == {name: together[name]} for name in names)
    assert together["true labels"] == "#0072B2" and together["random labels"] == "#D55E00"
    assert len(set(colors(["MLP", "AlexNet", "true labels"]).values())) == 3


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        ([0.02, 0.9], "test.error", [0.0, 0.9]),
        ([0.02, 0.91], "test.error", [0.0, 1.0]),
        ([0.93, 0.97], "test.accuracy", [0.9, 1.0]),
        ([1.0, 1.0], "train.accuracy", [0.9, 1.0]),
        ([0.0], "train.error", [0.0, 0.1]),
        ([10.0, 60.0], "fit.epochs", [0.0, 66.0]),
        ([-1.0, 1.0], "measure.x", [-1.24, 1.24]),
    ],
)
def test_an_axis_shows_the_values_and_where_they_stand(values, column, expected):
    assert domain(values, column) == pytest.approx(expected)
