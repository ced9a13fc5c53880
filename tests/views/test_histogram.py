"""Histograms of arrays: no value is lost or counted twice, zeros stand apart, and the chart is one that Vega-Lite draws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import shatterlab as sl
from shatterlab.analysis.curves import Bins
from shatterlab.core.values import Row
from shatterlab.design.experiment import Experiment
from shatterlab.report import render, save_figures
from shatterlab.store.database import Store
from shatterlab.views import Histogram

SPECTRUM = "measure.Toy.spectrum"


def row(values, replicate=0, status="ok", **more):
    columns = {"key": f"{replicate}{sorted(more.items())}{status}", "status": status, "seeds.data": replicate, **more}
    return Row(columns, arrays={} if values is None else {SPECTRUM: np.asarray(values)})


def spectra(groups=("Gaussian", "Laplacian"), replicates=3, zeros=5):
    """Lists of 2 x 12 values from 1e-4 to 10, of which some are exactly 0."""
    rng = np.random.default_rng(0)
    made = []
    for i, name in enumerate(groups):
        for r in range(replicates):
            values = 10 ** rng.uniform(-4, 1, (2, 12)) * (i + 1)
            values[0, :zeros] = 0
            made.append(row(values, r, **{"learner.kind": name}))
    return made


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("count", [1, 7, 40])
def test_every_value_is_in_one_bin(scale, count):
    values = np.concatenate([np.zeros(9), 10 ** np.random.default_rng(1).uniform(-3, 2, 500), [1e-3, 1e2]])
    bins = Bins.of(values, count, scale)
    bars = bins.bars(values)
    assert sum(bar["count"] for bar in bars) == len(values)
    assert [bar["count"] for bar in bars if bar["zero"]] == [9]
    places = np.log10(values[9:]) if scale == "log" else values[9:]
    wanted = np.histogram(places, bins=count, range=(places.min(), places.max()))[0]
    assert [bar["count"] for bar in bars if not bar["zero"]] == wanted[wanted > 0].tolist()
    assert sum(bar["count"] for bar in bins.bars(values[9:])) == len(values) - 9  # no zero: no bar for zeros


def test_zeros_have_a_lane_left_of_all_bins():
    bins = Bins.of(np.array([0.0, 0.5, 2.0]), 4, "log")
    first, second = (next(bar for bar in bins.bars(np.array([0.0, 0.0, 1.0]), place, 2) if bar["zero"]) for place in (0, 1))
    assert first["right"] == pytest.approx(second["left"])  # side by side
    assert bins.frame[0] < bins.lane[0] == first["left"] and second["right"] == pytest.approx(bins.lane[1]) and bins.lane[1] < bins.edges[0]
    without = Bins.of(np.array([0.5, 2.0]), 4, "log")
    assert without.frame[0] > bins.frame[0] and not without.zeros


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_the_lane_of_zeros_is_labelled_0_and_has_no_other_ticks(scale):
    spec = Histogram(SPECTRUM, ("learner.kind",), scale=scale).spec(spectra())
    x, zero = (spec["layer"][i]["encoding"]["x"] for i in (0, -1))
    bins = Bins.of(np.concatenate([each.arrays[SPECTRUM].ravel() for each in spectra()]), 40, scale)
    assert spec["layer"][-1]["mark"]["text"] == "0" and bins.lane[0] < zero["datum"] < bins.lane[1]
    assert x["axis"]["labelExpr"] == f"datum.value < {bins.edges[0]!r} ? '' : datum.label"
    assert x["scale"]["type"] == scale and "values" not in x["axis"]  # the ticks are Vega-Lite's
    without = Histogram(SPECTRUM, scale=scale).spec([row([1.0, 2.0])])
    assert "labelExpr" not in without["layer"][0]["encoding"]["x"]["axis"] and "text" not in {layer["mark"]["type"] for layer in without["layer"]}


@pytest.mark.parametrize("values", [[3.0, 3.0], [0.0, 0.0], [0.0, 7.0]])
def test_equal_values_have_a_bin(values):
    bins = Bins.of(np.array(values), 5, "linear")
    assert sum(bar["count"] for bar in bins.bars(np.array(values))) == 2
    assert bins.edges[0] < bins.edges[-1]


def test_the_table_counts_zeros_and_tells_where_the_rest_lies():
    rows = [row([0.0, 0.0, 1.0, 10.0], 0), row([0.0, 2.0, 3.0, 100.0], 1)]
    grid = Histogram(SPECTRUM, scale="log").grid(rows)
    assert grid.headers == ("trials", "values a trial", "zeros", "smallest other than 0", "median of these", "largest")
    assert grid.rows == (("2", "4", "1 to 2", "1", "3", "100"),)
    assert grid.notes == ()


def test_groups_have_lines_of_their_own():
    grid = Histogram(SPECTRUM, ("learner.kind",)).grid(spectra())
    assert grid.headers[:2] == ("learner", "trials") and grid.keys == 1
    assert [line[:4] for line in grid.rows] == [("Gaussian", "3", "24", "5"), ("Laplacian", "3", "24", "5")]


def test_heights_are_means_over_trials():
    """Three trials of one group and one of another: both add up to the values of one trial."""
    rows = spectra()[:4]
    data = Histogram(SPECTRUM, ("learner.kind",), scale="log").spec(rows)["datasets"]
    totals = {name: sum(bar["y"] for bar in data["bars"] if bar["by"] == name) for name in ("Gaussian", "Laplacian")}
    assert totals == {"Gaussian": pytest.approx(24), "Laplacian": pytest.approx(24)}
    assert {bar["n"] for bar in data["bars"] if bar["by"] == "Gaussian"} == {3}
    assert [bar["y"] for bar in data["bars"] if bar["zero"]] == [5.0, 5.0]


def test_the_outline_follows_the_bars():
    data = Histogram(SPECTRUM, ("learner.kind",), scale="log", counts="log", bins=15).spec(spectra())["datasets"]
    floor = min(bar["y"] for bar in data["bars"]) / 2
    for name in ("Gaussian", "Laplacian"):
        bars = [bar for bar in data["bars"] if bar["by"] == name and not bar["zero"]]
        corners = [point for point in data["outlines"] if point["by"] == name]
        assert [point["order"] for point in corners] == list(range(len(corners)))
        heights = {bar["left"]: bar["y"] for bar in bars}
        steps = list(itertools.pairwise(corners))  # each height holds until the next corner
        assert {(start["x"], end["x"]) for start, end in steps[1:]} >= {(bar["left"], bar["right"]) for bar in bars}
        assert all(start["y"] == heights.get(start["x"], floor) for start, _ in steps[1:])
        assert corners[0]["y"] == corners[-1]["y"] == floor and len(corners) == 15 + 2
    assert {bar["floor"] for bar in data["bars"]} == {floor} and floor > 0  # on a logarithmic axis every bar can be seen


def test_what_is_not_drawn_is_counted():
    good = spectra(("Gaussian",))
    others = [row([1.0], 7, status="diverged"), row(None, 8), row([1.0, math.nan, -2.0, math.inf, -3.0], 9)]
    view = Histogram(SPECTRUM, scale="log")
    told = view.spec(good + others)["description"]
    assert "Left out: 2 trials that diverged or failed, or keep no toy spectrum." in told
    assert "Left out: 2 values that are not finite." in told
    assert "Not drawn: 2 values below 0, which a logarithmic axis cannot show." in told
    assert "Not drawn" not in view.spec(good)["description"]
    drawn = sum(bar["y"] * bar["n"] for bar in view.spec(good + others)["datasets"]["bars"])
    assert drawn == pytest.approx(3 * 24 + 1)
    linear = Histogram(SPECTRUM).spec(good + others)["datasets"]["bars"]
    assert sum(bar["y"] * bar["n"] for bar in linear) == pytest.approx(3 * 24 + 3)


@pytest.mark.parametrize("rows", [[], [row(None)], [row([])]], ids=["no rows", "no array", "an empty one"])
def test_nothing_to_show_is_said(rows):
    view = Histogram(SPECTRUM, scale="log")
    assert view.grid(rows) is None and view.spec(rows) is None
    assert view.text(rows) == "Values of toy spectrum\n(no trial keeps toy spectrum)"


def test_values_that_only_a_linear_axis_can_show():
    rows = [row([-1.0, -2.0])]
    assert Histogram(SPECTRUM, scale="log").spec(rows) is None
    assert Histogram(SPECTRUM).spec(rows) is not None
    assert Histogram(SPECTRUM, scale="log").grid(rows).rows == (("1", "2", "0", "-2", "-1.5", "-1"),)


@pytest.mark.parametrize("counts", ["linear", "log"])
@pytest.mark.parametrize("by", [(), ("learner.kind",), ("learner.kind", "seeds.data")])
def test_the_chart_is_drawn(tmp_path, by, counts):
    pytest.importorskip("vl_convert")
    rows = spectra()
    view = Histogram(SPECTRUM, by, scale="log", counts=counts, title="A spectrum")
    trial = sl.Trial(sl.Digits(), sl.TrueLabels(), sl.LinearMinimumNorm())
    experiment = Experiment("toy", "nowhere", "Is it drawn?", (trial,), (view,))
    [file] = save_figures(experiment, rows, tmp_path)
    svg = file.read_text()
    assert file.name == "toy-1-a-spectrum.svg" and svg.startswith("<svg") and "Values a trial" in svg
    assert "Toy spectrum" in svg and svg.count("<path") > 10
    page = render(experiment, rows)
    assert "A spectrum" in page and '"outlines"' in page


def test_rows_from_a_store_have_their_arrays(tmp_path):
    """Measured by a trial, written and read again: the eigenvalues of every class, those that must be 0 included."""
    trial = sl.Trial(sl.Digits(examples=20, test_examples=20), sl.TrueLabels(), sl.LinearMinimumNorm(), measures=(sl.LogCoshCurvature(),))
    with Store(tmp_path / "rows.sqlite") as store:
        store.add(sl.run(trial))
        rows = store.rows()
    grid = Histogram("measure.LogCoshCurvature.eigenvalues", scale="log").grid(rows)
    assert grid.rows[0][:2] == ("1", "640")
    zeros = int(rows[0]["measure.LogCoshCurvature.zeros_per_class"])
    assert zeros >= 64 - 20 and int(grid.rows[0][2]) >= 10 * zeros
