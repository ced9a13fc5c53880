"""Curvature, noise and flatness of fits: against whole Hessians, loops over examples, identities and closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from shatterlab.core import Examples, Fit, catalog
from shatterlab.core.errors import InvalidPart, NotApplicable
from shatterlab.measures._training_loss import TrainingLoss, flat
from shatterlab.measures.flatness import tolerated_deviation

Top, Trace, Noise, FisherRao, Flatness, MagnitudeAware = (
    catalog.get(name) for name in ("HessianTopEigenvalue", "HessianTrace", "GradientNoiseScale", "FisherRao", "Flatness", "MagnitudeAwareFlatness")
)


def network(*widths, bias=True, seed=0, activation=nn.Tanh):
    draw = torch.Generator().manual_seed(seed)
    layers = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out, bias=bias, dtype=torch.float64), activation()]
    model = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(torch.randn(value.shape, generator=draw, dtype=torch.float64))
    return model


def sample(d, n=15, classes=3, seed=1):
    draw = torch.Generator().manual_seed(seed)
    return Examples(torch.randn(n, d, generator=draw, dtype=torch.float64), torch.arange(n) % classes, classes)


def fit_of(model, output="logits"):
    return Fit(lambda inputs: model(inputs).detach(), output, model)


def whole_hessian(model, train, output):
    """Of the mean loss, by torch's own double loop over parameters."""
    names, shapes = zip(*((name, value.shape) for name, value in model.named_parameters()), strict=True)
    sizes = [int(np.prod(shape)) for shape in shapes]

    def loss(vector):
        held = {name: piece.view(shape) for name, piece, shape in zip(names, vector.split(sizes), shapes, strict=True)}
        scores = functional_call(model, held, (train.inputs,))
        if output == "logits":
            return functional.cross_entropy(scores, train.labels)
        return (scores - functional.one_hot(train.labels, train.classes)).square().sum(1).mean()

    return torch.autograd.functional.hessian(loss, torch.cat([value.detach().flatten() for value in model.parameters()]))


@pytest.mark.parametrize("output", ["logits", "values"])
@pytest.mark.parametrize("widths", [(3, 4, 3), (2, 3)], ids=["a hidden layer", "linear"])
def test_products_eigenvalue_and_trace_are_those_of_the_whole_hessian(output, widths):
    model, train = network(*widths), sample(widths[0])
    hessian = whole_hessian(model, train, output)
    fit = fit_of(model, output)
    loss = TrainingLoss(fit, train, "test")
    direction = torch.randn(loss.count, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    assert torch.allclose(flat(loss.hessian_times(loss.shaped(direction))), hessian @ direction, rtol=1e-9, atol=1e-9)
    values = torch.linalg.eigvalsh(hessian)
    found = Top(tolerance=1e-6).of(fit, train)
    assert found["largest"] == pytest.approx(values[-1].item(), rel=1e-6)
    assert found["residual"] < 1e-4
    told = Trace(probes=200).of(fit, train)
    deviation = (2 * (hessian.square().sum() - hessian.diagonal().square().sum()) / 200).sqrt().item()
    assert abs(told["trace"] - hessian.trace().item()) <= 5 * deviation + 1e-9  # 5 deviations: 6e-7
    assert told["standard_error"] == pytest.approx(deviation, rel=0.4, abs=1e-9)
    assert told["mean"] == pytest.approx(told["trace"] / loss.count)


def test_the_trace_estimate_is_exact_where_the_hessian_is_diagonal():
    """Squared error of a linear map of orthogonal inputs: H = (2 / n) X'X for each class, diagonal, so v'Hv is the trace for every v."""
    model = network(4, 3, bias=False)
    train = Examples(2 * torch.eye(4, dtype=torch.float64), torch.tensor([0, 1, 2, 0]), 3)
    found = Trace(probes=2).of(fit_of(model, "values"), train)
    assert found["trace"] == pytest.approx(3 * 4 * 2.0, rel=1e-12)  # 3 classes x 4 inputs x (2 / 4) 2^2
    assert found["standard_error"] == pytest.approx(0, abs=1e-9)


def test_a_piecewise_linear_function_without_loss_curvature_has_no_hessian():
    model = nn.Sequential(nn.Linear(3, 2, dtype=torch.float64), _Constant())
    flat_loss = TrainingLoss(fit_of(model, "values"), sample(3, classes=2), "test")
    ones = tuple(torch.ones_like(value) for value in flat_loss.parameters)
    assert flat(flat_loss.hessian_times(ones)).abs().max() == 0


class _Constant(nn.Module):
    """Gives 0 whatever it gets, with a gradient of 0."""

    def forward(self, x):
        return x * 0


def test_examples_are_taken_evenly():
    train = sample(3, n=12)
    loss = TrainingLoss(fit_of(network(3, 3)), train, "test", 4)
    assert torch.equal(loss.train.labels, train.labels[[0, 3, 7, 11]])
    assert len(TrainingLoss(fit_of(network(3, 3)), train, "test", 40)) == 12


# Gradient noise


def gradients(model, train, output="logits"):
    loss = TrainingLoss(fit_of(model, output), train, "test")
    return torch.stack([loss.gradient(train.inputs[i : i + 1], train.labels[i : i + 1]) for i in range(len(train))])


def test_noise_scale_is_the_ratio_of_its_definition():
    model, train = network(3, 4, 3), sample(3)
    each = gradients(model, train).numpy()
    mean = each.mean(0)
    found = Noise().of(fit_of(model), train)
    assert found["trace_of_covariance"] == pytest.approx(np.cov(each.T).trace(), rel=1e-9)
    assert found["squared_gradient"] == pytest.approx(mean @ mean, rel=1e-9)
    assert found["noise_scale"] == pytest.approx(np.cov(each.T).trace() / (mean @ mean), rel=1e-9)


def test_noise_scale_from_batches_is_unbiased():
    """Over 100 partitions, into batches of 4 and a rest: the mean is within 5 standard errors (6e-7) of the exact value."""
    model, train = network(3, 3), sample(3, n=14)
    exact = np.cov(gradients(model, train).numpy().T).trace()
    found = [Noise(batch_size=4, seed=seed).of(fit_of(model), train)["trace_of_covariance"] for seed in range(100)]
    assert abs(np.mean(found) - exact) <= 5 * np.std(found) / 10
    biased = np.mean(found) / 4  # planted: the variance of batch means taken for that of examples
    assert abs(biased - exact) > 5 * np.std(found) / 10


def test_equal_examples_have_no_noise():
    train = Examples(torch.ones(6, 3, dtype=torch.float64), torch.zeros(6, dtype=torch.int64), 2)
    found = Noise().of(fit_of(network(3, 2)), train)
    assert found["noise_scale"] == pytest.approx(0, abs=1e-12)


# Fisher-Rao


def test_fisher_rao_of_a_relu_net_without_biases_is_its_depth_times_the_spread_of_its_scores():
    """J theta = L f (the net is homogeneous of degree L), so the squared norm is L^2 mean_x Var_{y ~ p(x)} f_y(x)."""
    model, train = network(4, 5, 6, 3, bias=False, activation=nn.ReLU), sample(4)
    scores = model(train.inputs).detach()
    shares = scores.softmax(1)
    spread = (shares * (scores - (shares * scores).sum(1, keepdim=True)).square()).sum(1).mean().item()
    found = FisherRao().of(fit_of(model), train)
    assert found["squared"] == pytest.approx(9 * spread, rel=1e-9)
    assert found["norm"] == pytest.approx(3 * spread**0.5, rel=1e-9)
    values = FisherRao().of(fit_of(model, "values"), train)
    assert values["squared"] == pytest.approx(9 * 2 * scores.square().sum(1).mean().item(), rel=1e-9)


@pytest.mark.parametrize("output", ["logits", "values"])
def test_fisher_rao_is_the_mean_squared_slope_along_the_weights(output):
    model, train = network(3, 4, 3), sample(3)
    vector = torch.cat([value.detach().flatten() for value in model.parameters()])
    along = gradients(model, train, output) @ vector
    assert FisherRao().of(fit_of(model, output), train)["empirical"] == pytest.approx(along.square().mean().sqrt().item(), rel=1e-9)
    if output == "logits":  # over the model's own labels, one class at a time
        shares = model(train.inputs).softmax(1).detach()
        total = 0.0
        for label in range(3):
            relabelled = Examples(train.inputs, torch.full_like(train.labels, label), 3)
            total += (shares[:, label] * (gradients(model, relabelled) @ vector).square()).sum().item()
        assert FisherRao().of(fit_of(model, output), train)["squared"] == pytest.approx(total / len(train), rel=1e-9)


def test_fisher_rao_refuses_probabilities():
    with pytest.raises(NotApplicable, match=r"^FisherRao: logits or values are required, this fit gives probabilities$"):
        FisherRao().of(fit_of(network(3, 3), "probabilities"), sample(3))


# Flatness


def one_weight_each(gap):
    """Scores (gap x, 0 x) of inputs that are all 1 and of class 0: noise errs where it turns the sign of the difference of two weights."""
    model = nn.Linear(1, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[gap], [0.0]]))
    return nn.Sequential(model), Examples(torch.ones(2, 1, dtype=torch.float64), torch.tensor([0, 0]), 2)


def test_flatness_is_a_standard_deviation():
    """P[error] = Phi(-gap / (s sqrt 2)) = 0.1 at s = gap / (sqrt 2 x 1.2816); a variance in its place would give the square of it."""
    model, train = one_weight_each(20.0)
    found = Flatness(draws=200, steps=9).of(fit_of(model), train)
    exact = 20.0 / (np.sqrt(2) * stats.norm.isf(0.1))
    # the rise is a mean of 200 yes-or-no draws: 4.9 standard errors (1e-6) of 0.0212 reach beyond 0, to 0.204
    low, high = (20.0 / (np.sqrt(2) * stats.norm.isf(share)) for share in (0.005, 0.204))
    assert low <= found["deviation"] <= high
    assert not low <= exact**0.5 <= high  # planted: the deviation's root
    assert not low <= exact**2 <= high  # planted: its square
    assert found["sharpness"] == pytest.approx(found["deviation"] ** -2)
    assert found["rise"] <= 0.1
    assert found["pac_bayes"] is None


def test_flatness_grows_with_the_weights_and_the_magnitude_aware_one_does_not():
    plain, aware = [], []
    for gap in (5.0, 20.0):
        model, train = one_weight_each(gap)
        plain.append(Flatness(draws=5).of(fit_of(model), train)["deviation"])
        aware.append(MagnitudeAware(draws=5, floor=0.0).of(fit_of(model), train)["deviation"])
    assert plain[1] / plain[0] == pytest.approx(4, rel=0.01)  # the same draws: exact but for 14 halvings
    assert aware[1] == pytest.approx(aware[0], rel=0.01)


def test_flatness_gives_the_leading_terms_of_its_bound():
    model, train = one_weight_each(5.0)
    start = {"0.weight": torch.zeros(2, 1)}
    found = Flatness(draws=5).of(Fit(model, "logits", model, start), train)
    assert found["pac_bayes"] == pytest.approx(
        np.sqrt((25 / (4 * found["deviation"] ** 2) + np.log(2 / found["deviation"]) * (found["deviation"] < 2) + 10) / 2)
    )


def test_noise_that_changes_nothing_is_said():
    model, train = one_weight_each(5.0)
    wrong = Examples(train.inputs, torch.tensor([1, 1]), 2)
    with pytest.raises(
        NotApplicable, match=r"^Flatness: a training error that noise can raise by 0\.1 is required, from 1 noise of deviation 1e-07 to 100 raises it by 0 to -"
    ):
        Flatness(draws=4, steps=3).of(fit_of(model), wrong)
    loss = TrainingLoss(fit_of(model), train, "test")
    ones = tuple(torch.ones_like(value) for value in loss.parameters)
    with pytest.raises(NotApplicable, match=r"^test: a training error"):
        tolerated_deviation(loss, ones, 50.0, 0.1, 20, 3, 0, "test")  # the floor alone is too much


@pytest.mark.parametrize("measure", [Top, Trace, Noise, FisherRao, Flatness, MagnitudeAware])
def test_a_model_that_is_no_module_is_refused(measure):
    with pytest.raises(NotApplicable, match=f"^{measure.__name__}: a torch module is required, got NoneType$"):
        measure.specimens()[0].of(Fit(lambda inputs: inputs, "values"), sample(3))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Top(tolerance=0), r"HessianTopEigenvalue: tolerance is in \(0, 1\), got 0\.0"),
        (lambda: Top(examples=0), r"HessianTopEigenvalue: examples is a whole number >= 1 or None, got 0"),
        (lambda: Trace(probes=1), r"HessianTrace: probes is a whole number >= 2, got 1"),
        (lambda: Noise(batch_size=0), r"GradientNoiseScale: batch_size is a whole number >= 1, got 0"),
        (lambda: Flatness(rise=1), r"Flatness: rise is a fraction in \(0, 1\), got 1\.0"),
        (lambda: MagnitudeAware(floor=-1), r"MagnitudeAwareFlatness: floor is a standard deviation >= 0, got -1\.0"),
    ],
)
def test_what_is_out_of_range_is_refused(make, text):
    with pytest.raises(InvalidPart, match=f"^{text}$"):
        make()


def test_a_model_in_training_mode_is_measured_in_evaluation_mode_and_put_back():
    model = nn.Sequential(nn.Linear(3, 4, dtype=torch.float64), nn.BatchNorm1d(4, dtype=torch.float64), nn.Dropout(0.5), nn.Linear(4, 3, dtype=torch.float64))
    model.train()
    model[2].eval()
    statistics = model[1].running_mean.clone()
    found = Trace(probes=2).of(fit_of(model), sample(3))
    assert [layer.training for layer in model] == [True, True, False, True]
    assert torch.equal(model[1].running_mean, statistics)
    model.eval()
    assert Trace(probes=2).of(fit_of(model), sample(3)) == found
