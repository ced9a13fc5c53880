"""Norms of networks: against dense Jacobians, sums over all paths, formulas written out, and planted bugs."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import shatterlab as sl
from shatterlab.architectures._layers import SameMaxPool2d
from shatterlab.core import Examples, Fit, catalog
from shatterlab.core.errors import InvalidPart, NotApplicable
from shatterlab.measures._layers import Affine, affine_layers
from shatterlab.measures._pools import Pools
from shatterlab.measures.margins import Margins
from shatterlab.training.torch_seed import seeded

PathNorm, SpectralNorms, FrobeniusOverSpectral, SpectralMargin, ParameterNorm, DistanceFromInitialization, RKHSNorm = (
    catalog.get(name)
    for name in ("PathNorm", "SpectralNorms", "FrobeniusOverSpectral", "SpectralMargin", "ParameterNorm", "DistanceFromInitialization", "RKHSNorm")
)
NETWORK_MEASURES = (PathNorm, SpectralNorms, FrobeniusOverSpectral, SpectralMargin, ParameterNorm, DistanceFromInitialization)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def examples(shape, n=12, classes=3, seed=0):
    draw = generator(seed)
    return Examples(torch.rand((n, *shape), generator=draw), torch.arange(n) % classes, classes)


def drawn(model, seed=0, scale=0.5):
    """The model with all parameters, and running statistics, drawn."""
    draw = generator(seed)
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=draw) * scale)
                if "running_var" in name:
                    value.abs_().add_(0.1)
    return model


def fitted(model, initial=None):
    """A fit of this model, its scores in evaluation mode."""

    def scores(inputs):
        modes = {module: module.training for module in model.modules()}
        model.eval()
        with torch.no_grad():
            found = model(inputs)
        for module, mode in modes.items():
            module.training = mode
        return found

    return Fit(scores, "logits", model, initial)


def dense(function, shape):
    """The matrix of a linear function of inputs of this shape."""
    return torch.autograd.functional.jacobian(lambda x: function(x.view(1, *shape)).flatten(), torch.zeros(int(np.prod(shape)), dtype=torch.float64))


class Halving(nn.Conv2d):
    """Pads at the end only, then convolves."""

    def forward(self, images):
        return super().forward(functional.pad(images, (0, 1, 0, 1)))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 3, 3, padding=1),
        nn.Conv2d(2, 4, 5, stride=2, padding=2),
        nn.Conv2d(4, 4, 3, groups=2, dilation=2, bias=False),
        Halving(2, 3, 3, stride=2),
    ],
    ids=["same", "strided", "grouped and dilated", "padded at its end"],
)
def test_norms_of_a_convolution_are_those_of_its_dense_matrix(layer):
    drawn(layer)
    shape = (layer.in_channels, 8, 8)
    model = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(3))
    model(torch.zeros(2, *shape))
    [convolution, _] = affine_layers(fitted(model), examples(shape), "test")
    matrix = dense(lambda x: convolution.mapped(x, convolution.weight), shape)
    # Lanczos in float32: its residual 1e-4 bounds the error of the eigenvalue by 1e-8 / gap, rounding is about 1e-6
    assert convolution.spectral_norm() == pytest.approx(torch.linalg.matrix_norm(matrix, 2).item(), rel=1e-5)
    assert convolution.frobenius_norm() == pytest.approx(matrix.norm().item(), rel=1e-10)
    assert torch.allclose(convolution.row_norms(convolution.weight), matrix.norm(dim=1), rtol=1e-10, atol=0)
    kernel = torch.linalg.matrix_norm(layer.weight.detach().double().flatten(1), 2).item()
    assert abs(convolution.spectral_norm() / kernel - 1) > 1e-3  # planted: the norm of the flattened kernel is another number


def test_batch_norm_in_evaluation_mode_is_folded_into_the_layer_that_it_follows():
    model = drawn(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(192, 3)))
    train = examples((2, 8, 8))
    layers = affine_layers(fitted(model), train, "test")
    assert [layer.name for layer in layers] == ["0", "3", "5"]
    model.eval().double()
    zero = torch.zeros(1, 2, 8, 8, dtype=torch.float64)
    both = dense(lambda x: model[1](model[0](x)) - model[1](model[0](zero)), (2, 8, 8))
    assert layers[0].spectral_norm() == pytest.approx(torch.linalg.matrix_norm(both, 2).item(), rel=1e-5)
    alone = (model[3].weight / (model[3].running_var + model[3].eps).sqrt()).abs()
    assert layers[1].spectral_norm() == pytest.approx(alone.max().item(), rel=1e-6)
    assert layers[1].frobenius_norm() == pytest.approx((64 * alone.square().sum()).sqrt().item(), rel=1e-6)


def test_batch_norm_after_an_activation_in_place_is_a_layer_of_its_own():
    model = drawn(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(inplace=True), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(108, 3)))
    assert [layer.name for layer in affine_layers(fitted(model), examples((2, 8, 8)), "test")] == ["0", "2", "4"]


def test_a_layer_used_twice_counts_twice():
    shared = nn.Linear(4, 4)
    model = drawn(nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(4, 3)))
    found = SpectralNorms().of(fitted(model), examples((4,)))
    norms = [torch.linalg.matrix_norm(layer.weight.detach().double(), 2).item() for layer in (shared, shared, model[4])]
    assert found["norms"] == pytest.approx(norms, rel=1e-10)
    assert found["log_product"] == pytest.approx(np.log(norms).sum(), rel=1e-10)
    assert found["product"] == pytest.approx(np.prod(norms), rel=1e-10)
    assert found["layers"] == 3


def test_a_large_linear_layer_takes_the_iterative_way_to_the_same_norm(monkeypatch):
    layer = drawn(nn.Linear(90, 80))
    affine = Affine("linear", layer, (90,), layer.weight.detach().double())
    exact = affine.spectral_norm()
    monkeypatch.setattr("shatterlab.measures._layers._DENSE", 10)
    assert affine.spectral_norm() == pytest.approx(exact, rel=1e-5)
    assert exact == pytest.approx(np.linalg.norm(layer.weight.detach().double().numpy(), 2), rel=1e-12)
    assert replace(affine, weight=torch.zeros_like(affine.weight)).spectral_norm() == 0


def test_stable_ranks():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():
        model[0].weight.copy_(2 * torch.eye(4))  # all directions alike: 4
        model[2].weight.copy_(torch.outer(torch.ones(3), torch.arange(4.0)))  # one direction: 1
    found = FrobeniusOverSpectral().of(fitted(model), examples((4,)))
    assert found["stable_ranks"] == pytest.approx([4, 1], rel=1e-9)
    assert (found["sum"], found["mean"]) == pytest.approx((5, 2.5), rel=1e-9)
    assert found["log_product_frobenius"] == pytest.approx(np.log(4) + np.log(np.sqrt(3 * 14)), rel=1e-9)
    nn.init.zeros_(model[2].weight)
    with pytest.raises(NotApplicable, match=r"^FrobeniusOverSpectral: layers other than 0 are required, all weights of 2 are 0$"):
        FrobeniusOverSpectral().of(fitted(model), examples((4,)))


# Pools


def stretch(pool, shape):
    with Pools("test") as pools:
        pool(torch.zeros(1, *shape, dtype=torch.float64))
    return pools.product


@pytest.mark.parametrize(
    ("pool", "windows"),
    [
        (nn.MaxPool2d(3, stride=2), 4),
        (SameMaxPool2d(), 4),  # with padding at the end only
        (nn.MaxPool2d(3, stride=2, padding=1), 4),
        (nn.MaxPool2d(2), 1),
        (nn.MaxPool2d((3, 2), stride=(1, 2), return_indices=True), 3),
        (nn.MaxPool2d(2, stride=1, dilation=3), 4),
        (nn.AdaptiveMaxPool2d(4), 4),  # of 7 or 8 places: windows overlap for 7
        (lambda x: functional.max_pool1d(x.flatten(2), 5, stride=2), 3),
    ],
    ids=["3/2", "same", "3/2 padded", "2/2", "one axis", "dilated", "adaptive", "one-dimensional"],
)
def test_a_max_pool_stretches_by_the_root_of_the_windows_that_share_an_input(pool, windows):
    side = 8 if windows == 1 else 7

    def maxima(x):
        outputs = pool(x)
        return outputs[0] if isinstance(outputs, tuple) else outputs

    found = stretch(pool, (1, side, side))
    assert found == pytest.approx(windows**0.5, rel=1e-12)
    peaks = torch.eye(side * side, dtype=torch.float64).view(-1, 1, side, side)  # one peak each: it is the maximum of all of its windows
    assert max(maxima(peak[None]).norm().item() for peak in peaks) == pytest.approx(found, rel=1e-12)
    draw = generator(1)
    for _ in range(50):
        x, y = torch.rand(2, 1, 1, side, side, generator=draw, dtype=torch.float64)
        assert (maxima(x) - maxima(y)).norm() <= found * (x - y).norm()


@pytest.mark.parametrize(
    "pool",
    [nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1, count_include_pad=False), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3), nn.AvgPool2d(2, 1, divisor_override=1)],
    ids=["zeros counted", "inside only", "2/2", "adaptive", "sums"],
)
def test_a_mean_pool_stretches_by_no_more_than_said(pool):
    exact = torch.linalg.matrix_norm(dense(pool, (1, 7, 7)), 2).item()
    found = stretch(pool, (1, 7, 7))
    assert exact <= found * (1 + 1e-12)
    assert found <= max(1.0, 1.15 * exact)


def test_the_product_bounds_the_jacobian_of_a_pooled_net_and_layers_alone_do_not():
    """A convolution that copies the image, then overlapping maxima: a single peak reaches four scores."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.MaxPool2d(3, stride=2), nn.Flatten(), nn.Linear(9, 9, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[4].weight.copy_(torch.eye(9))
    found = SpectralNorms().of(fitted(model), examples((1, 7, 7)))
    assert (found["product"], found["pools"], found["norms"].tolist()) == (pytest.approx(2.0, rel=1e-6), 2.0, pytest.approx([1.0, 1.0], rel=1e-6))
    peak = torch.zeros(1, 1, 7, 7).index_fill(2, torch.tensor(2), 0.1)
    peak[0, 0, 2, 2] = 1.0
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x).flatten(), peak).flatten(1)
    assert torch.linalg.matrix_norm(jacobian, 2).item() == pytest.approx(2.0, rel=1e-6)  # 1 would be the product without the pool


def test_the_product_bounds_the_jacobian_of_alexnet_at_random_points():
    with seeded(0, torch.device("cpu")):
        model = sl.SmallAlexNet(4, init="he").build((3, 12, 12), 3).eval()
    train = examples((3, 12, 12))
    found = SpectralNorms().of(fitted(model), train)
    assert found["pools"] == 4.0  # two pools of 3 x 3 windows with stride 2
    for image in train.inputs:
        jacobian = torch.autograd.functional.jacobian(lambda x: model(x[None]).flatten(), image).flatten(1)
        assert 0 < torch.linalg.matrix_norm(jacobian, 2).item() <= found["product"]


def test_a_pool_of_random_windows_is_refused():
    model = drawn(nn.Sequential(nn.Conv2d(1, 1, 1), nn.FractionalMaxPool2d(2, output_size=3), nn.Flatten(), nn.Linear(9, 2)))
    with pytest.raises(NotApplicable, match=r"^SpectralNorms: pools with fixed windows are required, got fractional_max_pool2d"):
        SpectralNorms().of(fitted(model), examples((1, 7, 7)))


# Path norms


def paths(weights, biases):
    """Every path of a fully connected net, one by one: from an input or a bias, through one unit a layer, to an output."""
    total = {1: 0.0, 2: 0.0}
    widths = [weights[0].shape[1], *(each.shape[0] for each in weights)]
    for start in range(len(weights)):  # from an input (start 0), or from a bias of layer start - 1; the last bias below
        sources = range(widths[start]) if start == 0 else [None]
        for source in sources:
            for units in itertools.product(*(range(width) for width in widths[start + (start == 0) :])):
                if start == 0:
                    product = weights[0][units[0], source]
                    rest, layers = units, weights[1:]
                else:
                    product = biases[start - 1][units[0]]
                    rest, layers = units, weights[start:]
                for here, there, weight in zip(rest, rest[1:], layers, strict=False):
                    product = product * weight[there, here]
                for power in total:
                    total[power] += abs(float(product)) ** power
    for value in biases[-1]:
        for power in total:
            total[power] += abs(float(value)) ** power
    return total


def test_path_norm_is_the_sum_over_all_paths():
    model = drawn(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)))
    linear = [layer for layer in model if isinstance(layer, nn.Linear)]
    total = paths([layer.weight.detach().double().numpy() for layer in linear], [layer.bias.detach().double().numpy() for layer in linear])
    found = PathNorm().of(fitted(model), examples((3,), classes=2))
    assert found["l2"] == pytest.approx(total[2] ** 0.5, rel=1e-9)
    assert found["l1"] == pytest.approx(total[1], rel=1e-9)


class Branches(nn.Module):
    """Convolution, batch norm, two branches, a sum, both kinds of pooling, a constant factor, functional calls."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.one, self.other = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.out = nn.Linear(4, 2)

    def forward(self, images, activation=functional.relu):
        x = activation(self.norm(self.stem(images)))
        x = torch.cat([self.one(x), x + 0.5 * self.other(x)], 1)
        x = functional.max_pool2d(activation(x), 3, stride=2, padding=1) if activation is functional.relu else x
        return self.out(functional.avg_pool2d(x, 2).mean((2, 3)))


def test_path_norm_of_branches_is_that_of_the_linear_network_of_absolute_values():
    """L1 path norm = sum of the outputs at 1 of the net whose numbers are all replaced by absolute values: written out by hand."""
    model = drawn(Branches(), seed=3).double()
    scale = model.norm.weight / (model.norm.running_var + model.norm.eps).sqrt()
    shift = model.norm.bias - model.norm.running_mean * scale
    for power, name in ((1, "l1"), (2, "l2")):
        raised = {key: value.detach().abs() ** power for key, value in model.named_parameters()}
        x = functional.conv2d(torch.ones(1, 1, 4, 4, dtype=torch.float64), raised["stem.weight"], raised["stem.bias"], padding=1)
        x = x * (scale.abs() ** power).view(1, -1, 1, 1) + (shift.abs() ** power).view(1, -1, 1, 1)
        one = functional.conv2d(x, raised["one.weight"], raised["one.bias"])
        x = torch.cat([one, x + 0.5**power * functional.conv2d(x, raised["other.weight"], padding=1)], 1)
        windows = functional.unfold(x, 3, padding=1, stride=2).view(4, 9, 4).sum(1).view(1, 4, 2, 2)  # every input of a window
        averaged = windows.sum((2, 3)) / 4**power  # 2x2 average; its mean over one position changes nothing
        total = functional.linear(averaged, raised["out.weight"], raised["out.bias"]).sum().item()
        found = PathNorm().of(fitted(model), Examples(torch.ones(2, 1, 4, 4, dtype=torch.float64), torch.tensor([0, 1]), 2))
        assert found[name] == pytest.approx(total ** (1 / power), rel=1e-9)


def rescaled(model, factor):
    """The same function: a layer's outputs times the factor, the next layer's weights over it."""
    with torch.no_grad():
        model[0].weight.mul_(factor)
        model[0].bias.mul_(factor)
        model[-1].weight.div_(factor)
    return model


@pytest.mark.parametrize(("pool", "features"), [(nn.Identity(), 48), (nn.MaxPool2d(2), 12), (nn.AvgPool2d(2), 12)], ids=["no pool", "maximum", "average"])
def test_path_norm_is_invariant_to_rescaling_and_the_parameter_norm_is_not(pool, features):
    model = drawn(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), pool, nn.Flatten(), nn.Linear(features, 3)))
    train = examples((2, 6, 6))
    before, weights = PathNorm().of(fitted(model), train), ParameterNorm().of(fitted(model), train)["norm"]
    scores = fitted(model).scores(train.inputs)
    rescaled(model, 8.0)  # a power of two: exact in floating point
    assert torch.allclose(fitted(model).scores(train.inputs), scores, rtol=1e-5, atol=1e-5)
    assert PathNorm().of(fitted(model), train) == pytest.approx(before, rel=1e-12)
    assert abs(ParameterNorm().of(fitted(model), train)["norm"] / weights - 1) > 0.1  # the property would catch a norm that sees the scaling


# Spectrally normalized margin


def separable(model, train):
    """The same sample with the labels that the model gives."""
    return replace(train, labels=fitted(model).scores(train.inputs).argmax(1))


def test_spectral_margin_is_the_formula_of_the_paper():
    model = drawn(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)), scale=1.0)
    start = {name: torch.randn(value.shape, generator=generator(9)) for name, value in model.named_parameters()}
    train = separable(model, examples((5,)))
    found = SpectralMargin(quantile=0.0).of(fitted(model, start), train)
    matrices = [(model[i].weight.detach().double().numpy(), start[f"{i}.weight"].double().numpy()) for i in (0, 2)]
    spectral = [np.linalg.norm(a, 2) for a, _ in matrices]
    moved = [np.sqrt(((a - m) ** 2).sum(1)).sum() for a, m in matrices]  # rows of A: columns of A'
    complexity = np.prod(spectral) * sum((b / s) ** (2 / 3) for b, s in zip(moved, spectral, strict=True)) ** 1.5
    margin = Margins().of(fitted(model), train)["minimum"]
    assert found["complexity"] == pytest.approx(complexity, rel=1e-9)
    assert found["margin"] == pytest.approx(margin, rel=1e-6)
    assert found["ratio"] == pytest.approx(complexity / margin, rel=1e-6)
    assert found["bound_term"] == pytest.approx(np.linalg.norm(train.inputs.numpy()) * complexity / margin / len(train), rel=1e-6)
    transposed = [np.sqrt(((a - m) ** 2).sum(0)).sum() for a, m in matrices]
    assert abs(transposed[0] / moved[0] - 1) > 1e-3  # planted: norms of the other side would show


def test_spectral_margin_does_not_change_when_the_scores_are_scaled():
    """Last layer doubled, in the trained and in the initial net: complexity and margin double, their ratio stays."""
    model = drawn(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)), scale=1.0)
    nn.init.zeros_(model[2].bias)
    start = {name: torch.randn(value.shape, generator=generator(9)) for name, value in model.named_parameters()}
    train = separable(model, examples((5,)))
    before = SpectralMargin().of(fitted(model, start), train)
    with torch.no_grad():
        model[2].weight.mul_(2)
    after = SpectralMargin().of(fitted(model, start | {"2.weight": 2 * start["2.weight"]}), train)
    assert after["ratio"] == pytest.approx(before["ratio"], rel=1e-6)
    assert after["complexity"] == pytest.approx(2 * before["complexity"], rel=1e-9)


def test_spectral_margin_needs_a_positive_margin_and_initial_weights():
    model = drawn(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)))
    train = separable(model, examples((5,)))
    with pytest.raises(NotApplicable, match=r"^SpectralMargin: initial weights are required, those of 0 are not known$"):
        SpectralMargin().of(fitted(model), train)
    wrong = replace(train, labels=(train.labels + 1) % 3)
    with pytest.raises(NotApplicable, match=r"^SpectralMargin: a positive margin at quantile 0\.1 is required, got -.*: the fit does not interpolate there$"):
        SpectralMargin().of(fitted(model, dict(model.named_parameters())), wrong)
    with pytest.raises(InvalidPart, match=r"^SpectralMargin: quantile is in \[0, 1\), got 1\.0$"):
        SpectralMargin(quantile=1)


# Lengths of weights


def test_lengths_are_those_of_one_long_vector():
    model = drawn(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)))
    start = {name: torch.zeros_like(value) for name, value in model.named_parameters()} | {"0.weight": torch.ones(2, 3)}
    vector = np.concatenate([value.detach().double().numpy().ravel() for value in model.parameters()])
    begun = np.concatenate([start[name].double().numpy().ravel() for name, _ in model.named_parameters()])
    train = examples((3,), classes=2)
    assert ParameterNorm().of(fitted(model), train) == pytest.approx({"norm": np.linalg.norm(vector), "squared": vector @ vector}, rel=1e-12)
    moved = DistanceFromInitialization().of(fitted(model, start), train)
    assert moved == pytest.approx({"distance": np.linalg.norm(vector - begun), "relative": np.linalg.norm(vector - begun) / np.sqrt(6)}, rel=1e-12)
    nowhere = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    assert DistanceFromInitialization().of(fitted(model, nowhere), train)["relative"] is None
    with pytest.raises(NotApplicable, match=r"^DistanceFromInitialization: initial weights are required, this fit has none$"):
        DistanceFromInitialization().of(fitted(model), train)


def test_the_norm_of_a_kernel_interpolant_is_that_of_the_inverse():
    train = sl.Digits(examples=60).load().train
    fit = sl.KernelInterpolation(sl.Laplacian(2.0)).fit(train)
    targets = functional.one_hot(train.labels, 10).double()
    gram = sl.Laplacian(2.0).gram(train.inputs.double(), train.inputs.double())
    squares = (targets * torch.linalg.solve(gram, targets)).sum(0)  # y' K^-1 y of each class
    found = RKHSNorm().of(fit, train)
    assert found["norm"] == pytest.approx(squares.sum().sqrt().item(), rel=1e-7)
    assert found["norm"] ** 2 == pytest.approx(fit.facts["squared_norm"], rel=1e-7)
    assert found["largest_class"] == pytest.approx(squares.max().sqrt().item(), rel=1e-7)
    assert found["complexity"] == pytest.approx((squares.sum() / 60).sqrt().item(), rel=1e-7)
    assert found["norm_over_margin"] == pytest.approx(found["norm"], rel=1e-6)  # it interpolates one-hot labels: the margin is 1
    smooth = RKHSNorm().of(sl.KernelInterpolation(sl.Laplacian(2.0), ridge=1e4).fit(train), train)
    assert smooth["norm"] < found["norm"] / 10
    with pytest.raises(NotApplicable, match=r"^RKHSNorm: a kernel expansion is required, got NoneType\. Fit KernelInterpolation$"):
        RKHSNorm().of(Fit(fit.scores, "values"), train)


# What they refuse, and what they leave alone


def test_a_trained_network_with_branches_and_batch_norm_is_measured_and_put_back():
    train = examples((3, 8, 8), n=20, classes=4)
    fit = sl.Training(sl.SmallInception(width=0.05), sl.SGD(lr=0.05), epochs=2, batch_size=10).fit(train)
    fit.model.train()
    fit.model[1][1].eval()
    modes = [module.training for module in fit.model.modules()]
    statistics = {name: value.clone() for name, value in fit.model.named_buffers()}
    refusals = []
    for measure in NETWORK_MEASURES:
        try:
            found = measure().of(fit, train)
        except NotApplicable as reason:
            refusals.append(str(reason))
            continue
        assert all(np.isfinite(value).all() for value in found.values())
    assert all("positive margin" in each for each in refusals)
    assert [module.training for module in fit.model.modules()] == modes
    assert all(torch.equal(value, statistics[name]) for name, value in fit.model.named_buffers())


@pytest.mark.parametrize(
    ("model", "shape", "measure", "reason"),
    [
        (
            nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 3)),
            (4,),
            SpectralNorms,
            "linear, convolution and batch-norm layers are required, got LayerNorm at 1",
        ),
        (nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 3)), (4,), PathNorm, "got Sigmoid at 1"),
        (
            nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), nn.Flatten(), nn.Linear(16, 3)),
            (1, 4, 4),
            SpectralNorms,
            "convolutions that pad with zeros are required, got Conv2d at 0",
        ),
        (
            nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 3)),
            (4,),
            SpectralNorms,
            "batch-norm layers with running statistics are required, got BatchNorm1d at 1",
        ),
        (
            nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 3)),
            (4,),
            PathNorm,
            "batch-norm layers with running statistics are required, got BatchNorm1d at 1",
        ),
    ],
    ids=["layer norm", "sigmoid", "reflecting", "batch statistics", "batch statistics, paths"],
)
def test_a_layer_that_cannot_be_read_is_named(model, shape, measure, reason):
    with pytest.raises(NotApplicable, match=f"^{measure.__name__}: .*{reason}$"):
        measure().of(fitted(model), examples(shape))


class Standardized(nn.Linear):
    """Divides its weight by its norm: not what its weight says."""

    def forward(self, x):
        return functional.linear(x, self.weight / self.weight.norm(), self.bias)


class Forgotten(nn.Module):
    """Uses the weight of a layer without calling it."""

    def __init__(self):
        super().__init__()
        self.layer, self.out = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(functional.linear(x, self.layer.weight))


def test_a_layer_that_is_not_what_it_seems_is_refused():
    with pytest.raises(NotApplicable, match=r"^SpectralNorms: layers that are linear in input and weight are required, got Standardized at 0$"):
        SpectralNorms().of(fitted(nn.Sequential(Standardized(4, 3))), examples((4,)))
    with pytest.raises(NotApplicable, match=r"^SpectralNorms: layers that the forward pass calls are required, got Linear at layer$"):
        SpectralNorms().of(fitted(Forgotten()), examples((4,)))


@pytest.mark.parametrize("measure", NETWORK_MEASURES)
def test_a_model_that_is_no_module_is_refused(measure):
    with pytest.raises(NotApplicable, match=f"^{measure.__name__}: a torch module is required, got NoneType$"):
        measure().of(Fit(lambda inputs: inputs, "values"), examples((4,)))


def test_response_normalization_is_passed_over_by_norms_and_refused_by_paths():
    train = examples((3, 8, 8), n=12, classes=3)
    fit = sl.Training(sl.SmallAlexNet(4), sl.SGD(lr=0.01), epochs=1, batch_size=6).fit(train)
    assert SpectralNorms().of(fit, train)["layers"] == 5
    with pytest.raises(NotApplicable, match=r"got LocalResponseNorm at 0\.norm1$"):
        PathNorm().of(fit, train)
