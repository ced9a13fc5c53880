"""The pages of the documentation stay true: their Python runs, their commands and targets exist."""

from __future__ import annotations

import re
import shlex
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [page for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))) if page.is_file()]
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, further words, text, and the line that its text begins on."""

    language: str
    flags: tuple[str, ...]
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    found = []
    for match in _FENCE.finditer(page):
        language, *flags = match["info"].split() or [""]
        found.append(Block(language, tuple(flags), match["text"], page.count("\n", 0, match.start("text")) + 1))
    return found


def run(page: str, name: str) -> int:
    """Runs the Python blocks of a page in order, in one module of their own, so that what they define can be found again; says how many."""
    count = 0
    module = types.ModuleType(name)
    sys.modules[name] = module
    try:
        for block in blocks(page):
            if block.language == "python" and "no-run" not in block.flags:
                source = "\n" * (block.line - 1) + block.text
                exec(compile(source, f"{name}.md", "exec"), vars(module))
                count += 1
    finally:
        del sys.modules[name]
    return count


def commands(page: str) -> list[list[str]]:
    """The lines of a page's shell blocks that call shatterlab or make, split into words."""
    lines = [line.strip().removeprefix("$ ") for block in blocks(page) if block.language in ("bash", "sh", "console") for line in block.text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("shatterlab ", "make "))]


def known_commands() -> set[str]:
    from shatterlab.cli.commands import app

    return {name for name in app if not name.startswith("-")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    ran = run(text, "page_" + re.sub(r"\W", "_", page.relative_to(REPOSITORY).with_suffix("").as_posix()))
    assert ran == text.count("\n```python") - text.count("\n```python no-run")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_the_commands_of_a_page_exist(page):
    targets = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for program, *words in commands(page.read_text()):
        asked = [word for word in words if not word.startswith("-")][:1]
        assert set(asked) <= (targets if program == "make" else known_commands()), f"{program} {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_the_links_of_a_page_lead_somewhere(page):
    text = _FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (page.parent / place) if place else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}, target


def test_pages_of_the_how_to_are_found():
    names = {page.stem for page in PAGES if page.parent.name == "how-to"}
    assert {"architecture", "corruption", "dataset", "learner", "measure", "optimizer"} <= names


def test_a_false_page_is_found_out():
    page = "# A page\n\n```python\nvalue = 1\n```\n\ntext\n\n```python no-run\nraise ValueError\n```\n\n```python\nassert value == 2\n```\n"
    with pytest.raises(AssertionError) as caught:
        run(page, "page_planted")
    assert caught.traceback[-1].lineno + 1 == 14  # where the page has the line
    assert "page_planted" not in sys.modules


def test_a_command_that_is_not_there_is_found_out():
    asked = commands("```bash\n$ shatterlab adit --help  # a comment\nmake demo\ncd somewhere\n```\n")
    assert asked == [["shatterlab", "adit", "--help"], ["make", "demo"]]
    assert asked[0][1] not in known_commands()
    assert {"audit", "run", "report", "check", "list", "show", "data"} <= known_commands()


def test_the_site_is_built_in_ci_with_warnings_as_errors():
    assert (REPOSITORY / "docs" / "conf.py").is_file()
    assert re.search(r"^docs:.*\n\t.*sphinx -b html -W ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert "make docs" in (REPOSITORY / ".ci" / "run").read_text().splitlines()


def test_every_promise_names_tests_that_exist():
    named = re.findall(r"`(tests/\S+\.py)::(test_\w+)`", (REPOSITORY / "docs" / "promises.md").read_text())
    assert len(named) > 15
    assert [f"{file}::{test}" for file, test in named if f"\ndef {test}(" not in (REPOSITORY / file).read_text()] == []
