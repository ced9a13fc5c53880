"""Kernels of explicit features against the plain loop and known answers, block by block and all at once."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import shatterlab as sl
from shatterlab.core.errors import InvalidPart
from shatterlab.kernels import _features

SMALL = {"side": 3, "patches": 400, "pool": 3, "stride": 2}
NORMALIZED = {**SMALL, "filters": 7}
RAW = {**SMALL, "filters": 7, "convention": "raw", "threshold": 1.0, "whitening": 1e-3, "pooling": "average", "standardize": False}


@pytest.fixture
def train():
    """40 colour images of 9 x 9 pixels, half of one of them uniform, as the background of digits is."""
    rng = np.random.default_rng(0)
    images = rng.random((40, 3, 9, 9)).astype(np.float32)
    images[3, :, :5] = 1.0
    return sl.Examples(torch.from_numpy(images), torch.arange(40) % 4, 4, 255)


def fitted(train, seeds=sl.Seeds(), **fields):
    return sl.RandomConvolution(**fields).fitted(train, seeds)


def normalized(patch, constant=10.0):
    """One patch on the 8-bit scale, less its mean, over the root of its variance (over d - 1) plus the constant."""
    patch = 255 * np.asarray(patch, dtype=np.float64)
    return (patch - patch.mean()) / math.sqrt(patch.var(ddof=1) + constant)


def every_patch(images, side):
    n, _, height, width = images.shape
    for i in range(n):
        for a in range(height - side + 1):
            for b in range(width - side + 1):
                yield (i, a, b), images[i, :, a : a + side, b : b + side].reshape(-1)


# Random convolutions: normalizing, whitening and pooling against a loop


def test_normalizing_whitening_and_filtering_are_one_convolution(train):
    """The loop: draw the same patches, whiten by scipy-free linear algebra, and take every inner product by itself."""
    kernel, seeds = fitted(train, standardize=False, **NORMALIZED), sl.Seeds()
    images = train.inputs.numpy().astype(np.float64)

    def drawn(name, count):
        places = seeds.rng("init", name).integers(0, (40, 7, 7), size=(count, 3))
        return np.array([normalized(images[i, :, a : a + 3, b : b + 3].reshape(-1)) for i, a, b in places])

    sample = drawn("patches", 400)
    centre, covariance = sample.mean(0), np.cov(sample.T)
    values, vectors = np.linalg.eigh(covariance)
    whitener = vectors @ np.diag((values + 0.1) ** -0.5) @ vectors.T
    filters = (drawn("filters", 7) - centre) @ whitener
    filters /= np.linalg.norm(filters, axis=1, keepdims=True)
    found = kernel.responses(train.inputs, slice(0, 7)).numpy()
    for (i, a, b), patch in every_patch(images, 3):
        wanted = filters @ whitener @ (normalized(patch) - centre)
        assert np.abs(found[i, :, a, b] - wanted).max() <= 1e-4  # float32 against float64; responses are of order 1


def test_raw_patches_meet_filters_whitened_twice(train):
    """The other public code filters the image as it is: response p' W q with W = E[q q' + e]^(-1), q of length 1."""
    kernel, seeds = fitted(train, **RAW), sl.Seeds()
    images = train.inputs.numpy().astype(np.float64)

    def drawn(name, count):
        places = seeds.rng("init", name).integers(0, (40, 7, 7), size=(count, 3))
        rows = np.array([images[i, :, a : a + 3, b : b + 3].reshape(-1) for i, a, b in places])
        rows -= rows.mean(1, keepdims=True)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths < 1e-8, 1, lengths)

    sample = drawn("patches", 400)
    bank = drawn("filters", 7) @ np.linalg.inv(sample.T @ sample / 400 + 1e-3 * np.eye(27))
    found = kernel.responses(train.inputs, slice(0, 7)).numpy()
    largest = np.abs(found).max()
    for (i, a, b), patch in every_patch(images, 3):
        assert np.abs(found[i, :, a, b] - bank @ patch).max() <= 1e-5 * largest


@pytest.mark.parametrize("fields", [NORMALIZED, RAW], ids=["normalized", "raw"])
def test_features_are_pooled_two_sided_responses(train, fields):
    kernel = fitted(train, **{**fields, "standardize": False})
    responses = kernel.responses(train.inputs, slice(0, 7)).numpy()
    wanted = np.zeros((40, 2, 7, 3, 3))
    for side, sign in enumerate((1, -1)):
        clipped = np.maximum(sign * responses - kernel.threshold, 0)
        for a in range(3):
            for b in range(3):
                window = clipped[:, :, 2 * a : 2 * a + 3, 2 * b : 2 * b + 3]
                wanted[:, side, :, a, b] = window.sum((2, 3)) if kernel.pooling == "sum" else window.mean((2, 3))
    count = 2 * 7 * 9
    assert kernel.features(train.inputs, 7).numpy() == pytest.approx(wanted.reshape(40, -1) / math.sqrt(count), rel=1e-5, abs=1e-5)


def test_standardized_features_have_mean_0_and_deviation_1(train):
    kernel = fitted(train, **NORMALIZED)
    features = kernel.features(train.inputs).double() * math.sqrt(2 * 7 * 9)
    features = features[:, :-1]  # the last one is the constant that stands for the intercept
    assert features.mean(0).abs().max() <= 1e-5
    assert (features.std(0, correction=0) - 1).abs().max() <= 1e-5


def test_a_filter_that_never_responds_adds_nothing(train):
    kernel = fitted(train, **{**NORMALIZED, "threshold": 1e6})
    assert torch.equal(kernel.gram(train.inputs, train.inputs), torch.ones(40, 40))


# Any kernel of features: what is made block by block


def kernels(train):
    made = {
        "normalized": sl.RandomConvolution(**NORMALIZED),
        "raw": sl.RandomConvolution(**RAW),
        "gaussian": sl.RandomConvolution(**NORMALIZED, sigma=0.7),
        "chosen": sl.RandomConvolution(**NORMALIZED, sigma="leave_one_out", subset=30),
        "gabor": sl.Gabor(4, (2.5, 4.0), 3, 3),
        "gabor linear": sl.Gabor(4, (2.5, 4.0), 3, 3, sigma=None),
    }
    return {name: kernel.fitted(train, sl.Seeds()) for name, kernel in made.items()}


NAMES = ("normalized", "raw", "gaussian", "chosen", "gabor", "gabor linear")


def plain(kernel, x, z):
    """From all features at once, in float64."""
    left, right = (kernel.features(each.double()).numpy() for each in (x, z))
    products = left @ right.T
    if kernel.sigma is None:
        return products
    sigma = kernel.bandwidth if isinstance(kernel.sigma, str) else kernel.sigma
    distances = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * products
    return np.exp(-distances / (2 * sigma**2))


@pytest.mark.parametrize("held", [0, 2**27])
@pytest.mark.parametrize("name", NAMES)
def test_the_gram_matrix_of_blocks_is_that_of_all_features(train, name, held, monkeypatch):
    kernel = kernels(train)[name]
    x, z = train.inputs, torch.from_numpy(np.random.default_rng(7).random((25, 3, 9, 9)).astype(np.float32))
    wanted = {"x": plain(kernel, x, x), "z": plain(kernel, x, z)}
    monkeypatch.setattr(_features, "_MOST", 3)  # filters at a time
    monkeypatch.setattr(_features, "_TILE", 16)  # rows at a time
    monkeypatch.setattr(_features, "_ROWS", 7 * 25)
    monkeypatch.setattr(_features, "_HELD", held)  # numbers of features
    for dtype, bound in ((torch.float32, 1e-5), (torch.float64, 1e-11)):
        same, other = kernel.gram(x.to(dtype), x_again := x.to(dtype)), kernel.gram(x.to(dtype), z.to(dtype))
        scale = np.abs(wanted["x"]).max()
        assert np.abs(same.numpy() - wanted["x"]).max() <= bound * scale
        assert np.abs(other.numpy() - wanted["z"]).max() <= bound * scale
        mirrored = kernel.gram(x_again, x_again)
        assert torch.equal(mirrored, mirrored.T)
        assert np.abs(mirrored.numpy() - wanted["x"]).max() <= bound * scale
        assert np.abs(kernel.diagonal(x.to(dtype)).numpy() - wanted["x"].diagonal()).max() <= bound * scale
        weights = torch.linspace(-1, 1, 50, dtype=dtype).view(25, 2)
        assert np.abs(kernel.product(x, z, weights).numpy() - wanted["z"] @ weights.numpy()).max() <= 25 * bound * np.abs(wanted["z"]).max()
        score = kernel.scorer(z, weights)
        for few in (x, x[3:8]):  # what is prepared at the first call serves the second
            assert np.abs(score(few).numpy() - kernel.product(few, z, weights).numpy()).max() <= 25 * bound * np.abs(wanted["z"]).max()
        weights = torch.linspace(-1, 1, 80, dtype=dtype).view(40, 2)
        assert np.abs(kernel.product(x, x, weights).numpy() - wanted["x"] @ weights.numpy()).max() <= 40 * bound * scale


def test_at_most_a_block_of_features_exists_at_a_time(train, monkeypatch):
    """32,000 filters of 50,000 images are 51 GB; a block of them is 512 MiB at most."""
    kernel, made = kernels(train)["normalized"], []
    honest = sl.RandomConvolution.features_of

    def watched(self, x, some):
        made.append(some.stop - some.start)
        return honest(self, x, some)

    monkeypatch.setattr(sl.RandomConvolution, "features_of", watched)
    monkeypatch.setattr(_features, "_BLOCK", 2 * 40 * 18)  # two filters of 40 images, 18 features each
    kernel.gram(train.inputs, train.inputs)
    assert made == [2, 2, 2, 1]  # and each once, since both sides are the same
    kernel.product(train.inputs, train.inputs, torch.ones(40, 1))
    assert made == [2, 2, 2, 1] * 2
    score = kernel.scorer(train.inputs, torch.ones(40, 1))
    made.clear()
    score(train.inputs[:5])
    assert made == [2, 2, 2, 1]  # of the five alone: those of the sample were made once, before


def test_a_bandwidth_chosen_of_features_is_the_one_chosen_of_their_coordinates(train):
    from shatterlab.kernels.radial import Gaussian

    kernel = kernels(train)["chosen"]
    assert kernel.subset < len(train)
    whole = replace(kernel, subset=100, bandwidth=None).with_bandwidth(train)
    features = replace(train, inputs=kernel.features(train.inputs)[:, :-1])
    wanted = Gaussian("leave_one_out", subset=100).fitted(features, sl.Seeds()).bandwidth
    assert whole.bandwidth == pytest.approx(wanted, rel=1e-4)


# Randomness


def test_filters_follow_the_init_stream_and_nothing_else(train):
    one, same, other = (fitted(train, seeds, **NORMALIZED) for seeds in (sl.Seeds(), sl.Seeds(1, 1, 0, 1), sl.Seeds(init=1)))
    assert torch.equal(one.bank, same.bank) and torch.equal(one.mean, same.mean)
    assert not torch.equal(one.bank, other.bank)
    assert one.fitted(train, sl.Seeds(init=1)) is one


def test_more_filters_are_the_same_ones_and_further_ones(train):
    few, many = fitted(train, **NORMALIZED), fitted(train, **{**NORMALIZED, "filters": 20})
    assert torch.allclose(few.bank, many.bank[:7], atol=1e-10)  # one matrix product of another size
    assert torch.allclose(few.mean, many.mean[:, :7], atol=1e-4)


def test_fitted_values_are_no_configuration(train):
    kernel = sl.RandomConvolution(**NORMALIZED)
    assert kernel.fitted(train, sl.Seeds()) == kernel
    assert kernel.fitted(train, sl.Seeds()).identity() == kernel.identity()


def test_both_public_configurations():
    keystone, nondeep = sl.RandomConvolution(32_000), sl.RawConvolution(32_000)
    assert keystone.features_of_a_filter((3, 32, 32)) == 8  # 2 x 2 windows, two signs: 256,000 features
    assert (keystone.normalization, keystone.whitening, keystone.threshold, keystone.pool, keystone.stride) == (10.0, 0.1, 0.25, 14, 13)
    assert nondeep.features_of_a_filter((3, 32, 32)) == 18  # 3 x 3 windows
    assert (nondeep.whitening, nondeep.threshold, nondeep.pooling, nondeep.pool, nondeep.stride) == (1e-3, 1.0, "average", 15, 6)


# Gabor filters


def grating(wavelength, angle, phase=0.0, side=41):
    across = torch.arange(side, dtype=torch.float64) - side // 2
    v, u = torch.meshgrid(across, across, indexing="ij")
    wave = torch.cos(2 * math.pi * (u * math.cos(angle) + v * math.sin(angle)) / wavelength + phase)
    return wave[None, None]


BANK = sl.Gabor(6, (4.0, 6.0, 9.0), 1, 1)


@pytest.mark.parametrize("scale", range(3))
@pytest.mark.parametrize("turn", range(6))
@pytest.mark.parametrize("phase", [0.0, 1.0])
def test_a_grating_excites_the_filter_of_its_orientation_and_wavelength_most(scale, turn, phase):
    wave = grating(BANK.wavelengths[scale], math.pi * turn / 6, phase)
    response = BANK.magnitudes(wave)[0, :, 20, 20]
    assert response.argmax().item() == scale * 6 + turn
    # even and odd filters differ in gain by the correction c = exp(-2 pi^2 0.56^2) = 2e-3 and by the cut at 2.5 deviations
    assert response.max().item() == pytest.approx(1.0, abs=0.02)
    others = torch.cat([response[: scale * 6 + turn], response[scale * 6 + turn + 1 :]])
    assert others.max().item() < 0.8


def test_small_matrix_products_are_the_convolution_with_the_bank():
    """Two channels, a height and a width that differ, some of the filters; the edge is continued."""
    kernel = sl.Gabor(orientations=5, wavelengths=(2.0, 4.5), pool=2, stride=2)
    images = torch.from_numpy(np.random.default_rng(4).random((3, 2, 11, 17)))
    bank = kernel.bank()[2:9]
    reach = bank.shape[-1] // 2
    grey = torch.nn.functional.pad(images.flatten(0, 1)[:, None], (reach,) * 4, mode="replicate")
    parts = torch.nn.functional.conv2d(grey, bank.flatten(0, 1)[:, None]).unflatten(1, (-1, 2))
    wanted = torch.hypot(parts[:, :, 0], parts[:, :, 1]).reshape(3, 14, 11, 17)
    assert torch.allclose(kernel.magnitudes(images, slice(2, 9)), wanted, atol=1e-12)


def test_uniform_images_give_nothing_and_negatives_the_same():
    images = torch.full((2, 1, 28, 28), 0.7)
    assert sl.Gabor().magnitudes(images).abs().max().item() <= 1e-5  # float32 sums of 800 products
    noise = torch.from_numpy(np.random.default_rng(0).random((3, 1, 28, 28)))
    assert torch.allclose(sl.Gabor().magnitudes(noise), sl.Gabor().magnitudes(1 - noise), atol=1e-12)


def test_a_quarter_turn_of_the_image_turns_the_orientations():
    noise = torch.from_numpy(np.random.default_rng(1).random((1, 1, 15, 15)))
    plain, turned = BANK.magnitudes(noise), BANK.magnitudes(noise.rot90(1, (2, 3)))
    for scale in range(3):
        for turn in range(6):
            other = scale * 6 + (turn + 3) % 6
            assert torch.allclose(plain[0, scale * 6 + turn].rot90(1), turned[0, other], atol=1e-12)


def test_features_are_means_over_windows():
    noise = torch.from_numpy(np.random.default_rng(2).random((2, 2, 28, 28)))
    kernel = sl.Gabor(sigma=None)
    features = kernel.features_of(noise, slice(0, 24)).view(2, 2, 24, 7, 7)
    magnitudes = kernel.magnitudes(noise).view(2, 2, 24, 28, 28)
    assert features[1, 1, 5, 2, 6].item() == pytest.approx(magnitudes[1, 1, 5, 8:12, 24:28].mean().item())


# Refusals


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sl.RandomConvolution(0), "RandomConvolution: filters is a whole number >= 1, got 0"),
        (lambda: sl.RandomConvolution(whitening=0), "RandomConvolution: whitening is a finite number > 0, got 0.0"),
        (lambda: sl.RandomConvolution(normalization=math.nan), "RandomConvolution: normalization is a finite number > 0, got nan"),
        (lambda: sl.RandomConvolution(threshold=-1), "RandomConvolution: threshold is a finite number >= 0, got -1.0"),
        (lambda: sl.RandomConvolution(sigma=-1), "RandomConvolution: sigma is a finite number > 0, got -1.0"),
        (lambda: sl.Gabor(wavelengths=(1.0,)), "Gabor: wavelengths are numbers of pixels >= 2, got (1.0,)"),
        (lambda: sl.Gabor(wavelengths=()), "Gabor: at least one wavelength is required, got ()"),
        (lambda: sl.Gabor(0), "Gabor: orientations is a whole number >= 1, got 0"),
    ],
)
def test_fields_out_of_range_are_refused(make, message):
    with pytest.raises(InvalidPart) as caught:
        make()
    assert str(caught.value) == message


def test_inputs_that_are_too_small_or_no_images_are_refused(train, table):
    with pytest.raises(InvalidPart, match=r"^RandomConvolution: images of at least 19 x 19 pixels are required, got \(3, 9, 9\). Set smaller side,"):
        sl.RandomConvolution().fitted(train, sl.Seeds())
    with pytest.raises(InvalidPart, match=r"^Gabor: images of at least 10 x 10 pixels are required, got \(3, 9, 9\). Set a smaller pool.$"):
        sl.Gabor(pool=10).fitted(train, sl.Seeds())
    for kernel in (sl.RandomConvolution(), sl.Gabor()):
        with pytest.raises(InvalidPart, match=r"images are required, channels x height x width, got \(7,\)$"):
            kernel.fitted(table.train, sl.Seeds())


def test_what_has_not_seen_data_says_so(train):
    with pytest.raises(InvalidPart, match=r"^RandomConvolution: a kernel that has seen data is required, got 'one that has not'. Call fitted first.$"):
        sl.RandomConvolution(**SMALL).gram(train.inputs, train.inputs)
    with pytest.raises(InvalidPart, match='where sigma is "leave_one_out"'):
        sl.Gabor().gram(train.inputs, train.inputs)
