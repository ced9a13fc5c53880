"""The sentence on the gap: each case by rows with known parts, and real audits of signal and of noise."""

from __future__ import annotations

import numpy as np
import pytest

import shatterlab as sl
from shatterlab.core import Row
from shatterlab.studies.gap_sentence import gap_sentence


def rows(train, test, clean, noisy, spread=0.01, replicates=3, n=1000, level=0.25):
    """Replicates around these accuracies: on true labels in training and test, of the noisy run on all and on the changed examples."""
    told = []
    for seed in range(replicates):
        off = spread * (seed - 1)
        seeds = {f"seeds.{stream}": seed for stream in ("data", "corruption", "init", "order")}
        base = {"status": "ok", "learner.kind": "Training", "test.n": n, "train.n": 2000} | seeds
        true = {"corruption.kind": "PartialLabels", "corruption.level": 0.0, "train.accuracy": train, "test.accuracy": test + off}
        part = {"noisy.n": 400, "noisy.clean_accuracy": noisy + off, "train.clean_accuracy": clean}
        told += [Row(base | true | {"key": f"true {seed}"})]
        told += [Row(base | {"corruption.kind": "PermutedLabels", "corruption.level": level, "key": f"noisy {level} {seed}"} | part)]
    return told


def test_the_part_of_the_gap_that_is_memorization():
    said = gap_sentence(rows(0.95, 0.80, 0.92, 0.82))
    assert said == "Of the 15.0-point gap between training and test, 10.0 [7.4, 12.6] are memorization (with 25 % of the labels permuted)."


def test_memory_above_the_gap_is_enough_for_it_and_no_part_of_it():
    said = gap_sentence(rows(1.0, 0.80, 0.80, 0.08))
    assert said == (
        "Memory is enough to make the whole gap of 20.0 points between training and test: with 25 % of the labels permuted, "
        "it gives 8.0 % of the examples with a wrong label their true one, and 80.0 % of unseen examples."
    )


def test_a_gap_without_memorization():
    said = gap_sentence(rows(0.95, 0.80, 0.90, 0.90))
    assert said == "Of the 15.0-point gap between training and test, none is shown to be memorization (with 25 % of the labels permuted)."


@pytest.mark.parametrize(
    "undecided",
    [
        rows(0.82, 0.80, 0.8, 0.7),  # the gap is within the error of the replicates
        rows(0.86, 0.80, 0.82, 0.7, spread=0.001, n=60),  # and within that of 60 test examples
        rows(0.95, 0.80, 0.92, 0.76, spread=0.03),  # memorization about as large as the gap
        rows(0.95, 0.80, 0.92, 0.82, replicates=2),
        rows(0.70, 0.80, 0.65, 0.6),  # no gap
        [],
    ],
)
def test_what_is_not_decided_is_not_said(undecided):
    assert gap_sentence(undecided) == ""


def test_the_smallest_level_of_the_sweep_is_taken():
    low, high = rows(0.95, 0.80, 0.92, 0.82, level=0.1), rows(0.95, 0.80, 0.7, 0.3, level=0.5)
    assert gap_sentence(high + low[1::2]).endswith("10.0 [7.4, 12.6] are memorization (with 10 % of the labels permuted).")


def test_audits_of_signal_and_of_noise():
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    inputs, labels = load_digits(return_X_y=True)
    signal = inputs[:600], labels[:600]
    noise = inputs[:600], np.random.default_rng(0).integers(2, size=600)
    options = {"replicates": 3, "permutations": 0, "levels": (0.25,)}
    tree = [sl.audit(DecisionTreeClassifier(random_state=0), data, **options) for data in (signal, noise)]
    assert all("Memory is enough to make the whole gap of" in audit.verdict for audit in tree)  # it gives back every label
    rigid = [sl.audit(LogisticRegression(C=1e-6), data, **options).verdict for data in (signal, noise)]
    assert not any("Memory is enough" in said for said in rigid)
    assert len(tree[0].findings[0].sentences) <= 6
