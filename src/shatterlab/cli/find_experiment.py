"""The experiment that a name and the options of the command line mean."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from shatterlab import experiments
from shatterlab.core import Dataset, Learner, Runtime, Seeds
from shatterlab.core.errors import InvalidPart
from shatterlab.datasets.cifar import CIFAR10
from shatterlab.datasets.digits import Digits
from shatterlab.design.experiment import Experiment, Scale
from shatterlab.readers.published_files import is_root
from shatterlab.studies.model_and_data import dataset, learners, model_from_options
from shatterlab.trials.trial import sample


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
    kind, fields = model_from_options(model, None, {"stop": "overfit", **(recipe or {})}, "run")
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
