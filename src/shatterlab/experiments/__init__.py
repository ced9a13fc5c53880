"""The experiments that exist: one file a figure or table of the paper, found by file name, imported when used."""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shatterlab import catalog
from shatterlab.errors import InvalidPart, UnknownName
from shatterlab.experiment import Experiment, Scale
from shatterlab.outside import user_code

Maker = Callable[..., Experiment]  # of a Scale; of a learner and a dataset too where it takes a model of the user's own


@functools.cache
def summaries() -> Mapping[str, str]:
    """Name -> the first line of its file, of every file here that defines `experiment(scale)`; nothing is imported."""
    found = {}
    for file in sorted(Path(__file__).parent.glob("[!_]*.py")):
        tree = ast.parse(file.read_bytes())
        if any(isinstance(node, ast.FunctionDef) and node.name == "experiment" for node in tree.body):
            found[file.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def names() -> list[str]:
    """The names of all experiments."""
    return list(summaries())


def find(name: str) -> Maker:
    """The function `experiment(scale)` of the experiment of that name.

    Raises:
        UnknownName: there is none; the nearest names are offered.
    """
    if name not in names():
        raise UnknownName("experiments", name, names())
    made: Maker = importlib.import_module(f"{__name__}.{name}").experiment
    return made


def load(path: Path | str) -> Maker:
    """The function `experiment(scale)` of an outside file, whose parts become known by name.

    Raises:
        InvalidPart: there is no such file, or it defines no such function; the function itself raises it where it
            gives something else than an Experiment.
        UserCodeError: the file fails while it is imported; the function itself raises it where the user's fails.
    """
    file = Path(path).name
    wanted = getattr(catalog.load(path), "experiment", None)
    if not callable(wanted):
        raise InvalidPart(f"{file}: a function experiment(scale) is required, there is none. Write `def experiment(scale: Scale) -> Experiment`.")

    def experiment(scale: Scale) -> Experiment:
        with user_code(f"{file}: experiment({scale.name})"):
            made: Any = wanted(scale)
        if not isinstance(made, Experiment):
            raise InvalidPart(f"{file}: experiment(scale) gives an Experiment, got {made!r}. Return it.")
        return made

    return experiment
