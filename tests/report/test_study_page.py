"""The page of a study: the answer first, the rest folded but there; for a keyboard, a screen reader and a telephone too."""

from __future__ import annotations

import pytest

import shatterlab as sl
from browsing import Reader, Visit, charts
from example_rows import made_row, made_rows
from shatterlab.core.values import Row
from shatterlab.design.experiment import Claim, Experiment
from shatterlab.report import render, sections, write
from shatterlab.views import Curve, LearningCurves, Table, TrueAndPermuted

LONG = "AVeryLongNameOfAPipelineWithManyStepsAndNoPlaceToBreakIt"
VERDICT = ("MLP: the score is real.", "Fits random labels.")
REPLICATES = {"replicate": True}
EXPERIMENT = Experiment(
    name="audit",
    source="Zhang et al. 2017, section 2.1",
    question="Is my score real?",
    trials=(sl.Trial(sl.Digits(), sl.TrueLabels(), sl.Training(sl.MLP())),),
    views=(
        TrueAndPermuted(model="MLP", planned=39),
        TrueAndPermuted(model=LONG, planned=39),
        Curve("corruption.level", "test.error", by="model", title="Test error against level"),
        Table(
            ("model", "setting"),
            ("train.accuracy", "test.accuracy", "fit.epochs_to_interpolation", "seconds"),
            title="The settings",
            where=REPLICATES,
            aside=True,
        ),
        LearningCurves("train.loss", title="Training loss", where={"model": "MLP", **REPLICATES}, aside=True),
    ),
    claims=(Claim("random labels are fitted", "train.error", where={"corruption.level": 1.0}, high=0.0),),
)


def permuted(model, seeds, **more):
    row = made_row(level=1.0, replicate=seeds[1], architecture=model, key=f"{model} permuted {seeds}", **more)
    columns = {name: value for name, value in row.items() if name != "corruption.level"}
    own = dict(zip((f"seeds.{each}" for each in ("data", "corruption", "init", "order")), seeds, strict=True))
    return Row({**columns, "corruption.kind": "PermutedLabels", **own}, row.curves)


def audited(models=("MLP", LONG), permutations=39):
    rows = made_rows(3, models)
    for model in models:
        rows += [permuted(model, (r,) * 4) for r in range(3)] + [permuted(model, (0, k, k, k)) for k in range(1, permutations)]
    return rows


@pytest.fixture(scope="module")
def html():
    return render(EXPERIMENT, audited(), verdict=VERDICT, reproduce=("shatterlab audit",), folded=True)


@pytest.fixture(scope="module")
def read(html):
    return Reader(html)


@pytest.fixture(scope="module")
def file(html, tmp_path_factory):
    return write(tmp_path_factory.mktemp("study") / "audit.html", html)


def test_the_answer_comes_first_and_the_rest_is_folded(read):
    headings = ["Verdict", "Figures", "Further figures", "Further tables", "Claims", "Trials", "Self-checks", "Run it again", "Reading the intervals"]
    places = [read.text.index(f"{heading} ", read.text.index("Permutations 78")) for heading in headings[1:]]
    assert read.text.index("the score is real") < places[0] and places == sorted(places)
    titles = [charts(read)[i]["description"][:6] for i in range(4)]
    assert titles == ["Points", "Points", "Filled", "26 run"]
    parts = [attrs for tag, attrs in read.elements if tag == "details" and attrs.get("class") == "part"]
    assert len(parts) == 7 and [i for i, attrs in enumerate(parts) if "open" in attrs] == [3]  # a trial failed: that is not folded away
    assert "Numbers behind this figure" in read.text and "shatterlab audit" in read.text


def test_an_experiment_keeps_its_order(read):
    whole = Reader(render(EXPERIMENT, audited(), verdict=VERDICT))
    assert not [attrs for tag, attrs in whole.elements if tag == "details" and attrs.get("class") == "part"]
    assert "Further" not in whole.text
    assert whole.text.index("Random labels are fitted") < whole.text.index("Score on true and on permuted labels: MLP")


def test_permutations_are_no_replicates_and_no_lines_of_tables(read):
    rows = audited()
    assert (sections.permutations(rows), len(sections.replicates(rows))) == (78, 3)
    lines = sections.trials(rows)
    assert len(lines) == len(rows) - 76
    failed = permuted("MLP", (0, 99, 99, 99), status="failed", error="it broke")
    assert len(sections.trials([*rows, failed])) == len(lines) + 1
    assert "Replicates 3" in read.text
    assert "further permutations that ended well are not listed" in read.text


def test_a_report_of_a_thousand_trials_is_small():
    rows = audited(("MLP",), 999)
    assert len(rows) > 1_000
    assert len(render(EXPERIMENT, rows, verdict=VERDICT, folded=True)) < 2_000_000


@pytest.fixture(scope="module", params=[400, 1280])
def visit(request, browser, file):
    opened = Visit(browser, file, request.param)
    opened.page.wait_for_selector("html[data-drawn]", timeout=60_000)
    yield opened
    opened.page.close()


@pytest.mark.browser
def test_in_a_browser_panels_fill_the_width_and_do_not_stick_out(visit):
    assert visit.said == []
    width = visit.page.viewport_size["width"]
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    places = visit.page.evaluate(
        "[...document.querySelectorAll('.chart')].slice(0, 2).map(c => [c.clientWidth, c.querySelector('svg').getBoundingClientRect().width])"
    )
    for room, drawn in places:
        assert room - 12 <= drawn <= room + 1
    columns = visit.page.locator("#chart-1").get_attribute("data-columns")
    assert columns == ("1" if width == 400 else "2")
    boxes = "[...document.querySelectorAll('#chart-1 svg text')].map(text => text.getBoundingClientRect())"
    outside = f"{boxes}.filter(box => box.right > innerWidth || box.left < 0).length"
    assert visit.page.evaluate(outside) == 0


@pytest.mark.browser
def test_in_a_browser_a_folded_chart_is_drawn_when_it_is_opened(visit):
    assert visit.page.locator("#chart-4").get_attribute("data-drawn") is None
    visit.page.locator("nav a", has_text="Further figures").click()
    visit.page.wait_for_selector("#chart-4[data-drawn]", timeout=60_000)
    assert visit.page.locator("#chart-4 svg.marks").bounding_box()["width"] > 250


@pytest.mark.browser
def test_in_a_browser_the_first_column_of_a_table_stays(visit):
    visit.page.locator("nav a", has_text="Further tables").click()
    table = visit.page.locator("#further-tables .scroll").first
    before = table.locator("tbody th").first.bounding_box()["x"]
    table.evaluate("each => { each.scrollLeft = 1000; }")
    assert table.locator("tbody th").first.bounding_box()["x"] == before
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= visit.page.viewport_size["width"]
    key, whole = table.locator("tbody th").first.bounding_box()["width"], table.bounding_box()["width"]
    assert key < 0.5 * whole


@pytest.mark.browser
def test_in_a_browser_a_legend_is_worked_by_the_keyboard(visit):
    label = visit.page.locator("#chart-3 .role-legend-label text").first
    faded = "[...document.querySelectorAll('#chart-3 .role-legend-label text')].filter(text => getComputedStyle(text).opacity < 1).length"
    label.focus()
    for key, count in (("Enter", 1), (" ", 0)):
        visit.page.keyboard.press(key)
        visit.page.wait_for_function(f"{faded} === {count}")
    assert label.get_attribute("aria-label").startswith("Single out ")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_axe_finds_nothing_serious(browser, file, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    opened = context.new_page()
    opened.goto(file.as_uri())
    opened.wait_for_selector("html[data-drawn]", timeout=60_000)
    opened.evaluate("for (const each of document.querySelectorAll('main details')) each.open = true")
    opened.wait_for_selector("#chart-4[data-drawn]", timeout=60_000)
    found = axe.Axe().run(opened).response["violations"]
    assert [(each["id"], each["impact"], each["nodes"][0]["html"][:300]) for each in found if each["impact"] in ("serious", "critical")] == []
    context.close()
