"""The ledger's own quantities: dimensions, balls, replaced labels, leaves, stability and random parts, each against another route."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn
from torch.nn import functional

import shatterlab as sl
from shatterlab.core import Examples, Fit, catalog
from shatterlab.core.errors import InvalidPart, NotApplicable
from shatterlab.learners.wrapped_learners import Twins
from shatterlab.measures._fitted import ball
from shatterlab.measures.bounds import MarginBound, StabilityBound, VCBound
from shatterlab.measures.certificates import CodeLengthCertificate, RATTCertificate
from shatterlab.measures.leave_one_out import ReplaceOne
from shatterlab.measures.sizes import LeafCount
from shatterlab.theory.certificates import code_length, occam, ratt
from shatterlab.theory.stability import RELU
from shatterlab.theory.vc import relu_dimension, vc_bound
from solvers.closed_forms import replace_one

RandomizedPart, Prequential, RandomSigns = (catalog.get(name) for name in ("RandomizedPart", "Prequential", "RandomSigns"))


def digits(n=60, seed=0):
    return sl.Digits(examples=n, test_examples=50).load(seeds=sl.Seeds(data=seed)).train


def fitted(model, output="logits"):
    def scores(inputs):
        model.eval()
        with torch.no_grad():
            return model(inputs)

    return Fit(scores, output, model)


def points(n=12, d=3, classes=3, seed=0):
    return Examples(torch.randn((n, d), generator=torch.Generator().manual_seed(seed)), torch.arange(n) % classes, classes)


def linear(d=3, classes=3, bias=True):
    model, draw = nn.Sequential(nn.Flatten(), nn.Linear(d, classes, bias=bias)), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(torch.randn(value.shape, generator=draw))
    return model


# VC bounds


def test_dimensions_are_those_of_the_formulas():
    train = points()
    assert VCBound().of(fitted(linear()), train)["dimension"] == 4
    assert VCBound().of(fitted(linear(bias=False)), train)["dimension"] == 3
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    found, formula = VCBound().of(fitted(net), train), relu_dimension([3, 5, 4, 1])
    assert (found["dimension"], found["upper_bound"], found["order"]) == (formula.upper, 1, formula.order)
    error = float((fitted(net).scores(train.inputs).argmax(1) != train.labels).double().mean())
    assert error > 0  # so that leaving the training error out of the bound would show
    assert found["bound"] == pytest.approx(vc_bound(error, formula.upper, 12).bound)
    assert found["vacuous"] == 1


@pytest.mark.parametrize(
    "learner",
    [
        sl.Estimator("sklearn.tree:DecisionTreeClassifier"),
        sl.Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}),
        sl.Estimator("sklearn.ensemble:RandomForestClassifier", {"n_estimators": 3, "bootstrap": False}),
        sl.KernelInterpolation(sl.Gaussian(1.0)),
    ],
    ids=["tree", "neighbour", "forest", "kernel"],
)
def test_what_shatters_everything_fits_any_labels(learner):
    """An infinite dimension is claimed of these: here they do fit labels of any kind."""
    train = digits(40)
    for seed in range(3):
        labels = torch.from_numpy(np.random.default_rng(seed).integers(10, size=40))
        fit = learner.fit(replace(train, labels=labels))
        assert (fit.scores(train.inputs).argmax(1) == labels).all()
    assert VCBound().of(fit, train)["dimension"] == math.inf


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)), "a chain of linear layers and ReLUs is required, got Tanh at 1"),
        (nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3)), "one ReLU between every two linear layers is required, got 2 layers and 0 ReLUs"),
    ],
)
def test_a_net_without_a_formula_is_named(model, reason):
    with pytest.raises(NotApplicable, match=f"^VCBound: {reason}$"):
        VCBound().of(fitted(model), points())


def test_a_limited_tree_has_no_known_dimension():
    fit = sl.Estimator("sklearn.tree:DecisionTreeClassifier", {"max_depth": 2}).fit(digits(40))
    with pytest.raises(NotApplicable, match=r"^VCBound: a model whose dimension is known is required, got DecisionTreeClassifier$"):
        VCBound().of(fit, digits(40))


# Balls and margins


def test_the_ball_of_a_linear_model_counts_its_bias():
    train, model = points(), linear()
    found = ball(fitted(model), train, "x")
    weights = np.column_stack([model[1].weight.detach().numpy(), model[1].bias.detach().numpy()]).astype(np.float64)
    rows = np.column_stack([train.inputs.numpy(), np.ones(12)])
    assert found.radius == pytest.approx(np.linalg.norm(weights, axis=1).max(), rel=1e-6)
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=12)))
    looked = found.radius * np.linalg.norm(signs @ rows, axis=1).mean() / 12
    assert found.complexity(1).value == pytest.approx(looked, rel=1e-6)
    assert found.complexity(1).method == "all sign vectors"


def test_the_ball_of_a_kernel_system_with_the_linear_kernel_is_that_of_its_weights():
    """f(x) = <w, x>: the norm in the kernel's space is the length of w, and both routes give one complexity."""
    train = points(n=10, d=4)
    fit = sl.KernelInterpolation(sl.LinearKernel(), ridge=0.1).fit(train)
    w = train.inputs.double().T @ fit.model.weights
    found = ball(fit, train, "x")
    assert found.radius == pytest.approx(w.norm(dim=0).max().item(), rel=1e-6)
    assert found.reach == pytest.approx(train.inputs.norm(dim=1).max().item(), rel=1e-6)
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=10)))
    looked = found.radius * np.linalg.norm(signs @ train.inputs.double().numpy(), axis=1).mean() / 10
    assert found.complexity(1).value == pytest.approx(looked, rel=1e-6)


def test_the_margin_bound_is_the_least_over_margins_written_out():
    train = digits(40)
    fit = sl.KernelInterpolation(sl.Gaussian(1.0)).fit(train)
    found = MarginBound().of(fit, train)
    rest = 3 * math.sqrt(math.log(40) / 80)
    assert found["margin"] == pytest.approx(1, abs=1e-6)  # an interpolant of one-hot labels
    assert found["bound"] == pytest.approx(0 + 4 * 10 * found["complexity"] / found["margin"] + rest, rel=1e-6)
    assert found["low"] <= found["complexity"] <= found["high"]
    assert found["fat_shattering"] == math.floor((found["radius"] * found["reach"] / found["margin"]) ** 2)
    assert found["vacuous"] == 1
    with pytest.raises(NotApplicable, match=r"^MarginBound: a linear model or a kernel expansion is required, got DecisionTreeClassifier$"):
        MarginBound().of(sl.Estimator("sklearn.tree:DecisionTreeClassifier").fit(train), train)
    wrong = replace(train, labels=(train.labels + 1) % 10)
    with pytest.raises(NotApplicable, match=r"^MarginBound: a positive training margin is required, the largest of the lower 99 % is -1$"):
        MarginBound().of(fit, wrong)
    with pytest.raises(InvalidPart, match=r"^MarginBound: draws is a whole number >= 1, got 0$"):
        MarginBound(draws=0)


# Replaced labels


def by_refits(ridge, train):
    """Largest and mean absolute change of the loss and mean own change, with a refit for every label of every example."""
    kernel, n, k = sl.Gaussian(1.0), len(train), train.classes
    targets = functional.one_hot(train.labels, k).double()

    def scores(labels):
        gram = kernel.gram(train.inputs.double(), train.inputs.double())
        return gram @ torch.linalg.solve(gram + ridge * torch.eye(n, dtype=torch.float64), functional.one_hot(labels, k).double())

    before, changes, own = scores(train.labels), [], []
    for i, label in itertools.product(range(n), range(k)):
        if label == train.labels[i]:
            continue
        labels = train.labels.clone()
        labels[i] = label
        after = scores(labels)
        change = (after - targets).square().sum(1) - (before - targets).square().sum(1)
        twin = functional.one_hot(labels[i], k)
        new = (after[i] - twin).square().sum() - (before[i] - twin).square().sum()
        changes.append(torch.cat([change, new[None]]))
        own.append(change[i])
    every = torch.stack(changes).abs()
    return every.max().item(), every.mean().item(), torch.stack(own).mean().item()


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_all_labels_replaced_in_closed_form_are_the_refits(ridge):
    train = digits(12)
    found = ReplaceOne().of(sl.KernelInterpolation(sl.Gaussian(1.0), ridge=ridge).fit(train), train)
    largest, mean, own = by_refits(ridge, train)
    # the factor is of float32, refined to a relative residual of 1e-4 a column; the smallest eigenvalue of this matrix is above 0.01
    assert (found["largest"], found["mean"], found["own"]) == pytest.approx((largest, mean, own), rel=1e-2)
    if not ridge:
        assert found["leverage"] == pytest.approx(1, abs=1e-3)  # K K^-1 = I: every label is followed
        assert found["own"] == pytest.approx(2, abs=1e-2)  # from one vertex to another: |e_b - e_a|^2
    else:
        assert 0 < found["leverage"] < 1


def test_replaced_labels_agree_with_replaced_examples_of_the_same_inputs():
    train = digits(12)
    moved = replace_one(sl.Gaussian(1.0), train, replace(train, labels=(train.labels + 1) % 10), train.inputs, 0.3)
    targets = functional.one_hot(train.labels, 10)
    fit = sl.KernelInterpolation(sl.Gaussian(1.0), ridge=0.3).fit(train)
    before = fit.scores(train.inputs) - targets
    changes = [((before + each).square().sum(1) - before.square().sum(1)).abs().max().item() for each in moved]
    assert ReplaceOne().of(fit, train)["largest"] >= max(changes) * (1 - 1e-2)


def test_replaced_labels_need_a_factored_kernel_system():
    wanted = r'^ReplaceOne: a factored kernel system is required, got NoneType\. Fit KernelInterpolation\(\.\.\., solver="direct"\)$'
    with pytest.raises(NotApplicable, match=wanted):
        ReplaceOne().of(Fit(lambda x: x, "values"), digits(12))
    with pytest.raises(InvalidPart, match=r"^ReplaceOne: examples is a whole number >= 1 or None, got 0$"):
        ReplaceOne(examples=0)


# Stability by theory


def plain(epochs=4, lr=0.02, momentum=0.0, **fields):
    return sl.Training(sl.Linear(), sl.SGD(lr=lr, momentum=momentum), epochs=epochs, batch_size=20, stop="budget", **fields)


def test_the_bound_of_a_linear_model_is_the_formula_and_twins_stay_below_it():
    train = digits(60)
    bound = StabilityBound(lr=0.02)
    for order in range(3):
        fit = Twins(plain()).fit(train, sl.Seeds(order=order))
        found = bound.of(fit, train)
        squared = 65.0  # 64 whitened pixels of variance 1, and the bias
        assert found["lipschitz"] ** 2 == pytest.approx(2 * squared, rel=1e-3)
        assert found["smoothness"] == pytest.approx(squared / 2, rel=1e-3)
        steps = [0.02 * 0.95 ** (step / 391) for step in range(12)]
        assert found["bound"] == pytest.approx(2 * 2 * squared / 60 * sum(steps), rel=1e-3)
        assert 0 < fit.facts["sup_loss_difference"] <= found["bound"]


def test_the_slope_and_the_curvature_of_linear_scores_are_what_is_claimed():
    """Gradient of the cross-entropy of one example, and its Hessian's top eigenvalue, at many weights: within sqrt(2) R and R^2 / 2, and near both."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(4, generator=draw, dtype=torch.float64)
    reach, slopes, bends = x.norm().item(), [], []
    for scale in (0.0, 0.3, 3.0, 30.0):
        w = scale * torch.randn((2, 4), generator=draw, dtype=torch.float64)

        def loss(flat):
            return functional.cross_entropy((flat.view(2, 4) @ x)[None], torch.tensor([0]))

        slopes.append(torch.autograd.functional.jacobian(loss, w.flatten()).norm().item())
        bends.append(torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, w.flatten()))[-1].item())
    assert 0.9 * math.sqrt(2) * reach < max(slopes) <= math.sqrt(2) * reach * (1 + 1e-9)
    assert max(bends) == pytest.approx(reach**2 / 2, rel=1e-9)  # met at equal scores


def test_the_bound_of_ridge_regression_in_both_conventions():
    train = digits(40)
    fit = sl.KernelInterpolation(sl.Gaussian(1.0), ridge=2.0).fit(train)
    found = StabilityBound(ridge=2.0).of(fit, train)
    penalty = 2.0 / 40
    assert found["penalty"] == pytest.approx(penalty)
    assert found["bound"] == pytest.approx((2 * (1 + 1 / math.sqrt(penalty))) ** 2 / (penalty * 40), rel=1e-6)
    assert found["bound_at_2n_same_penalty"] == pytest.approx(found["bound"] / 2, rel=1e-6)
    assert found["bound_at_2n_same_lambda"] > found["bound"]  # at fixed lambda it grows: the penalty halves
    assert ReplaceOne().of(fit, train)["largest"] <= found["bound"]


@pytest.mark.parametrize(
    ("learner", "measure", "reason"),
    [
        (
            sl.Training(sl.MLP((8,)), sl.SGD(lr=0.05), epochs=1),
            StabilityBound(),
            f"nonconvex_descent: not applicable, a Lipschitz and smooth loss is required; {RELU}",
        ),
        (plain(momentum=0.9), StabilityBound(momentum=0.9), "StabilityBound: steps without momentum on the cross-entropy are required, got momentum 0.9"),
        (plain(loss="squared", lr=1e-3), StabilityBound(), "StabilityBound: steps without momentum on the cross-entropy are required, got squared error"),
        (plain(lr=0.1), StabilityBound(lr=0.1), r"convex_descent: steps of at most 2 / beta = 0\.0615\d* are required, got 0.1"),
        (sl.KernelInterpolation(sl.Gaussian(1.0)), StabilityBound(), "StabilityBound: a ridge above 0 is required, a minimum-norm interpolant has no bound"),
        (
            sl.Estimator("sklearn.tree:DecisionTreeClassifier"),
            StabilityBound(),
            "StabilityBound: gradient descent or kernel ridge regression is required, got DecisionTreeClassifier",
        ),
    ],
    ids=["relu", "momentum", "squared", "large steps", "interpolant", "tree"],
)
def test_where_theory_has_no_bound_it_says_why(learner, measure, reason):
    train = digits(40)
    with pytest.raises(NotApplicable, match=f"^{reason}$"):
        measure.of(learner.fit(train), train)


# Leaves


def test_the_message_of_a_tree_is_counted():
    train = digits(60)
    fit = sl.Estimator("sklearn.tree:DecisionTreeClassifier").fit(train)
    found, grown = LeafCount().of(fit, train), fit.model.tree_
    assert found["leaves"] == int((grown.children_left < 0).sum()) == fit.model.get_n_leaves()
    m = found["leaves"]
    assert found["bits"] == pytest.approx(grown.node_count + (m - 1) * (6 + 4) + m * math.log2(10) + 1)  # 64 features, 16 levels
    assert found["bound"] == pytest.approx(occam(0.0, found["bits"], 60, classes=10).bound)


def test_no_more_trees_are_told_than_the_code_has_words():
    """Kraft: all trees of up to m leaves on 2 features of 2 levels and 2 classes have words whose 2^-bits sum to at most 1 (shapes: Catalan numbers)."""
    total = sum(math.comb(2 * m - 2, m - 1) / m * 4 ** (m - 1) * 2**m * 2.0 ** -((2 * m - 1) + (m - 1) * 2 + m + 1) for m in range(1, 200))
    assert 0.4 < total <= 0.5  # of the bit that tells "one tree" comes 1/2
    planted = sum(math.comb(2 * m - 2, m - 1) / m * 4 ** (m - 1) * 2**m * 2.0 ** -((m - 1) * 2 + m) for m in range(1, 20))  # no shape is told
    assert planted > 1


def test_a_forest_is_its_trees_and_a_table_without_levels_has_no_code():
    train = digits(60)
    fit = sl.Estimator("sklearn.ensemble:RandomForestClassifier", {"n_estimators": 4, "bootstrap": False}).fit(train)
    found = LeafCount().of(fit, train)
    assert (found["trees"], found["leaves"]) == (4, sum(each.get_n_leaves() for each in fit.model.estimators_))
    bare = LeafCount().of(fit, replace(train, levels=None))
    assert (bare["bits"], bare["bound"], bare["vacuous"]) == (None, None, None)
    shallow = sl.Estimator("sklearn.ensemble:RandomForestClassifier", {"n_estimators": 2, "max_depth": 2}).fit(train)
    assert LeafCount().of(shallow, train)["bits"] is None  # it averages shares
    for model in (RandomForestClassifier, DecisionTreeClassifier):
        assert model.__name__ not in str(found)
    with pytest.raises(NotApplicable, match=r"^LeafCount: a decision tree or a forest is required, got NoneType$"):
        LeafCount().of(Fit(lambda x: x, "values"), train)


# Random parts, codes, signs


def test_a_random_part_is_drawn_evenly_and_its_errors_are_counted_again():
    train, seeds = digits(200), sl.Seeds(order=3)
    fit = RandomizedPart(sl.Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}), share=0.4).fit(train, seeds)
    assert (fit.facts["labelled"], fit.facts["randomized"]) == (120, 80)
    assert (fit.facts["labelled_error"], fit.facts["random_error"]) == (0.0, 0.0)
    changed = (fit.scores(train.inputs).argmax(1) != train.labels).sum().item()  # it answers what it was taught
    assert 0 < 80 - changed < 30  # the true label is drawn 8 times in the mean; below 1 or above 29: probability below 1e-3 and 1e-8, and the seed is fixed
    weak = RandomizedPart(sl.Estimator("sklearn.tree:DecisionTreeClassifier", {"max_depth": 1}), share=0.5).fit(train, seeds)
    assert weak.facts["random_error"] > 0.7
    with pytest.raises(InvalidPart, match=r"^RandomizedPart: share is a fraction in \(0, 1\), got 1\.0$"):
        RandomizedPart(sl.KernelInterpolation(sl.Gaussian(1.0)), share=1)


def test_a_certificate_from_a_random_part():
    train = digits(200)
    fit = RandomizedPart(sl.Estimator("sklearn.tree:DecisionTreeClassifier", {"max_depth": 2}), share=0.5).fit(train)
    facts, found = fit.facts, RATTCertificate().of(fit, train)
    expected = ratt(facts["labelled_error"], facts["random_error"], 100, 100, 10)
    assert (found["bound"], found["vacuous"], found["chance"]) == (expected.bound, int(expected.vacuous), 0.9)
    assert found["concentration"] == pytest.approx(expected.bound - (facts["labelled_error"] + 9 - 10 * facts["random_error"]))
    assert found["concentration"] > 0
    assert "of deep nets that is assumed, not known" in found["assumption"]
    with pytest.raises(NotApplicable, match=r"^RATTCertificate: a part with random labels is required, this sample had none\. Fit RandomizedPart$"):
        RATTCertificate().of(Fit(lambda x: x, "values"), train)
    with pytest.raises(InvalidPart, match=r"^RATTCertificate: delta is a probability in \(0, 1\), got 0\.0$"):
        RATTCertificate(delta=0)


def test_a_learner_that_cannot_follow_random_labels_has_a_certificate_of_two_classes():
    """Strong ridge on two groups of digits: true error below the bound, bound below guessing."""
    splits = catalog.get("OneAgainstRest")(sl.Digits(examples=1200, test_examples=400), (0, 2, 4, 6, 8)).load()
    fit = RandomizedPart(sl.KernelInterpolation(sl.Gaussian(2.0), ridge=10.0)).fit(splits.train)
    found = RATTCertificate().of(fit, splits.train)
    true = (fit.scores(splits.test.inputs).argmax(1) != splits.test.labels).double().mean().item()
    assert true < found["bound"] < 0.5
    table = RandomizedPart(sl.Estimator("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1})).fit(splits.train)
    assert RATTCertificate().of(table, splits.train)["vacuous"] == 1


def test_a_code_proves_what_its_length_says():
    train = digits(80)
    fit = Prequential(sl.KernelInterpolation(sl.Gaussian(1.0)), doublings=2).fit(train)
    found, expected = CodeLengthCertificate().of(fit, train), code_length(fit.facts["code_bits"], 80, 10)
    assert (found["bits"], found["saved"], found["p_value"]) == (expected.bits, expected.saved, expected.p_value)
    assert found["saved"] > 0
    with pytest.raises(NotApplicable, match=r"^CodeLengthCertificate: labels coded block by block are required, this fit has no code\. Fit Prequential$"):
        CodeLengthCertificate().of(Fit(lambda x: x, "values"), train)


def test_random_signs_are_fair_coins_of_two_of_the_classes():
    splits = sl.Digits().load()
    drawn = RandomSigns().apply(splits, sl.Seeds(corruption=5)).train
    assert (drawn.classes, set(drawn.labels.tolist())) == (10, {0, 1})
    heads = int(drawn.labels.sum())
    assert abs(heads - len(drawn) / 2) < 5 * math.sqrt(len(drawn)) / 2  # five standard deviations: probability below 1e-6
    assert torch.equal(drawn.inputs, splits.train.inputs)


# Passes over the data


def passes(measure, fit, train, layer):
    """Examples that reach a layer of the network, over n."""
    seen = []
    hook = layer.register_forward_hook(lambda module, given, made: seen.append(len(given[0])))
    try:
        measure.of(fit, train)
    finally:
        hook.remove()
    return sum(seen) / len(train)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("ParameterCount", 0), ("ParameterNorm", 0), ("DistanceFromInitialization", 0), ("PathNorm", 0.1), ("SpectralNorms", 0.1),
        ("FrobeniusOverSpectral", 0.1), ("Margins", 1), ("MemorizedBits", 1), ("FisherRao", 1), ("GradientNoiseScale", 1), ("VCBound", 1),
        ("SpectralMargin", 1.1),
    ],
)  # fmt: skip
def test_a_measure_that_needs_one_pass_makes_one(name, most):
    train = digits(60)
    fit = sl.Training(sl.MLP((8,)), sl.SGD(lr=0.05), epochs=30, batch_size=20).fit(train)
    layer = next(each for each in fit.model.modules() if isinstance(each, nn.Linear))
    counted = passes(catalog.get(name)(), fit, train, layer)
    assert counted <= most
    assert counted >= min(most, 1) * 0.1  # the hook is where the data goes


def test_the_count_of_passes_bites():
    train = digits(60)
    fit = sl.Training(sl.MLP((8,)), sl.SGD(lr=0.05), epochs=2, batch_size=20).fit(train)
    layer = next(each for each in fit.model.modules() if isinstance(each, nn.Linear))
    assert passes(catalog.get("HessianTrace")(probes=3), fit, train, layer) == 3


@pytest.mark.parametrize("name", ["VCBound", "MarginBound", "StabilityBound"])
def test_every_module_is_put_back_into_the_mode_it_was_in(name):
    train = digits(40)
    fit = plain(lr=0.02).fit(train)
    fit.model.train()
    fit.model[1].eval()
    modes = [module.training for module in fit.model.modules()]
    catalog.get(name)().of(fit, train)
    assert [module.training for module in fit.model.modules()] == modes
    assert set(modes) == {True, False}
