"""The report as Markdown and as JSON: what a reader of either finds is what the rows say, whatever their texts."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import shatterlab as sl
from example_rows import made_rows
from shatterlab.core.errors import printable
from shatterlab.core.values import Row
from shatterlab.design.experiment import Claim, Experiment
from shatterlab.report import json_report, markdown_report
from shatterlab.report.data import plain_value
from shatterlab.report.markdown import escaped, table
from shatterlab.views import Curve, Grid, Table

HOSTILE = "</script><script>alert(1)</script> | *b* [x](javascript:y) ![z](w) `c` <!-- & \u202e \x1b[31m\n# no heading\n- no list"
EXPERIMENT = Experiment(
    name="audit",
    source="nobody",
    question="Is it real?",
    trials=(sl.Trial(sl.Digits(), sl.TrueLabels(), sl.Training(sl.MLP())),),
    views=(Table(("model", "setting"), ("test.accuracy",), title="The settings"), Curve("corruption.level", "test.error", by="model")),
    claims=(Claim("random labels are fitted", "train.error", where={"corruption.level": 1.0}, high=0.5),),
)


class Cells(HTMLParser):
    """The words of each cell, paragraph, heading and item, and the tags."""

    def __init__(self, html):
        super().__init__()
        self.cells, self.tags = [], []
        self.feed(html)
        self.cells = [cell.strip() for cell in self.cells]

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag in ("td", "th", "p", "h1", "h2", "li", "code"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def read(markdown):
    return Cells(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown))


TEXTS = st.text(min_size=1, max_size=25) | st.text(alphabet="|\\`*_[]()<>&#!~$-+=.:1 \n", min_size=1, max_size=25)


@given(TEXTS, TEXTS)
@example(HOSTILE, "1. no list")
@example("\\", "|")
@example("&lt;", "https://example.org/a_b_c")
def test_a_text_in_a_cell_is_read_as_it_is_and_nothing_else(first, second):
    wanted = [printable(" ".join(text.split())).strip() for text in (first, second)]
    cells = read(table(Grid(("name", "value"), ((first, second),)))).cells
    assert cells == ["Name", "Value", *wanted]


@given(TEXTS)
@example("1. no list")
@example("# no heading")
@example("+")
@example("    code")
def test_a_line_of_text_is_a_paragraph(text):
    wanted = printable(" ".join(text.split())).strip()
    found = read(escaped(text))
    assert found.tags == (["p"] if wanted else []) and "".join(found.cells) == wanted


def test_the_markdown_has_verdict_claims_tables_and_what_went_wrong():
    text = markdown_report(EXPERIMENT, made_rows(), ("It is real.", "And it memorizes."), ("shatterlab audit",))
    found = read(text)
    assert found.cells[:3] == ["Is it real?", "It is real.", "And it memorizes."]
    assert text.index("**It is real.**") < text.index("## Claims") < text.index("## The settings") < text.index("## Trials") < text.index("shatterlab audit")
    grid = EXPERIMENT.views[0].grid(made_rows())
    assert f"| {' | '.join(grid.rows[0])} |".replace("[", "\\[").replace("]", "\\]") in text
    assert "Trials: 46 ok, 1 failed, 1 diverged, 1 not run yet." in found.cells
    assert "scores: examples x classes, (64, 10), are required, got (64, 9)." in found.cells


def test_what_a_user_writes_is_text_in_markdown():
    rows = [Row({**row, "learner.architecture.kind": HOSTILE, "error": row["error"] and HOSTILE}) for row in made_rows()]
    hostile = replace(EXPERIMENT, question=HOSTILE, claims=(replace(EXPERIMENT.claims[0], text=HOSTILE),))
    text = markdown_report(hostile, rows, (HOSTILE, HOSTILE), ("```", HOSTILE))
    found = read(text)
    assert not {"script", "a", "img", "em"} & set(found.tags) and found.tags.count("h1") == 1 and found.tags.count("h2") == 4
    assert "\x1b" not in text and "\u202e" not in text


@dataclass(frozen=True, eq=False)
class Number:
    """As a study's finding has them."""

    model: str
    p: float | None
    null: np.ndarray


def test_the_json_has_numbers_and_no_nan():
    rows = [Row({**row, "train.loss": bad}) for row, bad in zip(made_rows(), (math.nan, math.inf, -math.inf), strict=False)]
    finding = Number(HOSTILE, math.nan, np.array([0.5, math.inf]))

    def refuse(name):
        raise AssertionError(name)

    report = json.loads(json_report(EXPERIMENT, rows, (HOSTILE,), [finding], ("again",)), parse_constant=refuse)
    assert list(report)[:3] == ["schema", "shatterlab", "name"] and report["schema"] == "shatterlab.report/1"
    assert report["verdict"] == [HOSTILE] and report["findings"] == [{"model": HOSTILE, "p": None, "null": [0.5, "inf"]}]
    assert [row["train.loss"] for row in report["rows"]] == [None, "inf", "-inf"]
    assert report["rows"][0]["test.accuracy"] == rows[0]["test.accuracy"]
    assert report["tables"][0]["rows"][0][0] == "MLP" and report["claims"][0]["text"] == "random labels are fitted"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_value_becomes_json(value):
    json.dumps(plain_value(value), allow_nan=False)
    assert plain_value(np.float32(0.5)) == 0.5 and plain_value({1: (2,)}) == {"1": [2]}


@pytest.mark.parametrize("rows", [[], [Row({})]])
def test_odd_rows_make_whole_reports(rows):
    assert json.loads(json_report(EXPERIMENT, rows))["verdict"]
    assert read(markdown_report(EXPERIMENT, rows)).tags[0] == "h1"
