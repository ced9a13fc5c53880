"""Builds the site: the pages of this folder, and one page for each room of the package from its docstrings (`make docs`)."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx

import shatterlab

project = "shatterlab"
release = version = shatterlab.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"shatterlab {version}"
html_show_copyright = False
default_role = "code"
myst_heading_anchors = 4
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source"]
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # an override without a docstring of its own says nothing new
add_module_names = False
html_copy_source = False
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "ignore-module-all": True, "exclude-members": "set_fit_request, set_score_request"}
python_maximum_signature_line_length = 100

API = Path(__file__).parent / "api"
GUIDES = {
    "Start": [
        "tour",
        "how-to/audit-your-model",
        "how-to/significance",
        "how-to/regression",
        "how-to/suspicious-labels",
        "how-to/report-formats",
        "how-to/figure1",
        "how-to/capacity",
        "how-to/data-files",
        "cli",
        "store",
    ],
    "Results": [
        "paper",
        "figure1",
        "regularization",
        "imagenet",
        "kernels",
        "expressivity",
        "capacity",
        "memorization",
        "convergence",
        "complexity",
        "statistics",
        "promises",
    ],
    "Add one thing": [f"how-to/{kind}" for kind in ("dataset", "corruption", "architecture", "optimizer", "augmentation", "learner", "measure", "experiment")],
    "Reference": ["api/index", "glossary", "architecture"],
}


def rooms() -> dict[str, ModuleType]:
    """The rooms of the package by name: its folders, and the modules beside them."""
    names = [found.name for found in pkgutil.iter_modules(shatterlab.__path__) if not found.name.startswith("_")]
    return {name: importlib.import_module(f"shatterlab.{name}") for name in names}


def page(name: str, room: ModuleType) -> str:
    """The page of a room: its sentence, then every public module with its docstrings."""
    modules = [found.name for found in pkgutil.walk_packages(getattr(room, "__path__", []), f"{room.__name__}.") if "._" not in found.name]
    lines = [name, "=" * len(name), "", f".. automodule:: {room.__name__}", ""]
    for module in modules:
        title = module.removeprefix(f"{room.__name__}.")
        lines += [title, "-" * len(title), "", f".. automodule:: {module}", ""]
    return "\n".join(lines)


def write_reference(app: Sphinx) -> None:
    """Writes docs/api, which git ignores: one page a room and their index."""
    API.mkdir(exist_ok=True)
    index = ["Reference", "=========", "", "The rooms of the package; `core` comes first for a reader.", "", ".. toctree::", "   :maxdepth: 1", ""]
    for name, room in sorted(rooms().items(), key=lambda item: item[0] != "core"):
        (API / f"{name}.rst").write_text(page(name, room))
        index.append(f"   {name}")
    (API / "index.rst").write_text("\n".join(index) + "\n")


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Adds the table of contents to the front page, which on a code host is an ordinary page."""
    if name == "index":
        for caption, pages in GUIDES.items():
            source[0] += "\n```{toctree}\n:hidden:\n:caption: " + caption + "\n\n" + "\n".join(pages) + "\n```\n"


def escaped(text: str) -> str:
    """The text with the characters of formulas escaped outside of code, so that reStructuredText takes them literally."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"[*|]|(?<=\w)_(?!\w)", r"\\\g<0>", piece) for piece in pieces)


def escape_docstring(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Escapes a docstring before napoleon reads its sections; examples stay as they are."""
    example = False
    for position, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            lines[position] = escaped(line)


def setup(app: Sphinx) -> None:
    """Connects the hooks above."""
    app.connect("builder-inited", write_reference)
    app.connect("source-read", add_contents)
    app.connect("autodoc-process-docstring", escape_docstring, priority=400)
