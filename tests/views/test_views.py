"""Views on hand-made rows: what is printed, what is drawn, and what must never be averaged."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from example_rows import SETTINGS, made_row, made_rows
from shatterlab.analysis.naming import heading, number
from shatterlab.analysis.summary import censoring, summarize
from shatterlab.core.values import Row
from shatterlab.views import Curve, Grid, LearningCurves, RankingTable, Scatter, Table, model, setting
from shatterlab.views.theme import colors, domain


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
    assert told == ["test error", "epochs to loss 0.05", "optimizer", "margin smallest one"]
    assert [number(value, "test.error") for value in (0.903, 0.0, 1.0, None, math.nan)] == ["90.3 %", "0.0 %", "100.0 %", "-", "-"]
    assert [number(value) for value in (12.0, 1649402, 0.05, 1234.5, 0.00012, math.inf)] == ["12", "1,649,402", "0.05", "1,234", "1.2e-04", "infinite"]


def rows_of(values, column="test.error", **more):
    return [Row({"key": f"{i}", "status": "ok", column: value, **more}) for i, value in enumerate(values)]


def test_a_cell_is_the_mean_with_the_t_interval():
    values = [0.88, 0.91, 0.90]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert summarize(rows_of(values, "my.score"), "my.score").text("test.error") == f"{100 * np.mean(values):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def of_shares(values):
    """The hull of Student's interval and that of the angles arcsin sqrt(share), turned back into means."""
    angles = np.arcsin(np.sqrt(values))
    plain, turned = (stats.t.interval(0.95, len(values) - 1, np.mean(each), stats.sem(each)) for each in (values, angles))
    turned = [np.sin(angle) ** 2 + np.cos(2 * angle) * np.var(angles, ddof=1) for angle in np.clip(turned, 0, np.pi / 2)]
    return max(0.0, min(plain[0], turned[0])), min(1.0, max(plain[1], turned[1]))


def test_a_cell_of_shares_is_the_mean_with_the_hull_of_two_intervals():
    values = [0.88, 0.91, 0.90]
    low, high = of_shares(values)
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


TIME = "fit.epochs_to_interpolation"
PUBLISHED = [{"x": epoch, "y": 2.0 / epoch**2, "name": name} for name in ("true labels", "random pixels") for epoch in range(1, 200)]
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
    LearningCurves("train.loss", reference=PUBLISHED, title="With published curves"),
    Curve("corruption.level", TIME, by="model", relative={"corruption.level": 0.0}),
    Curve("setting", TIME, by="model", relative={"setting": "true labels"}, scale="log"),
    Scatter(TIME, "test.error", by="setting"),
    Scatter("test.loss", "test.error", x_scale="log"),
    RankingTable(TIME, {"another net": {"model": "SmallAlexNet"}}, base={"model": "MLP"}),
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
    altair.LayerChart.validate(spec | {"datasets": {}})  # the data is checked below; an object of it would be validated once more, part by part
    text = json.dumps(spec, allow_nan=False)
    assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/v6")  # a name; nothing is fetched
    assert '"url"' not in text
    assert spec["width"] == "container"
    named = {layer.get("data", spec.get("data"))["name"] for layer in spec["layer"]}  # hoisted where all layers share it
    assert named <= set(spec["datasets"])
    assert all(spec["datasets"][name] for name in named), "an empty data set in a chart makes Vega warn"


def test_a_curve_draws_means_intervals_and_single_trials():
    rows = [Row({"key": f"{x}{r}", "corruption.level": x, "test.error": x / 2 + 0.01 * r, "classes": 10}) for x in (0.0, 1.0) for r in range(3)]
    spec = Curve("corruption.level", "test.error").spec(rows)
    assert len(spec["datasets"]["points"]) == 6
    first, second = spec["datasets"]["means"]
    _, high = of_shares([0.0, 0.01, 0.02])
    assert (first["x"], first["n"]) == (0.0, 3)
    assert (first["y"], first["low"], first["high"]) == pytest.approx((0.01, 0.0, high))  # no share is below 0
    assert second["text"].startswith("51.0 % [")
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
    assert [(point["y"], point["bound"], point["text"]) for point in spec["datasets"]["points"]] == [(30, False, "30"), (50, True, "≥ 50")]
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


def test_a_published_curve_has_the_colour_of_its_setting_and_lies_behind():
    rows = [learning_row([1.0, 0.5, 0.25])]  # random pixels
    points = [{"x": e, "y": 1 / e, "name": name} for name in ("random pixels", "Gaussian pixels") for e in (1, 2, 3)]
    spec = LearningCurves("train.loss", reference=points).spec(rows)
    first = spec["layer"][0]
    assert (first["data"]["name"], first["mark"]["strokeWidth"]) == ("published", 1.25)
    color = first["encoding"]["color"]["scale"]
    assert dict(zip(color["domain"], color["range"], strict=True)) == colors(["random pixels", "Gaussian pixels"])
    dash = first["encoding"]["strokeDash"]["scale"]
    assert dash["domain"] == ["-", "published"] and dash["range"][0] == [1, 0] != dash["range"][1]
    assert "Thin dashed lines: published." in spec["description"]
    assert [(point["by"], point["epoch"], point["y"]) for point in spec["datasets"]["published"]][:2] == [("random pixels", 1, 1.0), ("random pixels", 2, 0.5)]
    assert "published" not in json.dumps(LearningCurves("train.loss").spec(rows))


@pytest.mark.parametrize(("epochs", "longest", "last"), [(40, 100, 60), (40, 50, 50), (3, 100, 10), (40, 20, 40)])
def test_a_long_published_curve_does_not_squeeze_ours(epochs, longest, last):
    points = [{"x": e, "y": 1.0, "name": "random pixels"} for e in range(1, longest + 1)]
    spec = LearningCurves("train.loss", reference=points).spec([learning_row([1.0] * epochs)])
    assert spec["layer"][0]["encoding"]["x"]["scale"]["domain"] == [1, last]
    assert max(point["epoch"] for point in spec["datasets"]["published"]) == min(longest, last + 1)  # one more, so that the line runs to the edge


@pytest.mark.parametrize(
    ("scale", "theirs", "expected"),
    [
        ("log", [1e-6, 1.0], [0.01 / 1.25, 1.25]),  # ours reach 0.1: a factor of 10 below, no more
        ("log", [0.05, 1.0], [0.05 / 1.25, 1.25]),
        ("linear", [0.5, 9.0], [0.0, 1.5 + 0.12 * 1.4]),  # half of our range above
    ],
)
def test_published_values_stretch_an_axis_only_so_far(scale, theirs, expected):
    points = [{"x": e, "y": y, "name": "random pixels"} for e, y in enumerate(theirs, 1)]
    spec = LearningCurves("train.loss", scale=scale, reference=points).spec([learning_row([1.0, 0.1])])
    assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"] == pytest.approx(expected)


def test_published_values_that_a_log_axis_cannot_show_are_dropped():
    points = [{"x": e, "y": y, "name": "random pixels"} for e, y in enumerate([1.0, 0.0, -1.0, math.nan, None, 0.5], 1)]
    rows = [learning_row([1.0, 0.1])]
    assert [point["y"] for point in LearningCurves("train.loss", reference=points).spec(rows)["datasets"]["published"]] == [1.0, 0.5]
    linear = LearningCurves("train.loss", scale="linear", reference=points).spec(rows)["datasets"]["published"]
    assert [point["y"] for point in linear] == [1.0, 0.0, -1.0, 0.5]
    nothing = LearningCurves("train.loss", reference=[{"x": 1, "y": 0.0, "name": "random pixels"}]).spec(rows)
    assert "published" not in json.dumps(nothing)
    curve = Curve("corruption.level", "test.loss", scale="log", reference=[{"x": 0.0, "y": y} for y in (0.0, 0.5)])
    assert [point["y"] for point in curve.spec([made_row()])["datasets"]["reference"]] == [0.5]


def timed_row(level, replicate, time, architecture="MLP", **more):
    return Row({**made_row(level=level, replicate=replicate, architecture=architecture), TIME: time, "fit.epochs": time or 60, **more})


LEVEL_0 = Curve("corruption.level", TIME, by="model", relative={"corruption.level": 0.0})


def test_a_relative_curve_is_the_geometric_mean_of_paired_ratios():
    rows = [timed_row(0.0, r, time) for r, time in enumerate((10, 20, 40))] + [timed_row(1.0, r, time) for r, time in enumerate((15, 32, 56))]
    ratios = [1.5, 1.6, 1.4]
    low, high = np.exp(stats.t.interval(0.95, 2, np.mean(np.log(ratios)), stats.sem(np.log(ratios))))
    spec = LEVEL_0.spec(rows[::-1])  # pairs are found by seeds, not by order
    data = spec["datasets"]
    assert sorted(point["y"] for point in data["points"] if point["x"] == 1.0) == sorted(ratios)
    assert data["means"][0] == {"x": 0.0, "y": 1.0, "by": "MLP", "text": "× 1 (all 3)", "n": 3}
    assert (data["means"][1]["y"], data["means"][1]["low"], data["means"][1]["high"]) == pytest.approx((stats.gmean(ratios), low, high))
    assert LEVEL_0.grid(rows).rows == (("0", "MLP", "3", "× 1 (all 3)"), ("1", "MLP", "3", f"× {stats.gmean(ratios):.2f} [{low:.2f}, {high:.2f}]"))
    assert LEVEL_0.title == "Epochs to interpolation relative to corruption level 0 against corruption level"
    assert spec["layer"][-1]["encoding"]["y"]["title"] == ["Epochs to interpolation", "relative to corruption level 0"]
    assert "geometric means of the paired ratios" in spec["description"] and "Left out" not in spec["description"]
    text = LEVEL_0.text(rows)
    assert text.isascii() and f"x {stats.gmean(ratios):.2f} [" in text


def test_a_relative_curve_pairs_within_a_configuration_only():
    rows = [timed_row(level, 0, time, name, **{"dataset.examples": n}) for level, time, name, n in [(0.0, 10, "MLP", 500), (1.0, 30, "MLP", 500)]]
    rows += [timed_row(1.0, 0, 30, "MLP", key="more", **{"dataset.examples": 900}), timed_row(1.0, 0, 30, "SmallAlexNet", **{"dataset.examples": 500})]
    assert [point["y"] for point in LEVEL_0.spec(rows)["datasets"]["points"]] == [1.0, 3.0]
    assert any(note.startswith("Left out: 2 trials whose ratio to the trial with the same seeds at corruption level 0") for note in LEVEL_0.grid(rows).notes)
    assert LEVEL_0.spec([timed_row(1.0, 0, 30), timed_row(0.0, 1, 30, "SmallAlexNet")])["datasets"]["points"][0]["x"] == 0.0  # never the only other one


def test_a_relative_curve_of_runs_that_did_not_get_there():
    cut = [timed_row(0.0, 0, 20), timed_row(1.0, 0, None), timed_row(0.0, 1, None), timed_row(1.0, 1, 40), timed_row(1.0, 2, 40)]
    data = LEVEL_0.spec(cut)["datasets"]
    assert [(point["x"], point["y"], point["bound"], point["text"]) for point in data["points"]] == [(0.0, 1.0, False, "× 1"), (1.0, 3.0, True, "≥ × 3")]
    assert [mean["x"] for mean in data["means"]] == [0.0]
    grid = LEVEL_0.grid(cut)
    assert [line[-1] for line in grid.rows] == ["× 1", "× ≥ 3 (1 of 1)"]
    assert any("Left out: 3 trials" in note for note in grid.notes)  # the censored partner itself, the one it had, and one without
    diverged = [timed_row(0.0, 0, 20), timed_row(1.0, 0, None, status="diverged")]
    assert [line[2:] for line in LEVEL_0.grid(diverged).rows] == [("1", "× 1"), ("1 diverged", "-")]
    assert LEVEL_0.spec([timed_row(0.0, 0, 20, status="diverged"), timed_row(1.0, 0, 20)]) is None


def test_a_partner_may_lie_outside_of_what_is_shown_and_differ_in_all_of_a_corruption():
    rows = [timed_row(0.0, 0, 20), Row({**made_row("RandomPixels", None), TIME: 30})]
    shown = Curve("setting", TIME, relative={"setting": "true labels"}, where={"setting": "random pixels"})
    assert shown.title == "Epochs to interpolation relative to true labels against setting"
    assert shown.grid(rows).rows == (("random pixels", "1", "× 1.5"),)
    errors = Curve("setting", "test.error", relative={"setting": "true labels"}, where={"setting": "random pixels"})
    rows = [Row({**row, "test.error": error}) for row, error in zip(rows, (0.25, 0.75), strict=True)]
    assert errors.grid(rows).rows[0][-1] == "× 3"  # a ratio is never a percentage
    assert "chance" not in errors.spec(rows)["description"]


def test_partners_in_which_nothing_was_random_still_count_each():
    same = {"status": "ok", "train.loss": 0.1, "test.loss": 0.2, "check.train_fingerprint": "f"}
    rows = [timed_row(0.0, r, 10, **same) for r in range(2)] + [timed_row(1.0, r, 20 + r) for r in range(2)]
    assert sorted(point["y"] for point in LEVEL_0.spec(rows)["datasets"]["points"]) == [1.0, 2.0, 2.1]


def scattered(n=8, model="MLP", replicates=1, **more):
    return [
        Row({"key": f"{model}{i}{r}{sorted(more.items())}", "learner.kind": model, "corruption.kind": "PartialLabels", "corruption.level": i / n, "classes": 10,
             "fit.epochs": 100 + i, TIME: 10 + i, "test.error": 0.1 * i + 0.01 * r, **more})
        for i in range(n) for r in range(replicates)
    ]  # fmt: skip


def test_a_scatter_gives_tau_within_each_model_first():
    rows = [*scattered(model="A"), *[Row({**row, TIME: 200 - row[TIME], "key": f"b{row['key']}"}) for row in scattered(model="B")]]
    view = Scatter(TIME, "test.error", by="setting")
    lines = view.grid(rows).rows
    assert [line[0] for line in lines] == ["A", "B", "all trials"]
    assert [line[1:4] for line in lines] == [("8", "8", "0"), ("8", "8", "0"), ("16", "16", "0")]
    assert lines[0][4].startswith("1.00 [") and lines[1][4].startswith("-1.00 [")
    told = view.spec(rows)["description"]
    assert "Kendall's tau-b: A 1.00 [" in told and "models are mixed" in told
    alone = view.grid(scattered())
    assert [line[0] for line in alone.rows] == ["all trials"] and not any("mixed" in note for note in alone.notes)
    assert view.text(rows).isascii()


def test_a_scatter_counts_configurations_not_replicates():
    rows = scattered(n=4, replicates=5)
    (line,) = Scatter(TIME, "test.error").grid(rows).rows
    assert line[1:3] == ("20", "4") and line[-1].endswith(" (too few configurations)")
    from_by = Scatter(TIME, "test.error", by="dataset.kind").grid(
        [*scattered(6, **{"dataset.kind": "Digits"}), *scattered(4, "MLP", **{"dataset.kind": "MNIST"})]
    )
    assert [row[0] for row in from_by.rows] == ["data set Digits", "all trials"]  # four configurations make no line


def test_a_scatter_does_not_depend_on_its_colours():
    rows = made_rows()
    taus = [Scatter(TIME, "test.error", by=by).grid(rows).rows for by in (None, "model", "setting")]
    assert taus[0] == taus[1] == taus[2]


def test_a_censored_time_is_a_triangle_and_ranks_only_where_its_order_is_known():
    rows = [Row({**row, TIME: None, "fit.epochs": 12.0}) if i == 0 else row for i, row in enumerate(scattered(6))]  # the smallest error, not there at 12
    spec = Scatter(TIME, "test.error", by="setting").spec(rows)
    points = spec["datasets"]["points"]
    assert [(point["x"], point["bound"], point["x_text"]) for point in points if point["bound"]] == [(12.0, True, "≥ 12")]
    assert [layer["mark"].get("shape") for layer in spec["layer"] if layer["mark"]["type"] == "point"] == [None, "triangle-right"]
    (line,) = Scatter(TIME, "test.error").grid(rows).rows
    assert line[3] == "1" and line[4].startswith(f"{(10 - 2) / 12:.2f} [")  # ten known pairs agree; against 11 and 12 it stands above
    assert "Triangles" in spec["description"]
    only = Scatter(TIME, "test.error").grid([Row({**row, TIME: None}) for row in rows])
    assert only.rows[0][4] == "- (no two trials in a known order)"


def test_a_scatter_leaves_out_what_it_cannot_place_and_says_so():
    rows = [*scattered(3), Row({**scattered(4)[3], "status": "diverged"}), Row({**scattered(5)[4], "test.error": math.nan})]
    view = Scatter(TIME, "test.error")
    assert "Left out: 2 trials that diverged or failed, or lack one of the two numbers." in view.spec(rows)["description"]
    log = Scatter("test.error", TIME, x_scale="log").spec(scattered(3))
    assert "Not drawn: 1 trial with test error at or below 0." in log["description"]
    assert len(log["datasets"]["points"]) == 2


def test_a_scatter_tells_models_apart_by_shape_where_colour_means_something_else():
    rows = made_rows()
    shape = Scatter(TIME, "test.error", by="setting").spec(rows)["layer"][2]["encoding"]["shape"]
    assert (shape["field"], shape["scale"]["domain"]) == ("model", ["MLP", "SmallAlexNet"])
    assert not any(each.startswith("triangle") for each in shape["scale"]["range"])
    assert not any("shape" in layer["encoding"] for layer in Scatter(TIME, "test.error").spec(rows)["layer"])


CORRUPTIONS = {
    "true labels": {"corruption.kind": "PartialLabels", "corruption.level": 0.0},
    "random labels": {"corruption.kind": "PartialLabels", "corruption.level": 1.0},
    "shuffled pixels": {"corruption.kind": "ShuffledPixels", "corruption.unit": "position"},
}
BY_VALUE = {"each value by itself": {"corruption.unit": "value"}}
CHOICES = {"base": {"corruption.unit": "position", "norm": "shift"}, "title": "What moves the order"}


def ordered(name, times, replicates=None, **more):
    """One row a time, replicate 0, 1, ...; None: the run ended at epoch 50."""
    columns = {"norm": "shift", "fit.epochs": 50, **CORRUPTIONS[name], **more}
    seeded = zip(replicates or range(len(times)), times, strict=True)
    return [Row({**columns, TIME: time, **{f"seeds.{each}": r for each in ("data", "corruption", "init", "order")}}) for r, time in seeded]


def moves(*groups, variants=BY_VALUE):
    return RankingTable(TIME, variants, **CHOICES).grid([row for group in groups for row in group]).rows[1][-1]


@pytest.mark.parametrize(
    ("base", "other", "told"),
    [
        # true labels take 20, 30, 40, 50: pairs differ by 1 or 2 where single times spread over 30 epochs
        ([21, 32, 41, 52], [19, 28, 39, 48], "shuffled pixels before true labels (clearly)"),
        ([21, 32, 41, 52], [19, 35, 31, 50], "shuffled pixels before true labels (within noise)"),
        ([21, 32, 41, 52], [22, 31, 42, 51], "none"),
        ([21, 32, 41, 52], [20, 30, 50, 40], "none"),  # equal geometric means are no order
        ([30, 20, 40, 50], [19, 28, 39, 48], "none"),  # nor is there one to move
        ([21, 32, 41, 52], [18, 28, 38, 48], "shuffled pixels before true labels (no interval)"),  # all differ by 2: of the spread nothing is known
        ([21], [19], "shuffled pixels before true labels (no interval)"),
    ],
)
def test_an_order_moves_where_means_change_places_and_clearly_where_pairs_say_so(base, other, told):
    n = len(base)
    rows = (ordered("true labels", [20, 30, 40, 50][:n]), ordered("shuffled pixels", base), ordered("shuffled pixels", other, **{"corruption.unit": "value"}))
    assert moves(*rows) == told


def test_an_order_is_clear_by_pairs_of_equal_seeds_only():
    base, other = [21, 32, 41, 52], [19, 28, 39, 48]
    shifted = ordered("shuffled pixels", other, range(10, 14), **{"corruption.unit": "value"})
    assert moves(ordered("true labels", [20, 30, 40, 50]), ordered("shuffled pixels", base), shifted).endswith("(no interval)")
    crossed = ordered("shuffled pixels", other, [3, 2, 1, 0], **{"corruption.unit": "value"})
    assert moves(ordered("true labels", [20, 30, 40, 50]), ordered("shuffled pixels", base), crossed).endswith("(within noise)")


def test_an_order_never_averages_a_bound():
    true, base = ordered("true labels", [20, 30]), ordered("shuffled pixels", [21, 32])
    slow = ordered("true labels", [None, None], norm="scale")
    assert moves(true, base, slow, variants={"scale": {"norm": "scale"}}) == "shuffled pixels before true labels (no interval)"
    partly = ordered("true labels", [20, None], norm="scale")  # with 50 for the bound their mean would be 32, above 25.9
    grid = RankingTable(TIME, {"scale": {"norm": "scale"}}, **CHOICES).grid([*true, *base, *partly])
    assert grid.rows[1][2:] == ("20 (1 of 2), ≥ 50 (1 of 2)", "as base", "not known for true labels and shuffled pixels")
    points = RankingTable(TIME, {"scale": {"norm": "scale"}}, **CHOICES).spec([*true, *base, *partly])["datasets"]["points"]
    assert [(point["y"], point["bound"], point["own"]) for point in points if point["x"] == "scale"] == [
        (20, True, True),
        (pytest.approx(stats.gmean([21, 32])), False, False),
    ]


def test_a_setting_that_a_choice_does_not_touch_is_its_base():
    rows = [*ordered("true labels", [20, 30]), *ordered("random labels", [40, 44]), *ordered("shuffled pixels", [21, 32])]
    rows += ordered("shuffled pixels", [60, 64], **{"corruption.unit": "value"})
    order = RankingTable(TIME, BY_VALUE | {"not run": {"norm": "none"}}, **CHOICES)
    base, value, missing = order.grid(rows).rows
    assert base[-1] == "true labels 24.5 < shuffled pixels 25.9 < random labels 42"
    assert value[1:4] == ("2", "as base", "as base")
    assert value[-1] == "random labels before shuffled pixels (no interval)"  # both pairs differ by 20
    assert missing[1:] == ("0", "-", "-", "-", "no trial yet")
    points = order.spec(rows)["datasets"]["points"]
    assert {point["by"]: point["own"] for point in points[3:]} == {"true labels": False, "random labels": False, "shuffled pixels": True}
    assert "not run" not in {point["x"] for point in points}


def test_a_choice_is_changed_alone():
    base = [*ordered("true labels", [20, 30]), *ordered("shuffled pixels", [21, 32])]
    scale, both = ordered("shuffled pixels", [1, 3], norm="scale"), ordered("shuffled pixels", [5, 7], norm="scale", **{"corruption.unit": "value"})
    variants = {"scale": {"norm": "scale"}, "both": {"norm": "scale", "corruption.unit": "value"}}
    grid = RankingTable(TIME, variants, **CHOICES).grid([*base, *scale, *both])
    assert [line[1] for line in grid.rows] == ["4", "2", "2"]
    assert [line[3].split()[0] for line in grid.rows[1:]] == ["1.73", "5.92"]  # the roots of 3 and 35
    alone = RankingTable(TIME, {"scale": {"norm": "scale"}}, **CHOICES).grid([*base, *scale, *both])
    assert alone.rows[1] == grid.rows[1]
    assert "Left out: 2 trials of other choices." in alone.notes
    unstated = RankingTable(TIME, {"scale": {"norm": "scale"}}, base={"corruption.unit": "position"}).grid([*base, *scale])
    assert [line[1] for line in unstated.rows] == ["4", "2"]  # what makes a variant's choice is no base row, stated or not


def test_an_order_is_printed_within_a_hundred_columns():
    rows = [*ordered("true labels", [20, 30]), *ordered("random labels", [40, 44]), *ordered("shuffled pixels", [21, 32])]
    rows += [*ordered("shuffled pixels", [60, 69], **{"corruption.unit": "value"}), *ordered("random labels", [None, None], norm="scale")]
    told = RankingTable(TIME, {"each value shuffled by itself": BY_VALUE["each value by itself"], "scale": {"norm": "scale"}}, **CHOICES).text(rows)
    assert max(map(len, told.splitlines())) <= 100 and told.isascii()
    assert "Base choices: true labels 24.5 < shuffled pixels 25.9 < random labels 42." in told
    assert "Each value shuffled by itself: order moves: random labels before shuffled pixels (within noise)." in told
    assert "Scale: order moves: none." in told  # at least 50 stays above 25.9


def test_the_lanes_of_an_order_are_those_of_the_base():
    rows = [*ordered("true labels", [20, 30]), *ordered("random labels", [40, 44]), *ordered("shuffled pixels", [1, 2])]
    layer = RankingTable(TIME, BY_VALUE, **CHOICES).spec(rows)["layer"][-1]
    assert layer["encoding"]["yOffset"]["sort"] == ["shuffled pixels", "true labels", "random labels"]


def test_a_choice_with_a_long_name_has_several_lines_beside_the_chart():
    name = "every value moves by itself, and no whole pixels do"
    rows = [*ordered("shuffled pixels", [20, 30]), *ordered("shuffled pixels", [21, 32], **{"corruption.unit": "value"})]
    spec = RankingTable(TIME, {name: {"corruption.unit": "value"}}, **CHOICES).spec(rows)
    point = spec["datasets"]["points"][-1]
    assert point["choice"] == name == point["x"].replace("\n", " ")
    assert max(map(len, point["x"].split("\n"))) <= 32
    assert {layer["encoding"]["y"]["axis"]["labelExpr"] for layer in spec["layer"]} == {"split(datum.label, '\\n')"}
