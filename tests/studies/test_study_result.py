"""What the result of every study offers: files in three forms, a short repr, HTML for a notebook, a frame, charts."""

from __future__ import annotations

import json
import sys

import altair
import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

import shatterlab as sl
from shatterlab.core.errors import InvalidPart, UnknownName


@pytest.fixture(scope="module")
def result():
    x = np.random.default_rng(0).normal(size=(60, 3))
    return sl.capacity(DecisionTreeClassifier(max_leaf_nodes=2), (x, (x[:, 0] > 0).astype(int)), replicates=2, start=4)


@pytest.mark.parametrize(
    ("name", "starts"), [("a.html", "<!doctype html>"), ("a.HTM", "<!doctype html>"), ("a.md", "# Of how many"), ("a.json", '{\n "schema"')]
)
def test_the_name_of_the_file_says_its_form(result, tmp_path, name, starts):
    assert result.save(tmp_path / name).read_text().lstrip().startswith(starts)


def test_the_form_may_be_named(result, tmp_path):
    report = json.loads(result.save(tmp_path / "report", "json").read_text())
    assert report["name"] == "capacity" and len(report["rows"]) == len(result.rows)
    assert report["findings"][0]["complexity"]["n"] == result.findings[0].complexity.n
    with pytest.raises(InvalidPart, match=r"^report: a file that ends in \.html, \.md or \.json is required, got 'a\.txt'\. Rename it, or name the format\.$"):
        result.save(tmp_path / "a.txt")


def test_a_result_is_short_and_has_html_for_a_notebook(result):
    assert repr(result).startswith(f"<Capacity of {len(result.rows)} trials: DecisionTreeClassifier: ") and len(repr(result)) < 220
    html = result._repr_html_()
    assert html.startswith("<p><strong>DecisionTreeClassifier: ") and "<script" not in html and html.count("<table>") == 1
    assert "P(fit)" in html


def test_a_result_has_a_frame_with_a_row_a_trial(result, monkeypatch):
    frame = result.to_frame()
    assert len(frame) == len(result.rows) and frame["train.error"].tolist() == [row["train.error"] for row in result.rows]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InvalidPart, match=r"^capacity: pandas is required for a data frame, it is not installed\. Run "):
        result.to_frame()


def test_a_chart_is_had_by_its_place_or_its_title(result):
    first = result.figure()
    assert isinstance(first, altair.TopLevelMixin) and first.to_dict()["description"] == result.experiment.views[0].spec(result.rows)["description"]
    title = "Training error on random labels"
    assert result.figure(title).to_dict() == result.figure(1).to_dict() == result.figure(-1).to_dict()
    with pytest.raises(UnknownName, match=r"^capacity: chart: a known name is required, got 'Training eror'\. Did you mean Training error on random labels\?$"):
        result.figure("Training eror")
    with pytest.raises(InvalidPart, match=r"^capacity: a chart from 0 to 1 is required, got 2\. The titles: Probability"):
        result.figure(2)
