"""The figures of an experiment as files, for a page, a paper or a talk."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from shatterlab.analysis.replicates import unique
from shatterlab.core.errors import ShatterlabError
from shatterlab.core.values import Row
from shatterlab.report.files import write

if TYPE_CHECKING:
    from shatterlab.design.experiment import Experiment

_WIDTH = 760  # pixels, axes and labels included
_TITLE = 90  # characters a line of the title, which then stays inside of the width
_SLUG = 60  # characters of a title in a file name
_FONT = "Arial, Liberation Sans, Helvetica, sans-serif"  # all of the same widths, one of them on every system
_LEGEND = {"columns": 3, "layout": {"top": {"anchor": "start", "direction": "vertical", "margin": 10}}}  # one below the other, none cut off


def save_figures(experiment: Experiment, rows: Iterable[Row], folder: Path | str) -> list[Path]:
    """Writes every figure of an experiment as one SVG file, "figure1c-1-test-error-against-corruption-level.svg".

    The number is the place among the experiment's views, tables counted, so that a file keeps its name while rows
    come in. Views that draw nothing have no file; where none does, nothing is made.

    Args:
        experiment: its views.
        rows: the results of its own trials (`Experiment.select` has them); each key counts once.
        folder: where the files go; made if absent. Files of the same name are replaced.

    Returns:
        The files, in the order of the views.

    Raises:
        ShatterlabError: the package vl-convert-python is missing or too old, or the folder cannot be written.
    """
    found = unique(rows)
    drawn = {f"{experiment.name}-{n}-{_slug(view.title)}.svg": (view.title, view.spec(found)) for n, view in enumerate(experiment.views, 1)}
    pictures = {name: _svg(_framed(spec, title)) for name, (title, spec) in drawn.items() if spec is not None}
    if not pictures:
        return []
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _refused(folder, problem.strerror) from problem
    return [_written(Path(folder), name, svg) for name, svg in pictures.items()]


def _slug(title: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return words if len(words) <= _SLUG else words[: _SLUG + 1].rpartition("-")[0] or words[:_SLUG]


def _framed(spec: dict[str, Any], title: str) -> dict[str, Any]:
    """The chart for a file: of fixed width, on white, under its title, in a font that the file's reader has."""
    lines = textwrap.wrap(title, _TITLE)
    heading = {"text": lines if len(lines) > 1 else title, "anchor": "start", "frame": "bounds", "fontSize": 15, "fontWeight": 600, "offset": 14}
    look = spec.get("config", {})
    config = {**look, "background": "white", "font": _FONT, "legend": {**look.get("legend", {}), **_LEGEND}}
    return {**spec, "width": _WIDTH, "title": heading, "config": config, "padding": 12}


def _svg(spec: dict[str, Any]) -> str:
    converter = _converter()
    try:
        return _renumbered(converter.vegalite_to_svg(spec, vl_version=_version(spec["$schema"], converter), allowed_base_urls=[]))
    except ValueError as problem:
        told = str(problem).strip().splitlines()[0]
        raise ShatterlabError(f"figures: a chart that Vega-Lite can draw is required, got {told}. Report it with the rows.") from problem


def _renumbered(svg: str) -> str:
    """The drawing with its clip paths counted from 0: the converter counts on from one chart to the next."""
    places = {name: f"clip{i}" for i, name in enumerate(dict.fromkeys(re.findall(r'id="(clip\d+)"', svg)))}
    return re.sub(r'(?<=id=")clip\d+(?=")|(?<=url\(#)clip\d+(?=\))', lambda found: places[found.group()], svg)


def _converter() -> ModuleType:
    try:
        import vl_convert
    except ImportError as problem:
        told = "the package vl-convert-python is required, it is not installed. Run `pip install 'shatterlab[figures]'`."
        raise ShatterlabError(f"figures: {told}") from problem
    return vl_convert


def _version(schema: str, converter: ModuleType) -> str:
    """The converter's Vega-Lite nearest to the one that the chart was written for, of the same major version."""
    major, minor = _numbers(schema.rpartition("/v")[2])  # Altair names its version
    known = list(converter.get_vegalite_versions())
    fitting = [each for each in known if _numbers(each)[0] == major]
    if not fitting:
        wanted = f"a vl-convert-python that knows Vega-Lite {major} is required, got one of {', '.join(known)}"
        raise ShatterlabError(f"figures: {wanted}. Run `pip install --upgrade 'shatterlab[figures]'`.")
    return str(min(fitting, key=lambda each: abs(_numbers(each)[1] - minor)))


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _written(folder: Path, name: str, svg: str) -> Path:
    try:
        return write(folder / name, svg)
    except ShatterlabError as problem:
        raise _refused(folder / name, getattr(problem.__cause__, "strerror", "it is a folder")) from problem


def _refused(path: Path | str, why: str | None) -> ShatterlabError:
    return ShatterlabError(f"figures: a folder that can be written is required, {path} cannot be: {why}. Choose another folder.")
