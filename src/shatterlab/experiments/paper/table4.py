"""Do regularizers keep networks from fitting random labels? Weight decay, random crops, flips and rotations on random labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shatterlab import Augmentation, Claim, ComparisonTable, Experiment, HorizontalFlip, LearningCurves, PublishedLine, Rotation, Scale, Training, every, mean
from shatterlab.experiments._networks import CHANCE, Net, balanced, nets, replicates, where
from shatterlab.references import published

TABLE = "Table 4"
ONLINE = "fit.online_accuracy"
_TITLES = {"weight_decay": "weight decay", "random_cropping": "random cropping", "augmentation_flip_rotate25": "flip and rotation up to 25 degrees"}
_ALL = "all of them"
Line = tuple[str, str]  # model, regularizer


def experiment(scale: Scale) -> Experiment:
    """The six published lines, and Inception with every one of these regularizers at once.

    Scales as in `table1`, but 300 images for the convolutional nets at laptop scale.
    """
    networks = nets(scale)
    if scale.name == "laptop":  # with augmentation random labels take several times as many epochs
        networks |= {name: replace(net, dataset=replace(net.dataset, examples=300)) for name, net in networks.items() if not name.startswith("mlp")}
    conditions = [reference.conditions for reference in published("table4")]
    lines: list[Line] = [(str(line["model"]), str(line["regularizer"])) for line in conditions]
    lines.append(("inception", _ALL))
    runs = {line: networks[line[0]].trials(recipe(networks[line[0]], line[1], scale), "random", replicates(scale)) for line in lines}
    columns = {line: where(replicated[0]) for line, replicated in runs.items()}
    augmented = {"learner.augmentation": [line["learner.augmentation"] for (_, kind), line in columns.items() if kind != "weight_decay"]}
    shown = [_shown(line, networks[line[0]].title, columns[line]) for line in lines]
    source = "Zhang et al. 2017, Table 4 (appendix E)"
    question = "Do explicit regularizers keep a network from fitting random labels?"
    trials = balanced(trial for replicated in runs.values() for trial in replicated)
    views = (
        ComparisonTable(shown, ("model", "regularizer"), ("train.accuracy", ONLINE, "test.accuracy"), title=TABLE),
        LearningCurves("online.accuracy", by="learner.augmentation", title="Online accuracy on augmented batches, random labels", where=augmented),
    )
    claims = tuple(_claims(columns, {name: net.title for name, net in networks.items()}))
    return Experiment("table4", source, question, trials, views, claims, scale.name)


def recipe(net: Net, kind: str, scale: Scale) -> Training:
    """The recipe with this regularizer; with augmentation the learning rate falls by 0.999 in place of 0.95, and runs are longer.

    All of them at once, which is no line of the published table, has a rate that falls by 0.985 an epoch at laptop scale.
    """
    if kind == "weight_decay":
        return net.recipe(decayed=True)
    varied: tuple[Augmentation, ...] = (net.crop,) if kind == "random_cropping" else (HorizontalFlip(), Rotation(25))
    varied = (net.crop, *varied) if kind == _ALL else varied
    epochs = scale.pick(smoke=60, laptop=250, paper=400)
    learner = replace(net.recipe(decayed=kind == _ALL), augmentation=varied, decay=0.999, epochs=epochs)
    if kind == _ALL and scale.name == "laptop":
        learner = replace(learner, decay=0.985, decay_steps=10)  # an epoch has 10 steps; at a rate that stays near 0.1 the accuracy never settles
    return replace(learner, stop=scale.pick(smoke=0.1, laptop=0.01, paper="budget"))


def _shown(line: Line, title: str, columns: Mapping[str, Any]) -> PublishedLine:
    model, kind = line
    if kind == _ALL:
        return PublishedLine((title, _ALL), columns)
    [printed] = published("table4", model=model, regularizer=kind)
    value = "failed to converge" if printed.value is False else float(printed.value)  # type: ignore[arg-type]
    return PublishedLine((title, _TITLES[kind]), columns, {"train.accuracy" if kind == "weight_decay" else ONLINE: value})


def _claims(columns: Mapping[Line, dict[str, Any]], networks: Mapping[str, str]) -> Iterator[Claim]:
    for (model, kind), line in columns.items():
        regularizer = _TITLES.get(kind, kind)
        if (model, kind) == ("alexnet", "weight_decay"):
            text = "AlexNet with weight decay does not fit random labels: training accuracy is at most 0.9"
            yield mean(text, "train.accuracy", line, high=0.9, scales=("paper",), reference=TABLE)
        else:
            text = f"{networks[model]} fits random labels with {regularizer}: training accuracy is at least 0.99"
            yield every(text, "train.accuracy", line, low=0.99, reference=TABLE)
        if kind in ("random_cropping", "augmentation_flip_rotate25"):
            text = f"and online, over augmented batches: at least 0.99 with {regularizer}"
            yield mean(text, ONLINE, line, low=0.99, scales=("paper",), reference=TABLE)
    text = "not sufficient: with all of them on, test accuracy under random labels is chance to within 5 points"
    yield mean(text, "test.accuracy", columns["inception", _ALL], low=CHANCE - 0.05, high=CHANCE + 0.05, reference=TABLE)
