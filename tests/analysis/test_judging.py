"""Judging measures: granulated tau, conditional information, sign errors, the randomization test; each against a plain loop, with planted bugs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from shatterlab.analysis import judging
from shatterlab.analysis.judging import conditional_information, granulated_tau, sign_errors
from shatterlab.analysis.randomization_test import corrected, zhang_tests
from shatterlab.core import Row
from shatterlab.core.errors import DataError
from shatterlab.statistics.significance import holm


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(judging, "_RESAMPLES", 200)


GRID = [{"width": w, "depth": d, "rate": r} for w in (1, 2, 3) for d in (1, 2) for r in (0.1, 0.5)]


def gaps(seed=0):
    return np.random.default_rng(seed).random(len(GRID))


def plain_tau(measure, gap, settings):
    """By the book: for each axis, for each setting of the others, tau over the values of the axis."""
    axes = []
    for axis in settings[0]:
        taus = []
        for others in {tuple(v for k, v in s.items() if k != axis) for s in settings}:
            group = [i for i, s in enumerate(settings) if tuple(v for k, v in s.items() if k != axis) == others]
            found = [np.sign(measure[i] - measure[j]) * np.sign(gap[i] - gap[j]) for i, j in itertools.permutations(group, 2)]
            taus.append(np.mean(found))
        axes.append(np.mean(taus))
    return np.mean(axes)


def test_granulated_tau_by_the_book():
    gap, measure = gaps(), gaps(1)
    found = granulated_tau(measure, gap, GRID)
    assert found.overall.estimate == pytest.approx(plain_tau(measure, gap, GRID), abs=1e-12)
    assert found.overall.low <= found.overall.estimate <= found.overall.high
    assert set(found.parts) == {"width", "depth", "rate"}
    assert granulated_tau(gap, gap, GRID).overall.estimate == 1
    assert granulated_tau(-gap, gap, GRID).overall.estimate == -1


def test_a_measure_of_one_axis_looks_good_to_a_plain_rank_correlation_only():
    """The gap is mostly depth, and within a depth rate and width; a measure that is depth orders nothing else."""
    gap = np.array([10 * s["depth"] + s["width"] - s["rate"] for s in GRID])
    depth = np.array([float(s["depth"]) for s in GRID])
    found = granulated_tau(depth, gap, GRID)
    assert found.parts == {"depth": 1.0, "rate": 0.0, "width": 0.0}
    assert found.overall.estimate == pytest.approx(1 / 3)
    assert conditional_information(depth, gap, GRID).overall.estimate == pytest.approx(0, abs=1e-12)
    assert conditional_information(depth, gap, GRID).decisive is not None
    assert conditional_information(depth, gap, GRID).parts[""] > 0.3  # planted: without conditioning it would look informative


def test_conditional_information_of_the_gap_itself_is_all():
    assert conditional_information(gaps(), gaps(), GRID).overall.estimate == pytest.approx(1)
    assert conditional_information(-gaps(), gaps(), GRID).overall.estimate == pytest.approx(1)  # information has no sign


def plain_information(measure, gap, settings, axes):
    counts = {}
    for i, j in itertools.permutations(range(len(settings)), 2):
        cell = tuple((settings[i][axis], settings[j][axis]) for axis in axes)
        key = (cell, np.sign(measure[i] - measure[j]), np.sign(gap[i] - gap[j]))
        counts[key] = counts.get(key, 0) + 1
    total = sum(counts.values())

    def entropy(pick):
        merged = {}
        for key, count in counts.items():
            merged[pick(key)] = merged.get(pick(key), 0) + count / total
        return -sum(p * math.log(p) for p in merged.values())

    u, uv, uw, uvw = (entropy(pick) for pick in (lambda k: k[0], lambda k: k[:2], lambda k: (k[0], k[2]), lambda k: k))
    return (uv + uw - u - uvw) / (uw - u)


def test_conditional_information_by_counting():
    gap, measure = gaps(), gaps(1)
    found = conditional_information(measure, gap, GRID)
    for axes in ((), ("depth",), ("depth", "width")):
        assert found.parts[" + ".join(axes)] == pytest.approx(plain_information(measure, gap, GRID, axes), abs=1e-12)
    assert found.overall.estimate == min(found.parts.values()) == found.parts[found.decisive]


def test_sign_errors_by_environment():
    gap = np.array([s["width"] + s["depth"] for s in GRID], dtype=float)
    measure = np.array([s["width"] - (s["depth"] if s["width"] == 3 else -s["depth"]) for s in GRID], dtype=float)  # wrong about depth at width 3
    found = sign_errors(measure, gap, GRID)
    assert found.parts["depth: 1 / 2"] == pytest.approx(1 / 3)
    assert found.parts["rate: 0.1 / 0.5"] == 0.5  # the gap does not change: a tie counts half
    wrong = {name: value for name, value in found.parts.items() if name.startswith("width")}
    assert wrong["width: 1 / 2"] == 0
    assert found.overall.estimate == max(found.parts.values()) == found.parts[found.decisive]
    assert np.mean(list(found.parts.values())) < found.overall.estimate  # planted: the mean over environments hides the worst


def test_pairs_whose_order_is_noise_count_less():
    settings = [{"width": w, "seed": s} for w in (1, 2) for s in (1, 2)]
    gap, measure = np.array([0.1, 0.5, 0.101, 0.9]), np.array([2.0, 1.0, 1.0, 2.0])  # wrong where the gaps differ by 0.001, right where by 0.4
    assert sign_errors(measure, gap, settings).parts["width: 1 / 2"] == 0.5
    assert sign_errors(measure, gap, settings, test_examples=1000).parts["width: 1 / 2"] == pytest.approx(0, abs=1e-9)


def test_replicates_make_no_pairs_with_each_other():
    gap, measure = gaps(), gaps(1)
    for judge in (granulated_tau, conditional_information, sign_errors):
        once, twice = judge(measure, gap, GRID), judge(np.tile(measure, 2), np.tile(gap, 2), GRID * 2)
        assert twice.overall.estimate == pytest.approx(once.overall.estimate, abs=1e-12)
        assert twice.overall.n == once.overall.n == 12


def test_the_interval_of_an_unrelated_measure_covers_zero():
    """20 unrelated measures at 95 %: a plain bootstrap of 12 settings may cover less, but nothing like half."""
    rng = np.random.default_rng(3)
    covered = [granulated_tau(rng.random(12), rng.random(12), GRID).overall for _ in range(20)]
    assert np.mean([each.low <= 0 <= each.high for each in covered]) >= 0.75


def test_few_settings_say_so():
    found = granulated_tau([1, 2], [1, 2], GRID[:2])
    assert (found.overall.low, found.overall.high, found.overall.method) == (-1, 1, "too few settings")
    apart = granulated_tau([1, 2], [1, 2], [GRID[0], GRID[-1]])  # they differ in three axes
    assert math.isnan(apart.overall.estimate)
    assert apart.overall.method == "no pairs"
    assert math.isnan(conditional_information([1, 2, 3], [1, 1, 1], GRID[:3]).overall.estimate)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: granulated_tau([1, 2], [1], GRID[:2]),
            r"granulated_tau: as many measures, gaps and settings are required, got 2, 1 and 2\. Take them from the same rows\.",
        ),
        (
            lambda: granulated_tau([1, 2], [1, 2], [{"a": 1}, {"b": 1}]),
            r"granulated_tau: the same axes in every setting are required, got others than a\. Name every axis for every trial\.",
        ),
        (
            lambda: sign_errors([1, 2], [1, 2], GRID[:2], test_examples=0),
            r"sign_errors: test_examples is a whole number >= 1 or None, got 0\. Pass the size of the test split\.",
        ),
        (lambda: granulated_tau([1, 2], [1, 2], GRID[:2], level=1), r"judging: level is a confidence in \(0, 1\), got 1\. Use 0\.95, say\."),
    ],
)
def test_what_is_out_of_range_is_refused(call, text):
    with pytest.raises(DataError, match=f"^{text}$"):
        call()


# The randomization test

COLUMN = "measure.PathNorm.l2"


def row(level, seed, value, **columns):
    said = {
        "key": f"{level} {seed} {columns}",
        "dataset.kind": "Digits",
        "corruption.kind": "PartialLabels",
        "corruption.level": level,
        "learner.kind": "Training",
    }
    ended = {"status": "ok", "train.n": 100, "train.loss": 0.049, "fit.ended": "loss", COLUMN: value}
    return Row(said | {f"seeds.{stream}": seed for stream in ("data", "corruption", "init", "order")} | ended | columns)


def test_a_measure_that_is_larger_on_random_labels_passes():
    rows = [row(0.0, seed, 1.0 + 0.1 * seed) for seed in range(4)] + [row(1.0, seed, 2.0 + 0.11 * seed) for seed in range(4)]
    [found] = zhang_tests(rows, COLUMN)
    assert (found.verdict, found.n) == ("passes", 4)
    assert found.reason.startswith("random minus true labels lies above 0: 1.015 [")
    assert found.learner == {"dataset.kind": "Digits", "learner.kind": "Training"}
    [turned] = zhang_tests([Row({**each, "corruption.level": 1 - each["corruption.level"]}) for each in rows], COLUMN)
    assert turned.verdict == "fails"
    [noisy] = zhang_tests([row(level, seed, (-1.0) ** (seed + level)) for seed in range(4) for level in (0.0, 1.0)], COLUMN)
    assert noisy.verdict == "undecided"


def test_a_longer_run_alone_does_not_pass():
    rows = [row(0.0, seed, 1.0) for seed in range(4)]
    longer = [row(1.0, seed, 9.0, **{"fit.ended": "interpolation", "train.loss": 0.2}) for seed in range(4)]
    [found] = zhang_tests(rows + longer, COLUMN)
    assert (found.verdict, found.interval) == ("not comparable", None)
    assert found.reason == "the fits did not stop at the same training loss: interpolation at 0.2, loss at 0.049"


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"status": "diverged"}, "a fit failed or diverged"),
        ({"train.n": 50}, "the samples differ in size: 50 and 100"),
        ({COLUMN: None, "measure.PathNorm.reason": "PathNorm: no"}, "PathNorm: no"),
        ({"seeds.init": 77}, "0 pairs of rows with equal seeds, at least 2 are required"),
    ],
)
def test_what_is_not_comparable_says_why(columns, reason):
    rows = [row(0.0, seed, 1.0) for seed in range(3)] + [row(1.0, seed, 2.0, **columns) for seed in range(3)]
    [found] = zhang_tests(rows, COLUMN)
    assert (found.verdict, found.reason) == ("not comparable", reason)


def test_exact_solutions_are_compared_where_their_losses_are_equal():
    rows = [row(level, seed, level * (1 + 0.1 * seed), **{"fit.ended": None, "train.loss": 1e-20 * (1 + level)}) for seed in range(3) for level in (0.0, 1.0)]
    [found] = zhang_tests(rows, COLUMN)
    assert found.verdict == "passes"


def test_two_learners_are_judged_apart():
    rows = [
        row(level, seed, sign * level * (1 + 0.1 * seed), **{"learner.kind": kind})
        for kind, sign in (("A", 1), ("B", -1))
        for seed in range(3)
        for level in (0.0, 1.0)
    ]
    assert [(each.learner["learner.kind"], each.verdict) for each in zhang_tests(rows, COLUMN)] == [("A", "passes"), ("B", "fails")]


@pytest.mark.parametrize("difference", [0.0, 1.0, 1e-17])
def test_pairs_that_all_differ_by_the_same_are_no_certainty(difference):
    rows = [row(level, seed, 3.0 + seed / 7 + level * difference) for seed in range(3) for level in (0.0, 1.0)]
    [found] = zhang_tests(rows, COLUMN)
    assert (found.verdict, found.p) == ("undecided", None)
    assert found.reason.endswith("in all 3 pairs: nothing varied, so nothing is known of its spread")
    assert corrected([found]) == [found]


def family(effects, seeds, pairs=3):
    """Tests of measures with these mean differences between random and true labels, in units of the spread of a difference."""
    rng = np.random.default_rng(seeds)
    noise = rng.standard_normal((len(effects), pairs))
    tests = []
    for effect, spread in zip(effects, noise, strict=True):
        rows = [row(level, seed, level * (effect + spread[seed])) for seed in range(pairs) for level in (0.0, 1.0)]
        tests += zhang_tests(rows, COLUMN)
    return tests


def test_holm_corrects_the_quantities_that_are_read_together():
    tests = family([0.0, 60.0, 3.0, 0.0], seeds=4)
    found = corrected(tests)
    assert [each.p for each in found] == pytest.approx(holm([each.p for each in tests]), rel=1e-12)
    assert [each.interval for each in found] == [each.interval for each in tests]  # each by itself
    assert [each.verdict for each in found] == ["passes" if each.p <= 0.05 else "undecided" for each in found]
    assert found[1].verdict == "passes" and "after Holm's correction for 4 tests" in found[1].reason
    [gone] = zhang_tests([row(0.0, 1, 1.0), row(1.0, 2, 1.0)], COLUMN)  # no pair: not of the family
    assert [each.p for each in corrected([*tests, gone])[:4]] == [each.p for each in found]
    same = zhang_tests([row(level, seed, level) for seed in range(3) for level in (0.0, 1.0)], COLUMN)  # nothing varied: one of the family
    assert corrected([*tests, *same])[1].p == pytest.approx(5 / 4 * found[1].p, rel=1e-12)


def test_of_many_quantities_that_see_nothing_few_families_have_one_that_passes():
    """40 families of 20 blind measures: by themselves most families have one below 0.05; corrected, one in twenty families has any."""
    families = [family([0.0] * 20, seeds) for seeds in range(40)]
    alone = sum(any(test.verdict != "undecided" for test in tests) for tests in families)
    together = sum(any(test.verdict != "undecided" for test in corrected(tests)) for tests in families)
    assert alone >= 20  # expected: 40 (1 - 0.95^20) = 26
    assert together <= 6  # expected: at most 2; more than 6 by chance with probability 0.003, and the seeds are fixed


def test_a_column_that_no_row_has_is_refused():
    with pytest.raises(
        DataError, match=r"^zhang_tests: rows with measure\.Nonsense\.x on true and on random labels are required, got none among 1\. Add the measure"
    ):
        zhang_tests([row(0.0, 1, 1.0)], "measure.Nonsense.x")
