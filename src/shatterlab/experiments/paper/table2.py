"""Inception v3 on ImageNet: do regularizers explain generalization, and do they keep random labels from being fitted?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from shatterlab import ColorJitter, Dataset, GeneratedPhotos, HorizontalFlip, InceptionV3, RandomResizedCrop, RMSProp, StreamedFolder, StreamedTraining, Trial
from shatterlab.design.claims import Claim, difference, every, mean, ratio
from shatterlab.design.experiment import Experiment, Scale, grid
from shatterlab.design.settings import TRUE_AND_RANDOM
from shatterlab.references import published
from shatterlab.views import ComparisonTable, PublishedLine, Table

TABLE = "Table 2"
Line = tuple[str, bool, bool, bool]  # labels, augmentation, dropout, weight decay: a line of the published table
ALL, DECAY_ONLY, NONE = ("true", True, True, True), ("true", False, False, True), ("true", False, False, False)
KEYS = ("labels", "augmentation", "dropout", "weight decay")
CONDITIONS = ("labels", "data_augmentation", "dropout", "weight_decay")  # names of these in the references
_COLUMNS = {
    f"{split}.{name}": f"{split}_{metric}"
    for split in ("train", "test")
    for name, metric in (("accuracy", "top1_accuracy"), ("top5_accuracy", "top5_accuracy"))
}
_LABELS = dict(zip(("true", "random"), TRUE_AND_RANDOM, strict=True))
_DISTORTION = (RandomResizedCrop((0.05, 1.0)), HorizontalFlip(), ColorJitter(32 / 255, 0.5, 0.5, 0.2))
_SAMPLE = StreamedFolder("data:imagenet-sample", size=75)  # 64 photos, one a class
_LARGER = ("laptop", "paper")


def experiment(scale: Scale) -> Experiment:
    """The seven published lines. Smoke: generated photos. Laptop: Imagenette, quarter width, 75 pixels. Paper: ILSVRC 2012.

    At laptop scale random labels are also fitted to one photo each of 64 classes, the only sample here with a top 5.
    """
    sample = _fitted_sample(scale)
    columns = ("train.accuracy", "train.top5_accuracy", "fit.epochs")
    of_sample = Table(("dataset.path",), columns, title="Random labels of 64 photos", where={"dataset.path": _SAMPLE.path})
    source = "Zhang et al. 2017, Table 2 (appendix B)"
    question = "Does Inception v3 on photos need its regularizers to generalize, and do they keep it from fitting random labels?"
    views = (
        ComparisonTable([shown(line, scale, "table2", _COLUMNS) for line in lines()], KEYS, tuple(_COLUMNS), title=TABLE),
        *([of_sample] if sample else []),
    )
    return Experiment("table2", source, question, (*trials(lines(), scale), *sample), views, tuple(_claims(scale)), scale.name)


def lines() -> list[Line]:
    """The lines of the published table, in its order."""
    printed = [reference.conditions for reference in published("table2", metric="train_top1_accuracy")]
    return [(str(line["labels"]), bool(line["data_augmentation"]), bool(line["dropout"]), bool(line["weight_decay"])) for line in printed]


def photos(scale: Scale) -> Dataset:
    """Smoke: photos drawn by a program. Laptop: Imagenette at 75 pixels. Paper: ILSVRC 2012 at 299, below the data root."""
    return scale.pick(
        smoke=GeneratedPhotos(classes=4, per_class=6, side=90, size=75),
        laptop=StreamedFolder("data:imagenette", size=75, examples=300, test_examples=200),
        paper=StreamedFolder("data:imagenet", size=299, examples=1_281_167, test_examples=50_000),
    )


def recipe(line: Line, scale: Scale) -> StreamedTraining:
    """Inception v3 with these regularizers; the settings of its time at paper scale, ones that fit a few hundred photos in minutes below."""
    _, augmented, dropout, decayed = line
    width, momentum = scale.pick(smoke=(0.1, 0.1), laptop=(0.25, 0.1), paper=(1.0, 0.0003))
    network = InceptionV3(dropout=0.2 if dropout else 0.0, width=width, norm_momentum=momentum, init=scale.pick(smoke="he", laptop="he", paper="truncated"))
    of_its_time, quick = RMSProp(lr=0.045, alpha=0.9, momentum=0.9, eps=1.0), RMSProp(lr=0.0003, alpha=0.9, momentum=0.9, eps=0.001)
    return StreamedTraining(
        network,
        replace(scale.pick(smoke=quick, laptop=quick, paper=of_its_time), weight_decay=4e-5 if decayed else 0.0),
        decay=scale.pick(smoke=1.0, laptop=0.94),
        batch_size=scale.pick(smoke=12, laptop=60, paper=256),
        epochs=scale.pick(smoke=3, laptop=30, paper=100),
        smoothing=0.1,
        augmentation=_DISTORTION if augmented else (),
        precision=scale.pick(smoke="float32", laptop="float32", paper="bfloat16"),
    )


def trials(lines: Sequence[Line], scale: Scale) -> tuple[Trial, ...]:
    """Every line under every seed, replicates outermost; at paper scale and in a smoke test there is one."""
    seeds = scale.seeds if scale.name == "laptop" else scale.seeds[:1]
    return tuple(replace(_trial(line, scale), seeds=replicate) for replicate in seeds for line in lines)


def _trial(line: Line, scale: Scale) -> Trial:
    return Trial(photos(scale), _LABELS[line[0]], recipe(line, scale))


def _fitted_sample(scale: Scale) -> tuple[Trial, ...]:
    if scale.name != "laptop":
        return ()
    learner = replace(recipe(("random", False, False, False), scale), batch_size=64, decay=1.0, epochs=200, smoothing=0.0, stop=0.96)
    return grid(Trial, dataset=[_SAMPLE], corruption=[_LABELS["random"]], learner=[learner], seeds=scale.seeds)


def where(line: Line, scale: Scale) -> dict[str, Any]:
    """The columns by which the rows of a line differ from those of other lines."""
    columns = _trial(line, scale).specification()
    names = ("dataset.kind", "dataset.path", "corruption.level", "learner.augmentation", "learner.architecture.dropout", "learner.optimizer.weight_decay")
    return {name: columns[name] for name in names if columns.get(name) is not None}


def shown(line: Line, scale: Scale, source: str, metrics: dict[str, str]) -> PublishedLine:
    """A line of a table with its published values.

    Args:
        line: labels and regularizers.
        scale: how large.
        source: the table or figure in the references.
        metrics: column -> metric in the references.
    """
    conditions: dict[str, str | bool] = dict(zip(CONDITIONS, line, strict=True))
    values = {column: published(source, metric=metric, **conditions) for column, metric in metrics.items()}
    cells = (line[0], *("yes" if switch else "no" for switch in line[1:]))
    return PublishedLine(cells, where(line, scale), {column: float(printed[0].value) for column, printed in values.items() if printed})  # type: ignore[arg-type]


def _claims(scale: Scale) -> Iterator[Claim]:
    on, off, random = where(ALL, scale), where(NONE, scale), where(("random", False, False, False), scale)
    chance = scale.pick(smoke=1 / 4, laptop=1 / 10, paper=1 / 1000)
    text = "not necessary: without any regularizer more than half of the accuracy above chance remains"
    yield ratio(text, "test.accuracy", off, on, low=0.5, origin=chance, scales=_LARGER, reference=TABLE)
    text = "switching all of them off costs 14 to 22 points"
    yield difference(text, "test.accuracy", off, on, low=-0.22, high=-0.14, scales=("paper",), reference=TABLE)
    for line in lines():
        if line[0] == "random":
            regularizers = f"with weight decay{' and dropout' if line[2] else ''}" if line[3] else "without regularizers"
            text = f"random labels are fitted {regularizers}: training accuracy is at least 0.85"
            yield mean(text, "train.accuracy", where(line, scale), low=0.85, scales=_LARGER, reference=TABLE)
    margin = scale.pick(smoke=1.0, laptop=0.06, paper=0.002)  # laptop: 200 photos, 3 standard errors of a mean of 3 replicates are 0.037
    text = "under random labels, test accuracy is chance"
    yield mean(text, "test.accuracy", random, low=chance - margin, high=chance + margin, scales=_LARGER, reference=TABLE)
    if scale.name == "laptop":
        text = "random labels of 64 photos, one a class, are fitted up to the accuracy of 0.96 at which training ends"
        yield every(text, "train.accuracy", {"dataset.path": _SAMPLE.path}, low=0.96, reference=TABLE)
