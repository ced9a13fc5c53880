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
from shatterlab.datasets.streamed_folder import StreamedFolder
from shatterlab.datasets.table import DataTable
from shatterlab.learners.estimator import Estimator
from shatterlab.learners.recipe import Recipe
from shatterlab.learners.streamed_training import StreamedTraining
from shatterlab.learners.training import Training
from shatterlab.optimizers.descent import SGD
from shatterlab.readers.frames import TABLES
from shatterlab.readers.saved_datasets import is_of_hugging_face, is_saved, load_saved
from shatterlab.studies.data_of_this_process import held, without_target
from shatterlab.studies.hugging_face_data import of_hugging_face

DIGITS = 300  # examples of the default data set: an audit of two nets then takes minutes


def learners(model: Any = None, examples: int = DIGITS, owner: str = "audit", streamed: bool = False, **recipe: Any) -> list[Learner]:
    """The learners that a model stands for, with a default budget for that many training examples.

    Args:
        model: as `audit` takes it.
        examples: of the training split.
        owner: name used in errors.
        streamed: the inputs are read from disk as they are needed, so a torch model gets `StreamedTraining`.
        recipe: of a torch model: fields of `Training` and of its optimizer. `optimizer` and `augmentation` may be names of the catalog.
    """
    model = _estimator(model, owner)
    if isinstance(model, Learner):
        if recipe:
            raise InvalidPart(f"{owner}: fields of Training go with a torch model, got {', '.join(recipe)} beside {model.kind}. Leave them out.")
        return [model]
    if model is None:
        rate = {} if "optimizer" in recipe else {"lr": 0.05}  # both fit 300 digits with random labels in some 50 epochs at this rate
        return [_training(default, rate | recipe, examples, streamed) for default in (MLP(), SmallInception(width=0.25))]
    if isinstance(model, str) and ":" not in model:
        if model not in find("architectures"):
            raise UnknownName(f"{owner}: model", model, [*find("architectures"), "module:factory"])
        model = build({"kind": model})
    if not isinstance(model, Architecture):
        model = Imported(model) if isinstance(model, str) else Imported.live(model)
    return [_training(model, recipe, examples, streamed)]


def _training(architecture: Architecture, recipe: dict[str, Any], examples: int, streamed: bool) -> Training | StreamedTraining:
    kind = StreamedTraining if streamed else Training
    fields: dict[str, Any] = {"batch_size": 64, "augmentation": ()} | ({"stop": 1.0} if streamed else {}) | recipe
    fields.setdefault("epochs", max(100, 5000 // math.ceil(examples / (fields["batch_size"] or examples))))
    if streamed and fields.get("whiten") is False:
        del fields["whiten"]  # such a training whitens nothing
    optimizer = _named_part("optimizers", fields.pop("optimizer", None) or SGD())
    augmentation = fields.pop("augmentation")
    changes = augmentation if isinstance(augmentation, list | tuple) else [augmentation]
    ours, known = ([item.name for item in part.configuration()] for part in (optimizer, kind))
    for name in fields:
        if name not in (*known, *ours):
            raise UnknownName("audit: recipe", name, [*known, *ours])
    optimizer = replace(optimizer, **{name: fields.pop(name) for name in ours if name in fields})
    return kind(architecture, optimizer, augmentation=tuple(_named_part("augmentations", each) for each in changes), **fields)


def _named_part(kind: str, part: Any) -> Any:
    """The part of a name of the catalog, in letters of either case, with its defaults; a part itself as it is."""
    if not isinstance(part, str):
        return part
    names = {name.lower(): name for name in find(kind)}
    if part.lower() not in names:
        raise UnknownName(f"audit: {kind.removesuffix('s')}", part, names.values())
    return build({"kind": names[part.lower()]})


def recipe_text(learner: Learner, shape: Sequence[int] = ()) -> str:
    """One sentence on how a network was trained, where the recipe is this package's; empty where the user's own code trained.

    Args:
        learner: of a trial.
        shape: of one input; images are then said to be so large.

    Example:
        >>> print(recipe_text(Training(MLP(), SGD(lr=0.1), epochs=5), (1, 28, 28)))
        MLP was trained by our recipe: SGD (lr 0.1, momentum 0.9), batches of 128, at most 5 epochs, images of 28 x 28, whitened; not by training code of yours.
    """
    training = next((part for part in learner.parts() if isinstance(part, Training | StreamedTraining)), None)
    if training is None:
        return ""
    rate = {item.name: getattr(training.optimizer, item.name) for item in training.optimizer.configuration()}
    numbers = ", ".join(f"{name} {value:g}" for name, value in rate.items() if isinstance(value, int | float) and value and name != "eps")
    crop = getattr(training, "crop", None)
    sides = (crop, crop) if crop else tuple(shape[1:]) if len(shape) == 3 else ()
    whitened = ("whitened" if len(shape) != 1 else "columns standardized") if isinstance(training, Training) else "scaled to [-1, 1]"
    pieces = [
        f"{training.optimizer.kind} ({numbers})",
        f"batches of {training.batch_size}" if training.batch_size else "all examples in each step",
        f"at most {training.epochs} epochs",
        *(f"images of {sides[0]} x {sides[1]}" for _ in sides[:1]),
        *([whitened] if getattr(training, "whiten", True) else ["not whitened"]),
        *([f"augmented by {', '.join(part.kind for part in training.augmentation)}"] if training.augmentation else []),
    ]
    own = isinstance(training.architecture, Imported)
    end = "not by your own training code: pass a recipe for that" if own else "not by training code of yours"
    return f"{'Your network' if own else training.architecture.kind} was trained by our recipe: {', '.join(pieces)}; {end}."


def model_from_options(
    model: str | None, recipe: str | None, options: dict[str, Any], owner: str = "audit", arguments: Sequence[str] = ()
) -> tuple[Any, dict[str, Any]]:
    """The model and the fields of `Training` from the options of the command line.

    Args:
        model: an architecture's name, or "module:name" of a factory, of an estimator's class or of an estimator.
        recipe: "module:function".
        options: fields of `Training`.
        owner: name used in errors.
        arguments: "name=value" of an estimator, or of a torch model's optimizer or `Training`.

    Raises:
        InvalidPart: both a model and a recipe are given, arguments beside a recipe, or one name twice.
    """
    if recipe is not None:
        if model is not None:
            raise InvalidPart(f"audit: a model or a recipe is required, got both, {model!r} and {recipe!r}. Leave one out.")
        if arguments:
            raise InvalidPart(f"audit: --set changes an estimator or the training of a network, got it beside --recipe {recipe}. Leave it out.")
        resolve(recipe, "audit: --recipe")
        return Recipe(recipe), options
    values = dict(map(_argument, arguments))
    if model is not None and ":" in model:
        target = resolve(model, f"{owner}: --model")
        if all(hasattr(target, name) for name in ("fit", "predict", "get_params")):
            return (Estimator(model, values), options) if isinstance(target, type) else (target.set_params(**values), options)
    twice = [name for name in values if name in options]
    if twice:
        raise InvalidPart(f"{owner}: one value for {twice[0]} is required, got --{twice[0].replace('_', '-')} and --set {twice[0]}=. Leave one out.")
    return model, options | values


def _argument(text: str) -> tuple[str, Any]:
    """Name and value of name=value, where the value is JSON or else text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidPart(f"audit: --set takes name=value, got {text!r}. Write --set n_estimators=200, say.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def dataset(data: Any = None, examples: int | None = None, *, size: int | None = None, **columns: str | None) -> Dataset:
    """The data set that a name, a file, a folder or data of this process stand for.

    Args:
        data: a Dataset, the name of one, an .npz, .csv or .parquet file, a folder of class folders, a data frame, a pair (X, y) of arrays, frames, lists or
            .npy files, a torch Dataset of pairs, or a Dataset of Hugging Face, also its folder of `save_to_disk`; None: digits.
        examples: training examples to keep; None: all.
        size: side in pixels of the square images of a folder or of a Dataset of Hugging Face, >= 1; None: 32. A folder of photos that takes more than 4 GiB
            at this size is read from disk batch by batch.
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
    elif is_of_hugging_face(data) or (isinstance(data, str | Path) and is_saved(Path(data))):
        described, size = of_hugging_face(load_saved(Path(data), "audit") if isinstance(data, str | Path) else data, named, size), None
        named = {}
    else:
        described = _named(data, named) if isinstance(data, str | Path) else held(data, named)
    if named and (isinstance(data, Dataset) or not isinstance(described, DataTable)):
        raise InvalidPart(f"audit: {', '.join(named)} name columns of a table, got {described.kind}. Leave them out.")
    if size is not None:
        if not isinstance(described, ImageFolder) or isinstance(data, Dataset):
            raise InvalidPart(f"audit: size is the side of the images of a folder, got {described.kind}. Leave it out.")
        described = replace(described, size=size)
    if isinstance(described, ImageFolder) and not isinstance(data, Dataset) and not described.fits:
        described = StreamedFolder(described.path, described.size)
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
    return replace(data, task="numbers") if isinstance(data, DataTable | Arrays) and predicts_numbers(model) else data


def predicts_numbers(model: Any) -> bool:
    """Whether a model, as `learners` takes it, is a regressor."""
    learner = _estimator(model)
    return isinstance(learner, Learner) and learner.predicts_numbers


def _estimator(model: Any, owner: str = "audit") -> Any:
    """The learner of a live estimator, or of one named "module:Class"; any other model as it is."""
    if isinstance(model, str) and ":" in model:
        model, _ = model_from_options(model, None, {}, owner)
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
