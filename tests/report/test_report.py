"""The report: what it says, that nothing a user wrote can break it, that it is one file, and what a browser makes of it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import stat
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import shatterlab as sl
from browsing import Reader, Visit, charts, contrast
from example_rows import made_row, made_rows
from shatterlab.core.errors import ShatterlabError
from shatterlab.core.values import Row
from shatterlab.design.experiment import Claim, Experiment
from shatterlab.report import page, render, sections, text_report, write
from shatterlab.report.page import embedded
from shatterlab.trials import self_check as checks
from shatterlab.views import Curve, LearningCurves, Table

VENDOR = Path(page.__file__).parent / "vendor"
TRIAL = sl.Trial(sl.Digits(), sl.TrueLabels(), sl.Training(sl.MLP()))
RANDOM = {"corruption.kind": "PartialLabels", "corruption.level": 1.0}
EXPERIMENT = Experiment(
    name="audit",
    source="Zhang et al. 2017, section 2.1",
    question="Does this recipe fit noise as well as it fits the data?",
    trials=(TRIAL,),
    views=(
        Table(rows=("model", "setting"), columns=("train.error", "test.error", "fit.epochs_to_interpolation"), title="The settings"),
        LearningCurves("train.loss", title="Training loss of MLP", where={"model": "MLP"}),
        LearningCurves("test.accuracy", title="Test accuracy of both"),
        Curve("corruption.level", "test.error", by="model", reference=[{"x": 0.0, "y": 0.13, "name": "paper"}, {"x": 1.0, "y": 0.9, "name": "paper"}]),
        Curve("corruption.level", "fit.epochs_to_interpolation", by="model"),
        Curve("setting", "test.accuracy", by="model"),
    ),
    claims=(
        Claim("test error under random labels is chance", "test.error", where=RANDOM, low=0.8, high=1.0),
        Claim("random labels are never fitted", "train.error", where={**RANDOM, "learner.architecture.kind": "SmallAlexNet"}, low=0.5, reference="nobody"),
        Claim("test error equals the paper's", "test.error", low=0.1285, high=0.1285, scales=("paper",)),
    ),
    scale="laptop",
)
VERDICT = ("MLP: fits random labels: 1 of 3, so a perfect training score cannot by itself certify generalization.", "SmallAlexNet: 3 of 3.")
ROWS = [Row({**row, "train.n": 500, "test.n": 500}, row.curves) for row in made_rows()]


@pytest.fixture(scope="module")
def html():
    return render(EXPERIMENT, ROWS, verdict=VERDICT, reproduce=("shatterlab audit --scale smoke",), scale="smoke")


@pytest.fixture(scope="module")
def read(html):
    return Reader(html)


def test_the_verdict_comes_first_then_claims_figures_tables_trials(read):
    order = [
        EXPERIMENT.question, VERDICT[0], VERDICT[1], "Claims", "reproduced", "contradicted", "not at this scale", "Figures", "Training loss of MLP", "Tables",
        "The settings", "Trials", "What went wrong", "Self-checks", "Run it again", "shatterlab audit --scale smoke", "Reading the intervals",
    ]  # fmt: skip
    places = [read.text.find(each, read.text.index("Reading the intervals") + 1 if each in ("Figures", "Tables", "Trials") else 0) for each in order]
    assert -1 not in places
    main = [place for each, place in zip(order, places, strict=True) if each in (EXPERIMENT.question, VERDICT[0], "What went wrong")]
    assert main == sorted(main)


def test_headings_form_an_outline_and_charts_and_tables_have_names(read):
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    tables = sum(tag == "table" for tag, _ in read.elements)
    assert tables == sum(tag == "caption" for tag, _ in read.elements) >= 9
    named = {attrs["aria-labelledby"] for tag, attrs in read.elements if tag == "section"}
    assert named <= {attrs.get("id") for _, attrs in read.elements}
    assert all(spec["description"] for spec in charts(read))
    assert next(attrs for tag, attrs in read.elements if tag == "html") == {"lang": "en"}


def test_the_claims_carry_their_intervals(read):
    assert "Random labels are never fitted 0.0 % [0.0, 0.2] from 3 trials; claimed at least 50.0 % (nobody)" in read.text
    assert "judged at paper scale only" in read.text.replace("Judged", "judged")


def paired(ours, theirs, column):
    """One row a replicate and level: ours with random labels, theirs with true ones."""
    budget = {"status": "ok", "fit.epochs": 100}
    return [
        Row({"key": f"{level} {seed}", "corruption.level": level, "seeds.order": seed, column: value, **budget})
        for level, values in ((1.0, ours), (0.0, theirs))
        for seed, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("column", "ours", "theirs", "bounds", "told", "claimed"),
    [
        ("test.error", (0.2, 0.42, 0.29), (0.1, 0.2, 0.15), {"high": 5}, "2.01 [1.81, 2.23]", "at most 5"),  # not 201 %
        ("test.error", (0.2, 0.4), (0.1, 0.2), {"low": 0.9, "high": 1.1}, "", "0.9 to 1.1"),  # a tie
        ("test.error", (0.2, 0.42), (0.1, 0.2), {"low": 0.9, "high": 1.1}, "2.05", "0.9 to 1.1"),  # two print no interval
        ("fit.epochs_to_interpolation", (20, 30, 80), (10, 10, 20), {"low": 1.5}, "2.9 [1.1, 7.0]", "at least 1.5"),  # of 19 / 10, ... and 20 / 9, ...
        ("fit.epochs_to_interpolation", (20,), (10,), {"low": 1.5}, "2", "at least 1.5"),
        ("fit.epochs_to_interpolation", (None, None, None), (10, 11, 10), {"low": 1.5}, "≥ 8.45", "at least 1.5"),
        ("fit.epochs_to_interpolation", (20, 21, 20), (None, None, None), {"high": 1.5}, "at most 0.218", "at most 1.5"),
        ("fit.epochs_to_interpolation", (None, 20), (None, None), {"high": 1.5}, "", "at most 1.5"),
    ],
)
def test_a_ratio_is_told_without_the_unit_of_its_column(column, ours, theirs, bounds, told, claimed):
    claim = Claim("longer", column, where={"corruption.level": 1.0}, versus={"corruption.level": 0.0}, ratio=True, **bounds)
    (line,) = sections.claims(replace(EXPERIMENT, claims=(claim,)), paired(ours, theirs, column))
    assert (line.interval, line.claimed) == (told, claimed)
    difference = replace(claim, ratio=False)
    (line,) = sections.claims(replace(EXPERIMENT, claims=(difference,)), paired(ours, theirs, column))
    assert ("%" in line.claimed) is (column == "test.error")


def test_a_difference_from_something_that_was_not_reached_has_an_upper_end():
    claim = Claim("shorter", "fit.epochs_to_interpolation", where={"corruption.level": 1.0}, versus={"corruption.level": 0.0}, high=0)
    experiment, rows = replace(EXPERIMENT, claims=(claim,), views=()), paired((20, 21, 20), (None, None, None), claim.column)
    (line,) = sections.claims(experiment, rows)
    assert (line.interval, line.verdict) == ("at most -78.2", "reproduced")
    text = text_report(experiment, rows)
    assert text.isascii() and "shorter: at most -78.2, claimed at most 0 (n = 3)" in text


def test_numbers_stand_beside_every_chart(read):
    assert len(charts(read)) == 5
    assert read.text.count("Numbers behind this figure") == 5
    assert "34 (1 of 3), ≥ 33 (2 of 3)" in read.text


def test_trials_checks_versions_and_configuration_are_told(read):
    assert "Trials 48 1 failed, 1 diverged, 1 not run yet" in read.text
    assert "Self-checks passed 48 of 48" in read.text
    assert "scores: examples x classes, (64, 10), are required, got (64, 9)." in read.text
    assert "MLP, true labels, replicate 1 (" in read.text
    assert "Independence A fully random label says nothing of the true class (G test). 6 of 6 0.42" in read.text
    assert "once in 3,000,000 trials; over all trials here at most 0.000022 false alarms" in read.text  # 2 tests in 30 trials, 3 in 6 of them
    assert "shatterlab 0.1.0 torch 2.13.0" in read.text
    assert "What all trials share (5 columns)" in read.text
    assert read.text.count("≥ 33") >= 2  # in the table of trials, too, a censored time is a bound


def test_the_false_alarm_rate_is_the_one_that_trials_are_checked_with():
    assert sections.FALSE_ALARM == checks.FALSE_ALARM


def test_a_failed_check_stands_out():
    row = made_row(level=1.0)
    bad = Row({**row, "status": "failed", "error": "Trial: a clean self-check is required, failed: batches_equal_sample.", "check.batches_equal_sample": False,
               "check.independence_p": 1e-9, "check.passed": False})  # fmt: skip
    found = sections.checks([bad, made_row(level=1.0, replicate=1)])
    assert (found.passed, found.checked) == (1, 2)
    assert {line.name for line in found.lines if not line.clean} == {"Batches", "Independence"}
    assert next(line for line in found.lines if line.name == "Independence").outcome == "1 of 2"


def test_checks_read_from_a_store_count_as_they_did():
    from_store = [Row({name: int(value) if isinstance(value, bool) else value for name, value in row.items()}, row.curves) for row in ROWS]
    assert sections.checks(from_store) == sections.checks(ROWS)
    assert not any("batches" in line.name for line in sections.checks(from_store).lines)  # a count is no outcome


HOSTILE = "</script><script>alert(1)</script><!-- \" ' & <img src=x onerror=alert(2)> \u2028"


def test_what_a_user_writes_is_text_and_nothing_else():
    columns = dict.fromkeys(("learner.kind", "learner.architecture.kind", "error", "trace", "dataset.path"), HOSTILE)
    rows = [Row({**row, **columns, "key": f"{HOSTILE}{i}"}, row.curves) for i, row in enumerate(ROWS)]
    hostile = replace(EXPERIMENT, name=HOSTILE, source=HOSTILE, question=HOSTILE, claims=(Claim(HOSTILE, "test.error", high=1.0),))
    views = (Table(("model",), ("test.error",), title=HOSTILE), Curve("corruption.level", "test.error", by="model", title=HOSTILE))
    html = render(replace(hostile, views=views), rows, verdict=(HOSTILE, HOSTILE), reproduce=(HOSTILE,), scale=HOSTILE)
    read = Reader(html)
    assert "alert(1)" in read.text
    assert not any(tag == "img" or any(name.startswith("on") for name in attrs) for tag, attrs in read.elements)
    assert len(read.scripts) == 5  # one chart, three libraries, one page script
    assert charts(read)[0]["datasets"]["points"][0]["by"] == HOSTILE


def test_embedded_json_cannot_end_its_element():
    text = embedded({"a": "</script> <!-- & \u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script> <!-- & \u2028"}


def test_the_policy_admits_the_page_s_own_scripts_and_nothing_else(read):
    policy = next(attrs["content"] for tag, attrs in read.elements if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy and "http" not in policy
    assert policy.count("sha256-") == sum("type" not in attrs for attrs, _ in read.scripts)


def test_the_page_names_no_file_and_no_address_to_load(html, read):
    assert not [attrs for _, attrs in read.elements if "src" in attrs]
    assert [attrs["href"] for tag, attrs in read.elements if tag == "link"] == ["data:,"]
    assert all(attrs["href"].startswith("#") for tag, attrs in read.elements if tag == "a")
    assert "sourceMappingURL" not in html
    assert "@import" not in html and "url(" not in html.split("</style>", maxsplit=1)[0]


def test_licences_travel_with_the_page(read):
    assert "University of Washington Interactive Data Lab" in read.text
    assert "Mike Bostock" in read.text


def test_the_vendored_files_are_those_of_the_readme_and_fit_altair():
    import altair

    listed = dict(re.findall(r"\| `([\w.-]+\.js)` \|.*?`([0-9a-f]{64})`", (VENDOR / "README.md").read_text()))
    assert listed == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in VENDOR.glob("*.js")}
    versions = dict(re.findall(r"\| ([\w-]+) \| (\d+)\.[\d.]+ \|", (VENDOR / "README.md").read_text()))
    wanted = {"vega": altair.VEGA_VERSION, "vega-lite": altair.VEGALITE_VERSION, "vega-embed": altair.VEGAEMBED_VERSION}
    assert versions == {name: version.split(".")[0] for name, version in wanted.items()}


@dataclass(frozen=True)
class Plain:
    """A user's own view: words, no chart, no table."""

    title: str = "Only words"
    said: str = "nothing to see"
    spec_: dict = field(default_factory=dict)

    def text(self, rows):
        return f"{self.title}: {self.said}"

    def spec(self, rows):
        return {**self.spec_, "datasets": {"a": [float("nan")]}} if self.spec_ else None

    def grid(self, rows):
        return None


ODD = {
    "nothing": [],
    "all failed": [Row({"key": f"{i}", "status": "failed", "error": "it broke", "trace": None}) for i in range(3)],
    "one trial": [made_row(level=1.0)],
    "empty rows": [Row({})],
    "holes": [
        Row({**made_row(replicate=i), "test.error": bad, "train.loss": bad, "seconds": bad, "classes": None})
        for i, bad in enumerate((None, float("nan"), float("inf")))
    ],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_rows_make_a_whole_report(name):
    experiment = replace(EXPERIMENT, views=(*EXPERIMENT.views, Plain(), Plain(spec_={"mark": "point"})))
    read = Reader(render(experiment, ODD[name]))
    assert read.text.count("NaN") == 0
    assert "Only words" in read.text
    text = text_report(experiment, ODD[name])
    assert "nothing to see" in text and "Claims" in text


def test_without_a_verdict_the_claims_are_counted_and_no_more_is_said():
    assert (
        "Of 3 claims: 1 reproduced at laptop scale, 1 contradicted at laptop scale, 1 not at this scale."
        in Reader(render(replace(EXPERIMENT, views=()), ROWS)).text
    )
    smoke = text_report(replace(EXPERIMENT, views=(), scale="smoke"), ROWS)
    assert "Everything ran. Smoke scale decides nothing: run it with --scale laptop for verdicts." in smoke
    assert smoke.count("[not judged]") == 2 and "random labels are never fitted: 0.0 %, claimed" in " ".join(smoke.split())
    bare = replace(EXPERIMENT, views=(), claims=())
    assert "No claim was put to the test" in text_report(bare, ROWS)
    assert "no trial has run" in text_report(bare, [])
    assert "no trial ended well" in text_report(bare, ODD["all failed"])


def test_a_report_without_charts_carries_no_libraries():
    assert len(render(replace(EXPERIMENT, views=EXPERIMENT.views[:1]), ROWS)) < 100_000


def test_five_hundred_trials_are_quick_and_small():
    streams = ("data", "corruption", "init", "order")
    again = [({"key": f"{i}{row['key']}"} | {f"seeds.{each}": 3 * i + row["seeds.data"] for each in streams}, row) for i in range(11) for row in ROWS]
    rows = [Row({**row, **other}, row.curves) for other, row in again]
    start = time.process_time()
    html = render(EXPERIMENT, rows, verdict=VERDICT)
    assert time.process_time() - start < 4  # 1.3 s of a free core; a busy one counts up to three times as much
    assert len(rows) == 528 and len(html) < 3_000_000
    assert len(sections.trials(rows * 2)) == sections.SHOWN
    assert sum(line.status != "ok" for line in sections.trials(rows * 2)) == 44  # all that went wrong are among those shown


def test_the_text_report_leads_with_the_verdict_and_fits_a_terminal():
    text = text_report(EXPERIMENT, ROWS, VERDICT)
    assert text.index(VERDICT[0][:40]) < text.index("Claims") < text.index("The settings") < text.index("Trials: 46 ok, 1 failed, 1 diverged, 1 not run yet.")
    assert max(map(len, text.splitlines())) <= 100
    assert text.isascii()
    assert "[contradicted at laptop scale] random labels are never fitted: 0.0 % [0.0, 0.2], claimed at least 50.0 %" in " ".join(text.split())


def test_writing_replaces_the_file_in_one_step(tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    assert write(target, "näw") == target.resolve()
    assert target.read_bytes() == "näw".encode()
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path, monkeypatch):
    with pytest.raises(
        ShatterlabError, match=r"^report: a place that can be written is required, .*no.html cannot be: No such file or directory\. Choose another --output\.$"
    ):
        write(tmp_path / "no" / "no.html", "x")
    with pytest.raises(ShatterlabError, match=r"^report: the name of a file is required, .* is a folder\. Add a file name, such as report\.html\.$"):
        write(tmp_path, "x")
    old = tmp_path / "old.html"
    old.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ShatterlabError, match=r"cannot be: No space left on device\. Choose another --output\.$"):
        write(old, "new")
    assert old.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["old.html"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write into a read-only folder")
def test_a_read_only_folder_is_one_clear_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ShatterlabError, match="Permission denied"):
        write(tmp_path / "report.html", "x")


@pytest.fixture(scope="module")
def file(html, tmp_path_factory):
    return write(tmp_path_factory.mktemp("report") / "report.html", html)


@pytest.fixture(scope="module")
def visit(browser, file):
    opened = Visit(browser, file)
    opened.page.wait_for_selector("html[data-drawn]", timeout=60_000)
    return opened


@pytest.mark.browser
def test_in_a_browser_it_is_silent_and_asks_for_nothing(visit, file):
    assert visit.said == []
    assert visit.asked == [file.as_uri()]


@pytest.mark.browser
def test_in_a_browser_every_chart_has_marks(visit, read):
    places = visit.page.locator(".chart")
    assert places.count() == 5
    for i in range(5):
        place = places.nth(i)
        assert place.get_attribute("data-drawn") == "yes"
        assert place.locator("[role=graphics-document]").get_attribute("aria-label") == charts(read)[i]["description"]
        assert places.nth(i).locator("xpath=ancestor::figure").get_attribute("aria-labelledby") == f"chart-{i + 1}-h"
        assert place.locator("svg .mark-symbol.role-mark path").count() >= 3
        assert place.bounding_box()["width"] > 900


@pytest.mark.browser
def test_in_a_browser_the_words_are_visible(visit):
    for text in (EXPERIMENT.question, VERDICT[0], "Test error under random labels is chance", "What went wrong", "Reading the intervals"):
        assert visit.page.get_by_text(text, exact=True).first.is_visible()


@pytest.mark.browser
def test_in_a_browser_a_heading_sorts_the_trials(visit):
    heading = visit.page.locator("table.sortable th").nth(4)
    values = "[...document.querySelectorAll('table.sortable tbody tr')].map(row => row.cells[4].dataset.v)"
    heading.locator("button").click()
    up = visit.page.evaluate(values)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").click()
    down = visit.page.evaluate(values)
    assert up[-1] == down[-1] == ""  # what has no value stays last
    numbers = [float(value) for value in up[:-1]]
    assert numbers == sorted(numbers) and [float(value) for value in down[:-1]] == numbers[::-1]


@pytest.mark.browser
def test_in_a_browser_a_name_in_a_legend_is_singled_out_and_let_go(visit):
    symbol = visit.page.locator("#chart-1 .role-legend-symbol path").nth(0)
    faded = "[...document.querySelectorAll('#chart-1 .role-legend-label text')].filter(text => getComputedStyle(text).opacity < 1).length"
    symbol.click()
    visit.page.wait_for_function(f"{faded} === 7")
    assert visit.page.locator("#chart-1 .role-legend-label text").count() == 8  # all but the one that was picked
    symbol.click()
    visit.page.wait_for_function(f"{faded} === 0")
    assert visit.page.evaluate(faded) == 0


@pytest.mark.browser
@pytest.mark.parametrize("width", [420, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_nothing_sticks_out_in_either_scheme(browser, file, width, scheme):
    opened = Visit(browser, file, width, color_scheme=scheme)
    opened.page.wait_for_selector("html[data-drawn]", timeout=60_000)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.said == []
    assert opened.page.evaluate("[...document.querySelectorAll('.chart svg')].every(svg => svg.getBoundingClientRect().right <= innerWidth)")
    ink, paper = opened.page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    assert contrast(ink, paper) > 7
    soft = opened.page.evaluate("getComputedStyle(document.querySelector('.chart svg .role-axis-label text')).fill")
    assert contrast(soft, paper) > 4.5
    opened.page.close()


@pytest.mark.browser
def test_without_scripts_text_and_tables_are_there(browser, file):
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(file.as_uri())
    assert opened.get_by_text(VERDICT[0]).is_visible()
    assert opened.get_by_text("This chart needs JavaScript").first.is_visible()
    assert opened.locator("#tables table").first.is_visible()
    context.close()


@pytest.mark.browser
def test_a_hostile_page_runs_nothing_and_still_draws(browser, tmp_path):
    rows = [Row({**row, "learner.architecture.kind": HOSTILE}, row.curves) for row in ROWS if row["seeds.data"] == 0]
    hostile = replace(EXPERIMENT, question=HOSTILE, claims=(), views=(Curve("corruption.level", "test.error", by="model", title=HOSTILE),))
    opened = Visit(browser, write(tmp_path / "hostile.html", render(hostile, rows, verdict=(HOSTILE,))))
    opened.page.on("dialog", lambda dialog: opened.said.append(dialog.message))
    opened.page.wait_for_selector("html[data-drawn]", timeout=60_000)
    assert opened.page.locator(".chart[data-drawn]").count() == 1
    assert opened.said == []
    assert len(opened.asked) == 1


@pytest.mark.browser
def test_the_policy_stops_what_should_not_be_there(browser, html, tmp_path):
    planted = "<img src='https://example.org/x.png'><script>document.title = 'taken over'</script></main>"
    opened = Visit(browser, write(tmp_path / "planted.html", html.replace("</main>", planted)))
    opened.page.wait_for_selector("html[data-drawn]", timeout=60_000)
    assert sum("Content Security Policy" in said for said in opened.said) == 2  # so silence elsewhere means that nothing was tried
    assert "taken over" not in opened.page.title()
