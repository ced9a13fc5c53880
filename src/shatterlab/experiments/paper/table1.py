"""Which regularizer earns its keep? Five networks with and without random crops and weight decay, on true and random labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shatterlab.design.experiment import Claim, Experiment, Scale
from shatterlab.experiments.paper._regularizers import CHANCE, Net, above_chance, distinct_trials, nets, replicates, where
from shatterlab.references import Reference, published
from shatterlab.trials.trial import Trial
from shatterlab.views import ComparisonTable, Effect, Effects, LearningCurves, PublishedLine

TABLE = "Table 1"
Row = tuple[str, str, bool, bool]  # model, labels, random crop, weight decay: a line of the published table
_PAIRS = {("alexnet", "true", False, False), ("alexnet", "true", True, False)}  # whose difference is to be decided
_MLP = "mlp_3x512"


def experiment(scale: Scale) -> Experiment:
    """All 19 rows. Smoke: digits. Laptop: 1,000 to 5,000 images of CIFAR-10. Paper: all of them, the published networks.

    AlexNet with and without crop has at least 8 replicates beyond smoke scale. Where samples differ in size, MLP 3x512 with weight
    decay is trained on AlexNet's sample as well, so that networks are compared on the same images.
    """
    found = nets(scale)
    lines = {line: _trials(found[line[0]], line, scale) for line in rows()}
    same = _on_the_same_sample(found, scale)
    columns = {line: where(trials[0]) for line, trials in lines.items()}
    told = {name: net.told for name, net in found.items()}
    return Experiment(
        name="table1",
        source="Zhang et al. 2017, Table 1",
        question="Do networks generalize without explicit regularizers, and which regularizer helps most?",
        trials=distinct_trials((*(trial for trials in lines.values() for trial in trials), *same)),
        views=(
            ComparisonTable([_line(line, found[line[0]], columns[line]) for line in lines], ("model", "labels", "crop", "weight decay"), title="Table 1"),
            Effects(tuple(_effects(columns, told)), title="Effects of regularizers and of batch norm, true labels"),
            *_curves(columns, found),
        ),
        claims=(*_not_necessary(columns, told), *_helpful(columns, where(same[0])), *_random(columns, told)),
        scale=scale.name,
    )


def rows() -> list[Row]:
    """The lines of the published table, in its order."""
    tests = published("table1", metric="test_accuracy")
    return [(str(c["model"]), str(c["labels"]), bool(c["random_crop"]), bool(c["weight_decay"])) for c in (each.conditions for each in tests)]


def _trials(net: Net, line: Row, scale: Scale) -> tuple[Trial, ...]:
    _, labels, crop, weight_decay = line
    more = 8 if line in _PAIRS and scale.name != "smoke" else 0
    return net.trials(net.recipe(crop, weight_decay), labels, max(replicates(scale), more))


def _on_the_same_sample(found: Mapping[str, Net], scale: Scale) -> tuple[Trial, ...]:
    """MLP 3x512 with weight decay, on the images of AlexNet."""
    net = replace(found[_MLP], dataset=found["alexnet"].dataset)
    return net.trials(net.recipe(weight_decay=True), "true", replicates(scale))


def _line(line: Row, net: Net, columns: Mapping[str, Any]) -> PublishedLine:
    model, labels, crop, weight_decay = line
    cells = (net.told, labels, "yes" if crop else "no", "yes" if weight_decay else "no")
    printed = {each.metric: each for each in _references(model, labels, crop, weight_decay)}
    values = {f"{split}.accuracy": float(printed[f"{split}_accuracy"].value) for split in ("train", "test")}  # type: ignore[arg-type]
    return PublishedLine(cells, columns, values)


def _curves(columns: Mapping[Row, dict[str, Any]], found: Mapping[str, Net]) -> Iterator[LearningCurves]:
    """Of each network without regularizers on true and on random labels, and on true labels with and without crops."""
    for model, net in found.items():
        off = columns[model, "true", False, False]
        labels, crops = ({name: value for name, value in off.items() if name != freed} for freed in ("corruption.level", "learner.augmentation"))
        yield LearningCurves("train.accuracy", title=f"Training accuracy of {net.told} without regularizers", where=labels)
        yield LearningCurves("test.accuracy", title=f"Test accuracy of {net.told} without regularizers", where=labels, best=True)
        if (model, "true", True, False) in columns:
            yield LearningCurves("test.accuracy", "learner.augmentation", f"Test accuracy of {net.told}, true labels", where=crops, best=True)


def _references(model: str, labels: str, crop: bool, weight_decay: bool) -> list[Reference]:
    return published("table1", model=model, labels=labels, random_crop=crop, weight_decay=weight_decay)


def _effects(columns: Mapping[Row, dict[str, Any]], told: Mapping[str, str]) -> Iterator[Effect]:
    """Each regularizer alone, both crossed where the table has all four lines, and batch norm."""
    for model, name in told.items():
        cells = {
            (crop, decay): columns[model, "true", crop, decay] for crop in (False, True) for decay in (False, True) if (model, "true", crop, decay) in columns
        }
        off = cells[False, False]
        if (True, False) in cells:
            yield Effect(f"{name}: crop", (cells[True, False],), (off,))
        yield Effect(f"{name}: weight decay", (cells[False, True],), (off,))
        if (True, True) in cells:
            yield Effect(f"{name}: crop x weight decay", (cells[True, True], off), (cells[True, False], cells[False, True]), factor=2.0)
    yield Effect("Inception: batch norm", (columns["inception", "true", False, False],), (columns["inception_wo_bn", "true", False, False],))


def _not_necessary(columns: Mapping[Row, dict[str, Any]], told: Mapping[str, str]) -> Iterator[Claim]:
    """C6: without any of them most of what the test split shows remains."""
    for model, crop in (("inception", True), ("alexnet", True), ("inception_wo_bn", False), (_MLP, False), ("mlp_1x512", False)):
        on, off = columns[model, "true", crop, True], columns[model, "true", False, False]
        what = "random crop and weight decay" if crop else "weight decay"
        text = f"not necessary: without {what}, {told[model]} keeps over 0.8 of its test accuracy above chance"
        yield Claim(text, "test.accuracy", off, versus=on, low=0.8, reference=TABLE, **above_chance({}))


def _helpful(columns: Mapping[Row, dict[str, Any]], mlp: dict[str, Any]) -> Iterator[Claim]:
    """C7 (augmentation beats weight decay), C8 (architecture matters more) and C9 (batch norm)."""
    for model, name in (("inception", "Inception"), ("alexnet", "AlexNet")):
        crop, decay, off = (columns[model, "true", *each] for each in ((True, False), (False, True), (False, False)))
        yield Claim(f"random crops raise the test accuracy of {name}", "test.accuracy", crop, versus=off, low=0.0, reference=TABLE)
        text = f"random crops raise the test accuracy of {name} more than weight decay does"
        yield Claim(text, "test.accuracy", crop, versus=decay, low=0.0, reference=TABLE)
    off = columns["alexnet", "true", False, False]
    text = "architecture matters more: AlexNet without regularizers is above MLP 3x512 with weight decay, on the same images"
    yield Claim(text, "test.accuracy", off, versus=mlp, low=0.0, reference=TABLE)
    on, off = columns["inception", "true", False, False], columns["inception_wo_bn", "true", False, False]
    yield Claim("batch norm raises the test accuracy of Inception", "test.accuracy", on, versus=off, low=0.0, reference=TABLE)
    text = "batch norm raises the test accuracy of Inception by 2 to 5 points"
    yield Claim(text, "test.accuracy", on, versus=off, low=0.02, high=0.05, scales=("paper",), reference=TABLE)


def _random(columns: Mapping[Row, dict[str, Any]], told: Mapping[str, str]) -> Iterator[Claim]:
    """Random labels are fitted by every network, with nothing learned."""
    for model in dict.fromkeys(model for model, *_ in columns):
        line = columns[model, "random", False, False]
        yield Claim(f"{told[model]} fits random labels: training accuracy is at least 0.99", "train.accuracy", line, low=0.99, reference=TABLE)
        text = f"{told[model]} learns nothing from random labels: test accuracy is chance to within 5 points"
        yield Claim(text, "test.accuracy", line, low=CHANCE - 0.05, high=CHANCE + 0.05, reference=TABLE)
