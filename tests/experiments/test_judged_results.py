"""What the pages say of the committed rows is what the code says of them now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
specification = importlib.util.spec_from_file_location("verdicts", TOP / "tools" / "verdicts.py")
verdicts = importlib.util.module_from_spec(specification)
specification.loader.exec_module(verdicts)
KNOWN = {}
PAGES = [page for page in (*sorted((TOP / "docs").glob("*.md")), TOP / "README.md") if re.search(r"<!-- (verdicts|view|simulation)", page.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables_of_a_page_are_those_of_the_rows(page):
    text = page.read_text()
    assert verdicts.rewritten(text, KNOWN) == text, "run `python tools/verdicts.py`"


def test_pages_with_results_have_tables():
    assert {page.stem for page in PAGES} >= {"figure1", "regularization", "complexity", "kernels", "imagenet", "expressivity", "convergence"}


def test_a_planted_number_is_found(tmp_path):
    text = (TOP / "docs" / "figure1.md").read_text()
    assert verdicts.rewritten(text.replace("| observed |", "| reproduced |", 1), KNOWN) == text
