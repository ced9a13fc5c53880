"""The experiments, found by file name and imported when used: `paper/` has the figures and tables, `beyond/` further questions."""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shatterlab.core import catalog
from shatterlab.core.errors import InvalidPart, UnknownName
from shatterlab.core.user_code import user_code

if TYPE_CHECKING:  # `shatterlab list` takes no second without torch
    from shatterlab.design.experiment import Experiment, Scale

Maker = Callable[..., "Experiment"]  # takes a Scale; a learner and a dataset too where it takes a model of the user's own


@functools.cache
def summaries() -> Mapping[str, str]:
    """Name -> the first line of its file, of every file of `paper/` and `beyond/`; nothing is imported."""
    return {name: (ast.get_docstring(ast.parse(file.read_bytes())) or "").partition("\n")[0] for name, file in _files().items()}


@functools.cache
def _files() -> Mapping[str, Path]:
    files = [file for room in ("paper", "beyond") for file in (Path(__file__).parent / room).glob("[!_]*.py")]
    return {file.stem: file for file in sorted(files, key=lambda file: file.stem)}


def names() -> list[str]:
    """The names of all experiments."""
    return list(_files())


def find(name: str) -> Maker:
    """The function `experiment(scale)` of the experiment of that name.

    Raises:
        UnknownName: there is none; the nearest names are offered.
    """
    if name not in names():
        raise UnknownName("experiments", name, names())
    maker: Maker = importlib.import_module(f"{__name__}.{_files()[name].parent.name}.{name}").experiment
    return maker


def load(path: Path | str) -> Maker:
    """The function `experiment(scale)` of an outside file, whose parts become known by name.

    Raises:
        InvalidPart: there is no such file, or it defines no such function; the function itself raises it where it returns something else than an Experiment.
        UserCodeError: the file fails while it is imported; the function itself raises it where the user's fails.
    """
    from shatterlab.design.experiment import Experiment

    file = Path(path).name
    maker = getattr(catalog.load(path), "experiment", None)
    if not callable(maker):
        raise InvalidPart(f"{file}: a function experiment(scale) is required, there is none. Write `def experiment(scale: Scale) -> Experiment`.")

    def experiment(scale: Scale) -> Experiment:
        with user_code(f"{file}: experiment({scale.name})"):
            value: Any = maker(scale)
        if not isinstance(value, Experiment):
            raise InvalidPart(f"{file}: experiment(scale) gives an Experiment, got {value!r}. Return it.")
        return value

    return experiment
