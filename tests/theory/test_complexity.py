"""Rademacher complexity, dimensions and stability: against every sign vector, linear programs, and runs of gradient descent."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import optimize, stats

import shatterlab as sl
from shatterlab import experiments
from shatterlab.core.errors import DataError, NotApplicable
from shatterlab.learners.wrapped_learners import Twins
from shatterlab.theory import rademacher, stability
from shatterlab.theory import vc as dimension
from shatterlab.views import RademacherTable
from solvers.closed_forms import replace_one


def signs(n):
    return np.array(list(itertools.product([-1.0, 1.0], repeat=n)))


def points(n=6, d=2, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


# Rademacher complexity: suprema found by looking at (nearly) every function of the class


def test_linear_balls_against_all_directions():
    x = points()
    angles = np.linspace(0, 2 * np.pi, 20_001)
    weights = 3 * np.stack([np.cos(angles), np.sin(angles)])
    looked = np.mean([(s @ x @ weights).max() for s in signs(6)]) / 6
    found = rademacher.linear_ball(x, 3.0)
    assert found.value == pytest.approx(looked, rel=1e-7)  # a grid of angles misses a direction by at most (pi / 20,000)^2 / 2 of its length
    assert (found.low, found.high, found.method, found.n) == (found.value, found.value, "all sign vectors", 6)
    squares = np.linalg.norm(x)
    assert 3 * squares / math.sqrt(2) / 6 <= found.value <= 3 * squares / 6


def test_a_kernel_ball_of_the_linear_kernel_is_the_linear_ball():
    x = points(8, 3)
    found = rademacher.rkhs_ball(x @ x.T, 2.0)
    assert found.value == pytest.approx(rademacher.linear_ball(x, 2.0).value, rel=1e-12)
    assert 2 * math.sqrt(np.trace(x @ x.T) / 2) / 8 <= found.value <= 2 * math.sqrt(np.trace(x @ x.T)) / 8


def thresholds(n):
    """Of x -> sign(x - t) on n different numbers: the supremum is the largest S_n - 2 S_k of a random walk, of mean 2 (E S_n^+ + E (S_n - 1)^+)."""
    ends = 2 * np.arange(n + 1) - n
    return 2 / n * float(stats.binom.pmf(np.arange(n + 1), n, 0.5) @ (np.maximum(ends, 0) + np.maximum(ends - 1, 0)))


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_thresholds_in_closed_form_are_those_of_all_sign_vectors(n):
    cuts = [np.where(np.arange(n) >= place, 1.0, -1.0) for place in range(n + 1)]
    looked = np.mean([max(s @ each for each in cuts) for s in signs(n)]) / n
    assert thresholds(n) == pytest.approx(looked, rel=1e-12)


def test_thresholds_of_many_points():
    assert thresholds(1000) == pytest.approx(math.sqrt(8 / (math.pi * 1000)), rel=0.03)


def every_stump(inputs):
    """The outputs of each stump on the sample, written out: each coordinate, each place of the cut, each pair of signs."""
    return np.array(
        [np.where(column <= cut, low, high) for column in inputs.T for cut in [*column, -np.inf] for low, high in itertools.product([-1.0, 1.0], repeat=2)]
    )


@pytest.mark.parametrize("inputs", [points(1, 1), points(7, 1), points(9, 3, seed=1), np.round(points(9, 2, seed=2))], ids=["one", "a line", "three", "ties"])
def test_stumps_are_those_of_all_stumps_on_all_sign_vectors(inputs):
    n = len(inputs)
    looked = np.mean((signs(n) @ every_stump(inputs).T).max(1)) / n
    found = rademacher.stumps(inputs)
    assert found.value == pytest.approx(looked, rel=1e-12)
    assert (found.low, found.high, found.method, found.n) == (found.value, found.value, "all sign vectors", n)
    assert found.value >= thresholds(n)  # stumps on one coordinate contain the thresholds
    # planted: without the sign of the second side the complexity is smaller
    assert n == 1 or np.mean((signs(n) @ every_stump(inputs)[0::4].T).max(1)) / n < looked


def test_a_tree_of_one_question_reaches_less_than_the_complexity_of_stumps_and_bounds_nothing():
    """The class's complexity gives the bound; what training reached gives a smaller number, which is no bound on the error."""
    from sklearn.tree import DecisionTreeClassifier

    inputs, rng = points(12, 4, seed=3), np.random.default_rng(4)
    drawn = rng.choice([-1.0, 1.0], (400, 12))
    reached = [float(signs @ DecisionTreeClassifier(max_depth=1).fit(inputs, signs).predict(inputs)) / 12 for signs in drawn]
    exact = rademacher.stumps(inputs)
    best = np.mean([max(each @ signs for each in every_stump(inputs)) for signs in drawn]) / 12
    assert np.mean(reached) <= best == pytest.approx(exact.value, abs=0.05)
    assert rademacher.at_least(reached, 12, delta=1e-6) < exact.value
    bounds = [rademacher.rademacher_bound(0.0, value, 10_000).bound for value in (rademacher.at_least(reached, 12, 0.05), exact.value)]
    assert bounds[0] < bounds[1]


def test_drawn_sign_vectors_agree_with_all_of_them(monkeypatch):
    exact = rademacher.linear_ball(points(12, 3))
    monkeypatch.setattr(rademacher, "_ALL_SIGNS", 5)
    drawn = rademacher.linear_ball(points(12, 3), draws=500)
    assert drawn.method == "drawn sign vectors"
    assert drawn.low <= exact.value <= drawn.high  # misses with probability 1e-6
    assert drawn.high - drawn.low < 1.2 * exact.value
    assert abs(drawn.value - exact.value) < 0.1 * exact.value
    monkeypatch.undo()
    exact = rademacher.stumps(points(12, 3))
    monkeypatch.setattr(rademacher, "_ALL_SIGNS", 5)
    drawn = rademacher.stumps(points(12, 3), draws=500)
    assert drawn.low <= exact.value <= drawn.high  # misses with probability 1e-6
    assert abs(drawn.value - exact.value) < 0.1 * exact.value


def correlations(n, draws, reach, seed=0):
    """What least-error thresholds, or worse ones, reach on random signs of n points of a line."""
    rng = np.random.default_rng(seed)
    cuts = np.where(np.arange(n) >= np.arange(n + 1)[:, None], 1.0, -1.0)
    return [reach * float((cuts @ rng.choice([-1.0, 1.0], n)).max()) / n for _ in range(draws)]


def test_the_trained_bound_lies_below_the_exact_value_and_near_it():
    exact = thresholds(200)
    best = rademacher.at_least(correlations(200, 100, 1.0), 200, delta=1e-6)
    assert exact - 2 * math.sqrt(2 * math.log(1e6) / 20_000) < best <= exact
    poor = rademacher.at_least(correlations(200, 100, 0.5), 200, delta=1e-6)
    assert poor < best  # a learner that fits less proves less, and is still right
    planted = float(np.mean([1 - 2 * 0.0] * 3))  # "= 1": a bound without its deviation, from three draws
    assert planted > rademacher.at_least([1.0] * 3, 50)


def test_a_bound_near_one_certifies_nothing():
    empty = rademacher.rademacher_bound(0.0, rademacher.at_least([1.0] * 5, 1000), 1000)
    assert empty.vacuous
    assert not rademacher.rademacher_bound(0.0, thresholds(10_000), 10_000).vacuous


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: rademacher.at_least([], 10), r"at_least: a sequence of at least one number is required, got shape \(0,\)\. Run more replicates\."),
        (lambda: rademacher.at_least([0.5], 10, delta=1), r"at_least: delta is a probability in \(0, 1\), got 1\. Use 0\.05, say\."),
        (
            lambda: rademacher.at_least([2.0], 10),
            r"at_least: n >= 1 and correlations in \[-1, 1\] are required, got 10 and 2\. Scale the outputs to \[-1, 1\]\.",
        ),
        (lambda: rademacher.linear_ball(points(20), draws=0), r"rademacher: at least one draw is required, got 0\. Use 1000, say\."),
        (lambda: rademacher.linear_ball(points(), -1), r"linear_ball: a finite radius > 0 is required, got -1\. Use the norm of the fitted weights, say\."),
        (lambda: rademacher.rkhs_ball(points()), r"rkhs_ball: a square Gram matrix is required, got 6 x 2\. Pass kernel\.gram\(x, x\)\."),
        (
            lambda: dimension.relu_dimension([4, 8, 10]),
            r"relu_dimension: d, hidden widths and 1 output, of at least 3 units, are required, got \(4, 8, 10\)\. Take one output of many\.",
        ),
        (lambda: dimension.linear_dimension(0), r"linear_dimension: d >= 1 is required, got 0\. Count again\."),
        (lambda: dimension.fat_shattering(1, 1, 0), r"fat_shattering: positive W, R and margin are required, got 1, 1 and 0\. Pass norms\."),
        (
            lambda: stability.kernel_ridge(1, 1, 0, 5),
            r"kernel_ridge: positive k, s and lambda and n >= 1 are required, got 1, 1, 0 and 5\. A ridge of 0 has no bound\.",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(call, text):
    with pytest.raises(DataError, match=f"^{text}$"):
        call()


# Dimensions


def separates(x, labels):
    """Whether some w has labels_i (w.x_i) >= 1 for all i: a linear program."""
    done = optimize.linprog(np.zeros(x.shape[1]), A_ub=-labels[:, None] * x, b_ub=-np.ones(len(x)), bounds=(None, None))
    return done.status == 0


def shattered(x):
    return sum(separates(x, labels) for labels in signs(len(x)))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_dimension_of_linear_classifiers_by_linear_programs(d):
    affine = np.column_stack([points(d + 2, d), np.ones(d + 2)])
    h = dimension.linear_dimension(d)
    assert shattered(affine[:h]) == 2**h
    assert shattered(affine) < 2 ** (h + 1)
    assert dimension.linear_dimension(d, bias=False) == h - 1


@pytest.mark.parametrize(("n", "d"), [(3, 2), (5, 2), (6, 3), (4, 4)])
def test_separable_labellings_are_counted(n, d):
    assert shattered(points(n, d)) / 2**n == pytest.approx(dimension.cover_probability(n, d))


def test_norms_bound_what_can_be_shattered_with_a_margin():
    """On orthogonal points of length R the least w with sigma_i w.x_i >= g has length g sqrt(n) / R, whatever the signs."""
    radius, reach, margin = 3.0, 2.0, 1.5
    n = dimension.fat_shattering(radius, reach, margin)
    assert n == 16
    for count, possible in ((n, True), (n + 1, False)):
        x = reach * np.eye(count)
        for labels in np.random.default_rng(0).choice([-1.0, 1.0], size=(5, count)):
            least = np.linalg.lstsq(x, margin * labels, rcond=None)[0]
            assert (np.linalg.norm(least) <= radius + 1e-12) == possible


def test_the_bound_of_relu_nets_is_the_formula_written_out():
    found = dimension.relu_dimension([10, 5, 4, 1])
    w = [11 * 5, 6 * 4, 5 * 1]
    r = 5 + 2 * 4 + 3 * 1
    cumulative = w[0] + (w[0] + w[1]) + sum(w)
    assert (found.parameters, found.layers) == (sum(w), 3)
    assert found.upper == pytest.approx(3 + cumulative * math.log2(4 * math.e * r * math.log2(2 * math.e * r)))
    assert found.order == pytest.approx(sum(w) * 3 * math.log2(sum(w)))
    paper = dimension.relu_dimension([2352, 512, 1])
    assert paper.upper > 50_000  # more than the sample: the bound on the error says nothing
    assert dimension.vc_bound(0.0, paper.upper, 50_000).vacuous


def test_the_vc_bound():
    assert dimension.vc_bound(0.1, 10, 100_000).bound == pytest.approx(0.1 + math.sqrt(8 * (10 * math.log(2 * math.e * 1e4) + math.log(80)) / 1e5))
    assert not dimension.vc_bound(0.1, 10, 100_000).vacuous
    assert dimension.vc_bound(0.0, 1e9, 100).bound == dimension.vc_bound(0.0, 200, 100).bound


# Stability


def logistic_twins(n=40, epochs=5, rate=1.0, seed=0, flipped=False):
    """Stochastic descent on the logistic loss of unit inputs (L = 1, beta = 1/4), on S and on S with one example replaced, in the same order."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n + 1, 3))
    x /= np.linalg.norm(x, axis=1)[:, None]
    y = rng.choice([-1.0, 1.0], n + 1)
    if flipped:
        x[n], y[n] = x[0], -y[0]
    orders = [rng.permutation(n) for _ in range(epochs)]
    ends = []
    for first in (0, n):  # example 0, or its twin at position n
        w = np.zeros(3)
        for i in np.concatenate(orders):
            j = first if i == 0 else i
            w += rate * y[j] * x[j] / (1 + math.exp(y[j] * (x[j] @ w)))
        ends.append(w)
    loss = [np.log1p(np.exp(-y * (x @ w))) for w in ends]
    return np.abs(loss[0] - loss[1]).max(), np.linalg.norm(ends[0] - ends[1])


@pytest.mark.parametrize("seed", range(5))
def test_twin_runs_of_convex_descent_stay_below_their_bound(seed):
    """With each example once an epoch the bound holds of every run: the twin moves the weights by at most 2 a L each time it is met."""
    measured, distance = logistic_twins(seed=seed)
    bound = stability.convex_descent(1.0, 0.25, [1.0] * 200, n=40)
    assert bound == pytest.approx(2 / 40 * 200)
    assert 0 < measured <= distance <= bound


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_of_convex_descent_is_nearly_met(seed):
    """A label that flips parts the twins by a |x| where it is met, half of what the bound allows; later steps contract by 1 - a / 4 at most."""
    _, distance = logistic_twins(epochs=1, rate=0.1, seed=seed, flipped=True)
    assert 0.1 * (1 - 0.1 / 4) ** 39 - 1e-9 <= distance <= stability.convex_descent(1.0, 0.25, [0.1] * 40, n=40)
    planted = stability.convex_descent(1.0, 0.25, [0.1] * 40, n=160)  # as if there were four times the examples
    assert distance > planted


def test_descent_bounds_do_not_apply_where_there_is_no_smoothness():
    for call in (lambda: stability.convex_descent(1.0, None, [0.1], 10), lambda: stability.nonconvex_descent(None, 1.0, 0.1, 10, 10)):
        with pytest.raises(NotApplicable, match="not applicable, a Lipschitz and smooth loss is required; the loss of a ReLU net is neither convex"):
            call()
    with pytest.raises(NotApplicable, match=r"^convex_descent: steps of at most 2 / beta = 2 are required, got 3$"):
        stability.convex_descent(1.0, 1.0, [1.0, 3.0], 10)


def test_the_nonconvex_bound_written_out_and_its_growth():
    assert stability.nonconvex_descent(2.0, 3.0, 0.5, 100, 11) == pytest.approx((1 + 1 / 1.5) / 10 * 4.0 ** (1 / 2.5) * 100 ** (1.5 / 2.5))
    assert stability.nonconvex_descent(1, 1, 1, 400, 101) / stability.nonconvex_descent(1, 1, 1, 100, 101) == pytest.approx(2)  # T^(1/2)


def test_exact_replacements_in_kernel_ridge_stay_below_their_bound():
    train = sl.Digits(examples=80).load().train
    twins = sl.Digits(examples=1347).load(seeds=sl.Seeds(data=1)).train.at(torch.arange(80))
    kernel, ridge = sl.Gaussian(2.0), 1.0
    moved = replace_one(kernel, train, twins, twins.inputs, ridge).abs()
    slope = 2.0 * (1 + 1 / math.sqrt(ridge / 80))  # |f| <= k B / sqrt(l) with B = 1, so |f - y| is at most that plus 1
    bound, penalty = stability.kernel_ridge(1.0, slope, ridge, 80)
    assert penalty == ridge / 80
    assert 0 < moved.max().item() * 1.0 <= bound  # a score that moves by m moves the squared error by at most slope x m; bound / slope bounds m
    assert moved.max().item() <= bound / slope
    fixed = [stability.kernel_ridge(1.0, 2.0, ridge, n)[0] for n in (10, 1000)]
    assert fixed[0] == pytest.approx(fixed[1])  # at fixed lambda it does not shrink with n
    shrinking = [stability.kernel_ridge(1.0, 2.0, n * 0.1, n)[0] for n in (10, 1000)]
    assert shrinking[0] / shrinking[1] == pytest.approx(100)


# Twins and runs on random signs


def test_twins_of_a_kernel_system_move_as_the_closed_form_says():
    train = sl.Digits(examples=60).load().train
    learner = Twins(sl.KernelInterpolation(sl.Gaussian(2.0), ridge=0.1))
    seeds = sl.Seeds(order=4)
    fit = learner.fit(train, seeds)
    rng = seeds.rng("order", "twins")
    place, shift = int(rng.integers(60)), int(rng.integers(1, 10))
    labels = train.labels.clone()
    labels[place] = (labels[place] + shift) % 10
    moved = replace_one(sl.Gaussian(2.0), train, dataclasses.replace(train, labels=labels), train.inputs, 0.1)[place]
    before = fit.scores(train.inputs)
    targets = torch.nn.functional.one_hot(train.labels, 10)
    change = (before + moved - targets).square().sum(1) - (before - targets).square().sum(1)
    assert fit.facts["own_loss_difference"] == pytest.approx(change[place].item(), abs=1e-6)
    assert fit.facts["sup_loss_difference"] >= change.abs().max().item() - 1e-6
    assert "parameter_distance" not in fit.facts


def test_twins_of_networks_start_together_and_part():
    train = sl.Digits(examples=60).load().train
    one, many = (Twins(sl.Training(sl.MLP((8,)), sl.SGD(lr=0.05), epochs=epochs, batch_size=20, stop="budget")).fit(train).facts for epochs in (1, 20))
    assert 0 < one["parameter_distance"] < many["parameter_distance"]
    assert 0 < one["relative_distance"] < 1
    same = Twins(Deaf()).fit(train).facts  # a learner that does not look at labels: nothing moves
    assert (same["mean_loss_difference"], same["disagreement"], same["memorized"]) == (pytest.approx(same["sup_loss_difference"] / 61), 0, 0)


@dataclasses.dataclass(frozen=True)
class Deaf(sl.Learner):
    """Gives the same scores whatever it is told."""

    def fit(self, train, seeds=None, observe=None, runtime=None):
        return sl.Fit(lambda inputs: inputs.flatten(1)[:, : train.classes].clone(), "values")


def sign_row(draw, error, **columns):
    said = {"key": f"{draw}", "corruption.kind": "PartialLabels", "corruption.level": 1.0, "learner.kind": "Twins", "classes": 2, "seeds.corruption": draw}
    return sl.Row(said | {"status": "ok", "train.n": 200, "train.error": error} | columns)


def test_the_view_says_at_least():
    grid = RademacherTable().grid([sign_row(0, 0.0), sign_row(1, 0.1)])
    least = 0.9 - math.sqrt(2 * math.log(20) / 400)
    assert grid.headers[-3:] == ("mean reached", "at least (95 %)", "bound of a perfect fit")
    assert grid.rows[0][-3:] == ("0.900", f"{least:.3f}", f"at least {least + 3 * math.sqrt(math.log(40) / 400):.3f} (vacuous)")
    [line] = RademacherTable().grid([sign_row(0, 0.4), sign_row(1, 0.4)]).rows  # 0.2 less its deviation, and 0.288: below guessing, but no bound
    assert line[-1] == f"at least {0.2 - math.sqrt(2 * math.log(20) / 400) + 3 * math.sqrt(math.log(40) / 400):.3f} (not known)"
    assert RademacherTable().grid([sign_row(0, 0.0, classes=10)]) is None  # a run on ten random classes is no draw of signs
    assert RademacherTable().text([]) == "Empirical Rademacher complexity from below\n(no rows)"
    assert RademacherTable().spec([]) is None


@pytest.mark.parametrize("name", ["rademacher", "stability", "ratt"])
def test_the_experiment_runs_at_smoke_scale_on_few_trials(name):
    experiment = experiments.find(name)(sl.Scale("smoke", examples=400, test_examples=50, replicates=2, epochs=20))
    chosen = {trial.learner.describe().get("estimator", trial.learner.kind): trial for trial in experiment.trials if trial.learner.kind != "Training"}
    rows = [sl.run(trial) for trial in chosen.values()]
    assert [row["error"] for row in rows if row["status"] != "ok"] == []
    assert all(view.text(rows) for view in experiment.views)


def test_random_signs_share_their_inputs():
    experiment = experiments.find("rademacher")(sl.Scale.named("smoke"))
    draws = [trial for trial in experiment.trials if trial.corruption == sl.RandomLabels()]
    samples = [trial.corruption.apply(trial.dataset.load(seeds=trial.seeds), trial.seeds).train for trial in (draws[0], draws[1])]
    assert torch.equal(samples[0].inputs, samples[1].inputs)
    assert not torch.equal(samples[0].labels, samples[1].labels)
