"""The ablation: its grid, effects that are known beforehand, claims that rows can contradict, and the statistics behind."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import shatterlab as sl
from shatterlab.analysis.comparisons import differences
from shatterlab.core.errors import DataError, InvalidPart, UnknownName
from shatterlab.core.values import Row
from shatterlab.design.ablation import Ablation, Factor
from shatterlab.statistics import detectable, holm, t_test
from shatterlab.views import Effect, Effects

FLIP, CROP = sl.HorizontalFlip(), sl.RandomCrop(None, padding=1)
FACTORS = (
    Factor("crop", adds={"learner.augmentation": (CROP,)}),
    Factor("decay", sets={"learner.optimizer.weight_decay": 0.01}),
    Factor("flip", adds={"learner.augmentation": (FLIP,)}),
)


def base(**fields):
    settings = {"epochs": 2, "batch_size": 32, "stop": "budget"} | fields
    return sl.Trial(sl.Digits(examples=60, test_examples=40), sl.TrueLabels(), sl.Training(sl.MLP((8,)), sl.SGD(lr=0.05), **settings))


def ablation(factors=FACTORS, **fields):
    return Ablation(base(), factors, **{"replicates": 4, **fields})


# The grid


def test_the_full_factorial_has_every_combination_and_one_cell_on_random_labels():
    cells = ablation().cells()
    assert set(cells) == {on for count in range(4) for on in itertools.combinations(("crop", "decay", "flip"), count)}
    assert cells["crop", "flip"].learner.augmentation == (CROP, FLIP) and cells["crop", "flip"].learner.optimizer.weight_decay == 0
    assert cells["decay",].learner.augmentation == () and cells["decay",].learner.optimizer.weight_decay == 0.01
    trials = ablation().trials()
    assert len(trials) == len({trial.key for trial in trials}) == 4 * (8 + 1)
    random = [trial for trial in trials if trial.corruption == sl.RandomLabels()]
    assert len(random) == 4 and {trial.learner for trial in random} == {cells["crop", "decay", "flip"].learner}
    assert {trial.seeds for trial in trials} == {sl.Seeds.replicate(r) for r in range(4)}


def test_one_at_a_time_has_none_each_and_all():
    cells = ablation(design="one_at_a_time").cells()
    assert list(cells) == [(), ("crop",), ("decay",), ("flip",), ("crop", "decay", "flip")]
    assert [each.name for each in ablation(design="one_at_a_time").effects()] == ["crop", "decay", "flip", "all of them"]
    assert [each.name for each in ablation(FACTORS[:1], design="one_at_a_time").effects()] == ["crop"]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Factor("nothing"), InvalidPart, "Factor: a field to set or to add to is required, 'nothing' has none. Say what it switches on."),
        (lambda: ablation(()), InvalidPart, "Ablation: at least one factor, of different names, is required, got none. Name each."),
        (lambda: ablation(FACTORS[:1] * 2), InvalidPart, "Ablation: at least one factor, of different names, is required, got crop, crop. Name each."),
        (lambda: ablation(design="half"), InvalidPart, "Ablation: design is 'factorial' or 'one_at_a_time', got 'half'"),
        (lambda: ablation(chance=1.0), InvalidPart, "Ablation: replicates >= 1, chance in [0, 1) and keeps in (0, 1) are required, got (4, 1.0, 0.8)"),
        (
            lambda: Factor("typo", sets={"learner.optimizer.weight_decai": 1.0}).applied(base()),
            UnknownName,
            "SGD: a known name is required, got 'weight_decai'. Did you mean weight_decay?",
        ),
    ],
)
def test_a_grid_that_means_nothing_is_refused(make, error, text):
    with pytest.raises(error) as refusal:
        make()
    assert str(refusal.value) == text


# Effects


def rows_of(experiment, value, **more):
    return [Row({**trial.specification(), "status": "ok", "classes": 10, **value(trial), **more}) for trial in experiment]


def planted(trial):
    """0.5 + 0.10 crop + 0.04 decay + 0.06 crop x decay, a replicate's own level, and 0 for flips; random labels at chance."""
    crop, decay = CROP in trial.learner.augmentation, trial.learner.optimizer.weight_decay > 0
    if trial.corruption == sl.RandomLabels():
        return {"test.accuracy": 0.1 + 0.001 * trial.seeds.data, "train.accuracy": 1.0 - 1e-4 * trial.seeds.data}
    level = 0.5 + 0.03 * trial.seeds.data
    return {"test.accuracy": level + 0.10 * crop + 0.04 * decay + 0.06 * crop * decay, "train.accuracy": 1.0 - 1e-4 * trial.seeds.data}


def test_effects_are_the_ones_that_were_planted():
    study = ablation()
    rows = rows_of(study.trials(), planted)
    found = {effect.name: differences(rows, effect, "test.accuracy")[0] for effect in study.effects()}
    wanted = {"crop": 0.13, "decay": 0.07, "flip": 0.0, "crop x decay": 0.06, "crop x flip": 0.0, "decay x flip": 0.0}
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx([value] * 4, abs=1e-12)  # the replicates' levels cancel


def test_one_at_a_time_effects_are_against_none():
    study = ablation(design="one_at_a_time")
    rows = rows_of(study.trials(), planted)
    found = {effect.name: differences(rows, effect, "test.accuracy")[0][0] for effect in study.effects()}
    assert found == pytest.approx({"crop": 0.10, "decay": 0.04, "flip": 0.0, "all of them": 0.20}, abs=1e-12)


def noisy(trial):
    noise = np.random.default_rng(int(trial.key[:8], 16)).normal(0, 0.01)
    return planted(trial) | {"test.accuracy": planted(trial)["test.accuracy"] + noise}


def test_the_table_of_effects_says_pairs_differences_corrected_p_and_what_could_be_seen():
    study = ablation()
    view = Effects(study.effects(), ("test.accuracy",))
    rows = rows_of(study.trials(), noisy)
    grid = view.grid(rows)
    assert [line[0] for line in grid.rows] == [effect.name for effect in study.effects()]
    samples = [differences(rows, effect, "test.accuracy")[0] for effect in study.effects()]
    p = holm([stats.ttest_1samp(each, 0).pvalue for each in samples])
    for line, values, adjusted in zip(grid.rows, samples, p, strict=True):
        assert line[2] == "4"
        interval = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
        ends = [f"{100 * each:+.1f}" for each in (np.mean(values), *interval)]
        assert line[3].replace("-0.0", "+0.0") == f"{ends[0]} [{ends[1]}, {ends[2]}]".replace("-0.0", "+0.0")
        assert line[4] == ("< 0.001" if adjusted < 0.001 else f"{adjusted:.3f}")
        assert line[5] == f"{100 * detectable(np.std(values, ddof=1), 4):.1f}"
    assert "Holm, over the 6 effects" in view.text(rows)


def test_a_diverged_replicate_is_lost_to_the_effects_it_belongs_to_and_said_so():
    study = ablation(FACTORS[:1])
    rows = rows_of(study.trials(), noisy)
    rows[1] = Row({**rows[1], "status": "diverged"})
    grid = Effects(study.effects(), ("test.accuracy",)).grid(rows)
    assert grid.rows[0][2] == "3 (1 lost)"


def test_a_single_pair_has_no_interval_and_none_no_table():
    study = ablation(FACTORS[:1], replicates=1)
    rows = rows_of(study.trials(), noisy)
    [line] = Effects(study.effects(), ("test.accuracy",)).grid(rows).rows
    assert line[2] == "1" and "[" not in line[3] and line[4:] == ("-", "-")
    assert Effects(study.effects()).text([]) == "Effects\n(no pairs)"
    assert Effects(study.effects()).spec(rows) is None


def test_pairs_are_by_seeds_not_by_place():
    effect = Effect("on", ({"on": True},), ({"on": False},))
    rows = [
        Row({"on": on, "seeds.data": seed, "key": f"{on}{seed}", "y": seed + 0.5 * on})
        for seed, on in [(2, True), (1, True), (1, False), (3, False), (2, False)]
    ]
    assert differences(rows, effect, "y") == ([0.5, 0.5], 0)


# Claims


def verdicts(study, value):
    rows = rows_of(study.trials(), value)
    return [judged.verdict for judged in study.experiment("mine").judge(rows)]


def without_gain(trial):
    return planted(trial) | (
        {} if trial.corruption == sl.RandomLabels() else {"test.accuracy": 0.5 + 0.001 * trial.seeds.data * (1 + len(trial.learner.augmentation))}
    )


def test_neither_necessary_nor_sufficient_is_three_sentences_that_rows_confirm():
    assert verdicts(ablation(), without_gain) == ["reproduced", "observed", "reproduced"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, lambda trial: without_gain(trial) | ({"test.accuracy": 0.3 + 0.001 * trial.seeds.data} if not trial.learner.augmentation else {})),
        (1, lambda trial: without_gain(trial) | ({"train.accuracy": 0.7 + 0.001 * trial.seeds.data} if trial.corruption == sl.RandomLabels() else {})),
        (2, lambda trial: without_gain(trial) | ({"test.accuracy": 0.4 + 0.001 * trial.seeds.data} if trial.corruption == sl.RandomLabels() else {})),
    ],
    ids=["necessary", "not fitted", "learned"],
)
def test_and_that_rows_contradict(place, value):
    found = verdicts(ablation(), value)
    assert found[place] == "contradicted" and found.count("contradicted") == 1


def test_a_ratio_counts_from_its_origin():
    """0.46 and 0.50 of a million with chance at 0.1: (0.46 - 0.1) / (0.50 - 0.1) = 0.9."""
    claim = sl.Claim("most remains", "test.accuracy", {"on": 0}, versus={"on": 1}, low=0.8, ratio=True, origin=0.1)
    rows = [
        Row({"on": on, "learner.on": on, "seeds.data": seed, "test.accuracy": value, "key": f"{on}{seed}", "test.n": 10**6})
        for seed in (1, 2)
        for on, value in ((0, 0.46), (1, 0.5))
    ]
    judged = claim.judge(rows)
    assert judged.verdict == "reproduced" and judged.interval.estimate == pytest.approx(0.9)
    with pytest.raises(InvalidPart, match=r"^Claim: origin is 0 without a ratio, got 0\.1\. Shift low and high instead\.$"):
        sl.Claim("x", "test.accuracy", low=0.0, origin=0.1)


def test_chance_is_that_of_the_rows_classes():
    """0.36 and 0.40 among four classes: (0.36 - 0.25) / (0.40 - 0.25) = 0.7333; without a number of classes there is no number."""
    claim = sl.Claim("most remains", "test.accuracy", {"on": 0}, versus={"on": 1}, low=0.7, ratio=True, origin="chance")
    rows = [
        Row({"on": on, "learner.on": on, "seeds.data": seed, "test.accuracy": value, "key": f"{on}{seed}", "classes": 4})
        for seed in (1, 2)
        for on, value in ((0, 0.36 + 1e-6 * seed), (1, 0.4))
    ]
    judged = claim.judge(rows)
    assert judged.verdict == "reproduced" and judged.interval.estimate == pytest.approx(0.11 / 0.15, abs=1e-4)
    near = sl.Claim("chance", "test.accuracy", {"on": 0}, low=-0.12, high=0.12, origin="chance").judge(rows)
    assert near.verdict == "reproduced" and near.interval.estimate == pytest.approx(0.11, abs=1e-4)
    blank = claim.judge([Row({**row, "classes": None}) for row in rows])
    assert blank.verdict == "too few trials" and "without a value" in blank.reason


def test_an_ablation_of_three_classes_needs_no_number():
    study = ablation(chance=None)
    origins = [claim.origin for claim in study.claims()]
    assert origins == ["chance", 0.0, "chance"]
    assert [claim.origin for claim in ablation(chance=0.25).claims()] == [0.25, 0.0, 0.0]


def test_an_ablation_runs_from_data_to_verdict():
    from shatterlab.studies.run import complete

    study = Ablation(base(epochs=3), FACTORS[:2], replicates=2, design="one_at_a_time").experiment("mine")
    rows = complete(study)
    assert {row["status"] for row in rows} == {"ok"} and len(rows) == 2 * 5
    assert "crop" in study.views[1].text(rows) and "training accuracy" in study.views[0].grid(rows).headers
    assert len(study.judge(rows)) == 3


# Statistics


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_sequential_procedure_rejects(p_values):
    """Two routes: adjusted p <= alpha, and the procedure as it is printed, at several alpha."""
    adjusted = holm(p_values)
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
            if p_values[place] * (len(p_values) - rank) > alpha:
                break
            rejected.add(place)
        assert {i for i, p in enumerate(adjusted) if p <= alpha} == rejected


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=8))
def test_the_t_test_is_scipys(values):
    p = t_test(values)
    if np.ptp(values) == 0:
        assert p == 1.0  # a tie tells nothing of the spread
    elif np.std(values) > 1e-6:
        assert p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("n", "power"), [(2, 0.8), (3, 0.8), (8, 0.8), (8, 0.95), (30, 0.5)])
def test_what_is_detectable_is_found_with_that_power(n, power):
    """Simulated: the share of 20,000 samples in which the test is significant; four standard deviations of that share are allowed."""
    effect = detectable(2.0, n, power=power)
    draws = np.random.default_rng(1).normal(effect, 2.0, (20_000, n))
    found = (stats.ttest_1samp(draws, 0, axis=1).pvalue <= 0.05).mean()
    assert abs(found - power) < 4 * math.sqrt(power * (1 - power) / 20_000)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: holm([0.2, 1.2]), "holm: p-values in [0, 1] are required, got 1.2. Leave out effects that were not tested."),
        (lambda: t_test([1.0]), "t_test: at least two values are required, got 1. Run more replicates."),
        (
            lambda: detectable(1.0, 1),
            "detectable: n >= 2 pairs, a deviation >= 0 and a power in (1 - level, 1) are required, got 1, 1.0 and 0.8. "
            "Run more replicates, or ask for another power.",
        ),
    ],
)
def test_numbers_out_of_range_are_refused(call, text):
    with pytest.raises(DataError) as refusal:
        call()
    assert str(refusal.value) == text
