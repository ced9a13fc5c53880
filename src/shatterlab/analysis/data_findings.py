"""What is wrong with a sample before anything is trained on it: exact counts, in plain sentences."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from shatterlab.core import Examples, Splits
from shatterlab.core.errors import printable
from shatterlab.core.lazy_inputs import Streamed

_NAMED = 5  # positions or columns that a sentence names
_FEW = 30  # test examples below which an accuracy says little
_RULE = 0.99  # accuracy or R2 of one column alone, from which on it is a leak
_LOOK = 4000  # examples on which a column is tried before it is tried on all
_BINS = 256
_WORDS = 2**22  # 32-bit words that are hashed at a time
_Array = np.ndarray[Any, Any]
_IDENTITY = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class DataFinding:
    """One thing that is wrong with a sample.

    Args:
        kind: "equal across splits", "equal with different labels", "constant columns", "one column gives the label", "small test split", "one test class",
            "pixels in 0..255", "unequal classes", "columns the model cannot take"; of a model "softmax before the loss", "sigmoid before the loss",
            "constant scores", "one answer", ...
        severity: "error" where training must fail, "warning" where figures mislead, "note" where they have to be read with care.
        count: how many examples, columns or classes it concerns.
        sentence: for a person; names in it are data of the user's, to be escaped where they are shown.
    """

    kind: str
    severity: Literal["error", "warning", "note"]
    count: int
    sentence: str


def findings_in(splits: Splits) -> list[DataFinding]:
    """What is wrong with the two splits of a sample; nothing for one that is clean. Photos that are read from disk are not looked at.

    Example:
        >>> import torch
        >>> inputs, labels = torch.rand(80, 6, generator=torch.Generator().manual_seed(0)), torch.arange(80) % 2
        >>> [finding.kind for finding in findings_in(Splits(Examples(inputs, labels, 2), Examples(inputs[:40].clone(), labels[:40], 2)))]
        ['equal across splits']
    """
    found = list(_sizes(splits))
    if not isinstance(splits.train.inputs, Streamed):
        train, test = (split.inputs.flatten(1).numpy() for split in (splits.train, splits.test))
        firsts = equal_rows(train, test)
        found += _shared(firsts, len(train))
        for name, split, first in (("training", splits.train, firsts[: len(train)]), ("test", splits.test, firsts[len(train) :])):
            found += (_contradictions if split.values is None else _scatter)(name, split, first)
        found += _columns(splits, train, test, firsts[len(train) :] >= len(train)) if len(splits.train.shape) == 1 else _pixels(splits.train)
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.severity])


def equal_rows(*parts: _Array) -> _Array:
    """The position of the first row that equals each row, over all parts one after the other; 0 and -0 are equal.

    Rows are hashed to 64 bits and those with one hash compared, so the answer is exact; time is that of reading the rows once.

    Args:
        parts: float32, each of shape (n, d), with one d.

    Example:
        >>> equal_rows(np.float32([[1, 2], [3, 4]]), np.float32([[3, 4], [0, 0], [-0.0, 0]])).tolist()
        [0, 1, 1, 3, 3]
    """
    starts = np.cumsum([0, *map(len, parts)])
    hashes = np.concatenate([_hashes(part) for part in parts])
    order = np.argsort(hashes, kind="stable")
    firsts = np.arange(starts[-1])
    same = hashes[order[1:]] == hashes[order[:-1]]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))

    def row(position: int) -> bytes:
        part = int(np.searchsorted(starts, position, side="right")) - 1
        return bytes((parts[part][position - starts[part]] + np.float32(0)).tobytes())

    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        known: dict[bytes, int] = {}
        for position in order[begin : end + 1].tolist():
            firsts[position] = known.setdefault(row(position), position)
    return firsts


def _hashes(rows: _Array) -> _Array:
    """64-bit sums of the words of each row, each times a random odd number; what collides is compared later."""
    n, d = rows.shape
    factors = np.random.default_rng(0).integers(2**63, size=d, dtype=np.uint64) * np.uint64(2) + _IDENTITY
    hashes = np.empty(n, np.uint64)
    step = max(1, _WORDS // d // 16)
    for start in range(0, n, step):
        words = (rows[start : start + step] + np.float32(0)).view(np.uint32)
        hashes[start : start + step] = (words * factors).sum(1, dtype=np.uint64)
    return hashes


def _shared(firsts: _Array, n: int) -> Iterator[DataFinding]:
    shared = np.flatnonzero(firsts[n:] < n)
    if len(shared):
        pairs = ", ".join(f"test {i} = training {firsts[n + i]}" for i in shared[:_NAMED])
        total = len(firsts) - n
        more = ", ..." if len(shared) > _NAMED else ""
        sentence = f"{len(shared)} of {total} test inputs are also training inputs ({pairs}{more}): memory alone scores on them."
        yield DataFinding("equal across splits", "warning", len(shared), sentence)


def _contradictions(name: str, split: Examples, firsts: _Array) -> Iterator[DataFinding]:
    """Inputs that occur with several labels: of such a group, only the most frequent label can be predicted."""
    labels = split.labels.numpy()
    _, groups, sizes = np.unique(firsts, return_inverse=True, return_counts=True)
    pairs, counts = np.unique(groups * np.int64(split.classes) + labels, return_counts=True)
    most = np.zeros(len(sizes), np.int64)
    np.maximum.at(most, pairs // split.classes, counts)
    torn = (most < sizes)[groups]
    if torn.any():
        bound = 100 * most.sum() / len(labels)
        positions = ", ".join(map(str, np.flatnonzero(torn)[:_NAMED]))
        got = f"{torn.sum()} {name} examples have equal inputs and different labels (positions {positions}{', ...' if torn.sum() > _NAMED else ''})"
        yield DataFinding("equal with different labels", "warning", int(torn.sum()), f"{got}: no model is right on more than {bound:.2f} % of the split.")


def _scatter(name: str, split: Examples, firsts: _Array) -> Iterator[DataFinding]:
    """Inputs that occur with several numbers: of such a group, only the mean can be predicted."""
    targets = split.targets.numpy()
    _, groups, sizes = np.unique(firsts, return_inverse=True, return_counts=True)
    away = targets - (np.bincount(groups, targets) / sizes)[groups]
    apart = (np.bincount(groups, split.labels.numpy()) / sizes)[groups] != split.labels.numpy()
    torn = np.flatnonzero(np.isin(groups, groups[apart]))
    if len(torn):
        bound = 1 - float(away @ away) / float(np.square(targets - targets.mean()).sum())
        positions = ", ".join(map(str, torn[:_NAMED])) + (", ..." if len(torn) > _NAMED else "")
        got = f"{len(torn)} {name} examples have equal inputs and different targets (positions {positions})"
        sentence = f"{got}: no model has an R2 above {bound:.3f} on the split."
        yield DataFinding("equal with different labels", "note", len(torn), sentence)


def _sizes(splits: Splits) -> Iterator[DataFinding]:
    train, test = splits.train, splits.test
    if train.values is not None:
        if len(test) < _FEW:
            yield DataFinding("small test split", "warning", len(test), f"The test split has {len(test)} examples: R2 on so few says little.")
        if len(test.labels.unique()) == 1:
            yield DataFinding("one test class", "warning", 1, f"All test targets are {float(test.targets[0]):g}: R2 is not defined on them.")
        return
    if len(test) < _FEW:
        sentence = f"The test split has {len(test)} examples: one of them is {100 / len(test):.1f} points of test accuracy."
        yield DataFinding("small test split", "warning", len(test), sentence)
    if len(test.labels.unique()) == 1:
        name = _class(test, int(test.labels[0]))
        yield DataFinding("one test class", "warning", 1, f"All test examples are of class {name}: test accuracy says nothing about telling classes apart.")
    shares = train.labels.bincount(minlength=train.classes) / len(train)
    share, majority = float(shares.max()), int(shares.argmax())
    if share > (1 / train.classes + 1) / 2:  # nearer to one class than to equal classes
        got = f"Class {_class(train, majority)} is {100 * share:.1f} % of the training split"
        yield DataFinding("unequal classes", "note", round(share * len(train)), f"{got}: compare accuracies with that of always naming it.")


def _class(examples: Examples, label: int) -> str:
    return printable(repr(examples.names[label])) if examples.names else str(label)


def _pixels(train: Examples) -> Iterator[DataFinding]:
    high = float(train.inputs.max())
    if high > 2 and high <= 255 and float(train.inputs.min()) >= 0:
        bright = int((train.inputs.flatten(1).max(1).values > 2).sum())
        yield DataFinding("pixels in 0..255", "warning", bright, f"Pixels reach {high:g}, those of images lie in [0, 1]: divide by 255, or save them as uint8.")


def _columns(splits: Splits, train: _Array, test: _Array, fresh: _Array) -> Iterator[DataFinding]:
    names = [printable(repr(str(column.name))) for column in splits.train.columns.columns] if splits.train.columns else [str(j) for j in range(train.shape[1])]
    fixed = np.flatnonzero(train.max(0) == train.min(0))
    if len(fixed):
        which = ", ".join(names[j] for j in fixed[:_NAMED]) + (", ..." if len(fixed) > _NAMED else "")
        word = f"{len(fixed)} columns have" if len(fixed) > 1 else "1 column has"
        yield DataFinding("constant columns", "note", len(fixed), f"{word} one value in the whole training split: {which}.")
    numbers, k = splits.train.values is not None, splits.train.classes
    labels = [(part.targets if numbers else part.labels).numpy() for part in (splits.train, splits.test)]
    test, truth = test[fresh], labels[1][fresh]  # a copy of a training input shows no rule
    if len(test) < 2:
        return
    rule, needed = (_explained, _RULE) if numbers else (functools.partial(_rule, k), _more_than_one_class(labels[0], truth))
    if needed >= 1:
        return
    for j in range(train.shape[1]):
        coded = bool(splits.train.columns and splits.train.columns.columns[j].values is not None)
        score = _one_column(rule, train[:, j], labels[0], test[:, j], truth, coded, needed)
        if score > needed:
            right = f"R2 {score:.3f} on the test split" if numbers else "every test label" if score == 1 else f"{100 * score:.1f} % of the test labels"
            sentence = f"Column {names[j]} alone gives {right}: is it known before the {'target' if numbers else 'label'} is, or made from it?"
            yield DataFinding("one column gives the label", "warning", len(truth), sentence)


def _more_than_one_class(labels: _Array, truth: _Array) -> float:
    """The accuracy of a rule that is a leak: it makes a fifth of the errors of naming one class, and at most 1 %."""
    return max(_RULE, 1 - float((truth != np.bincount(labels).argmax()).mean()) / 5)


def _one_column(rule: Callable[..., float], x: _Array, y: _Array, z: _Array, truth: _Array, coded: bool, needed: float) -> float:
    """Test accuracy or R2 of the best rule that sees one column; of a large sample, first on a part, on which a rule worth trying is nearly as good."""
    if len(x) + len(z) > 2 * _LOOK:
        part, other = slice(None, None, -(-len(x) // _LOOK)), slice(None, None, -(-len(z) // _LOOK))
        if rule(x[part], y[part], z[other], truth[other], coded) < needed - 0.03:
            return 0.0
    return rule(x, y, z, truth, coded)


def _explained(x: _Array, y: _Array, z: _Array, truth: _Array, coded: bool) -> float:
    """R2 of a line, and of the mean of each interval or coded value; the better one counts."""
    spread = float(np.square(truth - truth.mean()).sum())
    if not spread or x.min() == x.max():
        return 0.0
    x, z, guesses = x.astype(np.float64), z.astype(np.float64), []
    edges = np.unique(x) if coded else _edges(x)
    places, others = np.searchsorted(edges, x), np.searchsorted(edges, z)
    counts = np.bincount(places, minlength=len(edges) + 1)
    means = np.where(counts, np.bincount(places, y, minlength=len(counts)) / np.maximum(counts, 1), y.mean())
    guesses.append(np.where(np.isin(z, edges) | (not coded), means[others], y.mean()))
    if not coded:
        away = x - x.mean()
        guesses.append(y.mean() + (away @ (y - y.mean())) / (away @ away) * (z - x.mean()))
    return 1 - min(float(np.square(truth - guess).sum()) for guess in guesses) / spread


def _edges(x: _Array) -> _Array:
    """The ends of up to 256 intervals with equally many values."""
    edges: _Array = np.unique(np.quantile(x, np.linspace(0, 1, min(_BINS, max(2, len(x) // 10)) + 1)[1:-1], method="nearest"))
    return edges


def _rule(classes: int, x: _Array, y: _Array, z: _Array, truth: _Array, coded: bool) -> float:
    """The most frequent training label of each value, and, of numbers, of each of up to 256 intervals; the better one counts."""
    values, places = np.unique(x, return_inverse=True)
    best = 0.0
    at = np.searchsorted(values, z, side="right") - 1
    known = (at >= 0) & (values[at] == z)
    named = _majority(places, y, len(values), classes)
    most = np.bincount(y, minlength=classes).argmax()
    best = float((np.where(known if coded else at >= 0, named[at], np.where(coded, most, named[0])) == truth).mean())
    if not coded and len(values) > 2:
        edges = _edges(x)
        named = _majority(np.searchsorted(edges, x), y, len(edges) + 1, classes)
        best = max(best, float((named[np.searchsorted(edges, z)] == truth).mean()))
    return best


def _majority(places: _Array, labels: _Array, count: int, classes: int) -> _Array:
    """The most frequent label at each place."""
    if count * classes > 2**24:  # values that hardly repeat: the first label of each
        first = np.zeros(count, np.int64)
        first[places[::-1]] = labels[::-1]
        return first
    most: _Array = np.bincount(places * classes + labels, minlength=count * classes).reshape(count, classes).argmax(1)
    return most
