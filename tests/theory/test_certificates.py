"""Certificates: exact coverage of coins, codes whose words fit into the unit interval, a martingale summed over all label sequences."""

from __future__ import annotations

import itertools
import lzma
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import optimize, special, stats
from torch import nn

import shatterlab as sl
from shatterlab.core import catalog
from shatterlab.core.errors import DataError, InvalidPart, NotApplicable
from shatterlab.datasets.derived import OneAgainstRest
from shatterlab.measures.certificates import OccamCertificate, PACBayesCertificate, compressed
from shatterlab.theory.certificates import Certificate, code_length, kl_inverse, occam, pac_bayes, prefix_bits, ratt

Prequential = catalog.get("Prequential")
COIN_BIAS = (0.02, 0.1, 0.3, 0.5, 0.8)


# Inverting kl


@pytest.mark.parametrize("error", [0.0, 0.01, 0.3, 0.9])
@pytest.mark.parametrize("divergence", [1e-3, 0.1, 2.0])
def test_kl_inverse_is_the_root_that_scipy_finds(error, divergence):
    def excess(p):
        return special.rel_entr(error, p) + special.rel_entr(1 - error, 1 - p) - divergence

    expected = optimize.brentq(excess, error + 1e-12, 1 - 1e-15, xtol=1e-14)
    assert kl_inverse(error, divergence) == pytest.approx(expected, abs=1e-9)


def test_kl_inverse_at_its_ends():
    assert kl_inverse(0.0, 0.5) == pytest.approx(1 - math.exp(-0.5), rel=1e-12)
    assert kl_inverse(0.3, 0.0) == pytest.approx(0.3, abs=1e-7)  # kl is flat there: (p - q)^2 / 0.42 against rounding of 1e-16
    assert kl_inverse(1.0, 0.1) == 1
    assert kl_inverse(0.2, 1e9) == pytest.approx(1, abs=1e-9)


def misses(bound, n, bias):
    """P[the bound from the share of heads among n tosses lies below the bias], summed over all counts."""
    heads = np.arange(n + 1)
    below = np.array([bound(count / n) < bias for count in heads])
    return float(stats.binom.pmf(heads, n, bias)[below].sum())


@pytest.mark.parametrize("bias", COIN_BIAS)
def test_a_classifier_fixed_beforehand_is_covered_exactly(bias):
    """A coin is a classifier with that error: the bound may miss it with probability delta (times 2^-bits for a message) at most."""
    for n in (10, 60):
        assert misses(lambda share, n=n: pac_bayes(share, 0.0, n, delta=0.1).bound, n, bias) <= 0.1
        assert misses(lambda share, n=n: occam(share, 3, n, delta=0.1).bound, n, bias) <= 0.1 / 2**3


def test_the_coverage_check_bites():
    planted = [misses(lambda share: occam(share, 1e-9, 4 * 60, delta=0.1).bound, 60, bias) for bias in COIN_BIAS]  # four times the examples there are
    assert max(planted) > 0.1


def test_bounds_grow_with_what_they_should():
    assert pac_bayes(0.1, 5.0, 100).bound > pac_bayes(0.1, 1.0, 100).bound > pac_bayes(0.1, 1.0, 1000).bound > 0.1
    assert occam(0.0, 2000, 1000).bound > 0.7
    assert occam(0.1, 10, 1000, delta=1e-6).bound > occam(0.1, 10, 1000, delta=0.1).bound


def test_a_certificate_says_what_it_assumes_and_whether_it_is_vacuous():
    tight, empty = occam(0.0, 10, 1000, classes=10), occam(0.0, 10_000, 1000, classes=10)
    assert not tight.vacuous
    assumed = "examples drawn independently and a prefix-free code chosen before they were seen"
    assert tight.text == f"Occam: error <= 0.009878 with probability 0.95 (not vacuous). Assumes {assumed}."
    assert empty.vacuous
    assert "(vacuous: guessing errs 0.9)" in empty.text
    assert Certificate("x", 0.5, 0.1, 0.05, "nothing", chance=0.5).vacuous


def test_a_message_of_bytes_with_its_length_is_prefix_free():
    """Kraft: over all messages of up to b bytes, the sum of 2^-bits is at most 1."""
    total = sum(2.0 ** (8 * length - prefix_bits(bytes(length))) for length in range(2000))
    assert 0.99 < total <= 1
    assert prefix_bits(b"") == 1
    planted = sum(2.0 ** (8 * length - 8 * length) for length in range(2000))  # bytes alone: no length is told
    assert planted > 1


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: kl_inverse(1.5, 1), r"kl_inverse: an error in \[0, 1\] and a divergence >= 0 are required, got 1\.5 and 1\. Pass fractions and nats\."),
        (lambda: pac_bayes(0.1, 1, 10, delta=0), r"pac_bayes: n >= 1 and delta in \(0, 1\) are required, got 10 and 0\. Use 0\.05, say\."),
        (lambda: occam(0.1, 0, 10), r"occam: a message of more than 0 bits is required, got 0\. Count the whole message\."),
        (lambda: ratt(0, 0, 0, 5, 2), r"ratt: n >= 1 and delta in \(0, 1\) are required, got 0 and 0\.05\. Use 0\.05, say\."),
        (lambda: ratt(0, 2, 5, 5, 2), r"ratt: errors in \[0, 1\] and k >= 2 are required, got 0, 2 and 2\. Pass fractions\."),
        (lambda: code_length(-1, 5, 2), r"code_length: n >= 1, k >= 2 and bits >= 0 are required, got 5, 2 and -1\. Count again\."),
    ],
)
def test_what_is_out_of_range_is_refused(call, text):
    with pytest.raises(DataError, match=f"^{text}$"):
        call()


# RATT


def test_ratt_tends_to_the_published_formula():
    """E_S + (k - 1)(1 - k E_R / (k - 1)), and what is added falls like one over the root of m."""
    for classes, error in ((2, 0.5), (2, 0.45), (10, 0.89)):
        limit = 0.01 + (classes - 1) * (1 - classes / (classes - 1) * error)
        added = [ratt(0.01, error, 10 * m, m, classes).bound - limit for m in (10_000, 1_000_000)]
        assert 0 < added[1] < added[0]
        assert added[0] / added[1] == pytest.approx(10, rel=0.1)


def test_ratt_of_an_interpolating_fit_is_vacuous_and_of_an_honest_one_is_not():
    assert ratt(0.0, 0.0, 50_000, 10_000, 10).vacuous
    assert not ratt(0.0, 0.9, 50_000, 10_000, 10).vacuous
    assert ratt(0.0, 0.5, 100, 1, 2).bound == math.inf
    assert "assumed, not known" in ratt(0.0, 0.9, 50_000, 10_000, 10).text


def threshold_run(seed, n=1600, m=800, noise=0.1):
    """Least-error threshold on a line, with labels 1[x > 1/2] of which some are flipped: its true error and its certificate."""
    rng = np.random.default_rng(seed)
    x = rng.random(n + m)
    y = (x > 0.5) ^ (rng.random(n + m) < noise)
    y[n:] = rng.random(m) < 0.5
    grid = np.linspace(0, 1, 101)
    wrong = ((x[:, None] > grid) != y[:, None]).sum(0)
    chosen = grid[int(wrong.argmin())]
    errors = (x > chosen) != y
    true = noise + (1 - 2 * noise) * abs(chosen - 0.5)
    return true, ratt(float(errors[:n].mean()), float(errors[n:].mean()), n, m, 2)


def test_ratt_holds_for_a_learner_that_minimizes_errors():
    """100 runs at delta 0.05: 5 misses are expected at most; the bound is loose, so there is none."""
    found = [threshold_run(seed) for seed in range(100)]
    assert all(true <= certificate.bound for true, certificate in found)
    assert np.mean([certificate.bound for _, certificate in found]) < 0.5


def test_ratt_needs_its_assumption():
    """A lookup table that is right on labelled and wrong on randomly labelled examples, and errs on all others, gets a fine certificate."""
    true_error = 1.0
    assert ratt(0.0, 1.0, 10_000, 10_000, 2).bound < 0.5 < true_error


# Code lengths


def exact_mean(predict, n, k):
    """E 2^(n log2 k - L) over all k^n label sequences; predict(labels, i) gives the probabilities of label i."""
    total = 0.0
    for labels in itertools.product(range(k), repeat=n):
        total += np.prod([k * predict(labels, i)[labels[i]] for i in range(n)]) / k**n
    return total


def frequencies(labels, i, k=3):
    counts = np.bincount(labels[:i], minlength=k) + 0.5
    return counts / counts.sum()


def majority_of_the_past(labels, i, k=3):
    shares = np.full(k, 0.01)
    shares[np.bincount(labels[:i], minlength=k).argmax() if i else 0] += 0.97
    return shares


@pytest.mark.parametrize("predict", [frequencies, majority_of_the_past])
def test_the_code_is_a_martingale_whatever_predicts(predict):
    assert exact_mean(predict, 6, 3) == pytest.approx(1, rel=1e-12)


def test_a_predictor_that_sees_the_label_breaks_the_martingale():
    def cheats(labels, i):
        return np.full(3, 0.1) + 0.7 * (np.arange(3) == labels[i])

    assert exact_mean(cheats, 6, 3) == pytest.approx((3 * 0.8) ** 6, rel=1e-12)


def test_a_code_length_speaks():
    short, long = code_length(80.0, 100, 2), code_length(120.0, 100, 2)
    assert (short.p_value, short.saved) == (2.0**-20, 20.0)
    assert short.text == "code length 80.0 of 100.0 bits, 20.0 saved; P[this or more saved | random labels] <= 9.54e-07, for any model"
    assert (long.p_value, long.saved) == (1.0, -20.0)
    assert long.text == "code length 120.0 of 100.0 bits, -20.0 saved; nothing is saved: it proves nothing"
    assert code_length(0.0, 5000, 10).p_value > 0


@dataclass(frozen=True)
class Peeking(Prequential):
    """Codes each part by a model that was fitted on it, too.

    Args:
        learner: as always.
        doublings: as always.
        uniform: as always.
    """

    def _bits(self, fit, block):
        return super()._bits(self.learner.fit(block), block)


def fitted(cls, corruption):
    train = corruption.apply(sl.Digits(examples=320).load(), sl.Seeds(corruption=1)).train
    return cls(sl.KernelInterpolation(sl.Laplacian(2.0))).fit(train), train


def test_on_random_labels_nothing_is_saved_unless_the_next_block_is_seen():
    """20 bits and more have probability 1e-6 at most."""
    honest, train = fitted(Prequential, sl.RandomLabels())
    assert honest.facts["saved_bits"] < 20
    assert honest.facts["uniform_bits"] == pytest.approx(320 * math.log2(10))
    assert honest.arrays["code"].sum() == pytest.approx(honest.facts["code_bits"])
    first = honest.arrays["code"] == math.log2(10)
    assert first.sum() == 20  # 320 / 2^4
    peeking, _ = fitted(Peeking, sl.RandomLabels())
    assert peeking.facts["saved_bits"] > 20
    assert (honest.scores(train.inputs).argmax(1) == train.labels).all()


def test_on_true_labels_bits_are_saved():
    fit, train = fitted(Prequential, sl.TrueLabels())
    found = code_length(fit.facts["code_bits"], len(train), train.classes)
    assert found.saved == pytest.approx(fit.facts["saved_bits"])
    assert found.p_value < 1e-6


def test_probabilities_that_do_not_add_up_are_made_to():
    _, train = fitted(Prequential, sl.TrueLabels())
    fit = sl.Fit(lambda inputs: 5.0 + 0 * inputs.flatten(1)[:, :10], "probabilities")
    bits = Prequential(sl.KernelInterpolation(sl.Gaussian(1.0)))._bits(fit, train)
    assert bits.numpy() == pytest.approx(math.log2(10))


def test_too_few_examples_are_refused():
    train = sl.Digits(examples=20).load().train
    with pytest.raises(InvalidPart, match=r"^Prequential: at least 33 examples are required for 5 doublings, got 20\. Use fewer doublings\.$"):
        Prequential(sl.KernelInterpolation(sl.Gaussian(1.0)), doublings=5).fit(train)
    with pytest.raises(InvalidPart, match=r"^Prequential: uniform is a weight in \(0, 1\], got 0\.0$"):
        replace(Prequential(sl.KernelInterpolation(sl.Gaussian(1.0))), uniform=0)


# One class against the rest


def test_one_against_the_rest_keeps_inputs_and_marks_the_classes():
    plain, two = sl.Digits(examples=200).load(), OneAgainstRest(sl.Digits(examples=200), (1, 4)).load()
    assert (two.train.inputs == plain.train.inputs).all()
    assert (two.train.labels == ((plain.train.labels == 1) | (plain.train.labels == 4))).all()
    assert (two.train.classes, two.test.classes) == (2, 2)


def test_classes_that_do_not_exist_are_refused():
    with pytest.raises(InvalidPart, match=r"^OneAgainstRest: positive names some of the classes 0\.\.9 and not all, got \(10,\)$"):
        OneAgainstRest(sl.Digits(examples=50), (10,)).load()
    with pytest.raises(InvalidPart, match=r"^OneAgainstRest: positive is at least one class, each named once, got \(1, 1\)$"):
        OneAgainstRest(sl.Digits(), (1, 1))


# Certificates of a fit


def trained(classes=2, n=300, corruption=None):
    data = OneAgainstRest(sl.Digits(examples=n), (0,)) if classes == 2 else sl.Digits(examples=n)
    train = (corruption or sl.TrueLabels()).apply(data.load(), sl.Seeds(corruption=3)).train
    return sl.Training(sl.Linear(), sl.SGD(lr=0.1), epochs=20, batch_size=50).fit(train), train


def test_the_message_of_a_network_can_be_read():
    for multiples in (np.array([0.0, 3, -100]), np.array([5.0, -40_000]), np.array([1e12])):
        message = compressed(multiples)
        read = np.frombuffer(lzma.decompress(message[1:], lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 9}]), f"<i{message[0]}")
        assert (read == multiples).all()
    assert len(compressed(np.zeros(100_000))) < 200


def test_occam_of_a_linear_model_is_that_of_its_message():
    fit, train = trained()
    found = OccamCertificate(steps=(0.1,)).of(fit, train)
    weights = np.concatenate([value.detach().double().numpy().ravel() for value in fit.model.parameters()])
    start = np.concatenate([fit.initial[name].double().numpy().ravel() for name, _ in fit.model.named_parameters()])
    multiples = np.round((weights - start) / 0.1)
    assert found["bits"] == prefix_bits(compressed(multiples))
    assert found["bound"] == occam(found["rounded_error"], found["bits"], 300).bound
    assert OccamCertificate(steps=(0.1, 1e-6)).of(fit, train)["bits"] == found["bits"] + 1  # which step: one bit more
    assert found["bits_per_label"] == found["bits"] / 300


def test_pac_bayes_of_a_linear_model_is_the_formula():
    fit, train = trained()
    found = PACBayesCertificate(deviations=(0.1,), draws=200).of(fit, train)
    moved = sum((value.detach() - fit.initial[name]).double().square().sum().item() for name, value in fit.model.named_parameters())
    assert found["divergence"] == pytest.approx(moved / 0.02)
    assert found["bound"] == pac_bayes(found["noisy_error"], found["divergence"], 300, 0.025).bound
    assert found["noisy_error"] >= kl_inverse(0.0, math.log(40) / 200)  # 200 draws cannot tell an error from one of that size
    assert found["vacuous"] in (0, 1)


@pytest.mark.parametrize("measure", [OccamCertificate, PACBayesCertificate])
def test_what_a_certificate_needs(measure):
    fit, train = trained()
    with pytest.raises(NotApplicable, match=f"^{measure.__name__}: initial weights are required.*, this fit has none$"):
        measure().of(replace(fit, initial=None), train)
    normed = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 2))
    with pytest.raises(NotApplicable, match=f"^{measure.__name__}: .* the running statistics of 1 come from the sample$"):
        measure().of(sl.Fit(normed, "logits", normed, dict(normed.named_parameters())), train)
