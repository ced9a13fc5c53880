"""What a corruption did to training labels, against what it says that it does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import gammaln

from shatterlab.core import Examples, LabelCorruption, Scalar
from shatterlab.statistics.significance import g_test_bound, poisson_binomial_two_sided, same_counts_bound

Labels = np.ndarray[Any, Any]
_FEW = 50  # different numbers that are looked at as classes are


def label_columns(corruption: LabelCorruption, original: Examples, corrupted: Examples) -> dict[str, Scalar]:
    """The `check.*` columns of new training labels against true ones.

    With a transition: the changed count, the table of (true, new) classes, and the counts of the new classes. Where labels were permuted in place of redrawn,
    these counts are exactly the old ones; p is then a bound on the probability that independent draws do that. It is small enough from 60 redrawn labels of 10
    classes on, 2,100 of 5 classes, 22,000 of 4 classes; two classes never show it.

    Without a transition: something must change, and the new label must not be a function of the true class: a corruption that only renames or merges classes
    states that as its transition. p bounds the probability that labels dealt out without a look at the class are such a function.

    Where the corruption says that it keeps class counts: it does, exactly, and the table of (true, new) classes is one that dealing out the labels at random
    gives; p bounds the probability of a table no more likely than this one.

    Of a regression with more than 50 different numbers that table says too little: p then bounds the probability that among numbers that are dealt out
    at random so many (or few) stay as they are, or all lie so near to (or far from) the true ones. Unchanged numbers show from 34 examples on.

    Args:
        corruption: as it says of itself; at `level` 0 nothing has to change.
        original: the training split before.
        corrupted: the training split after.
    """
    true, new, k = original.labels.numpy(), corrupted.labels.numpy(), original.classes
    if original.values is not None and k > _FEW:
        return _of_numbers(corruption, original, new)
    counts = np.bincount(true * k + new, minlength=k * k).reshape(k, k)
    sizes, changed = counts.sum(1), int(counts.sum() - counts.trace())
    columns: dict[str, Scalar] = {"check.changed": changed}
    if corruption.keeps_class_counts:
        columns["check.class_counts_kept"] = _kept(original, new)
        return columns | ({"check.independence_p": _dealt(counts)} if _all_alike(corruption, original) else {})
    transition = corruption.transition(k)
    if transition is None:
        must_change = getattr(corruption, "level", 1) != 0
        return columns | {"check.labels_changed": changed > 0 or (False if must_change else None), "check.renamed_p": _renamed(counts)}
    moving = 1 - transition.diagonal()
    g, p = g_test_bound(counts, transition)
    columns |= {"check.changed_expected": float(sizes @ moving), "check.changed_p": poisson_binomial_two_sided(changed, moving, sizes)}
    columns |= {"check.transition_g": g, "check.transition_p": p}
    columns["check.class_counts_p"] = same_counts_bound(sizes, transition) if (counts.sum(0) == sizes).all() else 1.0
    if np.allclose(transition, transition[0]):  # every class has the same law: independent of the true label
        columns["check.independence_p"] = p
    return columns


def _of_numbers(corruption: LabelCorruption, original: Examples, new: Labels) -> dict[str, Scalar]:
    true = original.labels.numpy()
    changed = int((true != new).sum())
    if not corruption.keeps_class_counts:  # it leaves every number as it is: no other is let in
        return {"check.changed": changed, "check.changed_expected": 0.0, "check.changed_p": float(changed == 0)}
    columns: dict[str, Scalar] = {"check.changed": changed, "check.class_counts_kept": _kept(original, new)}
    return columns | ({"check.independence_p": _dealt_numbers(true, new)} if _all_alike(corruption, original) else {})


def _dealt_numbers(true: Labels, new: Labels) -> float:
    n, sizes, last = len(true), np.bincount(true), max(1, int(true.max()), int(new.max()))
    distances = 2 * float(np.sort(true) @ (2 * np.arange(n) - n + 1)) / n  # the mean of their sum: |a - b| over all pairs, over n
    unchanged = _sum_bound(float((true == new).sum()), float(sizes @ sizes) / n)
    return min(1.0, 2 * min(unchanged, _sum_bound(float(np.abs(true - new).sum()) / last, distances / last)))


def _sum_bound(value: float, mean: float) -> float:
    """A bound on P(|sum - mean| is as large) for a sum of n entries a(i, permutation(i)) in [0, 1].

    Source:
        Chatterjee 2007, "Stein's method for concentration inequalities", proposition 1.1.
    """
    away = abs(value - mean)
    return 2 * math.exp(-(away**2) / (4 * mean + 2 * away)) if away else 1.0


def _kept(original: Examples, new: Labels) -> bool:
    """Whether each label is there as often as before; of groups, in as many groups."""
    true = original.labels.numpy()
    whole = np.array_equal(np.sort(true), np.sort(new))
    if whole or original.groups is None:
        return whole
    first = np.unique(original.groups.numpy(), return_index=True)[1]
    return np.array_equal(np.sort(true[first]), np.sort(new[first]))


def _all_alike(corruption: LabelCorruption, original: Examples) -> bool:
    """Whether every label may go to every place: what is dealt out in part, within groups, or shifted in time, has another law."""
    return getattr(corruption, "level", 1) == 1 and original.groups is None and original.times is None


def _renamed(counts: Labels) -> float:
    """1, or a bound on P(new label is a function of the true one) where new labels are dealt out at random: functions / ways to deal."""
    if ((counts > 0).sum(1) > 1).any():
        return 1.0
    functions = int((counts.sum(1) > 0).sum()) * math.log(int((counts.sum(0) > 0).sum()))
    ways = math.lgamma(counts.sum() + 1) - sum(math.lgamma(count + 1) for count in counts.sum(0))
    return math.exp(min(0.0, functions - ways))


def _dealt(counts: Labels) -> float:
    """A bound on P(a table no more likely than this one) given the sums of rows and columns: tables, counted by cells of all but the largest row and column."""
    rows, columns = counts.sum(1), counts.sum(0)
    probability = gammaln(rows + 1).sum() + gammaln(columns + 1).sum() - gammaln(counts.sum() + 1) - gammaln(counts + 1).sum()
    tables = np.log(np.minimum.outer(np.sort(rows)[:-1], np.sort(columns)[:-1]) + 1).sum()
    return math.exp(min(0.0, float(probability + tables)))
