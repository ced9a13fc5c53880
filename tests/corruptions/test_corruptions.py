"""What each corruption does to labels and pixels, and the random bits that pixels are drawn from.

Statistical tests are derandomized: their seeds are fixed, and the false alarm stated is over the choice of seeds.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

import shatterlab as sl
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.core.seeds import random_bits
from shatterlab.corruptions import pixels
from shatterlab.corruptions.pixels import _normal, _permutations

ALARM = 1e-6
SEEDS = sl.Seeds.replicate(1)


def sample(inputs, k=3):
    def split(part):
        return sl.Examples(part, torch.arange(len(part)) % k, k)

    return sl.Splits(split(inputs), split(inputs.clone()))


def distinct(n, *shape):
    """n inputs of this shape, all values of the whole tensor different."""
    return torch.arange(n * math.prod(shape), dtype=torch.float32).view(n, *shape)


# Labels


@given(level=st.floats(0, 1), seed=st.integers(0, 2**32), n=st.integers(1, 60), k=st.integers(2, 9))
def test_only_labels_that_are_redrawn_change_and_levels_are_nested(level, seed, n, k):
    labels = np.random.default_rng(seed).integers(k, size=n)
    at = {each: sl.PartialLabels(each).labels(labels, k, np.random.default_rng(seed)) for each in (0.0, level, 1.0)}
    assert (at[0.0] == labels).all()
    assert ((at[level] == labels) | (at[level] == at[1.0])).all()
    assert at[level].dtype == np.int64


def test_permuted_labels_are_a_uniform_permutation():
    """Of 4 labels in 3 classes all 12 arrangements are equally likely; class sizes are exact, the true labels stay as they are."""
    labels = np.array([0, 0, 1, 2])
    drawn = [tuple(sl.PermutedLabels().labels(labels, 3, np.random.default_rng(seed))) for seed in range(6000)]
    counts = [drawn.count(each) for each in set(drawn)]
    assert len(counts) == 12 and stats.chisquare(counts).pvalue > ALARM
    assert labels.tolist() == [0, 0, 1, 2] and sl.PermutedLabels().transition(3) is None
    splits = sample(distinct(50, 2))
    first, again, other = (sl.PermutedLabels().apply(splits, sl.Seeds(corruption=seed)).train.labels for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other) and torch.equal(first.bincount(), splits.train.labels.bincount())


def test_true_and_random_labels_are_the_ends_of_the_level():
    assert sl.TrueLabels() == sl.PartialLabels(0)
    assert sl.RandomLabels() == sl.PartialLabels(1)
    assert sl.RandomLabels().describe() == {"kind": "PartialLabels", "level": 1.0}


@pytest.mark.parametrize("level", [-0.01, 1.01, math.nan, math.inf])
def test_a_level_that_is_no_probability_is_refused(level):
    with pytest.raises(InvalidPart) as refused:
        sl.PartialLabels(level)
    assert str(refused.value) == f"PartialLabels: level is a probability in [0, 1], got {level!r}"


@pytest.mark.parametrize("level", [0.2, 0.7])
def test_redrawn_labels_keep_the_true_class_among_those_drawn_from(level):
    """Among those that changed, each other class is as likely: chi-square over k - 1 cells a class."""
    k, n = 4, 40_000
    labels = np.arange(n) % k
    new = sl.PartialLabels(level).labels(labels, k, np.random.default_rng(5))
    moved = new != labels
    counts = np.bincount((new - labels)[moved] % k, minlength=k)[1:]
    assert stats.chisquare(counts).pvalue > ALARM
    assert stats.binomtest(int(moved.sum()), n, level * (1 - 1 / k)).pvalue > ALARM


@pytest.mark.parametrize("wrong", [np.array([0, 1]), np.array([0, 1, 3]), np.array([-1, 0, 1])])
def test_a_label_corruption_that_gives_other_labels_is_refused(wrong):
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Wrong(sl.LabelCorruption):
        """Gives labels that do not fit."""

        def labels(self, labels, classes, rng):
            return wrong

    with pytest.raises(DataError, match=r"^Wrong: 3 labels in 0\.\.2 are required, got shape .* Fix its `labels`\.$"):
        Wrong().apply(sample(distinct(3, 2)))


# Pixels that move


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 6, 6), (7,)])
@pytest.mark.parametrize("unit", ["position", "value"])
@pytest.mark.parametrize("corruption", [sl.ShuffledPixels, sl.RandomPixels])
def test_the_values_of_each_image_are_a_permutation(corruption, unit, shape):
    before = sample(distinct(130, *shape))
    after = corruption(unit).apply(before, SEEDS)
    for split in ("train", "test"):
        old, new = (getattr(each, split).inputs.flatten(1) for each in (before, after))
        assert torch.equal(new.sort(1).values, old)  # distinct and ascending before
        assert not torch.equal(new, old)


def order(after, before):
    """For one image of distinct values: which position each value came from, over all d positions."""
    where = {value: position for position, value in enumerate(before.flatten().tolist())}
    return [where[value] for value in after.flatten().tolist()]


@pytest.mark.parametrize("unit", ["position", "value"])
def test_shuffled_pixels_share_one_permutation_over_both_splits(unit):
    before = sample(distinct(130, 2, 4, 4))
    after = sl.ShuffledPixels(unit).apply(before, SEEDS)
    orders = {
        tuple(order(new, old)) for split in ("train", "test") for new, old in zip(getattr(after, split).inputs, getattr(before, split).inputs, strict=True)
    }
    assert len(orders) == 1


@pytest.mark.parametrize("unit", ["position", "value"])
def test_random_pixels_have_a_permutation_for_each_image(unit):
    before = sample(distinct(130, 2, 4, 4))
    after = sl.RandomPixels(unit).apply(before, SEEDS)
    orders = {
        tuple(order(new, old)) for split in ("train", "test") for new, old in zip(getattr(after, split).inputs, getattr(before, split).inputs, strict=True)
    }
    assert len(orders) == 260  # two of 16! permutations agree with probability 260^2 / 2 / 16! < 1e-8


@pytest.mark.parametrize("corruption", [sl.ShuffledPixels, sl.RandomPixels])
def test_channels_move_together_unless_values_are_the_unit(corruption):
    inputs = distinct(1, 1, 5, 5) + torch.tensor([0.0, 1000.0, 2000.0]).view(3, 1, 1)
    together = corruption("position").apply(sample(inputs.repeat(10, 1, 1, 1)), SEEDS).train.inputs
    assert torch.equal(together[:, 1] - together[:, 0], torch.full((10, 5, 5), 1000.0))
    assert torch.equal(together[:, 2] - together[:, 0], torch.full((10, 5, 5), 2000.0))
    apart = corruption("value").apply(sample(inputs.repeat(10, 1, 1, 1)), SEEDS).train.inputs
    assert (apart[:, 0] >= 1000).any()  # values have left their channel


def test_of_a_table_features_are_shuffled():
    before = sample(distinct(20, 6))
    after = sl.ShuffledPixels().apply(before, SEEDS).train.inputs
    columns = [int(value) for value in after[0]]
    assert sorted(columns) == list(range(6)) and columns != list(range(6))
    assert torch.equal(after, before.train.inputs[:, columns])


@pytest.mark.parametrize("count", [2, 3, 10, 25])
def test_random_permutations_are_uniform(count):
    """Position x image: each lands anywhere equally often, chi-square; and so do pairs of positions."""
    orders = _permutations(7, "train", np.arange(40_000), count)
    cells = np.stack([np.bincount(orders[:, position], minlength=count) for position in range(count)])
    expected = len(orders) / count
    # rows and columns both sum to n: (count - 1)^2 degrees of freedom, and the statistic is count / (count - 1) times too large
    statistic = ((cells - expected) ** 2 / expected).sum() * (count - 1) / count
    assert stats.chi2.sf(statistic, (count - 1) ** 2) > ALARM
    if count <= 10:
        pairs = np.bincount(orders[:, 0] * count + orders[:, -1], minlength=count**2).reshape(count, count)
        off_diagonal = pairs[~np.eye(count, dtype=bool)]
        assert pairs.trace() == 0
        assert stats.chisquare(off_diagonal).pvalue > ALARM


def test_all_permutations_of_three_occur_equally_often():
    orders = _permutations(11, "test", np.arange(60_000), 3)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > ALARM


# Noise


def gaussian(moments, inputs, seeds=SEEDS):
    before = sample(inputs)
    return before, sl.GaussianPixels(moments).apply(before, seeds)


@pytest.mark.parametrize(("moments", "dims"), [("channel", (0, 2, 3)), ("pixel", (0,)), ("global", (0, 1, 2, 3))])
def test_gaussian_pixels_have_the_moments_that_they_promise(moments, dims):
    """Mean within z s / sqrt(N), variance within z s^2 sqrt(2 / N): z for 1e-6 shared among all groups."""
    rng = np.random.default_rng(2)
    scale = np.array([0.1, 0.5, 2.0]).reshape(3, 1, 1)
    inputs = torch.from_numpy((rng.random((3000, 3, 4, 4)) ** 2 * scale + rng.random((1, 3, 4, 4))).astype(np.float32))
    before, after = gaussian(moments, inputs)
    for split in ("train", "test"):
        new = getattr(after, split).inputs.double()
        wanted = before.train.inputs.double()
        mean, variance = wanted.mean(dims), wanted.var(dims, correction=0)
        count, groups = wanted.numel() / mean.numel(), mean.numel()
        z = stats.norm.isf(ALARM / (4 * groups))
        assert ((new.mean(dims) - mean).abs() <= z * (variance / count).sqrt()).all()
        assert ((new.var(dims, correction=0) / variance - 1).abs() <= z * math.sqrt(2 / count) + 2 / count).all()


def test_gaussian_deviates_are_normal():
    values = _normal(3, "train", np.arange(2000), 50).flatten().double().numpy()
    assert stats.kstest(values, "norm").pvalue > ALARM
    assert stats.kstest(values[np.abs(values) > 2], lambda x: special.ndtr(x) / 0.0455003 - np.where(x < 0, 0, 0.9544997 / 0.0455003)).pvalue > ALARM
    assert np.isfinite(values).all()


def test_gaussian_deviates_of_one_image_are_uncorrelated():
    """The two deviates of one word, and neighbours: a correlation of N pairs is below z / sqrt(N)."""
    values = _normal(4, "train", np.arange(20_000), 7).double().numpy()
    correlations = np.corrcoef(np.concatenate([values, values**2], 1).T) - np.eye(14)
    assert np.abs(correlations).max() < stats.norm.isf(ALARM / (14 * 13)) * 1.5 / math.sqrt(len(values))  # 1.5: squares have heavier tails


def test_gaussian_noise_carries_nothing_of_the_image():
    rng = np.random.default_rng(8)
    inputs = torch.from_numpy(rng.random((4000, 1, 3, 3)).astype(np.float32))
    before, after = gaussian("channel", inputs)
    for old in (before.train.inputs, before.test.inputs):
        correlation = np.corrcoef(old.flatten().numpy(), after.train.inputs.flatten().numpy())[0, 1]
        assert abs(correlation) < stats.norm.isf(ALARM / 2) / math.sqrt(old.numel())


def test_moments_are_those_of_the_training_split_only():
    train, test = distinct(10, 2), distinct(10, 2) + 1000
    splits = sl.Splits(sl.Examples(train, torch.arange(10) % 2, 2), sl.Examples(test, torch.arange(10) % 2, 2))
    fitted = sl.GaussianPixels("channel").fitted(splits.train)
    assert fitted.mean.tolist() == train.mean(0).tolist()
    assert torch.allclose(fitted.deviation, train.std(0, correction=0))
    assert fitted.apply(splits).test.inputs.max() < 1000


def test_fitted_values_are_no_part_of_the_configuration():
    plain = sl.GaussianPixels()
    fitted = plain.fitted(sample(distinct(5, 2)).train)
    assert fitted == plain
    assert fitted.describe() == plain.describe() == {"kind": "GaussianPixels"}
    assert fitted.identity() == plain.identity()
    assert fitted.fitted(sample(distinct(9, 2)).train) is fitted


@pytest.mark.parametrize("moments", ["channel", "pixel", "global"])
def test_a_constant_input_stays_constant(moments):
    """Deviation 0 where the training set has none; rounding must not make it NaN."""
    inputs = torch.full((50, 2, 3, 3), 0.3)
    _, after = gaussian(moments, inputs)
    assert torch.allclose(after.train.inputs, inputs, atol=1e-3)  # variance by E x^2 - (E x)^2: sqrt(2^-53 * 0.09) and float32


def test_gaussian_pixels_leave_the_unit_interval():
    inputs = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (300, 1, 4, 4)).astype(np.float32))
    _, after = gaussian("channel", inputs)
    outside = ((after.train.inputs < 0) | (after.train.inputs > 1)).double().mean().item()
    assert abs(outside - 2 * stats.norm.sf(1)) < 0.05  # mean and deviation 1/2: one deviation to either side


# Random bits


def test_random_bits_are_a_pure_function_of_what_they_are_given():
    whole = random_bits(5, "train", np.arange(50), 9)
    some = np.array([7, 3, 3, 49, 0])
    assert (random_bits(5, "train", some, 9) == whole[some]).all()
    assert (random_bits(5, "train", np.arange(50), 4) == whole[:, :4]).all()
    assert whole.dtype == np.uint64 and whole.shape == (50, 9)


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1, 2**64 - 1])
def test_each_random_bit_is_fair(seed):
    """64 counts of Binomial(N, 1/2): |z| below the two-sided normal quantile for 1e-6 / 64."""
    words = random_bits(seed, "train", np.arange(400), 256).ravel()
    ones = np.array([int((words >> np.uint64(bit) & np.uint64(1)).sum()) for bit in range(64)])
    z = (ones - len(words) / 2) / math.sqrt(len(words) / 4)
    assert np.abs(z).max() < stats.norm.isf(ALARM / 128)


CHANGES = {
    "index": (("train", 5, 0), ("train", 5, 1)),
    "distant index": (("train", 5, 0), ("train", 5, 2**40)),
    "split": (("train", 5, 0), ("test", 5, 0)),
    "seed": (("train", 5, 0), ("train", 6, 0)),
    "seed by a high bit": (("train", 5, 0), ("train", 5 + 2**62, 0)),
    "seed and index exchanged": (("train", 5, 6), ("train", 6, 5)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_random_bits_of_another_index_split_or_seed_are_independent(change):
    """Half of the bits differ, each of the 64 and over all: Binomial(N, 1/2)."""
    (split, seed, start), (other_split, other_seed, other_start) = CHANGES[change]
    indices = np.arange(500) * 2  # so that a shift by 1 compares no index with itself
    differ = random_bits(seed, split, indices + start, 100) ^ random_bits(other_seed, other_split, indices + other_start, 100)
    ones = np.array([int((differ >> np.uint64(bit) & np.uint64(1)).sum()) for bit in range(64)])
    z = (ones - differ.size / 2) / math.sqrt(differ.size / 4)
    assert np.abs(z).max() < stats.norm.isf(ALARM / 128)


def test_random_bits_of_neighbouring_positions_and_images_are_uncorrelated():
    words = random_bits(9, "train", np.arange(300), 300).astype(np.float64) / 2.0**64 - 0.5
    along, across = (words[:, 1:] * words[:, :-1]).mean() * 12, (words[1:] * words[:-1]).mean() * 12
    for correlation in (along, across):
        assert abs(correlation) < stats.norm.isf(ALARM / 4) / 299


def test_random_words_of_a_large_sample_do_not_repeat():
    words = random_bits(1, "train", np.arange(2000), 500)
    assert len(np.unique(words)) == words.size  # two of 10^6 words agree with probability 3e-8


@given(seed=st.integers(0, 2**64 - 1), indices=st.lists(st.integers(0, 2**53), min_size=1, max_size=20), count=st.integers(1, 20))
def test_random_bits_follow_the_loop_of_splitmix64(seed, indices, count):
    """Against the obvious loop, one word after the other, in Python's whole numbers."""
    import zlib

    mask, golden = 2**64 - 1, 0x9E3779B97F4A7C15

    def mix(word):
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & mask
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB & mask
        return word ^ (word >> 31)

    start = seed ^ (zlib.crc32(b"train") << 31) & mask
    bits = random_bits(seed, "train", np.array(indices, dtype=np.int64), count)
    for row, index in zip(bits.tolist(), indices, strict=True):
        key = mix((mix((start + golden) & mask) + mix((index + golden) & mask) * golden) & mask)
        assert row == [mix((key + step * golden) & mask) for step in range(1, count + 1)]


def test_ties_of_the_sorted_words_prefer_no_order():
    """At 6,000 positions 19 random bits are left: 34 pairs an image tie, and unmended would all stand in ascending order."""
    images, count = 3000, 6000
    order = _permutations(5, "train", np.arange(images), count)
    assert (np.sort(order, axis=1) == np.arange(count)).all()
    ascending = (np.diff(order, axis=1) > 0).mean()
    deviation = np.sqrt((count + 1) / 12) / (count - 1) / np.sqrt(images)  # the variance of ascents is (count + 1) / 12 an image
    assert abs(ascending - 0.5) < 5 * deviation  # false alarm 6e-7
    assert 34 * 0.8 / 6 / (count - 1) > 10 * deviation  # a sorted pair adds 1/2 ascent and costs its two neighbours 1/6 each; 4 in 5 images have no triple


def test_an_image_with_thousands_of_triple_ties_is_redrawn_once(monkeypatch):
    """At 224 x 224 positions 16 random bits are left: some 6,000 triples an image, each of which once drew a row of its own."""
    drawn = []
    monkeypatch.setattr(
        pixels, "random_bits", lambda seed, split, indices, count: drawn.append((split, len(indices))) or random_bits(seed, split, indices, count)
    )
    order = _permutations(3, "train", np.arange(2), 224 * 224)
    assert (np.sort(order, axis=1) == np.arange(224 * 224)).all()
    assert drawn[-1] == ("train anew", 2)


def test_an_image_has_its_permutation_whatever_is_drawn_beside_it():
    together = _permutations(3, "test", np.arange(300), 3072)
    some = np.array([299, 7, 150])
    assert (_permutations(3, "test", some, 3072) == together[some]).all()
    assert (_permutations(3, "test", np.arange(9), 1) == 0).all()
