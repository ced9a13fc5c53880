"""Do regularizers keep networks from fitting random labels? Weight decay, random crops, flips and rotations on random labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shatterlab.augmentations.horizontal_flip import HorizontalFlip
from shatterlab.augmentations.rotation import Rotation
from shatterlab.core import Augmentation
from shatterlab.design.experiment import Claim, Experiment, Scale
from shatterlab.experiments.paper._regularizers import CHANCE, Net, distinct_trials, nets, replicates, where
from shatterlab.learners.training import Training
from shatterlab.references import published
from shatterlab.views import ComparisonTable, LearningCurves, PublishedLine

TABLE = "Table 4"
ONLINE = "fit.online_accuracy"
_TOLD = {"weight_decay": "weight decay", "random_cropping": "random cropping", "augmentation_flip_rotate25": "flip and rotation up to 25 degrees"}
_ALL = "all of them"
Name = tuple[str, str]  # model, regularizer


def experiment(scale: Scale) -> Experiment:
    """The six published lines, and Inception with every one of these regularizers at once.

    Scales as in `table1`, but 300 images for the convolutional nets at laptop scale.
    """
    found = {name: _smaller(net, scale) for name, net in nets(scale).items()}
    lines: dict[Name, Training] = {(model, kind): recipe(found[model], kind, scale) for model, kind in _published()}
    lines["inception", _ALL] = recipe(found["inception"], _ALL, scale)
    trials = {name: found[name[0]].trials(learner, "random", replicates(scale)) for name, learner in lines.items()}
    columns = {name: where(each[0]) for name, each in trials.items()}
    augmented = {"learner.augmentation": [each["learner.augmentation"] for (_, kind), each in columns.items() if kind != "weight_decay"]}
    shown = [_line(name, found[name[0]], columns[name]) for name in lines]
    return Experiment(
        name="table4",
        source="Zhang et al. 2017, Table 4 (appendix E)",
        question="Do explicit regularizers keep a network from fitting random labels?",
        trials=distinct_trials(trial for each in trials.values() for trial in each),
        views=(
            ComparisonTable(shown, ("model", "regularizer"), ("train.accuracy", ONLINE, "test.accuracy"), title=TABLE),
            LearningCurves("online.accuracy", by="learner.augmentation", title="Online accuracy on augmented batches, random labels", where=augmented),
        ),
        claims=tuple(_claims(columns, {name: net.told for name, net in found.items()})),
        scale=scale.name,
    )


def recipe(net: Net, kind: str, scale: Scale) -> Training:
    """The recipe with this regularizer; with augmentation the learning rate falls by 0.999 in place of 0.95, and runs are longer.

    All of them at once, which is no line of the published table, has a rate that falls by 0.985 an epoch at laptop scale.
    """
    if kind == "weight_decay":
        return net.recipe(weight_decay=True)
    varied: tuple[Augmentation, ...] = (net.crop,) if kind == "random_cropping" else (HorizontalFlip(), Rotation(25))
    varied = (net.crop, *varied) if kind == _ALL else varied
    epochs = scale.pick(smoke=60, laptop=250, paper=400)
    learner = replace(net.recipe(weight_decay=kind == _ALL), augmentation=varied, decay=0.999, epochs=epochs)
    if kind == _ALL and scale.name == "laptop":
        learner = replace(learner, decay=0.985, decay_steps=10)  # an epoch has 10 steps; at a rate that stays near 0.1 the accuracy wanders and never settles
    return replace(learner, stop=scale.pick(smoke=0.1, laptop=0.01, paper="budget"))


def _smaller(net: Net, scale: Scale) -> Net:
    """With augmentation random labels take several times as many epochs: 300 images at laptop scale for the convolutional nets."""
    return replace(net, dataset=replace(net.dataset, examples=300)) if scale.name == "laptop" and not net.name.startswith("mlp") else net


def _published() -> list[Name]:
    """The lines of the published table, in its order."""
    return [(str(each.conditions["model"]), str(each.conditions["regularizer"])) for each in published("table4")]


def _line(name: Name, net: Net, columns: Mapping[str, Any]) -> PublishedLine:
    model, kind = name
    if kind == _ALL:
        return PublishedLine((net.told, _ALL), columns)
    [printed] = published("table4", model=model, regularizer=kind)
    value = "failed to converge" if printed.value is False else float(printed.value)  # type: ignore[arg-type]
    return PublishedLine((net.told, _TOLD[kind]), columns, {"train.accuracy" if kind == "weight_decay" else ONLINE: value})


def _claims(columns: Mapping[Name, dict[str, Any]], nets_told: Mapping[str, str]) -> Iterator[Claim]:
    for (model, kind), line in columns.items():
        told = _TOLD.get(kind, kind)
        if (model, kind) == ("alexnet", "weight_decay"):
            text = "AlexNet with weight decay does not fit random labels: training accuracy is at most 0.9"
            yield Claim(text, "train.accuracy", line, high=0.9, scales=("paper",), reference=TABLE)
        else:
            text = f"{nets_told[model]} fits random labels with {told}: training accuracy is at least 0.99"
            yield Claim(text, "train.accuracy", line, low=0.99, reference=TABLE)
        if kind in ("random_cropping", "augmentation_flip_rotate25"):
            text = f"and online, over augmented batches: at least 0.99 with {told}"
            yield Claim(text, ONLINE, line, low=0.99, scales=("paper",), reference=TABLE)
    line = columns["inception", _ALL]
    text = "not sufficient: with all of them on, test accuracy under random labels is chance to within 5 points"
    yield Claim(text, "test.accuracy", line, low=CHANCE - 0.05, high=CHANCE + 0.05, reference=TABLE)
