"""The paper's networks: published parameter counts, any input size, and their layers by a second route."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from shatterlab.architectures._layers import SameConv2d, SameMaxPool2d
from shatterlab.architectures.linear import Linear
from shatterlab.architectures.mlp import MLP
from shatterlab.architectures.small_alexnet import LocalResponseNorm, SmallAlexNet
from shatterlab.architectures.small_inception import ShiftNorm2d, SmallInception
from shatterlab.core import catalog
from shatterlab.core.errors import InvalidPart

CIFAR = (3, 28, 28)
SMALL = {
    "mlp": MLP((16, 8)),
    "linear": Linear(),
    "alexnet": SmallAlexNet(4),
    "inception": SmallInception(width=0.1),
    "inception without norm": SmallInception(batch_norm=False, width=0.1),
    "inception padded as in tensorflow": SmallInception(width=0.1, padding="tensorflow"),
}
CONVOLUTIONAL = [name for name in SMALL if name not in ("mlp", "linear")]


def built(part, shape=CIFAR, classes=10, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return part.build(shape, classes)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("part", "published"),
    [
        (MLP((512,)), 1_209_866),
        (MLP((512, 512, 512)), 1_735_178),
        (SmallAlexNet(), 1_387_786),
        (SmallInception(), 1_649_402),
        (SmallInception(batch_norm=False), 1_649_402),
        (SmallInception(convention="shift"), 1_649_402),
        (SmallInception(convention="bias"), 1_649_402),
        (SmallInception(convention="scale_shift"), 1_651_114),
        (SmallInception(convention="scale_shift_bias"), 1_652_826),
        (SmallInception(convention="none"), 1_647_690),
        (SmallInception(batch_norm=False, convention="bias"), 1_649_402),
        (SmallInception(batch_norm=False, convention="none"), 1_647_690),
        (SmallInception(padding="tensorflow"), 1_649_402),
        (Linear(), 23_530),
        (Linear(bias=False), 23_520),
    ],
    ids=repr,
)
def test_parameters_at_3x28x28_and_10_classes_are_as_published(part, published):
    assert count(part.build(CIFAR, 10)) == published


# The rows of the paper's figure 3: the filters of a 1x1 and a 3x3 convolution that share their input.
ROWS = ((0, 96), (32, 32), (32, 48), "80", (112, 48), (96, 64), (80, 80), (48, 96), "96", (176, 160), (176, 160))


@pytest.mark.parametrize("width", [0.01, 0.25, 0.5, 1.0, 1.5])
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 10), (5, 100)])
def test_inception_of_any_width_counts_as_its_table_says(width, channels, classes):
    scaled, inputs, expected = (lambda filters: max(1, round(filters * width))), channels, 0
    for row in ROWS:
        if isinstance(row, str):
            expected += 9 * inputs * scaled(int(row)) + scaled(int(row))
            inputs += scaled(int(row))
        else:
            ones, threes = (scaled(filters) if filters else 0 for filters in row)
            expected += inputs * (ones + 9 * threes) + ones + threes
            inputs = ones + threes
    expected += (inputs + 1) * classes
    assert count(SmallInception(width=width).build((channels, 9, 9), classes)) == expected


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (3, 32, 32), (1, 28, 28), (3, 29, 31), (2, 3, 3), (1, 3, 50)])
@pytest.mark.parametrize("classes", [2, 13])
def test_any_image_size_channel_and_class_count_gives_one_score_a_class(name, shape, classes):
    scores = built(SMALL[name], shape, classes)(drawn(4, *shape))
    assert scores.shape == (4, classes) and scores.isfinite().all()


@pytest.mark.parametrize("part", [MLP(), Linear(), Linear(bias=False)], ids=repr)
def test_tables_are_taken_by_the_networks_that_flatten(part):
    assert built(part, (7,), 3)(drawn(5, 7)).shape == (5, 3)


@pytest.mark.parametrize("part", [SmallAlexNet(), SmallInception()])
def test_tables_and_tiny_images_are_refused_by_the_others(part):
    with pytest.raises(InvalidPart) as refused:
        part.build((64,), 10)
    assert str(refused.value) == f"{part.kind}: images are required, got inputs of shape (64,). Use MLP or Linear for tables."
    with pytest.raises(InvalidPart) as refused:
        part.build((3, 28, 2), 10)
    assert str(refused.value) == f"{part.kind}: inputs of at least 3x3 are required, got 28x2. Use larger images or MLP."


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: MLP(()), "MLP: at least one hidden layer is required, got (). Use Linear for none."),
        (lambda: MLP((512, 0)), "MLP: hidden widths are whole numbers >= 1, got (512, 0)"),
        (lambda: MLP(init="zero"), "MLP: init is one of 'default', 'he', 'glorot', got 'zero'"),
        (lambda: Linear(init="he"), "Linear: init is one of 'default', 'zero', got 'he'"),
        (lambda: SmallAlexNet(0), "SmallAlexNet: channels is a whole number >= 1, got 0"),
        (lambda: SmallInception(width=0.0), "SmallInception: width is a finite factor > 0, got 0.0"),
        (lambda: SmallInception(width=math.inf), "SmallInception: width is a finite factor > 0, got inf"),
        (lambda: SmallInception(norm_momentum=0), "SmallInception: norm_momentum is a weight in (0, 1], got 0.0"),
        (lambda: SmallInception(norm_eps=0), "SmallInception: norm_eps is a finite number > 0, got 0.0"),
        (lambda: SmallInception(padding="same"), "SmallInception: padding is one of 'symmetric', 'tensorflow', got 'same'"),
        (
            lambda: SmallInception(batch_norm=False, convention="scale_shift"),
            "SmallInception: convention without batch norm is 'shift', 'bias' or 'none', got 'scale_shift'. Only batch norm has a scale.",
        ),
    ],
)
def test_fields_out_of_range_are_refused_in_words(make, text):
    with pytest.raises(InvalidPart) as refused:
        make()
    assert str(refused.value) == text


@pytest.mark.parametrize("name", SMALL)
def test_a_description_builds_an_equal_part(name):
    assert catalog.build(SMALL[name].describe()) == SMALL[name] == catalog.build(SMALL[name].describe(defaults=True))


@pytest.mark.parametrize("name", SMALL)
def test_weights_follow_the_seed_and_nothing_else(name):
    first, again, other = (built(SMALL[name], seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_takes_part_and_random_labels_can_be_fitted(name):
    network, images, labels = built(SMALL[name], (1, 8, 8), 3), drawn(12, 1, 8, 8), torch.arange(12) % 3
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(400):
        loss = functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())
            assert all(parameter.grad.any() for each, parameter in network.named_parameters() if each.startswith(("scores", "stem", "conv", "1.")))
        if loss < 0.05:
            return
        optimizer.step()
    pytest.fail(f"loss {loss:.3f} after 400 steps on 12 examples")


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_bfloat16_autocast_and_channels_last_change_rounding_only(name):
    network, images = built(SMALL[name], (3, 12, 12)), drawn(16, 3, 12, 12)
    exact = network(images)
    last = network.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, exact, rtol=0, atol=1e-4 * exact.abs().max().item())  # 13 layers of float32 sums in another order
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(images)
        functional.cross_entropy(rounded.float(), torch.arange(16) % 10).backward()
    # 13 layers, each rounds weights and activations to 8 bits: 13 * 2 * 2^-8 = 0.1 of the scale at worst
    torch.testing.assert_close(rounded.float(), exact, rtol=0, atol=0.1 * exact.abs().max().item())
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("height", range(1, 8))
@pytest.mark.parametrize("width", [4, 5, 14])
def test_same_padding_is_the_published_formula(height, width):
    def pads(side):
        total = max(0, 2 * (-(-side // 2) - 1) + 3 - side)
        return total // 2, total - total // 2

    images, convolution = drawn(2, 3, height, width), SameConv2d(3, 4, bias=True)
    around = (*pads(width), *pads(height))
    expected = functional.conv2d(functional.pad(images, around), convolution.weight, convolution.bias, stride=2)
    assert torch.equal(convolution(images), expected)
    expected = functional.max_pool2d(functional.pad(images, around, value=-math.inf), 3, stride=2)
    assert expected.shape[-2:] == (-(-height // 2), -(-width // 2))
    assert torch.equal(SameMaxPool2d()(images), expected)


def test_paddings_differ_on_even_sides_and_agree_where_every_halved_side_is_odd():
    ours, tensorflow = (built(SmallInception(width=0.2, padding=padding)) for padding in ("symmetric", "tensorflow"))
    odd, even = drawn(2, 3, 29, 13), drawn(2, 3, 28, 28)  # 29 -> 15 -> 8 and 13 -> 7 -> 4
    assert torch.equal(ours(odd), tensorflow(odd))
    assert (ours(even) - tensorflow(even)).abs().max() > 1e-3


@pytest.mark.parametrize("channels", [1, 3, 9, 10, 64])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_response_normalization_equals_torchs_with_its_gradient(channels, scale):
    def tried(normalize):
        activations = (scale * drawn(2, channels, 4, 5)).requires_grad_()
        result = normalize(activations)
        (gradient,) = torch.autograd.grad((result * drawn(*result.shape, seed=1)).sum(), activations)
        return result, gradient

    layer, size = LocalResponseNorm(channels), scale * 5  # 5 standard deviations
    ours, torchs, narrower = (
        tried(each)
        for each in (
            layer,
            lambda x: functional.local_response_norm(x, size=9, alpha=0.001, beta=0.75, k=1.0),
            lambda x: functional.local_response_norm(x, size=7, alpha=0.001, beta=0.75, k=1.0),
        )
    )
    # float32: about 20 roundings of relative size 6e-8, of terms no larger than `size` (values) and 5 (gradients)
    torch.testing.assert_close(ours[0], torchs[0], rtol=2e-6, atol=2e-6 * size)
    torch.testing.assert_close(ours[1], torchs[1], rtol=2e-6, atol=1e-5)
    if channels > 3:
        assert (ours[0] - narrower[0]).abs().max() > 10 * 2e-6 * size
    assert not list(layer.parameters()) and not layer.state_dict()


def test_response_normalization_in_bfloat16_keeps_its_8_bits():
    activations = 30 * drawn(4, 64, 3, 3).relu()
    exact = LocalResponseNorm(64)(activations)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = LocalResponseNorm(64)(activations.bfloat16())
    # input, squares, sum, root, its root, two products: 8 roundings of relative size 2^-9, plus the sum's own
    torch.testing.assert_close(rounded.float(), exact, rtol=10 * 2**-9, atol=1e-6)


def test_shift_norm_is_batch_norm_with_a_constant_scale():
    norm, images = ShiftNorm2d(3, eps=1e-5, momentum=0.25), 2 + 3 * drawn(6, 3, 4, 5)
    norm.bias.data = torch.tensor([1.0, -2.0, 0.5])
    mean, variance = images.mean((0, 2, 3), keepdim=True), images.var((0, 2, 3), correction=0, keepdim=True)
    expected = (images - mean) / (variance + 1e-5).sqrt() + norm.bias[:, None, None]
    torch.testing.assert_close(norm(images), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(norm.running_mean, 0.25 * mean.flatten(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_var, 0.75 + 0.25 * images.var((0, 2, 3)), rtol=1e-5, atol=1e-6)
    assert [name for name, _ in norm.named_parameters()] == ["bias"] and "weight" not in norm.state_dict()
    norm.eval()
    torch.testing.assert_close(norm(images[:1]), norm(images)[:1])


@pytest.mark.parametrize("convention", ["shift", "bias", "scale_shift", "scale_shift_bias", "none"])
def test_conventions_say_what_a_filter_learns(convention):
    network = built(SmallInception(width=0.1, convention=convention), (3, 8, 8))
    names = {name.split(".", 1)[1] for name, _ in network.stem.named_parameters(prefix="stem")}
    learned = {"shift": {"1.bias"}, "bias": {"0.bias"}, "scale_shift": {"1.weight", "1.bias"}, "none": set()}
    assert names == {"0.weight"} | learned.get(convention, {"0.bias", "1.weight", "1.bias"})
    network(drawn(8, 3, 8, 8))
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 19 and all(layer.running_mean.any() for layer in norms)
    images = drawn(8, 3, 8, 8, seed=1)
    assert torch.equal(network.eval()(images), network(images)) and not torch.equal(network(images), network.train()(images))


def test_published_depths_and_sizes_of_figure_3():
    network, sizes = built(SmallInception()), []
    for layer in list(network)[:-3]:
        layer.register_forward_hook(lambda layer, inputs, output: sizes.append(tuple(output.shape[1:])))
    network(drawn(1, *CIFAR).repeat(2, 1, 1, 1))
    large, middle, small = [(96, 28, 28), (64, 28, 28), (80, 28, 28)], [(160, 14, 14)] * 4 + [(144, 14, 14)], [(240, 7, 7), (336, 7, 7), (336, 7, 7)]
    assert sizes == large + middle + small


@pytest.mark.parametrize("part", [MLP((300,)), SmallAlexNet(32), SmallInception(width=0.5, batch_norm=False)], ids=repr)
@pytest.mark.parametrize("init", ["he", "glorot"])
def test_named_initializations_have_their_variance_and_no_bias(part, init):
    for layer in built(replace(part, init=init)).modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert not layer.bias.any()
            fan_in, fan_out = (layer.weight[0].numel(), layer.weight.transpose(0, 1)[0].numel())
            expected = math.sqrt(2 / fan_in if init == "he" else 2 / (fan_in + fan_out))
            # a sample standard deviation of N draws is within 6 / sqrt(2 N) of the true one but once in 5e8
            assert abs(layer.weight.std() / expected - 1) < 6 / math.sqrt(2 * layer.weight.numel())


def test_tutorial_initialization_of_the_small_alexnet():
    network = built(SmallAlexNet())
    for name, deviation, bias in [("conv1", 0.05, 0), ("conv2", 0.05, 0.1), ("full1", 0.04, 0.1), ("full2", 0.04, 0.1), ("scores", 1 / 192, 0)]:
        layer = network.get_submodule(name)
        assert torch.equal(layer.bias, torch.full_like(layer.bias, bias))
        assert layer.weight.abs().max() <= 2 * deviation
        # truncated at 2 deviations, the standard deviation is 0.8796 of the normal's; 6 / sqrt(2 N) as above
        assert abs(layer.weight.std() / (0.8796 * deviation) - 1) < 6 / math.sqrt(2 * layer.weight.numel())


def test_zero_initialization_of_the_linear_network_is_zero():
    network = built(Linear(bias=False, init="zero"), (4,), 3)
    assert torch.equal(network(drawn(2, 4)), torch.zeros(2, 3)) and count(network) == 12
