"""What is written: the page, all of it or nothing; rows as a table for other programs; figures for a page, a paper or a talk."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re
import tempfile
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from shatterlab.analysis.replicates import unique
from shatterlab.core.errors import InvalidPart, ShatterlabError
from shatterlab.core.frames import frame_of, harmless
from shatterlab.core.values import Row

if TYPE_CHECKING:
    from shatterlab.design.experiment import Experiment

_WIDTH = 760  # pixels, axes and labels included
_BESIDE = 70  # of them for the axis beside each of several panels
_TITLE = 90  # characters a line of the title, which then stays inside of the width
_SLUG = 60  # characters of a title in a file name
_FONT = "Arial, Liberation Sans, Helvetica, sans-serif"  # all of the same widths, one of them on every system
_LEGEND = {"columns": 3, "layout": {"top": {"anchor": "start", "direction": "vertical", "margin": 10}}}  # one below the other, none cut off
_FORMATS = (".csv", ".json", ".jsonl", ".parquet")


def write(path: Path | str, content: str | bytes) -> Path:
    """Writes a file in one step: a reader sees the old file or the new one, never half of one.

    Args:
        path: the file; its folder must exist.
        content: what it shall hold; text as UTF-8.

    Returns:
        The absolute path of the file.

    Raises:
        ShatterlabError: the folder is missing or read-only, the path is a folder, or there is no space.

    Example:
        >>> write(Path(tempfile.mkdtemp()) / "report.html", "<!doctype html>").name
        'report.html'
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise ShatterlabError(f"report: the name of a file is required, {path} is a folder. Add a file name, such as report.html.")
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    except OSError as problem:
        raise _unwritable(path, problem) from problem
    try:
        with open(descriptor, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode(errors="backslashreplace"))  # names of files need not be UTF-8
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, target)
    except OSError as problem:
        raise _unwritable(path, problem) from problem
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    return target


def _unwritable(path: Path | str, problem: OSError) -> ShatterlabError:
    return ShatterlabError(f"report: a place that can be written is required, {path} cannot be: {problem.strerror}. Choose another --output.")


def export_rows(rows: Sequence[Row], path: Path | str) -> Path:
    """Writes rows in the form that the suffix says.

    .csv and .parquet have a column for every name that occurs and empty cells for null; text of a .csv that a spreadsheet would run as a formula begins with an
    apostrophe; .json is a list of objects with the columns and `curves` (epoch, step, name, value),
    .jsonl the same with one object a line. Infinite numbers are text in JSON.

    Raises:
        InvalidPart: another suffix, or pandas or pyarrow is missing for .parquet.
        ShatterlabError: the file cannot be written there.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        text = io.StringIO()
        table = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        table.writeheader()
        table.writerows({name: harmless(value) for name, value in row.items()} for row in rows)
        return write(path, text.getvalue())
    if suffix == ".parquet":
        return _parquet(rows, Path(path))
    objects = [{**{name: _plain(value) for name, value in row.items()}, "curves": [list(map(_plain, point)) for point in row.curves]} for row in rows]
    if suffix == ".json":
        return write(path, json.dumps(objects, indent=1, allow_nan=False) + "\n")
    if suffix == ".jsonl":
        return write(path, "".join(json.dumps(each, allow_nan=False) + "\n" for each in objects))
    raise InvalidPart(f"export: an output that ends in {', '.join(_FORMATS)} is required, got {Path(path).name!r}. Rename it.")


def _parquet(rows: Sequence[Row], path: Path) -> Path:
    content = io.BytesIO()
    frame = frame_of(rows, "export")
    try:
        frame.to_parquet(content)
    except ImportError:
        raise InvalidPart("export: pyarrow is required for .parquet, it is not installed. Run `pip install 'shatterlab[frames]'`, or write .csv.") from None
    return write(path, content.getvalue())


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def save_figures(experiment: Experiment, rows: Iterable[Row], folder: Path | str) -> list[Path]:
    """Writes every figure of an experiment as one SVG file, "figure1c-1-test-error-against-corruption-level.svg".

    The number is the place among the experiment's views, tables counted. Views that draw nothing have no file; where none does, nothing is written.

    Args:
        experiment: its views.
        rows: the results of its own trials (`Experiment.select` has them); each key counts once.
        folder: where the files go; made if absent. Files of the same name are replaced.

    Returns:
        The files, in the order of the views.

    Raises:
        ShatterlabError: the package vl-convert-python is missing or too old, or the folder cannot be written.
    """
    own = unique(rows)
    drawn = {f"{experiment.name}-{n}-{_slug(view.title)}.svg": (view.title, view.spec(own)) for n, view in enumerate(experiment.views, 1)}
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
    lines = textwrap.wrap(title, _TITLE)
    heading = {"text": lines if len(lines) > 1 else title, "anchor": "start", "frame": "bounds", "fontSize": 15, "fontWeight": 600, "offset": 14}
    look = spec.get("config", {})
    config = {**look, "background": "white", "font": _FONT, "legend": {**look.get("legend", {}), **_LEGEND}}
    panels = spec.get("concat", ())
    width = {"concat": [{**panel, "width": _WIDTH // len(panels) - _BESIDE} for panel in panels]} if panels else {"width": _WIDTH}
    return {**spec, **width, "title": heading, "config": config, "padding": 12}


def _svg(spec: dict[str, Any]) -> str:
    try:
        import vl_convert as converter
    except ImportError as problem:
        missing = "the package vl-convert-python is required, it is not installed. Run `pip install 'shatterlab[figures]'`."
        raise ShatterlabError(f"figures: {missing}") from problem
    try:
        return _renumbered(converter.vegalite_to_svg(spec, vl_version=_version(spec["$schema"], converter), allowed_base_urls=[]))
    except ValueError as problem:
        reason = str(problem).strip().splitlines()[0]
        raise ShatterlabError(f"figures: a chart that Vega-Lite can draw is required, got {reason}. Report it with the rows.") from problem


def _renumbered(svg: str) -> str:
    """The drawing with its clip paths counted from 0: the converter counts on from one chart to the next."""
    places = {name: f"clip{i}" for i, name in enumerate(dict.fromkeys(re.findall(r'id="(clip\d+)"', svg)))}
    return re.sub(r'(?<=id=")clip\d+(?=")|(?<=url\(#)clip\d+(?=\))', lambda match: places[match.group()], svg)


def _version(schema: str, converter: ModuleType) -> str:
    """The converter's Vega-Lite nearest to the one that the chart was written for, of the same major version."""
    major, minor = _numbers(schema.rpartition("/v")[2])  # Altair names its version
    known = list(converter.get_vegalite_versions())
    fitting = [version for version in known if _numbers(version)[0] == major]
    if not fitting:
        required = f"a vl-convert-python that knows Vega-Lite {major} is required, got one of {', '.join(known)}"
        raise ShatterlabError(f"figures: {required}. Run `pip install --upgrade 'shatterlab[figures]'`.")
    return str(min(fitting, key=lambda version: abs(_numbers(version)[1] - minor)))


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
