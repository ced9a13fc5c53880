"""Figures as SVG files: named, readable, complete, or refused in one sentence."""

from __future__ import annotations

import os
import re
import sys
from xml.etree import ElementTree

import pytest

from shatterlab.core.errors import ShatterlabError
from shatterlab.core.values import Row
from shatterlab.design.experiment import Experiment
from shatterlab.report import files as figures
from shatterlab.report import save_figures
from shatterlab.views import Curve, Scatter, Table

SVG = "{http://www.w3.org/2000/svg}"
LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
CURVE = Curve("corruption.level", "test.error", by="model")
SCATTER = Scatter(
    "fit.epochs",
    "test.error",
    by="setting",
    title="Every trial, “quick” & slow: is what takes long to fit also what is predicted badly, or is one of them easy where the other is hard?",
)


def made(*views):
    return Experiment("figure9", "none", "Is it drawn?", trials=(), views=views, propose=lambda rows: ())


def rows():
    return [
        Row({
            "key": f"{net}{level}{r}", "status": "ok", "corruption.kind": "PartialLabels", "corruption.level": level, "learner.architecture.kind": net,
            "test.error": 0.2 + 0.6 * level + 0.01 * r, "fit.epochs": 10 + 20 * level + r, "classes": 10,
        })
        for net in ("MLP", "SmallInception") for level in LEVELS for r in range(2)
    ]  # fmt: skip


def texts(path):
    """The words of a drawing with the place where each begins, and how it is anchored there."""

    def walk(node, x, y):
        for dx, dy in re.findall(r"translate\(([-\d.]+),\s*([-\d.]+)\)", node.get("transform", "")):
            x, y = x + float(dx), y + float(dy)
        if node.tag == f"{SVG}text":
            found.append(("".join(node.itertext()), x, y, node.get("text-anchor", "start")))
        for child in node:
            walk(child, x, y)

    found: list[tuple[str, float, float, str]] = []
    walk(ElementTree.parse(path).getroot(), 0.0, 0.0)
    return found


def cut_off(path):
    """What reaches beyond the right edge; 5 pixels a letter are less than a mean letter of 12 pixels takes."""
    width = float(ElementTree.parse(path).getroot().get("width"))
    return [word for word, x, _, anchor in texts(path) if anchor == "start" and x + 5 * len(word) > width]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return save_figures(made(CURVE, Table(), SCATTER), rows(), tmp_path_factory.mktemp("drawn") / "new" / "folder")


def test_every_view_that_draws_is_a_file_named_by_its_place_and_title(drawn):
    assert [path.name for path in drawn] == [
        "figure9-1-test-error-against-corruption-level.svg",
        "figure9-3-every-trial-quick-slow-is-what-takes-long-to-fit-also-what.svg",
    ]
    assert sorted(path.name for path in drawn[0].parent.iterdir()) == [path.name for path in drawn]


def test_a_figure_stands_alone(drawn):
    root = ElementTree.parse(drawn[0]).getroot()
    assert float(root.get("width")) == 760
    background = next(node for node in root.iter(f"{SVG}rect"))
    assert (background.get("fill"), background.get("width")) == ("white", "760")
    words = [word for word, *_ in texts(drawn[0])]
    assert {"Test error against corruption level", "Model", "MLP", "SmallInception", "chance", "Corruption level", "Test error"} <= set(words)
    fonts = {font for node in root.iter() if (font := node.get("font-family"))}
    assert fonts == {"Arial, Liberation Sans, Helvetica, sans-serif"}
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", drawn[0].read_text())


def test_legends_are_complete_and_nothing_is_cut_off(drawn, tmp_path, monkeypatch):
    words = [word for word, *_ in texts(drawn[1])]
    levels = [f"partially corrupted labels ({level:g})" for level in LEVELS[1:-1]]
    assert {"Setting", "true labels", *levels, "random labels", "Model", "MLP", "SmallInception"} <= set(words)
    assert [found for path in drawn for found in cut_off(path)] == []
    monkeypatch.setattr(figures, "_LEGEND", {})
    (planted,) = save_figures(made(SCATTER), rows(), tmp_path)
    assert "random labels" in cut_off(planted), "a legend in one line is too long for the width: the check must see it"


def test_a_long_title_is_broken_into_lines(drawn):
    lines = next(lines for node in ElementTree.parse(drawn[1]).iter(f"{SVG}text") if (lines := [line.text for line in node.iter(f"{SVG}tspan")]))
    assert len(lines) == 2 and max(map(len, lines)) <= 90
    assert " ".join(lines) == SCATTER.title


def test_a_figure_is_the_same_bytes_every_time(drawn, tmp_path):
    (again,) = save_figures(made(CURVE), rows(), tmp_path)
    assert again.read_bytes() == drawn[0].read_bytes()


def test_where_nothing_can_be_drawn_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    for views, given in (((), rows()), ((Table(),), rows()), ((CURVE, SCATTER), []), ((CURVE,), [Row({"key": "1", "status": "failed"})])):
        assert save_figures(made(*views), given, tmp_path / "figures") == []
    assert list(tmp_path.iterdir()) == []


def test_without_the_converter_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ShatterlabError) as refused:
        save_figures(made(CURVE), rows(), tmp_path / "figures")
    assert str(refused.value) == "figures: the package vl-convert-python is required, it is not installed. Run `pip install 'shatterlab[figures]'`."
    assert list(tmp_path.iterdir()) == []


class Converter:
    def __init__(self, *versions):
        self.get_vegalite_versions = lambda: list(versions)


@pytest.mark.parametrize(("known", "chosen"), [(("5.8", "6.1", "6.4"), "6.4"), (("5.8", "6.1"), "6.1"), (("6.3", "6.10", "7.4"), "6.3")])
def test_the_version_that_fits_the_chart_draws_it(known, chosen):
    assert figures._version("https://vega.github.io/schema/vega-lite/v6.4.1.json", Converter(*known)) == chosen


def test_a_converter_too_old_is_refused():
    with pytest.raises(ShatterlabError) as refused:
        figures._version("https://vega.github.io/schema/vega-lite/v6.4.1.json", Converter("5.8", "5.21"))
    wanted = "figures: a vl-convert-python that knows Vega-Lite 6 is required, got one of 5.8, 5.21. Run `pip install --upgrade 'shatterlab[figures]'`."
    assert str(refused.value) == wanted


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "_svg", lambda spec: "<svg/>")
    (tmp_path / "file").write_text("")
    with pytest.raises(ShatterlabError) as refused:
        save_figures(made(CURVE), rows(), tmp_path / "file")
    assert str(refused.value) == f"figures: a folder that can be written is required, {tmp_path / 'file'} cannot be: File exists. Choose another folder."
    taken = tmp_path / "figure9-1-test-error-against-corruption-level.svg"
    taken.mkdir()
    with pytest.raises(ShatterlabError) as refused:
        save_figures(made(CURVE), rows(), tmp_path)
    assert str(refused.value) == f"figures: a folder that can be written is required, {taken} cannot be: it is a folder. Choose another folder."


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write into a read-only folder")
def test_a_read_only_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "_svg", lambda spec: "<svg/>")
    tmp_path.chmod(0o500)
    with pytest.raises(ShatterlabError, match=r"^figures: a folder that can be written is required, .* cannot be: Permission denied\."):
        save_figures(made(CURVE), rows(), tmp_path)
