"""Kernels against their formulas by a plain loop, known answers, accuracy of distances, and planted bugs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import shatterlab as sl
from shatterlab.core import catalog
from shatterlab.core.errors import DataError, InvalidPart
from shatterlab.kernels import _distances
from shatterlab.kernels._distances import angles, squared_distances
from shatterlab.kernels.linear import LinearKernel
from shatterlab.kernels.radial import GRID, Gaussian, Laplacian, left_out
from shatterlab.kernels.wide_networks import ArcCosine, NeuralTangent
from shatterlab.laws import check, words
from shatterlab.laws import kernels as kernel_laws


def cosine(x, z):
    return min(1.0, max(-1.0, float(x @ z) / (np.linalg.norm(x) * np.linalg.norm(z))))


def relu_layer(c):
    theta = math.acos(c)
    return (math.sin(theta) + (math.pi - theta) * c) / math.pi


def arc_cosine(degree, depth):
    def k(x, z):
        c = cosine(x, z)
        for _ in range(depth):
            c = relu_layer(c) if degree else 1 - math.acos(c) / math.pi
        return c * (np.linalg.norm(x) * np.linalg.norm(z) if degree else 1)

    return k


def neural_tangent(depth):
    def k(x, z):
        c = cosine(x, z)
        tangent = c
        for _ in range(depth):
            tangent, c = relu_layer(c) + tangent * (1 - math.acos(c) / math.pi), relu_layer(c)
        return np.linalg.norm(x) * np.linalg.norm(z) * tangent

    return k


FORMULAS = [
    (LinearKernel(), lambda x, z: float(x @ z)),
    (Gaussian(1.3), lambda x, z: math.exp(-np.sum((x - z) ** 2) / (2 * 1.3**2))),
    (Laplacian(0.7), lambda x, z: math.exp(-np.linalg.norm(x - z) / 0.7)),
    (ArcCosine(0), arc_cosine(0, 1)),
    (ArcCosine(0, 3), arc_cosine(0, 3)),
    (ArcCosine(1), arc_cosine(1, 1)),
    (ArcCosine(1, 4), arc_cosine(1, 4)),
    (NeuralTangent(1), neural_tangent(1)),
    (NeuralTangent(3), neural_tangent(3)),
]


@pytest.mark.parametrize(("kernel", "formula"), FORMULAS, ids=lambda value: repr(value) if isinstance(value, sl.Kernel) else "")
@pytest.mark.parametrize("shape", [(5,), (2, 3, 3)])
def test_gram_is_the_formula_by_a_plain_loop(kernel, formula, shape):
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((9, *shape)), rng.standard_normal((7, *shape))
    loop = np.array([[formula(a.ravel(), b.ravel()) for b in z] for a in x])
    # float64: the loop's arc cosine of a rounded cosine is off by 1e-16 / sin(theta), here below 1e-14
    np.testing.assert_allclose(kernel.gram(torch.from_numpy(x), torch.from_numpy(z)).numpy(), loop, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(kernel.diagonal(torch.from_numpy(x)).numpy(), [kernel.gram(each, each).item() for each in torch.from_numpy(x)[:, None]])


def test_known_answers():
    x, across, back = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]]), torch.tensor([[-2.0, 0.0]])
    known = [
        (ArcCosine(0), (1, 1 / 2, 0)),
        (ArcCosine(1), (1, 3 / math.pi, 0)),  # Cho, Saul 2009: |x| |z| / pi at a right angle
        (NeuralTangent(1), (2, 3 / math.pi, 0)),
        (NeuralTangent(5), (6, None, None)),  # depth + 1
        (Gaussian(2.0), (1, math.exp(-10 / 8), math.exp(-9 / 8))),
        (Laplacian(3.0), (1, math.exp(-math.sqrt(10) / 3), math.exp(-1))),
    ]
    for kernel, answers in known:
        for other, answer in zip((x, across, back), answers, strict=True):
            if answer is not None:
                assert kernel.gram(x, other).item() == pytest.approx(answer, abs=1e-6)  # float32


def test_infinite_nets_are_the_limit_of_random_ones():
    rng = np.random.default_rng(1)
    x, width = rng.standard_normal((6, 4)), 400_000
    weights = rng.standard_normal((4, width))
    layer = x @ weights
    for degree, features in ((1, np.maximum(layer, 0)), (0, (layer > 0).astype(float))):
        sampled = 2 * features @ features.T / width
        exact = ArcCosine(degree).gram(torch.from_numpy(x), torch.from_numpy(x)).numpy()
        room = 7 * 2 * np.sqrt((features**2).mean(1).max() ** 2 * 3 / width) + 7 / np.sqrt(width)  # seven standard deviations: false alarm < 1e-9
        assert np.abs(sampled - exact).max() < room


def test_the_input_zero_has_no_angle():
    x = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    for kernel in (ArcCosine(0), ArcCosine(1), NeuralTangent(2), LinearKernel()):
        gram = kernel.gram(x, x)
        assert gram[0].tolist() == [0, 0]
        assert kernel.diagonal(x)[0] == 0


class TestDistances:
    def test_close_pairs_far_from_the_origin_keep_their_digits(self):
        rng = np.random.default_rng(2)
        base = torch.from_numpy(rng.standard_normal((40, 30)).astype(np.float32)) + 1000
        near = base + 1e-2 * torch.from_numpy(rng.standard_normal((40, 30)).astype(np.float32))
        exact = (base.double()[:, None] - near.double()[None]).square().sum(2)
        found = squared_distances(base, near).double()
        naive = (base.square().sum(1)[:, None] + near.square().sum(1)[None] - 2 * base @ near.T).double()
        # moving 1000 to the centre rounds by 1e-4 at most; a close pair is off by that twice over sqrt(d) 1e-2
        assert ((found - exact).abs() / exact).max() < 0.02
        assert ((naive - exact).abs() / exact).max() > 1  # the textbook form has no digit left

    def test_error_of_the_expansion_is_bounded_relative_to_the_distance(self):
        x = torch.from_numpy(np.random.default_rng(3).random((300, 784)).astype(np.float32))
        exact = (x.double()[:, None] - x.double()[None]).square().sum(2)
        found = squared_distances(x, x).double()
        assert found.diagonal().abs().max() == 0
        off = ~torch.eye(300, dtype=torch.bool)
        assert ((found - exact).abs()[off] / exact[off]).max() < 100 * torch.finfo(torch.float32).eps / 0.01

    def test_nothing_is_below_zero_and_equal_inputs_are_at_zero(self):
        x = torch.rand(1, 50, generator=torch.Generator().manual_seed(0)).repeat(30, 1)
        x[15:] += 1e-4
        found = squared_distances(x, x)
        assert found.min() == 0
        assert (found[:15, :15] == 0).all() and (found[:15, 15:] > 0).all()

    def test_small_angles_keep_their_digits(self):
        x = torch.tensor([[1.0, 0.0]])
        for theta in (1e-3, 1e-5, 1.0, 3.0):
            z = torch.tensor([[math.cos(theta), math.sin(theta)]])
            assert angles(x, z).item() == pytest.approx(theta, rel=2e-4)  # acos of a float32 cosine gives 0 for 1e-5


@given(st.integers(0, 10**6))
def test_a_pixel_permutation_that_all_share_leaves_radial_kernels_alone(seed):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.standard_normal((12, 20)))
    shuffled = x[:, torch.from_numpy(rng.permutation(20))]
    for kernel in (Gaussian(2.0), Laplacian(2.0), ArcCosine(1, 2), NeuralTangent(2), LinearKernel()):
        torch.testing.assert_close(kernel.gram(shuffled, shuffled), kernel.gram(x, x), rtol=1e-9, atol=1e-11)  # sums in another order


@pytest.mark.parametrize("kernel", [Gaussian(1.0), ArcCosine(), LinearKernel()], ids=repr)
def test_tiles_make_the_whole_and_symmetry_is_exact(kernel, monkeypatch):
    from shatterlab.core import kinds

    monkeypatch.setattr(kinds, "_TILE", 16)
    x, z = (torch.from_numpy(np.random.default_rng(seed).standard_normal((n, 6))) for seed, n in ((4, 50), (5, 37)))
    weights = torch.from_numpy(np.random.default_rng(6).standard_normal((50, 3)))
    for other in (x, z):
        filled = torch.full((50, len(other)), torch.nan, dtype=torch.float64)
        kernel.gram_into(filled, x, other)
        torch.testing.assert_close(filled, kernel.gram(x, other), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(kernel.product(x, other, weights[: len(other)]), filled @ weights[: len(other)], rtol=1e-11, atol=1e-11)
    whole = torch.empty(50, 50, dtype=torch.float32)
    kernel.gram_into(whole, x, x)
    assert torch.equal(whole, whole.T)


class TestBandwidth:
    def test_the_choice_is_the_best_of_the_grid_by_real_refits(self):
        train = sl.Digits(examples=60).load().train
        x, labels = train.inputs.flatten(1).double(), train.labels
        targets = torch.nn.functional.one_hot(labels, 10).double()
        distances = torch.cdist(x, x)
        median = distances[distances > 0].median().item()
        results = []
        for factor in GRID:
            kernel, wrong, squared = Gaussian(factor * median), 0, 0.0
            gram = kernel.gram(x, x)
            for i in range(60):
                rest = [j for j in range(60) if j != i]
                said = gram[i, rest] @ torch.linalg.solve(gram[rest][:, rest], targets[rest])
                wrong += int(said.argmax() != labels[i])
                squared += (said - targets[i]).square().sum().item()
            results.append((wrong, squared, factor * median))
        chosen = Gaussian("leave_one_out").fitted(train, sl.Seeds())
        assert chosen.bandwidth == pytest.approx(min(results)[2], rel=1e-9)
        assert chosen.identity() == Gaussian("leave_one_out").identity()

    def test_a_narrow_kernel_does_not_give_the_label_away(self):
        """At a narrow bandwidth every prediction is far below 1e-16, so y - residual would be rounding alone, and that prefers the label."""
        rng = np.random.default_rng(0)
        noise = sl.Examples(torch.from_numpy(rng.standard_normal((200, 8)).astype(np.float32)), torch.from_numpy(rng.integers(0, 4, 200)), 4)
        distances = squared_distances(*[noise.inputs.double()] * 2)
        for sigma in (0.05, 0.1, 0.2, 0.5):
            error, _ = left_out(Gaussian.of_squared_distances(distances.clone(), sigma), noise)
            assert 0.6 < error < 0.9  # chance is 0.75: five standard deviations

    def test_a_number_is_kept_and_the_subset_is_the_same_each_time(self):
        train = sl.Digits(examples=300).load().train
        assert Gaussian(2.0).fitted(train, sl.Seeds()) == Gaussian(2.0)
        chosen = [Laplacian("leave_one_out", subset=100).fitted(train, sl.Seeds.replicate(seed)).bandwidth for seed in (0, 1)]
        assert chosen[0] == chosen[1] > 0

    def test_a_kernel_that_has_seen_no_data_says_so(self):
        required = r'^Gaussian: a bandwidth is required, "leave_one_out" chooses it in fitted\(train, seeds\), got None\. Call fitted first\.$'
        with pytest.raises(InvalidPart, match=required):
            Gaussian("leave_one_out").gram(torch.ones(2, 2), torch.ones(2, 2))

    def test_equal_inputs_are_refused(self):
        same = sl.Examples(torch.ones(8, 3), torch.arange(8) % 2, 2)
        with pytest.raises(DataError, match=r"^Gaussian: inputs that differ are required to choose sigma, got 8 equal ones\. Give sigma as a number\.$"):
            Gaussian("leave_one_out").fitted(same, sl.Seeds())
        pairs = sl.Examples(torch.tensor([[0.0], [0.0], [1.0], [1.0]]), torch.tensor([0, 1, 0, 1]), 2)
        with pytest.raises(DataError, match=r"^Laplacian: at least one bandwidth at which the Gram matrix is regular is required, got none\."):
            Laplacian("leave_one_out").fitted(pairs, sl.Seeds())


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Gaussian(0), 'Gaussian: sigma is a finite number > 0 or "leave_one_out", got 0.0'),
        (lambda: Gaussian(-1.0), 'Gaussian: sigma is a finite number > 0 or "leave_one_out", got -1.0'),
        (lambda: Laplacian(float("nan")), 'Laplacian: sigma is a finite number > 0 or "leave_one_out", got nan'),
        (lambda: Laplacian(float("inf")), 'Laplacian: sigma is a finite number > 0 or "leave_one_out", got inf'),
        (lambda: Gaussian("best"), "Gaussian: sigma is a number or one of 'leave_one_out', got 'best'"),
        (lambda: Gaussian(1.0, subset=1), "Gaussian: subset is a whole number >= 2, got 1"),
        (lambda: ArcCosine(2), "ArcCosine: degree is 0 or 1, got 2"),
        (lambda: ArcCosine(1, 0), "ArcCosine: depth is a whole number >= 1, got 0"),
        (lambda: NeuralTangent(0), "NeuralTangent: depth is a whole number >= 1, got 0"),
    ],
)
def test_a_bad_field_is_refused_in_one_sentence(make, text):
    with pytest.raises(InvalidPart) as caught:
        make()
    assert str(caught.value) == text


def test_kernels_of_the_package_keep_their_laws_in_words():
    found = check(Gaussian(1.0))
    assert [each.text for each in found if not each.passed] == []
    assert {words(law) for law in kernel_laws.LAWS} <= {each.law for each in found}
    assert {"Gaussian", "Laplacian", "LinearKernel", "ArcCosine", "NeuralTangent"} <= set(catalog.find("kernels"))


def test_eight_bit_inputs_have_exact_distances_at_any_width():
    """Against whole numbers in int64: nothing is rounded, not over 3,072 columns of extreme values either."""
    rng = np.random.default_rng(3)
    for d in (1, 1023, 1025, 3072):
        values = rng.integers(0, 256, size=(9, d))
        values[0], values[1] = 0, 255
        x = torch.from_numpy(values).float().div_(255)
        exact = (values[:, None] - values[None]) ** 2
        assert torch.equal(_distances.count_distances(_distances.counts(x), _distances.counts(x)), torch.from_numpy(exact.sum(2)).int())
        wanted = torch.from_numpy(exact.sum(2)).double() / 255**2
        assert torch.equal(squared_distances(x.double(), x.double()), wanted)


def test_rows_off_the_grid_of_eight_bits_do_not_change_those_on_it():
    """Negative values, values above 1 and float64 that no float32 holds are no counts; a pair has one distance in any company."""
    on = torch.tensor([[0.0, 255.0], [3.0, 7.0]]).div_(255)
    off = torch.tensor([[0.5, 0.25], [-1 / 255, 0.0], [256 / 255, 0.0]])
    x = torch.cat([on, off])
    assert _distances.whole_counts(x).tolist() == [True, True, False, False, False]
    assert not _distances.whole_counts(torch.full((1, 1), 0.1, dtype=torch.float64)).any()
    assert torch.equal(squared_distances(x, x)[:2, :2], squared_distances(on, on))
    true = torch.cdist(x.double(), x.double()).square()
    torch.testing.assert_close(squared_distances(x, x).double(), true, rtol=1e-5, atol=1e-7)  # float32 inputs


def test_a_radial_kernel_keeps_eight_bit_distances_as_codes_and_no_others():
    """The codes give the Gram matrix in float64 to the last bit; a planted float of another grid has none."""
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, size=(40, 1, 5, 5))).float().div_(255)
    kernel, everything = Gaussian(0.9), slice(0, 40)
    codes = kernel.coded(x)
    assert codes is not None
    assert torch.equal(codes.decoded(codes.tile(everything, everything), torch.float64), kernel.gram(x.double(), x.double()))
    x[3, 0, 2, 2] = 0.1234
    assert kernel.coded(x) is None and LinearKernel().coded(x) is None
