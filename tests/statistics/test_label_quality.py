"""Scores of labels: what they are on small examples, against cleanlab where it is installed, and agreement against drawn permutations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shatterlab.statistics.label_quality import agreement_z, confident_classes, label_margin, self_confidence


def drawn(seed: int, n: int = 300, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, some of them equal, and labels in every class."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.4), n).round(2)
    probabilities /= probabilities.sum(1, keepdims=True)
    return probabilities, np.concatenate([np.arange(classes), rng.integers(classes, size=n - classes)])


@pytest.mark.parametrize(("method", "score"), [("self_confidence", self_confidence), ("normalized_margin", label_margin)])
def test_ranks_are_those_of_cleanlab(method, score):
    cleanlab = pytest.importorskip("cleanlab.rank")
    for seed in range(5):
        probabilities, labels = drawn(seed)
        theirs, ours = cleanlab.get_label_quality_scores(labels, probabilities, method=method), score(probabilities, labels)
        assert ours == pytest.approx(theirs if method == "self_confidence" else 2 * theirs - 1, abs=1e-12)


def test_contradicted_labels_are_the_confident_joint_of_cleanlab():
    count = pytest.importorskip("cleanlab.count")
    for seed in range(5):
        probabilities, labels = drawn(seed)
        confident = confident_classes(probabilities, labels)
        joint = count.compute_confident_joint(labels, probabilities, calibrate=False)
        ours = np.zeros((4, 4), int)
        np.add.at(ours, (labels[confident >= 0], confident[confident >= 0]), 1)
        off = ~np.eye(4, dtype=bool)
        assert (ours[off] == joint[off]).all()


def test_a_class_without_examples_is_never_confident():
    assert confident_classes(np.array([[0.1, 0.2, 0.7], [0.3, 0.1, 0.6]]), np.array([0, 1])).max() < 2


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_agreement_has_the_mean_and_the_variance_of_permutations(seed, classes):
    """The same z from 4,000 drawn permutations, whose mean and spread are known to a few percent."""
    rng = np.random.default_rng(seed)
    answers, labels = rng.integers(classes, size=30), rng.integers(classes, size=30)
    agreed = np.array([(answers == rng.permutation(labels)).sum() for _ in range(4000)], float)
    z = agreement_z(answers, labels, classes)
    if agreed.std() == 0:
        assert z == 0
        return
    assert abs(z - ((answers == labels).sum() - agreed.mean()) / agreed.std()) < 5 / np.sqrt(4000) + 0.15 * max(1, abs(z))


@pytest.mark.parametrize(("answers", "labels"), [([0, 0, 0], [0, 1, 0]), ([0], [0]), ([], []), ([0, 1, 1], [1, 1, 1])])
def test_answers_that_do_not_vary_agree_by_chance(answers, labels):
    assert agreement_z(np.array(answers, int), np.array(labels, int), 2) == 0
