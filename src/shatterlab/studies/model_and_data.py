"""From names, files, folders and objects to the learners and the data set of a study."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from shatterlab.architectures.imported import Imported
from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_inception import SmallInception
from shatterlab.core import Architecture, Dataset, Learner, Part
from shatterlab.core.catalog import build, find
from shatterlab.core.errors import InvalidPart, UnknownName
from shatterlab.core.user_code import resolve
from shatterlab.datasets.arrays import Arrays
from shatterlab.datasets.digits import Digits
from shatterlab.datasets.image_folder import ImageFolder
from shatterlab.datasets.table import DataTable
from shatterlab.learners.estimator import Estimator
from shatterlab.learners.recipe import Recipe
from shatterlab.learners.training import Training
from shatterlab.optimizers.descent import SGD
from shatterlab.readers.frames import TABLES
from shatterlab.studies.data_of_this_process import held, without_target

DIGITS = 300  # examples of the default data set: an audit of two nets then takes minutes


def learners(model: Any = None, examples: int = DIGITS, owner: str = "audit", **recipe: Any) -> list[Learner]:
    """The learners that a model stands for, with a default budget for that many training examples."""
    model = _estimator(model)
    if isinstance(model, Learner):
        if recipe:
            raise InvalidPart(f"{owner}: fields of Training go with a torch model, got {', '.join(recipe)} beside {model.kind}. Leave them out.")
        return [model]
    if model is None:
        recipe = {"lr": 0.05} | recipe  # both fit 300 digits with random labels in some 50 epochs at this rate
        return [_training(MLP(), recipe, examples), _training(SmallInception(width=0.25), recipe, examples)]
    if isinstance(model, str) and ":" not in model:
        if model not in find("architectures"):
            raise UnknownName(f"{owner}: model", model, [*find("architectures"), "module:factory"])
        model = build({"kind": model})
    if isinstance(model, Architecture):
        return [_training(model, recipe, examples)]
    return [_training(Imported(model) if isinstance(model, str) else Imported.live(model), recipe, examples)]


def _training(architecture: Architecture, recipe: dict[str, Any], examples: int) -> Training:
    fields = {"batch_size": 64} | recipe
    fields.setdefault("epochs", max(100, 5000 // math.ceil(examples / (fields["batch_size"] or examples))))
    optimizer = fields.pop("optimizer", None) or SGD(lr=fields.pop("lr", 0.01))
    known = [item.name for item in Training.configuration()]
    for name in fields:
        if name not in known:
            raise UnknownName("audit: recipe", name, [*known, "lr"])
    return Training(architecture, optimizer, **fields)


def model_from_options(
    model: str | None, recipe: str | None, options: dict[str, Any], owner: str = "audit", arguments: Sequence[str] = ()
) -> tuple[Any, dict[str, Any]]:
    """The model and the fields of `Training` from the options of the command line.

    Args:
        model: an architecture's name, or "module:name" of a factory, of an estimator's class or of an estimator.
        recipe: "module:function".
        options: fields of `Training`.
        owner: name used in errors.
        arguments: "name=value" of an estimator.

    Raises:
        InvalidPart: both a model and a recipe are given, or arguments for what is no estimator.
    """
    if recipe is not None:
        if model is not None:
            raise InvalidPart(f"audit: a model or a recipe is required, got both, {model!r} and {recipe!r}. Leave one out.")
        resolve(recipe, "audit: --recipe")
        return Recipe(recipe), options
    if model is not None and ":" in model:
        target = resolve(model, f"{owner}: --model")
        if all(hasattr(target, name) for name in ("fit", "predict", "get_params")):
            values = dict(map(_argument, arguments))
            return (Estimator(model, values), options) if isinstance(target, type) else (target.set_params(**values), options)
    if arguments:
        raise InvalidPart(f"{owner}: --set changes an argument of a scikit-learn estimator, got --model {model}. Leave it out.")
    return model, options


def _argument(text: str) -> tuple[str, Any]:
    """Name and value of name=value, where the value is JSON or else text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidPart(f"audit: --set takes name=value, got {text!r}. Write --set n_estimators=200, say.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def dataset(data: Any = None, examples: int | None = None, **columns: str | None) -> Dataset:
    """The data set that a name, a file, a folder or data of this process stand for.

    Args:
        data: a Dataset, the name of one, an .npz, .csv or .parquet file, a folder of class folders, a data frame, a pair (X, y) of arrays, frames, lists or
            .npy files, or a torch Dataset of pairs; None: digits.
        examples: training examples to keep; None: all.
        columns: of a table: `target`, `group`, `time`, `split`.

    Raises:
        DataError: the data cannot be used.
        InvalidPart: the data are none of these, or columns are named for what is no table.
        UnknownName: no data set has that name; the nearest are offered.
    """
    named = {name: value for name, value in columns.items() if value is not None}
    if data is None:
        described: Dataset = Digits(examples=examples or DIGITS)
    elif isinstance(data, Dataset):
        described = data
    else:
        described = _named(data, named) if isinstance(data, str | Path) else held(data, named)
    if named and (isinstance(data, Dataset) or not isinstance(described, DataTable)):
        raise InvalidPart(f"audit: {', '.join(named)} name columns of a table, got {described.kind}. Leave them out.")
    return described if examples is None or isinstance(data, Dataset) else replace(described, examples=examples)


def with_task(data: Dataset, model: Any) -> Dataset:
    """The data set with its target as numbers where the model is a regressor; as it is for all others, and where it has only classes.

    Args:
        data: any data set; a `DataTable` and `Arrays` can hold numbers.
        model: what `learners` takes.

    Raises:
        InvalidPart: an estimator cannot be written down.

    Example:
        >>> from sklearn.linear_model import Ridge
        >>> with_task(Arrays("prices.npz"), Ridge()).task
        'numbers'
    """
    learner = _estimator(model)
    regressor = isinstance(learner, Learner) and learner.predicts_numbers
    return replace(data, task="numbers") if regressor and isinstance(data, DataTable | Arrays) else data


def _estimator(model: Any) -> Any:
    """The learner of a live estimator; any other model as it is."""
    return Estimator.of(model) if hasattr(model, "get_params") and hasattr(model, "fit") and not isinstance(model, type | Learner) else model


def _named(data: Path | str, columns: dict[str, str]) -> Dataset:
    path = Path(data)
    described: Part
    if path.is_dir():
        described = ImageFolder(str(path))
    elif path.suffix.lower() in TABLES:
        described = DataTable(str(path), **columns) if "target" in columns else without_target(list(DataTable(str(path), "y").frame().columns))  # type: ignore[arg-type]
    elif path.suffix == ".npz" or path.is_file():
        described = Arrays(str(path))
    elif str(data) in find("datasets"):
        described = build({"kind": str(data)})
    else:
        raise UnknownName("audit: data", str(data), [*find("datasets"), "file.npz", "file.csv", "file.parquet", "a folder of class folders"])
    assert isinstance(described, Dataset)
    return described
