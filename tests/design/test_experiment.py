"""Experiments as data, and verdicts of claims on rows made by hand."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from shatterlab import experiments
from shatterlab.analysis.replicates import by_configuration, distinct
from shatterlab.architectures.mlp import MLP
from shatterlab.core import Row, Runtime, Seeds
from shatterlab.core.errors import InvalidPart, UnknownName, UserCodeError
from shatterlab.corruptions.labels import PartialLabels
from shatterlab.datasets.digits import Digits
from shatterlab.design import claims as claims_module
from shatterlab.design import experiment as experiment_module
from shatterlab.design import verdicts as verdicts_module
from shatterlab.design.claims import difference, every, judge_together, mean, ratio
from shatterlab.design.experiment import SCALES, Claim, Experiment, Scale, grid, once
from shatterlab.learners.training import Training
from shatterlab.statistics import ratio_interval, share_interval, t_interval
from shatterlab.trials.trial import Trial, run

DOCS = Path(__file__).parents[2] / "docs" / "how-to"


def row(value, level=1.0, seed=0, *, column="test.error", model="MLP", status="ok", **more):
    """One row as a store gives it."""
    seeds = {f"seeds.{stream}": seed for stream in ("data", "corruption", "init", "order")}
    key = f"{model} {level} {seed}"
    return Row(
        {"key": key, "status": status, "corruption.kind": "PartialLabels", "corruption.level": level, "learner.architecture.kind": model}
        | seeds
        | {column: value}
        | more
    )


def rows(*values, **more):
    return [row(value, seed=seed, **more) for seed, value in enumerate(values)]


CHANCE = Claim("test error is chance", "test.error", where={"corruption.level": 1.0}, low=0.88, high=0.92)
RISES = Claim("error rises", "test.error", where={"corruption.level": 1.0}, versus={"corruption.level": 0.0}, low=0.02)


class TestScale:
    def test_the_three(self):
        assert list(SCALES) == ["smoke", "laptop", "paper"]
        assert Scale.named("paper").examples is None and Scale.named("smoke").examples == 400
        assert all(name == scale.name for name, scale in SCALES.items())

    @pytest.mark.parametrize("make", [Scale.named, Scale])
    def test_unknown_names_offer_the_nearest(self, make):
        with pytest.raises(UnknownName) as refusal:
            make("smok")
        assert str(refusal.value) == "Scale: a known name is required, got 'smok'. Did you mean smoke?"

    def test_numbers_out_of_range(self):
        with pytest.raises(InvalidPart) as refusal:
            Scale("smoke", replicates=0)
        assert str(refusal.value) == "Scale: replicates is a whole number >= 1, got 0"

    def test_pick(self):
        assert [scale.pick(smoke=1, laptop=2, paper=3) for scale in SCALES.values()] == [1, 2, 3]
        assert [scale.pick(smoke=1, laptop=None) for scale in SCALES.values()] == [1, None, None]
        assert [scale.pick(smoke=1, laptop=2, paper=None) for scale in SCALES.values()] == [1, 2, None]

    def test_a_scale_has_a_seed_for_each_replicate(self):
        assert Scale("smoke", replicates=2).seeds == [Seeds.replicate(0), Seeds.replicate(1)]

    def test_once(self):
        first, second = (Trial(Digits(examples=n), PartialLabels(0.5), Training(MLP())) for n in (10, 20))
        assert once([first, second, first]) == (first, second)

    def test_scale_enters_the_key(self):
        keys = {Trial(Digits(examples=scale.examples), PartialLabels(0), Training(MLP(), epochs=scale.epochs)).key for scale in SCALES.values()}
        assert len(keys) == 3


class TestGrid:
    def test_first_axis_varies_slowest(self):
        assert grid(lambda a, b: (a, b), a=[1, 2], b=["x", "y"]) == ((1, "x"), (1, "y"), (2, "x"), (2, "y"))
        assert grid(dict, a=[]) == () and grid(dict) == ({},)

    def test_an_axis_is_a_list(self):
        with pytest.raises(InvalidPart) as refusal:
            grid(dict, a=[1], b="xy")
        assert str(refusal.value) == "grid: every axis is a list, got b='xy'. Write b=[...]."


class TestAbsoluteClaims:
    @pytest.mark.parametrize(
        ("values", "verdict"),
        [
            ((0.899, 0.903, 0.901), "reproduced"),
            ((0.5, 0.51, 0.49), "contradicted"),
            ((0.87, 0.93, 0.90), "undecided"),
            ((0.9,), "too few trials"),
            ((), "too few trials"),
            ((0.9, 0.9, 0.9), "undecided"),  # distinct keys, equal values, of an unknown number of examples: no spread
        ],
    )
    def test_verdicts(self, values, verdict):
        judged = CHANCE.judge(rows(*values))
        assert judged.verdict == verdict and judged.n == len(values) and judged.claim is CHANCE
        if len(set(values)) > 1:
            assert judged.interval == share_interval(values)

    def test_ties_are_never_certain(self):
        """Equal values have the error of counting at least: 2,700 of 3,000 lie in [0.88, 0.92], 270 of 300 may not."""
        assert CHANCE.judge(rows(0.9, 0.9, 0.9)).reason == "all values are equal, which tells nothing of their spread"
        known = [CHANCE.judge(rows(0.9, 0.9, 0.9, **{"test.n": n})) for n in (1000, 100)]
        assert [judged.verdict for judged in known] == ["reproduced", "undecided"]
        exact = stats.binomtest(2700, 3000).proportion_ci(0.95, method="exact")
        assert (known[0].interval.low, known[0].interval.high) == pytest.approx((exact.low, exact.high))

    def test_reasons(self):
        logits = special.logit([0.899, 0.903, 0.901])
        p = 2 * stats.t.sf((special.logit(0.92) - logits.mean()) / stats.sem(logits), 2)
        linear = 2 * stats.t.sf((0.92 - 0.901) / stats.sem([0.899, 0.903, 0.901]), 2)
        p = max(p, linear)  # the hull lies inside where both do
        judged = CHANCE.judge(rows(0.899, 0.903, 0.901))
        assert judged.reason == f"the 95 % interval lies inside what is claimed (p = {p:.2g})" and judged.p == pytest.approx(p, rel=1e-5)
        assert CHANCE.judge(rows(0.9)).reason == "1 distinct replicates, at least 2 are required"
        assert CHANCE.judge(rows(0.9, 0.9, level=0.5)).reason == "no finished row has corruption.level = 1.0"

    def test_student_at_every_number_of_replicates(self):
        """Of real numbers; nothing is drawn, so that judging twice says the same."""
        score, values = Claim("t", "my.score", low=0.88, high=0.92), np.random.default_rng(0).normal(0.9, 0.005, 12)
        for n in (2, 9, 10, 12):
            judged = score.judge(rows(*values[:n], column="my.score"))
            expected = t_interval(values[:n])
            assert judged.interval == replace(expected, estimate=pytest.approx(expected.estimate)) and judged.reason.endswith(
                "my.score is read as a real number"
            )

    def test_other_rows_and_failed_ones_are_left_out(self):
        mixed = [*rows(0.899, 0.903, 0.901), *rows(0.1, 0.2, level=0.0), row(0.1, seed=9, status="failed")]
        assert CHANCE.judge(mixed).interval == share_interval([0.899, 0.903, 0.901])

    def test_where_takes_several_values(self):
        claim = Claim("t", "test.error", where={"corruption.level": [0.9, 1.0]}, low=0.8)
        judged = claim.judge([*rows(0.85, 0.851, level=0.9), *rows(0.9, 0.901), *rows(0.1, 0.1, level=0.0)])
        assert judged.verdict == "reproduced" and judged.reason.startswith("2 configurations: 2 reproduced; corruption.level = 0.9:")

    def test_scales(self):
        paper = Claim("t", "test.error", low=0.88, scales=("paper",))
        judged = paper.judge(rows(0.9, 0.91), "smoke")
        assert (judged.verdict, judged.interval, judged.n, judged.reason) == ("not at this scale", None, 0, "judged at paper scale only")
        assert paper.judge(rows(0.9, 0.901), "paper").verdict == "reproduced"
        assert CHANCE.judge(rows(0.9, 0.901), "laptop").verdict == "reproduced"

    def test_configurations_are_judged_one_by_one(self):
        """Pooled, the mean would lie in the claim; that is the planted bug."""
        both = [*rows(0.84, 0.841, 0.839), *rows(0.96, 0.961, 0.959, model="SmallAlexNet")]
        assert t_interval([each["test.error"] for each in both]).estimate == pytest.approx(0.9)
        judged = CHANCE.judge(both)
        assert judged.verdict == "contradicted" and judged.n == 3
        assert judged.reason == "2 configurations: 2 contradicted; MLP: the 95 % interval lies outside what is claimed (p = 0.001 at most)"

    def test_one_contradiction_among_many_takes_a_corrected_level(self):
        """19 configurations that hold and one just outside at 95 % are what chance gives."""
        fine = [each for level in range(1, 20) for each in rows(0.899, 0.903, 0.901, level=level / 20)]
        odd = rows(0.922, 0.923, 0.924, model="other")
        claim = Claim("t", "test.error", low=0.88, high=0.92)
        assert t_interval([0.922, 0.923, 0.924]).low > 0.92 - 1e-3 and claim.judge(odd).verdict == "contradicted"
        assert claim.judge([*fine, *odd]).verdict == "undecided"
        assert claim.judge([*fine, *rows(0.5, 0.501, 0.502, model="other")]).verdict == "contradicted"

    def test_false_contradictions_stay_below_the_level(self):
        """Twenty levels whose means sit at the claim's end: at least one "contradicted" in 5 % at most.

        Without the correction it is 40 %; 25 experiments, whose 5 standard errors are 22 %.
        """
        claim, rng = Claim("t", "my.score", low=0.5), np.random.default_rng(10)
        wrong = 0
        for _ in range(25):
            drawn = [each for level in range(20) for each in rows(*rng.normal(0.5, 0.1, 3), column="my.score", level=level / 20)]
            wrong += claim.judge(drawn).verdict == "contradicted"
        assert wrong / 25 <= 0.05 + 5 * math.sqrt(0.05 * 0.95 / 25)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({}, "Claim: low, high or both are required, got 't'. Say what is claimed as a range."),
            ({"low": 1, "high": 0}, "Claim: low is at most high, got (1.0, 0.0)"),
            ({"low": 1, "level": 95}, "Claim: level is a confidence in (0, 1), got 95.0"),
            ({"low": 1, "scales": ("huge",)}, "Claim: scales are among smoke, laptop, paper, got 'huge'"),
        ],
    )
    def test_refusals(self, fields, message):
        with pytest.raises(InvalidPart) as refusal:
            Claim("t", "test.error", **fields)
        assert str(refusal.value) == message

    def test_a_typing_error_is_told(self):
        wrong = Claim("t", "test.eror", low=0.5)
        assert wrong.judge(rows(0.9, 0.9)).reason == "Claim: a known name is required, got 'test.eror'. Did you mean test.error?"
        elsewhere = Claim("t", "test.error", where={"corruption.levl": 1.0}, low=0.5)
        assert "Did you mean corruption.level" in elsewhere.judge(rows(0.9, 0.9)).reason


class TestIdenticalReplicates:
    def test_rows_of_one_key_count_once(self):
        judged = CHANCE.judge([row(0.9), row(0.9), row(0.9)])
        assert (judged.verdict, judged.n) == ("too few trials", 1)

    def test_replicates_in_which_nothing_was_random_count_once(self):
        same = {"train.loss": 0.25, "test.loss": 0.5, "check.train_fingerprint": "abc"}
        judged = CHANCE.judge([row(0.9, seed=seed, **same) for seed in range(5)])
        assert (judged.verdict, judged.n) == ("too few trials", 1)
        assert len(distinct([row(0.9, seed=seed, **same) for seed in range(5)])) == 1

    def test_equal_results_of_different_labels_stay(self):
        drawn = [row(0.9, seed=seed, **{"train.loss": 0.0, "test.loss": 0.5, "check.train_fingerprint": f"{seed}"}) for seed in range(3)]
        assert CHANCE.judge(drawn).n == 3 == len(distinct(drawn))
        assert CHANCE.judge([Row({**each, "test.n": 1000}) for each in drawn]).verdict == "reproduced"

    def test_configurations_are_not_replicates(self):
        same = {"train.loss": 0.25, "test.loss": 0.5, "check.train_fingerprint": "abc"}
        assert len(distinct([row(0.9, model="MLP", **same), row(0.9, model="Linear", **same)])) == 2

    def test_a_deterministic_side_of_a_pair_takes_no_pair_away(self):
        same = {"train.loss": 0.25, "test.loss": 0.5, "check.train_fingerprint": "abc"}
        judged = RISES.judge([*rows(0.9, 0.91, 0.92), *(row(0.1, level=0.0, seed=seed, **same) for seed in range(3))])
        assert (judged.verdict, judged.n) == ("reproduced", 3)


class TestVersus:
    def test_pairs_by_seeds(self):
        shared, rise = (0.1, 0.4, 0.7), (0.1, 0.11, 0.09)  # between seeds the error varies far more than by level
        pairs = [*rows(*map(sum, zip(shared, rise, strict=True)), level=1.0), *reversed(rows(*shared, level=0.0))]
        judged = RISES.judge(pairs)
        expected = t_interval(rise)
        assert judged.verdict == "reproduced" and (judged.interval.low, judged.interval.high) == pytest.approx((expected.low, expected.high))

    def test_verdicts(self):
        low = rows(0.5, 0.5, 0.5, level=0.0)
        assert RISES.judge([*rows(0.3, 0.31, 0.29), *low]).verdict == "contradicted"
        assert RISES.judge([*rows(0.3, 0.9, 0.6), *low]).verdict == "undecided"
        assert RISES.judge([row(0.9), *low]).verdict == "too few trials"
        assert RISES.judge(low).verdict == "too few trials"
        equal = [*rows(0.5, 0.5, 0.5), *low]
        assert RISES.judge(equal).verdict == "undecided"  # a tie, and nobody knows of how many examples
        assert RISES.judge([Row({**each, "test.n": 1000}) for each in equal]).verdict == "contradicted"  # a margin keeps "no change" from passing as a rise

    def test_unpaired_seeds_are_left_out(self):
        judged = RISES.judge([*rows(0.9, 0.91, 0.92, 0.93), *rows(0.1, 0.1, level=0.0)])
        assert judged.n == 2

    def test_compares_a_model_with_itself(self):
        """Crosswise the differences would be 0.8 and 0."""
        table, n = {"MLP": (0.9, 0.5), "SmallAlexNet": (0.5, 0.1)}, {"test.n": 1000}
        sides = [(model, level, value) for model, pair in table.items() for level, value in zip((1.0, 0.0), pair, strict=True)]
        judged = RISES.judge([each for model, level, value in sides for each in rows(value, value, model=model, level=level, **n)])
        assert judged.verdict == "reproduced" and judged.interval.estimate == pytest.approx(0.4)

    def test_kinds_may_bring_other_fields(self):
        """Each model against the other at its own level, though only one of them has a width."""
        claim = Claim("t", "test.error", where={"learner.architecture.kind": "MLP"}, versus={"learner.architecture.kind": "Linear"}, low=0.0)
        levels = (0.0, 1.0)
        wide = [each for level in levels for each in rows(0.5 + level / 5, 0.501 + level / 5, level=level, **{"learner.architecture.hidden": "[512]"})]
        flat = [each for level in levels for each in rows(0.3, 0.3, level=level, model="Linear")]
        judged = claim.judge([*wide, *flat])
        assert judged.verdict == "reproduced" and judged.interval.estimate == pytest.approx(0.2, abs=0.001)

    def test_several_partners_are_no_pair(self):
        claim = Claim("t", "test.error", where={"corruption.level": 1.0}, versus={"corruption.level": [0.0, 0.5]}, low=0.0)
        judged = claim.judge([*rows(0.9, 0.9), *rows(0.1, 0.1, level=0.0), *rows(0.5, 0.5, level=0.5)])
        assert (judged.verdict, judged.n) == ("too few trials", 0)
        assert judged.reason == "0 distinct pairs with one other configuration that agrees in everything else, at least 2 are required"


class TestDivergedAndEmpty:
    def test_a_diverged_replicate_leaves_the_claim_undecided(self):
        judged = CHANCE.judge([*rows(0.899, 0.903, 0.901), row(0.9, seed=5, status="diverged")])
        assert judged.verdict == "undecided" and judged.n == 3
        assert judged.reason == "1 of 4 diverged or infinite, of which no mean can be taken"
        assert CHANCE.judge(rows(0.9, 0.9, status="diverged")).verdict == "undecided"

    def test_infinite_values_are_not_averaged(self):
        claim = Claim("t", "test.loss", low=0.0)
        assert claim.judge(rows(1.0, 1.1, math.inf, column="test.loss")).verdict == "undecided"

    def test_cells_without_a_value_are_counted(self):
        judged = CHANCE.judge([*rows(0.899, 0.903, 0.901), row(None, seed=7)])
        assert judged.verdict == "reproduced" and judged.reason.endswith("; 1 of 4 without a value")


class TestCensored:
    COLUMN = "fit.epochs_to_interpolation"

    def times(self, *values, budget=100, **more):
        extra = {"fit.epochs": budget, "fit.steps": 10 * budget}
        return [row(value, seed=seed, column=self.COLUMN, **extra, **{"fit.censored": value is None}, **more) for seed, value in enumerate(values)]

    def claim(self, **fields):
        return Claim("t", self.COLUMN, **fields)

    def test_a_bound_can_support_a_lower_end(self):
        judged = self.claim(low=50).judge(self.times(90, None, None))
        assert judged.verdict == "reproduced" and math.isnan(judged.interval.estimate) and judged.interval.high == math.inf
        assert judged.interval.low == pytest.approx(np.exp(t_interval(np.log([89, 100, 100])).low))  # 90 whole epochs are more than 89
        assert judged.reason.endswith("; 2 of 3 censored: decided by bounds only")

    def test_a_bound_can_contradict_an_upper_end_but_never_support_one(self):
        assert self.claim(high=20).judge(self.times(90, 95, None)).verdict == "contradicted"
        assert self.claim(high=1000).judge(self.times(90, 95, None)).verdict == "undecided"

    def test_a_silent_mean_would_have_passed(self):
        """The planted bug: leaving the censored one out gives 12 in [10, 14]."""
        claim = self.claim(low=10, high=14)
        assert claim.judge(self.times(12, 12.1, 11.9)).verdict == "reproduced"
        assert claim.judge(self.times(12, 12.1, 11.9, None)).verdict == "undecided"

    def test_steps_have_their_own_budget(self):
        claim = Claim("t", "fit.steps_to_interpolation", low=900)
        short = [row(None, seed=seed, column="fit.steps_to_interpolation", **{"fit.epochs": 100, "fit.steps": 1000 + seed}) for seed in range(3)]
        assert claim.judge(short).verdict == "reproduced"

    def test_equal_bounds_tell_nothing_of_the_mean_and_all_of_the_runs(self):
        """Three runs, all cut short at epoch 100: of each it is known that it takes more than 50, of their spread nothing."""
        made = self.times(None, None, None)
        judged = self.claim(low=50).judge(made)
        assert (judged.verdict, judged.interval) == ("undecided", None) and "tells nothing of their spread" in judged.reason
        assert self.claim(low=50, each=True).judge(made).verdict == "observed"

    def test_differences(self):
        slower = self.claim(where={"corruption.level": 1.0}, versus={"corruption.level": 0.0}, low=10)
        quick = self.times(10, 11, 12, level=0.0)
        assert slower.judge([*self.times(None, None, 80), *quick]).verdict == "reproduced"
        assert slower.judge([*self.times(10, 11, 12), *self.times(None, None, None, level=0.0)]).verdict == "contradicted"
        both = slower.judge([*self.times(None, None, None), *self.times(None, None, None, level=0.0)])
        assert both.verdict == "undecided" and "3 of 3 censored" in both.reason


class TestRatios:
    COLUMN = "fit.epochs_to_interpolation"

    def claim(self, **fields):
        return Claim("t", self.COLUMN, where={"corruption.level": 1.0}, versus={"corruption.level": 0.0}, ratio=True, **fields)

    def times(self, *values, level=1.0, budget=100, **more):
        return rows(*values, level=level, column=self.COLUMN, **{"fit.epochs": budget, "fit.steps": 10 * budget}, **more)

    def pairs(self, ours, theirs, **more):
        return [*self.times(*ours, **more), *self.times(*theirs, level=0.0, **more)]

    def test_the_number_is_the_geometric_mean_of_the_paired_ratios(self):
        judged = self.claim(high=5).judge(self.pairs((20, 33, 90), (10, 11, 30)))
        low, high = ratio_interval([19, 32, 89], [10, 11, 30]).low, ratio_interval([20, 33, 90], [9, 10, 29]).high  # the times in whole epochs
        found = judged.interval
        assert (found.estimate, found.low, found.high) == pytest.approx(((2 * 3 * 3) ** (1 / 3), low, high), rel=1e-12)
        assert (found.level, found.method, judged.n) == (0.95, "t of logarithms", 3)

    def test_of_a_quantity_without_epochs_it_is_the_interval_of_ratios(self):
        claim = replace(self.claim(high=5), column="train.loss")
        found = claim.judge([*rows(20, 33, 90, column="train.loss"), *rows(10, 11, 30, column="train.loss", level=0.0)]).interval
        expected = ratio_interval([20, 33, 90], [10, 11, 30])
        assert (found.estimate, found.low, found.high) == pytest.approx((expected.estimate, expected.low, expected.high), rel=1e-12)

    def test_verdicts(self):
        theirs = (10, 11, 12)
        assert self.claim(high=5).judge(self.pairs((30, 33, 37), theirs)).verdict == "reproduced"
        assert self.claim(high=5).judge(self.pairs((80, 84, 97), theirs)).verdict == "contradicted"
        assert self.claim(high=5).judge(self.pairs((30, 99, 40), theirs)).verdict == "undecided"
        assert self.claim(high=5).judge(self.pairs((30,), theirs)).verdict == "too few trials"
        assert self.claim(low=2).judge(self.pairs((30, 33, 37), theirs)).verdict == "reproduced"

    def test_one_pair_has_an_estimate_and_no_ends(self):
        judged = self.claim(high=5).judge(self.pairs((30,), (10,)))
        assert (judged.verdict, judged.interval.estimate, judged.interval.low, judged.interval.high) == ("too few trials", pytest.approx(3), 0, math.inf)

    def test_other_means_would_say_otherwise(self):
        """The planted bugs: ten times as long and a tenth are 1 on average, which the mean of ratios and of differences do not see."""
        made = self.pairs((1000, 100, 990, 99), (100, 1000, 99, 990))
        assert np.mean([10, 0.1, 10, 0.1]) == pytest.approx(5.05)
        assert self.claim(low=0.9, high=1.1).judge(made).interval.estimate == pytest.approx(1)
        skewed = self.pairs((40, 42, 44, 4000), (20, 21, 22, 2000))
        assert np.mean([40, 42, 44, 4000]) - np.mean([20, 21, 22, 2000]) > 100
        judged = self.claim(low=1.5, high=2.7).judge(skewed)  # 5 whole epochs may be 4, and 10 may be 9
        assert judged.verdict == "reproduced" and judged.interval.estimate == pytest.approx(2)

    def test_pairs_by_seeds(self):
        """Crosswise the ratios would be 30 and 0.3."""
        ours, theirs = self.times(600, 6000), self.times(200, 2000, level=0.0)
        judged = self.claim(low=2.5, high=3.5).judge([*ours, *reversed(theirs)])
        assert judged.interval.estimate == pytest.approx(3)
        ours = self.times(600, 6000, 61000)
        judged = self.claim(low=2.5, high=3.5).judge([*ours, *reversed(self.times(200, 2000, 20000, level=0.0))])
        assert judged.verdict == "reproduced"

    def test_configurations_are_judged_one_by_one(self):
        """Pooled, twice and half as long would be equal."""
        made = [*self.pairs((20, 22, 24), (10, 11, 12)), *self.pairs((5, 5.5, 6), (10, 11, 12), model="Linear")]
        judged = self.claim(low=0.9, high=1.1).judge(made)
        assert judged.verdict == "contradicted" and judged.reason.startswith("2 configurations: 2 contradicted;")

    def test_equivalence_is_two_one_sided_tests(self):
        """At level 0.9 the interval lies inside just where both one-sided tests at 5 % reject: not where it merely holds 1."""
        same = self.claim(low=0.9, high=1.1, level=0.9)
        theirs = [30, 33, 37, 35, 31]

        def judged(*factors):
            return same.judge(self.pairs([time * factor for time, factor in zip(theirs, factors, strict=True)], theirs))

        assert judged(1.01, 0.99, 1.02, 0.98, 1.0).verdict == "reproduced"
        wide = judged(1.3, 0.8, 1.1, 0.75, 1.2)
        assert wide.interval.low < 1 < wide.interval.high and wide.verdict == "undecided"
        assert judged(1.31, 1.29, 1.32, 1.28, 1.3).verdict == "contradicted"

    def test_a_censored_side_is_a_bound(self):
        slow = self.pairs((None, None, 90), (10, 11, 12))
        judged = self.claim(low=5).judge(slow)
        assert judged.verdict == "reproduced" and judged.reason.endswith("; 2 of 3 censored: decided by bounds only")
        assert math.isnan(judged.interval.estimate) and judged.interval.high == math.inf
        assert judged.interval.low == pytest.approx(ratio_interval([100, 100, 89], [10, 11, 12]).low)
        assert self.claim(high=5).judge(slow).verdict == "contradicted"
        assert self.claim(high=50).judge(slow).verdict == "undecided"
        quick = self.pairs((10, 11, 12), (None, None, 90))
        judged = self.claim(high=0.2).judge(quick)
        assert judged.verdict == "reproduced" and (judged.interval.low, judged.interval.high < 0.2) == (0, True)
        assert self.claim(low=0.5).judge(quick).verdict == "contradicted"
        assert self.claim(low=0.05).judge(quick).verdict == "undecided"
        assert self.claim(low=0.05).judge(self.pairs((None, None), (None, None))).verdict == "undecided"

    def test_leaving_a_censored_pair_out_would_have_passed(self):
        """The planted bug: of the pairs that are known, the ratio is 3."""
        made = self.pairs((30, 33, 36, None), (10, 11, 12, 1))
        assert self.claim(high=5).judge(self.pairs((30, 33, 36), (10, 11, 12))).verdict == "reproduced"
        assert self.claim(high=5).judge(made).verdict == "undecided"

    @pytest.mark.parametrize("value", [0, 0.0, -1.5])
    def test_what_has_no_ratio_is_told(self, value):
        claim = Claim("t", "train.loss", where={"corruption.level": 1.0}, versus={"corruption.level": 0.0}, high=5, ratio=True)
        low = rows(0.5, 0.6, value, level=0.0, column="train.loss")
        judged = claim.judge([*rows(1.0, 1.2, 1.1, column="train.loss"), *low])
        assert (judged.verdict, judged.n) == ("undecided", 2)
        assert judged.reason == "1 of 3 with train.loss <= 0 on a side, of which no ratio can be taken"
        none = claim.judge([*rows(value, value, column="train.loss"), *rows(value, value, level=0.0, column="train.loss")])
        assert (none.verdict, none.interval, none.n) == ("undecided", None, 0)
        assert none.reason == "2 of 2 with train.loss <= 0 on a side, of which no ratio can be taken"

    def test_a_diverged_side_leaves_it_undecided(self):
        made = [*self.pairs((30, 33, 36), (10, 11, 12)), row(30, seed=3, column=self.COLUMN, status="diverged"), row(10, 0.0, 3, column=self.COLUMN)]
        judged = self.claim(high=5).judge(made)
        assert judged.verdict == "undecided" and judged.reason == "1 of 4 diverged or infinite, of which no mean can be taken"

    def test_ends_beyond_the_largest_number_leave_it_undecided(self):
        claim = Claim("t", "train.loss", where={"corruption.level": 1.0}, versus={"corruption.level": 0.0}, high=5, ratio=True)
        far = [*rows(1e-40, 1e30, column="train.loss"), *rows(1.0, 1.0, level=0.0, column="train.loss")]
        assert claim.judge(far).verdict == "undecided"
        farther = [*rows(1e-300, 1e300, column="train.loss"), *rows(1e300, 1e-300, level=0.0, column="train.loss")]
        assert claim.judge(farther).verdict == "undecided"

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"high": 5}, "Claim: versus is required for a ratio, got None. Say what to divide by."),
            ({"high": 5, "low": 0, "versus": {}}, "Claim: low and high of a ratio are factors > 0, got 0.0. 1 stands for as large as."),
            ({"high": -0.1, "versus": {}}, "Claim: low and high of a ratio are factors > 0, got -0.1. 1 stands for as large as."),
        ],
    )
    def test_refusals(self, fields, message):
        with pytest.raises(InvalidPart) as refusal:
            Claim("t", "test.error", ratio=True, **fields)
        assert str(refusal.value) == message

    def test_claims_of_other_kinds_keep_their_description(self):
        assert "ratio" not in RISES.describe() and self.claim(high=5).describe()["ratio"] is True


class TestByConfiguration:
    def test_groups_replicates(self):
        groups = by_configuration([*rows(0.9, 0.8), *rows(0.1, level=0.0)])
        assert [len(members) for members in groups.values()] == [2, 1]
        assert all(not column.startswith("seeds.") for configuration in groups for column, _ in configuration)


def small(*levels, replicates=2):
    learner = Training(MLP((4,)), epochs=1)
    seeds = [Seeds.replicate(r) for r in range(replicates)]
    return grid(Trial, dataset=[Digits(examples=50, test_examples=20)], corruption=[*map(PartialLabels, levels)], learner=[learner], seeds=seeds)


def result(trial, value):
    return Row({**trial.specification(), "status": "ok", "test.error": value})


class TestExperiment:
    def test_lists_become_tuples(self):
        made = Experiment("n", "s", "q?", [*small(0.0)], views=["v"], claims=[CHANCE])
        assert isinstance(made.trials, tuple) and made.views == ("v",) and made.claims == (CHANCE,)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"trials": ()}, "Experiment: at least one trial or a propose is required, 'n' has neither. Look for an empty axis of its grid."),
            ({"trials": (1,)}, "Experiment: trials are Trial(dataset, corruption, learner, ...), got 1. Make them with grid(Trial, ...)."),
            ({"trials": (), "claims": CHANCE}, None),
        ],
    )
    def test_refusals(self, fields, message):
        with pytest.raises(InvalidPart) as refusal:
            Experiment("n", "s", "q?", **fields)
        assert message is None or str(refusal.value) == message

    def test_judges_its_own_rows_only(self):
        made = Experiment("n", "s", "q?", small(1.0), claims=(CHANCE,))
        own = [result(trial, 0.9 + i / 1000) for i, trial in enumerate(made.trials)]
        foreign = [result(trial, 0.1) for trial in small(1.0, replicates=6)[2:]]
        assert made.select([*foreign, *reversed(own)]) == own
        assert [(each.verdict, each.n) for each in made.judge([*foreign, *own])] == [("reproduced", 2)]

    def test_propose_is_called_until_it_gives_none(self):
        ladder = small(0.0, 0.5, 1.0, replicates=1)
        made = Experiment("n", "s", "q?", ladder[:1], propose=lambda known: ladder[: len(known) + 1])  # proposes old ones again
        known = [result(made.trials[0], 0.1)]
        while further := made.further(known):
            assert further == (ladder[len(known)],)
            known.append(result(further[0], 0.1))
        assert len(known) == 3 and made.select(reversed(known)) == known
        assert made.select(known[1:]) == []  # what follows from a row that is missing is not followed
        assert made.select(known[:2]) == known[:2]

    def test_propose_may_start_from_nothing(self):
        first = small(0.0, replicates=1)
        made = Experiment("n", "s", "q?", (), propose=lambda known: () if known else first)
        assert made.further([]) == first and made.select([result(first[0], 0.1)]) != []


class TestDiscovery:
    def test_names_are_those_of_files_with_an_experiment(self):
        assert "figure1c" in experiments.names() and "__init__" not in experiments.names()
        assert all(experiments.summaries().values())

    def test_unknown_name(self):
        with pytest.raises(UnknownName) as refusal:
            experiments.find("figure1d")
        assert str(refusal.value).startswith("experiments: a known name is required, got 'figure1d'. Did you mean figure1c")

    def test_outside_file(self, tmp_path):
        file = tmp_path / "my_idea.py"
        file.write_text(
            "from shatterlab import Digits, Experiment, MLP, PartialLabels, Training, Trial\n"
            "def experiment(scale):\n"
            "    return Experiment('mine', 'me', 'why?', [Trial(Digits(), PartialLabels(0), Training(MLP()))], scale=scale.name)\n"
        )
        made = experiments.load(file)(Scale.named("smoke"))
        assert made.name == "mine" and made.scale == "smoke"

    @pytest.mark.parametrize(
        ("text", "error", "message"),
        [
            ("x = 1", InvalidPart, "my_idea.py: a function experiment(scale) is required, there is none. Write `def experiment(scale: Scale) -> Experiment`."),
            ("def experiment(scale):\n    return 3", InvalidPart, "my_idea.py: experiment(scale) gives an Experiment, got 3. Return it."),
            ("def experiment(scale):\n    return 1 / 0", UserCodeError, "my_idea.py: experiment(smoke) failed with ZeroDivisionError: division by zero"),
        ],
    )
    def test_bad_outside_files(self, tmp_path, text, error, message):
        file = tmp_path / "my_idea.py"
        file.write_text(text)
        with pytest.raises(error) as refusal:
            experiments.load(file)(Scale.named("smoke"))
        assert str(refusal.value) == message


class TestFigure1c:
    @pytest.mark.parametrize(("scale", "trials"), [("smoke", 5 * 3), ("laptop", 16 * 3), ("paper", 33 * 3)])
    def test_is_data_at_every_scale(self, scale, trials):
        made = experiments.find("figure1c")(Scale.named(scale))
        assert len(made.trials) == trials == len({trial.key for trial in made.trials})
        assert made.scale == scale and made.question.endswith("?") and len(made.views) == 3

    def test_paper_recipe(self):
        made = experiments.find("figure1c")(Scale.named("paper"))
        rates = {trial.learner.architecture.kind: trial.learner.optimizer.lr for trial in made.trials}
        assert rates == {"SmallInception": 0.1, "SmallAlexNet": 0.01, "MLP": 0.01}
        assert {(each.learner.decay, each.learner.decay_steps, each.learner.batch_size, each.learner.optimizer.momentum) for each in made.trials} == {
            (0.95, 391, 128, 0.9)
        }
        assert {(each.dataset.crop, each.dataset.examples) for each in made.trials} == {(28, None)}

    def test_published_curve_reproduces_its_own_claims(self):
        """The paper's numbers as rows: what they show must be judged so; their single run makes the replicates."""
        from shatterlab.references import published

        made = experiments.find("figure1c")(Scale.named("paper"))
        names = {"inception": "SmallInception", "alexnet": "SmallAlexNet", "mlp_1x512": "MLP"}
        as_rows = [
            row(
                each.value + seed * (1 + each.conditions["label_corruption"]) / 1e4,
                each.conditions["label_corruption"],
                seed,
                model=names[each.conditions["model"]],
                **{"train.accuracy": 1.0, "test.n": 10_000},
            )
            for each in published("figure1c")
            for seed in range(3)
        ]
        verdicts = {judged.claim.text: judged.verdict for judged in judge_together(made.claims, as_rows, "paper")}
        assert verdicts.pop("training accuracy is at least 0.993 at every level") == "observed"  # all are exactly 1
        assert set(verdicts.values()) == {"reproduced", "not at this scale"}
        halved = [row(each["test.error"] / 2, each["corruption.level"], each["seeds.data"], model=each["learner.architecture.kind"]) for each in as_rows]
        assert next(claim for claim in made.claims if claim.text.endswith("chance")).judge(halved, "paper").verdict == "contradicted"

    def test_a_smaller_smoke_run(self):
        """Two replicates of a 60-example figure, run for real: fits at every level, and errs more the more labels are wrong."""
        made = experiments.find("figure1c")(Scale("smoke", examples=60, test_examples=200, replicates=2))
        found = [run(trial, Runtime(test_every=1000)) for trial in made.trials]
        assert {each["status"] for each in found} == {"ok"}
        assert {each.verdict for each in made.judge(found)} <= {"not judged", "not at this scale"}
        judged = {each.claim.text: each for each in judge_together(made.claims, found, "laptop")}
        assert judged["training error is zero at every level"].verdict == "observed"
        assert judged["test error rises from level 0 to 1 by at least 0.02"].interval.estimate > 0.3


def test_constructors_of_claims_say_what_the_fields_say():
    random, true = {"corruption.level": 1.0}, {"corruption.level": 0.0}
    assert mean("t", "test.error", random, low=0.88, level=0.9) == Claim("t", "test.error", random, low=0.88, level=0.9)
    assert mean("t", "test.accuracy", high=0.05, above_chance=True) == Claim("t", "test.accuracy", high=0.05, origin="chance")
    assert difference("t", "test.error", random, true, low=0.02) == Claim("t", "test.error", random, versus=true, low=0.02)
    fields = {"high": 5, "scales": ("paper",), "reference": "Figure 1(b)"}
    assert every("t", "fit.epochs", random, true, ratio=True, **fields) == Claim("t", "fit.epochs", random, versus=true, ratio=True, each=True, **fields)
    assert ratio("t", "fit.epochs", random, true, origin=0.1, **fields) == Claim("t", "fit.epochs", random, versus=true, ratio=True, origin=0.1, **fields)


def test_experiments_do_not_know_views_and_figures_have_no_loop():
    for module in (experiment_module, claims_module, verdicts_module):
        tree = ast.parse(Path(module.__file__).read_text())
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {name for name in imported if name and name.startswith(("shatterlab.views", "shatterlab.report", "shatterlab.store.database"))}
    tree = ast.parse((Path(experiments.__file__).parent / "paper" / "figure1c.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.While)]


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    text = (DOCS / "experiment.md").read_text()
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(compile(block, "experiment.md", "exec"), namespace)
    assert "width 256 fits random labels" in capsys.readouterr().out
    for name, scale in SCALES.items():
        cells = [scale.examples or "all", scale.test_examples or "all", scale.replicates, scale.epochs]
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert [cell.strip() for cell in line.split("|")[3:-1]] == [str(cell) for cell in cells]
