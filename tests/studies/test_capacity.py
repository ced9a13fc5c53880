"""The capacity meter: the search, what is a bound and never a capacity, bits, the experimental VC dimension, and the face."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import shatterlab as sl
from shatterlab.analysis.capacity import attempts
from shatterlab.core import Fit
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.core.values import Row
from shatterlab.design.claims import judge_together
from shatterlab.design.experiment import SCALES
from shatterlab.experiments.beyond import capacity as searches_of
from shatterlab.measures.memorized_bits import MemorizedBits
from shatterlab.studies import capacity as meters
from shatterlab.studies.capacity import Search, measured
from shatterlab.theory.capacity import Attempts, effective_complexity, memorized_bits, next_sizes
from shatterlab.theory.vc import expected_deviation, fitted_vc_dimension
from shatterlab.views import FitProbability

# The search over sizes


def searched(holds, start=16, limit=10_000, resolution=0.1, runs=3, undecided=False):
    """The whole search against a learner whose answer at each size is known."""
    tried: list[Attempts] = []
    while sizes := next_sizes(tried, start, limit, resolution):
        assert not {each.n for each in tried} & set(sizes)
        tried += [Attempts(n, runs, runs if holds(n) else 0, 0 if holds(n) or not undecided else runs) for n in sizes]
        assert len(tried) < 200
    return tried


@given(st.integers(0, 3000), st.integers(1, 200), st.integers(1, 2500), st.sampled_from([0.01, 0.1, 0.5]))
def test_a_threshold_is_found_to_the_resolution(threshold, start, limit, resolution):
    tried = searched(lambda n: n <= threshold, start, limit, resolution)
    found = effective_complexity(tried)
    assert {each.n for each in tried} <= set(range(1, limit + 1))
    assert found.n <= min(threshold, limit)
    if threshold >= limit:
        assert found.n == limit and found.lower_bound
    elif threshold == 0:
        assert (found.n, found.above) == (0, 1)
    else:
        assert not found.lower_bound and found.n <= threshold < found.above
        assert found.above - found.n <= max(1, resolution * found.n)
    assert found.disorder == ()


def islands(n):
    """Fits up to 40, fails to 90, fits again from 90 to 150: P(fit) is not monotone."""
    return n <= 40 or 90 <= n <= 150


def test_a_size_that_is_fitted_beyond_one_that_is_not_moves_the_search_up():
    found = effective_complexity(searched(islands))
    assert 136 <= found.n <= 150 < found.above  # 150 less a gap of a tenth
    assert found.disorder
    small, large = found.disorder[-1]
    assert 40 < small < 90 <= large
    assert "P(fit) does not fall throughout" in found.text


def bisected(holds, low, high):
    """The planted bug: a bisection that takes P(fit) for monotone, and stops at the first failure."""
    while holds(2 * low):
        low *= 2
    high = 2 * low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def test_a_bisection_that_assumes_order_misses_what_the_search_finds():
    assert bisected(islands, 16, 0) == 40
    assert effective_complexity(searched(islands)).n > 3 * bisected(islands, 16, 0)


@given(st.lists(st.booleans(), min_size=1, max_size=300), st.integers(1, 100))
def test_any_pattern_at_all_ends_and_says_the_largest_tried_fit(pattern, start):
    tried = searched(lambda n: pattern[n - 1], start, len(pattern), 0.05)
    found = effective_complexity(tried)
    assert found.n == max((each.n for each in tried if pattern[each.n - 1]), default=0)
    assert bool(found.disorder) == any(not pattern[a.n - 1] and pattern[b.n - 1] for a in tried for b in tried if a.n < b.n)


# Bounds


@pytest.mark.parametrize(
    ("curve", "text"),
    [
        ([Attempts(8, 3, 3), Attempts(16, 3, 2), Attempts(24, 3, 1)], "EMC = 16 (24 is not fitted)"),
        ([Attempts(8, 3, 3), Attempts(16, 3, 0, 3)], "EMC >= 8 (at 16 runs were cut short that may yet have fitted)"),
        ([Attempts(8, 3, 3), Attempts(16, 4, 0, 1)], "EMC = 8 (16 is not fitted)"),  # one more fit of four would not be half
        ([Attempts(8, 3, 3), Attempts(16, 3, 0), Attempts(32, 3, 0, 3)], "EMC >= 8 (at 32 runs were cut short that may yet have fitted)"),
        ([Attempts(8, 3, 3), Attempts(16, 0, 0)], "EMC >= 8 (at 16 runs were cut short that may yet have fitted)"),
        ([Attempts(400, 2, 2)], "EMC >= 400 (nothing larger was tried)"),
        ([Attempts(4, 2, 0)], "EMC < 4, the smallest size that was tried"),
        ([Attempts(4, 2, 0, 2)], "no size that was tried is fitted, and no bound follows (at 4 runs were cut short that may yet have fitted)"),
        (
            [Attempts(8, 3, 1), Attempts(16, 3, 3), Attempts(32, 3, 0)],
            "EMC = 16 (32 is not fitted); P(fit) does not fall throughout: 16 is fitted and 8 is not, which chance explains",
        ),
        (
            [Attempts(8, 9, 0), Attempts(16, 9, 9), Attempts(32, 9, 0)],
            "EMC = 16 (32 is not fitted); P(fit) does not fall throughout: 16 is fitted and 8 is not, their 95 % intervals are disjoint",
        ),
    ],
)
def test_what_is_a_bound_is_told_as_one(curve, text):
    assert effective_complexity(curve).text == text


def test_a_size_counts_once():
    with pytest.raises(DataError, match=r"^effective_complexity: one entry a size is required, got \[8, 8\]\. Bring the replicates together\.$"):
        effective_complexity([Attempts(8, 1, 1), Attempts(8, 1, 0)])
    with pytest.raises(DataError, match=r"^Attempts: fitted and undecided runs among all"):
        Attempts(8, 2, 2, 1)


def made(n, error, *, censored=False, status="ok", seed=0, **more):
    """A row as the meter reads it (test data, not a result)."""
    seeds = {f"seeds.{stream}": seed for stream in ("data", "corruption", "init", "order")}
    columns = {"key": f"{n}-{seed}-{error}", "status": status, "learner.kind": "Training", "learner.architecture.kind": "MLP", "dataset.examples": n}
    return Row(columns | seeds | {"train.n": n, "train.error": error, "fit.censored": censored, "classes": 2, "corruption.level": 1.0} | more)


def test_a_run_that_hit_its_budget_is_no_failure_to_fit():
    rows = [made(8, 0.0), made(16, 0.1, censored=True), made(16, 0.0, seed=1), made(32, 0.4, seed=2, censored=True)]
    assert attempts(rows) == [Attempts(8, 1, 1), Attempts(16, 2, 1, 1), Attempts(32, 1, 0, 1)]
    assert measured(rows, 0.0).complexity.text == "EMC >= 16 (at 32 runs were cut short that may yet have fitted)"
    careless = [Row({**row, "fit.censored": False}) for row in rows]  # planted: censored counted as a failure to fit
    assert measured(careless, 0.0).complexity.text == "EMC = 16 (32 is not fitted)"


def test_diverged_runs_decide_nothing_and_failed_ones_are_left_out():
    rows = [made(8, 0.0), made(16, 0.0, status="diverged"), made(16, 0.5, status="failed", seed=1)]
    assert attempts(rows) == [Attempts(8, 1, 1), Attempts(16, 1, 0, 1)]
    assert attempts([made(8, None, status="failed")]) == [Attempts(8, 0, 0)]


def test_a_tolerance_lets_some_labels_go():
    rows = [made(100, 0.05), made(200, 0.2)]
    assert [each.fitted for each in attempts(rows, 0.0)] == [0, 0]
    assert [each.fitted for each in attempts(rows, 0.1)] == [1, 0]


# Proposals are a pure function of rows


def answered(trials, threshold, censored=False):
    """Rows of trials, as a learner would give them that fits up to a threshold."""
    rows = []
    for trial in trials:
        n = trial.dataset.examples
        fits = n <= threshold
        rows.append(Row({**trial.specification(), "status": "ok", "train.n": n, "train.error": 0.0 if fits else 0.3, "fit.censored": censored and not fits}))
    return rows


@pytest.mark.parametrize("threshold", [0, 5, 16, 45, 1000])
def test_the_experiment_proposes_until_the_gap_is_small(threshold):
    search = Search(sl.Digits(), sl.LinearMinimumNorm(), limit=100, replicates=2)
    experiment = meters.plan([search], ())
    rows, rounds = answered(experiment.trials, threshold), 0
    while further := experiment.further(rows):
        assert further == experiment.further(list(reversed(rows)))  # whatever the order of the rows
        rows += answered(further, threshold)
        rounds += 1
    assert rounds < 12
    found = measured(search.rows(rows), 0.0)
    assert found.complexity.n <= threshold
    assert all(each.runs == 2 for each in found.curve)
    assert experiment.select([*rows, made(7, 0.0)]) == rows  # other rows tell nothing
    assert search.propose(rows) == ()


def test_half_a_size_is_asked_for_again():
    search = Search(sl.Digits(), sl.LinearMinimumNorm(), limit=100, replicates=3)
    first = search.first()
    assert search.propose(answered(first[:1], 50)) == first[1:]


def test_two_searches_go_side_by_side():
    one, two = (Search(sl.Digits(), sl.LinearMinimumNorm(whiten=whiten), limit=100, replicates=1) for whiten in (False, True))
    experiment = meters.plan([one, two], ())
    rows = answered(experiment.trials[:1], 50) + answered(experiment.trials[1:], 3)
    assert {(trial.learner.whiten, trial.dataset.examples) for trial in experiment.further(rows)} == {(False, 32), (True, 8)}


# Bits


def test_bits_are_those_of_known_models():
    assert memorized_bits([math.log(1 / 4)] * 10, 4) == pytest.approx(0, abs=1e-12)
    assert memorized_bits([math.log(1 / 2)] * 10, 4) == pytest.approx(10)
    assert memorized_bits([math.log(1e-3)], 2) == pytest.approx(1 + math.log2(1e-3))  # sure and wrong: negative
    assert memorized_bits([0.0, -math.inf], 2) == -math.inf


@pytest.mark.parametrize(("logs", "classes"), [([], 2), ([0.0], 1), ([0.1], 2), ([math.nan], 2)])
def test_bits_of_what_is_no_probability_are_refused(logs, classes):
    with pytest.raises(DataError, match=r"^memorized_bits: "):
        memorized_bits(logs, classes)


@given(st.integers(2, 12), st.integers(2, 60), st.integers(0, 10_000))
def test_no_predictor_that_has_not_seen_the_labels_gains_bits_in_the_mean(classes, n, seed):
    """E 2^bits = 1 for probabilities fixed before the labels are drawn; over all labels of one example the mean is exact."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes))
    gains = [2 ** memorized_bits([math.log(each)], classes) for each in p]
    assert np.mean(gains) == pytest.approx(1, rel=1e-9)  # sums of at most 12 terms
    assert memorized_bits(np.log(p[rng.integers(classes, size=n)]), classes) <= n * math.log2(classes)


def fit_of(scores, output, model=None):
    return Fit(lambda inputs: scores[: len(inputs)], output, model), sl.Examples(torch.zeros(len(scores), 1), torch.zeros(len(scores), dtype=torch.int64), 2)


def test_the_measure_counts_bits_by_parameter():
    logits = torch.tensor([[20.0, -20.0]] * 6)
    found = MemorizedBits().of(*fit_of(logits, "logits", nn.Linear(2, 1, bias=True)))
    assert found == pytest.approx({"bits": 6.0, "share": 1.0, "per_example": 1.0, "per_parameter": 2.0})
    probabilities = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    assert MemorizedBits().of(*fit_of(probabilities, "probabilities")) == {"bits": -1.0, "share": -0.5, "per_example": -0.5, "per_parameter": None}


@pytest.mark.parametrize(
    ("learner", "reason"),
    [
        (
            sl.Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}),
            "MemorizedBits: probabilities between 0 and 1 are required, all of this model's are 0 or 1, as of the nearest neighbour's lookup",
        ),
        (sl.LinearMinimumNorm(), "MemorizedBits: probabilities are required, the scores of this model are values. Fit one that gives logits or probabilities."),
    ],
)
def test_bits_of_a_lookup_are_undefined(learner, reason):
    row = sl.run(sl.Trial(sl.Digits(examples=60, test_examples=20), sl.RandomLabels(), learner, measures=(MemorizedBits(),)))
    assert row["status"] == "ok"
    assert row["measure.MemorizedBits"] is None
    assert row["measure.MemorizedBits.reason"] == reason


def test_a_forest_holds_more_bits_of_random_labels_the_deeper_it_is():
    held = []
    for depth in (1, 4, 8):
        forest = sl.Estimator("sklearn.ensemble:RandomForestClassifier", {"n_estimators": 10, "max_depth": depth, "bootstrap": False})
        held.append(sl.run(sl.Trial(sl.Digits(examples=100, test_examples=20), sl.RandomLabels(), forest, measures=(MemorizedBits(),))))
    bits = [row["measure.MemorizedBits.bits"] for row in held]
    assert 0 < bits[0] < bits[1] < bits[2] <= 100 * math.log2(10)


# The experimental VC dimension


def test_the_formula_leaves_one_where_its_constants_say():
    """Their c is what makes the formula continuous at t = 1/2, to the five digits that they give."""
    t = 0.5 + 1e-12
    rise = math.log(2 * t) + 1
    outside = 0.16 * rise / (t - 0.14928) * (math.sqrt(1 + 1.2 * (t - 0.14928) / rise) + 1)
    assert outside == pytest.approx(1, abs=1e-4)
    values = [expected_deviation(t) for t in np.geomspace(0.1, 1000, 60)]
    assert all(a >= b for a, b in itertools.pairwise(values))
    assert values[-1] < 0.1


@pytest.mark.parametrize("h", [3.0, 20.0, 700.0])
def test_a_dimension_is_found_again_from_its_own_curve(h):
    halves = h * np.geomspace(0.3, 10, 8)
    found = fitted_vc_dimension(halves, [expected_deviation(n / h) for n in halves])
    assert found.h == pytest.approx(h, rel=1e-4)
    assert found.residual < 1e-6


def test_deviations_of_one_give_a_bound_only():
    found = fitted_vc_dimension([5, 10], [1.0, 1.0])
    assert (found.h, found.lower_bound) == (20, True)
    with pytest.raises(
        DataError, match=r"^fitted_vc_dimension: as many deviations in \[0, 1\] as sizes > 0 are required, got 1 in 1\.5\.\.1\.5 for 1 sizes from 5\."
    ):
        fitted_vc_dimension([5], [1.5])


def test_labels_of_a_half_flipped_are_random_labels():
    """The two halves' error rates against the labels before the flip differ by |1 - 2 e|: the experiment needs no runs of its own."""
    rng = np.random.default_rng(0)
    original, guessed = rng.integers(0, 2, 40), rng.integers(0, 2, 40)
    trained = np.concatenate([original[:20], 1 - original[20:]])
    wrong = guessed != original
    assert abs(wrong[:20].mean() - wrong[20:].mean()) == pytest.approx(abs(1 - 2 * (guessed != trained).mean()))


def test_the_linear_classifier_has_about_its_dimensions():
    """The source reports h within some tenths of d + 1 for linear classifiers; ours minimizes the hinge loss, so a factor of 2 is left."""
    d, rows = 12, []
    for n in (12, 24, 36, 48, 72, 96):
        for seed in range(6):
            data = sl.GaussianCloud(d=d, n=100, examples=n, test_examples=20)
            rows.append(sl.run(sl.Trial(data, sl.RandomLabels(), sl.LinearSeparator(), sl.Seeds.replicate(seed))))
    found = measured(rows, 0.0)
    assert found.vc_dimension is not None
    assert d / 2 < found.vc_dimension.h < 2 * d
    assert found.complexity.n in (12, 24) and not found.complexity.lower_bound
    assert "experimental VC dimension about" in found.text


def test_there_is_no_vc_dimension_of_runs_that_were_cut_short():
    rows = [made(20, 0.0), made(40, 0.3, censored=True)]
    assert measured(rows, 0.0).vc_dimension.lower_bound
    assert measured(rows[1:], 0.0).vc_dimension is None
    assert measured([made(20, 0.0, classes=3)], 0.0).vc_dimension is None


# The view

CURVES = [made(n, error, seed=seed, censored=cut) for n, error, cut in ((8, 0.0, False), (16, 0.2, True)) for seed in range(2)]


def test_the_view_tells_every_size_and_what_is_a_bound():
    view = FitProbability()
    assert [line[1:] for line in view.grid(CURVES).rows] == [("8", "2", "2", "0", "1.00 [0.16, 1.00]"), ("16", "2", "0", "2", "≥ 0.00 [0.00, 1.00]")]
    assert view.grid(CURVES).notes == ("MLP: EMC >= 8 (at 16 runs were cut short that may yet have fitted).",)
    spec = view.spec(CURVES)
    assert [(point["n"], point["p"], point["bound"], point["high"]) for point in spec["datasets"]["points"]] == [(8, 1.0, False, 1.0), (16, 0.0, True, 1.0)]
    assert "lower bounds" in spec["description"]


def test_the_view_draws_theory_behind_and_nothing_from_nothing():
    spec = FitProbability(reference=[{"x": 8, "y": 0.5, "name": "Cover"}]).spec(CURVES)
    assert spec["datasets"]["reference"] == [{"name": "Cover", "x": 8, "y": 0.5}]
    assert FitProbability().spec([]) is None
    assert FitProbability().text([]) == "Probability that random labels are fitted\n(no rows)"


def test_configurations_that_share_a_line_are_told():
    other = [Row({**row, "key": f"other {row['key']}", "learner.batch_size": 2}) for row in CURVES]
    assert "rows that differ in learner.batch_size share a line" in FitProbability().text([*CURVES, *other])
    apart = FitProbability(("model", "learner.batch_size")).complexities([*CURVES, *other])
    assert set(apart) == {"MLP", "MLP 2"}


# The face


def tiny(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 3), nn.ReLU(), nn.Linear(3, classes))


def test_a_module_has_a_lower_bound_and_bits_by_parameter(tmp_path):
    data = sl.Digits(examples=60, test_examples=20)
    found = sl.capacity(tiny, data, replicates=2, start=4, resolution=0.5, epochs=60, lr=0.05)
    [finding] = found.findings
    assert finding.complexity.n >= 1
    assert finding.complexity.lower_bound  # every run that did not fit ended at its budget
    assert finding.bits.per_parameter == pytest.approx(finding.bits.bits / (65 * 3 + 4 * 10))
    assert f"EMC >= {finding.complexity.n}" in found.verdict
    assert "a parameter" in found.verdict
    assert found.verdict.splitlines()[0] in found.text().replace("\n", " ").replace("  ", " ") or "EMC" in found.text()
    assert found.save(tmp_path / "capacity.html").read_text().count("EMC")


def test_an_estimator_has_a_capacity_and_rows_are_found_again(tmp_path):
    from sklearn.tree import DecisionTreeClassifier

    data, done = sl.Digits(examples=200, test_examples=20), []
    tree = DecisionTreeClassifier(max_leaf_nodes=20)
    asked = {"replicates": 3, "start": 8, "store": tmp_path / "rows.sqlite"}
    found = sl.capacity(tree, data, **asked)
    [finding] = found.findings
    assert not finding.complexity.lower_bound
    assert 20 <= finding.complexity.n < 200  # 20 leaves hold at least 20 labels
    again = sl.capacity(tree, data, **asked, on_row=lambda *told: done.append(told))
    assert again.verdict == found.verdict
    assert done == []


def test_true_labels_are_fitted_where_random_ones_are_not():
    learner, data = sl.LinearSeparator(), sl.GaussianCloud(d=5, n=80, test_examples=20)
    noise, truth = (sl.capacity(learner, data, replicates=4, start=8, corruption=each).findings[0] for each in (sl.RandomLabels(), sl.TrueLabels()))
    assert truth.complexity.text == "EMC >= 80 (nothing larger was tried)"
    assert not noise.complexity.lower_bound
    assert 5 <= noise.complexity.n <= 20  # Cover: 10 at a half; at 21 points P(fit) is 0.006, of 4 runs 2 with probability 2e-4
    assert truth.vc_dimension is None and noise.vc_dimension is not None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"replicates": 0}, r"^capacity: replicates is a whole number >= 1, got 0\. Three give an interval\.$"),
        ({"start": 0}, r"^capacity: start is a whole number >= 1, got 0\. 16 is usual\.$"),
        ({"resolution": 0}, r"^capacity: resolution is a share > 0, got 0\. 0\.1 leaves a gap of a tenth\.$"),
        ({"tolerance": 1}, r"^capacity: tolerance is a training error in \[0, 1\), got 1\. 0 asks for every label\.$"),
    ],
)
def test_what_cannot_be_measured_is_refused(fields, told):
    with pytest.raises(InvalidPart, match=told):
        sl.capacity(lambda shape, classes: nn.Sequential(tiny(shape, classes)), sl.Digits(examples=40), **fields)


# The experiment


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_the_experiment_has_every_contender(scale):
    experiment = searches_of.experiment(scale)
    kinds = {trial.learner.kind for trial in experiment.trials}
    assert kinds == {"Training", "Estimator", "LinearSeparator"}
    assert {trial.corruption for trial in experiment.trials} == {sl.RandomLabels()}
    assert experiment.scale == scale.name
    assert len(experiment.views) == 6 and len(experiment.claims) == 7
    conv = any(getattr(getattr(trial.learner, "architecture", None), "kind", "") == "SmallInception" for trial in experiment.trials)
    assert conv == (scale.name != "smoke")


def test_its_claims_can_be_contradicted():
    experiment = searches_of.experiment(SCALES["smoke"])
    for right, verdicts in ((True, {"observed", "reproduced"}), (False, {"contradicted"})):
        rows = answers(experiment, right)
        assert {each.verdict for each in experiment.judge(rows)} == {"not judged"}
        judged = judge_together(experiment.claims, rows, "laptop")
        assert {each.verdict for each in judged} == verdicts, judged


def answers(experiment, right):
    """Rows that say what is claimed, or the contrary; searches end at once (test data, not a result)."""
    rows = []
    trials = experiment.trials
    while trials:
        for trial in trials:
            n, architecture = trial.dataset.examples, getattr(trial.learner, "architecture", None)
            narrow = getattr(architecture, "hidden", None) == (2,)
            known = n <= 10 or (n <= 20 and trial.seeds.init % 2) or trial.learner.kind != "LinearSeparator"
            error = 0.4 if narrow == right and n >= 16 and architecture is not None else 0.0
            values = {"train.n": n, "train.error": error, "fit.separable": bool(known) == right, "measure.MemorizedBits.per_parameter": 1.0 if right else 9.0}
            if not right and trial.learner.kind == "LinearSeparator" and n == 20:
                values["fit.separable"] = True
            rows.append(Row({**trial.specification(), "status": "ok", "classes": 10, "test.loss": trial.seeds.init, **values}))
        trials = experiment.further(rows)
    return rows


def test_a_model_of_the_users_takes_the_contenders_place():
    learner, data = sl.Estimator("sklearn.tree:DecisionTreeClassifier", {"max_depth": 3}), sl.Digits(examples=50, test_examples=20)
    experiment = searches_of.experiment(dataclasses.replace(SCALES["smoke"], replicates=2), learner=learner, dataset=data)
    assert [trial.dataset.examples for trial in experiment.trials] == [16, 16]
    assert [trial.learner for trial in experiment.trials] == [learner, learner]
    assert searches_of.experiment(SCALES["smoke"], learner=learner, dataset=sl.Digits()).trials[0].dataset.examples == 16
