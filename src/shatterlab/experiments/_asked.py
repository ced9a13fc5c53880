"""What a person means by a model and by data: names, files, folders and objects made into parts."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from shatterlab import experiments
from shatterlab.architectures.imported import Imported
from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_inception import SmallInception
from shatterlab.catalog import build, find
from shatterlab.core import Architecture, Dataset, Learner, Runtime, Seeds
from shatterlab.datasets._root import is_root
from shatterlab.datasets.arrays import Arrays
from shatterlab.datasets.cifar10 import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.datasets.image_folder import ImageFolder
from shatterlab.errors import InvalidPart, UnknownName
from shatterlab.experiment import Experiment, Scale
from shatterlab.learners.estimator import Estimator
from shatterlab.learners.recipe import Recipe
from shatterlab.learners.training import Training
from shatterlab.optimizers.sgd import SGD
from shatterlab.outside import resolve
from shatterlab.trial import sample

DIGITS = 300  # examples of the audit's default data set: an audit of two nets then takes minutes


def experiment(
    name: str, scale: Scale, model: str | None = None, data: Path | str | None = None, examples: int | None = None, recipe: Mapping[str, Any] | None = None
) -> tuple[Experiment, Path | None]:
    """The experiment of that name or file, for a model of the user's own where one is named, and the data root.

    Args:
        name: an experiment, or a file my_idea.py.
        scale: how large.
        model: "module:factory", a class of scikit-learn or an architecture, in place of the experiment's own.
        data: the folder of the published data sets; with a model also an .npz file, a folder of class folders or the
            name of a data set (None: what the scale takes).
        examples: training examples to keep for the model.
        recipe: fields of `Training` for the model, and `lr`.

    Raises:
        InvalidPart: the experiment takes no model, or fields are given without one.
        ShatterlabError: the model or the data cannot be used.
    """
    maker = experiments.load(name) if name.endswith(".py") else experiments.find(name)
    options = dict(recipe or {}) | ({} if examples is None else {"examples": examples})
    if model is None:
        if options:
            raise InvalidPart(f"run: {', '.join(options)} change a model of your own, got no --model. Name one, or leave them out.")
        if data is not None and Path(data).is_file():
            raise InvalidPart(f"run: --data is the folder that holds the published data sets, got the file {data}. Name a --model to try on it.")
        return maker(scale), None if data is None else Path(data)
    if not {"learner", "dataset"} <= set(inspect.signature(maker).parameters):
        raise InvalidPart(
            f"run: an experiment that takes a model is required, got {name}. figure1a, figure1b, figure1c, capacity, convergence, judging and ledger do."
        )
    root = Path(data) if data is not None and is_root(data) else None
    source = _sample_of(scale) if data is None or root else dataset(data)
    source = source if examples is None else replace(source, examples=examples)
    kind, fields = chosen(model, None, {"stop": "overfit", **(recipe or {})}, "run")
    if isinstance(kind, Learner):
        fields.pop("stop", None)
    train = sample(source, Runtime(data=root), Seeds.replicate(0)).train
    (learner,) = learners(kind, len(train), "run", **fields)
    return maker(scale, learner=learner, dataset=source), root


def _sample_of(scale: Scale) -> Dataset:
    """What a model of the user's own is tried on: of the images, few enough for an unknown net."""
    return scale.pick(
        smoke=Digits(examples=scale.examples, test_examples=scale.test_examples),
        laptop=CIFAR10(crop=28, examples=1000, test_examples=scale.test_examples),
        paper=CIFAR10(crop=28),
    )


def learners(model: Any = None, examples: int = DIGITS, owner: str = "audit", **recipe: Any) -> list[Learner]:
    """The recipes that a description of a model asks for, their budget fit for so many training examples."""
    if hasattr(model, "get_params") and hasattr(model, "fit") and not isinstance(model, type | Learner):
        model = Estimator.of(model)
    if isinstance(model, Learner):
        if recipe:
            raise InvalidPart(f"{owner}: fields of Training go with a torch model, got {', '.join(recipe)} beside {model.kind}. Leave them out.")
        return [model]
    if model is None:
        recipe = {"lr": 0.05} | recipe  # both fit 300 digits with random labels in some 50 epochs at this rate
        return [_training(MLP(), recipe, examples), _training(SmallInception(width=0.25), recipe, examples)]
    if isinstance(model, Architecture):
        return [_training(model, recipe, examples)]
    if isinstance(model, str) and ":" not in model:
        return [_training(_architecture(model, owner), recipe, examples)]
    return [_training(Imported(model) if isinstance(model, str) else Imported.live(model), recipe, examples)]


def _architecture(name: str, owner: str) -> Architecture:
    if name not in find("architectures"):
        raise UnknownName(f"{owner}: model", name, [*find("architectures"), "module:factory"])
    part = build({"kind": name})
    assert isinstance(part, Architecture)
    return part


def _training(architecture: Architecture, recipe: dict[str, Any], examples: int) -> Training:
    """The recipe with a budget of 100 epochs, or of 5,000 steps where these are more: a small sample has few an epoch."""
    fields = {"batch_size": 64} | recipe
    fields.setdefault("epochs", max(100, 5000 // math.ceil(examples / (fields["batch_size"] or examples))))
    optimizer = fields.pop("optimizer", None) or SGD(lr=fields.pop("lr", 0.01))
    known = [item.name for item in Training.configuration()]
    for name in fields:
        if name not in known:
            raise UnknownName("audit: recipe", name, [*known, "lr"])
    return Training(architecture, optimizer, **fields)


def chosen(model: str | None, recipe: str | None, options: dict[str, Any], owner: str = "audit") -> tuple[Any, dict[str, Any]]:
    """The model and the fields of Training that the command line's options mean.

    Raises:
        InvalidPart: both a model and a recipe are given.
    """
    if recipe is not None:
        if model is not None:
            raise InvalidPart(f"audit: a model or a recipe is required, got both, {model!r} and {recipe!r}. Leave one out.")
        resolve(recipe, "audit: --recipe")
        return Recipe(recipe), options
    if model is not None and ":" in model:
        found = resolve(model, f"{owner}: --model")
        if isinstance(found, type) and all(hasattr(found, name) for name in ("fit", "predict", "get_params")):
            return Estimator(model), options
    return model, options


def dataset(data: Any = None, examples: int | None = None) -> Dataset:
    """The data set that a name, a file or a folder means, with so many training examples.

    Raises:
        InvalidPart: it is none of these.
        UnknownName: no data set has that name; the nearest are offered.
    """
    if data is None:
        return Digits(examples=examples or DIGITS)
    if isinstance(data, Dataset):
        return data
    found = _described(data)
    return found if examples is None else replace(found, examples=examples)


def _described(data: Any) -> Dataset:
    if isinstance(data, str | Path):
        path = Path(data)
        if path.is_dir():
            return ImageFolder(str(path))
        if path.suffix == ".npz" or path.is_file():
            return Arrays(str(path))
        if str(data) in find("datasets"):
            part = build({"kind": str(data)})
            assert isinstance(part, Dataset)
            return part
        raise UnknownName("audit: data", str(data), [*find("datasets"), "file.npz", "a folder of class folders"])
    raise InvalidPart(f"audit: data is a Dataset, the name of one, an .npz file or a folder, got {type(data).__name__}. Save arrays with numpy.savez.")
