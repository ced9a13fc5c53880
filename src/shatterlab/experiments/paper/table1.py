"""Which regularizer helps most? Five networks with and without random crops and weight decay, on true and on random labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shatterlab import Claim, ComparisonTable, Effect, Effects, Experiment, LearningCurves, PublishedLine, Scale, Trial
from shatterlab.design.claims import difference, every, mean, ratio
from shatterlab.experiments._networks import CHANCE, Net, balanced, nets, replicates, where
from shatterlab.references import published

TABLE = "Table 1"
Line = tuple[str, str, bool, bool]  # model, labels, random crop, weight decay: a line of the published table
Lines = Mapping[Line, dict[str, Any]]  # with the columns that its rows have
_PAIR = {("alexnet", "true", False, False), ("alexnet", "true", True, False)}  # the difference of these two takes more replicates
_MLP = "mlp_3x512"


def experiment(scale: Scale) -> Experiment:
    """All 19 rows. Smoke: digits. Laptop: 1,000 to 5,000 images of CIFAR-10. Paper: all of them, the published networks.

    AlexNet with and without crop has at least 8 replicates beyond smoke scale. Where samples differ in size, MLP 3x512 with weight
    decay is trained on AlexNet's sample as well, so that networks are compared on the same images.
    """
    networks = nets(scale)
    runs = {line: _trials(networks[line[0]], line, scale) for line in rows()}
    same_sample = _trials(replace(networks[_MLP], dataset=networks["alexnet"].dataset), (_MLP, "true", False, True), scale)
    lines = {line: where(replicated[0]) for line, replicated in runs.items()}
    titles = {name: net.title for name, net in networks.items()}
    source = "Zhang et al. 2017, Table 1"
    question = "Do networks generalize without explicit regularizers, and which regularizer helps most?"
    trials = balanced((*(trial for replicated in runs.values() for trial in replicated), *same_sample))
    views = (
        ComparisonTable([_shown(line, titles, lines[line]) for line in lines], ("model", "labels", "crop", "weight decay"), title="Table 1"),
        Effects(tuple(_effects(lines, titles)), title="Effects of regularizers and of batch norm, true labels"),
        *_curves(lines, titles),
    )
    claims = (*_not_necessary(lines, titles), *_helpful(lines, where(same_sample[0])), *_random(lines, titles))
    return Experiment("table1", source, question, trials, views, claims, scale.name)


def rows() -> list[Line]:
    """The lines of the published table, in its order."""
    printed = [reference.conditions for reference in published("table1", metric="test_accuracy")]
    return [(str(line["model"]), str(line["labels"]), bool(line["random_crop"]), bool(line["weight_decay"])) for line in printed]


def _trials(net: Net, line: Line, scale: Scale) -> tuple[Trial, ...]:
    _, labels, crop, weight_decay = line
    least = 8 if line in _PAIR and scale.name != "smoke" else 0
    return net.trials(net.recipe(crop, weight_decay), labels, max(replicates(scale), least))


def _shown(line: Line, titles: Mapping[str, str], columns: dict[str, Any]) -> PublishedLine:
    model, labels, crop, weight_decay = line
    references = published("table1", model=model, labels=labels, random_crop=crop, weight_decay=weight_decay)
    printed = {reference.metric: reference.value for reference in references}
    values = {metric.replace("_", "."): float(printed[metric]) for metric in ("train_accuracy", "test_accuracy")}  # type: ignore[arg-type]
    return PublishedLine((titles[model], labels, "yes" if crop else "no", "yes" if weight_decay else "no"), columns, values)


def _curves(lines: Lines, titles: Mapping[str, str]) -> Iterator[LearningCurves]:
    for model, title in titles.items():
        off = lines[model, "true", False, False]
        labels, crops = ({name: value for name, value in off.items() if name != varied} for varied in ("corruption.level", "learner.augmentation"))
        yield LearningCurves("train.accuracy", title=f"Training accuracy of {title} without regularizers", where=labels)
        yield LearningCurves("test.accuracy", title=f"Test accuracy of {title} without regularizers", where=labels, best=True)
        if (model, "true", True, False) in lines:
            yield LearningCurves("test.accuracy", "learner.augmentation", title=f"Test accuracy of {title}, true labels", where=crops, best=True)


def _effects(lines: Lines, titles: Mapping[str, str]) -> Iterator[Effect]:
    for model, title in titles.items():
        off, decay, crop, both = (lines.get((model, "true", *switches)) for switches in ((False, False), (False, True), (True, False), (True, True)))
        assert off is not None and decay is not None
        if crop is not None:
            yield Effect(f"{title}: crop", (crop,), (off,))
        yield Effect(f"{title}: weight decay", (decay,), (off,))
        if crop is not None and both is not None:
            yield Effect(f"{title}: crop x weight decay", (both, off), (crop, decay), factor=2.0)
    yield Effect("Inception: batch norm", (lines["inception", "true", False, False],), (lines["inception_wo_bn", "true", False, False],))


def _not_necessary(lines: Lines, titles: Mapping[str, str]) -> Iterator[Claim]:
    for model, crop in (("inception", True), ("alexnet", True), ("inception_wo_bn", False), (_MLP, False), ("mlp_1x512", False)):
        on, off = lines[model, "true", crop, True], lines[model, "true", False, False]
        switched = "random crop and weight decay" if crop else "weight decay"
        text = f"not necessary: without {switched}, {titles[model]} keeps over 0.8 of its test accuracy above chance"
        yield ratio(text, "test.accuracy", off, on, low=0.8, origin=CHANCE, reference=TABLE)


def _helpful(lines: Lines, mlp: dict[str, Any]) -> tuple[Claim, ...]:
    off, without_norm, alexnet = (lines[model, "true", False, False] for model in ("inception", "inception_wo_bn", "alexnet"))
    crop, alexnet_crop = (lines[model, "true", True, False] for model in ("inception", "alexnet"))
    decay, alexnet_decay = (lines[model, "true", False, True] for model in ("inception", "alexnet"))
    architecture = "architecture matters more: AlexNet without regularizers is above MLP 3x512 with weight decay, on the same images"
    higher = (
        ("random crops raise the test accuracy of Inception", crop, off),
        ("random crops raise the test accuracy of Inception more than weight decay does", crop, decay),
        ("random crops raise the test accuracy of AlexNet", alexnet_crop, alexnet),
        ("random crops raise the test accuracy of AlexNet more than weight decay does", alexnet_crop, alexnet_decay),
        (architecture, alexnet, mlp),
        ("batch norm raises the test accuracy of Inception", off, without_norm),
    )
    points = "batch norm raises the test accuracy of Inception by 2 to 5 points"
    return (
        *(difference(text, "test.accuracy", one, other, low=0.0, reference=TABLE) for text, one, other in higher),
        difference(points, "test.accuracy", off, without_norm, low=0.02, high=0.05, scales=("paper",), reference=TABLE),
    )


def _random(lines: Lines, titles: Mapping[str, str]) -> Iterator[Claim]:
    for model in dict.fromkeys(model for model, *_ in lines):
        line, title = lines[model, "random", False, False], titles[model]
        yield every(f"{title} fits random labels: training accuracy is at least 0.99", "train.accuracy", line, low=0.99, reference=TABLE)
        text = f"{title} learns nothing from random labels: test accuracy is chance to within 5 points"
        yield mean(text, "test.accuracy", line, low=CHANCE - 0.05, high=CHANCE + 0.05, reference=TABLE)
