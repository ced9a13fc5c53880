"""Inception v3: its published size, its grids, its auxiliary classifier."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shatterlab.architectures.inception_v3 import InceptionV3
from shatterlab.core.errors import InvalidPart
from shatterlab.training.torch_seed import seeded

IMAGE = (3, 299, 299)


def without_memory(part: InceptionV3, shape=IMAGE, classes=1000) -> nn.Module:
    with torch.device("meta"):
        return part.build(shape, classes)


def count(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


@pytest.mark.parametrize(
    ("part", "published"),
    [
        (InceptionV3(), 27_161_264),
        (InceptionV3(auxiliary=False), 23_834_568),  # the 23.8 million of the paper
        (InceptionV3(auxiliary=False, convention="shift"), 23_817_352),  # 17,216 filters without a scale
    ],
    ids=["with auxiliary", "without", "shift alone"],
)
def test_the_published_number_of_weights(part, published):
    assert count(without_memory(part)) == published
    assert count(without_memory(part, (3, 75, 75))) == published  # whatever the image's side


def test_94_convolutions_each_with_batch_norm_and_17216_filters():
    layers = list(without_memory(InceptionV3(auxiliary=False)).modules())
    convolutions = [each for each in layers if isinstance(each, nn.Conv2d)]
    norms = [each for each in layers if isinstance(each, nn.BatchNorm2d)]
    assert len(convolutions) == len(norms) == 94 and sum(each.out_channels for each in convolutions) == 17_216
    assert all(each.bias is None for each in convolutions) and {each.eps for each in norms} == {0.001}


def test_the_grids_of_the_published_table():
    network = without_memory(InceptionV3())
    images = torch.empty(2, *IMAGE, device="meta")
    shapes, grid = [], images
    for block in [*network.grid17, *network.grid8]:
        grid = block(grid)
        shapes.append(tuple(grid.shape[1:]))
    stem = [(32, 149, 149), (32, 147, 147), (64, 147, 147), (64, 73, 73), (80, 73, 73), (192, 71, 71), (192, 35, 35)]
    assert shapes == [*stem, (256, 35, 35), *[(288, 35, 35)] * 2, *[(768, 17, 17)] * 5, (1280, 8, 8), *[(2048, 8, 8)] * 2]
    assert [tuple(each.shape) for each in network.with_auxiliary(images)] == [(2, 1000)] * 2


def test_a_mean_at_the_border_does_not_count_padded_zeros():
    """TensorFlow's means are over the places inside the image; with padded zeros a corner of ones would have the mean 4/9, an edge 6/9."""
    means = [module for module in without_memory(InceptionV3()).modules() if isinstance(module, nn.AvgPool2d)]
    assert len(means) == 9  # in each block but the two that halve the grid
    for mean in means:
        assert torch.equal(mean(torch.ones(1, 1, 5, 4)), torch.ones(1, 1, 5, 4))


def test_small_images_and_widths():
    with seeded(0, torch.device("cpu")):  # of such narrow layers every unit may be dead, with other weights
        network = InceptionV3(width=0.05, init="he").build((3, 75, 75), 7).eval()
        one, other = torch.rand(2, 2, 3, 75, 75)
    scores, auxiliary = network.with_auxiliary(one)
    assert scores.shape == auxiliary.shape == (2, 7)
    assert torch.equal(scores, network(other)) is False
    assert InceptionV3(width=0.05, auxiliary=False).build((1, 80, 96), 3).eval().with_auxiliary(torch.rand(2, 1, 80, 96))[1] is None


def test_truncated_weights_lie_within_two_deviations():
    network = InceptionV3(width=0.1, dropout=0.5).build((3, 75, 75), 7)
    convolution, linear = network.grid17[1][0].weight, network.auxiliary.scores.weight
    # a normal distribution cut at two deviations has 0.88 of its deviation; 10 x 90 weights: 5 standard errors are 0.01
    assert convolution.abs().max() <= 0.2 and convolution.std().item() == pytest.approx(0.088, abs=0.03)
    assert linear.abs().max() <= 0.002 and not network.scores.bias.any() and network.features[2].p == 0.5


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: InceptionV3().build((3, 74, 80), 10), "InceptionV3: inputs of at least 75x75 are required, got 74x80. Use larger images or SmallInception."),
        (lambda: InceptionV3().build((9,), 10), "InceptionV3: images are required, got inputs of shape (9,). Use MLP or Linear for tables."),
        (lambda: InceptionV3(dropout=1.0), "InceptionV3: dropout is a probability in [0, 1), got 1.0"),
        (lambda: InceptionV3(width=0.0), "InceptionV3: width is a finite factor > 0, got 0.0"),
        (lambda: InceptionV3(norm_eps=0.0), "InceptionV3: norm_eps is a finite number > 0, got 0.0"),
    ],
)
def test_what_it_cannot_be_is_refused(act, message):
    with pytest.raises(InvalidPart) as caught:
        act()
    assert str(caught.value) == message
